"""An office's own cells, mixed into the training: the reader learns the hands that it will read.

They come from folders as `vinscribe.labelled` describes them, such as the review desk's ``corrections.zip``. They have
their box already, so they are never drawn into another one; each time that one is taken it is moved, bent and its
stroke changed a little.

A tenth of them is kept out, to see what it brought. Its own pixels decide whether a picture is kept out, so the same
ones are in every training, also when the folder has grown.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vinscribe.cells import normalise
from vinscribe.charset import ILLEGIBLE
from vinscribe.classifier import Classifier, given_legible
from vinscribe.console import quiet_libraries
from vinscribe.errors import ImageError, ModelError, UsageError
from vinscribe.images import read_grey
from vinscribe.labelled import UNKNOWN, read_labels
from vinscribe.training.evaluate import Report, measure

EXTRA_SHARE = 0.1
"""Share of the office's cells in all that training draws, unless said otherwise."""

_KEPT_OUT = 10  # one of so many


@dataclass(frozen=True)
class CellSet:
    """Labelled cells: cells (N, size_px, size_px) uint8, labels (N,) int64, 33 where no character can be read."""

    cells: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class ExtraCells:
    """The office's cells.

    Attributes:
        train: to learn from, at least one.
        validation: kept out; there may be none.
        share: of all characters that training draws, greater than 0 and less than 1.
    """

    train: CellSet
    validation: CellSet
    share: float

    def record(self) -> dict[str, Any]:
        """What a run notes of them: numbers, share, and the sha256 of what is learned from."""
        digest = hashlib.sha256(self.train.cells.tobytes() + self.train.labels.tobytes()).hexdigest()
        return {"cells": len(self.train), "kept_out": len(self.validation), "share": self.share, "sha256": digest}

    def text(self) -> str:
        """One line for a person."""
        illegible = int((self.train.labels == ILLEGIBLE).sum())
        return (
            f"extra cells: {len(self.train):,} to learn from, {illegible:,} of them without a legible character; "
            f"{len(self.validation):,} kept out; {self.share:.0%} of what is drawn"
        )


def read_extra(folders: Sequence[Path], size_px: int, share: float = EXTRA_SHARE) -> ExtraCells:
    """Reads labelled folders; rows with the label ``?`` are left out.

    Args:
        folders: as `vinscribe.labelled` describes them.
        size_px: the network's input side.
        share: of all characters that training draws.

    Raises:
        UsageError: see `vinscribe.labelled.read_labels`; or all cells are kept out.
        ImageError: some of the pictures cannot be read. It names the first one.
    """
    found = [read_labels(folder) for folder in folders]
    files = [file for folder in found for file in folder.files]
    labels = np.concatenate([folder.labels for folder in found])
    cells = np.empty((len(files), size_px, size_px), np.uint8)
    kept_out = np.empty(len(files), np.bool_)
    broken = []
    with quiet_libraries():
        for row, file in enumerate(files):
            try:
                picture = read_grey(file)
                cells[row] = normalise(picture, size_px)
                kept_out[row] = _is_kept_out(picture)
            except ImageError as error:
                broken.append(f"{file}: {error}")
    if broken:
        raise ImageError(
            f"{len(broken):,} of {len(files):,} extra cells cannot be read, the first of them {broken[0]}; "
            f"mend it, or take it out of labels.csv or label it {UNKNOWN}"
        )
    if kept_out.all():
        raise UsageError(
            f"{', '.join(map(str, folders))}: {len(files):,} cells, and by their pixels all are kept out for "
            "validation; add more, a few hundred at least"
        )
    train, validation = (CellSet(cells[rows], labels[rows]) for rows in (~kept_out, kept_out))
    return ExtraCells(train, validation, share)


def _is_kept_out(picture: NDArray[np.uint8]) -> bool:
    digest = hashlib.sha256(picture.tobytes()).digest()
    return int.from_bytes(digest[:8], "big") % _KEPT_OUT == 0


def measure_present(kept_out: CellSet) -> tuple[Path, Report] | None:
    """How well the model that is in use now reads the kept out characters: its file and the measures.

    None without such a model, or without a legible character to measure it on.
    """
    legible = kept_out.labels != ILLEGIBLE
    try:
        model = Classifier()
    except ModelError:
        return None
    if model.size_px != kept_out.cells.shape[1] or not legible.any():
        return None
    return model.path, measure(given_legible(model.raw(kept_out.cells[legible])), kept_out.labels[legible])
