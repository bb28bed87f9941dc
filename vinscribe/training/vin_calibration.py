"""Calibrates the confidence in whole VINs on validation writers.

The VINs are real ones where a list of them is at hand (the half for fitting, see `vinscribe.training.real_vins`), else
drawn as the decoder believes them to be. Most are written with recorded pen strokes on drawn cards, one writer, pen and
scan for each VIN, as they will be read; the others are validation pictures of EMNIST as they are. Without recorded
strokes they are EMNIST's pictures, as they are and in rendered cells, which are harder than any card's. What the
decoder makes of them, against what was written, gives the calibration. Recorded characters that do not show their label
are left out.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vinscribe.charset import CHARSET, ILLEGIBLE, NUM_CLASSES
from vinscribe.classifier import given_legible
from vinscribe.decode import CHECKED, Calibration, Decoder
from vinscribe.lattice import Lattice
from vinscribe.parts import Parts
from vinscribe.training.augment import AugmentSettings, render
from vinscribe.training.batches import Data
from vinscribe.training.card_cells import draw_cells
from vinscribe.training.glyphs import Glyphs, ImageGlyphs
from vinscribe.training.hands import Hands
from vinscribe.training.real_vins import RealVins
from vinscribe.training.unipen import StrokeSet, without_doubtful
from vinscribe.views import views_of_all
from vinscribe.vin import CHECK_POSITION, VIN_LENGTH, check_labels

Labels = NDArray[np.int64]
Floats = NDArray[np.float64]

NUM_VINS = 6000
"""Drawn to calibrate on, of all kinds: 102,000 characters, for how often is wrong what seems certain."""

SHARPNESSES = (0.9, 1.0, 1.1, 1.2, 1.3, 1.4)
"""Powers that are tried."""

FLOORS = (1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3)
"""Shares spread over all characters that are tried."""

SURE = 0.999
"""Least probability of the best character in a cell that the share is fitted to."""

LIKELY = 0.9
"""Least confidence of the readings that slope and offset are fitted to: what is accepted is decided among them."""

MOST_SLOPE = 1.0
"""Largest slope: few hundred readings do not make the sure ones surer than what is believed."""

_CARDS = 4  # for each VIN of bare glyphs
_SHARPNESS_VINS = 2400  # that sharpnesses are compared on
_AMERICAN = 0.6  # of the real VINs that are drawn; the others come from elsewhere


@dataclass(frozen=True)
class VinCalibration:
    """What was fitted, to how many VINs, and how many of them were read right; see `vinscribe.decode.Calibration`."""

    slope: float
    offset: float
    class_shares: tuple[float, ...]
    num_vins: int
    exact: float
    sharpness: float = 1.0
    floor: float = 1e-4
    free_slope: float | None = None
    free_offset: float | None = None


def calibrate_vins(
    rows_of: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    data: Data,
    settings: AugmentSettings,
    size_px: int,
    class_shares: Floats,
    num_vins: int | None = None,
    seed: int = 0,
    real: RealVins | None = None,
) -> VinCalibration:
    """Fits the calibration of whole VINs.

    Args:
        rows_of: uint8 (R, 17, NUM_VIEWS, size_px, size_px) -> calibrated probabilities (R, 17, 34), such as
            `vinscribe.classifier.Classifier.rows`.
        data: whose validation pictures and strokes are used.
        settings: how cells are rendered where there are no strokes.
        size_px: the network's input side.
        class_shares: (33,), how often each character was drawn in training.
        num_vins: of all kinds; `NUM_VINS` if None.
        seed: of the VINs and cells.
        real: VINs for fitting; drawn from the decoder's belief if None.
    """
    num_vins = NUM_VINS if num_vins is None else num_vins
    rng = np.random.default_rng([seed, num_vins])
    kinds = [_emnist(data, None)]
    if data.validation_strokes:
        kinds += [_cards(data.validation_strokes)] * _CARDS
    else:
        kinds.append(_emnist(data, replace(settings, bare=0.0)))
    vins = sample_vins(Decoder().parts, num_vins, rng) if real is None else sample_real(real, num_vins, rng)
    probs = np.empty((len(vins), VIN_LENGTH, NUM_CLASSES))
    legible = np.empty((len(vins), VIN_LENGTH))
    for row, vin in enumerate(vins):
        cells = views_of_all(kinds[row % len(kinds)](vin, rng), size_px)
        outputs = rows_of(cells[None])[0]
        probs[row], legible[row] = given_legible(outputs), 1 - outputs[:, ILLEGIBLE]
    return fit_vins(probs, legible, vins, tuple(class_shares.round(6).tolist()))


def fit_vins(probs: Floats, legible: Floats, vins: Labels, class_shares: tuple[float, ...]) -> VinCalibration:
    """Fits the calibration to what was read of VINs.

    Args:
        probs: (N, 17, 33), the characters' probabilities, given that they are legible.
        legible: (N, 17), the probability of that.
        vins: (N, 17), what was written.
        class_shares: as in `VinCalibration`.
    """
    plain = Calibration(class_shares=class_shares)
    plain = replace(plain, sharpness=fit_sharpness(plain, probs, legible, vins))
    plain = replace(plain, floor=fit_floor(plain.likelihoods(probs), vins))
    decoder = Decoder(calibration=plain)
    decoded = decoder.decode(probs, legible)
    right = (decoded.best == vins).all(1)
    checked, likely = decoder.parts.prior(decoded.best)[1] > CHECKED, decoded.confidence >= LIKELY
    (slope, offset), (free_slope, free_offset) = (
        fit_calibration(decoded.confidence[rows], right[rows], MOST_SLOPE)
        for rows in (checked & likely, ~checked & likely)
    )
    return VinCalibration(
        slope,
        offset,
        class_shares,
        len(vins),
        float(right.mean()),
        plain.sharpness,
        plain.floor,
        free_slope,
        free_offset,
    )


def sample_vins(parts: Parts, count: int, rng: np.random.Generator) -> Labels:
    """VINs as a belief has them: int64 (count, 17) class labels."""
    chosen = rng.choice(len(parts), count, p=parts.weights)
    drawn = rng.random((count, VIN_LENGTH, 1))
    vins: Labels = (parts.shares[parts.rows[chosen]].cumsum(2) < drawn).sum(2).clip(max=NUM_CLASSES - 1)
    has_check = rng.random(count) < parts.check_rates[chosen]
    vins[has_check, CHECK_POSITION] = check_labels(vins[has_check])
    return vins


def sample_real(real: RealVins, count: int, rng: np.random.Generator) -> Labels:
    """Real VINs, int64 (count, 17) class labels: six in ten from North America, as far as there are others."""
    american = real.regions == "north-america"
    weights = np.where(american, _AMERICAN / max(american.sum(), 1), (1 - _AMERICAN) / max((~american).sum(), 1))
    return real.labels[rng.choice(len(real), count, p=weights / weights.sum())]


def fit_sharpness(plain: Calibration, probs: Floats, legible: Floats, vins: Labels) -> float:
    """Of `SHARPNESSES` the power that makes the VINs that were written the most probable."""
    parts = Decoder().parts
    losses = []
    for power in SHARPNESSES:
        ink = replace(plain, sharpness=power).ink(probs[:_SHARPNESS_VINS], legible[:_SHARPNESS_VINS])
        loss = 0.0
        for start in range(0, len(ink), 64):
            lattice, own = Lattice(ink[start : start + 64], parts), vins[start : start + 64][: len(ink) - start]
            share = lattice.scores(own, np.arange(len(own))) / lattice.total
            loss -= float(np.log(np.maximum(share, 1e-9)).sum())
        losses.append(loss)
    return SHARPNESSES[int(np.argmin(losses))]


def fit_floor(likelihoods: Floats, labels: Labels) -> float:
    """Of `FLOORS` the share, spread over all characters, that makes the labels (...) of sure cells the most probable.

    Sure are those whose best character has `SURE` and more. A cell that is wrong although it says that it cannot be
    costs what the logarithm of the share does, and each of all the others costs the share: so the tails are measured
    rather than guessed. No share is less than one error in as many cells as were looked at.
    """
    own = np.take_along_axis(likelihoods, labels[..., None], -1)[..., 0][likelihoods.max(-1) >= SURE]
    tried = [share for share in FLOORS if share * len(own) >= 1] or [FLOORS[-1]]
    losses = [-np.log((1 - share) * own + share / NUM_CLASSES).mean() if len(own) else 0.0 for share in tried]
    return tried[int(np.argmin(losses))]


def fit_calibration(probs: Floats, right: NDArray[np.bool_], most: float = np.inf) -> tuple[float, float]:
    """The slope, above 0 and at most ``most``, and offset of the log odds with the lowest negative log likelihood.

    Without right and wrong ones nothing can be fitted, and probabilities stay as they are.
    """
    from scipy.optimize import minimize, minimize_scalar

    if right.all() or not right.any():
        return 1.0, 0.0
    clipped = np.clip(probs, 1e-12, 1 - 1e-12)
    odds = np.log(clipped) - np.log1p(-clipped)

    def loss(parameters: Floats) -> float:
        logits = np.exp(parameters[0]) * odds + parameters[1]
        return float(np.mean(np.logaddexp(0, np.where(right, -logits, logits))))

    log_slope, offset = minimize(loss, np.zeros(2), method="Nelder-Mead").x
    if np.exp(log_slope) > most:
        return most, float(minimize_scalar(lambda offset: loss(np.array([np.log(most), offset]))).x)
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
