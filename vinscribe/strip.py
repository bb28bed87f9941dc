"""A comb of lines -> a straightened strip of the page along it, and what lines are in that strip.

In the strip teeth stand upright, `PITCH_PX` apart, and the row runs level, so everything after needs no angles, no
resolution and no colour of the print.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vinscribe.combs import Comb
from vinscribe.lines import Floats, Grey

PITCH_PX = 32
"""Distance of two teeth in a strip."""

MIDDLE_PX = 72
"""Row of pixels, in a strip, that the comb's points are on; as many rows follow."""

_THICK_PX = 9  # lines are thinner; also the ground between boxes, in place of lines
_CLOSE_PX = 7  # gaps of dashes are bridged in level lines
_LONG = 24  # a row of more cells must be levelled more exactly
_SMOOTH_PX = 9  # grain is averaged along a line over this length
_UPRIGHT_SMOOTH_PX = (3, 9)  # the same along upright ones, and if that leaves much grain
_GRAINY = 0.2  # of the contrast of a comb's teeth
_PRESENT = 0.45  # of the usual contrast of the comb's teeth: where there is as much, there is a line
_SHADOW_TEETH = 7  # contrast is about the same over so many teeth
_DARKEST = 0.4  # least contrast in a shadow
_LEAST = 3.0  # but not less contrast than this


@dataclass(frozen=True)
class Strip:
    """A straightened row.

    Attributes:
        grey: uint8 (2 * MIDDLE_PX + 1, width).
        start: place, in pitches from the comb's first tooth, of the first column.
        fit_x, fit_y: coefficients of polynomials of the place: the row's middle in the page's pixels.
        upright: float64 (2,), step on the page for one row of pixels down.
        cap: float32 (width,), contrast of the comb's teeth near each column.
        teeth: float32 like grey, 0 to 1: how far there is an upright line.
        edges: float32 like grey: how far there is an upright edge of a darker ground.
        rails: float32 like grey: how far there is a level line, or the edge of a darker ground: above, below.
    """

    grey: Grey
    start: int
    fit_x: Floats
    fit_y: Floats
    upright: Floats
    cap: NDArray[np.float32]
    teeth: NDArray[np.float32]
    edges: NDArray[np.float32]
    rails: tuple[NDArray[np.float32], NDArray[np.float32]]

    def on_page(self, x: Floats, y: Floats) -> Floats:
        """Points of the strip -> points of the page it was cut from, float64 (n, 2)."""
        place = x / PITCH_PX + self.start
        middle = np.stack([np.polyval(self.fit_x, place), np.polyval(self.fit_y, place)], axis=-1)
        return np.asarray(middle + (y - MIDDLE_PX)[..., None] * self.upright)


def cut_strip(page: Grey, comb: Comb, reach: int) -> Strip:
    """The row of a comb, and up to `reach` pitches beyond its ends; turned so that its rails lie level."""
    curved = len(comb.places) >= 10
    fit_x = np.polyfit(comb.places, comb.x, 2 if curved else 1)
    slope = np.polyfit(comb.places, comb.y, 1)[0] if curved else 0.0
    fit_y = np.array([slope, np.median(comb.y - slope * comb.places)])
    narrow, start, _ = _straight(page, comb, 0, fit_x, fit_y)
    turned = _tilt(narrow, -start * PITCH_PX, int(comb.places[-1]), comb.dark) / PITCH_PX * comb.pitch
    fit_y = fit_y + np.array([turned, -turned * comb.places[-1] / 2])
    grey, start, upright = _straight(page, comb, reach, fit_x, fit_y)
    for smooth_px in _UPRIGHT_SMOOTH_PX:
        upright_lines = cv2.morphologyEx(
            cv2.blur(grey, (1, smooth_px)), cv2.MORPH_BLACKHAT, np.ones((1, _THICK_PX), np.uint8)
        )
        cap = _contrast(np.asarray(upright_lines, np.uint8), (comb.places - start) * PITCH_PX)
        if np.median(upright_lines[::3, ::3]) < _GRAINY * np.median(cap):
            break
    teeth = _share(upright_lines, cap)
    edges = _share(cv2.absdiff(*_sides(cv2.blur(grey, (1, _SMOOTH_PX)))), cap)
    return Strip(grey, start, fit_x, fit_y, upright, cap, teeth, edges, _rails(grey, cap))


def _straight(page: Grey, comb: Comb, reach: int, fit_x: Floats, fit_y: Floats) -> tuple[Grey, int, Floats]:
    """The picture along a comb; the place of its first column; and the step on the page for one row of pixels."""
    pitch = comb.pitch
    slope = fit_y[0] / pitch
    upright = np.array([-slope, 1.0]) * (pitch / PITCH_PX)
    places = np.arange(-reach, int(comb.places[-1]) + reach + 1)
    x = np.polyval(fit_x, places)
    inside = (x > -pitch) & (x < page.shape[1] + pitch) & (np.gradient(x) > 0.7 * pitch)
    start, end = int(places[inside][0]), int(places[inside][-1])
    columns = np.arange((end - start) * PITCH_PX + 1) / PITCH_PX + start
    rows = np.arange(-MIDDLE_PX, MIDDLE_PX + 1)[:, None]
    x, y = np.polyval(fit_x, columns), np.polyval(fit_y, columns)
    # Only the rows that are needed, and so smooth that no line falls between two points.
    high = MIDDLE_PX * upright[1]
    low = min(max(int(y.min() - high) - 2, 0), len(page) - 1)
    around = page[low : max(int(y.max() + high) + 3, low + 1)]
    grain = round(pitch / PITCH_PX)
    around = np.asarray(cv2.blur(around, (grain, grain)), np.uint8) if grain > 1 else around
    offset = 0.5 * (grain % 2 == 0)  # an even kernel's middle is between two pixels
    map_x = (x + offset).astype(np.float32) + (rows * upright[0]).astype(np.float32)
    map_y = (y - low + offset).astype(np.float32) + (rows * upright[1]).astype(np.float32)
    grey = cv2.remap(around, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(grey, np.uint8), start, upright


def _sides(grey: cv2.typing.MatLike) -> tuple[cv2.typing.MatLike, cv2.typing.MatLike]:
    """What is to the left and to the right of each pixel."""
    kernel = np.array([[1, 1, 1, 0, 0, 0, 0]], np.float32) / 3
    return cv2.filter2D(grey, -1, kernel), cv2.filter2D(grey, -1, kernel[:, ::-1])


def _tilt(grey: Grey, first: int, span: int, dark: float) -> float:
    """By how many rows of pixels a pitch the rails of a comb fall: as much as makes them the clearest."""
    rails = cv2.max(*level_lines(grey, np.full(grey.shape[1], max(dark, _LEAST / _PRESENT), np.float32), _SMOOTH_PX))
    cells = cv2.resize(rails[:, first : first + span * PITCH_PX], (span, len(rails)), interpolation=cv2.INTER_AREA)
    tilts = np.linspace(-2, 2, 33) if span < 12 else np.linspace(-1, 1, 33 if span < _LONG else 129)
    shifts = np.rint(tilts[:, None] * (np.arange(span) - (span - 1) / 2)).astype(np.int64)
    rows = (np.arange(len(cells))[:, None, None] + shifts).clip(0, len(cells) - 1)
    sharpness = np.square(np.square(cells[rows, np.arange(span)].mean(axis=2))).sum(axis=0)
    clearest = tilts[sharpness >= sharpness.max() * 0.999]
    return float(clearest[np.abs(clearest).argmin()])


def _contrast(lines: Grey, at: NDArray[np.int64]) -> NDArray[np.float32]:
    """The usual contrast of teeth at each column, seen at these columns: shadows make it less."""
    beside = np.array([-1, 0, 1])
    columns = (at[:, None] + beside).clip(0, lines.shape[1] - 1)
    middle = lines[MIDDLE_PX - 8 : MIDDLE_PX + 9][:, columns].max(axis=2)
    teeth = np.median(middle, axis=0)
    around = np.pad(teeth, _SHADOW_TEETH // 2, mode="reflect")
    usual = np.median(np.lib.stride_tricks.sliding_window_view(around, _SHADOW_TEETH), axis=1)
    least = max(_LEAST / _PRESENT, _DARKEST * float(np.median(teeth)))
    return np.asarray(np.interp(np.arange(lines.shape[1]), at, usual).clip(least), np.float32)


def _rails(grey: Grey, cap: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    kernel = np.ones((1, _CLOSE_PX), np.uint8)
    above, below = (
        cv2.morphologyEx(line.astype(np.uint8), cv2.MORPH_CLOSE, kernel) for line in level_lines(grey, cap, _SMOOTH_PX)
    )
    return above.astype(np.float32), below.astype(np.float32)


def level_lines(
    grey: Grey, cap: NDArray[np.float32], smooth_px: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Where there are level lines, or edges of a ground that is darker than the cells below or above it.

    Args:
        grey: uint8 (height, width), a strip or some of its rows.
        cap: float32 (width,), usual contrast of its lines.
        smooth_px: length over which grain is averaged along a line.

    Returns:
        float32 like grey, 1 where there is one and 0 where there is none: above cells, and below.
    """
    smooth = cv2.blur(grey, (smooth_px, 1))
    lines = cv2.morphologyEx(smooth, cv2.MORPH_BLACKHAT, np.ones((_THICK_PX, 1), np.uint8))
    # By how many whole levels three pixels are brighter than those before: thirds are rounded down.
    step = np.array([-1, -1, -1, 0, 1, 1, 1], np.float32)[:, None] / 3
    above, below = (cv2.filter2D(smooth, -1, way * step, delta=-1 / 3) for way in (1, -1))
    return _share(cv2.max(lines, above), cap), _share(cv2.max(lines, below), cap)


def _share(lines: cv2.typing.MatLike, cap: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 where there is a line, 0 where there is none."""
    return np.asarray(lines >= np.ceil(_PRESENT * cap).astype(np.uint8), np.float32)
