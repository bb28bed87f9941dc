"""Several looks at each cell of a VIN: the network sees it whole, trimmed and smaller, and the looks are averaged.

A page has only 17 cells, so that each can be looked at four times; of single characters there may be millions.

Source: K. Simonyan, A. Zisserman, "Very deep convolutional networks for large-scale image recognition", 2015 (averaging
over views at test time). Which views help was found on validation VINs, see EXPERIMENTS.md.
"""

from collections.abc import Callable, Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from vinscribe.cells import MIN_PX, normalise
from vinscribe.classifier import BATCH_SIZE
from vinscribe.stages import stage

TRIMS = (0.05, 0.10)
"""Shares of a picture's sides that are cut off all around: less of its box and its neighbours is seen."""

SMALLER = 0.85
"""By which the whole cell is made smaller."""

NUM_VIEWS = 2 + len(TRIMS)

_FLOOR = 1e-7  # least probability whose logarithm is taken


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
    cell = normalise(picture, size_px)
    return np.concatenate([cell[None], more_views(picture, cell)])


def more_views(picture: NDArray[np.uint8], cell: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The looks at one cell but the first, which is given: uint8 (NUM_VIEWS - 1, S, S). Errors as `views`."""
    trimmed = [normalise(_trimmed(picture, share), len(cell)) for share in TRIMS]
    return np.stack([*trimmed, _smaller(cell)])


def outputs_of_views(
    cells: NDArray[np.uint8],
    outputs_of: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    first: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """The network's probabilities, averaged over the views.

    Args:
        cells: uint8 (..., NUM_VIEWS, S, S) as `views` makes them; or as `more_views` does, with ``first``.
        outputs_of: a network for cells of that side: uint8 (N, S, S) -> float32 (N, 34), such as
            `vinscribe.classifier.Classifier.outputs`.
        first: float32 (..., 34), what it made of the first view; None if that is among the cells.

    Returns:
        float32 (..., 34): geometric means over the views; rows sum to 1.
    """
    flat = cells.reshape(-1, *cells.shape[-2:])
    # In parts as large as the classifier takes at once: more it would spread over cores that have their own work.
    parts = np.array_split(flat, -(-len(flat) // BATCH_SIZE))
    outputs = np.concatenate([outputs_of(part) for part in parts])
    outputs = outputs.reshape(*cells.shape[:-2], -1)
    return mean_outputs(outputs if first is None else np.concatenate([first[..., None, :], outputs], axis=-2))


def mean_outputs(outputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities of views, float32 (..., NUM_VIEWS, 34) -> their geometric means, (..., 34); rows sum to 1."""
    logs = np.log(np.maximum(outputs, _FLOOR)).mean(axis=-2)
    probs = np.exp(logs - logs.max(axis=-1, keepdims=True))
    means: NDArray[np.float32] = probs / probs.sum(axis=-1, keepdims=True)
    return means


@stage("normalise")
def views_of_all(pictures: Iterable[NDArray[np.uint8]], size_px: int) -> NDArray[np.uint8]:
    """`views` of several cells: uint8 (N, NUM_VIEWS, size_px, size_px), N at least 1."""
    return np.stack([views(picture, size_px) for picture in pictures])


def _trimmed(picture: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    rows, columns = (round(side * share) for side in picture.shape)
    inner = picture[rows : picture.shape[0] - rows, columns : picture.shape[1] - columns]
    return np.ascontiguousarray(inner) if max(inner.shape) >= MIN_PX else picture


def _smaller(cell: NDArray[np.uint8]) -> NDArray[np.uint8]:
    shift = (1 - SMALLER) * (len(cell) - 1) / 2
    matrix = np.array([[SMALLER, 0, shift], [0, SMALLER, shift]])
    return np.asarray(cv2.warpAffine(cell, matrix, cell.shape[::-1], flags=cv2.INTER_LINEAR), np.uint8)
