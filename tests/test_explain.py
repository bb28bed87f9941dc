"""explain.py: one picture for each picture, none of anybody else's overwritten, a page with the doubtful ones first."""

import re
from pathlib import Path
from urllib.parse import unquote

import cv2
import numpy as np
import pytest
from drawn import BLOT, draw, write_model

from vinscribe.cells import normalise
from vinscribe.errors import UsageError
from vinscribe.explain import Explanation, draw_explanation, target_names
from vinscribe.images import list_pictures
from vinscribe.reader import CharacterReading, Reader, Unreadable


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    return Reader(write_model(tmp_path_factory.mktemp("model") / "model.onnx", size=40, num_outputs=34))


@pytest.fixture
def cards(tmp_path):
    folder = tmp_path / "cards"
    folder.mkdir()
    for name, char in (("a.png", "A"), ("a.jpg", "B"), ("c.PNG", "C"), ("zblot.png", BLOT)):
        cv2.imwrite(str(folder / name), draw(char, 72))
    return folder


def explain(reader, cards, out):
    paths = list_pictures(str(cards))
    return list(Explanation(str(out), str(cards), paths).of(reader.read_with_cells(paths)))


def linked(out):
    """The pictures on the page, in their order."""
    return [unquote(link) for link in re.findall(r'<img src="([^"]+)"', (out / "index.html").read_text("utf-8"))]


def test_every_picture_has_its_own_file(reader, cards, tmp_path):
    out = tmp_path / "deep" / "seen"
    results = explain(reader, cards, out)
    assert results == list(reader.read_characters(list_pictures(str(cards))))
    names = {"a.png", "a.jpg.png", "c.PNG.png", "zblot.png"}
    assert {path.name for path in out.iterdir()} == names | {"index.html"}
    assert set(linked(out)) == names
    for name in names:
        assert cv2.imread(str(out / name)).shape[0] == 180


def test_original_and_cell_are_side_by_side():
    image = draw("R", 40)
    image[:, :3] = 90
    cell = normalise(image, 40)
    reading = CharacterReading(
        "r.png", "R", 82, 0.75, (("R", 0.75), ("K", 0.2), ("H", 0.0), ("A", 0.0), ("B", 0.0)), True, 0.96
    )
    sheet = draw_explanation(image, cell, reading)
    assert sheet.shape == (180, 610, 3)
    grey = sheet[..., 0]
    assert np.array_equal(grey[10:170:4, 10:170:4], image)
    assert np.array_equal(grey[10:170:4, 180:340:4], cell)
    # Six bars of 110 px: 75 %, 20 %, 0, 0, 0, 96 % of them filled with a colour.
    coloured = (np.ptp(sheet[..., :].astype(int), axis=2) > 15).sum(axis=1)
    rows = [coloured[10 + 26 * place : 36 + 26 * place].max() for place in range(6)]
    assert rows == pytest.approx([82, 22, 0, 0, 0, 106], abs=3)


@pytest.mark.parametrize(("shape", "width"), [((320, 160), 80), ((20, 10), 80), ((10, 1000), 480), ((1000, 2), 1)])
def test_originals_of_any_shape(shape, width):
    reading = CharacterReading("r.png", "R", 82, 0.5, (("R", 0.5),), False, 0.4)
    sheet = draw_explanation(np.full(shape, 30, np.uint8), np.zeros((28, 28), np.uint8), reading)
    assert sheet.shape == (180, width + 450, 3)


def test_the_doubtful_ones_come_first(reader, cards, tmp_path):
    results = explain(reader, cards, tmp_path / "out")
    by_name = {Path(result.file).name: result for result in results}
    order = [name if name in by_name else name.removesuffix(".png") for name in linked(tmp_path / "out")]
    confidences = [by_name[name].confidence for name in order]
    assert confidences == sorted(confidences)
    assert order[0] == "zblot.png"
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert len(re.findall("no legible character", page)) == 1
    assert "<script" not in page


def test_names_that_mean_something_in_html(reader, tmp_path):
    cards = tmp_path / "a&b<i>"
    cards.mkdir()
    names = ['<b>"x" & %41#?.png', "ü.png", "caf\udce9.png"]
    for name in names:
        (cards / name).write_bytes(cv2.imencode(".png", draw("A", 40))[1].tobytes())
    explain(reader, cards, tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert "<b>" not in page
    assert "&lt;b&gt;&quot;x&quot; &amp; %41#?.png<br>" in page
    assert "a&amp;b&lt;i&gt;" in page
    links = re.findall(r'<img src="([^"]+)"', page)
    assert sorted(links) == ["%3Cb%3E%22x%22%20%26%20%2541%23%3F.png", "%C3%BC.png", "caf%E9.png"]
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == set(names)


def test_a_file_that_is_no_picture_is_listed(reader, cards, tmp_path):
    (cards / "bad.png").write_bytes(b"<no>")
    results = explain(reader, cards, tmp_path / "out")
    assert sum(isinstance(result, Unreadable) for result in results) == 1
    assert "<p><b>bad.png</b>: not a PNG" in (tmp_path / "out" / "index.html").read_text("utf-8")
    assert not (tmp_path / "out" / "bad.png").exists()


def test_target_names_never_collide():
    names = ["a", "a.jpg", "a.jpg.png", "a.jpg.png.png", "a.png", "a.PNG", "a.tif", "index.html.png"]
    targets = target_names(names)
    assert len(set(targets)) == len(names)
    assert all(target.endswith(".png") for target in targets)
    assert [target for name, target in zip(names, targets, strict=True) if name.endswith(".png")] == [
        name for name in names if name.endswith(".png")
    ]
    assert targets[1] == "a.jpg.png.png.png"


def test_its_own_files_are_written_anew_and_no_others(reader, cards, tmp_path):
    out = tmp_path / "out"
    explain(reader, cards, out)
    cv2.imwrite(str(cards / "a.png"), draw("H", 72))
    (out / "notes.txt").write_text("mine")
    before = (out / "a.png").read_bytes()
    assert explain(reader, cards, out)[1].char == "H"
    assert (out / "a.png").read_bytes() != before
    assert (out / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["a.png", "a.jpg.png", "index.html"])
@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_what_is_not_its_own_is_not_overwritten(reader, cards, tmp_path, name, kind):
    out = tmp_path / "out"
    out.mkdir()
    mine = tmp_path / "mine"
    mine.write_bytes((cards / "a.png").read_bytes())
    if kind == "file":
        mine.rename(out / name)
    elif kind == "directory":
        (out / name).mkdir()
    else:
        (out / name).symlink_to(mine)
    with pytest.raises(UsageError, match=f"did not make the {name} in there.*give a new folder"):
        explain(reader, cards, out)
    assert [path.name for path in out.iterdir()] == [name]


@pytest.mark.parametrize("spelling", ["cards", "cards/", "link", "cards/../cards"])
def test_the_pictures_own_folder_is_refused(reader, cards, tmp_path, spelling):
    (tmp_path / "link").symlink_to(cards)
    with pytest.raises(UsageError, match="folder with the pictures; give a folder of its own"):
        explain(reader, cards, f"{tmp_path}/{spelling}")


def test_a_folder_that_cannot_be_made(reader, cards, tmp_path):
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError, match=r"cannot write .*file.*give a folder that can be written"):
            explain(reader, cards, out)


def test_pictures_are_written_as_they_are_read(reader, cards, tmp_path):
    paths = list_pictures(str(cards))
    out = tmp_path / "out"
    results = Explanation(str(out), str(cards), paths).of(reader.read_with_cells(paths, batch_size=1))
    next(results)
    assert [path.name for path in out.iterdir()] == ["a.jpg.png"]
    results.close()


def test_links_are_not_followed(reader, cards, tmp_path):
    kept, out = tmp_path / "kept", tmp_path / "out"
    explain(reader, cards, kept)
    out.mkdir()
    for target in (kept / "a.png", tmp_path / "nothing.png"):  # an explanation that someone keeps; a link to nowhere
        (out / "a.png").symlink_to(target)
        with pytest.raises(UsageError, match=r"did not make the a\.png"):
            explain(reader, cards, out)
        (out / "a.png").unlink()
    assert not (tmp_path / "nothing.png").exists()
