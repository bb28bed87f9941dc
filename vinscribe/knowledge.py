"""Knowledge of vehicles: which makers there are, and what their VINs of a model year say at positions 4 to 8 and 11.

It is compiled from a public register (see `vinscribe.vpic`) into one file. A maker is linked to schemas, each for some
model years. A schema is a list of boxes: five sets of characters, one for each position from 4 to 8; every combination
of them is a descriptor that the source lists. A schema without boxes says nothing about the descriptor.

Source: 49 CFR 565.15 for what the positions mean, 49 CFR 565.16 for the makers' duty to tell NHTSA.
"""

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vinscribe.array_file import load_arrays, save_arrays
from vinscribe.charset import CHARSET, NUM_CLASSES
from vinscribe.errors import ModelError

FORMAT = "vinscribe vehicles"
"""What the header of such a file calls it."""

VERSION = 1
"""The newest version of the file that is read, and the one that is written."""

MAKER_CODE_CHARS = 6
"""Characters of the longest maker's code: three, and for a small maker three more."""

DESCRIPTOR = slice(3, 8)
"""Positions of a VIN, counted from 0, that the boxes are about."""

_RELEASED = "vehicles.npz"
_WAY_OUT = "build it anew with vinscribe vehicles build"
_ARRAYS = ("makers", "sets", "boxes", "box_counts", "first_box", "schema_plants", "links")
_ROW_DTYPES = (np.dtype(np.uint16), np.dtype(np.int32))


@dataclass(frozen=True, eq=False)
class Knowledge:
    """What is known of makers and of their VINs. Made by `load`, `released`, `empty` or `vinscribe.vpic.compile_vpic`.

    Attributes:
        makers: bytes S6 (M,), sorted and distinct: world manufacturer identifiers of 3 or 6 characters. Where there are
            6, the third is 9, and the last three stand at positions 12 to 14 of the VIN.
        sets: uint64 (K,), distinct sets of characters: bit c says that class label c is in it. Row 0 is the empty set.
        boxes: uint16 or int32 (B, 5), rows of ``sets``: what may stand at positions 4 to 8. A product: the source lists
            every combination.
        box_counts: int32 (B,), how many joined rows of the source were merged into a box.
        first_box: int32 (S + 1,): ``boxes[first_box[s]:first_box[s + 1]]`` belong to schema s. No two are alike.
        schema_plants: uint16 or int32 (S,), rows of ``sets``: the characters at position 11 that a schema names, 0
            where it names none.
        links: int32 (L, 4), sorted and distinct: maker's row, schema's row, first model year, last model year.
        header: what the file says of itself: format, version, source, source_date, source_sha256, counts.
    """

    makers: NDArray[np.bytes_]
    sets: NDArray[np.uint64]
    boxes: NDArray[np.integer]
    box_counts: NDArray[np.int32]
    first_box: NDArray[np.int32]
    schema_plants: NDArray[np.integer]
    links: NDArray[np.int32]
    header: dict[str, Any]

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Knowledge":
        """Reads a file.

        Raises:
            UsageError: no such file.
            ModelError: it cannot be read, is damaged, of another kind, or of a newer version.
        """
        header, arrays = load_arrays(path, (FORMAT, VERSION), _ARRAYS, _WAY_OUT)
        knowledge = cls(**arrays, header=header)
        problem = _problem(knowledge)
        if problem:
            raise ModelError(f"{path} is damaged: {problem}; {_WAY_OUT}")
        return knowledge

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the file; the same knowledge makes the same bytes.

        Raises:
            UsageError: there is no such folder, or it cannot be written to.
        """
        save_arrays(path, self.header, {name: getattr(self, name) for name in _ARRAYS})

    @classmethod
    def empty(cls) -> "Knowledge":
        """Knowledge of nothing: no maker, no schema."""
        return cls(
            makers=np.empty(0, f"S{MAKER_CODE_CHARS}"),
            sets=np.zeros(1, np.uint64),
            boxes=np.empty((0, 5), np.uint16),
            box_counts=np.empty(0, np.int32),
            first_box=np.zeros(1, np.int32),
            schema_plants=np.empty(0, np.uint16),
            links=np.empty((0, 4), np.int32),
            header=make_header(None, None, None, makers=0, schemas=0, boxes=0, links=0),
        )


@lru_cache(1)
def released() -> Knowledge:
    """The knowledge that comes with vinscribe, read once.

    Raises:
        UsageError, ModelError: the installation lacks the file, or it is damaged.
    """
    return Knowledge.load(released_path())


def released_path() -> Path:
    """Where the knowledge that comes with vinscribe lies."""
    return Path(__file__).parent / _RELEASED


def make_header(source: str | None, date: str | None, sha256: str | None, **counts: int) -> dict[str, Any]:
    """The header of a file of this version: where the knowledge is from, and how much there is."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "source": source,
        "source_date": date,
        "source_sha256": sha256,
        "counts": counts,
    }


def _problem(knowledge: Knowledge) -> str | None:
    """Why arrays that were read are no knowledge; None if they are."""
    k = knowledge
    expected: tuple[tuple[str, tuple[np.dtype[Any], ...], tuple[int | None, ...]], ...] = (
        ("makers", (np.dtype(f"S{MAKER_CODE_CHARS}"),), (None,)),
        ("sets", (np.dtype(np.uint64),), (None,)),
        ("boxes", _ROW_DTYPES, (None, 5)),
        ("box_counts", (np.dtype(np.int32),), (len(k.boxes) if k.boxes.ndim else None,)),
        ("first_box", (np.dtype(np.int32),), (None,)),
        ("schema_plants", _ROW_DTYPES, (len(k.first_box) - 1 if k.first_box.ndim else None,)),
        ("links", (np.dtype(np.int32),), (None, 4)),
    )
    for name, dtypes, shape in expected:
        array: NDArray[Any] = getattr(k, name)
        fits = len(shape) == array.ndim and all(n in (None, m) for n, m in zip(shape, array.shape, strict=True))
        if array.dtype not in dtypes or not fits:
            return f"{name} is {array.dtype} {array.shape}"
    wrong = [name for name, right in _conditions(k).items() if not right]
    return f"{' and '.join(wrong)} cannot be right" if wrong else None


def _conditions(k: Knowledge) -> dict[str, bool]:
    """What has to hold of arrays whose types and shapes are right: name of an array -> whether it does."""
    codes = k.makers.view(np.uint8).reshape(-1, MAKER_CODE_CHARS)
    known = np.zeros(256, np.bool_)
    known[list(CHARSET.encode())] = True
    long = codes[:, 3] != 0
    makers, schemas, years = k.links[:, 0], k.links[:, 1], k.links[:, 2:]
    return {
        "makers": bool(
            known[codes[:, :3]].all()
            and known[codes[long]].all()
            and not codes[~long, 3:].any()
            and (codes[long, 2] == ord("9")).all()
            and (k.makers[1:] > k.makers[:-1]).all()
        ),
        "sets": bool(len(k.sets) and k.sets[0] == 0 and (k.sets[1:] != 0).all() and (k.sets >> NUM_CLASSES == 0).all())
        and bool((np.diff(np.sort(k.sets)) != 0).all()),  # np.unique takes 8 ms when it is first called
        "boxes": bool((k.boxes > 0).all() and (k.boxes < len(k.sets)).all()),
        "box_counts": bool((k.box_counts > 0).all()),
        "first_box": bool(
            len(k.first_box)
            and k.first_box[0] == 0
            and k.first_box[-1] == len(k.boxes)
            and (k.first_box[1:] >= k.first_box[:-1]).all()
        ),
        "schema_plants": bool((k.schema_plants >= 0).all() and (k.schema_plants < len(k.sets)).all()),
        "links": bool(
            ((makers >= 0) & (makers < len(k.makers))).all()
            and ((schemas >= 0) & (schemas < len(k.first_box) - 1)).all()
            and ((years >= 0) & (years < 10_000)).all()
            and (years[:, 0] <= years[:, 1]).all()
            and _rises(k.links)
        ),
    }


def _rises(links: NDArray[np.int32]) -> bool:
    """Whether each row, of numbers that are not negative, is more than the one before it, compared from the left."""
    more = np.zeros(max(len(links) - 1, 0), np.bool_)
    for step in (links[1:] - links[:-1]).T[::-1]:
        more = (step > 0) | ((step == 0) & more)
    return bool(more.all())
