"""What an office knows of the vehicles that it deals with: counts of how its own VINs begin, never the VINs themselves.

Positions 1 to 8 say what a vehicle is, position 10 its model year, position 11 its plant: kept are how many VINs of a
register share them, and how many of these have a valid check digit at position 9. The serial numbers, positions 12 to
17, are not kept, so that no vehicle can be told by what is kept if there are others like it.

Source: 49 CFR 565.15 and ISO 3779 for what the positions mean.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vinscribe.array_file import is_array_file, load_arrays, save_arrays
from vinscribe.charset import NUM_CLASSES
from vinscribe.errors import DataError, ModelError
from vinscribe.vin import CHECK_POSITION, VIN_LENGTH, check_labels
from vinscribe.vin_lists import distinct, load_vins, parse_vins

FORMAT = "vinscribe register"
"""What the header of such a file calls it."""

VERSION = 1
"""The newest version of the file that is read, and the one that is written."""

HEAD_POSITIONS = (0, 1, 2, 3, 4, 5, 6, 7, 9, 10)
"""Positions of a VIN, counted from 0, that are kept: maker, descriptor, model year, plant."""

_WAY_OUT = "make it anew with vinscribe vehicles learn, of a text or CSV file"
_ARRAYS = ("heads", "counts", "valid")
_PLACES = NUM_CLASSES ** np.arange(len(HEAD_POSITIONS))[::-1]  # a head as a number of ten digits to the base 33
_CHUNK = 65_536  # VINs at once
_MOST = 1 << 40  # VINs of a head: far from where sums run over


@dataclass(frozen=True, eq=False)
class Register:
    """How an office's VINs begin. Made by `load`, `learned`, `of` or `merged`; its length is the number of VINs.

    Attributes:
        heads: uint8 (R, 10), class labels at positions 1 to 8, 10 and 11; distinct, sorted lexicographically.
        counts: int64 (R,), VINs with that head, at least 1.
        valid: int64 (R,), how many of these have a valid check digit.
        notes: what was left out, in words, for standard error.
    """

    heads: NDArray[np.uint8]
    counts: NDArray[np.int64]
    valid: NDArray[np.int64]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return int(self.counts.sum())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Register":
        """Reads a list of VINs (see `vinscribe.vin_lists`) or a file that `save` wrote, told apart by their content.

        Raises:
            UsageError: no such file.
            DataError: a list that cannot be read, is no text, is damaged, or holds no VIN.
            ModelError: a saved file that is damaged, of another kind, or of a newer version.
        """
        return cls.learned([path])

    @classmethod
    def learned(cls, paths: Iterable[str | os.PathLike[str]]) -> "Register":
        """Reads several files as `load` does. A VIN that is in several lists counts once; saved files are added up.

        Raises:
            UsageError, DataError, ModelError: as `load` does.
        """
        saved, lists = [], [np.empty((0, VIN_LENGTH), np.uint8)]
        notes: list[str] = []
        for path in paths:
            if is_array_file(path):
                saved.append(cls._load_saved(path))
                continue
            labels, left_out = load_vins(path, "the office's VINs")
            lists.append(labels)
            notes += left_out
        return cls.merged([cls._counted(np.concatenate(lists), tuple(notes)), *saved])

    @classmethod
    def of(cls, vins: Iterable[str]) -> "Register":
        """A register of these VINs, written as in a file.

        Raises:
            DataError: none of them is a VIN.
        """
        labels, note = parse_vins(vins)
        if not len(labels):
            raise DataError(f"no VIN among the office's: {note or 'there are none'}; give one at least")
        return cls._counted(labels, (f"the office's VINs: {note}",) if note else ())

    @classmethod
    def merged(cls, registers: Sequence["Register"]) -> "Register":
        """All of them together. Whether a VIN is in several of them is not known any more: it counts in each."""
        heads = np.concatenate([np.empty((0, len(HEAD_POSITIONS)), np.uint8), *(r.heads for r in registers)])
        counts = np.concatenate([np.empty(0, np.int64), *(r.counts for r in registers)])
        valid = np.concatenate([np.empty(0, np.int64), *(r.valid for r in registers)])
        notes = tuple(note for register in registers for note in register.notes)
        return cls(*_summed(heads.astype(np.int64) @ _PLACES, counts, valid), notes)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the file; the same register makes the same bytes, and the notes are not in it.

        Raises:
            UsageError: there is no such folder, or it cannot be written to.
        """
        counts = {"vins": len(self), "heads": len(self.heads), "valid": int(self.valid.sum())}
        header = {"format": FORMAT, "version": VERSION, "counts": counts}
        save_arrays(path, header, {name: getattr(self, name) for name in _ARRAYS})

    @classmethod
    def _load_saved(cls, path: str | os.PathLike[str]) -> "Register":
        _, arrays = load_arrays(path, (FORMAT, VERSION), _ARRAYS, _WAY_OUT)
        register = cls(arrays["heads"], arrays["counts"], arrays["valid"])
        problem = _problem(register)
        if problem:
            raise ModelError(f"{path} is damaged: {problem}; {_WAY_OUT}")
        return register

    @classmethod
    def _counted(cls, labels: NDArray[np.uint8], notes: tuple[str, ...]) -> "Register":
        """The register of VINs, class labels (N, 17), each counted once."""
        labels = distinct(labels)
        numbers, valid = np.empty(len(labels), np.int64), np.empty(len(labels), np.int64)
        for start in range(0, len(labels), _CHUNK):
            part = labels[start : start + _CHUNK].astype(np.int64)
            numbers[start : start + _CHUNK] = part[:, HEAD_POSITIONS] @ _PLACES
            valid[start : start + _CHUNK] = check_labels(part) == part[:, CHECK_POSITION]
        return cls(*_summed(numbers, np.ones(len(labels), np.int64), valid), notes)


def _summed(
    numbers: NDArray[np.int64], counts: NDArray[np.int64], valid: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Heads as numbers (N,), in any order, and their counts -> distinct heads, sorted, with the sums of theirs."""
    order = np.argsort(numbers, kind="stable")
    numbers = numbers[order]
    starts = np.flatnonzero(np.append(True, numbers[1:] != numbers[:-1])[: len(numbers)])
    heads = (numbers[starts, None] // _PLACES % NUM_CLASSES).astype(np.uint8)
    return heads, np.add.reduceat(counts[order], starts), np.add.reduceat(valid[order], starts)


def _problem(register: Register) -> str | None:
    """Why arrays that were read are no register; None if they are."""
    heads, counts, valid = register.heads, register.counts, register.valid
    rows = len(heads) if heads.ndim else 0
    arrays: tuple[tuple[str, NDArray[Any], type[np.generic], tuple[int, ...]], ...] = (
        ("heads", heads, np.uint8, (rows, len(HEAD_POSITIONS))),
        ("counts", counts, np.int64, (rows,)),
        ("valid", valid, np.int64, (rows,)),
    )
    for name, array, dtype, shape in arrays:
        if array.dtype != dtype or array.shape != shape:
            return f"{name} is {array.dtype} {array.shape}"
    if not (heads < NUM_CLASSES).all():
        return "heads cannot be right"
    numbers = heads.astype(np.int64) @ _PLACES
    if not (numbers[1:] > numbers[:-1]).all():
        return "heads are not sorted"
    if not ((counts > 0) & (counts <= _MOST) & (valid >= 0) & (valid <= counts)).all():
        return "counts cannot be right"
    return None
