"""What is likely in a VIN before anybody has seen the ink: the decoder's only beliefs, all in one place.

Every number here is an estimate of this project, rounded, and none is zero: beliefs weigh, they never forbid. They
follow from the rules named beside them, as far as there is a rule. An office that knows its own cards better chooses a
market or makes a `Priors` of its own.

Sources: 49 CFR 565.13 and 565.15 (a check digit in every vehicle sold in the United States; position 10 the model
year, 30 codes without U, Z and 0; positions 13 or 14 to 17 digits); GB 16735 (China: the check digit is required); ISO
3779 (elsewhere it is a choice; the last four characters are digits); ISO 3780 (regions); WMI codes: `vininfo`.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vinscribe.charset import CHARSET, NUM_CLASSES, label_of
from vinscribe.errors import UsageError
from vinscribe.vin import VIN_LENGTH, YEAR_CODES, YEAR_POSITION, known_wmis


@dataclass(frozen=True)
class Group:
    """Makers that are alike: the first characters of their VINs.

    Attributes:
        first: first characters.
        share: of the VINs, in [0, 1].
        check_rate: share of these VINs that have a check digit in position 9, in [0, 1].
        filler_rate: share with ZZZ in positions 4 to 6, for want of a descriptor, in [0, 1].
    """

    first: str
    share: float
    check_rate: float
    filler_rate: float = 0.002


_NORTH_AMERICA, _CHINA, _KOREA, _JAPAN, _EUROPE, _OTHERS = "12345", "L", "K", "J", "STUVWXYZ", "06789ABCDEFGHMNPR"

MARKETS: dict[str, tuple[Group, ...]] = {
    "any": (
        Group(_NORTH_AMERICA, 0.35, 0.97),
        Group(_CHINA, 0.10, 0.97),
        Group(_KOREA, 0.06, 0.4),
        Group(_JAPAN, 0.10, 0.3),
        Group(_EUROPE, 0.30, 0.15, 0.2),
        Group(_OTHERS, 0.09, 0.2),
    ),
    # Whoever sells there writes a check digit, wherever the car was made.
    "north-america": (
        Group(_NORTH_AMERICA, 0.72, 0.98),
        Group(_CHINA, 0.02, 0.98),
        Group(_KOREA, 0.06, 0.97),
        Group(_JAPAN, 0.10, 0.97),
        Group(_EUROPE, 0.08, 0.95, 0.01),
        Group(_OTHERS, 0.02, 0.9),
    ),
    "europe": (
        Group(_NORTH_AMERICA, 0.06, 0.9),
        Group(_CHINA, 0.05, 0.95),
        Group(_KOREA, 0.06, 0.15),
        Group(_JAPAN, 0.09, 0.15),
        Group(_EUROPE, 0.70, 0.1, 0.25),
        Group(_OTHERS, 0.04, 0.2),
    ),
}
"""Market -> what its VINs begin with."""

UNKNOWN_WMI = 0.2
"""Share of the VINs whose first three characters the library does not know."""

UNLISTED = 0.1
"""Share of the VINs that are not on a list of expected ones, where such a list is given."""

_DIGIT_SHARE = {3: 0.5, 4: 0.5, 5: 0.55, 6: 0.6, 7: 0.6, 10: 0.5, 11: 0.85, 12: 0.93}
_DIGIT_SHARE |= dict.fromkeys(range(13, VIN_LENGTH), 0.99)
"""Position, counted from 0 -> share of digits; those of the year and of the check digit are below."""
_NO_YEAR_SHARE = 0.03  # position 10 of a maker who does not write the year there
_FREE_CHECK_DIGIT_SHARE = 0.6  # position 9 of a maker who writes no check digit
_FILLER_SHARE = 0.1  # some of them fill it up with a Z
_FILLER_SHARE_OF_FILLED = 0.7  # and most of those who have filled up positions 4 to 6


@dataclass(frozen=True)
class Priors:
    """Beliefs as the decoder takes them. All float64.

    Attributes:
        wmi: (33, 33, 33), adds up to 1: the first three characters.
        positions: (17, 33), rows add up to 1: the characters at each position by themselves. The rows of the first
            three and of the check digit are even: ``wmi``, ``free_check`` and the rule speak for them.
        free_check: (33,), adds up to 1: position 9 where it is no check digit.
        group: int64 (33,): first character -> row of ``check_rates``.
        check_rates: (G,): how often makers of a group write a check digit.
        filled_check: (33,), adds up to 1: position 9 of a VIN with ZZZ in positions 4 to 6.
        filler_rates: (G,): how often makers of a group write that.
    """

    wmi: NDArray[np.float64]
    positions: NDArray[np.float64]
    free_check: NDArray[np.float64]
    group: NDArray[np.int64]
    check_rates: NDArray[np.float64]
    filled_check: NDArray[np.float64]
    filler_rates: NDArray[np.float64]


@lru_cache
def market_priors(market: str, check_digit: bool = True) -> Priors:
    """The priors of a market, a name of ``MARKETS``; without ``check_digit`` nobody is taken to write one.

    Raises:
        UsageError: no such market.
    """
    if market not in MARKETS:
        raise UsageError(f"no market {market!r}; there are {', '.join(MARKETS)}")
    groups = MARKETS[market]
    group = np.zeros(NUM_CLASSES, np.int64)
    for number, members in enumerate(groups):
        group[[label_of(char) for char in members.first]] = number
    return Priors(
        wmi=_wmi(groups),
        positions=_positions(),
        free_check=_position_9(_FILLER_SHARE),
        group=group,
        check_rates=np.array([members.check_rate if check_digit else 0.0 for members in groups]),
        filled_check=_position_9(_FILLER_SHARE_OF_FILLED),
        filler_rates=np.array([members.filler_rate for members in groups]),
    )


def _wmi(groups: tuple[Group, ...]) -> NDArray[np.float64]:
    """Each group's share, spread evenly over the codes known to begin with its characters, and over all others."""
    known = np.zeros((NUM_CLASSES,) * 3)
    for code in known_wmis():
        labels = tuple(label_of(char) for char in code)
        known[labels] += 1 / NUM_CLASSES ** (3 - len(labels))  # a code of two characters is shared by all third ones
    wmi = np.zeros_like(known)
    for members in groups:
        rows = [label_of(char) for char in members.first]
        codes = known[rows] / known[rows].sum()
        wmi[rows] = members.share * ((1 - UNKNOWN_WMI) * codes + UNKNOWN_WMI / codes.size)
    return wmi


def _positions() -> NDArray[np.float64]:
    positions = np.full((VIN_LENGTH, NUM_CLASSES), 1 / NUM_CLASSES)
    for position, share in _DIGIT_SHARE.items():
        positions[position] = _digits(share)
    positions[YEAR_POSITION] = (1 - _NO_YEAR_SHARE) * _only(YEAR_CODES) + _NO_YEAR_SHARE * _only("0UZ")
    return positions


def _position_9(filler_share: float) -> NDArray[np.float64]:
    """(33,): position 9 where it is no check digit."""
    return (1 - filler_share) * _digits(_FREE_CHECK_DIGIT_SHARE) + filler_share * _only("Z")


def _digits(share: float) -> NDArray[np.float64]:
    """(33,): digits with this share, letters with the rest."""
    return np.array([share / 10 if char.isdigit() else (1 - share) / (NUM_CLASSES - 10) for char in CHARSET])


def _only(chars: str) -> NDArray[np.float64]:
    """(33,): these characters, equally likely."""
    return np.array([1 / len(chars) if char in chars else 0.0 for char in CHARSET])
