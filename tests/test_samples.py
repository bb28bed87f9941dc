"""The sample pictures in the repository."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from vinscribe.charset import CHARSET
from vinscribe.errors import DataError
from vinscribe.reader import Reader
from vinscribe.training import samples
from vinscribe.training.samples import VIN, write_card_samples, write_samples, write_vin_sample

SAMPLES = Path(__file__).parent.parent / "samples"
CHARACTERS = SAMPLES / "characters"
CARDS = SAMPLES / "cards"


def read(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def test_samples_hold_every_character_and_many_kinds(tmp_path):
    paths = write_samples(tmp_path / "a")
    assert [path.name[0] for path in paths] == list(CHARSET)
    pictures = {path.name: read(path) for path in paths}
    sides = [picture.shape[0] for picture in pictures.values()]
    assert 28 <= min(sides) < max(sides) <= 90
    assert len(set(sides)) > 10
    assert {path.suffix for path in paths} == {".png", ".jpg"}
    assert any(picture.dtype == np.uint16 for picture in pictures.values())
    assert any(picture.ndim == 3 and picture.shape[2] == 4 for picture in pictures.values())
    light = [np.median(picture[..., :3]) > 128 for picture in pictures.values() if picture.dtype == np.uint8]
    assert 10 < sum(light) < 23
    assert {"A.png", "0_slashed.png", "1_upstroke.png", "7_crossed.png", "9_curled.png"} <= set(pictures)


def lined(picture):
    """Whether a line runs along an edge: most of a row or column near it differs from the middle ones' paper."""
    grey = picture if picture.ndim == 2 else picture[..., :3].mean(axis=2)
    grey = grey.astype(float) / np.iinfo(picture.dtype).max
    off = np.abs(grey - np.median(grey)) > 0.06
    if min(off.shape) < 44:  # small pictures have no room for both
        return False
    sides = (off[:8], off[::-1][:8], off.T[:8], off.T[::-1][:8])
    return any(side.mean(axis=1).max() > 0.4 for side in sides)


def test_about_half_of_the_samples_show_their_box(tmp_path):
    pictures = {path.name[0]: read(path) for path in write_samples(tmp_path)}
    boxed = {char for char, picture in pictures.items() if lined(picture)}
    assert boxed == set(samples._KIND_OF) - set(samples._KINDS["bare"] + samples._KINDS["paper"])
    assert 14 <= len(boxed) <= 20
    for char in samples._KINDS["frame"]:
        picture = pictures[char].astype(float) / np.iinfo(pictures[char].dtype).max
        assert picture.shape == (72, 72)
        assert (picture[:2].min(), picture[:, :2].min(), picture[-2:].mean() > 0.9) == (1, 1, True)
        assert picture[5:-5, 7:-5].min() == 0


def test_samples_are_the_same_again(tmp_path):
    first, second, other = (write_samples(tmp_path / str(i), seed) for i, seed in enumerate((7, 7, 8)))
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(read(one), read(two))
    assert any(read(one).shape != read(two).shape for one, two in zip(first, other, strict=True))


def test_samples_in_the_repository_are_those_of_the_command(tmp_path):
    # Other versions of numpy and OpenCV may round a pixel otherwise; the pictures must still be the same to the eye.
    write_samples(tmp_path)
    assert {path.name for path in CHARACTERS.iterdir()} == {path.name for path in tmp_path.iterdir()}
    assert (CHARACTERS / "labels.csv").read_bytes() == (tmp_path / "labels.csv").read_bytes()
    with open(CHARACTERS / "labels.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert "".join(row["label"] for row in rows) == CHARSET
    for row in rows:
        ours, new = read(CHARACTERS / row["file"]), read(tmp_path / row["file"])
        assert (ours.shape, ours.dtype) == (new.shape, new.dtype)
        assert np.abs(ours.astype(float) - new).mean() <= 0.01 * np.iinfo(ours.dtype).max, row["file"]
    assert sum(path.stat().st_size for path in CHARACTERS.iterdir()) < 100_000


def test_samples_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="Cannot write the samples"):
        write_samples(tmp_path / "file")
    with pytest.raises(DataError, match="Cannot write the samples"):
        write_vin_sample(tmp_path / "file")
    with pytest.raises(DataError, match="Cannot write the samples"):
        write_card_samples(tmp_path / "file")


def labels_of(folder):
    with open(folder / "labels.csv", newline="", encoding="utf-8") as file:
        return {row["file"]: row["label"] for row in csv.DictReader(file)}


def test_the_vin_sample_is_seventeen_cells_of_one_form(tmp_path):
    paths = write_vin_sample(tmp_path)
    assert [path.name for path in paths] == [f"{number:02d}.png" for number in range(1, 18)]
    assert "".join(labels_of(tmp_path).values()) == VIN
    for path in paths:
        picture = read(path)
        assert picture.shape == (72, 72, 3)
        assert lined(picture)
        blue, green, red = picture.reshape(-1, 3).T.astype(int)
        assert (blue - red).max() > 60  # ink
        assert (red - green)[red > 180].max() > 30  # lines
        assert np.median(picture) > 245  # paper


def test_the_vin_sample_in_the_repository_is_that_of_the_command(tmp_path):
    write_vin_sample(tmp_path)
    assert {path.name for path in (SAMPLES / "vin").iterdir()} == {path.name for path in tmp_path.iterdir()}
    assert labels_of(SAMPLES / "vin") == labels_of(tmp_path)
    for name in labels_of(tmp_path):
        ours, new = read(SAMPLES / "vin" / name), read(tmp_path / name)
        assert ours.shape == new.shape
        assert np.abs(ours.astype(float) - new).mean() <= 0.01 * 255, name


def test_the_released_model_reads_the_vin_sample():
    (reading,) = Reader().read_cell_folders([str(SAMPLES / "vin")])
    assert reading.vin == VIN
    assert reading.check_digit == "valid"


def truths_of(folder):
    lines = (folder / "truth.jsonl").read_text(encoding="utf-8").splitlines()
    return {truth["file"]: truth for truth in map(json.loads, lines)}


def test_the_cards_in_the_repository_are_those_of_the_command(tmp_path):
    paths = write_card_samples(tmp_path)
    assert {path.name for path in CARDS.iterdir()} == {path.name for path in tmp_path.iterdir()}
    assert [path.name for path in paths] == list(truths_of(tmp_path))
    assert truths_of(CARDS) == truths_of(tmp_path)
    for path in paths:
        ours, new = read(CARDS / path.name), read(path)
        assert ours.shape == new.shape
        assert np.abs(ours.astype(float) - new).mean() <= 0.01 * 255, path.name
        assert path.stat().st_size < 160_000


def test_the_cards_are_of_many_looks():
    truths = truths_of(CARDS)
    assert [(truth["layout"], truth["scan"]) for truth in truths.values()] == [
        ("boxes", "grey"),
        ("comb", "skewed"),
        ("double", "phone"),
    ]
    assert [read(CARDS / name).ndim for name in truths] == [2, 3, 3]


def test_the_released_model_reads_the_cards():
    reader = Reader()
    for name, truth in truths_of(CARDS).items():
        (reading,) = reader.read(CARDS / name)
        if truth["vin"] is None:
            assert reading.decision == "review"
            assert "cell" in (reading.reason or "")
        else:
            assert reading.vin == truth["vin"]
            assert reading.confidence > 0.9
        middles = np.array([cell.box for cell in reading.cells]).mean(axis=1)
        corners = np.array(truth["cells"])
        widths = np.linalg.norm(corners[:, 1] - corners[:, 0], axis=1)
        assert (np.linalg.norm(middles - corners.mean(axis=1), axis=1) < 0.25 * widths).all(), name


def test_the_command_writes_all_without_heavy_imports(tmp_path):
    code = (
        "import sys; from vinscribe.training import samples\n"
        "samples.main(['--folder', sys.argv[1]])\n"
        "assert not {'torch', 'keras', 'matplotlib', 'scipy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    told = [f"{count} pictures and labels.csv" for count in (33, 17)]
    assert [line.split(" in ")[0] for line in lines] == [*told, "3 cards and truth.jsonl"]
    assert {path.name for path in tmp_path.iterdir()} == {"characters", "vin", "cards"}
    assert len(list((tmp_path / "characters").iterdir())) == 34
