"""Where results go: standard output, a file, a folder of shards."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vinscribe.addresses import is_address
from vinscribe.archive import PageRead
from vinscribe.done import Done
from vinscribe.errors import UsageError
from vinscribe.journal import ResultFile
from vinscribe.shards import FORMATS as SHARD_FORMATS
from vinscribe.shards import Shards, ShardWriter

if TYPE_CHECKING:
    from vinscribe.decode import VinReading

FILE_FORMATS = {".jsonl": "jsonl", ".csv": "csv"}
"""Ending of the file for results -> its format."""


class Target:
    """Takes results in their order. By itself, it drops them.

    Attributes:
        notes: what there is to say about going on.
        done: pages that are there already; None if nobody can know.
    """

    notes: tuple[str, ...] = ()
    done: Done | None = None

    def open(self) -> None:
        """Write what comes before the first result."""

    def write(self, page: PageRead) -> None:
        """Write a page."""

    def end_file(self) -> None:
        """All pages of a file have been written."""

    def flush(self) -> None:
        """Nothing more comes in this run."""

    def close(self) -> None:
        """Let go of it."""


class Printed(Target):
    """Lines on standard output, behind a header."""

    def __init__(self, header: list[str], line: "Callable[[VinReading], str]") -> None:
        self._header = header
        self._line = line
        self._stream = sys.stdout  # the one of now: what others print meanwhile may go elsewhere

    def open(self) -> None:
        """Print the header."""
        from vinscribe.output import prepare_stream

        prepare_stream(self._stream)
        for line in self._header:
            print(line, file=self._stream)

    def write(self, page: PageRead) -> None:
        """Print the line of a page."""
        print(self._line(page.reading), file=self._stream, flush=True)


class OneFile(Target):
    """Lines in a file with a journal beside it."""

    def __init__(self, file: ResultFile, line: "Callable[[VinReading], str]") -> None:
        self.notes, self.done = file.notes, file.done
        self._file = file
        self._line = line

    def open(self) -> None:
        """Make the file, or cut it where it is whole."""
        self._file.open()

    def write(self, page: PageRead) -> None:
        """Add the line of a page."""
        self._file.write(self._line(page.reading), page.reading.file, page.reading.page or 1, page.count)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class ShardFolder(Target):
    """A folder of shards, each with the pages of so many scans.

    Attributes:
        shards: what writes them, here or where the scans are read.
    """

    def __init__(self, shards: Shards, batch: int) -> None:
        self.notes, self.done = shards.notes, shards.done
        self.shards = shards
        self._opened = False
        self._writer = ShardWriter(shards, batch)

    def open(self) -> None:
        """Make the folder, unless it is there; once, as others may be writing into it by then."""
        if not self._opened:
            self._opened = True
            self.shards.open()

    def write(self, page: PageRead) -> None:
        """Keep a page until its shard is full."""
        self._writer.write(page)

    def end_file(self) -> None:
        """Write a shard if it is full."""
        self._writer.end_file()

    def flush(self) -> None:
        """Write what there is."""
        self._writer.flush()


def is_shards(out: str) -> bool:
    """Whether results go into a folder of shards: an address, a name with a slash at its end, or ``….parquet``."""
    return is_address(out) or out.endswith(("/", "\\")) or out.lower().endswith(".parquet")


def format_of(out: str | None, wanted: str | None) -> str:
    """The format of the results. Raises UsageError where ``--out`` and ``--format`` do not fit each other."""
    if out is None:
        if wanted == "parquet":
            raise UsageError("--format parquet needs a folder to write to; give one with --out FOLDER/")
        return wanted or "table"
    ending = Path(out.rstrip("/\\")).suffix.lower()
    if is_shards(out):
        own = ending.removeprefix(".") if ending.removeprefix(".") in SHARD_FORMATS else None
        kind = wanted or own or FILE_FORMATS.get(ending, "jsonl")
        if kind not in SHARD_FORMATS or (ending in FILE_FORMATS and ending != f".{kind}"):
            raise UsageError(f"--out {out} is a folder of shards, which are {' or '.join(SHARD_FORMATS)}, not {kind}")
    else:
        if ending not in FILE_FORMATS:
            endings = " or ".join(FILE_FORMATS)
            raise UsageError(
                f"--out {out}: its ending says the format, and must be {endings}; a folder of shards ends in a slash"
            )
        own = kind = FILE_FORMATS[ending]
    if wanted not in (None, own or kind):
        raise UsageError(f"--out {out} and --format {wanted} are two formats; leave --format away")
    return kind


def target_of(
    out: str | None, kind: str, name_width: int, identity: Callable[[], dict[str, Any]], resume: bool, batch: int
) -> Target:
    """Where results go.

    Args:
        out: a file, a folder of shards, or standard output if None.
        kind: see `format_of`.
        name_width: of the table's column of names.
        identity: tells what the results depend on, see `ResultFile`.
        resume: go on with what is there.
        batch: scans in a shard.

    Raises:
        UsageError: see `ResultFile`, `Shards`.
    """
    if out is not None and is_shards(out):
        return ShardFolder(Shards(out, kind, identity(), resume), batch)
    from vinscribe.output import vin_formatter, vin_header

    header, line = list(vin_header(kind, name_width, pages=True)), vin_formatter(kind, name_width)
    if out is None:
        return Printed(header, line)
    return OneFile(ResultFile(out, header, identity(), resume), line)
