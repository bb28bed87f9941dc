"""A small stroke alphabet of the 33 VIN characters, and a pen that writes it like a hand would.

Every character has one or more variants (a 7 with and without its bar), every variant its strokes, and every stroke
is a text of control points ``x,y`` in hundredths of a unit box, y down. A smooth curve runs through the points; ``|``
makes a corner of the point before it. All control points were made for this project.

    python -m vinscribe.training.pen samples          writes samples/characters/ and its labels.csv

Needs only numpy and OpenCV.
"""

from __future__ import annotations

import argparse
import csv
import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vinscribe.charset import CHARSET
from vinscribe.errors import DataError, UsageError


@dataclass(frozen=True)
class Variant:
    """One way to write a character: a name for file names ("" for the usual way) and its strokes."""

    name: str
    strokes: tuple[str, ...]


def _plain(*strokes: str) -> Variant:
    return Variant("", strokes)


ALPHABET: dict[str, tuple[Variant, ...]] = {
    "0": (_plain("54,6 32,16 21,48 28,82 50,94 72,82 79,48 68,15 54,6 47,8"),),
    "1": (_plain("52,6 50,95"), Variant("upstroke", ("33,27 54,6 | 52,95",))),
    "2": (_plain("21,28 32,10 54,6 74,19 71,41 50,64 20,92 | 50,89 82,92"),),
    "3": (_plain("22,16 46,6 70,16 68,36 43,46 | 67,51 78,69 64,90 40,95 19,84"),),
    "4": (
        Variant("open", ("34,8 18,58 | 84,57", "63,34 60,96")),
        Variant("closed", ("64,96 65,6 | 17,65 | 85,64",)),
    ),
    "5": (_plain("27,10 24,46 | 48,40 72,50 76,72 58,92 36,94 19,84", "27,10 77,8"),),
    "6": (_plain("67,6 42,24 25,54 25,80 46,95 69,87 74,68 56,55 36,60 26,74"),),
    "7": (
        _plain("19,10 80,9 | 60,48 45,96"),
        Variant("crossed", ("19,10 80,9 | 60,48 45,96", "33,53 75,49")),
    ),
    "8": (_plain("71,17 50,6 30,18 36,37 63,55 73,75 54,95 31,88 27,70 43,52 66,35 71,17"),),
    "9": (_plain("74,25 55,7 32,14 25,34 41,50 62,43 74,25 | 73,58 65,96"),),
    "A": (_plain("14,95 49,6", "49,6 86,95", "27,63 75,62"),),
    "B": (_plain("26,6 25,95", "25,8 56,8 72,25 57,43 27,48 | 62,52 78,72 60,91 24,94"),),
    "C": (_plain("79,22 58,7 34,15 19,46 26,80 50,95 80,81"),),
    "D": (_plain("26,7 25,94", "13,9 48,9 78,32 80,64 54,89 13,94"),),
    "E": (_plain("27,7 25,93 | 79,91", "27,8 77,7", "26,49 67,48"),),
    "F": (_plain("28,7 26,96", "28,8 80,7", "27,49 68,47"),),
    "G": (_plain("78,19 56,6 31,17 18,50 28,84 54,95 79,82 | 80,57 | 51,57"),),
    "H": (_plain("21,6 20,95", "79,6 79,95", "20,51 79,48"),),
    "J": (
        Variant("barred", ("36,8 88,8", "64,8 64,68 54,90 35,94 19,76")),
        _plain("68,6 67,68 56,90 36,94 19,74"),
    ),
    "K": (_plain("26,6 25,95", "77,7 27,56", "39,46 82,95"),),
    "L": (_plain("27,5 25,92 | 81,90"),),
    "M": (_plain("14,95 21,7 | 50,64 | 79,7 | 86,95"),),
    "N": (_plain("20,95 21,7 | 78,93 | 79,6"),),
    "P": (_plain("26,7 25,96", "25,8 58,7 78,25 61,48 26,53"),),
    "R": (_plain("26,7 25,96", "25,8 58,7 76,25 59,47 26,51 | 81,95"),),
    "S": (_plain("76,17 54,6 31,16 32,37 57,51 76,70 62,91 39,95 19,83"),),
    "T": (_plain("13,9 87,8", "50,9 49,96"),),
    "U": (_plain("20,6 20,58 29,87 50,95 71,87 80,58 80,6"),),
    "V": (_plain("15,6 49,95 | 85,6"),),
    "W": (_plain("4,7 27,94 | 50,26 | 73,94 | 96,6"),),
    "X": (_plain("18,6 82,95", "81,6 18,95"),),
    "Y": (_plain("17,6 50,50", "83,6 50,50 | 49,96"),),
    "Z": (
        _plain("19,9 81,8 | 17,93 | 84,91"),
        Variant("crossed", ("19,9 81,8 | 17,93 | 84,91", "30,52 71,48")),
    ),
}
"""Character -> its variants, the most usual one first."""


@dataclass(frozen=True)
class Hand:
    """How a hand writes: means and spreads (standard deviations) of what differs from character to character.

    Heights and widths are fractions of the picture's side, the wobble a fraction of the character's box.
    """

    height: float = 0.72
    height_spread: float = 0.03
    aspect: float = 0.95  # width of the unit box over its height
    aspect_spread: float = 0.06
    slant_deg: float = 5.0  # to the right
    slant_spread_deg: float = 6.0
    turn_spread_deg: float = 2.5
    shift_spread: float = 0.02
    wobble: float = 0.015
    pen_width: float = 0.08
    pen_width_spread: float = 0.012


_OVERSAMPLING = 4  # ink is drawn this much larger and averaged: smooth edges at any pen width
_STEPS = 12  # straight pieces between two control points
_FREE_MARGIN = 0.04  # no ink nearer to the edge than this fraction of the side


def variant_of(char: str, name: str) -> Variant:
    """The variant of this name; raises ``UsageError`` where the alphabet has no such character or variant."""
    if char not in ALPHABET:
        raise UsageError(f"The stroke alphabet has no character {char!r}. It has {CHARSET}.")
    for variant in ALPHABET[char]:
        if variant.name == name:
            return variant
    names = ", ".join(repr(variant.name) for variant in ALPHABET[char])
    raise UsageError(f"The character {char} has no variant {name!r}. It has {names}.")


def draw(
    char: str,
    rng: np.random.Generator,
    size_px: int = 28,
    variant: str | None = None,
    hand: Hand | None = None,
) -> NDArray[np.uint8]:
    """A handwritten character: uint8 (size_px, size_px), white ink (255) on black (0), soft edges, all ink inside.

    ``variant`` None takes any variant of the character by chance. The same generator state gives the same picture.
    Raises ``UsageError`` for an unknown character or variant, or a side under 8 px.
    """
    if size_px < 8:
        raise UsageError(f"A character needs at least 8 px, not size_px={size_px}.")
    hand = hand or Hand()
    if variant is None and char in ALPHABET:
        chosen = ALPHABET[char][rng.integers(len(ALPHABET[char]))]
    else:
        chosen = variant_of(char, variant or "")
    strokes = [_curve(stroke, rng, hand.wobble) for stroke in chosen.strokes]
    pen_width = max(0.03, rng.normal(hand.pen_width, hand.pen_width_spread))
    return _ink(_place(strokes, rng, hand, pen_width), pen_width, size_px)


def _curve(stroke: str, rng: np.random.Generator, wobble: float) -> NDArray[np.float64]:
    """Points (N, 2) along a stroke in the unit box, its control points moved a little."""
    pieces = [
        [tuple(float(part) / 100 for part in point.split(",")) for point in piece.split()]
        for piece in stroke.split("|")
    ]
    curves, corner = [], np.empty((0, 2))
    for piece in pieces:
        moved = np.array(piece) + rng.normal(0, wobble, (len(piece), 2))
        points = np.vstack([corner, moved])
        curves.append(_catmull_rom(points))
        corner = points[-1:]
    return np.vstack(curves)


def _catmull_rom(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """A smooth curve (M, 2) through points (N, 2), N >= 2.

    Source: Catmull and Rom, A class of local interpolating splines, 1974 (uniform form).
    """
    ends = [2 * points[0] - points[1]], [2 * points[-1] - points[-2]]
    p0, p1, p2, p3 = (np.vstack([ends[0], points, ends[1]])[i : len(points) - 1 + i, None] for i in range(4))
    t = np.linspace(0, 1, _STEPS)[None, :, None]
    curve = p1 + t / 2 * (p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0)))
    return np.asarray(curve, float).reshape(-1, 2)


def _place(
    strokes: list[NDArray[np.float64]], rng: np.random.Generator, hand: Hand, pen_width: float
) -> list[NDArray[np.float64]]:
    """Strokes of the unit box, slanted, turned and scaled, in fractions of the picture's side and well inside it."""
    slant = np.tan(np.radians(rng.normal(hand.slant_deg, hand.slant_spread_deg)))
    turn = np.radians(rng.normal(0, hand.turn_spread_deg))
    height = np.clip(rng.normal(hand.height, hand.height_spread), 0.4, 1.0)
    width = height * rng.normal(hand.aspect, hand.aspect_spread)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix = rotation @ np.array([[1.0, -slant], [0.0, 1.0]]) @ np.diag([width, height])
    placed = [stroke @ matrix.T for stroke in strokes]
    low, high = np.min(np.vstack(placed), axis=0), np.max(np.vstack(placed), axis=0)
    room = 1 - 2 * _FREE_MARGIN - pen_width
    scale = min(1.0, room / np.max(high - low))
    centre = 0.5 + rng.normal(0, hand.shift_spread, 2)
    slack = (room - scale * (high - low)) / 2
    centre = np.clip(centre, 0.5 - slack, 0.5 + slack)
    return [(stroke - (low + high) / 2) * scale + centre for stroke in placed]


def _ink(strokes: list[NDArray[np.float64]], pen_width: float, size_px: int) -> NDArray[np.uint8]:
    side = size_px * _OVERSAMPLING
    canvas = np.zeros((side, side), np.uint8)
    thickness = max(1, round(pen_width * side))
    for stroke in strokes:
        # OpenCV takes whole numbers with 4 binary digits behind the point; pixel centres lie at whole numbers.
        points = np.round((stroke * side - 0.5) * 16).astype(np.int32)
        cv2.polylines(canvas, [points], isClosed=False, color=255, thickness=thickness, lineType=cv2.LINE_AA, shift=4)
    return np.asarray(cv2.resize(canvas, (size_px, size_px), interpolation=cv2.INTER_AREA), np.uint8)


# The sample pictures

_SAMPLE_VARIANTS = {"1": "upstroke", "4": "open", "7": "crossed", "J": "barred", "Z": "crossed"}
_INKS_BGR = ((40, 35, 30), (140, 60, 30), (60, 60, 60))  # black, blue, pencil
_PAPERS_BGR = ((252, 252, 252), (225, 240, 245), (235, 235, 230))
_ALPHA_CHAR, _DEEP_CHAR = "A", "M"  # one picture with only an alpha channel to see, one with 16 bits
_JPEG_CHARS = "26BHRW"


def write_samples(folder: str | os.PathLike[str], seed: int = 0) -> list[Path]:
    """Writes a picture of each of the 33 characters and ``labels.csv`` (file,label) to ``folder``; returns the paths.

    The pictures have sides of 28 to 72 px and differ in what a reader must cope with: white on black and dark on
    light, grey and colour, PNG and JPEG, 16 bits, alpha. The same seed gives the same pixels. Raises ``DataError``
    where a file cannot be written.
    """
    folder, paths = Path(folder), []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for label, char in enumerate(CHARSET):
            variant = _SAMPLE_VARIANTS.get(char, "")
            ending = "jpg" if char in _JPEG_CHARS else "png"
            path = folder / f"{char}{'_' * bool(variant)}{variant}.{ending}"
            picture = _sample(char, variant, np.random.default_rng([seed, label]), on_paper=label % 2 == 0)
            path.write_bytes(cv2.imencode(f".{ending}", picture)[1].tobytes())
            paths.append(path)
        with open(folder / "labels.csv", "w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["file", "label"])
            rows.writerows([path.name, path.name[0]] for path in paths)
    except OSError as error:
        raise DataError(f"Cannot write the samples to {folder}: {error}. Choose another folder.") from error
    return paths


def _sample(char: str, variant: str, rng: np.random.Generator, on_paper: bool) -> NDArray[np.unsignedinteger]:
    """One sample picture as OpenCV writes it: grey, BGR or BGRA; uint8 or uint16."""
    ink = draw(char, rng, int(rng.integers(28, 73)), variant)
    if char == _ALPHA_CHAR:
        return np.dstack([np.full_like(ink, value) for value in _INKS_BGR[1]] + [ink])
    if char == _DEEP_CHAR:
        return ink.astype(np.uint16) * 257
    if not on_paper:
        return ink
    pick = rng.integers(3)
    share = ink[:, :, None] / 255.0
    coloured = share * _INKS_BGR[pick] + (1 - share) * _PAPERS_BGR[pick] + rng.normal(0, 2, ink.shape)[:, :, None]
    return np.clip(coloured, 0, 255).astype(np.uint8)


def main(args: list[str] | None = None) -> None:
    """The command ``python -m vinscribe.training.pen samples [--folder DIR] [--seed N]``."""
    parser = argparse.ArgumentParser(prog="python -m vinscribe.training.pen", description="Draws characters.")
    verbs = parser.add_subparsers(required=True)
    samples = verbs.add_parser("samples", help="write a picture of each character and labels.csv")
    samples.add_argument("--folder", default="samples/characters", help="default: %(default)s")
    samples.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    chosen = parser.parse_args(args)
    print(f"{len(write_samples(chosen.folder, chosen.seed))} pictures and labels.csv in {chosen.folder}")


if __name__ == "__main__":
    main()
