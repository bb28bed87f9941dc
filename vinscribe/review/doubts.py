"""What of a reading a person has to look at: the cells left open, and the likely characters of each.

Readings are the objects of `vinscribe.output.vin_to_json`.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

from vinscribe.charset import CHARSET
from vinscribe.decode import LEGIBLE
from vinscribe.vin import VIN_LENGTH

OPEN_BELOW = 0.99
"""Characters with less confidence are left open."""

MOST_CHOICES = 3

_LEAST_CHOICE = 0.01  # less probable characters are offered only to make two
_MAYBE_LEGIBLE = 0.5
_NAMED = re.compile(r"\bcharacter (\d+):")


def open_positions(
    reading: Mapping[str, Any],
    confirmed: Collection[int] = (),
    odd: Collection[int] = (),
    below: float = OPEN_BELOW,
) -> list[int]:
    """The positions, from 0, of the cells that a person has to fill.

    Those with less confidence than ``below``, those that may not be legible, and those where evidence overruled the
    ink; without those that the group check found right, but with those that it found wrong. Never none: where nothing
    is in doubt, what the reader names as its doubt is open, or the character that it is least sure of. Otherwise a card
    could be settled without a look at it, and an audit would measure nothing.
    """
    cells = reading["cells"]
    if not cells:
        return list(range(VIN_LENGTH))
    doubtful = [
        position
        for position, cell in enumerate(cells)
        if position in odd
        or (
            position not in confirmed
            and (
                cell["confidence"] < below
                or cell["legible_probability"] < LEGIBLE
                or cell["char"] != reading["raw"][position]
            )
        )
    ]
    if doubtful:
        return doubtful
    named = [int(number) - 1 for number in _NAMED.findall(reading["reason"] or "")]
    return sorted(set(named)) or [min(range(len(cells)), key=lambda position: float(cells[position]["confidence"]))]


def choices(reading: Mapping[str, Any], position: int, odd: bool = False) -> list[str]:
    """The two or three most probable characters of a cell; fewer if there are none.

    What all evidence makes of it comes before what its ink alone says: the characters that the decoded VINs have there,
    by the sums of their probabilities, then those of the cell itself, and improbable ones only to make two.

    In the order of the alphabet: a list that began with the most probable one would be agreed with unread. Without the
    character that was read if the cell is odd, as somebody has said that it is not that one. None for a cell that more
    probably than not is empty or struck out: whoever looks shall see that, and not be offered a guess.
    """
    if reading["cells"][position]["legible_probability"] < _MAYBE_LEGIBLE:
        return []
    cell = reading["cells"][position]
    offered = [*_decoded(reading, position), *cell.get("choices", ())]
    likely = [char for char, probability in offered if probability >= _LEAST_CHOICE]
    others = [char for char, probability in offered if probability < _LEAST_CHOICE]
    ranked = [char for char in dict.fromkeys(likely + others) if not (odd and char == cell["char"])]
    kept = [char for number, char in enumerate(ranked[:MOST_CHOICES]) if number < 2 or char in likely]
    return sorted(kept, key=CHARSET.index)


def _decoded(reading: Mapping[str, Any], position: int) -> list[tuple[str, float]]:
    """The characters that the decoded VINs have at a position, with their probabilities, best first."""
    cell = reading["cells"][position]
    sums: dict[str, float] = {}
    for candidate in reading["candidates"]:
        char = candidate["vin"][position]
        sums[char] = sums.get(char, 0.0) + candidate["probability"]
    # What was read has a probability over all VINs, not only over the few best.
    sums[cell["char"]] = max(sums.get(cell["char"], 0.0), cell["confidence"])
    return sorted(sums.items(), key=lambda item: -item[1])
