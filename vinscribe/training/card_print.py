"""Printing on a card: lines, text and rows of boxes in all the kinds that forms have. Lengths are in millimetres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

Colour = tuple[float, float, float]
"""Blue, green, red: OpenCV's order."""

LAYOUTS = ("boxes", "separate", "comb", "dashed", "dotted", "pale", "double", "groups", "header", "tinted")
"""The kinds of VIN fields that `RowStyle` prints."""

PLAIN = "plain"
"""One more: a frame, or a line to write on, and nothing between the characters. Read with a template only."""

BLACKS: tuple[Colour, ...] = ((40, 40, 40), (25, 25, 25), (75, 70, 70))
INKS: tuple[Colour, ...] = (*BLACKS, (120, 60, 25), (60, 90, 30), (45, 45, 130))
_PALE: tuple[Colour, ...] = ((170, 165, 215), (225, 190, 150), (160, 200, 240), (180, 205, 165), (185, 185, 185))
_DARK_GROUNDS: tuple[Colour, ...] = ((60, 55, 50), (110, 60, 20), (50, 80, 40), (40, 40, 110))
_TINTS: tuple[Colour, ...] = ((185, 190, 230), (230, 205, 175), (165, 205, 240), (185, 215, 175), (190, 190, 190))
_LEAST_CONTRAST = 28  # of pale lines and grounds, in grey levels


class Sheet:
    """A card while it is printed.

    Args:
        width_mm, height_mm: its size.
        dpi: of its picture.
        paper: its colour.

    Attributes:
        image: uint8 (height, width, 3), BGR.
        scale: pixels in a millimetre.
    """

    def __init__(self, width_mm: float, height_mm: float, dpi: float, paper: Colour) -> None:
        self.width_mm, self.height_mm = width_mm, height_mm
        self.scale = dpi / 25.4
        self.paper = paper
        self.image = np.empty((round(height_mm * self.scale), round(width_mm * self.scale), 3), np.uint8)
        cv2.rectangle(self.image, (0, 0), self.image.shape[1::-1], paper, cv2.FILLED)

    def line(
        self, start: tuple[float, float], end: tuple[float, float], width_mm: float, colour: Colour, step_mm: float = 0
    ) -> None:
        """A line; of dashes if there is a step, of dots if that is about the line's width."""
        points = np.array([start, end]) * self.scale
        thickness = max(1, round(width_mm * self.scale))
        lines = [points]
        if step_mm:
            count = max(1, round(float(np.linalg.norm(points[1] - points[0])) / (step_mm * self.scale)))
            share = 0.55 if step_mm > 2.5 * width_mm else 0.1
            at = np.arange(count)[:, None, None] + np.array([0, share])[:, None]
            lines = list(points[0] + (points[1] - points[0]) * at / count)
        fixed = [np.round(line * 16).astype(np.int32) for line in lines]
        cv2.polylines(self.image, fixed, False, colour, thickness, cv2.LINE_AA, 4)

    def rectangle(self, x: float, y: float, width: float, height: float, line_mm: float, colour: Colour) -> None:
        """A frame of four lines."""
        corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
        for start, end in zip(corners, corners[1:] + corners[:1], strict=True):
            self.line(start, end, line_mm, colour)

    def fill(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        """A ground of one colour."""
        left, top, right, bottom = (round(value * self.scale) for value in (x, y, x + width, y + height))
        self.image[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = colour

    def text(
        self, x: float, foot: float, text: str, size_mm: float, colour: Colour, weight: int = 400, italic: bool = False
    ) -> float:
        """Text that stands on a line, smaller where it would leave the sheet; returns where it ends.

        ``size_mm`` is the height of its capitals.
        """
        room = self.width_mm - 2 - x
        size_mm *= min(1, room / max(text_width(text, size_mm), 0.1))
        size = max(5, round(size_mm * self.scale * _CAPITALS))
        at = (round(x * self.scale), round(foot * self.scale))
        end, _ = cv2.putText(self.image, text, at, colour, _face(italic), size, weight)
        return float(end[0]) / self.scale


def text_width(text: str, size_mm: float) -> float:
    """How wide a text of this size is, in millimetres."""
    _, _, width, _ = cv2.getTextSize((10_000, 200), text, (0, 100), _face(False), 100, 500)
    return width / 100 * size_mm * _CAPITALS


_CAPITALS = 1.4  # size of the font over the height of its capitals


@cache
def _face(italic: bool) -> cv2.FontFace:
    return cv2.FontFace("italic" if italic else "sans")


def place_cells(
    x: float, y: float, pitch: float, height: float, groups: Sequence[int], group_gap: float = 0, gap: float = 0
) -> NDArray[np.float64]:
    """The cells of a row, float64 (n, 4): left, top, width, height.

    ``groups`` says how many cells stand together, ``gap`` how much of the pitch is between two cells of a group.
    """
    cells = []
    for count in groups:
        for _ in range(count):
            cells.append((x, y, pitch - gap, height))
            x += pitch
        x += group_gap
    return np.array(cells)


@dataclass(frozen=True)
class RowStyle:
    """How a row of boxes is printed.

    Attributes:
        kind: one of `LAYOUTS`, or `PLAIN`.
        colour: of the lines.
        line_mm: their width.
        ground: under the row, of kinds ``header`` and ``tinted``.
        gap: between two boxes, as a share of the pitch.
        tick: height of a comb's ticks as a share of the cell's.
        step_mm: of dashes or dots.
        outline: whether a dashed or dotted row has its outer lines drawn through; whether a comb has a frame.
    """

    kind: str
    colour: Colour
    line_mm: float
    ground: Colour | None = None
    gap: float = 0.0
    tick: float = 1.0
    step_mm: float = 0.0
    outline: bool = True


def brightness(colour: Colour) -> float:
    """Of a colour, as a scanner sees it, 0 to 255."""
    return float(np.dot((0.114, 0.587, 0.299), colour))


def _visible(colours: Sequence[Colour], on: Colour, rng: np.random.Generator) -> Colour:
    """One of these by chance that differs from what it is printed on, also for a scanner; else the darkest."""
    seen = [colour for colour in colours if brightness(on) - brightness(colour) >= _LEAST_CONTRAST]
    return seen[rng.integers(len(seen))] if seen else min(colours, key=brightness)


def make_style(kind: str, ink: Colour, paper: Colour, rng: np.random.Generator) -> RowStyle:
    """A style of this kind by chance; ``ink`` is what the rest of the card is printed with."""
    line = float(rng.uniform(0.15, 0.4))
    chance = bool(rng.random() < 0.5)
    if kind == "separate":
        return RowStyle(kind, ink, line, gap=float(rng.uniform(0.12, 0.3)))
    if kind == "comb":
        return RowStyle(kind, ink, line, tick=float(rng.uniform(0.25, 0.6)), outline=chance)
    if kind == PLAIN:
        return RowStyle(kind, ink, line, outline=chance)
    if kind == "dashed":
        return RowStyle(kind, ink, line, step_mm=float(rng.uniform(0.9, 1.8)), outline=chance)
    if kind == "dotted":
        return RowStyle(kind, ink, max(line, 0.22), step_mm=float(rng.uniform(0.55, 0.9)), outline=chance)
    if kind == "pale":
        return RowStyle(kind, _visible(_PALE, paper, rng), line, gap=0.15 * (rng.random() < 0.3))
    if kind == "double":
        return RowStyle(kind, ink, float(rng.uniform(0.12, 0.25)), outline=chance)
    if kind == "header":
        ground = _DARK_GROUNDS[rng.integers(len(_DARK_GROUNDS))]
        return RowStyle(kind, ground, line, ground, gap=float(rng.uniform(0.06, 0.2)) * chance)
    if kind == "tinted":
        ground = _visible(_TINTS, paper, rng)
        return RowStyle(kind, paper, max(line, 0.3), ground, gap=float(rng.uniform(0.1, 0.22)) * chance)
    return RowStyle(kind, ink, line)


def print_row(sheet: Sheet, cells: NDArray[np.float64], style: RowStyle) -> None:
    """Prints the boxes of a row whose cells these are, see `place_cells`."""
    if style.ground:
        left, top, bottom = cells[0, 0], cells[0, 1], cells[0, 1] + cells[0, 3]
        right = cells[-1, 0] + cells[-1, 2]
        sheet.fill(left - 1.5, top - 1.2, right - left + 3, bottom - top + 2.4, style.ground)
    if style.gap:
        for x, y, width, height in cells:
            if style.ground:
                sheet.fill(x, y, width, height, sheet.paper)
            else:
                sheet.rectangle(x, y, width, height, style.line_mm, style.colour)
        return
    for group in _groups(cells):
        _print_group(sheet, group, style)


def _groups(cells: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """The cells that touch each other."""
    apart = np.flatnonzero(np.diff(cells[:, 0]) > cells[0, 2] * 1.02) + 1
    return np.split(cells, apart)


def _print_group(sheet: Sheet, cells: NDArray[np.float64], style: RowStyle) -> None:
    x, y, width, height = cells[0]
    right, foot = cells[-1, 0] + width, y + height
    inner = [*cells[1:, 0]]
    line = style.line_mm

    def draw(start: tuple[float, float], end: tuple[float, float], dashed: bool = True) -> None:
        sheet.line(start, end, line, style.colour, style.step_mm * dashed)

    if style.kind == "comb":
        draw((x, foot), (right, foot))
        for at in inner:
            draw((at, foot - height * style.tick), (at, foot))
        for at in (x, right):
            draw((at, y if style.outline else foot - height * style.tick), (at, foot))
        if style.outline:
            draw((x, y), (right, y))
        return
    if style.kind == PLAIN:
        if style.outline:
            sheet.rectangle(x, y, right - x, height, line, style.colour)
        else:
            draw((x, foot), (right, foot))
        return
    if style.kind == "header":  # the ground shows between the boxes
        sheet.fill(x, y, right - x, height, sheet.paper)
    for at in inner:
        draw((at, y), (at, foot))
    dashed = not style.outline
    for start, end in (
        ((x, y), (right, y)),
        ((x, foot), (right, foot)),
        ((x, y), (x, foot)),
        ((right, y), (right, foot)),
    ):
        draw(start, end, dashed)
    if style.kind == "double":
        space = 2 * line + 0.2
        if style.outline:  # around the row
            sheet.rectangle(x - space, y - space, right - x + 2 * space, height + 2 * space, 1.6 * line, style.colour)
        else:  # within each box
            for at in cells[:, 0]:
                sheet.rectangle(at + space, y + space, width - 2 * space, height - 2 * space, line, style.colour)


def print_stamp(sheet: Sheet, x: float, y: float, rng: np.random.Generator) -> None:
    """A round rubber stamp about this point, through which the print can be seen; none where it has no room."""
    stamp = Sheet(26, 26, sheet.scale * 25.4, (255, 255, 255))
    colour = ((150, 60, 50), (60, 50, 160), (110, 60, 110))[rng.integers(3)]
    turns = np.linspace(0, 2 * np.pi, 40)
    for radius in (12, 10.5):
        points = 13 + radius * np.column_stack([np.cos(turns), np.sin(turns)])
        for start, end in pairwise(points):
            stamp.line((start[0], start[1]), (end[0], end[1]), 0.35, colour)
    stamp.text(5, 12, "K.F.Z. 07", 2.2, colour, 700)
    stamp.text(6, 16.5, f"{rng.integers(1, 29)}.{rng.integers(1, 13)}.{rng.integers(90, 99)}", 2.2, colour)
    left, top = round((x - 13) * sheet.scale), round((y - 13) * sheet.scale)
    if left < 0 or top < 0:
        return
    part = sheet.image[top : top + stamp.image.shape[0], left : left + stamp.image.shape[1]]
    light = stamp.image[: part.shape[0], : part.shape[1]] / 255
    part[:] = part * (1 - rng.uniform(0.3, 0.75) * (1 - light))
