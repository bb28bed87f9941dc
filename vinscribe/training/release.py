"""Makes a release: trains every run of the result tables, exports the best one, writes the tables.

One command, ``python train.py --release --emnist PATH``; interrupted, it goes on where it stopped. Nobody types a
number: README.md and MODEL_CARD.md carry markers, and what stands between them is written here.
"""

import json
import shutil
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, replace
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any

import numpy as np

from vinscribe import __version__
from vinscribe.charset import CHARSET
from vinscribe.cores import core_count
from vinscribe.errors import TrainingError
from vinscribe.training.augment import AugmentSettings
from vinscribe.training.documents import split_at_markers, write_between
from vinscribe.training.emnist import Archive
from vinscribe.training.evaluate import measure, mostly_read_as, probs_of_model
from vinscribe.training.export import export_model
from vinscribe.training.fit import FitSettings, fit
from vinscribe.training.folders import HandFolders
from vinscribe.training.recalibrate import recalibrate
from vinscribe.training.runs import CONTINUED, finish_run, load_data, load_vins, recipe, run_name, training_record

Job = tuple[FitSettings, str]
"""A run's settings and its view."""

SEEDS = {("vinscribe", "vin"): (0,), ("vinscribe", "balanced"): (0,)}
"""Seeds of a network on a view, (0, 1, 2) unless said otherwise. The released network trains for hours."""

RUNS_DIR = Path("runs/release")
USER_FIGURES = "93.6 % test, 93.4 % validation"
"""The user's own, for the network ``seed`` on the full EMNIST Balanced."""


def release_jobs(start: Path | None = None) -> list[Job]:
    """Every run of the result tables, the longest first; ours on view ``vin`` may go on from a model that is there."""
    tables = (("vinscribe", "vin"), ("seed", "vin"), ("vinscribe", "balanced"), ("seed", "balanced"))
    goes_on = {**CONTINUED, "start": str(start)} if start else {}
    return [
        (replace(recipe(network, view), seed=seed, **(goes_on if (network, view) == tables[0] else {})), view)
        for network, view in tables
        for seed in SEEDS.get((network, view), (0, 1, 2))
    ]


def make_release(
    archive: Archive,
    folders: HandFolders,
    root: Path = Path(),
    jobs: Sequence[Job] | None = None,
    fresh: bool = False,
    vins: Path | None = None,
) -> None:
    """Trains what is not trained yet, then writes models, figures and tables into the repository.

    The user's network, to be measured beside ours, goes into the folder ``seed`` of the runs.

    Args:
        archive: EMNIST.
        folders: of recorded hands and fonts.
        root: the repository.
        jobs: the runs; ``release_jobs()`` if None.
        fresh: train everything anew.
        vins: folder of real VINs that the confidence in whole VINs is fitted to; None for VINs as the decoder believes
            them to be.

    Raises:
        TrainingError: there is no place for the tables, a run failed, or the exported model does not measure what its
            run did.
    """
    places = [(root / "README.md", "results"), (root / "MODEL_CARD.md", "results"), (root / "MODEL_CARD.md", "model")]
    for path, name in places:
        split_at_markers(path, name)  # before hours of training, not after
    if fresh:
        shutil.rmtree(root / RUNS_DIR, ignore_errors=True)
    jobs = release_jobs() if jobs is None else jobs
    _train_all(archive, folders, jobs, root / RUNS_DIR)
    results: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for settings, view in jobs:
        record = json.loads((root / RUNS_DIR / run_name(settings, view) / "result.json").read_text())
        results.setdefault((settings.network, view), []).append(record)
    ours = [settings for settings, view in jobs if (settings.network, view) == ("vinscribe", "vin")]
    records = results["vinscribe", "vin"]
    best = min(range(len(records)), key=lambda number: records[number]["validation"]["nll"])
    run_dir = _export(archive, folders, ours[best], root, root)
    if vins:
        _, data = load_data(archive, "vin", ours[best], folders)
        recalibrate(root / "model.onnx", data, ours[best].augment or AugmentSettings(), load_vins(vins))
    (root / "docs").mkdir(exist_ok=True)
    for name in ("learning_curves", "confusion"):
        shutil.copyfile(run_dir / f"{name}.png", root / "docs" / f"{name}.png")
    seed = next(settings for settings, view in jobs if (settings.network, view) == ("seed", "vin"))
    _export(archive, folders, seed, root, root / RUNS_DIR / "seed")
    tables = {"results": results_table(results), "model": model_table(records[best])}
    for path, name in places:
        write_between(path, name, tables[name])
    print(tables["results"])


def _train_all(archive: Archive, folders: HandFolders, jobs: Sequence[Job], runs_dir: Path) -> None:
    """One process per core, each on one thread: other work on the machine then slows a run, but never stalls it."""
    open_jobs = [job for job in jobs if not _is_done(*job, runs_dir)]
    # Threads of the parent (OpenCV, PyTorch) would be lost in a fork.
    with ProcessPoolExecutor(core_count(), mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(_train_one, archive.path, folders, *job, runs_dir): job for job in open_jobs}
        try:
            for future in as_completed(futures):
                future.result()
                print(f"{run_name(*futures[future])}: done", file=sys.stderr, flush=True)
        except BaseException:
            # Leaving the block waits for the other trainings, hours perhaps. They go on where they were next time.
            for process in active_children():
                process.terminate()
            raise


def _is_done(settings: FitSettings, view_name: str, runs_dir: Path) -> bool:
    """Whether a run is finished, and with these very settings."""
    path = runs_dir / run_name(settings, view_name) / "result.json"
    return path.exists() and bool(json.loads(path.read_text())["settings"] == asdict(settings))


def _train_one(path: Path, folders: HandFolders, settings: FitSettings, view_name: str, runs_dir: Path) -> None:
    view, data = load_data(Archive(path), view_name, settings, folders)
    run_dir = runs_dir / run_name(settings, view_name)
    finish_run(fit(settings, data, run_dir), settings, view, data, run_dir)


def _export(archive: Archive, folders: HandFolders, settings: FitSettings, root: Path, folder: Path) -> Path:
    """Writes the models of one finished run on view ``vin`` and measures them as files; returns the run's folder."""
    run_dir = root / RUNS_DIR / run_name(settings, "vin")
    view, data = load_data(archive, "vin", settings, folders)
    fitted = fit(settings, data, run_dir)
    result = finish_run(fitted, settings, view, data, run_dir)
    export_model(
        fitted.network, result.temperature, training_record(result, archive, folders), folder, result.row_reader
    )
    for name in ("model.onnx", "model.h5"):
        report = measure(probs_of_model(folder / name, view.test.images), view.test.labels)
        if abs(report.micro - result.test.micro) > 1e-4 or abs(report.macro - result.test.macro) > 5e-4:
            raise TrainingError(f"{name} reads {report.micro:.4%} of the test, its run read {result.test.micro:.4%}")
    return run_dir


def results_table(results: dict[tuple[str, str], list[dict[str, Any]]]) -> str:
    """Markdown: one row per network and view, mean ± standard deviation over the seeds."""
    lines = [
        "| network | view | seeds | test images | accuracy (micro) | class mean (macro) | calibration error | "
        "validation (micro) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (network, view), records in results.items():
        cells = [_spread([record["test"][key] for record in records]) for key in ("micro", "macro", "ece")]
        cells.append(_spread([record["validation"]["micro"] for record in records]))
        seeds = ", ".join(str(record["settings"]["seed"]) for record in records)
        lines.append(f"| {network} | {view} | {seeds} | {records[0]['test']['num_images']:,} | {' | '.join(cells)} |")
    notes = {view: records[0]["note"] for (_, view), records in results.items()}
    lines += [
        "",
        "EMNIST's own pictures, percent, mean ± standard deviation where there are several seeds; calibrated on "
        f"validation. The user's own figures for the network `seed` on all of EMNIST Balanced: {USER_FIGURES}.",
        *(f"View `{view}`: {note}." for view, note in notes.items()),
    ]
    return "\n".join(lines)


def model_table(record: dict[str, Any]) -> str:
    """Markdown: what the released model measures, class by class."""
    test, seed = record["test"], record["settings"]["seed"]
    low, high = test["micro_interval"]
    macro_low, macro_high = test["macro_interval"]
    confusion = np.array(test["confusion"])
    lines = [
        f"Released with vinscribe {__version__}: network `vinscribe`, seed {seed}. On the {test['num_images']:,} "
        "test images of view `vin`:",
        "",
        "| measure | value | 95 % interval |",
        "|---|---|---|",
        f"| accuracy (micro) | {test['micro']:.2%} | {low:.2%} to {high:.2%} |",
        f"| class mean (macro) | {test['macro']:.2%} | {macro_low:.2%} to {macro_high:.2%} |",
        f"| negative log likelihood | {test['nll']:.4f} | |",
        f"| expected calibration error, 15 bins | {test['ece']:.2%} | |",
        f"| temperature, fitted on all parts of validation | {record['temperature']:.3f} | |",
        "",
        "| class | images | right | mostly read as |",
        "|---|---|---|---|",
    ]
    for label, char in enumerate(CHARSET):
        row = confusion[label]
        lines.append(f"| {char} | {row.sum():,} | {row[label] / row.sum():.2%} | {mostly_read_as(row, label)} |")
    return "\n".join(lines)


def _spread(values: list[float]) -> str:
    mean = f"{100 * np.mean(values):.2f}"
    return f"{mean} ± {100 * np.std(values, ddof=1):.2f}" if len(values) > 1 else mean
