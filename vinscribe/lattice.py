"""All 33**17 strings of N readings at once: the sum of their scores, the best ones, and what single characters weigh.

The score of a string is its ink times its prior probability, a sum over parts (`vinscribe.parts`). Of each part sums
and best strings are exact (`vinscribe.pairs`). Parts whose ink cannot matter are left out (`vinscribe.part_search`):
what they could add at most is bounded, and `Lattice.left_out` is no more than `NEGLIGIBLE` of the sum, except where so
little can be read that hundreds of parts are alike.

Scores are relative: each position's ink is scaled to a largest value of 1, so that nothing underflows.
"""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vinscribe.pairs import Pairs
from vinscribe.part_search import MOST_PARTS, PartSearch
from vinscribe.parts import Floats, Ints, Parts, sums_by
from vinscribe.vin import VIN_LENGTH

NEGLIGIBLE = 3e-5
"""Share of the sum that strings of parts which are left out can have at most."""

_FIRST_PARTS = 3  # of each reading, the heaviest: the best strings of others are only sought if they can be better
_LEAST, _LESS = 1e-4, 0.02  # of what is negligible: less than this is not looked at, and how much less at each retry
_ATTEMPTS = 4  # at the last one all that a search may look at is looked at
_MOST_LISTS = 10  # of parts of a reading: with more, hardly anything can be read
_LONGER = 4  # times as long lists where the best string could be in none of them
_SLACK = 1 + 1e-9  # more than sums in another order can differ by


class Lattice:
    """The strings of N readings.

    Args:
        ink: float64 (N, 17, 33), at least 0 and not 0 everywhere at a position: how well each character fits the ink.
        parts: what is likely before the ink is seen.

    Attributes:
        ink: float64 (N, 17, 33), scaled to at most 1 at each position.
        log_scale: float64 (N,): added to the logarithm of a score, it makes the score absolute: a probability of the
            string, times its ink.
        total: float64 (N,): the sum of the scores of all strings.
        left_out: float64 (N,): no more than this is missing from it.
    """

    def __init__(self, ink: Floats, parts: Parts) -> None:
        largest = ink.max(2, keepdims=True)
        self.ink = ink / largest
        self.log_scale = np.log(largest).sum((1, 2))
        self._parts = parts
        self._weigh()

    def __len__(self) -> int:
        return len(self.ink)

    def _weigh(self) -> None:
        """Finds the parts that matter, and their sums."""
        search = PartSearch(self.ink, self._parts)
        pending, least = np.arange(len(self)), search.heaviest() * (NEGLIGIBLE * _LEAST)
        self.total, self.left_out = np.zeros(len(self)), np.zeros(len(self))
        found: list[tuple[Ints, Ints, Floats]] = []
        for attempt in range(_ATTEMPTS):
            reading, part, most, missing = search.candidates(pending, least)
            sums, rest = self._sums_of(reading, part, most, missing)
            total = sums_by(reading, sums, len(self))
            full = np.bincount(reading, minlength=len(self)) >= MOST_PARTS  # looking at more would not help
            enough = ((rest <= NEGLIGIBLE * total) | full)[pending] | (attempt == _ATTEMPTS - 1)
            done = pending[enough]
            self.total[done], self.left_out[done] = total[done], rest[done]
            kept = np.isin(reading, done) & (sums > 0)
            found.append((reading[kept], part[kept], sums[kept]))
            pending, least = pending[~enough], least * (_LESS if attempt < _ATTEMPTS - 2 else 0)
            if not len(pending):
                break
        reading, part, sums = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
        order = np.lexsort([-sums, reading])  # of each reading the heaviest first
        self._reading, self._part, self._sums = reading[order], part[order], sums[order]
        self._starts = np.searchsorted(self._reading, np.arange(len(self)))

    def _sums_of(self, reading: Ints, part: Ints, most: Floats, missing: Floats) -> tuple[Floats, Floats]:
        """The sums (P,) of candidates none of which exceeds ``most`` (P,), 0 for those that are left out.

        Candidates come by reading, those with the largest ``most`` first. The first few give a least total; all from
        which on the others could not add more than `NEGLIGIBLE` of it are left out. Returned as well: what they all
        could add at most, with ``missing`` (N,).
        """
        first_of, ends = np.searchsorted(reading, reading), np.searchsorted(reading, reading, "right")
        largest = np.maximum(most[first_of], 1e-300)
        running = np.append((most / largest)[::-1].cumsum()[::-1], 0)
        behind = (running[:-1] - running[ends]) * largest  # of this and all later ones of the reading
        first = np.arange(len(reading)) - first_of < _FIRST_PARTS
        sums = np.zeros(len(reading))
        sums[first] = Pairs(self.ink, self._parts, reading[first], part[first]).sums
        least = sums_by(reading, sums, len(self))
        needed = ~first & ((behind + missing[reading]) * _SLACK > NEGLIGIBLE * least[reading])
        sums[needed] = Pairs(self.ink, self._parts, reading[needed], part[needed]).sums
        dropped = ~first & ~needed
        return sums, (missing + sums_by(reading[dropped], most[dropped], len(self))) * _SLACK

    @cached_property
    def _pairs(self) -> Pairs:
        return Pairs(self.ink, self._parts, self._reading, self._part)

    def marginals(self, labels: Ints) -> Floats:
        """(N, 17): the share of the total that belongs to strings with these characters (N, 17) at their positions."""
        sums = np.add.reduceat(self._pairs.marginals(labels[self._reading]), self._starts)
        marginals: Floats = sums / np.add.reduceat(self._sums, self._starts)[:, None]
        return marginals

    def scores(self, labels: Ints, rows: Ints) -> Floats:
        """(M,): the scores of strings (M, 17) of the readings ``rows`` (M,)."""
        ink = self.ink[rows[:, None], np.arange(VIN_LENGTH), labels].prod(1)
        scores: Floats = ink * self._parts.prior(labels)[0]
        return scores

    def bounds(self, row: int) -> tuple[Floats, float]:
        """Factors (17, 33) whose product, times the number, no score of a string of this reading surpasses."""
        return self.ink[row], self._parts.most

    def best(self, count: int, allowed: NDArray[np.bool_]) -> tuple[Ints, Floats]:
        """The best strings: labels (N, count, 17) and their scores (N, count), falling.

        Of each part that could hold a better one the best strings are found, and the first is the best of all 33**17:
        no string outside these lists can be worth more, but for one that is less than `NEGLIGIBLE` of the total, or
        where hardly anything can be read. The others are the best of those in the lists.

        Args:
            count: how many.
            allowed: (N, 17, 33): the characters that may stand at each position, at least one each. A string with
                another one scores 0.
        """
        labels, scores, unseen = self._listed(np.arange(len(self)), count, count, allowed)
        few = np.bincount(self._reading, minlength=len(self)) <= _MOST_LISTS
        rows = np.flatnonzero((scores[:, 0] * _SLACK < unseen) & few)
        if len(rows):
            labels[rows], scores[rows], _ = self._listed(rows, count, _LONGER * count, allowed)
        return labels, scores

    def _listed(self, rows: Ints, count: int, length: int, allowed: NDArray[np.bool_]) -> tuple[Ints, Floats, Floats]:
        """The best strings of some readings, of lists so long; and the most that a string in no list is worth."""
        own = np.flatnonzero(np.isin(self._reading, rows))
        rank = own - self._starts[self._reading[own]]
        lists = self._strings_of(self._reading[own], self._part[own], rank < _FIRST_PARTS, length, allowed)
        labels, scores = self._ranked(lists[0], count)
        least = np.minimum(scores[:, 0], np.maximum(scores[:, -1], NEGLIGIBLE * self.total))
        more = (rank >= _FIRST_PARTS) & (rank < _MOST_LISTS) & (self._sums[own] * _SLACK > least[self._reading[own]])
        added = self._strings_of(self._reading[own], self._part[own], more, length, allowed)
        hidden = rows[scores[rows, 0] == 0]  # what is allowed is in none of these parts
        general = self._parts.general
        reading, part = np.repeat(hidden, len(general)), np.tile(general, len(hidden))
        anything = self._strings_of(reading, part, np.ones(len(part), bool), length, allowed)
        strings, owners, last = (np.concatenate(arrays) for arrays in zip(lists, added, anything, strict=True))
        labels, scores = self._ranked(strings, count)
        unlisted = (rank >= _FIRST_PARTS) & ~more
        unseen = sums_by(self._reading[own][unlisted], self._sums[own][unlisted], len(self))
        unseen += sums_by(owners, last, len(self))
        return labels[rows], scores[rows], unseen[rows]

    def _strings_of(
        self, reading: Ints, part: Ints, chosen: NDArray[np.bool_], length: int, allowed: NDArray[np.bool_]
    ) -> tuple[Ints, Ints, Floats]:
        """The best strings of chosen pairs, (M, 18), reading first; of each pair (P,) the reading and last score."""
        reading, part = reading[chosen], part[chosen]
        if not len(reading):
            return np.empty((0, 1 + VIN_LENGTH), np.int64), reading, np.empty(0)
        labels, scores = Pairs(self.ink * allowed, self._parts, reading, part).best(length)
        kept = scores > 0
        strings = np.column_stack([np.repeat(reading, length)[kept.ravel()], labels[kept]])
        return strings, reading, scores[:, -1]

    def _ranked(self, strings: Ints, count: int) -> tuple[Ints, Floats]:
        """The best of some strings (M, 18), reading first, by their whole scores: (N, count, 17) and (N, count)."""
        strings = strings[np.lexsort(strings.T[::-1])]
        strings = strings[np.append(True, (strings[1:] != strings[:-1]).any(1))[: len(strings)]]
        reading, labels = strings[:, 0], strings[:, 1:]
        scores = self.scores(labels, reading)
        order = np.lexsort([-scores, reading])
        reading, labels, scores = reading[order], labels[order], scores[order]
        rank = np.arange(len(reading)) - np.searchsorted(reading, reading)
        kept = rank < count
        best, worth = np.zeros((len(self), count, VIN_LENGTH), np.int64), np.zeros((len(self), count))
        best[reading[kept], rank[kept]], worth[reading[kept], rank[kept]] = labels[kept], scores[kept]
        return best, worth
