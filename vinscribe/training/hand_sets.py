"""More hands to train on: Swiss, Italian and Spanish digits, each set split by who wrote.

`read_hands` reads what there is of three folders, side by side in one:

- ``swiss_digits/``: ``digits.zip`` (PNG, ballpoint on scanned sheets) and ``labels.csv`` (columns ``file``, ``label``,
  ``writer``; others are not looked at).
- ``semeion_digits/``: ``semeion.data``, a character a line: 256 pixels (16 x 16, row by row, 1 is ink), then ten
  columns, one for each digit, of which one is 1.
- ``uji_digits/``: pen strokes of Spanish writers, in the format of `vinscribe.training.unipen`, read by its
  ``read_strokes``.

**The rule of the splits.** No writer is in two parts.

- Swiss: the writers' names, ordered by their sha256 (UTF-8): the first 4 are test, the next 2 validation, the others
  train. With 14 writers the rule of UNIPEN's bytes would leave 6 of them to train.
- Spanish: UNIPEN's rule, see `vinscribe.training.unipen`.
- Italian: the writers are not named, and everyone wrote each digit twice, first neatly, then fast. ``semeion.data``
  runs through the digits 0 to 9 six times; the second run has the second digits of the first run's writers in the same
  order, as have the fourth of the third's and the sixth of the fifth's (their pictures are alike, place by place,
  those of other runs are not). So the runs make three groups: 20 writers, 20 and 40. The first group is test, the
  second validation, the third train.

DigiLeTs (``digilets/``) is for measuring only and never read here.

Sources: A. Schroeder, "Handwritten digits", github.com/kensanata/numbers (CC0 1.0); M. Buscema, S. Terzi, Semeion
Research Center, "Semeion Handwritten Digit", UCI Machine Learning Repository, doi:10.24432/C5SC8V (CC BY 4.0);
D. Llorens et al., "The UJIpenchars Database", LREC 2008, and "UJI Pen Characters (Version 2)", UCI, doi:10.24432/C5K898
(CC BY 4.0). Changes made here: cut out, scaled, smoothed, turned to white on black.
"""

import csv
import hashlib
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vinscribe.cells import INK_SHARE, normalise
from vinscribe.charset import CHARSET, is_vin_char, label_of
from vinscribe.errors import DataError
from vinscribe.training.unipen import LABELS_FILE, PARTS, StrokeSet, read_strokes, split_writers

SWISS_FOLDER, SEMEION_FOLDER, UJI_FOLDER = "swiss_digits", "semeion_digits", "uji_digits"
PICTURES_FILE = "digits.zip"
SEMEION_FILE = "semeion.data"
SIZE_PX = 56
SWISS_TEST_WRITERS = 4
SWISS_VALIDATION_WRITERS = 2
SEMEION_SIDE = 16
SEMEION_RUNS = 6
SEMEION_PARTS = {"group0": "test", "group1": "validation", "group2": "train"}

_LEAST_CONTRAST = 24  # below the paper; weaker pixels are no ink when a character is looked for
_PEOPLE = 8  # in a part of a group of Italian writers
_SPECK_PX = 6  # connected ink of fewer pixels does not count as part of the character


@dataclass(frozen=True)
class PictureSet:
    """Characters as pictures of one size.

    Attributes:
        images: uint8 (N, S, S), white ink (255) on black (0); the ink's longer side is 6/7 of the side and its box in
            the middle, as in EMNIST.
        labels: int64 (N,), 0..32, see ``charset.CHARSET``.
        writers: (N,) str, who wrote each character.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    writers: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.images)

    def select(self, rows: NDArray[Any]) -> "PictureSet":
        """The characters that a mask (N,) bool picks, or those of row numbers, in that order."""
        return PictureSet(self.images[rows], self.labels[rows], self.writers[rows])


@dataclass(frozen=True)
class HandSets:
    """What there is of the three sets; None where its folder is missing."""

    swiss: PictureSet | None
    semeion: PictureSet | None
    uji: StrokeSet | None

    def part(self, name: str) -> "HandSets":
        """The same of one part, ``train``, ``validation`` or ``test``, by the rule above.

        Raises:
            ValueError: no such part.
        """
        if name not in PARTS:
            raise ValueError(f"part {name!r}; choose of {', '.join(PARTS)}")
        return HandSets(
            None if self.swiss is None else split_swiss(self.swiss)[name],
            None if self.semeion is None else split_semeion(self.semeion)[name],
            None if self.uji is None else split_writers(self.uji)[name],
        )

    def sha256(self) -> str:
        """64 hexadecimal digits over all that is in it: pixels, points, labels and writers, in order."""
        digest = hashlib.sha256()
        for name, pictures in (("swiss", self.swiss), ("semeion", self.semeion)):
            if pictures is not None:
                digest.update(f"{name} {pictures.images.shape}\n".encode())
                digest.update(np.ascontiguousarray(pictures.images).tobytes())
                digest.update(_of_people(pictures))
        if self.uji is not None:
            digest.update(f"uji {len(self.uji)}\n".encode())
            for character in self.uji.strokes:
                digest.update(f"{[len(stroke) for stroke in character]}\n".encode())
                for stroke in character:
                    digest.update(np.ascontiguousarray(stroke, "<f4").tobytes())
            digest.update(_of_people(self.uji))
        return digest.hexdigest()


def read_hands(folder: Path, size_px: int = SIZE_PX) -> HandSets:
    """Reads the sets that a folder holds: ``swiss_digits/``, ``semeion_digits/``, ``uji_digits/``.

    Args:
        folder: where the folders of the sets lie.
        size_px: side of the pictures.

    Raises:
        DataError: none of the three is there, or one is damaged.
    """
    folder = Path(folder)
    swiss, semeion, uji = (folder / name for name in (SWISS_FOLDER, SEMEION_FOLDER, UJI_FOLDER))
    if not any(path.is_dir() for path in (swiss, semeion, uji)):
        raise DataError(
            f"{folder}: none of the folders {SWISS_FOLDER}, {SEMEION_FOLDER} and {UJI_FOLDER} is there; give the "
            "folder that holds them"
        )
    return HandSets(
        read_swiss(swiss, size_px) if swiss.is_dir() else None,
        read_semeion(semeion, size_px) if semeion.is_dir() else None,
        read_strokes(uji) if uji.is_dir() else None,
    )


def read_swiss(folder: Path, size_px: int = SIZE_PX) -> PictureSet:
    """Reads the Swiss digits, in the order of their lines, cut out and prepared by ``cells.normalise``.

    Raises:
        DataError: a file is missing or damaged, a picture is missing or empty, or a label is no VIN character.
    """
    folder = Path(folder)
    pictures = swiss_pictures(folder)
    images = np.zeros((len(pictures), size_px, size_px), np.uint8)
    for image, (name, _, _, grey) in zip(images, pictures, strict=True):
        cut = _cut_out(grey)
        if cut is None:
            raise DataError(f"{folder / PICTURES_FILE}: {name} shows no ink; fetch the archive again")
        image[:] = normalise(cut, size_px)
    labels = np.array([label_of(char) for _, char, _, _ in pictures], np.int64)
    return PictureSet(images, labels, np.array([writer for _, _, writer, _ in pictures], np.str_))


def swiss_pictures(folder: Path) -> list[tuple[str, str, str, NDArray[np.uint8]]]:
    """The Swiss digits as they lie: file name, label (a character), writer, grey picture uint8 (height, width).

    Raises:
        DataError: see `read_swiss`.
    """
    rows = _read_rows(Path(folder) / LABELS_FILE)
    path = Path(folder) / PICTURES_FILE
    try:
        with zipfile.ZipFile(path) as archive:
            return [(*row, _decoded(archive, row[0], path)) for row in rows]
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing; give the folder that holds {LABELS_FILE} and {PICTURES_FILE}") from error
    except (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{path} is damaged ({error}); fetch it again") from error


def read_semeion(folder: Path, size_px: int = SIZE_PX) -> PictureSet:
    """Reads the Italian digits, in the order of their lines, enlarged without steps, and then all of them with steps.

    In the file every character fills its 16 x 16 pixels in both directions whatever its shape was, and so it does here.

    Raises:
        DataError: the file is missing or damaged, or its lines are not in their order.
    """
    pixels, labels, writers = semeion_pictures(folder)
    images = [enlarged(picture, size_px) for picture in pixels] + [_blocks(picture, size_px) for picture in pixels]
    return PictureSet(np.stack(images), np.tile(labels, 2), np.tile(writers, 2))


def semeion_pictures(folder: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.str_]]:
    """The Italian digits as they lie.

    Returns:
        uint8 (N, 16, 16), 1 where there is ink; int64 (N,), their digits; (N,) str, the group, ``group0`` to
        ``group2``, and behind a dash which of its parts: about eight people each, as places shift where a digit is
        missing.

    Raises:
        DataError: see `read_semeion`.
    """
    path = Path(folder) / SEMEION_FILE
    try:
        with path.open(encoding="ascii") as file:
            lines = [_parse(line, f"{path}, line {number}") for number, line in enumerate(file, 1) if line.strip()]
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing; give the folder that holds {SEMEION_FILE}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}); fetch it again") from error
    labels = np.array([label for _, label in lines], np.int64)
    runs = np.cumsum(np.diff(labels, prepend=labels[:1]) < 0)
    if not len(labels) or runs[-1] != SEMEION_RUNS - 1:
        raise DataError(
            f"{path}: its {len(labels):,} lines run through the digits {runs[-1] + 1 if len(runs) else 0} times, not "
            f"{SEMEION_RUNS}; the order of the lines tells who wrote them, fetch the file as it was published"
        )
    starts = np.maximum.accumulate(np.where(np.diff(labels, prepend=-1) != 0, np.arange(len(labels)), 0))
    places = np.arange(len(labels)) - starts
    people = [f"group{run // 2}-{place // _PEOPLE}" for run, place in zip(runs, places, strict=True)]
    return np.stack([pixels for pixels, _ in lines]), labels, np.array(people, np.str_)


def enlarged(pixels: NDArray[np.uint8], size_px: int = SIZE_PX) -> NDArray[np.uint8]:
    """A small picture of ink (1) and paper (0), enlarged without steps; strokes keep their width.

    Args:
        pixels: uint8 (n, n).
        size_px: side of the result; the pixels fill 6/7 of it, in the middle.

    Returns:
        uint8 (size_px, size_px), white ink on black.
    """
    edge, fine = 2, 8  # paper around it, in pixels; finer pixels a pixel
    small = cv2.copyMakeBorder(pixels.astype(np.float32), edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=0)
    large = cv2.resize(small, None, fx=fine, fy=fine, interpolation=cv2.INTER_CUBIC)
    smooth = cv2.GaussianBlur(large, (0, 0), _SMOOTHING * fine)
    # Half of the ink's brightness is the edge of a wide stroke; a line one pixel wide hardly reaches it.
    sharp = np.clip(0.5 + (smooth - _EDGE_LEVEL) * _SHARPNESS, 0, 1)
    scale = INK_SHARE * size_px / len(pixels)  # of a pixel in the result
    matrix = np.array([[scale / fine, 0, 0], [0, scale / fine, 0]])
    matrix[:, 2] = (size_px - 1) / 2 - scale / fine * (len(sharp) - 1) / 2
    if scale < fine:
        sharp = cv2.GaussianBlur(sharp, (0, 0), 0.4 * fine / scale)  # what is left out would make steps
    placed = cv2.warpAffine(sharp.astype(np.float32), matrix, (size_px, size_px), flags=cv2.INTER_LINEAR)
    return np.rint(255 * placed).astype(np.uint8)


_SMOOTHING = 0.8  # standard deviation, in pixels of the small picture
_EDGE_LEVEL = 0.42
_SHARPNESS = 6.0  # the edge goes from paper to ink in a sixth of the ink's brightness


def _blocks(pixels: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """The same as `enlarged`, with the steps that the pixels make."""
    side = round(INK_SHARE * size_px)
    image = np.zeros((size_px, size_px), np.uint8)
    first = (size_px - side) // 2
    large = cv2.resize(pixels * np.uint8(255), (side, side), interpolation=cv2.INTER_NEAREST)
    image[first : first + side, first : first + side] = large
    return image


def split_swiss(pictures: PictureSet) -> dict[str, PictureSet]:
    """The parts ``train``, ``validation`` and ``test`` of the Swiss digits; a part may be empty."""
    part = swiss_parts(pictures.writers.tolist())
    parts = np.array([part[writer] for writer in pictures.writers.tolist()], np.str_)
    return {name: pictures.select(parts == name) for name in PARTS}


def swiss_parts(writers: Iterable[str]) -> dict[str, str]:
    """'test', 'validation' or 'train' for each of **all** writers of the Swiss digits, by the rule above."""
    ordered = sorted(set(writers), key=lambda writer: hashlib.sha256(writer.encode()).digest())
    first, second = SWISS_TEST_WRITERS, SWISS_TEST_WRITERS + SWISS_VALIDATION_WRITERS
    parts = ["test"] * first + ["validation"] * (second - first)
    return {writer: parts[place] if place < second else "train" for place, writer in enumerate(ordered)}


def split_semeion(pictures: PictureSet) -> dict[str, PictureSet]:
    """The parts ``train``, ``validation`` and ``test`` of the Italian digits."""
    parts = np.array([SEMEION_PARTS[writer.split("-")[0]] for writer in pictures.writers.tolist()], np.str_)
    return {name: pictures.select(parts == name) for name in PARTS}


def _read_rows(path: Path) -> list[tuple[str, str, str]]:
    """File, label (a character) and writer of each line."""
    found = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            missing = {"file", "label", "writer"} - set(rows.fieldnames or ())
            if missing:
                raise DataError(f"{path}: no column {', '.join(sorted(missing))} (found: {rows.fieldnames})")
            for row in rows:
                where = f"{path}, line {rows.line_num}"
                if not row["file"]:
                    raise DataError(f"{where}: no file name; fetch it again")
                if not is_vin_char(row["label"] or ""):
                    raise DataError(f"{where}: label {row['label']!r}; expected one of {CHARSET}")
                if not row["writer"]:
                    raise DataError(f"{where}: no writer; without one the character cannot be kept to one part")
                found.append((row["file"], row["label"], row["writer"]))
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing; give the folder that holds {LABELS_FILE} and {PICTURES_FILE}") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read ({error}); fetch it again") from error
    if not found:
        raise DataError(f"{path}: no line; fetch it again")
    return found


def _decoded(archive: zipfile.ZipFile, name: str, path: Path) -> NDArray[np.uint8]:
    try:
        data = archive.read(name)
    except KeyError as error:
        raise DataError(f"{path}: {name} of {LABELS_FILE} is not in it; fetch both again") from error
    grey = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) if data else None
    if grey is None:
        raise DataError(f"{path}: {name} is no picture; fetch the archive again")
    return np.asarray(grey, np.uint8)


def _cut_out(grey: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """The square around dark ink whose side the ink fills to 6/7, paper where it reaches over the picture's edge.

    None where there is no ink.
    """
    paper = int(np.median(grey))
    ink = cv2.subtract(np.full_like(grey, paper), grey)
    level = max(_LEAST_CONTRAST, 0.25 * int(ink.max()))
    mask = cv2.threshold(ink, level, 255, cv2.THRESH_BINARY)[1]
    _, _, boxes, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    boxes = boxes[1:][boxes[1:, cv2.CC_STAT_AREA] >= _SPECK_PX]  # the first is the paper
    if not len(boxes):
        return None
    low = boxes[:, :2].min(0)
    size = (boxes[:, :2] + boxes[:, 2:4]).max(0) - low
    side = round(float(size.max()) / INK_SHARE)
    left, top = (low + (size - side) // 2).tolist()
    height, width = grey.shape
    above, below, before, behind = (max(0, gap) for gap in (-top, top + side - height, -left, left + side - width))
    wider = cv2.copyMakeBorder(grey, above, below, before, behind, cv2.BORDER_CONSTANT, value=paper)
    left, top = max(left, 0), max(top, 0)
    return np.asarray(wider[top : top + side, left : left + side], np.uint8)


def _parse(line: str, where: str) -> tuple[NDArray[np.uint8], int]:
    """One line's pixels, uint8 (16, 16), and its digit."""
    try:
        values = np.array(line.split(), np.float64)
    except ValueError as error:
        raise DataError(f"{where}: {error}; fetch the file again") from error
    count = SEMEION_SIDE**2
    if len(values) != count + 10 or not np.isin(values, (0, 1)).all() or values[count:].sum() != 1:
        raise DataError(
            f"{where}: {len(values)} values where {count} pixels and ten columns with a single 1 belong, all of them 0 "
            "or 1; fetch the file again"
        )
    return values[:count].reshape(SEMEION_SIDE, SEMEION_SIDE).astype(np.uint8), int(values[count:].argmax())


def _of_people(characters: PictureSet | StrokeSet) -> bytes:
    labels = np.ascontiguousarray(characters.labels, "<i8").tobytes()
    return labels + "\n".join(characters.writers.tolist()).encode()
