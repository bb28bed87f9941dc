"""What the commands share: exit statuses, the parser, lines and progress on standard error."""

import argparse
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from vinscribe.errors import UsageError

OK, FAILED, WRONG_USE, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 130, 141
"""Exit statuses; what each stands for is said in `vinscribe.cli`."""


class Parser(argparse.ArgumentParser):
    """Raises UsageError where argparse would print several lines and exit."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError."""
        raise UsageError(f"{message}; see {self.prog} --help")


def say(message: str) -> None:
    """One line on standard error."""
    print(message.replace("\n", "\\n"), file=sys.stderr)


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silence what the picture libraries print by themselves.

    libpng and libjpeg write warnings about damaged files straight to file descriptor 2, past Python. vinscribe says
    in a line of its own what is wrong with which file, so theirs go to the null device; ``sys.stderr`` still works.
    """
    sys.stderr.flush()
    try:
        number = sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):  # not a real file, as under a test runner: leave it alone
        yield
        return
    kept, python_stderr = os.dup(number), sys.stderr
    null = os.open(os.devnull, os.O_WRONLY)
    sys.stderr = os.fdopen(os.dup(number), "w", buffering=1, encoding=python_stderr.encoding, errors="backslashreplace")
    os.dup2(null, number)
    os.close(null)
    try:
        yield
    finally:
        sys.stderr.close()
        sys.stderr = python_stderr
        os.dup2(kept, number)
        os.close(kept)


class Progress:
    """A counter on standard error; says nothing unless that is a terminal and the readings go elsewhere.

    Args:
        total: how many there will be; None while that is not known.
        things: what is counted, in the plural.
        to_file: whether the readings go to a file, not to standard output.
    """

    def __init__(self, total: int | None, things: str = "pictures", to_file: bool = False) -> None:
        self._shown = sys.stderr.isatty() and (to_file or not sys.stdout.isatty())
        self._total = total
        self._things = things
        self._done = 0
        self._start = self._last = time.monotonic()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def step(self) -> None:
        """Count one; redraw at most ten times a second."""
        self._done += 1
        self._redraw()

    def _redraw(self) -> None:
        now = time.monotonic()
        if self._shown and now - self._last >= 0.1:
            self._last = now
            print(f"\r{self._text(now - self._start)}\x1b[K", end="", file=sys.stderr, flush=True)

    def _text(self, seconds: float) -> str:
        return f"{self._done:,} of {self._total:,} {self._things}, {self._done / seconds:,.0f}/s "

    def say(self, message: str) -> None:
        """One line on standard error, on a line of its own even where readings go to the same place."""
        sys.stdout.flush()  # it may hold half a line back
        self.clear()
        say(message)

    def clear(self) -> None:
        """Take the counter off the screen."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


class FileProgress(Progress):
    """Counts files and their pages, and tells the time that is left.

    Args:
        count: counts all files; called beside everything else, and only if the counter is shown.
        to_file: see `Progress`.
    """

    def __init__(self, count: Callable[[], int], to_file: bool) -> None:
        super().__init__(None, "files", to_file)
        self._pages = self._skipped = 0
        self._share = 0.0  # of the file that is being read
        if self._shown:
            threading.Thread(target=self._count, args=(count,), daemon=True).start()

    def _count(self, count: Callable[[], int]) -> None:
        self._total = count()

    def skip(self, files: int = 1) -> None:
        """So many files were read before."""
        self._skipped += files

    def page(self, number: int, count: int) -> None:
        """A page of so many was read."""
        self._pages += 1
        self._share = number / count
        self._redraw()

    def step(self) -> None:
        """A file was read, or tried."""
        self._share = 0.0
        super().step()

    def _text(self, seconds: float) -> str:
        counted = f"{self._skipped + self._done:,}"
        left = ""
        if self._total is not None:
            counted += f" of {self._total:,}"
            done = self._done + self._share
            if done:
                left = f", {duration(seconds / done * (self._total - self._skipped - done))} left"
        return f"{counted} files, {self._pages:,} pages, {self._pages / seconds:,.1f} pages/s{left} "


def duration(seconds: float) -> str:
    """A span of time as people say it: ``45 s``, ``12 min``, ``3 h 20 min``."""
    seconds = max(0, round(seconds))
    if seconds < 120:
        return f"{seconds} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
