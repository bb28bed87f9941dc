"""Folders of labelled pictures: what an office measures a model on.

Such a folder holds pictures, in subfolders too if it likes, and ``labels.csv``: UTF-8, comma, a header with the columns
``file`` and ``label``, in any order and among others::

    file,label
    0001.png,7
    second batch/0002.png,K
    0003.png,
    0004.png,?

A label is one of the 33 characters of a VIN. An empty one says that the picture shows no legible character (blank,
struck out, overwritten, a blot, a dash); ``?`` that nobody knows, and the row is left out.
"""

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vinscribe.charset import CHARSET, ILLEGIBLE, is_vin_char, label_of
from vinscribe.errors import UsageError

LABELS_FILE = "labels.csv"
UNKNOWN = "?"


@dataclass(frozen=True)
class LabelledFolder:
    """The labelled pictures of a folder, in the order of its ``labels.csv``.

    Attributes:
        files: their paths, the folder's included.
        labels: int64 (N,), 0..32 in the order of `vinscribe.charset.CHARSET`, or ILLEGIBLE.
        skipped: rows left out because their label is ``?``.
    """

    files: tuple[str, ...]
    labels: NDArray[np.int64]
    skipped: int


def read_labels(folder: Path) -> LabelledFolder:
    """Read a folder's ``labels.csv``; the pictures themselves are not opened.

    Raises:
        UsageError: no folder, no ``labels.csv``, no row in it; or a row without a file, with a file that is not there
            or has a row already, or with another label. The message names the line.
    """
    if not folder.is_dir():
        raise UsageError(f"no such folder: {folder}; give the one that holds the pictures and their {LABELS_FILE}")
    path = folder / LABELS_FILE
    lines_of: dict[str, int] = {}
    files, labels, skipped = [], [], 0
    for line, name, text in _rows(path):
        where = f"{path}, line {line}"
        if name in lines_of:
            raise UsageError(f"{where}: {name!r} has a label already, in line {lines_of[name]}; keep one of the two")
        lines_of[name] = line
        label = _label(text, where)
        if not os.path.isfile(folder / name):  # noqa: PTH113 - Path.is_file raises where the name is too long
            raise UsageError(f"{where}: no such file: {name!r}; files are named as they are below {folder}")
        if label is None:
            skipped += 1
        else:
            files.append(str(folder / name))
            labels.append(label)
    if not labels:
        raise UsageError(f"{path}: no row with a label; expected rows like '0001.png,7' below the header 'file,label'")
    return LabelledFolder(tuple(files), np.array(labels, np.int64), skipped)


def _rows(path: Path) -> Iterator[tuple[int, str, str]]:
    """(line, file, label) of each row, as they are written."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            names = [name.strip() for name in header]
            if "file" not in names or "label" not in names:
                found = ",".join(header)
                raise UsageError(f"{path}: the header is {found!r}; expected the columns file and label, and commas")
            file_column, label_column = names.index("file"), names.index("label")
            for row in reader:
                if not row:  # an empty line
                    continue
                if len(row) <= max(file_column, label_column) or not row[file_column]:
                    raise UsageError(
                        f"{path}, line {reader.line_num}: expected a file and a label, not {','.join(row)!r}"
                    )
                yield reader.line_num, row[file_column], row[label_column]
    except FileNotFoundError:
        raise UsageError(f"no {path}; write one with the columns file and label, one row for each picture") from None
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} is no CSV file in UTF-8 ({error}); save it as 'CSV UTF-8'") from error


def _label(text: str, where: str) -> int | None:
    """The class of a label as it is written; None for an unknown one."""
    text = text.strip()
    if text == UNKNOWN:
        return None
    if not text:
        return ILLEGIBLE
    if is_vin_char(text):
        return label_of(text)
    hint = f"; write {text.upper()!r}" if is_vin_char(text.upper()) else ""
    raise UsageError(
        f"{where}: the label {text!r} is none of {CHARSET}{hint} (empty: no legible character; {UNKNOWN}: unknown)"
    )
