"""The command ``vinscribe vin``: what a VIN says by itself, and what it could be mistaken for."""

import argparse
import io
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from vinscribe.errors import UsageError
from vinscribe.vin import VinDescription, describe, valid_slips

if TYPE_CHECKING:
    from vinscribe.known import Known

FORMATS = ("text", "jsonl")

_EXAMPLE = """\
examples:
  vinscribe vin 1HGCM82633A004352
  vinscribe vin --format jsonl 1HGCM82633A004352 W0LPC6DB3CC123456
  vinscribe vin - < register.txt    one code a line
"""

# Character -> characters further down the alphabet that look like it in handwriting.
_LOOK_ALIKES = {
    "0": "6CDU", "1": "7JLT", "2": "7Z", "3": "58BZ", "4": "9AHUY", "5": "6S", "6": "BCG", "7": "9TYZ", "8": "9BS",
    "9": "GP", "A": "HR", "B": "R", "C": "EGL", "D": "P", "E": "F", "F": "P", "H": "KMN", "J": "TU", "K": "RX",
    "L": "U", "M": "NW", "N": "VW", "P": "R", "U": "VW", "V": "WY", "X": "Y",
}  # fmt: skip


def register(subparsers: Any) -> None:
    """Adds the parser of ``vin`` to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "vin",
        help="explain a VIN: check digit, maker, year, and what it could be mistaken for",
        description="Say of each code whether it is a VIN, where its maker is registered, which model years it can "
        "stand for, whether its check digit is right and has to be, whether what stands in it is known of this maker, "
        "and which VINs with a valid check digit differ from it in one character. Exit status 1 if a code is no "
        "well-formed VIN; a wrong check digit is no failure, nor is what is not known.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("codes", nargs="+", metavar="CODE", help="17 characters; - reads codes from standard input")
    parser.add_argument("--format", choices=FORMATS, default="text", help="default: text")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    """Explains each code. A malformed one is named on standard error, the others go on, and the status is 1."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # makers' names have accents, and not every terminal knows them
        sys.stdout.reconfigure(errors="replace")
    failed, separator = False, ""
    for code in _codes(args.codes):
        try:
            description = describe(code)
        except ModuleNotFoundError as error:
            raise UsageError(f"{error.name} is not installed; pip install -r requirements.txt") from error
        if description.problems:
            failed = True
            sys.stdout.flush()
            print(_complaint(description), file=sys.stderr)
        if args.format == "jsonl":
            print(to_json(description))
        elif not description.problems:
            print(separator + to_text(description))
            separator = "\n"  # an empty line between two
    return int(failed)


def _codes(arguments: Sequence[str]) -> Iterator[str]:
    """The codes given; ``-`` stands for the lines of standard input, empty ones left out."""
    for argument in arguments:
        if argument != "-":
            yield argument
            continue
        if isinstance(sys.stdin, io.TextIOWrapper):  # a line that is no text is a malformed code like others
            sys.stdin.reconfigure(errors="replace")
        for line in sys.stdin:
            if line.strip():
                yield line


def to_json(description: VinDescription) -> str:
    """One line of JSON, ASCII only: the fields of the description, ``known``, ``look_alike_slips``, ``other_slips``.

    ``known`` is what `vinscribe.known.known` says, null for a malformed code. The last two are lists of VINs, of what
    ``vinscribe.vin.valid_slips`` finds; of a malformed code both are empty.

    Raises:
        ModelError: the knowledge that comes with vinscribe is damaged.
    """
    alike, others = slips(description)
    found = _known(description)
    facts = {"known": found and asdict(found), "look_alike_slips": alike, "other_slips": others}
    return json.dumps(asdict(description) | facts)


def to_text(description: VinDescription) -> str:
    """A few aligned lines for a person, without the last line end; the description is of a well-formed VIN.

    Raises:
        ModelError: the knowledge that comes with vinscribe is damaged.
    """
    found = _known(description)
    rows = {
        "region": description.region or "unknown",
        "country": description.country or "unknown",
        "maker": description.maker or f"unknown ({description.wmi})",
        "model year": _years(description),
        "check digit": _check_digit(description),
        **({} if found is None else _known_rows(description.code, found)),
    }
    lines = [f"{description.code}  {_verdict(description)}"]
    lines += [f"  {name:<11}  {value}" for name, value in rows.items()]
    return "\n".join(lines + _slip_lines(description))


def slips(description: VinDescription) -> tuple[list[str], list[str]]:
    """The VINs of ``valid_slips``: those where handwriting easily makes one character of the other, and the rest."""
    if description.problems:
        return [], []
    alike: list[str] = []
    others: list[str] = []
    for vin in valid_slips(description.code):
        _, old, new = _change(description.code, vin)
        look_alike = max(old, new) in _LOOK_ALIKES.get(min(old, new), "")
        (alike if look_alike else others).append(vin)
    return alike, others


def _change(code: str, slip: str) -> tuple[int, str, str]:
    """Where two VINs differ: position counted from 1, the character of the first, that of the second."""
    return next((number, *pair) for number, pair in enumerate(zip(code, slip, strict=True), 1) if pair[0] != pair[1])


def _verdict(description: VinDescription) -> str:
    if description.check_digit_valid:
        return "valid"
    if description.check_digit_required:
        return "not valid: wrong check digit"
    return "well-formed, without a valid check digit"


def _years(description: VinDescription) -> str:
    if not description.years:
        return "none that the code can stand for"
    years = " or ".join(map(str, description.years))
    return years if description.check_digit_required else f"{years}, if the maker encodes it"


def _check_digit(description: VinDescription) -> str:
    found, expected = description.check_digit_found, description.check_digit_expected
    right = (
        f"{found}, as it should be" if description.check_digit_valid else f"{found}, by the rule it would be {expected}"
    )
    required = (
        "required of this maker" if description.check_digit_required else "this maker's choice, so it may have none"
    )
    return f"{right}; {required}"


def _known(description: VinDescription) -> "Known | None":
    """What is known of a VIN; None if it is none."""
    from vinscribe.known import known  # only here: the other commands start without what is known of vehicles

    return None if description.problems else known(description.code)


def _known_rows(vin: str, found: "Known") -> dict[str, str]:
    """Rows about positions 4 to 8 and 11: name -> what is known."""
    if not found.maker:
        return {"models": "nothing is known of this maker's models"}
    if not found.years:
        return {"models": "nothing is known of this maker in such a model year"}
    years = " or ".join(map(str, found.years))
    descriptor, plant = vin[3:8], vin[10]
    return {
        "descriptor": {
            True: f"{descriptor} is listed for this maker and {years}",
            False: f"{descriptor} is not listed for this maker and {years}: no such model, or another market",
            None: f"nothing is known of this maker's models in {years}",
        }[found.descriptor],
        "plant": {
            True: f"{plant} is one of this maker's plants in {years}",
            False: f"{plant} is not among this maker's plants in {years}",
            None: f"nothing is known of this maker's plants in {years}",
        }[found.plant],
    }


def _slip_lines(description: VinDescription) -> list[str]:
    alike, others = slips(description)
    counts = f"{len(alike)} by look-alikes, {len(others)} by others"
    lines = [f"  {'slips':<11}  VINs with a valid check digit that differ in one character: {counts}"]
    for vin in alike:
        position, old, new = _change(description.code, vin)
        lines.append(f"  {'':<11}  {vin}  {old} -> {new} in position {position}")
    return lines


def _complaint(description: VinDescription) -> str:
    """One line about a malformed code: what, where, the way out. The code is quoted, as it may hold anything."""
    way_out = f"try {description.suggestion}" if description.suggestion else "give the 17 characters of a VIN"
    return f"{description.code[:40]!a}: {'; '.join(description.problems)}; {way_out}"
