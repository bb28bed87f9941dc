"""Fetches the official EMNIST archive once and keeps it in the user's cache folder.

The bytes go to ``NAME.part`` beside the final file. Only when their checksum is right are they renamed, in one step,
to ``NAME``; so a file under the final name is always whole. A broken download goes on where it stopped, in the same
call or in the next one: ``NAME.part.tag`` keeps the server's version mark (ETag), so that halves of two different
files are never joined. A lock on ``NAME.lock`` keeps a second process away; the system drops the lock of a process
that dies, and the empty lock file stays.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import requests
from tqdm import tqdm

from vinscribe.errors import DownloadError

_log = logging.getLogger(__name__)

_BY_HAND = "or fetch the archive by other means and pass --emnist PATH"
_BROKEN = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
_PASSING_STATUS = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class ArchiveSource:
    """Where an archive comes from and how it is known to be whole.

    ``size_bytes`` is None where it is not known; ``name`` is the file name in the cache folder.
    """

    url: str
    sha256: str
    size_bytes: int | None = None
    name: str = "emnist-gzip.zip"


@dataclass(frozen=True)
class DownloadSettings:
    """How patiently to download: tries in a row that bring nothing new, pauses and time limits in seconds.

    The pause doubles after each try. A try that brought at least ``progress_bytes`` starts the count again.
    """

    tries: int = 5
    pause_s: float = 1.0
    connect_timeout_s: float = 15.0
    read_timeout_s: float = 60.0
    chunk_bytes: int = 1 << 16
    progress_bytes: int = 1 << 20


OFFICIAL = ArchiveSource(
    url="https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",
    sha256="fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e",
    size_bytes=561_753_746,
)
"""The archive "Binary format as the original MNIST dataset". Source: NIST, The EMNIST Dataset (Cohen et al. 2017)."""


class _BrokenError(Exception):
    """This try failed, but another one may succeed."""


def cache_folder() -> Path:
    """The folder that keeps downloads: ``$VINSCRIBE_CACHE`` where set, else the user's cache folder."""
    chosen = os.environ.get("VINSCRIBE_CACHE")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("vinscribe", appauthor=False))


def fetch_archive(
    source: ArchiveSource = OFFICIAL,
    folder: str | os.PathLike[str] | None = None,
    settings: DownloadSettings | None = None,
) -> Path:
    """Path of the archive in ``folder`` (default: ``cache_folder()``), downloaded first where it is not there yet.

    A file that is there already was checked before it got its name, so only its size is looked at; one of another
    size is downloaded anew. Raises ``DownloadError`` for everything that can go wrong on the way.
    """
    folder = Path(folder) if folder is not None else cache_folder()
    final = folder / source.name
    if _is_there(final, source):
        return final
    with _explain_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with _only_process(folder / f"{source.name}.lock"):
            if not _is_there(final, source):  # another process may have fetched it just now
                _Download(source, folder, settings or DownloadSettings()).run()
    return final


def _is_there(final: Path, source: ArchiveSource) -> bool:
    if not final.is_file():
        return False
    size = final.stat().st_size
    if source.size_bytes in (None, size):
        return True
    _log.warning("%s has %d bytes instead of %d: it is downloaded anew", final, size, source.size_bytes)
    return False


class _Download:
    """One download from the first byte, or the first missing one, to the renamed file."""

    def __init__(self, source: ArchiveSource, folder: Path, settings: DownloadSettings) -> None:
        self.source = source
        self.settings = settings
        self.final = folder / source.name
        self.part = folder / f"{source.name}.part"
        self.tag = folder / f"{source.name}.part.tag"
        self.total = source.size_bytes  # as the server states it, where the source does not

    def run(self) -> None:
        fails, seen = 0, self._have()
        while True:
            try:
                self._fetch_rest()
                break
            except _BrokenError as broken:
                # A server may begin from zero at each try: only bytes beyond the best mark so far are progress.
                if self._have() >= seen + self.settings.progress_bytes:
                    fails, seen = 0, self._have()
                fails += 1
                if fails >= self.settings.tries:
                    raise DownloadError(f"{broken} (tried {fails} times). {self._way_out()}") from broken.__cause__
                _log.warning("%s; trying again", broken)
                time.sleep(self.settings.pause_s * 2 ** (fails - 1))
        self._check_and_rename()

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _forget(self) -> None:
        self.part.unlink(missing_ok=True)
        self.tag.unlink(missing_ok=True)

    def _way_out(self) -> str:
        way = f"Check the network (and HTTPS_PROXY, if you need one) and run the command again, {_BY_HAND}."
        if self._have():
            way += f" {self._have():,} bytes are kept in {self.part}, and the next run goes on from there."
        return way

    def _fetch_rest(self) -> None:
        """One try to complete the part file; ``_BrokenError`` where another try makes sense."""
        have, url = self._have(), self.source.url
        if self.total is not None and have > self.total:
            self._forget()
            have = 0
        if have and have == self.total:
            return
        headers = {"Accept-Encoding": "identity"}  # a compressed transfer would make ranges and sizes meaningless
        if have:
            headers["Range"] = f"bytes={have}-"
            if tag := self._read_tag():
                headers["If-Range"] = tag
        limits = (self.settings.connect_timeout_s, self.settings.read_timeout_s)
        try:
            with requests.get(url, headers=headers, stream=True, timeout=limits) as response:
                self._receive(response, have)
        except requests.exceptions.SSLError as error:
            raise DownloadError(
                f"No secure connection to {url}: {_reason(error)}. "
                f"Check the clock and the certificates of this machine, {_BY_HAND}."
            ) from error
        except _BROKEN as error:
            raise _BrokenError(
                f"The connection to {url} failed after {self._have():,} bytes: {_reason(error)}"
            ) from error
        except requests.RequestException as error:
            raise DownloadError(f"Cannot download {url}: {error}. Check the address, {_BY_HAND}.") from error
        if self.total is not None and self._have() < self.total:
            raise _BrokenError(f"{url} sent only {self._have():,} of {self.total:,} bytes")

    def _receive(self, response: requests.Response, have: int) -> None:
        """Judges the answer, then appends its body to the part file (or begins it anew)."""
        status = response.status_code
        if status == 416:
            self._range_refused(response, have)
            return
        if status in _PASSING_STATUS:
            raise _BrokenError(f"{self.source.url} answered with HTTP status {status} {response.reason}")
        if status not in (200, 206):
            raise DownloadError(
                f"{self.source.url} answered with HTTP status {status} {response.reason}. "
                f"The archive may have moved: look for it on the EMNIST page of NIST, {_BY_HAND}."
            )
        start, total = 0, _as_int(response.headers.get("Content-Length"))
        if status == 206:
            first_byte, total = _content_range(response)
            if first_byte != have or (self._read_tag() and _tag_of(response) not in ("", self._read_tag())):
                self._forget()
                raise _BrokenError(f"{self.source.url} has another file than at the first try, so it begins anew")
            start = have
        if "html" in response.headers.get("Content-Type", "").lower():
            raise self._not_an_archive("a web page (HTML)")
        if self.source.size_bytes is None:
            self.total = total
        elif total not in (None, self.source.size_bytes):
            raise DownloadError(
                f"{self.source.url} offers a file of {total:,} bytes where the archive has {self.source.size_bytes:,}: "
                f"another file, or cut short by the server. Try again later, {_BY_HAND}."
            )
        self._check_free_space(start)
        self._write(response, start)

    def _range_refused(self, response: requests.Response, have: int) -> None:
        """416: nothing lies beyond our part. It is whole where its length is the server's, else useless."""
        _, total = _content_range(response)
        if have and have == total and self.total in (None, total):
            self.total = total
            return
        self._forget()
        raise _BrokenError(f"{self.source.url} has fewer bytes than the {have:,} fetched before, so it begins anew")

    def _not_an_archive(self, what: str) -> DownloadError:
        return DownloadError(
            f"{self.source.url} gave {what} in place of the zip archive. A login page of the network (hotel, company "
            f"proxy) or a notice of the server may stand between: open the address in a browser, {_BY_HAND}."
        )

    def _check_free_space(self, start: int) -> None:
        if self.total is None:
            return
        free, needed = shutil.disk_usage(self.part.parent).free + self._have() - start, self.total - start
        if free < needed:
            raise _disk_full(self.part.parent, f"{needed:,} more bytes are needed and {free:,} are free")

    def _write(self, response: requests.Response, start: int) -> None:
        chunks = response.iter_content(self.settings.chunk_bytes)
        first = next(chunks, b"")
        if not first:
            raise _BrokenError(f"{self.source.url} sent nothing")
        if start == 0:
            if not first.startswith(b"PK"):
                is_html = first.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
                raise self._not_an_archive("a web page (HTML)" if is_html else f"other data ({first[:8]!r}…)")
            self._forget()  # the old part goes before the new mark comes, so that they never stand side by side
            self.tag.write_text(_tag_of(response), encoding="ascii", errors="ignore")
        bar = tqdm(
            desc="EMNIST", total=self.total, initial=start, unit="B", unit_scale=True, disable=not sys.stderr.isatty()
        )
        with bar, open(self.part, "ab") as file:
            while first:
                file.write(first)
                bar.update(len(first))
                first = next(chunks, b"")

    def _read_tag(self) -> str:
        return self.tag.read_text(encoding="ascii", errors="ignore") if self.tag.exists() else ""

    def _check_and_rename(self) -> None:
        digest = hashlib.sha256()
        with open(self.part, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        if digest.hexdigest() != self.source.sha256:
            have = self._have()
            self._forget()
            raise DownloadError(
                f"The {have:,} bytes from {self.source.url} have the sha256 {digest.hexdigest()} instead of "
                f"{self.source.sha256}: damaged on the way, or the archive has changed. The file was removed. "
                f"Run the command again; if that does not help, use another network, {_BY_HAND}."
            )
        with open(self.part, "rb+") as file:
            os.fsync(file.fileno())  # the name must not reach the disk before the bytes
        self.part.replace(self.final)
        self.tag.unlink(missing_ok=True)


def _reason(error: requests.RequestException) -> str:
    """The cause alone, out of the wrappings that requests and urllib3 put around it."""
    cause = error.args[0] if error.args else error
    cause = getattr(cause, "reason", cause)
    return str(cause.args[0] if getattr(cause, "args", ()) else cause)


def _as_int(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


def _content_range(response: requests.Response) -> tuple[int | None, int | None]:
    """First byte and total length from ``Content-Range: bytes 5-9/10`` or ``bytes */10``; None for what is not said."""
    match = re.match(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", ""))
    return (_as_int(match[1]), _as_int(match[2])) if match else (None, None)


def _tag_of(response: requests.Response) -> str:
    """The mark of the file's version for If-Range: a strong ETag, else the time of change, else ''."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def _disk_full(folder: Path, detail: str) -> DownloadError:
    return DownloadError(
        f"The disk of {folder} is full: {detail}. "
        f"Free some space and run the command again (what was fetched before is kept), "
        f"set VINSCRIBE_CACHE to a folder on another disk, {_BY_HAND}."
    )


@contextlib.contextmanager
def _explain_disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _disk_full(folder, str(error)) from error
        raise DownloadError(
            f"Cannot write to the cache folder {folder}: {error}. "
            f"Set VINSCRIBE_CACHE to a folder that you can write to, {_BY_HAND}."
        ) from error


@contextlib.contextmanager
def _only_process(lock: Path) -> Iterator[None]:
    """Holds the lock file, or raises ``DownloadError`` where another process holds it."""
    with open(lock, "ab") as file:
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            raise DownloadError(
                f"Another process is downloading to {lock.parent} (it holds {lock.name}). "
                f"Wait until it is done and run the command again, {_BY_HAND}."
            ) from error
        yield
