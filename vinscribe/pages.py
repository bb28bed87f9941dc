"""Scans -> pages, one at a time: pictures, TIFF files with any number of pages, PDF.

What comes out is what `vinscribe.images` makes of a picture: a C-contiguous uint8 array of shape (height, width),
0 black to 255 white, upright as far as the file tells. The content decides what a file is, never its ending.
"""

import os
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from vinscribe import headers, images, tiff
from vinscribe.addresses import is_address, open_address
from vinscribe.errors import ImageError

ENDINGS = (*images.ENDINGS, ".pdf")
"""Endings, in lower case, of the files in a folder that are taken for scans."""

MAX_PIXELS = 100_000_000
"""A page with more is refused before it is decoded; an A3 page at 600 dpi has 70 million."""

MAX_DECODED_BYTES = 4 * MAX_PIXELS
"""As large a page in colour with transparency; one of 16 bits a channel can have half as many pixels."""

MAX_PICTURE_BYTES = 1 << 29
"""A picture file that is larger is refused; TIFF and PDF files can have any size."""

MAX_PAGES = tiff.MAX_PAGES
"""A PDF file that claims more is refused; of a TIFF file so many are read."""

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


def read_pages(path: str | os.PathLike[str], wanted: Collection[int] | None = None) -> Iterator[Page | BrokenPage]:
    """The pages of a scan, each read when it is asked for; only one is in memory at a time.

    Args:
        path: a PNG, JPEG, BMP or WebP file (one page), a TIFF or a PDF file; also an address, see
            `vinscribe.addresses`.
        wanted: numbers of the pages to read, from 1; the others are passed over unread. All if None.

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
            yield from _tiff_pages(file, wanted)
        elif _is_pdf(head):
            yield from _pdf_pages(file, wanted)
        elif wanted is None or 1 in wanted:
            yield _picture(file, head)


def count_pages(path: str | os.PathLike[str]) -> int:
    """How many pages `read_pages` gives, broken ones included; none of them is read.

    Raises ImageError as `read_pages` does, but finds less wrong.
    """
    with _opened(path) as file:
        head = file.read(_HEAD_BYTES)
        if head.startswith(tiff.SIGNATURES):
            return tiff.count_tiff_pages(file)
        if _is_pdf(head):
            with _pdf(file) as document:
                return len(document)
    return 1


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """The open file; whatever goes wrong in reading it is an `ImageError`."""
    if isinstance(path, str) and is_address(path):
        with open_address(path) as file:
            yield file
        return
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
    size = file.seek(0, os.SEEK_END)
    file.seek(len(head))
    if size > MAX_PICTURE_BYTES:
        raise ImageError(f"{size:,} bytes are more than the {MAX_PICTURE_BYTES:,} allowed; save it smaller")
    data = head + file.read()
    return Page(1, _decoded(data), headers.resolution(data))


def _decoded(data: bytes, decoded_bytes: int = 0) -> NDArray[np.uint8]:
    """The picture in a file that decodes to no fewer bytes than those given."""
    width, height = headers.picture_size(data)
    decoded_bytes = max(decoded_bytes, width * height * headers.pixel_bytes(data))
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{width}x{height} pixels are more than the {MAX_PIXELS // 1_000_000} megapixels allowed; "
            "scan it at a lower resolution"
        )
    if decoded_bytes > MAX_DECODED_BYTES:
        raise ImageError(
            f"{decoded_bytes:,} bytes once decoded, more than the {MAX_DECODED_BYTES:,} allowed; save it in grey"
        )
    with np.errstate(all="ignore"):  # floats that are no numbers are no reason to warn of anything
        return images.decode_grey(data)


def _tiff_pages(file: BinaryIO, wanted: Collection[int] | None) -> Iterator[Page | BrokenPage]:
    for number, part in tiff.split_tiff(file, wanted):
        if isinstance(part, ImageError):
            yield BrokenPage(number, part)
            continue
        try:
            image = _decoded(part.data, part.decoded_bytes)
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


@contextmanager
def _pdf(file: BinaryIO) -> Iterator[Any]:
    """The open PDF document."""
    import pypdfium2 as pdfium  # only where it is needed: it takes a while to load

    file.seek(0)
    try:
        document = pdfium.PdfDocument(file)
    except pdfium.PdfiumError as error:
        if error.err_code == _FPDF_ERR_PASSWORD:
            raise ImageError("encrypted PDF; save it without a password") from None
        raise ImageError("damaged or truncated PDF; open and save it in a PDF viewer, or scan it again") from None
    with document:
        if not 0 < len(document) <= MAX_PAGES:
            raise ImageError(f"PDF that claims {len(document):,} pages; from 1 to {MAX_PAGES:,} can be read")
        yield document


def _pdf_pages(file: BinaryIO, wanted: Collection[int] | None) -> Iterator[Page | BrokenPage]:
    with _pdf(file) as document:
        import pypdfium2 as pdfium

        for index in range(len(document)):
            if wanted is not None and index + 1 not in wanted:
                continue
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
