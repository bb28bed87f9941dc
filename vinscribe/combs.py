"""Upright lines of a page -> those that follow one another at an equal distance, as the sides of boxes in a row do."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vinscribe.lines import Floats, Ticks

Ints = NDArray[np.int64]

_LEVEL_PX = 8  # lines are looked up by the levels, so far apart, that they cross
_CROWD = 3  # more other lines than these close by, and it is print
_CROWD_PX = 20.0
_NEIGHBOURS = 6  # the next side of a box is among so many lines to the right: there may be ink between
_MIN_PITCH_PX, _MAX_PITCH_PX = 20.0, 220.0
_MAX_PITCH = 5.0  # of a line's own length: the teeth of combs are short, but not as short as that
_TOLERANCE = 0.05  # of the pitch, by which a line may miss the place where it is expected
_MIN_PURITY = 0.3  # share of all lines of the right kind, in between, that are on their place
_MIN_SEEN = 0.65  # share of the teeth, from the first to the last, that must be seen
_LEAST_SHARE = 0.24  # of a row's cells: a comb of fewer teeth is no part of it, a group of boxes say
_MIN_SHARE = 0.5  # of a row's cells: so many teeth must be seen before anything else is known
_SAME_HEIGHT = 0.15  # share by which the lengths of their lines may differ
_SAME_END = 0.1  # of their length, by which ends of lines of one kind may differ
_SAME_PITCH = 0.03  # share by which the pitches of two groups may differ
_SURPLUS = 4  # so many teeth more than needed are followed
_MOST_ROWS = 4.0  # pitches that are looked at, up and down together, along a comb
_TASTE = 4  # so many places to the right and to the left are tried first, and half of them must be taken
_NEAR_PX, _NEAR = 2.0, 0.1  # a rail is so near to the ends of teeth, and nearer by this times their length
_TOGETHER = 3.0  # by so much the teeth of other groups raise a comb's merit at most
_SHORT = 0.65  # of the pitch: shorter lines are no sides of boxes
_MOST_COMPARED, _MOST_WEIGHED = 1_000, 150  # combs of a page
_STEP_PX = 3  # it darkens in so much room
_RAIL_DARK = 0.5  # a rail is as dark as the teeth, about
_RAIL, _BOTH = 0.5, 0.35  # of a comb's merit comes with one rail, and with both
_KEY = 1 << 20  # larger than any x


@dataclass(frozen=True)
class Comb:
    """Lines at an equal distance.

    places: int64 (n,), which tooth each line is, counted from the one that was seen first; gaps are teeth not seen.
    x, y: float64 (n,), the middle of each line.
    height: of most lines, in pixels.
    dark: how dark they are.
    merit: teeth seen, in all groups of the row, times their share of all the lines there that are like them, and
        the less the less there are rails at their ends.
    """

    places: Ints
    x: Floats
    y: Floats
    height: float
    dark: float
    merit: float

    @property
    def pitch(self) -> float:
        """Mean distance of the teeth in pixels."""
        return float((self.x[-1] - self.x[0]) / (self.places[-1] - self.places[0]))


def find_combs(ticks: Ticks, count: int) -> list[Comb]:
    """Combs that may be part of a row of `count` cells, those of most merit first; none twice.

    They have, or those on a level with them and of the same pitch have together, half of the row's teeth.
    """
    min_teeth, max_teeth = max(3, round(_LEAST_SHARE * count)), count + _SURPLUS
    if len(ticks.x) < min_teeth:
        return []
    index = _Index(ticks)
    first, second = _seeds(ticks, index)
    if not len(first):
        return []
    near = [_followed(ticks, index, first, second, way, _TASTE) for way in (1, -1)]
    promising = sum((met >= 0).sum(axis=1) for met in near) >= min(_TASTE, min_teeth - 1)
    first, second = first[promising], second[promising]
    right, left = (_followed(ticks, index, first, second, way, max_teeth) for way in (1, -1))
    hits = np.concatenate([left[:, ::-1], first[:, None], right], axis=1)
    seen = hits >= 0
    counts = seen.sum(axis=1)
    good = (counts >= min_teeth) & (counts >= _MIN_SEEN * _spans(seen))
    combs = _promising(_distinct(ticks, index, hits[good], first[good])[:_MOST_COMPARED], count)
    combs = [level for comb in combs[:_MOST_WEIGHED] for level in _levels(_weighed(comb, ticks, count))]
    return sorted(combs, key=lambda comb: -comb.merit)


def _spans(seen: NDArray[np.bool_]) -> Ints:
    """From the first to the last tooth that was seen, how many there are; seen or not."""
    return np.asarray(seen.shape[1] - seen.argmax(axis=1) - seen[:, ::-1].argmax(axis=1))


def _promising(combs: list[Comb], count: int) -> list[Comb]:
    """Combs with enough teeth, and of those that have enough together, the best one."""
    left, right = (np.array([comb.x[end] for comb in combs]) for end in (0, -1))
    y = np.array([comb.y.mean() for comb in combs])
    pitch = np.array([comb.pitch for comb in combs])
    teeth = np.array([len(comb.x) for comb in combs])
    height = np.array([comb.height for comb in combs])
    merit = np.array([comb.merit for comb in combs])
    # [n, m]: whether comb m is another group of the row of comb n.
    level = (np.abs(y - y[:, None]) < 0.3 * pitch[:, None]) & (np.abs(pitch / pitch[:, None] - 1) < _SAME_PITCH)
    level &= (left > right[:, None]) | (right < left[:, None])
    level &= np.abs(height - height[:, None]) <= _SAME_HEIGHT * height[:, None] + _STEP_PX
    few = teeth < _MIN_SHARE * count
    together = teeth + np.where(few, level @ teeth, 0)
    chosen: list[int] = []
    for at in np.flatnonzero(together >= _MIN_SHARE * count).tolist():
        if not (few[at] and level[at, chosen].any()):
            chosen.append(at)
    high = height >= _SHORT * pitch  # short lines in groups are text, mostly
    merit = merit * (np.minimum(together, count + 2) / np.maximum(teeth, 1)).clip(1, np.where(high, _TOGETHER, 1.0))
    chosen.sort(key=lambda at: -merit[at])
    return [replace(combs[at], merit=float(merit[at])) for at in chosen]


def _levels(comb: Comb) -> list[Comb]:
    """The comb; or, if its lines run through a stack of rows, the comb at several heights."""
    steps = int(max(0.0, comb.height / comb.pitch - _MOST_ROWS / 2) // (_MOST_ROWS - 1.5))
    offsets = (np.arange(2 * steps + 1) - steps) * (_MOST_ROWS - 1.5) / 2 * comb.pitch
    return [replace(comb, y=comb.y + offset, merit=comb.merit / np.sqrt(len(offsets))) for offset in offsets]


class _Index:
    """Finds the line that is nearest to a point among those that cross its level."""

    def __init__(self, ticks: Ticks) -> None:
        low = (ticks.top // _LEVEL_PX).astype(np.int64)
        high = (ticks.bottom // _LEVEL_PX).astype(np.int64)
        lengths = high - low + 1
        lines = np.repeat(np.arange(len(low)), lengths)
        starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
        levels = np.repeat(low, lengths) + np.arange(len(lines)) - starts
        keys = levels * _KEY + ticks.x[lines] + _KEY / 4
        order = np.argsort(keys)
        self.keys, self.lines = keys[order], lines[order]

    def key(self, x: Floats, y: Floats) -> Floats:
        return np.asarray((y // _LEVEL_PX) * _KEY + x + _KEY / 4)

    def nearest(self, x: Floats, y: Floats) -> tuple[Ints, Floats]:
        """Index of the nearest line, and how far to the right of the point it is."""
        keys = self.key(x, y)
        after = np.searchsorted(self.keys, keys).clip(1, len(self.keys) - 1)
        before = after - 1
        at = np.where(keys - self.keys[before] < self.keys[after] - keys, before, after)
        return self.lines[at], self.keys[at] - keys


def _seeds(ticks: Ticks, index: _Index) -> tuple[Ints, Ints]:
    """Pairs of lines side by side, of about the same ends."""
    middle = (ticks.top + ticks.bottom) / 2
    at = np.searchsorted(index.keys, index.key(ticks.x, middle))
    length = ticks.bottom - ticks.top + 1
    around = np.minimum(0.6 * length, _CROWD_PX)
    close = np.searchsorted(index.keys, index.key(ticks.x + around, middle))
    close -= np.searchsorted(index.keys, index.key(ticks.x - around, middle))
    lines = np.flatnonzero(close <= _CROWD + 1)
    firsts, seconds = [], []
    for step in range(1, _NEIGHBOURS + 1):
        other = index.lines[(at[lines] + step).clip(max=len(index.lines) - 1)]
        pitch = ticks.x[other] - ticks.x[lines]
        slack = 8 + 0.15 * length[lines]
        good = np.abs(ticks.top[other] - ticks.top[lines]) <= slack
        good &= np.abs(ticks.bottom[other] - ticks.bottom[lines]) <= slack
        good &= (pitch >= _MIN_PITCH_PX) & (pitch <= np.minimum(_MAX_PITCH * length[lines], _MAX_PITCH_PX))
        firsts.append(lines[good])
        seconds.append(other[good])
    return np.concatenate(firsts), np.concatenate(seconds)


def _followed(ticks: Ticks, index: _Index, first: Ints, second: Ints, way: int, steps: int) -> Ints:
    """Lines met on the way to the right (1) or to the left (-1) of each pair: (n, steps) indices, -1 for none.

    The pitch and the height follow what is met, so a picture in perspective is no obstacle. The way ends where two
    lines in a row are missing.
    """
    met = np.full((len(first), steps), -1, np.int64)
    active = np.arange(len(first))
    pitch = ticks.x[second] - ticks.x[first]
    low, high = ticks.top[first], ticks.bottom[first]
    x = ticks.x[first].copy()
    missed = np.zeros(len(first), np.int64)
    since = np.ones(len(first))
    for step in range(steps):
        aim = x + way * pitch
        lines, off = index.nearest(aim, (low + high) / 2)
        # The line must reach over most of where the last one was.
        inside = np.minimum(ticks.bottom[lines], high) - np.maximum(ticks.top[lines], low) + 1
        hit = (np.abs(off) <= np.maximum(1.6, _TOLERANCE * pitch)) & (inside >= 0.7 * (high - low + 1))
        met[active[hit], step] = lines[hit]
        x = np.where(hit, ticks.x[lines], aim)
        pitch = np.where(hit, pitch + 0.35 * way * off / since, pitch)
        since = np.where(hit, 1.0, since + 1)
        # Lines that go on above or below say nothing of where this row goes.
        drift = np.where(
            hit & (np.abs((ticks.bottom[lines] - ticks.top[lines]) - (high - low)) < 0.3 * (high - low) + 8),
            0.5 * (ticks.top[lines] + ticks.bottom[lines] - low - high) / 2,
            0.0,
        )
        low, high = low + drift, high + drift
        missed = np.where(hit, 0, missed + 1)
        going = missed < 2
        if not going.any():
            break
        active, missed = active[going], missed[going]
        x, pitch, since, low, high = (values[going] for values in (x, pitch, since, low, high))
    return met


def _distinct(ticks: Ticks, index: _Index, hits: Ints, first: Ints) -> list[Comb]:
    """The combs, without those whose lines are mostly in a better one."""
    seen = hits >= 0
    counts, spans = seen.sum(axis=1), _spans(seen)
    rows = np.arange(len(hits))
    ends = hits[rows, seen.argmax(axis=1)], hits[rows, hits.shape[1] - 1 - seen[:, ::-1].argmax(axis=1)]
    # Most pairs of neighbours lead to the same comb.
    kinds = np.ravel_multi_index((*ends, counts, spans), (len(ticks.x),) * 2 + (hits.shape[1] + 1,) * 2)
    different = np.unique(kinds, return_index=True)[1]
    purity = _purity(ticks, index, first[different], ends[0][different], ends[1][different], counts[different])
    different, purity = different[purity >= _MIN_PURITY], purity[purity >= _MIN_PURITY]
    order = np.argsort(-(counts * (counts / spans) ** 2)[different], kind="stable")
    taken = np.zeros(len(ticks.x) + 1, bool)  # the last one stands for those that were not seen, -1
    values = np.stack([ticks.top, ticks.bottom, ticks.dark])
    combs: list[Comb] = []
    for at in order:
        row = hits[different[at]]
        if 2 * np.count_nonzero(taken[row]) > counts[different[at]]:
            continue
        places = np.flatnonzero(row >= 0)
        lines = row[places]
        taken[lines] = True
        tops, bottoms, _ = own = values[:, lines]
        low, high, dark = np.sort(own, axis=1)[:, len(lines) // 2].tolist()
        middle = (np.minimum(np.maximum(tops, low - 8), high) + np.minimum(np.maximum(bottoms, low), high + 8)) / 2
        merit = len(lines) * float(purity[at])
        combs.append(Comb(places - places[0], ticks.x[lines], middle, high - low, dark, merit))
    return sorted(combs, key=lambda comb: -comb.merit)


def _weighed(comb: Comb, ticks: Ticks, count: int) -> Comb:
    """The comb, of less merit without rails at its teeth's ends, with teeth missing, or with more than needed."""
    places = np.arange(0.25, comb.places[-1], 0.25)
    places = places[places % 1 > 0]
    x = np.interp(places, comb.places, comb.x)
    y = comb.y.mean() + _slope(comb.places, comb.y) * (places - comb.places.mean())
    whole = (len(comb.x) / (int(comb.places[-1]) + 1)) ** 2
    covered = []
    near_px = round(_NEAR_PX + _NEAR * comb.height)
    for way in (-1, 1):
        rows = np.rint(y + way * comb.height / 2 + np.arange(-near_px, near_px + 1)[:, None]).astype(np.int64)
        seen = ticks.smooth[rows.clip(0, len(ticks.smooth) - 1), np.rint(x).astype(np.int64)].astype(np.int16)
        steps = np.abs(seen[_STEP_PX:] - seen[:-_STEP_PX]).max(axis=0)  # a line, or where another ground begins
        covered.append(float((steps >= _RAIL_DARK * comb.dark).mean()))
    if comb.height < _SHORT * comb.pitch:  # teeth must stand on a rail; text has feet, too, but gaps between them
        covered = [max(covered) ** 3] * 2
        whole **= 2
    rails = 1 - _RAIL - _BOTH + _RAIL * max(covered) + _BOTH * min(covered)
    return replace(comb, merit=comb.merit * rails * whole * min(1.0, (count + 2) / len(comb.x)))


def _slope(x: Ints, y: Floats) -> float:
    """Of the straight line that is nearest to some points; by least squares."""
    apart = x - x.mean()
    return float(apart @ y / (apart @ apart))


def _purity(ticks: Ticks, index: _Index, pattern: Ints, first: Ints, last: Ints, counts: Ints) -> Floats:
    """Of combs from a first to a last line, that follow a pattern: share of the lines as long as that which belong."""
    low, high = ticks.top[pattern], ticks.bottom[pattern]
    start, end = (
        np.searchsorted(index.keys, index.key(ticks.x[line] + beside, (low + high) / 2))
        for line, beside in ((first, -1.0), (last, 1.0))
    )
    lengths = np.maximum(end - start, 0)
    comb = np.repeat(np.arange(len(pattern)), lengths)
    between = index.lines[np.arange(len(comb)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + start[comb]]
    apart = np.maximum(np.abs(ticks.bottom[between] - high[comb]), np.abs(ticks.top[between] - low[comb]))
    long = np.bincount(comb, apart <= _SAME_END * (high - low)[comb] + _STEP_PX, len(pattern))
    return np.asarray(counts / np.maximum(counts, long), np.float64)
