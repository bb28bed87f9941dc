"""What the head of a picture file claims: how large it will be once decoded, and its resolution.

Read before anything is decoded: a file of a few hundred bytes can claim gigabytes.

Source: PNG (W3C, 2003); JPEG (ITU-T T.81, annex B) and JFIF 1.02; WebP container, VP8 (RFC 6386) and VP8L bitstreams.
"""

from vinscribe.errors import ImageError

_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}  # by colour type
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_ALONE = frozenset({0x00, 0x01, *range(0xD0, 0xDA)})  # markers without a length
_JPEG_SCAN = 0xDA


def picture_size(data: bytes) -> tuple[int, int]:
    """(width, height) that a picture file claims; (0, 0) where it claims none, and cannot be decoded either."""
    if data[:2] == b"\xff\xd8":
        return _jpeg_size(data)
    if data[:4] == b"RIFF" and data[12:16] == b"VP8 ":
        return _number(data[26:28]) & 0x3FFF, _number(data[28:30]) & 0x3FFF
    if data[:4] == b"RIFF" and data[12:16] == b"VP8L":
        bits = _number(data[21:25])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if data[:4] == b"RIFF" and data[12:16] == b"VP8X":
        return _number(data[24:27]) + 1, _number(data[27:30]) + 1
    if data[:4] == b"\x89PNG":
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    if data[:2] == b"BM":
        height = int.from_bytes(data[22:26], "little", signed=True)  # negative: rows from the top down
        return _number(data[18:22]), abs(height)
    tags = tiff_tags(data) if data[:2] in (b"II", b"MM") else {}
    return tags.get(0x0100, 0), tags.get(0x0101, 0)


def tiff_tags(data: bytes) -> dict[int, int]:
    """Tag -> first number of the first directory of a TIFF file or EXIF block (single short and long tags only)."""
    order: str = "little" if data[:2] == b"II" else "big"

    def number(start: int, size: int) -> int:
        return int.from_bytes(data[start : start + size], order)  # type: ignore[arg-type]

    at = number(4, 4)
    tags = {}
    for entry in range(at + 2, min(at + 2 + 12 * number(at, 2), len(data) - 11), 12):
        kind = number(entry + 2, 2)
        if kind in (3, 4) and number(entry + 4, 4) == 1:
            tags[number(entry, 2)] = number(entry + 8, 2 if kind == 3 else 4)
    return tags


def pixel_bytes(data: bytes) -> int:
    """Bytes of a decoded pixel; of a kind that has no more than four one-byte channels, 4."""
    if data[:4] == b"\x89PNG" and len(data) > 25:
        return _PNG_CHANNELS.get(data[25], 4) * (2 if data[24] == 16 else 1)
    return 4


def check_png_chunks(data: bytes) -> None:
    """Raises ImageError where a PNG chunk claims more bytes than there are: OpenCV would ask for all that memory."""
    at = 8
    while at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        at += 12 + length
        if at > len(data):
            raise ImageError("damaged or truncated picture")
        if kind == b"IEND":
            return


def resolution(data: bytes) -> float | None:
    """The dots per inch across that a PNG, JPEG or BMP file claims."""
    dpi = 0.0
    if data[:4] == b"\x89PNG":
        at = data.find(b"pHYs", 0, 65536)
        if at > 0 and data[at + 12 : at + 13] == b"\1":  # in pixels a metre
            dpi = int.from_bytes(data[at + 4 : at + 8], "big") * 0.0254
    elif data[:2] == b"\xff\xd8" and data[6:11] == b"JFIF\0":
        per_inch = {b"\1": 1.0, b"\2": 2.54}.get(data[13:14], 0.0)
        dpi = int.from_bytes(data[14:16], "big") * per_inch
    elif data[:2] == b"BM":
        dpi = _number(data[38:42]) * 0.0254
    return dpi if dpi > 1 else None


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Like libjpeg, passes over whatever stands between the segments."""
    at = data.find(b"\xff", 2)
    while 0 < at < len(data) - 9:
        marker = data[at + 1]
        if marker in _JPEG_FRAMES:
            return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
        if marker == _JPEG_SCAN:
            break
        if marker == 0xFF:  # filling
            at += 1
        else:
            at += 2 + (0 if marker in _JPEG_ALONE else int.from_bytes(data[at + 2 : at + 4], "big"))
        at = data.find(b"\xff", at)
    return 0, 0


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")
