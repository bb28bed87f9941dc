import csv
import io
import json
import os
import sys

import pytest

from vinscribe.output import FORMATS, formatter, header, illegible_note, prepare_stream, to_csv, to_json, to_line
from vinscribe.reader import CharacterReading

TOP = (("M", 0.9000001), ("N", 0.05), ("W", 0.02), ("H", 0.01), ("A", 0.005))


def reading(file, char="M", legible=0.9876543):
    return CharacterReading(file, char, ord(char), 0.9000001, TOP, legible >= 0.5, legible)


def test_the_fixed_line():
    assert to_line(reading("your_pictures/a.png")) == "077, your_pictures/a.png"
    assert to_line(reading("x/ü b,.PNG", "0")) == "048, x/ü b,.PNG"


@pytest.mark.parametrize("kind", FORMATS)
def test_a_line_feed_in_a_name_does_not_make_two_pictures(kind):
    text = formatter(kind)(reading("d/a\nb\r.png"))
    if kind == "csv":
        assert next(csv.reader(io.StringIO(text, newline="")))[0] == "d/a\nb\r.png"
    else:
        assert len(text.splitlines()) == 1


def test_json_has_every_field():
    assert json.loads(to_json(reading("d/a\nb.png"))) == {
        "file": "d/a\nb.png",
        "char": "M",
        "code": 77,
        "confidence": 0.9,
        "top": [["M", 0.9], ["N", 0.05], ["W", 0.02], ["H", 0.01], ["A", 0.005]],
        "legible": True,
        "legible_probability": 0.987654,
    }


def test_csv_has_a_header_and_quotes_names():
    rows = list(csv.reader([*header("csv"), to_csv(reading('d/a,"b".png'))]))
    assert rows[0] == ["file", "char", "code", "confidence", "top", "legible", "legible_probability"]
    assert rows[1][:4] == ['d/a,"b".png', "M", "77", "0.900000"]
    assert rows[1][4].split()[1] == "N:0.050000"
    assert rows[1][5:] == ["true", "0.987654"]
    assert list(header("lines")) == list(header("jsonl")) == []


def test_illegible_is_said_in_json_csv_and_a_note():
    blot = reading("d/a\nb.png", legible=0.02)
    assert json.loads(to_json(blot))["legible"] is False
    assert next(csv.reader(io.StringIO(to_csv(blot), newline="")))[5:] == ["false", "0.020000"]
    note = "d/a\\nb.png: no legible character (probability 0.98); the best guess is printed"
    assert illegible_note(blot) == note
    assert to_line(blot) == "077, d/a\\nb.png"


@pytest.mark.skipif(sys.platform == "win32", reason="file names are not bytes there")
@pytest.mark.parametrize("kind", FORMATS)
def test_bytes_that_are_no_text_survive(kind):
    name = os.fsdecode(b"d/caf\xe9.png")
    binary = io.BytesIO()
    stream = io.TextIOWrapper(binary, encoding="ascii")
    prepare_stream(stream)
    print(formatter(kind)(reading(name)), file=stream, flush=True)
    written = binary.getvalue()
    if kind == "jsonl":
        assert os.fsencode(json.loads(written)["file"]) == b"d/caf\xe9.png"
    else:
        assert b"d/caf\xe9.png" in written
