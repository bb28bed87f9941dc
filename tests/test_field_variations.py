"""The finder of rows of cells, on pages with what forms have around and in such rows; all drawn here."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_field import HEIGHT, LEFT, PITCH, TOP, box, draw, lefts, line, off, turned, write

from vinscribe.field import find_fields

RIGHT, FOOT = LEFT + 17 * PITCH, TOP + HEIGHT


def text(page, x, y, words, size=0.4):
    cv2.putText(page, words, (int(x), int(y)), cv2.FONT_HERSHEY_SIMPLEX, size, 60, 1, cv2.LINE_AA)


def scanned(page, seed=0, noise=3.0):
    """A little blurred, with grain."""
    grain = np.random.default_rng(seed).normal(0, noise, page.shape)
    return np.clip(cv2.GaussianBlur(page, (0, 0), 0.6) + grain, 0, 255).astype(np.uint8)


def numbers_in_boxes(page):
    for number, x in enumerate(lefts("boxes"), 1):
        text(page, x + 3, TOP + 11, str(number), 0.28)


def text_under_boxes(page):
    for number, x in enumerate(lefts("boxes"), 1):
        text(page, x + 12, FOOT + 13, str(number))
    text(page, LEFT, FOOT + 30, "Please write one character to a box, in capitals")


def a_table_around(page):
    for y in (TOP - 50, TOP, FOOT, FOOT + 45):
        line(page, (30, y), (870, y))
    for x in (30, 470, 870):
        line(page, (x, TOP - 50), (x, TOP))
        line(page, (x, FOOT), (x, FOOT + 45))


def ruled_paper(page):
    for y in range(20, 520, 37):
        line(page, (0, y), (900, y), 190)


def longer_rails(page):
    line(page, (10, FOOT), (890, FOOT))
    line(page, (10, TOP), (890, TOP))


def a_thick_frame(page):
    cv2.rectangle(page, (LEFT, TOP), (RIGHT, FOOT), 50, 8)


def a_stamp(page):
    for radius in (70, 62):
        cv2.circle(page, (LEFT + 230, TOP + 20), radius, 120, 3, cv2.LINE_AA)
    cv2.putText(page, "OFFICE 17", (LEFT + 175, TOP + 25), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 120, 2)


def strokes_across(page):
    for x in lefts("boxes")[::3]:
        cv2.line(page, (int(x) - 12, TOP + 44), (int(x) + 50, TOP - 6), 40, 4, cv2.LINE_AA)


def a_fold(page):
    page[:, LEFT + 300 :] = (page[:, LEFT + 300 :] * 0.9).astype(np.uint8)
    page[:, LEFT + 299 : LEFT + 302] //= 2


def rows_on_one_another(page):
    for top in (TOP - HEIGHT, FOOT):
        draw(page=page, top=top)


AROUND = (
    numbers_in_boxes,
    text_under_boxes,
    a_table_around,
    ruled_paper,
    longer_rails,
    a_thick_frame,
    a_stamp,
    strokes_across,
    a_fold,
    rows_on_one_another,
)


@pytest.mark.parametrize("degrees", [0, 2])
@pytest.mark.parametrize("add", AROUND, ids=lambda add: add.__name__)
def test_row_is_found_whatever_is_around_it_and_in_it(add, degrees):
    page, cells = draw()
    add(page)
    page, cells = turned(write(page), cells, degrees)
    assert min(off(field, cells) for field in find_fields(scanned(page))[:6]) < 0.15


def test_boxes_of_unequal_height():
    page = np.full((520, 900), 245, np.uint8)
    for x, more in zip(lefts("boxes"), [0, 3, -2, 1, 2, -3, 0, 1, 3, -1, 0, 2, -2, 3, 1, 0, -3], strict=True):
        box(page, x, TOP - more, PITCH, HEIGHT + 2 * more)
    assert off(find_fields(scanned(write(page)))[0], draw()[1]) < 0.15


@pytest.mark.parametrize("pitch", [23, 31, 60])
def test_boxes_of_other_sizes(pitch):
    """On a page of the size of A4 at 200 dpi, from 3 mm to 7.6 mm."""
    page = np.full((2339, 1654), 245, np.uint8)
    for number in range(17):
        cv2.rectangle(page, (200 + number * pitch, 900), (200 + (number + 1) * pitch, 900 + round(1.2 * pitch)), 90, 1)
    field = find_fields(scanned(page))[0]
    middles = field.cells.mean(axis=1)
    np.testing.assert_allclose(middles[:, 0], 200 + (np.arange(17) + 0.5) * pitch, atol=0.1 * pitch)
    np.testing.assert_allclose(middles[:, 1], 900 + 0.6 * pitch, atol=0.1 * pitch)


def test_white_boxes_on_a_tint():
    page = np.full((520, 900), 245, np.uint8)
    page[TOP - 10 : FOOT + 10, LEFT - 14 : RIGHT + 8] = 205
    for x in lefts("boxes"):
        page[TOP:FOOT, x : x + PITCH - 7] = 245
    _, cells = draw()
    cells[:, 1:3, 0] -= 7
    assert off(find_fields(scanned(write(page)))[0], cells) < 0.2


def test_white_lines_on_a_tint_beside_a_row_of_dark_lines():
    """A good row of the one kind is no reason not to look for the other."""
    page, dark = draw(top=80)
    page[TOP : FOOT + 1, LEFT : RIGHT + 1] = 205
    for x in (*lefts("boxes"), RIGHT):
        line(page, (x, TOP), (x, FOOT), 250)
    fields = find_fields(scanned(write(page)))
    for cells in (dark, draw()[1]):
        assert min(off(field, cells) for field in fields) < 0.15


def test_teeth_that_cross_their_rail():
    page = np.full((520, 900), 245, np.uint8)
    line(page, (LEFT, FOOT), (RIGHT, FOOT))
    for x in (*lefts("boxes"), RIGHT):
        line(page, (x, FOOT - 18), (x, FOOT + 9))
    assert off(find_fields(scanned(write(page)))[0], draw()[1], comb=True) < 0.15


def test_shadow_deep_in_half_of_the_row():
    page, cells = draw(tone=120)
    shadow = 1 - 0.55 / (1 + np.exp(-(np.arange(900) - 400) / 6))
    assert off(find_fields(scanned((write(page) * shadow).astype(np.uint8)))[0], cells) < 0.15


def test_tint_of_dots_in_black_and_white():
    """As fax machines and two-tone scanners make of a grey ground."""
    page = np.full((520, 900), 245, np.uint8)
    page[TOP - 10 : FOOT + 10, LEFT - 14 : RIGHT + 14] = 200
    for x in lefts("boxes"):
        page[TOP + 3 : FOOT - 3, x + 3 : x + PITCH - 3] = 245
    dots = np.tile(np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]), (130, 225)) * 6 + 160
    page = np.where(write(page) > dots, 255, 0).astype(np.uint8)
    middles = find_fields(page)[0].cells.mean(axis=1)
    np.testing.assert_allclose(middles, draw()[1].mean(axis=1), atol=0.15 * PITCH)


@pytest.mark.parametrize("gap", [6, 9, 20, 45])
def test_groups_with_any_gap(gap):
    page = np.full((520, 1000), 245, np.uint8)
    x, middles = 40, []
    for number in range(17):
        x += gap * (number in (3, 8, 9, 10))
        box(page, x, TOP, PITCH, HEIGHT)
        middles.append(x + PITCH / 2)
        x += PITCH
    np.testing.assert_allclose(find_fields(scanned(page))[0].cells.mean(axis=1)[:, 0], middles, atol=0.12 * PITCH)


def test_squared_paper_is_no_field():
    page = np.full((700, 1000), 245, np.uint8)
    for at in range(10, 1000, 40):
        line(page, (at, 0), (at, 699), 150)
        line(page, (0, at), (999, at), 150)
    assert find_fields(scanned(page)) == []


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 700), st.integers(1, 700), st.sampled_from([1, 3, 17, 60]))
def test_noise_is_searched_without_an_error(seed, height, width, count):
    rng = np.random.default_rng(seed)
    page = rng.integers(0, 256, (height, width), dtype=np.uint8)
    if seed % 2:
        page = np.where(page < 128, 0, 255).astype(np.uint8)
    assert isinstance(find_fields(page, count), list)


@pytest.mark.parametrize("shape", [(64, 6000), (6000, 64), (65, 65), (9000, 6700)])
def test_thin_and_huge_pages(shape):
    page = np.full(shape, 240, np.uint8)
    page[::3, ::5] = 40
    assert find_fields(page) == []


def test_same_page_same_rows():
    page = scanned(write(draw()[0]))
    for first, second in zip(find_fields(page), find_fields(page.copy()), strict=True):
        assert np.array_equal(first.cells, second.cells)
        assert (first.score, first.kind) == (second.score, second.kind)
