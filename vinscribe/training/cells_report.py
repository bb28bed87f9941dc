"""Measures a model on an office's own labelled pictures: the report of ``evaluate``, legibility, how far to trust it.

Needs neither PyTorch nor SciPy, so that who only reads can measure, too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vinscribe.cells import normalise
from vinscribe.charset import CHARSET, ILLEGIBLE, NUM_CLASSES
from vinscribe.classifier import given_legible
from vinscribe.errors import ImageError
from vinscribe.images import read_grey
from vinscribe.training.error_sheet import misread
from vinscribe.training.evaluate import Report, measure, wilson_interval

SURE = (0.99, 0.999)
"""Confidences from which on a reading might be accepted unseen."""


@dataclass(frozen=True)
class Share:
    """``hits`` of ``count`` pictures."""

    hits: int
    count: int

    def text(self) -> str:
        """``3 of 200   1.50%   95 % interval 0.51% to 4.32%``."""
        if not self.count:
            return "none"
        low, high = wilson_interval(np.array(self.hits), np.array(self.count))
        return f"{self.hits:,} of {self.count:,}   {self.hits / self.count:.2%}   95 % interval {low:.2%} to {high:.2%}"


@dataclass(frozen=True)
class CellsReport:
    """A model's measures on labelled pictures, some of which may show no legible character.

    Attributes:
        num_images: pictures measured.
        characters: accuracies and calibration on the pictures with a character, given that there is one; None where
            there is no such picture.
        called_illegible: of the pictures with a character.
        called_legible: of the pictures without one.
        sure: for each confidence of SURE, the readings that are at least as confident and right, of all that are as
            confident. A reading of a picture without a character is never right.
        worst: the most confident errors, most confident first: file, label ("none" without a character), read as,
            confidence.
    """

    num_images: int
    characters: Report | None
    called_illegible: Share
    called_legible: Share
    sure: tuple[tuple[float, Share], ...]
    worst: tuple[tuple[str, str, str, float], ...]

    def text(self) -> str:
        """The report as a person reads it."""
        lines = [self.characters.text() if self.characters else "no pictures with a character", ""]
        lines.append(f"legible, called illegible  {self.called_illegible.text()}")
        lines.append(f"illegible, called legible  {self.called_legible.text()}")
        for threshold, right in self.sure:
            share = right.count / self.num_images
            lines.append(f"confidence >= {threshold:<5}        {share:.2%} of all; right {right.text()}")
        lines += ["", "most confident errors: label, read as, confidence, file"]
        for file, label, read, confidence in self.worst:
            lines.append(f"{label:<4}  {read}  {confidence:.4f}  {file}")
        return "\n".join(lines if self.worst else [*lines[:-1], "no errors"])


def read_cells(files: Sequence[str], size_px: int) -> Iterator[NDArray[np.uint8] | ImageError]:
    """Picture files -> cells (size_px, size_px) uint8; an error in the place of a file that is no readable picture."""
    for file in files:
        try:
            yield normalise(read_grey(file), size_px)
        except ImageError as error:
            yield error


def measure_cells(
    raw: NDArray[np.float32],
    outputs: NDArray[np.float32],
    labels: NDArray[np.int64],
    files: Sequence[str],
    most: int = 10,
) -> CellsReport:
    """Measure what a model made of labelled pictures.

    Args:
        raw: float32 (N, 33 or 34), what the model itself gave.
        outputs: float32 (N, 34), see `vinscribe.classifier.with_illegible`; these are the confidences of ``chars``.
        labels: int64 (N,), 0..32 or ILLEGIBLE; N at least 1.
        files: names of the N pictures.
        most: how many errors are named.
    """
    has_character = labels != ILLEGIBLE
    found_legible = 1 - outputs[:, ILLEGIBLE] >= 0.5
    read, confidences = outputs[:, :NUM_CLASSES].argmax(1), outputs[:, :NUM_CLASSES].max(1)
    wrong = np.flatnonzero(misread(outputs, labels))
    names = (*CHARSET, "none")
    return CellsReport(
        num_images=len(labels),
        characters=measure(given_legible(raw)[has_character], labels[has_character]) if has_character.any() else None,
        called_illegible=_share(~found_legible[has_character]),
        called_legible=_share(found_legible[~has_character]),
        sure=tuple((sure, _share((read == labels)[confidences >= sure])) for sure in SURE),
        worst=tuple(
            (files[row], names[labels[row]], CHARSET[read[row]], float(confidences[row]))
            for row in wrong[np.argsort(-confidences[wrong], kind="stable")][:most]
        ),
    )


def _share(hits: NDArray[np.bool_]) -> Share:
    return Share(int(hits.sum()), len(hits))
