"""Files and folders that are not on this machine's disk, by addresses as fsspec knows them: ``s3://bucket/cards``.

Which kinds there are, and where their credentials come from, is fsspec's: s3:// (s3fs), gs:// (gcsfs), az:// (adlfs),
file:// and others. Light to import: fsspec is loaded with the first address.
"""

import io
import os
import re
from pathlib import Path
from typing import Any, BinaryIO

from vinscribe.errors import ImageError, UsageError

BLOCK_BYTES = 1 << 22
"""A file that is no larger is fetched by one request; a larger one in blocks, as it is read."""

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_WAY_OUT = "check the address, the network and the credentials"


def is_address(path: str) -> bool:
    """Whether a path has the form of an address, ``kind://…``."""
    return _ADDRESS.match(path) is not None


def place(file: str) -> str:
    """Where a file is, however its path was given: the same in each run from the same folder, and from others."""
    return file if is_address(file) else str(Path(file).absolute())


def filesystem(address: str) -> tuple[Any, str]:
    """Fsspec's file system for an address, and the path in it.

    Raises:
        UsageError: fsspec does not know such addresses, or the package for them is not installed.
    """
    try:
        from fsspec.core import url_to_fs

        system, path = url_to_fs(address, use_listings_cache=False)
    except ImportError as error:
        missing = error.name or str(error).partition(" ")[0]
        raise UsageError(f"{address}: {missing} is not installed; pip install -r requirements-cluster.txt") from None
    except Exception as error:  # of any library behind fsspec
        raise UsageError(f"{address}: {told(error)}; {_WAY_OUT}") from None
    return system, str(path)


def kind_of(address: str) -> str | None:
    """``folder`` or ``file``; None if there is nothing. Raises UsageError where nobody can say."""
    system, path = filesystem(address)
    try:
        return "folder" if system.info(path)["type"] == "directory" else "file"
    except FileNotFoundError:
        return None
    except Exception as error:
        raise UsageError(f"{address} cannot be reached: {told(error)}; {_WAY_OUT}") from None


def list_folder(address: str) -> list[tuple[str, bool]]:
    """Names in a folder, and whether they are folders themselves. Raises OSError, or what the library behind raises."""
    system, path = filesystem(address)
    found = []
    for entry in system.ls(path, detail=True):
        name = str(entry["name"]).rstrip("/").rpartition("/")[2]
        if name and str(entry["name"]).rstrip("/") != path.rstrip("/"):  # some stores list the folder in itself
            found.append((name, entry["type"] == "directory"))
    return found


def open_address(address: str) -> BinaryIO:
    """The file at an address, to be read from any place in it. Raises ImageError where it cannot be had."""
    try:
        system, path = filesystem(address)
        try:
            start: bytes = system.cat_file(path, start=0, end=BLOCK_BYTES)
        except FileNotFoundError:
            raise
        except OSError:  # some stores refuse to give a part of an empty file
            start = b"" if system.info(path)["size"] == 0 else system.cat_file(path)
        if len(start) < BLOCK_BYTES:
            return io.BytesIO(start)
        file: BinaryIO = system.open(path, "rb", block_size=BLOCK_BYTES)
    except Exception as error:
        raise ImageError(f"cannot be read: {told(error)}") from None
    return file


def told(error: Exception) -> str:
    """What an error of a library says, in one line."""
    if isinstance(error, OSError) and error.errno is not None and error.strerror:
        return error.strerror if error.errno > 0 else str(error)
    return " ".join(str(error).split()) or type(error).__name__


def without_scheme(address: str) -> str:
    """The path of a ``file://`` address, or any other path as it is."""
    if address.lower().startswith("file://"):
        return os.fspath(filesystem(address)[1])
    return address
