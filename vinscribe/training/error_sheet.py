"""A sheet of the misread images as a PNG file: what to look at when a model is to get better."""

import os

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vinscribe.charset import CHARSET

_COLUMNS = 20
_SCALE = 3
_CAPTION_PX = 20
_MARGIN_PX = 6
_DPI = 100


def plot_errors(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    probs: NDArray[np.float32],
    path: str | os.PathLike[str],
    most: int = 300,
) -> int:
    """Draws the misread images, the most confident errors first; below each "true→read confidence".

    Args:
        images: (N, 28, 28) uint8, white ink on black.
        labels: (N,) the true classes.
        probs: (N, 33) as the model read them.
        path: the PNG file.
        most: images drawn at most.

    Returns:
        How many errors are drawn.
    """
    read, confidences = probs.argmax(1), probs.max(1)
    wrong = np.flatnonzero(read != labels)
    shown = wrong[np.argsort(-confidences[wrong], kind="stable")][:most]
    side = images.shape[1] * _SCALE
    width, height = side + 2 * _MARGIN_PX, side + _CAPTION_PX + _MARGIN_PX
    rows = max(1, -(-len(shown) // _COLUMNS))
    sheet = np.full((rows * height, _COLUMNS * width), 255, np.uint8)
    figure = Figure(figsize=(sheet.shape[1] / _DPI, sheet.shape[0] / _DPI), dpi=_DPI)
    FigureCanvasAgg(figure)
    for place, row in enumerate(shown):
        top, left = place // _COLUMNS * height + _MARGIN_PX, place % _COLUMNS * width + _MARGIN_PX
        ink = 255 - images[row]  # dark on white, as on paper
        sheet[top : top + side, left : left + side] = cv2.resize(ink, (side, side), interpolation=cv2.INTER_CUBIC)
        cv2.rectangle(sheet, (left - 1, top - 1), (left + side, top + side), 200)
        x, y = (left + side / 2) / sheet.shape[1], 1 - (top + side + _CAPTION_PX / 2) / sheet.shape[0]
        caption = f"{CHARSET[labels[row]]}→{CHARSET[read[row]]}  {confidences[row]:.1%}"
        figure.text(x, y, caption, ha="center", va="center", fontsize=8)
    figure.figimage(sheet, cmap="gray", vmin=0, vmax=255)
    figure.savefig(path, format="png")
    return len(shown)
