import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn import draw, write_model

import vinscribe
from vinscribe.cli import main

ROOT = Path(__file__).resolve().parent.parent
WORD = "1HGCM82633A004352"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "model.onnx")


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
    assert list(readings[0]) == ["file", "char", "code", "confidence", "top", "legible"]


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
    commands = [line.split()[0] for line in text.split("commands:")[1].splitlines() if line.startswith("    ")]
    commands = [name for name in commands if name.islower() and name != "vinscribe"]
    assert "chars" in commands
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
