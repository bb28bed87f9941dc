"""Calibrates the confidence in whole VINs on validation writers.

VINs are drawn as the decoder believes them to be; their characters are validation pictures of EMNIST as they are or in
rendered cells, or recorded pen strokes on drawn cards, one writer, pen and scan for each VIN. What the decoder makes of
them, against what was written, gives the calibration. Recorded characters that do not show their label are left out.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vinscribe.charset import CHARSET, ILLEGIBLE, NUM_CLASSES
from vinscribe.classifier import given_legible, with_illegible
from vinscribe.decode import Calibration, Decoder
from vinscribe.mixture import FILLED, FILLER
from vinscribe.priors import Priors, market_priors
from vinscribe.training.augment import AugmentSettings, render
from vinscribe.training.batches import Data
from vinscribe.training.card_cells import draw_cells
from vinscribe.training.glyphs import Glyphs, ImageGlyphs
from vinscribe.training.hands import Hands
from vinscribe.training.unipen import StrokeSet, without_doubtful
from vinscribe.views import outputs_of_views, views_of_all
from vinscribe.vin import CHECK_POSITION, VIN_LENGTH, check_labels

Labels = NDArray[np.int64]

NUM_VINS = 1000
"""Of each kind: bare glyphs, glyphs in cells, strokes on cards."""


@dataclass(frozen=True)
class VinCalibration:
    """What was fitted, to how many VINs, and how many of them were read right."""

    slope: float
    offset: float
    class_shares: tuple[float, ...]
    num_vins: int
    exact: float
    sharpness: float = 1.0


def calibrate_vins(
    probs_of: Callable[[Tensor], NDArray[np.float32]],
    data: Data,
    settings: AugmentSettings,
    size_px: int,
    class_shares: NDArray[np.float64],
    num_vins: int | None = None,
    seed: int = 0,
) -> VinCalibration:
    """Fits the calibration of whole VINs.

    Args:
        probs_of: cells (N, 1, size_px, size_px) uint8 -> calibrated probabilities (N, 34).
        data: whose validation pictures and strokes are used.
        settings: how cells are rendered.
        size_px: the network's input side.
        class_shares: (33,), how often each character was drawn in training.
        num_vins: of each kind; `NUM_VINS` if None.
        seed: of the VINs and cells.
    """

    def outputs_of(cells: NDArray[np.uint8]) -> NDArray[np.float32]:
        return with_illegible(probs_of(torch.from_numpy(cells)[:, None]), cells)

    num_vins = NUM_VINS if num_vins is None else num_vins
    rng = np.random.default_rng([seed, num_vins])
    kinds = [_emnist(data, None), _emnist(data, replace(settings, bare=0.0))]
    if data.validation_strokes:
        kinds.append(_cards(data.validation_strokes))
    vins = sample_vins(market_priors("any"), num_vins * len(kinds), rng)
    probs = np.empty((len(vins), VIN_LENGTH, NUM_CLASSES))
    legible = np.empty((len(vins), VIN_LENGTH))
    for row, vin in enumerate(vins):
        cells = views_of_all(kinds[row % len(kinds)](vin, rng), size_px)
        outputs = outputs_of_views(cells, outputs_of)
        probs[row], legible[row] = given_legible(outputs), 1 - outputs[:, ILLEGIBLE]
    shares = tuple(class_shares.round(6).tolist())
    sharpness = fit_sharpness(Calibration(class_shares=shares).likelihoods(probs), vins)
    plain = Calibration(class_shares=shares, sharpness=sharpness)
    decoded = Decoder(calibration=plain).decode(probs, legible)
    right = (decoded.best == vins).all(1)
    slope, offset = fit_calibration(decoded.confidence, right)
    return VinCalibration(slope, offset, shares, len(vins), float(right.mean()), sharpness)


def sample_vins(priors: Priors, count: int, rng: np.random.Generator) -> Labels:
    """VINs as the priors believe them to be: int64 (count, 17) class labels."""
    vins = np.empty((count, VIN_LENGTH), np.int64)
    codes = rng.choice(priors.wmi.size, count, p=priors.wmi.ravel() / priors.wmi.sum())
    vins[:, 0], vins[:, 1], vins[:, 2] = np.unravel_index(codes, priors.wmi.shape)
    for position in range(3, VIN_LENGTH):
        shares = priors.free_check if position == CHECK_POSITION else priors.positions[position]
        vins[:, position] = rng.choice(NUM_CLASSES, count, p=shares / shares.sum())
    has_check = rng.random(count) < priors.check_rates[priors.group[vins[:, 0]]]
    vins[has_check, CHECK_POSITION] = check_labels(vins[has_check])
    filled = np.flatnonzero(rng.random(count) < priors.filler_rates[priors.group[vins[:, 0]]])
    vins[filled[:, None], FILLED] = FILLER
    vins[filled, CHECK_POSITION] = rng.choice(NUM_CLASSES, len(filled), p=priors.filled_check)
    return vins


def fit_sharpness(likelihoods: NDArray[np.float64], labels: Labels) -> float:
    """The power of likelihoods (..., 33) that makes their labels (...) the most probable, 0.5 to 3."""
    from scipy.optimize import minimize_scalar

    logs = np.log(np.maximum(likelihoods, 1e-12))

    def loss(power: float) -> float:
        scaled = power * logs
        chosen = np.take_along_axis(scaled, labels[..., None], -1)[..., 0]
        return float((np.logaddexp.reduce(scaled, -1) - chosen).mean())

    return float(minimize_scalar(loss, bounds=(0.5, 3.0), method="bounded").x)


def fit_calibration(probs: NDArray[np.float64], right: NDArray[np.bool_]) -> tuple[float, float]:
    """The slope and offset of the log odds with the lowest negative log likelihood; the slope stays above 0."""
    from scipy.optimize import minimize

    clipped = np.clip(probs, 1e-12, 1 - 1e-12)
    odds = np.log(clipped) - np.log1p(-clipped)

    def loss(parameters: NDArray[np.float64]) -> float:
        logits = np.exp(parameters[0]) * odds + parameters[1]
        return float(np.mean(np.logaddexp(0, np.where(right, -logits, logits))))

    log_slope, offset = minimize(loss, np.zeros(2), method="Nelder-Mead").x
    return float(np.exp(log_slope)), float(offset)


_Draw = Callable[[Labels, np.random.Generator], list[NDArray[np.uint8]]]


def _emnist(data: Data, settings: AugmentSettings | None) -> _Draw:
    """EMNIST's pictures in rendered cells, or as they are without settings."""
    split = data.validation
    glyphs = ImageGlyphs(split.images, split.labels)
    by_class = [np.flatnonzero(split.labels == label) for label in range(NUM_CLASSES)]

    def draw(vin: Labels, rng: np.random.Generator) -> list[NDArray[np.uint8]]:
        chosen = [int(rng.choice(by_class[label])) for label in vin]
        if settings is None:
            return [split.images[index] for index in chosen]
        return [_picture(glyphs, index, settings, rng) for index in chosen]

    return draw


def _cards(strokes: StrokeSet) -> _Draw:
    """Strokes written on cards, by one writer each as far as may be, with one pen, scanned; the cells cut out."""
    hands = Hands(without_doubtful(strokes))

    def draw(vin: Labels, rng: np.random.Generator) -> list[NDArray[np.uint8]]:
        text = "".join(CHARSET[label] for label in vin)
        return draw_cells(text, hands.choose(text, rng), rng)

    return draw


def _picture(glyphs: Glyphs, index: int, settings: AugmentSettings, rng: np.random.Generator) -> NDArray[np.uint8]:
    return render(glyphs, index, replace(settings, illegible=0.0), rng)[0]
