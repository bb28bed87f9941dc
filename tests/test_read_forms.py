"""The benchmark of real forms, on forms that the tests draw: rows of boxes, filled-in pages, tables."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from vinscribe.errors import DataError
from vinscribe.field import find_fields
from vinscribe.images import decode_grey
from vinscribe.reader import Reader
from vinscribe.training.card_ink import Pen, make_writer
from vinscribe.training.card_scan import SCANS

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

import form_pages  # noqa: E402
import read_forms  # noqa: E402
from form_pages import DPI, FORMS, blank, fill, places  # noqa: E402
from page_scores import Outcome, near, score  # noqa: E402
from read_forms import BoxedRow, bars, read_page_of_boxes, report, rows_table  # noqa: E402

VIN = "1HGCM82633A004352"
READ = Outcome(
    name="one",
    groups={"form": FORMS[0].name, "scan": "grey"},
    truth=VIN,
    vin=VIN,
    raw=VIN,
    decision="review",
    confidence=0.9,
    reason="",
    found=True,
    offered=True,
    by_cells=VIN,
)


def write_form(path: Path, form: form_pages.Form) -> None:
    """A PDF file with nothing but the form's row: sides as high as the row, and a line at its foot."""
    row = form.vin
    lines = [f"{x} {row.foot} m {x} {row.top} l S" for x in row.edges]
    lines += [f"{row.edges[0]} {y} m {row.edges[-1]} {y} l S" for y in (row.foot, row.top)]
    stream = "\n".join(lines).encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
    ]
    data, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    head = b"xref\n0 5\n0000000000 65535 f \n"
    path.write_bytes(data + head + table + b"trailer << /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(data))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("forms")
    for form in FORMS:
        write_form(made / form.file, form)
    return made


# Filled-in forms


def test_the_rows_have_a_place_for_every_character() -> None:
    for form in FORMS:
        widths = np.diff(form.vin.edges)
        assert len(widths) == 17
        assert widths.min() > 0.85 * widths.max()
        assert 12 < form.vin.top - form.vin.foot < 25


def test_places_are_where_the_lines_are(folder: Path) -> None:
    for form in FORMS:
        page = decode_grey(cv2.imencode(".png", blank(folder / form.file))[1].tobytes())
        assert page.shape == (2200, 1700)
        fields = find_fields(page)
        assert any(near(field.cells, places(form.vin, len(page))) for field in fields), form.name


@pytest.mark.parametrize("index", [0, 3, 9])  # straight, turned, photographed
def test_a_filled_form_is_written_into_its_places(folder: Path, index: int) -> None:
    filled = fill(FORMS[1], folder, 5, index)
    assert filled.scan == SCANS[index] == filled.truth.groups["scan"]
    grey = filled.image if filled.image.ndim == 2 else cv2.cvtColor(filled.image, cv2.COLOR_BGR2GRAY)
    target = np.array([[0, 0], [30, 0], [30, 40], [0, 40]], np.float32)
    darkest = []
    for cell in np.asarray(filled.truth.cells, np.float32):
        part = cv2.warpPerspective(grey, cv2.getPerspectiveTransform(cell, target), (30, 40), flags=cv2.INTER_AREA)
        inner = part[6:-6, 6:-6]
        darkest.append(np.percentile(inner, 90) - np.percentile(inner, 2))
    assert min(darkest) > 25


def test_the_seed_decides(folder: Path) -> None:
    one, same, other = fill(FORMS[0], folder, 5, 1), fill(FORMS[0], folder, 5, 1), fill(FORMS[0], folder, 6, 1)
    assert np.array_equal(one.image, same.image)
    assert one.truth.vin != other.truth.vin
    assert fill(FORMS[1], folder, 5, 1).truth.vin != one.truth.vin


def test_files_are_as_scanners_write_them(folder: Path, tmp_path: Path) -> None:
    endings = {scan: fill(FORMS[0], folder, 5, SCANS.index(scan)).write(tmp_path).suffix for scan in ("fax", "jpeg")}
    assert endings == {"fax": ".png", "jpeg": ".jpg"}
    assert set(np.unique(cv2.imread(str(tmp_path / "page.png"), cv2.IMREAD_UNCHANGED))) == {0, 255}


def test_a_form_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"ca_reg31\.pdf: no such form"):
        fill(FORMS[0], tmp_path, 0, 0)


def test_a_filled_form_is_read(folder: Path) -> None:
    outcome = read_forms.read_form(1, 2, 5, folder, None)
    assert outcome.found
    assert outcome.groups == {"form": FORMS[1].name, "scan": SCANS[2]}
    assert outcome.truth is not None
    assert outcome.raw is not None
    assert sum(one == other for one, other in zip(outcome.raw, outcome.truth, strict=True)) >= 14


def test_processes_read_every_form(folder: Path) -> None:
    outcomes = list(read_forms.read_forms(1, 5, folder, None, 1))
    assert [outcome.groups["form"] for outcome in outcomes] == [form.name for form in FORMS]
    assert all(outcome.truth and outcome.by_cells for outcome in outcomes)


# A page of boxes


@pytest.fixture(scope="module")
def boxed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with two rows of boxes, and a third in the list that is not on the page."""
    made = tmp_path_factory.mktemp("boxed")
    page = np.full((900, 1100, 3), 250, np.uint8)
    rng = np.random.default_rng(2)
    pen = Pen(page, replace(make_writer(rng), slant=0.0, pen_mm=0.4), DPI / 25.4, rng)
    rows = []
    for y, text in ((200, "KAWHX73"), (400, "27 34?02"), (700, "LMNA")):
        boxes = [[200 + 50 * at, y, 250 + 50 * at, y + 56] for at in range(len(text))]
        rows.append({"text": text, "boxes": boxes})
        for box, char in zip(boxes if y < 700 else [], text, strict=False):
            cv2.rectangle(page, (box[0], box[1]), (box[2], box[3]), (60, 60, 60), 2)
            if char not in " ?":
                pen.char(char, (box[0], box[1], 50, 56))
    cv2.imwrite(str(made / "page.png"), page)
    (made / "rows.json").write_text(json.dumps({"image": "page.png", "rows": rows}))
    return made


def test_rows_are_looked_for_with_their_count(boxed: Path) -> None:
    rows = read_page_of_boxes(boxed, Reader())
    assert [(row.boxes, row.rank is not None) for row in rows] == [(7, True), (8, True), (4, False)]
    assert [row.characters for row in rows] == [7, 6, 4]
    assert rows[0].right >= 6
    assert rows[1].right >= 5
    assert (rows[2].right, rows[2].read) == (0, None)
    assert all(row.read is None or len(row.read) == len(row.text) for row in rows)


def test_only_the_33_characters_count() -> None:
    row = BoxedRow("A O?7", "A0O71", 5, 1)
    assert (row.characters, row.right) == (2, 1)


def test_a_box_that_is_not_listed(monkeypatch: pytest.MonkeyPatch, boxed: Path) -> None:
    monkeypatch.setattr(read_forms, "UNLISTED_BOXES", {7: 1})
    rows = read_page_of_boxes(boxed, Reader())
    assert (rows[0].boxes, rows[0].rank) == (8, None)


def test_no_page_of_boxes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no rows\.json"):
        read_page_of_boxes(tmp_path, Reader())


# The tables


def test_the_table_of_rows_says_what_was_not_found() -> None:
    rows = [BoxedRow("AB", "A8", 2, 1), BoxedRow("XYZ ", None, 4, None)]
    text = rows_table(rows)
    assert "| rows found with the right number of boxes | all | 1 of 2 |" in text
    assert "50.0 % (1 of 2)" in text
    assert text.endswith("Not found: `XYZ` (4 boxes).")
    assert "Not found" not in rows_table(rows[:1])
    assert "– % (0 of 0)" in rows_table(rows[1:])


def test_bars_and_report() -> None:
    wrong = replace(READ, vin="2" + VIN[1:], decision="accept")
    pale = replace(READ, groups={"form": FORMS[1].name, "scan": "fax"})
    text = bars([READ, wrong, pale])
    assert f"| exact VIN on {FORMS[0].name} | at least 90 % | 50.0 % (1 of 2) |" in text
    assert f"| exact VIN on {FORMS[1].name} | at least 90 % | 100.0 % (1 of 1) |" in text
    assert "100.0 % (1 of 1) |" in text.splitlines()[-1]
    whole = report([BoxedRow("AB", "A8", 2, 1)], [READ, wrong, pale], 2, 0)
    assert f"| {FORMS[1].name}, scanned | pages |" in whole
    assert "| fax | 1 |" in whole
    assert score([READ, wrong, pale]).exact == 2


def test_the_command_writes_the_tables(boxed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("README.md", "MODEL_CARD.md"):
        (tmp_path / name).write_text("<!-- read-forms:begin -->\n<!-- read-forms:end -->\n", encoding="utf-8")
    (tmp_path / "boxed").mkdir()
    (tmp_path / "boxed" / "karvy").symlink_to(boxed)
    monkeypatch.setattr(read_forms, "ROOT", tmp_path)
    monkeypatch.setattr(read_forms, "read_forms", lambda *_: iter([READ]))
    out = tmp_path / "out.json"
    command = ["read_forms.py", "--shared", str(tmp_path), "--pages", "1", "--json", str(out), "--model-card"]
    monkeypatch.setattr(sys, "argv", command)
    read_forms.main()
    figures = json.loads(out.read_text())
    assert (len(figures["rows"]), len(figures["outcomes"]), figures["pages"]) == (3, 1, 1)
    assert "2 of 3" in (tmp_path / "README.md").read_text()
    assert "| form | pages |" in (tmp_path / "MODEL_CARD.md").read_text()
