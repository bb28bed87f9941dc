import inspect
import os
import pickle
import subprocess
import sys
import types
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn import write_model
from hypothesis import given
from hypothesis import strategies as st
from scan_files import card, encode, scanned_pdf, tiff

from vinscribe import archive
from vinscribe.archive import (
    PAGES_AT_ONCE,
    Failed,
    PageRead,
    Part,
    ReadSettings,
    ScanReader,
    Taken,
    picture_name,
)
from vinscribe.errors import ModelError, UsageError
from vinscribe.listing import find_scans


def write(folder, *names):
    for name in names:
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


ODD_NAMES = ["new\nline.pdf", "with space.PNG", "日本.tif", os.fsdecode(b"caf\xe9.jpg"), "~b.webp", "-c.bmp"]


def test_folders_are_gone_through_in_the_order_of_their_paths(tmp_path):
    names = ["b.png", "a/2.TIF", "a/10.pdf", "a-b.jpg", "a/z/1.png", "c.png", *ODD_NAMES]
    write(tmp_path, *names, "notes.txt", ".hidden.png", ".git/x.png", "a/.x.png", "png", "d/readme.md")
    assert list(find_scans([str(tmp_path)])) == sorted(f"{tmp_path}/{name}" for name in names)
    assert list(find_scans([f"{tmp_path}/"])) == list(find_scans([str(tmp_path)]))


def test_files_come_as_they_are_whatever_their_ending(tmp_path):
    write(tmp_path, "z.dat", "a/.hidden.png", "a/1.png")
    paths = [f"{tmp_path}/z.dat", f"{tmp_path}/a", f"{tmp_path}/a/.hidden.png", f"{tmp_path}/none"]
    assert list(find_scans(paths)) == [paths[0], f"{tmp_path}/a/1.png", *paths[2:]]


def test_a_folder_that_is_called_like_a_scan_is_a_folder(tmp_path):
    write(tmp_path, "x.png/1.png")
    assert list(find_scans([str(tmp_path)])) == [f"{tmp_path}/x.png/1.png"]


def test_links(tmp_path):
    write(tmp_path, "real/1.png", "elsewhere/2.png")
    here = tmp_path / "real"
    (here / "loop").symlink_to(here)
    (here / "other").symlink_to(tmp_path / "elsewhere")
    (here / "file.png").symlink_to(tmp_path / "elsewhere" / "2.png")
    (here / "nowhere.png").symlink_to(tmp_path / "none.png")  # a card that somebody misses
    (tmp_path / "link").symlink_to(here)
    names = ["1.png", "file.png", "nowhere.png"]
    assert list(find_scans([str(here)])) == [f"{here}/{name}" for name in names]
    assert list(find_scans([f"{tmp_path}/link"])) == [f"{tmp_path}/link/{name}" for name in names]


def test_a_folder_that_cannot_be_listed_does_not_stop_the_others(tmp_path, monkeypatch):
    def scandir(path):
        if path.endswith("b/"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    real = os.scandir
    monkeypatch.setattr(os, "scandir", scandir)
    write(tmp_path, "a.png", "b/1.png", "c.png")
    assert list(find_scans([str(tmp_path)])) == [
        f"{tmp_path}/a.png",
        Failed(f"{tmp_path}/b/", None, "cannot be listed: Permission denied; what is in it is not read"),
        f"{tmp_path}/c.png",
    ]


def test_folders_may_lie_deeper_than_functions(tmp_path, monkeypatch):
    depth = 300
    (tmp_path / ("d/" * depth)).mkdir(parents=True)
    write(tmp_path, "d/" * depth + "1.png")
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + depth // 2)
    try:
        scans = list(find_scans([str(tmp_path)]))
    finally:
        sys.setrecursionlimit(limit)
    assert scans == [f"{tmp_path}/" + "d/" * depth + "1.png"]


def test_a_folder_is_listed_when_it_is_come_to(tmp_path, monkeypatch):
    listed = []
    real = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(path) or real(path))
    write(tmp_path, "a/1.png", "b/1.png")
    scans = find_scans([str(tmp_path)])
    next(scans)
    assert [path.removeprefix(str(tmp_path)) for path in listed] == ["/", "/a/"]


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    model = write_model(tmp_path_factory.mktemp("model") / "model.onnx", size=40, num_outputs=34)
    return ReadSettings(model, "any", 0.999)


@pytest.fixture
def reader(settings):
    return ScanReader(settings)


@pytest.fixture
def scan(tmp_path):
    def write_scan(name, data):
        (tmp_path / name).write_bytes(data)
        return str(tmp_path / name)

    return write_scan


def test_each_page_comes_with_its_place(reader, scan):
    file = scan("a.pdf", scanned_pdf([card(0), card(1)]))
    first, second = reader.read_file(file)
    assert (first.reading.file, first.reading.page, first.count, first.problem) == (file, 1, 2, None)
    assert (second.reading.page, second.count) == (2, 2)
    assert first.reading.decision == "no_field"


def test_a_long_file_is_read_a_few_pages_at_a_time(reader, scan):
    count = 2 * PAGES_AT_ONCE + 1
    file = scan("a.tif", tiff([card(0)] * count))
    taken, *pages = reader.read(Part(file))
    assert (list(taken.pages), list(taken.rest)) == (
        list(range(1, PAGES_AT_ONCE + 1)),
        list(range(PAGES_AT_ONCE + 1, count + 1)),
    )
    assert [page.reading.page for page in pages] == list(taken.pages)
    assert [page.reading.page for page in reader.read_file(file)] == list(range(1, count + 1))
    assert len(pickle.dumps(replace(taken, rest=range(3, 100_000)))) < 500  # is sent for each few pages


def test_some_pages_of_a_file(reader, scan):
    file = scan("a.tif", tiff([card(0)] * 5))
    taken, *pages = reader.read(Part(file, [2, 5]))
    assert taken == Taken([2, 5], [])
    assert [(page.reading.page, page.count) for page in pages] == [(2, 5), (5, 5)]
    (failed,) = reader.read(Part(file, [5, 6]))
    assert failed.error == "has 5 pages now, fewer than when it was begun; read it by itself"


def test_broken_pages_and_files_are_results_too(reader, scan, tmp_path):
    data = scanned_pdf([card(0), card(1), card(2)]).replace(b"3 0 R 6 0 R 9 0 R", b"3 0 R 0 0 R 9 0 R")
    first, broken, third = reader.read_file(scan("a.pdf", data))
    assert (first.reading.page, broken.page, third.reading.page) == (1, 2, 3)
    assert broken.error.startswith("damaged page in the PDF")
    for data, says in [(b"", "empty file"), (b"hello", "not a PNG"), (encode(card(0))[:60], "truncated")]:
        (failed,) = reader.read_file(scan("b.png", data))
        assert (failed.file, failed.page) == (str(tmp_path / "b.png"), None)
        assert says in failed.error
    (failed,) = reader.read_file(str(tmp_path))
    assert "not a file" in failed.error


def test_a_mistake_in_vinscribe_costs_a_page_and_is_said(reader, scan, monkeypatch):
    calls = []

    def read_page(image):
        calls.append(image)
        if len(calls) == 1:
            raise ZeroDivisionError("oh")
        return real(image)

    real = reader._reader.read_page
    monkeypatch.setattr(reader._reader, "read_page", read_page)
    first, second = reader.read_file(scan("a.tif", tiff([card(0)] * 2)))
    assert (first.page, first.error) == (
        1,
        "unexpected ZeroDivisionError: oh; please report it, with the file if you can",
    )
    assert second.reading.page == 2
    monkeypatch.setattr("vinscribe.pages.read_pages", lambda *_: 1 / 0)
    (failed,) = reader.read_file(scan("a.png", encode(card(0))))
    assert failed.error.startswith("unexpected ZeroDivisionError")


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"model": "none.onnx"}, ModelError),
        ({"market": "moon"}, UsageError),
        ({"threshold": 2.0}, UsageError),
        ({"expected": "none.txt"}, UsageError),
        ({"register": ("none.txt",)}, UsageError),
    ],
)
def test_wrong_settings_are_said_at_once(settings, change, kind):
    with pytest.raises(kind):
        ScanReader(replace(settings, **change))


def test_notes_are_those_of_the_list(settings, tmp_path):
    (tmp_path / "list.txt").write_text("1HGCM82633A004352\nnone\n")
    file = str(tmp_path / "list.txt")
    assert "1 of 2" in ScanReader(replace(settings, expected=file)).notes[0]
    notes = ScanReader(replace(settings, expected=file, register=(file,))).notes
    assert [note.count("1 of 2") for note in notes] == [1, 1]


def test_all_that_goes_between_processes_can_be_pickled(settings, reader, scan):
    file = scan(ODD_NAMES[3], tiff([card(0)] * 2))
    things = [settings, ScanReader, Part(file), Failed(file, 1, "x"), *reader.read(Part(file))]
    assert [pickle.loads(pickle.dumps(thing)) for thing in things] == things  # noqa: S301


@pytest.fixture
def annotated(settings, tmp_path, monkeypatch):
    """A reader that writes pictures, with a stand-in for what draws them."""
    module = types.ModuleType("vinscribe.annotate")
    module.annotate = lambda image, _: cv2.cvtColor(255 - image, cv2.COLOR_GRAY2BGR)
    monkeypatch.setitem(sys.modules, "vinscribe.annotate", module)
    (tmp_path / "seen").mkdir()
    return ScanReader(replace(settings, annotate=str(tmp_path / "seen")))


def test_pictures_of_the_pages(annotated, scan, tmp_path):
    file = scan(ODD_NAMES[3], tiff([card(0), card(1)]))
    assert [page.problem for page in annotated.read_file(file)] == [None, None]
    names = sorted(os.listdir(tmp_path / "seen"))
    assert names == [picture_name(file, 1), picture_name(file, 2)]
    picture = cv2.imdecode(np.fromfile(tmp_path / "seen" / names[1], np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(picture[..., 0].astype(int) - (255 - card(1).astype(int))).mean() < 8


def test_a_picture_that_cannot_be_written_is_a_problem_but_the_page_is_read(annotated, scan, tmp_path):
    (tmp_path / "seen").rmdir()
    (page,) = annotated.read_file(scan("a.png", encode(card(0))))
    assert isinstance(page, PageRead)
    assert page.reading.decision == "no_field"
    assert page.problem.startswith("its picture could not be written to ")
    assert "No such file" in page.problem


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1).filter(lambda name: name != ".")


@given(st.lists(NAMES, min_size=1, unique=True))
def test_names_of_pictures_are_different_and_stay_in_the_folder(names):
    made = {picture_name(f"d/{name}", page) for name in names for page in (1, 2)}
    assert len(made) == 2 * len(names)
    for name in made:
        assert "/" not in name
        assert name.endswith(".jpg")
        assert len(os.fsencode(name)) <= 255


def test_names_of_pictures():
    assert picture_name("/x/card.png", 2) == picture_name("/x//card.png", 2) != picture_name("/y/card.png", 2)
    assert picture_name("/x/card.png", 12).startswith("card-")
    assert picture_name("/x/card.png", 12).endswith("-page12.jpg")


def test_importing_the_archive_is_cheap():
    code = "import sys, vinscribe.archive, vinscribe.workers; assert not {'cv2', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(archive.__file__).parent.parent)
