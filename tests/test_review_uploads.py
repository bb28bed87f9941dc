"""POST /api/read: scans of other programs, whatever they hold."""

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra [review]")

import httpx
from made_desk import POST, SETTINGS, client_of, made_desk, served
from made_readings import made_reading

from vinscribe.archive import Failed, PageRead, Part, ReadSettings, Taken
from vinscribe.review.desk import Desk
from vinscribe.review.files import file_sha256
from vinscribe.review.security import MAX_SCAN_BYTES
from vinscribe.review.uploads import MAX_PAGES, MAX_WAITING, Uploads
from vinscribe.training.cards import draw_card

CARD = draw_card(8001, layout="boxes", scan="clean", dpi=150)
SMALL = cv2.imencode(".png", np.full((80, 200), 255, np.uint8))[1].tobytes()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return made_desk(tmp_path_factory.mktemp("desk"), audit_share=0.0)


@pytest.fixture(scope="module")
def client(desk: Desk) -> Iterator[httpx.Client]:
    with served(desk) as address, client_of(address) as client:
        yield client


def sent(client: httpx.Client, data: bytes, name: str = "card.png", query: str = "") -> httpx.Response:
    return client.post(f"/api/read{query}", files={"scan": (name, data)})


def tiff_of(count: int) -> bytes:
    return cv2.imencodemulti(".tiff", [np.full((40, 60), 255, np.uint8)] * count)[1].tobytes()


def test_a_scan_is_read(client: httpx.Client, desk: Desk) -> None:
    answer = sent(client, CARD.data, "Übersicht 1.png")
    assert answer.status_code == 200, answer.text
    said = answer.json()
    (page,) = said["pages"]
    assert (page["file"], page["page"], page["vin"]) == ("Übersicht 1.png", 1, CARD.truth.vin)
    assert len(page["cells"]) == 17
    assert (said["failures"], said["cards"]) == ([], [])
    assert desk.store.counts().total == 0


def test_a_scan_that_is_kept_becomes_a_card(client: httpx.Client, desk: Desk) -> None:
    said = sent(client, CARD.data, "../../etc/card.PNG", "?keep=1").json()
    (number,) = said["cards"]
    assert said["pages"][0]["file"] == "card.PNG"
    card = desk.store.card(number)
    path = Path(card.scan_path)
    assert desk.keep is not None
    assert path.is_relative_to(desk.keep)
    assert path.name == f"{card.sha256}.png"
    assert path.read_bytes() == CARD.data
    assert file_sha256(str(path)) == card.sha256
    assert client.get(f"/api/cards/{number}/strip").status_code == 200
    assert sent(client, CARD.data, "again.png", "?keep=1").json()["cards"] == [number]
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"#!/bin/sh\nrm -rf /", "not a PNG"),
        (CARD.data[: len(CARD.data) // 2], ""),
        (b"\x89PNG\r\n\x1a\n" + bytes.fromhex("0000000d49484452ffffffffffffffff0800000000"), ""),
        (b"%PDF-1.7\n1 0 obj\n<<>>", "PDF"),
    ],
)
def test_what_is_no_scan_is_refused(client: httpx.Client, data: bytes, reason: str) -> None:
    refused = sent(client, data, query="?keep=1")
    assert refused.status_code == 422
    assert reason in refused.json()["detail"]


def test_the_limits(client: httpx.Client) -> None:
    assert len(sent(client, tiff_of(3)).json()["pages"]) == 3
    refused = sent(client, tiff_of(MAX_PAGES + 1))
    assert refused.status_code == 422
    assert f"{MAX_PAGES + 1} pages are more than the {MAX_PAGES}" in refused.json()["detail"]
    assert sent(client, b"\0" * (MAX_SCAN_BYTES + (1 << 20))).status_code == 413


@pytest.mark.parametrize(
    "name", ["", "a" * 5000, "a\r\nb.png", "..", "/", "C:\\cards\\a.png", "\u202egnp.exe", "%00.png"]
)
def test_names_are_only_shown(client: httpx.Client, name: str) -> None:
    answer = sent(client, SMALL, name, "?keep=1")
    if answer.status_code == 200:
        shown = answer.json()["pages"][0]["file"]
        assert len(shown) <= 200
        assert not set("/\\\r\n") & set(shown)
        assert shown.isprintable()
    else:  # a part without a name is no file
        assert answer.status_code in (400, 422)


# The form's parser leaves it to Python to close the files of parts that nobody asked for.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_other_forms_are_refused_with_a_sentence(client: httpx.Client) -> None:
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    whole = b'--x\r\nContent-Disposition: form-data; name="scan"; filename="a.png"\r\n\r\n' + SMALL + b"\r\n--x--\r\n"
    assert client.post("/api/read", content=whole, headers=kind).status_code == 200
    rng = random.Random(6)  # noqa: S311
    for _ in range(150):
        form = bytearray(whole)
        for _ in range(rng.randint(1, 5)):
            at = rng.randrange(len(form))
            form[at : at + rng.randint(0, 9)] = rng.randbytes(rng.randint(0, 9))
        answer = client.post("/api/read", content=bytes(form), headers=kind)
        assert answer.status_code in (200, 400, 422), bytes(form)
        assert answer.status_code == 200 or isinstance(answer.json()["detail"], str)
    for content, kinds in ((b"{}", "application/json"), (b"", "multipart/form-data"), (whole, "text/plain")):
        refused = client.post("/api/read", content=content, headers={"Content-Type": kinds})
        assert refused.status_code in (400, 422)
        assert isinstance(refused.json()["detail"], str)


def test_damaged_scans_do_no_damage(client: httpx.Client) -> None:
    rng = random.Random(66)  # noqa: S311
    whole = [SMALL, tiff_of(2), cv2.imencode(".jpg", np.full((80, 200), 200, np.uint8))[1].tobytes()]
    for _ in range(60):
        scan = bytearray(rng.choice(whole))
        for _ in range(rng.randint(1, 20)):
            scan[rng.randrange(len(scan))] = rng.randrange(256)
        answer = sent(client, bytes(scan[: rng.randint(1, len(scan))]), "a.tiff")
        assert answer.status_code in (200, 422), answer.text
    assert sent(client, SMALL).json()["pages"][0]["decision"] == "no_field"


def test_without_a_folder_nothing_is_kept(tmp_path: Path) -> None:
    desk = made_desk(tmp_path)
    desk.keep = None
    with served(desk) as address, httpx.Client(base_url=address, headers=POST, timeout=60, trust_env=False) as client:
        refused = sent(client, SMALL, query="?keep=1")
    assert refused.status_code == 409
    assert "no folder for scans" in refused.json()["detail"]


def test_many_at_once_are_turned_away_and_the_desk_goes_on(tmp_path: Path) -> None:
    desk = made_desk(tmp_path)
    desk.uploads = Uploads(SETTINGS, SlowReader)
    with served(desk) as address, client_of(address) as client, ThreadPoolExecutor(40) as pool:
        asked = [pool.submit(lambda: sent(client, SMALL).status_code) for _ in range(40)]
        assert client.get("/api/state").status_code == 200
        assert not all(each.done() for each in asked)
        statuses = [each.result() for each in asked]
    assert set(statuses) == {200, 503}
    assert statuses.count(200) >= MAX_WAITING


class SlowReader:
    """Takes a while for each scan."""

    notes = ()

    def __init__(self, settings: ReadSettings) -> None:
        self.settings = settings

    def read(self, part: Part) -> Iterator[Taken | PageRead | Failed]:
        time.sleep(0.2)
        yield Taken([1], [])
        yield PageRead(replace(made_reading(1), file=part.file, page=1), 1)
