"""The sets that real ink is measured on: labelled folders, as they lie or drawn once into a scratch folder.

    python benchmarks/ink_sets.py --shared ../shared/data

`ink_sets` gives them to other programs. Of the drawn sets, every picture hangs on the seed and its own number alone;
a set is drawn anew when the seed, its source, OpenCV or the programs that draw it have changed.
"""

import argparse
import csv
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from unseen_boxes import KINDS  # noqa: E402
from unseen_ink import STRIKES, draw_character, draw_empty, draw_struck, overlap  # noqa: E402

from vinscribe.charset import CHARSET, is_vin_char  # noqa: E402
from vinscribe.errors import DataError  # noqa: E402
from vinscribe.training.dataset import Split, make_view  # noqa: E402
from vinscribe.training.emnist import Archive, read_pool  # noqa: E402
from vinscribe.training.hand_sets import (  # noqa: E402
    SEMEION_PARTS,
    semeion_pictures,
    swiss_parts,
    swiss_pictures,
)
from vinscribe.training.unipen import (  # noqa: E402
    VERDICTS_FILE,
    StrokeSet,
    read_strokes,
    split_writers,
    without_doubtful,
)

PEN_WIDTHS = (0.025, 0.05, 0.09)
"""Of the chars74k strokes, in parts of the picture's height."""
CHARS74K_WRITERS = 27
UNIPEN_MOST = 60
"""Characters of one writer at most, so that no hand decides."""
ITALIAN_ENLARGED = 4
"""Times that the Italian digits are enlarged, which lie 16 pixels wide."""
ILLEGIBLE_PICTURES = 1000
"""Pictures in each of the sets ``empty`` and ``struck``."""

Strokes = list[NDArray[Any]]
Picture = tuple[str, str, NDArray[np.uint8]]
"""File name, label, pixels."""


@dataclass(frozen=True)
class InkSet:
    """A folder of labelled pictures.

    Attributes:
        name: ``karvy``, ``boxes`` and so on.
        folder: where the files lie.
        files: paths within the folder.
        labels: for each file its VIN character, or "" where there is no legible one.
        note: what kind of ink it is, in a few words.
    """

    name: str
    folder: Path
    files: list[str]
    labels: list[str]
    note: str


_ORIGINALS = {
    "karvy": ("boxed/karvy", "scanned form cells, blue ballpoint, pale box lines"),
    "markus": ("boxed/markus", "exam digits, black and white"),
    "photographed": ("photographed", "pen and pencil on grey paper"),
    "european_digits": ("european_digits", "scanned, flagged 1, crossed 7"),
}
_DRAWN = {
    "chars74k": "tablet strokes, drawn at three pen widths",
    "unipen": "pen strokes of writers not trained on, drawn at many widths and sizes",
    "swiss": "scanned ballpoint digits of 4 Swiss writers not trained on, as they lie",
    "spanish": "pen strokes of digits of 4 Spanish writers not trained on, drawn as `unipen`",
    "italian": "digits of 20 Italian writers not trained on, 16 x 16 black and white, enlarged",
    "digilets": "pen strokes of 27 German writers, none trained on, drawn as `unipen`",
    "emnist": "`vin` test of EMNIST, bare glyphs",
    "boxes": "`vin` test of EMNIST in boxes drawn by other code than the training's",
    "empty": "boxes of those kinds without a character, some with dirt",
    "struck": "characters struck out or overwritten in such boxes",
}
NAMES = (*_ORIGINALS, *_DRAWN)
_SOURCES = {
    "chars74k": "chars74k",
    "unipen": "unipen",
    "swiss": "swiss_digits",
    "spanish": "uji_digits",
    "italian": "semeion_digits",
    "digilets": "digilets",
}
"""Folders that drawn sets come from; the others come from EMNIST."""


def ink_sets(shared: Path, emnist: Path, scratch: Path, seed: int = 0, only: Collection[str] = NAMES) -> list[InkSet]:
    """The sets, in the order of ``NAMES``; those that are drawn are drawn on the first call, in about two minutes.

    Args:
        shared: folder with ``boxed/karvy``, ``boxed/markus``, ``photographed``, ``european_digits``, ``chars74k``,
            ``unipen``, ``swiss_digits``, ``uji_digits``, ``semeion_digits`` and ``digilets``, as far as they are asked
            for; nothing is written there.
        emnist: the EMNIST archive.
        scratch: folder for the drawn sets, made if missing.
        seed: of the drawn sets.
        only: names of the sets to give; the others are neither read nor drawn.

    Raises:
        DataError: a source is missing or damaged.
    """
    sets = []
    for name in NAMES:
        if name not in only:
            continue
        if name in _ORIGINALS:
            place, note = _ORIGINALS[name]
            sets.append(read_labelled(name, shared / place, note))
        else:
            source = shared / _SOURCES[name] if name in _SOURCES else emnist
            folder = _drawn(name, source, scratch, seed)
            sets.append(read_labelled(name, folder, _DRAWN[name]))
    return sets


def read_labelled(name: str, folder: Path, note: str) -> InkSet:
    """A folder with ``labels.csv`` (columns ``file`` and ``label``), less the rows of other characters than a VIN's.

    Raises:
        DataError: no such file, or no row to use in it.
    """
    path = folder / "labels.csv"
    if not path.is_file():
        raise DataError(f"{path} is missing; give the folder of the sets to --shared, or leave {name} out by --sets")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = [(row["file"], row["label"]) for row in csv.DictReader(file)]
    rows = [(file, label) for file, label in rows if label == "" or is_vin_char(label)]
    if not rows:
        raise DataError(f"{path}: no row with a VIN character")
    return InkSet(name, folder, [file for file, _ in rows], [label for _, label in rows], note)


def _drawn(name: str, source: Path, scratch: Path, seed: int) -> Path:
    """The folder of a drawn set; drawn now, unless one of the same making is there."""
    folder, making = scratch / name, _making(name, source, seed)
    manifest = folder / "manifest.json"
    if manifest.is_file() and json.loads(manifest.read_text()) == making:
        return folder
    print(f"drawing the set {name} into {folder} …", file=sys.stderr)
    unfinished = scratch / f"{name}.{os.getpid()}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    with (unfinished / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(("file", "label"))
        for path, label, pixels in _PICTURES[name](source, seed):
            lines.writerow((path, label))
            if not cv2.imwrite(str(unfinished / path), pixels, _quality(path)):
                raise DataError(f"{unfinished / path} cannot be written; is there room in {scratch}?")
    (unfinished / "manifest.json").write_text(json.dumps(making))
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
    return folder


def _quality(path: str) -> list[int]:
    """JPEG as cameras and offices save it: the file's name decides how much is lost."""
    if not path.endswith(".jpg"):
        return []
    return [cv2.IMWRITE_JPEG_QUALITY, 60 + int(hashlib.sha256(path.encode()).hexdigest(), 16) % 33]


def _making(name: str, source: Path, seed: int) -> dict[str, Any]:
    """All that a drawn set depends on."""
    programs = [HERE / program for program in ("ink_sets.py", "unseen_boxes.py", "unseen_ink.py")]
    if name in ("swiss", "italian"):
        programs.append(HERE.parent / "vinscribe" / "training" / "hand_sets.py")
    if name == "unipen":
        programs.append(VERDICTS_FILE)
    version = hashlib.sha256(b"".join(path.read_bytes() for path in programs)).hexdigest()
    files = sorted(source.iterdir()) if source.is_dir() else [source]
    sizes = {path.name: path.stat().st_size for path in files if path.is_file()}
    return {"seed": seed, "version": version, "opencv": cv2.__version__, "source": sizes}


def draw_strokes(
    strokes: Strokes, height_px: int, pen: float, ink: int = 0, paper: int = 255, margin: float = 0.125
) -> NDArray[np.uint8]:
    """Pen strokes as a square picture, uint8 (height_px, height_px), smooth, dark on bright.

    Args:
        strokes: polylines (n, 2) in any unit, y down.
        height_px: side of the picture.
        pen: width of the pen in parts of the height.
        ink: grey value of the strokes.
        paper: grey value of the rest.
        margin: between the pen's way and the picture's edge, in parts of the height.
    """
    fine = 4
    points = np.concatenate([np.asarray(stroke, np.float64) for stroke in strokes])
    low, high = points.min(0), points.max(0)
    side = height_px * fine
    scale = side * (1 - 2 * margin) / (float((high - low).max()) or 1)
    canvas = np.zeros((side, side), np.uint8)
    thickness = max(1, round(pen * side))
    for stroke in strokes:
        placed = (np.asarray(stroke) - (low + high) / 2) * scale + side / 2
        if len(placed) == 1:
            placed = np.repeat(placed, 2, axis=0)  # a dot
        cv2.polylines(canvas, [np.round(placed * 16).astype(np.int32)], False, 255, thickness, cv2.LINE_AA, 4)
    coverage = cv2.resize(canvas, (height_px, height_px), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return np.round(paper + coverage * (ink - paper)).astype(np.uint8)


def _chars74k(source: Path, seed: int) -> Iterator[Picture]:
    characters = json.loads((source / "strokes.json").read_text(encoding="utf-8"))
    for char in CHARSET:
        for drawn in characters[char]:
            if drawn["writer"] <= CHARS74K_WRITERS:
                for number, width in enumerate(PEN_WIDTHS):
                    name = f"{char}_{drawn['writer']:02d}_{number}.png"
                    yield name, char, draw_strokes(drawn["strokes"], 64, width)


def _unipen(source: Path, seed: int) -> Iterator[Picture]:
    """Without those that a person found not to show their label; those stay that could be what it says."""
    test = split_writers(read_strokes(source))["test"]
    showing = set(map(id, without_doubtful(test, ambiguous=True).strokes))
    for number, writer in enumerate(sorted(set(test.writers.tolist()))):
        rng = np.random.default_rng([seed, 1, number])
        rows = rng.permutation(np.flatnonzero(test.writers == writer)).tolist()
        for row in sorted([row for row in rows if id(test.strokes[row]) in showing][:UNIPEN_MOST]):
            yield _drawn_like_unipen(test, row, np.random.default_rng([seed, 2, row]))


def _spanish(source: Path, seed: int) -> Iterator[Picture]:
    test = split_writers(read_strokes(source))["test"]
    for row in range(len(test)):
        yield _drawn_like_unipen(test, row, np.random.default_rng([seed, 6, row]))


def _digilets(source: Path, seed: int) -> Iterator[Picture]:
    strokes = read_strokes(source)
    for row in range(len(strokes)):
        yield _drawn_like_unipen(strokes, row, np.random.default_rng([seed, 7, row]))


def _drawn_like_unipen(strokes: StrokeSet, row: int, rng: np.random.Generator) -> Picture:
    """Pen strokes 24 to 96 pixels high, at any width of pen, dark grey on light grey."""
    height_px = round(float(np.exp(rng.uniform(np.log(24), np.log(96)))))
    pen = max(float(np.exp(rng.uniform(np.log(0.025), np.log(0.09)))), 1 / height_px)
    char = CHARSET[strokes.labels[row]]
    ink, paper, margin = int(rng.integers(0, 80)), int(rng.integers(225, 256)), rng.uniform(0.07, 0.2)
    return f"{char}_{row:05d}.png", char, draw_strokes(strokes.strokes[row], height_px, pen, ink, paper, margin)


def _swiss(source: Path, seed: int) -> Iterator[Picture]:
    pictures = swiss_pictures(source)
    part = swiss_parts(writer for _, _, writer, _ in pictures)
    for name, char, writer, grey in pictures:
        if part[writer] == "test":
            yield Path(name).name, char, grey  # its name begins with the writer


def _italian(source: Path, seed: int) -> Iterator[Picture]:
    pixels, labels, writers = semeion_pictures(source)
    for row, (picture, label, writer) in enumerate(zip(pixels, labels.tolist(), writers.tolist(), strict=True)):
        if SEMEION_PARTS[writer.split("-")[0]] == "test":
            page = 255 * (1 - picture)
            size = (ITALIAN_ENLARGED * page.shape[1], ITALIAN_ENLARGED * page.shape[0])
            enlarged = np.asarray(cv2.resize(page, size, interpolation=cv2.INTER_CUBIC), np.uint8)
            yield f"{CHARSET[label]}_{row:05d}.png", CHARSET[label], enlarged


def _emnist(source: Path, seed: int) -> Iterator[Picture]:
    test = _vin_test(source)
    for row, (image, label) in enumerate(zip(test.images, test.labels, strict=True)):
        yield f"{row:05d}.png", CHARSET[label], image


def _in_boxes(what: str, source: Path, seed: int) -> Iterator[Picture]:
    """The sets ``boxes``, ``empty`` and ``struck``; half of the pictures are JPEG files."""
    test = _vin_test(source)
    count = len(test) if what == "boxes" else ILLEGIBLE_PICTURES
    for number in range(count):
        rng = np.random.default_rng([seed, 3 + ("boxes", "empty", "struck").index(what), number])
        kind = KINDS[number % len(KINDS)]
        name = f"{number:05d}_{kind}"
        ending = "jpg" if rng.random() < 0.5 else "png"
        others = list(test.images[rng.integers(0, len(test), 2)])
        if what == "boxes":
            label = CHARSET[test.labels[number]]
            yield f"{name}.{ending}", label, draw_character(kind, test.images[number], others, rng)
        elif what == "empty":
            yield f"{name}.{ending}", "", draw_empty(kind, others, rng)
        else:
            strike = STRIKES[number // len(KINDS) % len(STRIKES)]
            glyph, other = _two_unlike(test, rng)
            yield f"{name}_{strike}.{ending}", "", draw_struck(kind, glyph, strike, other, rng)


def _two_unlike(test: Split, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Two characters that, one written over the other, leave neither to read."""
    # A 1 or an L disappears in most characters, and likes written over each other look like a third.
    usable = [label for label in np.unique(test.labels) if CHARSET[label] not in "17JL"]
    least = 2.0
    for _ in range(40):
        labels = rng.choice(usable, 2, replace=False)
        first, second = (test.images[rng.choice(np.flatnonzero(test.labels == label))] for label in labels)
        if (shared := overlap(first, second)) < least:
            least, best = shared, (first, second)
        if least < 0.4:
            break
    return best


@lru_cache(maxsize=1)
def _vin_test(source: Path) -> Split:
    return make_view(read_pool(Archive(source)), "vin").test


_PICTURES: dict[str, Callable[[Path, int], Iterator[Picture]]] = {
    "chars74k": _chars74k,
    "unipen": _unipen,
    "swiss": _swiss,
    "spanish": _spanish,
    "italian": _italian,
    "digilets": _digilets,
    "emnist": _emnist,
    "boxes": partial(_in_boxes, "boxes"),
    "empty": partial(_in_boxes, "empty"),
    "struck": partial(_in_boxes, "struck"),
}


def default_scratch() -> Path:
    """Where drawn sets are kept: in the user's cache folder."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("vinscribe")) / "ink_sets"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments by which a program finds the sets: ``--shared``, ``--emnist``, ``--scratch``, ``--sets``."""
    parser.add_argument("--shared", type=Path, default=HERE.parent.parent / "shared" / "data", help="the sets' folder")
    parser.add_argument("--emnist", type=Path, help="EMNIST archive (default: emnist/gzip.zip of the sets' folder)")
    parser.add_argument("--scratch", type=Path, help="folder of the drawn sets (default: in the user's cache)")
    parser.add_argument("--sets", default=",".join(NAMES), help="names with commas between (default: %(default)s)")


def sets_of(args: argparse.Namespace) -> list[InkSet]:
    """The sets that the arguments ask for; ``SystemExit`` for a name that is none."""
    only = args.sets.split(",")
    unknown = set(only) - set(NAMES)
    if unknown:
        raise SystemExit(f"--sets: no set {', '.join(sorted(unknown))}; choose of {', '.join(NAMES)}")
    emnist = args.emnist or args.shared / "emnist" / "gzip.zip"
    return ink_sets(args.shared, emnist, args.scratch or default_scratch(), only=only)


def main() -> None:
    """Make the sets and list them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    for ink in sets_of(parser.parse_args()):
        print(f"{ink.name:<16}{len(ink.files):>7,} pictures  {ink.folder}  ({ink.note})")


if __name__ == "__main__":
    main()
