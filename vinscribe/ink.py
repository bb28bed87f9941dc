"""Cells on a page -> whether something is written in them: a quick look before anything is read."""

import cv2
import numpy as np

from vinscribe.lines import Floats, Grey

_INSET = 0.2  # of a cell's sides: what is nearer to them may be their lines
_LEAST = 12.0  # grey levels by which ink is darker than its paper
_GRAINS = 3.0  # and by so many times what its grain is brighter
_DARK = 0.02  # ink covers at least so much of a cell
_SIDE_PX = 16  # a cell is looked at so coarsely


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
