"""Archives of scans: which files there are.

Light to import: the process that hands out the work starts others before it loads anything heavy.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vinscribe.addresses import is_address, kind_of, list_folder, place, told
from vinscribe.archive import Before, Failed, Part
from vinscribe.errors import UsageError

if TYPE_CHECKING:
    from vinscribe.done import Done


@dataclass(frozen=True)
class Scans:
    """What is to be read: iterates over the parts of an archive in order, each file once. Can be pickled.

    Attributes:
        paths: files and folders, see `find_scans`.
        done: pages that are not read again; all are read if None. Of files that were begun only what is left comes, a
            `Before` in the place of each that was finished.
    """

    paths: Sequence[str]
    done: "Done | None" = None

    def __iter__(self) -> Iterator[Part | Failed | Before]:
        seen = set[int]()  # of several paths some may be in others
        for scan in find_scans(self.paths):
            if isinstance(scan, Failed):
                yield scan
                continue
            if len(self.paths) > 1:
                where = hash(place(scan))
                if where in seen:
                    continue
                seen.add(where)
            unread = None if self.done is None else self.done.unread(scan)
            yield Before(1) if unread == () else Part(scan, unread)


def find_scans(paths: Iterable[str]) -> Iterator[str | Failed]:
    """The scans among files and folders, the same in the same order each time.

    Files come as they are, whatever their ending. Folders are gone through with all that is in them, sorted by path,
    without hidden files and folders; links to folders are not followed. The names in one folder, and in those it is
    in, are in memory at a time. A folder that cannot be listed is a `Failed`.
    """
    for path in paths:
        if is_folder(path):
            yield from _scans_below(path)
        else:
            yield path


def is_folder(path: str) -> bool:
    """Whether a path or an address leads to a folder; not where nobody may look."""
    if is_address(path):
        return kind_of(path) == "folder"
    return os.path.isdir(path)  # noqa: PTH112  `Path.is_dir` may raise


def _scans_below(directory: str) -> Iterator[str | Failed]:
    from vinscribe.images import path_prefix

    waiting = [_scans_in(path_prefix(directory))]  # a stack, as folders may lie deeper than Python calls functions
    while waiting:
        path = next(waiting[-1], None)
        if path is None:
            waiting.pop()
        elif isinstance(path, str) and path.endswith("/"):
            waiting.append(_scans_in(path))
        else:
            yield path


def _scans_in(prefix: str) -> Iterator[str | Failed]:
    """The scans and the folders in a folder; the latter, like ``prefix``, end in a slash."""
    from vinscribe.pages import ENDINGS

    names = []
    try:
        for name, is_a_folder in _entries(prefix):
            if name.startswith("."):
                continue
            if is_a_folder:
                names.append(name + "/")
            elif name.lower().endswith(ENDINGS):  # links that lead nowhere, too: somebody misses that card
                names.append(name)
    except (OSError, UsageError) as error:
        yield Failed(prefix, None, f"cannot be listed: {told(error)}; what is in it is not read")
    names.sort()  # folders with their slash: as if all paths were sorted
    for name in names:
        yield prefix + name


def _entries(folder: str) -> Iterator[tuple[str, bool]]:
    """Names in a folder, and whether they are folders themselves. Raises OSError, UsageError."""
    if is_address(folder):
        try:
            yield from list_folder(folder)
        except (OSError, UsageError):
            raise
        except Exception as error:  # of any library behind fsspec
            raise OSError(str(error)) from None
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry.name, entry.is_dir(follow_symlinks=False)
