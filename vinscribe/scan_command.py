"""What ``vinscribe read PATH…`` does: scans in, lines out, on all cores."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import partial
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from vinscribe.archive import Failed, PageRead, Part, ReadSettings, ScanReader, find_scans, is_folder, place
from vinscribe.console import FAILED, INTERRUPTED, OK, FileProgress, duration
from vinscribe.cores import core_count
from vinscribe.errors import UsageError
from vinscribe.journal import ResultFile
from vinscribe.workers import FileEnd, Result, Work, Workers

if TYPE_CHECKING:
    from vinscribe.decode import VinReading

OUT_FORMATS = {".jsonl": "jsonl", ".csv": "csv"}
"""Ending of the file for results -> its format."""

_WIDEST_NAME = 24  # of the table's file column; longer names push the reason to the right


@dataclass
class Counts:
    """How many files and pages there were, and what came of them."""

    files: int = 0
    before: int = 0
    accept: int = 0
    review: int = 0
    no_field: int = 0
    failed: int = 0

    @property
    def pages(self) -> int:
        """Pages that were read."""
        return self.accept + self.review + self.no_field

    def summary(self, seconds: float) -> str:
        """One line for standard error."""
        files = f"{self.files:,} file{'s' * (self.files != 1)}"
        before = f" ({self.before:,} more were read before)" * (self.before > 0)
        pages = f"{self.pages:,} page{'s' * (self.pages != 1)} read"
        what = f"{self.accept:,} accepted, {self.review:,} for review, {self.no_field:,} without a field"
        rate = f"{self.pages / max(seconds, 1e-3):,.1f} pages/s"
        return f"{files}{before}, {pages}: {what}; {self.failed:,} failed; {duration(seconds)}, {rate}"


def read_scans(args: argparse.Namespace, make: Callable[[ReadSettings], Work] = ScanReader) -> int:
    """Runs the command; ``make`` makes what reads. Returns the exit status."""
    _check(args)
    settings = ReadSettings(**{each.name: getattr(args, each.name) for each in fields(ReadSettings)})
    kind = args.format or ("table" if args.out is None else _out_format(args.out))
    with Workers(partial(make, settings), args.workers or core_count()) as workers:
        # Imported while the first process starts: it takes a while, too.
        from vinscribe.output import vin_formatter, vin_header

        header = list(vin_header(kind, _name_width(args.paths), pages=True))
        out = None if args.out is None else ResultFile(args.out, header, _identity(settings, kind), args.resume)
        run = _Run(args.paths, header, vin_formatter(kind, _name_width(args.paths)), out)
        try:
            return run.all(workers)
        except KeyboardInterrupt:
            way_on = "" if out is None else "; the same command with --resume goes on"
            run.progress.say(f"interrupted{way_on}: {run.summary()}")
            return INTERRUPTED
        finally:
            run.progress.clear()
            if out is not None:
                out.close()


class _Run:
    """One run of the command, from the list of files to the summary."""

    def __init__(
        self, paths: list[str], header: list[str], write: Callable[["VinReading"], str], out: ResultFile | None
    ) -> None:
        self._paths = paths
        self._header = header
        self._write = write
        self._out = out
        self._start = time.monotonic()
        self._counts = Counts()
        self.progress = FileProgress(self._count_files, to_file=out is not None)

    def all(self, workers: Workers) -> int:
        """Reads everything; returns the exit status."""
        results = workers.run(self._parts())
        first = list(islice(results, 1))  # whatever is wrong with the settings is said before anything is written
        for note in (*workers.notes, *(() if self._out is None else self._out.notes)):
            self.progress.say(note)
        if not first and not self._counts.before:
            self.progress.say(f"no scans in {' '.join(self._paths)} (PNG, JPEG, BMP, TIFF, WebP, PDF)")
            return OK
        self._begin()
        for result in chain(first, results):
            self._take(result)
        self.progress.say(self.summary())
        return FAILED if self._counts.failed else OK

    def summary(self) -> str:
        """What has been read so far, in a line."""
        return self._counts.summary(time.monotonic() - self._start)

    def _parts(self) -> Iterator[Part | Failed]:
        """What is to be read, in order, each file once; of those that were begun before only what is left."""
        seen = set[int]()  # of several paths some may be in others
        for scan in find_scans(self._paths):
            if isinstance(scan, Failed):
                yield scan
                continue
            if len(self._paths) > 1:
                where = hash(place(scan))
                if where in seen:
                    continue
                seen.add(where)
            unread = None if self._out is None else self._out.unread(scan)
            if unread is None or unread:
                yield Part(scan, unread)
            else:
                self._counts.before += 1
                self.progress.skip()

    def _count_files(self) -> int:
        return sum(isinstance(scan, str) for scan in find_scans(self._paths))

    def _begin(self) -> None:
        if self._out is not None:
            self._out.open()
            return
        from vinscribe.output import prepare_stream

        prepare_stream(sys.stdout)
        for line in self._header:
            print(line)

    def _take(self, result: Result) -> None:
        if isinstance(result, FileEnd):
            self._counts.files += 1
            self.progress.step()
        elif isinstance(result, Failed):
            self._fail(result.file, result.page, result.error)
        else:
            self._take_page(result)

    def _take_page(self, result: PageRead) -> None:
        reading = result.reading
        page = reading.page or 1
        line = self._write(reading)
        if self._out is not None:
            self._out.write(line, reading.file, page, result.count)
        else:
            print(line, flush=True)
        setattr(self._counts, reading.decision, getattr(self._counts, reading.decision) + 1)
        if result.problem:
            self._fail(reading.file, page, result.problem)
        self.progress.page(page, result.count)

    def _fail(self, file: str, page: int | None, error: str) -> None:
        from vinscribe.output import one_line

        self._counts.failed += 1
        place = "" if page is None else f", page {page}"
        self.progress.say(one_line(f"{file}{place}: {error}"))


def _check(args: argparse.Namespace) -> None:
    """Raises UsageError where the arguments do not fit each other or the disk."""
    for path in args.paths:
        if not os.path.lexists(path):
            raise UsageError(f"no such file or folder: {path}")
    if args.workers is not None and args.workers < 1:
        raise UsageError(f"--workers {args.workers}: at least one has to work")
    if args.out is None and args.resume:
        raise UsageError("--resume goes on with a file; say which with --out FILE")
    if args.out is not None and args.format not in (None, _out_format(args.out)):
        raise UsageError(f"--out {args.out} and --format {args.format} are two formats; leave --format away")
    if args.annotate is not None:
        _make_picture_folder(args.annotate, args.paths)


def _out_format(path: str) -> str:
    ending = Path(path).suffix.lower()
    if ending not in OUT_FORMATS:
        raise UsageError(f"--out {path}: its ending says the format, and must be {' or '.join(OUT_FORMATS)}")
    return OUT_FORMATS[ending]


def _make_picture_folder(folder: str, paths: list[str]) -> None:
    """Makes the folder for pictures of the pages, unless these would be taken for scans in the next run."""
    for path in paths:
        if is_folder(path) and Path(folder).resolve().is_relative_to(Path(path).resolve()):
            raise UsageError(f"--annotate {folder} lies in {path}, which is read; give a folder elsewhere")
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror}; give another folder") from None


def _name_width(paths: list[str]) -> int:
    """Of the table's column of file names, which in folders are not known before."""
    if any(is_folder(path) for path in paths):
        return _WIDEST_NAME
    return min(max(4, *(len(Path(path).name) for path in paths)), _WIDEST_NAME)


def _identity(settings: ReadSettings, kind: str) -> dict[str, object]:
    """What the lines of a file of results depend on; files by what is in them."""
    from vinscribe.classifier import default_model_path

    return {
        "format": kind,
        "market": settings.market,
        "threshold": settings.threshold,
        "model": _digest(settings.model or default_model_path()),
        "list of expected VINs": _digest(settings.expected),
        "template": _digest(settings.template),
    }


def _digest(path: str | os.PathLike[str] | None) -> str | None:
    if path is None:
        return None
    digest = sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError:  # which is said, with the way out, by the process that needs the file
        return None
    return digest.hexdigest()
