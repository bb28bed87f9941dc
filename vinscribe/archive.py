"""Archives of scans: what comes of a file.

A `ScanReader` reads it, a few pages at a time. `vinscribe.workers` lets several of them work side by side,
`vinscribe.cluster` on many machines; settings, tasks and results can all be pickled.

Light to import: the process that hands out the work starts others before it loads anything heavy.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from vinscribe import stages
from vinscribe.addresses import place
from vinscribe.errors import ImageError

if TYPE_CHECKING:
    from vinscribe.decode import VinReading
    from vinscribe.pages import BrokenPage, Page

PAGES_AT_ONCE = 8
"""Pages of one file that are read in one go; the next ones may be read by another process at the same time."""


@dataclass(frozen=True)
class ReadSettings:
    """What is read with what; every path is a name of a file or folder.

    Attributes:
        model: the released model if None.
        market, threshold: see `vinscribe.reader.Reader`.
        expected: a list of VINs that are known already, see `vinscribe.expected.ExpectedVins.load`.
        template: see `vinscribe.template.Template.load`.
        annotate: folder for pictures of the pages with what was read drawn in; none are made if None.
        profile: measure where the time of a page goes.
        register: lists of an office's VINs, or what was learned of them, see `vinscribe.register.Register.learned`.
    """

    model: str | None
    market: str
    threshold: float
    expected: str | None = None
    template: str | None = None
    annotate: str | None = None
    profile: bool = False
    register: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """Pages of a file, by their numbers from 1; all if None."""

    file: str
    pages: Sequence[int] | None = None


@dataclass(frozen=True)
class Taken:
    """Which pages of a part are read now, and which are left for another part."""

    pages: Sequence[int]
    rest: Sequence[int]


@dataclass(frozen=True)
class PageRead:
    """A page that was read.

    Attributes:
        reading: with file and page.
        count: how many pages the file has.
        problem: why its picture for ``annotate`` could not be made; None where nothing went wrong.
        stages: seconds spent in each of `vinscribe.stages.NAMES`; None if they are not measured.
    """

    reading: "VinReading"
    count: int
    problem: str | None = None
    stages: Mapping[str, float] | None = None


@dataclass(frozen=True)
class PageWritten:
    """A page that was read and written; its attributes are those of `PageRead` and its reading."""

    file: str
    page: int
    count: int
    decision: str
    problem: str | None
    stages: Mapping[str, float] | None

    @classmethod
    def of(cls, page: PageRead) -> "PageWritten":
        """What is left to be told of a page when its reading has been written."""
        reading = page.reading
        return cls(reading.file, reading.page or 1, page.count, reading.decision, page.problem, page.stages)


@dataclass(frozen=True)
class Failed:
    """A page that could not be read, or, without a number, a whole file or folder, and why."""

    file: str
    page: int | None
    error: str


@dataclass(frozen=True)
class Before:
    """So many scans were read by an earlier run."""

    files: int


class ScanReader:
    """Reads scans with one `Reader`, on one core.

    Args:
        settings: what to read with.

    Attributes:
        notes: what there is to say about the list of expected VINs and the office's register.

    Raises:
        UsageError, DataError, ModelError: something is wrong with one of the settings.
    """

    def __init__(self, settings: ReadSettings) -> None:
        import cv2

        from vinscribe.expected import ExpectedVins
        from vinscribe.reader import Reader

        cv2.setNumThreads(1)
        expected = None if settings.expected is None else ExpectedVins.load(settings.expected)
        register = None
        if settings.register:
            from vinscribe.register import Register

            register = Register.learned(settings.register)
        template = None
        if settings.template is not None:
            from vinscribe.template import Template

            template = Template.load(settings.template)
        self.notes: tuple[str, ...] = () if expected is None else expected.notes
        self.notes += () if register is None else register.notes
        self._annotate = settings.annotate
        if settings.profile:
            stages.start()
        self._reader = Reader(
            settings.model,
            market=settings.market,
            expected=expected,
            threshold=settings.threshold,
            template=template,
            register=register,
        )
        self._reader.decoder  # noqa: B018  whatever is wrong with the settings is said now

    def read_file(self, file: str) -> Iterator[PageRead | Failed]:
        """What comes of each page of a file, in order, each read when it is asked for; never raises."""
        parts = [Part(file)]
        while parts:
            for result in self.read(parts.pop()):
                if not isinstance(result, Taken):
                    yield result
                elif result.rest:
                    parts.append(Part(file, result.rest))

    def read(self, part: Part) -> Iterator[Taken | PageRead | Failed]:
        """What comes of the first few pages of a part, in order; never raises.

        Before them a `Taken` says which pages these are, unless the whole file is unreadable.
        """
        from vinscribe.pages import BrokenPage, count_pages, read_pages

        file = part.file
        try:
            with stages.stage("open"):
                count = count_pages(file)
            pages = range(1, count + 1) if part.pages is None else part.pages
            if pages and max(pages) > count:
                raise ImageError(f"has {count:,} pages now, fewer than when it was begun; read it by itself")
            yield Taken(pages[:PAGES_AT_ONCE], pages[PAGES_AT_ONCE:])
            for page in _opened(read_pages(file, pages[:PAGES_AT_ONCE])):
                if isinstance(page, BrokenPage):
                    yield Failed(file, page.number, str(page.error))
                else:
                    yield self._read_page(file, page, count)
        except ImageError as error:
            yield Failed(file, None, str(error))
        except Exception as error:  # no file may stop the others, not even one that shows a mistake in vinscribe
            yield Failed(file, None, _unexpected(error))

    def _read_page(self, file: str, page: "Page", count: int) -> PageRead | Failed:
        try:
            reading = replace(self._reader.read_page(page.image), file=file, page=page.number)
        except Exception as error:
            return Failed(file, page.number, _unexpected(error))
        problem = None
        try:
            if self._annotate is not None:
                _annotate(page, reading, self._annotate)
        except Exception as error:
            problem = f"its picture could not be written to {self._annotate}: "
            problem += str(error) if isinstance(error, OSError) else _unexpected(error)
        return PageRead(reading, count, problem, stages.spent())


def _opened(pages: Iterator["Page | BrokenPage"]) -> Iterator["Page | BrokenPage"]:
    """Pages as they come, the time for it booked."""
    while True:
        with stages.stage("open"):
            page = next(pages, None)
        if page is None:
            return
        yield page
        del page  # or it would stay in memory beside the next


def picture_name(file: str, page: int) -> str:
    """The name of a page's picture, ``card-1f3a9c04d2e7-page2.jpg``: always the same, and another for each file."""
    digest = blake2b(os.fsencode(place(file)), digest_size=6).hexdigest()
    return f"{Path(file).stem[:50]}-{digest}-page{page}.jpg"


def _annotate(page: "Page", reading: "VinReading", folder: str) -> None:
    """Writes the picture of a page. Raises OSError."""
    import cv2

    from vinscribe.annotate import annotate

    data = cv2.imencode(".jpg", annotate(page.image, reading), [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
    with open(os.path.join(folder, picture_name(reading.file, page.number)), "wb") as file:
        file.write(data)  # OpenCV itself does not know every file name


def _unexpected(error: Exception) -> str:
    return f"unexpected {type(error).__name__}: {error}; please report it, with the file if you can"
