"""The sets that whole VINs are measured on: each VIN 17 pictures of test characters, bare or in the boxes of one form.

The boxes are of other kinds than the training's (`unseen_boxes`). The cells of one VIN are cells of one form, filled
in with one pen and scanned once; place, size, neighbours and dirt differ by cell. What is drawn hangs on the seed and
the VIN's number alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

import cv2
import numpy as np
from ink_sets import draw_strokes
from numpy.typing import NDArray
from unseen_boxes import FINE, KINDS, Page, new_page
from unseen_ink import Glyph, write_into

from vinscribe.charset import CHARSET, NUM_CLASSES
from vinscribe.errors import DataError
from vinscribe.images import decode_grey
from vinscribe.training.dataset import Split
from vinscribe.training.unipen import StrokeSet

CELL_HEIGHTS_PX = (36, 90)
SIZES = (0.45, 0.85)
"""Longer side of a character, in parts of its box's height."""
PEN_WIDTHS = (0.03, 0.12)
"""In parts of the character's longer side, and at least a pixel."""
_SIZE_JITTER = 0.1  # of one hand, either way
_STROKE_MARGIN = 0.125  # around a drawn character; cut off again

Picture = NDArray[np.uint8]
"""A cell as it is read: grey, uint8 (height, width)."""


class Written(Protocol):
    """VINs that can be drawn, such as `made_vins.MadeVins`."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class labels (N, 17)."""

    def __len__(self) -> int: ...


Vins = TypeVar("Vins", bound=Written)


@dataclass(frozen=True)
class VinSet(Generic[Vins]):
    """VINs and how they are drawn.

    Attributes:
        name: ``emnist boxes`` and so on.
        note: what kind of ink it is, in a few words.
        truth: the VINs.
        writers: who wrote each VIN, (N,) str; None where each character has a writer of its own.
        draw: number of a VIN -> its 17 pictures.
    """

    name: str
    note: str
    truth: Vins
    writers: NDArray[np.str_] | None
    draw: Callable[[int], list[Picture]]


@dataclass(frozen=True)
class Sheet:
    """One filled-in form: what its cells have in common.

    Attributes:
        page: with an empty box.
        sizes: least and largest size of the characters, in parts of the box's height.
        pen: its width in parts of a character's longer side.
        jpeg_quality: of the file that the scan was kept in; None where nothing is lost.
        seed: of all that is drawn on it.
    """

    page: Page
    sizes: tuple[float, float]
    pen: float
    jpeg_quality: int | None
    seed: tuple[int, ...]

    @property
    def glyph_px(self) -> int:
        """Side at which a character should be drawn to be put into the box nearly as it is."""
        return round(self.sizes[1] * self.page.height / (1 - 2 * _STROKE_MARGIN))

    def draw(self, glyphs: Sequence[Glyph]) -> list[Picture]:
        """Write characters into a row of boxes: one picture for each."""
        beside = [None, *glyphs, None]
        cells = []
        for position, glyph in enumerate(glyphs):
            rng = np.random.default_rng([*self.seed, 1, position])
            scan = np.random.default_rng([*self.seed, 2])  # anew for each cell: the same numbers
            neighbours = (beside[position], beside[position + 2])
            cells.append(self._kept(write_into(self.page, glyph, neighbours, rng, scan, self.sizes)))
        return cells

    def _kept(self, picture: NDArray[np.uint8]) -> Picture:
        if self.jpeg_quality is None:
            return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)
        _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, self.jpeg_quality])
        return decode_grey(data.tobytes())


def new_sheet(seed: tuple[int, ...]) -> Sheet:
    """A form of any kind, not filled in."""
    rng = np.random.default_rng([*seed, 0])
    kind = KINDS[rng.integers(len(KINDS))]
    height_px = round(_log_uniform(*CELL_HEIGHTS_PX, rng))
    page = new_page(kind, rng, height_px)
    size = rng.uniform(*SIZES)
    sizes = (max(SIZES[0], size * (1 - _SIZE_JITTER)), min(SIZES[1], size * (1 + _SIZE_JITTER)))
    pen = max(_log_uniform(*PEN_WIDTHS, rng), FINE / (size * page.height))
    quality = int(rng.integers(60, 93)) if rng.random() < 0.5 else None
    return Sheet(page, sizes, pen, quality, seed)


def emnist_bare(truth: Vins, test: Split, seed: int) -> VinSet[Vins]:
    """EMNIST's glyphs as they are, each of a writer drawn at random."""
    of_class = _rows_of(test.labels)

    def draw(number: int) -> list[Picture]:
        return _glyphs(test, of_class, truth.labels[number], (seed, 1, number))

    return VinSet("emnist bare", "`vin` test of EMNIST, bare glyphs, mixed writers", truth, None, draw)


def emnist_boxes(truth: Vins, test: Split, seed: int) -> VinSet[Vins]:
    """The same glyphs in boxes."""
    bare = emnist_bare(truth, test, seed)

    def draw(number: int) -> list[Picture]:
        return new_sheet((seed, 2, number)).draw(bare.draw(number))

    return replace(bare, name="emnist boxes", note="the same glyphs in the boxes of one form", draw=draw)


def unipen_boxes(truth: Vins, test: StrokeSet, seed: int) -> VinSet[Vins]:
    """Pen strokes of one writer for each VIN, in boxes.

    Raises:
        DataError: no writer has all the characters of a VIN.
    """
    writers = choose_writers(truth, test, np.random.default_rng([seed, 3]))
    of_writer = rows_of_writers(test, writers)

    def draw(number: int) -> list[Picture]:
        rng = np.random.default_rng([seed, 4, number])
        sheet = new_sheet((seed, 5, number))
        rows = [rng.choice(of_writer[writers[number]][label]) for label in truth.labels[number]]
        pen = sheet.pen * (1 - 2 * _STROKE_MARGIN)
        drawn = [draw_strokes(test.strokes[row], sheet.glyph_px, pen, 255, 0, _STROKE_MARGIN) for row in rows]
        return sheet.draw(drawn)

    note = "pen strokes of one UNIPEN writer a VIN, not trained on, in the boxes of one form"
    return VinSet("unipen boxes", note, truth, writers, draw)


def choose_writers(truth: Written, test: StrokeSet, rng: np.random.Generator) -> NDArray[np.str_]:
    """For each VIN one of the writers (N,) who wrote all of its characters: the one with the fewest VINs so far.

    Raises:
        DataError: nobody has all the characters of a VIN.
    """
    names = np.unique(test.writers)
    has = np.zeros((len(names), NUM_CLASSES), bool)
    has[np.searchsorted(names, test.writers), test.labels] = True
    given = np.zeros(len(names))
    chosen = np.empty(len(truth), np.int64)
    for number, labels in enumerate(truth.labels):
        able = has[:, labels].all(1)
        if not able.any():
            vin = "".join(CHARSET[label] for label in labels)
            raise DataError(f"no test writer of the strokes has all characters of {vin}; give the whole folder")
        burden = given + rng.uniform(0, 0.5, len(names))  # ties by chance
        chosen[number] = np.argmin(np.where(able, burden, np.inf))
        given[chosen[number]] += 1
    return names[chosen]


def rows_of_writers(strokes: StrokeSet, writers: NDArray[np.str_]) -> dict[str, list[NDArray[np.int64]]]:
    """For each of the writers, and each class, the rows of the characters that are theirs."""
    return {name: _rows_of(np.where(strokes.writers == name, strokes.labels, -1)) for name in set(writers.tolist())}


def _rows_of(labels: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """For each class the rows that have its label."""
    return [np.flatnonzero(labels == label) for label in range(NUM_CLASSES)]


def _glyphs(
    test: Split, of_class: list[NDArray[np.int64]], labels: NDArray[np.int64], seed: tuple[int, ...]
) -> list[Picture]:
    rng = np.random.default_rng(seed)
    return [test.images[rng.choice(of_class[label])] for label in labels]


def _log_uniform(low: float, high: float, rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
