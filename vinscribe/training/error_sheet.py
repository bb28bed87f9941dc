"""A sheet of the misread images as a PNG file: what to look at when a model is to get better."""

import os

import cv2
import numpy as np
from numpy.typing import NDArray

from vinscribe.charset import CHARSET, ILLEGIBLE, NUM_CLASSES

_COLUMNS = 20
_SIDE_PX = 84
_CAPTION_PX = 20
_MARGIN_PX = 6
_NAMES = (*CHARSET, "none")


def misread(probs: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which images were read wrong.

    Args:
        probs: (N, 33), or (N, 34) with the probability of no legible character.
        labels: (N,) the true classes, or ILLEGIBLE.

    Returns:
        bool (N,). An image with a character is wrong where another one is more probable, however legible it was found;
        one without is wrong where it was found legible.
    """
    wrong = probs[:, :NUM_CLASSES].argmax(1) != labels
    if probs.shape[1] > NUM_CLASSES:
        wrong &= (labels != ILLEGIBLE) | (1 - probs[:, ILLEGIBLE] >= 0.5)
    return np.asarray(wrong)


def plot_errors(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    probs: NDArray[np.float32],
    path: str | os.PathLike[str],
    most: int = 300,
) -> int:
    """Draws the misread images, the most confident errors first; below each "true→read confidence".

    Args:
        images: (N, S, S) uint8, white ink on black.
        labels: (N,) the true classes, or ILLEGIBLE, written as "none".
        probs: (N, 33) or (N, 34) as the model read them.
        path: the PNG file.
        most: images drawn at most.

    Returns:
        How many errors are drawn.
    """
    read, confidences = probs[:, :NUM_CLASSES].argmax(1), probs[:, :NUM_CLASSES].max(1)
    wrong = np.flatnonzero(misread(probs, labels))
    shown = wrong[np.argsort(-confidences[wrong], kind="stable")][:most]
    width, height = _SIDE_PX + 2 * _MARGIN_PX, _SIDE_PX + _CAPTION_PX + _MARGIN_PX
    rows = max(1, -(-len(shown) // _COLUMNS))
    sheet = np.full((rows * height, _COLUMNS * width), 255, np.uint8)
    for place, row in enumerate(shown):
        top, left = place // _COLUMNS * height + _MARGIN_PX, place % _COLUMNS * width + _MARGIN_PX
        ink = 255 - images[row]  # dark on white, as on paper
        picture = cv2.resize(ink, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_CUBIC)
        sheet[top : top + _SIDE_PX, left : left + _SIDE_PX] = picture
        cv2.rectangle(sheet, (left - 1, top - 1), (left + _SIDE_PX, top + _SIDE_PX), 200)
        caption = f"{_NAMES[labels[row]]}→{CHARSET[read[row]]} {confidences[row]:.1%}"
        baseline = top + _SIDE_PX + _CAPTION_PX * 3 // 4
        cv2.putText(sheet, caption, (left, baseline), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 0, 1, cv2.LINE_AA)
    cv2.imencode(".png", sheet)[1].tofile(path)
    return len(shown)
