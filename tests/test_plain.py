"""Cutting fields without boxes by their ink: VINs that the project's pen writes here."""

import cv2
import numpy as np
import pytest
from drawn_forms import moved, turned

from vinscribe.plain import cut_by_ink, cut_characters
from vinscribe.training.card_ink import Pen, make_writer
from vinscribe.training.cards import make_vin

TOP, HEIGHT, LEFT = 60.0, 64.0, 50.0


def write(seed, pitch=50.0, line=None, count=17):
    """Characters on a page, (200, 1100); the field's corners; where each character's ink is, as points."""
    rng = np.random.default_rng([seed, 5])
    page = np.full((200, 1100, 3), 250, np.uint8)
    right = LEFT + 17.6 * pitch
    corners = np.array([[LEFT, TOP], [right, TOP], [right, TOP + HEIGHT], [LEFT, TOP + HEIGHT]])
    if line == "frame":
        cv2.polylines(page, [corners.round().astype(int)], True, (60, 60, 60), 2)
    if line == "rule":
        cv2.line(page, (int(LEFT), int(TOP + HEIGHT) - 6), (int(right), int(TOP + HEIGHT) - 6), (90, 90, 90), 2)
    pen = Pen(page, make_writer(rng), 8.0, rng)
    inks = []
    for at, char in enumerate((make_vin(rng) * 2)[:count]):
        first = max(0, int(LEFT + (at - 2) * pitch))
        part = page[:, first : first + int(6 * pitch)]  # no character is wider: comparing whole pages takes long
        before = part.copy()
        shift = rng.uniform(-0.05, 0.05) * pitch
        pen.char(char, (LEFT + (at + 0.3) * pitch + shift, TOP, 0.8 * pitch, HEIGHT))
        inks.append(np.argwhere((part != before).any(axis=2))[:, ::-1] + np.array([first, 0.0]))
    return cv2.cvtColor(page, cv2.COLOR_BGR2GRAY), corners, inks


def is_cut_right(field, inks):
    """Whether every character's ink is between the sides of its own cell."""
    unit = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    for cell, points in zip(field.cells, inks, strict=True):
        across = moved(points, cv2.getPerspectiveTransform(cell.astype(np.float32), unit))[:, 0]
        if ((across > -0.02) & (across < 1.02)).mean() < 0.9:
            return False
    return True


@pytest.mark.parametrize("line", [None, "rule", "frame"])
def test_characters_that_stand_apart_are_told_apart(line):
    fields = [
        (cut_by_ink(page, corners), inks) for page, corners, inks in (write(seed, line=line) for seed in range(20))
    ]
    right = [field is not None and is_cut_right(field, inks) for field, inks in fields]
    assert sum(right) >= 18


def test_score_tells_sure_cuts_from_guesses():
    scores, right = [], []
    for seed in range(40):
        page, corners, inks = write(seed, pitch=22 + seed % 4 * 6)  # the narrowest touch
        field = cut_by_ink(page, corners)
        scores.append(field.score if field else 0.0)
        right.append(field is not None and is_cut_right(field, inks))
    scores, right = np.array(scores), np.array(right)
    assert right[scores > 0.75].mean() >= 0.95
    assert (scores > 0.75).sum() >= 10
    assert right[scores > 0.75].mean() > right[scores <= 0.75].mean()


@pytest.mark.parametrize("degrees", [5, 90, 180, 250])
def test_field_that_lies_any_way_is_read_in_its_own_direction(degrees):
    page, corners, inks = write(3)
    page, matrix = turned(page, degrees, 1.4)
    field = cut_by_ink(page, moved(corners, matrix))
    assert field.kind == "plain"
    assert is_cut_right(field, [moved(points, matrix) for points in inks])


@pytest.mark.parametrize("count", [16, 18])
def test_another_number_of_characters_scores_low(count):
    scores = []
    for seed in range(12):
        page, corners, _ = write(seed, count=count, pitch=46)
        corners[1:3, 0] += 60
        field = cut_by_ink(page, corners)
        scores.append(field.score if field else 0.0)
    assert max(scores) < 0.6
    assert np.median(scores) < 0.3


@pytest.mark.parametrize("count", [3, 8])
def test_other_counts_can_be_asked_for(count):
    page, corners, inks = write(2, count=count)
    corners[1:3, 0] = LEFT + (count + 0.6) * 50
    field = cut_by_ink(page, corners, count)
    assert field.cells.shape == (count, 4, 2)
    assert is_cut_right(field, inks)


def test_nothing_there():
    page, corners, _ = write(0, count=0)
    assert cut_by_ink(page, corners) is None
    assert cut_by_ink(write(0, count=0, line="frame")[0], corners) is None
    assert cut_by_ink(np.zeros((0, 0), np.uint8), corners) is None
    assert cut_by_ink(page, np.zeros((4, 2))) is None


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_survived(seed):
    rng = np.random.default_rng(seed)
    page = rng.integers(0, 256, (200, 1100), np.uint8)
    _, corners, _ = write(0)
    field = cut_by_ink(page, corners)
    assert field is None or field.cells.shape == (17, 4, 2)


def test_cut_characters_are_upright_and_as_wide_as_they_are():
    page, corners, _ = write(4)
    upright = cut_characters(page, cut_by_ink(page, corners))
    assert len(upright) == 17
    assert len({picture.shape[1] for picture in upright}) > 3
    assert all(picture.dtype == np.uint8 and picture.min() < 150 for picture in upright)
    over = cv2.rotate(page, cv2.ROTATE_180)
    there = np.array([page.shape[1] - 1, page.shape[0] - 1]) - corners
    for picture, other in zip(upright, cut_characters(over, cut_by_ink(over, there)), strict=True):
        other = cv2.resize(other, picture.shape[::-1])
        assert np.corrcoef(picture.ravel(), other.ravel())[0, 1] > 0.6
