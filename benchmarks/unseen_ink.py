"""Characters in boxes of other kinds than the training's: ink, neighbours, dirt, strikes, scanner and camera.

The boxes come from `unseen_boxes`. Everything is drawn at twice its size; what a picture shows depends on the random
generator alone, and on the glyphs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from unseen_boxes import FINE, Colour, Page, draw_line, new_page

Glyph = NDArray[np.uint8]
"""White on black, (28, 28) as EMNIST has them or larger."""
Box = tuple[float, float, float, float]

SIZES = (0.35, 0.9)
"""Longer side of a character, in parts of its box's height."""
_LEAST_INK_PX = 15  # of the longer side: a person reads these as well as the 20 px of the bare glyph
_INKS: list[Colour] = [(30, 28, 26), (60, 52, 50), (150, 62, 34), (176, 90, 50), (105, 105, 108)]

STRIKES = ("lines", "zigzag", "scribble", "overwritten")
"""Ways to make a character illegible."""


def draw_character(kind: str, glyph: Glyph, neighbours: Sequence[Glyph], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A picture of a box with a character, uint8 (height, width, 3) BGR, sides of 24-120 px.

    Args:
        kind: one of ``unseen_boxes.KINDS``.
        glyph: the character.
        neighbours: two glyphs that may stand in the boxes on the left and right and reach in.
        rng: decides all the rest.
    """
    return write_into(new_page(kind, rng), glyph, neighbours, rng, rng)


def write_into(
    page: Page,
    glyph: Glyph,
    neighbours: Sequence[Glyph | None],
    rng: np.random.Generator,
    scan: np.random.Generator,
    sizes: tuple[float, float] = SIZES,
) -> NDArray[np.uint8]:
    """As `draw_character`, on a copy of a page with an empty box.

    Args:
        page: from `new_page`.
        glyph: the character.
        neighbours: two glyphs that may reach in from the left and right; None at the end of a row.
        rng: decides what differs from cell to cell: place, size, dirt, grain.
        scan: decides what the cells of one form have in common: the pen's colour, how scanner or camera took the sheet.
            With a generator of the same seed for each cell they look like one form.
        sizes: least and largest size of the character, in parts of the box's height.
    """
    page = replace(page, canvas=page.canvas.copy())
    ink = _place(page, glyph, rng, sizes)
    others = _neighbours(page, neighbours, ink.box, rng) if rng.random() < 0.35 else page.blank()
    dirt = int(rng.integers(1, 4)) if rng.random() < 0.3 else 0
    return _finish(page, np.maximum(ink.alpha, others), rng, dirt, scan)


def draw_empty(kind: str, neighbours: Sequence[Glyph], rng: np.random.Generator) -> NDArray[np.uint8]:
    """As `draw_character`, without the character and with more dirt."""
    page = new_page(kind, rng)
    alpha = _neighbours(page, neighbours, None, rng) if rng.random() < 0.4 else page.blank()
    return _finish(page, alpha, rng, dirt=int(rng.integers(0, 7)))


def draw_struck(kind: str, glyph: Glyph, strike: str, other: Glyph, rng: np.random.Generator) -> NDArray[np.uint8]:
    """As `draw_character`, with the character made illegible in one of the ways of ``STRIKES``.

    ``other`` is the glyph that ``overwritten`` writes over it.
    """
    page = new_page(kind, rng)
    ink = _place(page, glyph, rng)
    left, top, right, bottom = ink.box
    if strike == "overwritten":
        grow = np.array([-1, -1, 1, 1]) * rng.uniform(-0.04, 0.1, 4) * max(right - left, bottom - top)
        box = tuple(np.array(ink.box) + grow)
        return _finish(page, np.maximum(ink.alpha, _scaled_onto(page, _cropped(other), box)), rng, dirt=0)
    mask = page.mask()
    side = max(right - left, bottom - top)
    pen = side * rng.uniform(0.08, 0.14)
    for points in _strike_lines(strike, rng):
        # The narrow 1 is struck as widely as the rest: over a square around the glyph's middle.
        middle = np.array([left + right, top + bottom]) / 2
        draw_line(mask, middle + points * side / 2, pen)
    return _finish(page, np.maximum(ink.alpha, mask.astype(np.float32) / 255), rng, dirt=0)


def _strike_lines(strike: str, rng: np.random.Generator) -> list[NDArray[np.float64]]:
    """Polylines over a character that fills the square from -1 to 1."""
    turn = rng.uniform(-0.7, 0.7)
    across = np.array([np.cos(turn), np.sin(turn)])
    upright = np.array([-across[1], across[0]])
    if strike == "lines":
        offsets = np.linspace(-0.55, 0.55, int(rng.integers(2, 5))) + rng.uniform(-0.1, 0.1)
        reach = rng.uniform(0.95, 1.25)
        ends = [(offset + rng.normal(0, 0.07), offset + rng.normal(0, 0.07)) for offset in offsets]
        return [np.array([-reach * across + a * upright, reach * across + b * upright]) for a, b in ends]
    if strike == "zigzag":
        count = int(rng.integers(8, 13))  # fewer could pass for a W
        heights = np.where(np.arange(count) % 2, 1.0, -1.0) * rng.uniform(0.7, 1.05, count)
        return [np.outer(np.linspace(-1, 1, count), across) + np.outer(heights, upright)]
    way = np.linspace(0, 2 * np.pi * rng.uniform(4, 7), 160)
    drift = np.linspace(-0.75, 0.75, 160)
    wobble = 1 + 0.25 * np.sin(way * rng.uniform(0.3, 0.6))
    x, y = drift + 0.45 * wobble * np.cos(way), rng.uniform(0.75, 1) * wobble * np.sin(way)
    return [np.outer(x, across) + np.outer(y, upright)]


@dataclass(frozen=True)
class Ink:
    """A glyph at its place: coverage float32 (height, width) in 0..1 on the page's canvas, and its bounding box."""

    alpha: NDArray[np.float32]
    box: Box


def _place(page: Page, glyph: Glyph, rng: np.random.Generator, sizes: tuple[float, float] = SIZES) -> Ink:
    """Put a glyph into the page's box, off centre, now and then across a line."""
    canvas_height, canvas_width = page.canvas.shape[:2]
    ink = _cropped(glyph)
    longest = max(ink.shape)
    side = max(rng.uniform(*sizes) * page.height, _LEAST_INK_PX * FINE)
    scale = min(side, 0.9 * page.height * longest / ink.shape[0], 0.92 * page.width * longest / ink.shape[1]) / longest
    height, width = (max(2, round(side * scale)) for side in ink.shape)
    left, top, right, bottom = page.box
    x = rng.uniform(left, right - width) if right - width > left else (left + right - width) / 2
    y = rng.uniform(top, bottom - height)
    if rng.random() < 0.2:
        beyond = rng.uniform(0, 0.06) * page.height
        y = top - beyond if rng.random() < 0.5 else bottom - height + beyond
    edge = FINE + 0.03 * max(page.canvas.shape)  # never cut by the picture's own edge, turned by 3 degrees neither
    x = float(np.clip(x, edge, max(edge, canvas_width - width - edge)))
    y = float(np.clip(y, edge, max(edge, canvas_height - height - edge)))
    box = (x, y, x + width, y + height)
    return Ink(_scaled_onto(page, ink, box, rng.uniform(1, 1.5)), box)


def _cropped(glyph: Glyph) -> Glyph:
    seen = glyph > 24
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    return glyph[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _scaled_onto(page: Page, ink: Glyph, box: Box, contrast: float = 1.3) -> NDArray[np.float32]:
    """Coverage of a cropped glyph that is stretched over a box of the canvas."""
    left, top, right, bottom = box
    scale_x, scale_y = (right - left) / ink.shape[1], (bottom - top) / ink.shape[0]
    # A border of one pixel, or interpolation would end the ink at its outermost pixels' middles.
    move = np.array([[scale_x, 0, left - 0.5 * scale_x - 0.5], [0, scale_y, top - 0.5 * scale_y - 0.5]])
    size = (page.canvas.shape[1], page.canvas.shape[0])
    padded = cv2.copyMakeBorder(ink, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    drawn = cv2.warpAffine(padded, move, size, flags=cv2.INTER_CUBIC).astype(np.float32) / 255
    return np.clip((drawn - 0.3) * contrast + 0.3, 0, 1)


def _neighbours(
    page: Page, glyphs: Sequence[Glyph | None], own: Box | None, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Glyphs in the boxes on the left and right that reach a little into this one, clear of its own ink."""
    left, top, right, bottom = page.box
    alpha = page.blank()
    for way, glyph in zip((-1, 1), glyphs, strict=True):
        if glyph is None:
            continue
        ink = _cropped(glyph)
        height = page.height * rng.uniform(0.5, 0.85)
        width = height * ink.shape[1] / ink.shape[0]
        beyond = rng.uniform(-0.03, 0.08) * page.width
        start = left + beyond - width if way < 0 else right - beyond
        clear = 0.06 * page.width
        if own and (own[0] < start + width + clear if way < 0 else own[2] > start - clear):
            continue
        y = rng.uniform(top, bottom - height)
        alpha = np.maximum(alpha, _scaled_onto(page, ink, (start, y, start + width, y + height)))
    return alpha


def _finish(
    page: Page,
    alpha: NDArray[np.float32],
    rng: np.random.Generator,
    dirt: int,
    scan: np.random.Generator | None = None,
) -> NDArray[np.uint8]:
    """Lay the ink on the page, soil it, and take the picture: half of them as a scanner, half as a camera would.

    What ``scan`` decides does not depend on the cell; ``rng`` decides the rest, and all of it if there is no ``scan``.
    """
    scan = scan or rng
    colour = _INKS[scan.integers(len(_INKS))]
    opacity = scan.uniform(0.85, 1.0)
    if colour[0] > 100 and colour[2] > 100:  # a pencil leaves out the paper's pits
        grain = cv2.GaussianBlur(rng.uniform(0, 1, alpha.shape).astype(np.float32), (0, 0), FINE * 0.6)
        opacity = 1 - np.clip((grain - 0.5) * 2.5, 0, 0.4)
    page.canvas[:] += (alpha * opacity)[..., np.newaxis] * (np.array(colour, np.float32) - page.canvas)
    _soil(page, dirt, rng)
    if scan.random() < 0.5:
        _turn(page, scan.uniform(-3, 3))
    size = (page.canvas.shape[1] // FINE, page.canvas.shape[0] // FINE)
    picture: NDArray[Any] = cv2.resize(page.canvas, size, interpolation=cv2.INTER_AREA)
    if scan.random() < 0.5:
        picture = cv2.GaussianBlur(picture, (0, 0), scan.uniform(0.3, 0.45 + size[1] / 200))
    if scan.random() < 0.4:
        picture = _shaded(picture, scan)
    picture += rng.normal(0, scan.uniform(0.5, 7), picture.shape[:2]).astype(np.float32)[..., np.newaxis]
    if scan.random() < 0.25:
        picture = 255 - picture
    return np.clip(np.round(picture), 0, 255).astype(np.uint8)


def _soil(page: Page, count: int, rng: np.random.Generator) -> None:
    """Specks and short hairs, none as long as a stroke."""
    left, top, right, bottom = page.box
    for _ in range(count):
        mask = page.mask()
        at = np.array([rng.uniform(left, right), rng.uniform(top, bottom)])
        if rng.random() < 0.75:
            draw_line(mask, np.array([at, at + 0.01]), rng.uniform(0.01, 0.035) * page.height)
        else:
            steps = rng.normal(0, 0.03, (4, 2)).cumsum(0) * page.height
            draw_line(mask, at + steps, 1)
        page.paint(mask, (70, 75, 80), rng.uniform(0.3, 0.9))


def _turn(page: Page, degrees: float) -> None:
    height, width = page.canvas.shape[:2]
    move = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    page.canvas[:] = cv2.warpAffine(page.canvas, move, (width, height), borderMode=cv2.BORDER_REPLICATE)


def _shaded(picture: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Light that falls off to one side."""
    height, width = picture.shape[:2]
    angle = rng.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[:height, :width]
    way = np.cos(angle) * (columns / width - 0.5) + np.sin(angle) * (rows / height - 0.5)
    light = 1 - rng.uniform(0.05, 0.3) * (way + 0.5)
    shaded: NDArray[Any] = picture * light.astype(np.float32)[..., np.newaxis]
    return shaded


def overlap(first: Glyph, second: Glyph) -> float:
    """How much of the one with less ink lies under the other when both fill the same square, in 0..1."""
    size = (24, 24)
    masks = [cv2.resize(_cropped(glyph), size, interpolation=cv2.INTER_AREA) > 100 for glyph in (first, second)]
    return float((masks[0] & masks[1]).sum() / max(1, min(mask.sum() for mask in masks)))
