"""benchmarks/ink_sets.py and the boxes that it draws, on small folders that the tests make."""

import csv
import gzip
import hashlib
import json
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from emnist_archive import glyphs, write_archive

from vinscribe.charset import CHARSET, is_vin_char
from vinscribe.errors import DataError
from vinscribe.training import unipen
from vinscribe.training.unipen import part_of, read_strokes

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

import ink_sets  # noqa: E402
import unseen_ink  # noqa: E402
from unseen_boxes import KINDS, LARGEST_PX, SMALLEST_PX  # noqa: E402

REAL = ROOT.parent / "shared" / "data"
ORIGINALS = ("boxed/karvy", "boxed/markus", "photographed", "european_digits")
TEST_WRITER, TRAIN_WRITER = (
    next(f"hand {number}" for number in range(500) if part_of(f"hand {number}") == part) for part in ("test", "train")
)


SWISS_WRITERS = [f"{number:04d}" for number in range(8)]


def write_strokes(folder: Path, chars: Sequence[str], writers: Sequence[str]) -> None:
    """A character a writer: a line, the flatter the later it comes."""
    folder.mkdir()
    with gzip.open(folder / "strokes.jsonl.gz", "wt") as file:
        file.writelines(json.dumps([[[0, 0], [row + 1, 30]]]) + "\n" for row in range(len(writers)))
    with (folder / "labels.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(("index", "label", "writer"))
        lines.writerows((row, char, writer) for row, (char, writer) in enumerate(zip(chars, writers, strict=True)))


def write_hands(root: Path) -> None:
    """Folders as ``swiss_digits``, ``semeion_digits``, ``uji_digits`` and ``digilets``."""
    for place in ("swiss_digits", "semeion_digits"):
        (root / place).mkdir()
    rows = [(f"{writer}_{digit}_01.png", str(digit), writer) for writer in SWISS_WRITERS for digit in (3, 8)]
    with (root / "swiss_digits" / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "label", "writer"), *rows])
    with zipfile.ZipFile(root / "swiss_digits" / "digits.zip", "w") as archive:
        for number, (name, _, _) in enumerate(rows):
            page = np.full((90, 80), 250, np.uint8)
            page[20:60, 10 : 14 + number] = 90
            archive.writestr(name, cv2.imencode(".png", page)[1].tobytes())
    with (root / "semeion_digits" / "semeion.data").open("w") as file:
        for number in range(60):
            pixels = np.zeros((16, 16), int)
            pixels[:, 3 + number % 10] = pixels[0] = 1
            digits = [int(digit == number % 10) for digit in range(10)]
            file.write(" ".join(map(str, [*pixels.ravel().tolist(), *digits])) + "\n")
    write_strokes(root / "uji_digits", "01234567", [TEST_WRITER, TRAIN_WRITER] * 4)
    write_strokes(root / "digilets", CHARSET, [TEST_WRITER, TRAIN_WRITER, "hand"] * 11)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shared")
    for place in ORIGINALS:
        (root / place / "cells").mkdir(parents=True)
        with (root / place / "labels.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("file", "label"), ("cells/a.png", "A"), ("cells/b.png", "?"), ("c.png", "O")])
        for name in ("cells/a.png", "cells/b.png", "c.png"):
            cv2.imwrite(str(root / place / name), np.full((30, 30), 255, np.uint8))
    bar = [[[0, 0], [10, 100]], [[50, 50]]]
    (root / "chars74k").mkdir()
    characters = {char: [{"writer": writer, "strokes": bar} for writer in (1, 27, 28)] for char in CHARSET + "abI"}
    (root / "chars74k" / "strokes.json").write_text(json.dumps(characters))
    writers = [TEST_WRITER] * 70 + [TRAIN_WRITER] * 5
    write_strokes(root / "unipen", [CHARSET[row % 33] for row in range(len(writers))], writers)
    write_hands(root)
    write_archive(root / "gzip.zip", per_class=40)
    return root


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ink_sets, "ILLEGIBLE_PICTURES", 40)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("small")
def test_every_set_lies_as_it_says(shared: Path, tmp_path: Path) -> None:
    before = contents(shared)
    sets = ink_sets.ink_sets(shared, shared / "gzip.zip", tmp_path)
    assert [ink.name for ink in sets] == list(ink_sets.NAMES)
    for ink in sets:
        assert len(ink.files) == len(ink.labels) == len(set(ink.files)) > 0
        for file in ink.files:
            assert cv2.imread(str(ink.folder / file)) is not None
        if ink.name in ("empty", "struck"):
            assert set(ink.labels) == {""}
        else:
            assert all(map(is_vin_char, ink.labels))
    named = {ink.name: ink for ink in sets}
    assert (named["karvy"].folder, named["karvy"].files) == (shared / "boxed/karvy", ["cells/a.png"])
    assert len(named["chars74k"].files) == 33 * 2 * 3
    assert len(named["unipen"].files) == ink_sets.UNIPEN_MOST
    ordered = sorted(SWISS_WRITERS, key=lambda writer: hashlib.sha256(writer.encode()).hexdigest())
    assert sorted(named["swiss"].files) == sorted(f"{writer}_{n}_01.png" for writer in ordered[:4] for n in (3, 8))
    assert named["spanish"].labels == list("0246")
    assert named["italian"].labels == list("0123456789") * 2
    assert named["digilets"].labels == list(CHARSET)
    assert named["boxes"].labels == named["emnist"].labels
    assert {file.split("_")[1].split(".")[0] for file in named["boxes"].files} == set(KINDS)
    assert contents(shared) == before


@pytest.mark.usefixtures("small")
def test_drawn_sets_are_kept_until_the_seed_or_the_source_changes(shared: Path, tmp_path: Path) -> None:
    def draw(seed: int, scratch: str = "a") -> dict[str, bytes]:
        ink_sets.ink_sets(shared, shared / "gzip.zip", tmp_path / scratch, seed, only=("boxes", "struck", "unipen"))
        found = contents(tmp_path / scratch)
        return {name: data for name, data in found.items() if not name.endswith("manifest.json")}

    first = draw(0)
    marked = tmp_path / "a" / "boxes" / "mark"
    marked.touch()
    assert {**first, "boxes/mark": b""} == draw(0)  # nothing was drawn anew
    assert draw(0, "b") == first
    other = draw(1)
    assert not marked.exists()
    assert sum(other.get(name) == data for name, data in first.items()) < len(first) / 10
    manifest = tmp_path / "a" / "boxes" / "manifest.json"
    for change in ({"version": "older"}, {"source": {"gzip.zip": 7}}):
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | change))
        marked.touch()
        draw(1)
        assert not marked.exists()


def test_only_what_is_asked_for_is_read_and_drawn(tmp_path: Path, shared: Path) -> None:
    sets = ink_sets.ink_sets(shared, tmp_path / "none.zip", tmp_path / "scratch", only=("markus", "photographed"))
    assert [ink.name for ink in sets] == ["markus", "photographed"]
    assert not (tmp_path / "scratch").exists()


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"boxed/karvy/labels\.csv is missing"):
        ink_sets.ink_sets(tmp_path, tmp_path, tmp_path / "scratch", only=("karvy",))
    (tmp_path / "labels.csv").write_text("file,label\na.png,?\n")
    with pytest.raises(DataError, match="no row with a VIN character"):
        ink_sets.read_labelled("x", tmp_path, "")


def test_swiss_digits_are_those_of_the_archive_and_italian_ones_dark_on_bright(shared: Path, tmp_path: Path) -> None:
    swiss, italian = ink_sets.ink_sets(shared, tmp_path, tmp_path / "scratch", only=("swiss", "italian"))
    with zipfile.ZipFile(shared / "swiss_digits" / "digits.zip") as archive:
        for file in swiss.files:
            found = cv2.imread(str(swiss.folder / file), cv2.IMREAD_UNCHANGED)
            lies = cv2.imdecode(np.frombuffer(archive.read(file), np.uint8), cv2.IMREAD_UNCHANGED)
            np.testing.assert_array_equal(found, lies)
    for file, label in zip(italian.files, italian.labels, strict=True):
        found = cv2.imread(str(italian.folder / file), cv2.IMREAD_UNCHANGED)
        assert found.shape == (64, 64)
        assert found[:3].max() < 128  # the bar above
        assert np.flatnonzero(found[40] < 128).mean() == pytest.approx(4 * (3 + int(label)) + 1.5, abs=1)
        assert found.max() == 255


def test_doubtful_characters_are_left_out_of_unipen(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drawn(scratch: str) -> dict[str, bytes]:
        (ink,) = ink_sets.ink_sets(shared, tmp_path, tmp_path / scratch, only=("unipen",))
        return {file: (ink.folder / file).read_bytes() for file in ink.files}

    before = drawn("a")
    strokes = read_strokes(shared / "unipen")
    rows = sorted(int(file.split("_")[1].split(".")[0]) for file in before)[:2]
    verdicts = tmp_path / "verdicts.csv"
    digests = [unipen._digest(strokes.strokes[row]) for row in rows]
    lines = [f"{digest},{CHARSET[strokes.labels[row]]}" for digest, row in zip(digests, rows, strict=True)]
    verdicts.write_text(f"strokes,label,verdict\n{lines[0]},fragment\n{lines[1]},ambiguous\n")
    for module in (unipen, ink_sets):
        monkeypatch.setattr(module, "VERDICTS_FILE", verdicts)
    after = drawn("a")  # drawn anew: the verdicts have changed
    gone, come = set(before) - set(after), set(after) - set(before)
    assert [int(file.split("_")[1].split(".")[0]) for file in gone] == rows[:1]
    assert len(come) == 1  # another of the writer's in its place
    assert all(before[file] == after[file] for file in set(before) & set(after))


def test_pen_strokes_of_each_set_are_drawn_by_their_own_chance(shared: Path, tmp_path: Path) -> None:
    spanish, digilets = ink_sets.ink_sets(shared, tmp_path, tmp_path / "scratch", only=("spanish", "digilets"))
    assert spanish.files[0] == digilets.files[0] == "0_00000.png"
    sizes = [cv2.imread(str(ink.folder / "0_00000.png")).shape for ink in (spanish, digilets)]
    assert sizes[0] != sizes[1]


def test_strokes_are_dark_upright_and_as_wide_as_the_pen() -> None:
    corner = [np.array([[0, 0], [0, 100], [60, 100]])]  # an L
    thin, thick = (ink_sets.draw_strokes(corner, 64, pen) for pen in (0.025, 0.09))
    for picture in (thin, thick):
        assert picture.shape == (64, 64)
        assert picture.dtype == np.uint8
        dark = 255 - picture.astype(int)
        assert dark[45:].sum() > 1.2 * dark[:19].sum()  # its foot is below
        assert dark[:, :32].sum() > dark[:, 32:].sum()  # its stem on the left
        assert not dark[:4].any()
        assert not dark[:, :4].any()
    assert (thin[32] < 128).sum() in (1, 2)
    assert (thick[32] < 128).sum() in (5, 6, 7)
    assert (ink_sets.draw_strokes([np.array([[3, 4]])], 40, 0.1) < 100).any()  # a dot alone


@pytest.mark.parametrize("kind", KINDS)
def test_boxed_pictures_are_repeatable_and_of_the_promised_size(kind: str) -> None:
    ring, cross, side = glyphs("0X1", seed=3)
    for seed in range(12):
        pictures = [unseen_ink.draw_character(kind, ring, (cross, side), np.random.default_rng(seed)) for _ in range(2)]
        np.testing.assert_array_equal(*pictures)
        assert pictures[0].dtype == np.uint8
        height, width, channels = pictures[0].shape
        assert channels == 3
        assert SMALLEST_PX <= min(height, width) <= max(height, width) <= LARGEST_PX
        assert unseen_ink.draw_empty(kind, (cross, side), np.random.default_rng(seed)).shape == pictures[0].shape


def test_the_glyph_stands_out_wherever_it_is_placed() -> None:
    """Two glyphs in the same box under the same random numbers differ by ink, and enough to tell them apart."""
    frame, bars = np.zeros((2, 28, 28), np.uint8)
    cv2.rectangle(frame, (5, 5), (22, 22), 255, 3)
    frame[4:24, 4:24] = np.maximum(frame[4:24, 4:24], 30)  # the same bounding box for both
    bars[4:24, 4:24] = 30
    cv2.line(bars, (5, 14), (22, 14), 255, 3)
    for number in range(80):
        kind = KINDS[number % len(KINDS)]
        first, second = (
            unseen_ink.draw_character(kind, glyph, (frame, bars), np.random.default_rng(number)).astype(float)
            for glyph in (frame, bars)
        )
        assert np.abs(first - second).mean(2).max() > 40


def test_no_glyph_is_cut_by_the_pictures_edge() -> None:
    solid = np.zeros((28, 28), np.uint8)
    solid[4:24, 8:20] = 255
    for number in range(200):
        rng = np.random.default_rng(number)
        page = unseen_ink.new_page(KINDS[number % len(KINDS)], rng)
        ink = unseen_ink._place(page, solid, rng)
        border = np.concatenate([ink.alpha[[0, -1]].ravel(), ink.alpha[:, [0, -1]].ravel()])
        assert border.max() < 0.05
        assert ink.box[3] - ink.box[1] >= 13 * unseen_ink.FINE
        assert ink.alpha.sum() > 0.8 * (ink.box[3] - ink.box[1]) * (ink.box[2] - ink.box[0])


@pytest.mark.parametrize("strike", unseen_ink.STRIKES)
def test_struck_characters_have_ink_over_them(strike: str) -> None:
    solid, other = np.zeros((2, 28, 28), np.uint8)
    cv2.line(solid, (6, 6), (22, 22), 255, 3)
    cv2.line(other, (22, 6), (6, 22), 255, 3)
    for seed in range(10):
        struck = unseen_ink.draw_struck("ground", solid, strike, other, np.random.default_rng(seed))
        plain = unseen_ink.draw_struck("ground", solid, "overwritten", solid, np.random.default_rng(seed))
        assert struck.shape == plain.shape
        assert not np.array_equal(struck, plain)
    if strike != "overwritten":
        points = np.concatenate(unseen_ink._strike_lines(strike, np.random.default_rng(0)))
        assert np.ptp(points, axis=0).max() > 1.2  # over the whole character, which spans 2
        assert np.abs(points).max() < 2


def test_overlap() -> None:
    rising, falling = np.zeros((2, 28, 28), np.uint8)
    cv2.line(rising, (4, 23), (23, 4), 255, 2)
    cv2.line(falling, (4, 4), (23, 23), 255, 2)
    assert unseen_ink.overlap(rising, rising) == 1
    assert unseen_ink.overlap(rising, falling) < 0.25


@pytest.mark.skipif(not (REAL / "unipen").is_dir(), reason=f"needs the data sets in {REAL}")
def test_the_real_sets_have_every_character(tmp_path: Path) -> None:
    sets = ink_sets.ink_sets(REAL, REAL / "none", tmp_path, only=("karvy", "markus", "photographed", "european_digits"))
    assert {ink.name: len(ink.files) for ink in sets} == {
        "karvy": 208,
        "markus": 20,
        "photographed": 1025,
        "european_digits": 1000,
    }
    assert [len(set(ink.labels)) for ink in sets] == [33, 10, 33, 10]


@pytest.mark.skipif(not (REAL / "digilets").is_dir(), reason=f"needs the data sets in {REAL}")
def test_the_real_hands_that_are_drawn(tmp_path: Path) -> None:
    sets = ink_sets.ink_sets(REAL, REAL / "none", tmp_path, only=("swiss", "spanish", "italian", "digilets"))
    assert {ink.name: len(ink.files) for ink in sets} == {
        "swiss": 2381,
        "spanish": 80,
        "italian": 398,
        "digilets": 4455,
    }
    assert [len(set(ink.labels)) for ink in sets] == [10, 10, 10, 33]
