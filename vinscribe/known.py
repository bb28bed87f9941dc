"""What is known of one VIN's maker and model: whether makers list what stands in it.

What is not listed is a hint, never a refusal: makers sell models elsewhere that they do not tell NHTSA of, and a copy
of its register ends with the day it was made.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from vinscribe.charset import label_of
from vinscribe.knowledge import DESCRIPTOR, Knowledge, released
from vinscribe.vin import PLANT_POSITION, YEAR_CODES, YEAR_POSITION, check_digit, has_valid_check_digit

NO_SUCH_MODEL = "no such model of this maker"
"""See `mark_of`."""

_SERIAL_CODE = slice(11, 14)  # the second half of a small maker's code
_FIRST_YEAR = 1980
_AMERICAN = "12345"  # first characters


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a VIN.

    Attributes:
        maker: whether its maker is known.
        years: model years, rising, of those that position 10 can stand for, up to next year: the ones of which it is
            known what this maker's VINs say.
        descriptor: whether positions 4 to 8 are listed for this maker and one of these years; None where nothing is
            known of them.
        plant: whether position 11 is a plant that the maker names for one of these years; None where it names none.
    """

    maker: bool
    years: tuple[int, ...]
    descriptor: bool | None
    plant: bool | None


def known(vin: str, knowledge: Knowledge | None = None) -> Known:
    """What is known of a VIN, well under a millisecond once the knowledge is loaded.

    Args:
        vin: 17 characters out of ``CHARSET``.
        knowledge: of vehicles; what comes with vinscribe if None.

    Raises:
        UsageError: it is no well-formed VIN.
        ModelError: the knowledge that comes with vinscribe is damaged.
    """
    check_digit(vin)  # raises where it is no VIN
    knowledge = released() if knowledge is None else knowledge
    row = _maker(vin, knowledge.makers)
    if row is None:
        return Known(False, (), None, None)
    start, end = np.searchsorted(knowledge.links[:, 0], [row, row + 1])
    links = knowledge.links[start:end]
    years = tuple(year for year in _years(vin[YEAR_POSITION]) if ((links[:, 2] <= year) & (year <= links[:, 3])).any())
    of_years = np.zeros(len(links), np.bool_)
    for year in years:
        of_years |= (links[:, 2] <= year) & (year <= links[:, 3])
    schemas = np.unique(links[of_years, 1])
    return Known(True, years, _descriptor(vin, knowledge, schemas), _plant(vin, knowledge, schemas))


def mark_of(vin: str, knowledge: Knowledge | None = None) -> str | None:
    """``NO_SUCH_MODEL`` if a VIN deserves that mark: its maker is known, its positions 4 to 8 are not listed.

    Only where vehicles for the American market are concerned: the VIN begins with 1 to 5, or has a valid check digit.
    Elsewhere the same makers sell models that they do not list. Arguments and errors are those of `known`.
    """
    unlisted = known(vin, knowledge).descriptor is False
    return NO_SUCH_MODEL if unlisted and (vin[0] in _AMERICAN or has_valid_check_digit(vin)) else None


def _maker(vin: str, makers: NDArray[np.bytes_]) -> int | None:
    """The row of the VIN's maker: by six characters where the third is 9, if they are known, else by three."""
    codes = [vin[:3] + vin[_SERIAL_CODE]] * (vin[2] == "9") + [vin[:3]]
    for code in codes:
        row = int(np.searchsorted(makers, np.bytes_(code.encode())))
        if row < len(makers) and makers[row] == code.encode():
            return row
    return None


def _years(code: str) -> Iterator[int]:
    """The model years, up to next year, that a code at position 10 can stand for. Source: 49 CFR 565.15, table VII."""
    if code in YEAR_CODES:
        yield from range(_FIRST_YEAR + YEAR_CODES.index(code), date.today().year + 2, len(YEAR_CODES))


def _descriptor(vin: str, knowledge: Knowledge, schemas: NDArray[np.integer]) -> bool | None:
    """Whether one of the schemas lists positions 4 to 8; None where none of them says anything."""
    labels = np.array([label_of(char) for char in vin[DESCRIPTOR]], np.uint64)
    told = False
    for schema in schemas:
        boxes = knowledge.boxes[knowledge.first_box[schema] : knowledge.first_box[schema + 1]]
        if (knowledge.sets[boxes] >> labels & np.uint64(1)).all(1).any():
            return True
        told = told or len(boxes) > 0
    return False if told else None


def _plant(vin: str, knowledge: Knowledge, schemas: NDArray[np.integer]) -> bool | None:
    """Whether one of the schemas names position 11; None where none of them names any plant."""
    sets = knowledge.sets[knowledge.schema_plants[schemas]]
    if not sets.any():
        return None
    return bool((sets >> np.uint64(label_of(vin[PLANT_POSITION])) & np.uint64(1)).any())
