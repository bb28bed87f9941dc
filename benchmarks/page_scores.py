"""What the benchmarks of whole pages count: fields found, exact VINs, wrong ones accepted, and what went wrong."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from vin_scores import coverage_at, upper_bound

from vinscribe.choice import read_fields
from vinscribe.decode import VinReading
from vinscribe.field import Field, find_fields
from vinscribe.pages import BrokenPage, read_pages
from vinscribe.reader import Reader

NEAR = 0.25
"""How far a cell's middle may lie from the true one, in parts of the cell's sides."""

FAULTS = {
    "not offered": "the finder does not offer the row",
    "another row": "it offers it, and another row is taken for the VIN, or the same one upside down",
    "rewritten": "each character by itself is right, and the decoder changed one",
    "cells off": "right with the true cells, but not with those that were found",
    "misread": "a character is wrong, also with the true cells",
}
"""Why a VIN is not exact: the first of these that holds."""


@dataclass(frozen=True)
class Truth:
    """What is on a page.

    Attributes:
        name: of the page.
        groups: which parts of the tables it counts in: name of the table -> name of the row.
        vin: as it is written; None on a page without a whole one.
        cells: (17, 4, 2) corners of the VIN field's cells as in `vinscribe.field.Field`; None without a field.
    """

    name: str
    groups: dict[str, str]
    vin: str | None
    cells: ArrayLike | None


@dataclass(frozen=True)
class Outcome:
    """What a page was read as, beside what is on it.

    Attributes:
        name, groups: see `Truth`.
        truth: the VIN on it; None without a whole one.
        vin, raw, decision, confidence, reason: see `vinscribe.decode.VinReading`.
        found: whether the cells that were read are those of the VIN field, the right way up.
        offered: whether the finder offers that row at all.
        by_cells: what is read with the true cells; None without a whole VIN.
    """

    name: str
    groups: dict[str, str]
    truth: str | None
    vin: str | None
    raw: str | None
    decision: str
    confidence: float
    reason: str | None
    found: bool
    offered: bool
    by_cells: str | None

    @property
    def exact(self) -> bool:
        """Whether the whole VIN is right."""
        return self.truth is not None and self.vin == self.truth

    @property
    def fault(self) -> str | None:
        """Why the VIN is not exact, one of `FAULTS`; None where it is, or where there is none."""
        if self.truth is None or self.exact:
            return None
        if not self.found:
            return "another row" if self.offered else "not offered"
        if self.raw == self.truth:
            return "rewritten"
        return "cells off" if self.by_cells == self.truth else "misread"


@dataclass(frozen=True)
class Score:
    """Pages with a whole VIN, counted.

    Attributes:
        pages: how many.
        found: VIN fields found.
        characters: right ones, each by itself, on the pages whose field was found.
        exact: VINs that are wholly right.
        exact_by_cells: the same with the true cells.
        accepted, wrong: accepted ones, and wrong ones among them.
    """

    pages: int
    found: int
    characters: int
    exact: int
    exact_by_cells: int
    accepted: int
    wrong: int

    @property
    def wrong_bound(self) -> float:
        """One-sided upper bound, at 95 %, of the error rate of accepted ones."""
        return upper_bound(self.wrong, self.accepted)


@cache
def reader_of(model: str | None) -> Reader:
    """The reader of this process, which uses one core."""
    cv2.setNumThreads(1)
    return Reader(model)


def near(cells: ArrayLike, truth: ArrayLike, down_near: float = NEAR) -> bool:
    """Whether cells (n, 4, 2) are the true ones, the right way up: each middle within `NEAR` of its cell.

    ``down_near`` is how near they must be from above and below.
    """
    found, true = np.asarray(cells, float), np.asarray(truth, float)
    if found.shape != true.shape:
        return False
    off = found.mean(axis=1) - true.mean(axis=1)
    right, down = true[:, 1] - true[:, 0], true[:, 3] - true[:, 0]
    reaches = ((right, NEAR), (down, down_near))
    return all(bool((np.abs(_along(off, side)) <= reach).all()) for side, reach in reaches)


def _along(off: NDArray[np.float64], side: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far (n, 2) it is in the direction of a side (n, 2), in parts of the side."""
    return np.asarray((off * side).sum(axis=1) / (side * side).sum(axis=1))


def judge(
    path: str, truth: Truth, reader: Reader, find: Callable[[NDArray[np.uint8]], list[Field]] = find_fields
) -> tuple[Outcome, VinReading]:
    """Reads a file with one page as a user would, and compares it with what is on it.

    Args:
        path: of the file.
        truth: what is on it.
        reader: reads it.
        find: what offers the reader its rows.

    Raises:
        ImageError: it cannot be read.
    """
    (reading,) = reader.read(path)
    (page,) = read_pages(path)
    if isinstance(page, BrokenPage):
        raise page.error
    found = offered = False
    by_cells = None
    if truth.cells is not None:
        cells = np.asarray(truth.cells, float)
        found = near([cell.box for cell in reading.cells if cell.box], cells)
        offered = found or any(near(field.cells, cells) for field in find(page.image))
        if truth.vin is not None:
            outline = np.array([cells[0, 0], cells[-1, 1], cells[-1, 2], cells[0, 3]])
            known = Field(outline, cells, 1.0, "boxes")
            read = read_fields(page.image, [[known]], reader.classifier, reader.decoder)
            by_cells = read.vin if read else None
    outcome = Outcome(
        name=truth.name,
        groups=truth.groups,
        truth=truth.vin,
        vin=reading.vin,
        raw=reading.raw,
        decision=reading.decision,
        confidence=reading.confidence,
        reason=reading.reason,
        found=found,
        offered=offered,
        by_cells=by_cells,
    )
    return outcome, replace(reading, file=truth.name)


def score(outcomes: Iterable[Outcome]) -> Score:
    """Counts pages with a whole VIN; others are left out."""
    whole = [outcome for outcome in outcomes if outcome.truth is not None]
    accepted = [outcome for outcome in whole if outcome.decision == "accept"]
    return Score(
        pages=len(whole),
        found=sum(outcome.found for outcome in whole),
        characters=sum(_right_characters(outcome) for outcome in whole if outcome.found),
        exact=sum(outcome.exact for outcome in whole),
        exact_by_cells=sum(outcome.by_cells == outcome.truth for outcome in whole),
        accepted=len(accepted),
        wrong=sum(not outcome.exact for outcome in accepted),
    )


def _right_characters(outcome: Outcome) -> int:
    return sum(one == other for one, other in zip(outcome.raw or "", outcome.truth or "", strict=False))


def coverage(outcomes: Iterable[Outcome], error_rate: float) -> float:
    """The largest share of VINs, the surest first, with no more wrong ones among them."""
    whole = [outcome for outcome in outcomes if outcome.truth is not None]
    if not whole:
        return 0.0
    confidence = np.array([outcome.confidence for outcome in whole])
    return coverage_at(confidence, np.array([outcome.exact for outcome in whole]), error_rate)


def scores_by(outcomes: Sequence[Outcome], group: str) -> dict[str, Score]:
    """Row of a table -> score, in the order of first sight unless all are numbers."""
    rows = list(
        dict.fromkeys(outcome.groups[group] for outcome in outcomes if outcome.truth and group in outcome.groups)
    )
    if all(row.isdecimal() for row in rows):
        rows.sort(key=int)
    return {row: score(outcome for outcome in outcomes if outcome.groups.get(group) == row) for row in rows}


def percent(part: int, whole: int) -> str:
    """In percent; – of nothing."""
    return f"{100 * part / whole:.1f}" if whole else "–"


def table(title: str, scores: dict[str, Score]) -> str:
    """A row for each score, as a table in Markdown; percent of the pages."""
    heads = (
        title,
        "pages",
        "field found",
        "characters",
        "exact",
        "exact with the true cells",
        "accepted",
        "wrong of these",
    )
    rows = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for name, found in scores.items():
        shares = [
            percent(found.found, found.pages),
            percent(found.characters, 17 * found.found),
            *(percent(count, found.pages) for count in (found.exact, found.exact_by_cells, found.accepted)),
        ]
        rows.append(f"| {name} | {found.pages:,} | {' | '.join(shares)} | {found.wrong} of {found.accepted:,} |")
    return "\n".join(rows)


def faults(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """How often each of `FAULTS` is why a VIN is not exact."""
    counts = Counter(outcome.fault for outcome in outcomes)
    return {fault: counts[fault] for fault in FAULTS}


def fault_list(outcomes: Iterable[Outcome]) -> str:
    """The same in a sentence."""
    counts = faults(outcomes)
    told = "; ".join(f"{counts[fault]} {fault} ({meaning})" for fault, meaning in FAULTS.items())
    return f"Of the VINs, {sum(counts.values())} are not exact: {told}."


@dataclass(frozen=True)
class Bar:
    """What a release is held to.

    Attributes:
        name: what is counted.
        least, most: the limit, a rate in [0, 1]; one of them is None.
        count: outcomes -> (how many, of how many).
    """

    name: str
    least: float | None
    most: float | None
    count: Callable[[Sequence[Outcome]], tuple[int, int]]

    def row(self, outcomes: Sequence[Outcome]) -> str:
        """As a row of `bar_table`."""
        part, whole = self.count(outcomes)
        wanted = (
            f"at least {100 * self.least:g} %" if self.least is not None else f"at most {100 * (self.most or 0):g} %"
        )
        return f"| {self.name} | {wanted} | {percent(part, whole)} % ({part:,} of {whole:,}) |"


def bar_table(bars: Iterable[Bar], outcomes: Sequence[Outcome]) -> str:
    """What is wanted beside what was measured, as a table in Markdown."""
    return "\n".join(["| | wanted | measured |", "|---|---|---|", *(bar.row(outcomes) for bar in bars)])
