"""Rows of 17 cells that one hand wrote: what the row reader learns from.

Most are the cells of drawn and scanned strips or whole cards, cut out as badly as a field finder cuts them; others are
characters of one hand by themselves, as they come to ``read --cells``; some are EMNIST's pictures of mixed hands.
Characters are drawn so that likes and look-alikes meet in a row, and in no order: a row says nothing of how VINs are
built, which is the decoder's to know.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from vinscribe.charset import CHARSET, ILLEGIBLE, NUM_CLASSES
from vinscribe.field import Field, cut_cells
from vinscribe.training.augment import AugmentSettings, bare, render
from vinscribe.training.card_ink import Hand
from vinscribe.training.cards import draw_card, make_vin
from vinscribe.training.dataset import Split
from vinscribe.training.glyphs import ImageGlyphs, Placement, StrokeGlyphs
from vinscribe.training.hands import Hands
from vinscribe.training.pen import write
from vinscribe.views import views
from vinscribe.vin import VIN_LENGTH

Picture = NDArray[np.uint8]

KINDS = ("strip", "card", "bare", "boxed", "emnist")
KIND_SHARES = (0.56, 0.12, 0.12, 0.1, 0.1)
"""How often each kind of row is drawn."""

_DPIS, _DPI_SHARES = (150, 200, 240, 300), (0.25, 0.45, 0.1, 0.2)
_MARGINS = -0.08, 0.12  # of a cell's sides: how much is cut off it, or with it
_OFF = 0.05, 0.33  # spread and most of how far a whole row is off, in cells
_STRETCH = 0.012  # spread of the pitch's error: at the ends of the row it adds up to eight times as much
_JITTER = 0.02  # spread of each corner, in cells
_PEN_SHARE = 0.2  # of strips and cards that the project's own alphabet fills in
_EMPTY, _BLANK, _STRUCK = 0.03, 0.03, 0.03  # rows without ink, with an empty cell, with one that is struck out
_LOOKALIKES = (
    "5S",
    "2Z7",
    "0DCG6",
    "8B3",
    "1L7J",
    "UVWY",
    "4AH9",
    "KXRH",
    "MNHW",
    "EFPB",
    "69G",
    "TYJ7",
    "9S5",
    "PDRB",
)


@dataclass(frozen=True)
class Row:
    """A row of cells.

    Attributes:
        views: uint8 (17, V, S, S), see `vinscribe.views`.
        labels: int64 (17,), ``ILLEGIBLE`` where nothing can be read.
        kind: one of `KINDS`.
    """

    views: NDArray[np.uint8]
    labels: NDArray[np.int64]
    kind: str


class RowCells:
    """A source of rows.

    Args:
        hands: collections of hands, the first twice as often as any other; those that lack a character are left out.
        emnist: pictures of mixed hands; not drawn if they lack a character.
        settings: how characters by themselves are rendered.
        size_px: side of the cells.
    """

    def __init__(self, hands: Sequence[Hands], emnist: Split, settings: AugmentSettings, size_px: int) -> None:
        self._hands = [each for each in hands if each.complete]
        self._images = ImageGlyphs(emnist.images, emnist.labels)
        self._of_class = [np.flatnonzero(emnist.labels == label) for label in range(NUM_CLASSES)]
        self._settings = replace(settings, bare=0.0, illegible=0.0)
        self._size_px = size_px

    def draw(self, rng: np.random.Generator, kind: str | None = None) -> Row:
        """A row; of a kind by chance if None."""
        kind = kind or str(rng.choice(KINDS, p=KIND_SHARES))
        if kind == "emnist" and not all(map(len, self._of_class)):
            kind = "strip"
        text = make_text(rng)
        labels = np.array([CHARSET.index(char) for char in text], np.int64)
        pictures: list[Picture]
        if kind in ("strip", "card"):
            pictures, labels = self._written(text, labels, kind == "strip", rng)
        elif kind == "emnist":
            pictures = [bare(self._images.images[rng.choice(self._of_class[label])], rng) for label in labels]
        else:
            pictures = self._single(text, kind == "bare", rng)
        return Row(np.stack([self._views(picture) for picture in pictures]), labels, kind)

    def _written(
        self, text: str, labels: NDArray[np.int64], strip: bool, rng: np.random.Generator
    ) -> tuple[list[Picture], NDArray[np.int64]]:
        hand = None if not self._hands or rng.random() < _PEN_SHARE else self._choose(text, rng)
        chance, negative, labels = rng.random(), None, labels.copy()
        if chance < _EMPTY:
            negative, labels[:] = "empty", ILLEGIBLE
        elif chance < _EMPTY + _BLANK + _STRUCK:
            negative = "missing" if chance < _EMPTY + _BLANK else "struck"
        dpi = int(rng.choice(_DPIS, p=_DPI_SHARES))
        card = draw_card(int(rng.integers(2**62)), vin=text, hand=hand, negative=negative, dpi=dpi, strip=strip)
        if negative in ("missing", "struck"):
            labels[card.spoilt] = ILLEGIBLE
        page = card.image if card.image.ndim == 2 else cv2.cvtColor(card.image, cv2.COLOR_BGR2GRAY)
        field = Field(np.array(card.truth.field), _misplaced(np.array(card.truth.cells), rng), 1.0, "boxes")
        return cut_cells(np.asarray(page, np.uint8), field, float(rng.uniform(*_MARGINS))), labels

    def _single(self, text: str, as_they_are: bool, rng: np.random.Generator) -> list[Picture]:
        """Characters of one hand, each by itself: all with one pen on white, or each in a box of its own."""
        hand = self._choose(text, rng) if self._hands and rng.random() >= _PEN_SHARE else None
        strokes = [hand(char, rng) if hand else write(char, rng) for char in text]
        glyphs = StrokeGlyphs(strokes, np.array([CHARSET.index(char) for char in text], np.int64))
        if not as_they_are:
            return [render(glyphs, index, self._settings, rng)[0] for index in range(VIN_LENGTH)]
        look = int(rng.integers(2**62))
        return [_plain(glyphs, index, look, rng) for index in range(VIN_LENGTH)]

    def _choose(self, text: str, rng: np.random.Generator) -> Hand:
        number = int(rng.integers(len(self._hands) + 1))
        return self._hands[max(number - 1, 0)].choose(text, rng)

    def _views(self, picture: Picture) -> Picture:
        return views(picture, self._size_px)


def make_text(rng: np.random.Generator) -> str:
    """17 characters: any, or those of a made-up VIN, or few of which many are alike; in random order."""
    chance = rng.random()
    if chance < 0.3:
        chars = list(rng.choice(list(CHARSET), VIN_LENGTH))
    elif chance < 0.7:
        chars = list(make_vin(rng))
    else:
        groups = rng.choice(len(_LOOKALIKES), 4, replace=False)
        pool = sorted(set("".join(_LOOKALIKES[group] for group in groups)))
        chars = list(rng.choice(pool, VIN_LENGTH))
    return "".join(str(char) for char in rng.permutation(chars))


def _misplaced(cells: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Cells (17, 4, 2) as a finder would have them: the row off as a whole, its pitch wrong, corners astray."""
    across = (cells[:, 1] - cells[:, 0] + cells[:, 2] - cells[:, 3]).mean(0) / 2
    down = (cells[:, 3] - cells[:, 0] + cells[:, 2] - cells[:, 1]).mean(0) / 2
    spread, most = _OFF
    off = rng.normal(0, spread, 2) if rng.random() < 0.8 else rng.uniform(-most, most, 2)
    along = np.arange(len(cells)) - (len(cells) - 1) / 2
    shift = off[0] + along * rng.normal(0, _STRETCH)
    moved = cells + shift[:, None, None] * across + off[1] / 2 * down
    length = float(np.linalg.norm(across))
    moved += rng.normal(0, _JITTER / 2 * length, (len(cells), 1, 2))
    return np.asarray(moved + rng.normal(0, _JITTER * length, (1, 4, 2)))


def _plain(glyphs: StrokeGlyphs, index: int, look: int, rng: np.random.Generator) -> Picture:
    """A character as a program would draw it: pen, size and grey are those of the look."""
    style = np.random.default_rng(look)
    height_px = round(float(np.exp(style.uniform(np.log(24), np.log(96)))))
    pen = max(float(np.exp(style.uniform(np.log(0.025), np.log(0.09)))) * height_px, 1.0)
    ink, paper, margin = int(style.integers(0, 80)), int(style.integers(225, 256)), float(style.uniform(0.07, 0.2))
    character, _, _ = glyphs.extent(index, rng)
    longer = height_px * (1 - 2 * margin)
    matrix = np.array([[longer, 0, height_px / 2], [0, longer, height_px / 2]])
    drawn = glyphs.draw(character, (height_px, height_px), Placement(matrix, longer, pen), rng)
    return np.rint(paper + drawn.astype(np.float32) / 255 * (ink - paper)).astype(np.uint8)
