"""The 33 characters of a VIN and their class labels.

Source: 49 CFR 565.15 and ISO 3779: a VIN holds the digits and the capital letters without I, O and Q.
"""

CHARSET = "0123456789ABCDEFGHJKLMNPRSTUVWXYZ"
"""Class label -> character: digits first, then the capitals without I, O, Q (33 characters)."""

NUM_CLASSES = len(CHARSET)

ILLEGIBLE = NUM_CLASSES
"""Label of a picture without a legible character: blank, struck out, overwritten, a blot, a dash."""

NUM_OUTPUTS = NUM_CLASSES + 1
"""Outputs of a network that also tells whether there is a legible character."""

_LABELS = {char: label for label, char in enumerate(CHARSET)}


def label_of(char: str) -> int:
    """Class label (0..32) of a VIN character; ``KeyError`` for any other."""
    return _LABELS[char]


def is_vin_char(char: str) -> bool:
    """Whether a VIN can hold this character."""
    return char in _LABELS
