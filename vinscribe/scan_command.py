"""What ``vinscribe read PATH…`` does: scans in, lines out, on all cores."""

import argparse
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import partial
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from vinscribe import stages
from vinscribe.addresses import is_address, kind_of
from vinscribe.archive import (
    Before,
    Failed,
    PageRead,
    PageWritten,
    ReadSettings,
    ScanReader,
)
from vinscribe.console import FAILED, INTERRUPTED, OK, FileProgress, duration
from vinscribe.cores import core_count
from vinscribe.errors import UsageError
from vinscribe.listing import Scans, find_scans, is_folder
from vinscribe.shards import BATCH
from vinscribe.targets import ShardFolder, Target, format_of, target_of
from vinscribe.workers import FileEnd, Result, Work, Workers

if TYPE_CHECKING:
    from vinscribe.cluster import RayWorkers

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
    settings = replace(settings, register=tuple(args.register))
    kind = format_of(args.out, args.format)
    batch = BATCH if args.batch is None else args.batch

    def target() -> Target:
        return target_of(args.out, kind, _name_width(args.paths), lambda: _identity(settings, kind), args.resume, batch)

    if args.ray is not None:
        return _read_on_ray(args, settings, make, target(), batch)
    with Workers(partial(make, settings), args.workers or core_count()) as workers:
        return _Run(args, target()).whole(workers)  # made while the first process starts: that takes a while, too


def _read_on_ray(
    args: argparse.Namespace, settings: ReadSettings, make: Callable[[ReadSettings], Work], target: Target, batch: int
) -> int:
    from vinscribe.cluster import RayWorkers

    shards = target.shards if isinstance(target, ShardFolder) else None
    with RayWorkers(make, settings, args.ray, args.workers, batch, shards) as workers:
        if shards is not None:
            target.open()
        return _Run(args, target).whole(workers)


class _Run:
    """One run of the command, from the list of files to the summary."""

    def __init__(self, args: argparse.Namespace, target: Target) -> None:
        self._scans = Scans(tuple(args.paths), target.done)
        self._target = target
        self._way_on = "" if args.out is None else "; the same command with --resume goes on"
        self._profile = dict.fromkeys(stages.NAMES, 0.0) if args.profile else None
        self._start = time.monotonic()
        self._counts = Counts()
        self.progress = FileProgress(self._count_files, to_file=args.out is not None)

    def whole(self, workers: "Workers | RayWorkers") -> int:
        """Reads everything; returns the exit status. Ctrl-C ends it in good order."""
        try:
            return self._all(workers)
        except KeyboardInterrupt:
            self._target.flush()
            self.progress.say(f"interrupted{self._way_on}: {self.summary()}")
            return INTERRUPTED
        finally:
            self.progress.clear()
            self._target.close()

    def _all(self, workers: "Workers | RayWorkers") -> int:
        results: Iterator[Result | PageWritten] = workers.run(self._scans)
        first = self._first(results)  # whatever is wrong with the settings is said before anything is written
        for note in (*workers.notes, *self._target.notes):
            self.progress.say(note)
        if not first and not self._counts.before:
            self.progress.say(f"no scans in {' '.join(self._scans.paths)} (PNG, JPEG, BMP, TIFF, WebP, PDF)")
            return OK
        self._target.open()
        for result in chain(first, results):
            self._take(result)
        self._target.flush()
        if self._profile is not None:
            for line in stages.as_lines(self._profile, self._counts.pages):
                self.progress.say(line)
        self.progress.say(self.summary())
        return FAILED if self._counts.failed else OK

    def _first(self, results: Iterator[Result | PageWritten]) -> list[Result | PageWritten]:
        """The first result of something that is read now, if there is one."""
        for result in results:
            if not isinstance(result, Before):
                return [result]
            self._take(result)
        return []

    def summary(self) -> str:
        """What has been read so far, in a line."""
        return self._counts.summary(time.monotonic() - self._start)

    def _count_files(self) -> int:
        return sum(isinstance(scan, str) for scan in find_scans(self._scans.paths))

    def _take(self, result: Result | PageWritten) -> None:
        if isinstance(result, FileEnd):
            with self._written():
                self._target.end_file()
            self._counts.files += 1
            self.progress.step()
        elif isinstance(result, Before):
            self._counts.before += result.files
            self.progress.skip(result.files)
        elif isinstance(result, Failed):
            self._fail(result.file, result.page, result.error)
        elif isinstance(result, PageRead):
            with self._written():
                self._target.write(result)
            self._count(PageWritten.of(result))
        else:
            self._count(result)

    def _count(self, page: PageWritten) -> None:
        setattr(self._counts, page.decision, getattr(self._counts, page.decision) + 1)
        self._book(page.stages or {})
        if page.problem:
            self._fail(page.file, page.page, page.problem)
        self.progress.page(page.page, page.count)

    @contextmanager
    def _written(self) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        self._book({"write": time.perf_counter() - begun})

    def _book(self, seconds: Mapping[str, float]) -> None:
        if self._profile is not None:
            for name, own in seconds.items():
                self._profile[name] += own

    def _fail(self, file: str, page: int | None, error: str) -> None:
        from vinscribe.output import one_line

        self._counts.failed += 1
        place = "" if page is None else f", page {page}"
        self.progress.say(one_line(f"{file}{place}: {error}"))


def _check(args: argparse.Namespace) -> None:
    """Raises UsageError where the arguments do not fit each other or the disk."""
    for path in args.paths:
        if not (kind_of(path) if is_address(path) else os.path.lexists(path)):
            raise UsageError(f"no such file or folder: {path}")
    if args.workers is not None and args.workers < 1:
        raise UsageError(f"--workers {args.workers}: at least one has to work")
    if args.out is None and args.resume:
        raise UsageError("--resume goes on with a file; say which with --out FILE")
    if args.batch is not None and args.batch < 1:
        raise UsageError(f"--batch {args.batch}: at least one scan has to be in a batch")
    if args.annotate is not None:
        _make_picture_folder(args.annotate, args.paths)


def _make_picture_folder(folder: str, paths: list[str]) -> None:
    """Makes the folder for pictures of the pages, unless these would be taken for scans in the next run."""
    if is_address(folder):
        raise UsageError(f"--annotate {folder}: pictures are written to a disk; give a folder there")
    for path in paths:
        if not is_address(path) and is_folder(path) and Path(folder).resolve().is_relative_to(Path(path).resolve()):
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
        "register": sorted(_digest(path) or "" for path in settings.register) or None,  # in whatever order
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
