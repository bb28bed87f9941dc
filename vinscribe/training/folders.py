"""Where the hands lie that a training learns from, beside EMNIST, and what is read there."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vinscribe.errors import DataError
from vinscribe.training.fonts import read_font_images, read_fonts
from vinscribe.training.hand_sets import PictureSet, read_hands
from vinscribe.training.unipen import (
    LABELS_FILE,
    STROKES_FILE,
    StrokeSet,
    part_of,
    read_strokes,
    split_writers,
    without_doubtful,
)

PARTS = ("train", "validation")
LOCK_FILE = "package-lock.json"


@dataclass(frozen=True)
class HandFolders:
    """Folders of hands; None to do without.

    Attributes:
        unipen: UNIPEN's pen strokes, see `vinscribe.training.unipen`.
        digits: Swiss, Spanish and Italian digits, see `vinscribe.training.hand_sets`.
        fonts: see `vinscribe.training.fonts`.
    """

    unipen: Path | None = None
    digits: Path | None = None
    fonts: Path | None = None

    def read(self) -> dict[str, Any]:
        """Fields of ``batches.Data`` by name: strokes, fonts and pictures of its parts.

        Raises:
            DataError: a folder is missing or damaged.
        """
        self.hashes()  # says at once what is missing
        fields: dict[str, Any] = {}
        digits = read_hands(self.digits) if self.digits else None
        fonts = split_writers(read_fonts(self.fonts)) if self.fonts else None
        strokes = split_writers(read_strokes(self.unipen)) if self.unipen else None
        for part in PARTS:
            recorded = [without_doubtful(strokes[part], ambiguous=True)] if strokes else []
            pictures = []
            if digits:
                own = digits.part(part)
                recorded += [own.uji] if own.uji is not None else []
                pictures += [each for each in (own.swiss, own.semeion) if each is not None]
            fields[f"{part}_strokes"] = _joined_strokes(recorded)
            fields[f"{part}_fonts"] = fonts[part] if fonts else None
            fields[f"{part}_inked"] = _of_fonts(self.fonts, part) if self.fonts else None
            fields[f"{part}_pictures"] = _joined_pictures(pictures)
        return fields

    def hashes(self) -> dict[str, str]:
        """The sha256 of what is read, by names that say what it is.

        Raises:
            DataError: a file is missing.
        """
        found = {}
        if self.unipen:
            for name in (STROKES_FILE, LABELS_FILE):
                found[f"unipen/{name}"] = hashlib.sha256(_content(self.unipen / name)).hexdigest()
        if self.digits:
            found["digits"] = read_hands(self.digits).sha256()
        if self.fonts:
            lock = self.fonts / LOCK_FILE
            found[f"fonts/{LOCK_FILE}"] = hashlib.sha256(_content(lock)).hexdigest()
        return found


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; give the folder that holds {path.name}") from error


def _of_fonts(folder: Path, part: str) -> PictureSet:
    pictures = PictureSet(*read_font_images(folder))
    of_writer = {writer: part_of(writer) for writer in set(pictures.writers.tolist())}
    return pictures.select(np.array([of_writer[writer] == part for writer in pictures.writers.tolist()], bool))


def _joined_strokes(sets: list[StrokeSet]) -> StrokeSet | None:
    if not sets:
        return None
    strokes = [character for each in sets for character in each.strokes]
    labels, writers = (np.concatenate([getattr(each, name) for each in sets]) for name in ("labels", "writers"))
    return StrokeSet(strokes, labels, writers)


def _joined_pictures(sets: list[PictureSet]) -> PictureSet | None:
    if not sets:
        return None
    return PictureSet(
        *(np.concatenate([getattr(each, name) for each in sets]) for name in ("images", "labels", "writers"))
    )
