"""How drawn record cards look: printed, and filled in by one hand. Lengths are in millimetres.

A card is a column of blocks: a head, the VIN field, an engine number in boxes of the same kind (often 17, too), plate
and date, lines with names, check boxes, a table, small print.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vinscribe.charset import CHARSET
from vinscribe.training.card_ink import Hand, Pen, make_writer
from vinscribe.training.card_print import (
    INKS,
    PLAIN,
    Colour,
    RowStyle,
    Sheet,
    brightness,
    make_style,
    place_cells,
    print_row,
    print_stamp,
    text_width,
)
from vinscribe.training.card_words import COLOURS, LANGUAGES, MAKES, NAMES, STREETS
from vinscribe.vin import VIN_LENGTH

_SIZES_MM = ((210, 148), (148, 210), (148, 105), (105, 148), (203, 127))  # A5, A6, and 8 by 5 inches
_SIZE_SHARES = (0.35, 0.2, 0.2, 0.1, 0.15)
_STRIP_MM = 28  # height of a strip
_PAPERS: tuple[Colour, ...] = ((253, 253, 253), (246, 248, 250), (215, 236, 244), (222, 240, 222), (190, 218, 238))
_PAPERS += ((244, 236, 222), (225, 222, 245))
_WHITE: Colour = (250, 250, 250)
_PLAIN_SHARE = 0.8  # of its place that a character is wide at most where no line parts it from the next
_GROUPS = ((3, 6, 8), (3, 5, 1, 1, 7), (4, 4, 4, 5), (3, 6, 4, 4), (9, 8))


@dataclass(frozen=True)
class PrintedCard:
    """A card, filled in.

    Attributes:
        image: uint8 (height, width, 3), BGR.
        cells: float64 (17, 4): left, top, width, height of the VIN field's cells in pixels; None without a field.
        ink_contrast: how much darker than the paper the handwriting is, about.
        line_contrast: how much darker than what is around them the VIN field's lines are, negative for brighter ones.
        spoilt: the cell without a legible character on a card of ``missing`` or ``struck``.
    """

    image: NDArray[np.uint8]
    cells: NDArray[np.float64] | None
    ink_contrast: float
    line_contrast: float
    spoilt: int | None = None


def print_card(
    vin: str,
    layout: str,
    negative: str | None,
    dpi: float,
    rng: np.random.Generator,
    hand: Hand | None = None,
    form: np.random.Generator | None = None,
    strip: bool = False,
) -> PrintedCard:
    """Prints a card and fills it in.

    ``negative`` None is a card with the whole VIN; ``no_field`` has no VIN field, ``empty`` nothing in it, ``missing``
    one box without a character, ``struck`` one character that was struck out. ``hand`` writes what is in boxes. What
    is printed is left to ``form``, or to ``rng`` as what is written is. ``strip`` makes only the strip of a card on
    which the VIN field stands.
    """
    card = _Card(layout, dpi, form or rng, rng, hand, strip)
    return card.made_strip(vin, negative) if strip else card.made(vin, negative)


class _Card:
    """One card while it is made: the sheet, its style, the hand, and how far down it is printed."""

    def __init__(
        self,
        layout: str,
        dpi: float,
        rng: np.random.Generator,
        filling: np.random.Generator,
        hand: Hand | None,
        strip: bool = False,
    ) -> None:
        width, height = _SIZES_MM[rng.choice(len(_SIZES_MM), p=_SIZE_SHARES)]
        if strip:
            height = _STRIP_MM
        self.rng, self.filling = rng, filling  # of what is printed, of what is written
        self.sheet = Sheet(width, height, dpi, _PAPERS[rng.integers(len(_PAPERS))])
        self.writer = make_writer(filling)
        self.pen = Pen(self.sheet.image, self.writer, self.sheet.scale, filling, hand)
        self.words = LANGUAGES[rng.integers(len(LANGUAGES))]
        self.ink = INKS[rng.integers(len(INKS))]
        self.left = float(rng.uniform(5, 10))
        self.right = width - float(rng.uniform(5, 10))
        self.style = make_style(layout, self.ink, self.sheet.paper, rng)
        self.label_mm = float(rng.uniform(1.5, 2.2))
        self.groups = _GROUPS[rng.integers(len(_GROUPS))] if layout == "groups" else (VIN_LENGTH,)
        self.group_gap = float(rng.uniform(0.8, 2.5)) if layout == "groups" else 0.0
        room = self.right - self.left - self.group_gap * (len(self.groups) - 1) - 2
        self.pitch = min(float(rng.uniform(4.8, 8.5)), room / VIN_LENGTH)
        self.height = min(self.pitch * float(rng.uniform(0.95, 1.5)), 11)
        self.y = 0.0
        self.spoilt: int | None = None

    def made(self, vin: str, negative: str | None) -> PrintedCard:
        rng = self.rng
        self.y = float(rng.uniform(4, 7))
        self._head()
        blocks: list[tuple[float, Callable[[], None]]] = [
            (self.height + 8, self._engine),
            (12, self._plate_and_date),
            (9, self._owner),
            (8, self._make_and_colour),
            (7, self._checks),
            (18, self._table),
            (9, self._notes),
        ]
        order = [blocks[index] for index in rng.permutation(len(blocks))]
        order += [blocks[index] for index in rng.permutation(range(2, len(blocks)))]  # tall cards have room for more
        needed = 0.0 if negative == "no_field" else self.height + 8
        before = int(rng.integers(0, 4))
        end = self.sheet.height_mm - 12
        cells = None
        for number, (height, block) in enumerate(order):
            if number == before and needed:
                cells, needed = self._vin(vin, negative), 0.0
            if self.y + height + needed < end:
                block()
                self.y += float(rng.uniform(1, 3))
        self._foot(end)
        if cells is not None:
            cells = cells * self.sheet.scale
        return PrintedCard(self.sheet.image, cells, self._ink_contrast(), self._line_contrast(), self.spoilt)

    def made_strip(self, vin: str, negative: str | None) -> PrintedCard:
        """The VIN field and its label alone."""
        self.y = float(self.rng.uniform(3, 7))
        cells = self._vin(vin, negative) * self.sheet.scale
        return PrintedCard(self.sheet.image, cells, self._ink_contrast(), self._line_contrast(), self.spoilt)

    def _ink_contrast(self) -> float:
        blue, green, red = (float(part) for part in self.writer.colour)
        opacity = (1 - self.writer.translucence) * (1 - self.writer.grain / 2)
        return (1 - brightness((blue, green, red)) / 255) * brightness(self.sheet.paper) * opacity

    def _line_contrast(self) -> float:
        """Of brightness, as a scanner sees it."""
        beside = self.style.ground if self.style.kind == "tinted" else None
        return brightness(beside or self.sheet.paper) - brightness(self.style.colour)

    def _label(self, text: str, x: float | None = None) -> None:
        """A label; what is written comes below it."""
        self.sheet.text(x or self.left, self.y + self.label_mm, text, self.label_mm, self.ink)

    def _head(self) -> None:
        rng, sheet = self.rng, self.sheet
        size = float(rng.uniform(2.6, 4))
        ink = self.ink
        if rng.random() < 0.3:
            sheet.fill(self.left - 1, self.y - 1, self.right - self.left + 2, size + 4, ink)
            ink = _WHITE
        x = sheet.text(self.left + 1, self.y + size + 1, self.words.title, size, ink, 700, bool(rng.random() < 0.2))
        if x + 25 < self.right:
            sheet.text(self.right - 24, self.y + size, f"No. {self.filling.integers(1000, 999999)}", 2.2, ink)
        self.y += size + 4.5
        if rng.random() < 0.5:
            sheet.line((self.left, self.y - 1), (self.right, self.y - 1), float(rng.uniform(0.2, 0.6)), self.ink)
            self.y += 1

    def _vin(self, vin: str, negative: str | None) -> NDArray[np.float64]:
        rng = self.rng
        if self.style.kind == "header":  # the label stands in the dark band
            band = self.height + self.label_mm + 6
            self.sheet.fill(self.left - 1, self.y - 0.5, self.right - self.left + 2, band, self.style.colour)
        label = self.words.vin[rng.integers(len(self.words.vin))]
        ink = _WHITE if self.style.kind == "header" else self.ink
        x = self.left + 1
        free = self.right - x - 1 - self.pitch * VIN_LENGTH - self.group_gap * (len(self.groups) - 1)
        beside = text_width(label, self.label_mm) + 3 if rng.random() < 0.4 else free
        if beside < free:  # the label stands left of the boxes
            foot = self.y + 2 + self.height / 2 + self.label_mm / 2
            x += beside
        else:
            foot = self.y + self.label_mm + 0.6
        x += max(free - (x - self.left), 0) * rng.random() * (rng.random() < 0.4)
        self.sheet.text(self.left + 0.5, foot, label, self.label_mm, ink)
        if rng.random() < 0.25:  # small numbers over the boxes' places, as some forms have
            self.sheet.text(self.right - 12, self.y + self.label_mm, "17 x", self.label_mm * 0.8, ink)
        self.y += self.label_mm + 2 + bool(self.style.ground)
        cells = self._row(self.groups, self.group_gap, self.style, x)
        written: list[str | None] = [None] * VIN_LENGTH if negative == "empty" else list(vin)
        spoilt = int(self.filling.integers(VIN_LENGTH))
        self.spoilt = spoilt if negative in ("missing", "struck") else None
        if negative == "missing":
            written[spoilt] = None
        self._fill(cells, written)
        if negative == "struck":
            box = self._pixels(cells[spoilt])
            self.pen.strike(box)
            if self.filling.random() < 0.4:  # the right one above it, small
                left, top, width, height = box
                self.pen.char(
                    CHARSET[self.filling.integers(len(CHARSET))], (left, top - 0.55 * height, width, 0.6 * height)
                )
        self.y += self.height + float(rng.uniform(2, 4))
        return cells

    def _row(
        self, groups: tuple[int, ...], group_gap: float, style: RowStyle, x: float | None = None
    ) -> NDArray[np.float64]:
        """Prints boxes where the card is now."""
        gap = style.gap * self.pitch
        cells = place_cells(x or self.left + 1, self.y, self.pitch, self.height, groups, group_gap, gap)
        print_row(self.sheet, cells, style)
        return cells

    def _fill(self, cells: NDArray[np.float64], chars: list[str | None] | str) -> None:
        rise = self.filling.normal(0, 0.06)  # few write quite level
        share = _PLAIN_SHARE if self.style.kind == PLAIN else 1.0
        for number, (cell, char) in enumerate(zip(cells, chars, strict=False)):
            if char is not None:
                left, top, width, height = self._pixels(cell)
                left, width = left + (1 - share) / 2 * width, share * width
                self.pen.char(char, (left, top + rise * height * (number / len(cells) - 0.5), width, height))

    def _pixels(self, cell: NDArray[np.float64]) -> tuple[float, float, float, float]:
        left, top, width, height = (float(value) for value in cell * self.sheet.scale)
        return left, top, width, height

    def _engine(self) -> None:
        """Boxes of the same kind as the VIN's, 17 of them every other time, not filled to the end."""
        rng = self.rng
        count = VIN_LENGTH if rng.random() < 0.5 else int(rng.integers(9, VIN_LENGTH))
        self._label(self.words.engine)
        style = self.style if rng.random() < 0.6 else make_style("boxes", self.ink, self.sheet.paper, rng)
        self.y += self.label_mm + 2 + bool(style.ground)
        cells = self._row((count,), 0, style)
        if self.filling.random() < 0.8:
            length = int(self.filling.integers(6, min(count, 14) + 1))
            self._fill(cells, "".join(self.filling.choice(list(CHARSET), length)))
        self.y += self.height + 2

    def _plate_and_date(self) -> None:
        rng = self.rng
        plain = make_style("separate" if rng.random() < 0.2 else "boxes", self.ink, self.sheet.paper, rng)
        plate_boxes = int(rng.integers(6, 9))
        self._label(self.words.plate)
        x = self.left + (plate_boxes + 1) * self.pitch + 2
        dated = x + 8 * self.pitch + 3 < self.right
        if dated:
            self._label(self.words.date, x)
        self.y += self.label_mm + 2
        height, self.height = self.height, min(self.height, 7.0)
        ink = self.filling
        plate = "".join(ink.choice(list(CHARSET), int(ink.integers(5, plate_boxes + 1))))
        self._fill(self._row((plate_boxes,), 0, plain), plate if ink.random() < 0.9 else "")
        if dated:
            date = f"{ink.integers(1, 29):02d}{ink.integers(1, 13):02d}{ink.integers(1985, 2026)}"
            self._fill(self._row((2, 2, 4), 1.2, plain, x), date)
        self.y += self.height + 2
        self.height = height

    def _written_line(self, label: str, text: str, x: float, end: float) -> None:
        sheet = self.sheet
        self._label(label, x)
        foot = self.y + 7
        step = 0.6 if self.rng.random() < 0.3 else 0.0
        sheet.line((x, foot), (end, foot), 0.18, self.ink, step)
        if self.filling.random() < 0.85:
            height = min(3.4, 1.1 * (end - x) / max(len(text), 1))
            self.pen.text(text, (x + 1.5) * sheet.scale, (foot - 0.4) * sheet.scale, height * sheet.scale)

    def _owner(self) -> None:
        rng = self.filling
        self._written_line(self.words.owner, f"{rng.choice(NAMES)}  {rng.choice(STREETS)}", self.left, self.right)
        self.y += 8.5

    def _make_and_colour(self) -> None:
        middle = (self.left + self.right) / 2
        self._written_line(self.words.make, str(self.filling.choice(MAKES)), self.left, middle - 3)
        self._written_line(self.words.colour, str(self.filling.choice(COLOURS)), middle + 3, self.right)
        self.y += 8.5

    def _checks(self) -> None:
        rng, sheet = self.rng, self.sheet
        x, size = self.left, float(rng.uniform(2.4, 3.4))
        for label in ("M1", "N1", "L3e", "4x4", "Diesel", "EV", "LPG"):
            if x + 16 > self.right:
                break
            sheet.rectangle(x, self.y + 1, size, size, 0.2, self.ink)
            if self.filling.random() < 0.3:
                self.pen.tick(self._pixels(np.array([x, self.y + 1, size, size])))
            x = sheet.text(x + size + 1, self.y + 1 + size, label, self.label_mm, self.ink) + 4
        self.y += size + 3

    def _table(self) -> None:
        """Dates and odometer readings of inspections."""
        rng, sheet = self.rng, self.sheet
        rows, columns = int(rng.integers(2, 4)), int(rng.integers(3, 6))
        width, height = (self.right - self.left) / columns, 5.0
        for row in range(rows + 1):
            sheet.line((self.left, self.y + row * height), (self.right, self.y + row * height), 0.2, self.ink)
        for column in range(columns + 1):
            x = self.left + column * width
            sheet.line((x, self.y), (x, self.y + rows * height), 0.2, self.ink)
            if column < columns:
                label = self.words.mileage if column % 2 else self.words.date
                size = min(1.6, 1.6 * (width - 2) / text_width(label, 1.6))
                sheet.text(x + 1, self.y + 3.5, label, size, self.ink)
                for row in range(1, rows):
                    if self.filling.random() < 0.6:
                        at = ((x + 1.5) * sheet.scale, (self.y + (row + 1) * height - 0.8) * sheet.scale)
                        self.pen.text(str(self.filling.integers(100, 299999)), *at, 2.6 * sheet.scale)
        self.y += rows * height + 2

    def _notes(self) -> None:
        sheet, size = self.sheet, float(self.rng.uniform(1.2, 1.7))
        line = ""
        for word in self.words.notes.split() * 2:
            if text_width(f"{line} {word}", size) > self.right - self.left:
                self.y += size * 1.9
                sheet.text(self.left, self.y, line, size, self.ink)
                line = ""
            line = f"{line} {word}".strip()
        self.y += size * 1.9
        sheet.text(self.left, self.y, line, size, self.ink)
        self.y += 1

    def _foot(self, y: float) -> None:
        """A signature, and now and then a frame and a rubber stamp."""
        rng, ink, sheet = self.rng, self.filling, self.sheet
        x = self.right - 50
        sheet.line((x, y + 6), (self.right, y + 6), 0.18, self.ink)
        sheet.text(x, y + 8.5, self.words.signature, 1.5, self.ink)
        if ink.random() < 0.8:
            self.pen.signature(self._pixels(np.array([x + 5, y - 2, ink.uniform(20, 38), 9])))
        if rng.random() < 0.25:
            sheet.rectangle(2.5, 2.5, sheet.width_mm - 5, sheet.height_mm - 5, float(rng.uniform(0.2, 0.8)), self.ink)
        if ink.random() < 0.3:
            print_stamp(sheet, float(ink.uniform(self.left + 12, x - 8)), y - 4, ink)
