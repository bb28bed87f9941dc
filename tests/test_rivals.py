"""benchmarks/rivals.py and bare_ink.py, as far as they run without the rivals: on drawn cells."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn import draw

from vinscribe.charset import CHARSET

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

import rivals  # noqa: E402
from bare_ink import character_mask, extract_ink, find_lines  # noqa: E402
from ink_sets import InkSet  # noqa: E402
from rivals import Frame, fold, lay_on_white, only_allowed, sample, table  # noqa: E402

FRAME = Frame(48, 0.6, 1.0)
ALIKE = Frame(48, 0.6, 1.6)  # as wide for every character


def cell(char, side=90, size=50):
    """A character in the middle of white paper, dark on bright."""
    paper = np.full((side, side), 255, np.uint8)
    start = (side - size) // 2
    paper[start : start + size, start : start + size] = 255 - draw(char, size)
    return paper


def bare(char):
    return lay_on_white(extract_ink(cell(char)), ALIKE)


def likeness(first, second):
    return float(np.corrcoef(first.ravel().astype(float), second.ravel().astype(float))[0, 1])


def read_as(picture):
    """The drawn character that a picture is most like, laid out alike."""
    laid = lay_on_white(extract_ink(picture), ALIKE)
    return max(CHARSET, key=lambda char: likeness(laid, bare(char)))


def boxed(char, thickness=3, inset=0, ink=0):
    picture = cell(char)
    last = picture.shape[0] - 1 - inset
    cv2.rectangle(picture, (inset, inset), (last, last), ink, thickness)
    return picture


@pytest.mark.parametrize("thickness", [1, 3, 6])
@pytest.mark.parametrize("char", "1EHLTZ8")
def test_a_box_goes_and_the_character_stays(char, thickness):
    assert likeness(lay_on_white(extract_ink(boxed(char, thickness)), ALIKE), bare(char)) > 0.97


@pytest.mark.parametrize("char", "1EL7")
def test_bright_ink_and_shadow_make_no_difference(char):
    assert read_as(255 - boxed(char)) == char
    shadow = np.linspace(0.5, 1, 90)[None]
    assert read_as((boxed(char, 2) * shadow).astype(np.uint8)) == char


@pytest.mark.parametrize("bright", [False, True])
def test_a_bold_character_that_fills_its_cell_is_not_taken_for_the_ground(bright):
    tight = cv2.erode(cell("8", side=64), np.ones((3, 3), np.uint8))
    assert (tight[10:-10, 10:-10] < 128).mean() > 0.55  # most of the middle is ink
    assert read_as(255 - tight if bright else tight) == "8"


@pytest.mark.parametrize("bright", [False, True])
def test_a_broad_frame_is_not_taken_for_the_ground(bright):
    framed = boxed("M", thickness=24)
    assert (framed < 128).mean() > 0.5
    assert read_as(255 - framed if bright else framed) == "M"


def test_a_box_away_from_the_edge_goes_too():
    assert read_as(boxed("2", 2, inset=9)) == "2"


def test_neighbours_strokes_and_specks_go():
    picture = cell("5")
    cv2.line(picture, (0, 20), (8, 45), 0, 3)
    cv2.line(picture, (84, 60), (89, 75), 0, 3)
    picture[8:10, 40:42] = 0
    assert likeness(lay_on_white(extract_ink(picture), ALIKE), bare("5")) > 0.97


@pytest.mark.parametrize("start", [7, 10, 13])
def test_bars_of_a_character_in_a_tight_cell_are_no_box(start):
    mask = np.zeros((100, 100), np.uint8)
    end = 99 - start
    cv2.polylines(mask, [np.array([(start, start), (end, start), (start, end), (end, end)])], False, 1, 2)  # a Z
    assert not find_lines(mask).any()
    np.testing.assert_array_equal(character_mask(mask), mask > 0)


def test_only_the_lines_of_a_box_are_found():
    mask = np.zeros((60, 60), np.uint8)
    mask[2:4, :] = 1
    mask[:, 57] = 1
    lines = mask.copy()
    mask[15:45, 30] = 1  # a 1
    np.testing.assert_array_equal(find_lines(mask), lines)
    kept = character_mask(mask)
    assert kept[15:45, 30].all()
    assert kept.sum() == 30


@pytest.mark.parametrize("picture", [np.full((40, 30), 255, np.uint8), np.zeros((40, 30), np.uint8)])
def test_an_empty_cell_is_white(picture):
    assert (extract_ink(picture) == 255).all()


@pytest.mark.parametrize("shape", [(8, 8), (20, 300), (700, 400)])
def test_cells_of_any_size(shape):
    picture = np.full(shape, 220, np.uint8)
    height, width = shape
    picture[height // 4 : 3 * height // 4, 3 * width // 8 : 5 * width // 8] = 30
    ink = extract_ink(picture)
    assert ink.dtype == np.uint8
    assert ink.min() < 60
    assert lay_on_white(ink, FRAME).shape[0] == 48


@pytest.mark.parametrize(
    ("shape", "size"), [((100, 50), (48, 48)), ((100, 160), (48, 66)), ((10, 400), (48, 66)), ((10, 5), (48, 48))]
)
def test_ink_is_laid_out_with_a_margin(shape, size):
    page = lay_on_white(np.zeros(shape, np.uint8), FRAME)
    assert page.shape == pytest.approx(size, abs=2)
    rows, columns = np.nonzero(page < 128)
    assert rows.max() - rows.min() + 1 <= 0.6 * 48 + 1
    for place, length in ((rows, page.shape[0]), (columns, page.shape[1])):
        assert abs(place.min() - (length - 1 - place.max())) <= 1  # in the middle
        assert place.min() >= 9


@pytest.mark.parametrize(
    ("text", "char"),
    [("7", "7"), ("I", "1"), ("i\n", "1"), ("Q", "0"), ("o", "0"), (" .k7", "K"), ("乙Z", "Z"), ("—", ""), ("", "")],
)
def test_answers_are_folded(text, char):
    assert fold(text) == char


def test_a_whitelist_for_a_reader_that_has_none():
    # Blank, "A" (allowed), "ら" (not).
    probs = np.array(
        [
            [[0.9, 0.1, 0.0], [0.1, 0.3, 0.6]],  # "ら", and A next
            [[0.9, 0.1, 0.0], [0.8, 0.2, 0.0]],  # nothing, and A next
            [[0.1, 0.9, 0.0], [0.9, 0.1, 0.0]],  # A
        ],
        np.float32,
    )
    before = probs.copy()
    found = only_allowed(probs, np.array([False, True, False]))
    np.testing.assert_array_equal(found.argmax(2), [[0, 1], [0, 1], [1, 0]])
    np.testing.assert_array_equal(found[2], probs[2])
    np.testing.assert_array_equal(probs, before)


def test_samples_are_seeded_and_only_of_the_large_drawn_sets():
    files = [f"{number}.png" for number in range(50)]
    large, small = (InkSet(name, Path("there"), files, list(CHARSET + CHARSET[:17]), "") for name in ("boxes", "karvy"))
    paths, labels = sample(large, 10, seed=0)
    assert len(paths) == 10
    assert [large.labels[files.index(path.name)] for path in paths] == labels
    assert sample(large, 10, seed=0) == (paths, labels)
    assert sample(large, 10, seed=1)[0] != paths
    assert len(sample(large, 0, seed=0)[0]) == len(sample(large, 99, seed=0)[0]) == len(sample(small, 10, 0)[0]) == 50


def test_the_table():
    lines = table({"tesseract": {"markus": 0.6}, "rapidocr": {"markus": 1.0}}, {"markus": 20}).splitlines()
    assert lines[0].split() == ["set", "pictures", "Tesseract", "RapidOCR"]
    # Wilson's interval by hand: 12 of 20, and 20 of 20.
    assert lines[1].split() == ["markus", "20", "60.0", "(38.7–78.1)", "100.0", "(83.9–100.0)"]


def run_main(monkeypatch, tmp_path, *words):
    """main() on eight drawn cells of 1 and 7 with a reader that always answers I."""
    folder = tmp_path / "shared" / "boxed" / "markus"
    folder.mkdir(parents=True)
    rows = [(f"{number}.png", "1" if number < 6 else "7") for number in range(8)]
    for file, label in rows:
        cv2.imwrite(str(folder / file), boxed(label))
    (folder / "labels.csv").write_text("file,label\n" + "".join(f"{file},{label}\n" for file, label in rows))
    monkeypatch.setattr(
        rivals, "open_readers", lambda names, detect: ({"tesseract": lambda seen: ["I"] * len(seen)}, {})
    )
    monkeypatch.setattr(sys, "argv", ["rivals.py", "--shared", str(tmp_path / "shared"), "--sets", "markus", *words])
    rivals.main()


def test_rates_are_written_for_real_ink(monkeypatch, tmp_path, capsys):
    from real_ink import read_rivals

    out = tmp_path / "rivals.json"
    run_main(monkeypatch, tmp_path, "--json", str(out))
    assert read_rivals(out) == {"tesseract": {"markus": 0.75}}
    record = json.loads(out.read_text())["_record"]
    assert (record["pictures"], record["seed"]) == ({"markus": 8}, 0)
    assert "75.0" in capsys.readouterr().out


def test_what_is_missing_is_said(monkeypatch):
    monkeypatch.setattr(rivals.shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match="apt-get install tesseract-ocr"):
        rivals.read_with_tesseract([cell("1")])
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    with pytest.raises(SystemExit, match=r"requirements-rivals\.txt"):
        rivals.rapidocr_reader(detect=False)


def test_an_unknown_reader_is_refused():
    command = [sys.executable, str(ROOT / "benchmarks" / "rivals.py"), "--readers", "tesseract,nobody"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no reader nobody" in done.stderr
