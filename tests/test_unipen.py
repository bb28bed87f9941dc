import csv
import gzip
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vinscribe.charset import CHARSET, NUM_CLASSES
from vinscribe.errors import DataError
from vinscribe.training import unipen
from vinscribe.training.unipen import StrokeSet, part_of, read_strokes, split_writers, without_doubtful

REAL = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "unipen"

# y upward: a tall 1 with a repeated point, a T of two strokes that is wider than high, a dot.
ONE = [[[3.0, 10.0], [3.0, 10.0], [3.0, 50.0]]]
TEE = [[[100.0, 220.0], [300.0, 220.0]], [[200.0, 220.0], [200.0, 120.0], [200.0, 120.0]]]
DOT = [[[7.0, 7.0]], [[7.0, 7.0], [7.0, 7.0]]]


def write(folder: Path, characters: Sequence[Any], rows: Sequence[tuple[str, str]], indices: Any = None) -> Path:
    with gzip.open(folder / "strokes.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(character) + "\n" for character in characters)
    with (folder / "labels.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(("index", "label", "writer", "source", "quality"))
        numbers = range(len(rows)) if indices is None else indices
        lines.writerows(
            (number, label, writer, "x", "OK") for number, (label, writer) in zip(numbers, rows, strict=True)
        )
    return folder


@pytest.fixture
def three(tmp_path: Path) -> Path:
    return write(tmp_path, [ONE, TEE, DOT], [("1", "ann"), ("T", "bob"), ("J", "ann")])


def test_labels_and_writers(three: Path) -> None:
    strokes = read_strokes(three)
    assert len(strokes) == 3
    assert [CHARSET[label] for label in strokes.labels] == ["1", "T", "J"]
    assert strokes.labels.dtype == np.int64
    assert strokes.writers.tolist() == ["ann", "bob", "ann"]
    assert strokes.counts().sum() == 3


def test_points_are_scaled_turned_and_never_repeated(three: Path) -> None:
    one, tee, dot = read_strokes(three).strokes
    np.testing.assert_array_equal(one[0], [[0, 1], [0, 0]])
    np.testing.assert_allclose(tee[0], [[0, 0], [1, 0]])
    np.testing.assert_allclose(tee[1], [[0.5, 0], [0.5, 0.5]])
    assert [stroke.tolist() for stroke in dot] == [[[0, 0]], [[0, 0]]]
    for stroke in (*one, *tee, *dot):
        assert stroke.dtype == np.float32
        assert not np.signbit(stroke).any()


def test_the_longer_side_is_one_whatever_the_units(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    drawn = [
        [(rng.normal(size=(9, 2)) * scale + 1000).tolist(), (rng.normal(size=(5, 2)) * scale).tolist()]
        for scale in (0.001, 1, 4000)
    ]
    for character in read_strokes(write(tmp_path, drawn, [("X", "w")] * 3)).strokes:
        points = np.concatenate(character)
        np.testing.assert_array_equal(points.min(0), [0, 0])
        assert points.max() == pytest.approx(1)


def test_no_writer_is_in_two_parts_and_no_character_is_lost(tmp_path: Path) -> None:
    writers = [f"writer-{number % 60}" for number in range(180)]
    drawn = [[[[0, 0], [number + 1, 3]]] for number in range(180)]
    strokes = read_strokes(write(tmp_path, drawn, [("7", writer) for writer in writers]))
    parts = split_writers(strokes)
    names = {name: set(part.writers.tolist()) for name, part in parts.items()}
    assert sum(map(len, parts.values())) == 180
    assert not names["train"] & names["validation"] | names["train"] & names["test"]
    assert not names["validation"] & names["test"]
    assert len(names["train"]) > len(names["validation"]) > 0
    for name, part in parts.items():
        assert {part_of(writer) for writer in part.writers.tolist()} == {name}
        for character, writer in zip(part.strokes, part.writers.tolist(), strict=True):
            # a character's shape is still its own writer's: rows 0..179 were drawn flatter and flatter
            slope = character[0][:, 1].max() / character[0][:, 0].max()
            rows = [row for row in range(180) if np.isclose(3 / (row + 1), slope, rtol=1e-4)]
            assert [writers[row] for row in rows] == [writer]


def test_the_rule_is_the_first_byte_of_the_writers_hash() -> None:
    found = set()
    for number in range(2000):
        writer = f"hand {number}"
        first = int(hashlib.sha256(writer.encode()).hexdigest()[:2], 16)
        assert part_of(writer) == ("test" if first < 38 else "validation" if first < 77 else "train")
        found.add(first)
    assert {37, 38, 76, 77} <= found


def test_select_takes_masks_and_rows(three: Path) -> None:
    strokes = read_strokes(three)
    assert strokes.select(strokes.writers == "ann").labels.tolist() == strokes.labels[[0, 2]].tolist()
    reversed_set: StrokeSet = strokes.select(np.array([2, 0]))
    assert [len(character) for character in reversed_set.strokes] == [2, 1]


@pytest.mark.parametrize("name", ["strokes.jsonl.gz", "labels.csv"])
def test_a_missing_file_is_named(three: Path, name: str) -> None:
    (three / name).unlink()
    with pytest.raises(DataError, match=f"{name} is missing"):
        read_strokes(three)


@pytest.mark.parametrize("label", ["I", "O", "Q", "a", "", "12"])
def test_a_label_outside_the_charset(tmp_path: Path, label: str) -> None:
    write(tmp_path, [ONE, ONE], [("1", "ann"), (label, "ann")])
    with pytest.raises(DataError, match=f"line 3: label {label!r}"):
        read_strokes(tmp_path)


def test_counts_that_differ(tmp_path: Path) -> None:
    write(tmp_path, [ONE, TEE], [("1", "ann")])
    with pytest.raises(DataError, match=r"2 characters .* 1 rows"):
        read_strokes(tmp_path)


def test_rows_out_of_place_and_without_writer(tmp_path: Path) -> None:
    write(tmp_path, [ONE, TEE], [("1", "ann"), ("T", "ann")], indices=(0, 2))
    with pytest.raises(DataError, match="line 3: index '2' where 1"):
        read_strokes(tmp_path)
    write(tmp_path, [ONE], [("1", "")])
    with pytest.raises(DataError, match="no writer"):
        read_strokes(tmp_path)


def test_a_missing_column(three: Path) -> None:
    (three / "labels.csv").write_text("index,label\n0,1\n")
    with pytest.raises(DataError, match="no column writer"):
        read_strokes(three)


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[: len(data) // 2], lambda data: b"no gzip", lambda data: data[:-7] + b"damaged"],
)
def test_a_damaged_archive(three: Path, damage: Any) -> None:
    path = three / "strokes.jsonl.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"strokes\.jsonl\.gz"):
        read_strokes(three)


@pytest.mark.parametrize(
    "line",
    ["{", "7", "[]", "[[]]", "[[1, 2]]", "[[[1, 2, 3]]]", "[[[1, 2], [3]]]", '[[["a", 2]]]', "[[[NaN, 2]]]", "null"],
)
def test_a_line_that_is_no_character(tmp_path: Path, line: str) -> None:
    write(tmp_path, [ONE, TEE], [("1", "ann"), ("T", "ann")])
    with gzip.open(tmp_path / "strokes.jsonl.gz", "wt") as file:
        file.write(f"{json.dumps(ONE)}\n{line}\n")
    with pytest.raises(DataError, match="line 2: "):
        read_strokes(tmp_path)


@pytest.mark.skipif(not REAL.is_dir(), reason=f"needs the UNIPEN strokes in {REAL}")
def test_the_real_writers_are_split_with_every_character_in_every_part() -> None:
    strokes = read_strokes(REAL)
    parts = split_writers(strokes)
    assert {name: len(part) for name, part in parts.items()} == {"train": 17_840, "validation": 2_919, "test": 4_697}
    assert {name: len(set(part.writers.tolist())) for name, part in parts.items()} == {
        "train": 126,
        "validation": 25,
        "test": 32,
    }
    for part in parts.values():
        assert part.counts().shape == (NUM_CLASSES,)
        assert part.counts().min() >= 40
    for character in strokes.strokes[::50]:
        points = np.concatenate(character)
        assert points.min() == 0
        assert points.max() in (0, pytest.approx(1))


def test_characters_that_do_not_show_their_label_are_left_out(tmp_path, monkeypatch):
    line, hook = [np.array([[0, 0], [0, 1]], np.float32)], [np.array([[0, 0], [0.5, 1]], np.float32)]
    strokes = StrokeSet([line, hook, line], np.array([1, 1, 4]), np.array(["a", "b", "a"]))
    digest = hashlib.sha256((2).to_bytes(4, "little") + line[0].tobytes()).hexdigest()[:12]
    (tmp_path / "verdicts.csv").write_text(f"strokes,label,verdict\n{digest},4,fragment\n")
    monkeypatch.setattr(unipen, "VERDICTS_FILE", tmp_path / "verdicts.csv")
    left = without_doubtful(strokes)
    assert left.labels.tolist() == [1, 1]  # the same line is a good 1
    assert left.writers.tolist() == ["a", "b"]


def test_the_verdicts_are_well_formed():
    with unipen.VERDICTS_FILE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 563
    assert {row["verdict"] for row in rows} == {"fragment", "other", "scribble", "ambiguous"}
    assert all(len(row["strokes"]) == 12 and row["label"] in CHARSET for row in rows)


@pytest.mark.skipif(not REAL.is_dir(), reason=f"needs the UNIPEN strokes in {REAL}")
def test_every_verdict_is_about_a_recorded_character():
    strokes = read_strokes(REAL)
    assert len(strokes) - len(without_doubtful(strokes)) in range(563, 600)  # a few are there twice
