"""Processes that read scans side by side and give what comes of them in order.

Processes, not threads: PDFium can be used by one thread at a time, and a file that makes a picture library crash takes
one process with it, not the run.
"""

import contextlib
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Protocol

from vinscribe.archive import Before, Failed, PageRead, Part, Taken
from vinscribe.errors import UsageError, VinscribeError

PAGE_LIMIT_S = 300.0
"""A process that gives nothing for so long is ended, and its page counted as failed."""

_AHEAD = 16  # parts for each process that may be read, or being read, behind the first unfinished one
_PATIENCE_S = 1.0
_DEATHS = 3  # of processes at one page: then it is the page's fault
_STILLBORN = 3  # so many processes may be killed as they start before it is taken for a fault


class Work(Protocol):
    """What each process does; `vinscribe.archive.ScanReader` is one."""

    notes: tuple[str, ...]

    def read(self, part: Part) -> Iterator[Taken | PageRead | Failed]:
        """Results in the order of the pages, a `Taken` before them."""


@dataclass(frozen=True)
class FileEnd:
    """All of a file has been read, or tried."""

    file: str


Result = PageRead | Failed | FileEnd | Before


@dataclass(eq=False)
class _Slot:
    """A part and what has come of it so far; no part where it was clear before that nothing can come of it."""

    part: Part | None
    given_out: bool = False
    done: bool = False
    pages: Sequence[int] | None = None  # which of them are being read; None before that is known
    answered: int = 0  # of these pages
    silent_s: float = 0.0
    results: deque[Result] = field(default_factory=deque)


@dataclass(eq=False)
class _Worker:
    process: BaseProcess
    connection: Connection
    ready: bool = False
    slot: _Slot | None = None


class Workers:
    """A pool of processes; a context that ends them.

    Args:
        make: makes the work of a process; is called once in each, so that it must be picklable.
        count: how many processes; the first starts at once, the others as they are needed.
        page_limit_s: see `PAGE_LIMIT_S`.

    Attributes:
        notes: those of the work, known with the first result.
    """

    def __init__(self, make: Callable[[], Work], count: int, page_limit_s: float = PAGE_LIMIT_S) -> None:
        self.notes: tuple[str, ...] = ()
        self._make = make
        self._count = count
        self._page_limit_s = page_limit_s
        self._slots: list[_Slot] = []  # in the order of the results
        self._workers: list[_Worker] = []
        self._deaths: dict[tuple[str, int | None], int] = {}  # at pages; None in opening the file
        self._stillborn = 0  # processes in a row that died before they were ready
        self._start()

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.process.terminate()
            worker.connection.close()
        for worker in self._workers:
            worker.process.join()

    def run(self, parts: Iterable[Part | Failed | Before]) -> Iterator[Result]:
        """What comes of the parts, in their order, with a `FileEnd` behind each; what is no part comes out as it is.

        Parts are taken as they are needed. The page that a process was reading when it died is read again; one that
        three processes die at, or one hangs at, has failed.

        Raises:
            VinscribeError: what ``make`` raised.
        """
        remaining = iter(parts)
        while True:
            self._fill(remaining)
            while self._slots:
                first = self._slots[0]
                while first.results:
                    yield first.results.popleft()
                if not first.done:
                    break
                self._slots.pop(0)
                following = self._slots[0].part if self._slots else None
                if first.part and not (following and following.file == first.part.file):
                    yield FileEnd(first.part.file)
                self._fill(remaining)
            if not self._slots:
                return
            self._listen()

    def _fill(self, remaining: Iterator[Part | Failed | Before]) -> None:
        """Takes parts, as many as may be ahead of the results, and gives out what is not given out yet."""
        while len(self._slots) < _AHEAD * self._count:
            part = next(remaining, None)
            if part is None:
                break
            if isinstance(part, Failed | Before):
                self._slots.append(_Slot(None, given_out=True, done=True, results=deque([part])))
            else:
                self._slots.append(_Slot(part))
        for slot in self._slots:
            if slot.given_out:
                continue
            worker = self._free()
            if worker is None:
                return
            slot.given_out, worker.slot = True, slot
            with contextlib.suppress(OSError):  # it has died: `_listen` finds that out
                worker.connection.send(slot.part)

    def _free(self) -> _Worker | None:
        for worker in list(self._workers):
            if worker.slot is None and worker.process.is_alive():
                return worker
            if worker.slot is None:
                self._bury(worker, f"it died ({_cause(worker.process.exitcode)})")
        return self._start() if len(self._workers) < self._count else None

    def _start(self) -> _Worker:
        context = multiprocessing.get_context("spawn")  # the same on every system, and safe with other threads around
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, self._make), daemon=True)
        with _no_interrupt():
            process.start()
        theirs.close()  # so that ours comes to its end when the process does
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    def _listen(self) -> None:
        """Waits until a process says something, and takes it all in."""
        busy = {worker.connection: worker for worker in self._workers if worker.slot}
        start = time.monotonic()
        heard = wait(list(busy), _PATIENCE_S)
        waited_s = min(time.monotonic() - start, _PATIENCE_S)  # not the hours that a computer was asleep
        for connection, worker in busy.items():
            if connection in heard:
                self._hear(worker)
            elif worker.slot is not None:
                worker.slot.silent_s += waited_s
                if worker.slot.silent_s > self._page_limit_s:
                    worker.process.kill()
                    worker.process.join()
                    self._bury(worker, f"not done after {self._page_limit_s:,.0f} seconds", hung=True)

    def _hear(self, worker: _Worker) -> None:
        try:
            while worker.connection.poll():
                self._take(worker, worker.connection.recv())
        except (EOFError, OSError):
            worker.process.join()
            self._bury(worker, f"the process that read it died ({_cause(worker.process.exitcode)})")

    def _take(self, worker: _Worker, message: object) -> None:
        slot = worker.slot
        if isinstance(message, VinscribeError):
            raise message
        if slot is None or slot.part is None:
            return
        slot.silent_s = 0.0
        if isinstance(message, tuple):
            self.notes, worker.ready, self._stillborn = message, True, 0
        elif message is None:
            slot.done, worker.slot = True, None
        elif isinstance(message, Taken):
            slot.pages = message.pages
            self._add_behind(slot, slot.part.file, message.rest)
        elif isinstance(message, PageRead | Failed):
            slot.answered += 1
            slot.results.append(message)

    def _add_behind(self, slot: _Slot, file: str, pages: Sequence[int]) -> None:
        if pages:
            self._slots.insert(self._slots.index(slot) + 1, _Slot(Part(file, pages)))

    def _bury(self, worker: _Worker, cause: str, hung: bool = False) -> None:
        """Goes on without a process that has died, or was ended because it hung."""
        self._workers.remove(worker)
        worker.connection.close()
        slot = worker.slot
        if not worker.ready:
            self._stillborn += 1
            if self._stillborn > _STILLBORN:
                raise VinscribeError(f"a reading process could not start: {cause}; try again with --workers 1")
            if slot is not None:
                slot.given_out = False
            return
        if slot is None or slot.part is None:
            return
        slot.done = True
        left = None if slot.pages is None else slot.pages[slot.answered :]
        if left is not None and not left:
            return
        where = slot.part.file, None if left is None else left[0]
        self._deaths[where] = self._deaths.get(where, 0) + 1
        if not hung and self._deaths[where] < _DEATHS:
            again = _Slot(slot.part if left is None else Part(slot.part.file, left))
            self._slots.insert(self._slots.index(slot) + 1, again)
            return
        del self._deaths[where]
        slot.results.append(Failed(*where, f"{cause}; scan it again, or save it with another program"))
        if left is not None:
            self._add_behind(slot, slot.part.file, left[1:])


def _cause(exit_code: int | None) -> str:
    if exit_code is None or exit_code >= 0:
        return f"exit status {exit_code}"
    with contextlib.suppress(ValueError):
        name = signal.Signals(-exit_code).name
        return name + ", perhaps for want of memory" * (name == "SIGKILL")
    return f"signal {-exit_code}"


@contextlib.contextmanager
def _no_interrupt() -> Iterator[None]:
    """Processes that are started here are not interrupted by Ctrl-C, which is for the one that started them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(connection: Connection, make: Callable[[], Work]) -> None:
    """What a process does: parts in, results out, and None behind those of each part."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # picture libraries print what they think of damaged files
        os.dup2(null, stream)
    with contextlib.suppress(EOFError, OSError):  # the process that asked is gone
        try:
            work = make()
        except VinscribeError as error:
            connection.send(error)
            return
        except Exception as error:
            connection.send(_start_error(error))
            return
        connection.send(work.notes)
        while True:
            for result in work.read(connection.recv()):
                connection.send(result)
            connection.send(None)


def _start_error(error: Exception) -> VinscribeError:
    """What is sent of an error that is none of vinscribe's own."""
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("vinscribe"):
        return UsageError(f"{error.name} is not installed; pip install -r requirements.txt")
    return VinscribeError(f"a reading process could not start: unexpected {type(error).__name__}: {error}")
