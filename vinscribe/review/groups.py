"""The group check: cells that were read as the same character, side by side."""

from collections.abc import Collection

from sqlalchemy import Connection, func, insert, literal, select, tuple_, union_all, update

from vinscribe.charset import CHARSET, is_vin_char
from vinscribe.errors import StoreError
from vinscribe.review.records import GroupCell, NoSuchCard, now
from vinscribe.review.tables import ACCEPTED, OPEN, cards, cells, decisions

Place = tuple[int, int]
"""A cell: its card, and its position from 0."""

MOST_COUNTED = 1000
"""Of each character: a big archive has millions of cells, and how many exactly is of no use to anybody."""


def group(connection: Connection, char: str, limit: int, after: GroupCell | None) -> list[GroupCell]:
    """The unchecked cells that were read as a character, those of least confidence first."""
    if not is_vin_char(char):
        raise StoreError(f"no VIN has {char[:10]!a}; ask for one of the 33 characters")
    order = (cells.c.confidence, cells.c.card_id, cells.c.position)
    found = select(cells.c.card_id, cells.c.position, cells.c.char, cells.c.confidence)
    found = found.where(cells.c.char == char, cells.c.checked.is_(None))
    if after is not None:
        found = found.where(tuple_(*order) > tuple_(after.confidence, after.card_id, after.position))
    return [GroupCell(*row) for row in connection.execute(found.order_by(*order).limit(limit))]


def group_counts(connection: Connection) -> dict[str, int]:
    """Character -> how many cells read as it are unchecked, at most MOST_COUNTED; characters without are left out."""
    unchecked = (
        select(literal(char).label("char")).where(cells.c.char == char, cells.c.checked.is_(None)).limit(MOST_COUNTED)
        for char in CHARSET
    )
    some = union_all(*(select(each.subquery()) for each in unchecked)).subquery()
    return dict(connection.execute(select(some.c.char, func.count()).group_by(some.c.char)).all())


def check_group(connection: Connection, who: str, confirmed: Collection[Place], odd: Collection[Place]) -> None:
    """Write down what a person saw: see `vinscribe.review.store.Store.check_group`."""
    seen = dict.fromkeys(confirmed, "confirm") | dict.fromkeys(odd, "odd")
    if set(confirmed) & set(odd):
        raise StoreError(f"cells {sorted(set(confirmed) & set(odd))[:3]} are both right and odd; say which")
    if not seen:
        return
    ids = {card for card, _ in seen}
    # In order, so that two people who check the same cells wait for each other, and not each for the other.
    locking = select(cards.c.id, cards.c.state).where(cards.c.id.in_(ids)).order_by(cards.c.id).with_for_update()
    states = dict(connection.execute(locking).all())
    chars = {
        (card, position): char
        for card, position, char in connection.execute(
            select(cells.c.card_id, cells.c.position, cells.c.char).where(cells.c.card_id.in_(ids))
        )
    }
    if unknown := sorted(seen.keys() - chars.keys()):
        raise NoSuchCard(f"there are no cells {unknown[:3]}; ask for the group once more")
    always = {"who": who, "session": "", "at": now()}
    rows = [
        always | {"card_id": card, "position": position, "kind": kind, "char": chars[card, position]}
        for (card, position), kind in seen.items()
    ]
    connection.execute(insert(decisions), rows)
    for (card, position), kind in seen.items():
        if states[card] in (ACCEPTED, OPEN):  # those of a card that was settled meanwhile are checked already
            cell = (cells.c.card_id == card, cells.c.position == position)
            connection.execute(update(cells).where(*cell).values(checked=kind == "confirm"))
    doubted = {card for card, _ in odd}
    connection.execute(update(cards).where(cards.c.id.in_(doubted), cards.c.state == ACCEPTED).values(state=OPEN))
