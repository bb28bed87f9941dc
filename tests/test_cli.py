import contextlib
import csv
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn import BLOT, draw, write_model

import vinscribe
from vinscribe.charset import CHARSET
from vinscribe.cli import main

ROOT = Path(__file__).resolve().parent.parent
WORD = "1HGCM82633A004352"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "model.onnx")


@pytest.fixture(scope="module")
def blot_model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "blot.onnx", size=40, num_outputs=34)


@pytest.fixture
def folder(tmp_path):
    """A folder ``cards`` with WORD in it, one picture a character, of many kinds."""
    directory = tmp_path / "cards"
    directory.mkdir()
    endings = ["png", "PNG", "jpg", "jpeg", "bmp", "tif", "tiff", "webp", "WebP"]
    for number, char in enumerate(WORD):
        picture = draw(char, 28 + 9 * number)
        picture = 255 - picture if number % 2 else picture
        cv2.imwrite(str(directory / f"{number:02d}.{endings[number % len(endings)]}"), picture)
    return directory


def run(*arguments, cwd, script=("inference.py",)):
    command = [sys.executable, *(str(ROOT / part) if part.endswith(".py") else part for part in script), *arguments]
    environment = dict(os.environ) | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment, check=False)


def expected_lines(directory, typed="cards"):
    names = sorted(os.listdir(directory))
    return [f"{ord(char):03d}, {typed}/{name}" for char, name in zip(WORD, names, strict=True)]


@pytest.mark.parametrize("typed", ["cards", "cards/", "./cards"])
def test_inference_prints_the_fixed_lines_and_nothing_else(folder, model, typed):
    done = run(typed, "--model", model, cwd=folder.parent)
    assert done.stdout.splitlines() == expected_lines(folder, typed.rstrip("/"))
    assert (done.stderr, done.returncode) == ("", 0)


@pytest.mark.parametrize("arguments", [[], ["none"], ["cards/00.png"], ["cards", "--nonsense"]])
def test_inference_wrong_use_is_one_line_and_status_2(folder, arguments):
    done = run(*arguments, cwd=folder.parent)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


def test_bad_files_get_one_line_each_and_the_rest_is_read(folder, model):
    good = expected_lines(folder)
    picture = (np.random.default_rng(0).random((60, 60, 3)) * 255).astype(np.uint8)
    bad = {"zempty.png": b"", "ztext.jpg": b"hello"}
    for ending in ("png", "jpg", "tif", "bmp", "webp"):
        data = cv2.imencode(f".{ending}", picture)[1].tobytes()
        bad[f"zcut.{ending}"] = data[: len(data) // 2]
    bad["ztiny.png"] = cv2.imencode(".png", np.zeros((4, 4), np.uint8))[1].tobytes()
    bad["zwith\nfeed.png"] = b"no"
    for name, data in bad.items():
        (folder / name).write_bytes(data)
    # A JPEG with an early end decodes to half a picture; libjpeg would say so on standard error by itself.
    whole = cv2.imencode(".jpg", picture)[1].tobytes()
    (folder / "zzearly_end.jpg").write_bytes(whole[: len(whole) // 2] + b"\xff\xd9")
    done = run("cards", "--model", model, cwd=folder.parent)
    assert done.returncode == 1
    assert done.stdout.splitlines()[: len(good)] == good
    complaints = done.stderr.splitlines()
    assert len(complaints) == len(bad)
    for name, complaint in zip(sorted(bad), complaints, strict=True):
        assert complaint.startswith("cards/" + name.replace("\n", "\\n") + ": ")


def test_a_model_of_another_size_and_with_34_outputs_reads_the_same(folder, blot_model):
    done = run("cards", "--model", blot_model, cwd=folder.parent)
    assert done.stdout.splitlines() == expected_lines(folder)
    assert (done.stderr, done.returncode) == ("", 0)


NOTE = r"cards/.*: no legible character \(probability (0\.[5-9]\d|1\.00)\); the best guess is printed"


def test_an_illegible_picture_gets_its_line_and_a_note(folder, blot_model):
    good = expected_lines(folder)
    cv2.imwrite(str(folder / "zblot.png"), draw(BLOT, 60))
    (folder / "zfeed\n.png").write_bytes((folder / "zblot.png").read_bytes())
    done = run("cards", "--model", blot_model, cwd=folder.parent)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[:-2] == good
    assert [re.sub(r"^\d{3}", "", line) for line in lines[-2:]] == [", cards/zblot.png", ", cards/zfeed\\n.png"]
    assert chr(int(lines[-2][:3])) in CHARSET
    assert [line.split(": ")[0] for line in done.stderr.splitlines()] == ["cards/zblot.png", "cards/zfeed\\n.png"]
    assert all(re.fullmatch(NOTE, line) for line in done.stderr.splitlines())


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_json_and_csv_say_it_themselves(folder, blot_model, kind, capsys):
    cv2.imwrite(str(folder / "zblot.png"), draw(BLOT, 60))
    assert main(["chars", str(folder), "--format", kind, "--model", blot_model]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    rows = (
        [json.loads(line) for line in out.splitlines()] if kind == "jsonl" else list(csv.DictReader(out.splitlines()))
    )
    assert [row["legible"] in (True, "true") for row in rows] == [True] * len(WORD) + [False]
    assert float(rows[-1]["legible_probability"]) < 0.5 < float(rows[0]["legible_probability"])


def mixed(folder, count=900):
    """Many links to a good picture, a blot and a file that is no picture, in turn."""
    cv2.imwrite(str(folder / "blot.png"), draw(BLOT, 60))
    (folder / "bad.png").write_bytes(b"no")
    for number in range(count):
        os.link(folder / ("00.png", "blot.png", "bad.png")[number % 3], folder / f"x{number:04d}.png")


def test_lines_stay_whole_where_both_outputs_go_to_one_file(folder, blot_model, tmp_path):
    mixed(folder)
    everything = tmp_path / "all.txt"
    command = [sys.executable, str(ROOT / "inference.py"), "cards", "--model", blot_model]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with everything.open("w") as file:
        done = subprocess.run(
            command, cwd=folder.parent, stdout=file, stderr=subprocess.STDOUT, env=buffered, check=False
        )
    assert done.returncode == 1
    lines = everything.read_text().splitlines()
    reading, bad = r"\d{3}, cards/\w+\.\w+", r"cards/\w+\.png: not a PNG.*"
    assert all(re.fullmatch(f"{reading}|{bad}|{NOTE}", line) for line in lines)
    assert sum(bool(re.fullmatch(NOTE, line)) for line in lines) == 301
    for before, line in itertools.pairwise(lines):
        if re.fullmatch(NOTE, line):  # the note follows its line
            assert before[5:] == line.split(": ")[0]


@pytest.mark.skipif(sys.platform == "win32", reason="no terminals of this kind there")
def test_the_progress_line_takes_no_note_with_it(folder, blot_model, tmp_path):
    import pty

    mixed(folder)
    ours, theirs = pty.openpty()
    seen = bytearray()

    def collect():
        with contextlib.suppress(OSError):  # raised where the other side is closed
            while chunk := os.read(ours, 65536):
                seen.extend(chunk)

    collector = threading.Thread(target=collect)
    collector.start()
    command = [sys.executable, str(ROOT / "inference.py"), "cards", "--model", blot_model]
    with (tmp_path / "out.txt").open("w") as out:
        done = subprocess.run(command, cwd=folder.parent, stdout=out, stderr=theirs, check=False)
    os.close(theirs)
    collector.join()
    os.close(ours)
    assert done.returncode == 1
    # What a terminal shows in the end: a carriage return with "erase the line" takes away what stood there.
    lines = [line.rsplit("\r\x1b[K", 1)[-1] for line in seen.decode().split("\r\n")]
    notes = [line for line in lines if "no legible" in line]
    assert len(notes) == 301
    assert all(re.fullmatch(NOTE, line) for line in notes)
    assert sum("not a PNG" in line for line in lines) == 301
    assert lines[-1] == ""


def test_explain_prints_the_same_and_fills_a_folder(folder, blot_model, capsys):
    cv2.imwrite(str(folder / "zblot.png"), draw(BLOT, 60))
    (folder / "bad.png").write_bytes(b"no")
    command = ["chars", str(folder), "--model", blot_model]
    out = folder.parent / "seen"
    assert main(command) == 1
    expected = capsys.readouterr()
    assert main([*command, "--explain", str(out)]) == 1
    assert capsys.readouterr() == expected
    assert len(list(out.glob("*.png"))) == len(WORD) + 1
    assert "bad.png" in (out / "index.html").read_text()


def test_explain_into_the_pictures_folder_is_refused(folder, model, capsys):
    before = sorted(path.name for path in folder.iterdir())
    assert main(["chars", str(folder), "--model", model, "--explain", str(folder)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"vinscribe: --explain {folder}: that is the folder with the pictures")
    assert sorted(path.name for path in folder.iterdir()) == before


def test_an_empty_folder_is_a_note(tmp_path, model):
    (tmp_path / "empty").mkdir()
    done = run("empty", "--model", model, cwd=tmp_path)
    assert (done.stdout, done.returncode) == ("", 0)
    assert "no pictures in empty" in done.stderr


def test_a_wrong_model_is_one_line_and_status_2(folder):
    done = run("cards", "--model", "none.onnx", cwd=folder.parent)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [line for line in done.stderr.splitlines() if "none.onnx" in line]
    assert len(done.stderr.splitlines()) == 1


def test_python_m_vinscribe_chars_gives_the_same_lines(folder, model):
    done = run("chars", "cards", "--model", model, cwd=folder.parent, script=("-m", "vinscribe"))
    assert done.stdout.splitlines() == expected_lines(folder)


def test_jsonl(folder, model, capsys):
    assert main(["chars", str(folder), "--format", "jsonl", "--model", model]) == 0
    readings = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert "".join(reading["char"] for reading in readings) == WORD
    assert list(readings[0]) == ["file", "char", "code", "confidence", "top", "legible", "legible_probability"]


def test_csv(folder, model, capsys):
    assert main(["chars", str(folder), "--format", "csv", "--model", model]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert "".join(row["char"] for row in rows) == WORD


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["chars"], ["chars", ".", "--format", "xml"]])
def test_wrong_use_is_one_line_and_status_2(arguments, capsys):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("vinscribe: ")


def test_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"vinscribe {vinscribe.__version__}\n"


def test_every_command_has_help_with_an_example(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    text = capsys.readouterr().out
    commands = re.findall(r"^    ([a-z]+)", text.split("commands:")[1], re.MULTILINE)
    assert {"chars", "read", "vin", "train"} <= set(commands)
    for command in commands:
        with pytest.raises(SystemExit, match="0"):
            main([command, "--help"])
        example = capsys.readouterr().out.split("example")[1]
        assert f"vinscribe {command} " in example or f"python {command}.py" in example


def test_help_of_inference_has_an_example(tmp_path):
    done = run("--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "python inference.py samples" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGPIPE and SIGINT of this kind there")
class TestSignals:
    def test_nobody_reads_the_output(self, folder, model):
        for number in range(3000):
            os.link(folder / "00.png", folder / f"copy{number:05d}.png")
        command = [sys.executable, str(ROOT / "inference.py"), "cards", "--model", model]
        with subprocess.Popen(command, cwd=folder.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == b""
        assert process.returncode == 141

    def test_interrupt(self, folder, model):
        for number in range(3000):
            os.link(folder / "00.png", folder / f"copy{number:05d}.png")
        command = [sys.executable, "-u", str(ROOT / "inference.py"), "cards", "--model", model]
        with subprocess.Popen(command, cwd=folder.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            process.stdout.readline()
            process.send_signal(signal.SIGINT)
            process.stdout.close()
            errors = process.stderr.read()
        # Whether the interrupt or the closed pipe is seen first is open; neither may leave a traceback.
        assert process.returncode in (130, 141)
        assert b"Traceback" not in errors
