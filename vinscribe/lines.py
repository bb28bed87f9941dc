"""A page -> its short upright lines: the sides of boxes and the teeth of combs, whatever else is on the page.

Sides of boxes are pale, dashed, dotted, crossed by ink. What they are not is thick, short or slanted: a line is what
is darker than its surroundings to the left and right, all the way for a certain length.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
Floats = NDArray[np.float64]

_MAX_SKEW_DEGREES = 12.0
_SKEW_POINTS = 8_000

_LITTLE = 1.4  # a page that is reduced by more would lose thin lines if it were not averaged
_THICK_PX = 15  # a line is thinner than this
_SMOOTH_PX = 7  # grain is averaged along a line over this length
_CLOSE_PX = 9  # gaps of dashes and dots up to about this length are bridged
_SIDE_PX = 21  # sides of boxes are longer; small print is not
_TOOTH_PX = 12  # teeth of combs are longer, and stand on a long line
_RAIL_PX = 51  # so long is a line that teeth stand on
_ALONG_PX = 24  # a line ends where it is much fainter than
_FAINTER = 0.4  # its strongest part so near
_HALF = 2  # every other row of pixels is looked at along lines
_STEP_PX = 4  # and every so many for where they end
_GOES_ON = 3  # a line that goes on so many of these rows above and below a rail is two lines


@dataclass(frozen=True)
class Ticks:
    """Short upright lines of a picture.

    x, top, bottom: float64 (n,), their middle and ends in pixels.
    dark: float64 (n,), how much darker they are than what is beside them.
    smooth: uint8 (height, width), the picture, its grain averaged along level lines.
    """

    x: Floats
    top: Floats
    bottom: Floats
    dark: Floats
    smooth: Grey

    def within(self, mask: NDArray[np.bool_], size_px: int) -> "Ticks":
        """Those whose middles are where a mask says, which has one value for every so many pixels square."""
        row, column = ((self.top + self.bottom) / 2 // size_px, self.x // size_px)
        last = np.array(mask.shape) - 1
        inside = mask[row.astype(np.int64).clip(0, last[0]), column.astype(np.int64).clip(0, last[1])]
        return Ticks(self.x[inside], self.top[inside], self.bottom[inside], self.dark[inside], self.smooth)


def reduced(page: Grey, longest_px: int) -> tuple[Grey, float]:
    """The page, its longer side at most so long, and by how much its sides were divided."""
    factor = max(page.shape) / longest_px
    if factor <= 1.05:
        return page, 1.0
    size = [max(1, round(side / factor)) for side in reversed(page.shape)]
    interpolation = cv2.INTER_LINEAR if factor <= _LITTLE else cv2.INTER_AREA  # as good there, and much faster
    return np.asarray(cv2.resize(page, size, interpolation=interpolation), np.uint8), factor


def skew(page: Grey) -> tuple[float, float]:
    """By how many degrees the page's lines and text are turned clockwise, and whether its text runs up or down.

    The angle is within 12 degrees, or 0 where there is nothing to see. Of all angles it is the one at which the ink,
    summed along rows and columns, lies closest together. The second value is positive where text runs up or down,
    negative where it does not, and the farther from 0 the more certain that is.
    """
    step = max(1, round(max(page.shape) / 800))
    small = cv2.resize(page, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA) if step > 1 else page
    ink = cv2.morphologyEx(small, cv2.MORPH_BLACKHAT, np.ones((15, 15), np.uint8))  # without the edges of the paper
    level = max(8.0, float(np.percentile(ink[::4, ::4], 97)) * 0.4)
    y, x = np.nonzero(ink > level)
    if len(x) < 50:
        return 0.0, 0.0
    picked = slice(None, None, 1 + len(x) // _SKEW_POINTS)
    points = np.stack([x[picked], y[picked]]) - np.array(small.shape[::-1])[:, None] / 2
    coarse = np.arange(-_MAX_SKEW_DEGREES, _MAX_SKEW_DEGREES + 0.1, 1.0)
    best = coarse[int(np.argmax([_density(points, float(angle)).sum() for angle in coarse]))]
    fine = best + np.arange(-0.9, 0.91, 0.15)
    densities = np.array([_density(points, float(angle)) for angle in fine])
    at = int(densities.sum(axis=1).argmax())
    return float(fine[at]), float(np.log(densities[at, 1] / densities[at, 0]))


def _density(points: Floats, degrees: float) -> Floats:
    """How close the points lie together along rows and along columns, when turned back by an angle."""
    radians = np.deg2rad(degrees)
    cos, sin = np.cos(radians), np.sin(radians)
    across = cos * points[1] - sin * points[0]
    along = cos * points[0] + sin * points[1]
    rows, columns = (np.bincount((values - values.min()).astype(np.int64)) for values in (across, along))
    return np.array([np.square(rows).sum(), np.square(columns).sum()], np.float64)


def find_ticks(page: Grey, cut: bool = False) -> Ticks:
    """The upright lines of a straight page that may be sides of boxes or teeth of combs.

    With ``cut`` they end where a level line crosses them: of rows one on the other each has its own, but so has what is
    left of a side that ink crosses.
    """
    # Grain is averaged along lines, and gaps of dots and dashes run together; then every other row is enough.
    upright = _line_map(cv2.blur(page, (1, _SMOOTH_PX))[::_HALF], (1, _THICK_PX), (_CLOSE_PX // _HALF + 1, 1))
    level_smooth = np.asarray(cv2.blur(page, (_SMOOTH_PX, 1)), np.uint8)
    lying = _line_map(level_smooth[:, ::_HALF], (_THICK_PX, 1), (1, _CLOSE_PX // _HALF + 1))
    rails = cv2.morphologyEx(lying, cv2.MORPH_OPEN, np.ones((1, _RAIL_PX // _HALF), np.uint8))
    # Teeth end at a rail, from above or, on a page upside down, from below.
    rails = cv2.threshold(rails, _level(lying), 255, cv2.THRESH_BINARY)[1]
    near_rail, at_rail = (
        cv2.resize(
            cv2.dilate(rails, np.ones((reach_px, 1), np.uint8))[::_STEP_PX],
            (page.shape[1], -(-len(page) // _STEP_PX)),
            interpolation=cv2.INTER_NEAREST,
        )
        for reach_px in (2 * _TOOTH_PX + 1, _STEP_PX + 1)
    )
    sides, teeth = (_opened(upright, length_px // _HALF)[:: _STEP_PX // _HALF] for length_px in (_SIDE_PX, _TOOTH_PX))
    lines = np.asarray(cv2.max(sides, cv2.min(teeth, near_rail)), np.uint8)
    x, top, bottom = _connected(lines, np.asarray(at_rail, np.uint8) > 0 if cut else None, _level(upright))
    dark = upright[((top + bottom) / 2 / _HALF).astype(np.int64), np.rint(x).astype(np.int64)]
    return Ticks(x, top, bottom, dark.astype(np.float64), level_smooth)


def _within(ridge: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where ridges go on for some rows both above and below."""
    wide = cv2.dilate(ridge.astype(np.uint8), np.ones((1, 3), np.uint8))
    above, below = np.zeros_like(wide), np.zeros_like(wide)
    above[_GOES_ON:], below[:-_GOES_ON] = wide[:-_GOES_ON], wide[_GOES_ON:]
    return np.asarray((above > 0) & (below > 0), np.bool_)


def _line_map(smooth: cv2.typing.MatLike, across: tuple[int, int], along: tuple[int, int]) -> Grey:
    """How much darker each pixel is than its surroundings across a line; gaps along it are closed."""
    lines = cv2.morphologyEx(np.ascontiguousarray(smooth), cv2.MORPH_BLACKHAT, np.ones(across, np.uint8))
    return np.asarray(cv2.morphologyEx(lines, cv2.MORPH_CLOSE, np.ones(along, np.uint8)), np.uint8)


def _opened(lines: Grey, length_px: int) -> Grey:
    return np.asarray(cv2.morphologyEx(lines, cv2.MORPH_OPEN, np.ones((length_px, 1), np.uint8)), np.uint8)


def _level(lines: Grey) -> float:
    """What is weaker is grain."""
    return max(4.0, 2.0 * float(np.median(lines[::5, ::5])))


def _connected(lines: Grey, at_rail: NDArray[np.bool_] | None, level: float) -> tuple[Floats, Floats, Floats]:
    """Ridges of a line map whose rows are _STEP_PX apart: their middles, tops and bottoms.

    They are cut where a rail crosses them, if rails are given.
    """
    ridge = (lines > level) & (lines >= cv2.dilate(lines, np.ones((1, 5), np.uint8)))
    along = cv2.dilate(lines, np.ones((2 * _ALONG_PX // _STEP_PX + 1, 1), np.uint8))
    ridge &= lines >= cv2.convertScaleAbs(along, alpha=_FAINTER)
    if at_rail is not None:
        ridge &= ~(at_rail & _within(ridge))
    ridge_wide = cv2.dilate(ridge.astype(np.uint8), np.ones((1, 3), np.uint8))
    count, _, stats, centroids = cv2.connectedComponentsWithStatsWithAlgorithm(ridge_wide, 8, cv2.CV_32S, cv2.CCL_GRANA)
    keep = stats[1:count, cv2.CC_STAT_HEIGHT] >= 2
    top = stats[1:count, cv2.CC_STAT_TOP][keep] * float(_STEP_PX)
    height = stats[1:count, cv2.CC_STAT_HEIGHT][keep] * float(_STEP_PX)
    x = np.asarray(centroids[1:count, 0][keep], np.float64)
    return x, np.asarray(top, np.float64), np.asarray(top + height - 1, np.float64)
