"""Two ways to make up a VIN, weighed against each other: with a descriptor of its own, or with fillers in its place.

Some European makers (the Volkswagen group above all) have nothing to say in positions 4 to 6 and write ZZZ there,
mostly with another Z at position 9. These go together, so that a `vinscribe.lattice.Lattice` alone, which knows
positions one by one, cannot say it: a `Mixture` is two of them on a common scale, with the same sums and best strings.
"""

from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vinscribe.charset import NUM_CLASSES, label_of
from vinscribe.lattice import Floats, Ints, Lattice
from vinscribe.priors import Priors
from vinscribe.vin import VIN_LENGTH

FILLER = label_of("Z")
FILLED = (3, 4, 5)
"""Positions, counted from 0, that are filled."""

_EVEN_ROWS = 4  # of the priors' positions say nothing and are 1 / 33: a maker's code, a check digit

_NEGLIGIBLE = 1e-10
"""Ink of the three fillers, against the best characters there, below which nobody wrote them."""


class Mixture:
    """The strings of N readings, with and without fillers.

    Args:
        ink: float64 (N, 17, 33), at least 0: how well each character fits the ink of each cell.
        priors: what is likely before the ink is seen.
    """

    def __init__(self, ink: Floats, priors: Priors) -> None:
        shares = priors.filler_rates[priors.group][:, None, None]
        self._own = Lattice(ink, replace(priors, wmi=priors.wmi * (1 - shares)))
        fits = (ink[:, FILLED, FILLER] / ink[:, FILLED].max(2)).prod(1)
        self._rows = np.flatnonzero((fits > _NEGLIGIBLE) & bool(priors.filler_rates.any()))
        positions = priors.positions.copy()
        positions[FILLED, :] = np.arange(NUM_CLASSES) == FILLER
        filled = replace(
            priors,
            wmi=priors.wmi * shares,
            positions=positions,
            free_check=priors.filled_check,
            check_rates=np.zeros_like(priors.check_rates),  # whoever fills writes no check digit
        )
        self._filled = Lattice(ink[self._rows], filled)
        self._scale = np.exp(self._filled.log_scale - self._own.log_scale[self._rows])
        self.log_scale = self._own.log_scale + _EVEN_ROWS * np.log(NUM_CLASSES)
        """float64 (N,): added to the logarithm of a score, it makes the score absolute: a probability of the string,
        times its ink."""

    @cached_property
    def total(self) -> Floats:
        """(N,): the sum of the scores of all strings."""
        total = self._own.total.copy()
        total[self._rows] += self._scale * self._filled.total
        return total

    def marginals(self, labels: Ints) -> Floats:
        """(N, 17): the share of the total that belongs to strings with these characters (N, 17) at their positions."""
        sums = self._own.marginals(labels) * self._own.total[:, None]
        filled = self._filled.marginals(labels[self._rows])
        sums[self._rows] += filled * (self._scale * self._filled.total)[:, None]
        marginals: Floats = sums / self.total[:, None]
        return marginals

    def scores(self, labels: Ints, rows: Ints) -> Floats:
        """(M,): the scores of strings (M, 17) of the readings ``rows`` (M,)."""
        scores = self._own.scores(labels, rows)
        place = np.searchsorted(self._rows, rows)
        both = np.flatnonzero(np.isin(rows, self._rows))
        scores[both] += self._scale[place[both]] * self._filled.scores(labels[both], place[both])
        return scores

    def best(self, count: int, allowed: NDArray[np.bool_]) -> tuple[Ints, Floats]:
        """The best strings of either kind: labels (N, count, 17) and their scores (N, count), falling.

        Args:
            count: how many.
            allowed: (N, 17, 33): the characters that may stand at each position.
        """
        labels, scores = self._own.best(count, allowed)
        if not len(self._rows):
            return labels, scores
        more, _ = self._filled.best(count, allowed[self._rows])
        both = np.concatenate([labels[self._rows], more], 1)
        usable = np.take_along_axis(allowed[self._rows][:, None], both[..., None], 3)[..., 0].all(2)
        worth = self.scores(both.reshape(-1, VIN_LENGTH), np.repeat(self._rows, 2 * count)).reshape(-1, 2 * count)
        twice = (both[:, count:, None] == both[:, None, :count]).all(3).any(2)
        worth[:, count:][twice] = 0
        order = np.argsort(-worth * usable, axis=1, kind="stable")[:, :count]
        labels[self._rows] = np.take_along_axis(both, order[..., None], 1)
        scores[self._rows] = np.take_along_axis(worth * usable, order, 1)
        return labels, scores

    def bounds(self, row: int) -> tuple[Floats, float]:
        """Factors (17, 33) whose product, times the number, no score of a string of this reading surpasses."""
        factors, most = self._own.factors[row], self._own.most_beside_factors
        place = int(np.searchsorted(self._rows, row))
        if place < len(self._rows) and self._rows[place] == row:
            factors = np.maximum(factors, self._filled.factors[place])
            most += float(self._scale[place]) * self._filled.most_beside_factors
        return factors, most
