"""Makes small EMNIST archives of drawn characters for the tests, in the layout of the official one."""

import gzip
import struct
import zipfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vinscribe.charset import CHARSET
from vinscribe.training.emnist import CHARACTERS, SIDE_PX


def glyphs(text: str, seed: int) -> NDArray[np.uint8]:
    """(N, 28, 28) uint8: printed characters, each slightly different, white on black, upright."""
    rng = np.random.default_rng(seed)
    images = np.zeros((len(text), SIDE_PX, SIDE_PX), np.uint8)
    for image, char in zip(images, text, strict=True):
        x, y = (int(v) for v in rng.integers(3, 8, 2))
        scale = float(rng.uniform(0.8, 1.0))
        cv2.putText(image, char, (x, 28 - y), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, 2, cv2.LINE_AA)
        image[:] = np.clip(image.astype(int) + rng.integers(0, 8, image.shape) * (image > 0), 0, 255)
    return images


def idx(array: NDArray[np.uint8]) -> bytes:
    """An array as IDX bytes, not compressed."""
    return struct.pack(f">{array.ndim + 1}I", 0x800 + array.ndim, *array.shape) + array.tobytes()


def members_of(splits: dict[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]]) -> dict[str, bytes]:
    """Members of an archive with these splits: name -> gzip bytes; images are given upright."""
    members = {}
    for split, (images, labels) in splits.items():
        stored = np.ascontiguousarray(images.transpose(0, 2, 1))
        members[f"gzip/emnist-{split}-images-idx3-ubyte.gz"] = gzip.compress(idx(stored))
        members[f"gzip/emnist-{split}-labels-idx1-ubyte.gz"] = gzip.compress(idx(labels))
    return members


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    """Writes members into a zip file; returns its path."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def write_archive(path: Path, per_class: int = 100, chars: str = CHARSET) -> Path:
    """Writes an archive with the split ByClass alone: so many drawn images of each character."""
    text = chars * per_class
    labels = np.array([CHARACTERS.index(char) for char in text], np.uint8)
    return write_zip(path, members_of({"byclass-train": (glyphs(text, seed=0), labels)}))
