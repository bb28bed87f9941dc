"""The training side of the command line: ``vinscribe data | train | evaluate``.

Only the parsers live at the top: PyTorch and its companions are imported when a command runs.
"""

import argparse
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vinscribe.errors import UsageError, VinscribeError

_VIEWS = ("vin", "balanced")
_NETWORKS = ("vinscribe", "seed")

_DATA_EXAMPLE = """example:
  vinscribe data --emnist gzip.zip
"""
_TRAIN_EXAMPLE = """examples:
  python train.py                        the whole of it: data, training, evaluation, model.h5 and model.onnx
  python train.py --quick                the same in under five minutes, to see it work
  python train.py --network seed --view balanced --out mine
  python train.py --release              every run of the result tables, the released model, the tables themselves
"""
_EVALUATE_EXAMPLE = """examples:
  vinscribe evaluate model.onnx --emnist gzip.zip
  vinscribe evaluate runs/vinscribe-vin-seed0 --view balanced
  vinscribe evaluate model.onnx --split validation --errors errors.png
"""


def register(subparsers: Any) -> None:
    """Adds the parsers of ``data``, ``train`` and ``evaluate`` to the command line."""
    data = _command(subparsers, "data", "print what an EMNIST archive holds", _DATA_EXAMPLE, _run_data)
    _add_emnist(data)
    train = _command(subparsers, "train", "train and evaluate a network, write its model", _TRAIN_EXAMPLE, _run_train)
    add_train_arguments(train)
    evaluate = _command(subparsers, "evaluate", "measure a model on EMNIST", _EVALUATE_EXAMPLE, _run_evaluate)
    evaluate.add_argument("model", type=Path, metavar="MODEL", help="model.onnx, model.h5, or a training run's folder")
    evaluate.add_argument("--view", choices=_VIEWS, default="vin", help="which view of EMNIST (default: vin)")
    evaluate.add_argument(
        "--errors", type=Path, metavar="PNG", help="draw the misread images, the most confident errors first"
    )
    evaluate.add_argument("--split", choices=("test", "validation"), default="test", help="default: test")
    _add_emnist(evaluate)


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``vinscribe train`` and ``python train.py``."""
    parser.add_argument("--network", choices=_NETWORKS, default="vinscribe", help="default: vinscribe")
    parser.add_argument("--view", choices=_VIEWS, default="vin", help="which view of EMNIST (default: vin)")
    parser.add_argument("--seed", type=int, help="of weights, order and augmentation (default: 0)")
    parser.add_argument("--epochs", type=int, help="most epochs")
    parser.add_argument("--batch-size", type=int, help="images per step")
    parser.add_argument("--lr", type=float, help="highest learning rate")
    parser.add_argument("--weight-decay", type=float, help="of AdamW")
    parser.add_argument("--label-smoothing", type=float, help="share of the target spread over all classes")
    parser.add_argument("--patience", type=int, help="epochs without a better validation loss before it stops")
    parser.add_argument("--threads", type=int, help="CPU threads, 0 for all cores (default)")
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
    from vinscribe.training.release import make_release
    from vinscribe.training.runs import train_and_export

    for name in ("keras", "h5py", "onnxscript"):  # needed only after the training: say so before it
        if find_spec(name) is None:
            raise ModuleNotFoundError(name=name)
    archive = _archive(args)
    if args.release:
        make_release(archive, fresh=args.fresh)
        return 0
    train_and_export(archive, args)
    return 0


def _run_evaluate(args: argparse.Namespace) -> int:
    from vinscribe.training.dataset import make_view
    from vinscribe.training.emnist import read_pool
    from vinscribe.training.error_sheet import plot_errors
    from vinscribe.training.evaluate import measure, probs_of_model

    view = make_view(read_pool(_archive(args)), args.view)
    print(f"view {view.name}: {view.note}", file=sys.stderr)
    split = view.test if args.split == "test" else view.validation
    probs = probs_of_model(args.model, split.images)
    print(measure(probs, split.labels).text())
    if args.errors:
        shown = plot_errors(split.images, split.labels, probs, args.errors)
        print(f"wrote the {shown} most confident errors to {args.errors}", file=sys.stderr)
    return 0
