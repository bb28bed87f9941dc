"""One hand and its pen on a card: characters in boxes, words on lines, ticks, struck-out characters, signatures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from vinscribe.charset import is_vin_char
from vinscribe.training.alphabet import ALPHABET
from vinscribe.training.pen import write

Box = tuple[float, float, float, float]
"""Left, top, width, height, in pixels."""

# Name -> ink (BGR), its spread, width in mm, how much of the paper shows through, how grainy it is.
_PENS = {
    "blue ballpoint": ((135, 62, 34), 18, (0.28, 0.48), 0.12, 0.25),
    "black ballpoint": ((48, 42, 40), 10, (0.28, 0.48), 0.12, 0.25),
    "fountain pen": ((110, 40, 20), 15, (0.4, 0.7), 0.08, 0.05),
    "gel pen": ((30, 26, 26), 8, (0.35, 0.6), 0.0, 0.0),
    "felt tip": ((38, 32, 30), 12, (0.6, 1.0), 0.05, 0.05),
    "pencil": ((95, 92, 92), 14, (0.35, 0.6), 0.15, 0.7),
    "red ballpoint": ((50, 40, 170), 12, (0.28, 0.45), 0.12, 0.25),
    "green pen": ((60, 100, 30), 12, (0.3, 0.5), 0.1, 0.15),
}
_PEN_SHARES = (0.34, 0.26, 0.08, 0.12, 0.06, 0.08, 0.03, 0.03)
_FAVOURITE = 0.85  # how often a hand writes a character as it usually does
_WIDEST = 1.05  # a recorded character is at most so many boxes wide
_SHORTEST = 0.5  # height of a recorded character, its longer side being 1, that is drawn as high as any other
_GRAIN_PX = 256
_STAND_INS = {"I": "1", "O": "0", "Q": "0"}


Strokes = list[NDArray[np.float64]]

Hand = Callable[[str, np.random.Generator], Strokes]
"""Characters as somebody wrote them: strokes (n, 2), x to the right, y down, the longer side of their box being 1."""


@dataclass(frozen=True)
class Writer:
    """One hand with one pen; lengths are fractions of the box's height or width unless they say otherwise.

    Attributes:
        size, size_spread: height of the characters.
        aspect: width of the characters' unit box over its height.
        slant, slant_spread: shear to the right.
        turn_spread: in radians.
        shift: where the characters stand in their boxes, off the middle, (x, y).
        shift_spread: how far each one strays from there.
        bend: of all characters alike: quadratic parts (x and y) of where the strokes go.
        colour: of the ink, BGR.
        pen_mm: width of a line.
        translucence: share of the paper that shows through.
        grain: from 0 (none) to 1 of the roughness of the ink.
        variants: how this hand writes each character, mostly.
        texture: float32 (256, 256), about 0..1, of the ink on this paper.
    """

    size: float
    size_spread: float
    aspect: float
    slant: float
    slant_spread: float
    turn_spread: float
    shift: tuple[float, float]
    shift_spread: float
    bend: NDArray[np.float64]
    colour: NDArray[np.float32]
    pen_mm: float
    translucence: float
    grain: float
    variants: dict[str, str]
    texture: NDArray[np.float32] = field(repr=False)


def make_writer(rng: np.random.Generator) -> Writer:
    """A hand by chance: from careful to hasty, upright or slanted, with one of eight pens."""
    neatness = rng.beta(2.2, 1.6)  # 1 is a draughtsman
    hasty = 1 - neatness
    pen = list(_PENS)[rng.choice(len(_PENS), p=_PEN_SHARES)]
    colour, spread, width, translucence, grain = _PENS[pen]
    variants = {}
    for char, forms in ALPHABET.items():
        weights = np.array([form.weight for form in forms])
        variants[char] = forms[rng.choice(len(forms), p=weights / weights.sum())].name
    texture = cv2.GaussianBlur(rng.standard_normal((_GRAIN_PX, _GRAIN_PX)).astype(np.float32), (0, 0), 0.8)
    return Writer(
        size=float(rng.uniform(0.52, 0.82)),
        size_spread=0.02 + 0.06 * hasty,
        aspect=float(rng.uniform(0.75, 1.15)),
        slant=float(rng.normal(0.08, 0.13)),
        slant_spread=0.02 + 0.05 * hasty,
        turn_spread=0.015 + 0.05 * hasty,
        shift=(float(rng.normal(0, 0.04)), float(rng.normal(0.03, 0.05))),
        shift_spread=0.02 + 0.06 * hasty,
        bend=rng.normal(0, 0.015 + 0.035 * hasty, (3, 2)),
        colour=np.clip(np.array(colour) + rng.normal(0, spread, 3), 10, 200).astype(np.float32),
        pen_mm=float(rng.uniform(*width)),
        translucence=translucence,
        grain=grain,
        variants=variants,
        texture=np.asarray(0.5 + texture / texture.std() / 4, np.float32),
    )


class Pen:
    """Writes on a page with one hand.

    Args:
        page: uint8 (height, width, 3), BGR; written to.
        writer: the hand.
        px_per_mm: of the page.
        rng: where chance comes from.
        hand: whose characters are written into boxes, with this pen; the project's own alphabet if None.
    """

    def __init__(
        self,
        page: NDArray[np.uint8],
        writer: Writer,
        px_per_mm: float,
        rng: np.random.Generator,
        hand: Hand | None = None,
    ) -> None:
        self._page = page
        self._writer = writer
        self._hand = hand
        self._width_px = max(1.0, writer.pen_mm * px_per_mm)
        self._over = 4 if px_per_mm < 9 else 2  # ink is drawn so much larger and averaged: smooth at any width
        self._rng = rng

    def char(self, char: str, box: Box) -> None:
        """A character in its box."""
        writer, rng = self._writer, self._rng
        left, top, width, height = box
        variant = writer.variants[char] if rng.random() < _FAVOURITE else None
        tall = height * float(np.clip(writer.size * (1 + rng.normal(0, writer.size_spread)), 0.35, 0.9))
        wide = min(tall * writer.aspect, 1.12 * width)
        centre = np.array([left + width / 2, top + height / 2])
        centre += np.array([width, height]) * (np.array(writer.shift) + rng.normal(0, writer.shift_spread, 2))
        if self._hand is not None:
            self._strokes(_placed(self._hand(char, rng), tall, _WIDEST * width, centre))
            return
        self._strokes([(stroke - 0.5) @ self._shape(wide, tall) + centre for stroke in self._bent(char, variant)])

    def text(self, text: str, left: float, foot: float, height: float) -> None:
        """A word or a line, standing on a line; capitals and digits, anything else is a space."""
        x = left
        for char in text:
            char = _STAND_INS.get(char, char)
            if is_vin_char(char):
                width = height * self._writer.aspect * 0.95
                strokes = self._bent(char, self._writer.variants[char])
                centre = np.array([x + width / 2, foot - height / 2 + self._rng.normal(0, 0.05) * height])
                self._strokes([(stroke - 0.5) @ self._shape(width, height) + centre for stroke in strokes])
            x += height * self._writer.aspect * (0.85 if is_vin_char(char) else 0.6)

    def strike(self, box: Box) -> None:
        """Makes what stands in a box unreadable: lines through it, a cross, a scribble, a blot."""
        left, top, width, height = box
        rng = self._rng
        kind = rng.integers(4)
        if kind == 0:  # several lines
            ys = rng.uniform(0.25, 0.75, int(rng.integers(2, 5)))
            lines = [np.array([[0.02, y + rng.normal(0, 0.06)], [0.98, y + rng.normal(0, 0.06)]]) for y in ys]
        elif kind == 1:  # a cross, and over it again
            lines = [np.array([[0.08, 0.1], [0.92, 0.9]]), np.array([[0.92, 0.1], [0.08, 0.9]])]
            lines += [line + rng.normal(0, 0.05, (2, 2)) for line in lines]
        elif kind == 2:  # up and down over it
            steps = int(rng.integers(7, 14))
            xs, ys = np.linspace(0.1, 0.9, steps), np.resize([0.15, 0.85], steps)
            lines = [np.column_stack([xs, ys]) + rng.normal(0, 0.04, (steps, 2))]
        else:  # round and round
            turns = np.linspace(0, rng.uniform(5, 9) * 2 * np.pi, 160)
            radius = 0.4 * (0.4 + 0.6 * np.abs(np.sin(turns * 0.37)))
            lines = [0.5 + np.column_stack([radius * np.cos(turns), radius * np.sin(turns)])]
        self._strokes([line * [width, height] + [left, top] for line in lines])

    def tick(self, box: Box) -> None:
        """A tick or a cross in a check box."""
        left, top, width, height = box
        noise = self._rng.normal(0, 0.08, (4, 2))
        if self._rng.random() < 0.5:
            lines = [np.array([[0.1, 0.5], [0.4, 0.95], [1.2, -0.3]]) + noise[:3]]
        else:
            lines = [np.array([[0, 0], [1, 1]]) + noise[:2], np.array([[1, 0], [0, 1]]) + noise[2:]]
        self._strokes([line * [width, height] + [left, top] for line in lines])

    def signature(self, box: Box) -> None:
        """Loops that run to the right."""
        left, top, width, height = box
        rng = self._rng
        turns = np.linspace(0, rng.uniform(5, 11) * 2 * np.pi, 240)
        way = turns / turns[-1]
        tall = 0.12 + 0.35 * np.abs(np.sin(way * rng.uniform(3, 9) + rng.uniform(0, 3)))
        xs = way * 0.85 + 0.05 * np.sin(turns)
        self._strokes([np.column_stack([left + xs * width, top + (0.6 + tall * np.cos(turns)) * height])])

    def _bent(self, char: str, variant: str | None) -> list[NDArray[np.float64]]:
        """The strokes, bent as this hand bends all of its strokes."""
        bent = []
        for stroke in write(char, self._rng, variant):
            x, y = 2 * stroke.T - 1
            bent.append(stroke + np.column_stack([x * x - 0.4, x * y, y * y - 0.4]) @ self._writer.bend)
        return bent

    def _shape(self, width: float, height: float) -> NDArray[np.float64]:
        """Unit box -> size, slant and turn of a character, to be multiplied from the right."""
        writer, rng = self._writer, self._rng
        slant = writer.slant + rng.normal(0, writer.slant_spread)
        turn = rng.normal(0, writer.turn_spread)
        rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        return np.asarray(np.diag([width, height]) @ np.array([[1.0, 0.0], [-slant, 1.0]]) @ rotation)

    def _strokes(self, strokes: list[NDArray[np.float64]]) -> None:
        """Lays ink along polylines in pixels."""
        every = np.vstack(strokes)
        margin = self._width_px + 2
        left, top = np.floor(every.min(axis=0) - margin).astype(int).clip(0)
        right, bottom = np.ceil(every.max(axis=0) + margin).astype(int)
        part = self._page[top:bottom, left:right]
        if not part.size:
            return
        height, width = part.shape[:2]
        canvas = np.zeros((height * self._over, width * self._over), np.uint8)
        for stroke in strokes:
            points = np.round(((stroke - [left, top]) * self._over) * 16).astype(np.int32)
            pressure = self._rng.normal(1, 0.06)
            thickness = max(1, round(self._width_px * self._over * pressure))
            cv2.polylines(canvas, [points], False, 255, thickness, cv2.LINE_AA, 4)
        ink = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        ink *= 1 - self._writer.translucence
        if self._writer.grain:
            at = self._rng.integers(_GRAIN_PX, size=2)
            rows, columns = (at[0] + np.arange(height)) % _GRAIN_PX, (at[1] + np.arange(width)) % _GRAIN_PX
            ink *= 1 - self._writer.grain * self._writer.texture[rows[:, None], columns].clip(0, 1)
        # Ink filters the light of what is below it: a printed line stays visible under a pale stroke.
        part[:] = part * (1 - ink[:, :, None] * (1 - self._writer.colour / 255))


def _placed(strokes: Strokes, tall: float, widest: float, centre: NDArray[np.float64]) -> Strokes:
    """Recorded strokes, `tall` and no wider than `widest`, about a point."""
    points = np.vstack(strokes)
    low, high = points.min(axis=0), points.max(axis=0)
    width, height = high - low
    scale = tall / max(height, _SHORTEST)
    if width * scale > widest:
        scale = widest / width
    return [(stroke - (low + high) / 2) * scale + centre for stroke in strokes]
