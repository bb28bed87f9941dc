import struct

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scan_files import card, encode

from vinscribe.errors import ImageError
from vinscribe.headers import check_png_chunks, picture_size, pixel_bytes, resolution

COLOUR = np.dstack([card(0)] * 3)
LOSSLESS, LOSSY = [cv2.IMWRITE_WEBP_QUALITY, 101], [cv2.IMWRITE_WEBP_QUALITY, 50]
FILES = {
    "png": encode(card(0)),
    "alpha png": encode(np.dstack([card(0)] * 4)),
    "16 bit png": encode(card(0).astype(np.uint16)),
    "jpeg": encode(card(0), ".jpg"),
    "progressive jpeg": cv2.imencode(".jpg", COLOUR, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes(),
    "bmp": encode(card(0), ".bmp"),
    "lossy webp": cv2.imencode(".webp", COLOUR, LOSSY)[1].tobytes(),
    "lossless webp": cv2.imencode(".webp", COLOUR, LOSSLESS)[1].tobytes(),
    "alpha webp": cv2.imencode(".webp", np.dstack([card(0)] * 4), LOSSY)[1].tobytes(),
    "tiff": encode(card(0), ".tif"),
}


@pytest.mark.parametrize("kind", FILES)
def test_size_is_that_of_the_picture(kind):
    assert picture_size(FILES[kind]) == (90, 60)


def test_jpeg_segments_may_have_something_between_them():
    data = FILES["jpeg"]
    between = data[:20] + b"\0\1\2\xff\xff" + data[20:]
    assert cv2.imdecode(np.frombuffer(between, np.uint8), cv2.IMREAD_GRAYSCALE).shape == (60, 90)
    assert picture_size(between) == (90, 60)


@given(st.sampled_from(sorted(FILES)), st.integers(0, 60), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255))))
def test_nothing_is_too_damaged_to_look_at(kind, length, changes):
    data = bytearray(FILES[kind][:length])
    for place, value in changes:
        data[place : place + 1] = bytes([value])[: len(data) - place]
    for look in (picture_size, pixel_bytes, resolution):
        look(bytes(data))


@pytest.mark.parametrize(("kind", "count"), [("png", 1), ("alpha png", 4), ("16 bit png", 2), ("jpeg", 4)])
def test_bytes_of_a_pixel(kind, count):
    assert pixel_bytes(FILES[kind]) == count


def test_png_chunks():
    data = FILES["png"]
    check_png_chunks(data)
    check_png_chunks(data + b"\xff" * 20)  # what comes behind the end does not matter
    with pytest.raises(ImageError, match="truncated"):
        check_png_chunks(data.replace(struct.pack(">I", len(data) - 57) + b"IDAT", b"\xff\xff\xff\xf0IDAT"))
