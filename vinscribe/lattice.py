"""All 33**17 strings of N readings at once: the sum of their scores, the best ones, and what single characters weigh.

The score of a string is the product of its ink, of what its maker's code and positions are worth, and of

    (1 - rate) * free(c) + rate * [c is the check digit of the other sixteen]

for the character c at position 9 (see `vinscribe.priors`). A check digit hangs on the other characters by the remainder
of a weighted sum modulo 11 alone, so that dynamic programming over positions and remainders gives exact answers.

Scores are relative: each position's ink is scaled to a largest value of 1, so that nothing underflows.

Source: 49 CFR 565.15 (check digit); L. Rabiner, "A tutorial on hidden Markov models", 1989 (sums forward and backward).
"""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vinscribe.charset import NUM_CLASSES, label_of
from vinscribe.priors import Priors
from vinscribe.vin import CHECK_CHARS, CHECK_POSITION, VALUES, VIN_LENGTH, WEIGHTS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_NUM_REMAINDERS = 11
_REMAINDERS = VALUES * WEIGHTS[:, np.newaxis] % _NUM_REMAINDERS
"""(17, 33): what each character adds to the remainder at each position."""

_CODE_REMAINDERS = (_REMAINDERS[0][:, None, None] + _REMAINDERS[1][:, None] + _REMAINDERS[2]).ravel() % _NUM_REMAINDERS
"""(35937,): what each maker's code, the first three characters, adds."""

_BY_FIRST = (_REMAINDERS[0][:, None] + np.arange(_NUM_REMAINDERS)) % _NUM_REMAINDERS
"""(33, 11): a code's remainder, by its first character and what the next two add."""

_PAIR_ONE_HOT = np.eye(_NUM_REMAINDERS)[((_REMAINDERS[1][:, None] + _REMAINDERS[2]) % _NUM_REMAINDERS).ravel()]
"""(1089, 11): what the second and third character add."""

_BACK = [position for position in range(3, VIN_LENGTH) if position != CHECK_POSITION]
_ONE_HOT = np.eye(_NUM_REMAINDERS)[_REMAINDERS[_BACK]]  # (13, 33, 11)
_SUM = (np.arange(_NUM_REMAINDERS)[:, None] + np.arange(_NUM_REMAINDERS)) % _NUM_REMAINDERS
_DIFFERENCE = (np.arange(_NUM_REMAINDERS)[:, None] - np.arange(_NUM_REMAINDERS)) % _NUM_REMAINDERS
_IS_CHECK = np.zeros((NUM_CLASSES, _NUM_REMAINDERS))
_IS_CHECK[[label_of(char) for char in CHECK_CHARS], np.arange(_NUM_REMAINDERS)] = 1


class Lattice:
    """The strings of N readings.

    Args:
        ink: float64 (N, 17, 33), greater than 0: how well each character fits the ink of each cell.
        priors: what is likely before the ink is seen.
    """

    def __init__(self, ink: Floats, priors: Priors) -> None:
        factors = ink * priors.positions
        largest = factors.max(2, keepdims=True)
        self.factors = factors / largest
        """float64 (N, 17, 33), at most 1: what each character is worth at each position, by itself."""
        self.log_scale = np.log(largest).sum((1, 2))
        """float64 (N,): the logarithm of what scores would have to be multiplied by to be absolute."""
        self._priors = priors
        # Maker's codes are grouped by who writes a check digit how often, and by remainder.
        self._num_groups = len(priors.check_rates)
        rates = priors.check_rates[:, None, None]
        # (G, 33, 11): what the character at position 9 is worth to a group, given the others' remainder.
        self._check = (1 - rates) * priors.free_check[:, None] + rates * _IS_CHECK

    def __len__(self) -> int:
        return len(self.factors)

    @property
    def most_beside_factors(self) -> float:
        """The most that a string's score can be worth beside the product of its ``factors``."""
        return float(self._priors.wmi.max() * self._check.max())

    # Sums

    @cached_property
    def total(self) -> Floats:
        """(N,): the sum of the scores of all strings."""
        total: Floats = self._code_masses.sum(1)
        return total

    @cached_property
    def _codes(self) -> Floats:
        """(N, 35937): what each maker's code is worth."""
        first, second, third = (self.factors[:, position] for position in range(3))
        pairs = first[:, :, None] * second[:, None]
        codes: Floats = pairs[..., None] * third[:, None, None]
        codes *= self._priors.wmi
        return codes.reshape(-1, NUM_CLASSES**3)

    @cached_property
    def _leaves(self) -> Floats:
        """(13, N, 11): the characters' worth at each position behind the code, summed up by remainder."""
        leaves: Floats = np.matmul(self.factors[:, _BACK].transpose(1, 0, 2), _ONE_HOT)
        return leaves

    @cached_property
    def _prefixes(self) -> list[Floats]:
        """14 times (N, 11): sums over the strings of the first 0, 1, … 13 of these positions, by remainder."""
        empty = np.zeros((len(self), _NUM_REMAINDERS))
        empty[:, 0] = 1
        prefixes = [empty]
        for leaf in self._leaves:
            prefixes.append(np.einsum("ns,nrs->nr", prefixes[-1], leaf[:, _DIFFERENCE]))
        return prefixes

    @cached_property
    def _check_sums(self) -> Floats:
        """(N, G, 11): sums over position 9, by group and by the others' remainder."""
        sums: Floats = np.einsum("nc,gcr->ngr", self.factors[:, CHECK_POSITION], self._check)
        return sums

    @cached_property
    def _code_masses(self) -> Floats:
        """(N, 35937): the sum over all strings that begin with each maker's code."""
        masses = self._by_code(np.einsum("ns,ngrs->ngr", self._prefixes[-1], self._check_sums[..., _SUM]))
        masses *= self._codes
        return masses

    def _by_code(self, values: Floats) -> Floats:
        """(N, G, 11) -> (N, 35937): the value of each code's group and remainder."""
        by_first = values[:, self._priors.group[:, None], _BY_FIRST]  # (N, 33, 11), by what the next two add
        # A product with ones and zeros is the fastest way to look up so many numbers.
        spread: Floats = (by_first.reshape(-1, _NUM_REMAINDERS) @ _PAIR_ONE_HOT.T).reshape(-1, NUM_CLASSES**3)
        return spread

    def marginals(self, labels: Ints) -> Floats:
        """(N, 17): the share of the total that belongs to strings with these characters (N, 17) at their positions."""
        codes = self._code_masses.reshape(-1, NUM_CLASSES, NUM_CLASSES, NUM_CLASSES)
        rows = np.arange(len(self))
        sums = np.empty((len(self), VIN_LENGTH))
        for position in range(3):
            axes = tuple(axis + 1 for axis in range(3) if axis != position)
            sums[:, position] = codes.sum(axes)[rows, labels[:, position]]
        by_group = self._code_sums
        sums[:, CHECK_POSITION] = self._check_marginal(by_group, labels[:, CHECK_POSITION])
        # What the remainder behind the code is worth, then backward from position to position.
        worth = np.einsum("ngs,ngrs->nr", by_group, self._check_sums[..., _SUM])
        for i in reversed(range(len(_BACK))):
            after = worth[:, _SUM]  # [n, before, added]
            leaf_worth = np.einsum("np,npx->nx", self._prefixes[i], after)
            chosen = labels[:, _BACK[i]]
            added = _REMAINDERS[_BACK[i]][chosen]
            sums[:, _BACK[i]] = self.factors[rows, _BACK[i], chosen] * leaf_worth[rows, added]
            worth = np.einsum("nx,npx->np", self._leaves[i], after)
        return sums / self.total[:, None]

    @cached_property
    def _code_sums(self) -> Floats:
        """(N, G, 11): sums over the maker's codes, by group and remainder."""
        by_first = (self._codes.reshape(-1, NUM_CLASSES**2) @ _PAIR_ONE_HOT).reshape(-1, NUM_CLASSES, _NUM_REMAINDERS)
        sums = np.zeros((len(self), self._num_groups, _NUM_REMAINDERS))
        for first, group in enumerate(self._priors.group):
            sums[:, group, _BY_FIRST[first]] += by_first[:, first]
        return sums

    def _check_marginal(self, by_group: Floats, labels: Ints) -> Floats:
        """(N,): the sum over the strings with these characters (N,) at position 9."""
        others = np.einsum("ngs,nrs->ngr", by_group, self._prefixes[-1][:, _DIFFERENCE])
        worth = self._check[:, labels].transpose(1, 0, 2)  # (N, G, 11)
        marginal: Floats = (
            np.einsum("ngr,ngr->n", others, worth) * self.factors[np.arange(len(self)), CHECK_POSITION, labels]
        )
        return marginal

    # Single strings

    def scores(self, labels: Ints, rows: Ints | None = None) -> Floats:
        """(M,): the scores of strings (M, 17) of the readings ``rows`` (M,), or of one string each."""
        rows = np.arange(len(self)) if rows is None else rows
        ink = self.factors[rows[:, None], np.arange(VIN_LENGTH), labels].prod(1)
        code = self._priors.wmi[labels[:, 0], labels[:, 1], labels[:, 2]]
        remainders = _REMAINDERS[np.arange(VIN_LENGTH), labels].sum(1) % _NUM_REMAINDERS
        check = self._check[self._priors.group[labels[:, 0]], labels[:, CHECK_POSITION], remainders]
        scores: Floats = ink * code * check
        return scores

    def best(self, count: int, allowed: NDArray[np.bool_]) -> tuple[Ints, Floats]:
        """The best strings: labels (N, count, 17) and their scores (N, count), falling.

        Args:
            count: how many.
            allowed: (N, 17, 33): the characters that may stand at each position, at least one each. A string with
                another one scores 0.
        """
        factors = self.factors * allowed
        back, back_scores = _best_back(factors, count)
        check = factors[:, CHECK_POSITION, None, :, None] * self._check  # (N, G, 33, 11)
        # A code with its best completion: no code beyond the best ``count`` is part of one of the best strings.
        ends = np.max(back_scores[:, None, None, :, 0] * check.max(2)[..., _SUM], axis=3)  # (N, G, 11)
        usable = [allowed[:, position] for position in range(3)]
        codes = self._by_code(ends)
        codes *= self._codes
        blocks = codes.reshape(-1, NUM_CLASSES, NUM_CLASSES, NUM_CLASSES)
        blocks *= usable[0][:, :, None, None] & usable[1][:, None, :, None] & usable[2][:, None, None]
        chosen, _ = _largest(codes, count)  # (N, count)
        return self._completed(chosen, back, back_scores, check, count)

    def _completed(
        self, codes: Ints, back: Ints, back_scores: Floats, check: Floats, count: int
    ) -> tuple[Ints, Floats]:
        """The best strings that begin with one of these codes (N, K)."""
        rows = np.arange(len(self))[:, None]
        groups, code_remainders = self._priors.group[codes // NUM_CLASSES**2], _CODE_REMAINDERS[codes]
        remainders = _SUM[code_remainders]  # (N, K, 11): of the sixteen, by the back's remainder
        ends = check[rows[:, :, None], groups[:, :, None], :, remainders]  # (N, K, 11, 33)
        heads = self._codes[rows, codes][:, :, None, None, None]
        scores = heads * back_scores[:, None, :, :, None] * ends[:, :, :, None]
        shape = scores.shape[1:]  # codes, remainders, backs, characters at position 9
        flat, best = _largest(scores.reshape(len(self), np.prod(shape)), count)
        code, remainder, rank, last = np.unravel_index(flat, shape)
        labels = np.empty((len(self), count, VIN_LENGTH), np.int64)
        labels[..., 0], labels[..., 1], labels[..., 2] = np.unravel_index(codes[rows, code], (NUM_CLASSES,) * 3)
        labels[..., CHECK_POSITION] = last
        labels[..., _BACK] = back[rows, remainder, rank]
        return labels, best


def _best_back(factors: Floats, count: int) -> tuple[Ints, Floats]:
    """The best strings behind the code, by remainder: labels (N, 11, count, 13), scores (N, 11, count), falling."""
    num = len(factors)
    labels = np.zeros((num, _NUM_REMAINDERS, count, len(_BACK)), np.int64)
    scores = np.zeros((num, _NUM_REMAINDERS, count))
    scores[:, 0, 0] = 1
    for i, position in enumerate(_BACK):
        # [n, r, c, k]: character c behind the k-th best string whose remainder it completes to r.
        before = (np.arange(_NUM_REMAINDERS)[:, None] - _REMAINDERS[position]) % _NUM_REMAINDERS  # (11, 33)
        extended = scores[:, before] * factors[:, None, position, :, None]
        chosen, scores = _largest(extended.reshape(num, _NUM_REMAINDERS, NUM_CLASSES * count), count)
        char, rank = np.divmod(chosen, count)
        remainder = before[np.arange(_NUM_REMAINDERS)[:, None], char]
        labels = labels[np.arange(num)[:, None, None], remainder, rank]
        labels[..., i] = char
    return labels, scores


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
