"""Which of some hundred thousand parts matter to a reading: bounds first, exact sums only for what is left.

A part's sum is at most its weight times the mean ink of its distributions at each position (`vinscribe.parts`): these
means are looked up, and a family, a branch or a part is dropped as soon as what is multiplied so far is less than the
least that counts. What is dropped is added up, so that whoever asks knows how much may be missing.
"""

import numpy as np
from numpy.typing import NDArray

from vinscribe.pairs import CHECK_LABELS, Pairs
from vinscribe.parts import BRANCH, DESCRIPTOR, MAKER, TAIL, Floats, Ints, Parts, ranges, sums_by
from vinscribe.vin import CHECK_POSITION, PLANT_POSITION, YEAR_POSITION

MOST_FAMILIES, MOST_PARTS = 3000, 300
"""Of each reading, at most: where hardly anything can be read all are alike, and nobody wants to know exactly."""

_FIRST_FAMILIES, _FIRST_PARTS = 2, 3  # of each reading, the heaviest by their bounds


class PartSearch:
    """Looks for the parts that matter to N readings.

    Args:
        ink: float64 (N, 17, 33), at most 1.
        parts: among which.
    """

    def __init__(self, ink: Floats, parts: Parts) -> None:
        self._ink, self._parts = ink, parts
        self._expected = [ink[:, position] @ table for position, table in enumerate(parts.tables)]
        """For each position (N, U): the mean ink of the characters that each distribution in use there has."""
        self._families = np.repeat(parts.family_weights[None], len(ink), 0)
        """(N, F): no family has a larger sum."""
        tails, tail = parts.tails
        worth = np.ones((len(ink), len(tails)))
        for position, column in zip(TAIL, tails.T, strict=True):
            worth *= self._expected[position][:, column]
        self._families *= worth[:, tail]
        for position in (*MAKER, YEAR_POSITION):
            self._families *= self._expected[position][:, parts.family_places[position]]

    def _mean(self, position: int, reading: Ints, place: NDArray[np.integer]) -> Floats:
        """(P,): the mean ink of the distributions at these places of ``Parts.used``."""
        table = self._expected[position]
        found: Floats = table.ravel().take(reading * table.shape[1] + place)
        return found

    def heaviest(self) -> Floats:
        """(N,): a sum of some of the heaviest parts: the total is no less."""
        rows = np.arange(len(self._ink))
        found = []
        bounds = self._families.copy()
        for _ in range(_FIRST_FAMILIES):
            family = bounds.argmax(1)
            bounds[rows, family] = 0
            found.append(family)
        reading, part, _, _ = self._expanded(
            np.repeat(rows, len(found)), np.stack(found, 1).ravel(), np.zeros(len(rows))
        )
        first = np.arange(len(reading)) - np.searchsorted(reading, reading) < _FIRST_PARTS
        sums = Pairs(self._ink, self._parts, reading[first], part[first]).sums
        return sums_by(reading[first], sums, len(rows))

    def candidates(self, pending: Ints, least: Floats) -> tuple[Ints, Ints, Floats, Floats]:
        """The parts of some readings whose sums may be ``least`` (N,), the heaviest `MOST_PARTS` by their bounds.

        Returns:
            Readings and parts (P,), the most (P,) that the sum of each can be, by reading and falling; and the most
            (N,) that all other parts add up to.
        """
        bounds = self._families[pending]
        chosen = bounds >= least[pending, None]
        missing = np.zeros(len(self._ink))
        missing[pending] = (bounds * ~chosen).sum(1)
        row, family = np.nonzero(chosen)
        reading, worth = pending[row], bounds[row, family]
        for position in (*DESCRIPTOR, PLANT_POSITION):
            worth = worth * self._mean(position, reading, self._parts.family_places[position][family])
            kept = worth >= least[reading]
            missing += sums_by(reading[~kept], worth[~kept], len(missing))
            reading, family, worth = reading[kept], family[kept], worth[kept]
        if np.bincount(reading, minlength=1).max() > MOST_FAMILIES:
            order, rest = _heaviest(reading, worth, MOST_FAMILIES)
            missing += sums_by(reading[rest], worth[rest], len(missing))
            reading, family = reading[order], family[order]
        reading, part, most, dropped = self._expanded(reading, family, least)
        return reading, part, most, missing + dropped

    def _expanded(self, reading: Ints, family: Ints, least: Floats) -> tuple[Ints, Ints, Floats, Floats]:
        """The parts of families, as `candidates` returns them."""
        parts = self._parts
        years = self._mean(YEAR_POSITION, reading, parts.family_places[YEAR_POSITION][family])
        same = self._families[reading, family] / (parts.family_weights[family] * np.maximum(years, 1e-300))
        missing = np.zeros(len(least))
        branch, span = ranges(parts.first_branch[family], parts.first_branch[family + 1])
        reading, first = reading[span], parts.first_of_branch[branch]
        same = same[span]
        for position in BRANCH:
            same = same * self._mean(position, reading, parts.places[position][first])
        most = same * parts.branch_weights[branch]
        kept = most >= least[reading]
        missing += sums_by(reading[~kept], most[~kept], len(missing))
        part, span = ranges(first[kept], parts.first_of_branch[branch[kept] + 1])
        most, reading = same[kept][span] * parts.weights[part], reading[kept][span]
        for position in (*DESCRIPTOR[len(BRANCH) :], YEAR_POSITION, PLANT_POSITION):
            most = most * self._mean(position, reading, parts.places[position][part])
            kept = most >= least[reading]
            missing += sums_by(reading[~kept], most[~kept], len(missing))
            reading, part, most = reading[kept], part[kept], most[kept]
        free = self._mean(CHECK_POSITION, reading, parts.places[CHECK_POSITION][part])
        rates = parts.check_rates[part]
        checks = self._ink[:, CHECK_POSITION, CHECK_LABELS].max(1)[reading]
        most = most * ((1 - rates) * free + rates * checks)
        order, rest = _heaviest(reading, most, MOST_PARTS)
        missing += sums_by(reading[rest], most[rest], len(missing))
        return reading[order], part[order], most[order], missing


def _heaviest(reading: Ints, worth: Floats, count: int) -> tuple[Ints, Ints]:
    """Of each reading the heaviest, so many at most, by reading and falling; and all others."""
    # One key instead of two: no logarithm of what is worth anything comes near a thousand.
    order = np.argsort(reading * 1e4 - np.log(np.maximum(worth, 1e-300)))
    ordered = reading[order]
    first = np.arange(len(order)) - np.searchsorted(ordered, ordered) < count
    return order[first], order[~first]
