"""Lists of VINs as offices write them: texts with one VIN a line, or tables with a column of VINs.

The header of a table (CSV, with commas, semicolons or tabs) names a column ``vin``::

    Vin;Owner
    1hgcm82633a004352;"Smith; Sons"
    WVWZZZ1JZXW000001;Jones

Capitals or not, with quotes or without, blanks around a VIN, any ending of lines, a byte order mark: all the same.
Lines that hold no VIN are left out and noted. The other columns may be in any encoding that has ASCII in it.
"""

import csv
import io
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from vinscribe.charset import CHARSET, NUM_CLASSES
from vinscribe.errors import DataError, UsageError
from vinscribe.vin import VIN_LENGTH

COLUMN = "vin"
"""What the header of a table calls the column of VINs, capitals or not."""

_DELIMITERS = ",;\t"
_AROUND = " \t\r\n\xa0\"'"  # what may stand around a VIN
_CHUNK = 65_536  # lines at once: arrays instead of a million strings
_HEAD_BYTES = 4096  # where a file that is no text shows it

_LABELS = np.full(256, NUM_CLASSES, np.uint8)
_LABELS[list(CHARSET.encode())] = _LABELS[list(CHARSET.lower().encode())] = np.arange(NUM_CLASSES)
_NO_VIN = "?" * VIN_LENGTH


def load_vins(path: str | os.PathLike[str], purpose: str) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """The VINs of a file, see the top of this module.

    Args:
        path: the file, read once from its beginning to its end.
        purpose: what the VINs are, for the errors, as "the expected VINs".

    Returns:
        Class labels uint8 (M, 17), at least one row, as they come and as often; and what was left out, in words.

    Raises:
        UsageError: no such file.
        DataError: it cannot be read, is no text, is damaged, or holds no VIN.
    """
    try:
        with open(path, "rb") as file:
            if b"\0" in file.peek(_HEAD_BYTES):
                raise DataError(f"{path} is no text in UTF-8; save {purpose} as text, one a line, or as 'CSV UTF-8'")
            # What is no UTF-8 cannot be part of a VIN, and is no reason to refuse the others.
            text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="replace", newline="")
            labels, note = _parse(_fields(text), ("lines", "line"))
    except FileNotFoundError:
        raise UsageError(f"no such file: {path}; give {purpose} as a text with one VIN a line, or a CSV file") from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; give {purpose} in a file that can be read") from error
    except csv.Error as error:
        raise DataError(f"{path} is a damaged CSV file: {error}; save it once more, as 'CSV UTF-8'") from error
    if not len(labels):
        raise DataError(
            f"no VIN in {path}: {note or 'it has no entries'}; give {purpose} one a line, or as a CSV file with a "
            f"column {COLUMN!r} in its header"
        )
    return labels, (f"{path}: {note}",) if note else ()


def parse_vins(vins: Iterable[str]) -> tuple[NDArray[np.uint8], str | None]:
    """These VINs, written as in a file: class labels uint8 (M, 17), and what was left out, None if nothing was."""
    return _parse(((number, vin.strip(_AROUND)) for number, vin in enumerate(vins, 1)), ("entries", "entry"))


def vin_keys(labels: NDArray[np.integer]) -> NDArray[np.bytes_]:
    """VINs (N, 17) as one byte string each (N,), which sorts as they do; label 0 at its end is only its padding."""
    return np.ascontiguousarray(labels, np.uint8).view(f"S{VIN_LENGTH}").reshape(-1)


def distinct(labels: NDArray[np.integer]) -> NDArray[np.uint8]:
    """VINs (N, 17), each once, sorted lexicographically: uint8 (M, 17)."""
    keys = np.sort(vin_keys(labels))  # np.unique takes five times as long
    keys = keys[np.append(True, keys[1:] != keys[:-1])[: len(keys)]]
    rows: NDArray[np.uint8] = keys.view(np.uint8).reshape(-1, VIN_LENGTH)
    return rows


def _fields(file: TextIO) -> Iterator[tuple[int, str]]:
    """(line, what should be a VIN) of each line that is not empty."""
    for number, line in enumerate(file, 1):
        if not line.strip(_AROUND):
            continue
        if (found := _find_column(line)) is not None:
            delimiter, column = found
            rows = csv.reader(file, delimiter=delimiter, strict=True)
            for row in rows:
                if any(row):
                    yield number + rows.line_num, row[column].strip(_AROUND) if column < len(row) else ""
        else:
            yield number, line.strip(_AROUND)
            yield from ((n, text) for n, line in enumerate(file, number + 1) if (text := line.strip(_AROUND)))


def _find_column(header: str) -> tuple[str, int] | None:
    """The delimiter of a table and the number of its column of VINs; None if this line is no such header."""
    for delimiter in _DELIMITERS:
        names = [name.strip(_AROUND).lower() for name in next(csv.reader([header], delimiter=delimiter))]
        if COLUMN in names:
            return delimiter, names.index(COLUMN)
    return None


def _parse(fields: Iterator[tuple[int, str]], words: tuple[str, str]) -> tuple[NDArray[np.uint8], str | None]:
    """The VINs (M, 17) among numbered texts, as they come, and what was left out; ``words`` name many texts and one."""
    parts, total, first_bad = [np.empty((0, VIN_LENGTH), np.uint8)], 0, None
    while chunk := list(islice(fields, _CHUNK)):
        total += len(chunk)
        text = "".join([text if len(text) == VIN_LENGTH else _NO_VIN for _, text in chunk])
        labels = _LABELS[np.frombuffer(text.encode("ascii", "replace"), np.uint8)].reshape(-1, VIN_LENGTH)
        valid = (labels < NUM_CLASSES).all(1)
        parts.append(labels[valid])
        if first_bad is None and not valid.all():
            first_bad = chunk[int(valid.argmin())]
    labels = np.concatenate(parts)
    if first_bad is None:
        return labels, None
    number, text = first_bad
    shown = text if len(text) <= 40 else text[:39] + "…"
    many, one = words
    return (
        labels,
        f"{total - len(labels):,} of {total:,} {many} hold no VIN, left out (first: {one} {number}, {shown!r})",
    )
