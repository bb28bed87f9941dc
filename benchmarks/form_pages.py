"""Public forms that ask for a VIN, box by box or in a plain rectangle, filled in by the project's pen and scanned.

The forms themselves are not here: they are drawn from their PDF files. Places are in points from the left and the
bottom of the page, measured once from the lines in those files.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from page_scores import Truth

from vinscribe.charset import CHARSET
from vinscribe.errors import DataError
from vinscribe.training.card_ink import Pen, Writer, make_writer
from vinscribe.training.card_print import brightness
from vinscribe.training.card_scan import SCANS, Contrasts, moved, scan_card
from vinscribe.training.card_words import MAKES, NAMES, STREETS
from vinscribe.training.cards import make_vin
from vinscribe.vin import VIN_LENGTH

DPI = 200
_POINTS = 72  # to the inch
_PLAIN_SHARE = 0.8  # of its place that a character is wide at most where no line parts it from the next

_TEETH = (46.0, 68.0, 90.0, 112.5, 134.9, 156.7, 178.6, 200.9, 222.9, 244.9, 267.0, 289.0, 311.0, 333.0, 356.5, 378.5)
_SIDES = (
    328.3,
    344.3,
    360.2,
    376.1,
    392.1,
    408.0,
    424.1,
    440.2,
    456.0,
    472.2,
    488.2,
    504.2,
    520.2,
    536.2,
    552.2,
    568.2,
)


@dataclass(frozen=True)
class Row:
    """Places for one character each, side by side.

    Attributes:
        edges: where they begin and end, from the left; one more than there are places.
        foot, top: the room to write in, from the bottom.
    """

    edges: tuple[float, ...]
    foot: float
    top: float


@dataclass(frozen=True)
class Form:
    """A blank form.

    Attributes:
        file: the PDF's name; its first page is the form.
        name: what it is called.
        vin: where the VIN goes.
        engine: where an engine number goes, in half of the forms; None where there is no such row.
        lines: where a plate, make, name, street and another name go: left, foot, height.
        line_contrast: how much darker than the paper the row's lines are, for a scanner, in grey levels.
    """

    file: str
    name: str
    vin: Row
    engine: Row | None
    lines: tuple[tuple[float, float, float], ...]
    line_contrast: float


FORMS = (
    Form(
        file="ca_reg31.pdf",
        name="REG 31 (comb)",
        vin=Row((24.0, *_TEETH, 399.1), 621, 637.5),
        engine=Row((24.0, *_TEETH, 399.1), 597, 613),
        lines=((206, 648, 8), (28, 577, 8), (140, 577, 8), (28, 187, 8), (28, 163, 8)),
        line_contrast=235,
    ),
    Form(
        file="ca_reg138.pdf",
        name="REG 138 (pale boxes)",
        vin=Row((312.0, *_SIDES, 585.0), 455, 476),
        engine=None,
        lines=((28, 458, 11), (170, 458, 11), (28, 632, 11), (28, 603, 11), (28, 545, 11)),
        line_contrast=32,
    ),
)
"""The forms with a row for a VIN."""

PLAIN_FORMS = (
    Form(
        file="ca_reg135.pdf",
        name="REG 135",
        vin=Row((38.0, 233.0), 708.5, 731.5),
        engine=None,
        lines=((345, 712, 10), (290, 712, 8), (60, 691, 9), (38, 518, 9), (50, 661, 9)),
        line_contrast=235,
    ),
    Form(
        file="ca_reg227.pdf",
        name="REG 227",
        vin=Row((184.0, 431.0), 672.5, 687),
        engine=None,
        lines=((28, 674, 10), (436, 674, 10), (28, 636, 10), (28, 591, 10), (28, 613, 9)),
        line_contrast=235,
    ),
    Form(
        file="tx_130u.pdf",
        name="Texas 130-U",
        vin=Row((19.0, 223.0), 683.5, 701),
        engine=None,
        lines=((25, 658, 10), (292, 685, 8), (22, 564, 10), (22, 510, 10), (22, 537, 10)),
        line_contrast=235,
    ),
)
"""The forms with a plain rectangle for it: what is left free below the label."""


@dataclass(frozen=True)
class FilledForm:
    """A scan of a form.

    Attributes:
        image: uint8 (height, width) or (height, width, 3), BGR.
        scan: how it was scanned, one of `vinscribe.training.card_scan.SCANS`.
        truth: what is on it.
        field: float64 (4, 2), corners of the row or rectangle for the VIN.
    """

    image: NDArray[np.uint8]
    scan: str
    truth: Truth
    field: NDArray[np.float64]

    def write(self, folder: Path) -> Path:
        """Writes the file that a scanner would."""
        bilevel = self.scan in ("bitonal", "fax")
        ending = ".png" if bilevel or self.scan == "clean" else ".jpg"
        options = [cv2.IMWRITE_PNG_BILEVEL, 1] if bilevel else []
        if ending == ".jpg":
            options = [cv2.IMWRITE_JPEG_QUALITY, 30 if self.scan == "jpeg" else 85]
        path = folder / f"page{ending}"
        path.write_bytes(cv2.imencode(ending, self.image, options)[1].tobytes())
        return path


def fill(form: Form, folder: Path, seed: int, index: int) -> FilledForm:
    """Fills a form in and scans it; the same seed and index give the same pixels.

    Args:
        form: one of `FORMS` or `PLAIN_FORMS`.
        folder: of the PDF files.
        seed: of everything that is left to chance.
        index: number of the page; the ways of scanning come in turn.

    Raises:
        DataError: the form's file is not there.
    """
    rng = np.random.default_rng([seed, index, (*FORMS, *PLAIN_FORMS).index(form)])
    page = blank(folder / form.file).copy()
    scale, scan = DPI / _POINTS, SCANS[index % len(SCANS)]
    writer = make_writer(rng)
    pen = Pen(page, writer, DPI / 25.4, rng)
    vin = make_vin(rng)
    row = places(form.vin, page.shape[0])
    cells = row if len(row) > 1 else _free_places(row[0], writer, rng)
    _write(pen, vin, cells)
    if form.engine and rng.random() < 0.5:
        length = int(rng.integers(6, 15))
        _write(pen, "".join(rng.choice(list(CHARSET), length)), places(form.engine, page.shape[0]))
    words = (str(rng.integers(1000, 9999)), *(str(rng.choice(some)) for some in (MAKES, NAMES, STREETS, NAMES)))
    for (left, foot, height), text in zip(form.lines, words, strict=True):
        pen.text(text, left * scale, page.shape[0] - foot * scale, height * scale)
    opacity = (1 - writer.translucence) * (1 - writer.grain / 2)
    blue, green, red = (float(part) for part in writer.colour)
    contrasts = Contrasts((255 - brightness((blue, green, red))) * opacity, form.line_contrast)
    scanned = scan_card(page, DPI, scan, contrasts, rng)
    truth = Truth(f"{form.name} {index}", {"form": form.name, "scan": scan}, vin, moved(cells, scanned.matrix))
    field = np.array([row[0, 0], row[-1, 1], row[-1, 2], row[0, 3]])
    return FilledForm(scanned.image, scan, truth, moved(field, scanned.matrix))


@cache
def blank(path: Path) -> NDArray[np.uint8]:
    """The first page of a PDF file, uint8 (height, width, 3), BGR."""
    import pypdfium2 as pdfium

    if not path.is_file():
        raise DataError(f"{path}: no such form; give the folder that holds it with --shared")
    with pdfium.PdfDocument(path) as document:
        return np.ascontiguousarray(document[0].render(scale=DPI / _POINTS).to_numpy()[..., :3])


def places(row: Row, height_px: int) -> NDArray[np.float64]:
    """Corners of a row's places in pixels of a page of this height, (n, 4, 2), as those of a `Field`."""
    scale = DPI / _POINTS
    left, right = np.array(row.edges[:-1]) * scale, np.array(row.edges[1:]) * scale
    top, foot = (np.full_like(left, height_px - at * scale) for at in (row.top, row.foot))
    return np.stack(
        [np.stack(corner, axis=-1) for corner in ((left, top), (right, top), (right, foot), (left, foot))], axis=1
    )


def _free_places(rectangle: NDArray[np.float64], writer: Writer, rng: np.random.Generator) -> NDArray[np.float64]:
    """Where somebody writes the characters of a VIN into a rectangle (4, 2), apart from each other, (17, 4, 2)."""
    (left, top), (right, foot) = rectangle[0], rectangle[2]
    begin = left + (right - left) * rng.uniform(0.01, 0.06)
    wide = writer.size * writer.aspect * (foot - top)
    room = 0.98 * (right - begin) / VIN_LENGTH
    steps = min(wide * rng.uniform(1.3, 1.8), room / 1.05) * rng.uniform(0.95, 1.05, VIN_LENGTH)
    starts = begin + np.append(0, np.cumsum(steps[:-1]))
    ends = starts + _PLAIN_SHARE * steps
    xs, ys = np.stack([starts, ends, ends, starts], axis=1), np.array([top, top, foot, foot])
    return np.stack(np.broadcast_arrays(xs, ys), axis=2)


def _write(pen: Pen, text: str, cells: NDArray[np.float64]) -> None:
    for char, cell in zip(text, cells, strict=False):
        (left, top), (right, foot) = cell[0], cell[2]
        pen.char(char, (float(left), float(top), float(right - left), float(foot - top)))
