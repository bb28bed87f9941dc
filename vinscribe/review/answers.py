"""What people answer, and what comes of it. Each function wants a transaction that writes."""

from collections import Counter
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, false, func, insert, literal, select, update

from vinscribe.errors import StoreError
from vinscribe.review.queue import COUNTING, lease_card, load
from vinscribe.review.records import Card, LeaseLost, NoSuchCard, Outcome, now
from vinscribe.review.tables import ILLEGIBLE, OPEN, SETTLED, cards, cells, decisions, leases

_OF_CARD = COUNTING.where(decisions.c.card_id == bindparam("card")).order_by(decisions.c.id)
_LAST = COUNTING.where(decisions.c.who == bindparam("who")).order_by(decisions.c.id.desc()).limit(1)
_LEASE = select(leases).where(leases.c.card_id == bindparam("card"))


def answer(
    connection: Connection,
    card_id: int,
    vin: str | None,
    who: str,
    token: str,
    keystrokes: int,
    seconds: float,
) -> Outcome:
    """Take down a person's VIN for a card, None for illegible, and see whether that settles it.

    The same answer sent once more, as after a lost connection, changes nothing. A lease that ran out while nobody else
    took the card still counts.
    """
    card = _locked(connection, card_id)
    kind = "illegible" if vin is None else "settle"
    before = [row for row in connection.execute(_OF_CARD, {"card": card_id}) if row.who == who]
    if any((row.token, row.kind, row.vin) == (token, kind, vin) for row in before):
        return Outcome(card_id, card.state)
    if card.state != OPEN:
        raise LeaseLost(f"card {card_id} is {card.state} already; go on with the next")
    lease = connection.execute(_LEASE, {"card": card_id}).one_or_none()
    if lease is None or (lease.token, lease.who) != (token, who):
        raise LeaseLost(f"card {card_id} is not on the desk of {who!a} any more; go on with the next")
    if before:
        raise LeaseLost(f"{who!a} has answered card {card_id} already; somebody else is asked")
    session = lease.session
    _decide(
        connection, card_id, who, kind, vin=vin, session=session, token=token, keystrokes=keystrokes, seconds=seconds
    )
    connection.execute(delete(leases).where(leases.c.card_id == card_id))
    return Outcome(card_id, _resolve(connection, card))


def undo(connection: Connection, who: str, session: str, seconds: float) -> Card | None:
    """Take back a person's last answer that still counts and lease them its card; None if there is none."""
    last = connection.execute(_LAST, {"who": who}).one_or_none()
    if last is None:
        return None
    card = _locked(connection, last.card_id)
    lease = lease_card(connection, card.id, who, session, seconds)
    if lease is None:
        raise LeaseLost(f"card {card.id} is on another desk just now; take the answer back in some minutes")
    _decide(connection, card.id, who, "undo", session=session, undoes=last.id)
    _resolve(connection, card)
    return replace(load(connection, card.id), lease=lease.token, until=lease.until)


def _locked(connection: Connection, card_id: int) -> Row[Any]:
    """A card that nobody else changes until this transaction ends."""
    row = connection.execute(select(cards).where(cards.c.id == card_id).with_for_update()).one_or_none()
    if row is None:
        raise NoSuchCard(f"there is no card {card_id}; see the queue for those there are")
    return row


def _decide(connection: Connection, card_id: int, who: str, kind: str, **values: object) -> None:
    connection.execute(insert(decisions).values(card_id=card_id, who=who, kind=kind, at=now(), **values))


def _resolve(connection: Connection, card: Row[Any]) -> str:
    """Where a card stands by the answers that count; it is written down and returned."""
    given = connection.execute(_OF_CARD, {"card": card.id}).all()
    values = Counter((row.kind, row.vin) for row in given)
    (kind, vin), agreeing = values.most_common(1)[0] if values else (("", None), 0)
    done = agreeing >= card.needed
    state = OPEN if not done else SETTLED if kind == "settle" else ILLEGIBLE
    people = ", ".join(row.who for row in given if (row.kind, row.vin) == (kind, vin))
    new = {"state": state, "answer": vin, "settled_at": now(), "settled_by": people}
    if not done:
        new = {"state": state, "answer": None, "settled_at": None, "settled_by": None}
    connection.execute(update(cards).where(cards.c.id == card.id).values(new))
    if done or card.state != OPEN:
        _check_cells(connection, card.id, done, vin)
    return state


def _check_cells(connection: Connection, card_id: int, done: bool, vin: str | None) -> None:
    """Mark the cells by the VIN of a settled card; those of a reopened one by what the group check said of them."""
    of_card = update(cells).where(cells.c.card_id == card_id)
    if done:
        right = false() if vin is None else cells.c.char == func.substr(literal(vin), cells.c.position + 1, 1)
        connection.execute(of_card.values(checked=right))
        return
    connection.execute(of_card.values(checked=None))
    said = select(decisions.c.position, decisions.c.kind, decisions.c.char).where(
        decisions.c.card_id == card_id, decisions.c.kind.in_(("confirm", "odd"))
    )
    for position, kind, char in connection.execute(said.order_by(decisions.c.id)).all():
        same = of_card.where(cells.c.position == position, cells.c.char == char)
        connection.execute(same.values(checked=kind == "confirm"))


def check_effort(keystrokes: int, seconds: float) -> None:
    """``StoreError`` unless both can be what an answer took."""
    if keystrokes < 0 or not 0 <= seconds < float("inf"):
        raise StoreError(f"{keystrokes} keystrokes in {seconds} seconds can't be; both are 0 or more")
