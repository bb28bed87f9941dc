"""Readings -> text: the fixed lines, a table, JSON Lines, CSV.

File names are bytes, and some of them are no text. Python keeps such bytes as lone surrogates; `prepare_stream` makes
an output stream write them back as the bytes that they were.
"""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from decimal import ROUND_FLOOR, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:  # whoever has a reading to write has loaded them, and who writes what others read need not
    from vinscribe.decode import VinReading
    from vinscribe.reader import CharacterReading

FORMATS = ("lines", "jsonl", "csv")
"""Of characters."""

VIN_FORMATS = ("table", "jsonl", "csv")

_CSV_FIELDS = ("file", "char", "code", "confidence", "top", "legible", "legible_probability")
_VIN_CSV_FIELDS = (
    *("file", "page", "vin", "confidence", "decision", "reason", "raw", "changes", "check_digit"),
    *("runner_up", "runner_up_probability"),
)


def one_line(text: str) -> str:
    r"""Text with line feeds and carriage returns written as ``\n`` and ``\r``, for outputs of one line each.

    A name that really holds a backslash and an n looks the same; ``jsonl`` and ``csv`` tell them apart.
    """
    return text.replace("\n", "\\n").replace("\r", "\\r")


def to_line(reading: "CharacterReading") -> str:
    r"""``077, your_pictures/a.png``: the ASCII code in three digits, a comma, a space, the path as it was given.

    A line feed or carriage return in a name is written as ``\n`` or ``\r``: one picture is always one line.
    """
    return f"{reading.code:03d}, {one_line(reading.file)}"


def to_json(reading: "CharacterReading") -> str:
    r"""One line of JSON with file, char, code, confidence, top, legible, legible_probability.

    ASCII only; an undecodable byte in a name appears as ``\udcXX``, which Python's ``os.fsencode`` turns back.
    """
    return json.dumps(
        {
            "file": reading.file,
            "char": reading.char,
            "code": reading.code,
            "confidence": round(reading.confidence, 6),
            "top": [[char, round(prob, 6)] for char, prob in reading.top],
            "legible": reading.legible,
            "legible_probability": round(reading.legible_probability, 6),
        }
    )


def to_csv(reading: "CharacterReading") -> str:
    """One CSV record (RFC 4180) without its line end; a name with a line feed or comma is quoted.

    ``top`` is written as ``M:0.9312 N:0.0401 …``, ``legible`` as ``true`` or ``false``.
    """
    top = " ".join(f"{char}:{prob:.6f}" for char, prob in reading.top)
    confidence, legible = f"{reading.confidence:.6f}", "true" if reading.legible else "false"
    probability = f"{reading.legible_probability:.6f}"
    return _csv_record((reading.file, reading.char, reading.code, confidence, top, legible, probability))


def illegible_note(reading: "CharacterReading") -> str:
    """What is said on standard error of a picture that shows no legible character, where its line cannot say it."""
    probability = 1 - reading.legible_probability
    return one_line(f"{reading.file}: no legible character (probability {probability:.2f}); the best guess is printed")


def header(kind: str) -> Iterator[str]:
    """The lines that come before the first reading of a format."""
    if kind == "csv":
        yield _csv_record(_CSV_FIELDS)


def formatter(kind: str) -> Callable[["CharacterReading"], str]:
    """The function that writes a reading in one of FORMATS."""
    return {"lines": to_line, "jsonl": to_json, "csv": to_csv}[kind]


def vin_record(reading: "VinReading") -> dict[str, Any]:
    """All that a reading says, as JSON has it; probabilities are rounded down, so that 1 means 1."""
    return {
        "file": reading.file,
        "page": reading.page,
        "vin": reading.vin,
        "confidence": rounded_down(reading.confidence),
        "decision": reading.decision,
        "reason": reading.reason,
        "raw": reading.raw,
        "changes": reading.changes,
        "candidates": [{"vin": each.vin, "probability": rounded_down(each.probability)} for each in reading.candidates],
        "check_digit": reading.check_digit,
        "cells": [
            {
                "char": cell.char,
                "confidence": rounded_down(cell.confidence),
                "legible_probability": rounded_down(cell.legible_probability),
                "choices": [[char, rounded_down(probability)] for char, probability in cell.choices],
                "box": cell.box,
            }
            for cell in reading.cells
        ],
        "field": reading.field,
    }


def vin_to_json(reading: "VinReading") -> str:
    """One line of JSON with what `vin_record` says; ASCII only, as in `to_json`."""
    return json.dumps(vin_record(reading))


def vin_to_csv(reading: "VinReading") -> str:
    """One CSV record without its line end: see `vin_header`; what there is not is empty.

    ``runner_up`` is the second best VIN, so that whoever reviews a card can compare the two.
    """
    runner_up = [(each.vin, f"{rounded_down(each.probability):.6f}") for each in reading.candidates[1:2]]
    vin, probability = runner_up[0] if runner_up else ("", "")
    confidence, changes = f"{rounded_down(reading.confidence):.6f}", "; ".join(reading.changes)
    says = (reading.vin, confidence, reading.decision, reading.reason, reading.raw, changes, reading.check_digit)
    return _csv_record((reading.file, reading.page, *says, vin, probability))


def vin_to_row(reading: "VinReading", name_width: int) -> str:
    """One line of the table: see `vin_header`.

    Where the best VIN is not what the cells say each by itself, the third column has their characters at these places,
    and dots elsewhere.
    """
    name, reason = Path(reading.file).name, reading.reason or ""
    confidence, vin, raw = "", reading.vin or "", ""
    if reading.vin and reading.raw:
        confidence = f"{rounded_down(reading.confidence, 4):.4f}"
        if reading.raw != reading.vin:
            raw = "".join("." if own == char else own for own, char in zip(reading.raw, reading.vin, strict=True))
    page = None if reading.page is None else str(reading.page)
    return _row(reading.decision, confidence, vin, raw, page, name, reason, name_width)


def vin_header(kind: str, name_width: int = 0, pages: bool = False) -> Iterator[str]:
    """The lines that come before the first VIN of a format.

    The table of pages has their numbers and file names, that of folders just names; both ``name_width`` wide.
    """
    if kind == "csv":
        yield _csv_record(_VIN_CSV_FIELDS)
    if kind == "table":
        page, name = ("page", "file") if pages else (None, "folder")
        yield _row("", "conf.", "VIN", "ink alone", page, name, "reason", name_width)


def vin_formatter(kind: str, name_width: int = 0) -> Callable[["VinReading"], str]:
    """The function that writes a VIN in one of VIN_FORMATS."""
    return {"table": lambda reading: vin_to_row(reading, name_width), "jsonl": vin_to_json, "csv": vin_to_csv}[kind]


def rounded_down(probability: float, digits: int = 6) -> float:
    """A probability with so many decimals and never more than it is: 0.9999999 is 0.999999, not 1."""
    return float(Decimal(repr(float(probability))).quantize(Decimal(1).scaleb(-digits), ROUND_FLOOR))


def _row(
    decision: str, confidence: str, vin: str, raw: str, page: str | None, name: str, reason: str, name_width: int
) -> str:
    start = f"{decision:<6}" if page is None else f"{decision:<8}"  # only pages can have no_field
    place = "" if page is None else f"{page:>4}  "
    return f"{start}  {confidence:<6}  {vin:<17}  {raw:<17}  {place}{one_line(name):<{name_width}}  {reason}".rstrip()


def prepare_stream(stream: TextIO) -> None:
    """Make a stream write file names as the bytes that they are on disk, and line feeds as they are."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding=sys.getfilesystemencoding(), errors=sys.getfilesystemencodeerrors(), newline="\n")


def _csv_record(values: tuple[object, ...]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(values)  # what ends a line is what gets quoted in a name
    return text.getvalue().removesuffix("\r\n")
