"""What the review desk's store gives out, and what it refuses with."""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from vinscribe.charset import CHARSET, is_vin_char
from vinscribe.errors import StoreError
from vinscribe.vin import VIN_LENGTH

_LONGEST_NAME = 100


class LeaseLost(StoreError):  # noqa: N818  the name says it all
    """A card is with another desk now, or it is settled already."""


class NoSuchCard(StoreError):  # noqa: N818
    """There is no such card, or no such cell of it."""


@dataclass(frozen=True, slots=True)
class Card:
    """A page that was read, and where it stands.

    Attributes:
        id: its number in the store.
        scan_path, sha256, page: where it is from.
        reading: the object of `vinscribe.output.vin_to_json`.
        model_hash: of the model that read it.
        state: ``accepted``, ``open``, ``settled`` or ``illegible``.
        needed: how many people must give the same answer.
        audit: whether it was accepted and slipped into the queue all the same. Not for the eyes of who settles it.
        answer: the VIN that people settled on; None if they did not.
        checked: position, from 0, -> whether people found its character right; those nobody looked at are left out.
        lease: what shows that a desk has the card; None if the card was not just leased.
        until: the end of the lease.
    """

    id: int
    scan_path: str
    sha256: str
    page: int
    reading: dict[str, Any]
    model_hash: str
    state: str
    needed: int
    audit: bool
    answer: str | None
    checked: dict[int, bool]
    lease: str | None = None
    until: str | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A card in the queue, and whether it is on a desk now."""

    card_id: int
    path: str
    page: int
    state: str
    confidence: float
    leased: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an answer: the card's state, ``open`` if it waits for another person's answer."""

    card_id: int
    state: str


@dataclass(frozen=True, slots=True)
class GroupCell:
    """A cell that nobody checked yet, with the confidence in its character."""

    card_id: int
    position: int
    char: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Counts:
    """How many cards there are.

    Attributes:
        accepted, open, settled, illegible: by state; they add up to ``total``.
        leased: of the open ones, those that are on a desk now.
        no_field: of the open ones, those on which no field was found.
        failed: pages, or whole files, that could not be read; no cards.
        total: all cards.
    """

    accepted: int
    open: int
    leased: int
    settled: int
    illegible: int
    no_field: int
    failed: int
    total: int


@dataclass(frozen=True, slots=True)
class Audit:
    """How often automatic acceptance was wrong, of the accepted cards that people settled unawares.

    Attributes:
        checked, wrong: counts; a card that people call illegible is a wrong one.
        low, high: 95 % interval of the share of wrong ones, in [0, 1].
    """

    checked: int
    wrong: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Threshold:
    """What a threshold of acceptance would have meant.

    Attributes:
        threshold: in [0, 1].
        people: cards, of all, that people would have to look at.
        known: of the cards that it would accept, those that people settled.
        wrong: of these, the ones on which people settled on something else than the reader.
    """

    threshold: float
    people: int
    known: int
    wrong: int


@dataclass(frozen=True, slots=True)
class Result:
    """A final VIN and where it comes from.

    Attributes:
        card_id, file, sha256, page: the card.
        vin: None for a card that people call illegible.
        source: ``accepted`` by the reader; ``settled`` by a person; ``double``: by people who agree; ``illegible``:
            people say so.
        who, when: who settled it (names separated by a comma), UTC in ISO 8601; None for an accepted one.
        confidence, raw, model_hash: of the reading.
    """

    card_id: int
    file: str
    sha256: str
    page: int
    vin: str | None
    source: str
    who: str | None
    when: str | None
    confidence: float
    raw: str | None
    model_hash: str


@dataclass(frozen=True, slots=True)
class Correction:
    """A card that people settled, with its reading, to cut labelled cells from."""

    card_id: int
    scan_path: str
    page: int
    vin: str
    reading: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Failure:
    """A page, or without a number a whole file, that could not be read."""

    path: str
    page: int | None
    error: str
    at: str


@dataclass(frozen=True, slots=True)
class Decision:
    """One thing that a person did to a card; ``undoes`` is the number of the decision that an ``undo`` takes back."""

    id: int
    card_id: int
    who: str
    session: str
    kind: str
    vin: str | None
    position: int | None
    char: str | None
    at: str
    keystrokes: int | None
    seconds: float | None
    undoes: int | None


def now(later_seconds: float = 0.0) -> str:
    """The time in so many seconds, UTC in ISO 8601 with milliseconds: as texts they sort by time."""
    return (datetime.now(timezone.utc) + timedelta(seconds=later_seconds)).isoformat(timespec="milliseconds")


def checked_vin(vin: str) -> str:
    """The VIN if it is 17 of the 33 characters, else ``StoreError``; its check digit is no matter."""
    wrong = sorted({char for char in vin if not is_vin_char(char)})
    if len(vin) != VIN_LENGTH or wrong:
        why = f"it has {len(vin)} characters" if len(vin) != VIN_LENGTH else f"no VIN has {', '.join(wrong)}"
        raise StoreError(f"{vin[:40]!a} is no VIN: {why}; give {VIN_LENGTH} characters out of {CHARSET}")
    return vin


def checked_name(name: str) -> str:
    """The name of a person or session if a database takes it, else ``StoreError``."""
    if not (0 < len(name) <= _LONGEST_NAME and name.isprintable() and name.strip()):
        raise StoreError(f"{name[:40]!a} is no name; give 1 to {_LONGEST_NAME} printable characters")
    return name
