"""Beliefs about a market, as parts of a mixture: what `vinscribe.priors` estimates, and what is known of vehicles.

From the particular to the general, the parts are what makers' schemas list, what is like it, what the same makers
export, and what is usual in a region; an office's register comes before all of these (`vinscribe.habits`).
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vinscribe.charset import NUM_CLASSES, label_of
from vinscribe.errors import UsageError
from vinscribe.knowledge import Knowledge
from vinscribe.parts import Floats, Ints, Parts, distinct, members, ranges
from vinscribe.priors import (
    FILLED,
    FILLER_SHARE_OF_FILLED,
    FIRST_YEAR,
    HABITS,
    LAST_YEAR,
    LISTED_CHECK_RATE,
    MAKER_FLOOR,
    MAKER_POWER,
    MARKETS,
    NAMED_PLANTS,
    OLD_SHARE,
    OLD_YEAR,
    OUTSIDE,
    REQUIRED,
    SCHEMA_POWER,
    SMALL_MAKERS,
    UNKNOWN_WMI,
    UNLISTED_MODELS,
    YEAR_CYCLE,
    Group,
    maker_counts,
    only,
    position_9,
    usual_shares,
)
from vinscribe.vin import CHECK_POSITION, PLANT_POSITION, YEAR_CODES, YEAR_POSITION, known_wmis

if TYPE_CHECKING:
    from vinscribe.register import Register


@lru_cache(4)
def market_parts(
    market: str, knowledge: Knowledge, register: "Register | None" = None, check_digit: bool = True
) -> Parts:
    """The belief about a market, a name of ``MARKETS``; without ``check_digit`` nobody is taken to write one.

    Raises:
        UsageError: no such market.
    """
    if market not in MARKETS:
        raise UsageError(f"no market {market!r}; there are {', '.join(MARKETS)}")
    draft = draft_of(MARKETS[market], knowledge)
    if register is not None:
        from vinscribe.habits import with_register  # only where there is one

        with_register(draft, register)
    parts = draft.parts()
    if check_digit:
        return parts
    return Parts(parts.shares, parts.rows, parts.weights, np.zeros(len(parts)))


class Draft:
    """Parts in the making: blocks of them, over one growing table of distributions.

    The first 33 distributions are the single characters.
    """

    def __init__(self) -> None:
        self._tables: list[Floats] = [np.eye(NUM_CLASSES)]
        self._size = NUM_CLASSES
        self.blocks: list[tuple[NDArray[np.int32], Floats, Floats]] = []
        """Rows (Q, 17), weights (Q,), check rates (Q,) of each."""
        self.usual = self.table(usual_shares())
        """(17,): rows of what is usual at each position; of the first three, anything."""

    def table(self, shares: Floats) -> Ints:
        """Adds distributions (K, 33): their rows (K,)."""
        found, place = distinct(shares)
        self._tables.append(found)
        self._size += len(found)
        return place + (self._size - len(found))

    def row(self, shares: Floats) -> int:
        """Adds one distribution (33,): its row."""
        return int(self.table(shares[None])[0])

    def add(self, rows: NDArray[np.integer], weights: Floats, check_rates: Floats | float) -> None:
        """Adds parts."""
        self.blocks.append(
            (rows.astype(np.int32), weights, np.broadcast_to(np.asarray(check_rates, np.float64), weights.shape))
        )

    def parts(self) -> Parts:
        """What was added."""
        rows, weights, rates = (np.concatenate(arrays) for arrays in zip(*self.blocks, strict=True))
        return Parts.of(np.concatenate(self._tables), rows, weights, rates)


@dataclass(frozen=True, eq=False)
class Makers:
    """Makers that are known, with their shares.

    Attributes:
        codes: int64 (M, 6), class labels; -1 where a code is shorter.
        group: int64 (M,), number of the market's group.
        weights: float64 (M,), share of all VINs.
        listed: float64 (M,), share of a maker's VINs that are as its schemas say; 0 without a schema. A small maker's
            are all: nobody knows what it exports.
        check_rates: float64 (M,), of the others.
        fillers: float64 (M,), share of the others with fillers.
    """

    codes: Ints
    group: Ints
    weights: Floats
    listed: Floats
    check_rates: Floats
    fillers: Floats


def draft_of(groups: tuple[Group, ...], knowledge: Knowledge) -> Draft:
    """The parts of a market."""
    draft = Draft()
    usual = draft.usual
    names, links = _known_makers(knowledge)
    makers = _makers(groups, names, links)
    own = _maker_rows(draft, makers, usual)
    own[:, PLANT_POSITION] = _plant_rows(draft, knowledge, names, usual)
    rest = 1 - makers.listed
    if len(knowledge.boxes):
        averages = _add_listed(draft, knowledge, makers, names, own)
        has = np.asarray(makers.listed > 0, np.bool_)
        rows = own[has].copy()
        rows[:, 3:CHECK_POSITION] = averages[has]
        draft.add(rows, (makers.weights * rest * UNLISTED_MODELS)[has], LISTED_CHECK_RATE)
        rest = rest * np.where(has, 1 - UNLISTED_MODELS, 1)
    own[:, PLANT_POSITION] = usual[PLANT_POSITION]
    _add_usual(draft, own, makers.weights * rest, makers.check_rates, makers.fillers)
    firsts = draft.table(np.array([only(group.first) for group in groups]))
    anything = np.tile(usual, (len(groups), 1))
    anything[:, 0] = firsts
    _add_usual(
        draft,
        anything,
        UNKNOWN_WMI * np.array([group.share for group in groups]),
        np.array([group.check_rate for group in groups]),
        np.array([group.filler_rate for group in groups]),
    )
    return draft


def _add_usual(draft: Draft, rows: Ints, weights: Floats, check_rates: Floats, fillers: Floats) -> None:
    """Parts with what is usual at positions 4 to 8, without fillers and with them."""
    draft.add(rows, weights * (1 - fillers), check_rates)
    filled = rows.copy()
    filled[:, FILLED] = label_of("Z")
    filled[:, CHECK_POSITION] = draft.row(position_9(FILLER_SHARE_OF_FILLED))
    draft.add(filled, weights * fillers, 0.0)  # whoever fills writes no check digit


def _known_makers(knowledge: Knowledge) -> tuple[list[str], Ints]:
    """The codes of makers, of 2, 3 or 6 characters, sorted; and how many links each has."""
    linked = dict(
        zip(
            (code.decode() for code in knowledge.makers.tolist()),
            np.bincount(knowledge.links[:, 0], minlength=len(knowledge.makers)).tolist(),
            strict=True,
        )
    )
    counted = maker_counts() if linked else {}
    names = sorted(known_wmis() | linked.keys() | counted.keys())
    return names, np.array([linked.get(name, 0) for name in names], np.int64)


def _makers(groups: tuple[Group, ...], names: list[str], links: Ints) -> Makers:
    codes = np.array([[label_of(char) for char in name] + [-1] * (6 - len(name)) for name in names], np.int64)
    of_first = np.zeros(NUM_CLASSES, np.int64)
    for number, alike in enumerate(groups):
        of_first[[label_of(char) for char in alike.first]] = number
    group = of_first[codes[:, 0]]
    counted = maker_counts() if links.any() else {}
    counts = np.array([counted.get(name, 0) for name in names], np.float64)
    frequency = counts + MAKER_FLOOR * np.maximum(links, 1) ** MAKER_POWER
    small = codes[:, 3] >= 0
    weights = np.zeros(len(names))
    for number, alike in enumerate(groups):
        for chosen, share in ((small, SMALL_MAKERS), (~small, 1 - SMALL_MAKERS)):
            own = np.where(chosen & (group == number), frequency, 0)
            weights += alike.share * (1 - UNKNOWN_WMI) * share * own / max(own.sum(), 1e-12)
    rates = np.array([alike.check_rate for alike in groups])[group]
    for number, name in enumerate(names):
        if rates[number] < REQUIRED:
            rates[number] = HABITS.get(name[:3], HABITS.get(name[:2], rates[number]))
    return Makers(
        codes,
        group,
        weights,
        np.where(small, 1.0, np.array([alike.listed for alike in groups])[group]) * (links > 0),
        rates,
        np.array([alike.filler_rate for alike in groups])[group],
    )


def _maker_rows(draft: Draft, makers: Makers, usual: Ints) -> Ints:
    """(M, 17): each maker's code, and what is usual behind it."""
    rows = np.tile(usual, (len(makers.codes), 1))
    rows[:, :3] = np.where(makers.codes[:, :3] >= 0, makers.codes[:, :3], usual[:3])
    rows[:, 11:14] = np.where(makers.codes[:, 3:] >= 0, makers.codes[:, 3:], usual[11:14])
    return rows


def _plant_rows(draft: Draft, knowledge: Knowledge, names: list[str], usual: Ints) -> Ints:
    """(M,): rows of the plants that each maker named, whatever the year."""
    sets = np.zeros(len(names), np.uint64)
    if len(knowledge.links):
        present, first = np.unique(knowledge.links[:, 0], return_index=True)
        of_link = knowledge.sets[knowledge.schema_plants[knowledge.links[:, 1]]]
        sets[_places(knowledge, names)[present]] = np.bitwise_or.reduceat(of_link, first)
    named = members(sets)
    generic = usual_shares()[PLANT_POSITION]
    count = named.sum(1, keepdims=True)
    shares = NAMED_PLANTS * named / np.maximum(count, 1) + (1 - NAMED_PLANTS) * generic
    return np.where(count[:, 0] > 0, draft.table(shares), usual[PLANT_POSITION])


def _places(knowledge: Knowledge, names: list[str]) -> Ints:
    """(K,): where each maker of the knowledge stands among the names."""
    where = {name: place for place, name in enumerate(names)}
    return np.array([where[code.decode()] for code in knowledge.makers.tolist()], np.int64)


def _add_listed(draft: Draft, knowledge: Knowledge, makers: Makers, names: list[str], own: Ints) -> Ints:
    """Adds what schemas list; the rows (M, 5) of what each maker's schemas have at positions 4 to 8 on average."""
    sizes = np.add.reduceat(np.append(knowledge.box_counts, 0), knowledge.first_box[:-1])
    sizes = np.where(np.diff(knowledge.first_box) > 0, sizes, 0)
    links = knowledge.links[sizes[knowledge.links[:, 1]] > 0]
    maker = _places(knowledge, names)[links[:, 0]]
    by_year = _year_weights(links, maker, sizes[links[:, 1]] ** SCHEMA_POWER, len(names))
    by_code = by_year[:, :YEAR_CYCLE].astype(np.float64) + by_year[:, YEAR_CYCLE:]
    weight = by_code.sum(1)
    years = np.zeros((len(links), NUM_CLASSES))
    years[:, [label_of(char) for char in YEAR_CODES]] = (by_code / np.maximum(weight, 1e-300)[:, None]).round(6)
    year_rows = draft.table(years / np.maximum(years.sum(1, keepdims=True), 1e-300))
    member = members(knowledge.sets)
    sets = draft.table(member / np.maximum(member.sum(1, keepdims=True), 1))
    box, link = ranges(
        knowledge.first_box[links[:, 1]].astype(np.int64), knowledge.first_box[links[:, 1] + 1].astype(np.int64)
    )
    share = knowledge.box_counts[box] / sizes[links[link, 1]]
    rows = own.astype(np.int32)[maker[link]]
    rows[:, 3:CHECK_POSITION] = sets[knowledge.boxes[box]]
    rows[:, YEAR_POSITION] = year_rows[link]
    # A maker of whom schemas say nothing of positions 4 to 8 is not listed.
    makers.listed[np.bincount(maker, weight, len(names)) == 0] = 0
    draft.add(rows, (makers.weights * makers.listed)[maker[link]] * weight[link] * share, LISTED_CHECK_RATE)
    large = makers.codes[maker, 3] < 0  # of small makers nothing but what is listed is asked
    return _average_rows(draft, knowledge, sizes, maker[large], links[large, 1], weight[large], len(names))


def _average_rows(
    draft: Draft, knowledge: Knowledge, sizes: Ints, maker: Ints, schema: NDArray[np.int32], weights: Floats, count: int
) -> Ints:
    """(count, 5): for each maker, what its links (L,) have on average at positions 4 to 8; ``maker`` (L,) is rising."""
    filled = np.flatnonzero(sizes)
    place = np.searchsorted(filled, schema)
    member = members(knowledge.sets)
    even = member / np.maximum(member.sum(1, keepdims=True), 1)
    counts = (knowledge.box_counts / np.repeat(sizes, np.diff(knowledge.first_box)))[:, None]
    present, first = np.unique(maker, return_index=True)
    averages = np.zeros((count, knowledge.boxes.shape[1]), np.int64)
    for position, column in enumerate(knowledge.boxes.T):
        of_schema = np.add.reduceat(counts * even[column], knowledge.first_box[filled])
        sums = np.add.reduceat(weights[:, None] * of_schema[place], first)
        shares = (1 - OUTSIDE) * sums / sums.sum(1, keepdims=True) + OUTSIDE / NUM_CLASSES
        averages[present, position] = draft.table(shares)
    return averages


def _year_weights(links: NDArray[np.int32], maker: Ints, sizes: Floats, count: int) -> NDArray[np.float32]:
    """(L, 60): the share of its maker's VINs that each link has in each year from 1980; a maker's add up to 1.

    ``maker`` (L,) is rising.
    """
    calendar = np.arange(FIRST_YEAR, LAST_YEAR + 1)
    active = (links[:, 2, None] <= calendar) & (calendar <= links[:, 3, None])
    weights = np.where(active, sizes[:, None], 0).astype(np.float32)
    present, first = np.unique(maker, return_index=True)
    totals = np.zeros((count, len(calendar)), np.float32)
    totals[present] = np.add.reduceat(weights, first)
    prior = np.where(calendar < OLD_YEAR, np.float32(OLD_SHARE), np.float32(1)) * (totals > 0)
    prior /= np.maximum(prior.sum(1, keepdims=True), 1e-12)
    weights *= (prior / np.maximum(totals, 1e-12)).astype(np.float32)[maker]
    return weights
