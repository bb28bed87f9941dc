"""The stroke alphabet: how hands, European ones above all, write the 33 VIN characters.

Every character has several variants (a 7 with and without its bar), every variant its strokes, and every stroke is a
text of control points ``x,y`` in hundredths of a unit box, y down. A smooth curve runs through the points; ``|``
makes a corner of the point before it. All control points were made for this project.
"""

from __future__ import annotations

from vinscribe.charset import CHARSET
from vinscribe.errors import UsageError
from vinscribe.training.alphabet_digits import DIGITS
from vinscribe.training.alphabet_letters import LETTERS
from vinscribe.training.variant import Variant

__all__ = ["ALPHABET", "Variant", "variant_of"]

ALPHABET: dict[str, tuple[Variant, ...]] = {**DIGITS, **LETTERS}
"""Character -> its variants; usual and unusual ones are told apart by their weights."""


def variant_of(char: str, name: str) -> Variant:
    """The variant of this name; raises ``UsageError`` where the alphabet has no such character or variant."""
    if char not in ALPHABET:
        raise UsageError(f"The stroke alphabet has no character {char!r}. It has {CHARSET}.")
    for variant in ALPHABET[char]:
        if variant.name == name:
            return variant
    names = ", ".join(repr(variant.name) for variant in ALPHABET[char])
    raise UsageError(f"The character {char} has no variant {name!r}. It has {names}.")
