"""Reads the new scans of an archive in the background, and files what it reads in the store."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from vinscribe.archive import Failed, PageRead, Part, ReadSettings, ScanReader
from vinscribe.errors import VinscribeError
from vinscribe.listing import find_scans
from vinscribe.review.files import file_sha256
from vinscribe.review.store import Store
from vinscribe.workers import FileEnd, Result, Work, Workers

if TYPE_CHECKING:
    from vinscribe.decode import VinReading

PAGES_TOGETHER = 8
"""So many pages of a long scan are filed together: nobody has to wait for its last page."""

_MOST_PROBLEMS = 1000


@dataclass(frozen=True)
class Engine:
    """What reads, as the store knows it: the hash of the model, and all other settings as a text."""

    model_hash: str
    settings: str

    @classmethod
    def of(cls, settings: ReadSettings) -> "Engine":
        """That of these settings; files count by their content. Raises OSError where one cannot be read."""
        from vinscribe.classifier import default_model_path

        files = {name: getattr(settings, name) for name in ("expected", "template")}
        hashes: dict[str, object] = {name: path and file_sha256(path) for name, path in files.items()}
        if settings.register:  # without one, the text is as it was before there were registers
            hashes["register"] = sorted(file_sha256(path) for path in settings.register)
        others = {"market": settings.market, "threshold": settings.threshold}
        return cls(file_sha256(str(settings.model or default_model_path())), json.dumps({**others, **hashes}))


@dataclass(frozen=True)
class Progress:
    """How far it is.

    Attributes:
        done, total: files; None while they are being counted.
        pages, rate: pages that were read, and how many a second.
        running: whether it goes on.
        error: why reading could not go on; None if nothing went wrong.
    """

    done: int
    total: int | None
    pages: int
    rate: float
    running: bool
    error: str | None


@dataclass
class _Open:
    """A scan that is being read: what of it is not filed yet."""

    sha256: str
    size_bytes: int
    readings: list["VinReading"] = field(default_factory=list)
    failures: list[tuple[int | None, str]] = field(default_factory=list)
    failed: bool = False


class Intake:
    """Reads what is new, once from beginning to end; `start` begins, `stop` ends it before its time.

    Args:
        store: takes what is read; scans that it knows are left out.
        paths: scans and folders of scans.
        settings: what to read with.
        workers: how many processes read.
        make: makes what reads, in each process.

    Attributes:
        engine: what reads.
        problems: files and folders that could not even be opened, and why; (path, error) each.
    """

    def __init__(
        self,
        store: Store,
        paths: list[str],
        settings: ReadSettings,
        workers: int = 1,
        make: Callable[[ReadSettings], Work] = ScanReader,
    ) -> None:
        self.engine = Engine.of(settings)
        self.problems: list[tuple[str, str]] = []
        self._error: str | None = None
        self._store = store
        self._paths = [os.path.abspath(path) for path in paths]  # noqa: PTH100  links stay as they are
        self._make = partial(make, settings)
        self._count = workers
        self._open: dict[str, _Open] = {}
        self._seen: set[str] = set()
        self._done = self._pages = 0
        self._total: int | None = None
        self._start = self._seconds = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._start = time.monotonic()
        self._thread.start()
        threading.Thread(target=self._count_files, daemon=True).start()

    def stop(self, patience_s: float = 2.0) -> None:
        """End; what was not filed yet is read again next time."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(patience_s)  # the processes end with this one at the latest

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until all is read; whether it is."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def progress(self) -> Progress:
        """How far it is."""
        running = self._thread.is_alive()
        seconds = time.monotonic() - self._start if running else self._seconds
        rate = self._pages / seconds if seconds else 0.0
        return Progress(self._done, self._total, self._pages, rate, running, self._error)

    def _count_files(self) -> None:
        self._total = sum(isinstance(scan, str) for scan in find_scans(self._paths))

    def _run(self) -> None:
        try:
            parts = self._parts()
            first = next(parts, None)
            if first is not None:  # or no process would be started for nothing
                with Workers(self._make, self._count) as workers:
                    for result in workers.run(_chain(first, parts)):
                        if self._stop.is_set():
                            return
                        self._take(result)
        except VinscribeError as error:
            self._error = str(error)
        except Exception as error:
            self._error = f"unexpected {type(error).__name__}: {error}; please report it"
            raise
        finally:
            self._seconds = time.monotonic() - self._start

    def _parts(self) -> Iterator[Part]:
        """What is new, in order."""
        for scan in find_scans(self._paths):
            if self._stop.is_set():
                return
            if isinstance(scan, Failed):
                self._note(scan.file, scan.error)
                continue
            try:
                size_bytes, sha256 = os.path.getsize(scan), file_sha256(scan)
            except OSError as error:
                self._note(scan, f"cannot be read: {error.strerror}")
                self._done += 1
                continue
            if sha256 in self._seen or self._knows(scan, sha256):
                self._done += 1
                continue
            self._seen.add(sha256)
            self._open[scan] = _Open(sha256, size_bytes)
            yield Part(scan)

    def _knows(self, scan: str, sha256: str) -> bool:
        if not self._store.knows(sha256, self.engine.model_hash, self.engine.settings):
            return False
        before = self._store.path_of(sha256)
        gone = before is not None and not os.path.exists(before)  # noqa: PTH110  never raises
        if gone and before != scan:
            self._store.moved(sha256, scan)
        return True

    def _note(self, path: str, error: str) -> None:
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append((path, error))

    def _take(self, result: Result) -> None:
        if isinstance(result, PageRead):
            scan = self._open[result.reading.file]
            scan.readings.append(result.reading)
            self._pages += 1
            if len(scan.readings) >= PAGES_TOGETHER:
                self._file(result.reading.file, whole=False)
        elif isinstance(result, Failed):
            self._open[result.file].failures.append((result.page, result.error))
            self._open[result.file].failed = True
        elif isinstance(result, FileEnd):
            # A scan of which something failed is not known wholly: the next start tries again.
            self._file(result.file, whole=not self._open[result.file].failed)
            del self._open[result.file]
            self._done += 1

    def _file(self, path: str, *, whole: bool) -> None:
        scan = self._open[path]
        engine = self.engine
        self._store.add(
            *(path, scan.sha256, scan.size_bytes, scan.readings, scan.failures, engine.model_hash, engine.settings),
            complete=whole,
        )
        scan.readings, scan.failures = [], []


def _chain(first: Part, rest: Iterator[Part]) -> Iterator[Part]:
    yield first
    yield from rest
