"""Picture files -> grey arrays.

One way in for every kind of picture: grey, colour, palette, transparent, 16-bit, turned by EXIF. What comes out is
always a C-contiguous uint8 array of shape (height, width), 0 black to 255 white, upright.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vinscribe.errors import ImageError, UsageError
from vinscribe.headers import check_png_chunks, picture_size, tiff_tags

ENDINGS = (".png", ".jpg", ".jpeg", ".jpe", ".bmp", ".tif", ".tiff", ".webp")
"""Endings, in lower case, of the files that `list_pictures` takes for pictures."""

MAX_PIXELS = 200_000_000
"""Larger pictures are refused before they are decoded: a file of a few KB can claim gigabytes of pixels."""

_HEAD_BYTES = 32
_BLOCK_ROWS = 64


def list_pictures(directory: str) -> list[str]:
    """Paths of the picture files in a directory, as ``DIRECTORY/name`` with the directory as it was given, sorted.

    Not recursive. Hidden files (``._a.png``) and directories are left out; the case of the ending does not matter.
    Raises UsageError where the directory does not exist or cannot be listed.
    """
    with listing(directory) as entries:
        names = [entry.name for entry in entries if _is_picture(entry)]
    prefix = path_prefix(directory)
    return [prefix + name for name in sorted(names)]


def list_folders(directory: str) -> list[str]:
    """Paths of the folders in a directory, as ``DIRECTORY/name`` like `list_pictures`, in natural order.

    Not recursive; hidden folders are left out. Raises UsageError as `list_pictures` does.
    """
    with listing(directory) as entries:
        names = [entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    prefix = path_prefix(directory)
    return [prefix + name for name in sorted(names, key=natural_order)]


def has_pictures(folder: str) -> bool:
    """Whether there is a picture file in a folder; also where it cannot be listed, as nobody knows then."""
    try:
        with os.scandir(folder) as entries:
            return any(_is_picture(entry) for entry in entries)
    except OSError:
        return True


def natural_order(path: str) -> tuple[list[str | int], str]:
    """Sort key of file and folder names as people number them: 2 before 10, ``cell.png`` before ``cell (1).png``."""
    file = Path(path)
    text = file.stem if file.suffix.lower() in ENDINGS else file.name
    parts: list[str | int] = list(re.split("([0-9]+)", text.lower()))
    parts[1::2] = map(int, parts[1::2])  # every second part is a number
    return parts, file.name


@contextmanager
def listing(directory: str) -> Iterator[Iterator[os.DirEntry[str]]]:
    """`os.scandir` that raises UsageError."""
    try:
        with os.scandir(directory) as entries:
            yield entries
    except FileNotFoundError:
        raise UsageError(f"no such directory: {directory}") from None
    except NotADirectoryError:
        raise UsageError(f"not a directory: {directory}; give the folder that holds the pictures") from None
    except OSError as error:
        raise UsageError(f"cannot list {directory}: {error.strerror}") from None


def _is_picture(entry: os.DirEntry[str]) -> bool:
    return entry.name.lower().endswith(ENDINGS) and not entry.name.startswith(".") and entry.is_file()


def path_prefix(directory: str) -> str:
    """What comes before a name in the paths of a directory's files, as it was given: one slash at its end."""
    return directory.rstrip("/" + (os.sep if os.sep != "/" else "")) + "/"


def read_grey(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Read a picture file (the first page, where it has several).

    Args:
        path: a PNG, JPEG, BMP, TIFF or WebP file; the content decides, not the ending.

    Returns:
        uint8 (height, width). Transparent pixels get the paper that keeps the ink visible, 16-bit values are scaled
        to 8 bits, EXIF orientation is applied.

    Raises:
        ImageError: the file cannot be read, is no picture, is damaged or truncated, or has more than MAX_PIXELS.
            The message does not repeat the path.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            head = file.read(_HEAD_BYTES)
            check_kind(head)
            data = head + file.readall()
    except (OSError, ValueError) as error:
        raise ImageError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    return decode_grey(data)


def decode_grey(data: bytes) -> NDArray[np.uint8]:
    """Like `read_grey`, for the bytes of a picture file."""
    check_kind(data[:_HEAD_BYTES])
    width, height = picture_size(data)
    if width * height > MAX_PIXELS:
        raise ImageError(f"{width}x{height} pixels are more than the {MAX_PIXELS // 1_000_000} megapixels allowed")
    if data.startswith(b"\x89PNG"):
        check_png_chunks(data)
    # Set anew for each picture: OpenCV would otherwise report damaged files on standard error by itself.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        pixels, kinds, metadata = cv2.imdecodeWithMetadata(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None or pixels.size == 0:
        raise ImageError("damaged or truncated picture")
    grey = _to_grey(_to_eight_bits(pixels))
    # IMREAD_UNCHANGED keeps transparency but leaves the EXIF turn to the caller. (Turned TIFFs come out upright.)
    for kind, block in zip(kinds, metadata, strict=True):
        if kind == cv2.IMAGE_METADATA_EXIF:
            grey = _turned(grey, _exif_orientation(np.asarray(block).tobytes()))
    return np.ascontiguousarray(grey)


def check_kind(head: bytes) -> None:
    """Raise ImageError unless a file that starts with these bytes is of a known kind."""
    if not head:
        raise ImageError("empty file")
    known = head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"))
    if not known and not (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        raise ImageError("not a PNG, JPEG, BMP, TIFF or WebP picture")


def _exif_orientation(block: bytes) -> int:
    """EXIF orientation 1..8 of an EXIF block; 1 (upright) where it says nothing."""
    return tiff_tags(block.removeprefix(b"Exif\0\0")).get(0x0112, 1)


def _turned(grey: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """The picture as it is meant to be seen. Source: EXIF 2.32, tag 0x0112."""
    if orientation in (5, 6, 7, 8):
        grey = grey.T
    if orientation in (2, 3, 6, 7):
        grey = grey[:, ::-1]
    if orientation in (3, 4, 7, 8):
        grey = grey[::-1]
    return grey


def _to_eight_bits(pixels: NDArray[np.generic]) -> NDArray[np.uint8]:
    if pixels.dtype == np.uint8:
        return pixels  # type: ignore[return-value]
    if pixels.dtype == np.uint16:
        return cv2.convertScaleAbs(pixels.astype(np.uint16, copy=False), alpha=1 / 257)  # type: ignore[return-value]
    # Floats and wide integers have no agreed white: their own range becomes 0..255. A few rows at a time: scans are
    # large, and eight bytes a pixel are many.
    low, high = np.inf, -np.inf
    for rows in _row_blocks(pixels):
        values = _finite(rows)
        low, high = min(low, float(values.min())), max(high, float(values.max()))
    out = np.empty(pixels.shape, np.uint8)
    for rows, kept in zip(_row_blocks(pixels), _row_blocks(out), strict=True):
        kept[:] = np.round((_finite(rows) - low) * (255 / max(high - low, 1e-9)))
    return out


def _row_blocks(pixels: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Views of a few rows each."""
    for start in range(0, len(pixels), _BLOCK_ROWS):
        yield pixels[start : start + _BLOCK_ROWS]


def _finite(pixels: NDArray[np.generic]) -> NDArray[np.float64]:
    return np.nan_to_num(pixels.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)


def _to_grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (H, W), (H, W, 3) or (H, W, 4), channels in OpenCV's order -> uint8 (H, W)."""
    if pixels.ndim == 2:
        return pixels
    channels = pixels.shape[2]
    if channels == 1:
        return pixels[..., 0]
    if channels == 3:
        return cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)  # type: ignore[return-value]
    if channels == 4:
        return _on_paper(cv2.cvtColor(pixels, cv2.COLOR_BGRA2GRAY), pixels[..., 3])  # type: ignore[arg-type]
    raise ImageError(f"{channels} channels; expected grey, colour, or colour with transparency")


def _on_paper(grey: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay a transparent picture on paper that keeps its ink visible: uint8 (H, W) both."""
    if alpha.min() == 255:
        return grey
    opaque = np.asarray(alpha > 127, np.uint8)
    if not opaque.any():
        paper = 255
    else:
        (mean,), (spread,) = (values.ravel() for values in cv2.meanStdDev(grey, mask=opaque))
        if spread < 32:  # one tone: all of it is ink, so the paper is the opposite
            paper = 0 if mean > 127 else 255
        else:  # ink and paper are both there, as in a scan with cut corners: go on with its paper, the median
            counts = cv2.calcHist([grey], [0], opaque, [256], [0, 256]).ravel().cumsum(dtype=np.float64)
            paper = int(np.searchsorted(counts, counts[-1] / 2))
    laid = np.empty_like(grey)
    for own, share, out in zip(grey, alpha, laid, strict=True):  # row by row: scans are large
        share = share.astype(np.uint16)
        out[:] = (own * share + paper * (255 - share) + 127) // 255
    return laid
