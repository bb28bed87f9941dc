"""`vinscribe read --cells`: folders of 17 pictures in, lines out."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn import BLOT, draw, write_model

from vinscribe import read_command
from vinscribe.cli import main
from vinscribe.decode import THRESHOLD
from vinscribe.output import VIN_FORMATS
from vinscribe.priors import MARKETS
from vinscribe.register import Register

VALID, OTHER = "1HGCM82633A004352", "WVWZZZ1JZXW000001"  # Volkswagen writes no check digit


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    # Of large cells this kind of model is sure enough for whole VINs.
    return write_model(tmp_path_factory.mktemp("model") / "model.onnx", size=128, num_outputs=34)


def write_png(path, picture):
    path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())  # OpenCV itself does not know every file name


def write_vin(folder, vin, names="{:02d}.png"):
    folder.mkdir(parents=True)
    for number, char in enumerate(vin, 1):
        write_png(folder / names.format(number), np.pad(draw(char, 40 + number), 8))  # room for the second look
    return folder


@pytest.fixture
def cards(tmp_path):
    """A folder ``cards`` of two VINs, as a path relative to the current directory."""
    write_vin(tmp_path / "cards" / "card2", VALID)
    write_vin(tmp_path / "cards" / "card10", OTHER, "{}.PNG")
    return tmp_path / "cards"


@pytest.fixture
def read(model, capsys):
    def run(directory, *options):
        status = main(["read", "--cells", str(directory), "--model", model, *options])
        out, err = capsys.readouterr()
        return status, out.splitlines(), err.splitlines()

    return run


def test_the_table(cards, read):
    status, out, err = read(cards, "--threshold", "0.9999")
    assert (status, len(out)) == (0, 3)
    assert out[0] == "        conf.   VIN                ink alone          folder  reason"
    assert out[1] == "accept  0.9999  1HGCM82633A004352                     card2"
    decision, confidence, vin, folder, *reason = out[2].split()
    assert (decision, vin, folder) == ("review", OTHER, "card10")
    assert 0.99 < float(confidence) < 0.9999
    assert out[2].index(folder) == out[1].index("card2")
    assert reason
    assert err == ["2 VINs: 1 accepted, 1 for review"]


def test_jsonl_has_every_field(cards, read):
    status, out, err = read(cards, "--format", "jsonl")
    assert (status, err) == (0, [])
    first, second = map(json.loads, out)
    assert list(first) == [
        *("file", "page", "vin", "confidence", "decision", "reason", "raw", "changes", "candidates", "check_digit"),
        *("cells", "field"),
    ]
    assert (first["file"], first["page"], first["field"]) == (f"{cards}/card2", None, None)
    assert (first["vin"], first["raw"], first["changes"], first["check_digit"]) == (VALID, VALID, [], "valid")
    assert (first["decision"], first["reason"]) == ("accept", None)
    assert first["confidence"] == first["candidates"][0]["probability"] < 1
    assert first["candidates"][0]["vin"] == VALID
    assert "".join(cell["char"] for cell in first["cells"]) == VALID
    assert list(first["cells"][0]) == ["char", "confidence", "legible_probability", "choices", "box"]
    assert (second["vin"], second["check_digit"]) == (OTHER, "invalid")


def test_csv(cards, read):
    status, out, err = read(cards, "--format", "csv")
    assert (status, err) == (0, [])
    rows = list(csv.DictReader(out))
    assert [(row["file"], row["vin"], row["check_digit"]) for row in rows] == [
        (f"{cards}/card2", VALID, "valid"),
        (f"{cards}/card10", OTHER, "invalid"),
    ]
    for row in rows:  # where every character is clear nothing else is in question
        assert len(row["runner_up"]) in (0, 17)
        assert float(row["runner_up_probability"] or 0) < float(row["confidence"])
    assert (rows[0]["page"], rows[0]["reason"], rows[0]["changes"]) == ("", "", "")


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_folder_of_cells_is_a_vin_itself(cards, read, slash):
    status, out, err = read(f"{cards}/card2{slash}", "--format", "jsonl")
    assert (status, err) == (0, [])
    assert [json.loads(line)["file"] for line in out] == [f"{cards}/card2"]


def test_a_stray_picture_beside_the_folders_is_no_vin_but_seventeen_are(cards, read):
    write_png(cards / "overview.png", draw("A", 60))
    status, out, _ = read(cards)
    assert (status, len(out)) == (0, 3)
    (cards / "overview.png").unlink()
    for number, char in enumerate(VALID, 10):
        write_png(cards / f"{number}.png", draw(char, 60))
    _, out, _ = read(cards, "--format", "jsonl")
    assert [json.loads(line)["file"] for line in out] == [str(cards), f"{cards}/card2", f"{cards}/card10"]


def test_what_cannot_be_read_is_one_line_each_and_the_rest_goes_on(cards, read):
    (write_vin(cards / "few", VALID) / "05.png").unlink()
    write_png(write_vin(cards / "many", VALID) / "18.png", draw("A"))
    (write_vin(cards / "bad", VALID) / "03.png").write_bytes(b"no picture")
    for name in ("04.png", "09.png"):
        data = (write_vin(cards / name[:2], VALID) / name).read_bytes()
        (cards / name[:2] / name).write_bytes(data[: len(data) // 2])
        (cards / name[:2] / "17.png").write_bytes(b"")
    status, out, err = read(cards, "--threshold", "0.9")
    assert status == 1
    assert [line.split()[-1] for line in out[1:]] == ["card2", "card10"]
    replace = "; this VIN is not read, replace the picture"
    assert err == [
        f"{cards}/04: 04.png: damaged or truncated picture (and 1 more){replace}",
        f"{cards}/09: 09.png: damaged or truncated picture (and 1 more){replace}",
        f"{cards}/bad: 03.png: not a PNG, JPEG, BMP, TIFF or WebP picture{replace}",
        f"{cards}/few: 16 pictures, not 17; put one picture of each cell there, and nothing else",
        f"{cards}/many: 18 pictures, not 17; put one picture of each cell there, and nothing else",
        "2 VINs: 2 accepted, 0 for review; folders that could not be read: 5",
    ]


@pytest.mark.parametrize(("num_outputs", "cell"), [(33, np.full((60, 60), 250, np.uint8)), (34, draw(BLOT, 60))])
def test_a_blank_or_illegible_cell_goes_to_review(cards, read, tmp_path, num_outputs, cell):
    model = write_model(tmp_path / "model.onnx", size=128, num_outputs=num_outputs)
    write_png(cards / "card2" / "04.png", cell)
    status, out, err = read(cards / "card2", "--threshold", "0", "--model", model)
    assert status == 0
    assert out[1].startswith("review")
    assert out[1].endswith("  no clearly legible character in cell 4")
    assert err == ["1 VIN: 0 accepted, 1 for review"]


def test_folders_without_pictures_are_noted(cards, read):
    (cards / "notes").mkdir()
    (cards / "notes" / "a.txt").write_text("x")
    (cards / ".hidden").mkdir()
    status, out, err = read(cards)
    assert (status, len(out)) == (0, 3)
    assert err[0] == f"{cards}: folders without pictures, left out: 1"


def test_nothing_there_is_a_note(tmp_path, read):
    assert read(tmp_path) == (0, [], [f"no pictures in {tmp_path} or a folder in it (PNG, JPEG, BMP, TIFF, WebP)"])


def test_odd_names(tmp_path, read):
    folder = tmp_path / 'a,"b"\nc ü'
    write_vin(folder, VALID, "cell ({}).png")
    (folder / "cell (1).png").rename(folder / "cell.png")
    _, out, _ = read(tmp_path)
    assert out[1].endswith('a,"b"\\nc ü')
    (row,) = csv.DictReader(read_raw(tmp_path, read))
    assert (row["file"], row["vin"]) == (str(folder), VALID)
    assert json.loads(read(tmp_path, "--format", "jsonl")[1][0])["file"] == str(folder)


def read_raw(directory, read):
    """The lines of CSV with their ends, so that a line feed within quotes is whole."""
    return [line + "\n" for line in read(directory, "--format", "csv")[1]]


@pytest.mark.skipif(sys.platform == "win32", reason="file names are not bytes there")
def test_names_that_are_no_text(tmp_path, model):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    write_vin(folder, VALID)
    command = [sys.executable, "-m", "vinscribe", "read", "--cells", str(tmp_path), "--model", model]
    root = str(Path(__file__).resolve().parent.parent)
    done = subprocess.run(command, capture_output=True, check=True, cwd=root)
    assert b"  caf\xe9" in done.stdout


def test_expected_vins_are_weighed_and_what_is_left_out_is_said(cards, read, tmp_path):
    register = tmp_path / "register.txt"
    register.write_text(f"{OTHER}\nABC\n")
    write_png(cards / "card10" / "12.PNG", np.full((60, 60), 250, np.uint8))
    probability = [float(line.split()[1]) for line in read(cards)[1][1:]]
    status, out, err = read(cards, "--expected", str(register))
    assert status == 0
    assert "1 of 2" in err[0]
    assert "register.txt" in err[0]
    assert out[2].split()[2] == OTHER
    assert float(out[2].split()[1]) > probability[1]


def test_what_is_usual_at_the_office_is_weighed_and_what_is_left_out_is_said(cards, read, tmp_path):
    def write(name, vins):
        (tmp_path / name).write_text("\n".join(vins))
        return str(tmp_path / name)

    usual = [f"{OTHER[:11]}{number:06}" for number in range(50)]
    write_png(cards / "card10" / "12.PNG", np.full((60, 60), 250, np.uint8))
    readings = {}
    for name, files in (
        ("none", []),
        ("one", [write("a.txt", [*usual, "ABC"])]),
        ("two", [write("b.txt", usual[:25]), write("c.txt", usual[20:])]),
    ):
        options = [word for file in files for word in ("--register", file)]
        status, out, err = read(cards, "--format", "jsonl", *options)
        assert status == 0
        assert any("1 of 51" in line and "a.txt" in line for line in err) == (name == "one")
        readings[name] = out
    assert readings["one"] == readings["two"] != readings["none"]


def test_a_register_and_a_list_of_expected_vins(cards, read, tmp_path):
    (tmp_path / "list.txt").write_text(f"{OTHER}\n")
    Register.of([VALID]).save(tmp_path / "office.npz")
    status, out, _ = read(cards, "--expected", str(tmp_path / "list.txt"), "--register", str(tmp_path / "office.npz"))
    assert (status, out[2].split()[2]) == (0, OTHER)


def test_the_market_matters(cards, read):
    def confidence(market):
        return json.loads(read(cards, "--format", "jsonl", "--market", market)[1][1])["confidence"]

    assert confidence("europe") > confidence("north-america")  # the check digit of OTHER is wrong


WRONG_USE = {
    "no such directory: none": ["--cells", "none"],
    "no such file or folder": ["scan.tif"],
    "nothing to read": [],
    "threshold": ["--cells", ".", "--threshold", "2"],
    "invalid float": ["--cells", ".", "--threshold", "x"],
    "invalid choice": ["--cells", ".", "--market", "moon"],
    "none.txt": ["--cells", ".", "--expected", "none.txt"],
    "none.csv": ["--cells", ".", "--register", "none.csv"],
    "none.onnx": ["--cells", ".", "--model", "none.onnx"],
}


@pytest.mark.parametrize("says", list(WRONG_USE))
def test_wrong_use_is_one_line_and_status_2(cards, says, capsys, monkeypatch):
    monkeypatch.chdir(cards)
    assert main(["read", *WRONG_USE[says]]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert says in err


def test_a_missing_package_is_said_with_the_way_out(cards, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "vinscribe.output", None)  # as if something that it needs were not there
    monkeypatch.setitem(sys.modules, "cv2", None)
    for name in ("vinscribe.output", "vinscribe.reader", "vinscribe.images"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert main(["read", "--cells", str(cards)]) == 2
    assert capsys.readouterr().err == "vinscribe: cv2 is not installed; pip install -r requirements.txt\n"


def test_defaults_and_choices_are_those_of_the_modules():
    assert (*VIN_FORMATS, "parquet") == read_command.FORMATS
    assert list(read_command.MARKETS) == list(MARKETS)
    assert read_command.THRESHOLD == THRESHOLD
