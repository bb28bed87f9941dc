"""What is likely in a VIN before anybody has seen the ink: the decoder's only beliefs, all in one place.

A belief is a mixture of parts (`vinscribe.parts`), from the particular to the general, each with its share:

    listed      what a maker's schemas say of a model year (`vinscribe.knowledge`): positions 4 to 8, year, plant
    maker       the same maker's characters at each position, whatever the year: models that are not listed
    export      a known maker's vehicles for other markets: what is usual in its region
    region      any other maker

An office's own register comes before all of these (`vinscribe.habits`).

Every number here is an estimate of this project, rounded, and none is zero: beliefs weigh, they never forbid. They
follow from the rules named beside them, as far as there is a rule.

Sources: 49 CFR 565.13 and 565.15 (a check digit in every vehicle sold in the United States; position 10 the model
year, 30 codes without U, Z and 0; positions 13 or 14 to 17 digits); GB 16735 (China: the check digit is required); ISO
3779 (elsewhere it is a choice; the last four characters are digits); ISO 3780 (regions); makers' codes: NHTSA's vPIC
and `vininfo`; how frequent makers are: ``makers.csv``, counts of the first three characters in lists of real VINs.
"""

import csv
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vinscribe.charset import CHARSET, NUM_CLASSES, label_of
from vinscribe.errors import UsageError
from vinscribe.knowledge import Knowledge
from vinscribe.parts import PLANT_POSITION, Floats, Ints, Parts, distinct, ranges
from vinscribe.vin import CHECK_POSITION, VIN_LENGTH, YEAR_CODES, YEAR_POSITION, known_wmis

if TYPE_CHECKING:
    from vinscribe.register import Register


@dataclass(frozen=True)
class Group:
    """Makers that are alike: the first characters of their VINs.

    Attributes:
        first: first characters.
        share: of the VINs, in [0, 1].
        listed: share of a maker's VINs that are as its schemas say, where it has any, in [0, 1].
        check_rate: share of the others that have a check digit in position 9, in [0, 1].
        filler_rate: share of the others with ZZZ in positions 4 to 6, for want of a descriptor, in [0, 1].
    """

    first: str
    share: float
    listed: float
    check_rate: float
    filler_rate: float = 0.002


_NORTH_AMERICA, _CHINA, _KOREA, _JAPAN, _EUROPE, _OTHERS = "12345", "L", "K", "J", "STUVWXYZ", "06789ABCDEFGHMNPR"

MARKETS: dict[str, tuple[Group, ...]] = {
    "any": (
        Group(_NORTH_AMERICA, 0.40, 0.93, 0.97),
        Group(_CHINA, 0.08, 0.30, 0.97),
        Group(_KOREA, 0.07, 0.70, 0.40),
        Group(_JAPAN, 0.11, 0.70, 0.40),
        Group(_EUROPE, 0.25, 0.40, 0.15, 0.20),
        Group(_OTHERS, 0.09, 0.40, 0.30),
    ),
    # Whoever sells there writes a check digit, wherever the car was made.
    "north-america": (
        Group(_NORTH_AMERICA, 0.72, 0.95, 0.98),
        Group(_CHINA, 0.02, 0.90, 0.98),
        Group(_KOREA, 0.06, 0.95, 0.97),
        Group(_JAPAN, 0.10, 0.95, 0.97),
        Group(_EUROPE, 0.08, 0.95, 0.95, 0.01),
        Group(_OTHERS, 0.02, 0.80, 0.90),
    ),
    "europe": (
        Group(_NORTH_AMERICA, 0.06, 0.80, 0.90),
        Group(_CHINA, 0.05, 0.05, 0.95),
        Group(_KOREA, 0.06, 0.10, 0.15),
        Group(_JAPAN, 0.09, 0.10, 0.30),
        Group(_EUROPE, 0.70, 0.10, 0.10, 0.25),
        Group(_OTHERS, 0.04, 0.10, 0.20),
    ),
}
"""Market -> what its VINs begin with."""

HABITS = {
    "JT": 0.95, "SB1": 0.95, "WBA": 0.95, "WBS": 0.95, "WBY": 0.95, "TMB": 0.95, "WAU": 0.93, "TRU": 0.93, "WUA": 0.93,
    "WDB": 0.35, "WDC": 0.35, "WDD": 0.35, "W1K": 0.35, "WVW": 0.05, "WV1": 0.05, "WV2": 0.05,
    "W0L": 0.01, "XTA": 0.01, "WF0": 0.01, "MA3": 0.01, "MAT": 0.01, "XWE": 0.01, "Z94": 0.01, "XWF": 0.01,
}  # fmt: skip
"""How a maker's code begins -> how often it writes a check digit in VINs that no schema lists, where that is known."""

LISTED_CHECK_RATE = 0.997
"""How often a VIN that is as a schema says has a check digit."""

UNKNOWN_WMI = 0.05
"""Share of the VINs whose first three characters nobody lists."""

UNLISTED = 0.1
"""Share of the VINs that are not on a list of expected ones, where such a list is given."""

UNLISTED_MODELS = 0.5
"""Of a maker's VINs that are not as its schemas say, those with characters that its schemas have at these positions."""

_SMALL_MAKERS = (
    0.01  # of a group's VINs: those of makers of at most 1,000 vehicles a year, with codes of six characters
)
_MAKER_FLOOR = 0.05  # added to the count of a maker for each of its schemas, to the power below
_MAKER_POWER = 0.5
_SCHEMA_POWER = 0.5  # a schema with so many times as many rows is that power of it as frequent
_FIRST_YEAR, _LAST_YEAR, _CYCLE = 1980, 2039, 30
_OLD, _OLD_SHARE = 2000, 0.5  # model years before this are half as frequent as later ones
_NAMED_PLANTS = 0.93  # share of VINs from plants that a maker has named

_DIGIT_SHARE = {3: 0.35, 4: 0.25, 5: 0.6, 6: 0.35, 7: 0.4, PLANT_POSITION: 0.3, 11: 0.85, 12: 0.985}
_DIGIT_SHARE |= dict.fromkeys(range(13, VIN_LENGTH), 0.998)
"""Position, counted from 0 -> share of digits; those of the year and of the check digit are below."""
_NO_YEAR_SHARE = 0.1  # position 10 of a maker who does not write the year there: half of them write 0
_FREE_CHECK_DIGIT_SHARE = 0.6  # position 9 of a maker who writes no check digit
_FILLER_SHARE = 0.1  # some of them fill it up with a Z
_FILLER_SHARE_OF_FILLED = 0.7  # and most of those who have filled up positions 4 to 6
_FILLED = (3, 4, 5)

_OUTSIDE = 0.03  # share of characters that no schema of a maker has there

_MAKERS_FILE = Path(__file__).parent / "makers.csv"


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
        self.usual = self.table(_usual_shares())
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
    firsts = draft.table(np.array([_only(group.first) for group in groups]))
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
    filled[:, _FILLED] = label_of("Z")
    filled[:, CHECK_POSITION] = draft.row(position_9(_FILLER_SHARE_OF_FILLED))
    draft.add(filled, weights * fillers, 0.0)  # whoever fills writes no check digit


def _usual_shares() -> Floats:
    shares = np.full((VIN_LENGTH, NUM_CLASSES), 1 / NUM_CLASSES)
    for position, share in _DIGIT_SHARE.items():
        shares[position] = digits(share)
    shares[YEAR_POSITION] = (1 - _NO_YEAR_SHARE) * _only(YEAR_CODES) + _NO_YEAR_SHARE * (
        0.5 * _only("0") + 0.5 * digits(0.5)
    )
    shares[CHECK_POSITION] = position_9(_FILLER_SHARE)
    return shares


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


@lru_cache
def maker_counts() -> dict[str, int]:
    """Maker's code of three characters -> how often it came in lists of real VINs."""
    with _MAKERS_FILE.open(encoding="ascii", newline="") as file:
        return {row["maker"]: int(row["vins"]) for row in csv.DictReader(file)}


def _makers(groups: tuple[Group, ...], names: list[str], links: Ints) -> Makers:
    codes = np.array([[label_of(char) for char in name] + [-1] * (6 - len(name)) for name in names], np.int64)
    of_first = np.zeros(NUM_CLASSES, np.int64)
    for number, members in enumerate(groups):
        of_first[[label_of(char) for char in members.first]] = number
    group = of_first[codes[:, 0]]
    counted = maker_counts() if links.any() else {}
    counts = np.array([counted.get(name, 0) for name in names], np.float64)
    frequency = counts + _MAKER_FLOOR * np.maximum(links, 1) ** _MAKER_POWER
    small = codes[:, 3] >= 0
    weights = np.zeros(len(names))
    for number, members in enumerate(groups):
        for chosen, share in ((small, _SMALL_MAKERS), (~small, 1 - _SMALL_MAKERS)):
            own = np.where(chosen & (group == number), frequency, 0)
            weights += members.share * (1 - UNKNOWN_WMI) * share * own / max(own.sum(), 1e-12)
    rates = np.array([members.check_rate for members in groups])[group]
    for number, name in enumerate(names):
        rates[number] = HABITS.get(name[:3], HABITS.get(name[:2], rates[number]))
    return Makers(
        codes,
        group,
        weights,
        np.where(small, 1.0, np.array([members.listed for members in groups])[group]) * (links > 0),
        rates,
        np.array([members.filler_rate for members in groups])[group],
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
    generic = digits(_DIGIT_SHARE[PLANT_POSITION])
    count = named.sum(1, keepdims=True)
    shares = _NAMED_PLANTS * named / np.maximum(count, 1) + (1 - _NAMED_PLANTS) * generic
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
    by_year = _year_weights(links, maker, sizes[links[:, 1]] ** _SCHEMA_POWER, len(names))
    by_code = by_year[:, :_CYCLE].astype(np.float64) + by_year[:, _CYCLE:]
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
        shares = (1 - _OUTSIDE) * sums / sums.sum(1, keepdims=True) + _OUTSIDE / NUM_CLASSES
        averages[present, position] = draft.table(shares)
    return averages


def _year_weights(links: NDArray[np.int32], maker: Ints, sizes: Floats, count: int) -> NDArray[np.float32]:
    """(L, 60): the share of its maker's VINs that each link has in each year from 1980; a maker's add up to 1.

    ``maker`` (L,) is rising.
    """
    calendar = np.arange(_FIRST_YEAR, _LAST_YEAR + 1)
    active = (links[:, 2, None] <= calendar) & (calendar <= links[:, 3, None])
    weights = np.where(active, sizes[:, None], 0).astype(np.float32)
    present, first = np.unique(maker, return_index=True)
    totals = np.zeros((count, len(calendar)), np.float32)
    totals[present] = np.add.reduceat(weights, first)
    prior = np.where(calendar < _OLD, np.float32(_OLD_SHARE), np.float32(1)) * (totals > 0)
    prior /= np.maximum(prior.sum(1, keepdims=True), 1e-12)
    weights *= (prior / np.maximum(totals, 1e-12)).astype(np.float32)[maker]
    return weights


def members(sets: NDArray[np.uint64]) -> Floats:
    """Sets of characters (K,), as in `Knowledge` -> (K, 33), 1 for each character in a set."""
    bits = sets[:, None] >> np.arange(NUM_CLASSES, dtype=np.uint64)
    return (bits & np.uint64(1)).astype(np.float64)


def position_9(filler_share: float) -> Floats:
    """(33,): position 9 where it is no check digit."""
    return (1 - filler_share) * digits(_FREE_CHECK_DIGIT_SHARE) + filler_share * _only("Z")


def digits(share: float) -> Floats:
    """(33,): digits with this share, letters with the rest."""
    return np.array([share / 10 if char.isdigit() else (1 - share) / (NUM_CLASSES - 10) for char in CHARSET])


def _only(chars: str) -> Floats:
    """(33,): these characters, equally likely."""
    return np.array([1 / len(chars) if char in chars else 0.0 for char in CHARSET])
