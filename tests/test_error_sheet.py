"""error_sheet.py: the misread images and no other, the most confident errors first."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from emnist_archive import glyphs

from vinscribe.charset import CHARSET, ILLEGIBLE, NUM_CLASSES
from vinscribe.training.error_sheet import misread, plot_errors


def probs_with_errors(rows: list[int], confidences: list[float]) -> np.ndarray:
    """Probabilities (33, 33) that read each character right but for the given rows."""
    probs = np.eye(NUM_CLASSES, dtype=np.float32)
    for row, confidence in zip(rows, confidences, strict=True):
        probs[row] = 0
        probs[row, (row + 1) % NUM_CLASSES] = confidence
    return probs


def glyph_at(sheet: np.ndarray, place: int) -> np.ndarray:
    """The picture in the first row of a sheet, at its own size, white on black."""
    crop = sheet[6:90, 6 + 96 * place : 90 + 96 * place]
    return 255 - cv2.resize(crop, (28, 28), interpolation=cv2.INTER_AREA)


def test_the_most_confident_errors_first(tmp_path: Path) -> None:
    images, labels = glyphs(CHARSET, seed=0), np.arange(NUM_CLASSES)
    shown = plot_errors(images, labels, probs_with_errors([3, 7, 20], [0.5, 0.9, 0.7]), tmp_path / "errors.png")
    assert shown == 3
    sheet = cv2.imread(str(tmp_path / "errors.png"), cv2.IMREAD_GRAYSCALE)
    for place, row in enumerate((7, 20, 3)):
        distances = np.abs(images.astype(float) - glyph_at(sheet, place)).mean((1, 2))
        assert distances.argmin() == row
        assert distances[row] < 10
        assert (sheet[92:108, 96 * place : 96 * (place + 1)] < 128).any()  # the caption
    assert glyph_at(sheet, 3).max() == 0


@pytest.mark.parametrize(("most", "rows"), [(300, 2), (20, 1), (3, 1)])
def test_no_more_than_asked_for(most: int, rows: int, tmp_path: Path) -> None:
    images, labels = glyphs(CHARSET, seed=0), np.arange(NUM_CLASSES)
    probs = probs_with_errors(list(range(NUM_CLASSES)), [0.5] * NUM_CLASSES)
    assert plot_errors(images, labels, probs, tmp_path / "errors.png", most) == min(most, NUM_CLASSES)
    assert cv2.imread(str(tmp_path / "errors.png")).shape == (110 * rows, 1920, 3)


def test_no_error_is_an_empty_sheet(tmp_path: Path) -> None:
    images, labels = glyphs(CHARSET, seed=0), np.arange(NUM_CLASSES)
    assert plot_errors(images, labels, probs_with_errors([], []), tmp_path / "errors.png") == 0
    assert cv2.imread(str(tmp_path / "errors.png")).min() == 255


def test_cells_of_another_size_fill_the_same_place(tmp_path: Path) -> None:
    images = np.stack([cv2.resize(image, (40, 40)) for image in glyphs(CHARSET, seed=0)])
    labels = np.arange(NUM_CLASSES)
    assert plot_errors(images, labels, probs_with_errors([3], [0.5]), tmp_path / "errors.png") == 1
    sheet = cv2.imread(str(tmp_path / "errors.png"), cv2.IMREAD_GRAYSCALE)
    assert sheet.shape == (110, 1920)
    assert np.abs(glyph_at(sheet, 0).astype(float) - glyphs(CHARSET, seed=0)[3]).mean() < 12


def test_what_counts_as_misread() -> None:
    # Rows: right; wrong; right but found illegible; no character, found so; no character, read as one.
    labels = np.array([5, 5, 5, ILLEGIBLE, ILLEGIBLE])
    outputs = np.zeros((5, 34), np.float32)
    for row, (char, illegible) in enumerate([(5, 0.1), (6, 0.1), (5, 0.8), (5, 0.51), (5, 0.5)]):
        outputs[row, [char, ILLEGIBLE]] = 1 - illegible, illegible
    assert misread(outputs, labels).tolist() == [False, True, False, False, True]
    assert misread(outputs[:3, :33], labels[:3]).tolist() == [False, True, False]


def test_an_image_without_a_character_has_a_caption(tmp_path: Path) -> None:
    images, outputs = glyphs("AB", seed=0), np.zeros((2, 34), np.float32)
    outputs[0, 5] = outputs[1, ILLEGIBLE] = 1
    assert plot_errors(images, np.array([ILLEGIBLE, ILLEGIBLE]), outputs, tmp_path / "errors.png") == 1
    sheet = cv2.imread(str(tmp_path / "errors.png"), cv2.IMREAD_GRAYSCALE)
    assert (sheet[92:108, :96] < 128).any()
