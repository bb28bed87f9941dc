"""The side of the command line that reads VINs: ``vinscribe read``.

Only the parser lives at the top: OpenCV, ONNX Runtime and NumPy are imported when the command runs.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vinscribe.console import FAILED, OK, Progress, quiet_libraries, say
from vinscribe.errors import UsageError
from vinscribe.shards import BATCH

if TYPE_CHECKING:
    from vinscribe.expected import ExpectedVins
    from vinscribe.register import Register

FORMATS = ("table", "jsonl", "csv", "parquet")
MARKETS = ("any", "north-america", "europe")
THRESHOLD = 0.999

_WIDEST_NAME = 24  # of the table's folder column; longer names push the reason to the right

_EXAMPLE = """\
examples:
  vinscribe read card.png
  vinscribe read scans --out vins.jsonl             and, after a break, with --resume
  vinscribe read scans/*.pdf --format csv > vins.csv
  vinscribe read scans --expected deliveries.txt --annotate seen
  vinscribe read scans --register office.npz        what is usual at this office, by vinscribe vehicles learn
  vinscribe read s3://office/cards --out s3://office/vins.parquet --ray
  vinscribe read --cells samples/vin
"""


def register(subparsers: Any) -> None:
    """Adds the parser of ``read`` to the command line."""
    read = subparsers.add_parser(
        "read",
        help="read VINs from scans",
        description="Read the VIN on each page of scans (PNG, JPEG, BMP, WebP, TIFF, PDF), on all cores. Folders are "
        "gone through with all that is in them, sorted by path; hidden files and links to folders are left out. VINs "
        "that may be wrong are marked for review. With --cells, VINs whose 17 cells were cut already.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    read.add_argument(
        "paths", nargs="*", metavar="PATH", help="scans, or folders of scans; also s3://…, gs://…, az://…"
    )
    read.add_argument(
        "--cells",
        metavar="DIR",
        help="instead of scans: each folder in DIR with 17 pictures, sorted by name, is one VIN; DIR may be such a "
        "folder itself",
    )
    read.add_argument(
        "--format",
        choices=FORMATS,
        help="table: a line for each VIN (default); jsonl: all that is known of it; csv: for spreadsheets; "
        "parquet: for a folder of shards",
    )
    _add_scan_arguments(read)
    add_reading_arguments(read)
    read.set_defaults(run=_run)


def add_reading_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what every command that reads VINs takes: ``--market``, ``--expected``, ``--register`` and so on."""
    parser.add_argument(
        "--market",
        choices=MARKETS,
        default="any",
        help="where the vehicles were sold, which says how many have a check digit (default: any)",
    )
    parser.add_argument(
        "--expected",
        metavar="FILE",
        help="VINs of which most that are read will be: these very ones; one a line, or CSV with a column vin",
    )
    parser.add_argument(
        "--register",
        action="append",
        default=[],
        metavar="FILE",
        help="other VINs of this office, or what vinscribe vehicles learn made of them: counts of the makers, models, "
        "years and plants that are usual here, so that no VIN in it is favoured; may be given several times",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        default=THRESHOLD,
        metavar="P",
        help=f"accept a VIN that is right with this probability (default: {THRESHOLD})",
    )
    parser.add_argument("--model", metavar="FILE", help="another model: .onnx, or .h5 where Keras is installed")


def _add_scan_arguments(read: argparse.ArgumentParser) -> None:
    """Those that --cells does not know."""
    scans = read.add_argument_group("only for scans")
    scans.add_argument(
        "--out",
        metavar="FILE",
        help="write to FILE, .jsonl or .csv, as results come; FILE.journal, beside it, is what --resume needs. "
        "FOLDER/, FOLDER.parquet or an address: shards",
    )
    scans.add_argument(
        "--resume",
        action="store_true",
        help="go on with FILE or the shards: read only what is not in them, and what failed",
    )
    scans.add_argument(
        "--ray",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="read on Ray: on the cluster at ADDRESS, or on this machine; behind the PATHs, or as --ray=ADDRESS",
    )
    scans.add_argument(
        "--batch", type=int, metavar="N", help=f"scans in a shard, and in what Ray hands out (default: {BATCH})"
    )
    scans.add_argument("--profile", action="store_true", help="say where the time of a page went")
    scans.add_argument("--workers", type=int, metavar="N", help="processes that read (default: one for each core)")
    scans.add_argument("--annotate", metavar="DIR", help="write each page with what was read drawn in into DIR")
    scans.add_argument("--template", metavar="FILE", help="where the VIN is on these scans, by vinscribe template make")


def _run(args: argparse.Namespace) -> int:
    if bool(args.paths) == (args.cells is not None):
        what = "scans and cells are read one at a time" if args.paths else "nothing to read"
        raise UsageError(f"{what}; give either scans or --cells DIR, see vinscribe read --help")
    if args.cells is None:
        from vinscribe.scan_command import read_scans

        return read_scans(args)
    for name in ("out", "resume", "workers", "annotate", "template", "batch", "profile", "ray"):
        if getattr(args, name) not in (None, False):
            raise UsageError(f"--{name} is for scans, not for --cells")
    if args.format == "parquet":
        raise UsageError("--format parquet is for scans, not for --cells")
    args.format = args.format or "table"
    try:
        return _read_cells(args)
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("vinscribe"):
            raise
        raise UsageError(f"{error.name} is not installed; pip install -r requirements.txt") from error


def _read_cells(args: argparse.Namespace) -> int:
    from vinscribe.output import one_line, prepare_stream, vin_formatter, vin_header
    from vinscribe.reader import Reader, Unreadable

    folders = _cell_folders(args.cells)
    if not folders:
        say(f"no pictures in {args.cells} or a folder in it (PNG, JPEG, BMP, TIFF, WebP)")
        return OK
    prepare_stream(sys.stdout)
    width = min(max(6, *(len(Path(folder).name) for folder in folders)), _WIDEST_NAME)
    write = vin_formatter(args.format, width)
    counts = {"accept": 0, "review": 0, "unreadable": 0}
    expected, office = _expected(args.expected), _register(args.register)
    with quiet_libraries(), Progress(len(folders), "VINs") as progress:
        reader = Reader(args.model, market=args.market, expected=expected, threshold=args.threshold, register=office)
        reader.decoder  # noqa: B018  whatever is wrong with the options is said before the first line
        for line in vin_header(args.format, width):
            print(line)
        for result in reader.read_cell_folders(folders):
            if isinstance(result, Unreadable):
                counts["unreadable"] += 1
                progress.say(one_line(f"{result.file}: {result.error}"))
            else:
                counts[result.decision] += 1
                print(write(result))
            progress.step()
        if args.format == "table":
            progress.say(_summary(**counts))
    return FAILED if counts["unreadable"] else OK


def _cell_folders(directory: str) -> list[str]:
    """The folders that are a VIN each, or were meant to be.

    Those in the directory that hold any picture; the directory itself where it has 17, or no folder in it has any.
    """
    from vinscribe.images import has_pictures, list_folders, list_pictures
    from vinscribe.vin import VIN_LENGTH

    all_folders = list_folders(directory)
    folders = [folder for folder in all_folders if has_pictures(folder)]
    if len(folders) < len(all_folders):
        say(f"{directory}: folders without pictures, left out: {len(all_folders) - len(folders):,}")
    own = len(list_pictures(directory))
    if own == VIN_LENGTH or (own and not folders):
        folders.insert(0, directory.rstrip("/" + os.sep) or directory)
    return folders


def _expected(path: str | None) -> "ExpectedVins | None":
    """The list of expected VINs, with what was left out of it on standard error."""
    if path is None:
        return None
    from vinscribe.expected import ExpectedVins

    expected = ExpectedVins.load(path)
    for note in expected.notes:
        say(note)
    return expected


def _register(paths: Sequence[str]) -> "Register | None":
    """What the office's VINs teach, with what was left out of them on standard error."""
    if not paths:
        return None
    from vinscribe.register import Register

    learned = Register.learned(paths)
    for note in learned.notes:
        say(note)
    return learned


def _summary(accept: int, review: int, unreadable: int) -> str:
    count = accept + review
    text = f"{count:,} VIN{'s' * (count != 1)}: {accept:,} accepted, {review:,} for review"
    return text + f"; folders that could not be read: {unreadable:,}" * (unreadable > 0)
