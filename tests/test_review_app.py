"""The review desk over HTTP, with drawn cards and a real store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the extra [review]")

import httpx
from made_desk import client_of, filed, made_desk, served

from vinscribe import __version__
from vinscribe.review.app import PAGE
from vinscribe.review.desk import Desk
from vinscribe.training.cards import Card


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return made_desk(tmp_path, audit_share=0.0)


@pytest.fixture
def cards(desk: Desk, tmp_path: Path) -> list[Card]:
    """Two doubtful cards, one without a field, and an accepted one."""
    return [
        filed(desk.store, tmp_path, 8001, {3: 0.6}, scan="clean"),
        filed(desk.store, tmp_path, 8002, {0: 0.5, 16: 0.9}, scan="clean"),
        filed(desk.store, tmp_path, 8003, negative="no_field", scan="clean"),
        filed(desk.store, tmp_path, 8004, scan="clean"),
    ]


@pytest.fixture
def address(desk: Desk, cards: list[Card]) -> Iterator[str]:
    with served(desk) as address:
        yield address


@pytest.fixture
def ann(address: str) -> Iterator[httpx.Client]:
    with client_of(address) as client:
        yield client


@pytest.fixture
def bob(address: str) -> Iterator[httpx.Client]:
    with client_of(address, "Bob") as client:
        yield client


@pytest.fixture
def nobody(address: str) -> Iterator[httpx.Client]:
    with client_of(address, None) as client:
        yield client


def next_of(client: httpx.Client, **asked: object) -> dict[str, object]:
    answer = client.post("/api/next", json=asked)
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


def settled(client: httpx.Client, card: object, vin: str, **more: object) -> object:
    assert isinstance(card, dict)
    body = {"vin": vin, "lease": card["lease"], "keystrokes": 2, "seconds": 1.5, **more}
    answer = client.post(f"/api/cards/{card['id']}/settle", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["state"]


def test_a_desk_needs_a_name(nobody: httpx.Client) -> None:
    assert nobody.get("/api/state").json()["desk"] is None
    refused = nobody.post("/api/next", json={})
    assert refused.status_code == 403
    assert "who you are" in refused.json()["detail"]
    assert nobody.post("/api/desk", json={"name": " Zoë Müller "}).json() == {"desk": "Zoë Müller"}
    assert nobody.get("/api/state").json()["desk"] == "Zoë Müller"
    assert nobody.post("/api/next", json={}).json()["card"]["id"] == 1


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 41, "\0"])
def test_not_every_name_will_do(nobody: httpx.Client, name: str) -> None:
    refused = nobody.post("/api/desk", json={"name": name})
    assert refused.status_code == 422
    assert isinstance(refused.json()["detail"], str)


def test_a_card_as_it_is_told(ann: httpx.Client, cards: list[Card]) -> None:
    both = next_of(ann)
    card, following = both["card"], both["following"]
    assert isinstance(card, dict)
    assert isinstance(following, dict)
    assert (card["id"], following["id"]) == (1, 2)
    assert card["file"] == card["reading"]["file"] == "card-8001.png"
    assert card["open"] == [3]
    assert card["choices"] == {"3": sorted({"8", str(cards[0].truth.vin)[3]})}
    assert following["open"] == [0, 16]
    assert card["lease"]
    assert card["lease"] != following["lease"]
    assert card["deadline"] > "2026"
    assert "audit" not in card
    assert not {"decision", "reason"} & card["reading"].keys()  # or an audited card could be told from the others
    assert "answer" not in card


def test_settling_goes_on_to_what_was_following(ann: httpx.Client, cards: list[Card]) -> None:
    both = next_of(ann)
    following = both["following"]
    assert isinstance(following, dict)
    assert settled(ann, both["card"], str(cards[0].truth.vin)) == "settled"
    both = next_of(ann)
    assert isinstance(both["card"], dict)
    assert {**both["card"], "deadline": ""} == {**following, "deadline": ""}
    none = both["following"]
    assert isinstance(none, dict)
    assert (none["open"], none["choices"], none["strip"]) == (list(range(17)), {}, None)
    counts = ann.get("/api/state").json()["counts"]
    assert (counts["settled"], counts["open"], counts["accepted"], counts["leased"]) == (1, 2, 1, 2)


def test_two_desks_never_get_the_same_card(ann: httpx.Client, bob: httpx.Client) -> None:
    first, second = next_of(ann), next_of(bob)
    got = [both[key]["id"] for both in (first, second) for key in both if both[key]]  # type: ignore[index]
    assert sorted(got) == [1, 2, 3]
    other_tab = next_of(ann, session="another")
    assert other_tab == {"card": None, "following": None}


def test_an_answer_needs_the_lease(ann: httpx.Client, bob: httpx.Client, cards: list[Card]) -> None:
    card = next_of(ann)["card"]
    assert isinstance(card, dict)
    vin = str(cards[0].truth.vin)
    for client, lease in ((bob, card["lease"]), (ann, "wrong")):
        refused = client.post(f"/api/cards/{card['id']}/settle", json={"vin": vin, "lease": lease})
        assert refused.status_code == 409
    assert settled(ann, card, vin) == "settled"
    again = bob.post(f"/api/cards/{card['id']}/settle", json={"vin": vin, "lease": card["lease"]})
    assert again.status_code == 409
    assert "settled" in again.json()["detail"]


@pytest.mark.parametrize("vin", ["", "1HGCM82633A00435", "IHGCM82633A004352", "1hgcm82633a004352", "１" * 17])
def test_what_is_no_vin_is_refused_with_the_reason(ann: httpx.Client, vin: str) -> None:
    card = next_of(ann)["card"]
    assert isinstance(card, dict)
    refused = ann.post(f"/api/cards/{card['id']}/settle", json={"vin": vin, "lease": card["lease"]})
    assert refused.status_code == 422
    assert "is no VIN" in refused.json()["detail"]


def test_skipped_illegible_released_touched_undone(ann: httpx.Client) -> None:
    card = next_of(ann, skip=[1])["card"]
    assert isinstance(card, dict)
    assert card["id"] == 2
    lease = {"lease": card["lease"]}
    assert ann.post("/api/cards/2/touch", json=lease).json()["deadline"] >= card["deadline"]
    assert ann.post("/api/cards/2/illegible", json=lease).json() == {"state": "illegible"}
    undone = ann.post("/api/undo", json={}).json()
    assert (undone["card"]["id"], undone["card"]["state"], undone["why"]) == (2, "open", None)
    assert undone["card"]["lease"] != card["lease"]
    assert ann.post("/api/cards/2/release", json={"lease": undone["card"]["lease"]}).status_code == 204
    assert ann.post("/api/cards/2/touch", json=lease).status_code == 409
    nothing = ann.post("/api/undo", json={}).json()
    assert nothing["card"] is None
    assert nothing["why"]


def test_double_keying_hides_the_first_value(tmp_path: Path) -> None:
    desk = made_desk(tmp_path, double_share=1.0)
    filed(desk.store, tmp_path, 8001, {3: 0.6}, scan="clean")
    with served(desk) as at, client_of(at) as ann, client_of(at, "Bob") as bob, client_of(at, "Eve") as eve:
        assert settled(ann, next_of(ann)["card"], "1HGCM82633A004352") == "open"
        assert next_of(ann)["card"] is None
        seen_by_bob = bob.post("/api/next", json={})
        assert "1HGCM82633A004352" not in seen_by_bob.text
        assert settled(bob, seen_by_bob.json()["card"], "1HGCM82633A004353") == "open"
        assert settled(eve, next_of(eve)["card"], "1HGCM82633A004352") == "settled"
        assert ann.get("/api/results").json()["results"][0]["source"] == "double"


def test_an_audited_card_looks_like_any_other(tmp_path: Path) -> None:
    desk = made_desk(tmp_path, audit_share=1.0)
    drawn = filed(desk.store, tmp_path, 8004, scan="clean")
    with served(desk) as at, client_of(at) as ann:
        card = next_of(ann)["card"]
        assert isinstance(card, dict)
        assert len(card["open"]) == 1  # never none: it would be settled without a look
        settled(ann, card, str(drawn.truth.vin))
        audit = ann.get("/api/state").json()["audit"]
    assert (audit["checked"], audit["wrong"], audit["low"]) == (1, 0, 0)
    assert 0.9 < audit["high"] < 1


def test_groups(ann: httpx.Client, cards: list[Card]) -> None:
    vin = str(cards[3].truth.vin)  # the accepted card's
    counts = ann.get("/api/group").json()
    assert counts[vin[4]] >= 1
    cells = ann.get(f"/api/group/{vin[4]}").json()
    assert [cell["confidence"] for cell in cells] == sorted(cell["confidence"] for cell in cells)
    assert {"card": 4, "position": 4} in [{"card": cell["card"], "position": cell["position"]} for cell in cells]
    assert ann.get("/api/group/I").status_code == ann.get("/api/group/%C3%A4").status_code == 404
    assert ann.post("/api/group", json={"confirmed": [[1, 3]], "odd": [[4, 4]]}).status_code == 204
    assert ann.get("/api/cards/1").json()["checked"] == [3]
    odd = ann.get("/api/cards/4").json()
    assert (odd["odd"], odd["state"], odd["lease"]) == ([4], "open", None)
    assert 4 in odd["open"]
    assert ann.post("/api/group", json={"confirmed": [[99, 3]]}).status_code == 404
    assert ann.post("/api/group", json={"confirmed": [[1, 17]]}).status_code == 422


def test_what_a_vin_says(ann: httpx.Client) -> None:
    said = ann.get("/api/check/1HGCM82633A004352").json()
    assert (said["check_digit"], said["expected"], said["applies"], said["country"]) == (
        *("valid", "3", True),
        "United States",
    )
    european = ann.get("/api/check/WVWZZZ1JZXW000001").json()
    assert (european["check_digit"], european["applies"]) == ("invalid", False)
    assert said["known"] == {"maker": True, "years": [2003], "descriptor": True, "plant": True}
    assert said["mark"] is european["mark"] is None
    odd = ann.get("/api/check/1HGXX82633A004352").json()
    assert (odd["known"]["descriptor"], odd["mark"]) == (False, "no such model of this maker")
    refused = ann.get("/api/check/OHGCM82633A004352")
    assert refused.status_code == 422
    assert "perhaps 0HGCM82633A004352" in refused.json()["detail"]


def test_a_vin_without_a_known_model_is_marked_and_counts(desk: Desk, ann: httpx.Client) -> None:
    for vin, mark in (("1HGXX82633A004352", "no such model of this maker"), ("1HGCM82633A004352", None)):
        card = next_of(ann)["card"]
        body = {"vin": vin, "lease": card["lease"]}  # type: ignore[index]
        said = ann.post(f"/api/cards/{card['id']}/settle", json=body).json()  # type: ignore[index]
        assert said == {"state": "settled", "mark": mark}
    assert {each.vin for each in desk.store.results()} >= {"1HGXX82633A004352", "1HGCM82633A004352"}


def test_queue_results_thresholds_failures(desk: Desk, ann: httpx.Client, cards: list[Card]) -> None:
    queue = ann.get("/api/queue?limit=2").json()
    assert [(card["card"], card["leased"]) for card in queue] == [(1, False), (2, False)]
    assert [card["card"] for card in ann.get("/api/queue?after=2").json()] == [3]
    settled(ann, next_of(ann)["card"], str(cards[0].truth.vin))
    page = ann.get("/api/results?limit=1").json()
    assert (page["results"][0]["card"], page["next"]) == (1, 1)
    assert page["results"][0]["who"] == "Ann"
    rest = ann.get("/api/results?after=1").json()
    assert ([result["source"] for result in rest["results"]], rest["next"]) == (["accepted"], None)
    steps = ann.get("/api/thresholds").json()
    assert steps[0]["threshold"] < 0.51
    assert steps[-1] == {"threshold": 0.99999, "people": 4, "errors": 0, "known": 0}
    desk.store.add("bad\udcff.png", "f" * 64, 1, [], [(None, "damaged")], "m", "{}")
    desk.intake.problems.append(("/no\nwhere", "cannot be listed"))
    told = ann.get("/api/failures").json()
    assert {"file": "bad\\udcff.png", "page": None, "error": "damaged"} in told
    assert told[-1]["error"] == "cannot be listed"
    assert ann.get("/api/state").json()["version"] == __version__


def test_wrong_requests_are_answered_with_a_sentence(ann: httpx.Client) -> None:
    for path in ("/api/cards/99", "/api/cards/99/strip", "/api/cards/3/strip", "/api/cards/3/cells/0"):
        refused = ann.get(path)
        assert refused.status_code == 404, path
        assert isinstance(refused.json()["detail"], str)
    for path in ("/api/cards/0", "/api/cards/x/strip", "/api/cards/99999999999999999999", "/api/cards/1/cells/17"):
        refused = ann.get(path)
        assert refused.status_code == 422, path
        assert isinstance(refused.json()["detail"], str)
    for body in ("", "{", "[]", '{"skip": "1"}', '{"more": 1}', '{"session": "\\ud800"}', "\xff", "9" * 5000, "NaN"):
        refused = ann.post("/api/next", content=body.encode("latin-1"), headers={"Content-Type": "application/json"})
        assert refused.status_code in (400, 422), body
        assert isinstance(refused.json()["detail"], str)
    seconds = '{"vin": "1HGCM82633A004352", "lease": "x", "seconds": Infinity}'
    refused = ann.post("/api/cards/1/settle", content=seconds, headers={"Content-Type": "application/json"})
    assert refused.status_code == 422


def test_the_openapi_document(ann: httpx.Client) -> None:
    document = ann.get("/openapi.json").json()
    assert document["info"]["title"] == "vinscribe review"
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            assert described["description"] or described["summary"]
            if method == "post":
                assert any(each["name"] == "x-vinscribe" for each in described["parameters"]), path
            schema = described["responses"].get("422", {}).get("content", {}).get("application/json", {}).get("schema")
            assert schema in (None, {"$ref": "#/components/schemas/Problem"}), path
    expected = {
        *("/api/state", "/api/desk", "/api/next", "/api/undo", "/api/cards/{card_id}", "/api/cards/{card_id}/strip"),
        *("/api/cards/{card_id}/cells/{position}", "/api/cards/{card_id}/page", "/api/cards/{card_id}/settle"),
        *("/api/cards/{card_id}/illegible", "/api/cards/{card_id}/release", "/api/cards/{card_id}/touch"),
        *("/api/group", "/api/group/{char}", "/api/check/{vin}", "/api/thresholds", "/api/results", "/api/queue"),
        *("/api/failures", "/api/export.{kind}", "/api/corrections.zip", "/api/read"),
    }
    assert set(document["paths"]) == expected
    assert ann.get("/docs").status_code == 404  # it would fetch scripts from elsewhere


def test_the_page_fetches_all_its_scripts_at_once(nobody: httpx.Client) -> None:
    text = nobody.get("/").text
    scripts = [path.name for path in PAGE.glob("*.js")]
    assert len(scripts) > 5
    assert [name for name in scripts if f'"/static/{name}"' not in text] == []
