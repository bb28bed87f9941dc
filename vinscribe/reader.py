"""The reader: picture files or arrays -> readings."""

import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from vinscribe.cells import normalise, normalise_batch
from vinscribe.charset import CHARSET, ILLEGIBLE
from vinscribe.classifier import BATCH_SIZE, Classifier, core_count
from vinscribe.errors import ImageError
from vinscribe.images import read_grey

TOP = 5
"""Characters listed in `CharacterReading.top`."""

_SMALL_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class CharacterReading:
    """What one picture of one character was read as.

    Attributes:
        file: the path as it was given; empty for a picture that came as an array.
        char: the most probable of the 33 VIN characters.
        code: its ASCII code, 48..90.
        confidence: the probability, in [0, 1], that the picture shows this character, legibly. It is low for a blot.
        top: the five most probable characters with their probabilities, best first.
        legible: whether the picture more probably than not shows a legible character; where it does not (blank, struck
            out, overwritten, a blot, a dash), ``char`` is a mere guess.
        legible_probability: the probability of that, in [0, 1].
    """

    file: str
    char: str
    code: int
    confidence: float
    top: tuple[tuple[str, float], ...]
    legible: bool
    legible_probability: float


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that is no readable picture, and why."""

    file: str
    error: ImageError


Cell = NDArray[np.uint8]
_Batch = tuple[list[CharacterReading | Unreadable], list[Cell]]
"""Results in the order of the paths, and the cells of those that are readings."""


class Reader:
    """Reads characters with a model.

    >>> reader = Reader()                                              # doctest: +SKIP
    >>> [reading.char for reading in reader.classify([image])]         # doctest: +SKIP
    ['M']

    Args:
        model: path of a model file; the released model if None.

    Raises:
        ModelError: see `vinscribe.classifier.Classifier`.
    """

    def __init__(self, model: str | os.PathLike[str] | None = None) -> None:
        self.classifier = Classifier(model)
        self._decoding = threading.Lock()

    def classify(self, images: Iterable[NDArray[np.uint8]]) -> list[CharacterReading]:
        """Read pictures that are in memory: uint8 (height, width) each, any sizes from 8 px up.

        Raises:
            ImageError: one of them is no picture of a character.
        """
        cells = normalise_batch(images, self.classifier.size_px)
        return _readings([""] * len(cells), self.classifier.outputs(cells))

    def read_characters(
        self, paths: Iterable[str], batch_size: int = BATCH_SIZE
    ) -> Iterator[CharacterReading | Unreadable]:
        """Read picture files, each with one character; one result for each path, in the order of the paths.

        All cores work; memory does not grow with the number of paths. A file that is no readable picture yields an
        `Unreadable` in its place.
        """
        for results, _ in self._read_batches(paths, batch_size):
            yield from results

    def read_with_cells(
        self, paths: Iterable[str], batch_size: int = BATCH_SIZE
    ) -> Iterator[tuple[CharacterReading, Cell] | tuple[Unreadable, None]]:
        """Like `read_characters`, each reading with the cell that the network saw: uint8 (S, S), ink bright."""
        for results, seen in self._read_batches(paths, batch_size):
            cells = iter(seen)
            for result in results:
                yield (result, None) if isinstance(result, Unreadable) else (result, next(cells))

    def _read_batches(self, paths: Iterable[str], batch_size: int) -> Iterator[_Batch]:
        workers = core_count()
        pending: deque[Future[_Batch]] = deque()
        pool = ThreadPoolExecutor(workers)
        try:
            # A core takes a batch from the files to the readings. Decoding and the network both run outside
            # Python's lock, so that the cores seldom wait for each other.
            for batch in _batches(paths, batch_size):
                pending.append(pool.submit(self._read_batch, batch))
                if len(pending) > 2 * workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _read_batch(self, paths: list[str]) -> _Batch:
        results: list[CharacterReading | Unreadable | None] = []
        cells: list[Cell] = []
        size_px = self.classifier.size_px
        # Small pictures are decoded by one thread at a time: each costs so little that two threads would spend more
        # on handing Python's lock to and fro (7 % of a whole run). Large ones are decoded side by side.
        with self._decoding if _all_small(paths) else nullcontext():
            for path in paths:
                try:
                    cells.append(normalise(read_grey(path), size_px))
                    results.append(None)
                except ImageError as error:
                    results.append(Unreadable(path, error))
        if not cells:
            return [result for result in results if result is not None], cells
        files = [path for path, result in zip(paths, results, strict=True) if result is None]
        readings = iter(_readings(files, self.classifier.outputs(np.stack(cells))))
        return [next(readings) if result is None else result for result in results], cells


def _all_small(paths: list[str]) -> bool:
    try:
        return all(os.path.getsize(path) < _SMALL_BYTES for path in paths)
    except (OSError, ValueError):  # gone, or no path at all: reading it will say so
        return True


def _batches(paths: Iterable[str], batch_size: int) -> Iterator[list[str]]:
    """Lists of up to batch_size paths."""
    remaining = iter(paths)
    while batch := list(islice(remaining, batch_size)):
        yield batch


def _readings(files: list[str], outputs: NDArray[np.float32]) -> list[CharacterReading]:
    """``outputs``: float32 (N, 34), see `vinscribe.classifier.Classifier.outputs`."""
    probs = outputs[:, :ILLEGIBLE]
    best = np.argsort(-probs, axis=1, kind="stable")[:, :TOP]
    tops = np.take_along_axis(probs, best, axis=1).tolist()
    legible = (1 - outputs[:, ILLEGIBLE]).tolist()
    readings = []
    for file, labels, values, seen in zip(files, best.tolist(), tops, legible, strict=True):
        top = tuple((CHARSET[label], value) for label, value in zip(labels, values, strict=True))
        char, confidence = top[0]
        readings.append(CharacterReading(file, char, ord(char), confidence, top, seen >= 0.5, seen))
    return readings
