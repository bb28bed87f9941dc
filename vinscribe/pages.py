"""Scans -> pages, one at a time: pictures, TIFF files with any number of pages, PDF.

What comes out is what `vinscribe.images` makes of a picture: a C-contiguous uint8 array of shape (height, width),
0 black to 255 white, upright as far as the file tells. The content decides what a file is, never its ending.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from vinscribe import images, tiff
from vinscribe.errors import ImageError

ENDINGS = (*images.ENDINGS, ".pdf")
"""Endings, in lower case, of the files that `list_scans` takes for scans."""

MAX_PIXELS = 100_000_000
"""A page with more is refused before it is decoded; an A3 page at 600 dpi has 70 million."""

MAX_PICTURE_BYTES = 1 << 29
"""A picture file that is larger is refused; TIFF and PDF files can have any size."""

PDF_DPI = 200.0
"""At which PDF pages are drawn, unless that would be more than `MAX_PDF_PIXELS`."""

MAX_PDF_PIXELS = 20_000_000
"""Of a drawn PDF page. Phones make pages of one point a pixel, two metres high: those are drawn coarser."""

_HEAD_BYTES = 1024  # a PDF may begin with so much of something else
_FPDF_ERR_PASSWORD = 4
_SQUARE = 1.05  # resolutions across and down that differ by less count as the same


@dataclass(frozen=True)
class Page:
    """One page of a scan.

    Attributes:
        number: from 1.
        image: uint8 (height, width). Fax pages with coarse lines are stretched, so that pixels are square.
        dpi: resolution as the file claims it, or as the page was drawn; None if the file does not say.
    """

    number: int
    image: NDArray[np.uint8]
    dpi: float | None


@dataclass(frozen=True)
class BrokenPage:
    """A page that cannot be read, among others that perhaps can.

    Attributes:
        number: from 1.
        error: what is wrong with it.
    """

    number: int
    error: ImageError


def list_scans(directory: str) -> list[str]:
    """Paths of the scans in a directory, as ``DIRECTORY/name`` with the directory as it was given, sorted.

    Like `vinscribe.images.list_pictures`, with PDF files. Raises UsageError where the directory cannot be listed.
    """
    with images.listing(directory) as entries:
        names = [
            entry.name
            for entry in entries
            if entry.name.lower().endswith(ENDINGS) and not entry.name.startswith(".") and entry.is_file()
        ]
    prefix = images.path_prefix(directory)
    return [prefix + name for name in sorted(names)]


def read_pages(path: str | os.PathLike[str]) -> Iterator[Page | BrokenPage]:
    """The pages of a scan, each read when it is asked for; only one is in memory at a time.

    Args:
        path: a PNG, JPEG, BMP or WebP file (one page), a TIFF or a PDF file.

    Returns:
        The pages in order, a `BrokenPage` in the place of each that is damaged or larger than `MAX_PIXELS`. PDF pages
        are drawn by PDFium, which cannot be used by several threads at once.

    Raises:
        ImageError: on asking for the first page: the file cannot be read, is no scan, is damaged as a whole,
            encrypted, or a picture with more than `MAX_PIXELS`. The message does not repeat the path.
    """
    with _opened(path) as file:
        head = file.read(_HEAD_BYTES)
        if head.startswith(tiff.SIGNATURES):
            yield from _tiff_pages(file)
        elif _is_pdf(head):
            yield from _pdf_pages(file)
        else:
            yield _picture(file, head)


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """The open file; whatever goes wrong in reading it is an `ImageError`."""
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise ImageError("cannot be read: not a file (a folder, a pipe or a device)")
        with open(path, "rb") as file:
            yield file
    except (OSError, ValueError) as error:
        raise ImageError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _is_pdf(head: bytes) -> bool:
    try:
        images.check_kind(head[:32])
    except ImageError:
        return b"%PDF-" in head
    return False


def _picture(file: BinaryIO, head: bytes) -> Page:
    """The only page of a file that is a picture, or nothing known."""
    if not head:
        raise ImageError("empty file")
    try:
        images.check_kind(head[:32])
    except ImageError:
        raise ImageError("not a PNG, JPEG, BMP, WebP, TIFF or PDF file") from None
    size = os.fstat(file.fileno()).st_size
    if size > MAX_PICTURE_BYTES:
        raise ImageError(f"{size:,} bytes are more than the {MAX_PICTURE_BYTES:,} allowed; save it smaller")
    data = head + file.read()
    dpi = _picture_dpi(data)
    return Page(1, _decoded(data), dpi)


def _decoded(data: bytes) -> NDArray[np.uint8]:
    width, height = images.declared_size(data)
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{width}x{height} pixels are more than the {MAX_PIXELS // 1_000_000} megapixels allowed; "
            "scan it at a lower resolution"
        )
    return images.decode_grey(data)


def _tiff_pages(file: BinaryIO) -> Iterator[Page | BrokenPage]:
    for number, part in enumerate(tiff.split_tiff(file), 1):
        if isinstance(part, ImageError):
            yield BrokenPage(number, part)
            continue
        try:
            image = _decoded(part.data)
            if not image.any():  # what OpenCV makes of a strip that cannot be decompressed, without a word
                raise ImageError("damaged picture: nothing but black came of it; scan it again")
            dpi = part.dpi[::-1] if part.dpi and part.on_its_side else part.dpi
            page: Page | BrokenPage = Page(number, _squared(image, dpi), max(dpi) if dpi else None)
        except ImageError as error:
            page = BrokenPage(number, error)
        yield page
        del page  # or it would stay in memory beside the next


def _squared(image: NDArray[np.uint8], dpi: tuple[float, float] | None) -> NDArray[np.uint8]:
    """The page at the higher of its two resolutions: fax machines send half as many lines as columns, or fewer."""
    if dpi is None or not _SQUARE < max(dpi) / min(dpi) < 4:
        return image
    height, width = image.shape
    stretched = round(width * max(dpi) / dpi[0]), round(height * max(dpi) / dpi[1])
    if stretched[0] * stretched[1] > MAX_PIXELS:
        return image
    return cv2.resize(image, stretched, interpolation=cv2.INTER_LINEAR)  # type: ignore[return-value]


def _pdf_pages(file: BinaryIO) -> Iterator[Page | BrokenPage]:
    import pypdfium2 as pdfium  # only where it is needed: it takes a while to load

    file.seek(0)
    try:
        document = pdfium.PdfDocument(file)
    except pdfium.PdfiumError as error:
        if error.err_code == _FPDF_ERR_PASSWORD:
            raise ImageError("encrypted PDF; save it without a password") from None
        raise ImageError("damaged or truncated PDF; open and save it in a PDF viewer, or scan it again") from None
    with document:
        for index in range(len(document)):
            try:
                page: Page | BrokenPage = _pdf_page(document, index)
            except pdfium.PdfiumError:
                page = BrokenPage(index + 1, ImageError("damaged page in the PDF; open and save it in a PDF viewer"))
            yield page
            del page


def _pdf_page(document: Any, index: int) -> Page:
    """Draws one page, grey."""
    page = document[index]
    try:
        area = max(page.get_width() * page.get_height(), 1e-3)  # square points, 72 to the inch
        scale = min(PDF_DPI / 72, (MAX_PDF_PIXELS / area) ** 0.5)
        bitmap = page.render(scale=scale, grayscale=True)
        try:
            image = np.array(bitmap.to_numpy().reshape(bitmap.height, bitmap.width), np.uint8, order="C")  # a copy
        finally:
            bitmap.close()
    finally:
        page.close()
    return Page(index + 1, image, 72 * scale)


def _picture_dpi(data: bytes) -> float | None:
    """The resolution across that a PNG, JPEG or BMP file claims."""
    dpi = 0.0
    if data[:4] == b"\x89PNG":
        at = data.find(b"pHYs", 0, 65536)
        if at > 0 and data[at + 12 : at + 13] == b"\1":  # in pixels a metre
            dpi = int.from_bytes(data[at + 4 : at + 8], "big") * 0.0254
    elif data[:2] == b"\xff\xd8" and data[6:11] == b"JFIF\0":
        per_inch = {1: 1.0, 2: 2.54}.get(data[13], 0.0)
        dpi = int.from_bytes(data[14:16], "big") * per_inch
    elif data[:2] == b"BM":
        dpi = int.from_bytes(data[38:42], "little") * 0.0254
    return dpi if dpi > 1 else None
