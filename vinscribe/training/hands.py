"""Hands of people who were recorded, for writing whole VINs: `vinscribe.training.cards` writes with them.

No writer of UNIPEN wrote every character in every part of it; what one lacks another of the same part lends.
"""

import numpy as np
from numpy.typing import NDArray

from vinscribe.charset import NUM_CLASSES, label_of
from vinscribe.training.card_ink import Hand, Strokes
from vinscribe.training.unipen import StrokeSet

_WRITERS_TRIED = 8


class Hands:
    """Writers of a set of recorded strokes.

    Args:
        strokes: of all 33 characters.
    """

    def __init__(self, strokes: StrokeSet) -> None:
        self._strokes = strokes
        self._writers = np.unique(strokes.writers)
        classes = [strokes.labels == label for label in range(NUM_CLASSES)]
        self._of_all = [np.flatnonzero(own) for own in classes]
        self._of_writer = {
            str(writer): [np.flatnonzero(own & (strokes.writers == writer)) for own in classes]
            for writer in self._writers
        }

    @property
    def complete(self) -> bool:
        """Whether every character was written by somebody."""
        return all(len(rows) > 0 for rows in self._of_all)

    def choose(self, vin: str, rng: np.random.Generator) -> Hand:
        """A hand for a VIN: of a few writers by chance the one who wrote most of its characters."""
        return self._hand(self._rows(vin, rng))

    def of(self, writer: str) -> Hand:
        """The hand of one of the writers; ``KeyError`` for somebody else."""
        return self._hand(self._of_writer[writer])

    def _hand(self, rows: list[NDArray[np.intp]]) -> Hand:
        def write(char: str, rng: np.random.Generator) -> Strokes:
            label = label_of(char)
            own = rows[label] if len(rows[label]) else self._of_all[label]
            return [np.asarray(stroke, np.float64) for stroke in self._strokes.strokes[int(rng.choice(own))]]

        return write

    def _rows(self, vin: str, rng: np.random.Generator) -> list[NDArray[np.intp]]:
        tried = [self._of_writer[str(writer)] for writer in rng.choice(self._writers, _WRITERS_TRIED)]
        return max(tried, key=lambda rows: sum(len(rows[label_of(char)]) > 0 for char in vin))
