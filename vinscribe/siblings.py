"""A row of cells on a form -> the rows of the same cells above and below it.

Forms ask for a VIN and an engine number in rows of one kind, and heavy ink can hide the sides of the cells in one of
them. Where a row is known, the other is found by what stands at the same places a little higher or lower.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from vinscribe.field import Field
from vinscribe.lines import Floats, Grey

WITHIN = 4.0
"""How far above or below siblings are looked for, in heights of the row."""

AGREEMENT = 0.7
"""Least share of the sides of a row's cells, along their length, that its sibling must have, too."""

_KNOWN = 6  # rows, either way up, whose siblings are looked for
_CELL_PX = 32.0  # width of a cell as it is looked at
_NEAREST = 0.6  # in heights; what is nearer is the row itself
_STRONG = 0.35  # of the contrast of the row's own sides
_TICK_PX = 4  # how far beside a side the paper is


def with_siblings(page: Grey, fields: Sequence[Field]) -> list[Field]:
    """Rows of cells on a page, see `vinscribe.field.find_fields`, with the siblings of the best ones; best first."""
    found = list(fields)
    for field in fields[:_KNOWN]:
        for cells, agreement in find_siblings(page, field.cells):
            sibling = Field(_outline(cells), cells, field.score * agreement, field.kind)
            if not any(_same(sibling, other) for other in found):
                found.append(sibling)
    return sorted(found, key=lambda field: -field.score)


def _outline(cells: Floats) -> Floats:
    return np.array([cells[0, 0], cells[-1, 1], cells[-1, 2], cells[0, 3]])


def _same(field: Field, other: Field) -> bool:
    """Whether two rows begin and end at the same places."""
    ends = field.cells[[0, -1]].mean(axis=1)
    apart = np.linalg.norm(ends - other.cells[[0, -1]].mean(axis=1), axis=1).max()
    return bool(apart < 0.5 * np.linalg.norm(ends[1] - ends[0]) / len(field.cells))


def find_siblings(page: Grey, cells: Floats) -> list[tuple[Floats, float]]:
    """Look for rows of the same cells above and below a row.

    Args:
        page: uint8 (height, width).
        cells: float64 (count, 4, 2), the corners of the row's cells in pixels of the page: top left, top right, bottom
            right, bottom left.

    Returns:
        Cells like these with their agreement in [AGREEMENT, 1], best first.
    """
    outline = _outline(cells)
    across = float(np.linalg.norm(outline[1] - outline[0]))
    down = float(np.linalg.norm(outline[3] - outline[0]))
    scale = _CELL_PX * len(cells) / max(across, 1.0)
    width, height = round(across * scale), round(down * scale)
    beyond = round(WITHIN * height)
    straight = np.array([[0, beyond], [width, beyond], [width, beyond + height], [0, beyond + height]], np.float32)
    matrix = cv2.getPerspectiveTransform(outline.astype(np.float32), straight)
    size = (width + 1, height + 2 * beyond)
    view = np.asarray(cv2.warpPerspective(page, matrix, size, flags=cv2.INTER_AREA, borderValue=255), np.uint8)
    sides = np.concatenate([cells[1:, 0], cells[1:, 3]]).reshape(1, -1, 2)
    columns = cv2.perspectiveTransform(sides, matrix)[0, :, 0].reshape(2, -1).mean(axis=0)
    ticks = _ticks(view, columns)
    own = ticks[:, beyond : beyond + height]
    present = ticks > _STRONG * max(float(np.percentile(own, 80)), 12.0)
    shape = present[:, beyond : beyond + height]
    if not shape.any():
        return []
    shifts = np.arange(-beyond, beyond + 1)
    both = zip(present.astype(np.float64), shape.astype(np.float64), strict=True)
    common = np.sum([np.correlate(ticks_there, side) for ticks_there, side in both], axis=0)  # for each shift
    agreements = np.where(np.abs(shifts) > _NEAREST * height, common / shape.sum(), 0.0)
    back = np.linalg.inv(matrix)
    found = []
    while agreements.max(initial=0.0) >= AGREEMENT:
        best = int(agreements.argmax())
        moved = cv2.perspectiveTransform(cells.reshape(1, -1, 2), matrix) + np.array([0, shifts[best]])
        sibling = np.asarray(cv2.perspectiveTransform(moved, back), np.float64).reshape(cells.shape)
        found.append((sibling, float(agreements[best])))
        agreements[np.abs(shifts - shifts[best]) <= _NEAREST * height] = 0
    return found


def _ticks(view: Grey, columns: Floats) -> NDArray[np.int16]:
    """How much darker than what is on both sides of it a straight picture is at some columns: (columns, height)."""
    dark = np.pad(view, ((0, 0), (2 * _TICK_PX, 2 * _TICK_PX)), mode="edge").astype(np.int16)
    at = np.round(columns).astype(int) + 2 * _TICK_PX
    middle = np.min([dark[:, at + step] for step in (-1, 0, 1)], axis=0)
    beside = np.minimum(dark[:, at - _TICK_PX], dark[:, at + _TICK_PX])
    ticks: NDArray[np.int16] = (beside - middle).T
    return ticks
