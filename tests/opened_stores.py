"""Stores for tests: on SQLite, and on PostgreSQL where it is installed; and what is done to them again and again."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from made_readings import made_hash, made_reading, made_vin
from postgresql_server import new_database, shared_server

from vinscribe.decode import VinReading
from vinscribe.review.records import Card
from vinscribe.review.store import Store

WRONG = made_vin(999_999)
"""A VIN that nothing is read as."""

Opener = Callable[..., Store]


@pytest.fixture(params=["sqlite", "postgresql"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """Opens stores on one database, which is new for each test."""
    if request.param == "sqlite":
        database = str(tmp_path / "cards.db")
    else:
        server = shared_server()
        if server is None:
            pytest.skip("PostgreSQL is not installed")
        database = new_database(server, "test")
    with contextlib.ExitStack() as stack:
        yield lambda **settings: stack.enter_context(Store.opened(database, **settings))


def add(store: Store, readings: list[VinReading], scan: int = 1, model: str = "m", **more: object) -> list[int]:
    return store.add(f"scans/{scan}.tif", made_hash(scan), 100, readings, [], model, "{}", **more)  # type: ignore[arg-type]


def doubtful(count: int) -> list[VinReading]:
    return [made_reading(page) for page in range(1, count + 1)]


def accepted(count: int) -> list[VinReading]:
    return [made_reading(page, decision="accept", confidence=0.9995) for page in range(1, count + 1)]


def given(card: Card | None) -> tuple[int, str]:
    """The number and the lease of a card that must be there."""
    assert card is not None
    assert card.lease is not None
    return card.id, card.lease


def settle(store: Store, who: str, vin: str | None = None, session: str = "s") -> int:
    """Settle the next card, with what was read by default; its number."""
    card = store.next(who, session)
    number, lease = given(card)
    store.settle(number, vin or store.card(number).reading["vin"], who, lease, 2, 1.5)
    return number
