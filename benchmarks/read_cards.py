"""How many VINs are read from whole drawn record cards, and what goes wrong.

    python benchmarks/read_cards.py --json cards.json --failures wrong
    python benchmarks/read_cards.py --cards 500 --seed 0 --model-card
    python benchmarks/read_cards.py --unipen ../shared/data/unipen --model-card

Draws cards with a VIN, the same as ``vinscribe cards OUT --count N --seed S --negatives 0``, and for each kind of card
without a whole VIN a fifth as many, and reads each through its file with ``Reader().read``. Seeds below 1000 are for
measuring a release; what is built looks at others. With ``--unipen`` the boxes are filled in by test writers of UNIPEN,
whom nothing was trained on, one a card, without the characters that do not show their label
(``vinscribe/training/unipen_verdicts.csv``).
"""

import argparse
import functools
import json
import multiprocessing
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from page_scores import (  # noqa: E402
    Bar,
    Outcome,
    Truth,
    bar_table,
    coverage,
    fault_list,
    faults,
    judge,
    reader_of,
    score,
    scores_by,
    table,
)

from vinscribe.decode import VinReading  # noqa: E402
from vinscribe.pages import Page, read_pages  # noqa: E402
from vinscribe.training.card_print import LAYOUTS  # noqa: E402
from vinscribe.training.card_scan import SCANS  # noqa: E402
from vinscribe.training.cards import NEGATIVES, Card, CardTruth, draw_card, make_vin  # noqa: E402
from vinscribe.training.documents import write_between  # noqa: E402
from vinscribe.training.hands import Hands  # noqa: E402
from vinscribe.training.unipen import read_strokes, split_writers, without_doubtful  # noqa: E402
from vinscribe.vin import has_valid_check_digit  # noqa: E402

NEGATIVE_SHARE = 0.2
"""Cards of each kind without a whole VIN, for each card with one."""

WRONG = 0.002
"""Most wrong VINs among accepted ones."""

ADJOINING = ("boxes", "dashed", "dotted", "pale", "double")
"""Layouts whose boxes share their lines, in one row."""

GROUPS = {"layout": "layout", "scan": "scanned", "dpi": "dpi", "check digit": "check digit"}
"""The tables, and what stands above their first columns."""

_TRUE_BGR = (0, 160, 0)


@dataclass(frozen=True)
class Task:
    """A card to be drawn and read: arguments of `draw_card`."""

    name: str
    seed: tuple[int, ...]
    layout: str
    scan: str
    negative: str | None
    unipen: str | None = None


def tasks(count: int, seed: int, unipen: str | None = None) -> list[Task]:
    """``count`` cards with a VIN, as `vinscribe.training.cards.write_cards` draws them, and those without."""
    pairs = [(layout, scan) for layout in LAYOUTS for scan in SCANS]
    order = np.random.default_rng(seed).permutation(len(pairs))
    found = []
    for number, kind in enumerate((None, *NEGATIVES)):
        for index in range(count if kind is None else round(count * NEGATIVE_SHARE)):
            layout, scan = pairs[order[index % len(pairs)]]
            name = f"{kind or 'card'}-{index + 1:05d}-{layout}-{scan}"
            found.append(Task(name, (seed, index, number + 1), layout, scan, kind, unipen))
    return found


@functools.cache
def _hands(folder: str) -> Hands:
    return Hands(without_doubtful(split_writers(read_strokes(Path(folder)))["test"]))


def drawn(task: Task) -> Card:
    """The card of a task."""
    if task.unipen is None:
        return draw_card(task.seed, task.layout, task.scan, task.negative)
    rng = np.random.default_rng([*task.seed, 1])
    vin = make_vin(rng)
    hand = _hands(task.unipen).choose(vin, rng)
    return draw_card(task.seed, task.layout, task.scan, task.negative, vin=vin, hand=hand)


def truth_of(name: str, card: CardTruth) -> Truth:
    """What the tables must know of a card."""
    groups = {"layout": card.layout, "scan": card.scan, "dpi": str(card.dpi)}
    if card.negative:
        groups = {"negative": card.negative}
    elif card.vin:
        groups["check digit"] = "valid" if has_valid_check_digit(card.vin) else "none, or invalid"
    return Truth(name, groups, card.vin, card.cells)


def read_card(task: Task, model: str | None, failures: Path | None) -> Outcome:
    """Draws and reads a card; with ``failures``, draws what went wrong into that folder."""
    card = drawn(task)
    truth = truth_of(task.name, card.truth)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, task.name + card.ending)
        path.write_bytes(card.data)
        outcome, reading = judge(str(path), truth, reader_of(model))
        wrong = what_is_wrong(outcome)
        if failures and wrong:
            told = f"{task.name}-{wrong}-{outcome.truth}".replace(" ", "_")
            draw_failure(path, card.truth, reading, failures / f"{told}.jpg")
    return outcome


def draw_failure(scan: Path, truth: CardTruth, reading: VinReading, picture: Path) -> None:
    """Draws what was read into the page, and where the field is."""
    from vinscribe.annotate import annotate

    for page in read_pages(scan):
        if isinstance(page, Page):
            drawn = annotate(page.image, reading)
            if truth.field:
                cv2.polylines(drawn, [np.round(truth.field).astype(np.int32)], True, _TRUE_BGR, 2, cv2.LINE_AA)
            cv2.imwrite(str(picture), drawn, [cv2.IMWRITE_JPEG_QUALITY, 70])


def what_is_wrong(outcome: Outcome) -> str | None:
    """Why somebody should look at it; None where all is well."""
    if outcome.decision == "accept" and not outcome.exact:
        return "wrongly accepted"
    return outcome.fault


def read_all(todo: Sequence[Task], model: str | None, failures: Path | None, workers: int) -> Iterator[Outcome]:
    """Reads cards in several processes; in the order of the tasks."""
    if failures:
        failures.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(read_card, todo, [model] * len(todo), [failures] * len(todo), chunksize=4)


def _sharp_boxes(outcome: Outcome, layouts: Sequence[str]) -> bool:
    groups = outcome.groups
    return groups.get("layout") in layouts and int(groups["dpi"]) >= 200 and groups["check digit"] == "valid"


def _found(outcomes: Sequence[Outcome]) -> tuple[int, int]:
    return score(outcomes).found, score(outcomes).pages


def _exact(outcomes: Sequence[Outcome]) -> tuple[int, int]:
    return score(outcomes).exact, score(outcomes).pages


def _exact_sharp(outcomes: Sequence[Outcome], layouts: Sequence[str]) -> tuple[int, int]:
    return _exact([outcome for outcome in outcomes if outcome.truth and _sharp_boxes(outcome, layouts)])


def _wrong(outcomes: Sequence[Outcome]) -> tuple[int, int]:
    return score(outcomes).wrong, score(outcomes).accepted


def _negatives(outcomes: Sequence[Outcome]) -> tuple[int, int]:
    without = [outcome for outcome in outcomes if outcome.truth is None]
    return sum(outcome.decision == "accept" for outcome in without), len(without)


BARS = (
    Bar("field found", 0.98, None, _found),
    Bar("exact VIN", 0.90, None, _exact),
    Bar(
        "exact VIN, layout `boxes` at 200 dpi and more with a valid check digit",
        0.95,
        None,
        lambda outcomes: _exact_sharp(outcomes, ("boxes",)),
    ),
    Bar(
        "the same, all layouts whose boxes adjoin",
        0.95,
        None,
        lambda outcomes: _exact_sharp(outcomes, ADJOINING),
    ),
    Bar("wrong VINs among accepted ones", None, WRONG, _wrong),
    Bar("accepted cards without a whole VIN", None, 0.0, _negatives),
)
"""What a release is held to."""


def heading(count: int, seed: int, unipen: bool = False) -> str:
    """What the tables show."""
    flag, by = (" --unipen", ", filled in by UNIPEN's test writers") if unipen else ("", "")
    without = round(count * NEGATIVE_SHARE)
    return (
        f"By `python benchmarks/read_cards.py{flag}`, {time.strftime('%Y-%m-%d')}: {count:,} drawn cards with a "
        f"VIN{by}, and {without:,} of each kind without a whole one (seed {seed}), read from their files. "
        "A field is found if the middle of each cell that was read lies within a quarter of a cell of the true one."
    )


def negative_table(outcomes: Sequence[Outcome]) -> str:
    """What cards without a whole VIN were taken for."""
    rows = ["| without a whole VIN | pages | no field | to review | accepted |", "|---|---|---|---|---|"]
    for kind in NEGATIVES:
        counts = Counter(outcome.decision for outcome in outcomes if outcome.groups.get("negative") == kind)
        told = " | ".join(f"{counts[decision]:,}" for decision in ("no_field", "review", "accept"))
        rows.append(f"| {kind} | {counts.total():,} | {told} |")
    return "\n".join(rows)


def report(outcomes: Sequence[Outcome], count: int, seed: int, unipen: bool = False) -> str:
    """All tables as they go into the model card."""
    whole = score(outcomes)
    parts = [heading(count, seed, unipen), bar_table(BARS, outcomes)]
    parts.append(
        f"{fault_list(outcomes)} Of accepted VINs at most {100 * whole.wrong_bound:.2f} % are wrong (one-sided, 95 %). "
        f"The surest {100 * coverage(outcomes, WRONG):.1f} % of the VINs have at most {100 * WRONG:g} % wrong ones."
    )
    parts += [table(title, scores_by(outcomes, group)) for group, title in GROUPS.items()]
    parts.append(negative_table(outcomes))
    return "\n\n".join(parts)


def summary(outcomes: Sequence[Outcome], count: int, seed: int, unipen: bool = False) -> str:
    """The few figures for the README."""
    return f"{heading(count, seed, unipen)}\n\n{bar_table(BARS, outcomes)}"


def record(outcomes: Sequence[Outcome], count: int, seed: int) -> dict[str, Any]:
    """All figures, and each card's outcome."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "cards": count,
        "seed": seed,
        "all": asdict(score(outcomes)),
        "coverage": coverage(outcomes, WRONG),
        "faults": faults(outcomes),
        "groups": {
            group: {row: asdict(found) for row, found in scores_by(outcomes, group).items()} for group in GROUPS
        },
        "outcomes": [asdict(outcome) for outcome in outcomes],
    }


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cards", type=int, default=500, metavar="N", help="cards with a VIN")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--unipen", metavar="DIR", help="UNIPEN's strokes: its test writers fill in the boxes")
    parser.add_argument("--model", help="model.onnx (default: the released one)")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--failures", type=Path, metavar="DIR", help="draw what went wrong")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write all figures and outcomes")
    parser.add_argument("--model-card", action="store_true", help="write the tables into MODEL_CARD.md and README.md")
    return parser.parse_args()


def main() -> None:
    """Read the cards, print the tables, write what was asked for."""
    args = _parse()
    todo = tasks(args.cards, args.seed, args.unipen)
    outcomes = []
    for outcome in read_all(todo, args.model, args.failures, args.workers):
        outcomes.append(outcome)
        if len(outcomes) % 50 == 0:
            print(f"{len(outcomes):,} of {len(todo):,} cards, {score(outcomes).exact:,} exact", file=sys.stderr)
    what = (outcomes, args.cards, args.seed, args.unipen is not None)
    text = report(*what)
    print(text)
    if args.json:
        figures = record(outcomes, args.cards, args.seed)
        args.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if args.model_card:
        name = "read-cards" if args.unipen is None else "read-cards-unipen"
        write_between(ROOT / "MODEL_CARD.md", name, text)
        write_between(ROOT / "README.md", name, summary(*what))


if __name__ == "__main__":
    main()
