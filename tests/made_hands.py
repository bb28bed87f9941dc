"""Small folders of hands for the tests, in the layouts of the real ones: scanned digits, pen strokes, fonts."""

import csv
import gzip
import json
import zipfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from numpy.typing import NDArray

WRITERS = [f"{number:04d}" for number in range(14)]
"""Of the Swiss digits."""
WIDTH = 80  # of the pen, in the font's units; the characters are about 1,000 high

# The pen's ways, y upward as in a font.
WAYS = {
    "1": [[(0, 0), (0, 1000)]],
    "C": [[(600 * np.cos(angle), 600 * np.sin(angle)) for angle in np.linspace(0.8, 5.5, 40)]],
    "E": [[(500, 1000), (0, 1000), (0, 0), (500, 0)], [(0, 500), (400, 500)]],
    "L": [[(0, 1000), (0, 0), (600, 0)]],
    "T": [[(-400, 1000), (400, 1000)], [(0, 1000), (0, 0)]],
    "V": [[(0, 1000), (350, 0), (700, 1000)]],
    "X": [[(0, 0), (600, 1000)], [(0, 1000), (600, 0)]],
    "Z": [[(0, 1000), (600, 1000), (0, 0), (600, 0)]],
}


# Digits


def picture(digit: int, left: int = 30) -> NDArray[np.uint8]:
    """Grey ink on white: a bar, the wider the greater the digit, and a far-off speck."""
    page = np.full((90, 100), 250, np.uint8)
    page[20:60, left : left + 3 + digit] = 120
    page[85, 95] = 120
    return page


def write_swiss(root: Path, rows: Sequence[tuple[str, str, str]] | None = None) -> Path:
    folder = root / "swiss_digits"
    folder.mkdir(exist_ok=True)
    if rows is None:
        rows = [(f"{writer}_{digit}.png", str(digit), writer) for writer in WRITERS for digit in (1, 7)]
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "label", "writer"), *rows])
    with zipfile.ZipFile(folder / "digits.zip", "w") as archive:
        for name, label, _ in rows:
            archive.writestr(name, cv2.imencode(".png", picture(ord(label or "0") % 10))[1].tobytes())
    return folder


def semeion_lines(runs: int = 6) -> list[str]:
    """Two of each digit in each run; a ring whose lower half is as thick as the digit says."""
    lines = []
    for number in range(runs * 20):
        digit = number // 2 % 10
        ring = np.zeros((16, 16), np.uint8)
        ring[[0, 15]] = ring[:, [0, 15]] = 1
        ring[14 - digit // 2 : 15] = 1
        columns = [int(column == digit) for column in range(10)]
        lines.append(" ".join(f"{value}.0000" for value in ring.ravel()) + " " + " ".join(map(str, columns)) + " \n")
    return lines


def write_semeion(root: Path, lines: Sequence[str] | None = None) -> Path:
    folder = root / "semeion_digits"
    folder.mkdir(exist_ok=True)
    (folder / "semeion.data").write_text("".join(semeion_lines() if lines is None else lines))
    return folder


def write_uji(root: Path) -> Path:
    return write_strokes(root / "uji_digits", [f"u{number:02d}" for number in range(40)])


def write_strokes(folder: Path, writers: Sequence[str], labels: str = "0123456789") -> Path:
    """A single stroke by each writer, all of them different; the labels in turn."""
    folder.mkdir(parents=True)
    with gzip.open(folder / "strokes.jsonl.gz", "wt") as file:
        file.writelines(json.dumps([[[0, 0], [row + 1, 30]]]) + "\n" for row in range(len(writers)))
    with (folder / "labels.csv").open("w", newline="") as file:
        rows = [(row, labels[row % len(labels)], writer) for row, writer in enumerate(writers)]
        csv.writer(file).writerows([("index", "label", "writer"), *rows])
    return folder


# Fonts


def draw(ways: Sequence[Sequence[tuple[float, float]]], pen: TTGlyphPen) -> None:
    """Each straight part as a rectangle with the pen's width, and a disc at each of its points."""
    for way in ways:
        points = np.array(way, np.float64)
        for one, two in pairwise(points):
            ahead = (two - one) / np.linalg.norm(two - one) * WIDTH / 2
            aside = np.array([-ahead[1], ahead[0]])
            close(pen, np.array([one + aside, two + aside, two - aside, one - aside]))
        turn = np.linspace(0, -2 * np.pi, 24, endpoint=False)
        for point in points:
            close(pen, point + WIDTH / 2 * np.stack([np.cos(turn), np.sin(turn)], axis=1))


def close(pen: TTGlyphPen, corners: NDArray[np.float64]) -> None:
    corners = np.rint(corners).astype(int)
    pen.moveTo(tuple(corners[0].tolist()))
    for corner in corners[1:]:
        pen.lineTo(tuple(corner.tolist()))
    pen.closePath()


def install(folder: Path, name: str, weight: int = 400) -> None:
    """A font of the characters above, in the layout of its npm package."""
    builder = FontBuilder(1000, isTTF=True)
    order = [".notdef", *(f"char{ord(char)}" for char in WAYS)]
    builder.setupGlyphOrder(order)
    builder.setupCharacterMap({ord(char): f"char{ord(char)}" for char in WAYS})
    glyphs = {".notdef": TTGlyphPen(None).glyph()}
    for char, ways in WAYS.items():
        pen = TTGlyphPen(None)
        draw(ways, pen)
        glyphs[f"char{ord(char)}"] = pen.glyph()
    builder.setupGlyf(glyphs)
    builder.setupHorizontalMetrics(dict.fromkeys(order, (1000, 0)))
    builder.setupHorizontalHeader(ascent=1000, descent=-200)
    builder.setupNameTable({"familyName": name, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.font.flavor = "woff2"
    files = folder / "node_modules" / "@fontsource" / name / "files"
    files.mkdir(parents=True, exist_ok=True)
    builder.save(files / f"{name}-latin-{weight}-normal.woff2")


def list_fonts(folder: Path, *names: str) -> None:
    packages = {f"@fontsource/{name}": "1.0.0" for name in names}
    (folder / "package.json").write_text(json.dumps({"dependencies": packages}))
