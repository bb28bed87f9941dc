import cv2
import numpy as np
import pytest
from drawn import draw
from hypothesis import given, settings
from hypothesis import strategies as st

from vinscribe.cells import CELL_PX, normalise, normalise_batch
from vinscribe.charset import CHARSET
from vinscribe.errors import ImageError


def boxed(char, size=72, line=3, share=0.6):
    """White on black with a white border, as the original task had it."""
    picture = np.zeros((size, size), np.uint8)
    glyph = draw(char, round(size * share * 28 / 24))
    start = (size - len(glyph)) // 2
    picture[start : start + len(glyph), start : start + len(glyph)] = glyph
    cv2.rectangle(picture, (0, 0), (size - 1, size - 1), 255, 2 * line - 1)
    return picture


def ink_box(cell, level=80):
    return cv2.boundingRect((cell > level).astype(np.uint8))


def likeness(one, other):
    return np.corrcoef(one.ravel().astype(float), other.ravel().astype(float))[0, 1]


@st.composite
def pictures(draw_value):
    """Characters of any size, place, contrast and polarity, with a little noise, in a box or not."""
    side = draw_value(st.integers(20, 400))
    char = draw_value(st.sampled_from(CHARSET))
    picture = boxed(char, side, max(1, side // 30)) if draw_value(st.booleans()) else draw(char, side)
    top, bottom, left, right = (draw_value(st.integers(0, 40)) for _ in range(4))
    picture = cv2.copyMakeBorder(picture, top, bottom, left, right, cv2.BORDER_CONSTANT)
    low = draw_value(st.integers(0, 120))
    contrast = draw_value(st.integers(40, 255 - low))
    rng = np.random.default_rng(draw_value(st.integers(0, 99)))
    noise = rng.normal(0, draw_value(st.floats(0, 6)), picture.shape)
    picture = (low + picture * (contrast / 255) + noise).clip(0, 255).astype(np.uint8)
    return 255 - picture if draw_value(st.booleans()) else picture


@pytest.mark.parametrize("char", CHARSET)
def test_an_emnist_picture_is_only_enlarged(char):
    glyph = draw(char)
    expected = cv2.resize(glyph, (CELL_PX, CELL_PX), interpolation=cv2.INTER_CUBIC)
    for picture in (glyph, 255 - glyph):
        cell = normalise(picture)
        assert cell.shape == (CELL_PX, CELL_PX)
        assert likeness(cell, expected) > 0.97


@pytest.mark.parametrize("char", CHARSET)
def test_at_28_px_an_emnist_picture_stays_what_it_is(char):
    assert likeness(normalise(draw(char), 28), draw(char)) > 0.97


def test_empty_margins_go():
    small = np.zeros((90, 60), np.uint8)
    small[8:50, 4:46] = draw("E", 42)
    x, y, width, height = ink_box(normalise(small))
    assert 31 <= max(width, height) <= 36  # 6/7 of 40 is 34
    assert abs(x + width / 2 - CELL_PX / 2) <= 1.5
    assert abs(y + height / 2 - CELL_PX / 2) <= 1.5


def test_a_speck_is_not_blown_up_to_a_character():
    picture = np.full((80, 80), 230, np.uint8)
    picture[40:43, 40:43] = 20
    _, _, width, height = ink_box(normalise(picture))
    assert max(width, height) <= 8


@pytest.mark.parametrize("inverted", [False, True])
def test_a_box_and_its_character_both_stay(inverted):
    picture = 255 - boxed("R") if inverted else boxed("R")
    cell = normalise(picture)
    assert cell[0].min() > 128
    assert cell[-1].min() > 128
    assert cell[:, 0].min() > 128
    assert cell[:, -1].min() > 128
    inner = cell[4:-4, 4:-4]
    assert likeness(inner, cv2.resize(boxed("R"), (CELL_PX, CELL_PX), interpolation=cv2.INTER_AREA)[4:-4, 4:-4]) > 0.95


def test_a_line_at_one_edge_stays_at_that_edge():
    picture = np.full((72, 60), 240, np.uint8)
    picture[:, :3] = 60
    picture[20:50, 30:33] = 40  # a 1
    cell = normalise(picture)
    bright = np.flatnonzero(cell[20] > 100)
    assert bright[0] < 8  # the line, still at the left
    assert 15 <= bright[-1] <= 25  # the 1, still in the middle


def test_a_shadow_over_the_paper_goes():
    glyph = cv2.copyMakeBorder(draw("S", 40), 12, 12, 12, 12, cv2.BORDER_CONSTANT).astype(float) / 255
    ramp = np.linspace(230, 120, 64)[None, :]
    shadowed = (ramp * (1 - 0.6 * glyph)).astype(np.uint8)
    cell = normalise(shadowed)
    assert likeness(cell, cv2.resize(glyph, (CELL_PX, CELL_PX), interpolation=cv2.INTER_AREA)) > 0.9
    assert cell[:, :8].mean() < 5  # no ink there, whatever the light


def test_a_thick_stroke_is_not_taken_for_paper():
    picture = np.full((60, 60), 245, np.uint8)
    cv2.line(picture, (30, 8), (30, 52), 10, 11)
    cell = normalise(picture)
    x, _, width, height = ink_box(cell)
    assert height > 28
    assert 6 <= width <= 14
    assert abs(x + width / 2 - CELL_PX / 2) < 2


def test_the_input_is_not_changed_and_not_shared():
    for size in (CELL_PX, 28, 100):
        picture = draw("K", size)
        kept = picture.copy()
        result = normalise(picture)
        result[:] = 7
        np.testing.assert_array_equal(picture, kept)


@pytest.mark.parametrize("size", [10, 16, 56, 300, 1500])
def test_size_matters_little(size):
    assert likeness(normalise(draw("R", size)), normalise(draw("R", 280))) > (0.6 if size == 10 else 0.9)


def test_low_contrast_on_either_side_of_middle_grey():
    glyph = draw("W", 64)
    reference = normalise(glyph).astype(float)
    for paper, ink in ((100, 30), (30, 100), (230, 200), (180, 230)):
        picture = (paper + (ink - paper) * (glyph / 255)).round().astype(np.uint8)
        assert np.abs(normalise(picture) - reference).mean() < 6


@settings(max_examples=150, deadline=None)
@given(pictures())
def test_the_negative_gives_the_same(picture):
    cell, negative = normalise(picture), normalise(255 - picture)
    assert cell.shape == (CELL_PX, CELL_PX)
    assert cell.dtype == np.uint8
    if max(picture.shape) <= 120:
        np.testing.assert_array_equal(negative, cell)
    else:  # reducing a large picture rounds, and rounds a picture and its negative apart by one
        assert np.abs(negative.astype(int) - cell).mean() < 3


@pytest.mark.parametrize("shape", [(8, 1), (1, 8), (1, 4000), (28, 28), (3000, 40), (9, 9)])
def test_odd_shapes_and_blank_pictures(shape):
    rng = np.random.default_rng(0)
    for level in (0, 90, 255):
        assert not normalise(np.full(shape, level, np.uint8)).any()
        faint = (level + rng.integers(0, 4, shape)).clip(0, 255).astype(np.uint8)
        assert not normalise(faint).any()
    assert normalise(rng.integers(0, 256, shape, dtype=np.uint8)).shape == (CELL_PX, CELL_PX)


@pytest.mark.parametrize("size_px", [16, 28, 33, 64, 128])
def test_any_side_can_be_asked_for(size_px):
    cell = normalise(draw("G", 50), size_px)
    assert cell.shape == (size_px, size_px)
    reference = cv2.resize(normalise(draw("G", 50), 64), (size_px, size_px), interpolation=cv2.INTER_AREA)
    assert likeness(cell, reference) > 0.9


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((7, 7), np.uint8),
        np.zeros((0, 40), np.uint8),
        np.zeros((28, 28, 3), np.uint8),
        np.zeros((28, 28), np.float32),
        np.zeros(784, np.uint8),
    ],
)
def test_what_is_no_cell_is_refused(image):
    with pytest.raises(ImageError):
        normalise(image)


def test_a_view_without_contiguous_memory_gives_the_same():
    glyph = draw("P", 90)
    np.testing.assert_array_equal(normalise(np.asfortranarray(glyph)), normalise(glyph))


def test_batch_is_the_stack_of_its_cells():
    images = [draw("A", 20), draw("B", 90), 255 - draw("C", 28)]
    np.testing.assert_array_equal(normalise_batch(images), np.stack([normalise(image) for image in images]))
    np.testing.assert_array_equal(normalise_batch(images, 28), np.stack([normalise(image, 28) for image in images]))
    assert normalise_batch([]).shape == (0, CELL_PX, CELL_PX)
