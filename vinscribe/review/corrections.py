"""What people settled -> labelled pictures of cells, for measuring and training: the reader learns the office's hands.

The zip file holds a folder as `vinscribe.labelled` describes it.
"""

import csv
import io
import zipfile
from collections.abc import Iterator

import cv2
import numpy as np

from vinscribe.errors import ImageError
from vinscribe.field import Field, cut_cells
from vinscribe.labelled import LABELS_FILE
from vinscribe.review.pictures import Pictures
from vinscribe.review.readings import shown
from vinscribe.review.records import Card
from vinscribe.review.store import Store

MISSING_FILE = "missing.csv"
"""In the zip file: cards whose cells are not there, and why."""

LEAST_ALIKE = 9
"""Of the 17 characters that people read as the reader did; with fewer, it has looked at another row of the card, or a
cell beside, and what people typed from the whole card is not what its cells show."""


def corrections_zip(store: Store, pictures: Pictures) -> Iterator[bytes]:
    """A zip file with the 17 cells of each card that people settled, card by card.

    ``labels.csv`` has the columns file, label, card, position (from 1), read (what the reader took it for), confidence.
    Cards without a field have no cells; in ``missing.csv`` are cards whose scan is gone, and those with fewer than
    `LEAST_ALIKE` characters that were read right.
    """
    sink = _Sink()
    labels, missing = _Table(("file", "label", "card", "position", "read", "confidence")), _Table(("file", "why"))
    with zipfile.ZipFile(sink, "w") as archive:  # PNG files are packed already
        for correction in store.corrections():
            card = store.card(correction.card_id)
            if not card.reading["cells"]:
                continue
            alike = sum(cell["char"] == char for cell, char in zip(card.reading["cells"], correction.vin, strict=True))
            if alike < LEAST_ALIKE:
                missing.add((shown(card.scan_path), f"only {alike} characters are as read: perhaps of another row"))
                continue
            try:
                cells = _cells(card, pictures)
            except ImageError as error:
                missing.add((shown(card.scan_path), shown(str(error))))
                continue
            read = zip(correction.vin, card.reading["cells"], cells, strict=True)
            for position, (label, cell, data) in enumerate(read, 1):
                name = f"cells/{card.id:07d}-{position:02d}.png"
                archive.writestr(name, data)
                labels.add((name, label, card.id, position, cell["char"], cell["confidence"]))
            yield sink.taken()
        archive.writestr(LABELS_FILE, labels.text())
        if missing.rows:
            archive.writestr(MISSING_FILE, missing.text())
    yield sink.taken()


def _cells(card: Card, pictures: Pictures) -> list[bytes]:
    """PNG files of the card's cells, cut as the reader cuts them."""
    boxes = np.array([cell["box"] for cell in card.reading["cells"]], np.float64)
    field = Field(np.array(card.reading["field"], np.float64), boxes, 1.0, "boxes")
    return [cv2.imencode(".png", cell)[1].tobytes() for cell in cut_cells(pictures.page_of(card), field)]


class _Sink(io.RawIOBase):
    """A file that only takes, and hands on what it took."""

    def __init__(self) -> None:
        self._taken = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: "io.ReadableBuffer", /) -> int:  # type: ignore[name-defined]
        self._taken += data
        return len(data)

    def taken(self) -> bytes:
        """What was written since the last time."""
        data = bytes(self._taken)
        self._taken.clear()
        return data


class _Table:
    """A CSV file in memory."""

    def __init__(self, header: tuple[str, ...]) -> None:
        self._text = io.StringIO()
        self._writer = csv.writer(self._text, lineterminator="\r\n")
        self._writer.writerow(header)
        self.rows = 0

    def add(self, row: tuple[object, ...]) -> None:
        self._writer.writerow(row)
        self.rows += 1

    def text(self) -> str:
        return self._text.getvalue()
