"""How well cards are read whose VIN field was marked once, with a template.

    python benchmarks/templates.py --json templates.json
    python benchmarks/templates.py --cards 440 --pages 110 --seed 0 --model-card

Offices: of every layout of the drawn cards, and of one without boxes, forms are printed; three filled-in scans make the
template, and other cards of that form, filled in by other hands and scanned in all ways, are read with it, through
their files. Public forms with a plain rectangle for the VIN (see ``form_pages.py``): the template is made of the blank
PDF file. Cards without a whole VIN, and cards of other offices, must not be accepted. Seeds below 1000 are for
measuring a release; what is built looks at others.
"""

import argparse
import json
import multiprocessing
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from form_pages import DPI, PLAIN_FORMS, fill, places  # noqa: E402
from page_scores import NEAR, Bar, Outcome, Truth, bar_table, fault_list, judge, score, scores_by, table  # noqa: E402

from vinscribe.decode import VinReading  # noqa: E402
from vinscribe.images import decode_grey  # noqa: E402
from vinscribe.pages import Page, read_pages  # noqa: E402
from vinscribe.reader import Reader  # noqa: E402
from vinscribe.template import Template  # noqa: E402
from vinscribe.training.card_print import LAYOUTS, PLAIN  # noqa: E402
from vinscribe.training.card_scan import SCANS  # noqa: E402
from vinscribe.training.cards import Card, draw_card  # noqa: E402
from vinscribe.training.documents import write_between  # noqa: E402

OTHER = "other"
NEGATIVES = ("empty", "missing", "struck", OTHER)
"""Cards without a whole VIN in the field: nothing there; a character missing, or struck out; another office's card."""

NEGATIVE_SHARE = 0.2
"""Cards of each of these kinds, for each card with a VIN."""

OFFICES = 2
"""Forms of each layout."""

BOXES, NO_BOXES = "drawn cards, boxes or a comb", "drawn cards, no boxes"

_MARKED = 3  # filled-in cards that a template is made of
_CARD, _OTHER_OFFICE = 1, 2  # parts of seeds


@dataclass(frozen=True)
class Task:
    """A page to be drawn and read.

    Attributes:
        source: a layout, or the name of one of `PLAIN_FORMS`.
        office: which form of a layout.
        index: of the page among those of its source and kind.
        scan: how it is scanned.
        negative: one of `NEGATIVES`; None for a page with a VIN.
        seed: of everything.
    """

    source: str
    office: int
    index: int
    scan: str
    negative: str | None
    seed: int

    @property
    def form(self) -> tuple[int, int, int]:
        """Seed of the printed form."""
        return self.seed, (*LAYOUTS, PLAIN).index(self.source), self.office


@dataclass(frozen=True)
class Drawn:
    """A page's file, what is on it, and where its field is: (4, 2), None where there is none."""

    data: bytes
    ending: str
    truth: Truth
    field: ArrayLike | None


def tasks(cards: int, pages: int, seed: int) -> list[Task]:
    """So many drawn cards with a VIN and those without, and so many pages of each public form; grouped by template."""
    found = []
    sources = [(layout, office) for office in range(OFFICES) for layout in (*LAYOUTS, PLAIN)]
    for number, negative in enumerate((None, *NEGATIVES)):
        for index in range(cards if negative is None else round(cards * NEGATIVE_SHARE)):
            source, office = sources[index % len(sources)]
            scan = SCANS[(index + index // len(sources) + number) % len(SCANS)]
            found.append(Task(source, office, index, scan, negative, seed))
    found.sort(key=lambda task: (sources.index((task.source, task.office)), task.index))
    for form in PLAIN_FORMS:
        found += [Task(form.name, 0, index, SCANS[index % len(SCANS)], None, seed) for index in range(pages)]
    return found


def template_of_cards(layout: str, form: tuple[int, int, int]) -> Template:
    """A template as an office makes it: of a few scans, with the field marked on the first."""
    cards = [draw_card([*form, number], layout, "grey", dpi=200, form=form) for number in range(_MARKED)]
    first, *more = [decode_grey(card.data) for card in cards]
    field = np.array(cards[0].truth.field)
    low, high = field.min(axis=0).clip(0), field.max(axis=0)
    box = (float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1]))
    return Template.made(first, box, plain=layout == PLAIN, more=more)


def template_of_form(name: str, folder: Path) -> Template:
    """A template made of a public form's blank PDF file."""
    form = next(form for form in PLAIN_FORMS if form.name == name)
    page = next(iter(read_pages(folder / form.file)))
    if not isinstance(page, Page):
        raise page.error
    corners = places(form.vin, page.image.shape[0])[0]
    (left, top), (right, foot) = corners[0], corners[2]
    return Template.made(page.image, (left, top, right - left, foot - top), plain=True)


@lru_cache(maxsize=2)  # tasks come grouped by template
def reader_of(
    source: str, form: tuple[int, int, int] | None, folder: Path, model: str | None
) -> tuple[Reader, Template]:
    """The reader of a template, on one core."""
    cv2.setNumThreads(1)
    template = template_of_form(source, folder) if form is None else template_of_cards(source, form)
    with tempfile.TemporaryDirectory() as scratch:  # as it is on disk
        template.save(Path(scratch, "template.json"))
        template = Template.load(Path(scratch, "template.json"))
    return Reader(model, template=template), template


def draw(task: Task, folder: Path) -> Drawn:
    """The page of a task."""
    form = next((form for form in PLAIN_FORMS if form.name == task.source), None)
    if form is None:
        return _of_card(task, _card(task))
    filled = fill(form, folder, task.seed, task.index)
    truth = replace(filled.truth, groups={"kind": form.name, "scan": task.scan, "dpi": str(DPI)})
    with tempfile.TemporaryDirectory() as scratch:
        path = filled.write(Path(scratch))
        return Drawn(path.read_bytes(), path.suffix, truth, filled.field)


def _card(task: Task) -> Card:
    seed = [*task.form, _CARD, task.index, 0 if task.negative is None else 1 + NEGATIVES.index(task.negative)]
    if task.negative == OTHER:
        return draw_card(seed, task.source, task.scan, form=(*task.form, _OTHER_OFFICE))
    return draw_card(seed, task.source, task.scan, task.negative, form=task.form)


def _of_card(task: Task, card: Card) -> Drawn:
    name = f"{task.negative or 'card'}-{task.index + 1:05d}-{task.source}-{task.scan}"
    if task.negative:
        return Drawn(card.data, card.ending, Truth(name, {"negative": task.negative}, None, None), None)
    kind = NO_BOXES if task.source == PLAIN else BOXES
    groups = {"kind": kind, "layout": task.source, "scan": task.scan, "dpi": str(card.truth.dpi)}
    return Drawn(card.data, card.ending, Truth(name, groups, card.truth.vin, card.truth.cells), card.truth.field)


def read_page(task: Task, folder: Path, model: str | None, failures: Path | None) -> Outcome:
    """Draws and reads a page; with ``failures``, draws what went wrong into that folder."""
    drawn = draw(task, folder)
    reader, template = reader_of(task.source, None if _is_public(task) else task.form, folder, model)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, f"page{drawn.ending}")
        path.write_bytes(drawn.data)
        outcome, reading = judge(str(path), drawn.truth, reader, template.fields)
        if drawn.field is not None:
            outcome = replace(outcome, found=_is_there(reading, drawn.field))
        if failures and (outcome.fault or (outcome.truth is None and outcome.decision == "accept")):
            _draw_failure(
                path, reading, failures / f"{outcome.name}-{outcome.fault}-{outcome.truth}.jpg".replace(" ", "_")
            )
    return outcome


def _is_public(task: Task) -> bool:
    return task.source not in (*LAYOUTS, PLAIN)


def _is_there(reading: VinReading, field: ArrayLike) -> bool:
    """Whether each corner is within a quarter of a place's sides of the true one."""
    if reading.field is None:
        return False
    true = np.asarray(field, float)
    right, down = (true[1] - true[0]) / 17, true[3] - true[0]
    off = np.asarray(reading.field, float) - true
    return bool(_within(off, right) and _within(off, down))


def _within(off: NDArray[np.float64], side: NDArray[np.float64]) -> bool:
    return bool((np.abs(off @ side) <= NEAR * (side @ side)).all())


def _draw_failure(scan: Path, reading: VinReading, picture: Path) -> None:
    from vinscribe.annotate import annotate

    for page in read_pages(scan):
        if isinstance(page, Page):
            cv2.imwrite(str(picture), annotate(page.image, reading), [cv2.IMWRITE_JPEG_QUALITY, 70])


def read_all(
    todo: Sequence[Task], folder: Path, model: str | None, failures: Path | None, workers: int
) -> Iterator[Outcome]:
    """Reads pages in several processes; in the order of the tasks."""
    if failures:
        failures.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        fixed = ([value] * len(todo) for value in (folder, model, failures))
        yield from pool.map(read_page, todo, *fixed, chunksize=8)


def _wrong(outcomes: Sequence[Outcome]) -> tuple[int, int]:
    return score(outcomes).wrong, score(outcomes).accepted


def _negatives(outcomes: Sequence[Outcome]) -> tuple[int, int]:
    without = [outcome for outcome in outcomes if outcome.truth is None]
    return sum(outcome.decision == "accept" for outcome in without), len(without)


BARS = (
    Bar("wrong VINs among accepted ones", None, 0.002, _wrong),
    Bar("accepted cards without a whole VIN, or of another office", None, 0.0, _negatives),
)
"""What a release is held to."""


def heading(cards: int, pages: int, seed: int) -> str:
    """What the tables show."""
    return (
        f"By `python benchmarks/templates.py`, {time.strftime('%Y-%m-%d')}: {cards:,} drawn cards of "
        f"{OFFICES * (len(LAYOUTS) + 1)} forms, each read with a template made of {_MARKED} other filled-in cards; "
        f"{round(cards * NEGATIVE_SHARE):,} of each kind without a whole VIN there; and {pages:,} pages of each public "
        "form with a plain rectangle for the VIN, filled in by the project's pen, with a template made of the blank "
        f"PDF file (seed {seed}). All are shifted, turned, scaled and scanned in all the ways of the drawn cards. A "
        "field is found if its corners lie within a quarter of a character's place of the true ones."
    )


def negative_table(outcomes: Sequence[Outcome]) -> str:
    """What cards without a whole VIN were taken for."""
    rows = ["| without a whole VIN | pages | no field | to review | accepted |", "|---|---|---|---|---|"]
    for kind in NEGATIVES:
        counts = Counter(outcome.decision for outcome in outcomes if outcome.groups.get("negative") == kind)
        told = " | ".join(f"{counts[decision]:,}" for decision in ("no_field", "review", "accept"))
        rows.append(f"| {'another form' if kind == OTHER else kind} | {counts.total():,} | {told} |")
    return "\n".join(rows)


def summary(outcomes: Sequence[Outcome], cards: int, pages: int, seed: int) -> str:
    """The few figures for the README."""
    tables = (table("with a template", scores_by(outcomes, "kind")), bar_table(BARS, outcomes))
    return "\n\n".join([heading(cards, pages, seed), *tables])


def report(outcomes: Sequence[Outcome], cards: int, pages: int, seed: int) -> str:
    """All tables as they go into the model card."""
    parts = [summary(outcomes, cards, pages, seed), fault_list(outcomes)]
    parts += [table(title, scores_by(outcomes, group)) for group, title in (("layout", "layout"), ("dpi", "dpi"))]
    for kind in scores_by(outcomes, "kind"):
        of_kind = [outcome for outcome in outcomes if outcome.groups.get("kind") == kind]
        parts.append(table(f"{kind}, scanned", scores_by(of_kind, "scan")))
    return "\n\n".join([*parts, negative_table(outcomes)])


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared" / "data", help="folder with forms")
    parser.add_argument("--cards", type=int, default=440, metavar="N", help="drawn cards with a VIN")
    parser.add_argument("--pages", type=int, default=110, metavar="N", help="of each public form")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", help="model.onnx (default: the released one)")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--failures", type=Path, metavar="DIR", help="draw what went wrong")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write all outcomes")
    parser.add_argument("--model-card", action="store_true", help="write the tables into MODEL_CARD.md and README.md")
    return parser.parse_args()


def main() -> None:
    """Read the pages, print the tables, write what was asked for."""
    args = _parse()
    todo = tasks(args.cards, args.pages, args.seed)
    outcomes = []
    for outcome in read_all(todo, args.shared / "forms", args.model, args.failures, args.workers):
        outcomes.append(outcome)
        if len(outcomes) % 50 == 0:
            print(f"{len(outcomes):,} of {len(todo):,} pages, {score(outcomes).exact:,} exact", file=sys.stderr)
    what = (outcomes, args.cards, args.pages, args.seed)
    print(report(*what))
    if args.json:
        figures: dict[str, Any] = {"date": time.strftime("%Y-%m-%d"), "python": platform.python_version()}
        figures |= {"seed": args.seed, "outcomes": [asdict(outcome) for outcome in outcomes]}
        args.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if args.model_card:
        write_between(ROOT / "MODEL_CARD.md", "templates", report(*what))
        write_between(ROOT / "README.md", "templates", summary(*what))


if __name__ == "__main__":
    main()
