"""Made-up vehicle record cards, printed, filled in by hand and scanned by the project itself, with their truth.

For tests, demonstrations and benchmarks of reading whole scans. Needs only numpy and OpenCV (and ``vininfo``, for
makers' codes).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vinscribe.charset import CHARSET
from vinscribe.errors import DataError, UsageError
from vinscribe.training.card_ink import Hand
from vinscribe.training.card_layouts import PrintedCard, print_card
from vinscribe.training.card_print import LAYOUTS, PLAIN
from vinscribe.training.card_scan import SCANS, Contrasts, moved, scan_card
from vinscribe.vin import CHECK_POSITION, VIN_LENGTH, YEAR_CODES, check_digit, known_wmis

NEGATIVES = ("no_field", "empty", "missing", "struck")
"""Cards without a whole VIN: no VIN field; nothing in it; one box empty; one character struck out."""

TRUTH_FILE = "truth.jsonl"

NEGATIVE_SHARE = 0.12
"""Of the cards that `write_cards` draws, unless it is told otherwise."""

CHECKED_SHARE = 0.6
"""Of the VINs whose maker need not write a check digit, those with one; the others have one by chance only."""

_CHECKED_REGIONS = tuple("12345L")  # North America and China, where all makers write it

_DPIS, _DPI_SHARES = (150, 200, 240, 300, 400), (0.15, 0.45, 0.1, 0.22, 0.08)

_FORM_DPI = 300

Point = tuple[float, float]


@dataclass(frozen=True)
class CardTruth:
    """What is on a card.

    Attributes:
        vin: as it is written; None on a card without a whole VIN.
        negative: why there is none, one of `NEGATIVES`; else None.
        layout: one of `LAYOUTS`, or `PLAIN`; also said of a card without a field, whose other boxes look like that.
        scan: one of `SCANS`.
        dpi: of the card on the picture.
        field: the VIN field's corners in the picture's pixels as (x, y): top left, top right, bottom right, bottom left
            of the card as it is read, whichever way up it was scanned; None without a field.
        cells: the same of each of its 17 cells, left to right; of a comb, the space to write in above its line.
    """

    vin: str | None
    negative: str | None
    layout: str
    scan: str
    dpi: int
    field: tuple[Point, ...] | None
    cells: tuple[tuple[Point, ...], ...] | None


@dataclass(frozen=True)
class Card:
    """A drawn card.

    Attributes:
        image: uint8 (height, width), or (height, width, 3) in OpenCV's order: what is in the file.
        truth: what is on it.
        data: the picture file.
        ending: of the file's name, ``.png`` or ``.jpg``.
        spoilt: the cell without a legible character, 0 to 16, where there is one.
    """

    image: NDArray[np.uint8]
    truth: CardTruth
    data: bytes
    ending: str
    spoilt: int | None = None


def draw_card(
    seed: int | Sequence[int],
    layout: str | None = None,
    scan: str | None = None,
    negative: str | None = None,
    dpi: int | None = None,
    vin: str | None = None,
    hand: Hand | None = None,
    form: int | Sequence[int] | None = None,
    strip: bool = False,
) -> Card:
    """A filled-in card, scanned; the same arguments give the same bytes.

    Args:
        seed: of everything that is left to chance.
        layout: one of `LAYOUTS`, or `PLAIN`; None takes one by chance.
        scan: one of `SCANS`; None takes one by chance.
        negative: one of `NEGATIVES`; None for a card with a whole VIN.
        dpi: at which it is scanned, 100 to 600; None takes 150 to 400 by chance. Faxes are 204 whatever this says.
        vin: what is written into its field; None takes one by chance.
        hand: who writes into its boxes; the project's own alphabet if None.
        form: seed of all that is printed, so that an office's cards are the same form; ``seed`` if None. What is the
            same depends on the layout, too.
        strip: only the strip of the card on which the VIN field stands, in a fraction of the time; ``form`` is not
            looked at.

    Raises:
        UsageError: an unknown name, or a resolution out of range.
    """
    for name, value, known in (
        ("layout", layout, (*LAYOUTS, PLAIN)),
        ("scan", scan, SCANS),
        ("negative", negative, NEGATIVES),
    ):
        if value is not None and value not in known:
            raise UsageError(f"unknown {name} {value!r}; choose from {', '.join(known)}")
    if dpi is not None and not 100 <= dpi <= 600:
        raise UsageError(f"a card cannot be drawn at {dpi} dpi; choose 100 to 600")
    rng = np.random.default_rng(seed)
    by_chance = LAYOUTS[rng.integers(len(LAYOUTS))], SCANS[rng.integers(len(SCANS))]
    dpi_by_chance = int(rng.choice(_DPIS, p=_DPI_SHARES))
    layout, scan, dpi = layout or by_chance[0], scan or by_chance[1], dpi or dpi_by_chance
    by_chance_vin = make_vin(rng)
    vin = vin or by_chance_vin
    if form is None:
        printed = print_card(vin, layout, negative, dpi, rng, hand, strip=strip)
    else:
        printed = _at(dpi, print_card(vin, layout, negative, _FORM_DPI, rng, hand, np.random.default_rng(form)))
    scanned = scan_card(printed.image, dpi, scan, Contrasts(printed.ink_contrast, printed.line_contrast), rng)
    field, cells = None, None
    if printed.cells is not None:
        corners = moved(_corners(printed.cells), scanned.matrix)
        cells = tuple(_points(cell) for cell in corners)
        field = _points(np.array([corners[0, 0], corners[-1, 1], corners[-1, 2], corners[0, 3]]))
    truth = CardTruth(None if negative else vin, negative, layout, scan, round(scanned.dpi), field, cells)
    data, ending = _encoded(scanned.image, scan, rng)
    kept = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return Card(np.asarray(kept, np.uint8), truth, data, ending, printed.spoilt)


def _at(dpi: int, printed: PrintedCard) -> PrintedCard:
    """A card that was printed at `_FORM_DPI` at another resolution: a form is the same to a hair, letters and all."""
    height, width = printed.image.shape[:2]
    size = (round(width * dpi / _FORM_DPI), round(height * dpi / _FORM_DPI))
    method = cv2.INTER_AREA if dpi < _FORM_DPI else cv2.INTER_CUBIC
    image = np.asarray(cv2.resize(printed.image, size, interpolation=method), np.uint8)
    cells = None if printed.cells is None else printed.cells * np.tile(np.array(size) / (width, height), 2)
    return replace(printed, image=image, cells=cells)


def make_vin(rng: np.random.Generator) -> str:
    """A made-up VIN of a known maker; three in four have a valid check digit, in North America and China all."""
    letters, digits = list(CHARSET), list(CHARSET[:10])
    codes = _maker_codes()
    chars = list((codes[rng.integers(len(codes))] + letters[rng.integers(len(letters))])[:3])
    chars += [str(char) for char in rng.choice(letters, 5)]
    chars += [str(rng.choice(letters)), str(rng.choice(list(YEAR_CODES))), str(rng.choice(letters))]
    chars += [str(rng.choice(letters if rng.random() < 0.2 else digits)) for _ in range(2)]
    chars += [str(char) for char in rng.choice(digits, VIN_LENGTH - len(chars))]
    vin = "".join(chars)
    if vin.startswith(_CHECKED_REGIONS) or rng.random() < CHECKED_SHARE:
        vin = vin[:CHECK_POSITION] + check_digit(vin) + vin[CHECK_POSITION + 1 :]
    return vin


@cache
def _maker_codes() -> list[str]:
    return sorted(known_wmis())


def write_cards(
    folder: Path,
    count: int,
    seed: int = 0,
    layout: str | None = None,
    scan: str | None = None,
    negatives: float = NEGATIVE_SHARE,
) -> Iterator[Path]:
    """Draws cards into a folder, ``card-00001.png`` or ``.jpg`` and so on, and a line for each in ``truth.jsonl``.

    Every pair of a layout and a scan comes before any comes again, in an order that the seed decides. The same
    arguments give the same bytes, and a larger ``count`` the same cards and more. Yields each path when it is written.

    Args:
        folder: made if it is not there.
        count: how many.
        seed: of everything that is left to chance.
        layout: of all cards, one of `LAYOUTS` or `PLAIN`; None for all of `LAYOUTS`.
        scan: of all cards, one of `SCANS`; None for all of them.
        negatives: share of cards without a whole VIN, 0 to 1.

    Raises:
        UsageError: an unknown name, no card to draw, a share out of range, or a folder that has a ``truth.jsonl``.
        DataError: a file cannot be written.
    """
    if count < 1 or not 0 <= negatives <= 1:
        raise UsageError(f"cannot draw {count} cards with {negatives} of them negative; give at least 1, and 0 to 1")
    pairs = [(a, b) for a in ([layout] if layout else LAYOUTS) for b in ([scan] if scan else SCANS)]
    order = np.random.default_rng(seed).permutation(len(pairs))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / TRUTH_FILE, "x", encoding="utf-8") as truths:
            for index in range(count):
                rng = np.random.default_rng([seed, index])
                negative = NEGATIVES[rng.integers(len(NEGATIVES))] if rng.random() < negatives else None
                pair = pairs[order[index % len(pairs)]]
                card = draw_card([seed, index, 1], layout=pair[0], scan=pair[1], negative=negative)
                path = folder / f"card-{index + 1:05d}{card.ending}"
                path.write_bytes(card.data)
                truths.write(json.dumps({"file": path.name, **asdict(card.truth)}) + "\n")
                yield path
    except FileExistsError as error:
        raise UsageError(f"{error.filename} is there already; choose an empty folder") from None
    except OSError as error:
        raise DataError(f"cannot write cards to {folder}: {error.strerror}; choose another folder") from error


def _corners(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 4) left, top, width, height -> (n, 4, 2) corners, clockwise from the top left."""
    left, top, width, height = cells.T
    right, bottom = left + width, top + height
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return np.array(corners).transpose(2, 0, 1)


def _points(corners: NDArray[np.float64]) -> tuple[Point, ...]:
    return tuple((round(float(x), 1), round(float(y), 1)) for x, y in corners)


def _encoded(image: NDArray[np.uint8], scan: str, rng: np.random.Generator) -> tuple[bytes, str]:
    """The picture file's bytes and ending: what has little noise or two tones only as PNG, the rest as JPEG."""
    if scan in ("bitonal", "fax"):
        return cv2.imencode(".png", image, [cv2.IMWRITE_PNG_BILEVEL, 1])[1].tobytes(), ".png"
    if scan == "clean":
        return cv2.imencode(".png", image)[1].tobytes(), ".png"
    quality = int(rng.integers(18, 42) if scan == "jpeg" else rng.integers(75, 95))
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes(), ".jpg"
