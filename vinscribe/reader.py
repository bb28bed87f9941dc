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
from vinscribe.charset import CHARSET
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
        confidence: its probability, in [0, 1].
        top: the five most probable characters with their probabilities, best first.
        legible: False where the picture is blank; ``char`` says nothing then.
    """

    file: str
    char: str
    code: int
    confidence: float
    top: tuple[tuple[str, float], ...]
    legible: bool


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that is no readable picture, and why."""

    file: str
    error: ImageError


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
        cells = normalise_batch(images)
        return _readings([""] * len(cells), cells, self.classifier.probs(cells))

    def read_characters(
        self, paths: Iterable[str], batch_size: int = BATCH_SIZE
    ) -> Iterator[CharacterReading | Unreadable]:
        """Read picture files, each with one character; one result for each path, in the order of the paths.

        All cores work; memory does not grow with the number of paths. A file that is no readable picture yields an
        `Unreadable` in its place.
        """
        workers = core_count()
        pending: deque[Future[list[CharacterReading | Unreadable]]] = deque()
        pool = ThreadPoolExecutor(workers)
        try:
            # A core takes a batch from the files to the readings. Decoding and the network both run outside
            # Python's lock, so that the cores seldom wait for each other.
            for batch in _batches(paths, batch_size):
                pending.append(pool.submit(self._read_batch, batch))
                if len(pending) > 2 * workers:
                    yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _read_batch(self, paths: list[str]) -> list[CharacterReading | Unreadable]:
        results: list[CharacterReading | Unreadable | None] = []
        cells = []
        # Small pictures are decoded by one thread at a time: each costs so little that two threads would spend more
        # on handing Python's lock to and fro (7 % of a whole run). Large ones are decoded side by side.
        with self._decoding if _all_small(paths) else nullcontext():
            for path in paths:
                try:
                    cells.append(normalise(read_grey(path)))
                    results.append(None)
                except ImageError as error:
                    results.append(Unreadable(path, error))
        if cells:
            batch = np.stack(cells)
            files = [path for path, result in zip(paths, results, strict=True) if result is None]
            readings = iter(_readings(files, batch, self.classifier.probs(batch)))
            return [next(readings) if result is None else result for result in results]
        return [result for result in results if result is not None]


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


def _readings(files: list[str], cells: NDArray[np.uint8], probs: NDArray[np.float32]) -> list[CharacterReading]:
    best = np.argsort(-probs, axis=1, kind="stable")[:, :TOP]
    tops = np.take_along_axis(probs, best, axis=1).tolist()
    legible = [bool(cell.any()) for cell in cells]
    readings = []
    for file, labels, values, seen in zip(files, best.tolist(), tops, legible, strict=True):
        top = tuple((CHARSET[label], value) for label, value in zip(labels, values, strict=True))
        char, confidence = top[0]
        readings.append(CharacterReading(file, char, ord(char), confidence, top, seen))
    return readings
