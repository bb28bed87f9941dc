"""More looks at a cell than one: the network sees it whole, with its edges cut off, smaller.

A page has only 17 cells, so that each can be looked at twice; what the looks show is put together for the row as a
whole, see `vinscribe.classifier.Classifier.rows`. Of single characters there may be millions, and only those in doubt
are looked at again, see `outputs_in_doubt`.

Source: K. Simonyan, A. Zisserman, "Very deep convolutional networks for large-scale image recognition", 2015 (averaging
over views at test time). Which views help was found on validation characters, see EXPERIMENTS.md.
"""

from collections.abc import Callable, Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from vinscribe.cells import MIN_PX, normalise
from vinscribe.charset import NUM_CLASSES
from vinscribe.classifier import mean_outputs
from vinscribe.stages import stage

TRIM = 0.10
"""Share of a picture's sides that is cut off all around for the second look: less of its box and its neighbours."""

NUM_VIEWS = 2

DOUBT = 0.9
"""Single characters whose best probability is less are looked at again."""

TRIMS, SMALLER = (0.05, 0.10), 0.85
"""How much is cut off all around for those looks, and by how much the whole cell is made smaller for one more."""


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
    return np.stack([cell, normalise(_trimmed(picture, TRIM), len(cell))])


def outputs_in_doubt(
    outputs: NDArray[np.float32],
    pictures: Sequence[NDArray[np.uint8]],
    cells: NDArray[np.uint8],
    outputs_of: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Looks again at single characters that are in doubt.

    Args:
        outputs: float32 (N, 34), what the network made of the cells.
        pictures: uint8 (height, width) each, what the cells were made of.
        cells: uint8 (N, S, S).
        outputs_of: the network, such as `vinscribe.classifier.Classifier.outputs`.

    Returns:
        float32 (N, 34): for those in doubt the geometric means over all looks, the others as they were.
    """
    rows = np.flatnonzero(outputs[:, :NUM_CLASSES].max(axis=1) < DOUBT).tolist()
    if not rows:
        return outputs
    with stage("normalise"):
        looks = [
            look
            for row in rows
            for look in (
                *(normalise(_trimmed(pictures[row], share), cells.shape[1]) for share in TRIMS),
                _smaller(cells[row]),
            )
        ]
    seen = outputs_of(np.stack(looks)).reshape(len(rows), -1, outputs.shape[1])
    result = outputs.copy()
    result[rows] = mean_outputs(np.concatenate([outputs[rows, None], seen], axis=1))
    return result


def _smaller(cell: NDArray[np.uint8]) -> NDArray[np.uint8]:
    shift = (1 - SMALLER) * (len(cell) - 1) / 2
    matrix = np.array([[SMALLER, 0, shift], [0, SMALLER, shift]])
    return np.asarray(cv2.warpAffine(cell, matrix, cell.shape[::-1], flags=cv2.INTER_LINEAR), np.uint8)


@stage("normalise")
def views_of_all(pictures: Iterable[NDArray[np.uint8]], size_px: int) -> NDArray[np.uint8]:
    """`views` of several cells: uint8 (N, NUM_VIEWS, size_px, size_px), N at least 1."""
    return np.stack([views(picture, size_px) for picture in pictures])


def _trimmed(picture: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    rows, columns = (round(side * share) for side in picture.shape)
    inner = picture[rows : picture.shape[0] - rows, columns : picture.shape[1] - columns]
    return np.ascontiguousarray(inner) if max(inner.shape) >= MIN_PX else picture
