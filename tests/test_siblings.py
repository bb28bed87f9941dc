"""Rows of the same cells above and below a row."""

import cv2
import numpy as np
import pytest

from vinscribe.field import Field
from vinscribe.siblings import find_siblings, with_siblings

PITCH, HEIGHT, LEFT = 30, 24, 40


def comb(page, top, ink=False, rng=None):
    """Teeth, and lines of writing that hides some of them."""
    for number in range(18):
        x = LEFT + number * PITCH
        cv2.line(page, (x, top), (x, top + HEIGHT), 40, 2)
    cv2.line(page, (LEFT, top + HEIGHT), (LEFT + 17 * PITCH, top + HEIGHT), 40, 2)
    if ink:
        for number in range(17):
            at = LEFT + number * PITCH + 6 + int(rng.integers(-3, 4)), top + HEIGHT - 4
            cv2.putText(page, "8", at, cv2.FONT_HERSHEY_SIMPLEX, 0.8, 90, 3)


def cells_at(top):
    xs = LEFT + PITCH * np.arange(17.0)
    bottom = top + HEIGHT
    return np.array([[(x, top), (x + PITCH, top), (x + PITCH, bottom), (x, bottom)] for x in xs])


def field_at(top):
    cells = cells_at(top)
    return Field(np.array([cells[0, 0], cells[-1, 1], cells[-1, 2], cells[0, 3]]), cells, 0.9, "comb")


@pytest.fixture
def page():
    return np.full((300, 600), 250, np.uint8)


@pytest.mark.parametrize("other", [80, 110, 190, 220])
def test_the_row_above_or_below_is_found(page, other):
    comb(page, 150)
    comb(page, other, ink=True, rng=np.random.default_rng(0))
    ((cells, agreement),) = find_siblings(page, cells_at(150))
    assert cells == pytest.approx(cells_at(other), abs=2)
    assert agreement > 0.8


def test_other_rows_are_no_siblings(page):
    comb(page, 150)
    page[60:90, :] = np.random.default_rng(0).integers(0, 255, (30, 600))  # print of any kind
    for x in range(30, 580, 47):
        cv2.line(page, (x, 200), (x, 230), 40, 2)
    cv2.line(page, (20, 110), (580, 110), 40, 2)
    assert find_siblings(page, cells_at(150)) == []


def test_turned_pages_and_fields_upside_down(page):
    comb(page, 150)
    comb(page, 100)
    matrix = cv2.getRotationMatrix2D((300, 150), 9, 1.2)
    turned = cv2.warpAffine(page, matrix, (600, 300), borderValue=250)
    moved = [cv2.transform(cells_at(top), matrix) for top in (150, 100)]
    for cells in (moved[0], moved[0][::-1][:, [2, 3, 0, 1]]):
        ((found, _),) = find_siblings(turned, cells)
        ends = sorted(found[[0, -1]].mean(axis=1).tolist())
        assert np.array(ends) == pytest.approx(np.array(sorted(moved[1][[0, -1]].mean(axis=1).tolist())), abs=2.5)


def test_rows_that_are_known_are_not_found_again(page):
    comb(page, 150)
    comb(page, 100)
    both = with_siblings(page, [field_at(150), field_at(100)])
    assert [field.cells[0, 0, 1] for field in both] == [150, 100]
    one = with_siblings(page, [field_at(150)])
    assert len(one) == 2
    assert one[1].cells == pytest.approx(cells_at(100), abs=2)
    assert one[1].score <= one[0].score
    assert one[1].kind == "comb"


@pytest.mark.parametrize("value", [0, 255])
def test_an_even_page_has_none(value):
    assert find_siblings(np.full((300, 600), value, np.uint8), cells_at(150)) == []


def test_cells_beyond_the_page():
    noise = np.random.default_rng(0).integers(0, 255, (60, 100), np.uint8)
    assert find_siblings(noise, cells_at(150)) == []
