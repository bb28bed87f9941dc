"""The tables of the review desk, the same for SQLite and PostgreSQL.

What people decided is only ever added to (`decisions`, with an ``undo`` as a row of its own), and so are readings.
`cards`, `cells` and `leases` hold where things stand now.
"""

import re

from sqlalchemy import (
    Boolean,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

SCHEMA = 1
"""Version of these tables; it goes up with every change of them."""

ACCEPTED, OPEN, SETTLED, ILLEGIBLE = STATES = ("accepted", "open", "settled", "illegible")
"""Where a card stands: nothing to do; in the queue; a person gave the VIN; people say that it can't be read."""

ANSWERS = ("settle", "illegible")
"""The kinds of decisions that answer a card; the others are ``undo``, ``confirm`` and ``odd``."""


class NameText(TypeDecorator[str]):
    r"""Text that may hold bytes of a file name that are no text.

    Python keeps such bytes as lone surrogates, which no database takes: they are stored as ``\udcXX``.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """What is stored."""
        return None if value is None else value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        """What it was."""
        return value and re.sub(r"\\udc([89a-f][0-9a-f])", lambda found: chr(0xDC00 + int(found[1], 16)), value)


metadata = MetaData()

meta = Table("meta", metadata, Column("key", String(40), primary_key=True), Column("value", Text, nullable=False))

scans = Table(
    "scans",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("path", NameText, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("added_at", String(32), nullable=False),
)

engines = Table(  # what read: a model with its settings
    "engines",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("model_hash", String(64), nullable=False),
    Column("settings", Text, nullable=False),
    UniqueConstraint("model_hash", "settings"),
)

scans_read = Table(  # which scans were read wholly, by what
    "scans_read",
    metadata,
    Column("scan_id", ForeignKey("scans.id"), primary_key=True),
    Column("engine_id", ForeignKey("engines.id"), primary_key=True),
    Column("read_at", String(32), nullable=False),
)

failures = Table(  # of the last time that a scan was read
    "failures",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("path", NameText, nullable=False, index=True),
    Column("page", Integer),
    Column("error", NameText, nullable=False),
    Column("at", String(32), nullable=False),
)

cards = Table(
    "cards",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("scan_id", ForeignKey("scans.id"), nullable=False),
    Column("page", Integer, nullable=False),
    Column("reading_id", Integer),  # the current one; the columns down to `legible` are copied from it
    Column("vin", String(17)),
    Column("raw", String(17)),
    Column("confidence", Float, nullable=False, default=0.0),
    Column("decision", String(10), nullable=False, default="no_field"),
    Column("legible", Boolean, nullable=False, default=False),  # all of its cells
    Column("state", String(10), nullable=False, default=OPEN),
    Column("needed", Integer, nullable=False, default=1),
    Column("audit", Boolean, nullable=False, default=False),
    Column("answer", String(17)),
    Column("settled_at", String(32)),
    Column("settled_by", Text),
    UniqueConstraint("scan_id", "page"),
    Index("cards_queue", "state", "id"),
    Index("cards_decision", "decision", "state"),
    Index("cards_audit", "audit", sqlite_where=text("audit"), postgresql_where=text("audit")),
)

readings = Table(
    "readings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("card_id", ForeignKey("cards.id"), nullable=False),
    Column("engine_id", ForeignKey("engines.id"), nullable=False),
    Column("reading", Text, nullable=False),
    Column("read_at", String(32), nullable=False),
    UniqueConstraint("card_id", "engine_id"),
)

_UNCHECKED = text("checked IS NULL")

cells = Table(  # of current readings
    "cells",
    metadata,
    Column("card_id", ForeignKey("cards.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("char", String(1), nullable=False),
    Column("confidence", Float, nullable=False),
    Column("checked", Boolean),  # by a person: right or not; null if nobody looked
    Index(
        "cells_unchecked",
        *("char", "confidence", "card_id", "position"),
        sqlite_where=_UNCHECKED,
        postgresql_where=_UNCHECKED,
    ),
    sqlite_with_rowid=False,
)

decisions = Table(  # never updated, never deleted
    "decisions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("card_id", ForeignKey("cards.id"), nullable=False),
    Column("who", String(100), nullable=False),
    Column("session", String(100), nullable=False),
    Column("kind", String(10), nullable=False),
    Column("vin", String(17)),
    Column("position", Integer),
    Column("char", String(1)),
    Column("at", String(32), nullable=False),
    Column("keystrokes", Integer),
    Column("seconds", Float),
    Column("token", String(32)),  # of the lease
    Column("undoes", ForeignKey("decisions.id"), unique=True),
    Index("decisions_card", "card_id", "id"),
    Index("decisions_who", "who", "id"),
)

leases = Table(
    "leases",
    metadata,
    Column("card_id", ForeignKey("cards.id"), primary_key=True),
    Column("who", String(100), nullable=False),
    Column("session", String(100), nullable=False),
    Column("token", String(32), nullable=False),
    Column("until", String(32), nullable=False),
    Index("leases_who", "who", "session"),
)
