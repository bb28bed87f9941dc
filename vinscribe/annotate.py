"""A page with what was read on it drawn in, so that a person sees at a glance where a reading went wrong."""

import cv2
import numpy as np
from numpy.typing import NDArray

from vinscribe.decode import VinReading

Floats = NDArray[np.float64]
Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]

# OpenCV's order: blue, green, red.
_SURE: Colour = (70, 140, 30)
_UNSURE: Colour = (0, 120, 235)
_DOUBTFUL: Colour = (40, 30, 220)
_FIELD: Colour = (190, 110, 30)
_INK: Colour = (40, 35, 30)
_PAPER: Colour = (255, 255, 255)

_SURE_FROM, _UNSURE_FROM = 0.99, 0.8  # confidence in a character: calm from the first on, alarming below the second

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_CAPITALS_PX = 22  # height of this font's capitals at scale 1
_CHAR, _LEGEND, _PERCENT = 0.5, 0.42, 0.3  # heights of what is written, of the height of a cell
_CHAR_WIDE, _PERCENT_WIDE = 0.8, 0.4  # the same, at most, of the width of a cell
_LEAST_PX, _MOST_SHARE = 9, 1 / 25  # but at least so many pixels, and at most this share of the page's shorter side
_GAP = 0.12  # between cell and character, of the height of a cell


def annotate(page: NDArray[np.uint8], reading: VinReading) -> Picture:
    """Draw the field, its cells, the characters and the reading's legend into a page.

    Characters and legend run along the field, whichever way it lies; on a page without a field the legend is at the
    top. Green cells are sure, orange ones less so, red ones doubtful; of these two kinds the confidence stands on the
    other side of the cell.

    Args:
        page: uint8 (height, width), any size; it is not changed.
        reading: of this page; cells and field without places are not drawn.

    Returns:
        uint8 (height, width, 3), channels in OpenCV's order.
    """
    picture = np.asarray(cv2.cvtColor(page, cv2.COLOR_GRAY2BGR), np.uint8)
    if reading.field is None:
        size = _text_px(min(page.shape) / 30, page)
        corner = np.array([size, 2.2 * size])
        _write(picture, _legend(reading), corner, np.array([1.0, 0.0]), size, _decision_colour(reading))
        return picture
    field = np.array(reading.field, np.float64)
    along, up = _unit(field[1] - field[0]), _unit(field[0] - field[3])
    line = max(1, round(min(page.shape) / 700))
    _outline(picture, _grown(field, 2 * line), _FIELD, 2 * line)
    high = float(np.linalg.norm(field[0] - field[3]))
    size, legend_px, percent_px = _sizes(reading, high, page)
    # Characters beside the field, the legend beside these: above the field, or below it where there is no room above.
    beside = _GAP * high + 2 * line
    beyond = beside + 1.6 * size
    top = field[:2].mean(axis=0) + up * (beyond + 1.6 * legend_px)
    below = not ((top >= 0) & (top < page.shape[::-1])).all()
    edge, other = ((3, 2), (0, 1)) if below else ((0, 1), (3, 2))
    for cell in reading.cells:
        if cell.box is None:
            continue
        confidence = min(cell.confidence, cell.legible_probability)
        box, colour = np.array(cell.box, np.float64), _colour(confidence)
        _outline(picture, box, colour, line if colour == _SURE else 2 * line)
        foot = box[list(edge)].mean(axis=0) + up * (-beside - 1.4 * size if below else beside)
        _write(picture, cell.char, foot, along, size, colour, middle=True)
        if colour != _SURE:
            foot = box[list(other)].mean(axis=0) + up * (beside if below else -beside - 1.4 * percent_px)
            _write(picture, f"{int(100 * confidence)}%", foot, along, percent_px, colour, middle=True)
    foot = field[edge[0]] + up * (-beyond - 1.4 * legend_px if below else beyond)
    _write(picture, _legend(reading), foot, along, legend_px, _decision_colour(reading))
    return picture


def _sizes(reading: VinReading, high: float, page: NDArray[np.uint8]) -> tuple[float, float, float]:
    """Heights of characters, of the legend and of percentages, by how high and wide the cells are."""
    boxes = [np.array(cell.box, np.float64) for cell in reading.cells if cell.box is not None]
    wide = float(np.median([np.linalg.norm(box[1] - box[0]) for box in boxes])) if boxes else high
    wanted = min(_CHAR * high, _CHAR_WIDE * wide), _LEGEND * high, min(_PERCENT * high, _PERCENT_WIDE * wide)
    size, legend_px, percent_px = (_text_px(px, page) for px in wanted)
    return size, legend_px, percent_px


def _legend(reading: VinReading) -> str:
    """One line; OpenCV's fonts know ASCII only."""
    parts = [reading.decision.replace("_", " "), reading.reason or ""]
    if reading.vin is not None:
        parts = [reading.vin, f"{int(reading.confidence * 1e4) / 1e4:.4f}", *parts]
    return ", ".join(part for part in parts if part).encode("ascii", "replace").decode()


def _colour(confidence: float) -> Colour:
    if confidence >= _SURE_FROM:
        return _SURE
    return _UNSURE if confidence >= _UNSURE_FROM else _DOUBTFUL


def _decision_colour(reading: VinReading) -> Colour:
    return {"accept": _SURE, "review": _UNSURE}.get(reading.decision, _DOUBTFUL)


def _text_px(wanted: float, page: NDArray[np.uint8]) -> float:
    """Height of capitals: what the cells ask for, legible, and no larger than a page of this size has room for."""
    return float(max(min(wanted, _MOST_SHARE * min(page.shape)), _LEAST_PX))


def _unit(vector: Floats) -> Floats:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9))


def _grown(corners: Floats, by: float) -> Floats:
    away = corners - corners.mean(axis=0)
    return np.asarray(corners + by * away / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9))


def _outline(picture: Picture, corners: Floats, colour: Colour, width: int) -> None:
    cv2.polylines(picture, [np.round(corners * 16).astype(np.int32)], True, colour, width, cv2.LINE_AA, 4)


def _write(
    picture: Picture, text: str, foot: Floats, along: Floats, size: float, colour: Colour, middle: bool = False
) -> None:
    """Text on a light ground, in a direction, standing on a point: at its left end or middle; kept on the page."""
    scale, thick = size / _CAPITALS_PX, max(1, round(size / 9))
    (width, _), below = cv2.getTextSize(text, _FONT, scale, thick)
    pad = max(2, round(size / 5))
    wide, high = width + 2 * pad, round(size) + below + 2 * pad
    room = float(min(np.array(picture.shape[1::-1]) / np.maximum(abs(along), 1e-9)))
    if wide > room and size > _LEAST_PX:  # a long legend on a narrow page
        _write(picture, text, foot, along, max(float(_LEAST_PX), size * 0.95 * room / wide), colour, middle)
        return
    label = np.full((high, wide, 3), _PAPER, np.uint8)
    cv2.putText(label, text, (pad, pad + round(size)), _FONT, scale, colour, thick, cv2.LINE_AA)
    down = np.array([-along[1], along[0]])
    origin = foot - along * (wide / 2 if middle else 0) - down * high
    corners = origin + np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) @ np.stack([along * wide, down * high])
    limits = np.array(picture.shape[1::-1])
    origin = origin + np.maximum(0, -corners.min(axis=0))  # back onto the page
    origin = origin - np.maximum(0, np.minimum(corners.max(axis=0) - limits, corners.min(axis=0)))
    matrix = np.column_stack([along, down, origin])
    _paste(picture, label, matrix)


def _paste(picture: Picture, label: Picture, matrix: Floats) -> None:
    """Lays a label onto a picture; the matrix (2, 3) leads from its pixels to the picture's."""
    high, wide = label.shape[:2]
    corners = np.array([[0, 0], [wide, 0], [wide, high], [0, high]]) @ matrix[:, :2].T + matrix[:, 2]
    low = np.maximum(np.floor(corners.min(axis=0)).astype(int) - 1, 0)
    end = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 1, picture.shape[1::-1])
    if (end <= low).any():
        return
    there = matrix - np.column_stack([np.zeros((2, 2)), low])
    size = (int(end[0] - low[0]), int(end[1] - low[1]))
    part = picture[low[1] : end[1], low[0] : end[0]]
    warped = cv2.warpAffine(label, there, size, flags=cv2.INTER_LINEAR, borderValue=_PAPER)
    ground = cv2.warpAffine(np.full((high, wide), 255, np.uint8), there, size)
    cover = (ground / 255 * 0.85)[..., None]  # a little of the page shows through
    ink = 1 - warped.min(axis=2, keepdims=True) / 255.0
    cover = np.maximum(cover, ink * (ground[..., None] > 0))
    part[:] = np.round(part * (1 - cover) + warped * cover).astype(np.uint8)
