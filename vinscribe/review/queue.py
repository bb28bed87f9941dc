"""The queue: who gets which card, and what comes of the answers.

A card on a desk is leased: nobody else gets it until the lease ends. Each function wants a transaction that writes.
"""

import json
import secrets
from collections.abc import Collection
from dataclasses import replace
from functools import cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    Connection,
    Row,
    and_,
    bindparam,
    case,
    delete,
    not_,
    or_,
    select,
    update,
)

from vinscribe.review.database import inserting
from vinscribe.review.records import Card, LeaseLost, NoSuchCard, Waiting, now
from vinscribe.review.tables import (
    ANSWERS,
    OPEN,
    cards,
    cells,
    decisions,
    engines,
    leases,
    readings,
    scans,
)

# Statements are put together once: that takes longer than running them. A card that another desk has:
_MINE = and_(leases.c.who == bindparam("who"), leases.c.session == bindparam("session"))
_ELSEWHERE = (
    select(leases.c.card_id)
    .where(leases.c.card_id == cards.c.id, leases.c.until > bindparam("now"), not_(_MINE))
    .correlate(cards)
)

_UNDONE = decisions.alias("undone")
COUNTING = select(decisions).where(
    decisions.c.kind.in_(ANSWERS),
    ~select(_UNDONE.c.id).where(_UNDONE.c.undoes == decisions.c.id).correlate(decisions).exists(),
)
"""The answers that count: those that were not taken back."""

_ANSWERED = COUNTING.where(decisions.c.card_id == cards.c.id, decisions.c.who == bindparam("who")).correlate(cards)

# The cards that a person may be given: those on this desk already, those from a card on, those up to it.
_ALLOWED = select(cards.c.id).where(
    cards.c.state == OPEN,
    cards.c.id.not_in(bindparam("but", expanding=True)),
    ~_ELSEWHERE.exists(),
    or_(cards.c.needed == 1, ~_ANSWERED.exists()),
)
_START: BindParameter[int] = bindparam("start")
_ON_DESK = _ALLOWED.join(leases).where(_MINE).order_by(cards.c.id <= _START, cards.c.id)  # false comes before true
_FROM_START = _ALLOWED.where(cards.c.id > _START).order_by(cards.c.id)
_TO_START = _ALLOWED.where(cards.c.id <= _START).order_by(cards.c.id)
# Locked cards are those that another desk is just being given.
_STEPS = [step.limit(1).with_for_update(of=cards, skip_locked=True) for step in (_ON_DESK, _FROM_START, _TO_START)]

# Where a person goes on: those that they answered before need not be looked through each time.
_LAST_PLACE = (
    select(decisions.c.card_id)
    .where(decisions.c.who == bindparam("who"), decisions.c.kind.in_(ANSWERS))
    .order_by(decisions.c.id.desc())
    .limit(1)
)

_CARD = (
    select(cards, scans.c.path, scans.c.sha256, readings.c.reading, engines.c.model_hash)
    .select_from(cards.join(scans).join(readings, readings.c.id == cards.c.reading_id).join(engines))
    .where(cards.c.id == bindparam("card"))
)
_CHECKED = select(cells.c.position, cells.c.checked).where(
    cells.c.card_id == bindparam("card"), cells.c.checked.is_not(None)
)


def take(
    connection: Connection, who: str, session: str, seconds: float, *, after: int | None, skip: Collection[int] = ()
) -> Card | None:
    """Lease the next card in the queue for so many seconds.

    Args:
        connection: of a transaction that writes.
        who: the person; nobody is asked twice about the same card.
        session: a person may sit at two desks; these get different cards.
        seconds: how long the card is theirs.
        after: take what comes after this card, and not this one; None goes on where this person was.
        skip: these come last.
    """
    start = connection.scalar(_LAST_PLACE, {"who": who}) or 0 if after is None else after
    barred = () if after is None else (after,)
    for but in (skip, ()) if skip else ((),):
        found = _lease_first(connection, who, session, seconds, start, {*but, *barred})
        if found is not None:
            return found
    return None


def load(connection: Connection, card_id: int) -> Card:
    """A card as it stands; ``NoSuchCard`` if there is none."""
    row = connection.execute(_CARD, {"card": card_id}).one_or_none()
    if row is None:
        raise NoSuchCard(f"there is no card {card_id}; see the queue for those there are")
    return Card(
        *(row.id, row.path, row.sha256, row.page, json.loads(row.reading), row.model_hash),
        *(row.state, row.needed, row.audit, row.answer),
        dict(connection.execute(_CHECKED, {"card": card_id}).all()),
    )


def waiting(connection: Connection, limit: int, after: int) -> list[Waiting]:
    """The cards in the queue, by their numbers, from behind that one on."""
    lease = select(leases.c.card_id).where(leases.c.card_id == cards.c.id, leases.c.until > now())
    columns = (cards.c.id, scans.c.path, cards.c.page, cards.c.state, cards.c.confidence, lease.exists())
    found = select(*columns).select_from(cards.join(scans)).where(cards.c.state == OPEN, cards.c.id > after)
    return [Waiting(*row) for row in connection.execute(found.order_by(cards.c.id).limit(limit))]


def release(connection: Connection, card_id: int, who: str, token: str) -> None:
    """Give a card back into the queue; nothing happens if it is on another desk already."""
    mine = (leases.c.card_id == card_id, leases.c.who == who, leases.c.token == token)
    connection.execute(delete(leases).where(*mine))


def touch(connection: Connection, card_id: int, who: str, token: str, seconds: float) -> str:
    """Make a lease last so many seconds from now; until when."""
    until = now(seconds)
    mine = (leases.c.card_id == card_id, leases.c.who == who, leases.c.token == token)
    if not connection.execute(update(leases).where(*mine).values(until=until)).rowcount:
        raise LeaseLost(f"card {card_id} is not on the desk of {who!a} any more; go on with the next")
    return until


def _lease_first(
    connection: Connection, who: str, session: str, seconds: float, start: int, but: Collection[int]
) -> Card | None:
    """Lease the first card from ``start`` on, then from the beginning; before them what is on this desk already."""
    tried = list(but)
    for step in _STEPS:
        desk = {"who": who, "session": session, "start": start, "now": now()}
        while (card_id := connection.scalar(step, desk | {"but": tried})) is not None:
            lease = lease_card(connection, card_id, who, session, seconds)
            if lease is not None:
                return replace(load(connection, card_id), lease=lease.token, until=lease.until)
            tried.append(card_id)  # it was given away while this desk looked
    return None


def lease_card(connection: Connection, card_id: int, who: str, session: str, seconds: float) -> Row[Any] | None:
    """Lease a card; None if it is on another desk. A desk that has it keeps its token."""
    values = {"card_id": card_id, "who": who, "session": session, "token": secrets.token_hex(8), "until": now(seconds)}
    return connection.execute(_leasing(connection.dialect.name), values | {"now": now()}).one_or_none()


@cache
def _leasing(dialect: str) -> Any:
    """The statement that leases a card, if no other desk has it, and returns the token and the end of the lease."""
    names = ("card_id", "who", "session", "token", "until")
    new = inserting(dialect, leases).values({name: bindparam(name) for name in names})
    excluded = new.excluded
    mine = and_(leases.c.who == excluded.who, leases.c.session == excluded.session)
    token = case((mine, leases.c.token), else_=excluded.token)
    taken = {"who": excluded.who, "session": excluded.session, "token": token, "until": excluded.until}
    free = or_(mine, leases.c.until <= bindparam("now"))
    taking = new.on_conflict_do_update(index_elements=[leases.c.card_id], set_=taken, where=free)
    return taking.returning(leases.c.token, leases.c.until)
