"""Open handwriting fonts as writers: the outlines of their 33 characters, as strokes of a pen or as they are.

A folder holds ``node_modules/@fontsource/NAME`` for each font, as ``npm ci --prefix fonts`` puts them there; which
fonts, and in which versions, ``fonts/package.json`` says. Of a font only the Latin letters are read, in weight 400, or
in the lightest weight of the package where it has no 400. NOTICE has the fonts' licences.
"""

import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from fontTools.pens.basePen import BasePen
from fontTools.ttLib import TTFont, TTLibError
from numpy.typing import NDArray

from vinscribe.charset import CHARSET
from vinscribe.errors import DataError
from vinscribe.training.font_strokes import pen_strokes
from vinscribe.training.unipen import StrokeSet

SCOPE = "@fontsource/"
WEIGHT = "400"
SIDE_PX = 200  # the longer side of a character's ink while it is traced
MARGIN_PX = 8
CURVE_STEPS = 12
LEAST_AGREEMENT = 0.65
MOST_STROKES = 5
NOT_PRINT = {  # cursive, or a lower-case letter, or too like another character
    "caveat": "L",
    "caveat-brush": "L",
    "give-you-glory": "AM",
    "over-the-rainbow": "AFHJXYZ",
    "reenie-beanie": "V",
    "rock-salt": "Y",
    "sedgwick-ave": "K",
    "waiting-for-the-sunrise": "R",
    "zeyada": "AEJX",
}
NOT_TRACED = {  # too fat to show where the pen went: only as pictures
    "caveat-brush": "0MW",
    "covered-by-your-grace": "W",
    "long-cang": "B",
    "permanent-marker": CHARSET,
    "sedgwick-ave": "W",
}


def font_names(folder: Path) -> list[str]:
    """The fonts that ``package.json`` of a folder lists, in alphabetical order.

    Raises:
        DataError: the file is missing or damaged.
    """
    path = Path(folder) / "package.json"
    try:
        packages = json.loads(path.read_text(encoding="utf-8"))["dependencies"]
        return sorted(name.removeprefix(SCOPE) for name in packages if name.startswith(SCOPE))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} cannot be read ({error}); give the folder that lists the fonts") from error


def read_fonts(folder: Path) -> StrokeSet:
    """Reads each font's characters as strokes of a pen; the fonts' names are the writers.

    Left out are the characters of `NOT_PRINT` and `NOT_TRACED`, those whose strokes, drawn with the font's own width,
    do not cover the ink (see `LEAST_AGREEMENT`), and those with more than `MOST_STROKES`.

    Raises:
        DataError: ``package.json`` or a font that it lists is missing or damaged.
    """
    strokes, labels, writers = [], [], []
    for name in font_names(folder):
        for label, contours in _outlines(Path(folder), name):
            if CHARSET[label] in NOT_TRACED.get(name, ""):
                continue
            ink = _filled(contours, SIDE_PX, MARGIN_PX)
            lines, radius = pen_strokes(ink)
            if 0 < len(lines) <= MOST_STROKES and _agreement(lines, radius, ink) >= LEAST_AGREEMENT:
                strokes.append(_scaled(lines))
                labels.append(label)
                writers.append(name)
    return StrokeSet(strokes, np.array(labels, np.int64), np.array(writers, np.str_))


def read_font_images(folder: Path, size_px: int = 56) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.str_]]:
    """Reads each font's characters as they are inked, without those of `NOT_PRINT`.

    Args:
        folder: see above.
        size_px: S, the side of the pictures. The longer side of the ink is 6/7 of it, centred.

    Returns:
        (N, S, S) uint8, white ink on black; (N,) int64 labels; (N,) str names of the fonts.

    Raises:
        DataError: ``package.json`` or a font that it lists is missing or damaged.
    """
    finer = 4
    images, labels, writers = [], [], []
    for name in font_names(folder):
        for label, contours in _outlines(Path(folder), name):
            longer = round(size_px * 6 / 7) * finer
            ink = _filled(contours, longer, (size_px * finer - longer) // 2, square=True) * np.uint8(255)
            images.append(cv2.resize(ink, (size_px, size_px), interpolation=cv2.INTER_AREA))
            labels.append(label)
            writers.append(name)
    stack = np.stack(images) if images else np.zeros((0, size_px, size_px))
    return stack.astype(np.uint8), np.array(labels, np.int64), np.array(writers, np.str_)


_AT = np.linspace(0, 1, CURVE_STEPS + 1)[1:, None]
_CURVE = np.hstack([(1 - _AT) ** 3, 3 * _AT * (1 - _AT) ** 2, 3 * _AT**2 * (1 - _AT), _AT**3])  # Bernstein polynomials


class _Flat(BasePen):  # type: ignore[misc]
    """Collects a glyph's outline as closed polygons."""

    def __init__(self, glyphs: Any) -> None:
        super().__init__(glyphs)
        self.contours: list[list[tuple[float, float]]] = []

    def _moveTo(self, pt: tuple[float, float]) -> None:  # noqa: N802
        self.contours.append([pt])

    def _lineTo(self, pt: tuple[float, float]) -> None:  # noqa: N802
        self.contours[-1].append(pt)

    def _curveToOne(  # noqa: N802
        self, pt1: tuple[float, float], pt2: tuple[float, float], pt3: tuple[float, float]
    ) -> None:
        corners = np.array([self.contours[-1][-1], pt1, pt2, pt3], np.float64)
        self.contours[-1].extend((x, y) for x, y in (_CURVE @ corners).tolist())


def _outlines(folder: Path, name: str) -> list[tuple[int, list[NDArray[np.float64]]]]:
    """A font's characters, without those of `NOT_PRINT`.

    A label and an outline each: closed polygons, float64 (n, 2), y down, in the font's units.
    """
    path = _file_of(folder, name)
    found = []
    try:
        with TTFont(path) as font:
            glyphs, names = font.getGlyphSet(), font.getBestCmap()
            for label, char in enumerate(CHARSET):
                if ord(char) in names and char not in NOT_PRINT.get(name, ""):
                    pen = _Flat(glyphs)
                    glyphs[names[ord(char)]].draw(pen)
                    contours = [np.array(contour, np.float64) * (1, -1) for contour in pen.contours if len(contour) > 2]
                    if contours:
                        found.append((label, contours))
    except (OSError, TTLibError, KeyError, ValueError, AssertionError) as error:
        raise DataError(f"{path} is damaged ({error}); 'npm ci --prefix fonts' fetches the fonts again") from error
    return found


def _file_of(folder: Path, name: str) -> Path:
    files = folder / "node_modules" / SCOPE.rstrip("/") / name / "files"
    weights = {}
    for path in files.glob(f"{name}-latin-*-normal.woff2"):
        match = re.fullmatch(re.escape(name) + r"-latin-(\d+)-normal\.woff2", path.name)
        if match:
            weights[match[1]] = path
    if not weights:
        raise DataError(f"{files}: the font is not there; 'npm ci --prefix fonts' fetches the fonts")
    return weights.get(WEIGHT) or weights[min(weights, key=int)]


def _filled(
    contours: list[NDArray[np.float64]], longer_px: int, margin_px: int, square: bool = False
) -> NDArray[np.uint8]:
    """Fills an outline, uint8 0 or 1: a pixel is ink where the outline winds round its middle, as fonts have it.

    The ink's longer side is `longer_px`; the margin is around the ink, or around the square that holds it.
    """
    points = np.concatenate(contours)
    low, high = points.min(0), points.max(0)
    scale = longer_px / (float((high - low).max()) or 1.0)
    size = np.ceil((high - low) * scale - 1e-6).astype(int)
    frame = np.array([longer_px, longer_px]) if square else size
    shift = margin_px + (frame - size) // 2
    width, height = (frame + 2 * margin_px).tolist()
    winding = np.zeros((height, width + 1), np.int32)
    here = np.concatenate(contours)
    there = np.concatenate([np.roll(contour, -1, axis=0) for contour in contours])
    (x0, y0), (x1, y1) = (((ends - low) * scale + shift - 0.5).T for ends in (here, there))
    first, end = np.ceil(np.minimum(y0, y1)).astype(int), np.ceil(np.maximum(y0, y1)).astype(int)
    edge = np.repeat(np.arange(len(here)), end - first)  # each edge of the outline, once for each row that it crosses
    rows = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(end - first) - (end - first), end - first)
    columns = np.ceil(x0[edge] + (rows - y0[edge]) * ((x1 - x0)[edge] / (y1 - y0)[edge])).astype(int)
    np.add.at(winding, (rows, columns.clip(0, width)), np.where(y1 > y0, 1, -1)[edge])
    return np.where(winding.cumsum(1)[:, :width] != 0, 1, 0).astype(np.uint8)


def _agreement(lines: list[NDArray[np.float64]], radius: float, ink: NDArray[np.uint8]) -> float:
    """The strokes drawn with a pen of this radius, and the ink: shared area by the area of both together, 0 to 1."""
    drawn = np.zeros_like(ink)
    whole = [np.rint(line * 16).astype(np.int32) for line in lines]
    cv2.polylines(drawn, whole, False, 1, max(round(2 * radius), 1), cv2.LINE_8, 4)
    return float((drawn & ink).sum() / max((drawn | ink).sum(), 1))


def _scaled(lines: list[NDArray[np.float64]]) -> list[NDArray[np.float32]]:
    """Strokes as `StrokeSet` has them: from (0, 0), the longer side 1, no point repeated."""
    points = np.concatenate(lines)
    low = points.min(0)
    side = float((points.max(0) - low).max()) or 1.0
    result = []
    for line in lines:
        scaled = ((line - low) / side).astype(np.float32)
        moved = np.ones(len(scaled), bool)
        moved[1:] = (scaled[1:] != scaled[:-1]).any(1)
        result.append(scaled[moved])
    return result
