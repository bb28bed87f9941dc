"""A review desk for tests, really served: drawn cards with the readings that their truth gives, no model."""

import contextlib
import functools
import hashlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import httpx
import uvicorn

from vinscribe.archive import ReadSettings
from vinscribe.decode import Candidate, CellReading, VinReading
from vinscribe.review.app import create_app
from vinscribe.review.desk import Desk
from vinscribe.review.intake import Intake
from vinscribe.review.security import Access
from vinscribe.review.store import Store
from vinscribe.review.uploads import Uploads
from vinscribe.training.cards import Card, draw_card
from vinscribe.vin import VIN_LENGTH

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = ReadSettings(None, "any", 0.999)
MODEL = "0" * 64
SETTINGS_TEXT = "{}"
POST = {"X-Vinscribe": "1"}


def doubtful(card: Card, path: Path, doubts: Mapping[int, float] | None = None) -> VinReading:
    """The reading of a drawn card: right, with these confidences at these positions, and 8 as a second choice."""
    truth = card.truth
    if truth.vin is None or truth.cells is None:
        return VinReading(str(path), 1, None, 0.0, "no_field", "no row of 17 cells found", None, (), (), None, (), None)
    confidences = [(doubts or {}).get(position, 0.9999) for position in range(VIN_LENGTH)]
    cells = tuple(
        CellReading(char, confidence, 0.999, ((char, confidence), ("8", 1 - confidence)), box)
        for char, confidence, box in zip(truth.vin, confidences, truth.cells, strict=True)
    )
    return VinReading(
        file=str(path),
        page=1,
        vin=truth.vin,
        confidence=min(confidences),
        decision="review" if doubts else "accept",
        reason="somebody must look" if doubts else None,
        raw=truth.vin,
        changes=(),
        candidates=(Candidate(truth.vin, min(confidences)),),
        check_digit="valid",
        cells=cells,
        field=truth.field,
    )


@functools.cache
def drawn(seed: int, drawing: tuple[tuple[str, str], ...]) -> Card:
    """A drawn card; many tests want the same ones."""
    return draw_card(seed, dpi=150, **dict(drawing))  # type: ignore[arg-type]


def filed(store: Store, folder: Path, seed: int, doubts: Mapping[int, float] | None = None, **drawing: str) -> Card:
    """Draws a card into a folder and files it in a store."""
    card = drawn(seed, tuple(sorted(drawing.items())))
    path = folder / f"card-{seed}{card.ending}"
    path.write_bytes(card.data)
    digest = hashlib.sha256(card.data).hexdigest()
    store.add(str(path), digest, len(card.data), [doubtful(card, path, doubts)], [], MODEL, SETTINGS_TEXT)
    return card


def made_desk(folder: Path, access: Access | None = None, **shares: float) -> Desk:
    """A desk with an empty store in a folder."""
    store = Store.opened(folder / "cards.db", **shares)  # type: ignore[arg-type]
    return Desk(store, Intake(store, [], SETTINGS), Uploads(SETTINGS), access or Access(), keep=folder / "kept")


@contextlib.contextmanager
def served(desk: Desk) -> Iterator[str]:
    """Serves a desk at a free port; its address. The desk is closed at the end."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        desk.access = replace(desk.access, port=port)
        server = uvicorn.Server(uvicorn.Config(create_app(desk), log_level="warning", server_header=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.01)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join()


@contextlib.contextmanager
def client_of(address: str, name: str | None = "Ann") -> Iterator[httpx.Client]:
    """A browser at a desk, with the header that every POST needs."""
    with httpx.Client(base_url=address, headers=POST, timeout=60, trust_env=False) as client:
        if name is not None:
            assert client.post("/api/desk", json={"name": name}).status_code == 200
        yield client


@contextlib.contextmanager
def command(arguments: Sequence[str]) -> Iterator[str]:
    """``vinscribe review`` as a process of its own, without a browser; its address."""
    line = [sys.executable, "-m", "vinscribe", "review", *arguments, "--port", "0", "--no-browser", "--workers", "1"]
    with subprocess.Popen(line, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            said = next(line for line in process.stderr if "http://" in line)
            yield re.search(r"http://[^/]*", said)[0]  # type: ignore[index]
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)
