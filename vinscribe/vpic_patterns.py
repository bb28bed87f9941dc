"""The patterns of vPIC: what its column ``Keys`` says, and how the patterns of a schema are joined to boxes.

``Keys`` holds what positions 4 to 8 of a VIN have to be and, behind a ``|``, positions 10 to 17: a character, ``*`` for
any, ``#`` for a digit, ``[A-CX]`` for one of several. A descriptor is kept in one whole number, five fields of 34 bits:
the first 33 say which characters may stand there, the last one is free for carrying.

Source: NHTSA, vPIC (a work of the US government, public domain), its stand-alone database.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from vinscribe.charset import CHARSET, NUM_CLASSES

POSITIONS = 5
"""Positions of a descriptor: 4 to 8 of the VIN."""

ANY = (1 << NUM_CLASSES) - 1
"""The set of all characters."""

MOST_ROWS = 4000
"""Joined rows of one schema, at most; see `join`."""

MODEL_ELEMENT = 28
"""The element of vPIC that names the model: whatever else is listed, it is listed for a model."""

_WIDTH = NUM_CLASSES + 1
_FIELDS = tuple(ANY << (position * _WIDTH) for position in range(POSITIONS))
_ONES = sum(1 << (position * _WIDTH) for position in range(POSITIONS))
_CARRIES = _ONES << NUM_CLASSES
WILD = sum(_FIELDS)
"""The descriptor that says nothing."""

_BEHIND = 8  # positions 10 to 17
_DIGITS = (1 << 10) - 1
_BITS = {char: 1 << label for label, char in enumerate(CHARSET)}
_NO_VIN_CHARS = "IOQ"


@dataclass(frozen=True, slots=True)
class Keys:
    """What a ``Keys`` says.

    Attributes:
        descriptor: what positions 4 to 8 may be, packed; None if the row has to be left out.
        plants: the characters at position 11 that are named, 0 if there is any or none.
        quirks: what is odd about it: names out of `vinscribe.vpic.QUIRKS`.
    """

    descriptor: int | None
    plants: int = 0
    quirks: tuple[str, ...] = ()


class _QuirkError(Exception):
    """Carries the name of the quirk for which a row is left out."""


def parse_keys(text: str | None) -> Keys:
    """Understands a ``Keys``. Never fails: what cannot be understood has no descriptor, and a quirk that says so."""
    quirks: list[str] = []
    keys = (text or "").strip()
    if not keys:
        return Keys(None, 0, ("empty",))
    if not keys.isascii():
        return Keys(None, 0, ("malformed",))
    if keys != text:
        quirks.append("blanks")
    if keys != keys.upper():
        quirks.append("lower_case")
        keys = keys.upper()
    before, _, behind = keys.partition("|")
    try:
        sets = _sets(before, POSITIONS, quirks)
        plants = [*_sets(behind, _BEHIND, quirks), ANY, ANY][1]
    except _QuirkError as problem:
        return Keys(None, 0, (str(problem),))
    return Keys(pack(sets), 0 if plants == ANY else plants, tuple(dict.fromkeys(quirks)))


def _sets(text: str, most: int, quirks: list[str]) -> list[int]:
    """The sets of characters that a part of a ``Keys`` names, one for each position."""
    sets: list[int] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char in _BITS:
            sets.append(_BITS[char])
        elif char in "*_":
            sets.append(ANY)
        elif char == "#":
            sets.append(_DIGITS)
        elif char == "[":
            end = text.find("]", at)
            if end < 0:
                raise _QuirkError("malformed")
            sets.append(_bracket(text[at + 1 : end], quirks))
            at = end
        else:
            raise _QuirkError("impossible" if char in _NO_VIN_CHARS else "malformed")
        at += 1
    if len(sets) > most:
        raise _QuirkError("malformed")
    return sets


def _bracket(text: str, quirks: list[str]) -> int:
    """The set of characters between two brackets."""
    chars = text.replace("_", "").replace(" ", "")
    if len(chars) < len(text):
        quirks.append("underscores" if "_" in text else "blanks")
    found = at = 0
    while at < len(chars):
        is_range = chars[at + 1 : at + 2] == "-" and at + 2 < len(chars)
        ends = chars[at] + chars[at + 2] if is_range else chars[at] * 2
        if not (ends.isalnum() and ends.isascii() and ends[0] <= ends[1]):
            raise _QuirkError("malformed")
        if any(char in _NO_VIN_CHARS for char in ends):
            quirks.append("dropped")
        for code in range(ord(ends[0]), ord(ends[1]) + 1):
            found |= _BITS.get(chr(code), 0)
        at += 3 if is_range else 1
    if not found:
        raise _QuirkError("malformed")
    return found


def pack(sets: Sequence[int]) -> int:
    """Up to five sets of characters as one descriptor; positions that are not there may be anything."""
    packed = WILD
    for position, chars in enumerate(sets):
        packed ^= (chars ^ ANY) << (position * _WIDTH)
    return packed


def unpack(descriptor: int) -> tuple[int, ...]:
    """The five sets of characters of a descriptor."""
    return tuple(descriptor >> (position * _WIDTH) & ANY for position in range(POSITIONS))


def join(patterns: Mapping[int, Iterable[int]]) -> tuple[set[int], bool]:
    """The descriptors that a schema lists: each element's patterns, joined with those of the others.

    A row of one element and a row of another are joined to what both allow; a row that fits none of the other element
    stays as it is. The model goes first, then what says most; an element that makes more than `MOST_ROWS` of it is left
    out, and all after it. A position that a joined row leaves open may be what any pattern of the schema has there.

    Args:
        patterns: element -> its descriptors, without `WILD`; at least one element.

    Returns:
        The joined descriptors, and whether elements were left out.
    """
    order = sorted(patterns, key=lambda element: _rank(element, list(patterns[element])))
    rows, capped = {WILD}, False
    for element in order:
        joined = _joined(rows, list(patterns[element]))
        if joined is None:
            capped = True
            break
        rows = joined
    alphabet = 0
    for descriptors in patterns.values():
        for descriptor in descriptors:
            for field in _FIELDS:
                if descriptor & field != field:
                    alphabet |= descriptor & field
    alphabet |= sum(field for field in _FIELDS if not alphabet & field)
    return {_filled(row, alphabet) for row in rows}, capped


def _rank(element: int, descriptors: list[int]) -> tuple[bool, int, int, int]:
    most = max(sum(descriptor & field != field for field in _FIELDS) for descriptor in descriptors)
    return element != MODEL_ELEMENT, -most, -len(descriptors), element


def _joined(rows: set[int], descriptors: list[int]) -> set[int] | None:
    """All rows with one more element; None if there are too many."""
    joined: set[int] = set()
    for row in rows:
        # A field that is not empty keeps its carry when 1 is taken off.
        fits = [
            both for descriptor in descriptors if ((both := row & descriptor) | _CARRIES) - _ONES & _CARRIES == _CARRIES
        ]
        joined.update(fits or (row,))
        if len(joined) > MOST_ROWS:
            return None
    return joined


def _filled(row: int, alphabet: int) -> int:
    for field in _FIELDS:
        if row & field == field:
            row &= alphabet | ~field
    return row


def merge(rows: Iterable[int]) -> list[tuple[tuple[int, ...], int]]:
    """Rows that differ at one position only become one box, again and again: the same descriptors, written shorter.

    Returns:
        The boxes, five sets of characters each, sorted, with the number of rows in each.
    """
    boxes = dict.fromkeys(rows, 1)
    before = len(boxes) + 1
    while len(boxes) < before:
        before = len(boxes)
        for field in reversed(_FIELDS):
            groups: dict[int, tuple[int, int]] = {}
            for box, count in boxes.items():
                rest = box & ~field
                chars, total = groups.get(rest, (0, 0))
                groups[rest] = chars | box & field, total + count
            boxes = {rest | chars: total for rest, (chars, total) in groups.items()}
    return sorted((unpack(box), count) for box, count in boxes.items())
