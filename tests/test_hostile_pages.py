"""Files that are damaged, or made to do harm: `read_pages` gives pages or says what is wrong, and nothing else."""

import re
import struct
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scan_files import card, encode, pdf, scanned_pdf, tiff

from vinscribe import tiff as tiff_module
from vinscribe.errors import ImageError
from vinscribe.pages import MAX_PAGES, MAX_PIXELS, BrokenPage, Page, count_pages, read_pages
from vinscribe.tiff import split_tiff


@pytest.fixture
def read(tmp_path):
    def reads(data, name="scan"):
        path = tmp_path / name
        path.write_bytes(data)
        return list(read_pages(path))

    return reads


def test_too_many_pixels(read):
    png = bytearray(encode(card(0)))
    png[16:24] = struct.pack(">II", 20_000, 5_001)
    message = f"20000x5001 pixels .* {MAX_PIXELS // 1_000_000} megapixels"
    with pytest.raises(ImageError, match=message):
        read(bytes(png))
    data = bytearray(tiff([card(0), card(1)]))
    for tag, old, new in ((256, 90, 20_000), (257, 60, 5_001)):
        at = data.index(struct.pack("<HHII", tag, 4, 1, old))
        data[at + 8 : at + 12] = struct.pack("<I", new)
    broken, page = read(bytes(data))
    assert re.search(message, str(broken.error))
    np.testing.assert_array_equal(page.image, card(1))


def test_pages_that_come_behind_too_many_are_not_read(read, monkeypatch, tmp_path):
    monkeypatch.setattr(tiff_module, "MAX_PAGES", 3)
    *pages, last = read(tiff([card(number) for number in range(5)]))
    assert [page.number for page in pages] == [1, 2, 3]
    assert last == BrokenPage(4, last.error)
    assert "more than 3 pages" in str(last.error)
    assert count_pages(tmp_path / "scan") == 4


@pytest.mark.parametrize(
    ("kids", "count", "says"), [(b"", 0, "damaged"), (b"3 0 R", MAX_PAGES + 1, f"claims {MAX_PAGES + 1:,} pages")]
)
def test_a_pdf_of_no_pages_or_too_many(read, kids, count, says):
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, count)]
    objects += [b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>"]
    with pytest.raises(ImageError, match=says):
        read(pdf(objects))


def test_a_png_that_claims_gigabytes_is_refused_before_they_are_asked_for(read):
    png = bytearray(encode(card(0)))
    at = png.index(b"IDAT") - 4
    png[at : at + 4] = b"\xff\xff\xff\xf0"
    before = peak_kilobytes()
    with pytest.raises(ImageError, match="damaged or truncated picture"):
        read(bytes(png))
    assert peak_kilobytes() < before + 200_000


def peak_kilobytes():
    resource = pytest.importorskip("resource", reason="this system does not tell the memory of a process")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1000 if sys.platform == "darwin" else 1)


def test_what_stands_behind_the_end_of_a_png_does_not_matter(read):
    (page,) = read(encode(card(0)) + b"\xff" * 100)
    np.testing.assert_array_equal(page.image, card(0))


@pytest.mark.parametrize("kind", [0, 128])
def test_a_tiff_tag_of_an_unknown_kind(read, kind):
    data = bytearray(tiff([card(0)]))
    at = data.index(struct.pack("<HHII", 277, 4, 1, 1))
    data[at : at + 12] = struct.pack("<HHII", 277, kind, 0, 0)
    (page,) = read(bytes(data))
    assert f"a tag of kind {kind}" in str(page.error)


def test_a_jpeg_that_ends_in_its_head(read):
    with pytest.raises(ImageError, match="truncated"):
        read(encode(card(0), ".jpg")[:13])


def test_floats_that_are_no_numbers(read):
    pixels = np.full((40, 60), 0.5, np.float32)
    pixels[3:6, 3:6], pixels[10], pixels[20] = np.nan, np.inf, -3e38
    (page,) = read(encode(pixels, ".tif"))
    assert page.image.shape == (40, 60)


TIFF_FILES = {
    "little": tiff([card(0), card(1)], tags={282: (200, 1), 283: (100, 1), 296: 2}),
    "big": tiff([card(0), card(1)], order="big", big=True),
    "opencv": encode(np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8), ".tif"),
}
CHANGES = st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=8)


def changed(data, changes, share=1.0):
    data = bytearray(data[: int(len(data) * share)])
    for place, value in changes:
        if data:
            data[int(place * len(data))] = value
    return bytes(data)


def read_or_refuse(path, data):
    path.write_bytes(data)
    before = peak_kilobytes()
    pages = []
    try:
        for page in read_pages(path):
            pages.append(page.number)
            assert isinstance(page, Page | BrokenPage)
            if isinstance(page, Page):
                assert page.image.ndim == 2
                assert page.image.dtype == np.uint8
                assert page.image.size
        assert pages == list(range(1, count_pages(path) + 1))
    except ImageError:
        assert not pages
    assert peak_kilobytes() < before + 1_500_000


PICTURE_FILES = {ending: encode(card(0), ending) for ending in (".png", ".jpg", ".bmp", ".webp")}
PICTURE_FILES["alpha.png"] = encode(np.dstack([card(0)] * 4))
PICTURE_FILES["16.png"] = encode(card(0).astype(np.uint16) * 257)
PICTURE_FILES["float.tif"] = encode(card(0).astype(np.float32), ".tif")
PICTURE_FILES["colour.jpg"] = encode(np.dstack([card(0)] * 3), ".jpg")
LARGE = st.sampled_from([b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\0", b"\0\0\x40\0"])


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(PICTURE_FILES)), CHANGES, st.floats(0.05, 1), st.floats(0, 1), st.none() | LARGE)
def test_damaged_pictures_give_a_page_or_an_error(tmp_path_factory, name, changes, share, place, large):
    data = bytearray(changed(PICTURE_FILES[name], changes, share))
    if large:
        at = int(place**3 * len(data))  # heads are where the harm is
        data[at : at + 4] = large
    read_or_refuse(tmp_path_factory.getbasetemp() / "fuzzed.png", bytes(data))


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(TIFF_FILES)), CHANGES, st.floats(0.1, 1), st.booleans())
def test_damaged_tiffs_give_pages_or_errors(tmp_path_factory, name, changes, share, at_the_head):
    changes = [(place * 0.02 if at_the_head else place, value) for place, value in changes]
    read_or_refuse(tmp_path_factory.getbasetemp() / "fuzzed.tif", changed(TIFF_FILES[name], changes, share))


PDF_FILE = scanned_pdf([card(0), card(1)])


@settings(max_examples=40, deadline=None)
@given(CHANGES, st.floats(0.1, 1))
def test_damaged_pdfs_give_pages_or_errors(tmp_path_factory, changes, share):
    read_or_refuse(tmp_path_factory.getbasetemp() / "fuzzed.pdf", changed(PDF_FILE, changes, share))


def test_strips_that_claim_gigabytes_are_refused(tmp_path):
    data = bytearray(tiff([card(0)]))
    at = data.index(struct.pack("<HHI", 279, 4, 1))
    data[at + 8 : at + 12] = struct.pack("<I", 0xFFFFFFFF)
    (tmp_path / "a.tif").write_bytes(data)
    with open(tmp_path / "a.tif", "rb") as file:
        ((number, error),) = split_tiff(file)
    assert number == 1
    assert isinstance(error, ImageError)
    assert "4,294,967,295 bytes" in str(error)


def test_a_picture_that_claims_many_bytes_a_pixel(read):
    png = bytearray(encode(card(0)))
    png[16:26] = struct.pack(">IIBB", 9_000, 10_000, 16, 6)
    with pytest.raises(ImageError, match="720,000,000 bytes once decoded"):
        read(bytes(png))
    data = bytearray(tiff([card(0)], tags={322: 20_000, 323: 16}))  # a small page of large tiles
    at = data.index(struct.pack("<HHII", 258, 4, 1, 8))
    data[at + 8 : at + 12] = struct.pack("<I", 64)
    assert len(read(bytes(data))) == 1
    data[at + 8 : at + 12] = struct.pack("<I", 64 * 200)
    (page,) = read(bytes(data))
    assert "512,000,000 bytes once decoded" in str(page.error)


@pytest.mark.parametrize("quality", [50, 101])
def test_a_webp_that_claims_too_many_pixels(read, quality):
    colour = np.dstack([card(0)] * 3)
    data = bytearray(cv2.imencode(".webp", colour, [cv2.IMWRITE_WEBP_QUALITY, quality])[1].tobytes())
    if data[12:16] == b"VP8L":
        data[21:25] = struct.pack("<I", 16_000 | 16_000 << 14)
    else:
        data[26:30] = struct.pack("<HH", 16_001, 16_001)
    with pytest.raises(ImageError, match="16001x16001 pixels"):
        read(bytes(data))
