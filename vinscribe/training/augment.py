"""Turns a glyph into the cells that scanners and cameras give: deterministic for a given random generator.

A character of any source is written into a cell (or, as EMNIST has it, left as it is), box lines, paper, dirt and
neighbours come to it, and a scanner or a camera takes the picture. `vinscribe.cells.normalise` then prepares it as in
reading.

Source: P. Simard, D. Steinkraus, J. Platt, "Best practices for convolutional neural networks applied to visual
document analysis", ICDAR 2003 (elastic distortion).
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vinscribe.charset import ILLEGIBLE
from vinscribe.training.boxes import draw_dirt, draw_lines, draw_paper, grain
from vinscribe.training.glyphs import Glyphs, ImageGlyphs, Ink, Placement, bent_image

Picture = NDArray[np.uint8]

_HEIGHT_PX = 72  # of a cell while it is drawn
_SMALLEST_CHARACTER_PX = 10  # longer side, in the finished picture
_MOST_NOISE = 0.15  # of the ink's contrast


@dataclass(frozen=True)
class AugmentSettings:
    """How often what happens; every value is a probability or a share in [0, 1].

    Attributes:
        bare: EMNIST pictures that are left without box and paper, only moved a little.
        boxed: share with box lines, of those that are drawn into a cell.
        neighbours: with a neighbour's stroke reaching in.
        illegible: cells without a legible character: blank, struck out, overwritten, a blot, a dash.
        inverted: light ink on dark ground.
        fax: black and white only.
        jpeg: with the noise of JPEG.
    """

    bare: float = 0.33
    boxed: float = 0.65
    neighbours: float = 0.12
    illegible: float = 0.1
    inverted: float = 0.35
    fax: float = 0.12
    jpeg: float = 0.25


def render(glyphs: Glyphs, index: int, settings: AugmentSettings, rng: np.random.Generator) -> tuple[Picture, int]:
    """Draws one cell with a character of a source.

    Returns:
        uint8 (height, width), 16 to 140 px, any polarity; and its label, ``ILLEGIBLE`` where no character can be read.
    """
    legible = rng.random() >= settings.illegible
    if legible and isinstance(glyphs, ImageGlyphs) and rng.random() < settings.bare:
        return bare(glyphs.images[index], rng), int(glyphs.labels[index])
    shape = _cell_shape(rng)
    if legible:
        ink, longer_px = _character(glyphs, index, shape, rng)
    else:
        ink, longer_px = _ILLEGIBLE[rng.integers(len(_ILLEGIBLE))](glyphs, index, shape, rng), _HEIGHT_PX / 2
    if rng.random() < settings.neighbours:
        cv2.max(ink, _neighbour(glyphs, shape, rng), dst=ink)
    # An empty cell is hardly ever without its box: that is why somebody cut it out.
    boxed = settings.boxed if ink.any() else (settings.boxed + 1) / 2
    lines = draw_lines(shape, rng) if rng.random() < boxed else None
    picture, contrast = _composed(ink, lines, rng)
    scanned = _scanned(picture, contrast, longer_px, settings, rng)
    return scanned, int(glyphs.labels[index]) if legible else ILLEGIBLE


def bare(image: Picture, rng: np.random.Generator) -> Picture:
    """A square picture, bright ink on black as EMNIST has it, moved, bent and its stroke changed a little."""
    side = len(image)
    scaled = side / 28  # what is in pixels is meant for EMNIST's pictures
    turn, slant = np.radians(rng.uniform(-8, 8)), rng.uniform(-0.15, 0.15)
    scale = np.diag(np.exp(rng.uniform(-0.1, 0.1, 2)))
    matrix = _rotation(turn) @ np.array([[1.0, slant], [0.0, 1.0]]) @ scale
    centre = np.full(2, (side - 1) / 2)
    shift = centre - matrix @ centre + rng.uniform(-1, 1, 2) * scaled
    placed = np.column_stack([matrix, shift])
    moved = cv2.warpAffine(bent_image(image, 0.6 * scaled, rng), placed, (side, side), flags=cv2.INTER_LINEAR)
    share = rng.uniform(-0.3, 0.3)
    changed = cv2.dilate(moved, _SMALL) if share > 0 else cv2.erode(moved, _SMALL)
    return cv2.addWeighted(moved, 1 - abs(share), changed, abs(share), 0)  # type: ignore[return-value]


_SMALL = np.ones((3, 3), np.uint8)


def _rotation(radians: float) -> NDArray[np.float64]:
    cosine, sine = np.cos(radians), np.sin(radians)
    return np.array([[cosine, -sine], [sine, cosine]])


def _cell_shape(rng: np.random.Generator) -> tuple[int, int]:
    """(height, width): mostly about square, from half as wide as high to twice as wide."""
    chance = rng.random()
    aspect = (
        rng.uniform(0.8, 1.1) if chance < 0.6 else rng.uniform(0.5, 0.8) if chance < 0.85 else rng.uniform(1.1, 1.8)
    )
    return _HEIGHT_PX, round(_HEIGHT_PX * aspect)


def _character(glyphs: Glyphs, index: int, shape: tuple[int, int], rng: np.random.Generator) -> tuple[Ink, float]:
    """The ink of one character somewhere in the cell, 25 to 95 % of its height; and its longer side in pixels."""
    character, width, height = glyphs.extent(index, rng)
    share = 0.25 + 0.7 * rng.beta(2.2, 1.6)
    stretch = np.exp(rng.normal(0, 0.14))
    longer = min(share * shape[0] / max(height, 0.5), 0.97 * shape[1] / max(width * stretch, 0.3))
    slack = (np.array([shape[1] - width * longer, shape[0] - height * longer]) / 2).clip(0, None)
    spread = 0.35 if rng.random() < 0.85 else 0.9
    offset = slack * rng.normal(0, spread, 2).clip(-1, 1) + rng.normal(0, 0.015, 2) * shape[0]
    matrix = _rotation(np.radians(rng.normal(0, 4.5))) @ np.array([[1.0, -rng.normal(0.06, 0.17)], [0.0, 1.0]])
    matrix = matrix @ np.diag([longer * stretch, longer])
    centre = np.array(shape[::-1]) / 2 + offset
    pen_px = max(0.9, longer * 0.02 * 10 ** rng.uniform(0, 0.95))
    return glyphs.draw(character, shape, Placement(np.column_stack([matrix, centre]), longer, pen_px), rng), longer


def _neighbour(glyphs: Glyphs, shape: tuple[int, int], rng: np.random.Generator) -> Ink:
    """The edge of another character that reaches in from the left or the right."""
    height, width = shape
    other, _ = _character(glyphs, int(rng.integers(len(glyphs.labels))), (height, height), rng)
    visible = np.zeros(shape, np.uint8)
    if not other.any():
        return visible
    depth = max(1, round(width * rng.uniform(0.02, 0.2)))
    x, _, ink_width, _ = cv2.boundingRect(other)
    depth = min(depth, ink_width)
    if rng.random() < 0.5:
        visible[:, :depth] = other[:, x + ink_width - depth : x + ink_width]
    else:
        visible[:, width - depth :] = other[:, x : x + depth]
    return visible


# Cells without a legible character


def _blank(glyphs: Glyphs, index: int, shape: tuple[int, int], rng: np.random.Generator) -> Ink:
    return draw_dirt(shape, rng) if rng.random() < 0.4 else np.zeros(shape, np.uint8)


def _struck(glyphs: Glyphs, index: int, shape: tuple[int, int], rng: np.random.Generator) -> Ink:
    """A character under several lines, a cross or a scribble that reach over its ends."""
    ink, _ = _character(glyphs, index, shape, rng)
    x, y, width, height = cv2.boundingRect(ink)
    corner, size = np.array([x - 0.15 * width - 2, y + 0.05 * height]), np.array([1.3 * width + 4, 0.9 * height])
    pen_px = int(rng.integers(1, 6))
    if rng.random() < 0.5:  # to and fro
        count = int(rng.integers(5, 14))
        along = np.linspace(0, 1, count) + rng.normal(0, 0.05, count)
        across = np.arange(count) % 2 + rng.normal(0, 0.1, count)
        points = np.column_stack([along, across] if rng.random() < 0.5 else [across, along])
        strokes = [points]
    else:
        slope = rng.normal(0, 0.35)
        heights = np.linspace(0.15, 0.85, int(rng.integers(2, 6)))
        strokes = [np.array([[0, at + slope / 2], [1, at - slope / 2]]) + rng.normal(0, 0.06, (2, 2)) for at in heights]
        if rng.random() < 0.4:
            strokes = [np.array([[0, 0], [1, 1]]), np.array([[1, 0], [0, 1]]), *strokes[:1]]
    scaled = [np.rint((stroke * size + corner) * 16).astype(np.int32) for stroke in strokes]
    cv2.polylines(ink, scaled, False, 255, pen_px, cv2.LINE_AA, 4)
    return ink


def _overwritten(glyphs: Glyphs, index: int, shape: tuple[int, int], rng: np.random.Generator) -> Ink:
    """Three characters in one place; two alone can look like a third."""
    ink, _ = _character(glyphs, index, shape, rng)
    for other in rng.integers(len(glyphs.labels), size=2):
        cv2.max(ink, _character(glyphs, int(other), shape, rng)[0], dst=ink)
    return ink


def _blot(glyphs: Glyphs, index: int, shape: tuple[int, int], rng: np.random.Generator) -> Ink:
    """A blot, perhaps on a character."""
    ink = _character(glyphs, index, shape, rng)[0] if rng.random() < 0.5 else np.zeros(shape, np.uint8)
    centre = np.array(shape[::-1]) * rng.uniform(0.35, 0.65, 2)
    radius = shape[0] * rng.uniform(0.15, 0.4)
    turns = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    reach = radius * (1 + rng.normal(0, 0.25, 14))
    points = centre + np.column_stack([np.cos(turns), np.sin(turns)]) * reach[:, None]
    cv2.fillPoly(ink, [np.rint(points * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return ink


def _dash(glyphs: Glyphs, index: int, shape: tuple[int, int], rng: np.random.Generator) -> Ink:
    """A dash or a dot where nothing is to be written."""
    ink = np.zeros(shape, np.uint8)
    centre = np.array(shape[::-1]) * rng.uniform(0.35, 0.65, 2)
    half = np.array([shape[1] * rng.uniform(0.02, 0.38), shape[0] * rng.normal(0, 0.02)])
    points = np.array([centre - half, centre + half])
    cv2.polylines(ink, [np.rint(points * 16).astype(np.int32)], False, 255, int(rng.integers(2, 8)), cv2.LINE_AA, 4)
    return ink


_Illegible = Callable[[Glyphs, int, tuple[int, int], np.random.Generator], Ink]
_ILLEGIBLE: tuple[_Illegible, ...] = (_blank,) * 5 + (_struck,) * 4 + (_overwritten,) * 2 + (_blot, _dash)


# From ink to the picture


def _composed(ink: Ink, lines: Ink | None, rng: np.random.Generator) -> tuple[NDArray[np.float32], float]:
    """Ink and lines on paper, float32 (height, width), 0 to 255, dark on bright; and how much darker the ink is."""
    paper = draw_paper(ink.shape, rng)
    level = float(paper.mean())
    contrast = min(level, 45 + (level - 45) * rng.beta(1.6, 1.1))
    if lines is not None:
        if rng.random() < 0.15:  # the ground outside the box has another tint
            paper *= _ground(ink.shape, rng)
        # Printed lines are paler than the ink, as dark, or darker than a pencil.
        line_contrast = (
            rng.uniform(6, 70) if rng.random() < 0.5 else rng.uniform(0.5, 1) * max(contrast, level * rng.random())
        )
        paper *= 1 - lines * np.float32(min(line_contrast / level, 1) / 255)
    if rng.random() < 0.15:
        cv2.max(ink, draw_dirt(ink.shape, rng), dst=ink)
    cover = ink * np.float32(1 / 255)
    if rng.random() < 0.35:  # the pen skips, the pencil shows the paper's grain
        cover *= 1 - (grain(ink.shape, rng) * np.float32(rng.uniform(0.1, 0.5))).clip(0, 1)
    paper *= 1 - cover * np.float32(contrast / level)
    if rng.random() < 0.75:
        paper += grain(ink.shape, rng) * np.float32(min(rng.exponential(4), _MOST_NOISE * contrast))
    return paper, contrast


def _ground(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """1 inside a frame near the edge, another factor outside."""
    factor = rng.uniform(0.75, 1.2)
    ground = np.full(shape, factor, np.float32)
    left, top, right, bottom = (rng.uniform(0, 0.08, 4) * shape[0]).astype(int)
    ground[top : shape[0] - bottom, left : shape[1] - right] = 1
    return ground


def _scanned(
    picture: NDArray[np.float32], contrast: float, longer_px: float, settings: AugmentSettings, rng: np.random.Generator
) -> Picture:
    """What a scanner or a camera makes of it; a person can still read it."""
    if rng.random() < 0.5:
        sigma = rng.uniform(0.4, min(1.8, 0.4 + 0.035 * longer_px))
        picture = cv2.GaussianBlur(picture, (0, 0), sigma)  # type: ignore[assignment]
    if rng.random() < 0.45:
        smallest = max(0.27, _SMALLEST_CHARACTER_PX / longer_px)
        scale = rng.uniform(smallest, max(smallest, 0.8))
        size = (max(10, round(picture.shape[1] * scale)), round(picture.shape[0] * scale))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    if rng.random() < 0.4:
        picture = picture + grain(picture.shape, rng) * np.float32(min(rng.exponential(4), _MOST_NOISE * contrast))
    scanned = picture.clip(0, 255).astype(np.uint8)
    if rng.random() < settings.fax:
        low, high = np.percentile(scanned, (2, 60))
        scanned = cv2.threshold(scanned, low + (high - low) * rng.uniform(0.35, 0.7), 255, cv2.THRESH_BINARY)[1]  # type: ignore[assignment]
    if rng.random() < settings.inverted:
        scanned = cv2.bitwise_not(scanned)  # type: ignore[assignment]
    if rng.random() < settings.jpeg:
        quality = int(rng.integers(15, 85))
        encoded = cv2.imencode(".jpg", scanned, (cv2.IMWRITE_JPEG_QUALITY, quality))[1]
        scanned = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)  # type: ignore[assignment]
    return scanned
