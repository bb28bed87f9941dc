"""Readings as the reader gives them, made up: for tests and benchmarks of the review desk's store."""

import hashlib

from vinscribe.charset import CHARSET
from vinscribe.decode import Candidate, CellReading, VinReading
from vinscribe.vin import VIN_LENGTH

_BASE = "1HGCM82633A"


def made_vin(number: int) -> str:
    """A VIN with this number, up to 999,999, at its end."""
    return f"{_BASE}{number:06d}"


def made_hash(number: int) -> str:
    """A SHA-256 in hexadecimal digits."""
    return hashlib.sha256(str(number).encode()).hexdigest()


def made_reading(
    page: int, vin: str | None = None, *, decision: str = "review", confidence: float = 0.5, doubtful: int = 16
) -> VinReading:
    """A reading of a page.

    Args:
        page: its number, from 1; also the number of its VIN if none is given.
        vin: what was read.
        decision: ``accept``, ``review`` or ``no_field``.
        confidence: in the VIN, and in its doubtful character; the others have 0.9999.
        doubtful: position of the doubtful character, from 0.
    """
    if decision == "no_field":
        return VinReading("", page, None, 0.0, decision, "no row of 17 cells found", None, (), (), None, ())
    vin = vin or made_vin(page)
    cells = []
    for position, char in enumerate(vin):
        own = confidence if position == doubtful else 0.9999
        other = CHARSET[(CHARSET.index(char) + 1) % len(CHARSET)]
        left, top, right, bottom = 100.25 + 52.5 * position, 200.75, 152.75 + 52.5 * position, 268.5
        box = ((left, top), (right, top), (right, bottom), (left, bottom))
        cells.append(CellReading(char, own, 0.9999, ((char, own), (other, 1 - own)), box))
    reason = None if decision == "accept" else f"position {doubtful + 1} is in doubt"
    field = ((100.25, 200.75), (992.75, 200.75), (992.75, 268.5), (100.25, 268.5))
    best = (Candidate(vin, confidence),)
    assert len(cells) == VIN_LENGTH
    return VinReading("", page, vin, confidence, decision, reason, vin, (), best, "invalid", tuple(cells), field)
