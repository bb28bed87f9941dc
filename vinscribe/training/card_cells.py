"""Cells of drawn and scanned cards: what a field finder cuts out of a page, with the hand, pen and scan they share."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from vinscribe.cells import normalise_batch
from vinscribe.charset import CHARSET, ILLEGIBLE, NUM_CLASSES
from vinscribe.field import Field, cut_cells
from vinscribe.training.card_ink import Hand
from vinscribe.training.cards import draw_card
from vinscribe.training.hands import Hands
from vinscribe.vin import VIN_LENGTH

Picture = NDArray[np.uint8]

_MISPLACED = 0.02  # of a cell's width: how far off the corners of a field are found
_DPIS, _DPI_SHARES = (150, 200, 240, 300), (0.25, 0.45, 0.1, 0.2)
_EMPTY = 0.04  # share of cards whose field is empty
_RECORDED = 0.75  # share of cards that others' hands fill in, where there are any; the pen's alphabet does the others
_FIRST = 0.7  # of these, the share of the first of several collections of hands
_STRIPS = 0.75  # share of cards of which only the strip with the field is drawn, which takes a third of the time
_TRIM, _MARGIN = -0.08, 0.1  # of a cell's sides: how much is cut off it, or with it


def draw_cells(
    text: str,
    hand: Hand | None,
    rng: np.random.Generator,
    margin: float = 0.08,
    negative: str | None = None,
    dpi: int | None = None,
    strip: bool = False,
) -> list[Picture]:
    """Writes 17 characters on a card, scans it, and cuts the cells out about as well as they would be found.

    Args:
        text: 17 of the 33 characters.
        hand: who writes; the project's own alphabet if None.
        rng: where chance comes from.
        margin: see `vinscribe.field.cut_cells`.
        negative: see `vinscribe.training.cards.draw_card`.
        dpi: of the scan, likewise.
        strip: only the strip of the card with the field is drawn, likewise.

    Returns:
        17 uint8 arrays, of one size in the scan's pixels.
    """
    card = draw_card(int(rng.integers(2**62)), vin=text, hand=hand, negative=negative, dpi=dpi, strip=strip)
    assert card.truth.cells is not None  # noqa: S101
    assert card.truth.field is not None  # noqa: S101
    page = card.image if card.image.ndim == 2 else cv2.cvtColor(card.image, cv2.COLOR_BGR2GRAY)
    cells = np.array(card.truth.cells)
    cells += rng.normal(0, _MISPLACED * np.linalg.norm(cells[0, 1] - cells[0, 0]), (1, 4, 2))
    field = Field(np.array(card.truth.field), cells, 1.0, "boxes")
    return cut_cells(np.asarray(page, np.uint8), field, margin)


class CardCells:
    """A source of whole cards' cells, any of the 33 characters being as likely as any other.

    Args:
        hands: collections of who writes, the first the most; those that lack a character are not used, and without any
            the project's own alphabet does all.
        size_px: the network's input side.
    """

    def __init__(self, hands: Sequence[Hands], size_px: int) -> None:
        self._hands = [each for each in hands if each.complete]
        self._size_px = size_px

    def draw(self, rng: np.random.Generator) -> tuple[Picture, NDArray[np.int64]]:
        """One card's cells, uint8 (17, size_px, size_px), and their labels (17,), ``ILLEGIBLE`` for empty ones."""
        labels = rng.integers(NUM_CLASSES, size=VIN_LENGTH)
        text = "".join(CHARSET[label] for label in labels)
        hand = self._choose(text, rng) if self._hands and rng.random() < _RECORDED else None
        empty = rng.random() < _EMPTY
        dpi = int(rng.choice(_DPIS, p=_DPI_SHARES))
        margin, strip = float(rng.uniform(_TRIM, _MARGIN)), rng.random() < _STRIPS
        cells = draw_cells(text, hand, rng, margin, "empty" if empty else None, dpi, bool(strip))
        return normalise_batch(cells, self._size_px), np.full(VIN_LENGTH, ILLEGIBLE) if empty else labels

    def _choose(self, text: str, rng: np.random.Generator) -> Hand:
        first = len(self._hands) == 1 or rng.random() < _FIRST
        return self._hands[0 if first else int(rng.integers(1, len(self._hands)))].choose(text, rng)

    def draw_many(self, count: int, seed: int | Sequence[int]) -> tuple[Picture, NDArray[np.int64]]:
        """The cells of so many cards, (17 * count, size_px, size_px), and their labels."""
        rng = np.random.default_rng(seed)
        drawn = [self.draw(rng) for _ in range(count)]
        return np.concatenate([cells for cells, _ in drawn]), np.concatenate([labels for _, labels in drawn])
