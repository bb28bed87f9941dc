"""A cell's character without its box: what ``rivals.py`` does for readers that know no box lines.

Thresholds and rules, made by looking at cells of the sets that they are measured on. vinscribe has no part of it.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
"""A picture, uint8 (height, width)."""
_SIDE_PX = 96  # smaller pictures are enlarged to about this before lines are looked for
_LARGEST_PX = 200
_FAINTEST = 4  # grey values between ink and paper; less is none


def extract_ink(grey: Grey) -> Grey:
    """The character of a cell, dark on white, without box lines and shadow, trimmed.

    Args:
        grey: uint8 (height, width), ink darker or brighter than its ground.

    Returns:
        uint8 (height, width) of another size; all white where there is no ink.
    """
    blank = np.full((_SIDE_PX, _SIDE_PX), 255, np.uint8)
    if int(grey.max()) - int(grey.min()) < _FAINTEST:
        return blank
    flat = _flattened(_resized(_dark_on_bright(grey)))
    _, mask = cv2.threshold(cv2.GaussianBlur(flat, (0, 0), 0.8), 0, 1, cv2.THRESH_BINARY_INV + cv2.THRESH_OTSU)
    keep = character_mask(mask.astype(np.uint8))
    if not keep.any():
        return blank
    near = cv2.dilate(keep.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0  # with the strokes' soft edges
    ink = np.percentile(flat[keep], 20)
    paper = np.percentile(flat[~near], 30) if not near.all() else 255.0
    clean = np.clip((flat - ink) / max(paper - ink, 1) * 255, 0, 255).astype(np.uint8)
    clean[~near] = 255
    rows, columns = np.nonzero(near)
    return clean[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def _dark_on_bright(grey: Grey) -> Grey:
    """The tone that most of a cell's middle has is its ground; the rest of the cell may be a broad frame."""
    height, width = grey.shape
    top, left = round(0.15 * height), round(0.15 * width)
    middle = np.ascontiguousarray(grey[top : height - top, left : width - left])
    darkest_paper, _ = cv2.threshold(middle, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    dark = float((middle <= darkest_paper).mean())
    if 0.35 < dark < 0.65:  # a bold character fills the middle: what is rarer in the whole cell is its ink
        return np.asarray(255 - grey) if np.median(grey) < grey.mean() else grey
    return np.asarray(255 - grey) if dark > 0.5 else grey


def _resized(grey: Grey) -> Grey:
    """To where the lengths in pixels below make sense."""
    longest = max(grey.shape)
    if longest > _LARGEST_PX:
        scale = _LARGEST_PX / longest
        return np.asarray(cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    scale = max(1, round(_SIDE_PX / longest))
    return np.asarray(cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC), np.uint8)


def _flattened(grey: Grey) -> Grey:
    """Divided by its paper: no shadow, no tint."""
    paper = cv2.GaussianBlur(cv2.morphologyEx(grey, cv2.MORPH_CLOSE, np.ones((25, 25), np.uint8)), (0, 0), 12)
    return np.clip(grey * (255 / np.maximum(paper, 1)), 0, 255).astype(np.uint8)


def find_lines(mask: Grey) -> Grey:
    """The box lines of a cell's ink: straight runs of 60 % of the side that lie at the edge, or of 90 % near it.

    Args:
        mask: uint8 (height, width), 1 is ink.

    Returns:
        The like, 1 is line.
    """
    found = np.zeros_like(mask)
    for ink, lines in ((mask, found), (mask.T, found.T)):
        side, length = ink.shape
        along = np.ones((1, max(3, int(0.6 * length))), np.uint8)
        runs = cv2.morphologyEx(np.ascontiguousarray(ink), cv2.MORPH_OPEN, along)
        _, labels, boxes, _ = cv2.connectedComponentsWithStats(runs, connectivity=8)
        for number, (_, y, width, height, _) in enumerate(boxes[1:].tolist(), 1):
            at_edge = (y <= 0.05 * side or y + height >= 0.95 * side) and height <= 0.3 * side
            near_edge = y + height <= 0.15 * side or y >= 0.85 * side
            # A Z or an E in a tight cell has such bars near the edge, but not across the whole cell.
            if at_edge or (near_edge and width >= 0.9 * length):
                lines[labels == number] = 1
    return found


def character_mask(mask: Grey) -> NDArray[np.bool_]:
    """Which ink of a cell is the character: all but box lines, frames round it, and slivers and specks at the edge.

    Args:
        mask: uint8 (height, width), 1 is ink.

    Returns:
        bool (height, width). Something is kept wherever there is ink beside the lines.
    """
    height, width = mask.shape
    rest = cv2.bitwise_and(mask, 1 - cv2.dilate(find_lines(mask), np.ones((3, 3), np.uint8)))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(rest, connectivity=8)
    if count == 1:  # no ink, or nothing but lines
        return np.zeros(mask.shape, bool)
    boxes = [tuple(row) for row in stats.tolist()]
    frames = [number for number in range(1, count) if _is_frame(boxes[number], boxes[1:], mask.shape)]
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[[0, *frames]] = 0
    largest = int(areas.argmax())
    keep = np.zeros(count, bool)
    for number in sorted(set(range(1, count)) - set(frames)):
        x, y, w, h, area = boxes[number]
        outer = x + w <= 0.25 * width or x >= 0.75 * width or y + h <= 0.25 * height or y >= 0.75 * height
        touches = x <= 1 or y <= 1 or x + w >= width - 1 or y + h >= height - 1
        share = area / areas[largest]
        keep[number] = share >= 0.03 and not (outer and (touches or share < 0.3))
    keep[largest] |= not keep.any()
    return np.asarray(keep[labels])


def _is_frame(box: tuple[int, ...], boxes: list[tuple[int, ...]], shape: tuple[int, ...]) -> bool:
    """Whether ink comes near all four edges and has other ink of some height inside it."""
    x, y, w, h, _ = box
    height, width = shape
    if x > 0.2 * width or y > 0.2 * height or x + w < 0.8 * width or y + h < 0.8 * height:
        return False
    return any(x < a and y < b and x + w > a + c and y + h > b + d and d >= 0.3 * h for a, b, c, d, _ in boxes)
