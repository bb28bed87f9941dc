"""What an office's own register teaches: which makers, descriptors, years, plants and check digits are usual *there*.

Counts with back-off, never memory. Of a VIN by a maker in the register, positions 4 to 8 are one of those that were
counted, or else like them character by character, or else what the market's belief says of this maker; of any other
maker only that belief is asked. How much is left for what was not seen follows from how often something was seen for
the first time (Witten and Bell); some is always left, so that no register makes another fleet unreadable.

Source: I. Witten, T. Bell, "The zero-frequency problem", IEEE Transactions on Information Theory 37 (1991).
"""

import numpy as np
from numpy.typing import NDArray

from vinscribe.beliefs import Draft
from vinscribe.charset import NUM_CLASSES, label_of
from vinscribe.parts import DESCRIPTOR, Floats, Ints, sums_by
from vinscribe.priors import digits
from vinscribe.register import Register
from vinscribe.vin import CHECK_POSITION, PLANT_POSITION, VIN_LENGTH, YEAR_CODES, YEAR_POSITION

MOST_SEEN = 0.95
"""Share of the VINs, at most, that are taken to be by makers of the register."""

LIKE_SEEN = 0.4
"""Of a maker's VINs whose positions 4 to 8 were never seen, the share like those seen, character by character."""

_YEAR_KERNEL = {0: 0.6, 1: 0.13, 2: 0.04}  # of a model's years: the same, one off, two off, either way
_MAKER_YEARS, _ANY_YEAR = 0.05, 0.01  # the maker's other years; any
_PLANT_STRENGTH, _FLOOR_STRENGTH = 2.0, 0.5  # as many VINs weigh what is one step more general
_CHECK_STRENGTH = 6.0  # likewise: how often others write a check digit
_CHANCE = 0.1  # VINs without one for each that has it by chance
_LEAST_RATE = 0.005


def with_register(draft: Draft, register: Register) -> None:
    """Teaches the parts of a market what a register says."""
    if not len(register):
        return
    heads, counts = register.heads.astype(np.int64), register.counts.astype(np.float64)
    codes = _number(heads[:, :3])
    makers, maker = np.unique(codes, return_inverse=True)
    per_maker = sums_by(maker, counts, len(makers))
    descriptors, of_head = np.unique(heads[:, :8], axis=0, return_inverse=True)
    of_head = of_head.reshape(-1)
    per_descriptor = sums_by(of_head, counts, len(descriptors))
    owner = np.searchsorted(makers, _number(descriptors[:, :3]))
    kinds = np.bincount(owner, minlength=len(makers))
    total = counts.sum()
    seen = min(MOST_SEEN, total / (total + len(makers)))
    known = per_maker / (per_maker + kinds)  # share of a maker's VINs whose descriptor was seen
    share = seen * per_maker / total
    base, rates = _base(draft, makers)
    rates = _check_rates(rates, sums_by(maker, register.valid.astype(np.float64), len(makers)), per_maker)
    like = np.where(base > 0, LIKE_SEEN, 1.0)
    factors = np.where(base > 0, 1 - seen + share * (1 - known) * (1 - like) / np.maximum(base, 1e-300), 1 - seen)
    _weigh_base(draft, makers, factors, 1 - seen, rates, per_maker)
    years = _year_rows(heads[:, 8], counts, of_head, maker, owner, len(makers))
    plants = _plant_rows(heads[:, 9], counts, of_head, maker, owner, len(makers))
    rows = _rows(draft, descriptors, draft.table(years[0]), draft.table(plants[0]))
    draft.add(rows, (share * known)[owner] * per_descriptor / per_maker[owner], rates[owner])
    first = np.searchsorted(owner, np.arange(len(makers)))  # any of the maker's, for its code
    rows = _rows(draft, descriptors[first], draft.table(years[1]), draft.table(plants[1]))
    for position in DESCRIPTOR:
        own = _counted(heads[:, position], counts, maker, len(makers)) + _FLOOR_STRENGTH / NUM_CLASSES
        rows[:, position] = draft.table(own / own.sum(1, keepdims=True))
    draft.add(rows, share * (1 - known) * like, rates)


def _number(codes: NDArray[np.integer]) -> Ints:
    """Makers' codes (K, 3) as numbers (K,)."""
    own = codes.astype(np.int64)
    return (own[:, 0] * NUM_CLASSES + own[:, 1]) * NUM_CLASSES + own[:, 2]


def _base(draft: Draft, makers: Ints) -> tuple[Floats, Floats]:
    """Of each maker (K,) the weight of its parts so far, and how often they write a check digit."""
    weights, rates = np.zeros(len(makers)), np.zeros(len(makers))
    for rows, own, check in draft.blocks:
        found, place = _found(rows, makers)
        weights += sums_by(place, own[found], len(makers))
        rates += sums_by(place, (own * check)[found], len(makers))
    return weights, np.where(weights > 0, rates / np.maximum(weights, 1e-300), 0.5)


def _found(rows: NDArray[np.int32], makers: Ints) -> tuple[Ints, Ints]:
    """The parts (Q, 17) that are of one of these makers, and of which."""
    heads = rows[:, :3]
    single = np.flatnonzero((heads < NUM_CLASSES).all(1))
    codes = _number(heads[single])
    place = np.searchsorted(makers, codes).clip(max=len(makers) - 1)
    hit = makers[place] == codes
    return single[hit], place[hit]


def _weigh_base(draft: Draft, makers: Ints, factors: Floats, others: float, rates: Floats, counts: Floats) -> None:
    """Multiplies the parts so far: those of the register's makers by theirs, all others by one factor."""
    for number, (rows, weights, check) in enumerate(draft.blocks):
        found, place = _found(rows, makers)
        weights, check = weights * others, check.copy()
        weights[found] *= factors[place] / others
        trust = counts[place] / (counts[place] + _CHECK_STRENGTH)
        check[found] = trust * rates[place] + (1 - trust) * check[found]
        draft.blocks[number] = (rows, weights, check)


def _check_rates(usual: Floats, valid: Floats, counts: Floats) -> Floats:
    """(K,): how often makers write a check digit, by how many of their VINs have a fitting one."""
    written = np.maximum(valid - _CHANCE * (counts - valid), 0)
    rates = (written + _CHECK_STRENGTH * usual) / (counts + _CHECK_STRENGTH)
    return np.clip(rates, _LEAST_RATE, 1 - _LEAST_RATE)


def _counted(labels: Ints, counts: Floats, group: Ints, num: int) -> Floats:
    """(num, 33): how often each character came in each group."""
    return sums_by(group * NUM_CLASSES + labels, counts, num * NUM_CLASSES).reshape(num, NUM_CLASSES)


def _year_rows(
    labels: Ints, counts: Floats, of_head: Ints, maker: Ints, owner: Ints, num: int
) -> tuple[Floats, Floats]:
    """Distributions of the year: (D, 33) of each descriptor, (K, 33) of each maker."""
    kernel = _MAKER_YEARS / NUM_CLASSES * np.eye(NUM_CLASSES)
    codes = [label_of(char) for char in YEAR_CODES]
    for off, share in _YEAR_KERNEL.items():
        for step in {off, -off}:
            kernel[codes, np.roll(codes, step)] += share
    others = [label for label in range(NUM_CLASSES) if label not in codes]
    kernel[others, others] += 1  # 0 where a maker writes no year
    of_maker = _shares(_counted(labels, counts, maker, num) @ kernel) * (1 - _ANY_YEAR) + _ANY_YEAR / NUM_CLASSES
    of_model = _shares(_counted(labels, counts, of_head, len(owner)) @ kernel)
    return (1 - _MAKER_YEARS) * of_model + _MAKER_YEARS * of_maker[owner], of_maker


def _plant_rows(
    labels: Ints, counts: Floats, of_head: Ints, maker: Ints, owner: Ints, num: int
) -> tuple[Floats, Floats]:
    """The same of the plant."""
    usual = digits(0.4)
    of_maker = _shares(_counted(labels, counts, maker, num) + _FLOOR_STRENGTH * usual)
    return _shares(_counted(labels, counts, of_head, len(owner)) + _PLANT_STRENGTH * of_maker[owner]), of_maker


def _shares(values: Floats) -> Floats:
    shares: Floats = values / values.sum(1, keepdims=True)
    return shares


def _rows(draft: Draft, descriptors: Ints, years: Ints, plants: Ints) -> Ints:
    """(D, 17): rows of makers' codes and descriptors (D, 8), with what is usual behind them."""
    rows = np.tile(draft.usual, (len(descriptors), 1))
    rows[:, :CHECK_POSITION] = descriptors
    rows[:, YEAR_POSITION], rows[:, PLANT_POSITION] = years, plants
    assert rows.shape[1] == VIN_LENGTH  # noqa: S101
    return rows
