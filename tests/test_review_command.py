"""``vinscribe review`` as it is started: from drawn scans to settled cards, and over a restart."""

import argparse
import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the extra [review]")

import httpx
from made_desk import POST

from vinscribe import cli
from vinscribe.review import serve
from vinscribe.training.cards import draw_card

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    for seed in (8001, 8002):
        card = draw_card(seed, layout="boxes", scan="clean", dpi=150)
        (folder / f"card-{seed}{card.ending}").write_bytes(card.data)
    return folder


@contextlib.contextmanager
def started(*arguments: str) -> Iterator[tuple[httpx.Client, str, "subprocess.Popen[str]"]]:
    """The command, a client at its address with its token, and what it said on standard error so far."""
    command = [sys.executable, "-m", "vinscribe", "review", *arguments, "--port", "0", "--no-browser"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = ""
        try:
            for line in process.stderr:
                said += line
                found = re.search(r"http://[^/]*:(\d+)/(\?token=\S+)?", line)
                if found:
                    break
            else:
                raise AssertionError(said)
            with httpx.Client(
                base_url=f"http://127.0.0.1:{found[1]}", headers=POST, timeout=60, trust_env=False
            ) as client:
                if found[2]:
                    assert client.get("/").status_code == 401
                    client.get(f"/{found[2]}")
                yield client, said, process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            rest = process.communicate(timeout=60)
    assert process.returncode == 0, rest
    assert rest == ("", "")


def until_read(client: httpx.Client) -> dict[str, object]:
    """The state when all scans are read."""
    for _ in range(600):
        state: dict[str, dict[str, object]] = client.get("/api/state").json()
        if not state["reading"]["running"]:
            assert state["reading"]["error"] is None
            return state
        time.sleep(0.1)
    raise AssertionError("reading does not end")


def test_from_scans_to_results_and_over_a_restart(archive: Path) -> None:
    with started(str(archive), "--threshold", "1") as (client, said, _):
        assert f"the cards are in {archive / '.vinscribe' / 'cards.db'}" in said
        assert "?token=" not in said
        state = until_read(client)
        assert state["counts"]["open"] == 2  # type: ignore[index]
        assert client.post("/api/desk", json={"name": "Ann"}).status_code == 200
        card = client.post("/api/next", json={}).json()["card"]
        vin = draw_card(8001, layout="boxes", scan="clean", dpi=150).truth.vin
        settled = client.post(f"/api/cards/{card['id']}/settle", json={"vin": vin, "lease": card["lease"]})
        assert settled.json()["state"] == "settled"
        assert client.get("/").status_code == 200
    with started(str(archive), "--threshold", "1") as (client, _, _):
        state = until_read(client)
        assert state["reading"]["pages"] == 0  # type: ignore[index]
        assert state["desk"] is None
        (result,) = [json.loads(line) for line in client.get("/api/export.jsonl").text.splitlines()]
        assert (result["vin"], result["who"]) == (vin, "Ann")


def test_beyond_this_computer_a_token_is_demanded(archive: Path, tmp_path: Path) -> None:
    arguments = (str(archive), "--database", str(tmp_path / "cards.db"), "--host", "0.0.0.0")  # noqa: S104
    with started(*arguments) as (client, said, _):
        assert said.count("?token=") == 1
        assert "not encrypted" in said
        assert client.get("/api/state").status_code == 200  # with the cookie


def test_it_ends_in_the_middle_of_reading(tmp_path: Path) -> None:
    card = draw_card(8001, layout="boxes", scan="clean", dpi=150)
    for number in range(12):
        (tmp_path / f"{number}.png").write_bytes(card.data + bytes([number]))  # bytes behind a picture do not matter
    with started(str(tmp_path)) as (client, _, process):
        while not client.get("/api/state").json()["reading"]["pages"]:
            time.sleep(0.02)
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.wait(60)
    assert time.monotonic() - start < 30
    with started(str(tmp_path)) as (client, _, _):
        assert until_read(client)["counts"]["total"] == 12  # type: ignore[index]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "no archive and no database"),
        (["nowhere"], "no such file or folder: nowhere"),
        ([".", "--port", "99999"], "cannot listen at 127.0.0.1, port 99999"),
        ([".", "--host", "no.such.host.invalid", "--port", "0"], "cannot listen at no.such.host.invalid"),
        ([".", "--database", "nowhere/cards.db", "--port", "0"], "nowhere"),
        ([".", "--database", "mysql://x/y", "--port", "0"], "mysql"),
        ([".", "--audit-share", "2", "--port", "0"], "2.0 is no share"),
        ([".", "--model", "nowhere.onnx", "--port", "0"], "nowhere.onnx"),
        ([".", "--workers", "0", "--port", "0"], "--workers 0"),
        ([".", "--market", "mars"], "mars"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    arguments: list[str],
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["review", *arguments, "--no-browser"]) in (1, 2)
    said = capsys.readouterr().err
    assert reason in said
    assert said.splitlines()[-1].startswith("vinscribe: ")


def test_a_port_in_use_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert cli.main(["review", str(tmp_path), "--port", port, "--no-browser"]) == 2
    assert f"port {port}: Address already in use" in capsys.readouterr().err


def test_an_archive_that_cannot_be_written_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / serve.FOLDER).write_text("a file where the folder would be")
    assert cli.main(["review", str(tmp_path), "--port", "0", "--no-browser"]) == 2
    assert "say with --database" in capsys.readouterr().err


def test_the_page_is_opened_in_the_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve.uvicorn.Server, "run", lambda *_, **__: time.sleep(0.2))
    shown: list[str] = []
    args = argparse.Namespace(archives=[str(tmp_path)], database=None, host="127.0.0.1", port=0, no_browser=False)
    for name, value in (("market", "any"), ("threshold", 0.999), ("audit_share", 0.0), ("double_share", 0.0)):
        setattr(args, name, value)
    args.workers = args.model = args.expected = args.template = None
    args.register = []
    assert serve.serve(args, shown.append) == 0
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", shown[0])
