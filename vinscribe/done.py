"""Which pages have been read before: what ``--resume`` goes by."""

from collections.abc import Sequence
from hashlib import blake2b

from vinscribe.addresses import place


class Done:
    """Pages that have been read. Can be pickled, and means the same in every process."""

    def __init__(self) -> None:
        self._whole: set[int] = set()  # files, by digest: a million take a hundred MB
        self._unread: dict[int, set[int]] = {}  # of files that are not read to their end

    def __bool__(self) -> bool:
        return bool(self._whole or self._unread)

    def add(self, where: str, page: int, count: int) -> bool:
        """A page of a file at a `place` that has so many was read; whether that is new."""
        key = _digest(where)
        if key in self._whole:
            return False
        unread = self._unread.setdefault(key, set(range(1, count + 1)))
        new = page in unread
        unread.discard(page)
        if not unread:
            del self._unread[key]
            self._whole.add(key)
        return new

    def unread(self, file: str) -> Sequence[int] | None:
        """Numbers of the pages of a file that are to be read; None if all are."""
        key = _digest(place(file))
        if key in self._whole:
            return ()
        return sorted(self._unread[key]) if key in self._unread else None


def as_text(name: str) -> str:
    r"""A file name as text that can be stored anywhere: bytes that are no text as ``\udcXX``."""
    return name.encode("utf-8", "backslashreplace").decode()


def _digest(where: str) -> int:
    return int.from_bytes(blake2b(as_text(where).encode(), digest_size=8).digest(), "big")
