"""A straightened strip -> the rows of equal cells in it."""

from dataclasses import dataclass

import numpy as np

from vinscribe.evidence import Evidence, find_bands
from vinscribe.lines import Floats
from vinscribe.runs import Placement, place_cells
from vinscribe.strip import Strip

_MOST_CLUTTER = 0.7  # share of a row that upright lines cover; more is no row
_LEAST_VALUE = 0.6  # of its cells
_SLACK_PX = 4  # by which equal gaps may differ
_SURE = 0.98  # value of a row that leaves no doubt
_COMB = 0.92  # worth of a comb: boxes whose tops cannot be seen well look like one
_CLEAR = 1.3  # less the share of a row that ink and more covers is its worth
_NO_CELL = 0.4  # worth of a row of which one cell is not there at all
_UNEQUAL = 0.88  # worth of a row with unequal gaps


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


def find_rows(strip: Strip, first: int, last: int, count: int) -> list[Row]:
    """Rows of `count` cells in a strip whose comb has its first and last tooth at these columns."""
    rows: list[Row] = []
    for band in find_bands(strip, first, last):
        evidence = Evidence(strip, band)
        if float(evidence.lines[first : last + 1].mean()) < _MOST_CLUTTER:
            for width, touching in evidence.cells(first, last):
                placements = place_cells(evidence, width, count, _LEAST_VALUE)
                rows += [_row(evidence, placement, width, touching) for placement in placements]
                if any(placement.value >= _SURE for placement in placements):
                    break  # no need to try another width
    return sorted(rows, key=lambda row: -row.score)


def _row(evidence: Evidence, placement: Placement, width: int, touching: bool) -> Row:
    left, right = _sides(evidence, placement, width)
    inner = np.concatenate([evidence.lines[round(a) + 4 : round(b) - 3] for a, b in zip(left, right, strict=True)])
    clear = min(1.0, _CLEAR - float(inner.mean()))
    gaps = np.diff(placement.left)[np.array(placement.begins, np.int64) - 1]
    fits = _UNEQUAL if len(gaps) > 1 and np.ptp(gaps) > _SLACK_PX else 1.0
    kind = evidence.band.kind
    if kind == "boxes" and not touching:
        kind = "separate"
    if kind in ("boxes", "separate") and placement.begins:
        kind = "groups"
    whole = min(1.0, _NO_CELL + placement.least)
    if kind in ("comb", "hanging"):
        fits *= _COMB
    score = float(fits * whole * clear * min(1.0, max(0.0, placement.value)))
    return Row(left, right, evidence.band.top, evidence.band.bottom, score, kind)


def _sides(evidence: Evidence, placement: Placement, width: int) -> tuple[Floats, Floats]:
    """Left and right sides of the cells, at an equal distance in each group."""
    left, right = (evidence.middles(placement.left + shift) for shift in (0, width))
    width_px = float(np.median(right - left))
    middles = [_even(part) for part in np.split((left + right) / 2, placement.begins)]
    middle = np.concatenate(middles)
    return middle - width_px / 2, middle + width_px / 2


def _even(middle: Floats) -> Floats:
    """Middles of cells at an equal distance, nearest to where they were found."""
    if len(middle) < 3:
        return middle
    places = np.arange(len(middle))
    slopes = (middle[:, None] - middle) / np.where(places[:, None] == places, np.inf, places[:, None] - places)
    slope = float(np.median(slopes[np.triu_indices(len(middle), 1)]))  # Theil and Sen's: few may be far off
    return np.asarray(np.median(middle - slope * places) + slope * places, np.float64)
