"""Templates, on forms that are drawn here."""

import json

import cv2
import numpy as np
import pytest
from drawn_forms import FIELD, cells_of, draw_form, moved, off, turned

from vinscribe.errors import DataError, UsageError
from vinscribe.template import Template


@pytest.fixture(scope="module")
def template():
    return Template.made(draw_form(fill=1), FIELD)


@pytest.mark.parametrize("degrees", [0, 3, 90, 180, 270, 137])
@pytest.mark.parametrize("scale", [0.75, 1.5])
def test_another_card_is_read_where_the_field_is(template, degrees, scale):
    page, matrix = turned(draw_form(fill=2, text="WVWZZZ1JZXW000001"), degrees, scale)
    (field,) = template.fields(page)
    assert off(field, moved(cells_of(), matrix)) < 0.15


def test_perspective(template):
    page, matrix = turned(draw_form(fill=3), -8, 1.2, tilt=0.06)
    (field,) = template.fields(page)
    assert off(field, moved(cells_of(), matrix)) < 0.15


def test_black_and_white_with_dropped_lines(template):
    page, matrix = turned(draw_form(fill=4), 2)
    page = np.where(page < 150, 0, 255).astype(np.uint8)
    page[100:640:90] = 255
    (field,) = template.fields(page)
    assert off(field, moved(cells_of(), matrix)) < 0.15


def test_a_pale_scan(template):
    page, matrix = turned(draw_form(fill=4), 2)
    page = (page * 0.12 + 190).astype(np.uint8)
    (field,) = template.fields(page)
    assert off(field, moved(cells_of(), matrix)) < 0.15


@pytest.mark.parametrize(("fill", "degrees"), [(2, 0), (5, 4), (7, 177)])
def test_a_form_that_is_on_the_sheet_twice(fill, degrees):
    """The part with the field, not the other one that looks the same."""
    template = Template.made(np.vstack([draw_form()] * 2), FIELD)
    page, matrix = turned(np.vstack([draw_form(fill), draw_form()]), degrees)
    (field,) = template.fields(page)
    assert off(field, moved(cells_of(), matrix)) < 0.15


def test_where_no_lines_are_seen_the_form_says_where_the_cells_are(template):
    page = draw_form(fill=5)
    x, y, width, height = FIELD
    page[y - 4 : y + height + 5, x - 4 : x + width + 5] = 245
    (field,) = template.fields(page)
    assert off(field, cells_of()) < 0.1


def test_pages_of_another_kind_do_not_fit(template):
    for other in (1, 2, 3):
        assert template.fields(draw_form(fill=6, form=other)) == []
    assert template.fields(np.full((700, 1000), 245, np.uint8)) == []
    assert template.fields(np.random.default_rng(0).integers(0, 256, (700, 1000), np.uint8)) == []


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (3, 900), (900, 2), (20, 20, 3)])
def test_odd_arrays_do_not_fit(template, shape):
    assert template.fields(np.full(shape, 7, np.uint8)) == []


def test_mirrored_page_does_not_fit(template):
    assert template.fields(cv2.flip(draw_form(fill=2), 1)) == []


def test_boxes_near_the_mark_are_taken():
    x, y, width, height = FIELD
    template = Template.made(draw_form(), (x - 9, y + 5, width + 14, height - 3))
    assert template.kind == "boxes"
    assert np.abs(template.cells - cells_of()).max() < 3


def test_without_boxes_cells_are_equally_wide():
    template = Template.made(draw_form(boxes=False), FIELD)
    assert template.kind == "equal"
    np.testing.assert_allclose(template.cells, cells_of())


def test_plain_field_is_cut_by_ink():
    template = Template.made(draw_form(boxes=False), FIELD, plain=True)
    page, matrix = turned(draw_form(fill=2, boxes=False), 33, 1.3)
    (field,) = template.fields(page)
    assert field.kind == "plain"
    assert field.score > 0.5
    middles = moved(cells_of(), matrix).mean(axis=1)
    pitch = np.linalg.norm(middles[1] - middles[0])
    assert np.linalg.norm(field.cells.mean(axis=1) - middles, axis=1).max() < 0.4 * pitch


def test_plain_field_that_cannot_be_cut_is_divided_with_no_score():
    template = Template.made(draw_form(boxes=False), FIELD, plain=True)
    (field,) = template.fields(draw_form(boxes=False))
    assert (field.kind, field.score) == ("plain", 0.0)
    assert off(field, cells_of()) < 0.1


def test_height_of_a_comb_is_as_it_was_marked():
    x, y, width, height = FIELD
    template = Template.made(draw_form(boxes="comb"), (x, y - 12, width, height + 12))
    assert template.kind == "boxes"
    tall = cells_of()
    tall[:, :2, 1] -= 12
    page, matrix = turned(draw_form(fill=2, boxes="comb"), 4)
    (field,) = template.fields(page)
    assert field.kind == "comb"
    assert off(field, moved(tall, matrix)) < 0.15


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_made_of_a_scan_that_lies_on_its_side(quarters):
    page, matrix = turned(draw_form(), 90 * quarters)
    corners = moved(cells_of(), matrix).reshape(-1, 2)
    low, high = corners.min(axis=0), corners.max(axis=0)
    template = Template.made(page, (*low, *(high - low)), turned=90 * quarters)
    (field,) = template.fields(draw_form(fill=7))
    assert off(field, cells_of()) < 0.1


def test_several_scans_keep_what_is_printed():
    first = draw_form(fill=1)
    others = [turned(draw_form(fill=fill, text="WVWZZZ1JZXW000001"), fill)[0] for fill in (2, 3, 4)]
    blank = draw_form()
    shares = []
    for more in ([], others):
        landmarks = Template.made(first, FIELD, more=more).landmarks
        written = cv2.dilate(cv2.absdiff(first, blank), np.ones((9, 9))) > 30
        x, y = landmarks.points.round().astype(int).T
        shares.append(written[y, x].mean())
    assert shares[1] < 0.5 * shares[0]


def test_scan_of_another_form_is_named():
    with pytest.raises(DataError, match="scan 3 does not show the same form"):
        Template.made(draw_form(), FIELD, more=[draw_form(fill=1), draw_form(form=4)])


def test_form_with_too_little_print():
    page = np.full((700, 1000), 245, np.uint8)
    cv2.putText(page, "VIN", (100, 240), cv2.FONT_HERSHEY_SIMPLEX, 1, 0, 2)
    with pytest.raises(DataError, match="too little is printed"):
        Template.made(page, FIELD)


@pytest.mark.parametrize(
    ("box", "options", "complaint"),
    [
        ((900, 250, 680, 48), {}, "field 900,250,680,48 is not on the page of 1000 x 700 pixels"),
        ((float("nan"), 0, 10, 10), {}, "not on the page"),
        ((10, 10, 30, 300), {}, "no row of cells"),
        ((10, 10, 300, 4), {}, "no row of cells"),
        ((10, 10, 300, 30), {"turned": 45}, "turned by 45 degrees"),
        ((10, 10, 300, 30), {"count": 0}, "0 cells"),
    ],
)
def test_wrong_marks(box, options, complaint):
    with pytest.raises(UsageError, match=complaint):
        Template.made(draw_form(), box, **options)


def test_saved_and_loaded_it_finds_the_same(template, tmp_path):
    path = tmp_path / "office.json"
    template.save(path)
    assert path.stat().st_size < 100_000
    loaded = Template.load(path)
    page, matrix = turned(draw_form(fill=2), 20)
    (field,) = loaded.fields(page)
    assert off(field, moved(cells_of(), matrix)) < 0.15
    content = json.loads(path.read_text())
    assert (content["kind"], content["count"], content["page_size"]) == ("boxes", 17, [1000, 700])


def test_a_file_that_is_there_is_left_alone(template, tmp_path):
    path = tmp_path / "office.json"
    path.write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        template.save(path)
    assert path.read_text() == "mine"
    with pytest.raises(DataError, match="cannot write"):
        template.save(tmp_path / "no" / "folder.json")


def test_missing_file(tmp_path):
    with pytest.raises(UsageError, match=r"no such file: .*none\.json; make a template"):
        Template.load(tmp_path / "none.json")
    with pytest.raises(DataError, match="cannot read"):
        Template.load(tmp_path)


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n", b"[]", b"{}", b'"text"', b"[" * 100_000, b" " * (1 << 23)])
def test_other_files_are_no_templates(data, tmp_path):
    path = tmp_path / "other.json"
    path.write_bytes(data)
    with pytest.raises(DataError, match="is no template"):
        Template.load(path)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"vinscribe_template": 2}, "template of version 2, not 1"),
        ({"kind": "round"}, "kind 'round' is none of boxes, equal, plain"),
        ({"page_size": [0, 700]}, "page of 0 x 700"),
        ({"page_size": [1e999, 700]}, "damaged template"),
        ({"page_size": None}, "damaged template"),
        ({"count": 16}, "cells is not of 16 x 4 x 2 numbers"),
        ({"count": "many"}, "damaged template"),
        ({"landmarks": 5}, "17 cells and 5 landmarks"),
        ({"points": "!"}, "points is not in base64"),
        ({"points": "AAAA"}, "points has another length"),
        ({"descriptors": 3}, "damaged template"),
        ({"field": [[0, 0], [1, 0], [1, 1]]}, "field is not of 4 x 2 numbers"),
        ({"field": [[5, 5]] * 4}, "without an area"),
        ({"field": [[5, 5], [5, 50], [50, 50], [50, 5]]}, "without an area"),
        ({"field": [[0, 0], [9000, 0], [9000, 50], [0, 50]]}, "outside the page"),
        ({"cells": [[[float("nan")] * 2] * 4] * 17}, "outside the page"),
        ({"cells": "none"}, "damaged template"),
    ],
)
def test_damaged_templates_are_refused(template, change, complaint, tmp_path):
    path = tmp_path / "office.json"
    template.save(path)
    content = json.loads(path.read_text()) | change
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=complaint):
        Template.load(path)


def test_missing_entry_is_named(template, tmp_path):
    path = tmp_path / "office.json"
    template.save(path)
    content = json.loads(path.read_text())
    del content["points"]
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="'points' is missing"):
        Template.load(path)
