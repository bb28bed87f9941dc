"""A small form with a field for a VIN, printed the same every time and filled in by another hand."""

import cv2
import numpy as np

from vinscribe.field import Field

SIZE = (1000, 700)
FIELD = (170, 250, 680, 48)  # left, top, width, height
_WORDS = [
    "record",
    "owner",
    "address",
    "street",
    "plate",
    "date",
    "engine",
    "number",
    "colour",
    "fuel",
    "weight",
    "office",
]


def cells_of(count=17):
    x, y, width, height = FIELD
    at = x + width / count * np.arange(count + 1)
    return np.stack(
        [
            np.stack([a, np.full(count, b)], axis=1)
            for a, b in ((at[:-1], y), (at[1:], y), (at[1:], y + height), (at[:-1], y + height))
        ],
        axis=1,
    )


def draw_form(fill=None, boxes=True, text="1HGCM82633A004352", form=0):
    """A form, uint8 (700, 1000): printed words and lines by the number of the form, handwriting by that of the hand.

    The field has boxes, or none but its frame, or is a comb: teeth at the foot only.
    """
    rng = np.random.default_rng(form)
    page = np.full(SIZE[::-1], 245, np.uint8)
    for row, y in enumerate((60, 120, 190, 350, 410, 470, 530, 590, 650)):
        x = 40
        for _ in range(4):
            word = _WORDS[rng.integers(len(_WORDS))] if row else "VEHICLE"
            scale = 0.6 if row else 1.2
            cv2.putText(page, word, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, 40, 1, cv2.LINE_AA)
            x += int(rng.integers(150, 260))
        if rng.random() < 0.7:
            cv2.line(page, (40, y + 12), (int(rng.integers(500, 960)), y + 12), 60, 1)
    x, y, width, height = FIELD
    if form:  # another office's, with its field elsewhere
        y, boxes = 30, False
    if boxes == "comb":
        cv2.line(page, (x, y + height), (x + width, y + height), 60, 2)
        top = y + height * 2 // 3
    else:
        cv2.rectangle(page, (x, y), (x + width, y + height), 60, 2)
        top = y
    for left in [*cells_of()[:, 0, 0], x + width] if boxes else ():
        cv2.line(page, (round(left), top), (round(left), y + height), 60, 2)
    if fill is not None:
        rng = np.random.default_rng([fill, 9])
        for at, char in enumerate(text):
            shift = rng.normal(0, 1, 2)
            foot = (round(x + (at + 0.25) * width / 17 + shift[0]), round(y + height - 10 + shift[1]))
            cv2.putText(page, char, foot, cv2.FONT_HERSHEY_SIMPLEX, 0.95, 70, 2, cv2.LINE_AA)
        for _ in range(12):
            points = rng.uniform([40, 300], [960, 690], 2) + np.cumsum(rng.normal(0, 14, (14, 2)), axis=0)
            cv2.polylines(page, [points.round().astype(np.int32)], False, 80, 2, cv2.LINE_AA)
    return page


def turned(page, degrees, scale=1.0, tilt=0.0):
    """The page as a camera sees it, and the matrix (3, 3) that leads there."""
    height, width = page.shape
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    turn = np.radians(degrees)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    seen = (corners - corners.mean(axis=0)) @ rotation.T * scale
    seen *= 1 + tilt * np.array([[-1], [1], [1], [-1]])
    seen -= seen.min(axis=0) - 20
    matrix = cv2.getPerspectiveTransform(corners, seen.astype(np.float32))
    size = np.ceil(seen.max(axis=0) + 20).astype(int).tolist()
    flags = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.warpPerspective(page, matrix, size, flags=flags, borderValue=200), matrix


def moved(points, matrix):
    return cv2.perspectiveTransform(np.asarray(points, float).reshape(1, -1, 2), matrix).reshape(np.shape(points))


def off(field: Field, cells) -> float:
    """The largest distance of a corner, in widths of a cell."""
    pitch = np.linalg.norm(cells[0, 1] - cells[0, 0])
    return float(np.linalg.norm(field.cells - cells, axis=2).max() / pitch)
