"""Boxes of other kinds than the training's, to measure what a model makes of a form that is new to it.

Written apart from the training's renderer, which shares no line with it; that one draws round corners too since they
were seen to be missing here. Everything is drawn at twice its size and scaled down. What a picture shows depends on the
random generator alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

Colour = tuple[float, float, float]
"""Blue, green, red, each 0..255."""

SMALLEST_PX, LARGEST_PX = 24, 120
FINE = 2
"""Pixels of the canvas for a pixel of the picture."""
_SHIFT = 4  # OpenCV's fixed-point coordinates: sixteenths of a pixel
_PAPERS: list[Colour] = [
    (252, 252, 252),
    (236, 240, 240),
    (205, 236, 248),
    (206, 238, 214),
    (244, 226, 206),
    (214, 208, 242),
    (214, 216, 214),
    (176, 206, 224),
]
_TINTS: list[Colour] = [(60, 120, 235), (70, 70, 215), (90, 160, 60), (200, 140, 50), (150, 150, 150), (50, 50, 50)]


@dataclass(frozen=True)
class Page:
    """A picture in the making, at ``FINE`` times its size.

    Attributes:
        canvas: float32 (height, width, 3), BGR, 0..255; drawn on in place.
        box: left, top, right, bottom of the character's box in pixels; parts may lie outside the canvas.
        paper, line: colours of the sheet and of what is printed on it.
        ruling: radius, thickness, gap and the like: random numbers in 0..1 that all boxes of one page share.
    """

    canvas: NDArray[np.float32]
    box: tuple[float, float, float, float]
    paper: Colour
    line: Colour
    ruling: NDArray[np.float64]

    @property
    def height(self) -> float:
        """Of the box, in pixels of the canvas."""
        return self.box[3] - self.box[1]

    @property
    def width(self) -> float:
        """Of the box, in pixels of the canvas."""
        return self.box[2] - self.box[0]

    def between(self, number: int, low: float, high: float) -> float:
        """The ruling's number, stretched to a range, in parts of the box's height."""
        return float(low + (high - low) * self.ruling[number]) * self.height

    def mask(self) -> NDArray[np.uint8]:
        """An empty mask to draw on: uint8 (height, width)."""
        return np.zeros(self.canvas.shape[:2], np.uint8)

    def blank(self) -> NDArray[np.float32]:
        """No ink at all: float32 (height, width)."""
        return np.zeros(self.canvas.shape[:2], np.float32)

    def paint(self, mask: NDArray[np.uint8], colour: Colour, opacity: float = 1.0) -> None:
        """Lay a colour on where the mask is bright."""
        alpha = mask[..., np.newaxis] * np.float32(opacity / 255)
        self.canvas[:] += alpha * (np.array(colour, np.float32) - self.canvas)

    def grown(self, by_px: float) -> "Page":
        """The same page with a larger (or, below zero, smaller) box."""
        left, top, right, bottom = self.box
        return replace(self, box=(left - by_px, top - by_px, right + by_px, bottom + by_px))


def draw_line(mask: NDArray[np.uint8], points: NDArray[np.floating], thickness: float, closed: bool = False) -> None:
    """Draw a polyline (n, 2), in pixels and their fractions, on a mask."""
    fixed = np.round(np.asarray(points) * (1 << _SHIFT)).astype(np.int32)
    cv2.polylines(mask, [fixed], closed, 255, max(1, round(thickness)), cv2.LINE_AA, _SHIFT)


def _outline(page: Page, radius: float) -> NDArray[np.float64]:
    """The box with rounded corners as a closed polyline."""
    left, top, right, bottom = page.box
    radius = min(radius, page.width / 2, page.height / 2)
    corners = ((right, top, -1, 1), (right, bottom, -1, -1), (left, bottom, 1, -1), (left, top, 1, 1))
    points = []
    for number, (x, y, inward_x, inward_y) in enumerate(corners):
        angles = np.radians(np.linspace(-90, 0, 7 if radius > 1 else 1) + 90 * number)
        centre = (x + inward_x * radius, y + inward_y * radius)
        points.append(np.stack([centre[0] + radius * np.cos(angles), centre[1] + radius * np.sin(angles)], 1))
    return np.concatenate(points)


def _filled(page: Page, radius: float) -> NDArray[np.uint8]:
    mask = page.mask()
    fixed = np.round(_outline(page, radius) * (1 << _SHIFT)).astype(np.int32)
    cv2.fillPoly(mask, [fixed], 255, cv2.LINE_AA, _SHIFT)
    return mask


def _double(page: Page) -> None:
    mask = page.mask()
    radius = page.between(0, 0, 0.15) if page.ruling[1] < 0.4 else 0.0
    gap = page.between(2, 0.035, 0.07)
    draw_line(mask, _outline(page, radius), page.between(3, 0.012, 0.03), closed=True)
    draw_line(mask, _outline(page.grown(gap), radius + gap), page.between(4, 0.012, 0.045), closed=True)
    page.paint(mask, page.line)


def _rounded(page: Page) -> None:
    radius = page.between(0, 0.14, 0.4)
    if page.ruling[1] < 0.5:
        page.paint(_filled(page, radius), page.line, 0.16)
    mask = page.mask()
    draw_line(mask, _outline(page, radius), page.between(2, 0.015, 0.06), closed=True)
    page.paint(mask, page.line)


def _comb(page: Page) -> None:
    left, top, right, bottom = page.box
    mask = page.mask()
    draw_line(mask, np.array([(left, bottom), (right, bottom)]), page.between(0, 0.02, 0.06))
    tick, foot = page.between(1, 0.16, 0.5), page.between(2, 0.02, 0.06)
    for x in (left, right):
        draw_line(mask, np.array([(x, bottom), (x, bottom - tick)]), page.between(3, 0.012, 0.05))
        triangle = np.array([(x - foot, bottom), (x, bottom - 2 * foot), (x + foot, bottom)])
        cv2.fillPoly(mask, [np.round(triangle).astype(np.int32)], 255, cv2.LINE_AA)
        if page.ruling[4] < 0.3:
            draw_line(mask, np.array([(x, top), (x, top + tick / 3)]), page.between(3, 0.012, 0.05))
    page.paint(mask, page.line)


def _dropout(page: Page) -> None:
    page.paint(_filled(page, page.between(0, 0, 0.1)), (253, 253, 253))
    if page.ruling[1] < 0.6:
        mask = page.mask()
        draw_line(mask, _outline(page, page.between(0, 0, 0.1)), page.between(2, 0.02, 0.09), closed=True)
        page.paint(mask, page.line, 0.85)


def _dashed(page: Page) -> None:
    left, top, right, bottom = page.box
    dash, gap = page.between(0, 0.015, 0.11), page.between(1, 0.04, 0.09)
    mask = page.mask()
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    for number in range(4):
        start, end = corners[number], corners[(number + 1) % 4]
        length = float(np.hypot(*(end - start)))
        step = (end - start) / length
        for way in np.arange(0, length, dash + gap):
            draw_line(
                mask,
                np.array([start + step * way, start + step * min(way + dash, length)]),
                page.between(2, 0.015, 0.045),
            )
    page.paint(mask, page.line)


def _corners(page: Page) -> None:
    left, top, right, bottom = page.box
    arm, thickness = page.between(0, 0.1, 0.24), page.between(1, 0.02, 0.06)
    outward = arm if page.ruling[2] < 0.35 else 0.0  # crosses instead of angles
    mask = page.mask()
    for x, y, inward_x, inward_y in (
        (left, top, 1, 1),
        (right, top, -1, 1),
        (right, bottom, -1, -1),
        (left, bottom, 1, -1),
    ):
        draw_line(mask, np.array([(x - inward_x * outward, y), (x + inward_x * arm, y)]), thickness)
        draw_line(mask, np.array([(x, y - inward_y * outward), (x, y + inward_y * arm)]), thickness)
    page.paint(mask, page.line)


def _ground(page: Page) -> None:
    if page.ruling[4] < 0.7:
        mask = page.mask()
        draw_line(mask, _outline(page, 0), page.between(5, 0.012, 0.03), closed=True)
        page.paint(mask, page.line, 0.7)


def _relief(page: Page) -> None:
    left, top, right, bottom = page.box
    page.paint(_filled(page, 0), (246, 246, 246) if page.ruling[0] < 0.5 else (226, 228, 228))
    thickness = page.between(1, 0.025, 0.08)
    dark, light = page.mask(), page.mask()
    draw_line(dark, np.array([(left, bottom), (left, top), (right, top)]), thickness)
    draw_line(light, np.array([(left, bottom), (right, bottom), (right, top)]), thickness)
    page.paint(dark, (120, 118, 116), 0.9)
    page.paint(light, (255, 255, 255), 0.9)
    depth = page.between(2, 0.04, 0.16)
    for step in np.linspace(0, depth, 6)[1:]:  # the frame's shadow on the field
        shadow = page.mask()
        draw_line(shadow, np.array([(left + step, bottom), (left + step, top + step), (right, top + step)]), depth / 4)
        page.paint(shadow, (120, 118, 116), 0.3 * (1 - step / depth))


_DRAW: dict[str, Callable[[Page], None]] = {
    "double": _double,
    "rounded": _rounded,
    "comb": _comb,
    "dropout": _dropout,
    "dashed": _dashed,
    "corners": _corners,
    "ground": _ground,
    "relief": _relief,
}
KINDS = tuple(_DRAW)
"""Double frames; rounded corners; combs with feet; fields left white in a coloured sheet; dashed and dotted lines;
corner marks; hatched, dotted or waved grounds; embossed frames with a shadow."""


def new_page(kind: str, rng: np.random.Generator, height_px: int | None = None) -> Page:
    """A sheet with an empty box of a kind, often with parts of the boxes on its left and right.

    The picture is ``height_px`` high, or as high as the random generator has it.
    """
    height = FINE * (height_px or int(np.exp(rng.uniform(np.log(SMALLEST_PX), np.log(LARGEST_PX + 1)))))
    width = int(np.clip(height * rng.uniform(0.75, 1.25), FINE * SMALLEST_PX, FINE * LARGEST_PX))
    # Above zero the picture is larger than the box, below zero a line is cut off.
    margins = rng.uniform(-0.03, 0.14, 4) * min(height, width)
    paper = _PAPERS[rng.integers(len(_PAPERS))]
    line = _TINTS[rng.integers(len(_TINTS))]
    canvas = np.empty((height, width, 3), np.float32)
    canvas[:] = np.array(paper, np.float32)
    box = (margins[0], margins[1], width - margins[2], height - margins[3])
    page = Page(canvas, box, paper, line, rng.uniform(0, 1, 6))
    _draw_sheet(page, kind)
    gap = rng.choice([0, 0, 0.06, 0.15]) * page.height
    if rng.random() < 0.6:
        left, top, right, bottom = page.box
        for way in (-1, 1):
            shift = way * (page.width + gap)
            _DRAW[kind](replace(page, box=(left + shift, top, right + shift, bottom)))
    _DRAW[kind](page)
    return page


def _draw_sheet(page: Page, kind: str) -> None:
    """What is printed under the boxes."""
    if kind == "dropout":
        page.canvas[:] += np.float32(0.35) * (np.array(page.line, np.float32) - page.canvas)
        page.canvas[:] = np.maximum(page.canvas, 150)
    if kind == "relief":
        page.canvas[:] = np.float32(205)
    if kind != "ground":
        return
    rows, columns = np.mgrid[: page.canvas.shape[0], : page.canvas.shape[1]].astype(np.float32)
    period = max(page.between(0, 0.05, 0.12), 3.0 * FINE)
    turn = 2 * np.pi / period
    if page.ruling[1] < 0.35:  # hatched
        slope = page.between(2, -1.5, 1.5) / page.height
        pattern = np.sin((columns + slope * rows) * turn / np.hypot(1, slope))
    elif page.ruling[1] < 0.7:  # dotted
        pattern = 2 * np.sin(columns * turn) * np.sin(rows * turn) - 0.4
    else:  # waved
        wave = page.between(2, 0.03, 0.08) * np.sin(columns * turn / 3)
        pattern = np.sin((rows + wave) * turn)
    page.paint(np.clip(pattern * 255, 0, 255).astype(np.uint8), page.line, 0.08 + 0.16 * float(page.ruling[3]))
