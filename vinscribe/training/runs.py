"""Whole training runs: fit, calibrate, measure, draw the figures, and keep all of it in the run's folder."""

import argparse
import hashlib
import json
import shutil
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vinscribe.charset import ILLEGIBLE
from vinscribe.classifier import given_legible
from vinscribe.training.augment import AugmentSettings
from vinscribe.training.batches import Data, drawn_shares, make_sources
from vinscribe.training.checkpoint import save_state
from vinscribe.training.dataset import View, make_view
from vinscribe.training.emnist import Archive, read_pool
from vinscribe.training.evaluate import Report, fit_temperature, measure
from vinscribe.training.export import calibrated_logits, export_model
from vinscribe.training.extra import EXTRA_SHARE, measure_present, read_extra
from vinscribe.training.figures import plot_confusion, plot_learning_curves, plot_reliability
from vinscribe.training.fit import RECIPES, START_FILE, FitResult, FitSettings, fit
from vinscribe.training.fit_rows import ROWS, RowFit, RowSettings, fit_rows
from vinscribe.training.folders import HandFolders
from vinscribe.training.network import input_px
from vinscribe.training.real_vins import RealVins, read_real_vins
from vinscribe.training.row_reader import RowReader, reader_of
from vinscribe.training.validation import Part, logits_of, to_inputs, validation_parts
from vinscribe.training.vin_calibration import VinCalibration, calibrate_vins

QUICK: dict[str, Any] = {"epochs": 3, "samples_per_epoch": 40_000}
"""What ``--quick`` changes in a recipe."""

CONTINUED: dict[str, Any] = {"epochs": 12, "lr": 1.5e-3, "polish": 0.4}
"""What ``--start`` changes: a model that is there goes on learning, for a shorter time and at a lower rate."""

BALANCED: dict[str, Any] = {
    "epochs": 16,
    "polish": 0.0,
    "unipen": 0.0,
    "pen": 0.0,
    "fonts": 0.0,
    "pictures": 0.0,
    "cards": 0.0,
    "label_noise": 0.0,
    "augment": AugmentSettings(bare=1.0, illegible=0.0),
}
"""What the view ``balanced`` changes in our network's recipe: nothing but EMNIST's pictures, as the user had it."""


_CHARACTERS_A_ROW = 160  # that the network learned from, for each row that the row reader learns from


@dataclass(frozen=True)
class RunResult:
    """A finished run: its settings, what it read, its measures after calibration.

    Attributes:
        settings: of the run.
        view: name of the view of EMNIST.
        note: how the view was made.
        num_train, num_validation: images of EMNIST.
        temperature: fitted on all parts of validation.
        validation, test: measures on EMNIST's pictures with that temperature.
        parts: measures on the legible characters of each part of validation.
        vins: how the confidence in whole VINs is calibrated; None for a network that knows EMNIST's pictures alone.
        start_sha256: of the model whose weights the run began with; empty if there was none.
        rows: the row reader; None for a network that knows EMNIST's pictures alone.
    """

    settings: FitSettings
    view: str
    note: str
    num_train: int
    num_validation: int
    temperature: float
    validation: Report
    test: Report
    parts: dict[str, Report]
    vins: VinCalibration | None
    start_sha256: str = ""
    rows: RowFit | None = None

    @property
    def row_reader(self) -> RowReader | None:
        """What reads rows, if that was kept."""
        return self.rows.reader if self.rows else None


def recipe(network: str, view: str) -> FitSettings:
    """The settings of a network on a view."""
    settings = RECIPES[network]
    return replace(settings, **BALANCED) if view == "balanced" and settings.augment else settings


def load_data(archive: Archive, view_name: str, settings: FitSettings, folders: HandFolders) -> tuple[View, Data]:
    """A view of EMNIST, and beside it the hands in folders, if some are given and the settings ask for strokes."""
    view = make_view(read_pool(archive), view_name)
    if not settings.unipen:
        return view, Data(view.train, view.validation)
    return view, Data(view.train, view.validation, **folders.read())


def folders_of(args: argparse.Namespace) -> HandFolders:
    """The folders of hands that a command line names."""
    return HandFolders(args.unipen, args.digits, args.fonts)


def load_vins(folder: Path | None) -> RealVins | None:
    """The real VINs in a folder that numbers may be fitted to; None without a folder."""
    return None if folder is None else read_real_vins(folder).part("fit")


def settings_from(args: argparse.Namespace) -> FitSettings:
    """The network's recipe with the options of the command line put in."""
    settings = recipe(args.network, args.view)
    if args.quick:
        settings = replace(settings, **QUICK)
    if args.start:
        settings = replace(settings, **CONTINUED, start=str(args.start))
    names = ("seed", "epochs", "batch_size", "lr", "weight_decay", "label_smoothing", "patience", "threads")
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    return replace(settings, **given)


def run_name(settings: FitSettings, view: str) -> str:
    """Name of a run's default folder."""
    return f"{settings.network}-{view}-seed{settings.seed}"


def train_and_export(archive: Archive, args: argparse.Namespace) -> None:
    """``train.py``: one run, its report on standard output, its models in ``args.out``."""
    settings = settings_from(args)
    kind = ("-quick" if args.quick else "") + ("-extra" if args.extra_cells else "")
    run_dir = args.run_dir or Path("runs") / (run_name(settings, args.view) + kind)
    started = time.monotonic()
    extra = None
    if args.extra_cells:
        extra = read_extra(args.extra_cells, input_px(settings.network), args.extra_share or EXTRA_SHARE)
    if args.fresh and run_dir.exists():
        shutil.rmtree(run_dir)
    view, data = load_data(archive, args.view, settings, folders_of(args))
    data = replace(data, extra=extra)
    print(view.text(), file=sys.stderr)
    present = None
    if extra:
        print(extra.text(), file=sys.stderr)
        present = measure_present(extra.validation)  # before its file is replaced
    if settings.augment and settings.unipen and not data.train_strokes:
        print("no recorded hands (--unipen, --digits): EMNIST and the project's own alphabet alone", file=sys.stderr)
    try:
        fitted = fit(settings, data, run_dir)
    except KeyboardInterrupt:
        print(f"\ninterrupted; the same command goes on from the last whole epoch in {run_dir}", file=sys.stderr)
        raise
    result = finish_run(fitted, settings, view, data, run_dir, load_vins(args.vins))
    record = training_record(result, archive, folders_of(args))
    if extra:
        record["training"]["extra_cells"] = extra.record()
    export_model(fitted.network, result.temperature, record, args.out, result.row_reader)
    measured = {name: (report, "") for name, report in result.parts.items()}
    if present:
        measured["extra, before"] = present[1], f"  ({present[0]} as it was)"
    for name, (report, note) in measured.items():
        print(f"validation ({name}): {report.micro:.2%}  class mean {report.macro:.2%}{note}")
    print(f"\ntest ({args.view}, {settings.network}, seed {settings.seed})\n{result.test.text()}")
    minutes = (time.monotonic() - started) / 60
    print(f"\nrun folder {run_dir}; wrote {args.out / 'model.h5'} and {args.out / 'model.onnx'}; {minutes:.1f} minutes")


def finish_run(
    fitted: FitResult, settings: FitSettings, view: View, data: Data, run_dir: Path, real: RealVins | None = None
) -> RunResult:
    """Calibrates on validation, measures on test; writes ``result.json``, ``report.txt`` and the figures.

    With ``real`` VINs for fitting, the confidence in whole VINs is calibrated on these.
    """
    size_px = input_px(settings.network)
    parts = validation_parts(data, settings.augment, size_px)
    temperature, reports = _calibrate(fitted, parts)
    rows = _fit_rows(fitted, temperature, data, settings, run_dir)
    reading = calibrated_logits(fitted.network, temperature)  # as the files have it
    test_probs = given_legible(_softmax(logits_of(reading, to_inputs(view.test.images, size_px)).numpy(), 1.0))
    result = RunResult(
        settings=settings,
        view=view.name,
        note=view.note,
        num_train=len(view.train),
        num_validation=len(view.validation),
        temperature=temperature,
        validation=reports["emnist"],
        test=measure(test_probs, view.test.labels),
        parts=reports,
        vins=_calibrate_vins(fitted, temperature, data, settings, rows, real),
        start_sha256=hashlib.sha256((run_dir / START_FILE).read_bytes()).hexdigest() if settings.start else "",
        rows=rows,
    )
    if rows and rows.reader:
        save_state(rows.reader.state_dict(), run_dir / "rows.pt")
    (run_dir / "result.json").write_text(json.dumps(_as_dict(result), default=_plain, indent=1) + "\n")
    (run_dir / "report.txt").write_text(result.test.text() + "\n")
    np.save(run_dir / "test_probs.npy", test_probs)
    plot_learning_curves(fitted.metrics, run_dir / "learning_curves.png")
    plot_confusion(result.test.confusion, run_dir / "confusion.png")
    correct = test_probs.argmax(1) == view.test.labels
    plot_reliability(test_probs.max(1), correct, run_dir / "reliability.png")
    return result


def _calibrate(fitted: FitResult, parts: list[Part]) -> tuple[float, dict[str, Report]]:
    """The temperature that suits all pictures of all parts, and the measures of each part."""
    logits = [logits_of(fitted.network, torch.from_numpy(part.cells)[:, None]).numpy() for part in parts]
    labels = np.concatenate([part.labels for part in parts])
    temperature = fit_temperature(np.concatenate(logits), labels)
    reports = {}
    for part, part_logits in zip(parts, logits, strict=True):
        legible = part.labels != ILLEGIBLE
        if not legible.any():  # of the office's cells
            continue
        probs = given_legible(_softmax(part_logits, temperature))
        reports[part.name] = measure(probs[legible], part.labels[legible])
    return temperature, reports


def _draws_rows(settings: FitSettings) -> bool:
    return settings.augment is not None and settings.augment.bare < 1 and settings.cards > 0


def row_settings(settings: FitSettings, data: Data) -> RowSettings:
    """For a short training few rows, for a long one `ROWS`."""
    drawn = settings.epochs * min(settings.samples_per_epoch, 2 * len(data.train))
    count = min(ROWS.rows, max(drawn // _CHARACTERS_A_ROW, 2 * ROWS.batch_size))
    return replace(ROWS, rows=count, validation_rows=min(ROWS.validation_rows, count))


def _fit_rows(fitted: FitResult, temperature: float, data: Data, settings: FitSettings, run_dir: Path) -> RowFit | None:
    if settings.augment is None or not _draws_rows(settings):
        return None
    network = calibrated_logits(fitted.network, temperature)
    found = fit_rows(network, data, settings.augment, input_px(settings.network), run_dir, row_settings(settings, data))
    for name, scores in (("looks", found.looks), ("alone", found.alone), ("together", found.together)):
        line = f"characters {scores.characters:.2%}  rows {scores.rows:.1%}  log loss {scores.log_loss:.4f}"
        print(f"rows of validation hands, {name}: {line}", file=sys.stderr)
    return found


def _calibrate_vins(
    fitted: FitResult,
    temperature: float,
    data: Data,
    settings: FitSettings,
    rows: RowFit | None,
    real: RealVins | None,
) -> VinCalibration | None:
    if settings.augment is None or not _draws_rows(settings):
        return None
    rows_of = reader_of(calibrated_logits(fitted.network, temperature), rows.reader if rows else None)
    if rows and rows.reader:
        shares = rows.class_shares
    else:
        shares = drawn_shares(make_sources(data, settings.class_balance, settings.shares), settings.cards)
    return calibrate_vins(rows_of, data, settings.augment, input_px(settings.network), shares, real=real)


def training_record(result: RunResult, archive: Archive, folders: HandFolders) -> dict[str, Any]:
    """What a model's metadata says of its training: settings, measures, and the sha256 of every data file."""
    summary: dict[str, Any] = {
        split: {"images": report.num_images, "micro": report.micro, "macro": report.macro, "ece": report.ece}
        for split, report in (*result.parts.items(), ("test", result.test))
    }
    data = archive.member_hashes()
    if result.settings.unipen:
        data |= folders.hashes()
    vins = asdict(result.vins) if result.vins else None
    if result.rows:
        found = {name: asdict(getattr(result.rows, name)) for name in ("looks", "alone", "together")}
        summary["rows"] = {"kept": result.rows.reader is not None, **found}
    training = {
        "settings": asdict(result.settings),
        "view": result.view,
        "note": result.note,
        "train_images": result.num_train,
        "start_sha256": result.start_sha256,
        "torch": torch.__version__,
        **summary,
    }
    return {"network": result.settings.network, "training": training, "vins": vins, "data": data}


def _softmax(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    probs: NDArray[np.float32] = torch.softmax(torch.from_numpy(logits) / temperature, 1).numpy()
    return probs


def _as_dict(result: RunResult) -> dict[str, Any]:
    """For JSON; of the row reader, whose weights are in the run's folder, the scores alone."""
    rows = result.rows and replace(result.rows, reader=None)
    return asdict(replace(result, rows=rows))


def _plain(value: Any) -> Any:
    """For JSON: arrays as lists."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} in a result")
