"""The finder of rows of cells, on pages that are drawn here."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vinscribe.field import Field, cut_cells, find_fields

PITCH, HEIGHT, LEFT, TOP = 40, 48, 90, 200
KINDS = ("boxes", "separate", "comb", "dashed", "dotted", "double", "groups")


def line(page, start, end, tone=60, step=0):
    start, end = np.array(start, float), np.array(end, float)
    length = float(np.linalg.norm(end - start))
    at = np.arange(0, length, step) if step else np.array([0.0])
    share = 0.55 * step if step > 6 else 2.0 if step else length
    for begin in at:
        ends = [start + (end - start) * min(t, length) / length for t in (begin, begin + share)]
        cv2.line(page, *[tuple(np.rint(point).astype(int).tolist()) for point in ends], tone, 2)


def box(page, x, y, width, height, tone=60, step=0):
    corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
    for start, end in zip(corners, [*corners[1:], corners[0]], strict=True):
        line(page, start, end, tone, step)


def lefts(kind, count=17, x=LEFT):
    gaps = {3: 9, 9: 9} if kind == "groups" else {}
    places = []
    for index in range(count):
        x += gaps.get(index, 0)
        places.append(x)
        x += PITCH
    return np.array(places)


def draw(kind="boxes", count=17, tone=60, page=None, top=TOP):
    """A row of cells on a page, and the cells' corners."""
    page = np.full((520, 900), 245, np.uint8) if page is None else page
    width = PITCH - 8 if kind == "separate" else PITCH
    places = lefts(kind, count)
    step = {"dashed": 12, "dotted": 5}.get(kind, 0)
    if kind == "comb":
        line(page, (places[0], top + HEIGHT), (places[-1] + width, top + HEIGHT), tone)
        for x in (*places, places[-1] + width):
            line(page, (x, top + HEIGHT * 0.6), (x, top + HEIGHT), tone)
    else:
        for x in places:
            box(page, x, top, width, HEIGHT, tone, step)
    if kind == "double":
        box(page, places[0] - 6, top - 6, places[-1] + width - places[0] + 12, HEIGHT + 12, tone)
    x, y = places[:, None], np.array([top, top, top + HEIGHT, top + HEIGHT])
    return page, np.stack([np.hstack([x, x + width, x + width, x]), np.tile(y, (count, 1))], axis=2).astype(float)


def write(page, text="1HGCM82633A0LT17I", top=TOP, kind="boxes"):
    for x, char in zip(lefts(kind), text, strict=False):
        cv2.putText(page, char, (int(x) + 8, top + HEIGHT - 9), cv2.FONT_HERSHEY_SIMPLEX, 1.0, 30, 2)
    return page


def moved(page, cells, matrix, size):
    page = cv2.warpPerspective(page, matrix, size, borderValue=245)
    return page, cv2.perspectiveTransform(cells.reshape(1, -1, 2), matrix).reshape(cells.shape)


def turned(page, cells, degrees):
    height, width = page.shape
    matrix = np.vstack([cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0), [0, 0, 1]])
    return moved(page, cells, matrix, (width, height))


def off(field, cells, comb=False):
    """The largest distance of a corner, in widths of a cell; of combs, at the foot only."""
    corners = slice(2, 4) if comb else slice(None)
    width = np.linalg.norm(cells[0, 1] - cells[0, 0])
    return float(np.abs(field.cells[:, corners] - cells[:, corners]).max() / width)


def text_page(seed=0):
    rng = np.random.default_rng(seed)
    page = np.full((700, 900), 245, np.uint8)
    for y in range(60, 680, 34):
        words = ["".join(rng.choice(list("HILTMNEilmnhtdb"), rng.integers(2, 9))) for _ in range(8)]
        cv2.putText(page, " ".join(words), (30, y), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 40, 2)
    return page


@pytest.mark.parametrize("degrees", [0, -4, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_row_of_every_kind_is_found_where_it_is(kind, degrees):
    page, cells = draw(kind)
    page, cells = turned(write(page, kind=kind), cells, degrees)
    field = find_fields(page)[0]
    assert field.cells.shape == (17, 4, 2)
    assert off(field, cells, comb=kind == "comb") < 0.1
    assert field.score > 0.6
    np.testing.assert_allclose(field.corners, [*field.cells[0, :1], *field.cells[-1, 1:3], field.cells[0, 3]])


@pytest.mark.parametrize("kind", ["boxes", "separate", "comb", "groups"])
def test_kind_is_named(kind):
    assert find_fields(draw(kind)[0])[0].kind == kind


def test_pale_lines_in_grain():
    page, cells = draw(tone=215)
    page = write(page)
    noise = np.random.default_rng(0).normal(0, 4, page.shape)
    field = find_fields(np.clip(page + noise, 0, 255).astype(np.uint8))[0]
    assert off(field, cells) < 0.1


def test_bright_lines_on_dark_ground():
    page, cells = draw()
    assert off(find_fields(255 - write(page))[0], cells) < 0.1


def test_black_and_white():
    page, cells = draw()
    page = np.where(write(page) < 128, 0, 255).astype(np.uint8)
    assert off(find_fields(page)[0], cells) < 0.1


def test_shadow_across_the_page():
    page, cells = draw()
    shadow = np.linspace(1.0, 0.3, page.shape[1])
    assert off(find_fields((write(page) * shadow).astype(np.uint8))[0], cells) < 0.1


def test_mild_perspective():
    page, cells = draw()
    corners = np.float32([[0, 0], [900, 0], [900, 520], [0, 520]])
    seen = np.float32([[15, 10], [885, 25], [900, 510], [0, 520]])
    page, cells = moved(write(page), cells, cv2.getPerspectiveTransform(corners, seen).astype(float), (900, 520))
    assert off(find_fields(page)[0], cells) < 0.1


@pytest.mark.parametrize(
    ("quarters", "code"), [(1, cv2.ROTATE_90_COUNTERCLOCKWISE), (2, cv2.ROTATE_180), (3, cv2.ROTATE_90_CLOCKWISE)]
)
def test_page_on_its_side_or_upside_down(quarters, code):
    page, cells = draw()
    height, width = page.shape
    lying = cv2.rotate(write(page), code)
    x, y = cells[..., 0], cells[..., 1]
    there = {1: (y, width - 1 - x), 2: (width - 1 - x, height - 1 - y), 3: (height - 1 - y, x)}[quarters]
    fields = find_fields(lying)
    assert len(fields) == 2  # both ways up
    assert min(off(field, np.stack(there, axis=2)) for field in fields) < 0.1


def test_both_ways_up_are_the_same_row():
    first, second = find_fields(draw()[0])
    assert first.score > second.score
    np.testing.assert_allclose(second.cells, first.cells[::-1][:, [2, 3, 0, 1]])


def test_comb_upside_down_is_read_the_right_way():
    page, cells = draw("comb")
    height, width = page.shape
    field = find_fields(cv2.rotate(page, cv2.ROTATE_180))[0]
    assert off(field, np.array([width - 1, height - 1]) - cells, comb=True) < 0.1


@pytest.mark.parametrize("degrees", [0, 2])
def test_large_scan_is_reduced_and_corners_are_in_its_pixels(degrees):
    page, cells = draw()
    page = cv2.resize(write(page), None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    page, cells = turned(page, cells * 3 + 1, degrees)
    assert off(find_fields(page)[0], cells) < 0.1


def test_several_rows_all_come_back():
    page, upper = draw()
    page, lower = draw("boxes", page=page, top=TOP + 130)
    fields = find_fields(write(page))
    for cells in (upper, lower):
        assert min(off(field, cells) for field in fields) < 0.1


@pytest.mark.parametrize("count", [8, 12, 20])
def test_other_counts(count):
    page, cells = draw(count=count)
    assert find_fields(page, count + 1) == []
    assert off(find_fields(page, count)[0], cells) < 0.1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [16, 18])
def test_row_of_another_length_is_no_field(kind, count):
    assert find_fields(draw(kind, count)[0]) == []


@pytest.mark.parametrize("seed", range(4))
def test_text_is_no_field(seed):
    page = text_page(seed)
    assert find_fields(page) == []
    assert find_fields(cv2.rotate(page, cv2.ROTATE_90_CLOCKWISE)) == []


def test_missing_line_is_bridged():
    page, cells = draw()
    page[TOP + 4 : TOP + HEIGHT - 4, LEFT + 5 * PITCH - 3 : LEFT + 5 * PITCH + 4] = 245
    assert off(find_fields(page)[0], cells) < 0.1


@settings(max_examples=30, deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(0, 150), st.integers(0, 150))), st.integers(-1, 20))
def test_any_picture_is_searched_without_an_error(page, count):
    assert isinstance(find_fields(page, count), list)


@pytest.mark.parametrize("page", [np.zeros((300, 900), np.uint8), np.full((900, 300), 255, np.uint8)])
def test_blank_page_has_no_field(page):
    assert find_fields(page) == []


def test_cells_are_cut_straight_with_a_margin():
    page, cells = draw()
    page, cells = turned(write(page), cells, 3)
    field = Field(cells[[0, -1, -1, 0], [0, 1, 2, 3]], cells, 1.0, "boxes")
    cut = cut_cells(page, field, margin=0.1)
    assert len(cut) == 17
    assert {cell.shape for cell in cut} == {(58, 48)}
    straight, _ = draw()
    straight = write(straight)
    for at, cell in zip(lefts("boxes"), cut, strict=True):
        there = straight[TOP - 5 : TOP + 53, at - 4 : at + 44]
        assert np.abs(cell.astype(int) - there).mean() < 12


def test_cells_of_a_row_upside_down_are_cut_the_right_way_up():
    page, cells = draw()
    field = Field(cells[[0, -1, -1, 0], [0, 1, 2, 3]], cells, 1.0, "boxes")
    upright = cut_cells(write(page), field)
    height, width = page.shape
    turned_cells = np.array([width - 1, height - 1]) - cells
    over = Field(turned_cells[[0, -1, -1, 0], [0, 1, 2, 3]], turned_cells, 1.0, "boxes")
    for cell, other in zip(upright, cut_cells(cv2.rotate(page, cv2.ROTATE_180), over), strict=True):
        assert np.abs(cell.astype(int) - other).mean() < 3
