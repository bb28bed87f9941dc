"""Facts about vehicle identification numbers: check digit, year code, region, maker.

Source: 49 CFR 565.15 for the check digit (tables III to V) and the year code (table VII); ISO 3779 for the structure;
ISO 3780 for regions and countries. Regions, countries, makers and years are looked up in the library ``vininfo``.
"""

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vinscribe.charset import CHARSET, is_vin_char, label_of
from vinscribe.errors import UsageError

VIN_LENGTH = 17

CHECK_POSITION = 8
"""Position of the check digit, counted from 0. Positions in texts for people are counted from 1."""

YEAR_POSITION = 9
"""Position of the model year's code, counted from 0."""

PLANT_POSITION = 10
"""Position of the plant's code, counted from 0."""

WEIGHTS = np.array([8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2], np.int64)
"""Position -> weight in the check sum, int64 (17,). Source: 49 CFR 565.15, table IV."""

# Digits stand for themselves; A-H, J-R and S-Z count on from 1 and 2, as they do in IBM's EBCDIC.
_DIGIT_VALUES, _A_TO_H, _J_TO_N, _P, _R, _S_TO_Z = "0123456789", "12345678", "12345", "7", "9", "23456789"
VALUES = np.array([int(value) for value in _DIGIT_VALUES + _A_TO_H + _J_TO_N + _P + _R + _S_TO_Z], np.int64)
"""Class label -> value in the check sum, 0..9, int64 (33,). Source: 49 CFR 565.15, table III."""

CHECK_CHARS = "0123456789X"
"""Check sum modulo 11 -> check digit. Source: 49 CFR 565.15, table V."""

YEAR_CODES = "ABCDEFGHJKLMNPRSTVWXY123456789"
"""Codes of the model years 1980 to 2009, and of 2010 to 2039 again. Source: 49 CFR 565.15, table VII."""

# Characters that no VIN has -> what is meant by them.
_MEANT = {"I": "1", "O": "0", "Q": "0", " ": "", "-": ""}
_MEANT |= dict(
    zip("ІОАВЕКМНРСТУХЈЅ", "10ABEKMHPCTYXJS", strict=True)
)  # Cyrillic ones, typed by mistake: they look the same

_LONG = 2 * VIN_LENGTH  # a VIN with a blank after each character; in anything longer, the characters do not matter


@dataclass(frozen=True, slots=True)
class VinDescription:
    """What a code says by itself. If it is no well-formed VIN, all but ``code`` and ``problems`` is empty.

    Attributes:
        code: the code in capitals, without blanks around it.
        problems: sentences: why this is no well-formed VIN. A wrong check digit is none, for many makers write none.
        suggestion: the well-formed VIN that was probably meant, if the code only holds characters mistaken for others.
        wmi: world manufacturer identifier, the first three characters.
        region: continent where the maker is registered, None if unknown.
        country: country where the maker is registered, None if unknown.
        maker: None if unknown.
        years: all model years that the code can stand for, 1980 to next year, in order; empty if it stands for none.
            A maker outside the United States, Canada, Mexico and China need not encode the year.
        check_digit_expected: what position 9 is by the rule.
        check_digit_found: what it is.
        check_digit_valid: whether they are the same.
        check_digit_required: whether all makers registered in this country must write a check digit. Where not, it is
            the maker's choice, and cars built for sale in North America have one all the same.
    """

    code: str
    problems: tuple[str, ...] = ()
    suggestion: str | None = None
    wmi: str | None = None
    region: str | None = None
    country: str | None = None
    maker: str | None = None
    years: tuple[int, ...] = ()
    check_digit_expected: str | None = None
    check_digit_found: str | None = None
    check_digit_valid: bool | None = None
    check_digit_required: bool | None = None


def check_digit(vin: str) -> str:
    """The check digit that a VIN has by the rule, ``0`` to ``9`` or ``X``, whatever stands in its place.

    Raises:
        UsageError: not 17 characters out of ``CHARSET``.

    Source: 49 CFR 565.15(c).
    """
    problems = _problems(vin)
    if problems:
        raise UsageError(f"{vin!r} is no VIN: {'; '.join(problems)}; give 17 characters out of {CHARSET}")
    return CHECK_CHARS[_check_sum(vin) % 11]


def has_valid_check_digit(vin: str) -> bool:
    """Whether a VIN (17 characters out of ``CHARSET``, else ``UsageError``) has the check digit of the rule."""
    return check_digit(vin) == vin[CHECK_POSITION]


def check_labels(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """`check_digit` of many VINs: class labels int64 (N, 17) -> those of their check digits, int64 (N,)."""
    remainders = (VALUES[labels] * WEIGHTS).sum(1) % len(CHECK_CHARS)  # position 9 itself weighs nothing
    found: NDArray[np.int64] = np.array([label_of(char) for char in CHECK_CHARS], np.int64)[remainders]
    return found


def valid_slips(vin: str) -> tuple[str, ...]:
    """All VINs with a valid check digit that differ from this one in exactly one character, by position.

    If this VIN is valid itself, they differ in a character of the same value in the check sum (1, A, J; 2, B, K, S; …):
    no weight but the check digit's own is 0 modulo 11, a prime, so any other single change is noticed.

    Raises:
        UsageError: not 17 characters out of ``CHARSET``.
    """
    expected = check_digit(vin)
    total = _check_sum(vin)
    slips = []
    for position, char in enumerate(vin):
        others = [other for other in CHARSET if other != char]
        if position == CHECK_POSITION:
            fitting = [other for other in others if other == expected]
        else:
            rest = total - _weighted(position, char)
            fitting = [
                other
                for other in others
                if CHECK_CHARS[(rest + _weighted(position, other)) % 11] == vin[CHECK_POSITION]
            ]
        slips += [vin[:position] + other + vin[position + 1 :] for other in fitting]
    return tuple(slips)


@lru_cache
def known_wmis() -> frozenset[str]:
    """The makers' codes that ``vininfo`` knows, of two or three characters, without those that no VIN can hold."""
    from vininfo.dicts import WMI

    return frozenset(code for code in WMI if all(map(is_vin_char, code)))


def describe(code: str) -> VinDescription:
    """What a code says by itself: why it is no VIN, or else maker, country, year and check digit. Never raises.

    Source: ``vininfo`` for region, country, maker and years; 49 CFR 565.15 and GB 16735 for where a check digit is
    required; ISO 3779 leaves it to the maker.
    """
    code = code.strip().upper()
    problems = _problems(code)
    if problems:
        return VinDescription(code, problems, _suggestion(code))
    # Imported here: reading needs the facts above, but not always the library.
    from vininfo import Vin
    from vininfo.common import UnsupportedBrand

    facts = Vin(code)
    expected, found = check_digit(code), code[CHECK_POSITION]
    return VinDescription(
        code,
        wmi=facts.wmi,
        region=facts.region,
        country=facts.country,
        maker=None if isinstance(facts.assembler, UnsupportedBrand) else facts.manufacturer,
        years=tuple(sorted(facts.years)),
        check_digit_expected=expected,
        check_digit_found=found,
        check_digit_valid=expected == found,
        check_digit_required=code[0] in "12345" or facts.country in ("United States", "China"),
    )


def _weighted(position: int, char: str) -> int:
    """What a character adds to the check sum."""
    return int(WEIGHTS[position] * VALUES[label_of(char)])


def _check_sum(vin: str) -> int:
    return sum(_weighted(position, char) for position, char in enumerate(vin))


def _problems(code: str) -> tuple[str, ...]:
    """Sentences: why a code is no well-formed VIN; empty if it is one."""
    problems = [] if len(code) == VIN_LENGTH else [f"it has {len(code)} characters, a VIN has {VIN_LENGTH}"]
    if len(code) > _LONG:
        return tuple(problems)
    for char in dict.fromkeys(code):
        if not is_vin_char(char):
            positions = [str(position) for position, other in enumerate(code, 1) if other == char]
            problems.append(f"no VIN has {_name(char)}, as here in position {', '.join(positions)}{_hint(char)}")
    return tuple(problems)


def _name(char: str) -> str:
    """A character for people: those that look like others, or like nothing, by their names."""
    if char.isascii() and char.isprintable():
        return "a blank" if char == " " else char
    return unicodedata.name(char, f"U+{ord(char):04X}")


def _hint(char: str) -> str:
    return f" ({_MEANT[char]} is probably meant)" if _MEANT.get(char) else ""


def _suggestion(code: str) -> str | None:
    """The VIN that a malformed code becomes when each wrong character is taken for what it was probably meant as."""
    meant = "".join(_MEANT.get(char, char) for char in code)
    return None if _problems(meant) else meant
