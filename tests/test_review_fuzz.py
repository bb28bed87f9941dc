"""Whatever is asked of the review desk, it answers, and goes on: every route of its own document, with nonsense."""

import json
import random
import re
from pathlib import Path
from urllib.parse import quote

import pytest

pytest.importorskip("fastapi", reason="needs the extra [review]")

import httpx
from made_desk import POST, client_of, filed, made_desk, served

VALUES: tuple[object, ...] = (
    *(
        0,
        1,
        2,
        -1,
        17,
        2**31 - 1,
        2**31,
        2**63,
        10**30,
        1.5,
        -0.0,
        1e308,
        True,
        None,
        "",
        "1",
        "A",
        "1HGCM82633A004352",
    ),
    *(
        "a" * 3000,
        "\0",
        "\ud800",
        "\u202e",
        "ä",
        "'; DROP TABLE cards; --",
        "../../etc/passwd",
        "%00",
        "%2e%2e%2f",
        "NaN",
    ),
    *([], [1], [[1, 1]], [[1, 99]], [["1", 1]], {}, {"a": 1}),
)


def value(rng: random.Random, depth: int = 0) -> object:
    if depth < 3 and rng.random() < 0.1:
        return [value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return rng.choice(VALUES)


def body(rng: random.Random, document: dict[str, object], described: dict[str, object]) -> bytes:
    """JSON that has the right names more often than not."""
    names = re.findall(r"#/components/schemas/(\w+)", json.dumps(described.get("requestBody", {})))
    schemas = document["components"]["schemas"]  # type: ignore[index]
    fields = list(schemas[names[0]]["properties"]) if names else []
    told = {name: value(rng) for name in fields if rng.random() < 0.9}
    told |= {str(value(rng)): value(rng)} if rng.random() < 0.1 else {}
    data = json.dumps(told if rng.random() < 0.9 else value(rng)).encode()
    return data if rng.random() < 0.9 else data[: rng.randrange(len(data) + 1)]


def ask(rng: random.Random, client: httpx.Client, document: dict[str, object]) -> httpx.Response:
    paths = document["paths"]
    assert isinstance(paths, dict)
    path = rng.choice(list(paths))
    method = rng.choice(list(paths[path]))
    described = paths[path][method]
    parameters = [each["name"] for each in described.get("parameters", []) if each["in"] == "query"]
    query = {name: text(value(rng)) for name in parameters if rng.random() < 0.7}
    filled = re.sub(r"\{\w+\}", lambda _: quote(text(rng.choice([1, 2, 3, value(rng)])), safe="") or "x", path)
    content = body(rng, document, described) if method == "post" else b""
    headers = {"Content-Type": "application/json"}
    return client.request(method, filled, params=query, content=content, headers=headers)


def text(some: object) -> str:
    return str(some).encode("utf-8", "replace").decode()


def test_nonsense_is_answered(tmp_path: Path) -> None:
    desk = made_desk(tmp_path)
    filed(desk.store, tmp_path, 8001, {0: 0.5}, scan="clean")
    filed(desk.store, tmp_path, 8002, {0: 0.5}, scan="clean")
    filed(desk.store, tmp_path, 8003, negative="no_field", scan="clean")
    rng = random.Random(7)  # noqa: S311
    statuses = set()
    with served(desk) as address, client_of(address) as client:
        document = client.get("/openapi.json").json()
        for _ in range(300):
            answer = ask(rng, client, document)
            asked = answer.request.method, answer.request.url, answer.request.content
            statuses.add(answer.status_code)
            assert answer.status_code < 500, asked
            if answer.status_code >= 400:
                assert isinstance(answer.json()["detail"], str), asked
        assert client.get("/api/state").status_code == 200
    assert {200, 404, 422} <= statuses


def test_nonsense_in_cookies_is_answered(tmp_path: Path) -> None:
    desk = made_desk(tmp_path)
    rng = random.Random(8)  # noqa: S311
    with served(desk) as address, httpx.Client(base_url=address, headers=POST, timeout=60, trust_env=False) as client:
        for _ in range(100):
            name = quote(
                rng.choice(["\0", "a" * 300, "\udcff".encode("utf-8", "surrogateescape"), "%", " ", '"', "Ann"])
            )
            answer = client.post(
                "/api/next", json={}, headers={"Cookie": f"{desk.cookie}={name}{rng.choice(['', ';', '=%ff'])}"}
            )
            assert answer.status_code in (200, 403, 422)
