"""``vinscribe chars DIR --explain OUT``: what the network saw, beside the original, one PNG for each picture.

And one page, ``index.html``, that lists them, the doubtful ones first. Pictures are written one by one as they are
read: memory holds a line of text for each, never the pictures.
"""

import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote_from_bytes

import cv2
import numpy as np
from numpy.typing import NDArray

from vinscribe.errors import UsageError
from vinscribe.images import read_grey
from vinscribe.reader import Cell, CharacterReading, Unreadable

INDEX = "index.html"

_HEIGHT_PX = 160
_WIDEST_PX = 3 * _HEIGHT_PX  # a picture wider than that is made less high
_GAP_PX = 10
_STRIP_PX = 250
_PAPER, _FRAME, _INK, _BAR, _BEST, _DOUBT = (  # OpenCV's order: blue, green, red
    (255, 255, 255),
    (190, 190, 190),
    (50, 45, 40),
    (200, 190, 180),
    (170, 110, 30),
    (30, 90, 210),
)
_FONT = cv2.FONT_HERSHEY_SIMPLEX

_PNG_START_BYTES = 33  # signature and header chunk
_MARK = b"Software\0vinscribe chars --explain"
_HTML_MARK = '<meta name="generator" content="vinscribe chars --explain">'


class Explanation:
    """A folder that fills with explanations.

    Args:
        out: the folder; it is made if it is not there.
        directory: the folder with the pictures.
        paths: all pictures that will be read.

    Raises:
        UsageError: ``out`` is ``directory`` or cannot be written, or a file there that vinscribe did not make is in
            the way.
    """

    def __init__(self, out: str, directory: str, paths: Iterable[str]) -> None:
        self.out = Path(out)
        self._directory = directory
        names = [Path(path).name for path in paths]
        self._targets = dict(zip(names, target_names(names), strict=True))
        self._rows: list[tuple[float, str, str]] = []  # confidence, name, the line below its picture
        self._unreadable: list[tuple[str, str]] = []
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            if self.out.samefile(directory):
                raise UsageError(f"--explain {out}: that is the folder with the pictures; give a folder of its own")
            for name in (*self._targets.values(), INDEX):
                if not _may_be_written(self.out / name):
                    raise UsageError(
                        f"--explain {out}: vinscribe did not make the {name} in there and will not overwrite it; "
                        "give a new folder, or move that file away"
                    )
        except OSError as error:
            raise _cannot_write(error, out) from error

    def of(
        self, results: Iterable[tuple[CharacterReading, Cell] | tuple[Unreadable, None]]
    ) -> Iterator[CharacterReading | Unreadable]:
        """Pass on what `vinscribe.reader.Reader.read_with_cells` gives, and write it down; the page comes last."""
        for result, cell in results:
            if isinstance(result, Unreadable):
                self._unreadable.append((Path(result.file).name, str(result.error)))
            elif cell is not None:
                self._add(result, cell)
            yield result
        self._write_page()

    def _add(self, reading: CharacterReading, cell: Cell) -> None:
        name = Path(reading.file).name
        data = _marked(cv2.imencode(".png", draw_explanation(read_grey(reading.file), cell, reading))[1].tobytes())
        try:
            (self.out / self._targets[name]).write_bytes(data)
        except OSError as error:
            raise _cannot_write(error, str(self.out)) from error
        says = f"{reading.char} ({_percent(reading.confidence)})"
        if not reading.legible:
            says = f"no legible character ({_percent(1 - reading.legible_probability)}), best guess {says}"
        self._rows.append((reading.confidence, name, says))

    def _write_page(self) -> None:
        title = f"vinscribe: {escape(_text(self._directory))}"
        try:
            with (self.out / INDEX).open("w", encoding="utf-8", newline="\n") as page:
                page.write(_PAGE_HEAD.format(mark=_HTML_MARK, title=title, count=len(self._rows)))
                for name, reason in self._unreadable:
                    page.write(f"<p><b>{escape(_text(name))}</b>: {escape(reason)}</p>\n")
                for _, name, says in sorted(self._rows):
                    link = quote_from_bytes(os.fsencode(self._targets[name]))
                    caption = f"{escape(_text(name))}<br>{escape(says)}"
                    picture = f'<img src="{link}" alt="" height="{_HEIGHT_PX + 2 * _GAP_PX}" loading="lazy">'
                    page.write(f"<figure>{picture}<figcaption>{caption}</figcaption></figure>\n")
                page.write("</main>\n</html>\n")
        except OSError as error:
            raise _cannot_write(error, str(self.out)) from error


def target_names(names: Sequence[str]) -> list[str]:
    """Names of the PNG files for picture files of these names: all different; a ``.png`` keeps its name."""
    taken = set(names)
    targets = []
    for name in names:
        target = name
        if not name.endswith(".png"):
            target += ".png"
            while target in taken:
                target += ".png"
        targets.append(target)
    return targets


def draw_explanation(image: NDArray[np.uint8], cell: Cell, reading: CharacterReading) -> NDArray[np.uint8]:
    """The original, what the network saw, and what it made of it, side by side.

    Args:
        image: uint8 (height, width), any size.
        cell: uint8 (S, S), ink bright.
        reading: of the two.

    Returns:
        uint8 (180, width, 3), channels in OpenCV's order.
    """
    scale = min(_HEIGHT_PX / image.shape[0], _WIDEST_PX / image.shape[1])
    width, height = (max(1, round(side * scale)) for side in (image.shape[1], image.shape[0]))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    original = cv2.resize(image, (width, height), interpolation=how)
    seen = cv2.resize(cell, (_HEIGHT_PX, _HEIGHT_PX), interpolation=cv2.INTER_NEAREST)
    sheet = np.full((_HEIGHT_PX + 2 * _GAP_PX, width + _HEIGHT_PX + _STRIP_PX + 4 * _GAP_PX, 3), _PAPER, np.uint8)
    left = _GAP_PX
    for picture in (original, seen):
        bottom, right = _GAP_PX + picture.shape[0], left + picture.shape[1]
        sheet[_GAP_PX:bottom, left:right] = picture[..., np.newaxis]
        cv2.rectangle(sheet, (left - 1, _GAP_PX - 1), (right, bottom), _FRAME)
        left = right + _GAP_PX
    _draw_strip(sheet[:, left:], reading)
    return sheet


def _draw_strip(strip: NDArray[np.uint8], reading: CharacterReading) -> None:
    """The best characters with bars of their probabilities, and below them the legibility."""
    rows = [(char, value, _BAR if rank else _BEST) for rank, (char, value) in enumerate(reading.top)]
    rows.append(("legible", reading.legible_probability, _BEST if reading.legible else _DOUBT))
    step, bar_left, bar_px = _HEIGHT_PX // len(rows), 62, 110
    for place, (name, value, colour) in enumerate(rows):
        baseline = _GAP_PX + place * step + step * 2 // 3
        top, bottom = baseline - 12, baseline + 2
        cv2.putText(strip, name, (0, baseline), _FONT, 0.5, _DOUBT if colour == _DOUBT else _INK, 1, cv2.LINE_AA)
        cv2.rectangle(strip, (bar_left, top), (bar_left + round(bar_px * value), bottom), colour, cv2.FILLED)
        cv2.rectangle(strip, (bar_left, top), (bar_left + bar_px, bottom), _FRAME)
        cv2.putText(strip, _percent(value), (bar_left + bar_px + 8, baseline), _FONT, 0.45, _INK, 1, cv2.LINE_AA)


def _percent(value: float) -> str:
    return f"{value:.2%}"


def _text(name: str) -> str:
    """A file name as text that any page can hold: bytes that are no text become question marks."""
    return os.fsencode(name).decode("utf-8", "replace")


def _marked(png: bytes) -> bytes:
    """A PNG with a note of who made it behind its header, by which it is known again. Source: PNG, chunk tEXt."""
    kind = b"tEXt" + _MARK
    chunk = len(_MARK).to_bytes(4, "big") + kind + zlib.crc32(kind).to_bytes(4, "big")
    return png[:_PNG_START_BYTES] + chunk + png[_PNG_START_BYTES:]


def _may_be_written(path: Path) -> bool:
    """Whether there is no such file, or one that an earlier run made."""
    if not os.path.lexists(path):
        return True
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(500)
    mark = _HTML_MARK.encode() if path.name == INDEX else _MARK
    return mark in head


def _cannot_write(error: OSError, out: str) -> UsageError:
    where = error.filename or out
    return UsageError(f"--explain {out}: cannot write {where}: {error.strerror}; give a folder that can be written")


_PAGE_HEAD = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
{mark}
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 15px/1.4 sans-serif; margin: 2em; color: #222; background: #f4f4f2 }}
main {{ display: flex; flex-wrap: wrap; gap: 1em }}
p {{ width: 100%; margin: 0; color: #a33 }}
figure {{ margin: 0; padding: .5em; background: #fff; border: 1px solid #ddd; max-width: 100% }}
figure img {{ max-width: 100% }}
figcaption {{ overflow-wrap: anywhere }}
</style>
<h1>{title}</h1>
<div>{count:,} pictures, the doubtful ones first: the original, what the network saw, its five best characters.</div>
<main>
"""
