"""Where the time of a page goes: open, find, cut, normalise, classify, decode.

`stage` marks code; nothing is measured until this process calls `start`.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

NAMES = ("open", "find", "cut", "normalise", "classify", "decode", "write")
"""In the order of the work; ``write`` is that of the process that writes the results."""


class _Clock:
    """Wall seconds of each stage; of one within another only the inner one counts."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self._running: list[str] = []
        self._mark = 0.0

    def enter(self, name: str) -> None:
        self._book()
        self._running.append(name)

    def leave(self) -> None:
        self._book()
        self._running.pop()

    def _book(self) -> None:
        now = time.perf_counter()
        if self._running:
            self.spent[self._running[-1]] = self.spent.get(self._running[-1], 0.0) + now - self._mark
        self._mark = now


_clock: _Clock | None = None  # of this process, whose pages are read one after the other


def start() -> None:
    """Measure from now on, in this process."""
    global _clock
    _clock = _Clock()


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Code that belongs to a stage; also as a decorator."""
    clock = _clock
    if clock is None:
        yield
        return
    clock.enter(name)
    try:
        yield
    finally:
        clock.leave()


def spent() -> dict[str, float] | None:
    """Seconds of each stage since this was last asked; None if nothing is measured."""
    if _clock is None:
        return None
    seconds, _clock.spent = _clock.spent, {}
    return seconds


def as_lines(seconds: dict[str, float], pages: int) -> Iterator[str]:
    """What ``--profile`` says, a line for each stage."""
    whole = sum(seconds.values())
    yield f"where the time of {pages:,} page{'s' * (pages != 1)} went, summed over all processes:"
    for name in NAMES:
        own = seconds.get(name, 0.0)
        yield f"{name:<10} {1000 * own / max(pages, 1):8.2f} ms a page  {100 * own / max(whole, 1e-9):5.1f} %"
