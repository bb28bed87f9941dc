"""Two looks at each cell of a VIN: the network sees it whole, and with its edges cut off.

A page has only 17 cells, so that each can be looked at twice; of single characters there may be millions. What the
looks show is put together for the row as a whole, see `vinscribe.classifier.Classifier.rows`.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from vinscribe.cells import MIN_PX, normalise
from vinscribe.stages import stage

TRIM = 0.10
"""Share of a picture's sides that is cut off all around for the second look: less of its box and its neighbours."""

NUM_VIEWS = 2


def views(picture: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """The looks at one cell: the first is what `vinscribe.cells.normalise` makes of it.

    Args:
        picture: uint8 (height, width), see there.
        size_px: side of what the network sees.

    Returns:
        uint8 (NUM_VIEWS, size_px, size_px).

    Raises:
        ImageError: it is no picture of a character.
    """
    return with_more_views(picture, normalise(picture, size_px))


def with_more_views(picture: NDArray[np.uint8], cell: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The same, where the first look, uint8 (S, S), is there already. Errors as `views`."""
    return np.stack([cell, normalise(_trimmed(picture), len(cell))])


@stage("normalise")
def views_of_all(pictures: Iterable[NDArray[np.uint8]], size_px: int) -> NDArray[np.uint8]:
    """`views` of several cells: uint8 (N, NUM_VIEWS, size_px, size_px), N at least 1."""
    return np.stack([views(picture, size_px) for picture in pictures])


def _trimmed(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    rows, columns = (round(side * TRIM) for side in picture.shape)
    inner = picture[rows : picture.shape[0] - rows, columns : picture.shape[1] - columns]
    return np.ascontiguousarray(inner) if max(inner.shape) >= MIN_PX else picture
