import io
import re
import sys
import threading

import pytest

from vinscribe import console
from vinscribe.console import FileProgress, Progress, duration


class Screen(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def watch(monkeypatch):
    """Makes standard error a terminal, and a clock that goes one second a look."""

    def watched():  # pytest puts its own standard error in place before each test
        seconds = iter(range(10_000))
        monkeypatch.setattr(console.time, "monotonic", lambda: float(next(seconds)))
        monkeypatch.setattr(sys, "stderr", Screen())
        return sys.stderr

    return watched


def last(screen):
    """What the counter's line shows now."""
    return re.sub(r"\x1b\[K", "", screen.getvalue().split("\r")[-1]).rstrip()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (-1, "0 s"),
        (59.6, "60 s"),
        (119, "119 s"),
        (120, "2 min"),
        (3570, "1 h 0 min"),
        (9000, "2 h 30 min"),
    ],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_a_counter(watch):
    screen = watch()
    progress = Progress(1000)
    progress.step()
    progress.step()
    assert last(screen) == "2 of 1,000 pictures, 1/s"
    progress.say("a line")
    assert screen.getvalue().endswith("\r\x1b[Ka line\n")


def test_nothing_is_shown_where_nobody_looks(watch, monkeypatch):
    screen = watch()
    monkeypatch.setattr(sys, "stdout", Screen())  # the readings come there
    Progress(3).step()
    counted = []
    FileProgress(lambda: counted.append(1) or 3, to_file=False).step()
    assert screen.getvalue() == ""
    assert not counted
    Progress(3, to_file=True).step()
    assert last(screen) == "1 of 3 pictures, 1/s"


def test_files_pages_rate_and_the_time_left(watch):
    screen = watch()
    release = threading.Event()
    progress = FileProgress(lambda: release.wait(10) and 2000, to_file=True)  # the clock is at 0
    progress.skip()
    progress.page(1, 1)
    assert last(screen) == "1 files, 1 pages, 1.0 pages/s"  # at 1; nobody has counted the files yet
    release.set()
    for thread in threading.enumerate():
        if thread.daemon:
            thread.join(10)
    progress.step()  # at 2
    assert last(screen) == "2 of 2,000 files, 1 pages, 0.5 pages/s, 1 h 7 min left"  # 1,998 files, two seconds each
    progress.page(50, 100)  # at 3
    assert last(screen) == "2 of 2,000 files, 2 pages, 0.7 pages/s, 1 h 7 min left"  # 1,997.5 of two seconds
