"""A file of results that outlives a break: each line whole or not at all, and no page twice.

Beside FILE stands FILE.journal, in JSON Lines: first the settings, then, behind each line of FILE, which page of which
file it is of and how far FILE reaches with it. After a break FILE is cut where the journal's last whole line ends; only
pages that the journal does not have are read. What failed is not in it, so that it is tried again.
"""

import json
import os
import sys
import zlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, BinaryIO

from vinscribe import __version__
from vinscribe.addresses import place
from vinscribe.done import Done
from vinscribe.errors import UsageError, VinscribeError

ENDING = ".journal"

_BLOCK_BYTES = 1 << 20


class ResultFile:
    """A file that results are added to, with its journal.

    Nothing is written before the first line, or `open`.

    Args:
        path: of the file.
        header: the lines that a new file begins with.
        settings: what the results depend on; a file is not gone on with under others.
        resume: go on with the file if it is there.

    Attributes:
        path: of the file.
        notes: what there is to say about going on.
        done: the pages that the file held when it was opened.

    Raises:
        UsageError: the file is there and ``resume`` is not set, or it cannot be gone on with.
    """

    def __init__(self, path: str, header: Iterable[str], settings: dict[str, Any], resume: bool) -> None:
        self.path = path
        self.notes: tuple[str, ...] = ()
        self.done = Done()
        self._header = list(header)
        self._settings = settings
        self._resume = resume
        self._end = self._crc = 0  # of what FILE holds
        self._journal_end = 0
        self._file: BinaryIO | None = None
        self._journal: BinaryIO | None = None
        there = os.path.lexists(path)
        if there and not resume:
            raise UsageError(f"{path} is there already; go on with it by --resume, or give another name")
        if resume and (there or os.path.lexists(path + ENDING)):
            try:
                self._load()
            except BaseException:
                self.close()
                raise

    def unread(self, file: str) -> Sequence[int] | None:
        """Numbers of the pages of a file that are to be read; None if all are."""
        return self.done.unread(file)

    def write(self, line: str, file: str, page: int, count: int) -> None:
        """Add the line of a page of a file that has so many.

        Raises UsageError where the file cannot be made, VinscribeError where the disk is full or the like.
        """
        self._add(line + "\n", {"file": place(file), "page": page, "of": count})

    def open(self) -> tuple[BinaryIO, BinaryIO]:
        """The file and its journal: new, or cut where they are whole. Raises as `write` does."""
        if self._file is not None and self._journal is not None:
            return self._file, self._journal
        try:
            self._journal = self._journal or _locked(self.path + ENDING)
            self._journal.truncate(self._journal_end)
            # Exclusive, as nothing was there before: what another run has written since is not overwritten.
            self._file = open(self.path, "ab" if self._resume else "xb", buffering=0)  # noqa: SIM115
            self._file.truncate(self._end)
        except OSError as error:
            raise UsageError(f"cannot write {self.path}: {error.strerror}; give another place") from None
        if not self._journal_end:
            self._note({"vinscribe": __version__, "settings": self._settings})
        if not self._end:
            self._add("".join(line + "\n" for line in self._header), {})
        return self._file, self._journal

    def close(self) -> None:
        """Close both files."""
        for each in (self._file, self._journal):
            if each is not None:
                each.close()

    def _add(self, text: str, record: dict[str, Any]) -> None:
        """Adds to the file, then to the journal: of what is only in the file nothing is known, and it is cut off."""
        file, _ = self.open()
        data = text.encode(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())
        self._append(file, data)
        self._end += len(data)
        self._crc = zlib.crc32(data, self._crc)
        self._note({**record, "end": self._end, "crc": self._crc})

    def _note(self, record: dict[str, Any]) -> None:
        _, journal = self.open()
        data = json.dumps(record).encode() + b"\n"
        self._append(journal, data)
        self._journal_end += len(data)

    def _append(self, file: BinaryIO, data: bytes) -> None:
        try:
            while data:  # once, wherever the system takes it in one go
                data = data[file.write(data) :]
        except OSError as error:
            self._cut()
            raise VinscribeError(
                f"cannot write {self.path}: {error.strerror}; put that right, then go on with --resume"
            ) from None

    def _cut(self) -> None:
        """Takes off what was written of a line that the disk has no room for, so that all lines are whole."""
        for file, end in ((self._file, self._end), (self._journal, self._journal_end)):
            if file is not None:
                with suppress(OSError):  # the next run with --resume does it
                    file.truncate(end)

    def _load(self) -> None:
        """Takes up what the journal knows."""
        name = self.path + ENDING
        try:
            with open(name, "rb") as lines:
                self._journal = _locked(name)
                size = os.path.getsize(self.path) if os.path.lexists(self.path) else 0
                self._check_settings(lines.readline(), size)
                for line in lines:
                    record = json.loads(line) if line.endswith(b"\n") else {"end": size + 1}
                    if record["end"] > size:  # lost, as when the power fails
                        break
                    self._take(record)
                    self._journal_end += len(line)
            if self._crc != _crc(self.path, self._end):
                raise UsageError(f"{self.path} was changed since; put it back, or give another name to begin anew")
        except FileNotFoundError:
            raise UsageError(f"cannot go on with {self.path}: no {name}; give another name to begin anew") from None
        except OSError as error:
            raise UsageError(f"cannot go on with {self.path}: {error.strerror}; give another name") from None
        except (ValueError, KeyError, TypeError):
            raise UsageError(
                f"cannot go on with {self.path}: {name} is damaged; give another name to begin anew"
            ) from None

    def _check_settings(self, line: bytes, size: int) -> None:
        """Compares the first line of the journal with the settings of now; ``size`` is that of the file."""
        if not line.endswith(b"\n") and not size:  # broken off before anything was written
            return
        head = json.loads(line)
        before = head["settings"]
        other = sorted(name for name in {*before, *self._settings} if before.get(name) != self._settings.get(name))
        if other:
            raise UsageError(
                f"{self.path} was begun with another {' and '.join(other)}; go on with the same, or give another name"
            )
        if head["vinscribe"] != __version__:
            self.notes = (f"{self.path} was begun by vinscribe {head['vinscribe']}; this is {__version__}",)
        self._journal_end = len(line)

    def _take(self, record: dict[str, Any]) -> None:
        self._end, self._crc = record["end"], record["crc"]
        if "file" in record:  # not the header
            self.done.add(record["file"], record["page"], record["of"])


def _crc(path: str, size: int) -> int:
    """The checksum of the first bytes of a file."""
    crc = 0
    if size:
        with open(path, "rb") as file:
            while size and (block := file.read(min(size, _BLOCK_BYTES))):
                crc = zlib.crc32(block, crc)
                size -= len(block)
    return crc


def _locked(path: str) -> BinaryIO:
    """A file to add to that no other run adds to."""
    file: BinaryIO = open(path, "ab", buffering=0)  # noqa: SIM115
    with suppress(ImportError):
        import fcntl  # not on Windows

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise UsageError(f"{path.removesuffix(ENDING)} is being written by another run; let it end") from None
        except OSError:  # a disk without locks
            pass
    return file
