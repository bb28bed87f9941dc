"""A belief about VINs as a weighted mixture of parts, each a product over the 17 positions.

A part is, for example, what one maker's schema of 2010 allows: characters at each position, one independent of the
other, and a check digit that is written so many times in a hundred. The probability of a VIN v is the sum over the
parts q of

    weight[q] * product over positions p but 9 of shares[rows[q, p], v[p]] * check(q, v)
    check(q, v) = (1 - rate[q]) * shares[rows[q, 9], v[9]] + rate[q] * [v[9] is the check digit of v]

Where a source lists whole strings, each is a part, or several are one: {CP2E3, CP2E4, CP2F3, CP2F4} is a product.
What is beneath (a maker whose models are not listed, a region, anything at all) are parts like the others.

Source: 49 CFR 565.15 (check digit).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vinscribe.charset import NUM_CLASSES
from vinscribe.vin import CHECK_POSITION, PLANT_POSITION, VIN_LENGTH, YEAR_POSITION, check_labels

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MAKER = (0, 1, 2)
"""Positions, counted from 0, of the maker's code."""

TAIL = tuple(range(11, VIN_LENGTH))
"""Positions, counted from 0, of the serial number; a small maker's code goes on in its first three."""

DESCRIPTOR = tuple(range(3, CHECK_POSITION))
"""Positions, counted from 0, that describe the vehicle."""

BRANCH = DESCRIPTOR[:2]
"""Positions, counted from 0, in which all parts of a branch have the same distributions."""

_CODES = NUM_CLASSES ** len(MAKER)


@dataclass(frozen=True, eq=False)
class Parts:
    """Q parts over T distributions. Made by `of`, which sorts them.

    Attributes:
        shares: float64 (T, 33), rows add up to 1.
        rows: uint16 (int32 where there are more) (Q, 17), row of ``shares`` for each position; at position 9, where it
            is no check digit.
        weights: float64 (Q,), add up to 1.
        check_rates: float64 (Q,), how often position 9 is a check digit, in [0, 1].
    """

    shares: Floats
    rows: NDArray[np.integer]
    weights: Floats
    check_rates: Floats

    @classmethod
    def of(cls, shares: Floats, rows: NDArray[np.integer], weights: Floats, check_rates: Floats) -> "Parts":
        """Parts, sorted by their families; those without weight are left out."""
        keep = weights > 0
        rows = rows.astype(_smallest(len(shares)))[keep]
        weights, check_rates = weights[keep], check_rates[keep]
        narrow = _is_narrow(_masks(shares), rows)
        order = np.lexsort([*rows[:, BRANCH[::-1]].T, narrow, *rows[:, TAIL[::-1]].T, _codes_of_rows(shares, rows)])
        return cls(shares, rows[order], weights[order] / weights.sum(), check_rates[order])

    def __len__(self) -> int:
        return len(self.weights)

    @cached_property
    def used(self) -> list[NDArray[np.int32]]:
        """For each position, the rows of ``all_shares`` that parts or families have there, rising."""
        return [_distinct(np.append(self.rows[:, p], self.family_rows[:, p])) for p in range(VIN_LENGTH)]

    @cached_property
    def tables(self) -> list[Floats]:
        """For each position (33, U): the distributions in ``used``, side by side."""
        return [np.ascontiguousarray(self.all_shares[used].T) for used in self.used]

    @cached_property
    def places(self) -> NDArray[np.integer]:
        """(17, Q): where each part's row stands in ``used``."""
        return self._places(self.rows)

    @cached_property
    def family_places(self) -> NDArray[np.integer]:
        """(17, F): where each family's row stands in ``used``."""
        return self._places(self.family_rows)

    def _places(self, rows: NDArray[np.integer]) -> NDArray[np.integer]:
        places = np.empty((VIN_LENGTH, len(rows)), _smallest(max(map(len, self.used))))
        where = np.empty(len(self.all_shares), np.int32)
        for position, used in enumerate(self.used):
            where[used] = np.arange(len(used))
            places[position] = where[rows[:, position]]
        return places

    # Families: parts of one maker, with the same distributions in the serial number, all with a set of their own
    # somewhere in positions 4 to 8, or none of them. Branches: parts of a family, with the same ones at positions 4, 5.

    @cached_property
    def first_part(self) -> Ints:
        """(F + 1,): parts first_part[f] to first_part[f + 1] are family f."""
        narrow = _is_narrow(_masks(self.shares), self.rows)
        begins = np.append(True, narrow[1:] != narrow[:-1])
        for position in (*MAKER, *TAIL):
            begins[1:] |= self.rows[1:, position] != self.rows[:-1, position]
        return np.append(np.flatnonzero(begins), len(self))

    @cached_property
    def first_branch(self) -> Ints:
        """(F + 1,): branches first_branch[f] to first_branch[f + 1] are family f."""
        return np.searchsorted(self.first_of_branch, self.first_part)

    @cached_property
    def first_of_branch(self) -> Ints:
        """(B + 1,): parts first_of_branch[b] to first_of_branch[b + 1] are branch b."""
        begins = np.append(True, (self.rows[1:, BRANCH] != self.rows[:-1, BRANCH]).any(1))
        begins[self.first_part[:-1]] = True
        return np.append(np.flatnonzero(begins), len(self))

    @cached_property
    def branch_weights(self) -> Floats:
        """(B,): the weight of each branch."""
        sums: Floats = np.add.reduceat(self.weights, self.first_of_branch[:-1])
        return sums

    @cached_property
    def tails(self) -> tuple[NDArray[np.integer], Ints]:
        """Places (V, 6) in ``used`` of the serial number's distributions, distinct; and which (F,) each family has."""
        tails, which = np.unique(self.family_places[TAIL, :].T, axis=0, return_inverse=True)
        return tails, which.reshape(-1)

    @cached_property
    def family_weights(self) -> Floats:
        """(F,): the weight of each family."""
        sums: Floats = np.add.reduceat(self.weights, self.first_part[:-1])
        return sums

    @cached_property
    def _bounding(self) -> tuple[Floats, NDArray[np.int32]]:
        """Distributions (T + E, 33) and the rows (F, 17) of each family, see `family_rows`."""
        first = self.first_part[:-1]
        rows = self.rows[first].astype(np.int32)
        extra: list[Floats] = []
        size, masks = len(self.shares), _masks(self.shares)
        for position in (*DESCRIPTOR, PLANT_POSITION):
            sets, place = np.unique(np.bitwise_or.reduceat(masks[self.rows[:, position]], first), return_inverse=True)
            rows[:, position] = place + size
            extra.append(members(sets))
            size += len(sets)
        years, place = distinct(self._mean_years())
        rows[:, YEAR_POSITION] = place + size
        extra.append(years)
        return np.concatenate([self.shares, *extra]), rows

    def _mean_years(self) -> Floats:
        """(F, 33): the mean distribution at the year's position of each family."""
        family = np.repeat(np.arange(len(self.first_part) - 1), np.diff(self.first_part))
        pairs, place = np.unique(family * len(self.shares) + self.rows[:, YEAR_POSITION], return_inverse=True)
        weights = np.bincount(place, self.weights)
        family, row = np.divmod(pairs, len(self.shares))
        starts = np.flatnonzero(np.append(True, family[1:] != family[:-1]))
        sums: Floats = np.add.reduceat(weights[:, None] * self.shares[row], starts)
        return sums / self.family_weights[:, None]

    @property
    def family_rows(self) -> NDArray[np.int32]:
        """(F, 17), rows of ``all_shares`` that bound what the parts of a family are worth together.

        The sum over a family's parts of weight times mean ink at every position is at most the family's weight times
        the same of these rows: in the maker's code and the serial number all parts have the same, at the year's
        position this is their mean, elsewhere 1 for every character that any of them has; position 9 says nothing.
        """
        return self._bounding[1]

    @property
    def all_shares(self) -> Floats:
        """(T + E, 33): ``shares``, and behind them what only families have."""
        return self._bounding[0]

    # Single strings

    @cached_property
    def _of_code(self) -> Ints:
        """(35937 + 2,): the parts with each maker's code, then those with several."""
        codes = _codes_of_rows(self.shares, self.rows)
        return np.searchsorted(codes, np.arange(_CODES + 2))

    @cached_property
    def general(self) -> Ints:
        """(R,): the parts that begin with more than one character: anything is in one of them."""
        return np.flatnonzero(self.shares.max(1)[self.rows[:, 0]] < 1)

    def containing(self, labels: Ints) -> tuple[Ints, Ints]:
        """Which parts can have produced strings (M, 17): pairs (string, part), strings rising; a superset."""
        codes = (labels[:, 0] * NUM_CLASSES + labels[:, 1]) * NUM_CLASSES + labels[:, 2]
        starts = np.stack([self._of_code[codes], np.full(len(codes), self._of_code[_CODES])], 1)
        ends = np.stack([self._of_code[codes + 1], np.full(len(codes), self._of_code[_CODES + 1])], 1)
        parts, span = ranges(starts.ravel(), ends.ravel())
        return span // 2, parts

    def prior(self, labels: Ints) -> tuple[Floats, Floats]:
        """The probabilities (M,) of strings (M, 17), and how often (M,) the likely parts write a check digit."""
        string, part = self.containing(labels)
        worth = self.weights[part]
        for position in (*DESCRIPTOR, YEAR_POSITION, *MAKER, PLANT_POSITION, *TAIL):
            rows = self.rows[part, position].astype(np.int64)  # take would copy the whole column first
            worth = worth * self.shares.ravel().take(rows * NUM_CLASSES + labels[string, position])
            if position in DESCRIPTOR:  # here most parts drop out
                kept = worth > 0
                string, part, worth = string[kept], part[kept], worth[kept]
        rates = self.check_rates[part]
        own = self.shares[self.rows[part, CHECK_POSITION], labels[string, CHECK_POSITION]]
        fits = (labels[:, CHECK_POSITION] == check_labels(labels))[string]
        before = sums_by(string, worth, len(labels))
        rate = sums_by(string, worth * rates, len(labels)) / np.maximum(before, 1e-300)
        return sums_by(string, worth * ((1 - rates) * own + rates * fits), len(labels)), rate

    @cached_property
    def most(self) -> float:
        """No string is more probable than this."""
        peaks = self.shares.max(1)
        worth = self.weights * np.delete(peaks[self.rows], CHECK_POSITION, 1).prod(1)
        sums = np.append(worth, 0).cumsum()
        by_code = np.diff(np.append(0, sums)[self._of_code])
        return float(by_code[:_CODES].max(initial=0) + by_code[_CODES])


def distinct(shares: Floats) -> tuple[Floats, Ints]:
    """The distinct rows of (K, 33), in no certain order, and which of them each row (K,) is."""
    # Sorting one number a row is fifty times as fast as sorting rows; that equal numbers mean equal rows is checked.
    keys = shares @ np.random.default_rng(0).random(NUM_CLASSES)
    _, first, place = np.unique(keys, return_index=True, return_inverse=True)
    if not (shares == shares[first][place]).all():
        found, place = np.unique(shares, axis=0, return_inverse=True)
        return found, place.reshape(-1)
    return shares[first], place


def sums_by(group: Ints, values: Floats, count: int) -> Floats:
    """(count,): the sum of the values (M,) of each group (M,)."""
    return np.bincount(group, values, count).astype(np.float64)


def ranges(starts: Ints, ends: Ints) -> tuple[Ints, Ints]:
    """All numbers from starts[i] up to ends[i], and the i of each."""
    counts = ends - starts
    span = np.repeat(np.arange(len(counts)), counts)
    return np.arange(len(span)) - np.repeat(counts.cumsum() - counts - starts, counts), span


def _codes_of_rows(shares: Floats, rows: NDArray[np.integer]) -> Ints:
    """(Q,): the number of the one maker's code that a part has; `_CODES` for a part with several."""
    head = rows[:, MAKER]
    labels = shares.argmax(1)[head]
    one = (shares.max(1) == 1)[head].all(1)
    codes = (labels[:, 0] * NUM_CLASSES + labels[:, 1]) * NUM_CLASSES + labels[:, 2]
    found: Ints = np.where(one, codes, _CODES)
    return found


def _is_narrow(masks: NDArray[np.uint64], rows: NDArray[np.integer]) -> NDArray[np.bool_]:
    """(Q,): whether parts (Q, 17), rows of these sets (T,), lack a character somewhere in positions 4 to 8."""
    lacking = masks != np.uint64(2**NUM_CLASSES - 1)
    narrow: NDArray[np.bool_] = lacking[rows[:, DESCRIPTOR]].any(1)
    return narrow


def _masks(shares: Floats) -> NDArray[np.uint64]:
    """(T,): the characters that each distribution has, bit c for class label c."""
    bits = np.uint64(1) << np.arange(NUM_CLASSES, dtype=np.uint64)
    masks: NDArray[np.uint64] = ((shares > 0) * bits).sum(1, dtype=np.uint64)
    return masks


def members(sets: NDArray[np.uint64]) -> Floats:
    """Sets of characters (K,), bit c for class label c -> (K, 33), 1 for each character in a set."""
    return ((sets[:, None] >> np.arange(NUM_CLASSES, dtype=np.uint64)) & np.uint64(1)).astype(np.float64)


def _smallest(count: int) -> type[np.integer]:
    """The type that holds the numbers up to ``count``: there are millions of them."""
    return np.uint16 if count < 1 << 16 else np.int32


def _distinct(rows: NDArray[np.integer]) -> NDArray[np.int32]:
    """The distinct numbers, rising."""
    return np.flatnonzero(np.bincount(rows)).astype(np.int32)
