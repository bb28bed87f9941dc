"""Exact sums and best strings of single parts: P pairs of a reading and a part, over all 33**17 strings.

A part is a product over positions but for the check digit, which hangs on the other sixteen characters by the remainder
of a weighted sum modulo 11 alone. Sums of remainders are convolutions, and those are products of discrete Fourier
transforms of length 11, exact to the rounding of the largest of the eleven; the best strings are found by dynamic
programming over positions and remainders.

Source: 49 CFR 565.15 (check digit); L. Rabiner, "A tutorial on hidden Markov models", 1989 (sums forward and backward).
"""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vinscribe.charset import label_of
from vinscribe.parts import Floats, Ints, Parts
from vinscribe.vin import CHECK_CHARS, CHECK_POSITION, VALUES, VIN_LENGTH, WEIGHTS

CHECK_LABELS = np.array([label_of(char) for char in CHECK_CHARS])
"""(11,): remainder -> class label of the check digit."""

OTHERS = tuple(position for position in range(VIN_LENGTH) if position != CHECK_POSITION)
"""Positions, counted from 0, of the other characters."""

_NUM_REMAINDERS = len(CHECK_CHARS)
_REMAINDERS = VALUES * WEIGHTS[:, np.newaxis] % _NUM_REMAINDERS
"""(17, 33): what each character adds to the remainder at each position."""

_FREQUENCIES = np.arange(_NUM_REMAINDERS // 2 + 1)  # the others are conjugates of these
_TURN = 2j * np.pi / _NUM_REMAINDERS
_PHASES = np.exp(-_TURN * _REMAINDERS[:, :, None] * _FREQUENCIES)  # (17, 33, 6)
_PHASES_REAL = np.concatenate([_PHASES.real, _PHASES.imag], 2)
_BACK = np.exp(_TURN * np.arange(_NUM_REMAINDERS)[:, None] * _FREQUENCIES) * np.where(_FREQUENCIES, 2, 1) / 11
"""(11, 6): the real part of its product with a transform is what was transformed."""


class Pairs:
    """P pairs of a reading and a part.

    Args:
        ink: float64 (N, 17, 33), at least 0: how well each character fits the ink.
        parts: what is likely before the ink is seen.
        reading: int64 (P,), rows of ``ink``.
        part: int64 (P,), which part.
    """

    def __init__(self, ink: Floats, parts: Parts, reading: Ints, part: Ints) -> None:
        own = ink[reading]
        self._factors = parts.shares[parts.rows[part]] * own
        """(P, 17, 33): what each character is worth at each position; at position 9, where it is no check digit."""
        self._rates = parts.check_rates[part][:, None]
        self._weights = parts.weights[part]
        self._check_ink = own[:, CHECK_POSITION]
        free = (1 - self._rates) * self._factors[:, CHECK_POSITION].sum(1, keepdims=True)
        self._ends = self._weights[:, None] * (free + self._rates * self._check_ink[:, CHECK_LABELS])
        """(P, 11): what position 9 is worth, given the others' remainder."""

    @cached_property
    def _transforms(self) -> NDArray[np.complex128]:
        """(17, P, 6): of what the characters of a position are worth, by remainder."""
        real = np.matmul(self._factors.transpose(1, 0, 2), _PHASES_REAL)
        transforms: NDArray[np.complex128] = real[..., : len(_FREQUENCIES)] + 1j * real[..., len(_FREQUENCIES) :]
        transforms[CHECK_POSITION] = 1
        return transforms

    @cached_property
    def _masses(self) -> Floats:
        """(P, 11): the sum over all strings of sixteen characters, by their remainder."""
        product = self._transforms.prod(0)
        masses: Floats = product.real @ _BACK.real.T - product.imag @ _BACK.imag.T
        return np.maximum(masses, 0)

    @property
    def sums(self) -> Floats:
        """(P,): the sum of all strings' scores."""
        sums: Floats = (self._masses * self._ends).sum(1)
        return sums

    def marginals(self, labels: Ints) -> Floats:
        """(P, 17): the sums over the strings with each of these characters (P, 17) at its position."""
        before = np.cumprod(self._transforms, 0)
        after = np.cumprod(self._transforms[::-1], 0)[::-1]
        ends = self._ends @ _BACK
        sums = np.empty((len(labels), VIN_LENGTH))
        rows = np.arange(len(labels))
        for position in OTHERS:
            chosen = labels[:, position]
            product = ends * (self._factors[rows, position, chosen][:, None] * _PHASES[position, chosen])
            if position > 0:
                product = product * before[position - 1]
            if position < VIN_LENGTH - 1:
                product = product * after[position + 1]
            sums[:, position] = np.maximum(product.real.sum(1), 0)
        chosen, rates = labels[:, CHECK_POSITION], self._rates[:, 0]
        free = (1 - rates) * self._factors[rows, CHECK_POSITION, chosen] * self._masses.sum(1)
        fitting = (self._masses * (chosen[:, None] == CHECK_LABELS)).sum(1)
        sums[:, CHECK_POSITION] = self._weights * (free + rates * self._check_ink[rows, chosen] * fitting)
        return sums

    def best(self, count: int) -> tuple[Ints, Floats]:
        """The best strings of each: labels (P, count, 17) and their scores (P, count), falling."""
        num = len(self._factors)
        labels = np.zeros((num, _NUM_REMAINDERS, count, VIN_LENGTH), np.uint8)
        scores = np.zeros((num, _NUM_REMAINDERS, count))
        scores[:, 0, 0] = self._weights
        for position in OTHERS:
            # [p, r, c, k]: character c behind the k-th best string whose remainder it completes to r.
            possible = (self._factors[:, position] > 0).any(0)
            possible[0] = True  # if there is none at all, strings of it score 0
            chars = np.flatnonzero(possible)
            before = (np.arange(_NUM_REMAINDERS)[:, None] - _REMAINDERS[position, chars]) % _NUM_REMAINDERS
            extended = scores[:, before] * self._factors[:, None, position, chars, None]
            chosen, scores = _largest(extended.reshape(num, _NUM_REMAINDERS, len(chars) * count), count)
            char, rank = np.divmod(chosen, count)
            remainder = before[np.arange(_NUM_REMAINDERS)[:, None], char]
            labels = labels[np.arange(num)[:, None, None], remainder, rank]
            labels[..., position] = chars[char]
        # (P, 11, 33): what each character is worth at position 9
        ends = np.repeat((1 - self._rates)[..., None] * self._factors[:, None, CHECK_POSITION], _NUM_REMAINDERS, 1)
        ends[:, np.arange(_NUM_REMAINDERS), CHECK_LABELS] += self._rates * self._check_ink[:, CHECK_LABELS]
        whole = scores[..., None] * ends[:, :, None]
        shape = whole.shape[1:]
        flat, found = _largest(whole.reshape(num, np.prod(shape)), count)
        remainder, rank, char = np.unravel_index(flat, shape)
        best = labels[np.arange(num)[:, None], remainder, rank].astype(np.int64)
        best[..., CHECK_POSITION] = char
        return best, found


def _largest(values: Floats, count: int) -> tuple[Ints, Floats]:
    """Where the largest values of the last axis are, and what they are, falling; ``values`` is spoilt."""
    flat = values.reshape(-1, values.shape[-1])
    rows = np.arange(len(flat))
    where = np.empty((count, len(flat)), np.int64)
    largest = np.empty(where.shape)
    for rank in range(count):  # faster than a partial sort for the few that are wanted
        where[rank] = flat.argmax(1)
        largest[rank] = flat[rows, where[rank]]
        flat[rows, where[rank]] = -1.0
    shape = (*values.shape[:-1], count)
    return where.T.reshape(shape), largest.T.reshape(shape)
