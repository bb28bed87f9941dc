"""The reader: picture files or arrays -> readings."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from vinscribe.cells import normalise, normalise_batch, reduced
from vinscribe.charset import CHARSET, ILLEGIBLE
from vinscribe.choice import no_field, read_fields
from vinscribe.classifier import BATCH_SIZE, Classifier, given_legible
from vinscribe.cores import core_count
from vinscribe.errors import ImageError, UsageError
from vinscribe.field import Field, search_fields
from vinscribe.images import list_pictures, natural_order, read_grey
from vinscribe.pages import BrokenPage, read_pages
from vinscribe.siblings import with_siblings
from vinscribe.stages import stage
from vinscribe.template import MISFIT, Template
from vinscribe.views import outputs_in_doubt, views, views_of_all
from vinscribe.vin import VIN_LENGTH

if TYPE_CHECKING:  # loaded with the first VIN: characters are read without what is known of VINs
    from vinscribe.decode import Decoder, VinReading
    from vinscribe.expected import ExpectedVins
    from vinscribe.register import Register

TOP = 5
"""Characters listed in `CharacterReading.top`."""

VINS_AT_ONCE = 32
"""VINs that are decoded together."""

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
    """A file that is no readable picture, or a folder that does not hold the 17 pictures of a VIN, and why."""

    file: str
    error: ImageError


Cell = NDArray[np.uint8]
_Batch = tuple[list[CharacterReading | Unreadable], list[Cell]]
"""Results in the order of the paths, and the cells of those that are readings."""

_Result = TypeVar("_Result")


class Reader:
    """Reads characters, and VINs of 17 of them, with a model.

    >>> reader = Reader()                                              # doctest: +SKIP
    >>> [reading.char for reading in reader.classify([image])]         # doctest: +SKIP
    ['M']
    >>> reader.read_cells(seventeen_images).vin                        # doctest: +SKIP
    '1HGCM82633A004352'

    Args:
        model: path of a model file; the released model if None.
        market: where the VINs come from, a name of `vinscribe.priors.MARKETS`.
        expected: VINs that are known already: these very ones will come.
        threshold: least confidence of a VIN that is accepted, in [0, 1]; `vinscribe.decode.THRESHOLD` if None.
        template: where the VIN field lies on the pages; it is looked for if None.
        register: what is usual at this office: counts of makers, models, years and plants, no VINs.

    Raises:
        ModelError: see `vinscribe.classifier.Classifier`.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        market: str = "any",
        expected: "ExpectedVins | None" = None,
        threshold: float | None = None,
        template: Template | None = None,
        register: "Register | None" = None,
    ) -> None:
        self.classifier = Classifier(model)
        self._market = market
        self._expected = expected
        self._threshold = threshold
        self._template = template
        self._register = register
        self._decoding = threading.Lock()

    @cached_property
    def decoder(self) -> "Decoder":
        """What makes VINs of characters; made when it is first asked for, as reading characters does without it.

        Raises:
            UsageError: no such market, or a threshold outside [0, 1].
            ModelError: the model does not say properly how confidence in VINs is calibrated, or the knowledge of
                vehicles that comes with vinscribe is damaged.
        """
        from vinscribe.decode import THRESHOLD, Calibration, Decoder

        threshold = THRESHOLD if self._threshold is None else self._threshold
        calibration = Calibration.of(self.classifier.metadata)
        return Decoder(self._market, self._expected, threshold, calibration, register=self._register)

    def classify(self, images: Iterable[NDArray[np.uint8]]) -> list[CharacterReading]:
        """Read pictures that are in memory: uint8 (height, width) each, any sizes from 8 px up.

        Raises:
            ImageError: one of them is no picture of a character.
        """
        pictures = list(images)
        cells = normalise_batch(pictures, self.classifier.size_px)
        return _readings([""] * len(cells), self._outputs([reduced(picture) for picture in pictures], cells))

    def _outputs(self, pictures: Sequence[Cell], cells: Cell) -> NDArray[np.float32]:
        """The network's probabilities of single characters, (N, 34); those in doubt are looked at again."""
        outputs = self.classifier.outputs(cells)
        if not self.classifier.tells_illegible:
            return outputs
        return outputs_in_doubt(outputs, pictures, cells, self.classifier.outputs)

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

    def read(self, path: str | os.PathLike[str]) -> "list[VinReading]":
        """Read a scan: one reading for each of its pages.

        Args:
            path: a PNG, JPEG, BMP, WebP, TIFF or PDF file.

        Raises:
            ImageError: the file, or one of its pages, cannot be read; `vinscribe.pages.read_pages` goes on after those.
            UsageError, ModelError: see `decoder`.
        """
        readings = []
        for page in read_pages(path):
            if isinstance(page, BrokenPage):
                raise ImageError(f"page {page.number}: {page.error}")
            readings.append(replace(self.read_page(page.image), file=os.fspath(path), page=page.number))
        return readings

    def read_page(self, page: NDArray[np.uint8]) -> "VinReading":
        """Read the VIN on a page: find its field of 17 cells, whichever way up, and read them.

        Args:
            page: uint8 (height, width).

        Returns:
            The reading; its decision is ``no_field`` where the page has no such field.

        Raises:
            UsageError, ModelError: see `decoder`.
        """
        reading = read_fields(page, self._searches(page), self.classifier, self.decoder)
        return reading or no_field("no row of 17 cells found" if self._template is None else MISFIT)

    def _searches(self, page: NDArray[np.uint8]) -> Iterator[list[Field]]:
        """Rows that may hold the VIN, as `vinscribe.choice.read_fields` takes them."""
        if self._template is not None:
            with stage("find"):
                fields = self._template.fields(page)
            yield fields
            return
        searches = search_fields(page)
        while True:
            with stage("find"):
                found = next(searches, None)
                if found is None:
                    return
                fields = with_siblings(page, found)
            yield fields

    def read_cells(self, cells: Sequence[NDArray[np.uint8]]) -> "VinReading":
        """Read the 17 cells of a VIN, in their order: uint8 (height, width) each, any sizes from 8 px up.

        Raises:
            UsageError: they are not 17, or see `decoder`.
            ImageError: one of them is no picture of a character.
        """
        if len(cells) != VIN_LENGTH:
            raise UsageError(f"{len(cells)} cells; a VIN has {VIN_LENGTH}, give a picture of each")
        return self._vins([views_of_all(cells, self.classifier.size_px)], [""])[0]

    def read_cell_folders(self, folders: Iterable[str]) -> "Iterator[VinReading | Unreadable]":
        """Read folders with the 17 cells of a VIN each; one result for each folder, in the order of the folders.

        The cells are the pictures in a folder in the natural order of their names, 2 before 10. All cores work; memory
        does not grow with the number of folders. A folder with another number of pictures, or with a file that is no
        readable picture, yields an `Unreadable` in its place.

        Raises:
            UsageError, ModelError: see `decoder`.
        """
        self.decoder  # noqa: B018  made once, before the cores ask for it
        for results in _on_all_cores(self._read_folders, _batches(folders, VINS_AT_ONCE)):
            yield from results

    def _read_folders(self, folders: list[str]) -> "list[VinReading | Unreadable]":
        failed: dict[int, Unreadable] = {}
        cells: list[Cell] = []
        for number, folder in enumerate(folders):
            try:
                cells.append(self._folder_cells(folder))
            except ImageError as error:
                failed[number] = Unreadable(folder, error)
        files = [folder for number, folder in enumerate(folders) if number not in failed]
        readings = iter(self._vins(cells, files))
        return [failed[number] if number in failed else next(readings) for number in range(len(folders))]

    def _folder_cells(self, folder: str) -> Cell:
        """The views of a VIN's cells, uint8 (17, NUM_VIEWS, S, S). Raises ImageError where they are not all there."""
        try:
            paths = sorted(list_pictures(folder), key=natural_order)
        except UsageError as error:
            raise ImageError(str(error)) from None
        if len(paths) != VIN_LENGTH:
            count = f"{len(paths)} picture{'s' * (len(paths) != 1)}"
            raise ImageError(f"{count}, not {VIN_LENGTH}; put one picture of each cell there, and nothing else")
        cells, wrong = [], []
        with self._decoding if _all_small(paths) else nullcontext():
            for path in paths:
                try:
                    cells.append(views(read_grey(path), self.classifier.size_px))
                except ImageError as error:
                    wrong.append(f"{Path(path).name}: {error}")
        if wrong:
            more = f" (and {len(wrong) - 1} more)" * (len(wrong) > 1)
            raise ImageError(f"{wrong[0]}{more}; this VIN is not read, replace the picture")
        return np.stack(cells)

    def _vins(self, cells: list[Cell], files: list[str]) -> "list[VinReading]":
        """VINs of the views of their cells, uint8 (17, NUM_VIEWS, S, S) each."""
        if not cells:
            return []
        outputs = self.classifier.rows(np.stack(cells))
        probs = given_legible(outputs.reshape(-1, outputs.shape[2])).reshape(len(cells), VIN_LENGTH, -1)
        return self.decoder.readings(probs, 1 - outputs[:, :, ILLEGIBLE], files)

    def _read_batches(self, paths: Iterable[str], batch_size: int) -> Iterator[_Batch]:
        return _on_all_cores(self._read_batch, _batches(paths, batch_size))

    def _read_batch(self, paths: list[str]) -> _Batch:
        results: list[CharacterReading | Unreadable | None] = []
        cells: list[Cell] = []
        pictures: list[Cell] = []
        size_px = self.classifier.size_px
        # Small pictures are decoded by one thread at a time: each costs so little that two threads would spend more
        # on handing Python's lock to and fro (7 % of a whole run). Large ones are decoded side by side.
        with self._decoding if _all_small(paths) else nullcontext():
            for path in paths:
                try:
                    picture = reduced(read_grey(path))
                    cells.append(normalise(picture, size_px))
                    pictures.append(picture)
                    results.append(None)
                except ImageError as error:
                    results.append(Unreadable(path, error))
        if not cells:
            return [result for result in results if result is not None], cells
        files = [path for path, result in zip(paths, results, strict=True) if result is None]
        readings = iter(_readings(files, self._outputs(pictures, np.stack(cells))))
        return [next(readings) if result is None else result for result in results], cells


def _on_all_cores(work: Callable[[list[str]], _Result], batches: Iterable[list[str]]) -> Iterator[_Result]:
    """What ``work`` makes of each batch, in their order; batches are taken only as they are needed."""
    workers = core_count()
    pending: deque[Future[_Result]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        # A core takes a batch from the files to the readings. Decoding and the network both run outside
        # Python's lock, so that the cores seldom wait for each other.
        for batch in batches:
            pending.append(pool.submit(work, batch))
            if len(pending) > 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


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
