"""The training side of the command line: ``vinscribe data | train | evaluate``.

Only the parsers live at the top: PyTorch and its companions are imported when a command runs.
"""

import argparse
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vinscribe.charset import NUM_CLASSES
from vinscribe.errors import ImageError, UsageError, VinscribeError

_VIEWS = ("vin", "balanced")
_NETWORKS = ("vinscribe", "seed")

_DATA_EXAMPLE = """example:
  vinscribe data --emnist gzip.zip
"""
_TRAIN_EXAMPLE = """examples:
  python train.py                        the whole of it: data, training, evaluation, model.h5 and model.onnx
  python train.py --quick                the same in under five minutes, to see it work
  python train.py --network seed --view balanced --out mine
  python train.py --unipen DIR --digits DIR --fonts fonts    with recorded hands and fonts beside EMNIST
  python train.py --extra-cells FOLDER   with your own cells beside EMNIST: FOLDER/labels.csv (columns file, label)
  python train.py --calibrate model.onnx --vins FOLDER    the confidence in whole VINs anew, the weights as they are
  python train.py --release              every run of the result tables, the released model, the tables themselves
"""
_EVALUATE_EXAMPLE = """examples:
  vinscribe evaluate model.onnx --emnist gzip.zip
  vinscribe evaluate runs/vinscribe-vin-seed0 --view balanced
  vinscribe evaluate model.onnx --split validation --errors errors.png
  vinscribe evaluate model.onnx --cells FOLDER     your own pictures, with FOLDER/labels.csv (columns file, label)
"""


def register(subparsers: Any) -> None:
    """Adds the parsers of ``data``, ``train`` and ``evaluate`` to the command line."""
    data = _command(subparsers, "data", "print what an EMNIST archive holds", _DATA_EXAMPLE, _run_data)
    _add_emnist(data)
    train = _command(subparsers, "train", "train and evaluate a network, write its model", _TRAIN_EXAMPLE, _run_train)
    add_train_arguments(train)
    evaluate = _command(
        subparsers, "evaluate", "measure a model on EMNIST or your own pictures", _EVALUATE_EXAMPLE, _run_evaluate
    )
    evaluate.add_argument("model", type=Path, metavar="MODEL", help="model.onnx, model.h5, or a training run's folder")
    evaluate.add_argument(
        "--cells",
        type=Path,
        metavar="FOLDER",
        help="measure on the pictures in a folder with a labels.csv: file,label; an empty label says that there is no "
        "legible character, ? that nobody knows",
    )
    evaluate.add_argument("--view", choices=_VIEWS, help="which view of EMNIST (default: vin)")
    evaluate.add_argument("--split", choices=("test", "validation"), help="of EMNIST (default: test)")
    evaluate.add_argument(
        "--errors", type=Path, metavar="PNG", help="draw the misread images, the most confident errors first"
    )
    evaluate.add_argument("--reliability", type=Path, metavar="PNG", help="draw how far the confidences are right")
    _add_emnist(evaluate)


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``vinscribe train`` and ``python train.py``."""
    parser.add_argument("--network", choices=_NETWORKS, default="vinscribe", help="default: vinscribe")
    parser.add_argument("--view", choices=_VIEWS, default="vin", help="which view of EMNIST (default: vin)")
    parser.add_argument("--seed", type=int, help="of weights, order and augmentation (default: 0)")
    parser.add_argument("--epochs", type=int, help="most epochs")
    parser.add_argument("--batch-size", type=int, help="images per step")
    parser.add_argument(
        "--start", type=Path, metavar="MODEL", help="a model.h5 of our network that goes on learning (default: none)"
    )
    parser.add_argument("--lr", type=float, help="highest learning rate")
    parser.add_argument("--weight-decay", type=float, help="of AdamW")
    parser.add_argument("--label-smoothing", type=float, help="share of the target spread over all classes")
    parser.add_argument("--patience", type=int, help="epochs without a better validation loss before it stops")
    parser.add_argument("--threads", type=int, help="CPU threads, 0 for all cores (default: 1, beside the renderer)")
    parser.add_argument(
        "--unipen", type=Path, metavar="DIR", help="folder of UNIPEN's pen strokes (strokes.jsonl.gz and labels.csv)"
    )
    parser.add_argument(
        "--digits",
        type=Path,
        metavar="DIR",
        help="folder that holds swiss_digits, uji_digits and semeion_digits, or some of them",
    )
    parser.add_argument(
        "--fonts", type=Path, metavar="DIR", help="folder of handwriting fonts: fonts, after `npm ci --prefix fonts`"
    )
    parser.add_argument(
        "--vins",
        type=Path,
        metavar="DIR",
        help="folder of real VINs (north-america.csv, europe.csv, elsewhere.csv), half of which the confidence in "
        "whole VINs is fitted to (default: VINs drawn as the decoder believes them to be)",
    )
    parser.add_argument(
        "--calibrate",
        type=Path,
        metavar="MODEL",
        help="train nothing: fit the confidence in whole VINs of this model.onnx anew and write it into the file",
    )
    parser.add_argument(
        "--extra-cells",
        type=Path,
        action="append",
        metavar="FOLDER",
        help="learn from an office's own cells as well, a folder with a labels.csv as for `evaluate --cells`; a tenth "
        "of them is kept out to measure on; may be given several times",
    )
    parser.add_argument(
        "--extra-share", type=float, metavar="SHARE", help="of these cells in all that is drawn (default: 0.1)"
    )
    parser.add_argument(
        "--run", dest="run_dir", type=Path, metavar="DIR", help="the run's folder (default: runs/NETWORK-VIEW-seedN)"
    )
    parser.add_argument("--fresh", action="store_true", help="start the run in that folder anew")
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="where model.h5 and model.onnx go")
    parser.add_argument("--quick", action="store_true", help="a short training, under five minutes")
    parser.add_argument(
        "--release",
        action="store_true",
        help="make a release: every run of the result tables, the models, MODEL_CARD.md and README.md",
    )
    _add_emnist(parser)


def train_main(argv: list[str] | None = None) -> int:
    """``python train.py …`` is ``vinscribe train …``."""
    from vinscribe.cli import main

    return main(["train", *(sys.argv[1:] if argv is None else argv)])


def _command(
    subparsers: Any, name: str, sentence: str, example: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name,
        help=sentence,
        description=sentence[0].upper() + sentence[1:] + ".",
        epilog=example,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run_command=run, run=_run)
    return parser


def _add_emnist(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--emnist",
        type=Path,
        metavar="PATH",
        help="an EMNIST archive (gzip.zip) or its folder; without it the official one is downloaded once (536 MiB)",
    )


def _run(args: argparse.Namespace) -> int:
    try:
        status: int = args.run_command(args)
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("vinscribe"):
            raise
        raise UsageError(f"{error.name} is not installed; pip install -r requirements-train.txt") from error
    return status


def _archive(args: argparse.Namespace) -> Any:
    from vinscribe.training.emnist import Archive

    if args.emnist:
        return Archive(args.emnist)
    from vinscribe.training.download import fetch_archive

    return Archive(fetch_archive())


def _run_data(args: argparse.Namespace) -> int:
    from vinscribe.training.dataset import VIEWS, make_view
    from vinscribe.training.emnist import read_pool

    archive = _archive(args)
    pool = read_pool(archive)
    print(f"{archive.path}")
    print(f"{'split':<15} {'rows':>9}  distinct images")
    for split in archive.splits:
        print(f"{split:<15} {pool.rows[split]:>9,}  {int(pool.in_splits(split).sum()):,}")
    print(f"{'all':<15} {sum(pool.rows.values()):>9,}  {len(pool):,}")
    failed = False
    for name in VIEWS:
        try:
            print("", make_view(pool, name).text(), sep="\n")
        except VinscribeError as error:
            failed = True
            print(f"\nview {name}: {error}")
    return int(failed)


def _run_train(args: argparse.Namespace) -> int:
    from vinscribe.training.release import make_release, release_jobs
    from vinscribe.training.runs import folders_of, train_and_export

    for name in ("keras", "h5py", "onnxscript"):  # needed only after the training: say so before it
        if find_spec(name) is None:
            raise ModuleNotFoundError(name=name)
    _check_extra(args)
    archive = _archive(args)
    if args.calibrate:
        return _calibrate(archive, args)
    if args.release:
        make_release(archive, folders_of(args), jobs=release_jobs(args.start), fresh=args.fresh, vins=args.vins)
        return 0
    train_and_export(archive, args)
    return 0


def _calibrate(archive: Any, args: argparse.Namespace) -> int:
    from vinscribe.training.augment import AugmentSettings
    from vinscribe.training.fit import RECIPES
    from vinscribe.training.recalibrate import recalibrate
    from vinscribe.training.runs import folders_of, load_data, load_vins

    settings = RECIPES["vinscribe"]
    _, data = load_data(archive, "vin", settings, folders_of(args))
    found = recalibrate(args.calibrate, data, settings.augment or AugmentSettings(), load_vins(args.vins))
    print(
        f"{args.calibrate}: confidence fitted to {found.num_vins:,} VINs, {found.exact:.1%} of them exact: sharpness "
        f"{found.sharpness:g}, floor {found.floor:g}, slope and offset {found.slope:.3f} {found.offset:+.3f}, without "
        f"a check digit {found.free_slope:.3f} {found.free_offset:+.3f}"
    )
    return 0


def _check_extra(args: argparse.Namespace) -> None:
    """Says what is wrong with the extra cells before anything is downloaded; the pictures are opened later."""
    if args.extra_share is not None and not args.extra_cells:
        raise UsageError(f"--extra-share {args.extra_share}: of which cells? Name their folder with --extra-cells")
    if not args.extra_cells:
        return
    if args.release or args.network != "vinscribe":
        other = "--release" if args.release else f"--network {args.network}"
        raise UsageError(f"--extra-cells is for a training of our network, not for {other}; leave out one of the two")
    if args.extra_share is not None and not 0 < args.extra_share < 1:
        raise UsageError(f"--extra-share {args.extra_share}: must be greater than 0 and less than 1")
    from vinscribe.labelled import read_labels

    for folder in args.extra_cells:
        read_labels(folder)


def _run_evaluate(args: argparse.Namespace) -> int:
    if args.reliability and find_spec("matplotlib") is None:  # say so before the work, not after it
        raise ModuleNotFoundError(name="matplotlib")
    for path in (args.errors, args.reliability):
        if path and not path.parent.is_dir():
            raise UsageError(f"cannot write {path}: no such folder; make it first, or give another path")
    if args.cells:
        return _evaluate_cells(args)
    from vinscribe.training.dataset import make_view
    from vinscribe.training.emnist import read_pool
    from vinscribe.training.evaluate import measure, probs_of_model

    view = make_view(read_pool(_archive(args)), args.view or "vin")
    print(f"view {view.name}: {view.note}", file=sys.stderr)
    split = view.validation if args.split == "validation" else view.test
    probs = probs_of_model(args.model, split.images)
    print(measure(probs, split.labels).text())
    _draw(args, split.images, split.labels, probs)
    return 0


def _evaluate_cells(args: argparse.Namespace) -> int:
    """Measures on a labelled folder. A file that is no readable picture is named, and the status is 1."""
    if args.emnist or args.view or args.split:
        raise UsageError("--cells measures on a folder of pictures; leave out --emnist, --view and --split, or --cells")
    import numpy as np

    from vinscribe.classifier import with_illegible
    from vinscribe.console import quiet_libraries
    from vinscribe.labelled import read_labels
    from vinscribe.output import one_line
    from vinscribe.training.cells_report import measure_cells, read_cells
    from vinscribe.training.evaluate import load_model

    folder = read_labels(args.cells)
    model = load_model(args.model)
    rows, cells = [], []
    with quiet_libraries():
        for row, cell in enumerate(read_cells(folder.files, model.size_px)):
            if isinstance(cell, ImageError):
                print(one_line(f"{folder.files[row]}: {cell}"), file=sys.stderr)
            else:
                rows.append(row)
                cells.append(cell)
    if not rows:
        raise ImageError(f"{args.cells}: none of its pictures can be read")
    stacked, labels = np.stack(cells), folder.labels[rows]
    raw = model.raw(stacked)
    outputs = with_illegible(raw, stacked)
    print(measure_cells(raw, outputs, labels, [folder.files[row] for row in rows]).text())
    if folder.skipped:
        print(f"labelled ? and left out: {folder.skipped:,}", file=sys.stderr)
    _draw(args, stacked, labels, outputs)
    return int(len(rows) < len(folder.files))


def _draw(args: argparse.Namespace, images: Any, labels: Any, probs: Any) -> None:
    """The pictures that ``vinscribe evaluate`` was asked for; probs (N, 33) or (N, 34)."""
    try:
        if args.errors:
            from vinscribe.training.error_sheet import plot_errors

            shown = plot_errors(images, labels, probs, args.errors)
            print(f"wrote the {shown} most confident errors to {args.errors}", file=sys.stderr)
        if args.reliability:
            from vinscribe.training.figures import plot_reliability

            chars = probs[:, :NUM_CLASSES]
            plot_reliability(chars.max(1), chars.argmax(1) == labels, args.reliability)
            print(f"wrote the reliability diagram to {args.reliability}", file=sys.stderr)
    except OSError as error:
        raise UsageError(f"cannot write {error.filename}: {error.strerror}; give a path that can be written") from error
