"""The command line. The only place that parses arguments, and the only one that catches `VinscribeError`.

Exit status: 0 all went well; 1 something could not be read or done; 2 the command, a directory or the model is wrong;
130 interrupted; 141 nobody reads the output any more (as in ``vinscribe chars DIR | head``).
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from vinscribe import __version__, read_command, review_command, template_command, vehicles_command, vin_command
from vinscribe.console import BROKEN_PIPE, FAILED, INTERRUPTED, OK, WRONG_USE, Parser, Progress, quiet_libraries, say
from vinscribe.errors import ModelError, UsageError, VinscribeError
from vinscribe.training import cards_command  # imports no PyTorch, nor do the others
from vinscribe.training import commands as training_commands

if TYPE_CHECKING:
    from vinscribe.reader import CharacterReading, Reader, Unreadable

_CHARS_EXAMPLE = """\
examples:
  vinscribe chars samples
  vinscribe chars samples --format jsonl > readings.jsonl
  vinscribe chars samples --explain seen    and open seen/index.html
"""
_INFERENCE_EXAMPLE = """\
example:
  python inference.py samples
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The ``vinscribe`` command; returns its exit status. ``argv`` defaults to the process's arguments."""
    return _run("vinscribe", _build_parser, argv)


def inference_main(argv: Sequence[str] | None = None) -> int:
    """``python inference.py DIR``: ``vinscribe chars DIR`` in the lines format; returns the exit status."""
    return _run("inference.py", _build_inference_parser, argv)


def _run(name: str, build_parser: Callable[[], argparse.ArgumentParser], argv: Sequence[str] | None) -> int:
    try:
        args = build_parser().parse_args(argv)
        status: int = args.run(args)
        sys.stdout.flush()
        return status
    except VinscribeError as error:
        say(f"{name}: {error}")
        return WRONG_USE if isinstance(error, UsageError | ModelError) else FAILED
    except KeyboardInterrupt:
        say(f"{name}: interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # What is still buffered has nowhere to go; without this Python would complain about it when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE


def _build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="vinscribe",
        description="Read handwritten vehicle identification numbers, and train the classifier that reads them.",
        epilog="vinscribe COMMAND --help shows the options of a command, with an example.",
    )
    parser.add_argument("--version", action="version", version=f"vinscribe {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    chars = commands.add_parser(
        "chars",
        help="read the character in each picture of a directory",
        description="Read the one character in each picture of a directory (PNG, JPEG, BMP, TIFF, WebP). A picture "
        "without a legible one (blank, struck out, a blot) is read as what comes nearest, and noted on standard error.",
        epilog=_CHARS_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_chars_arguments(chars)
    chars.add_argument(
        "--format",
        choices=("lines", "jsonl", "csv"),
        default="lines",
        help="lines: '077, DIR/a.png' (default); jsonl and csv: with confidence, the five best characters, legibility",
    )
    chars.add_argument(
        "--explain",
        metavar="OUT",
        help="write what the network saw, beside each picture, into this folder, with a page",
    )
    read_command.register(commands)
    template_command.register(commands)
    review_command.register(commands)
    vin_command.register(commands)
    vehicles_command.register(commands)
    training_commands.register(commands)
    cards_command.register(commands)
    return parser


def _build_inference_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="inference.py",
        description="Print '077, DIR/name.png' for each picture in DIR: the ASCII code of its character, and its path.",
        epilog=_INFERENCE_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_chars_arguments(parser)
    parser.set_defaults(format="lines")
    return parser


def _add_chars_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", metavar="DIR", help="folder with pictures, one character each")
    parser.add_argument("--model", metavar="FILE", help="another model: .onnx, or .h5 where Keras is installed")
    parser.set_defaults(run=_run_chars, explain=None)


def _run_chars(args: argparse.Namespace) -> int:
    # Imported here: help and mistakes in the arguments answer at once, without OpenCV and ONNX Runtime.
    try:
        from vinscribe.images import list_pictures
        from vinscribe.output import formatter, header, illegible_note, one_line, prepare_stream
        from vinscribe.reader import Reader, Unreadable
    except ModuleNotFoundError as error:
        raise UsageError(f"{error.name} is not installed; pip install -r requirements.txt") from error
    paths = list_pictures(args.directory)
    if not paths:
        say(f"no pictures in {args.directory} (PNG, JPEG, BMP, TIFF, WebP)")
        return OK
    prepare_stream(sys.stdout)
    write = formatter(args.format)
    failures = 0
    with quiet_libraries(), Progress(len(paths)) as progress:
        reader = Reader(args.model)
        results = reader.read_characters(paths) if args.explain is None else _explained(reader, paths, args)
        for line in header(args.format):
            print(line)
        for result in results:
            if isinstance(result, Unreadable):
                failures += 1
                progress.say(one_line(f"{result.file}: {result.error}"))
            else:
                print(write(result))
                if not result.legible and args.format == "lines":  # the other formats say it themselves
                    progress.say(illegible_note(result))
            progress.step()
    return FAILED if failures else OK


def _explained(
    reader: "Reader", paths: list[str], args: argparse.Namespace
) -> Iterator["CharacterReading | Unreadable"]:
    """The results, each written into the folder ``args.explain`` on its way."""
    from vinscribe.explain import Explanation

    return Explanation(args.explain, args.directory, paths).of(reader.read_with_cells(paths))
