"""Opens the review desk's database: SQLite by path, or PostgreSQL by URL."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, insert, inspect, make_url, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from vinscribe.errors import StoreError
from vinscribe.review.tables import SCHEMA, meta, metadata

PRAGMAS: tuple[str, ...] = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-32000")
"""Of SQLite: readers and a writer side by side; a commit is on the disk when it returns; cache in KiB."""

_BUSY_SECONDS = 30
_LOCK = 1986817907  # PostgreSQL's advisory lock while tables are made: any number that nobody else uses


class Database:
    """An open database; threads may share it.

    Args:
        database: path of an SQLite file, made if it is not there, or a URL of PostgreSQL.

    Raises:
        StoreError: it cannot be opened, is something else, or of a newer version.
    """

    def __init__(self, database: str | os.PathLike[str]) -> None:
        url = _url(database)
        served = url.get_backend_name() == "postgresql"
        self.name = url.render_as_string(hide_password=True) if served else str(url.database)
        self._engine = _engine(url)
        # SQLite has one writer at a time. Threads queue here: its own way of waiting is to try again after naps.
        self._turn: AbstractContextManager[object] = nullcontext() if served else threading.Lock()
        try:
            with self.writing() as connection:
                _prepare(connection, self.name)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads; what it sees does not change under it on SQLite."""
        with self._explained(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is written whole when the block ends, or not at all if it raises."""
        with self._turn, self._explained():
            engine = self._engine.execution_options(writing=True)
            with engine.begin() as connection:
                yield connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            said = str(error.orig).strip().split("\n")[0]
            hint = "is it a database of vinscribe?" if type(error) is DatabaseError else "see that it can be reached"
            raise StoreError(f"the database {self.name!r} fails: {said}; {hint}") from error
        except SQLAlchemyError as error:
            raise StoreError(f"the database {self.name!r} fails: {error}; see that it can be reached") from error


def inserting(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that can say what to do ON CONFLICT; both databases write it alike."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def _url(database: str | os.PathLike[str]) -> URL:
    """The URL of a path or of a URL."""
    name = os.fspath(database)
    if "://" not in name:
        return URL.create("sqlite+pysqlite", database=name)
    scheme, rest = name.split("://", 1)
    if scheme not in ("postgresql", "postgresql+psycopg"):
        raise StoreError(f"no such kind of database: {scheme!a}; give a file, or postgresql+psycopg://…")
    try:
        return make_url(f"postgresql+psycopg://{rest}")
    except (ArgumentError, ValueError):
        raise StoreError("the database's URL cannot be read; write postgresql+psycopg://user@host/name") from None


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "postgresql":
        try:
            return create_engine(url, pool_size=20, pool_pre_ping=True, isolation_level="READ COMMITTED")
        except ImportError as error:
            raise StoreError(
                f"PostgreSQL needs the package psycopg ({error}); pip install 'vinscribe[review]'"
            ) from None
    path = str(url.database)
    if not Path(path).absolute().parent.is_dir():
        raise StoreError(f"there is no folder for the database {path!r}; make it, or give another path")
    engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS})
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    """SQLite's own settings; transactions are begun by us."""
    connection.isolation_level = None
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    """Who is going to write asks for it at once: one who reads first and writes then may be refused in the middle."""
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writing") else "BEGIN")


def _prepare(connection: Connection, name: str) -> None:
    """Make the tables of a new database; refuse another program's, or a later version's."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))  # two desks may open a new one at once
    there = set(inspect(connection).get_table_names())
    if not there:
        metadata.create_all(connection)
        connection.execute(insert(meta).values(key="vinscribe", value=str(SCHEMA)))
        return
    version = _version(connection) if meta.name in there else None
    if version is None:
        raise StoreError(f"{name!r} is another program's database; give an empty one, or a new path")
    if version > SCHEMA:
        raise StoreError(f"{name!r} is of version {version}, this vinscribe knows {SCHEMA}; use a newer vinscribe")


def _version(connection: Connection) -> int | None:
    columns: Any = {column["name"] for column in inspect(connection).get_columns(meta.name)}
    if columns != {"key", "value"}:
        return None
    value = connection.scalar(select(meta.c.value).where(meta.c.key == "vinscribe"))
    return int(value) if value and value.isdecimal() else None
