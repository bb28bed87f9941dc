"""Cells -> whether something is written in them, or struck out: quick looks that read nothing."""

import cv2
import numpy as np

from vinscribe.lines import Floats, Grey

_INSET = 0.2  # of a cell's sides: what is nearer to them may be their lines
_LEAST = 12.0  # grey levels by which ink is darker than its paper
_GRAINS = 3.0  # and by so many times what its grain is brighter
_DARK = 0.02  # ink covers at least so much of a cell
_SIDE_PX = 16  # a cell is looked at so coarsely
_RAIL_INSET, _SIDE_INSET = 0.14, 0.07  # of a cell's height and width: farther in, there are no lines of its own
_LEVEL = 0.1  # of its height: by so much a line through it may fall
_THROUGH = 0.97  # share of its width that such a line covers
_LINES = 0.065  # of its height: so much of it such lines take, with what is between two that are close
_CORNER = 0.13  # of what is inside of a cell's lines
_LEAST_PX = 6


def inked_share(page: Grey, cells: Floats) -> float:
    """Share of some cells that have ink in them, 0 to 1.

    Args:
        page: uint8 (height, width), ink darker than its ground.
        cells: float64 (count, 4, 2), their corners in pixels of the page.
    """
    steps = _INSET + (1 - 2 * _INSET) * (np.arange(_SIDE_PX) + 0.5) / _SIDE_PX
    right, down = cells[:, 1] - cells[:, 0], cells[:, 3] - cells[:, 0]
    points = (
        cells[:, 0, None, None] + steps[:, None, None] * down[:, None, None] + steps[:, None] * right[:, None, None]
    )
    at = points.reshape(len(cells), -1, 2).astype(np.float32)
    seen = cv2.remap(page, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    # Ink covers less than half of a cell; what is brighter than the paper's usual tone is grain.
    dark, paper, bright = np.quantile(seen, [_DARK, 0.7, 0.95], axis=1)
    return float((paper - dark > np.maximum(_LEAST, _GRAINS * (bright - paper))).mean())


def crossed_out(picture: Grey, margin: float) -> bool:
    """Whether lines run through a cell from side to side, as through a character that was struck out.

    What looks like a character below them may be meant no longer. A single thin line does not count: the bar of a wide
    T, Z, H or A is one, too.

    Args:
        picture: uint8 (height, width), a cell as `vinscribe.field.cut_cells` gives it, ink darker than its paper.
        margin: of the cell's sides, how much was cut with it on each side.
    """
    inner = _inner(picture, margin, _RAIL_INSET)
    ink = _dark(inner)
    if ink is None:
        return False
    band = max(1, round(_LEVEL * len(picture)))
    seen = cv2.dilate(ink, np.ones((band, 1), np.uint8))  # lines are not quite level
    through = np.count_nonzero(seen.mean(axis=1) >= _THROUGH) - band + 1
    return bool(through >= _LINES * len(picture))


def crossed_from_corner_to_corner(picture: Grey, margin: float) -> bool:
    """Whether there is ink in all four corners of a cell: who writes an X seldom makes it so large.

    Args:
        picture: as that of `crossed_out`.
        margin: likewise.
    """
    ink = _dark(_inner(picture, margin, _SIDE_INSET))
    if ink is None:
        return False
    high, wide = (max(2, round(_CORNER * side)) for side in ink.shape)
    corners = (ink[:high, :wide], ink[:high, -wide:], ink[-high:, :wide], ink[-high:, -wide:])
    return all(bool(corner.any()) for corner in corners)


def _inner(picture: Grey, margin: float, rail_inset: float) -> Grey:
    """What is inside of a cell's own lines."""
    edge = margin / (1 + 2 * margin)
    rows, columns = (
        slice(round((edge + inset * (1 - 2 * edge)) * side), round((1 - edge - inset * (1 - 2 * edge)) * side))
        for side, inset in zip(picture.shape, (rail_inset, _SIDE_INSET), strict=True)
    )
    return picture[rows, columns]


def _dark(inner: Grey) -> Grey | None:
    """Where there is ink, 1, and where there is none, 0; None if the picture is small, or nothing in it is dark."""
    if min(inner.shape, default=0) < _LEAST_PX:
        return None
    dark, paper = np.quantile(inner, [_DARK, 0.7])
    if paper - dark < _LEAST:
        return None
    return np.asarray(inner < (paper + dark) / 2, np.uint8)
