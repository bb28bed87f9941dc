"""Scans that other programs send to be read: in a process of their own, as nobody knows what they hold."""

import json
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, BinaryIO

from vinscribe.archive import Failed, PageRead, Part, ReadSettings, ScanReader, Taken
from vinscribe.errors import ImageError, UsageError, VinscribeError
from vinscribe.pages import ENDINGS
from vinscribe.review.files import file_sha256
from vinscribe.review.readings import shown_name
from vinscribe.workers import Work, Workers

if TYPE_CHECKING:
    from vinscribe.decode import VinReading

MAX_PAGES = 50
MAX_WAITING = 4
"""More scans than that at once are turned away: each that waits takes one of the server's threads."""

PAGE_LIMIT_S = 60.0
"""A page that takes longer is given up."""


class Busy(VinscribeError):  # noqa: N818  the name says it
    """Too many scans are waiting to be read."""


class UploadReader(ScanReader):
    """Reads scans of up to `MAX_PAGES` pages."""

    def read(self, part: Part) -> Iterator[Taken | PageRead | Failed]:
        """See `ScanReader.read`."""
        from vinscribe.pages import count_pages

        try:
            count = count_pages(part.file)
        except ImageError as error:
            yield Failed(part.file, None, str(error))
            return
        if count > MAX_PAGES:
            yield Failed(part.file, None, f"{count:,} pages are more than the {MAX_PAGES} allowed; send it in parts")
            return
        yield from super().read(part)


class Uploads:
    """Reads uploaded scans, one at a time.

    Args:
        settings: what to read with.
        make: makes what reads, in a process that starts with the first scan.
    """

    def __init__(self, settings: ReadSettings, make: Callable[[ReadSettings], Work] = UploadReader) -> None:
        self._make = partial(make, replace(settings, annotate=None))
        self._workers: Workers | None = None
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(MAX_WAITING)

    def read(self, path: str) -> tuple[list["VinReading"], list[tuple[int | None, str]]]:
        """Read a scan: the readings of its pages; and the pages that could not be read, None for all, and why.

        Raises:
            Busy: others are waiting already.
            VinscribeError: reading could not start.
        """
        if not self._places.acquire(blocking=False):
            raise Busy(f"{MAX_WAITING} scans are waiting to be read; send this one again in a while")
        try:
            return self._read(path)
        finally:
            self._places.release()

    def _read(self, path: str) -> tuple[list["VinReading"], list[tuple[int | None, str]]]:
        with self._lock:
            if self._workers is None:
                self._workers = Workers(self._make, 1, PAGE_LIMIT_S)
            try:
                results = list(self._workers.run([Part(path)]))
            except BaseException:
                self._end()
                raise
        readings = [result.reading for result in results if isinstance(result, PageRead)]
        return readings, [(result.page, result.error) for result in results if isinstance(result, Failed)]

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        if self._workers is not None:
            self._workers.__exit__()
            self._workers = None


@dataclass(frozen=True)
class Upload:
    """What came of an uploaded scan.

    Attributes:
        name: of the file, as the client calls it; only to be shown.
        sha256, size_bytes: of its content.
        readings, failures: see `Uploads.read`.
        kept: where it lies now; None if it was not kept.
    """

    name: str
    sha256: str
    size_bytes: int
    readings: list["VinReading"]
    failures: list[tuple[int | None, str]]
    kept: str | None

    def told(self) -> list[dict[str, Any]]:
        """The readings as JSON objects, under the client's name."""
        from vinscribe.output import vin_to_json

        return [{**json.loads(vin_to_json(reading)), "file": self.name} for reading in self.readings]


def read_upload(scan: BinaryIO, name: str, uploads: Uploads, keep: Path | None) -> Upload:
    """Read a scan that a client sent, and keep it in a folder if there is one.

    Where it lies is decided by its content alone; of the client's name nothing but a known ending is used.

    Raises:
        UsageError: it cannot be written to that folder.
        Busy: others are waiting already.
        VinscribeError: reading could not start.
    """
    ending = PurePath(name).suffix.lower()
    ending = ending if ending in ENDINGS else ".scan"
    with tempfile.TemporaryDirectory(prefix="vinscribe-") as folder:
        path = os.path.join(folder, f"upload{ending}")
        with open(path, "wb") as file:
            shutil.copyfileobj(scan, file, 1 << 20)
        sha256, size_bytes = file_sha256(path), os.path.getsize(path)
        readings, failures = uploads.read(path)
        kept = None
        if keep is not None and readings:
            kept = _kept(path, keep / sha256[:2], sha256 + ending)
            readings = [replace(reading, file=kept) for reading in readings]
    shown = "".join(char for char in shown_name(name.replace("\\", "/")) if char.isprintable())[:200]
    return Upload(shown, sha256, size_bytes, readings, failures, kept)


def _kept(path: str, folder: Path, name: str) -> str:
    """Copies a file to a folder, whole or not at all; where it is then."""
    target = folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".", delete=False) as copy, open(path, "rb") as file:
            shutil.copyfileobj(file, copy, 1 << 20)
        Path(copy.name).replace(target)
    except OSError as error:
        raise UsageError(f"cannot keep scans in {folder}: {error.strerror}; see that it can be written to") from None
    return str(target.absolute())
