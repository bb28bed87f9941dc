"""A straightened strip -> where rows of cells may lie in it, and what lines there are.

All cells of a row look alike, so what is at the same place in nearly all of them is print; what is in some is written.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from vinscribe.strip import PITCH_PX, Strip, level_lines

LEAST_HEIGHT_PX = round(0.55 * PITCH_PX)
"""Boxes are higher."""

_THERE = 0.5  # share of a line that must be seen
_CLOSE_PX = 7  # gaps of dashes are bridged in upright lines
_LEAST_TOOTH_PX = round(0.2 * PITCH_PX)
_COMB_HEIGHT_PX = round(1.2 * PITCH_PX)  # of combs that nothing bounds above
_MOST_COMB_HEIGHT_PX = round(2.2 * PITCH_PX)
_AROUND_PX = 12  # rows of pixels above and below a rail that it is seen in
_GRAIN_PX = 3
_WIDE_PX = 5  # what is wider may be more than one line
_VERY_WIDE_PX = 7  # what is wider most likely is
_CERTAIN = 0.9  # where so much of a second line is seen in a pitch, it is no ink
_LEAST_CELL = 0.6  # of the pitch; the rest is between two boxes


@dataclass(frozen=True)
class Band:
    """Rows of pixels that a row of cells takes, and its lines.

    Attributes:
        top, bottom: of the cells.
        teeth_top, teeth_bottom: of their upright lines.
        kind: boxes, comb, or hanging, which is a comb upside down.
    """

    top: int
    bottom: int
    teeth_top: int
    teeth_bottom: int
    kind: str


def find_bands(strip: Strip, first: int, last: int) -> Iterator[Band]:
    """Where the teeth reach from rail to rail, or stand on one."""
    teeth = cv2.dilate(strip.teeth, np.ones((1, 5)))[:, first : last + 1 : PITCH_PX].mean(axis=1)
    seen = teeth - strip.teeth[:, first : last + 1].mean(axis=1) >= 0.4
    seen = cv2.morphologyEx(seen.astype(np.uint8)[:, None], cv2.MORPH_CLOSE, np.ones((5, 1)))[:, 0]
    above, below = (_peaks(rail[:, first : last + 1].mean(axis=1)) for rail in strip.rails)
    for top, bottom in _stretches(seen.astype(np.float32)):
        if top == 0 or bottom == len(seen) - 1:  # cut off by the strip; another one shows it whole
            continue
        slack = max(5, round(0.15 * (bottom - top)))
        over, under = _nearest(above, top, slack), _nearest(below, bottom, slack)
        start, end = top if over is None else over, bottom if under is None else under
        short = end - start < PITCH_PX
        if end - start < _LEAST_TOOTH_PX or (over is None and under is None):
            continue
        if short and over is None:
            roof = [rail for rail in above if end - _MOST_COMB_HEIGHT_PX < rail < start]
            yield Band(max(roof, default=end - _COMB_HEIGHT_PX), end, start, end, "comb")
        elif short and under is None:
            floor = [rail for rail in below if end < rail < start + _MOST_COMB_HEIGHT_PX]
            yield Band(start, min(floor, default=start + _COMB_HEIGHT_PX), start, end, "hanging")
        else:
            yield from _stack(start, end, (*above, *below))


def _stack(start: int, end: int, rails: tuple[int, ...]) -> Iterator[Band]:
    """The rows of boxes, one on the other, that teeth run through; rails close to the ends are of double frames."""
    far = 0.3 * PITCH_PX
    cuts = [start]
    for rail in sorted({rail for rail in rails if start + far < rail < end - far}):
        if rail - cuts[-1] >= LEAST_HEIGHT_PX and end - rail >= LEAST_HEIGHT_PX:
            cuts.append(rail)
    cuts.append(end)
    for low, high in pairwise(cuts):
        if high - low >= LEAST_HEIGHT_PX:
            yield Band(low, high, low, high, "boxes")


def _stretches(profile: NDArray[np.floating], least: float = _THERE) -> list[tuple[int, int]]:
    """First and last column of each stretch where a profile is high."""
    high = np.flatnonzero(profile >= least)
    if not len(high):
        return []
    parts = np.split(high, np.flatnonzero(np.diff(high) > 1) + 1)
    return [(int(part[0]), int(part[-1])) for part in parts]


def _peaks(profile: NDArray[np.floating]) -> list[int]:
    """Middles of the stretches where a profile is high."""
    return [round((first + last) / 2) for first, last in _stretches(profile)]


def _nearest(values: list[int], to: int, slack: int) -> int | None:
    near = [value for value in values if abs(value - to) <= slack]
    return min(near, key=lambda value: abs(value - to)) if near else None


class Evidence:
    """How far there is a tooth, and a rail, at each column of a band of a strip.

    Attributes:
        band: the band.
        lines: float (width,), 0 to 1: how much of an upright line there is at each column.
        broken: the same before gaps are closed.
        teeth: the same as lines, edges of a darker ground included.
        rails: float (width,), 0 to 1: how much of the rails above and below.
        walls: posts that bound a comb.
        posts: the columns of all teeth, those that no comb knows of and strokes like them included; of the edges of a
            dark ground; and of the ends of rails, where a row ends even if its last line cannot be seen.
    """

    def __init__(self, strip: Strip, band: Band) -> None:
        self.band = band
        inset = round(0.12 * (band.teeth_bottom - band.teeth_top))
        inside = slice(band.teeth_top + inset, band.teeth_bottom - inset + 1)
        self.lines, edges = (_long(lines[inside]) for lines in (strip.teeth, strip.edges))
        self.broken = cv2.dilate(strip.teeth[inside], np.ones((1, 3))).mean(axis=0)
        rails = []
        bounds = ((band.top, ("boxes", "hanging")), (band.bottom, ("boxes", "comb")))
        for rail, (at, kinds) in zip(strip.rails, bounds, strict=True):
            if band.kind in kinds:
                rails.append(rail[max(at - 2, 0) : at + 3].max(axis=0))
        self.rails = np.mean(rails, axis=0) if rails else np.ones_like(self.lines)
        self._rail_sums = _sums(self.rails)
        self._unbroken_sums = _sums(self._unbroken(strip))
        self.posts = self._posts(edges, _rail_ends(self.rails) if rails else [])
        self.walls = self._walls(strip)
        self.teeth = np.maximum(self.lines, edges)

    def _unbroken(self, strip: Strip) -> NDArray[np.float64]:
        """The rails as they are, gaps and all; as dashes have gaps, too, measured by the rails' usual share."""
        bounds = ((self.band.top, ("boxes", "hanging")), (self.band.bottom, ("boxes", "comb")))
        seen = []
        for side, (at, kinds) in enumerate(bounds):
            if self.band.kind in kinds:
                start = max(at - _AROUND_PX, 0)
                part = level_lines(strip.grey[start : at + _AROUND_PX + 1], strip.cap, _GRAIN_PX)[side]
                seen.append(part[max(at - 2 - start, 0) : at + 3 - start].max(axis=0))
        share = np.mean(seen, axis=0)
        there = self.rails >= _THERE
        usual = float(share[there].mean()) if there.any() else 1.0
        return np.asarray(share / max(usual, 0.2), np.float64).clip(0, 1)

    def _posts(self, edges: NDArray[np.float32], rail_ends: list[int]) -> list[int]:
        posts = _peaks(self.lines)
        # A wide one is the ground between two boxes, or the lines of both.
        wide = [ends for ends in _stretches(self.lines) if ends[1] - ends[0] >= _WIDE_PX - 1]
        posts += [post for first, last in wide for post in (first + 1, last - 1)]
        for others in (_peaks(edges), rail_ends):
            taken = {post + shift for post in posts for shift in range(-4, 5)}
            posts += [other for other in others if other not in taken]
        return sorted(posts)

    def _walls(self, strip: Strip) -> set[int]:
        """Posts of a comb that are no teeth but reach across all of it: where it ends."""
        band = self.band
        if band.kind not in ("comb", "hanging"):
            return set()
        beyond = (band.top + 2, band.teeth_top - 2) if band.kind == "comb" else (band.teeth_bottom + 3, band.bottom - 1)
        part = strip.teeth[max(beyond[0], 0) : max(beyond[1], 0)]
        if len(part) < _LEAST_TOOTH_PX:
            return set()
        reach = cv2.dilate(part, np.ones((1, 3))).mean(axis=0)
        return {post for post in self.posts if reach[max(post - 1, 0) : post + 2].max() >= 0.8}

    def tooth(self, x: float) -> float:
        """The best tooth near a column."""
        at = round(x)
        return float(self.teeth[max(at - 2, 0) : max(at + 3, 0)].max(initial=0))

    def rail(self, left: float, right: float) -> float:
        """Share of the rails that is there, well between two columns."""
        inset = 0.15 * (right - left)
        return _mean(self._rail_sums, round(left + inset), round(right - inset) + 1)

    def unbroken(self, left: float, right: float) -> float:
        """Share of the rails that is there, all the way between two columns, in which there may be no gap."""
        return _mean(self._unbroken_sums, round(left) + 2, round(right) - 1)

    def least_rail(self, left: float, right: float, cells: int) -> float:
        """The least share of the rails that is there at any of the cells between two columns."""
        width = (right - left) / cells
        return min(self.rail(left + at * width, left + (at + 1) * width) for at in range(cells))

    def cells(self, first: int, last: int) -> list[tuple[int, bool]]:
        """Width of the cells, at most the pitch, and whether they touch: boxes apart have two lines to a pitch.

        Where lines are thick, that may be either.
        """
        count = (last - first) // PITCH_PX
        # What stands at the same place in nearly all cells is a line; what does in many may be written.
        teeth = np.quantile(self.broken[first : first + count * PITCH_PX].reshape(count, PITCH_PX), 0.2, axis=0)
        turn = PITCH_PX // 2  # the comb's own tooth, at 0, is not to be cut in two
        lines = _stretches(np.roll(teeth, turn), max(_THERE, 0.65 * float(teeth.max())))
        touching = (PITCH_PX, True)
        if len(lines) == 1:
            thick = lines[0][1] - lines[0][0] + 1
            apart = (PITCH_PX - thick + 3, False)
            return [touching] if thick < _WIDE_PX else [touching, apart] if thick < _VERY_WIDE_PX else [apart, touching]
        if not lines:
            return [touching]
        middles = [round((start + end) / 2) for start, end in lines]
        width = max(b - a for a, b in pairwise([*middles, middles[0] + PITCH_PX]))
        if width < _LEAST_CELL * PITCH_PX:
            return [touching]
        weakest = min(teeth[(middle - turn) % PITCH_PX] for middle in middles)
        found = (width, len(lines) != 2)
        return [found] if len(lines) == 2 and weakest > _CERTAIN else [found, touching]


def _sums(values: NDArray[np.floating]) -> list[float]:
    return [0.0, *np.cumsum(values, dtype=np.float64).tolist()]


def _mean(sums: list[float], start: int, end: int) -> float:
    """Mean of the values from start to before end, as far as there are any, by their sums."""
    start, end = min(max(start, 0), len(sums) - 1), min(max(end, 0), len(sums) - 1)
    return (sums[end] - sums[start]) / (end - start) if end > start else 0.0


def _long(lines: NDArray[np.float32]) -> NDArray[np.float32]:
    """Share of upright lines at each column; most of what is written is not long enough to count."""
    near = cv2.dilate(cv2.morphologyEx(lines, cv2.MORPH_CLOSE, np.ones((_CLOSE_PX, 1), np.uint8)), np.ones((1, 3)))
    whole = cv2.morphologyEx(near, cv2.MORPH_OPEN, np.ones((max(3, round(0.6 * len(near))), 1), np.uint8))
    return np.asarray(whole.mean(axis=0), np.float32)


def _rail_ends(rails: NDArray[np.floating]) -> list[int]:
    """Columns where rails begin or end that are as long as a cell."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (rails >= _THERE).astype(np.int8), [0]])))
    return [
        int(edge) for start, end in edges.reshape(-1, 2) if end - start >= 0.8 * PITCH_PX for edge in (start, end - 1)
    ]
