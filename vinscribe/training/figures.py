"""The figures of a training run as PNG files: learning curves, confusion matrix, reliability diagram."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from vinscribe.charset import CHARSET, NUM_CLASSES
from vinscribe.errors import UsageError
from vinscribe.training.evaluate import ECE_BINS, expected_calibration_error, wilson_interval

_BLUE, _ORANGE, _GREY, _INK = "#1f6fb4", "#d95f02", "#9aa3ab", "#22303c"
_PARTS = (_BLUE, "#2a9d62", "#8a4fbf", "#b8860b")
_DPI = 110


def plot_learning_curves(metrics: Sequence[Mapping[str, float]], path: str | os.PathLike[str]) -> None:
    """Loss and error rate of training and validation over the epochs, the best validation loss marked.

    Each item has ``epoch``, ``train_loss``, ``train_accuracy``, ``val_loss`` and, for each part of validation,
    ``val_NAME`` (accuracies in [0, 1]). The error rate, 1 - accuracy, has a logarithmic scale: what matters happens
    near zero. Raises ``UsageError`` for an empty list.
    """
    if not metrics:
        raise UsageError("There are no epochs to draw: metrics is empty.")
    epochs = np.array([item["epoch"] for item in metrics])
    column = {name: np.array([item[name] for item in metrics], float) for name in metrics[0]}
    best = int(np.nanargmin(column["val_loss"])) if np.isfinite(column["val_loss"]).any() else 0
    figure = _new_figure(11, 4.6, f"Learning curves ({len(metrics)} epochs)")
    loss_axes, error_axes = figure.subplots(1, 2)
    style: dict[str, Any] = {"marker": "o", "markersize": 3.5, "linewidth": 1.8}
    loss_axes.plot(epochs, column["train_loss"], color=_GREY, label="training", **style)
    loss_axes.plot(epochs, column["val_loss"], color=_BLUE, label="validation", **style)
    _mark_best(loss_axes, epochs[best], column["val_loss"][best], f"{column['val_loss'][best]:.4f}")
    parts = [name for name in column if name.startswith("val_") and name != "val_loss"]
    curves = [("train_accuracy", "training", _GREY)]
    curves += [(name, f"validation ({name[4:]})", colour) for name, colour in zip(parts, _PARTS, strict=False)]
    for name, label, colour in curves:
        # A curve that reaches no error at all would fall off a logarithmic scale: it rests on its lower edge.
        error_axes.plot(epochs, np.maximum(1 - column[name], 1e-4), color=colour, label=label, **style)
    rate = 1 - column[parts[0]][best]
    _mark_best(error_axes, epochs[best], max(rate, 1e-4), f"{100 * rate:.2f} %")
    _style(loss_axes, "Loss", "epoch", "cross-entropy (nats)")
    _style(error_axes, "Error rate", "epoch", "1 − accuracy (log scale)")
    _log_percent(error_axes, "y")
    for axes in (loss_axes, error_axes):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False)
    _save(figure, path)


def _mark_best(axes: Axes, epoch: float, value: float, text: str) -> None:
    label = f"best validation loss: epoch {epoch:g}, {text}"
    axes.plot(epoch, value, "o", markersize=10, mfc="none", mec=_ORANGE, mew=2, label=label)


def plot_confusion(matrix: NDArray[np.integer], path: str | os.PathLike[str]) -> None:
    """Confusion matrix, int (33, 33), rows true, columns read: colour is the share of the row on a log scale.

    Confusions that happened three times or more have their count written in. Raises ``UsageError`` for another shape.
    """
    matrix = np.asarray(matrix)
    if matrix.shape != (NUM_CLASSES, NUM_CLASSES):
        raise UsageError(f"A confusion matrix has the shape ({NUM_CLASSES}, {NUM_CLASSES}), not {matrix.shape}.")
    total, right = int(matrix.sum()), int(np.trace(matrix))
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    figure = _new_figure(11, 10.4, f"Confusion matrix: {total - right:,} errors in {total:,} characters")
    axes = figure.subplots()
    norm = LogNorm(vmin=1e-4, vmax=1)
    picture = axes.imshow(np.ma.masked_equal(share, 0), cmap="Blues", norm=norm)
    for row, column in zip(*np.nonzero(matrix >= 3), strict=True):
        if row != column:
            colour = "white" if norm(share[row, column]) > 0.6 else _INK
            axes.text(column, row, str(matrix[row, column]), ha="center", va="center", fontsize=7.5, color=colour)
    axes.set_xticks(range(NUM_CLASSES), list(CHARSET))
    axes.set_yticks(range(NUM_CLASSES), list(CHARSET))
    axes.tick_params(top=True, labeltop=True, length=0, labelsize=10, colors=_INK)
    axes.set_xticks(np.arange(-0.5, NUM_CLASSES), minor=True)
    axes.set_yticks(np.arange(-0.5, NUM_CLASSES), minor=True)
    axes.grid(which="minor", color="#e4e8eb", linewidth=0.6)
    axes.tick_params(which="minor", length=0, top=False, bottom=False, left=False)
    axes.set_xlabel("read as", color=_INK, fontsize=12)
    axes.set_ylabel("true character", color=_INK, fontsize=12)
    bar = figure.colorbar(picture, ax=axes, shrink=0.6, aspect=32, pad=0.02)
    bar.set_ticks([1e-4, 1e-3, 1e-2, 0.1, 1], labels=["0.01 %", "0.1 %", "1 %", "10 %", "100 %"])
    bar.set_label("share of the row (white: never; counts are written from 3)", color=_INK)
    _save(figure, path)


def plot_reliability(
    confidences: NDArray[np.floating],
    correct: NDArray[np.bool_],
    path: str | os.PathLike[str],
    bins: int = 15,
    what: str = "characters",
) -> None:
    """Reliability diagram: how often the reader is right where it says how sure it is.

    ``confidences`` float (N,) in [0, 1], ``correct`` bool (N,); of N of ``what``. The ``bins`` hold equally many each,
    so most of them crowd at the sure end: the left panel adds ten bins of equal width, and a histogram under it; the
    right panel draws one minus confidence against the error rate on log scales. Bars are 95 % Wilson intervals.
    Raises ``UsageError`` for empty or uneven arrays.
    """
    confidences, correct = np.asarray(confidences, float), np.asarray(correct, bool)
    if confidences.ndim != 1 or confidences.shape != correct.shape or len(confidences) == 0:
        raise UsageError(
            f"confidences and correct must be filled and of one length, not {confidences.shape} and {correct.shape}."
        )
    groups = np.array_split(np.argsort(confidences, kind="stable"), min(bins, len(confidences)))
    said = np.array([confidences[group].mean() for group in groups])
    counts = np.array([len(group) for group in groups])
    hits = np.array([correct[group].sum() for group in groups])
    gap = expected_calibration_error(confidences, correct)
    title = f"Reliability: {len(correct):,} {what}, expected calibration error {gap:.2%} ({ECE_BINS} even bins)"
    figure = _new_figure(12, 6.2, title)
    grid = figure.add_gridspec(2, 2, height_ratios=(3, 1))
    accuracy_axes = figure.add_subplot(grid[0, 0])
    _draw_accuracy(accuracy_axes, said, hits, counts, what)
    _draw_even_bins(accuracy_axes, confidences, correct)
    _draw_histogram(figure.add_subplot(grid[1, 0]), confidences, correct, what)
    _draw_sure_end(figure.add_subplot(grid[:, 1]), 1 - said, counts - hits, counts)
    _save(figure, path)


def _draw_accuracy(
    axes: Axes, said: NDArray[np.floating], hits: NDArray[np.integer], counts: NDArray[np.integer], what: str
) -> None:
    rate = hits / counts
    low, high = wilson_interval(hits, counts)
    axes.plot([0, 1], [0, 1], color=_GREY, linestyle="--", linewidth=1.2, label="perfectly calibrated")
    bars, label = [rate - low, high - rate], f"bins of equally many {what}"
    axes.errorbar(said, rate, bars, fmt="o", color=_BLUE, capsize=2.5, markersize=5, label=label)
    axes.set(xlim=(0, 1.01), ylim=(0, 1.03))
    _style(axes, "All confidences", "mean confidence", "accuracy (95 % interval)")
    _percent(axes, "x")
    _percent(axes, "y")


def _draw_even_bins(axes: Axes, confidences: NDArray[np.floating], correct: NDArray[np.bool_]) -> None:
    places = np.minimum((confidences * 10).astype(int), 9)
    counts = np.bincount(places, minlength=10)
    filled = counts > 0
    counts = counts[filled]
    said = np.bincount(places, confidences, minlength=10)[filled] / counts
    hits = np.bincount(places[correct], minlength=10)[filled]
    low, high = wilson_interval(hits, counts)
    bars = [hits / counts - low, high - hits / counts]
    style: dict[str, Any] = {"color": _ORANGE, "mfc": "white", "markersize": 5, "capsize": 2.5, "zorder": 1.5}
    axes.errorbar(said, hits / counts, bars, fmt="D", label="bins of equal width", **style)
    axes.legend(frameon=False, loc="upper left")


def _draw_histogram(axes: Axes, confidences: NDArray[np.floating], correct: NDArray[np.bool_], what: str) -> None:
    parts = [confidences[correct], confidences[~correct]]
    edges = [i / 25 for i in range(26)]
    axes.hist(parts, edges, stacked=False, histtype="stepfilled", color=[_BLUE, _ORANGE], alpha=0.55)
    axes.hist(parts, edges, histtype="step", color=[_BLUE, _ORANGE], label=["read right", "read wrong"])
    axes.set_yscale("log")
    axes.set(xlim=(0, 1.01), ylim=(0.7, None))
    _style(axes, "", "confidence", f"{what} (log)")
    _percent(axes, "x")
    axes.legend(frameon=False, loc="upper left")


def _draw_sure_end(
    axes: Axes, doubt: NDArray[np.floating], errors: NDArray[np.integer], counts: NDArray[np.integer]
) -> None:
    low, high = wilson_interval(errors, counts)
    rate = errors / counts
    floor = 10.0 ** np.floor(np.log10(max(1e-6, min(doubt.min(), 0.3 / counts.max()))))
    doubt, shown = np.maximum(doubt, floor), np.maximum(rate, floor)
    axes.plot([floor, 1], [floor, 1], color=_GREY, linestyle="--", linewidth=1.2, label="perfectly calibrated")
    some = errors > 0
    spread = [shown - np.maximum(low, floor), high - shown]
    for chosen, style, name in ((some, "o", "bins"), (~some, "v", "bins without an error")):
        if chosen.any():
            bars = [side[chosen] for side in spread]
            fill = _BLUE if style == "o" else "white"
            axes.errorbar(
                doubt[chosen],
                shown[chosen],
                bars,
                fmt=style,
                color=_BLUE,
                mfc=fill,
                capsize=2.5,
                markersize=5,
                label=name,
            )
    axes.set(xscale="log", yscale="log", xlim=(floor / 1.3, 1.3), ylim=(floor / 1.3, 1.3))
    _style(axes, "The sure end", "1 − mean confidence (log scale)", "error rate (log scale, 95 % interval)")
    _log_percent(axes, "x")
    _log_percent(axes, "y")
    axes.annotate("too sure", (0.06, 0.72), xycoords="axes fraction", color=_GREY, fontsize=11)
    axes.annotate("too careful", (0.72, 0.30), xycoords="axes fraction", color=_GREY, fontsize=11)
    axes.legend(frameon=False, loc="upper left")


def _new_figure(width_in: float, height_in: float, title: str) -> Figure:
    figure = Figure(figsize=(width_in, height_in), dpi=_DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)  # the object interface with its own canvas: nothing global, no display
    figure.suptitle(title, fontsize=14, color=_INK)
    return figure


def _style(axes: Axes, title: str, x_label: str, y_label: str) -> None:
    axes.set_title(title, fontsize=12, color=_INK)
    axes.set_xlabel(x_label, color=_INK)
    axes.set_ylabel(y_label, color=_INK)
    axes.grid(color="#e4e8eb", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_INK)
    axes.spines[["top", "right"]].set_visible(False)


def _percent(axes: Axes, which: str) -> None:
    (axes.xaxis if which == "x" else axes.yaxis).set_major_formatter(lambda value, _: f"{value * 100:g} %")


def _log_percent(axes: Axes, which: str) -> None:
    """A logarithmic axis with percent signs instead of powers of ten."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    _percent(axes, which)
    low, high = axis.get_view_interval()
    if high / max(low, 1e-12) < 30:  # less than a decade and a half: name the steps between, too
        axis.set_minor_formatter(lambda value, _: f"{value * 100:g} %" if f"{value:e}"[0] in "25" else "")
    else:
        axis.set_minor_formatter(lambda value, _: "")


def _save(figure: Figure, path: str | os.PathLike[str]) -> None:
    figure.savefig(path, format="png")
