"""What lines there are along a strip -> the best way to place a row of equal cells there."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vinscribe.evidence import Evidence
from vinscribe.strip import PITCH_PX

Values = NDArray[np.float32]
Ints = NDArray[np.int64]

# A cell with both its sides and its rails is worth 1. What counts against a way to place cells:
_NEW_GROUP = 0.2  # to begin another group
_APART = 0.4  # rails that do not go on where cells touch
_JOINED = (
    0.4,
    7.0,
    7.0,
)  # rails that go on where a group ends, with a gap so small that it may not be seen, or a wide one
_OFF = 0.1  # a cell off its place by a pixel
_DOUBTFUL, _DOUBT = 0.7, 2.0  # a cell of less than this, times what it lacks
_EMPTY = 0.25  # a cell in which nothing is written: a VIN's are all full
_OPEN, _SIDE_SEEN = 0.5, 0.4  # a row that ends without a line; less of one than this, and it is none
_GOES_ON = 7.0  # another cell before the first one, or after the last

_NARROW = (0.7, 0.8, 0.9, 1.0)  # of a cell's width, which may hold some of the gap, a box may be
_SLACK_PX = 3  # a row that goes on may do so a little off its place
# Between two groups: gaps that are small, wide, and so wide that another cell has room in them.
_GAPS_PX = (3, 12), (13, PITCH_PX - 5), (PITCH_PX - 4, round(1.6 * PITCH_PX))
_MOST_PLACEMENTS = 4  # of rows, side by side
_NEVER = -1e6


@dataclass(frozen=True)
class Placement:
    """Cells of a row.

    left: int64 (count,), columns of their left sides.
    begins: which cells begin a group, but for the first.
    value: 1 at best, for a cell on average.
    least: how much speaks for the cell for which least speaks, 0 to 1.
    """

    left: Ints
    begins: list[int]
    value: float
    least: float


@dataclass(frozen=True)
class _Costs:
    """What counts against a cell that begins at each column, in addition to what speaks for it.

    touching: the one before, at the pitch.
    group: to be the first of a group, by the width of the gap.
    after: to be the last of a group.
    """

    touching: Values
    group: tuple[Values, ...]
    after: Values


def place_cells(evidence: Evidence, width: int, count: int, least: float) -> list[Placement]:
    """The best rows of exactly `count` cells of a width, that do not overlap, and of a least value."""
    seen = evidence.cell(width)
    if _at_most(seen, count) < least * count:
        return []
    empty = _EMPTY * (1 - evidence.inked(width))
    cell = seen - _DOUBT * np.maximum(0, _DOUBTFUL - seen) - empty
    open_end = np.where(evidence.tooth < _SIDE_SEEN, -_NEVER, _OPEN * (1 - evidence.tooth)).astype(np.float32)
    begin, end = open_end, _moved(open_end, -width)
    apart = _APART * (1 - evidence.joined) if width == PITCH_PX else np.zeros_like(cell)
    # Between two cells that touch, the one ends where the other begins; boxes apart have a gap there.
    ahead, after = _others(evidence, width, (width,), True)
    # In the widest gaps there may be a cell, with gaps of its own.
    inside = _best(ahead, _GAPS_PX[2][1] - PITCH_PX, 0)
    found = [_NEW_GROUP + cost * evidence.joined for cost in _JOINED]
    group = (found[0] + ahead, found[1] + ahead, found[2] + inside)
    costs = _Costs(apart, group, after)
    boxes = evidence.band.kind == "boxes"
    narrow = tuple(round(share * width) for share in _NARROW) if boxes else (width,)
    longer = [_best(cost, _SLACK_PX, _SLACK_PX) for cost in _others(evidence, width, narrow, False)]
    totals = [cell - begin - longer[0]]
    for _ in range(1, count):
        totals.append(cell + _best_way(totals[-1], costs))
    totals[-1] = totals[-1] - end - longer[1]
    placements: list[Placement] = []
    last = totals[-1].copy()
    for _ in range(_MOST_PLACEMENTS):
        at = int(last.argmax())
        if last[at] < (least - _EMPTY) * count:
            break
        left, begins = _traced(totals, costs, at)
        value = float(last[at] + empty[left].sum()) / count
        if value >= least:
            placements.append(Placement(left, begins, value, float(seen[left].min())))
        last[max(0, left[0]) : 2 * at - left[0] + PITCH_PX // 2] = _NEVER  # nothing that overlaps
    return placements


def _others(evidence: Evidence, width: int, widths: tuple[int, ...], closed: bool) -> tuple[Values, Values]:
    """What there is against a row that begins, or whose last cell begins, at each column: cells beside it."""
    ends, begins = evidence.others(widths, closed)
    gap = PITCH_PX - width
    return _GOES_ON * _best(ends, gap, 0), _GOES_ON * _moved(_best(begins, gap, 0), -PITCH_PX)


def _at_most(cell: Values, count: int) -> float:
    """More than so many cells that do not overlap cannot be worth together."""
    size = PITCH_PX - 1
    bins = np.pad(cell, (0, -len(cell) % size), constant_values=0).reshape(-1, size).max(axis=1)
    return float(np.sort(bins)[-count:].clip(0).sum())


def _moved(values: Values, by: int) -> Values:
    """Values moved to the right; where there are none, none is chosen."""
    moved = np.full_like(values, _NEVER if values.min(initial=0) < 0 else 0)
    if by >= 0:
        moved[by:] = values[: len(values) - by]
    else:
        moved[:by] = values[-by:]
    return moved


def _best(values: Values, before: int, after: int) -> Values:
    """The largest of the values from so many before each to so many after it."""
    reach = np.ones((1, before + after + 1), np.uint8)
    best = cv2.dilate(values[None], reach, anchor=(before, 0), borderType=cv2.BORDER_CONSTANT, borderValue=_NEVER)
    return np.asarray(best[0], np.float32)


def _best_way(before: Values, costs: _Costs) -> Values:
    """The best value of the cell before one at each column, that it touches or that ends the group before."""
    room = PITCH_PX + _GAPS_PX[-1][1]
    size = len(before)
    padded = np.concatenate([np.full(room, _NEVER, np.float32), before])
    near = [padded[room - PITCH_PX + off :][:size] - _OFF * off * off for off in (-1, 0, 1)]
    best = np.maximum.reduce(near) - costs.touching
    padded[room:] -= costs.after
    for (least, most), cost in zip(_GAPS_PX, costs.group, strict=True):
        far = _best(padded, most - least, 0)[room - PITCH_PX - least :][:size]
        best = np.maximum(best, far - cost)
    return np.asarray(best, np.float32)


def _traced(totals: list[Values], costs: _Costs, at: int) -> tuple[Ints, list[int]]:
    """How a total came about: left sides, and which cells begin a group."""
    left, begins = [at], []
    for number in range(len(totals) - 1, 0, -1):
        # Columns before the one where it would touch: from the farthest gap to a pixel too near.
        start = max(at - PITCH_PX - _GAPS_PX[-1][1], 0)
        before, after = (values[start : max(at - PITCH_PX + 2, start)] for values in (totals[number - 1], costs.after))
        gap = at - PITCH_PX - start - np.arange(len(before))
        values = np.where(np.abs(gap) <= 1, before - _OFF * gap * gap - costs.touching[at], np.float32(_NEVER))
        for (least, most), cost in zip(_GAPS_PX, costs.group, strict=True):
            values = np.where((gap >= least) & (gap <= most), before - after - cost[at], values)
        best = int(values.argmax())
        if gap[best] > 1:
            begins.append(number)
        at = start + best
        left.append(at)
    return np.array(left[::-1]), begins[::-1]
