"""Whole training runs: fit, calibrate, measure, draw the figures, and keep all of it in the run's folder."""

import argparse
import json
import shutil
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vinscribe.training.dataset import View, make_view
from vinscribe.training.emnist import Archive, read_pool
from vinscribe.training.evaluate import Report, fit_temperature, measure
from vinscribe.training.export import export_model
from vinscribe.training.figures import plot_confusion, plot_learning_curves, plot_reliability
from vinscribe.training.fit import RECIPES, FitResult, FitSettings, fit, logits_of, to_inputs

QUICK: dict[str, Any] = {"epochs": 3, "samples_per_epoch": 60_000}
"""What ``--quick`` changes in a recipe."""


@dataclass(frozen=True)
class RunResult:
    """A finished run: its settings, what it read, its measures after calibration.

    Attributes:
        settings: of the run.
        view: name of the view of EMNIST.
        note: how the view was made.
        num_train, num_validation: images.
        temperature: fitted on validation.
        validation, test: measures with that temperature.
    """

    settings: FitSettings
    view: str
    note: str
    num_train: int
    num_validation: int
    temperature: float
    validation: Report
    test: Report


def settings_from(args: argparse.Namespace) -> FitSettings:
    """The network's recipe with the options of the command line put in."""
    settings = RECIPES[args.network]
    if args.quick:
        settings = replace(settings, **QUICK)
    names = ("seed", "epochs", "batch_size", "lr", "weight_decay", "label_smoothing", "patience", "threads")
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    return replace(settings, **given)


def run_name(settings: FitSettings, view: str) -> str:
    """Name of a run's default folder."""
    return f"{settings.network}-{view}-seed{settings.seed}"


def train_and_export(archive: Archive, args: argparse.Namespace) -> None:
    """``train.py``: one run, its report on standard output, its models in ``args.out``."""
    settings = settings_from(args)
    run_dir = args.run_dir or Path("runs") / (run_name(settings, args.view) + ("-quick" if args.quick else ""))
    if args.fresh and run_dir.exists():
        shutil.rmtree(run_dir)
    started = time.monotonic()
    view = make_view(read_pool(archive), args.view)
    print(view.text(), file=sys.stderr)
    try:
        fitted = fit(settings, view.train, view.validation, run_dir)
    except KeyboardInterrupt:
        print(f"\ninterrupted; the same command goes on from the last whole epoch in {run_dir}", file=sys.stderr)
        raise
    result = finish_run(fitted, settings, view, run_dir)
    export_model(fitted.network, result.temperature, training_record(result, archive), args.out)
    print(f"validation: {result.validation.micro:.2%}  class mean {result.validation.macro:.2%}")
    print(f"\ntest ({args.view}, {settings.network}, seed {settings.seed})\n{result.test.text()}")
    minutes = (time.monotonic() - started) / 60
    print(f"\nrun folder {run_dir}; wrote {args.out / 'model.h5'} and {args.out / 'model.onnx'}; {minutes:.1f} minutes")


def finish_run(fitted: FitResult, settings: FitSettings, view: View, run_dir: Path) -> RunResult:
    """Calibrates on validation, measures on test; writes ``result.json``, ``report.txt`` and the figures."""
    validation_logits = logits_of(fitted.network, to_inputs(view.validation.images)).numpy()
    temperature = fit_temperature(validation_logits, view.validation.labels)
    validation_probs = _softmax(validation_logits, temperature)
    test_probs = _softmax(logits_of(fitted.network, to_inputs(view.test.images)).numpy(), temperature)
    result = RunResult(
        settings=settings,
        view=view.name,
        note=view.note,
        num_train=len(view.train),
        num_validation=len(view.validation),
        temperature=temperature,
        validation=measure(validation_probs, view.validation.labels),
        test=measure(test_probs, view.test.labels),
    )
    (run_dir / "result.json").write_text(json.dumps(asdict(result), default=_plain, indent=1) + "\n")
    (run_dir / "report.txt").write_text(result.test.text() + "\n")
    np.save(run_dir / "test_probs.npy", test_probs)
    plot_learning_curves(fitted.metrics, run_dir / "learning_curves.png")
    plot_confusion(result.test.confusion, run_dir / "confusion.png")
    correct = test_probs.argmax(1) == view.test.labels
    plot_reliability(test_probs.max(1), correct, run_dir / "reliability.png")
    return result


def training_record(result: RunResult, archive: Archive) -> dict[str, Any]:
    """What a model's metadata says of its training: settings, measures, and the sha256 of every data file."""
    summary = {
        split: {"images": report.num_images, "micro": report.micro, "macro": report.macro, "ece": report.ece}
        for split, report in (("validation", result.validation), ("test", result.test))
    }
    training = {
        "settings": asdict(result.settings),
        "view": result.view,
        "note": result.note,
        "train_images": result.num_train,
        "torch": torch.__version__,
        **summary,
    }
    return {"network": result.settings.network, "training": training, "data": archive.member_hashes()}


def _softmax(logits: np.ndarray, temperature: float) -> np.ndarray:
    probs: np.ndarray = torch.softmax(torch.from_numpy(logits) / temperature, 1).numpy()
    return probs


def _plain(value: Any) -> Any:
    """For JSON: arrays as lists."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} in a result")
