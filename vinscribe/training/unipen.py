"""Pen strokes of isolated digits and capitals, as UNIPEN recorded them, split by their writers.

A folder holds ``strokes.jsonl.gz`` (one character a line: a list of strokes, each a list of [x, y], y upward, both axes
in one unit) and ``labels.csv`` (columns ``index``, ``label``, ``writer``; others are not looked at), row by row the
same characters.

**The rule of the splits.** The first byte of the sha256 of a writer's name (UTF-8) decides, whatever the folder holds:
0-37 is test, 38-76 is validation, 77-255 is train (14.8 %, 15.2 %, 69.9 % of the writers). All characters of a writer
are in one part, so a validation or test figure is always about hands that were not trained on.

Source: International Unipen Foundation, "Unipen data set of on-line (vectorial) handwriting - train_r01_v07",
doi:10.5281/zenodo.1195803 (CC BY 4.0); I. Guyon et al., "UNIPEN project of on-line data exchange and recognizer
benchmarks", ICPR 1994, doi:10.1109/ICPR.1994.576870. Changes made here: scaled, turned to y downward, repeated points
removed.
"""

import csv
import gzip
import hashlib
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vinscribe.charset import CHARSET, NUM_CLASSES, is_vin_char, label_of
from vinscribe.errors import DataError

STROKES_FILE = "strokes.jsonl.gz"
LABELS_FILE = "labels.csv"
VERDICTS_FILE = Path(__file__).with_name("unipen_verdicts.csv")
PARTS = ("train", "validation", "test")
TEST_BYTES = 38
VALIDATION_BYTES = 77


@dataclass(frozen=True)
class StrokeSet:
    """Characters as pen strokes.

    Attributes:
        strokes: N characters, each a list of strokes, float32 (n, 2) with n at least 1: x to the right, **y down**.
            A character's bounding box starts at (0, 0) and its longer side is 1; a mere dot is at (0, 0). No point is
            the same as the one before it.
        labels: (N,) int64, 0..32, see ``charset.CHARSET``.
        writers: (N,) str, who wrote each character.
    """

    strokes: list[list[NDArray[np.float32]]]
    labels: NDArray[np.int64]
    writers: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.strokes)

    def counts(self) -> NDArray[np.int64]:
        """(33,) characters per class."""
        return np.bincount(self.labels, minlength=NUM_CLASSES)

    def select(self, rows: NDArray[Any]) -> "StrokeSet":
        """The characters that a mask (N,) bool picks, or those of row numbers, in that order."""
        chosen = np.arange(len(self))[rows]
        return StrokeSet([self.strokes[row] for row in chosen], self.labels[chosen], self.writers[chosen])


def read_strokes(folder: Path) -> StrokeSet:
    """Reads a folder's characters, in the order of their lines.

    Raises:
        DataError: a file is missing or damaged, the two do not fit each other, or a label is no VIN character.
    """
    labels, writers = _read_labels(Path(folder) / LABELS_FILE)
    strokes = _read_strokes(Path(folder) / STROKES_FILE)
    if len(strokes) != len(labels):
        raise DataError(
            f"{folder}: {STROKES_FILE} has {len(strokes):,} characters and {LABELS_FILE} has {len(labels):,} rows; "
            "they must be of one kind, fetch both again"
        )
    return StrokeSet(strokes, labels, writers)


def without_doubtful(strokes: StrokeSet, ambiguous: bool = False) -> StrokeSet:
    """The characters without those of which a person who looked at them found that they do not show their label.

    Most are single strokes of a character whose other strokes were lost. `VERDICTS_FILE` lists them by what they are
    (see `_digest`), with the verdict: ``fragment``, ``other`` (another character), ``scribble``, ``ambiguous``. Looked
    at were all 1,661 that a model did not read as labelled or that differ from their writer's others. With
    ``ambiguous`` those stay that could be what their label says.
    """
    with VERDICTS_FILE.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if not ambiguous or row["verdict"] != "ambiguous"]
    doubtful = {(row["strokes"], row["label"]) for row in rows}
    keys = zip(map(_digest, strokes.strokes), strokes.labels.tolist(), strict=True)
    return strokes.select(np.array([(digest, CHARSET[label]) not in doubtful for digest, label in keys], bool))


def _digest(strokes: list[NDArray[np.float32]]) -> str:
    """Of a character's strokes: 12 hexadecimal digits of the sha256 of each one's length and points."""
    parts = (len(stroke).to_bytes(4, "little") + stroke.astype("<f4").tobytes() for stroke in strokes)
    return hashlib.sha256(b"".join(parts)).hexdigest()[:12]


def part_of(writer: str) -> str:
    """'test', 'validation' or 'train' for a writer's name, by the rule above."""
    first = hashlib.sha256(writer.encode()).digest()[0]
    if first < TEST_BYTES:
        return "test"
    return "validation" if first < VALIDATION_BYTES else "train"


def split_writers(strokes: StrokeSet) -> dict[str, StrokeSet]:
    """The parts ``train``, ``validation`` and ``test``; no writer is in two. A part may be empty."""
    part = {writer: part_of(writer) for writer in set(strokes.writers.tolist())}
    parts = np.array([part[writer] for writer in strokes.writers.tolist()], np.str_)
    return {name: strokes.select(parts == name) for name in PARTS}


def _read_labels(path: Path) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            missing = {"index", "label", "writer"} - set(rows.fieldnames or ())
            if missing:
                raise DataError(f"{path}: no column {', '.join(sorted(missing))} (found: {rows.fieldnames})")
            labels, writers = [], []
            for number, row in enumerate(rows):
                _check_row(row, number, f"{path}, line {rows.line_num}")
                labels.append(label_of(row["label"]))
                writers.append(row["writer"])
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing; give the folder that holds {LABELS_FILE} and {STROKES_FILE}") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read ({error}); fetch it again") from error
    return np.array(labels, np.int64), np.array(writers, np.str_)


def _check_row(row: dict[str, str], number: int, where: str) -> None:
    if row["index"] != str(number):
        raise DataError(f"{where}: index {row['index']!r} where {number} comes next; a row is missing or out of place")
    if not is_vin_char(row["label"] or ""):
        raise DataError(f"{where}: label {row['label']!r}; expected one of {CHARSET}")
    if not row["writer"]:
        raise DataError(f"{where}: no writer; without one the character cannot be kept to one part")


def _read_strokes(path: Path) -> list[list[NDArray[np.float32]]]:
    characters = []
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                characters.append(_scaled(_parse(line, f"{path}, line {number}")))
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing; give the folder that holds {LABELS_FILE} and {STROKES_FILE}") from error
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"{path} is damaged ({error}); fetch it again") from error
    return characters


def _parse(line: str, where: str) -> list[NDArray[np.float64]]:
    """One line's strokes, float64 (n, 2) each, in the tablet's units."""
    try:
        strokes = [np.array(stroke, np.float64) for stroke in json.loads(line)]
    except (ValueError, TypeError, RecursionError) as error:
        raise DataError(f"{where}: no list of strokes ({error}); fetch the file again") from error
    for stroke in strokes:
        if stroke.ndim != 2 or stroke.shape[1] != 2 or not len(stroke) or not np.isfinite(stroke).all():
            raise DataError(f"{where}: a stroke that is no list of [x, y] points; fetch the file again")
    if not strokes:
        raise DataError(f"{where}: a character without a stroke; fetch the file again")
    return strokes


def _scaled(strokes: list[NDArray[np.float64]]) -> list[NDArray[np.float32]]:
    """Scaled and turned to y downward, as `StrokeSet` says; repeated points removed."""
    points = np.concatenate(strokes)
    low, high = points.min(0), points.max(0)
    side = float((high - low).max())
    scale = np.array([1, -1]) / (side or 1)
    origin = np.array([low[0], high[1]])
    result = []
    for stroke in strokes:
        scaled = ((stroke - origin) * scale).astype(np.float32) + np.float32(0)  # -0 becomes 0
        moved = np.ones(len(scaled), bool)
        moved[1:] = (scaled[1:] != scaled[:-1]).any(1)
        result.append(scaled[moved])
    return result
