"""What a variant of a character is in the stroke alphabet."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    """One way to write a character: a name for file names ("" for the usual way), its strokes, and how usual it is.

    ``weight`` is relative to the character's other variants.
    """

    name: str
    strokes: tuple[str, ...]
    weight: float = 1.0
