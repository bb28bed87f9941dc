"""Measures a classifier on labelled images: accuracies with intervals, confusions, calibration.

SciPy and PyTorch are imported where they are needed: measuring a ``model.onnx`` does without them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vinscribe.cells import normalise_batch
from vinscribe.charset import CHARSET, NUM_CLASSES
from vinscribe.classifier import Classifier, given_legible
from vinscribe.errors import ModelError

Z_95 = 1.959964
"""Two-sided 95 % quantile of the normal distribution."""

ECE_BINS = 15


@dataclass(frozen=True)
class Report:
    """A classifier's measures on one set of images; all rates in [0, 1], intervals at 95 %.

    Attributes:
        num_images: images measured.
        micro: share of all images that are right; ``micro_interval``: Wilson.
        macro: mean of the classes' accuracies; ``macro_interval``: normal, from the classes' binomial variances.
        nll: mean negative log likelihood, nats.
        ece: expected calibration error, 15 bins of equal width over the confidence.
        confusion: (33, 33) int64, rows true, columns read.
    """

    num_images: int
    micro: float
    micro_interval: tuple[float, float]
    macro: float
    macro_interval: tuple[float, float]
    nll: float
    ece: float
    confusion: NDArray[np.int64]

    def confused_pairs(self, most: int = 12) -> list[tuple[str, str, int]]:
        """(true, read, images) of the most frequent errors, most frequent first."""
        errors = self.confusion - np.diag(np.diag(self.confusion))
        order = np.argsort(-errors, axis=None, kind="stable")[:most]
        rows, columns = np.unravel_index(order, errors.shape)
        pairs = zip(rows, columns, strict=True)
        return [
            (CHARSET[row], CHARSET[column], int(errors[row, column])) for row, column in pairs if errors[row, column]
        ]

    def text(self) -> str:
        """The report as a person reads it."""
        low, high = self.micro_interval
        macro_low, macro_high = self.macro_interval
        lines = [
            f"images                   {self.num_images:,}",
            f"accuracy (micro)         {self.micro:.2%}   95 % interval {low:.2%} to {high:.2%}",
            f"class accuracy (macro)   {self.macro:.2%}   95 % interval {macro_low:.2%} to {macro_high:.2%}",
            f"negative log likelihood  {self.nll:.4f}",
            f"calibration error (ECE)  {self.ece:.2%}",
            "",
            "class  images  accuracy  mostly read as",
        ]
        for label, char in enumerate(CHARSET):
            counts = self.confusion[label]
            total = int(counts.sum())
            if not total:
                continue
            wrong = mostly_read_as(counts, label)
            lines.append(f"{char:<5}  {total:6,}  {counts[label] / total:8.2%}  {wrong}".rstrip())
        pairs = "  ".join(f"{true}→{read} {count}" for true, read, count in self.confused_pairs())
        return "\n".join([*lines, "", f"most confused (true→read): {pairs or 'nothing'}"])


def mostly_read_as(counts: NDArray[np.int64], label: int) -> str:
    """The three most frequent errors in a row (33,) of a confusion matrix, as in ``S 45, 9 2, 3 1``."""
    others = [other for other in np.argsort(-counts, kind="stable") if other != label and counts[other]][:3]
    return ", ".join(f"{CHARSET[other]} {counts[other]}" for other in others)


def wilson_interval(hits: NDArray[Any], counts: NDArray[Any]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Lower and upper end of the 95 % interval of a rate: arrays of one shape, counts > 0; floats in [0, 1].

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
    """
    rate, square = hits / counts, Z_95**2
    centre = (rate + square / (2 * counts)) / (1 + square / counts)
    half = Z_95 * np.sqrt(rate * (1 - rate) / counts + square / (4 * counts**2)) / (1 + square / counts)
    return np.clip(centre - half, 0, rate), np.clip(centre + half, rate, 1)


def measure(probs: NDArray[np.float32], labels: NDArray[np.int64]) -> Report:
    """Measures probabilities (N, 33) against labels (N,); N at least 1."""
    predicted = probs.argmax(1)
    correct = predicted == labels
    confusion = np.bincount(labels * NUM_CLASSES + predicted, minlength=NUM_CLASSES**2)
    confusion = confusion.reshape(NUM_CLASSES, NUM_CLASSES)
    totals = confusion.sum(1)
    present = totals > 0
    shares = np.diag(confusion)[present] / totals[present]
    macro = float(shares.mean())
    # A class without an error is given half of one, or its variance would be zero.
    smoothed = (np.diag(confusion)[present] + 0.5) / (totals[present] + 1)
    half = Z_95 * float(np.sqrt((smoothed * (1 - smoothed) / totals[present]).sum())) / int(present.sum())
    low, high = wilson_interval(correct.sum(), np.array(len(labels)))
    likelihood = probs[np.arange(len(labels)), labels].astype(np.float64).clip(1e-12, 1)
    return Report(
        num_images=len(labels),
        micro=float(correct.mean()),
        micro_interval=(float(low), float(high)),
        macro=macro,
        macro_interval=(max(0.0, macro - half), min(1.0, macro + half)),
        nll=float(-np.log(likelihood).mean()),
        ece=expected_calibration_error(probs.max(1), correct),
        confusion=confusion,
    )


def expected_calibration_error(
    confidences: NDArray[np.floating], correct: NDArray[np.bool_], bins: int = ECE_BINS
) -> float:
    """Mean distance between confidence and accuracy over bins of equal width, weighted by their images.

    Source: C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On calibration of modern neural networks", ICML 2017.
    """
    bin_of = np.minimum((confidences * bins).astype(int), bins - 1)
    gaps = np.bincount(bin_of, correct.astype(np.float64) - confidences, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidences))


def negative_log_likelihood(
    logits: NDArray[np.floating], labels: NDArray[np.int64], weights: NDArray[np.float64] | None = None
) -> float:
    """Weighted mean, in nats, of the negative log likelihood of labels (N,) under logits (N, 33)."""
    from scipy.special import log_softmax

    log_probs = log_softmax(logits.astype(np.float64), axis=1)
    return float(-np.average(log_probs[np.arange(len(labels)), labels], weights=weights))


def fit_temperature(
    logits: NDArray[np.float32], labels: NDArray[np.int64], weights: NDArray[np.float64] | None = None
) -> float:
    """The temperature (in 0.1..10) by which logits (N, 33) must be divided for the lowest negative log likelihood.

    Source: Guo et al. 2017, as above.
    """
    from scipy.optimize import minimize_scalar

    result = minimize_scalar(
        lambda log_temperature: negative_log_likelihood(logits / np.exp(log_temperature), labels, weights),
        bounds=(np.log(0.1), np.log(10)),
        method="bounded",
    )
    return float(np.exp(result.x))


class TrainingRun:
    """The best weights of a training run so far, in the place of a model file.

    At the temperature 1 if the run has not been calibrated yet.

    Args:
        path: the run's folder, or a ``.pt`` file in it.

    Raises:
        ModelError: that is no training run, or its network is another than this version's.
    """

    def __init__(self, path: Path) -> None:
        import json

        from vinscribe.training.checkpoint import load_state
        from vinscribe.training.network import build_network, input_px

        folder = path if path.is_dir() else path.parent
        weights = folder / "best.pt" if path.is_dir() else path
        if not weights.exists() or not (folder / "settings.json").exists():
            raise ModelError(f"{path}: no training run; a run's folder holds settings.json and best.pt")
        state = load_state(weights)
        name = json.loads((folder / "settings.json").read_text())["settings"]["network"]
        self.size_px = input_px(name)
        self._network = build_network(name)
        try:
            self._network.load_state_dict(state.get("averaged", state))
        except RuntimeError as error:
            raise ModelError(f"{weights}: a network of other layers than this version's; train it anew") from error
        record = folder / "result.json"
        self._temperature = json.loads(record.read_text())["temperature"] if record.exists() else 1.0

    def raw(self, cells: NDArray[np.uint8]) -> NDArray[np.float32]:
        """As `vinscribe.classifier.Classifier.raw`: uint8 (N, size_px, size_px) -> float32 (N, 33 or 34)."""
        import torch

        from vinscribe.training.validation import logits_of

        logits = logits_of(self._network, torch.from_numpy(cells)[:, None])
        probs: NDArray[np.float32] = torch.softmax(logits / self._temperature, 1).numpy()
        return probs


def load_model(path: Path) -> Classifier | TrainingRun:
    """Any model: a ``.onnx`` or ``.h5`` file, a run's folder or its ``.pt``; ``ModelError`` for anything else."""
    return TrainingRun(path) if path.is_dir() or path.suffix == ".pt" else Classifier(path)


def probs_of_model(path: Path, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Probabilities (N, 33), given that a character is there, for images (N, H, W) of any model of `load_model`."""
    model = load_model(path)
    return given_legible(model.raw(normalise_batch(images, model.size_px)))
