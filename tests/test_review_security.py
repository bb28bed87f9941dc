"""Who may ask the review desk, and what a browser may do with its answers."""

from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the extra [review]")

import httpx
from made_desk import POST, filed, made_desk, served

from vinscribe.review.pictures import Pictures
from vinscribe.review.security import Access, new_token
from vinscribe.review.serve import is_loopback

TOKEN = new_token()


def client(address: str) -> httpx.Client:
    """Somebody who knows nothing."""
    return httpx.Client(base_url=address, timeout=60, trust_env=False)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[httpx.Client]:
    desk = made_desk(tmp_path)
    filed(desk.store, tmp_path, 8001, {0: 0.5}, scan="clean")
    with served(desk) as address, client(address) as asking:
        yield asking


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[httpx.Client]:
    desk = made_desk(tmp_path, Access(TOKEN))
    filed(desk.store, tmp_path, 8001, {0: 0.5}, scan="clean")
    with served(desk) as address, client(address) as asking:
        yield asking


def test_every_answer_has_the_headers(here: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pictures, "cell", lambda *_: 1 / 0)  # something unforeseen, after which a server hangs up
    for path in (
        "/",
        "/api/state",
        "/api/cards/1/strip",
        "/nothing",
        "/static/nothing.js",
        "/api/export.csv",
        "/api/cards/1/cells/1",
    ):
        headers = here.get(path, headers={"Connection": "close"}).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"]
        assert "server" not in headers


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8017", "127.0.0.1.evil.example", "", "[::1", "2130706433"]
)
def test_other_names_for_this_computer_are_refused(here: httpx.Client, host: str) -> None:
    refused = here.get("/api/state", headers={"Host": host})
    assert refused.status_code == 403
    assert "counts" not in refused.text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8017", "127.0.0.1:1", "[::1]:8017", "[::1]"])
def test_names_that_are_this_computers_will_do(here: httpx.Client, host: str) -> None:
    assert here.get("/api/state", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Vinscribe": "2"},
        {**POST, "Origin": "https://evil.example"},
        {**POST, "Origin": "null"},
        {**POST, "Origin": "http://127.0.0.1:1"},
        {**POST, "Sec-Fetch-Site": "cross-site"},
        {**POST, "Sec-Fetch-Site": "same-site"},
    ],
)
def test_posts_of_other_pages_are_refused(here: httpx.Client, headers: dict[str, str]) -> None:
    refused = here.post("/api/desk", json={"name": "Eve"}, headers=headers)
    assert refused.status_code == 403
    assert "set-cookie" not in refused.headers


def test_posts_of_the_own_page_will_do(here: httpx.Client) -> None:
    own = {**POST, "Origin": str(here.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    answer = here.post("/api/desk", json={"name": "Ann"}, headers=own)
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_other_methods_are_refused(here: httpx.Client) -> None:
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        assert here.request(method, "/api/state").status_code in (403, 405)
        assert here.request(method, "/api/state", headers=POST).status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        *("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static/%2fetc/passwd"),
        *("/static//etc/passwd", "/static/..%5capp.py", "/../../etc/passwd", "/static/%00"),
        *("/api/cards/..%2f1/strip", "/api/export.csv%2f..%2fcards.db", "/api/export...%2fcards"),
    ],
)
def test_no_path_opens_a_file(here: httpx.Client, path: str) -> None:
    # Sent as it is: the client would tidy it up.
    request = here.build_request("GET", "/")
    request.url = here.base_url.copy_with(raw_path=path.encode())
    refused = here.send(request)
    assert refused.status_code in (400, 404, 422), path
    assert "root:" not in refused.text
    assert "create_app" not in refused.text


def test_too_much_is_refused(here: httpx.Client) -> None:
    refused = here.post("/api/next", content=b" " * (1 << 20) + b"{}", headers=POST)
    assert refused.status_code == 413
    declared = here.post("/api/next", content=iter([b" " * (1 << 19)] * 3), headers=POST)  # in pieces, of no length
    assert declared.status_code == 413
    for length in ("-1", "1e3", "99999999999"):
        connection = HTTPConnection(here.base_url.host, here.base_url.port, timeout=60)
        connection.request("POST", "/api/next", b"{}", {**POST, "Content-Length": length})
        assert connection.getresponse().status in (400, 413)
        connection.close()


def test_without_the_token_nothing_is_told(elsewhere: httpx.Client) -> None:
    for path in (
        "/",
        "/api/state",
        "/api/cards/1/strip",
        "/static/style.css",
        "/openapi.json",
        "/?token=wrong",
        "/?token=",
    ):
        refused = elsewhere.get(path)
        assert refused.status_code == 401, path
        assert list(refused.json()) == ["detail"]
    assert elsewhere.post("/api/desk", json={"name": "Eve"}, headers=POST).status_code == 401
    assert elsewhere.get("/api/state", headers={"Authorization": f"Basic {TOKEN}"}).status_code == 401
    assert elsewhere.get(f"/api/state?token={TOKEN}").status_code == 401  # addresses get into logs


def test_the_token_becomes_a_cookie(elsewhere: httpx.Client) -> None:
    entrance = elsewhere.get(f"/?token={TOKEN}")
    assert entrance.status_code == 200
    cookie = entrance.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert entrance.headers["cache-control"] == "no-store"
    assert TOKEN not in entrance.text
    assert 'content="0; url=/"' in entrance.text
    assert elsewhere.get("/api/state").status_code == 200
    assert elsewhere.post("/api/desk", json={"name": "Ann"}).status_code == 403  # the cookie alone is not enough
    assert elsewhere.post("/api/desk", json={"name": "Ann"}, headers=POST).status_code == 200


def test_programs_send_the_token(elsewhere: httpx.Client) -> None:
    bearer = {"Authorization": f"Bearer {TOKEN}", "Host": "any.example"}
    assert elsewhere.get("/api/results", headers=bearer).status_code == 200


def test_tokens_are_long_and_new() -> None:
    assert len({new_token() for _ in range(100)}) == 100
    assert len(new_token()) >= 32


@pytest.mark.parametrize(
    ("host", "own"),
    [
        *(("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True)),
        *(("0.0.0.0", False), ("::", False), ("192.168.1.2", False), ("office.example", False), ("", False)),  # noqa: S104
    ],
)
def test_which_addresses_only_this_computer_reaches(host: str, own: bool) -> None:
    assert is_loopback(host) is own
