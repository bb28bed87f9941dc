"""A field without boxes -> the places of its characters, told apart by their ink.

The field is straightened, its ruled lines are taken off, and it is cut where there is least ink. Which cuts are right
is decided for all characters together: parts about as wide as each other, gaps between them rather than in them. What
comes out is less certain than boxes are: characters that touch may be cut wrongly.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vinscribe.alignment import Floats, Grey, moved
from vinscribe.field import Field
from vinscribe.vin import VIN_LENGTH

PLAIN = "plain"
"""Kind of the fields that come out."""

_HEIGHT_PX = 64  # of the straightened field
_LONGEST = 60  # times as long as high; more is no row of characters
_SHEARS = (0.0, 0.1, -0.1, 0.2, -0.2, 0.3, -0.3, 0.4, 0.5)  # to the right, of the height: how writing may lean
_PAPER_PX = 31  # what is narrower than this is ink or a line
_LEAST_CONTRAST = 14  # grey levels between paper and ink
_RULE_PX, _RULE_GAP_PX = 150, 9  # level ink that is so long, gaps of dashes included, is a ruled line
_SIDE, _SIDE_PX = 0.85, 12  # so high an upright line, so near an end of the field, is the field's side
_SPECK = 0.2  # of a character's height: what is smaller is dirt
_LOW = 0.12  # of the field's height: what is lower at its upper or lower edge is left of a line

# What is unlikely costs, about in negative logarithms of how often it occurs. Lengths are in heights of a character.
_CUT_INK = 1.2  # for each thickness of a stroke that a cut goes through
_CUT_GAP, _WIDE_GAP = 0.6, 0.08  # for a cut where there is hardly a gap; gaps of the second length cost a third of it
_INNER_GAP = 9.0  # for a gap within a part, by its length
_WIDE, _WIDE_COST = 1.25, 14.0  # from so many usual widths on
_NARROW, _NARROW_COST = 0.6, 0.5
_SHORT, _SHORT_COST = 0.6, 8.0  # parts that are less high than this
_MOST_PIECES, _MOST_IN_PART = 200, 14
_USUAL = 0.7  # width of a character, of the distance between two, until it is known better
_WORST = 1.0  # mean cost of a character from which on nothing is believed
_AROUND = 0.12  # heights of a character, of paper around it that belongs to its cell


@dataclass(frozen=True)
class _Cuts:
    """Where ink may be cut: from the first column of a gap to the column after it, or both the same within ink.

    start, end: (n,), columns. ink: (n,), thicknesses of a stroke cut through. The first and last are the ends.
    top, bottom: (n - 1,), rows that the ink between each cut and the next reaches from and to.
    """

    start: Floats
    end: Floats
    ink: Floats
    top: Floats
    bottom: Floats


def cut_by_ink(page: Grey, corners: Floats, count: int = VIN_LENGTH) -> Field | None:
    """Tell the characters of a field without boxes apart.

    Args:
        page: uint8 (height, width).
        corners: float64 (4, 2), of the field on the page: top left, top right, bottom right, bottom left as it is read.
        count: characters in it.

    Returns:
        The field; its cells lean as the writing does and differ in width. ``score`` is near 1 where the characters
        stand apart, near 0 where the cuts are guesses. None where there is no row of so many characters.
    """
    ink, matrix = _straightened(page, corners)
    if ink is None:
        return None
    ink, shear = _upright(ink)
    rows = np.flatnonzero(ink.any(axis=1))
    if len(rows) < 0.2 * _HEIGHT_PX:
        return None
    heights = np.percentile(np.nonzero(ink)[0], (2, 98))
    height = float(heights[1] - heights[0] + 1)
    cuts = _find_cuts(ink)
    if not count < len(cuts.ink) <= _MOST_PIECES:
        return None
    usual = _USUAL * float(cuts.start[-1] - cuts.end[0]) / count
    for _ in range(2):  # the second time with the usual width of the parts that came out
        costs = _part_costs(cuts, height, usual)
        chosen, cost, rival = _best(costs, _cut_costs(cuts, height), count)
        if not np.isfinite(cost):
            return None
        usual = float(np.median(cuts.start[chosen[1:]] - cuts.end[chosen[:-1]]))
    quality = 1 - cost / count / _WORST
    if quality <= 0:
        return None
    score = quality / (1 + np.exp(np.clip(cost - rival, -50, 50)))  # another number of characters may be as likely
    cells = _cells(cuts, chosen, height, (float(rows[0]), float(rows[-1] + 1)))
    upright = np.array([[1.0, -shear, shear * _HEIGHT_PX / 2], [0, 1, 0], [0, 0, 1]])  # and back to how it leans
    return Field(np.asarray(corners, np.float64), moved(cells, matrix @ upright), float(score), PLAIN)


def cut_characters(page: Grey, field: Field) -> list[Grey]:
    """Cut the cells of a plain field out of its page, straightened, each as wide as it is.

    Like `vinscribe.field.cut_cells`, which makes all cells equally wide, but without margins: what is beside a cell
    is the next character.
    """
    pictures = []
    for corners in field.cells:
        right, down = corners[1] - corners[0], corners[3] - corners[0]
        size = [max(8, round(float(np.linalg.norm(side)))) for side in (right, down)]
        place = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32) * np.array(size, np.float32)
        matrix = cv2.getPerspectiveTransform(place, corners.astype(np.float32))
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        picture = cv2.warpPerspective(page, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        pictures.append(np.asarray(picture, np.uint8))
    return pictures


def _straightened(page: Grey, corners: Floats) -> tuple[Grey | None, Floats]:
    """The field's ink, 0 or 1, ruled lines taken off, and the matrix from its pixels to the page's."""
    long, high = (float(np.linalg.norm(corners[a] - corners[b])) for a, b in ((1, 0), (3, 0)))
    width = round(_HEIGHT_PX * long / max(high, 1))
    if not _HEIGHT_PX <= width <= _LONGEST * _HEIGHT_PX or page.ndim != 2 or not page.size:
        return None, np.eye(3)
    place = np.array([[0, 0], [width, 0], [width, _HEIGHT_PX], [0, _HEIGHT_PX]], np.float32)
    matrix = cv2.getPerspectiveTransform(place, np.asarray(corners, np.float32))
    reduced = max(1.0, high / _HEIGHT_PX)
    if reduced > 1.5:  # a field in a fine scan: grain and dots are averaged away first
        page = np.asarray(cv2.blur(page, (round(reduced),) * 2), np.uint8)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    grey = cv2.warpPerspective(page, matrix, (width, _HEIGHT_PX), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    grey = cv2.GaussianBlur(grey, (0, 0), 1.0)
    paper = cv2.blur(cv2.morphologyEx(grey, cv2.MORPH_CLOSE, np.ones((_PAPER_PX, _PAPER_PX))), (_PAPER_PX, _PAPER_PX))
    darker = cv2.subtract(paper, grey)
    level, _ = cv2.threshold(darker, 0, 1, cv2.THRESH_OTSU)
    ink = (darker > max(0.8 * level, _LEAST_CONTRAST)).astype(np.uint8)
    return _without_specks(_without_lines(ink)), np.asarray(matrix, np.float64)


def _without_lines(ink: Grey) -> Grey:
    """Without the line to write on and the field's sides; strokes that cross them are closed again."""
    level = cv2.morphologyEx(ink, cv2.MORPH_CLOSE, np.ones((1, _RULE_GAP_PX)))
    level = cv2.morphologyEx(level, cv2.MORPH_OPEN, np.ones((1, min(_RULE_PX, ink.shape[1] // 3))))
    left = _without(ink, cv2.dilate(level, np.ones((3, 1))))
    left = np.asarray(cv2.morphologyEx(left, cv2.MORPH_CLOSE, np.ones((7, 1))), np.uint8)
    upright = cv2.morphologyEx(ink, cv2.MORPH_OPEN, np.ones((round(_SIDE * _HEIGHT_PX), 1)))
    upright[:, _SIDE_PX:-_SIDE_PX] = 0
    return _without(left, cv2.dilate(upright, np.ones((1, 5))))


def _without(ink: NDArray[Any], taken: NDArray[Any]) -> Grey:
    return np.asarray(ink * (taken == 0), np.uint8)


def _without_specks(ink: Grey) -> Grey:
    """Without dirt, and what is left of lines at the field's edges."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    left, top, width, height, area = stats.T
    at_edge = (top < 2) | (top + height > _HEIGHT_PX - 2)
    at_end = (left + width <= _SIDE_PX) | (left >= ink.shape[1] - _SIDE_PX)
    tall = float(np.median(np.repeat(height[1:], area[1:]))) if len(stats) > 1 else 0.0  # of what most ink is in
    kept = (np.maximum(width, height) >= _SPECK * tall) & ~(at_edge & (height < _LOW * _HEIGHT_PX))
    kept &= ~at_end | (height >= _SHORT * tall)
    kept[0] = False  # the paper
    return np.asarray(kept[labels], np.uint8)


def _upright(ink: Grey) -> tuple[Grey, float]:
    """The ink sheared so that most columns are empty, and by how much of its height, to the left at the top."""
    best, best_empty, best_shear = ink, -1, 0.0
    for shear in _SHEARS:
        matrix = np.array([[1.0, shear, -shear * _HEIGHT_PX / 2], [0, 1, 0]])
        straight = cv2.warpAffine(ink, matrix, ink.shape[::-1], flags=cv2.INTER_NEAREST)
        columns = np.flatnonzero(straight.any(axis=0))
        empty = int(columns[-1] - columns[0] + 1 - len(columns)) if len(columns) else 0
        if empty > best_empty + 2:
            best, best_empty, best_shear = np.asarray(straight, np.uint8), empty, shear
    return best, best_shear


def _find_cuts(ink: Grey) -> _Cuts:
    """All gaps, and within ink all columns with less of it than their neighbours."""
    amount = ink.sum(axis=0).astype(np.float64)
    outline = float(_without(ink, cv2.erode(ink, np.ones((3, 3)))).sum())
    thickness = 2 * float(ink.sum()) / max(outline, 1)
    columns = np.flatnonzero(amount)
    first, last = int(columns[0]), int(columns[-1]) + 1
    # A gap, or a local minimum, is a stretch of equal amounts with more on either side.
    edges = np.flatnonzero(np.diff(amount[first:last])) + first + 1
    starts, ends = np.append(first, edges), np.append(edges, last)
    level = amount[starts]
    lower = np.zeros(len(level), bool)
    lower[1:-1] = (level[1:-1] < level[:-2]) & (level[1:-1] < level[2:])
    lower &= level <= 3 * thickness
    middle = (starts + ends) // 2
    start = np.where(level == 0, starts, middle)[lower]
    end = np.where(level == 0, ends, middle)[lower]
    start, end = np.concatenate([[first], start, [last]]), np.concatenate([[first], end, [last]])
    crossed = np.concatenate([[0], level[lower] / thickness, [0]])
    between = [np.flatnonzero(ink[:, a:b].any(axis=1)) for a, b in zip(end[:-1], start[1:], strict=True)]
    top = np.array([rows[0] if len(rows) else _HEIGHT_PX for rows in between], np.float64)
    bottom = np.array([rows[-1] + 1 if len(rows) else 0 for rows in between], np.float64)
    return _Cuts(start.astype(np.float64), end.astype(np.float64), crossed, top, bottom)


def _cut_costs(cuts: _Cuts, height: float) -> Floats:
    gap = (cuts.end - cuts.start) / height
    costs = np.where(gap > 0, _CUT_GAP * np.exp(-gap / _WIDE_GAP), _CUT_GAP + _CUT_INK * cuts.ink)
    costs[[0, -1]] = 0
    return costs


def _part_costs(cuts: _Cuts, height: float, usual: float) -> Floats:
    """(n, n): what it costs that a character reaches from one cut to another; infinite where it cannot."""
    number = len(cuts.ink)
    gaps = (cuts.end - cuts.start) / height
    costs = np.full((number, number), np.inf)
    for first in range(number - 1):
        top, bottom, inner = float(_HEIGHT_PX), 0.0, 0.0
        for last in range(first + 1, min(number, first + 1 + _MOST_IN_PART)):
            top, bottom = min(top, cuts.top[last - 1]), max(bottom, cuts.bottom[last - 1])
            width = max((cuts.start[last] - cuts.end[first]) / usual, 0.02)
            tall = max((bottom - top) / height, 0.02)
            costs[first, last] = (
                _INNER_GAP * inner
                + _WIDE_COST * max(0.0, np.log(width / _WIDE)) ** 2
                + _NARROW_COST * max(0.0, np.log(_NARROW / width)) ** 2
                + _SHORT_COST * max(0.0, np.log(_SHORT / tall)) ** 2
            )
            inner += gaps[last]
    return costs


def _best(parts: Floats, cuts: Floats, count: int) -> tuple[NDArray[np.int64], float, float]:
    """The cuts of the cheapest row of so many parts, its cost, and that of one part less or more."""
    steps = parts + cuts[None, :]
    total = np.full(len(cuts), np.inf)
    total[0] = 0
    ends, before = [], []
    for _ in range(count + 1):
        through = total[:, None] + steps
        before.append(through.argmin(axis=0))
        total = through.min(axis=0)
        ends.append(float(total[-1]))
    cost = ends[count - 1]
    rival = min(ends[count - 2] if count > 1 else np.inf, ends[count])
    chosen = [len(cuts) - 1]
    for step in reversed(before[:count]):
        chosen.append(int(step[chosen[-1]]))
    return np.array(chosen[::-1]), cost, rival


def _cells(cuts: _Cuts, chosen: NDArray[np.int64], height: float, rows: tuple[float, float]) -> Floats:
    """Corners of the parts, (count, 4, 2): to the middle of the gap on either side, if that is not far."""
    start, end = cuts.start[chosen], cuts.end[chosen]
    middle, around = (start + end) / 2, _AROUND * height
    left, right = np.maximum(middle, end - around)[:-1], np.minimum(middle, start + around)[1:]
    left[0], right[-1] = end[0] - around, start[-1] + around
    top, bottom = (np.full(len(left), at) for at in (rows[0] - around, rows[1] + around))
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return np.stack([np.stack(corner, axis=-1) for corner in corners], axis=1)
