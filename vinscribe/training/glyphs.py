"""Where characters come from: pictures as EMNIST has them, recorded pen strokes, the project's own alphabet.

Each source draws the ink of one of its characters into a cell of any size, at any place, slant and pen width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from vinscribe.charset import CHARSET, NUM_CLASSES
from vinscribe.training.pen import write

Ink = NDArray[np.uint8]
"""uint8 (height, width): how much ink there is, 0 to 255."""
Strokes = Sequence[NDArray[np.floating]]


@dataclass(frozen=True)
class Placement:
    """Where and how a character is written into a cell.

    Attributes:
        matrix: float64 (2, 3), from the character (centre of its box at the origin, longer side 1) to pixels.
        longer_px: longer side of the character in pixels.
        pen_px: width of the pen.
    """

    matrix: NDArray[np.float64]
    longer_px: float
    pen_px: float


class Glyphs(Protocol):
    """A source of characters."""

    labels: NDArray[np.int64]
    """(N,) of CHARSET."""

    def extent(self, index: int, rng: np.random.Generator) -> tuple[object, float, float]:
        """A character to draw, its width and its height; the longer of both is 1."""

    def draw(self, character: object, shape: tuple[int, int], placement: Placement, rng: np.random.Generator) -> Ink:
        """The ink of a character that ``extent`` returned, in a cell of (height, width)."""


class ImageGlyphs:
    """Characters from pictures of one side: EMNIST's of 28 px, or others of any side and any width of stroke.

    Args:
        images: uint8 (N, S, S), white ink on black. S = 28 is taken to be EMNIST. Of other pictures the strokes are
            measured here once, about 0.2 ms a picture of 56 px.
        labels: int64 (N,).
    """

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
        self.images, self.labels = images, labels
        self._side = images.shape[1] if images.ndim == 3 else _EMNIST_SIDE
        if self._side != _EMNIST_SIDE:
            field_side = self._side + 2 * _field_edge(self._side)
            self._fields = np.empty((len(images), field_side, field_side), np.uint8)
            self._strokes_px = np.empty(len(images))
            for index, image in enumerate(images):
                self._fields[index], self._strokes_px[index] = _stroke_field(image)

    def extent(self, index: int, rng: np.random.Generator) -> tuple[object, float, float]:
        """See ``Glyphs``."""
        x, y, width, height = cv2.boundingRect(cv2.threshold(self.images[index], 64, 255, cv2.THRESH_BINARY)[1])
        longer = max(width, height, 1)
        return (index, x + width / 2, y + height / 2, longer), width / longer, height / longer

    def draw(self, character: object, shape: tuple[int, int], placement: Placement, rng: np.random.Generator) -> Ink:
        """See ``Glyphs``; a stroke becomes half as wide (not EMNIST: 0.6 times) at least, 2.5 times at most."""
        index, centre_x, centre_y, longer = cast(tuple[int, float, float, float], character)
        to_unit = np.array([[1, 0, 0.5 - centre_x], [0, 1, 0.5 - centre_y], [0, 0, longer]]) / longer
        matrix = placement.matrix @ to_unit
        matrix[:, 2] -= 0.5
        if self._side != _EMNIST_SIDE:
            return self._drawn_anew(index, matrix, shape, placement.pen_px, placement.longer_px / longer, rng)
        ink = cv2.warpAffine(bent_image(self.images[index], _BEND_PX, rng), matrix, shape[::-1], flags=cv2.INTER_CUBIC)
        # EMNIST's stroke, about an eighth of the longer side, is all that there is to start from.
        natural_px = 0.12 * placement.longer_px
        change = float(np.clip(placement.pen_px / natural_px, *_STROKE_CHANGE)) - 1
        level = float(np.clip(110 - 90 * change, 60, 170)) + rng.uniform(-15, 15)
        ink = cv2.LUT(ink, _ramp(level, rng.uniform(1.5, 6)))
        grow_px = (change - 0.4) * natural_px
        if grow_px >= 1:
            ink = cv2.dilate(ink, _disc(round(grow_px) + 1))
        return np.asarray(ink, np.uint8)

    def _drawn_anew(
        self,
        index: int,
        matrix: NDArray[np.float64],
        shape: tuple[int, int],
        pen_px: float,
        scale: float,
        rng: np.random.Generator,
    ) -> Ink:
        """The ink of a picture that is not EMNIST's, by its distances from the stroke's edge; see `_stroke_field`.

        ``pen_px`` is in pixels of the result, of which the picture's pixel has ``scale``.
        """
        field = bent_image(self._fields[index], _BEND_PX * self._side / _EMNIST_SIDE, rng)
        matrix = np.column_stack([matrix[:, :2], matrix[:, 2] - matrix[:, :2].sum(1) * _field_edge(self._side)])
        field = np.asarray(cv2.warpAffine(field, matrix, shape[::-1], flags=cv2.INTER_LINEAR), np.uint8)
        stroke_px = self._strokes_px[index]
        wanted_px = stroke_px * float(np.clip(pen_px / (stroke_px * scale) + rng.uniform(-0.1, 0.1), *_FIELD_CHANGE))
        steps = _field_steps(self._side)
        level = _EDGE + steps * (stroke_px - wanted_px) / 2
        return cv2.LUT(field, _ramp(level, 255 * scale / (steps * rng.uniform(0.8, 2))))  # type: ignore[return-value]


_EMNIST_SIDE = 28
_BEND_PX = 0.9  # at EMNIST's side
_STROKE_CHANGE = (0.5, 2.5)  # how many times as wide a stroke may become
_FIELD_CHANGE = (0.6, 2.5)  # the same where the stroke was measured: ballpoint made thinner than that has gaps
_EDGE = 128  # in a stroke field: the ink's edge


def _field_edge(side: int) -> int:
    """How far a stroke field reaches over its picture's edge, in pixels: room for wider and for bent strokes."""
    return side // 8


def _field_steps(side: int) -> float:
    """Levels of a stroke field for each pixel; what is further than an eighth of the side from ink is 0."""
    return 8 * _EDGE / side


def _stroke_field(image: Ink) -> tuple[Ink, float]:
    """How far each pixel is from the edge of the ink, and the width of the stroke.

    The stroke can be drawn at any width by a single threshold of the field. Inside the ink the distances are stretched
    so that the middle of every stroke lies as high, by half of the picture's mean width of stroke, whatever the width
    is there: a stroke made thinner keeps the same share of its width everywhere and does not break.

    Returns:
        uint8, wider than the picture by ``_field_edge`` on all sides: 128 at the ink's edge, more inside, less outside,
        ``_field_steps`` levels a pixel; and the mean width of the stroke in pixels, at least 1.
    """
    side, edge = len(image), _field_edge(len(image))
    fine = 2  # at twice the side, the edge has hardly any steps
    wider = cv2.copyMakeBorder(image, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=0)
    large = cv2.resize(wider, None, fx=fine, fy=fine, interpolation=cv2.INTER_CUBIC)
    # Ink that is paler than the rest belongs to the stroke as well.
    mask = cv2.threshold(large, max(40, 0.35 * float(image.max())), 255, cv2.THRESH_BINARY)[1]
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    around = sum(cv2.arcLength(contour, True) for contour in contours)
    width = max(2 * cv2.countNonZero(mask) / max(around, 1.0), float(fine))
    distances = cv2.subtract(
        cv2.distanceTransform(mask, cv2.DIST_L2, 3), cv2.distanceTransform(cv2.bitwise_not(mask), cv2.DIST_L2, 3)
    )
    distances = cv2.resize(distances, wider.shape, interpolation=cv2.INTER_AREA) / fine
    middle = cv2.dilate(distances, _disc(2 * round(width / 4) + 1))
    stretched = distances * (width / 2 / fine / np.maximum(middle, 0.5))
    field = _EDGE + np.where(distances > 0, stretched, distances) * _field_steps(side)
    return np.rint(field.clip(0, 255)).astype(np.uint8), width / fine


class StrokeGlyphs:
    """Characters from pen strokes: lists of polylines (n, 2), x right, y down."""

    def __init__(self, strokes: Sequence[Strokes], labels: NDArray[np.int64]) -> None:
        self.strokes, self.labels = strokes, labels

    def extent(self, index: int, rng: np.random.Generator) -> tuple[object, float, float]:
        """See ``Glyphs``."""
        return _unit(bent_strokes(self.strokes[index], 1.0, rng))

    def draw(self, character: object, shape: tuple[int, int], placement: Placement, rng: np.random.Generator) -> Ink:
        """See ``Glyphs``."""
        return draw_strokes(cast(Strokes, character), shape, placement)


class PenGlyphs(StrokeGlyphs):
    """The project's own alphabet, written anew each time; one index per character of CHARSET."""

    def __init__(self) -> None:
        super().__init__([], np.arange(NUM_CLASSES))

    def extent(self, index: int, rng: np.random.Generator) -> tuple[object, float, float]:
        """See ``Glyphs``."""
        return _unit(bent_strokes(write(CHARSET[index], rng), 0.6, rng))


@lru_cache
def _grid(side: int) -> NDArray[np.float32]:
    """(side, side, 2): the x and y of each pixel."""
    return np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=2).astype(np.float32)


def bent_image(image: Ink, bend_px: float, rng: np.random.Generator) -> Ink:
    """A square picture, bent smoothly; ``bend_px`` is the standard deviation at coarse nodes."""
    side = len(image)
    nodes = rng.normal(0, bend_px, (4, 4, 2)).astype(np.float32)
    bend = _grid(side) + cv2.resize(nodes, (side, side), interpolation=cv2.INTER_CUBIC)
    return cv2.remap(image, bend[..., 0], bend[..., 1], cv2.INTER_LINEAR)  # type: ignore[return-value]


def bent_strokes(strokes: Strokes, amount: float, rng: np.random.Generator) -> Strokes:
    """Strokes of a character about 1 high, bent as a whole and moved against each other."""
    amount *= rng.uniform(0.2, 1.6)
    directions = rng.normal(0, 2.6, (2, 3))  # of three waves, in radians per unit
    phases = rng.uniform(0, 2 * np.pi, 3)
    heights = rng.normal(0, 0.035 * amount, (3, 2))
    bent = []
    for stroke in strokes:
        moved = stroke + np.sin(stroke @ directions + phases) @ heights
        if len(strokes) > 1:
            centre = moved.mean(0)
            change = np.eye(2) + rng.normal(0, 0.05 * amount, (2, 2))
            moved = (moved - centre) @ change + centre + rng.normal(0, 0.02 * amount, 2)
        bent.append(moved)
    return bent


def draw_strokes(strokes: Strokes, shape: tuple[int, int], placement: Placement) -> Ink:
    """Polylines of a character, its box centred at the origin, longer side 1, with a round pen."""
    large = np.zeros((2 * shape[0], 2 * shape[1]), np.uint8)
    # OpenCV takes whole numbers with 4 binary digits behind the point; pixel centres lie at whole numbers.
    matrix, offset = placement.matrix[:, :2].T * 32, placement.matrix[:, 2] * 32 - 8
    points = [np.rint(stroke @ matrix + offset).astype(np.int32) for stroke in strokes]
    thickness, width = _thickness(2 * placement.pen_px)
    cv2.polylines(large, points, False, 255, thickness, cv2.LINE_AA, 4)
    ink = cv2.resize(large, shape[::-1], interpolation=cv2.INTER_AREA)
    if 2 * placement.pen_px < width:  # a pen thinner than can be drawn leaves a paler line
        ink = cv2.convertScaleAbs(ink, alpha=max(0.4, 2 * placement.pen_px / width))
    return np.asarray(ink, np.uint8)


def _thickness(wanted_px: float) -> tuple[int, float]:
    """OpenCV's thickness for a smooth line of about this width, and the true width of the thinnest line (else 0).

    Smooth lines turn out wider than asked for: 1 gives 1.3 px, 2 gives 3.4, 3 and 4 give 5.4, 5 and 6 give 7.4.
    """
    if wanted_px < 2.4:
        return 1, 1.3
    if wanted_px < 4.4:
        return 2, 0.0
    return 2 * round((wanted_px - 3.4) / 2) + 1, 0.0


def _unit(strokes: Strokes) -> tuple[object, float, float]:
    points = np.concatenate(strokes)
    low, high = points.min(0), points.max(0)
    width, height = high - low
    longer = max(float(width), float(height), 1e-6)
    centre = (low + high) / 2
    return [(stroke - centre) / longer for stroke in strokes], float(width) / longer, float(height) / longer


_GREYS = np.arange(256.0)


def _ramp(level: float, steepness: float) -> Ink:
    """A table that makes greys above the level ink and those below it paper."""
    return np.asarray((127.5 + (_GREYS - level) * steepness).clip(0, 255), np.uint8)


_DISCS = {side: cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)) for side in range(2, 20)}


def _disc(side_px: int) -> Ink:
    return _DISCS[min(max(side_px, 2), 19)]  # type: ignore[return-value]
