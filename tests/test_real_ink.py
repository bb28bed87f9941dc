"""benchmarks/real_ink.py: what it counts and what it writes, on drawn characters and a small drawn model."""

import csv
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn import BLOT, draw, write_model

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

import real_ink  # noqa: E402
from ink_sets import InkSet  # noqa: E402
from real_ink import Reading, score  # noqa: E402


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_model(tmp_path_factory.mktemp("model") / "model.onnx", size=40, num_outputs=34))


def make_set(folder: Path, text: str, name: str = "markus", labels: str | None = None) -> InkSet:
    """Pictures of a text's characters, by turns in the folder itself and in one of its subfolders."""
    (folder / "cells").mkdir(parents=True)
    files = [f"{'cells/' if number % 2 else ''}{number:02d}.png" for number in range(len(text))]
    for file, char in zip(files, text, strict=True):
        cv2.imwrite(str(folder / file), 255 - draw(char, 40))
    cv2.imwrite(str(folder / "unlabelled.png"), draw("Z", 40))
    marks = list(text if labels is None else labels)
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "label"), *zip(files, marks, strict=True)])
    return InkSet(name, folder, files, marks, "drawn")


def test_pictures_in_nested_folders_are_read_in_the_order_of_the_set(tmp_path: Path, model: str) -> None:
    ink = make_set(tmp_path / "set", "7AKX0" + BLOT, labels="7AKX0T")
    readings = real_ink.read_set(ink, model)
    assert "".join(reading.char for reading in readings[:5]) == "7AKX0"
    assert [reading.legible for reading in readings] == [True] * 5 + [False]
    assert all(0 <= reading.confidence <= 1 for reading in readings)


def test_an_unreadable_picture_or_a_missing_one_ends_it(tmp_path: Path, model: str) -> None:
    ink = make_set(tmp_path / "set", "7A")
    gone = InkSet(ink.name, ink.folder, [*ink.files, "gone.png"], ["7", "A", "B"], "")
    with pytest.raises(SystemExit, match=r"1 pictures of markus were not read.*gone\.png"):
        real_ink.read_set(gone, model)
    (ink.folder / "00.png").write_bytes(b"no picture")
    with pytest.raises(SystemExit, match=r"ended with status 1(.|\n)*00\.png"):
        real_ink.read_set(ink, model)


def test_two_commands_that_differ_are_an_error(tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ink = make_set(tmp_path / "set", "7A")
    true = real_ink._printed
    monkeypatch.setattr(real_ink, "_printed", lambda command: ((path, "B") for path, _ in true(command)))
    with pytest.raises(SystemExit, match=r"inference\.py printed 'B', vinscribe chars '7'"):
        real_ink.read_set(ink, model)


def test_score_counts() -> None:
    ink = InkSet("x", Path(), list("abcd"), list("AABB"), "")
    found = score(
        ink,
        [
            Reading("A", 0.9995, True),
            Reading("B", 0.992, True),
            Reading("B", 0.5, False),
            Reading("B", 0.9999, True),
        ],
    )
    assert found.pictures == 4
    assert found.accuracy == 0.75
    assert found.interval == pytest.approx((0.3006, 0.9544), abs=1e-4)
    assert found.class_mean == 0.75
    assert found.ece == pytest.approx((abs(2 - 0.9995 - 0.9999 - 0.992) + 0.5) / 4)
    assert found.called_illegible == 0.25
    assert found.sure["0.99"] == real_ink.Sure(0.75, 3, 1, 1 / 3)
    assert found.sure["0.999"] == real_ink.Sure(0.5, 2, 0, 0.0)
    assert found.errors == [("b", "A", "B", 0.992)]


def test_class_mean_weighs_classes_not_pictures() -> None:
    ink = InkSet("x", Path(), list("abcd"), list("AAAB"), "")
    assert score(ink, [Reading("A", 0.9, True)] * 4).class_mean == 0.5


def test_sets_without_characters_have_no_accuracy_and_every_sure_reading_is_an_error() -> None:
    ink = InkSet("struck", Path(), ["0_comb_lines.png", "1_comb_lines.jpg", "2_relief_zigzag.png"], [""] * 3, "")
    found = score(ink, [Reading("A", 0.995, True), Reading("B", 0.2, False), Reading("C", 0.1, False)])
    assert (found.accuracy, found.interval, found.class_mean, found.ece) == (None, None, None, None)
    assert found.sure["0.99"] == real_ink.Sure(1 / 3, 1, 1, 1.0)
    assert found.called_illegible == pytest.approx(2 / 3)
    assert found.groups == {"lines": 0.5, "zigzag": 1.0}


def test_groups_are_the_kinds_in_the_file_names() -> None:
    ink = InkSet("boxes", Path(), ["00_comb.png", "01_dashed.jpg", "02_comb.jpg"], list("AAA"), "")
    found = score(ink, [Reading(char, 0.9, True) for char in "ABB"])
    assert found.groups == {"comb": 0.5, "dashed": 0.0}


def test_the_table_has_a_column_for_each_reader() -> None:
    few = InkSet("markus", Path(), ["f"] * 20, ["1"] * 20, "exam digits")
    many = InkSet("photographed", Path(), ["f"] * 1000, ["1"] * 1000, "pencil")
    empty = InkSet("empty", Path(), ["0_comb.png"], [""], "boxes")
    scores = {
        name: {
            ink.name: score(ink, [Reading("1" if row < right * len(ink.files) else "7", 0.9, True)
                                  for row in range(len(ink.files))])
            for ink in (few, many, empty)
        }
        for name, right in (("vinscribe", 1.0), ("seed", 0.45))
    }  # fmt: skip
    rivals = {"tesseract": {"markus": 0.6}, "rapidocr": {"markus": 1.0, "photographed": 0.953}}
    lines = real_ink.accuracy_table([few, many, empty], scores, rivals).splitlines()
    assert lines[0] == "| set | ink | pictures | Tesseract | RapidOCR | vinscribe | seed | target |"
    assert lines[1] == "|" + "---|" * 8
    assert lines[2] == "| markus | exam digits | 20 | 12 of 20 | 20 of 20 | 20 of 20 | 9 of 20 | 20 of 20 |"
    assert lines[3] == "| photographed | pencil | 1,000 | – | 95.3 | 100.0 | 45.0 | 98.7 |"
    assert len(lines) == 4
    details = real_ink.confidence_table([few, many, empty], scores["seed"]).splitlines()
    assert len(details) == 5
    assert all(line.count("|") == details[0].count("|") for line in details)
    assert details[3].startswith("| photographed | 45.0 (41.9–48.1) | 45.0 |")


def test_models_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.onnx", "b.onnx"):
        Path(name).touch()
    assert real_ink.parse_models([]) == {"vinscribe": None}
    found = real_ink.parse_models(["a.onnx", "seed=b.onnx"])
    assert found == {"a": str(tmp_path / "a.onnx"), "seed": str(tmp_path / "b.onnx")}
    with pytest.raises(SystemExit, match="no such file"):
        real_ink.parse_models(["x=none.onnx"])
    with pytest.raises(SystemExit, match="the name a is taken"):
        real_ink.parse_models(["a.onnx", "a=b.onnx"])


def test_notes_of_the_rivals_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "rivals.json"
    path.write_text(json.dumps({"_record": {"seed": 0}, "rapidocr": {"karvy": 0.9}}))
    assert real_ink.read_rivals(path) == {"rapidocr": {"karvy": 0.9}}
    assert real_ink.read_rivals(None) == {}


def test_the_whole_command(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_set(tmp_path / "shared" / "boxed" / "markus", "0123456789", labels="0123456784")
    written = {}
    monkeypatch.setattr(real_ink, "write_between", lambda path, name, text: written.update({name: text}))
    out, diagrams = tmp_path / "out.json", tmp_path / "diagrams"
    arguments = ["--shared", tmp_path / "shared", "--sets", "markus", "--model", f"small={model}", "--json", out]
    monkeypatch.setattr(sys, "argv", ["real_ink.py", *map(str, arguments), "--diagrams", str(diagrams), "--model-card"])
    real_ink.main()
    figures = json.loads(out.read_text())["models"]["small"]["markus"]
    assert figures["accuracy"] == 0.9
    assert [error[:3] for error in figures["errors"]] == [["cells/09.png", "4", "9"]]
    assert cv2.imread(str(diagrams / "reliability_small_markus.png")) is not None
    assert "9 of 10" in written["real-ink"]
    assert written["real-ink"] in capsys.readouterr().out
    assert str(tmp_path) not in written["real-ink"]


def test_an_unknown_set_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["real_ink.py", "--sets", "karvy,nonsense"])
    with pytest.raises(SystemExit, match="no set nonsense; choose of karvy, "):
        real_ink.main()


def test_wilson_bounds_hold_the_rate() -> None:
    low, high = real_ink._interval(np.array([True] * 98 + [False] * 2))
    assert low < 0.98 < high
