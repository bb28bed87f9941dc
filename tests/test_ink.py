"""Whether something is written in cells, at a glance."""

import cv2
import numpy as np
import pytest

from vinscribe.charset import CHARSET
from vinscribe.ink import crossed_from_corner_to_corner, crossed_out, inked_share


def row(chars, ink=60, paper=230, grain=0.0, pen=3):
    """A page with a row of boxes of 40 x 50 px, and its cells."""
    page = np.full((120, 40 * len(chars) + 40), paper, np.uint8)
    cells = []
    for at, char in enumerate(chars):
        left, top = 20 + 40 * at, 30
        cv2.rectangle(page, (left, top), (left + 40, top + 50), 120, 1)
        cv2.putText(page, char, (left + 9, top + 37), cv2.FONT_HERSHEY_SIMPLEX, 1.0, ink, pen, cv2.LINE_AA)
        cells.append([(left, top), (left + 40, top), (left + 40, top + 50), (left, top + 50)])
    noise = np.random.default_rng(0).normal(0, grain, page.shape)
    return np.clip(page + noise, 0, 255).astype(np.uint8), np.array(cells, float)


@pytest.mark.parametrize(
    "kind", [{}, {"ink": 190}, {"grain": 6.0}, {"pen": 1, "ink": 150}, {"pen": 7}, {"ink": 110, "paper": 160}]
)
def test_what_is_written_is_seen_and_what_is_empty_is_not(kind):
    assert inked_share(*row("VN8KH2W3X", **kind)) == 1.0
    assert inked_share(*row("         ", **kind)) == 0.0
    assert inked_share(*row("VN8   W3X", **kind)) == pytest.approx(6 / 9)


def test_cells_may_lie_askew_or_beyond_the_page():
    page, cells = row("VN8KH2W3X")
    turn = np.vstack([cv2.getRotationMatrix2D((180, 60), 4, 1.0), [0, 0, 1]])
    askew = cv2.warpAffine(page, turn[:2], page.shape[::-1], borderValue=230)
    assert inked_share(askew, cv2.perspectiveTransform(cells.reshape(1, -1, 2), turn).reshape(cells.shape)) == 1.0
    assert inked_share(page, cells + np.array([0, 500])) == 0.0


def cell(lines=(), char="Z", pen=3):
    """A cell of 60 x 72 px as it is cut, with a tenth around it, and lines through it at these heights."""
    picture = np.full((86, 72), 225, np.uint8)
    cv2.rectangle(picture, (6, 7), (66, 79), 110, 2)
    cv2.putText(picture, char, (17, 62), cv2.FONT_HERSHEY_SIMPLEX, 1.7, 60, pen, cv2.LINE_AA)
    for height, fall in lines:
        cv2.line(picture, (7, height), (65, height + fall), 60, 2, cv2.LINE_AA)
    return picture


@pytest.mark.parametrize("lines", [[(34, 0), (46, 0)], [(40, 3), (48, 1)], [(20, 0), (24, 1), (28, 0), (31, 2)]])
@pytest.mark.parametrize("char", "Z57AH")
def test_lines_through_a_cell_are_seen(char, lines):
    assert crossed_out(cell(lines, char), 0.1)


@pytest.mark.parametrize("pen", [2, 4, 7])
def test_characters_are_no_lines_through_a_cell(pen):
    assert not any(crossed_out(cell(char=char, pen=pen), 0.1) for char in CHARSET)
    assert not crossed_out(cell(char=" "), 0.1)
    assert not crossed_out(cell([(40, 1)], "H"), 0.1)  # one line may be a wide bar
    assert not crossed_out(np.full((8, 8), 200, np.uint8), 0.1)


def test_a_cross_from_corner_to_corner_is_no_x():
    crossed = cell(char="2")
    for start, end in (((9, 11), (63, 75)), ((63, 11), (9, 75))):
        cv2.line(crossed, start, end, 60, 3, cv2.LINE_AA)
    assert crossed_from_corner_to_corner(crossed, 0.1)
    assert not any(crossed_from_corner_to_corner(cell(char=char), 0.1) for char in "X8KM ")
