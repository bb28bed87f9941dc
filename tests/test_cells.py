import cv2
import numpy as np
import pytest
from drawn import draw
from hypothesis import given, settings
from hypothesis import strategies as st

from vinscribe.cells import normalise, normalise_batch
from vinscribe.charset import CHARSET
from vinscribe.errors import ImageError


@st.composite
def pictures(draw_value):
    """Characters of any size, place, contrast and polarity, with a little noise."""
    glyph = draw(draw_value(st.sampled_from(CHARSET)), draw_value(st.integers(12, 700)))
    top, bottom, left, right = (draw_value(st.integers(0, 60)) for _ in range(4))
    picture = cv2.copyMakeBorder(glyph, top, bottom, left, right, cv2.BORDER_CONSTANT)
    low = draw_value(st.integers(0, 120))
    contrast = draw_value(st.integers(40, 255 - low))
    rng = np.random.default_rng(draw_value(st.integers(0, 99)))
    noise = rng.normal(0, draw_value(st.floats(0, 6)), picture.shape)
    picture = (low + picture * (contrast / 255) + noise).clip(0, 255).astype(np.uint8)
    return 255 - picture if draw_value(st.booleans()) else picture


@pytest.mark.parametrize("char", CHARSET)
def test_an_emnist_like_picture_is_left_alone(char):
    cell = draw(char)
    np.testing.assert_array_equal(normalise(cell), cell)
    np.testing.assert_array_equal(normalise(255 - cell), cell)


@pytest.mark.parametrize("shift", [(2, 0), (0, -2), (-2, 2)])
def test_a_small_shift_is_left_alone(shift):
    cell = np.roll(draw("T"), shift, (0, 1))
    np.testing.assert_array_equal(normalise(cell), cell)


def test_a_corner_glyph_is_moved_to_the_middle():
    small = np.zeros((28, 28), np.uint8)
    small[:14, :14] = cv2.resize(draw("E"), (14, 14), interpolation=cv2.INTER_AREA)
    x, y, width, height = cv2.boundingRect((normalise(small) > 40).astype(np.uint8))
    assert 22 <= max(width, height) <= 24
    assert abs(x + width / 2 - 14) <= 1
    assert abs(y + height / 2 - 14) <= 1


def test_the_input_is_not_changed_and_not_shared():
    cell = draw("K")
    kept = cell.copy()
    result = normalise(cell)
    result[:] = 7
    np.testing.assert_array_equal(cell, kept)


@pytest.mark.parametrize("size", [8, 16, 56, 300, 1500])
def test_size_matters_little(size):
    cell = normalise(draw("R", size)).astype(float)
    reference = normalise(draw("R", 280)).astype(float)
    assert np.corrcoef(cell.ravel(), reference.ravel())[0, 1] > (0.75 if size == 8 else 0.9)


def test_low_contrast_on_either_side_of_middle_grey():
    glyph = draw("W", 64)
    reference = normalise(glyph).astype(float)
    for paper, ink in ((100, 30), (30, 100), (230, 180), (180, 230)):
        picture = (paper + (ink - paper) * (glyph / 255)).round().astype(np.uint8)
        assert np.abs(normalise(picture) - reference).mean() < 4


@settings(max_examples=150, deadline=None)
@given(pictures())
def test_twice_is_once_and_the_negative_is_the_same(picture):
    cell = normalise(picture)
    assert cell.shape == (28, 28)
    assert cell.dtype == np.uint8
    np.testing.assert_array_equal(normalise(cell), cell)
    np.testing.assert_array_equal(normalise(255 - picture), cell)


@pytest.mark.parametrize("shape", [(8, 1), (1, 8), (1, 4000), (28, 28), (3000, 40), (9, 9)])
def test_odd_shapes_and_blank_pictures(shape):
    rng = np.random.default_rng(0)
    for level in (0, 90, 255):
        assert not normalise(np.full(shape, level, np.uint8)).any()
        faint = (level + rng.integers(0, 4, shape)).clip(0, 255).astype(np.uint8)
        assert not normalise(faint).any()
    assert normalise(rng.integers(0, 256, shape, dtype=np.uint8)).shape == (28, 28)


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
    assert normalise_batch([]).shape == (0, 28, 28)
