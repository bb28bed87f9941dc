import os
import struct
import zlib

import cv2
import numpy as np
import pytest
from drawn import draw
from hypothesis import given, settings
from hypothesis import strategies as st

from vinscribe.errors import ImageError, UsageError
from vinscribe.images import (
    MAX_PIXELS,
    decode_grey,
    has_pictures,
    list_folders,
    list_pictures,
    natural_order,
    read_grey,
)

LETTER = draw("R", 64)
LOSSLESS = [".png", ".bmp", ".tif"]
ALL_KINDS = [*LOSSLESS, ".jpg", ".webp"]


def encode(pixels, ending=".png"):
    return cv2.imencode(ending, pixels)[1].tobytes()


def exif_block(orientation):
    return b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def jpeg_with_exif(pixels, orientation):
    data = encode(pixels, ".jpg")
    segment = b"Exif\0\0" + exif_block(orientation)
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]


def png_chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@pytest.mark.parametrize("ending", LOSSLESS)
def test_grey_comes_through_unchanged(ending):
    np.testing.assert_array_equal(decode_grey(encode(LETTER, ending)), LETTER)


@pytest.mark.parametrize("ending", ALL_KINDS)
def test_colour_becomes_grey(ending):
    grey = decode_grey(encode(cv2.cvtColor(LETTER, cv2.COLOR_GRAY2BGR), ending))
    assert grey.dtype == np.uint8
    assert grey.shape == LETTER.shape
    assert np.abs(grey.astype(int) - LETTER).mean() < 4


@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_sixteen_bits_are_scaled_to_eight(ending):
    np.testing.assert_array_equal(decode_grey(encode(LETTER.astype(np.uint16) * 257, ending)), LETTER)


def test_floats_of_any_size_use_the_range_of_the_whole_picture():
    values = np.linspace(-3e30, 5e30, 200 * 7).reshape(200, 7).astype(np.float32)
    values[3, 3], values[150, 2], values[199, 6] = np.nan, np.inf, -np.inf
    finite = np.nan_to_num(values.astype(np.float64), nan=0, posinf=0, neginf=0)
    expected = np.round((finite - finite.min()) * (255 / np.ptp(finite)))
    np.testing.assert_array_equal(decode_grey(encode(values, ".tif")), expected)


def test_float_tiff_uses_its_own_range():
    np.testing.assert_array_equal(decode_grey(encode(LETTER.astype(np.float32) / 255, ".tif")), LETTER)


@pytest.mark.parametrize("ink", [0, 255])
def test_ink_on_transparent_stays_visible(ink):
    pixels = np.dstack([np.full((64, 64, 3), ink, np.uint8), LETTER])
    grey = decode_grey(encode(pixels))
    np.testing.assert_array_equal(grey, LETTER if ink == 255 else 255 - LETTER)


def test_a_scan_with_transparent_corners_goes_on_with_its_own_paper():
    scan = np.full((64, 64), 220, np.uint8)
    cv2.line(scan, (20, 10), (20, 50), 30, 5)
    alpha = np.full((64, 64), 255, np.uint8)
    alpha[:8, :8] = 0
    grey = decode_grey(encode(np.dstack([scan, scan, scan, alpha])))
    assert (grey[:8, :8] == 220).all()


def test_fully_transparent_is_blank_paper():
    assert (decode_grey(encode(np.zeros((20, 20, 4), np.uint8))) == 255).all()


def test_palette_with_transparency():
    indices = (LETTER > 127).astype(np.uint8)
    rows = b"".join(b"\0" + row.tobytes() for row in indices)
    header = struct.pack(">IIBBBBB", 64, 64, 8, 3, 0, 0, 0)
    chunks = [
        (b"IHDR", header),
        (b"PLTE", bytes([9, 9, 9, 0, 0, 0])),
        (b"tRNS", b"\0\xff"),
        (b"IDAT", zlib.compress(rows)),
    ]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks) + png_chunk(b"IEND", b"")
    np.testing.assert_array_equal(decode_grey(data), np.where(indices == 1, 0, 255))


@pytest.mark.parametrize(
    ("orientation", "undo"),
    [
        (1, lambda a: a),
        (2, np.fliplr),
        (3, lambda a: np.rot90(a, 2)),
        (4, np.flipud),
        (5, np.transpose),
        (6, lambda a: np.rot90(a, 1)),
        (7, lambda a: np.rot90(a, 2).T),
        (8, lambda a: np.rot90(a, -1)),
    ],
)
def test_exif_turn_is_applied(orientation, undo):
    upright = np.ascontiguousarray(LETTER[:, :48])  # not square: a wrong quarter turn shows in the shape
    grey = decode_grey(jpeg_with_exif(np.ascontiguousarray(undo(upright)), orientation))
    assert grey.shape == upright.shape
    assert grey.flags.c_contiguous
    assert np.abs(grey.astype(int) - upright).mean() < 4


def test_exif_turn_of_a_transparent_png():
    upright = np.dstack([np.zeros((64, 64, 3), np.uint8), LETTER])[:, :48]
    stored = encode(np.ascontiguousarray(np.rot90(upright, 1)))
    after_header = 8 + 25
    data = stored[:after_header] + png_chunk(b"eXIf", exif_block(6)) + stored[after_header:]
    np.testing.assert_array_equal(decode_grey(data), 255 - LETTER[:, :48])


@pytest.mark.parametrize("ending", ALL_KINDS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_truncated_files_are_errors_and_libraries_stay_quiet(ending, share):
    data = encode(np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8), ending)
    with pytest.raises(ImageError, match="truncated"):
        decode_grey(data[: int(len(data) * share)])


@pytest.mark.parametrize("ending", [".tif", ".bmp", ".webp"])
def test_opencv_reports_nothing_by_itself(ending, capfd):
    data = encode(LETTER, ending)
    with pytest.raises(ImageError):
        decode_grey(data[: len(data) // 2])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("data", "message"), [(b"", "empty file"), (b"hello", "not a PNG"), (b"GIF89a" + bytes(50), "not a PNG")]
)
def test_what_is_no_picture_says_so(tmp_path, data, message):
    path = tmp_path / "a.png"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=message):
        read_grey(path)


@pytest.mark.parametrize("name", ["with space.PNG", "new\nline.png", "日本.png", os.fsdecode(b"caf\xe9.png")])
def test_any_file_name(tmp_path, name):
    path = os.path.join(tmp_path, name)
    with open(path, "wb") as file:
        file.write(encode(LETTER))
    np.testing.assert_array_equal(read_grey(path), LETTER)
    assert list_pictures(str(tmp_path)) == [path]


def test_missing_and_unreadable_files(tmp_path):
    with pytest.raises(ImageError, match="No such file"):
        read_grey(tmp_path / "a.png")
    with pytest.raises(ImageError, match="cannot be read"):
        read_grey(tmp_path)


@pytest.mark.parametrize("ending", [".png", ".bmp", ".jpg", ".tif"])
def test_too_many_pixels_are_refused_before_decoding(ending):
    data = bytearray(encode(np.zeros((30, 40), np.uint8), ending))
    if ending == ".png":
        data[16:24] = struct.pack(">II", 20_000, 10_001)
    elif ending == ".bmp":
        data[18:26] = struct.pack("<ii", 20_000, -10_001)
    elif ending == ".jpg":
        at = data.index(b"\xff\xc0")
        data[at + 5 : at + 9] = struct.pack(">HH", 10_001, 20_000)
    else:
        for tag, value in ((256, 20_000), (257, 10_001)):
            at = next(i for i in range(8, len(data)) if data[i : i + 2] == struct.pack("<H", tag))
            data[at + 2 : at + 12] = struct.pack("<HII", 4, 1, value)
    with pytest.raises(ImageError, match=f"20000x10001 .* {MAX_PIXELS // 1_000_000} megapixels"):
        decode_grey(bytes(data))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(ALL_KINDS), st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=8))
def test_damaged_bytes_give_a_picture_or_an_image_error(ending, changes):
    data = bytearray(encode(LETTER, ending))
    for place, value in changes:
        data[int(place * len(data))] = value
    try:
        grey = decode_grey(bytes(data))
    except ImageError:
        return
    assert grey.ndim == 2
    assert grey.dtype == np.uint8


def test_list_pictures_takes_pictures_only_sorted(tmp_path):
    for name in ["b.PNG", "a.jpeg", "c.TiFf", "d.txt", "._a.png", ".png", "e.webp", "png"]:
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    names = ["a.jpeg", "b.PNG", "c.TiFf", "e.webp"]
    assert list_pictures(f"{tmp_path}") == [f"{tmp_path}/{name}" for name in names]
    assert list_pictures(f"{tmp_path}/") == [f"{tmp_path}/{name}" for name in names]


def test_list_pictures_of_no_directory(tmp_path):
    with pytest.raises(UsageError, match="no such directory"):
        list_pictures(str(tmp_path / "none"))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="not a directory"):
        list_pictures(str(tmp_path / "file"))


@pytest.mark.parametrize(
    "names",
    [
        ["1.png", "2.PNG", "10.png", "11.png"],
        ["cell.png", "cell (1).png", "cell (2).png", "cell (10).png"],
        ["a1b2.png", "a1b10.png", "a2b1.png", "A3.png", "b.png"],
        ["01.png", "1.jpg", "1.png", "2.bmp"],
        ["card.2", "card.10"],
        ["a", "a1", "a2b", "ab"],
        ["²", "³"],
    ],
)
def test_natural_order(names):
    backwards = names[::-1]
    assert sorted(backwards, key=natural_order) == names
    assert sorted([f"d10/{name}" for name in backwards], key=natural_order) == [f"d10/{name}" for name in names]


@given(st.sets(st.text(st.characters(exclude_characters="/\\\0"), min_size=1, max_size=8)))
def test_natural_order_can_compare_all_names(names):
    names = sorted(names - {".", ".."})
    backwards = names[::-1]
    assert sorted(names, key=natural_order) == sorted(backwards, key=natural_order)


def test_folders_are_listed_in_natural_order(tmp_path):
    for name in ("card10", "card2", ".hidden", "Card1"):
        (tmp_path / name).mkdir()
    (tmp_path / "a.png").write_bytes(b"")
    assert list_folders(f"{tmp_path}/") == [f"{tmp_path}/{name}" for name in ("Card1", "card2", "card10")]
    with pytest.raises(UsageError, match="no such directory"):
        list_folders(str(tmp_path / "none"))


def test_has_pictures(tmp_path):
    assert not has_pictures(str(tmp_path))
    for name in ("a.txt", ".b.png"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "c.png").mkdir()
    assert not has_pictures(str(tmp_path))
    (tmp_path / "d.TIF").write_bytes(b"")
    assert has_pictures(str(tmp_path))
    assert has_pictures(str(tmp_path / "none"))  # whoever reads it will say what is wrong
