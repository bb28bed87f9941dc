"""What the store can say as a whole: counts, the error of automatic acceptance, thresholds, and what goes out."""

import json
import math
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, select, true

from vinscribe.errors import StoreError
from vinscribe.review.database import Database
from vinscribe.review.records import Audit, Correction, Counts, Failure, Result, Threshold, now
from vinscribe.review.tables import (
    ACCEPTED,
    ILLEGIBLE,
    OPEN,
    SETTLED,
    STATES,
    cards,
    engines,
    failures,
    leases,
    readings,
    scans,
)

_CHUNK = 500
"""Rows that are fetched at once: no transaction stays open while somebody writes a long file."""

_DONE = cards.c.state.in_((SETTLED, ILLEGIBLE))


def counts(database: Database) -> Counts:
    """How many cards there are, and where they stand."""
    by_state = dict.fromkeys(STATES, 0)
    no_field = 0
    grouped = select(cards.c.decision, cards.c.state, func.count()).group_by(cards.c.decision, cards.c.state)
    on_desks = select(func.count()).select_from(leases.join(cards)).where(cards.c.state == OPEN, leases.c.until > now())
    with database.reading() as connection:
        for decision, state, count in connection.execute(grouped):
            by_state[state] += count
            no_field += count if (decision, state) == ("no_field", OPEN) else 0
        leased = connection.execute(on_desks).scalar_one()
        failed = connection.execute(select(func.count()).select_from(failures)).scalar_one()
    return Counts(**by_state, leased=leased, no_field=no_field, failed=failed, total=sum(by_state.values()))


def audit(database: Database) -> Audit:
    """The error of automatic acceptance, by the accepted cards that people settled unawares."""
    same = and_(cards.c.state == SETTLED, cards.c.answer == cards.c.vin)
    looking = select(func.count(), func.count().filter(same)).where(cards.c.audit == true(), _DONE)
    with database.reading() as connection:
        checked, right = connection.execute(looking).one()
    low, high = exact_interval(checked - right, checked)
    return Audit(checked, checked - right, low, high)


def exact_interval(hits: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of a share, in [0, 1], of which so many hits were seen; (0, 1) without trials.

    Source: C. Clopper, E. Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial",
    Biometrika 1934.
    """
    tail = (1 - confidence) / 2
    low = 0.0 if hits == 0 else _share_with(hits - 1, trials, 1 - tail)
    high = 1.0 if hits == trials else _share_with(hits, trials, tail)
    return low, high


def _share_with(hits: int, trials: int, probability: float) -> float:
    """The share at which at most so many hits have this probability: it falls as the share grows."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _at_most(hits, trials, middle) > probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _at_most(hits: int, trials: int, share: float) -> float:
    """The binomial probability of at most so many hits; the share is neither 0 nor 1."""
    log_share, log_rest = math.log(share), math.log1p(-share)
    log_all = math.lgamma(trials + 1)
    return math.fsum(
        math.exp(log_all - math.lgamma(k + 1) - math.lgamma(trials - k + 1) + k * log_share + (trials - k) * log_rest)
        for k in range(hits + 1)
    )


def thresholds(database: Database, steps: Sequence[float]) -> list[Threshold]:
    """What each of these thresholds would have meant, on what people settled so far.

    As the reader does, a threshold accepts only VINs whose 17 cells are all legible.
    """
    # `known` misses most cards above the threshold in use: of those only the audited ones were settled.
    wrong = ~and_(cards.c.state == SETTLED, cards.c.answer == cards.c.vin)
    able = select(cards.c.confidence).where(cards.c.legible == true()).order_by(cards.c.confidence)
    with database.reading() as connection:
        total = connection.execute(select(func.count()).select_from(cards)).scalar_one()
        all_able, known, known_wrong = (
            list(connection.scalars(query)) for query in (able, able.where(_DONE), able.where(_DONE, wrong))
        )
    return [
        Threshold(step, total - _from(step, all_able), _from(step, known), _from(step, known_wrong)) for step in steps
    ]


def _from(threshold: float, rising: Sequence[float]) -> int:
    """How many are at least that."""
    return len(rising) - bisect_left(rising, threshold)


def results(database: Database, after_id: int, limit: int | None, states: Collection[str]) -> Iterator[Result]:
    """Final VINs by the numbers of their cards: see `vinscribe.review.store.Store.results`."""
    if unknown := set(states) - {ACCEPTED, SETTLED, ILLEGIBLE}:
        raise StoreError(f"{', '.join(sorted(unknown))!a} is no final state; give accepted, settled or illegible")
    of_card = cards.join(scans).join(readings, readings.c.id == cards.c.reading_id).join(engines)
    query = select(cards, scans.c.path, scans.c.sha256, engines.c.model_hash).select_from(of_card)
    for row in _rows(database, query, cards.c.state.in_(states), after_id, limit):
        by_people = {ILLEGIBLE: ILLEGIBLE, SETTLED: SETTLED if row.needed == 1 else "double"}
        yield Result(
            *(row.id, row.path, row.sha256, row.page, row.vin if row.state == ACCEPTED else row.answer),
            by_people.get(row.state, ACCEPTED),
            *(row.settled_by, row.settled_at, row.confidence, row.raw, row.model_hash),
        )


def corrections(database: Database) -> Iterator[Correction]:
    """The cards that people settled, by their numbers."""
    of_card = cards.join(scans).join(readings, readings.c.id == cards.c.reading_id)
    query = select(cards.c.id, cards.c.page, cards.c.answer, scans.c.path, readings.c.reading).select_from(of_card)
    for row in _rows(database, query, cards.c.state == SETTLED, 0, None):
        yield Correction(row.id, row.path, row.page, row.answer, json.loads(row.reading))


def all_failures(database: Database) -> list[Failure]:
    """What could not be read, by path and page."""
    columns = (failures.c.path, failures.c.page, failures.c.error, failures.c.at)
    with database.reading() as connection:
        return [Failure(*row) for row in connection.execute(select(*columns).order_by(*columns[:2], failures.c.id))]


def _rows(
    database: Database, query: Select[Any], which: ColumnElement[bool], after_id: int, limit: int | None
) -> Iterator[Any]:
    """The rows of a query of cards after a number, some at a time."""
    left = math.inf if limit is None else limit
    while left > 0:
        chunk = query.where(which, cards.c.id > after_id).order_by(cards.c.id).limit(int(min(_CHUNK, left)))
        with database.reading() as connection:
            rows = connection.execute(chunk).all()
        yield from rows
        if len(rows) < _CHUNK:
            return
        after_id, left = rows[-1].id, left - len(rows)
