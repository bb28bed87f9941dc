"""Reading an archive in the background: what is new gets into the store, once."""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from made_readings import made_reading

pytest.importorskip("sqlalchemy", reason="needs the extra [review]")

from vinscribe.archive import Failed, PageRead, Part, ReadSettings, Taken
from vinscribe.review.intake import PAGES_TOGETHER, Engine, Intake
from vinscribe.review.store import Store

SETTINGS = ReadSettings(None, "any", 0.999)
HURRY = ".hurry"


class NamedReader:
    """Reads files by what is written in them: 'pages 3', 'broken', 'broken 2 of 3', 'slow 9'."""

    notes = ()

    def __init__(self, settings: ReadSettings) -> None:
        self.settings = settings

    def read(self, part: Part) -> Iterator[Taken | PageRead | Failed]:
        words = Path(part.file).read_text().split()
        if words == ["broken"]:
            yield Failed(part.file, None, "damaged")
            return
        count = int(words[-1])
        pages = range(1, count + 1) if part.pages is None else part.pages
        yield Taken(pages[:4], pages[4:])
        for page in pages[:4]:
            if words[0] == "slow" and not Path(part.file).with_name(HURRY).exists():
                time.sleep(0.2)
            if words[0] == "broken" and page == int(words[1]):
                yield Failed(part.file, page, "torn")
            else:
                yield PageRead(replace(made_reading(page), file=part.file, page=page), count)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.opened(tmp_path / "cards.db") as store:
        yield store


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    (tmp_path / "scans" / "more").mkdir(parents=True)
    return tmp_path / "scans"


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def done(store: Store, *paths: Path, settings: ReadSettings = SETTINGS) -> Intake:
    intake = Intake(store, [str(path) for path in paths], settings, 1, NamedReader)
    intake.start()
    assert intake.wait(60)
    assert intake.progress().error is None
    return intake


def until(true: Callable[[], bool]) -> None:
    for _ in range(600):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("it never came true")


def test_what_is_new_is_filed(store: Store, scans: Path) -> None:
    written(scans / "a.png", "pages 1")
    written(scans / "more" / "b.tif", "pages 3")
    written(scans / ".hidden.png", "pages 9")
    intake = done(store, scans)
    assert store.counts().total == 4
    assert store.card(1).scan_path == str(scans / "a.png")
    assert [store.card(number).page for number in (2, 3, 4)] == [1, 2, 3]
    until(lambda: intake.progress().total == 2)
    progress = intake.progress()
    assert (progress.done, progress.pages, progress.running) == (2, 4, False)
    assert progress.rate > 0


def test_what_is_known_is_not_read_again(store: Store, scans: Path) -> None:
    written(scans / "a.png", "pages 1")
    done(store, scans)
    written(scans / "b.png", "pages 2")
    shutil.copy(scans / "a.png", scans / "copy of a.png")
    intake = done(store, scans)
    assert (intake.progress().done, intake.progress().pages) == (3, 2)
    assert store.counts().total == 3


def test_other_settings_read_it_again(store: Store, scans: Path) -> None:
    written(scans / "a.png", "pages 1")
    done(store, scans)
    assert done(store, scans, settings=replace(SETTINGS, market="europe")).progress().pages == 1
    assert store.counts().total == 1


def test_relative_paths_are_kept_whole(store: Store, scans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(scans / "a.png", "pages 1")
    monkeypatch.chdir(scans.parent)
    done(store, Path("scans"))
    assert store.card(1).scan_path == str(scans / "a.png")


def test_a_scan_that_was_moved_is_found_again(store: Store, scans: Path) -> None:
    written(scans / "a.png", "pages 1")
    done(store, scans)
    (scans / "a.png").rename(scans / "more" / "z.png")
    assert done(store, scans).progress().pages == 0
    assert store.card(1).scan_path == str(scans / "more" / "z.png")
    shutil.copy(scans / "more" / "z.png", scans / "a.png")  # two of them are there: nothing has moved
    done(store, scans)
    assert store.card(1).scan_path == str(scans / "more" / "z.png")


def test_what_cannot_be_read_is_noted_and_tried_again(store: Store, scans: Path) -> None:
    written(scans / "a.png", "broken")
    written(scans / "b.tif", "broken 2 of 3")
    (scans / "c.png").symlink_to(scans / "nowhere")
    intake = done(store, scans)
    assert [(Path(each.path).name, each.page, each.error) for each in store.failures()] == [
        ("a.png", None, "damaged"),
        ("b.tif", 2, "torn"),
    ]
    assert store.counts().total == 2
    assert [Path(path).name for path, _ in intake.problems] == ["c.png"]
    assert intake.progress().done == 3
    written(scans / "a.png", "pages 1")
    assert done(store, scans).progress().pages == 3
    assert [Path(each.path).name for each in store.failures()] == ["b.tif"]
    assert store.counts().total == 3


def test_a_long_scan_does_not_wait_for_its_last_page(store: Store, scans: Path) -> None:
    written(scans / "long.pdf", f"slow {3 * PAGES_TOGETHER}")
    intake = Intake(store, [str(scans)], SETTINGS, 1, NamedReader)
    intake.start()
    until(lambda: store.counts().total > 0)
    assert intake.progress().running
    intake.stop()
    assert intake.wait(30)
    found = store.counts().total
    assert 0 < found < 3 * PAGES_TOGETHER
    written(scans / HURRY, "")
    assert done(store, scans).progress().pages == 3 * PAGES_TOGETHER  # it was not known wholly
    assert store.counts().total == 3 * PAGES_TOGETHER


def test_a_reader_that_cannot_start_is_told(store: Store, scans: Path, tmp_path: Path) -> None:
    written(scans / "a.png", "pages 1")
    expected = written(tmp_path / "expected.txt", "")
    intake = Intake(store, [str(scans)], replace(SETTINGS, expected=str(expected)), 1)
    intake.start()
    assert intake.wait(60)
    assert "no VIN in" in str(intake.progress().error)
    assert store.counts().total == 0


def test_an_engine_is_known_by_the_content_of_its_files(tmp_path: Path) -> None:
    model, expected = written(tmp_path / "m.onnx", "model"), written(tmp_path / "e.txt", "vins")
    settings = ReadSettings(str(model), "any", 0.999, str(expected))
    before = Engine.of(settings)
    written(expected, "other vins")
    after = Engine.of(settings)
    assert before.model_hash == after.model_hash
    assert before.settings != after.settings
    moved = replace(settings, expected=str(shutil.copy(expected, tmp_path / "f.txt")))
    assert Engine.of(moved) == after
    office, more = str(written(tmp_path / "o.txt", "office")), str(written(tmp_path / "p.txt", "more"))
    taught = Engine.of(replace(settings, register=(office, more)))
    assert taught.settings != after.settings
    assert Engine.of(replace(settings, register=(more, office))) == taught
    written(Path(more), "other vins")
    assert Engine.of(replace(settings, register=(office, more))) != taught
