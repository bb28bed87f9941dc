"""Files of arrays with a header: what knowledge of vehicles and registers are kept in.

Such a file is a zip of arrays in numpy's format (.npz), so `numpy.load` opens it as well. One of them, ``header``, is
text in JSON that says what the file is: ``{"format": "vinscribe vehicles", "version": 1, ...}``. The same arrays make
the same bytes: no date of writing, no order of a dictionary is in them.
"""

import io
import json
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from vinscribe.errors import ModelError, UsageError

HEADER = "header"
"""Name of the array that holds the header."""

_SUFFIX = ".npy"
_NPY_VERSION = (3, 0)  # older ones are mended by numpy where they are damaged, with a warning
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the date that a zip has without one
_MOST_BYTES = 1 << 30  # of one array: more is no file of ours, however small it is when packed
_ZIP_START = b"PK\x03\x04"
_DAMAGED = (zipfile.BadZipFile, zlib.error, ValueError, EOFError, MemoryError, RuntimeError, OverflowError)


def is_array_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as a zip does. A file that cannot be opened does not; `load_arrays` says why."""
    if not Path(path).is_file():  # nor is a pipe, which can be read only once
        return False
    try:
        with Path(path).open("rb") as file:
            return file.read(len(_ZIP_START)) == _ZIP_START
    except OSError:
        return False


def format_of(path: str | os.PathLike[str]) -> str | None:
    """What the header of a file calls it; None if there is no such file, or it has no header."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = _header(_member(archive, HEADER)).get("format")
    except (KeyError, OSError, *_DAMAGED):
        return None
    return found if isinstance(found, str) else None


def check_place(path: str | os.PathLike[str]) -> None:
    """Before long work: whether a file can be written there at all.

    Raises:
        UsageError: it is a folder, or in none.
    """
    if Path(path).is_dir():
        raise UsageError(f"{path} is a folder; give the file to write")
    if not Path(path).parent.is_dir():
        raise UsageError(f"cannot write {path}: there is no folder {Path(path).parent}; make it first")


def save_arrays(
    path: str | os.PathLike[str], header: Mapping[str, Any], arrays: Mapping[str, NDArray[np.generic]]
) -> None:
    """Writes a file, whole or not at all: it is written beside its place and then put there.

    Raises:
        UsageError: there is no such folder, or it cannot be written to.
    """
    text = np.frombuffer(json.dumps(dict(header), ensure_ascii=True, sort_keys=True).encode(), np.uint8)
    target = Path(path)
    check_place(path)
    try:
        with NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
            try:
                _write(file, {HEADER: text, **arrays})
                file.close()
                Path(file.name).chmod(0o666 & ~_umask())  # a temporary file is its writer's alone
                Path(file.name).replace(target)
            except BaseException:
                file.close()
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}; give another place with -o") from error


def load_arrays(
    path: str | os.PathLike[str], kind: tuple[str, int], names: Sequence[str], way_out: str
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Header and arrays of a file.

    Args:
        path: the file.
        kind: what its header has to say: format, and the newest version that can be read.
        names: the arrays it has to hold; others are not read.
        way_out: how to get a sound file, in words, for the errors.

    Raises:
        UsageError: no such file.
        ModelError: it cannot be read, is damaged, of another kind, or of a newer version.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            header = _header(_member(archive, HEADER))
            _check_kind(path, header, kind, way_out)
            return header, {name: _member(archive, name) for name in names}
    except FileNotFoundError:
        raise UsageError(f"no such file: {path}; {way_out}") from None
    except KeyError as error:
        raise ModelError(f"{path} is no file of {kind[0]!r} ({_one_line(error)}); {way_out}") from None
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}; {way_out}") from error
    except _DAMAGED as error:
        reason = _one_line(error)
        raise ModelError(f"{path} is damaged, or no file of {kind[0]!r} at all ({reason}); {way_out}") from error


def _write(file: Any, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            packed = io.BytesIO()
            npy_format.write_array(packed, np.ascontiguousarray(array), version=_NPY_VERSION, allow_pickle=False)
            info = zipfile.ZipInfo(name + _SUFFIX, _EPOCH)
            info.create_system = 3  # else it tells the system that it was written on
            info.external_attr = 0o644 << 16
            archive.writestr(info, packed.getvalue(), zipfile.ZIP_DEFLATED, 9)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _member(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """An array of the file. It is read whole first, so that its check sum is right before it is understood."""
    info = archive.getinfo(name + _SUFFIX)
    if info.file_size > _MOST_BYTES:
        raise ValueError(f"{info.filename} has {info.file_size:,} bytes")
    file = io.BytesIO(archive.read(info))
    if npy_format.read_magic(file) != _NPY_VERSION:
        raise ValueError(f"{info.filename} is of another version of numpy's format")
    file.seek(0)
    array: NDArray[Any] = npy_format.read_array(file, allow_pickle=False)
    return array


def _header(array: NDArray[Any]) -> dict[str, Any]:
    header = json.loads(array.tobytes()) if array.dtype == np.uint8 else None
    if not isinstance(header, dict):
        raise ValueError("its header is none")
    return header


def _check_kind(path: str | os.PathLike[str], header: dict[str, Any], kind: tuple[str, int], way_out: str) -> None:
    name, newest = kind
    found, version = header.get("format"), header.get("version")
    if found != name:
        raise ModelError(f"{path} is a file of {found!r}, not of {name!r}; {way_out}")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ModelError(f"{path} is damaged: its version is {version!r}; {way_out}")
    if version > newest:
        raise ModelError(
            f"{path} has version {version} of {name!r}, newer than {newest}, the newest that this vinscribe reads; "
            f"update vinscribe, or {way_out}"
        )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).strip('"').split())[:120] or type(error).__name__
