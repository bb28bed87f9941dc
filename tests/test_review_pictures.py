"""The pictures that the browser gets: upright, cut at the right place, never of another scan."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("fastapi", reason="needs the extra [review]")

import httpx
from made_desk import client_of, doubtful, filed, made_desk, served

from vinscribe.errors import ImageError
from vinscribe.output import vin_to_json
from vinscribe.review.pictures import WIDEST_STRIP_PX, Pictures, strip_shape
from vinscribe.review.store import Store
from vinscribe.training.cards import Card, draw_card

UPRIGHT = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.opened(tmp_path / "cards.db", audit_share=0.0) as store:
        yield store


def decoded(data: bytes) -> NDArray[np.uint8]:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return np.asarray(image, np.uint8)


def reading_of(card: Card) -> dict[str, object]:
    reading: dict[str, object] = json.loads(vin_to_json(doubtful(card, Path("a.png"), {0: 0.5})))
    return reading


@pytest.mark.parametrize("seed", range(8001, 8009))
def test_a_strip_is_upright_with_its_cells_in_their_places(seed: int) -> None:
    reading = reading_of(draw_card(seed, dpi=150))
    shape = strip_shape(reading)
    assert shape is not None
    assert len(shape.cells) == 17
    ends = np.array(shape.cells)
    assert (ends[:, 0] < ends[:, 1]).all()
    assert (np.diff(ends, axis=0) > 0).all()  # left to right, however the card lies
    assert ends.min() > 0
    assert ends.max() < shape.width
    # The corners of the middle cell, taken back to the page, are where the reading says.
    x0, x1 = shape.cells[8]
    top = np.array([[[x0, shape.height / 2], [x1, shape.height / 2]]], np.float64)
    on_page = cv2.perspectiveTransform(top, shape.matrix)[0].mean(axis=0)
    box = np.array(reading["cells"][8]["box"])  # type: ignore[index]
    assert np.linalg.norm(on_page - box.mean(axis=0)) < 0.2 * np.linalg.norm(box[1] - box[0])


def test_a_strip_shows_the_same_ink_whichever_way_the_card_lies(store: Store, tmp_path: Path) -> None:
    card = draw_card(8001, dpi=150, scan="clean")
    assert card.truth.cells is not None
    height, width = card.image.shape[:2]
    pictures, strips, fields = Pictures(), [], []
    for turns in range(4):
        image = np.ascontiguousarray(np.rot90(card.image, turns))
        moved = replace(card, truth=_turned(card, turns, width, height))
        path = tmp_path / f"turned-{turns}.png"
        path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
        reading = doubtful(moved, path, {0: 0.5})
        digest = _sha256(path)
        (number,) = store.add(str(path), digest, 1, [reading], [], "m", "{}")
        stored = store.card(number)
        strips.append(decoded(pictures.strip(stored)).astype(float))
        fields.append(pictures.field_on_page(stored))
        page = decoded(pictures.page(stored, 6000))
        assert page.shape == card.image.shape[:2]  # upright again
        assert np.abs(page.astype(float) - decoded(pictures.page(stored, 6000, turn=2))[::-1, ::-1]).mean() < 2
    assert card.truth.field is not None
    for field in fields:
        assert field is not None
        assert np.abs(np.array(field) - np.array(card.truth.field) / (width, height)).max() < 0.002
    for strip in strips[1:]:
        assert strip.shape == strips[0].shape
        assert np.abs(strip - strips[0]).mean() < 4


def _turned(card: Card, turns: int, width: int, height: int) -> object:
    """The truth of a card turned counter-clockwise by so many quarters."""

    def turn(point: tuple[float, float]) -> tuple[float, float]:
        x, y = point
        return ((x, y), (y, width - 1 - x), (width - 1 - x, height - 1 - y), (height - 1 - y, x))[turns]

    assert card.truth.cells is not None
    assert card.truth.field is not None
    return replace(
        card.truth,
        field=tuple(map(turn, card.truth.field)),
        cells=tuple(tuple(map(turn, cell)) for cell in card.truth.cells),
    )


def _sha256(path: Path) -> str:
    from vinscribe.review.files import file_sha256

    return file_sha256(str(path))


def test_cells_show_what_is_written_in_them(store: Store, tmp_path: Path) -> None:
    drawn = filed(store, tmp_path, 8001, {0: 0.5}, scan="clean")
    page = cv2.cvtColor(drawn.image, cv2.COLOR_BGR2GRAY) if drawn.image.ndim == 3 else drawn.image
    assert drawn.truth.cells is not None
    pictures = Pictures()
    for position in (0, 8, 16):
        cell = decoded(pictures.cell(store.card(1), position))
        left, top = np.array(drawn.truth.cells[position]).min(axis=0).astype(int)
        right, bottom = np.array(drawn.truth.cells[position]).max(axis=0).astype(int)
        around = page[top - 8 : bottom + 8, left - 8 : right + 8]
        inner = cell[cell.shape[0] // 4 : -cell.shape[0] // 4, cell.shape[1] // 4 : -cell.shape[1] // 4]
        match = cv2.matchTemplate(around, inner, cv2.TM_CCOEFF_NORMED)
        assert match.max() > 0.8, position


def test_wide_fields_are_reduced_and_thin_lines_stay(store: Store, tmp_path: Path) -> None:
    drawn = draw_card(8001, dpi=600, scan="clean")
    path = tmp_path / "wide.png"
    path.write_bytes(drawn.data)
    store.add(str(path), _sha256(path), 1, [doubtful(drawn, path, {0: 0.5})], [], "m", "{}")
    strip = decoded(Pictures().strip(store.card(1)))
    assert abs(strip.shape[1] - WIDEST_STRIP_PX) <= 1
    assert strip.min() < 128 < strip.max()


def test_a_scan_that_is_another_by_now_is_refused(store: Store, tmp_path: Path) -> None:
    filed(store, tmp_path, 8001, {0: 0.5}, scan="clean")
    other = draw_card(8002, dpi=150, scan="clean")
    pictures, card = Pictures(), store.card(1)
    pictures.strip(card)
    path = Path(card.scan_path)
    path.write_bytes(other.data)
    with pytest.raises(ImageError, match="is another scan than the one that was read"):
        pictures.strip(card)
    path.unlink()
    for ask in (lambda: pictures.strip(card), lambda: pictures.page(card, 100)):
        with pytest.raises(ImageError, match="cannot be read any more"):
            ask()


def test_a_page_that_is_not_there_is_refused(store: Store, tmp_path: Path) -> None:
    filed(store, tmp_path, 8001, {0: 0.5}, scan="clean")
    with pytest.raises(ImageError, match="there is no page 7"):
        Pictures().page_of(replace(store.card(1), page=7))


def test_pictures_over_http(tmp_path: Path) -> None:
    desk = made_desk(tmp_path, audit_share=0.0)
    filed(desk.store, tmp_path, 8001, {0: 0.5}, scan="clean")
    filed(desk.store, tmp_path, 8003, negative="no_field", scan="clean")
    with served(desk) as address, client_of(address) as client:
        card = client.get("/api/cards/1").json()
        strip = client.get("/api/cards/1/strip")
        assert strip.headers["content-type"] == "image/png"
        assert "private" in strip.headers["cache-control"]
        assert json.loads(strip.headers["x-cells"]) == card["strip"]["cells"]
        assert decoded(strip.content).shape == (card["strip"]["height"], card["strip"]["width"])
        assert client.get("/api/cards/1/cells/16").headers["content-type"] == "image/png"
        assert np.array(json.loads(client.get("/api/cards/1/page").headers["x-field"])).shape == (4, 2)
        page = client.get("/api/cards/2/page?width=300")
        assert "x-field" not in page.headers
        assert page.headers["content-type"] == "image/jpeg"
        drawn = decoded(client.get("/api/cards/1/page?annotated=1").content)
        assert drawn.ndim == 3  # in colour
        upright, sideways = decoded(page.content), client.get("/api/cards/2/page?width=300&turn=1").content
        assert upright.shape[1] == decoded(sideways).shape[1] == 300
        assert upright.shape[0] * decoded(sideways).shape[0] == pytest.approx(300**2, rel=0.01)
        _check_refusals(client)


def _check_refusals(client: httpx.Client) -> None:
    assert client.get("/api/cards/2/strip").status_code == 404
    for query in ("width=0", "width=1e9", "turn=4", "annotated=2"):
        assert client.get(f"/api/cards/1/page?{query}").status_code == 422
