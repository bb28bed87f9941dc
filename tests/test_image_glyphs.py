"""Characters from pictures of another side than EMNIST's: drawn at any size and width of pen."""

import cv2
import numpy as np
import pytest
from emnist_archive import glyphs as drawn_glyphs
from numpy.typing import NDArray

from vinscribe.charset import CHARSET, NUM_CLASSES
from vinscribe.training.augment import AugmentSettings, render
from vinscribe.training.glyphs import ImageGlyphs, Placement

LABELS = np.arange(NUM_CLASSES)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def rings(side: int, width: int, count: int = 6) -> NDArray[np.uint8]:
    """Rings of a stroke so wide, paler in their lower halves."""
    x, y = np.meshgrid(np.arange(side), np.arange(side)) - np.array((side - 1) / 2)
    images = np.zeros((count, side, side), np.uint8)
    for number, image in enumerate(images):
        radius = side / 2 - 4 - number % 3
        image[:] = 255 * (0.5 + width / 2 - np.abs(np.hypot(x, y) - radius)).clip(0, 1)
        image[side // 2 :] = image[side // 2 :] * 0.6
    return images


def placed(longer_px: float, pen_px: float) -> Placement:
    return Placement(np.array([[longer_px, 0, 36.0], [0, longer_px, 36.0]]), longer_px, pen_px)


@pytest.mark.parametrize(("side", "width"), [(56, 2), (56, 3), (56, 7), (40, 3), (96, 5)])
@pytest.mark.parametrize("longer_px", [24, 60])
def test_pictures_of_any_side_are_drawn_with_the_pen_that_is_asked_for(side: int, width: int, longer_px: float) -> None:
    images = rings(side, width)
    glyphs = ImageGlyphs(images, LABELS[: len(images)])
    own_px = width * longer_px / (side - 8)
    for share in (0.8, 1.0, 1.5, 2.2):
        found = []
        for index in range(len(images)):
            character, breadth, height = glyphs.extent(index, rng(index))
            assert max(breadth, height) == 1
            ink = glyphs.draw(character, (72, 72), placed(longer_px, own_px * share), rng(index))
            assert ink.shape == (72, 72)
            assert ink.dtype == np.uint8
            # Each of these rays crosses the ring once: pixels of ink on it, and nowhere none.
            rays = [ink[36, :36], ink[36, 36:], ink[:36, 36], ink[36:, 36]]
            crossed = [ray.astype(float).sum() / 255 for ray in rays]
            assert min(int(ray.max()) for ray in rays) > 60
            found.append(np.mean(crossed))
        assert np.mean(found) == pytest.approx(max(own_px * share, 0.5), rel=0.25, abs=0.3)


def test_thin_strokes_neither_vanish_nor_break() -> None:
    images = rings(56, 2)
    glyphs = ImageGlyphs(images, LABELS[: len(images)])
    for seed in range(30):
        character, _, _ = glyphs.extent(seed % len(images), rng(seed))
        ink = glyphs.draw(character, (72, 72), placed(20 + seed * 1.5, 0.9), rng(seed))
        pieces, _, boxes, _ = cv2.connectedComponentsWithStats(cv2.threshold(ink, 40, 255, cv2.THRESH_BINARY)[1])
        assert pieces == 2  # paper and one ring
        assert boxes[1, cv2.CC_STAT_WIDTH] > 0.8 * (20 + seed * 1.5) * 0.9


def test_an_empty_picture_stays_empty_whatever_its_side() -> None:
    for side in (28, 56):
        glyphs = ImageGlyphs(np.zeros((1, side, side), np.uint8), LABELS[:1])
        character, _, _ = glyphs.extent(0, rng())
        assert not glyphs.draw(character, (72, 72), placed(50, 5), rng()).any()


def test_pictures_of_another_side_are_rendered_the_same_from_the_same_state() -> None:
    large = ImageGlyphs(np.stack([cv2.resize(image, (56, 56)) for image in drawn_glyphs(CHARSET, seed=0)]), LABELS)
    for index in range(NUM_CLASSES):
        (picture, label), (same, same_label) = (render(large, index, AugmentSettings(), rng(index)) for _ in range(2))
        np.testing.assert_array_equal(picture, same)
        assert label == same_label
        assert 16 <= max(picture.shape) <= 140
