"""The figures are drawn without a warning, at their size, for ordinary and for extreme data."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from vinscribe.charset import NUM_CLASSES
from vinscribe.errors import UsageError
from vinscribe.training.figures import plot_confusion, plot_learning_curves, plot_reliability


def assert_drawn(path):
    picture = cv2.imread(str(path))
    assert picture is not None
    assert min(picture.shape[:2]) >= 450
    assert np.median(picture) > 240  # light background
    assert picture.std() > 5  # and something on it


def epoch(number, loss=0.1, accuracy=0.98):
    return {
        "epoch": number,
        "train_loss": loss + 0.05,
        "train_accuracy": accuracy - 0.01,
        "val_loss": loss,
        "val_emnist": accuracy,
        "val_cells": accuracy - 0.02,
    }


@pytest.mark.parametrize(
    "metrics",
    [
        [epoch(n, 1 / n, 1 - 0.3 / n) for n in range(1, 13)],
        [epoch(1)],
        [epoch(1, 0.0, 1.0), epoch(2, 0.0, 1.0)],
        [epoch(1, float("nan"), 0.03)],
    ],
    ids=["ordinary", "one epoch", "no error", "not a number"],
)
def test_learning_curves(tmp_path, metrics):
    plot_learning_curves(metrics, tmp_path / "curves.png")
    assert_drawn(tmp_path / "curves.png")


def test_learning_curves_need_an_epoch(tmp_path):
    with pytest.raises(UsageError, match="no epochs"):
        plot_learning_curves([], tmp_path / "curves.png")


@pytest.mark.parametrize("kind", ["ordinary", "perfect", "empty"])
def test_confusion(tmp_path, kind):
    matrix = np.diag(np.full(NUM_CLASSES, 0 if kind == "empty" else 500))
    if kind == "ordinary":
        matrix[5, 28] = matrix[28, 5] = 21
        matrix[0, 13] = 400
    plot_confusion(matrix, tmp_path / "confusion.png")
    assert_drawn(tmp_path / "confusion.png")


def test_confusion_of_another_shape(tmp_path):
    with pytest.raises(UsageError, match=r"\(33, 33\), not \(36, 36\)"):
        plot_confusion(np.zeros((36, 36), int), tmp_path / "confusion.png")


@pytest.mark.parametrize("kind", ["ordinary", "all right and sure", "all wrong", "three"])
def test_reliability(tmp_path, kind):
    rng = np.random.default_rng(0)
    confidences = 1 / (1 + np.exp(-rng.normal(6, 2, 3000)))
    correct = rng.random(3000) < confidences
    if kind == "all right and sure":
        confidences, correct = np.ones(3000), np.ones(3000, bool)
    elif kind == "all wrong":
        correct[:] = False
    elif kind == "three":
        confidences, correct = confidences[:3], np.array([True, False, True])
    plot_reliability(confidences, correct, tmp_path / "reliability.png")
    assert_drawn(tmp_path / "reliability.png")


@pytest.mark.parametrize(("n", "m"), [(0, 0), (3, 4)])
def test_reliability_of_uneven_arrays(tmp_path, n, m):
    with pytest.raises(UsageError, match="one length"):
        plot_reliability(np.ones(n), np.ones(m, bool), tmp_path / "reliability.png")


def test_nothing_global(tmp_path):
    code = (
        "import sys, numpy as np; from vinscribe.training import figures\n"
        f"figures.plot_confusion(np.eye(33, dtype=int), {str(tmp_path / 'c.png')!r})\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
