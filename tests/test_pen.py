"""The stroke alphabet, the pen, and the sample pictures in the repository."""

import csv
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from vinscribe.charset import CHARSET
from vinscribe.errors import DataError, UsageError
from vinscribe.training import pen
from vinscribe.training.pen import ALPHABET, Hand, draw, variant_of, write_samples

SAMPLES = Path(__file__).parent.parent / "samples" / "characters"
EVERY_VARIANT = [(char, variant.name) for char in CHARSET for variant in ALPHABET[char]]


def rng(seed=0):
    return np.random.default_rng(seed)


def read(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def test_alphabet_has_the_vin_characters():
    assert list(ALPHABET) == list(CHARSET)
    for char, variants in ALPHABET.items():
        names = [variant.name for variant in variants]
        assert len(set(names)) == len(names), char
    assert {("1", "upstroke"), ("4", "open"), ("7", "crossed"), ("Z", "crossed"), ("Z", "")} <= set(EVERY_VARIANT)


def test_control_points_lie_in_the_unit_box():
    for char, variants in ALPHABET.items():
        for stroke in (stroke for variant in variants for stroke in variant.strokes):
            points = np.array([point.split(",") for point in stroke.replace("|", " ").split()], float)
            assert ((points >= 0) & (points <= 100)).all(), (char, stroke)


@pytest.mark.parametrize(("char", "variant"), EVERY_VARIANT)
@pytest.mark.parametrize("size_px", [8, 28, 65])
def test_picture(char, variant, size_px):
    for seed in range(5):
        picture = draw(char, rng(seed), size_px, variant)
        assert picture.shape == (size_px, size_px)
        assert picture.dtype == np.uint8
        assert picture.max() > (200 if size_px >= 28 else 80)
        assert 0.04 < picture.mean() / 255 < 0.4
        ys = np.flatnonzero((picture > 40).any(axis=1))
        assert ys.max() - ys.min() >= 0.5 * size_px - 1
    edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    assert edge.max() == 0 or size_px == 8  # all ink inside


def test_edges_are_soft():
    assert len(np.unique(draw("S", rng()))) > 8


def test_same_generator_same_picture():
    np.testing.assert_array_equal(draw("G", rng(3)), draw("G", rng(3)))
    assert (draw("G", rng(3)) != draw("G", rng(4))).any()


def test_variants_come_by_chance():
    steady = Hand(
        height_spread=0,
        aspect_spread=0,
        slant_spread_deg=0,
        turn_spread_deg=0,
        shift_spread=0,
        wobble=0,
        pen_width_spread=0,
    )
    generator = rng()
    seen = {draw("7", generator, hand=steady).tobytes() for _ in range(20)}
    assert seen == {draw("7", rng(), variant=variant.name, hand=steady).tobytes() for variant in ALPHABET["7"]}


def test_curve_runs_through_its_control_points():
    curve = pen._curve("10,10 50,20 | 80,90 20,95", rng(), wobble=0.0)
    for point in [(0.1, 0.1), (0.5, 0.2), (0.8, 0.9), (0.2, 0.95)]:
        assert np.abs(curve - point).sum(axis=1).min() < 1e-12


def test_pen_width():
    thin, thick = (draw("X", rng(), 64, hand=Hand(pen_width=width, pen_width_spread=0)) for width in (0.04, 0.12))
    assert thick.sum() > 2 * thin.sum()


def test_bad_requests():
    for unknown in ("O", "I", "Q", "a", "", "10"):
        with pytest.raises(UsageError, match="no character"):
            draw(unknown, rng())
    with pytest.raises(UsageError, match=r"The character 7 has no variant 'open'\. It has '', 'crossed'"):
        variant_of("7", "open")
    with pytest.raises(UsageError, match="size_px=7"):
        draw("A", rng(), 7)


def test_samples_hold_every_character_and_many_kinds(tmp_path):
    paths = write_samples(tmp_path / "a")
    assert [path.name[0] for path in paths] == list(CHARSET)
    pictures = {path.name: read(path) for path in paths}
    sides = [picture.shape[0] for picture in pictures.values()]
    assert 28 <= min(sides) < max(sides) <= 72
    assert len(set(sides)) > 10
    assert {path.suffix for path in paths} == {".png", ".jpg"}
    assert any(picture.dtype == np.uint16 for picture in pictures.values())
    assert any(picture.ndim == 3 and picture.shape[2] == 4 for picture in pictures.values())
    light = [np.median(picture) > 128 for picture in pictures.values() if picture.dtype == np.uint8]
    assert 10 < sum(light) < 23
    assert {"A.png", "1_upstroke.png", "7_crossed.png"} <= set(pictures)


def test_samples_are_the_same_again(tmp_path):
    first, second, other = (write_samples(tmp_path / str(i), seed) for i, seed in enumerate((7, 7, 8)))
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(read(one), read(two))
    assert any(read(one).shape != read(two).shape for one, two in zip(first, other, strict=True))


def test_samples_in_the_repository_are_those_of_the_command(tmp_path):
    # Other versions of numpy and OpenCV may round a pixel otherwise; the pictures must still be the same to the eye.
    write_samples(tmp_path)
    assert {path.name for path in SAMPLES.iterdir()} == {path.name for path in tmp_path.iterdir()}
    assert (SAMPLES / "labels.csv").read_bytes() == (tmp_path / "labels.csv").read_bytes()
    with open(SAMPLES / "labels.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert "".join(row["label"] for row in rows) == CHARSET
    for row in rows:
        ours, new = read(SAMPLES / row["file"]), read(tmp_path / row["file"])
        assert (ours.shape, ours.dtype) == (new.shape, new.dtype)
        assert np.abs(ours.astype(float) - new).mean() <= 0.01 * np.iinfo(ours.dtype).max, row["file"]
    assert sum(path.stat().st_size for path in SAMPLES.iterdir()) < 100_000


def test_samples_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="Cannot write the samples"):
        write_samples(tmp_path / "file")


def test_command_and_its_imports(tmp_path):
    code = (
        "import sys; from vinscribe.training import pen\n"
        "pen.main(['samples', '--folder', sys.argv[1], '--seed', '3'])\n"
        "assert not {'torch', 'keras', 'matplotlib', 'scipy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, text=True)
    assert done.stdout.startswith("33 pictures and labels.csv in ")
    assert len(list(tmp_path.iterdir())) == 34
