"""The pool, with work that does what the name of a file asks for."""

import functools
import itertools
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from vinscribe.archive import PAGES_AT_ONCE, Failed, PageRead, Part, Taken
from vinscribe.errors import ModelError, UsageError, VinscribeError
from vinscribe.workers import FileEnd, Workers

WAY_OUT = "; scan it again, or save it with another program"
MARK = "VINSCRIBE_TEST_MARK"  # names a file that one process makes and another one waits for


class Obedient:
    """Reads ``name:3`` as three pages; more words after colons say what happens on which page, as ``die:2``."""

    notes = ("ready",)

    def __init__(self, trouble=None):
        if trouble == "exit":
            os._exit(3)
        if trouble is not None:
            raise trouble

    def read(self, part):
        _, count, *orders = part.file.split(":")
        deeds = dict(zip(orders[::2], map(int, orders[1::2]), strict=True))
        if "die_on_opening" in deeds:
            os._exit(7)
        pages = range(1, int(count) + 1) if part.pages is None else part.pages
        yield Taken(pages[:PAGES_AT_ONCE], pages[PAGES_AT_ONCE:])
        for page in pages[:PAGES_AT_ONCE]:
            if deeds.get("die") == page:
                os.kill(os.getpid(), signal.SIGKILL)
            if deeds.get("hang") == page:
                time.sleep(600)
            if deeds.get("mark") == page:
                Path(os.environ[MARK]).touch()
            while deeds.get("wait") == page and not Path(os.environ[MARK]).exists():
                time.sleep(0.01)
            time.sleep(deeds.get("slow_ms", 0) / 1000)
            yield Failed(part.file, page, "torn") if deeds.get("fail") == page else PageRead(page, int(count))


def results(files, workers=2, make=Obedient, **options):
    """As text: what a test compares."""
    with Workers(make, workers, **options) as pool:
        return [shown(result) for result in pool.run(Part(f) if isinstance(f, str) else f for f in files)]


def shown(result):
    if isinstance(result, FileEnd):
        return f"end {result.file}"
    if isinstance(result, Failed):
        return f"failed {result.file} {result.page}: {result.error}"
    return f"{result.reading}/{result.count}"


def whole(file, count):
    return [f"{page}/{count}" for page in range(1, count + 1)] + [f"end {file}"]


@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_the_order_of_files_and_pages(workers):
    files = ["a:1:slow_ms:200", "b:20:slow_ms:2", *(f"c{number}:1" for number in range(60)), "d:0", "e:9:fail:9"]
    expected = whole(files[0], 1) + whole(files[1], 20)
    expected += [line for file in files[2:62] for line in whole(file, 1)]
    expected += ["end d:0", *whole(files[63], 9)]
    expected[-2] = f"failed {files[63]} 9: torn"
    assert results(files, workers) == expected


def test_what_failed_before_it_was_read_comes_in_its_place():
    files = ["a:1", Failed("folder", None, "locked"), "b:1"]
    assert results(files) == [*whole("a:1", 1), "failed folder None: locked", *whole("b:1", 1)]


def test_nothing_to_do():
    assert results([]) == []


def test_parts_of_one_file_are_read_side_by_side(tmp_path, monkeypatch):
    monkeypatch.setenv(MARK, str(tmp_path / "mark"))
    file = f"a:{2 * PAGES_AT_ONCE}:wait:1:mark:{PAGES_AT_ONCE + 1}"
    assert results([file]) == whole(file, 2 * PAGES_AT_ONCE)  # one process alone would wait for ever


def test_pages_come_as_they_are_read():
    with Workers(Obedient, 1) as pool:
        run = pool.run([Part("a:4:hang:3")])
        assert [next(run).reading, next(run).reading] == [1, 2]


def test_a_process_that_dies_costs_the_page_that_it_was_reading():
    file = f"a:{PAGES_AT_ONCE + 3}:die:3"
    lines = results([file, "b:2"])
    died = f"failed {file} 3: the process that read it died (SIGKILL, perhaps for want of memory){WAY_OUT}"
    expected = whole(file, PAGES_AT_ONCE + 3) + whole("b:2", 2)
    expected[2] = died
    assert lines == expected


def test_a_process_that_dies_in_opening_a_file_costs_the_file():
    files = ["a:1", "b:2:die_on_opening:1", "c:2:die_on_opening:1", "d:1"]
    died = f"the process that read it died (exit status 7){WAY_OUT}"
    lost = [line for file in files[1:3] for line in (f"failed {file} None: {died}", f"end {file}")]
    assert results(files) == [*whole("a:1", 1), *lost, *whole("d:1", 1)]


def test_a_process_that_hangs_is_ended():
    lines = results(["a:3:hang:2", "b:1"], page_limit_s=1.5)
    hung = f"failed a:3:hang:2 2: not done after 2 seconds{WAY_OUT}"
    assert lines == ["1/3", hung, "3/3", "end a:3:hang:2", *whole("b:1", 1)]


def test_a_process_that_dies_while_it_waits_costs_nothing():
    def files():
        yield Part("a:1")
        while not ended.is_set():  # the pool asks ahead; by now the first file has been read
            yield Failed("-", None, "nothing to read yet")
        yield Part("b:1")

    ended = multiprocessing.Event()
    lines = []
    with Workers(Obedient, 1) as pool:
        for result in pool.run(files()):
            if isinstance(result, FileEnd) and not ended.is_set():
                (process,) = multiprocessing.active_children()
                process.kill()
                process.join()
                ended.set()
            lines += [shown(result)] * (not isinstance(result, Failed))
    assert lines == whole("a:1", 1) + whole("b:1", 1)


@pytest.mark.parametrize(
    ("trouble", "kind", "says"),
    [
        (ModelError("no such model file: x"), ModelError, "no such model file: x"),
        (ModuleNotFoundError("no", name="cv2"), UsageError, "cv2 is not installed; pip install -r requirements.txt"),
        (ZeroDivisionError("oh"), VinscribeError, "unexpected ZeroDivisionError: oh"),
        ("exit", VinscribeError, "could not start: .*exit status 3"),
    ],
)
def test_what_is_wrong_at_the_start_is_raised(trouble, kind, says):
    with pytest.raises(kind, match=says):
        results(["a:1"], make=functools.partial(Obedient, trouble))


def test_notes_are_known_with_the_first_result():
    with Workers(Obedient, 1) as pool:
        next(pool.run([Part("a:1")]))
        assert pool.notes == ("ready",)


def test_files_are_taken_as_they_are_needed():
    taken = itertools.count()
    with Workers(Obedient, 2) as pool:
        run = pool.run(Part(f"{next(taken)}:1") for _ in itertools.count())
        for _ in range(200):
            next(run)
    assert 100 <= next(taken) <= 150


def test_no_process_is_left_behind():
    with Workers(Obedient, 2) as pool:
        next(pool.run([Part("a:2:hang:2"), Part("b:1:hang:1")]))
        assert multiprocessing.active_children()
    assert not multiprocessing.active_children()
