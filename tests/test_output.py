import csv
import io
import json
import os
import sys

import pytest

from vinscribe.decode import Candidate, CellReading, VinReading
from vinscribe.output import (
    FORMATS,
    VIN_FORMATS,
    formatter,
    header,
    illegible_note,
    prepare_stream,
    rounded_down,
    to_csv,
    to_json,
    to_line,
    vin_formatter,
    vin_header,
    vin_to_csv,
    vin_to_json,
    vin_to_row,
)
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


VIN, RAW, CHANGE = "1HGCM82633A004352", "1HGCM82633A004S52", "character 15: 3 instead of S, by the check digit"


def vin_reading(file="cards/7", **changes):
    said = {
        "file": file,
        "page": None,
        "vin": VIN,
        "confidence": 0.9995199,
        "decision": "accept",
        "reason": None,
        "raw": RAW,
        "changes": (CHANGE,),
        "candidates": (Candidate(VIN, 0.9995199), Candidate(RAW, 0.0002)),
        "check_digit": "valid",
        "cells": tuple(CellReading(char, 0.9999999, 1.0, ((char, 0.9999999), ("7", 0.0012345))) for char in VIN),
        "field": None,
    }
    return VinReading(**said | changes)


def test_vin_json_has_every_field():
    cells = [
        {
            "char": char,
            "confidence": 0.999999,
            "legible_probability": 1.0,
            "choices": [[char, 0.999999], ["7", 0.001234]],
            "box": None,
        }
        for char in VIN
    ]
    assert json.loads(vin_to_json(vin_reading("d/a\nb"))) == {
        "file": "d/a\nb",
        "page": None,
        "vin": VIN,
        "confidence": 0.999519,
        "decision": "accept",
        "reason": None,
        "raw": RAW,
        "changes": [CHANGE],
        "candidates": [{"vin": VIN, "probability": 0.999519}, {"vin": RAW, "probability": 0.0002}],
        "check_digit": "valid",
        "cells": cells,
        "field": None,
    }


def test_vin_json_has_boxes_where_there_is_a_page():
    corners = ((1.0, 2.0), (3.0, 2.0), (3.0, 4.0), (1.0, 4.0))
    cells = tuple(CellReading(char, 0.9, 1.0, box=corners) for char in VIN)
    said = json.loads(vin_to_json(vin_reading("a.pdf", page=2, cells=cells, field=corners)))
    assert (said["page"], said["field"]) == (2, [[1, 2], [3, 2], [3, 4], [1, 4]])
    assert said["cells"][16]["box"] == said["field"]


def test_vin_csv_can_be_read_back():
    reading = vin_reading('d/a,"b"', decision="review", reason="character 15: 3 or S; x")
    (row,) = csv.DictReader([*vin_header("csv"), vin_to_csv(reading)])
    assert row == {
        "file": 'd/a,"b"',
        "page": "",
        "vin": VIN,
        "confidence": "0.999519",
        "decision": "review",
        "reason": "character 15: 3 or S; x",
        "raw": RAW,
        "changes": CHANGE,
        "check_digit": "valid",
        "runner_up": RAW,
        "runner_up_probability": "0.000200",
    }
    (row,) = csv.DictReader([*vin_header("csv"), vin_to_csv(vin_reading(candidates=(Candidate(VIN, 1.0),)))])
    assert (row["reason"], row["runner_up"], row["runner_up_probability"]) == ("", "", "")


def test_vin_table_is_aligned_and_marks_what_the_ink_says_otherwise():
    (header_line,) = vin_header("table", 10)
    accepted = vin_to_row(vin_reading("cards/7", raw=VIN), 10)
    changed = vin_to_row(vin_reading("cards/card 12/", decision="review", reason="because", confidence=0.05), 10)
    assert header_line == "        conf.   VIN                ink alone          folder      reason"
    assert accepted == "accept  0.9995  1HGCM82633A004352                     7"
    assert changed == "review  0.0500  1HGCM82633A004352  ..............S..  card 12     because"
    assert vin_to_row(vin_reading("d/a\nb"), 4).endswith("a\\nb")


NO_FIELD = {"decision": "no_field", "reason": "no row of 17 cells found", "vin": None, "raw": None, "confidence": 0.0}
NO_FIELD |= {"changes": (), "candidates": (), "check_digit": None, "cells": ()}


def test_the_table_of_pages_has_their_numbers():
    (header_line,) = vin_header("table", 10, pages=True)
    accepted = vin_to_row(vin_reading("scans/a.tif", page=12, raw=VIN), 10)
    without = vin_to_row(vin_reading("scans/a.tif", page=3, **NO_FIELD), 10)
    assert header_line == "          conf.   VIN                ink alone          page  file        reason"
    assert accepted == "accept    0.9995  1HGCM82633A004352                       12  a.tif"
    assert (
        without == "no_field                                                   3  a.tif       no row of 17 cells found"
    )


def test_a_page_without_a_field_has_nulls_and_empty_columns():
    reading = vin_reading("a.tif", page=3, **NO_FIELD)
    said = json.loads(vin_to_json(reading))
    assert (said["vin"], said["raw"], said["check_digit"], said["cells"], said["field"]) == (None, None, None, [], None)
    (row,) = csv.DictReader([*vin_header("csv"), vin_to_csv(reading)])
    assert (row["page"], row["vin"], row["raw"], row["check_digit"], row["decision"]) == ("3", "", "", "", "no_field")


@pytest.mark.parametrize("kind", VIN_FORMATS)
def test_vin_formats_are_one_line_each(kind):
    assert len(list(vin_header(kind, 8))) == (kind != "jsonl")
    text = vin_formatter(kind, 8)(vin_reading())
    assert VIN in text
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize(
    ("probability", "digits", "expected"),
    [
        (0.99951, 4, 0.9995),
        (0.99999999, 4, 0.9999),
        (1 - 1e-13, 6, 0.999999),
        (1.0, 6, 1.0),
        (0.9993, 6, 0.9993),
        (0.29, 2, 0.29),
        (1e-9, 6, 0.0),
        (0.0, 6, 0.0),
    ],
)
def test_rounded_down(probability, digits, expected):
    assert rounded_down(probability, digits) == expected
