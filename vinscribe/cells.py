"""Cell picture -> network input. The same function prepares pictures for training and for reading.

A cell is laid out like an EMNIST picture: white ink on black, 28x28 pixels, the glyph's longer side filling 24 of
them, centred. A picture that is laid out like that already is left as it is, pixel for pixel.
"""

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from vinscribe.errors import ImageError

CELL_PX = 28
"""Side of a cell."""

GLYPH_PX = 24
"""Longer side of a glyph that `normalise` has placed."""

MIN_PX = 8
"""The longer side of a picture must have at least as many pixels."""

_WORKING_PX = 512  # larger pictures are reduced to this first, which also averages the grain of the paper away
_BLANK_CONTRAST = 24  # a picture with less between its paper and its strongest ink shows nothing
_INK_LEVEL = 40  # of 255; weaker pixels do not count for the glyph's bounding box
_PLACED_LONGER_PX = range(18, CELL_PX + 1)
_PLACED_OFFSET_PX = 2.0


def normalise(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn the picture of one character into the network's input.

    Deterministic; normalising twice is normalising once; a picture and its negative give the same cell. The paper is
    taken to be what most of the border shows, the ink what differs from it.

    Args:
        image: uint8 (height, width), dark ink on bright paper or the reverse, longer side at least MIN_PX.

    Returns:
        uint8 (28, 28), ink bright (255) on black (0); all zero where the picture shows nothing. Always a new array.

    Raises:
        ImageError: not a two-dimensional uint8 array, or too small.
    """
    if image.ndim != 2 or image.dtype != np.uint8:
        raise ImageError(f"a cell must be a uint8 array of shape (height, width), not {image.dtype} {image.shape}")
    if image.size == 0 or max(image.shape) < MIN_PX:
        raise ImageError(f"{image.shape[1]}x{image.shape[0]} pixels; a character needs at least {MIN_PX} pixels")
    # The negative before the reduction: rounding would else tell a large picture from its negative.
    ink = _stretched(_reduced(_white_on_black(image)))
    # One step settles nearly every picture. Thin lines that lose strength when reduced may need another.
    for _ in range(3):
        x, y, width, height = cv2.boundingRect(cv2.threshold(ink, _INK_LEVEL, 255, cv2.THRESH_BINARY)[1])
        if width == 0:
            return np.zeros((CELL_PX, CELL_PX), np.uint8)
        if ink.shape == (CELL_PX, CELL_PX) and _is_placed(x, y, width, height):
            break
        ink = _stretched(_placed(ink[y : y + height, x : x + width]))
    return ink.copy() if ink is image else ink


def normalise_batch(images: Iterable[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """`normalise` for many pictures of any sizes: uint8 (N, 28, 28), N = 0 included."""
    cells = [normalise(image) for image in images]
    return np.stack(cells) if cells else np.zeros((0, CELL_PX, CELL_PX), np.uint8)


def _reduced(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    longer = max(image.shape)
    if longer <= _WORKING_PX:
        return image
    size = [max(1, round(side * _WORKING_PX / longer)) for side in reversed(image.shape)]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def _paper_level(image: NDArray[np.uint8]) -> int:
    """Median of the border, doubled so that it is a whole number: 0..510."""
    ring = np.concatenate((image[0], image[-1], image[1:-1, 0], image[1:-1, -1]))
    ring.sort()
    # The mean of the two middle values makes a picture and its negative agree about which side the paper is on.
    return int(ring[(ring.size - 1) // 2]) + int(ring[ring.size // 2])


def _white_on_black(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture, or its negative where the ink is darker than the paper."""
    paper = _paper_level(image)
    mean = cv2.mean(image)[0]
    # On the tie (nothing darker or brighter on the whole) the paper's own level decides.
    ink_is_dark = 2 * mean < paper or (2 * mean == paper and paper > 255)
    return cv2.bitwise_not(image) if ink_is_dark else image  # type: ignore[return-value]


def _stretched(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Paper to 0 and strongest ink to 255, if they are not about there already."""
    paper = (_paper_level(ink) + 1) // 2
    strongest = int(ink.max())
    if strongest - paper < _BLANK_CONTRAST:
        return np.zeros_like(ink)
    if paper <= 8 and strongest >= 200:
        return ink
    levels = (np.arange(256) - paper) * (255 / (strongest - paper))
    return cv2.LUT(ink, np.round(levels.clip(0, 255)).astype(np.uint8))  # type: ignore[return-value]


def _is_placed(x: int, y: int, width: int, height: int) -> bool:
    """Whether a bounding box lies about where EMNIST puts it."""
    offset = max(abs(2 * x + width - CELL_PX), abs(2 * y + height - CELL_PX)) / 2
    return max(width, height) in _PLACED_LONGER_PX and offset <= _PLACED_OFFSET_PX


def _placed(glyph: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A glyph's crop (height, width) of any size -> the middle of a black cell, its shape kept."""
    height, width = glyph.shape
    scale = GLYPH_PX / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(glyph, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    cell = np.zeros((CELL_PX, CELL_PX), np.uint8)
    left, top = (CELL_PX - size[0]) // 2, (CELL_PX - size[1]) // 2
    cell[top : top + size[1], left : left + size[0]] = small
    return cell
