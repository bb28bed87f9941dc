"""A straightened strip -> the rows of equal cells in it."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

from vinscribe.evidence import Evidence, find_bands
from vinscribe.lines import Floats
from vinscribe.runs import Run, find_runs
from vinscribe.strip import PITCH_PX, Strip

_MOST_CLUTTER = 0.6  # share of a row that upright lines cover; more is no row
_MOST_GAP_PX = round(1.6 * PITCH_PX)  # between two groups of a row
_LEAST_MEAN = 2.5  # cells in a group, on average
_SLACK_PX = 4  # by which equal gaps may differ
_GROUPS, _UNEQUAL, _DASHES = 0.85, 0.75, 0.85  # worth of a row in groups; with unequal gaps; with dashes in the gaps


@dataclass(frozen=True)
class Row:
    """A row of cells in a strip.

    Attributes:
        left, right: float64 (count,), sides of the cells in pixels of the strip.
        top, bottom: rows of pixels.
        score: 0 to 1.
        kind: boxes, separate, comb, hanging (a comb upside down), or groups (of boxes).
    """

    left: Floats
    right: Floats
    top: float
    bottom: float
    score: float
    kind: str


def may_be_rows(strip: Strip, first: int, last: int) -> bool:
    """Whether there are teeth at all that reach from rail to rail, or stand on one; arguments as for `find_rows`."""
    return any(True for _ in find_bands(strip, first, last))


def find_rows(strip: Strip, first: int, last: int, count: int) -> list[Row]:
    """Rows of `count` cells in a strip whose comb has its first and last tooth at these columns."""
    rows: list[Row] = []
    for band in find_bands(strip, first, last):
        evidence = Evidence(strip, band)
        if float(evidence.lines[first : last + 1].mean()) < _MOST_CLUTTER:
            for width, touching in evidence.cells(first, last):
                rows += _counted(evidence, width, touching, count)
    return sorted(rows, key=lambda row: -row.score)


def _counted(evidence: Evidence, width: int, touching: bool, count: int) -> Iterator[Row]:
    """The rows of `count` cells, one group or several."""
    runs = find_runs(evidence, width)
    gaps = [np.inf, *(b.left - a.right for a, b in pairwise(runs)), np.inf]
    for start in range(len(runs)):
        totals = list(accumulate(run.count for run in runs[start:]))
        for end, total in enumerate(totals, start + 1):
            inner, outer = gaps[start + 1 : end], min(gaps[start], gaps[end])
            if inner and inner[-1] > _MOST_GAP_PX:
                break
            fits = 1.0 if not inner else _GROUPS if max(inner) - min(inner) <= _SLACK_PX else _UNEQUAL
            grouped = not inner or (max(inner) < outer and count >= _LEAST_MEAN * len(inner))
            if total == count and grouped:
                yield _row(evidence, runs[start:end], width, touching, fits)
            elif inner and total + len(inner) == count and max(abs(gap - PITCH_PX) for gap in inner) <= _SLACK_PX:
                # A printed dash between two groups, as wide as a cell.
                yield _row(evidence, [Run(runs[start].left, runs[end - 1].right, count)], width, touching, _DASHES)


def _row(evidence: Evidence, runs: list[Run], width: int, touching: bool, fits: float) -> Row:
    left = np.concatenate([np.linspace(run.left, run.right - width, run.count) for run in runs])
    right = left + width
    teeth = np.mean([evidence.tooth(x) for x in (*left, *right)])
    rails = np.mean([evidence.rail(a, b) for a, b in zip(left, right, strict=True)])
    inner = np.concatenate([evidence.lines[round(a) + 4 : round(b) - 3] for a, b in zip(left, right, strict=True)])
    clear = min(1.0, 1.15 - float(inner.mean()))  # what is written covers some, what is not a row more
    kind = evidence.band.kind
    if kind == "boxes" and not touching:
        kind = "separate"
    if kind in ("boxes", "separate") and len(runs) > 1:
        kind = "groups"
    if touching:
        left, right = left - (PITCH_PX - width) / 2, right + (PITCH_PX - width) / 2
    score = float(fits * teeth * clear * (0.5 + 0.5 * rails))
    return Row(left, right, evidence.band.top, evidence.band.bottom, score, kind)
