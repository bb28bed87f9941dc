"""Pictures of cards for the browser: the VIN field straightened, single cells, whole pages.

What a browser gets is always encoded anew, from the grey pixels that the reader saw.
"""

import math
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from vinscribe.errors import ImageError
from vinscribe.pages import BrokenPage, read_pages
from vinscribe.review.files import file_sha256
from vinscribe.review.records import Card

WIDEST_STRIP_PX = 2400
PAGES_KEPT = 12
"""Pages in memory; one of A4 at 300 dpi takes 9 MB."""

CELLS_KEPT = 600
"""Cards whose cut cells are in memory; one takes about 30 kB."""

PAPER = 0.6
"""How much paper around the field a strip shows, in heights of the field; beside it half as much."""

_CELL_MARGIN = 0.15
_CELL_HEIGHT_PX = 96  # taller cells are reduced: many are shown at once
_JPEG_QUALITY = 85

Grey = NDArray[np.uint8]
Floats = NDArray[np.float64]
_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class StripShape:
    """Where things are in a strip, in its pixels.

    Attributes:
        width, height: of the strip.
        cells: left and right end of each of the 17 cells.
        matrix: float64 (3, 3), from the strip's pixels to the page's.
    """

    width: int
    height: int
    cells: tuple[tuple[float, float], ...]
    matrix: Floats


def strip_shape(reading: Mapping[str, Any]) -> StripShape | None:
    """The shape of a reading's strip, upright however the card lies; None without a field."""
    if not reading["field"]:
        return None
    corners = np.array(reading["field"], np.float64)
    boxes = np.array([cell["box"] for cell in reading["cells"]], np.float64)
    across, down = _sides(corners)
    scale = min(1.0, WIDEST_STRIP_PX / (across + PAPER * down))
    inner = np.array([across, down]) * scale
    around = np.array([PAPER / 2, PAPER]) * inner[1]
    width, height = (max(1, round(float(side))) for side in inner + 2 * around)
    target = around + np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * inner
    to_page = cv2.getPerspectiveTransform(target.astype(np.float32), corners.astype(np.float32)).astype(np.float64)
    places = cv2.perspectiveTransform(boxes, np.linalg.inv(to_page))[:, :, 0]
    left, right = places[:, [0, 3]].mean(axis=1), places[:, [1, 2]].mean(axis=1)
    cells = tuple((round(x0, 1), round(x1, 1)) for x0, x1 in zip(left.tolist(), right.tolist(), strict=True))
    return StripShape(width, height, cells, to_page)


class Pictures:
    """Makes the pictures of cards; threads may share it.

    Every method raises ImageError where the scan is gone, damaged or another one by now.
    """

    def __init__(self) -> None:
        self._pages = _Recent[tuple[str, int], Grey](PAGES_KEPT)
        self._cells = _Recent[tuple[int, str], tuple[bytes, ...]](CELLS_KEPT)
        self._hashes = _Recent[tuple[str, int, int], str](1000)

    def strip(self, card: Card) -> bytes:
        """PNG of the field with a little paper around it. Raises ImageError also for a card without one."""
        shape = strip_shape(card.reading)
        if shape is None:
            raise ImageError("no field was found on this card; look at the whole page")
        return _encoded(_cut(self.page_of(card), shape.matrix, shape.width, shape.height), ".png")

    def cell(self, card: Card, position: int) -> bytes:
        """PNG of a cell, by its position from 0. Raises ImageError also where there is no such cell."""
        boxes = [cell["box"] for cell in card.reading["cells"]]
        if not 0 <= position < len(boxes):
            raise ImageError(f"this card has no cell {position}")

        def make() -> tuple[bytes, ...]:
            page = self.page_of(card)
            return tuple(_encoded(_cell(page, np.array(box, np.float64)), ".png") for box in boxes)

        return self._cells.get((card.id, str(card.reading["field"])), make)[position]

    def page(self, card: Card, width: int, turn: int = 0, annotated: bool = False) -> bytes:
        """JPEG of the whole page, up to so many pixels wide, turned so that the field is upright.

        Args:
            card: the card.
            width: in pixels; the page is never made larger than it is.
            turn: more quarter turns, clockwise.
            annotated: whether to draw in what was read.
        """
        image: NDArray[np.uint8] = self.page_of(card)
        if annotated:
            from vinscribe.annotate import annotate
            from vinscribe.review.readings import from_json

            image = annotate(image, from_json(card.reading))
        image = np.rot90(image, -(_quarters(card.reading["field"]) + turn) % 4)
        if image.shape[1] > width:
            height = max(1, round(image.shape[0] * width / image.shape[1]))
            image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        return _encoded(np.ascontiguousarray(image), ".jpg", [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])

    def field_on_page(self, card: Card) -> list[tuple[float, float]] | None:
        """The field's corners on the picture that `page` makes without further turns.

        Returns:
            x and y as fractions of its width and height; the first corner is where reading begins. None without a
            field.
        """
        if not card.reading["field"]:
            return None
        height, width = self.page_of(card).shape
        corners = [(x / width, y / height) for x, y in card.reading["field"]]
        for _ in range(_quarters(card.reading["field"])):
            corners = [(1 - y, x) for x, y in corners]
        return [(round(x, 4), round(y, 4)) for x, y in corners]

    def page_of(self, card: Card) -> Grey:
        """The page as the reader saw it, uint8 (height, width)."""
        self._check(card.scan_path, card.sha256)
        return self._pages.get((card.scan_path, card.page), lambda: _read(card.scan_path, card.page))

    def _check(self, path: str, sha256: str) -> None:
        """Scanners use names again, and what is read off another card's picture would be worse than nothing."""
        try:
            status = os.stat(path)  # noqa: PTH116  the path as it was given
            found = self._hashes.get((path, status.st_mtime_ns, status.st_size), lambda: file_sha256(path))
        except OSError as error:
            raise ImageError(f"the scan cannot be read any more: {error.strerror}; put it back to {path}") from None
        if found != sha256:
            raise ImageError(f"{path} is another scan than the one that was read; put that one back")


class _Recent(Generic[_Key, _Value]):
    """The values made last; what one thread is making, others wait for. PDFium bears one thread at a time anyway."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[_Key, _Value] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: _Key, make: Callable[[], _Value]) -> _Value:
        with self._lock:
            if key not in self._values:
                self._values[key] = make()
                if len(self._values) > self._most:
                    self._values.popitem(last=False)
            self._values.move_to_end(key)
            return self._values[key]


def _read(path: str, number: int) -> Grey:
    for page in read_pages(path, (number,)):
        if isinstance(page, BrokenPage):
            raise ImageError(f"page {number}: {page.error}")
        return page.image
    raise ImageError(f"there is no page {number} in {path}")


def _sides(corners: Floats) -> tuple[float, float]:
    """Mean width and height of a quadrangle."""
    across = np.linalg.norm(corners[[1, 2]] - corners[[0, 3]], axis=1).mean()
    down = np.linalg.norm(corners[[3, 2]] - corners[[0, 1]], axis=1).mean()
    return max(float(across), 1.0), max(float(down), 1.0)


def _quarters(field: list[list[float]] | None) -> int:
    """By how many quarters, clockwise, the page is to be turned for the field to be upright."""
    if not field:
        return 0
    (x0, y0), (x1, y1) = field[:2]
    return round(-math.atan2(y1 - y0, x1 - x0) / (math.pi / 2)) % 4


def _cell(page: Grey, box: Floats) -> Grey:
    across, down = _sides(box)
    scale = min(1.0, _CELL_HEIGHT_PX / (down * (1 + 2 * _CELL_MARGIN)))
    inner = np.array([across, down]) * scale
    target = _CELL_MARGIN * inner + np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * inner
    width, height = (max(1, round(float(side))) for side in inner * (1 + 2 * _CELL_MARGIN))
    matrix = cv2.getPerspectiveTransform(target.astype(np.float32), box.astype(np.float32))
    return _cut(page, matrix.astype(np.float64), width, height)


def _cut(page: Grey, matrix: Floats, width: int, height: int) -> Grey:
    """A part of the page, straightened; reduced without losing thin lines where it is smaller than on the page."""
    scale = max(1.0, float(np.linalg.norm(matrix[:2, 0] / matrix[2, 2])))
    if scale > 1.2:
        large = matrix @ np.diag([1 / scale, 1 / scale, 1.0])
        cut = _warped(page, large, round(width * scale), round(height * scale))
        return np.asarray(cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return _warped(page, matrix, width, height)


def _warped(page: Grey, matrix: Floats, width: int, height: int) -> Grey:
    corners = np.array([[[0, 0], [width, 0], [width, height], [0, height]]], np.float64)
    on_page = cv2.perspectiveTransform(corners, matrix)[0]
    high, wide = page.shape
    # Only the part that is needed: OpenCV does not take a page of more than 32,767 pixels a side.
    left, top = (max(0, math.floor(on_page[:, axis].min()) - 2) for axis in (0, 1))
    left, top = min(left, wide - 1), min(top, high - 1)
    right, bottom = (math.ceil(on_page[:, axis].max()) + 3 for axis in (0, 1))
    part = page[top : max(bottom, top + 1), left : max(right, left + 1)]
    shifted = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]], np.float64) @ matrix
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    cut = cv2.warpPerspective(part, shifted, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cut, np.uint8)


def _encoded(image: NDArray[np.uint8], ending: str, options: list[int] | None = None) -> bytes:
    return cv2.imencode(ending, image, options or [])[1].tobytes()
