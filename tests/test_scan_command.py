"""`vinscribe read PATH…`: scans in, lines out, on all cores."""

import csv
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from drawn import write_model
from scan_files import card, encode, scanned_pdf, tiff

from vinscribe.cli import main
from vinscribe.scan_command import Counts
from vinscribe.training.cards import draw_card

ROOT = Path(__file__).resolve().parent.parent
SUMMARY = re.compile(
    r"(\d+) files?(?: \((\d+) more were read before\))?, (\d+) pages? read: (\d+) accepted, (\d+) for review, "
    r"(\d+) without a field; (\d+) failed; .*, [\d.,]+ pages/s"
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "model.onnx", size=40, num_outputs=34)


@pytest.fixture
def scans(tmp_path, monkeypatch):
    """A folder ``scans`` in the current directory: five files with eight pages, one of them a card."""
    folder = tmp_path / "scans"
    (folder / "sub").mkdir(parents=True)
    (folder / "b.tif").write_bytes(tiff([card(0), card(1), card(2)]))
    (folder / "a.png").write_bytes(encode(draw_card(5, layout="boxes", scan="clean", dpi=150).image))
    (folder / "sub" / "c ü\n.pdf").write_bytes(scanned_pdf([card(0), card(1)]))
    (folder / "z.jpg").write_bytes(encode(card(0), ".jpg"))
    monkeypatch.chdir(tmp_path)
    return folder


PLACES = [
    ("a.png", 1),
    ("b.tif", 1),
    ("b.tif", 2),
    ("b.tif", 3),
    ("sub/c ü\n.pdf", 1),
    ("sub/c ü\n.pdf", 2),
    ("z.jpg", 1),
]


@pytest.fixture
def read(model, capsys):
    def run(*arguments):
        status = main(["read", "--model", model, "--workers", "1", *map(str, arguments)])
        out, err = capsys.readouterr()
        return status, out.splitlines(), err.splitlines()

    return run


def places(lines):
    return [(said["file"].removeprefix("scans/"), said["page"]) for said in map(json.loads, lines)]


def test_jsonl_has_a_line_for_each_page_in_order(scans, read):
    status, out, err = read("scans", "--format", "jsonl")
    assert status == 0
    assert places(out) == PLACES
    assert [json.loads(line)["decision"] for line in out[1:]] == ["no_field"] * 6
    ((files, before, pages, *decisions, no_field, failed),) = (SUMMARY.fullmatch(line).groups() for line in err)
    assert (files, before, pages, failed) == ("4", None, "7", "0")
    assert sum(map(int, decisions)) + int(no_field) == 7


def test_the_table_and_csv(scans, read):
    _, out, _ = read("scans/b.tif", "scans/z.jpg")
    assert out[0].split() == ["conf.", "VIN", "ink", "alone", "page", "file", "reason"]
    assert [line.split()[:3] for line in out[1:]] == [
        *(["no_field", str(page), "b.tif"] for page in (1, 2, 3)),
        ["no_field", "1", "z.jpg"],
    ]
    assert out[0].index("reason") == out[1].index("no row of")
    _, out, _ = read("scans/sub", "--format", "csv")
    rows = list(csv.DictReader(line + "\n" for line in out))
    assert [(row["file"], row["page"], row["vin"]) for row in rows] == [
        ("scans/sub/c ü\n.pdf", "1", ""),
        ("scans/sub/c ü\n.pdf", "2", ""),
    ]


def test_a_card_is_read_as_a_reader_does(scans, read, model):
    from vinscribe.output import vin_to_json
    from vinscribe.reader import Reader

    _, out, _ = read("scans/a.png", "--format", "jsonl")
    assert out == [vin_to_json(reading) for reading in Reader(model).read("scans/a.png")]


def test_a_file_is_read_once_however_often_it_is_named(scans, read):
    _, out, _ = read("scans/z.jpg", "scans", "./scans/b.tif", "scans/../scans/z.jpg", "--format", "jsonl")
    assert places(out) == [PLACES[-1], *PLACES[:-1], ("../scans/z.jpg", 1)]


def test_what_cannot_be_read_is_one_line_each_and_the_rest_goes_on(scans, read):
    (scans / "a0.png").write_bytes(b"")
    (scans / "sub" / "x\ny.pdf").write_bytes(b"%PDF-1.4 and nothing else")
    data = bytearray(tiff([card(0), card(1)]))
    (scans / "c.tif").write_bytes(data[:-100])
    (scans / "d.png").mkdir()
    status, out, err = read("scans", "--format", "jsonl")
    assert status == 1
    assert [place for place in places(out) if place[0] != "c.tif"] == PLACES
    assert err[:-1] == [
        "scans/a0.png: empty file",
        "scans/c.tif, page 2: truncated TIFF file; scan or copy it again",
        "scans/sub/x\\ny.pdf: damaged or truncated PDF; open and save it in a PDF viewer, or scan it again",
    ]
    assert SUMMARY.fullmatch(err[-1]).groups()[::6] == ("7", "3")


def test_nothing_there_is_a_note(tmp_path, read):
    assert read(tmp_path) == (0, [], [f"no scans in {tmp_path} (PNG, JPEG, BMP, TIFF, WebP, PDF)"])


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_out_is_what_standard_output_would_be(scans, read, ending):
    _, out, _ = read("scans", "--format", ending)
    status, nothing, err = read("scans", "--out", f"vins.{ending}")
    assert (status, nothing, len(err)) == (0, [], 1)
    assert Path(f"vins.{ending}").read_text().splitlines() == out
    status, _, err = read("scans", "--out", f"vins.{ending}", "--resume")
    assert SUMMARY.fullmatch(err[0]).groups()[:3] == ("0", "4", "0")
    assert Path(f"vins.{ending}").read_text().splitlines() == out


def test_resume_reads_what_is_new_and_what_failed(scans, read):
    (scans / "b.png").write_bytes(b"")
    assert read("scans", "--out", "vins.jsonl")[0] == 1
    before = Path("vins.jsonl").read_bytes()
    status, _, err = read("scans", "--out", "vins.jsonl", "--resume")
    assert (status, err[0]) == (1, "scans/b.png: empty file")
    assert SUMMARY.fullmatch(err[1]).groups()[:3] == ("1", "4", "0")
    (scans / "b.png").write_bytes(encode(card(0)))
    (scans / "0.png").write_bytes(encode(card(0)))
    assert read("scans", "--out", "vins.jsonl", "--resume")[0] == 0
    after = Path("vins.jsonl").read_bytes()
    assert after.startswith(before)
    assert places(after[len(before) :].splitlines()) == [("0.png", 1), ("b.png", 1)]


def test_resume_with_other_settings_is_refused(scans, read):
    read("scans/z.jpg", "--out", "vins.jsonl")
    Path("list.txt").write_text("1HGCM82633A004352\n")
    status, _, (line,) = read(
        "scans", "--out", "vins.jsonl", "--resume", "--market", "europe", "--expected", "list.txt"
    )
    assert status == 2
    assert "was begun with another list of expected VINs and market" in line


def test_resume_with_another_register_is_refused(scans, read):
    for name, vin in (("a.txt", "1HGCM82633A004352"), ("b.txt", "1M8GDM9AXKP042788")):
        Path(name).write_text(f"{vin}\n")
    both = ["--register", "a.txt", "--register", "b.txt"]
    assert read("scans/z.jpg", "--out", "vins.jsonl", *both)[0] == 0
    assert read("scans/z.jpg", "--out", "vins.jsonl", "--resume", *both[2:], *both[:2])[0] == 0
    for others in ([], both[:2]):
        status, _, (line,) = read("scans/z.jpg", "--out", "vins.jsonl", "--resume", *others)
        assert status == 2
        assert "was begun with another register" in line
    Path("b.txt").write_text("1HGCM82633A004352\n")
    assert "was begun with another register" in read("scans/z.jpg", "--out", "vins.jsonl", "--resume", *both)[2][0]


def test_a_wrong_setting_leaves_no_file_behind(scans, read):
    status, out, (line,) = read("scans", "--out", "vins.csv", "--threshold", "2")
    assert (status, out) == (2, [])
    assert "threshold" in line
    assert not os.path.lexists("vins.csv")


def test_notes_on_the_list_come_first(scans, read):
    Path("list.txt").write_text("1HGCM82633A004352\nnone\n")
    _, _, err = read("scans/z.jpg", "--expected", "list.txt")
    assert "1 of 2" in err[0]
    _, _, err = read("scans/z.jpg", "--expected", "list.txt", "--register", "list.txt")
    assert "1 of 2" in err[0]
    assert "1 of 2" in err[1]


WRONG_USE = {
    "no such file or folder: none": ["none"],
    "nothing to read; give either scans or --cells DIR": [],
    "scans and cells are read one at a time": ["scans", "--cells", "scans"],
    "--out is for scans": ["--cells", "scans", "--out", "x.csv"],
    "--workers 0: at least one has to work": ["scans", "--workers", "0"],
    "--resume goes on with a file": ["scans", "--resume"],
    "must be .jsonl or .csv": ["scans", "--out", "vins.txt"],
    "are two formats": ["scans", "--out", "vins.csv", "--format", "jsonl"],
    "--annotate scans/sub lies in scans, which is read": ["scans", "--annotate", "scans/sub"],
    "cannot write to scans/z.jpg": ["scans/sub", "--annotate", "scans/z.jpg"],
    "No such file or directory": ["scans", "--out", "none/vins.csv"],
    "is there already": ["scans", "--out", "there.csv"],
    "none.onnx": ["scans", "--model", "none.onnx"],
}


@pytest.mark.parametrize("says", list(WRONG_USE))
def test_wrong_use_is_one_line_and_status_2(scans, says, capsys):
    Path("there.csv").write_text("mine")
    assert main(["read", *WRONG_USE[says]]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert says in err
    assert Path("there.csv").read_text() == "mine"


def test_summary():
    counts = Counts(files=1, accept=1)
    assert counts.summary(0.5) == (
        "1 file, 1 page read: 1 accepted, 0 for review, 0 without a field; 0 failed; 0 s, 2.0 pages/s"
    )
    counts = Counts(files=4000, before=2000, accept=3000, review=1500, no_field=500, failed=3)
    assert counts.summary(5000) == (
        "4,000 files (2,000 more were read before), 5,000 pages read: 3,000 accepted, 1,500 for review, "
        "500 without a field; 3 failed; 1 h 23 min, 1.0 pages/s"
    )


def command(*arguments):
    return [sys.executable, "-m", "vinscribe", "read", *map(str, arguments)]


ENVIRONMENT = dict(os.environ) | {"PYTHONPATH": str(ROOT)}


@pytest.fixture
def many(scans):
    """Enough files that a run can be stopped in the middle."""
    for number in range(150):
        os.link(scans / "z.jpg", scans / f"m{number:03d}.jpg")
        (scans / f"torn{number:03d}.png").write_bytes(b"")
    (scans / "n.tif").write_bytes(tiff([card(0)] * 100))
    return scans


def size(path):
    return os.path.getsize(path) if os.path.lexists(path) else 0


def start(arguments, path, until):
    """The command, stopped by nobody yet, once it has written so many bytes or has come to its end."""
    process = subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT, start_new_session=True
    )
    while process.poll() is None and size(path) < until:
        time.sleep(0.002)
    return process


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_killed_at_any_moment_and_resumed_it_writes_what_an_unbroken_run_writes(many, model):
    arguments = ["scans", "--model", model, "--workers", "2", "--resume", "--out"]
    subprocess.run(command(*arguments, "whole.jsonl"), env=ENVIRONMENT, capture_output=True, check=False)
    whole = Path("whole.jsonl").read_bytes()
    chance = random.Random(0)  # noqa: S311
    killed = 0
    for part in (0.0, 0.3, 0.6):
        until = int(len(whole) * (part + chance.random() / 3)) + 1
        process = start([*arguments, "vins.jsonl"], "vins.jsonl", until)
        process.kill()
        killed += process.wait() == -signal.SIGKILL
        process.stdout.close()
        process.stderr.close()
        assert whole.startswith(Path("vins.jsonl").read_bytes())
    assert killed >= 2
    done = subprocess.run(
        command(*arguments, "vins.jsonl"), env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert Path("vins.jsonl").read_bytes() == whole
    assert done.returncode == 1
    assert sum("empty file" in line for line in done.stderr.splitlines()) == 150


@pytest.mark.skipif(sys.platform == "win32", reason="no groups of processes there")
def test_ctrl_c_says_how_to_go_on(many, model):
    process = start(["scans", "--model", model, "--out", "vins.jsonl"], "vins.jsonl", 3000)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to all
    out, err = process.communicate()
    assert process.returncode == 130
    assert out == b""
    lines = [line for line in err.decode().splitlines() if "empty file" not in line]
    assert len(lines) == 1
    assert lines[0].startswith("interrupted; the same command with --resume goes on: ")
    for line in Path("vins.jsonl").read_text().splitlines():
        json.loads(line)


def test_nobody_reads_the_output_any_more(many, model):
    process = subprocess.Popen(
        command("scans", "--model", model, "--format", "jsonl"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    assert process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 141
    assert b"Traceback" not in errors


def test_names_that_are_no_text(scans, model):
    name = os.fsdecode(b"caf\xe9.jpg")
    (scans / "z.jpg").rename(scans / "sub" / name)
    done = subprocess.run(command("scans/sub", "--model", model), env=ENVIRONMENT, capture_output=True, check=True)
    assert b"  caf\xe9.jpg" in done.stdout
    subprocess.run(command("scans/sub", "--out", "a.jsonl", "--model", model), env=ENVIRONMENT, check=True)
    files = [json.loads(line)["file"] for line in Path("a.jsonl").read_text().splitlines()]
    assert files == [f"scans/sub/{each}" for each in ("c ü\n.pdf", "c ü\n.pdf", name)]
