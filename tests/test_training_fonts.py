import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from made_hands import WAYS, install, list_fonts
from numpy.typing import NDArray

from vinscribe.charset import CHARSET, NUM_CLASSES, label_of
from vinscribe.errors import DataError
from vinscribe.training import fonts
from vinscribe.training.fonts import NOT_PRINT, font_names, read_font_images, read_fonts
from vinscribe.training.unipen import part_of, split_writers

REAL = Path(__file__).resolve().parent.parent / "fonts"


@pytest.fixture(scope="module")
def one_font(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fonts")
    install(folder, "hand")
    list_fonts(folder, "hand")
    return folder


@pytest.fixture(scope="module")
def traced(one_font: Path) -> dict[str, list[NDArray[np.float32]]]:
    characters = read_fonts(one_font)
    assert characters.writers.tolist() == ["hand"] * len(WAYS)
    return {CHARSET[label]: ways for label, ways in zip(characters.labels, characters.strokes, strict=True)}


@pytest.mark.parametrize("char", sorted(WAYS))
def test_strokes_are_where_the_pen_went(char: str, traced: dict[str, list[NDArray[np.float32]]]) -> None:
    ways = [np.array(way) * (1, -1) for way in WAYS[char]]
    points = np.concatenate(ways)
    low = points.min(0)
    side = (points.max(0) - low).max()
    strokes = traced[char]
    assert len(strokes) == len(ways)
    assert min(stroke.min() for stroke in strokes) == 0
    assert max(stroke.max() for stroke in strokes) == 1
    assert all(stroke.dtype == np.float32 and (stroke[1:] != stroke[:-1]).any(1).all() for stroke in strokes)
    for way in ways:
        true = (way - low) / side
        assert min(gap(true, stroke) for stroke in strokes) < 0.035
    lengths = sorted(length(stroke) for stroke in strokes)
    assert lengths == pytest.approx(sorted(length((way - low) / side) for way in ways), abs=0.05)


def gap(one: NDArray[np.float64], two: NDArray[np.float32]) -> float:
    """How far apart two paths are at most."""
    a, b = dense(one), dense(two.astype(np.float64))
    distances = np.linalg.norm(a[:, None] - b[None], axis=2)
    return float(max(distances.min(0).max(), distances.min(1).max()))


def dense(path: NDArray[np.float64]) -> NDArray[np.float64]:
    at = np.linspace(0, len(path) - 1, 50 * (len(path) - 1) + 1)
    return np.stack([np.interp(at, np.arange(len(path)), path[:, axis]) for axis in (0, 1)], axis=1)


def length(path: NDArray[np.floating]) -> float:
    return float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())


@pytest.mark.parametrize(("char", "corners"), [("L", 1), ("V", 1), ("Z", 2), ("C", 0), ("1", 0)])
def test_corners_are_sharp_and_bends_are_not(
    char: str, corners: int, traced: dict[str, list[NDArray[np.float32]]]
) -> None:
    (stroke,) = traced[char]
    steps = np.diff(stroke, axis=0)
    headings = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
    assert int((np.abs(np.diff(headings)) > np.radians(60)).sum()) == corners


def test_x_is_two_strokes_that_cross(traced: dict[str, list[NDArray[np.float32]]]) -> None:
    for stroke in traced["X"]:
        assert abs(stroke[0, 1] - stroke[-1, 1]) > 0.9
        assert abs(stroke[0, 0] - stroke[-1, 0]) > 0.5


def test_strokes_start_at_the_top_or_left(traced: dict[str, list[NDArray[np.float32]]]) -> None:
    assert traced["1"][0][0, 1] < traced["1"][0][-1, 1]
    assert all(stroke[0] @ (0.5, 1) <= stroke[-1] @ (0.5, 1) for strokes in traced.values() for stroke in strokes)


def test_the_same_each_time(one_font: Path) -> None:
    first, second = read_fonts(one_font), read_fonts(one_font)
    assert first.labels.tolist() == second.labels.tolist()
    for one, two in zip(first.strokes, second.strokes, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def test_pictures_have_the_ink_in_the_middle(one_font: Path) -> None:
    images, labels, writers = read_font_images(one_font, size_px=56)
    assert images.shape == (len(WAYS), 56, 56)
    assert images.dtype == np.uint8
    assert [CHARSET[label] for label in labels] == sorted(WAYS)
    assert set(writers.tolist()) == {"hand"}
    for image in images:
        rows, columns = (np.flatnonzero((image > 127).any(axis)) for axis in (1, 0))
        assert max(np.ptp(rows), np.ptp(columns)) + 1 in (47, 48)
        assert rows[0] + rows[-1] == pytest.approx(55, abs=1)
        assert columns[0] + columns[-1] == pytest.approx(55, abs=1)
    crossed = images[labels.tolist().index(label_of("X"))]
    assert crossed[28, 28] == 255  # where two outlines overlap there is ink
    assert crossed[0].max() == 0


def test_another_weight_where_there_is_no_400(tmp_path: Path) -> None:
    install(tmp_path, "bold", weight=700)
    install(tmp_path, "bold", weight=500)
    list_fonts(tmp_path, "bold")
    files = tmp_path / "node_modules" / "@fontsource" / "bold" / "files"
    (files / "bold-latin-700-normal.woff2").write_bytes(b"not looked at")
    assert len(read_fonts(tmp_path)) == len(WAYS)


def test_split_by_font(tmp_path: Path) -> None:
    names = ["a", "b", "c", "d", "e", "f"]
    install(tmp_path, "a")
    for name in names[1:]:
        files = tmp_path / "node_modules" / "@fontsource" / name / "files"
        files.mkdir(parents=True)
        shutil.copy(
            tmp_path / "node_modules" / "@fontsource" / "a" / "files" / "a-latin-400-normal.woff2",
            files / f"{name}-latin-400-normal.woff2",
        )
    list_fonts(tmp_path, *names)
    parts = split_writers(read_fonts(tmp_path))
    assert sum(map(len, parts.values())) == len(names) * len(WAYS)
    for part, characters in parts.items():
        assert {part_of(name) for name in characters.writers.tolist()} <= {part}


def test_missing_font_says_what_to_do(tmp_path: Path) -> None:
    list_fonts(tmp_path, "gone")
    with pytest.raises(DataError, match="npm ci --prefix fonts"):
        read_fonts(tmp_path)
    with pytest.raises(DataError, match="npm ci --prefix fonts"):
        read_font_images(tmp_path)


def test_damaged_font_and_list(tmp_path: Path) -> None:
    list_fonts(tmp_path, "torn")
    files = tmp_path / "node_modules" / "@fontsource" / "torn" / "files"
    files.mkdir(parents=True)
    (files / "torn-latin-400-normal.woff2").write_bytes(b"wOF2 and no more")
    with pytest.raises(DataError, match="is damaged"):
        read_fonts(tmp_path)
    (tmp_path / "package.json").write_text("[]")
    with pytest.raises(DataError, match=r"package\.json"):
        read_fonts(tmp_path)
    with pytest.raises(DataError, match=r"package\.json"):
        font_names(tmp_path / "nowhere")


def test_lock_file_names_no_host() -> None:
    lock = json.loads((REAL / "package-lock.json").read_text())
    assert all("resolved" not in package for package in lock["packages"].values())
    listed = json.loads((REAL / "package.json").read_text())["dependencies"]
    assert lock["packages"][""]["dependencies"] == listed
    assert set(NOT_PRINT) <= set(font_names(REAL))


@pytest.mark.skipif(not (REAL / "node_modules").is_dir(), reason="no fonts here ('npm ci --prefix fonts')")
def test_real_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels, writers = read_font_images(REAL, size_px=28)
    assert set(writers.tolist()) == set(font_names(REAL))
    assert np.bincount(labels, minlength=NUM_CLASSES).min() > 60
    assert images.reshape(len(images), -1).max(1).min() > 200
    names = font_names(REAL)[::8]
    monkeypatch.setattr(fonts, "font_names", lambda folder: names)
    strokes = read_fonts(REAL)
    assert len(strokes) > 30 * len(names)
    assert set(strokes.writers.tolist()) == set(names)
