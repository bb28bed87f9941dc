"""The sample pictures: cells as scanners and cameras give them. Needs only numpy and OpenCV.

    python -m vinscribe.training.samples

writes ``samples/characters``, a cell of every character, about half of them with the box that it was written into;
``samples/vin``, the 17 cells of a VIN, cut from one form; and ``samples/cards``, scans of three whole cards.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vinscribe.charset import CHARSET
from vinscribe.errors import DataError
from vinscribe.training.cards import TRUTH_FILE, draw_card
from vinscribe.training.pen import Hand, draw

_VARIANTS = {
    "0": "slashed",
    "1": "upstroke",
    "2": "looped",
    "4": "open",
    "5": "one_stroke",
    "6": "curled",
    "7": "crossed",
    "9": "curled",
    "G": "two",
    "J": "barred",
    "Y": "school",
    "Z": "crossed",
}
_KINDS = {
    "bare": "28FLPTV",  # white on black
    "paper": "6ABCHNSY",  # dark on paper
    "frame": "157GMU",  # white on black in a white frame
    "pale": "4EJZ",  # dark on paper in a box of pale lines
    "dark": "09RW",  # the same, of dark lines
    "slivers": "3DKX",  # dark on paper, with what was cut off the lines and the neighbours
}
_KIND_OF = {char: kind for kind, chars in _KINDS.items() for char in chars}
_INKS_BGR = ((40, 35, 30), (140, 60, 30), (60, 60, 60))  # black, blue, pencil
_PAPERS_BGR = ((252, 252, 252), (225, 240, 245), (235, 235, 230))
_PALE_BGR = ((225, 195, 190), (190, 190, 230), (190, 190, 190))
_ALPHA_CHAR, _DEEP_CHAR = "A", "M"  # one picture with only an alpha channel to see, one with 16 bits
_JPEG_CHARS = "26BHRW"
_FRAME_PX = 72
_WRITER = Hand(height=0.75, pen_width=0.065)  # in boxes

VIN = "1HGCM82633A004352"
"""What is written in ``samples/vin``."""

_VIN_CELL_PX, _VIN_LINE_PX = 72, 2
_VIN_WRITER = replace(_WRITER, pen_width_spread=0.003)
_VIN_VARIANTS = {"1": "upstroke", "4": "open"}
_VIN_INK_BGR, _VIN_PAPER_BGR, _VIN_LINE_BGR = _INKS_BGR[1], _PAPERS_BGR[0], _PALE_BGR[1]  # a blue pen, rosy boxes

# Name, seed, layout, scan, what is wrong with the VIN, and the VIN, of a model that there is, if not a made-up one. The
# seeds were chosen by eye, for cards in many looks.
_CARDS = (
    ("boxes", 18, "boxes", "grey", None, "1M8GDM9AXKP042788"),  # also an engine number in boxes
    ("comb_struck", 216, "comb", "skewed", "struck", None),  # nobody can be sure what is meant
    ("phone", 194, "double", "phone", None, "5YJSA1DG9DFP14705"),
)
_CARD_DPI = 200


def write_samples(folder: str | os.PathLike[str], seed: int = 0) -> list[Path]:
    """Writes a picture of each of the 33 characters and ``labels.csv`` (file,label) to ``folder``; returns the paths.

    The pictures have sides of 28 to 90 px and differ in what a reader must cope with: white on black and dark on
    light, boxes and parts of them, grey and colour, PNG and JPEG, 16 bits, alpha. The same seed gives the same pixels.
    Raises ``DataError`` where a file cannot be written.
    """
    folder, paths = Path(folder), []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for label, char in enumerate(CHARSET):
            variant = _VARIANTS.get(char, "")
            ending = "jpg" if char in _JPEG_CHARS else "png"
            path = folder / f"{char}{'_' * bool(variant)}{variant}.{ending}"
            picture = _sample(char, variant, np.random.default_rng([seed, label]))
            path.write_bytes(cv2.imencode(f".{ending}", picture)[1].tobytes())
            paths.append(path)
        _write_labels(folder, [(path.name, path.name[0]) for path in paths])
    except OSError as error:
        raise _cannot_write(folder, error) from error
    return paths


def write_vin_sample(folder: str | os.PathLike[str], seed: int = 0) -> list[Path]:
    """Writes ``01.png`` to ``17.png``, the boxed cells of `VIN`, and ``labels.csv`` to ``folder``; returns the paths.

    One pen on one form: 72 px each, in colour. The same seed gives the same pixels. Raises ``DataError`` where a file
    cannot be written.
    """
    folder, paths = Path(folder), []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for position, char in enumerate(VIN):
            rng = np.random.default_rng([seed, position])
            ink = _placed(char, _VIN_VARIANTS.get(char, ""), rng, _VIN_CELL_PX, _VIN_CELL_PX, _VIN_WRITER)
            layers = ((_box(ink.shape, rng, _VIN_LINE_PX), _VIN_LINE_BGR), (ink, _VIN_INK_BGR))
            path = folder / f"{position + 1:02d}.png"
            path.write_bytes(cv2.imencode(".png", _on_paper(_VIN_PAPER_BGR, layers, rng))[1].tobytes())
            paths.append(path)
        _write_labels(folder, [(path.name, char) for path, char in zip(paths, VIN, strict=True)])
    except OSError as error:
        raise _cannot_write(folder, error) from error
    return paths


def write_card_samples(folder: str | os.PathLike[str]) -> list[Path]:
    """Writes three filled-in record cards and ``truth.jsonl`` to ``folder``; returns the cards' paths.

    Boxes, scanned grey; a comb, scanned askew in colour, with one character struck out; and a card photographed on a
    table. The lines of ``truth.jsonl`` are those of ``vinscribe cards``. Raises ``DataError`` where a file cannot be
    written.
    """
    folder, paths, truths = Path(folder), [], []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, seed, layout, scan, negative, vin in _CARDS:
            card = draw_card(seed, layout, scan, negative, _CARD_DPI, vin=vin)
            path = folder / f"{name}{card.ending}"
            path.write_bytes(card.data)
            paths.append(path)
            truths.append(json.dumps({"file": path.name, **asdict(card.truth)}) + "\n")
        (folder / TRUTH_FILE).write_text("".join(truths), encoding="utf-8")
    except OSError as error:
        raise _cannot_write(folder, error) from error
    return paths


def _write_labels(folder: Path, labels: list[tuple[str, str]]) -> None:
    with open(folder / "labels.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerows([("file", "label"), *labels])


def _cannot_write(folder: Path, error: OSError) -> DataError:
    return DataError(f"Cannot write the samples to {folder}: {error}. Choose another folder.")


def _sample(char: str, variant: str, rng: np.random.Generator) -> NDArray[np.unsignedinteger]:
    """One sample picture as OpenCV writes it: grey, BGR or BGRA; uint8 or uint16."""
    kind = _KIND_OF[char]
    if kind in ("bare", "paper"):
        ink = draw(char, rng, int(rng.integers(28, 73)), variant)
        box = np.zeros_like(ink)
    else:
        height, width = (_FRAME_PX, _FRAME_PX) if kind == "frame" else rng.integers((52, 44), (91, 72))
        ink = _placed(char, variant, rng, int(height), int(width))
        box = {"frame": _frame, "slivers": _slivers}.get(kind, _box)(ink.shape, rng)
    if char == _ALPHA_CHAR:
        return np.dstack([np.full_like(ink, value) for value in _INKS_BGR[1]] + [ink])
    if kind in ("bare", "frame"):
        picture = np.maximum(ink, box)
        return picture.astype(np.uint16) * 257 if char == _DEEP_CHAR else picture
    pick = int(rng.integers(3))
    line = _PALE_BGR[pick] if kind == "pale" else _INKS_BGR[0]
    picture = _on_paper(_PAPERS_BGR[pick], ((box, line), (ink, _INKS_BGR[pick])), rng)
    return picture if pick else np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)


def _on_paper(
    paper: tuple[int, ...], layers: Sequence[tuple[NDArray[np.uint8], tuple[int, ...]]], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Layers, each uint8 (height, width) of how much there is and its colour, on paper with a little grain: BGR."""
    shape = layers[0][0].shape
    coloured = np.full((*shape, 3), paper, float)
    for share, colour in layers:
        coloured += share[:, :, None] / 255 * (np.array(colour) - coloured)
    coloured += rng.normal(0, 1, shape)[:, :, None]
    return np.clip(coloured, 0, 255).astype(np.uint8)


def _placed(
    char: str, variant: str, rng: np.random.Generator, height: int, width: int, hand: Hand = _WRITER
) -> NDArray[np.uint8]:
    """The ink of a character in a box of this size, uint8 (height, width), off its centre."""
    side = int(min(height, width * 1.2) * rng.uniform(0.75, 0.95))
    ink = np.zeros((height, width), np.uint8)
    top = (height - side) * rng.uniform(0.3, 0.7)
    left = (width - side) * rng.uniform(0.35, 0.65)
    move = np.array([[1, 0, left], [0, 1, top]])
    return np.asarray(cv2.warpAffine(draw(char, rng, side, variant, hand), move, (width, height), dst=ink), np.uint8)


def _line(picture: NDArray[np.uint8], start: tuple[float, float], stop: tuple[float, float], width_px: int) -> None:
    points = np.round(np.array([start, stop]) * 16).astype(np.int32)  # 4 binary digits behind the point
    cv2.polylines(picture, [points], isClosed=False, color=255, thickness=width_px, lineType=cv2.LINE_AA, shift=4)


def _frame(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A border of 2 to 4 px on each side; here and there with a second line, or with a side cut off."""
    frame = np.full(shape, 255, np.uint8)
    top, left, bottom, right = rng.integers(2, 5, 4)
    if rng.random() < 0.25:
        right = 0
    frame[top : shape[0] - bottom, left : shape[1] - right] = 0
    if rng.random() < 0.4:
        frame[:, left + 2] = 255
    return frame


def _box(shape: tuple[int, ...], rng: np.random.Generator, width_px: int | None = None) -> NDArray[np.uint8]:
    """Four lines, a little away from the picture's edge, not quite straight; 1 or 2 px wide where it is not said."""
    height, width = shape
    box = np.zeros(shape, np.uint8)
    top, left, bottom, right = rng.uniform(1, 6, 4)
    corners = [
        (left, top),
        (width - 1 - right, top),
        (width - 1 - right, height - 1 - bottom),
        (left, height - 1 - bottom),
    ]
    corners = [(x + rng.uniform(-0.7, 0.7), y + rng.uniform(-0.7, 0.7)) for x, y in corners]
    width_px = width_px or int(rng.integers(1, 3))
    for start, stop in zip(corners, corners[1:] + corners[:1], strict=True):
        _line(box, start, stop, width_px)
    return box


def _slivers(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Pieces of the lines on two sides, and the end of a neighbour's stroke on a third."""
    height, width = shape
    parts = np.zeros(shape, np.uint8)
    _line(parts, (0, height - 1), (width * rng.uniform(0.5, 1), height - 1 - rng.uniform(0, 2)), 2)
    _line(parts, (0, height * rng.uniform(0, 0.3)), (rng.uniform(0, 1), height), 2)
    y = height * rng.uniform(0.15, 0.6)
    _line(parts, (width + 6, y + rng.uniform(-9, 9)), (width - rng.uniform(3, 6), y), 3)
    return parts


def main(args: list[str] | None = None) -> None:
    """The command ``python -m vinscribe.training.samples [--folder DIR]``."""
    parser = argparse.ArgumentParser(prog="python -m vinscribe.training.samples", description="Draws the samples.")
    parser.add_argument("--folder", type=Path, default="samples", help="default: %(default)s")
    folder = parser.parse_args(args).folder
    for paths in (write_samples(folder / "characters"), write_vin_sample(folder / "vin")):
        print(f"{len(paths)} pictures and labels.csv in {paths[0].parent}")
    paths = write_card_samples(folder / "cards")
    print(f"{len(paths)} cards and {TRUTH_FILE} in {paths[0].parent}")


if __name__ == "__main__":
    main()
