"""Readings -> text: the fixed lines, JSON Lines, CSV.

File names are bytes, and some of them are no text. Python keeps such bytes as lone surrogates; `prepare_stream` makes
an output stream write them back as the bytes that they were.
"""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from typing import TextIO

from vinscribe.reader import CharacterReading

FORMATS = ("lines", "jsonl", "csv")

_CSV_FIELDS = ("file", "char", "code", "confidence", "top", "legible", "legible_probability")


def one_line(text: str) -> str:
    r"""Text with line feeds and carriage returns written as ``\n`` and ``\r``, for outputs of one line each.

    A name that really holds a backslash and an n looks the same; ``jsonl`` and ``csv`` tell them apart.
    """
    return text.replace("\n", "\\n").replace("\r", "\\r")


def to_line(reading: CharacterReading) -> str:
    r"""``077, your_pictures/a.png``: the ASCII code in three digits, a comma, a space, the path as it was given.

    A line feed or carriage return in a name is written as ``\n`` or ``\r``: one picture is always one line.
    """
    return f"{reading.code:03d}, {one_line(reading.file)}"


def to_json(reading: CharacterReading) -> str:
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


def to_csv(reading: CharacterReading) -> str:
    """One CSV record (RFC 4180) without its line end; a name with a line feed or comma is quoted.

    ``top`` is written as ``M:0.9312 N:0.0401 …``, ``legible`` as ``true`` or ``false``.
    """
    top = " ".join(f"{char}:{prob:.6f}" for char, prob in reading.top)
    confidence, legible = f"{reading.confidence:.6f}", "true" if reading.legible else "false"
    probability = f"{reading.legible_probability:.6f}"
    return _csv_record((reading.file, reading.char, reading.code, confidence, top, legible, probability))


def illegible_note(reading: CharacterReading) -> str:
    """What is said on standard error of a picture that shows no legible character, where its line cannot say it."""
    probability = 1 - reading.legible_probability
    return one_line(f"{reading.file}: no legible character (probability {probability:.2f}); the best guess is printed")


def header(kind: str) -> Iterator[str]:
    """The lines that come before the first reading of a format."""
    if kind == "csv":
        yield _csv_record(_CSV_FIELDS)


def formatter(kind: str) -> Callable[[CharacterReading], str]:
    """The function that writes a reading in one of FORMATS."""
    return {"lines": to_line, "jsonl": to_json, "csv": to_csv}[kind]


def prepare_stream(stream: TextIO) -> None:
    """Make a stream write file names as the bytes that they are on disk, and line feeds as they are."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding=sys.getfilesystemencoding(), errors=sys.getfilesystemencodeerrors(), newline="\n")


def _csv_record(values: tuple[object, ...]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(values)  # what ends a line is what gets quoted in a name
    return text.getvalue().removesuffix("\r\n")
