"""Scans that the tests make byte by byte: pictures, TIFF files of many pages, PDF."""

import zlib

import cv2
import numpy as np


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
