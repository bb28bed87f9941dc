"""The EMNIST archive: reads its members straight out of the zip and merges its splits into one pool of images.

EMNIST's splits are independent re-draws of the same 814,255 NIST images, so one image often stands in several splits
with labels of different exactness: ByClass knows the case, ByMerge and Balanced merge letters whose two cases look
alike, Letters merges the cases of all letters. The pool holds each image once and keeps what all its labels together
say: the *set of characters* that they allow, as a bit mask over the 62 ByClass characters.

Source: G. Cohen, S. Afshar, J. Tapson, A. van Schaik, "EMNIST: an extension of MNIST to handwritten letters", 2017,
arXiv:1702.05373. IDX: http://yann.lecun.com/exdb/mnist/.
"""

import gzip
import hashlib
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vinscribe.errors import DataError

CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
"""ByClass label -> character; also bit number -> character in every mask of this module."""

MERGED = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"
"""ByMerge and Balanced label -> character; a capital whose lowercase is missing here stands for both cases."""

SPLITS = tuple(
    f"{kind}-{part}"
    for kind in ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")
    for part in ("train", "test")
)
"""The splits of the official archive; bit number -> split in ``Pool.splits``."""

SIDE_PX = 28
_IDX_IMAGES, _IDX_LABELS = 0x00000803, 0x00000801


def mask_of(characters: str) -> int:
    """Bit mask of a set of ByClass characters."""
    return sum(1 << CHARACTERS.index(char) for char in set(characters))


def _label_masks(split: str) -> NDArray[np.uint64]:
    """What each label of a split allows: masks (num_labels,) uint64, 0 where the split has no such label."""
    kind = split.split("-")[0]
    if kind == "byclass":
        sets = list(CHARACTERS)
    elif kind in ("bymerge", "balanced"):
        sets = [char if char.lower() in MERGED else char + char.lower() for char in MERGED]
    elif kind == "letters":
        sets = [""] + [char + char.lower() for char in CHARACTERS[10:36]]
    else:
        sets = list(CHARACTERS[:10])
    return np.array([mask_of(chars) for chars in sets], np.uint64)


class Archive:
    """An EMNIST archive: ``gzip.zip`` as NIST publishes it, or a folder of its ``.gz`` members.

    Splits that are missing are left out; an archive with fewer rows is read as it is.

    Args:
        path: the zip, or a folder that holds ``gzip.zip``, or ``emnist-*.gz`` files itself or in a subfolder ``gzip``.

    Raises:
        DataError: no such file, no zip, or no EMNIST member in it.
    """

    def __init__(self, path: Path) -> None:
        zip_inside = Path(path) / "gzip.zip"
        self.path = zip_inside if zip_inside.is_file() else Path(path)
        if self.path.is_dir():
            files = [file for pattern in ("emnist-*.gz", "gzip/emnist-*.gz") for file in self.path.glob(pattern)]
            self._members: dict[str, Path | zipfile.Path] = {file.name: file for file in files}
        else:
            root = _open_zip(self.path)
            names = [name for name in root.namelist() if name.endswith(".gz")]
            self._members = {Path(name).name: zipfile.Path(root, name) for name in names}
        self.splits = tuple(split for split in SPLITS if f"emnist-{split}-images-idx3-ubyte.gz" in self._members)
        if not self.splits:
            raise DataError(
                f"{self.path}: no EMNIST split in it (looked for emnist-*-images-idx3-ubyte.gz); give the official "
                "gzip.zip or a folder with its files to --emnist"
            )

    def read(self, split: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """One split, in the order of its rows.

        Returns:
            images (N, 28, 28) uint8, upright, white ink on black; labels (N,) uint8 in the split's own numbering.

        Raises:
            DataError: a member is missing or damaged, counts differ, or a label is out of range.
        """
        names = (f"emnist-{split}-images-idx3-ubyte.gz", f"emnist-{split}-labels-idx1-ubyte.gz")
        images = _parse_idx(self._bytes(names[0]), _IDX_IMAGES, f"{self.path}: {names[0]}")
        labels = _parse_idx(self._bytes(names[1]), _IDX_LABELS, f"{self.path}: {names[1]}")
        if len(images) != len(labels):
            raise DataError(f"{self.path}: {names[0]} has {len(images):,} rows, {names[1]} has {len(labels):,}")
        masks = _label_masks(split)
        wrong = (labels >= len(masks)) | (masks[np.minimum(labels, len(masks) - 1)] == 0)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise DataError(f"{self.path}: {names[1]}: label {labels[row]} in row {row:,} is out of range")
        # EMNIST stores its images transposed.
        return np.ascontiguousarray(images.transpose(0, 2, 1)), labels

    def member_hashes(self) -> dict[str, str]:
        """sha256 of each member as it lies in the archive: what a model's training record names."""
        return {name: hashlib.sha256(self._raw(name)).hexdigest() for name in sorted(self._members)}

    def _raw(self, name: str) -> bytes:
        if name not in self._members:
            raise DataError(f"{self.path}: {name} is missing")
        try:
            return self._members[name].read_bytes()
        except (OSError, zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise DataError(f"{self.path}: {name} is damaged ({error}); fetch the archive again") from error

    def _bytes(self, name: str) -> bytes:
        try:
            return gzip.decompress(self._raw(name))
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{self.path}: {name} is damaged ({error}); fetch the archive again") from error


def _open_zip(path: Path) -> zipfile.ZipFile:
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; give the official EMNIST gzip.zip to --emnist")
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: no readable zip archive ({error}); fetch the archive again") from error


def _parse_idx(data: bytes, magic: int, where: str) -> NDArray[np.uint8]:
    """An IDX file's array: (N, 28, 28) for images, (N,) for labels."""
    ndim = magic & 0xFF
    header_bytes = 4 + 4 * ndim
    if len(data) < header_bytes:
        raise DataError(f"{where}: {len(data)} bytes, shorter than an IDX header; fetch the archive again")
    found, *shape = struct.unpack(f">{ndim + 1}I", data[:header_bytes])
    if found != magic:
        raise DataError(f"{where}: IDX magic number {found:#010x} instead of {magic:#010x}")
    if ndim == 3 and shape[1:] != [SIDE_PX, SIDE_PX]:
        raise DataError(f"{where}: images of {shape[1]}x{shape[2]} instead of {SIDE_PX}x{SIDE_PX}")
    expected = int(np.prod(shape, dtype=np.int64))
    if len(data) - header_bytes != expected:
        raise DataError(f"{where}: {len(data) - header_bytes:,} bytes of data where its header says {expected:,}")
    return np.frombuffer(data, np.uint8, offset=header_bytes).reshape(shape)


@dataclass(frozen=True)
class Pool:
    """Each distinct image of an archive once, with what all its labels together say.

    Attributes:
        images: (N, 28, 28) uint8, upright, white ink on black, in order of first appearance.
        digests: (N, 32) uint8, the sha256 of each image's 784 upright bytes.
        masks: (N,) uint64, the ByClass characters that all labels of the image allow; 0 where they contradict.
        splits: (N,) uint16, bit number i set where the image stands in ``SPLITS[i]``.
        rows: split -> its rows in the archive, duplicates included.
    """

    images: NDArray[np.uint8]
    digests: NDArray[np.uint8]
    masks: NDArray[np.uint64]
    splits: NDArray[np.uint16]
    rows: dict[str, int]

    def __len__(self) -> int:
        return len(self.images)

    def in_splits(self, *splits: str) -> NDArray[np.bool_]:
        """(N,) bool: which images stand in any of the named splits."""
        bits = np.uint16(sum(1 << SPLITS.index(split) for split in splits))
        found: NDArray[np.bool_] = (self.splits & bits) != 0
        return found


def read_pool(archive: Archive) -> Pool:
    """Reads all splits of an archive into one pool; an image is known by the sha256 of its upright pixels."""
    row_of: dict[bytes, int] = {}
    images: list[NDArray[np.uint8]] = []
    masks: list[int] = []
    splits: list[int] = []
    rows = dict.fromkeys(SPLITS, 0)
    for split in archive.splits:
        bit = 1 << SPLITS.index(split)
        for image, digest, mask in _rows(archive, split):
            rows[split] += 1
            row = row_of.setdefault(digest, len(images))
            if row == len(images):
                images.append(image)
                masks.append(mask)
                splits.append(bit)
            else:
                masks[row] &= mask
                splits[row] |= bit
    digests = np.frombuffer(b"".join(row_of), np.uint8).reshape(-1, 32)
    return Pool(np.stack(images), digests, np.array(masks, np.uint64), np.array(splits, np.uint16), rows)


def _rows(archive: Archive, split: str) -> Iterator[tuple[NDArray[np.uint8], bytes, int]]:
    images, labels = archive.read(split)
    masks = _label_masks(split)[labels].tolist()
    for image, mask in zip(images, masks, strict=True):
        yield image, hashlib.sha256(image).digest(), mask
