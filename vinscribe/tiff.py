"""A TIFF file taken apart: each of its pages becomes a TIFF file of its own, in memory.

So every page is decoded as a single picture is, only one page is in memory however many there are, and a damaged page
does not keep the others from being read.

Source: TIFF revision 6.0 (Adobe, 1992); BigTIFF as libtiff writes it.
"""

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal, NamedTuple

from vinscribe.errors import ImageError

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How TIFF files begin; the last two are BigTIFF."""

MAX_PAGE_BYTES = 1 << 29
"""A page whose stored data is larger is refused."""

MAX_PAGES = 100_000
"""What comes behind so many pages is not read: a damaged file of a few MB can claim millions."""

_SHORT, _LONG, _RATIONAL, _LONG8 = 3, 4, 5, 16
_SIZES = {1: 1, 2: 1, _SHORT: 2, _LONG: 4, _RATIONAL: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, _LONG8: 8}
_ORIENTATION, _X_RESOLUTION, _Y_RESOLUTION, _UNIT = 274, 282, 283, 296
_WIDTH, _HEIGHT, _BITS, _SAMPLES, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 258, 277, 322, 323
_CHUNKS = {273: 279, 324: 325}  # where strips or tiles stand -> how many bytes they have
# All that decoding needs: size, compression, colours, samples, strips and tiles, fax options, JPEG tables.
_KEPT = {256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 282, 283, 284, 292, 293, 296}
_KEPT |= {317, 320, 322, 323, 324, 325, 338, 339, 347, 529, 530, 531, 532}
_MAX_VALUE_BYTES = 1 << 22  # of one tag; the largest are the places of strips and a palette's colours
_PER_INCH = {2: 1.0, 3: 2.54}  # unit of resolution -> how many of it make an inch


@dataclass(frozen=True)
class TiffPage:
    """One page.

    Attributes:
        data: a TIFF file that holds this page only.
        dpi: resolution as the file claims it, across and down, of the page as it is stored; None if it does not.
        on_its_side: whether it is stored a quarter turn away from how it is meant to be seen.
        decoded_bytes: how many it claims to have once decoded, in its own depth.
    """

    data: bytes
    dpi: tuple[float, float] | None
    on_its_side: bool
    decoded_bytes: int


class _Value(NamedTuple):
    kind: int
    number: int
    data: bytes


def split_tiff(file: BinaryIO, wanted: Collection[int] | None = None) -> Iterator[tuple[int, TiffPage | ImageError]]:
    """The pages of an open TIFF file with their numbers from 1, an `ImageError` in the place of each damaged one.

    Where the file ends too early or its list of pages is broken, the last one given is an `ImageError`. Pages that are
    not wanted are passed over unread; all are if ``wanted`` is None. Raises `ImageError` if not even the first page can
    be found; `OSError` where the file cannot be read.
    """
    tiff = _Tiff(file)
    for number, tags in enumerate(tiff.directories(), 1):
        if wanted is not None and number not in wanted:
            continue
        try:
            page: TiffPage | ImageError = tags if isinstance(tags, ImageError) else tiff.page(tags)
        except ImageError as error:
            page = error
        yield number, page


def count_tiff_pages(file: BinaryIO) -> int:
    """How many pages `split_tiff` gives, damaged ones included; raises what it raises."""
    return sum(1 for _ in _Tiff(file).directories())


class _Tiff:
    """An open file, its byte order and whether it is a BigTIFF."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = file.seek(0, os.SEEK_END)
        head = self._bytes(0, 4)
        self._order: Literal["little", "big"] = "little" if head[:2] == b"II" else "big"
        self._head = head[:2] + self._packed(42, 2)
        big = b"+" in head
        self._word = 8 if big else 4  # bytes of a place in the file
        self._count = 8 if big else 2  # bytes of the number of tags
        self.first = self._number(self._bytes(8 if big else 4, self._word))
        if not self.first:
            raise ImageError("TIFF file without a page")

    def directories(self) -> Iterator[dict[int, tuple[int, int, bytes]] | ImageError]:
        """The tags of each page, see `directory`; ends with an `ImageError` where the next page cannot be found."""
        seen: set[int] = set()
        at = self.first
        while at:
            if at in seen:
                yield ImageError("damaged TIFF file: its pages go round in a circle")
                return
            if len(seen) == MAX_PAGES:
                yield ImageError(f"TIFF file with more than {MAX_PAGES:,} pages; the others are not read, split it")
                return
            seen.add(at)
            try:
                tags, at = self.directory(at)
            except ImageError as error:
                if len(seen) == 1:
                    raise
                yield error
                return
            yield tags

    def directory(self, at: int) -> tuple[dict[int, tuple[int, int, bytes]], int]:
        """The kept tags of the page whose directory is here, as (kind, count, value or its place), and the next."""
        number = self._number(self._bytes(at, self._count))
        size = 4 + 2 * self._word
        if number > 4096:
            raise ImageError(f"damaged TIFF file: a page with {number:,} tags")
        table = self._bytes(at + self._count, number * size + self._word)
        tags = {}
        for start in range(0, number * size, size):
            entry = table[start : start + size]
            tag = self._number(entry[:2])
            if tag in _KEPT:
                tags[tag] = (self._number(entry[2:4]), self._number(entry[4 : 4 + self._word]), entry[4 + self._word :])
        return tags, self._number(table[number * size :])

    def page(self, tags: dict[int, tuple[int, int, bytes]]) -> TiffPage:
        """A page as a file of its own."""
        values = {tag: self._value(*entry) for tag, entry in sorted(tags.items())}
        chunks: list[bytes] = []
        for places, sizes in _CHUNKS.items():
            if places in values:
                chunks = self._chunks(values, places, sizes)
                values[places] = _Value(_LONG, len(chunks), bytes(4 * len(chunks)))
                break
        else:
            raise ImageError("damaged TIFF file: a page without picture data")
        start = 8 + 2 + 12 * len(values) + 4 + sum(len(v.data) for v in values.values() if len(v.data) > 4)
        offsets = b""
        for chunk in chunks:
            offsets += self._packed(start, 4)
            start += len(chunk)
        values[places] = values[places]._replace(data=offsets)
        orientation = self._first(values, _ORIENTATION) or 1
        data = self._written(values) + b"".join(chunks)
        return TiffPage(data, self._dpi(values), orientation in (5, 6, 7, 8), self._decoded_bytes(values))

    def _written(self, values: dict[int, _Value]) -> bytes:
        """Head, directory and values of a file with one page."""
        table, rest = self._packed(len(values), 2), b""
        behind = 8 + 2 + 12 * len(values) + 4
        for tag, value in sorted(values.items()):
            table += self._packed(tag, 2) + self._packed(value.kind, 2) + self._packed(value.number, 4)
            if len(value.data) <= 4:
                table += value.data.ljust(4, b"\0")
            else:
                table += self._packed(behind + len(rest), 4)
                rest += value.data
        return self._head + self._packed(8, 4) + table + bytes(4) + rest

    def _chunks(self, values: dict[int, _Value], places: int, sizes: int) -> list[bytes]:
        """The strips or tiles; their sizes are put right among the values, too."""
        starts = self._numbers(values[places])
        if sizes in values:
            lengths = self._numbers(values[sizes])
        elif len(starts) == 1:  # old writers leave the size of a single strip away
            lengths = [max(0, self._size - starts[0])]
        else:
            lengths = []
        if not starts or len(starts) != len(lengths):
            raise ImageError(f"damaged TIFF file: {len(starts)} strips, but the sizes of {len(lengths)}")
        if sum(lengths) > MAX_PAGE_BYTES:
            raise ImageError(f"a page with {sum(lengths):,} bytes; {MAX_PAGE_BYTES:,} are allowed")
        values[sizes] = _Value(_LONG, len(lengths), b"".join(self._packed(length, 4) for length in lengths))
        return [self._bytes(start, length) for start, length in zip(starts, lengths, strict=True)]

    def _value(self, kind: int, count: int, field: bytes) -> _Value:
        size = count * _SIZES.get(kind, 0)
        if kind not in _SIZES or size > _MAX_VALUE_BYTES:
            raise ImageError(f"damaged TIFF file: a tag of kind {kind} with {count:,} values")
        value = _Value(kind, count, field[:size] if size <= len(field) else self._bytes(self._number(field), size))
        if kind == _LONG8:  # which is not known outside BigTIFF
            longs = [min(number, 0xFFFFFFFF) for number in self._numbers(value)]
            return _Value(_LONG, count, b"".join(self._packed(number, 4) for number in longs))
        return value

    def _dpi(self, values: dict[int, _Value]) -> tuple[float, float] | None:
        unit = _PER_INCH.get(self._first(values, _UNIT) or 2)
        dpi = []
        for tag in (_X_RESOLUTION, _Y_RESOLUTION):
            value = values.get(tag)
            if value is None or value.kind != _RATIONAL or len(value.data) < 8 or unit is None:
                return None
            above, below = self._number(value.data[:4]), self._number(value.data[4:8])
            dpi.append(above / below * unit if below else 0.0)
        return (dpi[0], dpi[1]) if min(dpi) > 0 else None

    def _decoded_bytes(self, values: dict[int, _Value]) -> int:
        width, height, bits, samples, tile_width, tile_height = (
            self._first(values, tag) or 1 for tag in (_WIDTH, _HEIGHT, _BITS, _SAMPLES, _TILE_WIDTH, _TILE_HEIGHT)
        )
        return max(width * height, tile_width * tile_height) * samples * -(-bits // 8)

    def _first(self, values: dict[int, _Value], tag: int) -> int | None:
        numbers = self._numbers(values[tag]) if tag in values else []
        return numbers[0] if numbers else None

    def _numbers(self, value: _Value) -> list[int]:
        size = _SIZES[value.kind]
        return [self._number(value.data[start : start + size]) for start in range(0, len(value.data), size)]

    def _bytes(self, start: int, length: int) -> bytes:
        if start + length > self._size:
            raise ImageError("truncated TIFF file; scan or copy it again")
        self._file.seek(start)
        data = self._file.read(length)
        if len(data) < length:
            raise ImageError("truncated TIFF file; scan or copy it again")
        return data

    def _number(self, data: bytes) -> int:
        return int.from_bytes(data, self._order)

    def _packed(self, number: int, size: int) -> bytes:
        return number.to_bytes(size, self._order)
