"""The store of the review desk: all that its server asks and tells it.

Each call is one transaction, whole or not at all, and written to the disk when it returns. Threads and processes may
share a database; so may computers, on PostgreSQL.
"""

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from vinscribe.errors import StoreError
from vinscribe.review import answers, filing, groups, queue, statistics
from vinscribe.review.database import Database
from vinscribe.review.records import (
    Audit,
    Card,
    Correction,
    Counts,
    Decision,
    Failure,
    GroupCell,
    LeaseLost,
    NoSuchCard,
    Outcome,
    Result,
    Threshold,
    Waiting,
    checked_name,
    checked_vin,
)
from vinscribe.review.tables import ACCEPTED, SETTLED, decisions, scans

if TYPE_CHECKING:
    from vinscribe.decode import VinReading

__all__ = ["LeaseLost", "NoSuchCard", "Store"]

LEASE_SECONDS = 600.0
"""How long a card is on a desk that is silent."""


class Store:
    """An open store; `Store.opened` opens it. As a context manager it closes itself.

    All methods raise ``StoreError`` where the database fails, ``NoSuchCard`` where there is no such card, and
    ``LeaseLost`` where a card is on another desk or was settled. Names of people and sessions are 1 to 100 printable
    characters. Times are UTC in ISO 8601.
    """

    def __init__(self, database: Database, shares: filing.Shares, lease_seconds: float) -> None:
        self._database, self._shares, self._lease_seconds = database, shares, lease_seconds

    @classmethod
    def opened(
        cls,
        database: str | os.PathLike[str],
        *,
        audit_share: float = 0.02,
        double_share: float = 0.0,
        lease_seconds: float = LEASE_SECONDS,
    ) -> "Store":
        """Open a store; a new one is made where there is none.

        Args:
            database: path of an SQLite file, or ``postgresql+psycopg://user@host/name``.
            audit_share: of the cards that are accepted from now on, those that are slipped into the queue, in [0, 1].
            double_share: of the cards that get into the queue, those that two people must answer alike, in [0, 1].
            lease_seconds: how long a card is on a desk that is silent.

        Raises:
            StoreError: it cannot be opened, is another program's database or a newer vinscribe's, or a share is none.
        """
        for share in (audit_share, double_share):
            if not 0 <= share <= 1:
                raise StoreError(f"{share} is no share of the cards; give one from 0 to 1")
        return cls(Database(database), filing.Shares(audit_share, double_share), lease_seconds)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What comes in

    def add(
        self,
        scan_path: str,
        sha256: str,
        size_bytes: int,
        readings: Sequence["VinReading"],
        failures: Iterable[tuple[int | None, str]],
        model_hash: str,
        settings: str,
        *,
        complete: bool = True,
    ) -> list[int]:
        """File what was read of a scan.

        A reading that is there already is not added again. A new reading of a known page is added to its history, and
        becomes the current one unless people have to do with the card.

        Args:
            scan_path: where the scan lies.
            sha256: of its content; the same content is the same scan, wherever it lies.
            size_bytes: its size.
            readings: of its pages, each page once.
            failures: pages that could not be read (None: the whole file), and why.
            model_hash: of the model that read it.
            settings: all else that decides what is read, as a text; compared, never understood.
            complete: whether that is all of the scan; False if more of its pages follow. Until then `knows` says no.

        Returns:
            The cards' numbers, in the order of the readings.
        """
        scan = filing.Scan(scan_path, sha256, size_bytes, model_hash, settings)
        with self._database.writing() as connection:
            return filing.add(connection, scan, readings, failures, self._shares, complete=complete)

    def knows(self, sha256: str, model_hash: str, settings: str) -> bool:
        """Whether a scan was read wholly with this model and these settings, and filed."""
        with self._database.reading() as connection:
            return filing.knows(connection, sha256, model_hash, settings)

    def path_of(self, sha256: str) -> str | None:
        """Where a scan lies, as far as the store knows; None if it does not know the scan."""
        with self._database.reading() as connection:
            path: str | None = connection.scalar(select(scans.c.path).where(scans.c.sha256 == sha256))
            return path

    def moved(self, sha256: str, scan_path: str) -> None:
        """Note that a scan lies elsewhere now."""
        with self._database.writing() as connection:
            connection.execute(update(scans).where(scans.c.sha256 == sha256).values(path=scan_path))

    # The queue

    def next(self, who: str, session: str, skip: Collection[int] = ()) -> Card | None:
        """Lease the next card to a desk: one that it has already, or the next in the queue; None if there is none.

        A person goes on behind the last card that they answered, and comes back to the beginning at the end. The same
        person at two desks (sessions) gets different cards; a desk that asks again gets the same card, with the same
        token. Nobody is given a card that they have answered.

        Args:
            who: the person.
            session: the desk.
            skip: cards that come last.
        """
        with self._database.writing() as connection:
            names = checked_name(who), checked_name(session)
            return queue.take(connection, *names, self._lease_seconds, after=None, skip=skip)

    def peek(self, who: str, session: str, after: int, skip: Collection[int] = ()) -> Card | None:
        """Lease the card that `next` will give when the one of number ``after`` is answered; None if there is none."""
        with self._database.writing() as connection:
            names = checked_name(who), checked_name(session)
            return queue.take(connection, *names, self._lease_seconds, after=after, skip=skip)

    def queue(self, limit: int, after: int = 0) -> list[Waiting]:
        """The cards in the queue, on a desk or not, by their numbers, from behind that one on."""
        with self._database.reading() as connection:
            return queue.waiting(connection, limit, after)

    def card(self, card_id: int) -> Card:
        """A card as it stands; without a lease."""
        with self._database.reading() as connection:
            return queue.load(connection, card_id)

    def settle(
        self, card_id: int, vin: str, who: str, token: str, keystrokes: int = 0, seconds: float = 0.0
    ) -> Outcome:
        """Take down a person's VIN for a card that is on their desk.

        A card is settled when as many people as are needed gave the same answer. Sending the same answer twice is no
        error. A lease that ran out still counts as long as nobody else was given the card.

        Args:
            card_id: the card.
            vin: 17 of the 33 characters; the check digit is not looked at.
            who: the person.
            token: of the lease.
            keystrokes: how many it took.
            seconds: how long it took.

        Raises:
            StoreError: no VIN.
            LeaseLost: the card is on another desk, was settled meanwhile, or this person answered it before.
        """
        return self._answer(card_id, checked_vin(vin), who, token, keystrokes, seconds)

    def illegible(self, card_id: int, who: str, token: str, keystrokes: int = 0, seconds: float = 0.0) -> Outcome:
        """Take down that a person can't read a card; see `settle`."""
        return self._answer(card_id, None, who, token, keystrokes, seconds)

    def _answer(self, card_id: int, vin: str | None, who: str, token: str, keystrokes: int, seconds: float) -> Outcome:
        answers.check_effort(keystrokes, seconds)
        with self._database.writing() as connection:
            return answers.answer(connection, card_id, vin, checked_name(who), token, keystrokes, seconds)

    def release(self, card_id: int, who: str, token: str) -> None:
        """Give a card back into the queue."""
        with self._database.writing() as connection:
            queue.release(connection, card_id, who, token)

    def touch(self, card_id: int, who: str, token: str) -> str:
        """Renew a lease; until when it lasts now."""
        with self._database.writing() as connection:
            return queue.touch(connection, card_id, who, token, self._lease_seconds)

    def undo(self, who: str, session: str) -> Card | None:
        """Take back a person's last answer that still counts, and lease them its card; None if there is none."""
        with self._database.writing() as connection:
            return answers.undo(connection, checked_name(who), checked_name(session), self._lease_seconds)

    def history(self, card_id: int) -> list[Decision]:
        """All that people did to a card, in order; nothing is ever taken out."""
        columns = [decisions.c[name] for name in Decision.__dataclass_fields__]
        with self._database.reading() as connection:
            found = select(*columns).where(decisions.c.card_id == card_id).order_by(decisions.c.id)
            return [Decision(*row) for row in connection.execute(found)]

    # The group check

    def group(self, char: str, limit: int, after: GroupCell | None = None) -> list[GroupCell]:
        """The unchecked cells that were read as a character, worst first, from behind ``after`` on.

        Cells of cards that were settled are checked.
        """
        with self._database.reading() as connection:
            return groups.group(connection, char, limit, after)

    def group_counts(self) -> dict[str, int]:
        """Character -> how many cells read as it are unchecked; characters without any are left out.

        They are counted up to 1000: that means 1000 or more.
        """
        with self._database.reading() as connection:
            return groups.group_counts(connection)

    def check_group(self, who: str, confirmed: Collection[groups.Place], odd: Collection[groups.Place]) -> None:
        """Write down which cells (card, position from 0) show the character that they were read as, and which do not.

        An accepted card with an odd cell gets into the queue.
        """
        with self._database.writing() as connection:
            groups.check_group(connection, checked_name(who), confirmed, odd)

    # What goes out

    def counts(self) -> Counts:
        """How many cards there are, and where they stand."""
        return statistics.counts(self._database)

    def audit(self) -> Audit:
        """How often automatic acceptance was wrong, with the exact 95 % interval."""
        return statistics.audit(self._database)

    def thresholds(self, steps: Sequence[float]) -> list[Threshold]:
        """What each of these thresholds of acceptance, in [0, 1], would have meant, on what was settled so far."""
        return statistics.thresholds(self._database, steps)

    def results(
        self, after_id: int = 0, limit: int | None = None, states: Collection[str] = (ACCEPTED, SETTLED)
    ) -> Iterator[Result]:
        """Final VINs with where they come from, by the numbers of their cards.

        Accepted cards that wait in the queue, to be audited or for an odd cell, are not final.

        Args:
            after_id: begin behind this card.
            limit: at most so many; None for all.
            states: ``accepted``, ``settled``, ``illegible`` (which have no VIN).
        """
        return statistics.results(self._database, after_id, limit, states)

    def corrections(self) -> Iterator[Correction]:
        """The cards that people settled, with their readings, to cut labelled cells from."""
        return statistics.corrections(self._database)

    def failures(self) -> list[Failure]:
        """What could not be read when its scan was read last."""
        return statistics.all_failures(self._database)
