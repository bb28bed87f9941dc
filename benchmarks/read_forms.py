"""How well the boxes of real forms are found and read.

    python benchmarks/read_forms.py --shared ../shared/data --json forms.json
    python benchmarks/read_forms.py --pages 200 --seed 0 --model-card

A scanned bank form, filled in by hand (``boxed/karvy``): every row of boxes is looked for with its number of boxes,
and the cells that were found are read one by one. Public forms that ask for a VIN (``forms``; see ``form_pages.py``):
filled in by the project's pen, scanned in all the ways that drawn cards are, read from files with ``Reader().read``.
"""

import argparse
import json
import multiprocessing
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from form_pages import FORMS, fill  # noqa: E402
from page_scores import (  # noqa: E402
    Bar,
    Outcome,
    bar_table,
    fault_list,
    faults,
    judge,
    near,
    percent,
    reader_of,
    score,
    scores_by,
    table,
)

from vinscribe.charset import is_vin_char  # noqa: E402
from vinscribe.errors import DataError  # noqa: E402
from vinscribe.field import Field, cut_cells, find_fields  # noqa: E402
from vinscribe.images import read_grey  # noqa: E402
from vinscribe.reader import Reader  # noqa: E402
from vinscribe.training.documents import write_between  # noqa: E402

UNLISTED_BOXES = {46: 1}
"""Boxes at the end of a row that the page has and the list of its boxes does not, by the number that are listed."""

ASKEW = 0.5
"""Of a box's height: the list of boxes has level rows, and those of the page fall by a quarter of a box and more."""

LEAST_CHARACTERS = 0.97


@dataclass(frozen=True)
class BoxedRow:
    """A row of boxes on the page.

    Attributes:
        text: what is written, a character for each box; anything but the 33 is not counted.
        read: what was read, as long as the text; None where the row was not found.
        boxes: how many the row has.
        rank: place of the row among those that the finder offers, from 1; None where it was not found.
    """

    text: str
    read: str | None
    boxes: int
    rank: int | None

    @property
    def right(self) -> int:
        """Characters that were read right."""
        return sum(is_vin_char(one) and one == other for one, other in zip(self.text, self.read or "", strict=False))

    @property
    def characters(self) -> int:
        """Characters that are counted."""
        return sum(map(is_vin_char, self.text))


def read_page_of_boxes(folder: Path, reader: Reader) -> list[BoxedRow]:
    """Looks for every row of boxes on a page and reads it.

    Args:
        folder: with the page, and ``rows.json``: the rows' texts and boxes.
        reader: reads the cells.

    Raises:
        DataError: the folder does not hold them.
    """
    try:
        listed = json.loads((folder / "rows.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{folder}: no rows.json; give the folder that holds boxed/karvy with --shared") from error
    page = read_grey(str(folder / listed["image"]))
    rows = []
    for row in listed["rows"]:
        corners = np.array([[(a, b), (c, b), (c, d), (a, d)] for a, b, c, d in row["boxes"]], float)
        count = len(corners) + UNLISTED_BOXES.get(len(corners), 0)
        fields = find_fields(page, count)
        found = (near(field.cells[: len(corners)], corners, ASKEW) for field in fields)
        rank = next((at for at, there in enumerate(found) if there), None)
        read = None if rank is None else _characters(page, fields[rank], reader)[: len(corners)]
        rows.append(BoxedRow(row["text"], read, count, None if rank is None else rank + 1))
    return rows


def _characters(page: NDArray[np.uint8], field: Field, reader: Reader) -> str:
    return "".join(reading.char for reading in reader.classify(cut_cells(page, field)))


def read_form(number: int, index: int, seed: int, folder: Path, model: str | None) -> Outcome:
    """Fills in one of the forms, scans and reads it."""
    filled = fill(FORMS[number], folder, seed, index)
    with tempfile.TemporaryDirectory() as scratch:
        return judge(str(filled.write(Path(scratch))), filled.truth, reader_of(model))[0]


def read_forms(pages: int, seed: int, folder: Path, model: str | None, workers: int) -> Iterator[Outcome]:
    """Reads so many pages of each form, in several processes."""
    todo = [(number, index) for number in range(len(FORMS)) for index in range(pages)]
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        fixed = ([value] * len(todo) for value in (seed, folder, model))
        yield from pool.map(read_form, *zip(*todo, strict=True), *fixed, chunksize=4)


def _exact_on(form: str) -> Bar:
    def count(outcomes: Sequence[Outcome]) -> tuple[int, int]:
        found = score(outcome for outcome in outcomes if outcome.groups["form"] == form)
        return found.exact, found.pages

    return Bar(f"exact VIN on {form}", 0.9, None, count)


def _wrong(outcomes: Sequence[Outcome]) -> tuple[int, int]:
    return score(outcomes).wrong, score(outcomes).accepted


def rows_table(rows: Sequence[BoxedRow]) -> str:
    """The page of boxes, as a table in Markdown."""
    found = [row for row in rows if row.rank]
    right, characters = sum(row.right for row in found), sum(row.characters for row in found)
    share = f"{percent(right, characters)} % ({right} of {characters})"
    lines = [
        "| boxed page | wanted | measured |",
        "|---|---|---|",
        f"| rows found with the right number of boxes | all | {len(found)} of {len(rows)} |",
        f"| right characters in these | at least {100 * LEAST_CHARACTERS:g} % | {share} |",
    ]
    lost = [f"`{row.text.strip()}` ({row.boxes} boxes)" for row in rows if not row.rank]
    return "\n".join(lines) + (f"\n\nNot found: {', '.join(lost)}." if lost else "")


def heading(pages: int, seed: int) -> str:
    """What the tables show."""
    return (
        f"By `python benchmarks/read_forms.py`, {time.strftime('%Y-%m-%d')}: a real bank form, filled in by hand, "
        f"whose rows are looked for with their number of boxes; and {pages:,} pages (seed {seed}) of each public form "
        "with a place for every character of the VIN, filled in by the project's pen at 200 dpi and scanned in all the "
        "ways of the drawn cards."
    )


def bars(outcomes: Sequence[Outcome]) -> str:
    """What is wanted of the filled-in forms beside what was measured."""
    wanted = [_exact_on(form.name) for form in FORMS]
    return bar_table([*wanted, Bar("wrong VINs among accepted ones", None, 0.002, _wrong)], outcomes)


def report(rows: Sequence[BoxedRow], outcomes: Sequence[Outcome], pages: int, seed: int) -> str:
    """All tables as they go into the model card."""
    parts = [heading(pages, seed), rows_table(rows), bars(outcomes), fault_list(outcomes)]
    parts.append(table("form", scores_by(outcomes, "form")))
    for form in FORMS:
        of_form = [outcome for outcome in outcomes if outcome.groups["form"] == form.name]
        parts.append(table(f"{form.name}, scanned", scores_by(of_form, "scan")))
    return "\n\n".join(parts)


def record(rows: Sequence[BoxedRow], outcomes: Sequence[Outcome], pages: int, seed: int) -> dict[str, Any]:
    """All figures, each row and each page's outcome."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "pages": pages,
        "seed": seed,
        "rows": [asdict(row) for row in rows],
        "forms": {form: asdict(found) for form, found in scores_by(outcomes, "form").items()},
        "faults": faults(outcomes),
        "outcomes": [asdict(outcome) for outcome in outcomes],
    }


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared" / "data", help="folder with boxed, forms")
    parser.add_argument("--pages", type=int, default=200, metavar="N", help="of each form")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", help="model.onnx (default: the released one)")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write all figures and outcomes")
    parser.add_argument("--model-card", action="store_true", help="write the tables into MODEL_CARD.md and README.md")
    return parser.parse_args()


def main() -> None:
    """Read the forms, print the tables, write what was asked for."""
    args = _parse()
    rows = read_page_of_boxes(args.shared / "boxed" / "karvy", reader_of(args.model))
    print(rows_table(rows), file=sys.stderr)
    outcomes = []
    for outcome in read_forms(args.pages, args.seed, args.shared / "forms", args.model, args.workers):
        outcomes.append(outcome)
        if len(outcomes) % 50 == 0:
            print(f"{len(outcomes):,} pages, {score(outcomes).exact:,} exact", file=sys.stderr)
    text = report(rows, outcomes, args.pages, args.seed)
    print(text)
    if args.json:
        figures = record(rows, outcomes, args.pages, args.seed)
        args.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if args.model_card:
        write_between(ROOT / "MODEL_CARD.md", "read-forms", text)
        summary = "\n\n".join([heading(args.pages, args.seed), rows_table(rows), bars(outcomes)])
        write_between(ROOT / "README.md", "read-forms", summary)


if __name__ == "__main__":
    main()
