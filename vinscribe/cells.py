"""Cell picture -> network input. The same function prepares pictures for training and for reading.

What it does is little on purpose: ink bright and paper black, shadows off, empty margins off, one size. Box lines,
dirt and neighbours stay in the picture; the network has learned to look past them. Whatever were removed here by a
rule could take a 1 or an L with it.
"""

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from vinscribe.errors import ImageError
from vinscribe.stages import stage

CELL_PX = 40
"""Side of a cell, unless a model asks for another."""

MIN_PX = 8
"""The longer side of a picture must have at least as many pixels."""

INK_SHARE = 6 / 7
"""Share of the cell's side that the ink fills where there is paper all around it, as in EMNIST."""

_WORKING_PX = 120  # larger pictures are reduced to this first, which also averages the grain of the paper away
_PAPER_PX = 20  # side at which the paper's brightness is followed
_PAPER_KERNEL = np.ones((9, 9), np.uint8)  # what is narrower than this, at that side, is ink or a line
_BLANK_CONTRAST = 12  # a picture with less between its paper and its strongest ink shows nothing
_INK_LEVEL = 32  # of 255; weaker pixels do not count as ink when empty margins are cut off
_SMALLEST_WINDOW = 0.35  # of the longer side; what is smaller than that is not enlarged further: it may be a speck


def normalise(image: NDArray[np.uint8], size_px: int = CELL_PX) -> NDArray[np.uint8]:
    """Turn the picture of one character into the network's input.

    Deterministic; a picture and its negative give the same cell. The most frequent side of the picture's brightness is
    taken to be paper, what differs from it ink. The picture's shape is kept; black fills the rest of the square.

    Args:
        image: uint8 (height, width), dark ink on bright paper or the reverse, longer side at least MIN_PX.
        size_px: side of the result.

    Returns:
        uint8 (size_px, size_px), ink bright (255) on black (0); all zero where the picture shows nothing.

    Raises:
        ImageError: not a two-dimensional uint8 array, or too small.
    """
    if image.ndim != 2 or image.dtype != np.uint8:
        raise ImageError(f"a cell must be a uint8 array of shape (height, width), not {image.dtype} {image.shape}")
    if image.size == 0 or max(image.shape) < MIN_PX:
        raise ImageError(f"{image.shape[1]}x{image.shape[0]} pixels; a character needs at least {MIN_PX} pixels")
    ink = _stretched(_without_paper(_white_on_black(reduced(image))))
    x, y, side = _window(ink)
    return _cut(ink, x, y, side, size_px)


@stage("normalise")
def normalise_batch(images: Iterable[NDArray[np.uint8]], size_px: int = CELL_PX) -> NDArray[np.uint8]:
    """`normalise` for many pictures of any sizes: uint8 (N, size_px, size_px), N = 0 included."""
    cells = [normalise(image, size_px) for image in images]
    return np.stack(cells) if cells else np.zeros((0, size_px, size_px), np.uint8)


def reduced(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture at no more pixels than `normalise` looks at: uint8 (height, width), the same cell comes of it."""
    longer = max(image.shape)
    if longer <= _WORKING_PX:
        return image
    size = [max(1, round(side * _WORKING_PX / longer)) for side in reversed(image.shape)]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


_LEVELS = np.arange(256.0)
_POWERS = np.stack([_LEVELS**power for power in range(4)], axis=1)  # sums of these are whole, and exact in float64


def _white_on_black(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture, or its negative where the ink is darker than the paper.

    The paper is the median. Ink is on the side of it that differs more, by the third moment: few strong pixels weigh
    more than the many weak ones of grain and shadow.
    """
    counts = _histogram(image)
    paper = _doubled_median(counts)
    count, first, second, third = map(int, (counts @ _POWERS).tolist())
    moment = 8 * third - 12 * paper * second + 6 * paper**2 * first - paper**3 * count  # of twice the levels
    # On the tie (nothing on either side) the paper's own level decides.
    ink_is_dark = moment < 0 or (moment == 0 and paper > 255)
    return cv2.bitwise_not(image) if ink_is_dark else image  # type: ignore[return-value]


def _histogram(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    return cv2.calcHist([image], [0], None, [256], [0, 256]).ravel().astype(np.float64)


def _doubled_median(counts: NDArray[np.float64]) -> int:
    """Twice the median, a whole number: the sum of the two middle values."""
    seen = counts.cumsum()
    count = int(seen[-1])
    return int(seen.searchsorted((count + 1) // 2) + seen.searchsorted(count // 2 + 1))


def _without_paper(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Brightness above the paper's, which may change slowly over the picture: shadows, a lamp, a tint."""
    height, width = image.shape
    scale = _PAPER_PX / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    paper = cv2.blur(cv2.morphologyEx(small, cv2.MORPH_OPEN, _PAPER_KERNEL), (5, 5))
    paper = cv2.resize(paper, (width, height), interpolation=cv2.INTER_LINEAR)
    return cv2.subtract(image, paper)  # type: ignore[return-value]


def _stretched(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Median to 0 and strongest ink to 255; all zero where there is nothing."""
    counts = _histogram(ink)
    paper, strongest = _doubled_median(counts) // 2, int(counts.nonzero()[0][-1])
    if strongest - paper < _BLANK_CONTRAST:
        return np.zeros_like(ink)
    levels = (_LEVELS - paper) * (255 / (strongest - paper))
    return cv2.LUT(ink, np.rint(np.minimum(np.maximum(levels, 0), 255)).astype(np.uint8))  # type: ignore[return-value]


def _window(ink: NDArray[np.uint8]) -> tuple[int, int, int]:
    """Left, top and side of the square that goes into the cell: all of the ink, as much of the rest as needed.

    It reaches over the picture's edge only where the picture is narrower than the square, so a box stays a box and a
    line along the edge stays at the edge.
    """
    height, width = ink.shape
    longer = max(height, width)
    x, y, ink_width, ink_height = cv2.boundingRect(cv2.threshold(ink, _INK_LEVEL, 255, cv2.THRESH_BINARY)[1])
    if not ink_width:
        x, y, ink_width, ink_height = 0, 0, width, height
    side = round(min(longer, max(max(ink_width, ink_height) / INK_SHARE, _SMALLEST_WINDOW * longer)))
    return _placed(x, ink_width, width, side), _placed(y, ink_height, height, side), side


def _placed(start: int, length: int, available: int, side: int) -> int:
    """Where a window of this side begins: the ink in its middle, the window inside the picture if it fits."""
    if side >= available:
        return (available - side) // 2
    return min(max(start + (length - side) // 2, 0), available - side)


def _cut(ink: NDArray[np.uint8], x: int, y: int, side: int, size_px: int) -> NDArray[np.uint8]:
    """The window, black where it reaches over the edge, as a new array (size_px, size_px)."""
    window = ink[max(y, 0) : y + side, max(x, 0) : x + side]
    if window.shape != (side, side):
        top, left = max(-y, 0), max(-x, 0)
        bottom, right = side - window.shape[0] - top, side - window.shape[1] - left
        window = cv2.copyMakeBorder(window, top, bottom, left, right, cv2.BORDER_CONSTANT, value=0)  # type: ignore[assignment]
    interpolation = cv2.INTER_AREA if side > size_px else cv2.INTER_CUBIC
    if side == size_px:
        return window.copy()
    return cv2.resize(window, (size_px, size_px), interpolation=interpolation)  # type: ignore[return-value]
