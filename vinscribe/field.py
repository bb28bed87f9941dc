"""A page -> the rows of equal cells on it, one of which may hold a VIN -> the pictures of their cells.

Rows are found by their lines: sides of boxes, or teeth of a comb, at an equal distance. That there is ink in their
cells counts for them; what it says plays no part, and what is printed beside them none either. Whether a row of 17
cells holds a VIN or an engine number, and which way up it is, the reading must say: every row comes back, and each both
ways up.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain

import cv2
import numpy as np
from numpy.typing import NDArray

from vinscribe.combs import Comb, find_combs
from vinscribe.ink import inked_share
from vinscribe.lines import Floats, Grey, find_ticks, reduced, skew
from vinscribe.rows import Row, find_rows
from vinscribe.strip import PITCH_PX, Strip, cut_strip
from vinscribe.vin import VIN_LENGTH

_FIRST_PX = 1400  # the page's longer side as it is looked at first: 170 dpi of A5
_SECOND_PX = 2500  # and if need be: 200 dpi of A4
_TWO_TONES, _DOTS_PX = 0.995, (4, 4)  # share of a page's pixels; their usual pattern
_LEAST_SCORE = 0.67
_MUCH = 1.1  # by less a page is hardly reduced
_CERTAIN_WAY = 0.5  # see `skew`: from this on, text runs up or down, or does not
_GOOD_SCORE = 0.8  # with such a row, the page need not be searched sideways
_LEAST_MERIT = 0.08  # of a comb, in teeth, for each cell of a row
_MOST_COMBS = 60  # of a page that are looked at closely
_MOST_HERE = 2  # combs at the same place
_COARSE_PX, _PAPER_PX = 8, 160  # grounds are looked for so coarsely; they are less high than this
_DARKER, _DARK = 0.95, 130  # than the paper around; than paper can be
_BESIDE = 6  # so many cells' room is looked at on either side of a row: groups have gaps
_UPSIDE_DOWN = 0.5  # by this the score of a row is multiplied when it is taken to be upside down
_EMPTY_COST = 0.5  # what an empty row loses of its score
_FULL = 0.96  # a row that loses less is written in from end to end
_MOST_OVER = 2  # rows at the same place that differ in where they begin or end: the reading tells them apart
_STRAIGHT_DEGREES = 0.3  # less need not be turned back


@dataclass(frozen=True)
class Field:
    """A row of cells on a page.

    Attributes:
        corners: float64 (4, 2), x and y in the page's pixels: top left, top right, bottom right, bottom left, as the
            row is read; the row may lie on its side or upside down on the page.
        cells: float64 (count, 4, 2), the same of each cell, in the order of reading.
        score: 0 to 1, how much it looks like such a row, this way up.
        kind: boxes, separate (boxes apart), groups (of boxes, with gaps between them), comb (teeth at the foot).
    """

    corners: Floats
    cells: Floats
    score: float
    kind: str


@dataclass(frozen=True)
class _Search:
    """How thorough a search is.

    Attributes:
        most_vain: so many combs one after the other are looked at without finding a row.
        worth: of the merit of a comb that a good row came of; combs of less are not looked at.
        cut: whether lines end where level ones cross them, see `find_ticks`.
    """

    most_vain: int
    worth: float
    cut: bool = False


_QUICK, _THOROUGH = _Search(7, 0.4), _Search(14, 0.15)


def find_fields(page: Grey, count: int = VIN_LENGTH) -> list[Field]:
    """Find the rows of `count` equal cells on a page.

    Rows may be boxes side by side or apart, in groups or not, or combs; their lines dashed, dotted, pale, broken, dark
    on bright or bright on dark; the page turned by any quarter and up to 12 degrees, and in slight perspective.

    Args:
        page: uint8 (height, width).
        count: cells in a row, 1 or more.

    Returns:
        The rows of all searches (see `search_fields`), best first; none where there is none. Each comes twice, the
        second time turned by half.
    """
    best = sorted(chain.from_iterable(search_fields(page, count)), key=lambda field: -field.score)
    return [field for at, field in enumerate(best) if not any(same_ends(field, other) for other in best[:at])]


def search_fields(page: Grey, count: int = VIN_LENGTH) -> Iterator[list[Field]]:
    """The rows that `find_fields` finds, search by search, each looking where those before did not.

    Who has found what was looked for need not ask for more: most pages need the first search alone. The rows of each
    come best first.
    """
    if page.ndim != 2 or page.dtype != np.uint8 or min(page.shape, default=0) < 2 * PITCH_PX or count < 1:
        return
    page = _toned(page)
    small, factor = reduced(page, _FIRST_PX)
    yield from _looked_for(small, factor, count, _QUICK)
    if factor > _MUCH:
        small, factor = reduced(page, _SECOND_PX)
        yield from _looked_for(small, factor, count, _THOROUGH)
    yield from _looked_for(small, factor, count, replace(_THOROUGH, cut=True))


def _toned(page: Grey) -> Grey:
    """A page in black and white with greys in place of dots."""
    some = page[::7, ::7]
    two = np.count_nonzero((some < 20) | (some > 235)) > _TWO_TONES * some.size and np.count_nonzero(some < 20) > 0
    return np.asarray(cv2.blur(page, _DOTS_PX), np.uint8) if two else page


def _width_px(field: Field) -> float:
    """Width of a cell."""
    return float(np.linalg.norm(field.corners[1] - field.corners[0])) / len(field.cells)


def same_ends(field: Field, other: Field) -> bool:
    """Whether two rows begin and end in the same cells."""
    apart = field.cells[[0, -1]].mean(axis=1) - other.cells[[0, -1]].mean(axis=1)
    return bool(np.linalg.norm(apart, axis=1).max() < 0.5 * _width_px(other))


def _looked_for(page: Grey, factor: float, count: int, search: _Search) -> Iterator[list[Field]]:
    """Rows of a page whose sides were divided by a factor, in pixels of what it was."""
    degrees, sideways = skew(page)
    quarters = (sideways > 0, sideways <= 0) if abs(sideways) < _CERTAIN_WAY else (sideways > 0,)
    for quarter in quarters:
        straight, back = _straightened(page, degrees, int(quarter), factor)
        best = 0.0
        for picture, combs in _combs(straight, count, search.cut):
            fields = _fields(straight, picture, combs, count, search)
            best = max([best, *(field.score for field in fields)])
            ways = [way for field in fields for way in _both_ways(field, back, 1.0 if quarter else _UPSIDE_DOWN)]
            yield sorted(ways, key=lambda field: -field.score)
        if best >= _GOOD_SCORE:
            break


def _straightened(page: Grey, degrees: float, quarter: int, factor: float) -> tuple[Grey, Floats]:
    """The page turned back, and the matrix (2, 3) from its pixels to those of the page before it was reduced."""
    height, width = page.shape
    matrix = np.eye(3)
    if abs(degrees) > _STRAIGHT_DEGREES:
        matrix[:2] = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
        page = np.asarray(
            cv2.warpAffine(page, matrix[:2], (width, height), borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8
        )
    if quarter:
        page = np.asarray(cv2.rotate(page, cv2.ROTATE_90_CLOCKWISE), np.uint8)
        matrix = np.array([[0.0, -1, height - 1], [1, 0, 0], [0, 0, 1]]) @ matrix
    back = np.asarray(np.linalg.inv(matrix)[:2] * factor, np.float64)
    back[:, 2] += (factor - 1) / 2  # middles of pixels
    return page, back


def _fields(page: Grey, picture: Grey, combs: list[Comb], count: int, search: _Search) -> list[Field]:
    """Rows of a straight page, in its pixels, with these combs of lines that are dark in a picture of it."""
    found: list[_Found] = []
    least_merit = _LEAST_MERIT * count
    vain = 0
    for comb in combs:
        if comb.merit < least_merit or vain == search.most_vain:
            break
        here = [each for each in found if _holds(each.field, *_middle(comb))]
        if comb.height < 1.5 * comb.pitch and any(each.teeth >= len(comb.x) for each in here):
            continue  # found already, and this is not a stack of rows
        vain += 1
        strip = cut_strip(picture, comb, _reach(comb, count))
        for row in find_rows(strip, *_ends(strip, comb), count):
            new = _Found(_field(page, picture, strip, row), len(comb.x))
            if row.score >= _LEAST_SCORE and _taken_up(found, new):
                vain = 0
                if new.field.score >= max(_GOOD_SCORE, _FULL * row.score):
                    least_merit = max(least_merit, search.worth * comb.merit)
    return [each.field for each in found]


@dataclass(frozen=True)
class _Found:
    """A row, and the number of teeth of the comb that it came of."""

    field: Field
    teeth: int

    @property
    def worth(self) -> float:
        """Of equal rows, the one of more teeth is more exact."""
        return self.field.score + 0.005 * self.teeth


def _field(page: Grey, picture: Grey, strip: Strip, row: Row) -> Field:
    """A row of a strip as a field on the page; an empty one is worth less."""
    cells = _on_page(strip, row)
    inked = inked_share(page, cells)
    if picture is not page:  # the ground is dark, and its cells bright, or dark, too
        inked = max(inked, inked_share(picture, cells))
    score = row.score * (1 - _EMPTY_COST * (1 - inked))
    return Field(_outline(cells), cells, score, row.kind)


def _taken_up(found: list[_Found], new: _Found) -> bool:
    """Whether a row is new, or better than what was found there, and takes its place in the list."""
    over = [each for each in found if _overlap(new.field, each.field)]
    better = [each for each in over if each.worth >= new.worth]
    if len(better) >= _MOST_OVER or any(same_ends(new.field, each.field) for each in better):
        return False
    worse = sorted((each for each in over if each.worth < new.worth), key=lambda each: -each.worth)
    gone = worse[_MOST_OVER - 1 - len(better) :] + [each for each in worse if same_ends(new.field, each.field)]
    found[:] = [each for each in found if not any(each is other for other in gone)] + [new]
    return True


def _combs(page: Grey, count: int, cut: bool) -> Iterator[tuple[Grey, list[Comb]]]:
    """The most promising combs of dark lines, then of bright ones, with the picture in which they are dark."""
    yield page, _promising(find_combs(find_ticks(page, cut), count))
    dark = _dark_ground(page)
    if dark.any():
        picture = np.asarray(cv2.bitwise_not(page), np.uint8)
        yield picture, _promising(find_combs(find_ticks(picture, cut).within(dark, _COARSE_PX), count))


def _promising(combs: list[Comb]) -> list[Comb]:
    chosen: list[Comb] = []
    places = [(comb.y.mean(), comb.height, comb.x[0], comb.x[-1]) for comb in combs]
    y, height, left, right = np.array(places).reshape(-1, 4).T
    # [n, m]: whether two combs are of lines at the same place.
    here = np.abs(y - y[:, None]) < 0.5 * np.maximum(np.maximum(height, height[:, None]), 15.0)
    here &= (left < right[:, None]) & (left[:, None] < right)
    kept = np.zeros(len(combs), bool)
    for at, comb in enumerate(combs):
        # A row makes one comb, or two of its left and right sides; a line of text makes many.
        if np.count_nonzero(here[at] & kept) < _MOST_HERE:
            kept[at] = True
            chosen.append(comb)
    return chosen[:_MOST_COMBS]


def _middle(comb: Comb) -> tuple[float, float]:
    return float(comb.x[len(comb.x) // 2]), float(comb.y[len(comb.x) // 2])


def _reach(comb: Comb, count: int) -> int:
    """How far beyond a comb's ends a row of cells may reach that it is part of, in pitches."""
    span = int(comb.places[-1])
    if span > count + 1:  # several rows side by side
        return count + 1
    return max(_BESIDE // 2, count + _BESIDE - span)


def _ends(strip: Strip, comb: Comb) -> tuple[int, int]:
    """Columns of a comb's first and last tooth in its strip."""
    return -strip.start * PITCH_PX, (int(comb.places[-1]) - strip.start) * PITCH_PX


def _dark_ground(page: Grey) -> NDArray[np.bool_]:
    """Where the page is darker than the paper around: there lines may be brighter than their ground.

    One value for every _COARSE_PX by _COARSE_PX pixels.
    """
    size = [max(1, side // _COARSE_PX) for side in reversed(page.shape)]
    bright = cv2.dilate(page, np.ones((5, 5), np.uint8))  # without text
    coarse = cv2.medianBlur(np.asarray(cv2.resize(bright, size, interpolation=cv2.INTER_AREA), np.uint8), 5)
    paper = cv2.morphologyEx(coarse, cv2.MORPH_CLOSE, np.ones((_PAPER_PX // _COARSE_PX,) * 2, np.uint8))
    return np.asarray((coarse < _DARKER * paper.astype(np.float32)) | (coarse < _DARK), np.bool_)


def _on_page(strip: Strip, row: Row) -> Floats:
    """Corners of a row's cells on the page, (count, 4, 2)."""
    top, bottom = (np.full(len(row.left), float(at)) for at in (row.top, row.bottom))
    corners = [(row.left, top), (row.right, top), (row.right, bottom), (row.left, bottom)]
    return np.stack([strip.on_page(x, y) for x, y in corners], axis=1)


def _outline(cells: Floats) -> Floats:
    return np.array([cells[0, 0], cells[-1, 1], cells[-1, 2], cells[0, 3]])


def _overlap(field: Field, other: Field) -> bool:
    """Whether the middle of one of two rows lies in the other."""
    middles = field.cells.mean(axis=(0, 1)), other.cells.mean(axis=(0, 1))
    return _holds(field, *middles[1]) or _holds(other, *middles[0])


def _holds(field: Field, x: float, y: float) -> bool:
    """Whether a point lies in a row."""
    return cv2.pointPolygonTest(field.corners.astype(np.float32), (float(x), float(y)), False) >= 0


def _both_ways(field: Field, back: Floats, upside_down: float) -> tuple[Field, Field]:
    """The row, in the page's pixels, as it lies and turned by half."""
    cells = field.cells @ back[:, :2].T + back[:, 2]
    hanging = field.kind == "hanging"
    kind = "comb" if hanging else field.kind
    scores = (field.score, field.score * (_UPSIDE_DOWN if kind == "comb" else upside_down))
    turned = cells[::-1][:, [2, 3, 0, 1]]
    return (
        Field(_outline(cells), cells, scores[hanging], kind),
        Field(_outline(turned), turned, scores[not hanging], kind),
    )


def cut_cells(page: Grey, field: Field, margin: float = 0.08) -> list[Grey]:
    """Cut the cells of a row out of its page, straightened.

    Args:
        page: uint8 (height, width), the page that the row was found on.
        field: the row.
        margin: of the cell's sides, how much of what is around it is cut with it on each side. Beside boxes that touch,
            that is the neighbour's paper; little of what is written in it.

    Returns:
        As many uint8 arrays as the row has cells, in order of reading, all of one size in pixels of the page.
    """
    across = np.linalg.norm(field.cells[:, [1, 2]] - field.cells[:, [0, 3]], axis=2).mean()
    down = np.linalg.norm(field.cells[:, [3, 2]] - field.cells[:, [0, 1]], axis=2).mean()
    width, height = (max(8, round(float(side) * (1 + 2 * margin))) for side in (across, down))
    inset = np.array([width, height]) * margin / (1 + 2 * margin)
    inner = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * (np.array([width, height]) - 2 * inset) + inset
    cells = []
    for corners in field.cells:
        matrix = cv2.getPerspectiveTransform(inner.astype(np.float32), corners.astype(np.float32))
        cells.append(
            cv2.warpPerspective(
                page,
                matrix,
                (width, height),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REPLICATE,
            )
        )
    return [np.asarray(cell, np.uint8) for cell in cells]
