import cv2
import numpy as np
import pytest
from drawn_forms import FIELD, SIZE, cells_of, draw_form, moved, turned

from vinscribe.annotate import annotate
from vinscribe.decode import CellReading, VinReading

VIN = "1HGCM82633A004352"
X, Y, WIDTH, HEIGHT = FIELD


def points(corners):
    return tuple((float(x), float(y)) for x, y in corners)


def reading(cells=None, confidences=(0.999,) * 17, decision="accept", reason=None):
    cells = cells_of() if cells is None else cells
    read = tuple(
        CellReading(char, confidence, 1.0, box=points(cell))
        for char, confidence, cell in zip(VIN, confidences, cells, strict=True)
    )
    field = points([cells[0, 0], cells[-1, 1], cells[-1, 2], cells[0, 3]])
    return VinReading("a.png", 1, VIN, 0.99954, decision, reason, VIN, (), (), "valid", read, field)


def no_field():
    reason = "the page does not fit the template"
    return VinReading("a.png", 1, None, 0.0, "no_field", reason, None, (), (), None, ())


def changed(page, picture):
    return np.abs(picture.astype(int) - page[..., None]).max(axis=2) > 40


def test_page_is_kept_and_its_picture_in_colour():
    page = draw_form(fill=1)
    before = page.copy()
    picture = annotate(page, reading())
    assert (picture.shape, picture.dtype) == ((*page.shape, 3), np.uint8)
    np.testing.assert_array_equal(page, before)
    far = np.s_[Y + 2 * HEIGHT :]
    np.testing.assert_array_equal(picture[far], cv2.cvtColor(page, cv2.COLOR_GRAY2BGR)[far])


def test_what_is_written_in_the_cells_stays_visible():
    page = draw_form(fill=1)
    inside = changed(page, annotate(page, reading()))[Y + 8 : Y + HEIGHT - 8, X + 8 : X + WIDTH - 8]
    assert inside.mean() < 0.12  # the cells' sides


def test_doubt_is_seen_from_afar():
    page = draw_form()
    confidences = [0.999] * 17
    confidences[4], confidences[9] = 0.4, 0.9
    picture = annotate(page, reading(confidences=confidences)).astype(int)
    blue, green, red = np.moveaxis(picture[Y - 40 : Y + HEIGHT], 2, 0)
    reds = ((red > 180) & (green < 90) & (blue < 90)).nonzero()[1]
    oranges = ((red > 180) & (green > 90) & (green < 160) & (blue < 60)).nonzero()[1]
    greens = ((green > red + 50) & (green > blue + 50)).nonzero()[1]
    for at, columns in ((4, reds), (9, oranges)):
        assert abs(np.median(columns) - cells_of()[at].mean(axis=0)[0]) < 0.6 * WIDTH / 17
    assert len(np.unique((greens - X) * 17 // WIDTH)) >= 15


def test_doubtful_cells_have_their_confidence_beside_them():
    page = draw_form()
    sure, doubtful = (annotate(page, reading(confidences=(each, *(0.999,) * 16))) for each in (0.999, 0.4))
    below = np.s_[Y + HEIGHT + 6 : Y + 2 * HEIGHT]
    assert not changed(page, sure)[below].any()
    columns = changed(page, doubtful)[below].any(axis=0).nonzero()[0]
    assert len(columns) > 5
    assert columns.min() > X - 10
    assert columns.max() < X + 10 + WIDTH / 17


@pytest.mark.parametrize("degrees", [0, 6, -6, 84])
def test_a_long_legend_is_whole(degrees):
    """Nothing of it is cut off by the edge of the page."""
    page, matrix = turned(np.full(SIZE[::-1], 245, np.uint8), degrees)
    page[:] = 245
    told = reading(moved(cells_of(), matrix), decision="review", reason="character 7: 5 or S; character 12: 0 or D")
    drawn = changed(page, annotate(page, told))
    edge = np.concatenate([drawn[0], drawn[-1], drawn[:, 0], drawn[:, -1]])
    assert not edge.any()


def test_illegible_cell_is_doubtful_whatever_it_was_read_as():
    cells = list(reading().cells)
    cells[2] = CellReading("G", 0.9999, 0.01, cells[2].box)
    sure, doubtful = (
        reading(),
        VinReading(**{name: getattr(reading(), name) for name in VinReading.__annotations__} | {"cells": tuple(cells)}),
    )
    page = draw_form()
    assert (annotate(page, sure) != annotate(page, doubtful)).any()


@pytest.mark.parametrize("degrees", [20, 90, 180, 270])
def test_text_runs_along_the_field(degrees):
    """The picture of a turned page, turned back, is the picture of the page."""
    page = draw_form()
    straight = annotate(page, reading())
    lying, matrix = turned(page, degrees)
    picture = annotate(lying, reading(moved(cells_of(), matrix)))
    back = cv2.warpPerspective(picture, matrix, SIZE, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    part = np.s_[Y - 90 : Y + HEIGHT + 10, X - 10 : X + WIDTH + 10]
    assert changed(page[part], straight[part]).mean() > 0.05
    ink = [cv2.GaussianBlur(255 - each[part].min(axis=2), (0, 0), 3).ravel().astype(float) for each in (straight, back)]
    assert np.corrcoef(*ink)[0, 1] > 0.85


def test_page_without_a_field_says_so():
    page = np.full((700, 1000), 245, np.uint8)
    where = changed(page, annotate(page, no_field()))
    assert where[:80].sum() > 300
    assert not where[80:].any()


@pytest.mark.parametrize("shape", [(1, 1), (8, 30), (30, 8), (200, 150), (3000, 4000)])
def test_pages_of_any_size(shape):
    page = np.full(shape, 200, np.uint8)
    assert annotate(page, no_field()).shape == (*shape, 3)
    scale = np.array([shape[1] / 1000, shape[0] / 700])
    assert annotate(page, reading(cells_of() * scale, decision="review", reason="a reason " * 30)).shape == (*shape, 3)


@pytest.mark.parametrize("corner", [(-X, -Y), (300, 640)])
def test_field_at_the_edge_of_the_page_has_its_text_on_the_page(corner):
    page = np.full((700, 1000), 245, np.uint8)
    picture = annotate(page, reading(cells_of() + corner))
    cells = picture.copy()
    x, y = (max(0, a + b) for a, b in zip((X, Y), corner, strict=True))
    cells[max(0, y - 6) : y + HEIGHT + 6, max(0, x - 6) :] = 245
    assert changed(page, cells).sum() > 1000


def test_cells_without_places_are_left_out():
    bare = VinReading(
        "", None, VIN, 0.5, "review", None, VIN, (), (), "valid", tuple(CellReading(c, 0.9, 1.0) for c in VIN)
    )
    page = draw_form()
    assert changed(page, annotate(page, bare)).any()
