"""What goes out of the review desk: exports and corrections."""

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra [review]")

import httpx
from made_desk import client_of, filed, made_desk, served
from made_readings import made_hash, made_reading, made_vin
from openpyxl import load_workbook

from vinscribe.charset import label_of
from vinscribe.field import Field, cut_cells
from vinscribe.labelled import read_labels
from vinscribe.review.corrections import MISSING_FILE, corrections_zip
from vinscribe.review.export import COLUMNS, KINDS, exported
from vinscribe.review.pictures import Pictures
from vinscribe.review.records import Result
from vinscribe.review.store import Store

RESULT = Result(
    *(7, "scans/ü,\udce4.png", made_hash(7), 2, made_vin(7), "settled", "Ann", "2026-11-24T03:34:56.553+00:00"),
    *(0.5, made_vin(8), made_hash(9)),
)
TOLD = "scans/ü,\\udce4.png"


def of(kind: str, *results: Result) -> bytes:
    return b"".join(exported(kind, iter(results)))


def settled(store: Store, number: int, vin: str) -> None:
    card = store.next("Ann", "s")
    assert card is not None
    assert card.id == number
    store.settle(card.id, vin, "Ann", str(card.lease), 2, 1.0)


def test_csv_says_where_each_vin_is_from() -> None:
    header, row = csv.reader(io.StringIO(of("csv", RESULT).decode()))
    assert tuple(header) == COLUMNS
    told = dict(zip(header, row, strict=True))
    assert told["file"] == TOLD
    assert (told["vin"], told["source"], told["who"], told["page"]) == (made_vin(7), "settled", "Ann", "2")
    assert told["confidence"] == "0.5"
    assert of("csv").decode().split("\r\n") == [",".join(COLUMNS), ""]


def test_jsonl_says_the_same() -> None:
    lines = of("jsonl", RESULT, replace(RESULT, card_id=8, who=None)).decode("ascii").splitlines()
    first, second = map(json.loads, lines)
    assert tuple(first) == COLUMNS
    assert first["file"] == TOLD
    assert (second["card"], second["who"]) == (8, None)
    assert of("jsonl") == b""


def test_xlsx_says_the_same_as_text() -> None:
    formula = replace(RESULT, file="=1+1", who="a\x01b")
    sheet = load_workbook(io.BytesIO(of("xlsx", RESULT, formula))).active
    header, row, other = sheet.iter_rows()
    assert tuple(cell.value for cell in header) == COLUMNS
    told = dict(zip(COLUMNS, row, strict=True))
    assert (told["vin"].value, told["file"].value, told["page"].value) == (made_vin(7), TOLD, 2)
    told = dict(zip(COLUMNS, other, strict=True))
    assert (told["file"].value, told["file"].data_type) == ("=1+1", "s")
    assert told["who"].value == "a\\x01b"
    assert load_workbook(io.BytesIO(of("xlsx"))).active.max_row == 1


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_csv_holds_no_formula(start: str) -> None:
    row = list(csv.reader(io.StringIO(of("csv", replace(RESULT, file=f"{start}HYPERLINK(1)")).decode(), newline="")))[1]
    assert row[COLUMNS.index("file")] == f"'{start}HYPERLINK(1)"


def test_a_long_export_comes_in_pieces() -> None:
    results = (replace(RESULT, card_id=number) for number in range(2000))
    pieces = exported("csv", results)
    first = next(pieces)
    assert len(first) < 100_000
    assert next(results).card_id < 1000  # it did not wait for the last one
    assert sum(1 for _ in pieces) > 2


@pytest.fixture
def client(tmp_path: Path) -> Iterator[httpx.Client]:
    desk = made_desk(tmp_path, audit_share=0.0)
    filed(desk.store, tmp_path, 8004, scan="clean")
    with served(desk) as address, client_of(address) as client:
        yield client


@pytest.mark.parametrize("kind", KINDS)
def test_exports_over_http(client: httpx.Client, kind: str) -> None:
    answer = client.get(f"/api/export.{kind}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == KINDS[kind]
    assert answer.headers["content-disposition"] == f'attachment; filename="vins.{kind}"'
    assert answer.content[:2] == {"csv": b"ca", "jsonl": b'{"', "xlsx": b"PK"}[kind]


def test_no_other_exports(client: httpx.Client) -> None:
    for kind in ("xls", "", "csv/", "db"):
        assert client.get(f"/api/export.{kind}").status_code in (307, 404, 422)


def test_corrections_are_a_labelled_folder(tmp_path: Path) -> None:
    with Store.opened(tmp_path / "cards.db", audit_share=0.0) as store:
        first = filed(store, tmp_path, 8001, {3: 0.6}, scan="clean")
        gone = filed(store, tmp_path, 8002, {3: 0.6}, scan="clean")
        filed(store, tmp_path, 8003, negative="no_field", scan="clean")
        filed(store, tmp_path, 8004, scan="clean")  # accepted: no person looked at it
        filed(store, tmp_path, 8005, {3: 0.6}, scan="clean")  # of which another row was read
        vin = str(first.truth.vin)
        corrected = vin[:3] + ("A" if vin[3] != "A" else "B") + vin[4:]
        settled(store, 1, corrected)
        settled(store, 2, str(gone.truth.vin))
        settled(store, 3, made_vin(1))
        settled(store, 5, made_vin(2))
        Path(store.card(2).scan_path).unlink()
        data = b"".join(corrections_zip(store, Pictures()))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path / "corrections")
    folder = read_labels(tmp_path / "corrections")
    assert folder.labels.tolist() == [label_of(char) for char in corrected]
    rows = list(csv.DictReader(io.StringIO((tmp_path / "corrections" / "labels.csv").read_text())))
    assert [row["position"] for row in rows] == [str(position) for position in range(1, 18)]
    assert "".join(row["read"] for row in rows) == vin
    missing = list(csv.reader(io.StringIO((tmp_path / "corrections" / MISSING_FILE).read_text())))
    assert len(missing) == 3
    assert "cannot be read any more" in missing[1][1]
    assert "another row" in missing[2][1]
    # The cells are what the reader saw.
    page = first.image if first.image.ndim == 2 else cv2.cvtColor(first.image, cv2.COLOR_BGR2GRAY)
    field = Field(np.array(first.truth.field), np.array(first.truth.cells), 1.0, "boxes")
    for path, cell in zip(folder.files, cut_cells(np.asarray(page, np.uint8), field), strict=True):
        assert (cv2.imread(path, cv2.IMREAD_GRAYSCALE) == cell).all()


def test_no_corrections_are_an_empty_folder(tmp_path: Path) -> None:
    with Store.opened(tmp_path / "cards.db") as store:
        store.add("a.png", made_hash(1), 1, [made_reading(1, decision="accept", confidence=0.9999)], [], "m", "{}")
        data = b"".join(corrections_zip(store, Pictures()))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == ["labels.csv"]


def test_illegible_cards_go_out_where_they_are_asked_for(tmp_path: Path) -> None:
    desk = made_desk(tmp_path)
    filed(desk.store, tmp_path, 8001, {3: 0.6}, scan="clean")
    with served(desk) as address, client_of(address) as client:
        card = client.post("/api/next", json={}).json()["card"]
        client.post(f"/api/cards/{card['id']}/illegible", json={"lease": card["lease"]})
        assert client.get("/api/results").json()["results"] == []
        (told,) = client.get("/api/results?illegible=1").json()["results"]
        assert (told["vin"], told["source"], told["who"]) == (None, "illegible", "Ann")
        assert len(client.get("/api/export.csv").text.splitlines()) == 1
        assert ",illegible,Ann," in client.get("/api/export.csv?illegible=1").text
