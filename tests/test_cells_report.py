"""cells_report.py and ``vinscribe evaluate --cells``: figures worked out by hand, and an office without PyTorch."""

import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn import BLOT, draw, write_model
from numpy.typing import NDArray

from vinscribe.charset import CHARSET, ILLEGIBLE, label_of
from vinscribe.cli import main
from vinscribe.errors import ImageError
from vinscribe.training.cells_report import Share, measure_cells, read_cells
from vinscribe.training.evaluate import measure, wilson_interval

ROOT = Path(__file__).resolve().parent.parent


def outputs_for(*rows: tuple[str, float, float]) -> NDArray[np.float32]:
    """(N, 34): each row reads a character with a joint probability, beside that of no legible character."""
    outputs = np.zeros((len(rows), 34), np.float32)
    for row, (char, confidence, illegible) in zip(outputs, rows, strict=True):
        row[:33] = (1 - confidence - illegible) / 32
        row[label_of(char)] = confidence
        row[ILLEGIBLE] = illegible
    return outputs


ROWS = (
    ("5", 0.9995, 0.0001),  # 5
    ("S", 0.9991, 0.0002),  # 5
    ("5", 0.991, 0.001),  # 5
    ("0", 0.3, 0.6),  # 0, called illegible
    ("D", 0.95, 0.01),  # 0
    ("7", 0.02, 0.97),  # none, called so
    ("7", 0.992, 0.005),  # none, read as 7
)
LABELS = np.array([5, 5, 5, 0, 0, ILLEGIBLE, ILLEGIBLE])
FILES = list("abcdefg")


def test_measures_worked_out_by_hand() -> None:
    outputs = outputs_for(*ROWS)
    report = measure_cells(outputs, outputs, LABELS, FILES)
    assert report.num_images == 7
    assert report.called_illegible == Share(1, 5)
    assert report.called_legible == Share(1, 2)
    assert report.sure == ((0.99, Share(2, 4)), (0.999, Share(1, 2)))
    assert [error[:3] for error in report.worst] == [("b", "5", "S"), ("g", "none", "7"), ("e", "0", "D")]
    assert [error[3] for error in report.worst] == pytest.approx([0.9991, 0.992, 0.95])
    assert len(measure_cells(outputs, outputs, LABELS, FILES, most=1).worst) == 1
    # The rest is what evaluate says of the pictures with a character, given that there is one.
    given = outputs[:5, :33] / outputs[:5, :33].sum(1, keepdims=True)
    assert report.characters is not None
    assert report.characters.micro == 3 / 5
    assert report.characters.nll == pytest.approx(measure(given, LABELS[:5]).nll)
    assert report.characters.ece == pytest.approx(measure(given, LABELS[:5]).ece)


def test_the_text_says_it() -> None:
    outputs = outputs_for(*ROWS)
    lines = measure_cells(outputs, outputs, LABELS, FILES).text().splitlines()
    assert lines[0] == "images                   5"
    low, high = wilson_interval(np.array(1), np.array(5))
    assert f"legible, called illegible  1 of 5   20.00%   95 % interval {low:.2%} to {high:.2%}" in lines
    assert any(line.startswith("illegible, called legible  1 of 2   50.00%") for line in lines)
    assert any(line.startswith("confidence >= 0.99         57.14% of all; right 2 of 4   50.00%") for line in lines)
    assert any(line.startswith("confidence >= 0.999        28.57% of all; right 1 of 2   50.00%") for line in lines)
    assert lines[-3:] == ["5     S  0.9991  b", "none  7  0.9920  g", "0     D  0.9500  e"]


def test_all_right_and_all_without_a_character() -> None:
    outputs = outputs_for(("5", 0.9, 0.05))
    right = measure_cells(outputs, outputs, np.array([5]), ["a"]).text()
    assert right.endswith("\nno errors")
    assert "illegible, called legible  none\n" in right
    assert "0.00% of all; right none" in right
    none = measure_cells(outputs, outputs, np.array([ILLEGIBLE]), ["a"])
    assert none.characters is None
    assert none.text().startswith("no pictures with a character\n")


def test_files_that_are_no_pictures_keep_their_place(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), draw("A", 50))
    cv2.imwrite(str(tmp_path / "tiny.png"), np.zeros((3, 3), np.uint8))
    found = list(read_cells([str(tmp_path / name) for name in ("none.png", "a.png", "tiny.png")], 40))
    assert [isinstance(cell, ImageError) for cell in found] == [True, False, True]
    assert isinstance(found[1], np.ndarray)
    assert found[1].shape == (40, 40)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_model(tmp_path_factory.mktemp("model") / "model.onnx", size=40, num_outputs=34))


@pytest.fixture
def office(tmp_path: Path) -> Path:
    """33 characters, an A called B, a blot, and a picture that nobody can name."""
    folder = tmp_path / "office"
    (folder / "sub").mkdir(parents=True)
    rows = [(f"{char}.png", char, char) for char in CHARSET]
    rows += [("sub/wrong.png", "A", "B"), ("sub/blot.png", BLOT, ""), ("unknown.png", "A", "?")]
    for name, char, _ in rows:
        cv2.imwrite(str(folder / name), draw(char, 60))
    labels = "".join(f"{name},{label}\n" for name, _, label in rows)
    (folder / "labels.csv").write_text("file,label\n" + labels)
    return folder


def test_evaluate_cells(model: str, office: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet, diagram = tmp_path / "errors.png", tmp_path / "reliability.png"
    command = ["evaluate", model, "--cells", str(office), "--errors", str(sheet), "--reliability", str(diagram)]
    assert main(command) == 0
    out, err = capsys.readouterr()
    assert "images                   34\n" in out
    assert "accuracy (micro)         97.06%" in out
    assert "most confused (true→read): B→A 1\n" in out
    assert "illegible, called legible  0 of 1 " in out
    assert re.search(rf"\nB     A  0\.\d{{4}}  {re.escape(str(office))}/sub/wrong\.png\n$", out)
    assert err.splitlines() == [
        "labelled ? and left out: 1",
        f"wrote the 1 most confident errors to {sheet}",
        f"wrote the reliability diagram to {diagram}",
    ]
    assert cv2.imread(str(sheet)).shape == (110, 1920, 3)
    assert cv2.imread(str(diagram)) is not None


def test_a_model_of_33_outputs_and_28_px(office: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(write_model(tmp_path / "model.onnx")), "--cells", str(office)]) == 0
    out = capsys.readouterr().out
    assert "accuracy (micro)         97.06%" in out
    assert "illegible, called legible  1 of 1 " in out


def test_an_unreadable_picture_is_named_and_the_rest_measured(
    model: str, office: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (office / "C.png").write_bytes(b"no picture")
    assert main(["evaluate", model, "--cells", str(office)]) == 1
    out, err = capsys.readouterr()
    assert "images                   33\n" in out
    assert err.splitlines()[0].startswith(f"{office}/C.png: not a PNG")
    for path in office.rglob("*.png"):
        path.write_bytes(b"")
    assert main(["evaluate", model, "--cells", str(office)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1] == f"vinscribe: {office}: none of its pictures can be read"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda office: (office / "labels.csv").unlink(), r"no .*labels\.csv"),
        (lambda office: (office / "labels.csv").write_text("file,label\n"), "no row with a label"),
        (lambda office: (office / "A.png").unlink(), r"line 12: no such file: 'A\.png'"),
    ],
)
def test_what_cannot_be_measured_is_status_2(  # type: ignore[no-untyped-def]
    model: str, office: Path, capsys: pytest.CaptureFixture[str], change, message: str
) -> None:
    change(office)
    assert main(["evaluate", model, "--cells", str(office)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(f"vinscribe: .*{message}.*\n", err)


@pytest.mark.parametrize(
    "wrong", [["--emnist", "gzip.zip"], ["--view", "vin"], ["--split", "test"], ["--errors", "none/sheet.png"]]
)
def test_wrong_use_is_status_2(model: str, office: Path, capsys: pytest.CaptureFixture[str], wrong: list[str]) -> None:
    assert main(["evaluate", model, "--cells", str(office), *wrong]) == 2
    assert re.fullmatch(
        r"vinscribe: (--cells measures on .*|cannot write none/sheet\.png: no such .*)\n",
        capsys.readouterr().err,
    )


def test_an_office_that_only_reads_can_measure(model: str, office: Path, tmp_path: Path) -> None:
    """Without what requirements-train.txt adds: an import hook in place of packages taken away."""
    (tmp_path / "sitecustomize.py").write_text(
        "from importlib import machinery\n"
        "true_find_spec = machinery.PathFinder.find_spec\n"
        "def find_spec(name, path=None, target=None):\n"
        "    gone = 'torch keras h5py onnx onnxscript matplotlib scipy requests tqdm platformdirs'.split()\n"
        "    return None if name.split('.')[0] in gone else true_find_spec(name, path, target)\n"
        "machinery.PathFinder.find_spec = find_spec\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    command = [sys.executable, "-m", "vinscribe", "evaluate", model, "--cells", str(office)]

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *options], capture_output=True, text=True, env=environment, check=False)

    done = run("--errors", str(tmp_path / "sheet.png"))
    assert (done.returncode, "accuracy (micro)         97.06%" in done.stdout) == (0, True), done.stderr
    assert (tmp_path / "sheet.png").exists()
    done = run("--reliability", str(tmp_path / "diagram.png"))
    assert done.stderr == "vinscribe: matplotlib is not installed; pip install -r requirements-train.txt\n"
    assert (done.stdout, done.returncode) == ("", 2)
