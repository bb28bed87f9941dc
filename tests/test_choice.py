"""Which row of cells on a page is the VIN's: by its ink, not by its place."""

import cv2
import numpy as np
import pytest

from vinscribe.choice import no_field, read_fields
from vinscribe.decode import Decoder
from vinscribe.field import Field
from vinscribe.reader import Reader
from vinscribe.training.cards import draw_card

CELL = 50
VIN, OTHER_VIN = "1HGCM82633A004352", "WDBUF56J06A943665"


@pytest.fixture(scope="module")
def reader():
    return Reader()


def page_with(*texts):
    """A page with a row of 17 characters for each text, blank for a space, and the rows' fields."""
    page = np.full((len(texts) * 3 * CELL, 19 * CELL), 255, np.uint8)
    fields = []
    for row, text in enumerate(texts):
        top, left = (3 * row + 1) * CELL, CELL
        for at, char in enumerate(text.ljust(17)):
            place = (left + at * CELL + 10, top + CELL - 12)
            if char != " ":
                cv2.putText(page, char, place, cv2.FONT_HERSHEY_SIMPLEX, 1.1, 0, 3, cv2.LINE_AA)
        xs = left + CELL * np.arange(17.0)
        bottom = top + CELL
        cells = np.array([[(x, top), (x + CELL, top), (x + CELL, bottom), (x, bottom)] for x in xs], float)
        corners = np.array([cells[0, 0], cells[-1, 1], cells[-1, 2], cells[0, 3]])
        fields.append(Field(corners, cells, 0.9, "boxes"))
    return page, fields


def turned(field):
    cells = field.cells[::-1][:, [2, 3, 0, 1]]
    return Field(np.array([cells[0, 0], cells[-1, 1], cells[-1, 2], cells[0, 3]]), cells, field.score, field.kind)


def read(reader, page, fields, threshold=0.5):
    decoder = Decoder(threshold=threshold, calibration=reader.decoder.calibration)
    return read_fields(page, [fields], reader.classifier, decoder)


def test_the_row_that_makes_sense_is_taken_wherever_it_stands(reader):
    page, fields = page_with("4711 0815", "ZX9X8Y7Z6W5V4U3T2", VIN)
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        reading = read(reader, page, [fields[at] for at in order])
        assert (reading.vin, reading.decision) == (VIN, "accept")
        assert reading.field == tuple(map(tuple, fields[2].corners.tolist()))
        assert [cell.box for cell in reading.cells] == [tuple(map(tuple, box)) for box in fields[2].cells.tolist()]


def test_a_field_upside_down_is_read_the_right_way(reader):
    page, (field,) = page_with(VIN)
    upside_down = np.ascontiguousarray(page[::-1, ::-1])
    height, width = page.shape
    cells = np.array([width, height]) - field.cells
    lying = Field(np.array([cells[0, 0], cells[-1, 1], cells[-1, 2], cells[0, 3]]), cells, field.score, field.kind)
    reading = read(reader, upside_down, [turned(lying), lying])
    assert reading.vin == VIN
    assert reading.field == tuple(map(tuple, lying.corners.tolist()))


def test_two_rows_that_may_both_be_it_lower_the_confidence(reader):
    page, fields = page_with(VIN, OTHER_VIN)
    alone = [read(reader, page, [field]) for field in fields]
    assert all(reading.decision == "accept" for reading in alone)
    both = read(reader, page, fields, threshold=0.98)
    assert both.confidence < min(reading.confidence for reading in alone)
    assert both.decision == "review"
    assert sum(each.probability for each in both.candidates) <= 1


def test_the_same_vin_twice_is_no_doubt(reader):
    page, fields = page_with(VIN, VIN)
    assert read(reader, page, fields).confidence == pytest.approx(read(reader, page, fields[:1]).confidence, rel=1e-6)


def test_an_empty_field_is_said_to_be_empty(reader):
    page, fields = page_with("")
    reading = read(reader, page, fields, threshold=0.0)
    assert (reading.decision, reading.reason) == ("review", "the field is empty")


def test_a_field_without_boxes_is_trusted_less(reader):
    page, (field,) = page_with(VIN)
    sure, unsure = (Field(field.corners, field.cells, score, "plain") for score in (0.9, 0.45))
    boxed, *unboxed = (read(reader, page, [each], 0.9) for each in (field, sure, unsure))
    assert {reading.vin for reading in unboxed} == {boxed.vin}
    assert unboxed[1].confidence < unboxed[0].confidence < boxed.confidence
    assert [reading.decision for reading in (boxed, *unboxed)] == ["accept", "accept", "review"]
    assert unboxed[1].reason == "field without boxes"


def test_a_page_without_rows_has_no_field(reader):
    reading = reader.read_page(np.full((300, 400), 255, np.uint8))
    assert reading == no_field("no row of 17 cells found")
    assert (reading.vin, reading.cells, reading.confidence) == (None, (), 0.0)


def test_pages_are_read_as_they_were_scanned(reader, tmp_path):
    card = draw_card(7, "boxes", "clean", dpi=200)
    path = tmp_path / f"card{card.ending}"
    path.write_bytes(card.data)
    (reading,) = reader.read(path)
    assert (reading.file, reading.page, reading.vin) == (str(path), 1, card.truth.vin)
    middles = np.array(reading.field).mean(axis=0), np.array(card.truth.field).mean(axis=0)
    assert middles[0] == pytest.approx(middles[1], abs=3)
