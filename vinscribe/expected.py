"""The list of VINs that an office already knows: its register, the insurer's book, the day's deliveries.

A list is a text file with one VIN a line, or a table (CSV, with commas, semicolons or tabs) whose header names a column
``vin``::

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
_SLACK = 1 - 1e-9  # more than products that are multiplied in another order can differ by

_LABELS = np.full(256, NUM_CLASSES, np.uint8)
_LABELS[list(CHARSET.encode())] = _LABELS[list(CHARSET.lower().encode())] = np.arange(NUM_CLASSES)
_NO_VIN = "?" * VIN_LENGTH


class ExpectedVins:
    """VINs that are known already, ready to be compared with readings. Made by `load` or `of`.

    The sorted list is a tree of prefixes: those of length 1 are the root's children, those of length 17 the VINs.

    Attributes:
        labels: uint8 (M, 17), class labels, sorted lexicographically, without duplicates.
        notes: what was left out, in words, for standard error.
    """

    def __init__(self, labels: NDArray[np.uint8], notes: tuple[str, ...] = ()) -> None:
        keys = np.sort(_keys(labels))  # np.unique takes five times as long
        keys = keys[np.append(True, keys[1:] != keys[:-1])]
        self._keys = keys
        self.labels: NDArray[np.uint8] = keys.view(np.uint8).reshape(-1, VIN_LENGTH)
        self.notes = notes
        self._chars, self._children = _tree(self.labels)

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "ExpectedVins":
        """Read a file, see the top of this module.

        Raises:
            UsageError: no such file.
            DataError: it cannot be read, is no text, is damaged, or holds no VIN.
        """
        try:
            with open(path, "rb") as file:
                if b"\0" in file.peek(_HEAD_BYTES):
                    raise DataError(f"{path} is no text in UTF-8; save it as text, one VIN a line, or as 'CSV UTF-8'")
                # What is no UTF-8 cannot be part of a VIN, and is no reason to refuse the others.
                text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="replace", newline="")
                labels, note = _parse(_fields(text), ("lines", "line"))
        except FileNotFoundError:
            raise UsageError(f"no such file: {path}; give a text with one VIN a line, or a CSV file") from None
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror}; give a file that can be read") from error
        except csv.Error as error:
            raise DataError(f"{path} is a damaged CSV file: {error}; save it once more, as 'CSV UTF-8'") from error
        if not len(labels):
            raise DataError(
                f"no VIN in {path}: {note or 'it has no entries'}; expected one VIN a line, or a CSV file with a "
                f"column {COLUMN!r} in its header"
            )
        return cls(labels, (f"{path}: {note}",) if note else ())

    @classmethod
    def of(cls, vins: Iterable[str]) -> "ExpectedVins":
        """A list of these VINs, written as in a file.

        Raises:
            DataError: none of them is a VIN.
        """
        numbered = ((number, vin.strip(_AROUND)) for number, vin in enumerate(vins, 1))
        labels, note = _parse(numbered, ("entries", "entry"))
        if not len(labels):
            raise DataError(f"no VIN among those expected: {note or 'there are none'}; give one at least")
        return cls(labels, (f"expected VINs: {note}",) if note else ())

    def contains(self, labels: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Whether VINs, class labels (N, 17), are on the list: bool (N,)."""
        keys = _keys(labels)
        rows = np.searchsorted(self._keys, keys).clip(max=len(self) - 1)
        return np.asarray(self._keys[rows] == keys, np.bool_)

    def near(self, factors: NDArray[np.float64], least: float) -> NDArray[np.int64]:
        """All VINs on the list whose product of factors, one a position, is at least ``least``.

        The tree is gone down level by level. A prefix is dropped as soon as not even the best of all characters at the
        positions behind it would lift its product to ``least``, so the answer is exact.

        Args:
            factors: float64 (17, 33), at least 0: what each character is worth at each position.
            least: what a VIN must be worth.

        Returns:
            int64 (k,), the rows of ``labels``, rising.
        """
        best_behind = np.append(factors.max(1)[::-1].cumprod()[::-1], 1.0)
        nodes, products = np.zeros(1, np.int64), np.ones(1)
        for position in range(VIN_LENGTH):
            first = self._children[position][nodes].astype(np.int64)
            counts = self._children[position][nodes + 1] - first
            ends = counts.cumsum()
            # The children of one node follow each other: its first, and how far behind it.
            nodes = np.repeat(first - ends + counts, counts) + np.arange(ends[-1])
            products = np.repeat(products, counts) * factors[position][self._chars[position][nodes]]
            alive = products * best_behind[position + 1] >= least * _SLACK
            nodes, products = nodes[alive], products[alive]
            if not len(nodes):
                break
        return nodes[products >= least]


def _keys(labels: NDArray[np.integer]) -> NDArray[np.bytes_]:
    """VINs (N, 17) as one byte string each (N,), which sorts as they do; label 0 at its end is only its padding."""
    return np.ascontiguousarray(labels, np.uint8).view(f"S{VIN_LENGTH}").reshape(-1)


def _tree(labels: NDArray[np.uint8]) -> tuple[list[NDArray[np.uint8]], list[NDArray[np.int32]]]:
    """The tree of prefixes of sorted VINs (M, 17), the nodes of each level numbered from 0.

    Returns:
        For each position, the characters there, one for each prefix that ends with it; and for each prefix before it,
        the number of its first child, with one more number at the end. Of the last level, the numbers are the rows.
    """
    differs_from = (labels[1:] != labels[:-1]).argmax(1)  # the first position where a VIN differs from the one before
    chars, children = [], []
    starts = np.zeros(1, np.int64)  # rows where the prefixes of the level above begin
    for position in range(VIN_LENGTH):
        begins = np.append(True, differs_from <= position)
        number = begins.cumsum(dtype=np.int32) - np.int32(1)
        children.append(np.append(number[starts], number[-1] + np.int32(1)))
        starts = begins.nonzero()[0]
        chars.append(labels[starts, position])
    return chars, children


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
