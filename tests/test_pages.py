import os
import re
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vinscribe.errors import ImageError, UsageError
from vinscribe.pages import MAX_PDF_PIXELS, MAX_PIXELS, BrokenPage, Page, list_scans, read_pages
from vinscribe.tiff import split_tiff


def card(number, height=60, width=90):
    """Paper with a line and a mark that differs from page to page."""
    image = np.full((height, width), 255, np.uint8)
    image[height // 2] = 0
    image[5:15, 3 + 2 * number : 6 + 2 * number] = 40
    return image


def encode(pixels, ending=".png"):
    return cv2.imencode(ending, pixels)[1].tobytes()


def number_bytes(order, number, size):
    return number.to_bytes(size, order)


def tiff(pages, order="little", big=False, tags=None, missing=()):
    """A TIFF file of pages of one strip each: grey, or (compression, data, width, height) of one bit."""
    word, count_size = (8, 8) if big else (4, 2)

    def pack(number, size):
        return number_bytes(order, number, size)

    head = (b"II" if order == "little" else b"MM") + pack(43 if big else 42, 2)
    data = bytearray(head + (pack(8, 2) + pack(0, 2) + pack(16, 8) if big else pack(8, 4)))
    for index, page in enumerate(pages):
        if isinstance(page, tuple):
            compression, strip, width, height = page
            bits = 1
        else:
            compression, strip, bits = 1, page.tobytes(), 8
            height, width = page.shape
        entries = {256: width, 257: height, 258: bits, 259: compression, 262: 1, 277: 1, 278: height}
        entries |= {273: 0, 279: len(strip), **(tags or {})}
        entries = {tag: value for tag, value in entries.items() if tag not in missing}
        table = count_size + len(entries) * (4 + 2 * word) + word
        behind = len(data) + table
        rationals = b""
        directory = pack(len(entries), count_size)
        for tag, value in sorted(entries.items()):
            if isinstance(value, tuple):  # a rational
                place = behind + len(rationals)
                rationals += pack(value[0], 4) + pack(value[1], 4)
                kind, value = 5, pack(int.from_bytes(rationals[-8:], order), 8) if big else pack(place, 4)
            else:
                kind = 16 if big and tag in (273, 279) else 4
                value = behind + len(rationals) if tag == 273 else value
                value = pack(value, 8 if kind == 16 else 4).ljust(word, b"\0")
            directory += pack(tag, 2) + pack(kind, 2) + pack(1, word) + value
        if 273 in entries:  # the strip comes behind the values, whose size is known only now
            place = behind + len(rationals)
            at = count_size + sorted(entries).index(273) * (4 + 2 * word) + 4 + word
            directory = directory[:at] + pack(place, word) + directory[at + word :]
        following = 0 if index == len(pages) - 1 else behind + len(rationals) + len(strip)
        data += directory + pack(following, word) + rationals + strip
    return bytes(data)


def pdf(objects, trailer=b""):
    """A PDF file of numbered objects, the first its catalogue."""
    data, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return (
        data
        + b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1)
        + table
        + b"trailer\n<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n" % (len(places) + 1, trailer, len(data))
    )


def scanned_pdf(pages, points=(72, 48), trailer=b"", extra=()):
    """Each page a grey picture that fills it."""
    kids = b" ".join(b"%d 0 R" % (3 + 3 * index) for index in range(len(pages)))
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, len(pages))]
    for index, page in enumerate(pages):
        first = 3 + 3 * index
        stream = b"%d 0 0 %d 0 0 cm /I Do" % points
        pixels = zlib.compress(page.tobytes())
        objects += [
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Contents %d 0 R "
            b"/Resources << /XObject << /I %d 0 R >> >> >>" % (*points, first + 1, first + 2),
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
            b"<< /Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceGray /BitsPerComponent 8 "
            b"/Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream"
            % (page.shape[1], page.shape[0], len(pixels), pixels),
        ]
    return pdf([*objects, *extra], trailer)


@pytest.fixture
def read(tmp_path):
    def reads(data, name="scan"):
        path = tmp_path / name
        path.write_bytes(data)
        return list(read_pages(path))

    return reads


@pytest.mark.parametrize("ending", [".png", ".bmp", ".tif", ".jpg", ".webp"])
def test_a_picture_is_one_page(read, ending):
    (page,) = read(encode(card(0), ending), "a.wrong")  # the content counts, not the ending
    assert page.number == 1
    assert page.image.shape == (60, 90)
    assert page.image.flags.c_contiguous
    assert np.abs(page.image.astype(int) - card(0)).mean() < 6


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["little", "big"])
def test_all_pages_of_a_tiff_in_order(read, order, big):
    cards = [card(number) for number in range(5)]
    pages = read(tiff(cards, order, big))
    assert [page.number for page in pages] == [1, 2, 3, 4, 5]
    for page, image in zip(pages, cards, strict=True):
        np.testing.assert_array_equal(page.image, image)


def test_a_tiff_as_opencv_writes_it(read, tmp_path):
    cards = [cv2.cvtColor(card(number, 300, 400), cv2.COLOR_GRAY2BGR) for number in range(3)]
    assert cv2.imwritemulti(str(tmp_path / "many.tif"), cards)
    pages = list(read_pages(tmp_path / "many.tif"))
    for number, page in enumerate(pages):
        np.testing.assert_array_equal(page.image, card(number, 300, 400))
    assert len(pages) == 3


def test_one_bit_and_fax_pages(read):
    image = card(2, 40, 64)
    packed = np.packbits(image > 127, axis=1).tobytes()
    # Group 4 of a white page is a "vertical 0" code, a single 1, for each line, and the end mark.
    blank = np.packbits(np.array([1] * 40 + ([0] * 11 + [1]) * 2)).tobytes()
    white_is_zero = {262: 0}
    (plain,) = read(tiff([(1, packed, 64, 40)]))
    np.testing.assert_array_equal(plain.image, np.where(image > 127, 255, 0))
    (fax,) = read(tiff([(4, blank, 64, 40)], tags=white_is_zero))
    assert fax.image.shape == (40, 64)
    assert (fax.image == 255).all()


def test_a_damaged_page_does_not_stop_the_others(read):
    data = bytearray(tiff([card(0), card(1), card(2)]))
    second = data.index(card(1).tobytes())
    entry = data.rindex(struct.pack("<HHII", 259, 4, 1, 1), 0, second)
    data[entry + 8 : entry + 12] = struct.pack("<I", 8)  # no zlib stream at all
    first, broken, third = read(bytes(data))
    assert isinstance(broken, BrokenPage)
    assert broken.number == 2
    assert "damaged" in str(broken.error)
    np.testing.assert_array_equal(first.image, card(0))
    np.testing.assert_array_equal(third.image, card(2))
    assert third.number == 3


def test_a_truncated_tiff_gives_the_pages_that_are_there(read):
    data = tiff([card(0), card(1), card(2)])
    first, broken = read(data[: data.index(card(1).tobytes()) + 100])[:2]
    np.testing.assert_array_equal(first.image, card(0))
    assert isinstance(broken, BrokenPage)
    assert "truncated" in str(broken.error)
    with pytest.raises(ImageError, match="truncated"):
        read(data[:12])


def test_a_tiff_whose_pages_go_round_ends(read):
    data = bytearray(tiff([card(0), card(1)]))
    data[-card(1).size - 4 : -card(1).size] = struct.pack("<I", 8)
    pages = read(bytes(data))
    assert [type(page) for page in pages] == [Page, Page, BrokenPage]
    assert "circle" in str(pages[2].error)


@pytest.mark.parametrize("missing", [(273,), (279, 273)])
def test_a_page_without_picture_data(read, missing):
    (page,) = read(tiff([card(0)], missing=missing))
    assert "without picture data" in str(page.error)


def test_a_single_strip_without_its_size(read):
    (page,) = read(tiff([card(0)], missing=(279,)))
    np.testing.assert_array_equal(page.image, card(0))


def test_coarse_fax_lines_are_stretched_to_square_pixels(read):
    fax = {282: (204, 1), 283: (98, 1), 296: 2}
    (page,) = read(tiff([card(0)], tags=fax))
    assert page.image.shape == (round(60 * 204 / 98), 90)
    assert page.dpi == 204
    (page,) = read(tiff([card(0)], tags=fax | {274: 6}))  # a quarter turn: the coarse axis is the other one now
    assert page.image.shape == (90, round(60 * 204 / 98))
    assert page.dpi == 204


def test_resolution(read):
    centimetres = {282: (118, 1), 283: (118, 1), 296: 3}
    assert read(tiff([card(0)], tags=centimetres))[0].dpi == pytest.approx(299.72)
    assert read(tiff([card(0)], tags={282: (300, 0), 283: (300, 1), 296: 2}))[0].dpi is None
    assert read(tiff([card(0)]))[0].dpi is None
    png = encode(card(0))
    chunk = b"pHYs" + struct.pack(">IIB", 11811, 11811, 1)
    png = png[:33] + struct.pack(">I", 9) + chunk + struct.pack(">I", zlib.crc32(chunk)) + png[33:]
    assert read(png)[0].dpi == pytest.approx(300, abs=0.1)
    jpeg = bytearray(encode(card(0), ".jpg"))
    jpeg[13:18] = struct.pack(">BHH", 1, 150, 150)
    assert read(bytes(jpeg))[0].dpi == 150
    assert read(encode(card(0)))[0].dpi is None


def test_pages_of_a_pdf(read):
    cards = [card(number, 133, 200) for number in range(3)]
    pages = read(scanned_pdf(cards))
    assert [page.number for page in pages] == [1, 2, 3]
    for page, image in zip(pages, cards, strict=True):
        assert page.image.shape == (134, 200)  # an inch is 72 points, 200 pixels
        assert page.image.dtype == np.uint8
        assert page.image.flags.c_contiguous
        assert page.dpi == 200
        assert np.abs(page.image[:133].astype(int) - image).mean() < 8
        page.image[0] = 0  # its own memory, not PDFium's


def test_a_turned_pdf_page(read):
    data = scanned_pdf([card(0, 133, 200)]).replace(b"/Type /Page /Parent", b"/Type /Page /Rotate 90 /Parent")
    # Lengths and places shift by that, which PDFium repairs.
    assert read(data)[0].image.shape == (200, 134)


def test_pdf_behind_other_bytes(read):
    assert len(read(b"\n\n" * 20 + scanned_pdf([card(0)]))) == 1


def test_a_huge_pdf_page_is_drawn_coarser(read):
    (page,) = read(scanned_pdf([card(0)], points=(9000, 6000)))
    assert page.image.size <= 1.01 * MAX_PDF_PIXELS
    assert page.dpi < 200
    assert page.dpi == pytest.approx(72 * page.image.shape[1] / 9000, rel=0.01)


def test_encrypted_pdf(read):
    lock = b"<< /Filter /Standard /V 1 /R 2 /O <%s> /U <%s> /P -4 >>" % (b"41" * 32, b"42" * 32)
    data = scanned_pdf([card(0)], trailer=b"/Encrypt 6 0 R /ID [<00> <00>]", extra=[lock])
    with pytest.raises(ImageError, match="encrypted PDF; save it without a password"):
        read(data)


def test_damaged_pdf(read):
    with pytest.raises(ImageError, match="damaged or truncated PDF"):
        read(b"%PDF-1.4\n" + bytes(100))
    broken = scanned_pdf([card(0), card(1)]).replace(b"3 0 R 6 0 R", b"3 0 R 9 0 R")
    first, second = read(broken)
    assert isinstance(first, Page)
    assert isinstance(second, BrokenPage)
    assert "damaged page" in str(second.error)


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"", "empty file"), (b"hello", "not a PNG, JPEG, BMP, WebP, TIFF or PDF"), (encode(card(0))[:80], "truncated")],
)
def test_what_is_no_scan_says_so(read, data, message):
    with pytest.raises(ImageError, match=message):
        read(data, "a.pdf")


def test_missing_files_folders_and_pipes(tmp_path):
    with pytest.raises(ImageError, match="No such file"):
        list(read_pages(tmp_path / "none.pdf"))
    with pytest.raises(ImageError, match="not a file"):
        list(read_pages(tmp_path))
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.png")
        with pytest.raises(ImageError, match="not a file"):
            list(read_pages(tmp_path / "pipe.png"))
    with pytest.raises(ImageError, match="cannot be read"):
        list(read_pages("nul\0"))


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


@pytest.mark.parametrize("name", ["with space.PDF", "new\nline.pdf", "日本.pdf", "~a.pdf", os.fsdecode(b"caf\xe9.pdf")])
def test_any_file_name(tmp_path, name):
    path = os.path.join(tmp_path, name)
    with open(path, "wb") as file:
        file.write(scanned_pdf([card(0)]))
    assert len(list(read_pages(path))) == 1
    assert list_scans(str(tmp_path)) == [path]


def test_list_scans_takes_scans_only_sorted(tmp_path):
    for name in ["b.PDF", "a.jpeg", "c.TiFf", "d.txt", "._a.pdf", ".pdf", "e.webp", "pdf"]:
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.pdf").mkdir()
    names = ["a.jpeg", "b.PDF", "c.TiFf", "e.webp"]
    assert list_scans(f"{tmp_path}/") == [f"{tmp_path}/{name}" for name in names]
    with pytest.raises(UsageError, match="no such directory"):
        list_scans(str(tmp_path / "none"))


def test_one_page_of_a_long_tiff_is_in_memory_at_a_time(tmp_path):
    page = card(0, 1000, 1000)
    path = tmp_path / "long.tif"
    path.write_bytes(tiff([page] * 200))  # 200 MB
    code = (
        "import resource, sys\n"
        "from vinscribe.pages import read_pages\n"
        "pages = read_pages(sys.argv[1])\n"
        "first = next(pages)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "count = 1 + sum(1 for page in pages)\n"
        "print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    pytest.importorskip("resource", reason="this system does not tell the memory of a process")
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True)
    count, kilobytes = map(int, done.stdout.split())
    assert count == 200
    assert kilobytes < 20_000 * (1000 if sys.platform == "darwin" else 1)


def test_pdfium_is_loaded_only_for_a_pdf(tmp_path):
    (tmp_path / "a.png").write_bytes(encode(card(0)))
    code = (
        "import sys\n"
        "from vinscribe.pages import read_pages\n"
        "list(read_pages(sys.argv[1]))\n"
        "assert not any(name.startswith('pypdfium2') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.png")], check=True)


def test_an_abandoned_file_is_closed(tmp_path):
    (tmp_path / "a.pdf").write_bytes(scanned_pdf([card(0), card(1)]))
    pages = read_pages(tmp_path / "a.pdf")
    next(pages)
    pages.close()  # an open file would be a ResourceWarning, which is an error here
    (tmp_path / "a.pdf").unlink()


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
    try:
        for page in read_pages(path):
            assert isinstance(page, Page | BrokenPage)
            if isinstance(page, Page):
                assert page.image.ndim == 2
                assert page.image.dtype == np.uint8
    except ImageError:
        return


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
        (error,) = split_tiff(file)
    assert isinstance(error, ImageError)
    assert "4,294,967,295 bytes" in str(error)
