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

from vinscribe.charset import CHARSET, ILLEGIBLE
from vinscribe.training.boxes import draw_dirt, draw_light, draw_lines, draw_paper, grain
from vinscribe.training.glyphs import Glyphs, ImageGlyphs, Ink, Placement, bent_image

Picture = NDArray[np.uint8]

_HEIGHT_PX = 72  # of a cell while it is drawn
_SMALLEST_CHARACTER_PX = 10  # longer side, in the finished picture
_FAINTEST = 14.0  # grey levels between a blurred line and its paper
_MOST_NOISE = 0.15  # of the ink's contrast
_CUT_TIGHT = 0.12  # share of bare pictures without any margin
_INK_LEVEL = 64  # of a bare picture; what is weaker is no ink to cut at
_LEAST_CUT_PX = 12
_MOSTLY_INK = 128  # median of what is cut out
_LEAST_ASPECT = 0.25  # a plain 1 stretched to a square would be a block
_SMALL_SHARE = 0.18, 0.3  # least and greatest height of a small character, of its cell's
_TINT = 150, 220  # grey levels of a tinted box
_WIDENED = 1.5, 3.0  # how many times as wide as written a stroke is out of focus
_LEAST_CONTRAST = 32.0  # grey levels between ink and paper, out of focus or in a strong shadow


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
        small: characters of a quarter of the cell's height or less, often pale, low in a tall and tinted box.
        defocus: out of focus or shaken, so that strokes are up to three times as wide as written.
        uneven: in light that falls off strongly, or half in a soft shadow.
    """

    bare: float = 0.33
    boxed: float = 0.65
    neighbours: float = 0.12
    illegible: float = 0.12
    inverted: float = 0.35
    fax: float = 0.12
    jpeg: float = 0.25
    small: float = 0.06
    defocus: float = 0.06
    uneven: float = 0.08


def render(glyphs: Glyphs, index: int, settings: AugmentSettings, rng: np.random.Generator) -> tuple[Picture, int]:
    """Draws one cell with a character of a source.

    Returns:
        uint8 (height, width), the longer side 10 to 140 px, any polarity; and its label, ``ILLEGIBLE`` where no
        character can be read.
    """
    legible = rng.random() >= settings.illegible
    if legible and isinstance(glyphs, ImageGlyphs) and rng.random() < settings.bare:
        return bare(glyphs.images[index], rng, _CUT_TIGHT), int(glyphs.labels[index])
    small = legible and rng.random() < settings.small
    shape = _cell_shape(rng, small)
    if legible:
        ink, longer_px, pen_px = _character(glyphs, index, shape, rng, small)
    else:
        ink = _ILLEGIBLE[rng.integers(len(_ILLEGIBLE))](glyphs, index, shape, rng)
        longer_px, pen_px = _HEIGHT_PX / 2, _HEIGHT_PX / 24
    if rng.random() < settings.neighbours:
        cv2.max(ink, _neighbour(glyphs, shape, rng), dst=ink)
    # An empty cell is hardly ever without its box: that is why somebody cut it out.
    boxed = settings.boxed if ink.any() else (settings.boxed + 1) / 2
    lines = draw_lines(shape, rng) if rng.random() < boxed else None
    picture, contrast = _composed(ink, lines, rng, pen_px, small)
    fax = rng.random() < settings.fax and not (small and contrast < 50)  # pale specks would be lost in the grain
    if rng.random() < settings.uneven:
        light = draw_light(shape, rng).clip(min(1.0, _LEAST_CONTRAST / contrast), None)
        picture *= light
        contrast *= float(light.min())
        fax = False  # it would be black where the shadow is
    if rng.random() < settings.defocus:
        picture, contrast = _defocused(picture, contrast, longer_px, pen_px, rng)
    scanned = _scanned(picture, contrast, (longer_px, pen_px), fax, settings, rng)
    return scanned, int(glyphs.labels[index]) if legible else ILLEGIBLE


def bare(image: Picture, rng: np.random.Generator, cut: float = 0.0) -> Picture:
    """A square picture, bright ink on black as EMNIST has it, moved, bent and its stroke changed a little.

    A share ``cut`` is cut out at the ink, without a margin and perhaps stretched to a square again.
    """
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
    inked = np.asarray(cv2.addWeighted(moved, 1 - abs(share), changed, abs(share), 0), np.uint8)
    return _cut_out(inked, rng) if rng.random() < cut else inked


def _cut_out(image: Picture, rng: np.random.Generator) -> Picture:
    """Cut out at the ink, as other programs cut; half of the time stretched to a square."""
    x, y, width, height = cv2.boundingRect(cv2.threshold(image, _INK_LEVEL, 255, cv2.THRESH_BINARY)[1])
    if max(width, height) < _LEAST_CUT_PX:
        return image
    before, behind = rng.integers(0, 2, 2), rng.integers(0, 2, 2)
    cut = image[max(y - before[0], 0) : y + height + behind[0], max(x - before[1], 0) : x + width + behind[1]]
    if np.median(cut) >= _MOSTLY_INK:  # mostly ink: nobody could tell it from paper
        return image
    if rng.random() < 0.5 or min(width, height) < _LEAST_ASPECT * max(width, height):
        return cut
    return np.asarray(cv2.resize(cut, image.shape, interpolation=cv2.INTER_LINEAR), np.uint8)


_SMALL = np.ones((3, 3), np.uint8)


def _rotation(radians: float) -> NDArray[np.float64]:
    cosine, sine = np.cos(radians), np.sin(radians)
    return np.array([[cosine, -sine], [sine, cosine]])


def _cell_shape(rng: np.random.Generator, tall: bool) -> tuple[int, int]:
    """(height, width): mostly about square, from half as wide as high to twice as wide; or up to 2.2 times as high."""
    if tall:
        return _HEIGHT_PX, round(_HEIGHT_PX * rng.uniform(0.455, 0.9))
    chance = rng.random()
    aspect = (
        rng.uniform(0.8, 1.1) if chance < 0.6 else rng.uniform(0.5, 0.8) if chance < 0.85 else rng.uniform(1.1, 1.8)
    )
    return _HEIGHT_PX, round(_HEIGHT_PX * aspect)


def _character(
    glyphs: Glyphs, index: int, shape: tuple[int, int], rng: np.random.Generator, small: bool = False
) -> tuple[Ink, float, float]:
    """The ink of one character somewhere in the cell; its longer side and the width of the pen, in pixels.

    The character has 25 to 95 % of the cell's height; a small one less, and it mostly stands low.
    """
    character, width, height = glyphs.extent(index, rng)
    share = rng.uniform(*_SMALL_SHARE) if small else 0.25 + 0.7 * rng.beta(2.2, 1.6)
    stretch = np.exp(rng.normal(0, 0.14))
    longer = min(share * shape[0] / max(height, 0.5), 0.97 * shape[1] / max(width * stretch, 0.3))
    slack = (np.array([shape[1] - width * longer, shape[0] - height * longer]) / 2).clip(0, None)
    spread = 0.35 if small or rng.random() < 0.85 else 0.9
    offset = slack * rng.normal(0, spread, 2).clip(-1, 1) + rng.normal(0, 0.015, 2) * shape[0]
    if small and rng.random() < 0.7:
        offset[1] = slack[1] * rng.uniform(0.2, 0.9)
    matrix = _rotation(np.radians(rng.normal(0, 4.5))) @ np.array([[1.0, -rng.normal(0.06, 0.17)], [0.0, 1.0]])
    matrix = matrix @ np.diag([longer * stretch, longer])
    centre = np.array(shape[::-1]) / 2 + offset
    pen_px = max(1.2 if small else 0.9, longer * 0.02 * 10 ** rng.uniform(0, 0.95))
    ink = glyphs.draw(character, shape, Placement(np.column_stack([matrix, centre]), longer, pen_px), rng)
    return ink, longer, pen_px


def _neighbour(glyphs: Glyphs, shape: tuple[int, int], rng: np.random.Generator) -> Ink:
    """The edge of another character that reaches in from the left or the right."""
    height, width = shape
    other = _character(glyphs, int(rng.integers(len(glyphs.labels))), (height, height), rng)[0]
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
    ink = _character(glyphs, index, shape, rng)[0]
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
    ink = _character(glyphs, index, shape, rng)[0]
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


def _slash(glyphs: Glyphs, index: int, shape: tuple[int, int], rng: np.random.Generator) -> Ink:
    """One line from corner to corner; in a narrow cell never like a leaning 1."""
    ink = np.zeros(shape, np.uint8)
    far = np.array(shape[::-1]) - 1.0
    ends = np.array([[0, 0], [1, 1]]) + rng.normal(0.01, 0.04, (2, 2)) * [[1], [-1]]
    if shape[1] >= 0.8 * shape[0] and rng.random() < 0.6:
        ends[:, 0] = 1 - ends[:, 0]
    _polyline(ink, _bowed(ends * far, rng.normal(0, 0.02) * shape[0]), int(rng.integers(2, 7)))
    return ink


_NOT_CROSSED = frozenset(CHARSET.index(char) for char in "35689BKMNRSWXY")
"""Labels of characters that no hand writes with a bar, nor that a bar makes another character."""


def _crossed_out(glyphs: Glyphs, index: int, shape: tuple[int, int], rng: np.random.Generator) -> Ink:
    """A character under one line that reaches far over it on both sides; under two where one could belong to it."""
    ink = _character(glyphs, index, shape, rng)[0]
    x, y, width, height = cv2.boundingRect(ink)
    over = rng.uniform(0.2, 0.5, 2) * max(width, height)
    pen_px = int(rng.integers(1, 6))
    lines = 1 + (int(glyphs.labels[index]) not in _NOT_CROSSED)
    middle, gap = y + height * rng.uniform(0.38, 0.62), max(0.16 * height, pen_px + 3)
    for line in range(lines):
        at = middle + gap * (line - (lines - 1) / 2)
        rise = rng.normal(0, 0.05, 2) * height
        ends = np.array([[x - over[0], at + rise[0]], [x + width + over[1], at + rise[1]]])
        _polyline(ink, _bowed(ends, rng.normal(0, 0.03) * height), pen_px)
    return ink


def _wave(glyphs: Glyphs, index: int, shape: tuple[int, int], rng: np.random.Generator) -> Ink:
    """A low wave of three periods or more from side to side, perhaps over a character."""
    ink = _character(glyphs, index, shape, rng)[0] if rng.random() < 0.5 else np.zeros(shape, np.uint8)
    height, width = shape
    along = np.linspace(rng.uniform(0, 0.1), rng.uniform(0.9, 1), 40)
    periods = rng.uniform(3, 5.5)
    swing_px = min(height * rng.uniform(0.06, 0.16), 0.3 * width / periods)  # too flat for an M or a W
    swing = swing_px * np.sin(2 * np.pi * periods * along + rng.uniform(0, 6))
    middle = height * (rng.uniform(0.4, 0.6) + rng.normal(0, 0.08) * (along - 0.5))
    _polyline(ink, np.column_stack([along * width, middle + swing]), int(rng.integers(1, 5)))
    return ink


def _bowed(ends: NDArray[np.float64], bow_px: float) -> NDArray[np.float64]:
    """A line between two points (2, 2) as float64 (9, 2), its middle this far to one side."""
    along = np.linspace(0, 1, 9)[:, None]
    way = ends[1] - ends[0]
    aside = np.array([-way[1], way[0]]) / max(float(np.hypot(*way)), 1e-6)
    return np.asarray(ends[0] + along * way + 4 * along * (1 - along) * bow_px * aside)


def _polyline(ink: Ink, points: NDArray[np.float64], pen_px: int) -> None:
    cv2.polylines(ink, [np.rint(points * 16).astype(np.int32)], False, 255, pen_px, cv2.LINE_AA, 4)


_Illegible = Callable[[Glyphs, int, tuple[int, int], np.random.Generator], Ink]
_ILLEGIBLE: tuple[_Illegible, ...] = (
    *(_blank,) * 5,
    *(_struck,) * 5,
    *(_overwritten,) * 5,
    *(_blot, _dash, _slash, _crossed_out, _wave),
)


# From ink to the picture


def _composed(
    ink: Ink, lines: Ink | None, rng: np.random.Generator, pen_px: float, small: bool
) -> tuple[NDArray[np.float32], float]:
    """Ink and lines on paper, float32 (height, width), 0 to 255, dark on bright; and how much darker a written line is.

    Where the character is ``small``, the box is often tinted and the ink pale.
    """
    paper = draw_paper(ink.shape, rng)
    level = float(paper.mean())
    if small and rng.random() < 0.65:
        tint = rng.uniform(*_TINT)
        paper *= np.float32(tint / level)
        if rng.random() < 0.5:
            paper *= _ground(ink.shape, rng.uniform(1, 250 / tint), rng)
        paper.clip(0, 255, out=paper)
        level = float(paper.mean())
    contrast = min(level, 45 + (level - 45) * rng.beta(1.6, 1.1))
    if small:
        contrast = max(60.0, contrast if rng.random() < 0.4 else rng.uniform(60, 110))
    left = min(1.0, pen_px / 2.2)  # a thinner pen leaves a paler line
    contrast = min(level, max(contrast, _LEAST_CONTRAST / left))
    if lines is not None:
        if rng.random() < 0.15:  # the ground outside the box has another tint
            paper *= _ground(ink.shape, rng.uniform(0.75, 1.2), rng)
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
    return paper, contrast * left


def _ground(shape: tuple[int, int], factor: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """1 inside a frame near the edge, the factor outside."""
    ground = np.full(shape, factor, np.float32)
    left, top, right, bottom = (rng.uniform(0, 0.08, 4) * shape[0]).astype(int)
    ground[top : shape[0] - bottom, left : shape[1] - right] = 1
    return ground


def _defocused(
    picture: NDArray[np.float32], contrast: float, longer_px: float, pen_px: float, rng: np.random.Generator
) -> tuple[NDArray[np.float32], float]:
    """The picture out of focus or shaken, and the contrast that is left; never so much that nobody could read it.

    A line of width w under a disc of diameter d is about as wide at half its depth as the root of w^2 + (0.87 d)^2.
    """
    wanted = pen_px * np.sqrt(rng.uniform(*_WIDENED) ** 2 - 1) / 0.87
    readable = 0.27 * longer_px - 0.5 * pen_px
    faint = 1.27 * pen_px * contrast / _LEAST_CONTRAST  # a disc this wide leaves the least contrast
    diameter = min(wanted, readable, faint)
    turn = rng.random() * np.pi if rng.random() < 0.4 else None
    if diameter < 1.5:
        return picture, contrast
    kernel = _disc_kernel(diameter) if turn is None else _motion_kernel(diameter, turn)
    blurred = cv2.filter2D(picture, -1, kernel, borderType=cv2.BORDER_REPLICATE)
    return blurred, contrast * min(1.0, 1.27 * pen_px / diameter)  # type: ignore[return-value]


def _disc_kernel(diameter_px: float) -> NDArray[np.float32]:
    """The weights of a disc, float32 (k, k), k odd, with soft edges; their sum is 1."""
    reach = int(np.ceil(diameter_px / 2))
    axis = np.arange(-reach, reach + 1)
    kernel = (diameter_px / 2 + 0.5 - np.hypot(axis, axis[:, None])).clip(0, 1).astype(np.float32)
    return np.asarray(kernel / kernel.sum(), np.float32)


def _motion_kernel(length_px: float, turn: float) -> NDArray[np.float32]:
    """The weights of a straight way of this length and direction in radians, float32 (k, k), k odd; their sum is 1."""
    reach = int(np.ceil(length_px / 2))
    axis = np.arange(-reach, reach + 1)
    along = axis * np.cos(turn) + axis[:, None] * np.sin(turn)
    aside = axis * np.sin(turn) - axis[:, None] * np.cos(turn)
    kernel = (length_px / 2 + 0.5 - np.abs(along)).clip(0, 1) * (1 - np.abs(aside)).clip(0, 1)
    return np.asarray(kernel / kernel.sum(), np.float32)


def _scanned(
    picture: NDArray[np.float32],
    contrast: float,
    sizes_px: tuple[float, float],
    fax: bool,
    settings: AugmentSettings,
    rng: np.random.Generator,
) -> Picture:
    """What a scanner or a camera makes of it; a person can still read it.

    ``sizes_px``: the character's longer side and its pen. ``fax``: in black and white only.
    """
    longer_px, pen_px = sizes_px
    if rng.random() < 0.5:
        paler = pen_px * np.sqrt(max((contrast / _FAINTEST) ** 2 - 1, 0)) / 2.5
        sigma = rng.uniform(0.4, max(0.4, min(1.8, 0.4 + 0.035 * longer_px, paler)))
        picture = cv2.GaussianBlur(picture, (0, 0), sigma)  # type: ignore[assignment]
        contrast *= pen_px / np.hypot(pen_px, 2.5 * sigma)
    if rng.random() < 0.45:
        faintest = min(1.0, _FAINTEST / (contrast * pen_px))  # a thin line grows paler as it is reduced
        smallest = max(0.27, _SMALLEST_CHARACTER_PX / longer_px, faintest)
        scale = rng.uniform(smallest, max(smallest, 0.8))
        size = (max(10, round(picture.shape[1] * scale)), round(picture.shape[0] * scale))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    if rng.random() < 0.4:
        picture = picture + grain(picture.shape, rng) * np.float32(min(rng.exponential(4), _MOST_NOISE * contrast))
    scanned = picture.clip(0, 255).astype(np.uint8)
    if fax and contrast > 2 * _FAINTEST:  # else there is more of the paper's grain than of the ink
        low, high = np.percentile(scanned, (2, 60))
        low = max(low, high - contrast)  # printed lines may be darker than the ink
        scanned = cv2.threshold(scanned, low + (high - low) * rng.uniform(0.35, 0.7), 255, cv2.THRESH_BINARY)[1]  # type: ignore[assignment]
    if rng.random() < settings.inverted:
        scanned = cv2.bitwise_not(scanned)  # type: ignore[assignment]
    if rng.random() < settings.jpeg:
        quality = int(rng.integers(15 if longer_px > 20 else 40, 85))
        encoded = cv2.imencode(".jpg", scanned, (cv2.IMWRITE_JPEG_QUALITY, quality))[1]
        scanned = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)  # type: ignore[assignment]
    return scanned
