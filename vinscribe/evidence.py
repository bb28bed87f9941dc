"""A straightened strip -> where rows of cells may lie in it, and what lines there are.

All cells of a row look alike, so what is at the same place in nearly all of them is print; what is in some is written.
"""

from collections.abc import Iterator, Sequence
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
_MOST_COMB_HEIGHT_PX = round(1.65 * PITCH_PX)
_INNER = 0.75  # share of a line between two rows of boxes that must be seen
_AROUND_PX = 12  # rows of pixels above and below a rail that it is seen in
_GRAIN_PX = 3
_OWN_EDGES_PX = 5  # edges so near to a line are its own
_JOINT_PX = 3  # so much before a cell is seen whether another one meets it
_RAIL_END = 0.5  # worth of the end of a rail in place of a side
_SIDE = 0.25  # worth of a side of a cell, the rails having the rest
_CERTAIN_CELL = 0.6
_SEEN, _SIDELESS = 0.4, 2.0  # a side is seen; what counts against a cell without any
_RAIL_INSET, _PART = 0.08, 0.2  # of a cell: rails are looked at from so far inside it, in parts so wide
_WIDE_PX = 5  # what is wider may be more than one line
_VERY_WIDE_PX = 7  # what is wider most likely is
_CERTAIN = 0.9  # where so much of a second line is seen in a pitch, it is no ink
_INK_INSET = 0.2  # of a cell: ink is looked for between its sides
_INK_COVERS = 0.03  # of that
_INK_DARKER, _INK_GRAINS = 12.0, 3.0  # than the paper: grey levels, and times what its grain is brighter
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
    # None is quite level.
    thick = [np.asarray(cv2.dilate(rail[:, first : last + 1], np.ones((3, 1))), np.float32) for rail in strip.rails]
    above, below = (_peaks(rail.mean(axis=1)) for rail in thick)
    for top, bottom in _stretches(seen.astype(np.float32)):
        if top == 0 or bottom == len(seen) - 1:  # cut off by the strip; another one shows it whole
            continue
        slack = max(5, round(0.15 * (bottom - top)))
        over, under = _nearest(above, top, slack), _nearest(below, bottom, slack)
        start, end = top if over is None else over, bottom if under is None else under
        through = [rail for rail in above if top + _LEAST_TOOTH_PX <= rail < bottom - 2]
        if end - start < _LEAST_TOOTH_PX:
            continue
        low = end - start < LEAST_HEIGHT_PX  # what looks like the other rail may be ink
        if end - start < PITCH_PX and over is None and under is None:
            if through:  # teeth that cross their rail
                yield Band(_roof(_common(thick[0]), start, through[-1]), through[-1], start, through[-1], "comb")
        elif end - start < PITCH_PX and under is not None and (low or over is None):
            yield Band(_roof(_common(thick[0]), start, end), end, start, end, "comb")
        elif end - start < PITCH_PX and (low or under is None):
            yield Band(start, -_roof([-rail for rail in _common(thick[1])], -end, -start), start, end, "hanging")
        elif over is None and under is not None:  # teeth as high as boxes
            yield Band(start, end, start, end, "comb")
        elif under is None and over is not None:
            yield Band(start, end, start, end, "hanging")
        elif over is not None:
            yield from _stack(start, end, (*_common(thick[0]), *_common(thick[1])))


def _common(rails: NDArray[np.floating]) -> list[int]:
    """Level lines that nearly all cells have."""
    count = rails.shape[1] // PITCH_PX
    cells = rails[:, : count * PITCH_PX].reshape(len(rails), count, PITCH_PX)
    # Beside the upright lines there is little ink.
    beside = np.concatenate([cells[:, :, 2:7], cells[:, :, PITCH_PX - 6 : PITCH_PX - 1]], axis=2).mean(axis=2)
    return _peaks(np.minimum(_quantiles(beside, [0.2])[:, 0], cells.mean(axis=(1, 2))), _INNER)


def _roof(rails: list[int], top: int, foot: int) -> int:
    """Where the cells of a comb begin, whose teeth have these ends: at a line above, if it is not far."""
    near = [rail for rail in rails if foot - _MOST_COMB_HEIGHT_PX < rail < top]
    return max(near, default=foot - _COMB_HEIGHT_PX)


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


def _peaks(profile: NDArray[np.floating], least: float = _THERE) -> list[int]:
    """Middles of the stretches where a profile is high."""
    return [round((first + last) / 2) for first, last in _stretches(profile, least)]


def _nearest(values: list[int], to: int, slack: int) -> int | None:
    near = [value for value in values if abs(value - to) <= slack]
    return min(near, key=lambda value: abs(value - to)) if near else None


class Evidence:
    """What speaks for cells at each column of a band of a strip.

    Attributes:
        band: the band.
        lines: float32 (width,), 0 to 1: how much of an upright line there is at each column.
        broken: the same before gaps are closed.
        tooth: float32 (width,), 0 to 1: the best side of a cell near each column: a line, the edge of a darker ground,
            or, less, the end of a rail, where a row ends even if its last line cannot be seen.
        joined: float32 (width,), 0 to 1: how much of the rails there is just before each column, where two cells may
            meet.
    """

    def __init__(self, strip: Strip, band: Band) -> None:
        self.band = band
        inset = round(0.12 * (band.teeth_bottom - band.teeth_top))
        inside = slice(band.teeth_top + inset, band.teeth_bottom - inset + 1)
        self._ink = _ink(strip.grey[inside])
        self.lines, edges = (_long(lines[inside]) for lines in (strip.teeth, strip.edges))
        self.broken = cv2.dilate(strip.teeth[inside], np.ones((1, 3))).mean(axis=0)
        sides = [strip.rails[side][max(at - 2, 0) : at + 3].max(axis=0) for side, at in self._bounds()]
        self.rails = np.asarray(np.mean(sides, axis=0), np.float32)
        # A line has edges of its own.
        lined = cv2.dilate(self.lines[None], np.ones((1, 2 * _OWN_EDGES_PX + 1), np.uint8))[0] >= _THERE
        self._sides = np.where(lined, self.lines, np.maximum(self.lines, edges))
        self.tooth = self._near(self._sides)
        self.tooth[_rail_ends(self.rails)] = np.maximum(self.tooth[_rail_ends(self.rails)], _RAIL_END)
        beside = _window(np.pad(self._unbroken(strip), _JOINT_PX), 3)
        self.joined, self._going = beside[: -2 * _JOINT_PX], beside[2 * _JOINT_PX :]
        for wall in self._walls(strip):
            self.joined[max(wall - 2, 0) : wall + _JOINT_PX + 2] = 0

    def _unbroken(self, strip: Strip) -> NDArray[np.float32]:
        """The rails as they are, gaps and all; as dashes have gaps, too, measured by the rails' usual share."""
        seen = []
        for side, at in self._bounds():
            start = max(at - _AROUND_PX, 0)
            part = level_lines(strip.grey[start : at + _AROUND_PX + 1], strip.cap, _GRAIN_PX)[side]
            seen.append(part[max(at - 2 - start, 0) : at + 3 - start].max(axis=0))
        share = np.mean(seen, axis=0)
        there = self.rails >= _THERE
        usual = float(share[there].mean()) if there.any() else 1.0
        return np.asarray(np.minimum(share / max(usual, 0.2), 1), np.float32)

    def _bounds(self) -> list[tuple[int, int]]:
        """Of the rails that bound the band: above or below, and the row of pixels."""
        band = self.band
        bounds = ((0, band.top, "comb"), (1, band.bottom, "hanging"))
        return [(side, at) for side, at, without in bounds if band.kind != without]

    @staticmethod
    def _near(teeth: NDArray[np.floating]) -> NDArray[np.float32]:
        """The best tooth near each column, the farther the less."""
        padded = np.pad(np.asarray(teeth, np.float32), 2)
        near = [padded[2 + off : len(padded) - 2 + off] * (1 - 0.05 * off * off) for off in (-2, -1, 0, 1, 2)]
        return np.asarray(np.max(near, axis=0), np.float32)

    def _walls(self, strip: Strip) -> list[int]:
        """Lines of a comb that are no teeth but reach across all of it: where it ends."""
        band = self.band
        if band.kind == "boxes":
            return []
        beyond = (band.top + 2, band.teeth_top - 2) if band.kind == "comb" else (band.teeth_bottom + 3, band.bottom - 1)
        part = strip.teeth[max(beyond[0], 0) : max(beyond[1], 0)]
        if len(part) < _LEAST_TOOTH_PX:
            return []
        return np.flatnonzero((cv2.dilate(part, np.ones((1, 3))).mean(axis=0) >= 0.8) & (self.lines >= _THERE)).tolist()

    def cell(self, width: int) -> NDArray[np.float32]:
        """How much speaks for a cell whose left side is at each column: 1 if both sides and the rails are there."""
        worth = np.full(len(self.tooth), -1.0, np.float32)
        inside = max(len(worth) - width, 0)
        sides = self.tooth[:inside], self.tooth[width:]
        worth[:inside] = _SIDE * (sides[0] + sides[1]) + (1 - 2 * _SIDE) * self._between(width)
        worth[:inside] -= _SIDELESS * (np.maximum(*sides) < _SEEN)
        return worth

    def inked(self, width: int) -> NDArray[np.float32]:
        """Whether something is written in a cell whose left side is at each column, 0 to 1."""
        inner = max(3, round((1 - 2 * _INK_INSET) * width))
        share = np.zeros(len(self._ink), np.float32)
        means = _window(self._ink, inner)
        inside = max(len(share) - width, 0)
        share[:inside] = means[width // 2 : width // 2 + inside]
        return np.asarray(np.minimum(share / _INK_COVERS, 1), np.float32)

    def _between(self, width: int) -> NDArray[np.float32]:
        """How much of the rails there is from each column on, 0 to 1; gaps count more than that they are short."""
        part = max(3, round(_PART * width))
        means = _window(self.rails, part)
        left = np.arange(max(len(means) - width, 0))
        parts = np.linspace(_RAIL_INSET * width + part / 2, (1 - _RAIL_INSET) * width - part / 2, 4)
        seen = np.stack([means[left + round(float(at))] for at in parts])
        return np.asarray((seen.mean(axis=0) + seen.min(axis=0)) / 2, np.float32)

    def middles(self, columns: NDArray[np.int64]) -> NDArray[np.float64]:
        """Middles of the upright lines near these columns, or the columns where there is none."""
        places = np.arange(-2, 3)
        near = (columns[:, None] + places).clip(0, len(self.lines) - 1)
        lines = np.where(self.lines[near].max(axis=1)[:, None] >= _THERE, self.lines[near], self._sides[near])
        lines = lines * np.array([0.4, 1, 1, 1, 0.4])
        total = lines.sum(axis=1)
        off = (lines * places).sum(axis=1) / np.maximum(total, 1e-6)
        return np.where(total > _THERE, columns + off, columns).astype(np.float64)

    def others(self, widths: tuple[int, ...], closed: bool) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """How certainly a cell of one of the widths ends, and begins, at each column, 0 to 1.

        ``closed`` asks for rails up to its very corners, as ink may seem to bound a cell in part of another one.
        """
        ends, begins = np.zeros_like(self.tooth), np.zeros_like(self.tooth)
        for size in widths:
            inside = max(len(ends) - size, 0)
            there = np.minimum.reduce([self._between(size), self.tooth[:inside], self.tooth[size:]])
            if closed:
                there = np.minimum.reduce([there, self._going[:inside], self.joined[size:]])
            there[there < _CERTAIN_CELL] = 0
            begins[:inside] = np.maximum(begins[:inside], there)
            ends[size:] = np.maximum(ends[size:], there)
        return ends, begins

    def cells(self, first: int, last: int) -> list[tuple[int, bool]]:
        """Width of the cells, at most the pitch, and whether they touch: boxes apart have two lines to a pitch.

        Where lines are thick, that may be either.
        """
        count = (last - first) // PITCH_PX
        # What stands at the same place in nearly all cells is a line; what does in many may be written.
        teeth = _quantiles(self.broken[first : first + count * PITCH_PX].reshape(count, PITCH_PX).T, [0.2])[:, 0]
        turn = PITCH_PX // 2  # the comb's own tooth, at 0, is not to be cut in two
        lines = _stretches(np.roll(teeth, turn), max(_THERE, 0.65 * float(teeth.max())))
        touching = (PITCH_PX, True)
        if len(lines) == 1:
            thick = lines[0][1] - lines[0][0] + 1
            apart = (max(PITCH_PX - thick + 3, round(_LEAST_CELL * PITCH_PX)), False)
            return [touching] if thick < _WIDE_PX else [touching, apart] if thick < _VERY_WIDE_PX else [apart, touching]
        if not lines:
            return [touching]
        middles = [round((start + end) / 2) for start, end in lines]
        width = max(b - a for a, b in pairwise([*middles, middles[0] + PITCH_PX]))
        weakest = min(teeth[(middle - turn) % PITCH_PX] for middle in middles)
        if width < _LEAST_CELL * PITCH_PX:
            # Two cells to a pitch, of cells so narrow that every other line was taken for a comb; or written stems.
            return [] if len(lines) == 2 and weakest > _CERTAIN else [touching]
        found = (width, len(lines) != 2)
        return [found] if len(lines) == 2 and weakest > _CERTAIN else [found, touching]


def _ink(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Share of each column that is clearly darker than the paper there."""
    half = PITCH_PX // 2
    blocks = grey[:, : grey.shape[1] // half * half].reshape(len(grey), -1, half).transpose(1, 0, 2)
    paper, bright = _quantiles(blocks.reshape(len(blocks), -1), [0.7, 0.95]).T
    level = paper - np.maximum(_INK_DARKER, _INK_GRAINS * (bright - paper))
    at = np.interp(np.arange(grey.shape[1]), np.arange(len(level)) * half + (half - 1) / 2, level)
    return np.asarray((grey < at).mean(axis=0), np.float32)


def _quantiles(values: NDArray[np.generic], shares: Sequence[float]) -> NDArray[np.float64]:
    """Quantiles of each row: (n, m) -> (n, shares), as NumPy's, which takes longer for so few values."""
    ordered = np.sort(values, axis=1, kind="stable").astype(np.float64)
    places = np.array(shares) * (values.shape[1] - 1)
    low = places.astype(np.int64)
    below, above = ordered[:, low], ordered[:, np.minimum(low + 1, values.shape[1] - 1)]
    return np.asarray(below + (places - low) * (above - below), np.float64)


def _window(values: NDArray[np.float32], size_px: int) -> NDArray[np.float32]:
    """Means of the values around each."""
    return np.asarray(cv2.blur(values[None], (size_px, 1))[0], np.float32)


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
