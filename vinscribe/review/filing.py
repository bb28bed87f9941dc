"""Files what was read of a scan: its cards, readings and cells, and what could not be read."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, delete, exists, insert, or_, select, update

from vinscribe.review.database import inserting
from vinscribe.review.records import now
from vinscribe.review.tables import (
    ACCEPTED,
    OPEN,
    cards,
    cells,
    decisions,
    engines,
    failures,
    leases,
    readings,
    scans,
    scans_read,
)

if TYPE_CHECKING:
    from vinscribe.decode import VinReading


@dataclass(frozen=True)
class Shares:
    """Of all cards, which go where; each share is in [0, 1].

    Attributes:
        audit: of the accepted cards, those that are slipped into the queue.
        double: of the cards in the queue, those that two people must answer alike.
    """

    audit: float = 0.02
    double: float = 0.0


@dataclass(frozen=True)
class Scan:
    """A file that was read, and by what.

    Attributes:
        path: where it lies.
        sha256: of its content, in hexadecimal digits.
        size_bytes: its size.
        model_hash: of the model.
        settings: all else that decides what is read, as a text.
    """

    path: str
    sha256: str
    size_bytes: int
    model_hash: str
    settings: str


def add(
    connection: Connection,
    scan: Scan,
    read: Sequence["VinReading"],
    failed: Iterable[tuple[int | None, str]],
    shares: Shares,
    *,
    complete: bool,
) -> list[int]:
    """File what was read of a scan: see `vinscribe.review.store.Store.add`."""
    failed = list(failed)
    scan_id, engine_id = _scan_id(connection, scan), _engine_id(connection, scan.model_hash, scan.settings)
    known = {row.page: row.id for row in connection.execute(_cards_of(scan_id))}
    by_page = {reading.page or 1: reading for reading in read}
    new = [page for page in by_page if page not in known]
    if new:
        made = insert(cards).returning(cards.c.page, cards.c.id)
        for row in connection.execute(made, [{"scan_id": scan_id, "page": page} for page in new]):
            known[row.page] = row.id
    by_card = {known[page]: reading for page, reading in by_page.items()}
    reading_ids = _add_readings(connection, by_card, engine_id)
    begun = _begun(connection, scan_id)
    current = {card: by_card[card] for card in reading_ids if card not in begun}
    _make_current(connection, scan.sha256, current, reading_ids, shares)
    _add_failures(connection, scan.path, by_page, failed, complete)
    if complete:
        done = inserting(connection.dialect.name, scans_read).on_conflict_do_nothing()
        connection.execute(done, {"scan_id": scan_id, "engine_id": engine_id, "read_at": now()})
    return [known[page] for page in by_page]


def knows(connection: Connection, sha256: str, model_hash: str, settings: str) -> bool:
    """Whether a scan was read wholly with this model and these settings."""
    joined = scans_read.join(scans).join(engines)
    same = (scans.c.sha256 == sha256, engines.c.model_hash == model_hash, engines.c.settings == settings)
    return connection.scalar(select(scans.c.id).select_from(joined).where(*same)) is not None


def drawn(share: float, purpose: str, sha256: str, page: int) -> bool:
    """Whether a card belongs to a share of all cards that is chosen by chance, but always alike."""
    digest = hashlib.sha256(f"{purpose}:{sha256}:{page}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def _cards_of(scan_id: int) -> Any:
    """The cards of a scan; until this transaction ends they are given to no desk."""
    found = select(cards.c.id, cards.c.page).where(cards.c.scan_id == scan_id)
    return found.order_by(cards.c.id).with_for_update()


def _scan_id(connection: Connection, scan: Scan) -> int:
    """The scan's number; others who add the same scan wait until this transaction ends."""
    values = {"sha256": scan.sha256, "path": scan.path, "size_bytes": scan.size_bytes, "added_at": now()}
    connection.execute(inserting(connection.dialect.name, scans).on_conflict_do_nothing(), values)
    mine = select(scans.c.id).where(scans.c.sha256 == scan.sha256).with_for_update()
    number: int = connection.execute(mine).scalar_one()
    return number


def _engine_id(connection: Connection, model_hash: str, settings: str) -> int:
    values = {"model_hash": model_hash, "settings": settings}
    same = (engines.c.model_hash == model_hash, engines.c.settings == settings)
    found: int | None = connection.scalar(select(engines.c.id).where(*same))
    if found is None:
        connection.execute(inserting(connection.dialect.name, engines).on_conflict_do_nothing(), values)
        return _engine_id(connection, model_hash, settings)
    return found


def _add_readings(connection: Connection, by_card: dict[int, "VinReading"], engine_id: int) -> dict[int, int]:
    """Add the readings that this engine did not give before; card -> number of its new reading."""
    from vinscribe.output import vin_to_json

    there = select(readings.c.card_id).where(readings.c.engine_id == engine_id, readings.c.card_id.in_(by_card))
    known = set(connection.scalars(there))
    rows = [
        {"card_id": card, "engine_id": engine_id, "reading": vin_to_json(reading), "read_at": now()}
        for card, reading in by_card.items()
        if card not in known
    ]
    if not rows:
        return {}
    made = connection.execute(insert(readings).returning(readings.c.card_id, readings.c.id), rows)
    return {row.card_id: row.id for row in made}


def _begun(connection: Connection, scan_id: int) -> set[int]:
    """The cards of a scan that people have to do with: they keep the reading that they have."""
    answered = exists().where(decisions.c.card_id == cards.c.id, decisions.c.kind != "confirm")
    taken = exists().where(leases.c.card_id == cards.c.id, leases.c.until > now())
    return set(connection.scalars(select(cards.c.id).where(cards.c.scan_id == scan_id, or_(answered, taken))))


def _make_current(
    connection: Connection,
    sha256: str,
    by_card: dict[int, "VinReading"],
    reading_ids: dict[int, int],
    shares: Shares,
) -> None:
    """Let cards have these readings; what the group check confirmed stays confirmed where the character is the same."""
    if not by_card:
        return
    rows = [
        {"card": card, "reading_id": reading_ids[card]} | _standing(reading, sha256, shares)
        for card, reading in by_card.items()
    ]
    connection.execute(update(cards).where(cards.c.id == bindparam("card")), rows)
    confirmed = select(cells.c.card_id, cells.c.position, cells.c.char).where(
        cells.c.checked, cells.c.card_id.in_(by_card)
    )
    right = {tuple(row) for row in connection.execute(confirmed)}
    connection.execute(delete(cells).where(cells.c.card_id.in_(by_card)))
    new = [
        {
            "card_id": card,
            "position": position,
            "char": cell.char,
            "confidence": float(cell.confidence),
            "checked": True if (card, position, cell.char) in right else None,
        }
        for card, reading in by_card.items()
        for position, cell in enumerate(reading.cells)
    ]
    if new:
        connection.execute(insert(cells), new)


def _standing(reading: "VinReading", sha256: str, shares: Shares) -> dict[str, object]:
    """What a card has of its reading, and where it goes with it."""
    from vinscribe.decode import LEGIBLE

    page = reading.page or 1
    accepted = reading.decision == "accept"
    audit = accepted and drawn(shares.audit, "audit", sha256, page)
    queued = audit or not accepted
    return {
        "vin": reading.vin,
        "raw": reading.raw,
        "confidence": float(reading.confidence),
        "decision": reading.decision,
        "legible": bool(reading.cells) and all(cell.legible_probability >= LEGIBLE for cell in reading.cells),
        "state": OPEN if queued else ACCEPTED,
        "needed": 2 if queued and drawn(shares.double, "double", sha256, page) else 1,
        "audit": audit,
    }


def _add_failures(
    connection: Connection, path: str, read: Iterable[int], failed: Sequence[tuple[int | None, str]], complete: bool
) -> None:
    """Note what could not be read; what failed before and was read now is forgotten."""
    if complete:
        again = failures.c.path == path
    else:
        pages = {*read, *(page for page, _ in failed)}
        again = (failures.c.path == path) & (failures.c.page.in_(pages) | failures.c.page.is_(None))
    connection.execute(delete(failures).where(again))
    if failed:
        rows = [{"path": path, "page": page, "error": error, "at": now()} for page, error in failed]
        connection.execute(insert(failures), rows)
