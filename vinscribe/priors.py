"""What is likely in a VIN before anybody has seen the ink: the decoder's only beliefs, all in one place.

A belief is a mixture of parts (`vinscribe.parts`), from the particular to the general, each with its share:

    listed      what a maker's schemas say of a model year (`vinscribe.knowledge`): positions 4 to 8, year, plant
    maker       the same maker's characters at each position, whatever the year: models that are not listed
    export      a known maker's vehicles for other markets: what is usual in its region
    region      any other maker

`vinscribe.beliefs` makes them. An office's own register comes before all of these (`vinscribe.habits`).

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

import numpy as np

from vinscribe.charset import CHARSET, NUM_CLASSES
from vinscribe.parts import Floats
from vinscribe.vin import CHECK_POSITION, PLANT_POSITION, VIN_LENGTH, YEAR_CODES, YEAR_POSITION


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

REQUIRED = 0.9
"""Check rate of a group from which on the market demands it, whatever a maker does elsewhere."""

LISTED_CHECK_RATE = 0.997
"""How often a VIN that is as a schema says has a check digit."""

UNKNOWN_WMI = 0.05
"""Share of the VINs whose first three characters nobody lists."""

UNLISTED = 0.1
"""Share of the VINs that are not on a list of expected ones, where such a list is given."""

UNLISTED_MODELS = 0.5
"""Of a maker's VINs that are not as its schemas say, those with characters that its schemas have at these positions."""

SMALL_MAKERS = 0.01  # of a group's VINs: those of makers of at most 1,000 vehicles a year, with codes of six characters
MAKER_FLOOR = 0.05  # added to the count of a maker for each of its schemas, to the power below
MAKER_POWER = 0.5
SCHEMA_POWER = 0.5  # a schema with so many times as many rows is that power of it as frequent
FIRST_YEAR, LAST_YEAR, YEAR_CYCLE = 1980, 2039, 30
OLD_YEAR, OLD_SHARE = 2000, 0.5  # model years before this are half as frequent as later ones
NAMED_PLANTS = 0.93  # share of VINs from plants that a maker has named

_DIGIT_SHARE = {3: 0.35, 4: 0.25, 5: 0.6, 6: 0.35, 7: 0.4, PLANT_POSITION: 0.3, 11: 0.85, 12: 0.985}
_DIGIT_SHARE |= dict.fromkeys(range(13, VIN_LENGTH), 0.998)
"""Position, counted from 0 -> share of digits; those of the year and of the check digit are below."""
_NO_YEAR_SHARE = 0.1  # position 10 of a maker who does not write the year there: half of them write 0
_FREE_CHECK_DIGIT_SHARE = 0.6  # position 9 of a maker who writes no check digit
_FILLER_SHARE = 0.1  # some of them fill it up with a Z
FILLER_SHARE_OF_FILLED = 0.7  # and most of those who have filled up positions 4 to 6
FILLED = (3, 4, 5)

OUTSIDE = 0.03  # share of characters that no schema of a maker has there

_MAKERS_FILE = Path(__file__).parent / "makers.csv"


@lru_cache
def maker_counts() -> dict[str, int]:
    """Maker's code of three characters -> how often it came in lists of real VINs."""
    with _MAKERS_FILE.open(encoding="ascii", newline="") as file:
        return {row["maker"]: int(row["vins"]) for row in csv.DictReader(file)}


def usual_shares() -> Floats:
    """(17, 33): what is usual at each position; of the first three, anything."""
    shares = np.full((VIN_LENGTH, NUM_CLASSES), 1 / NUM_CLASSES)
    for position, share in _DIGIT_SHARE.items():
        shares[position] = digits(share)
    shares[YEAR_POSITION] = (1 - _NO_YEAR_SHARE) * only(YEAR_CODES) + _NO_YEAR_SHARE * (
        0.5 * only("0") + 0.5 * digits(0.5)
    )
    shares[CHECK_POSITION] = position_9(_FILLER_SHARE)
    return shares


def position_9(filler_share: float) -> Floats:
    """(33,): position 9 where it is no check digit."""
    return (1 - filler_share) * digits(_FREE_CHECK_DIGIT_SHARE) + filler_share * only("Z")


def digits(share: float) -> Floats:
    """(33,): digits with this share, letters with the rest."""
    return np.array([share / 10 if char.isdigit() else (1 - share) / (NUM_CLASSES - 10) for char in CHARSET])


def only(chars: str) -> Floats:
    """(33,): these characters, equally likely."""
    return np.array([1 / len(chars) if char in chars else 0.0 for char in CHARSET])
