import os
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
from scan_files import card, encode, scanned_pdf, tiff

from vinscribe import tiff as tiff_module
from vinscribe.errors import ImageError
from vinscribe.pages import MAX_PDF_PIXELS, BrokenPage, Page, count_pages, read_pages


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


FILES_OF_FIVE = {"pdf": scanned_pdf([card(number) for number in range(5)])}
FILES_OF_FIVE["tif"] = tiff([card(number) for number in range(5)])


@pytest.mark.parametrize("ending", ["pdf", "tif"])
def test_some_pages_only(tmp_path, ending, monkeypatch):
    path = tmp_path / "scan"
    path.write_bytes(FILES_OF_FIVE[ending])
    every = {page.number: page.image for page in read_pages(path)}
    parts = []
    real = tiff_module._Tiff.page
    monkeypatch.setattr(tiff_module._Tiff, "page", lambda self, tags: parts.append(tags) or real(self, tags))
    assert count_pages(path) == 5
    for wanted in ([], [1], [2, 5], range(3, 5), [7]):
        pages = list(read_pages(path, wanted))
        assert [page.number for page in pages] == [number for number in wanted if number <= 5]
        for page in pages:
            np.testing.assert_array_equal(page.image, every[page.number])
    assert len(parts) == (5 if ending == "tif" else 0)  # the others' strips were not even read


def test_a_picture_counts_as_one_page(tmp_path):
    path = tmp_path / "scan"
    path.write_bytes(encode(card(0)))
    assert count_pages(path) == 1
    assert [page.number for page in read_pages(path, [1])] == [1]
    assert list(read_pages(path, [2])) == []
    with pytest.raises(ImageError, match="No such file"):
        count_pages(tmp_path / "none")


@pytest.mark.parametrize("name", ["with space.PDF", "new\nline.pdf", "日本.pdf", "~a.pdf", os.fsdecode(b"caf\xe9.pdf")])
def test_any_file_name(tmp_path, name):
    path = os.path.join(tmp_path, name)
    with open(path, "wb") as file:
        file.write(scanned_pdf([card(0)]))
    assert len(list(read_pages(path))) == 1


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
