"""A process that writes into a store until it is killed. Apart from the test, so that it starts fast."""

from multiprocessing.connection import Connection
from pathlib import Path

from made_readings import made_hash, made_reading, made_vin

from vinscribe.review.store import Store


def write(database: Path, start: int, say: Connection) -> None:
    """Add scans, settle their cards and take some answers back, and say what is done when the store says so."""
    with Store.opened(database) as store:
        for scan in range(start, start + 10_000):
            readings = [made_reading(page, made_vin(scan)) for page in (1, 2)]
            cards = store.add(f"{scan}.tif", made_hash(scan), 100, readings, [], "m", "{}")
            say.send(("added", scan, cards))
            for _ in cards:
                card = store.next("anna", "s")
                assert card is not None
                store.settle(card.id, made_vin(scan), "anna", card.lease or "")
                say.send(("settled", scan, card.id))
            if scan % 3 == 0:
                undone = store.undo("anna", "s")
                assert undone is not None
                say.send(("undone", scan, undone.id))
