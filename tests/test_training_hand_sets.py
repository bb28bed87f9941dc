"""More hands to train on: Swiss, Italian and Spanish digits; small files that the tests make, and the real ones."""

import csv
import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_hands import WRITERS, picture, semeion_lines, write_semeion, write_swiss, write_uji
from numpy.typing import NDArray

from vinscribe.errors import DataError
from vinscribe.training.hand_sets import (
    enlarged,
    read_hands,
    read_semeion,
    read_swiss,
    semeion_pictures,
    split_semeion,
    split_swiss,
    swiss_parts,
    swiss_pictures,
)
from vinscribe.training.unipen import part_of

REAL = Path(__file__).resolve().parent.parent.parent / "shared" / "data"


def ink_box(image: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    return tuple(cv2.boundingRect(cv2.threshold(image, 64, 255, cv2.THRESH_BINARY)[1]))


# Swiss


def test_swiss_digits_are_cut_out_and_prepared(tmp_path: Path) -> None:
    folder = write_swiss(tmp_path)
    found = read_swiss(folder)
    assert len(found) == 28
    assert found.images.shape == (28, 56, 56)
    assert found.images.dtype == np.uint8
    assert found.labels.dtype == np.int64
    assert found.labels.tolist() == [1, 7] * 14
    assert found.writers.tolist()[:3] == ["0000", "0000", "0001"]
    for image in found.images:
        x, y, width, height = ink_box(image)
        assert height in (47, 48, 49)
        assert abs(x + width / 2 - 28) <= 1.5
        assert abs(y + height / 2 - 28) <= 1.5
        assert image.max() > 200
    assert read_swiss(folder, 40).images.shape == (28, 40, 40)


def test_ink_at_the_edge_is_put_in_the_middle(tmp_path: Path) -> None:
    folder = write_swiss(tmp_path, [("a.png", "1", "x"), ("b.png", "1", "x")])
    with zipfile.ZipFile(folder / "digits.zip", "w") as archive:
        for name, left in (("a.png", 0), ("b.png", 40)):
            archive.writestr(name, cv2.imencode(".png", picture(1, left))[1].tobytes())
    edge, middle = read_swiss(folder).images
    assert np.abs(edge.astype(int) - middle).max() < 40
    assert edge[:, 24:32].any()


def test_swiss_pictures_as_they_lie(tmp_path: Path) -> None:
    name, label, writer, grey = swiss_pictures(write_swiss(tmp_path))[1]
    assert (name, label, writer) == ("0000_7.png", "7", "0000")
    np.testing.assert_array_equal(grey, picture(ord("7") % 10))


def test_swiss_writers_are_parted_by_the_order_of_their_hashes(tmp_path: Path) -> None:
    found = read_swiss(write_swiss(tmp_path))
    parts = split_swiss(found)
    ordered = sorted(WRITERS, key=lambda writer: hashlib.sha256(writer.encode()).hexdigest())
    assert set(parts["test"].writers.tolist()) == set(ordered[:4])
    assert set(parts["validation"].writers.tolist()) == set(ordered[4:6])
    assert set(parts["train"].writers.tolist()) == set(ordered[6:])
    assert sum(map(len, parts.values())) == len(found)
    assert swiss_parts(reversed(WRITERS)) == swiss_parts(WRITERS * 2)


@pytest.mark.parametrize("name", ["digits.zip", "labels.csv"])
def test_a_missing_swiss_file_is_named(tmp_path: Path, name: str) -> None:
    folder = write_swiss(tmp_path)
    (folder / name).unlink()
    with pytest.raises(DataError, match=f"{name} is missing"):
        read_swiss(folder)


def test_a_picture_that_is_not_in_the_archive_or_is_none(tmp_path: Path) -> None:
    folder = write_swiss(tmp_path)
    with zipfile.ZipFile(folder / "digits.zip", "w") as archive:
        archive.writestr("0000_1.png", b"no picture")
    with pytest.raises(DataError, match=r"0000_1\.png is no picture"):
        read_swiss(folder)
    with zipfile.ZipFile(folder / "digits.zip", "w") as archive:
        archive.writestr("0000_1.png", cv2.imencode(".png", np.full((90, 90), 240, np.uint8))[1].tobytes())
    with pytest.raises(DataError, match=r"0000_7\.png of labels\.csv is not in it"):
        read_swiss(folder)
    rows = [("0000_1.png", "1", "x")]
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "label", "writer"), *rows])
    with pytest.raises(DataError, match=r"0000_1\.png shows no ink"):
        read_swiss(folder)


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"no archive"])
def test_a_damaged_archive(tmp_path: Path, damage) -> None:
    folder = write_swiss(tmp_path)
    path = folder / "digits.zip"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"digits\.zip is damaged"):
        read_swiss(folder)


@pytest.mark.parametrize(
    ("row", "message"),
    [(("a.png", "O", "x"), "label 'O'"), (("a.png", "1", ""), "no writer"), (("", "1", "x"), "name")],
)
def test_a_line_that_cannot_be_used(tmp_path: Path, row: tuple[str, str, str], message: str) -> None:
    folder = write_swiss(tmp_path)
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "label", "writer"), row])
    with pytest.raises(DataError, match=rf"line 2: .*{message}"):
        read_swiss(folder)
    (folder / "labels.csv").write_text("file,label\na.png,1\n")
    with pytest.raises(DataError, match="no column writer"):
        read_swiss(folder)
    (folder / "labels.csv").write_text("file,label,writer\n")
    with pytest.raises(DataError, match="no line"):
        read_swiss(folder)


# Italian


def test_italian_digits_are_read_in_order_and_grouped_by_two_runs(tmp_path: Path) -> None:
    pixels, labels, writers = semeion_pictures(write_semeion(tmp_path))
    assert pixels.shape == (120, 16, 16)
    assert labels.tolist() == [digit for _ in range(6) for digit in range(10) for _ in range(2)]
    assert writers.tolist() == [f"group{group}-0" for group in range(3) for _ in range(40)]
    assert pixels[0, 0].all()
    assert not pixels[0, 1, 1:15].any()
    parts = split_semeion(read_semeion(tmp_path / "semeion_digits"))
    assert {name: set(part.writers.tolist()) for name, part in parts.items()} == {
        "test": {"group0-0"},
        "validation": {"group1-0"},
        "train": {"group2-0"},
    }
    smooth, steps = (parts["test"].images[rows] for rows in (slice(40), slice(40, None)))
    assert set(np.unique(steps)) == {0, 255}
    assert len(np.unique(smooth)) > 20
    assert np.abs(smooth.mean((1, 2)) - steps.mean((1, 2))).max() < 15


def test_enlarged_pictures_fill_six_sevenths_and_keep_their_strokes() -> None:
    ring = np.zeros((16, 16), np.uint8)
    ring[[0, 1, 14, 15]] = ring[:, [0, 1, 14, 15]] = 1
    for side in (28, 56, 64):
        image = enlarged(ring, side)
        assert image.shape == (side, side)
        assert image.dtype == np.uint8
        x, y, width, height = cv2.boundingRect(cv2.threshold(image, 127, 255, cv2.THRESH_BINARY)[1])
        assert abs(width - side * 6 / 7) <= 1.5
        assert (width, x) == (height, y)
        assert abs(x + width / 2 - side / 2) <= 0.5
        across = image[side // 2].astype(float).sum() / 255 / 2  # of the two sides
        assert across == pytest.approx(2 * side * 6 / 7 / 16, rel=0.2)


def test_a_line_one_pixel_wide_stays_and_a_slope_loses_its_steps() -> None:
    line = np.zeros((16, 16), np.uint8)
    line[:, 8] = 1
    assert enlarged(line)[8:48].max(1).min() > 200
    stairs = np.tril(np.ones((16, 16), np.uint8))
    image = enlarged(stairs, 112).astype(float)
    edge = image[20:92].sum(1) / 255  # how far right the ink reaches, row by row
    assert np.abs(edge - np.polyval(np.polyfit(np.arange(72), edge, 1), np.arange(72))).max() < 1.0  # a step is 6


@pytest.mark.parametrize("change", ["", "1 " * 266, "0 " * 266, "a " * 266, "1 0 1", "2 " + "0 " * 264 + "1"])
def test_a_line_that_is_no_italian_digit(tmp_path: Path, change: str) -> None:
    lines = semeion_lines()
    if change:
        lines[2] = change + "\n"
        with pytest.raises(DataError, match="line 3: "):
            read_semeion(write_semeion(tmp_path, lines))
    else:
        with pytest.raises(DataError, match="0 lines run through the digits 0 times"):
            read_semeion(write_semeion(tmp_path, []))


def test_lines_out_of_order_are_refused(tmp_path: Path) -> None:
    lines = semeion_lines()
    with pytest.raises(DataError, match="the order of the lines tells who wrote them"):
        read_semeion(write_semeion(tmp_path, [lines[row] for row in np.random.default_rng(0).permutation(120)]))
    with pytest.raises(DataError, match="run through the digits 5 times, not 6"):
        read_semeion(write_semeion(tmp_path, lines[:100]))
    with pytest.raises(DataError, match=r"semeion\.data is missing"):
        read_semeion(tmp_path)


# All of them


def test_hands_are_read_and_parted(tmp_path: Path) -> None:
    write_swiss(tmp_path)
    write_semeion(tmp_path)
    write_uji(tmp_path)
    hands = read_hands(tmp_path)
    sizes = {"swiss": 0, "semeion": 0, "uji": 0}
    for name in ("train", "validation", "test"):
        part = hands.part(name)
        for kind in sizes:
            sizes[kind] += len(getattr(part, kind))
        assert {part_of(writer) for writer in part.uji.writers.tolist()} == {name}
    assert sizes == {"swiss": 28, "semeion": 240, "uji": 40}
    with pytest.raises(ValueError, match="choose of train, validation, test"):
        hands.part("blind")


def test_what_is_missing_is_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none of the folders swiss_digits, semeion_digits and uji_digits"):
        read_hands(tmp_path)
    write_uji(tmp_path)
    hands = read_hands(tmp_path)
    assert hands.swiss is hands.semeion is None
    assert hands.part("train").swiss is None
    assert len(hands.part("train").uji) > 20


def test_the_digest_tells_every_change(tmp_path: Path) -> None:
    write_swiss(tmp_path)
    write_semeion(tmp_path)
    write_uji(tmp_path)
    hands = read_hands(tmp_path)
    seen = {hands.sha256()}
    assert read_hands(tmp_path).sha256() in seen
    order = np.arange(len(hands.swiss))[::-1]
    images = hands.semeion.images.copy()
    images[3, 20, 20] ^= 1
    strokes = [list(map(np.copy, character)) for character in hands.uji.strokes]
    strokes[5][0][0, 0] += 0.5
    for changed in (
        replace(hands, swiss=None),
        replace(hands, swiss=hands.swiss.select(order)),
        replace(hands, semeion=replace(hands.semeion, images=images)),
        replace(hands, uji=replace(hands.uji, strokes=strokes)),
        replace(hands, uji=replace(hands.uji, writers=hands.uji.writers[::-1])),
        replace(hands, swiss=hands.semeion, semeion=hands.swiss),
        hands.part("train"),
    ):
        assert changed.sha256() not in seen
        seen.add(changed.sha256())


@pytest.mark.skipif(not (REAL / "swiss_digits").is_dir(), reason=f"needs the digits in {REAL}")
def test_the_real_hands() -> None:
    hands = read_hands(REAL)
    counted = {}
    for name in ("train", "validation", "test"):
        part = hands.part(name)
        counted[name] = [
            (len(found), len(set(found.writers.tolist()))) for found in (part.swiss, part.semeion, part.uji)
        ]
        for found in (part.swiss, part.semeion, part.uji):
            assert np.bincount(found.labels, minlength=10).min() > 0
            assert found.labels.max() == 9
    assert counted == {
        "train": [(4782, 8), (1594, 6), (620, 31)],
        "validation": [(868, 2), (796, 3), (120, 6)],
        "test": [(2381, 4), (796, 3), (80, 4)],
    }
    for found in (hands.swiss, hands.semeion):
        boxes = np.array([ink_box(image) for image in found.images])
        longer = boxes[:, 2:].max(1)
        assert np.mean((longer >= 46) & (longer <= 51)) > 0.98
        middle = boxes[:, :2] + boxes[:, 2:] / 2
        assert np.mean(np.abs(middle - 28).max(1) <= 2.5) > 0.97


@pytest.mark.skipif(not (REAL / "semeion_digits").is_dir(), reason=f"needs the Italian digits in {REAL}")
def test_runs_of_one_group_have_the_same_writers_and_others_do_not() -> None:
    pixels, labels, _ = semeion_pictures(REAL / "semeion_digits")
    runs = np.cumsum(np.diff(labels, prepend=0) < 0)
    shapes = np.stack([cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 1) for picture in pixels]).reshape(-1, 256)
    for digit in range(10):
        rows = labels == digit
        shapes[rows] -= shapes[rows].mean(0)
    shapes /= np.linalg.norm(shapes, axis=1, keepdims=True)
    likeness = np.zeros((6, 6))
    for first in range(6):
        for second in range(first + 1, 6):
            alike = []
            for digit in range(10):
                one, other = (shapes[(runs == run) & (labels == digit)] for run in (first, second))
                alike += np.diag(one @ other.T).tolist()
            likeness[first, second] = np.mean(alike)
    same = [likeness[0, 1], likeness[2, 3], likeness[4, 5]]
    assert min(same) > 0.15
    assert np.sort(likeness.ravel())[-4] < 0.06
