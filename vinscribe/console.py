"""What the commands share: exit statuses, the parser, lines and progress on standard error."""

import argparse
import os
import sys
import time
from collections.abc import Iterator
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
        total: how many there will be.
        things: what is counted, in the plural.
    """

    def __init__(self, total: int, things: str = "pictures") -> None:
        self._shown = sys.stderr.isatty() and not sys.stdout.isatty()
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
        if not self._shown:
            return
        now = time.monotonic()
        if now - self._last >= 0.1:
            self._last = now
            rate = self._done / (now - self._start)
            counted = f"{self._done:,} of {self._total:,} {self._things}"
            print(f"\r{counted}, {rate:,.0f}/s ", end="", file=sys.stderr, flush=True)

    def say(self, message: str) -> None:
        """One line on standard error, on a line of its own even where readings go to the same place."""
        sys.stdout.flush()  # it may hold half a line back
        self.clear()
        say(message)

    def clear(self) -> None:
        """Take the counter off the screen."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
