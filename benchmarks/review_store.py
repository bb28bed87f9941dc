"""How long the review desk's store takes, and whether twenty desks at once get in each other's way.

    python benchmarks/review_store.py --json review_store.json

Fills a new SQLite database with 100,000 cards that all wait in the queue, and times what the desk does with it; each
figure is wall-clock time of one call, on a machine with nothing else to do. Then 20 desks settle 10,000 cards at once:
on SQLite from one process, as the review desk runs, and where PostgreSQL is installed from four, on a server of our own
in a temporary folder. The run fails if a card is given to two desks or settled twice. What waiting for the disk takes
of each answer is seen by ``settle`` beside ``settle without fsync``.
"""

import argparse
import contextlib
import json
import multiprocessing
import platform
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.made_readings import made_hash, made_reading, made_vin  # noqa: E402
from tests.postgresql_server import find_programs, new_database, postgresql_server  # noqa: E402
from vinscribe.review import database as database_module  # noqa: E402
from vinscribe.review.store import Store  # noqa: E402

PAGES = 100
"""Pages of a scan."""

NO_FIELD_EVERY = 50
PROCESSES = 4

Figures = dict[str, dict[str, float]]


def fill(store: Store, count: int) -> float:
    """Add so many cards, all for the queue; milliseconds a card."""
    rng = random.Random(1)  # noqa: S311
    start = time.perf_counter()
    for scan in range(0, count, PAGES):
        readings = []
        for page in range(1, min(PAGES, count - scan) + 1):
            kind = "no_field" if page % NO_FIELD_EVERY == 0 else "review"
            vin, doubtful = made_vin((scan + page) % 1_000_000), rng.randrange(17)
            readings.append(made_reading(page, vin, decision=kind, confidence=rng.random(), doubtful=doubtful))
        store.add(f"scans/{scan}.tif", made_hash(scan), 1, readings, [], "model", "{}")
    return (time.perf_counter() - start) * 1000 / count


def summary(seconds: list[float]) -> dict[str, float]:
    """Median, 95 %, 99 % and the slowest, in milliseconds."""
    rising = sorted(second * 1000 for second in seconds)
    shares = {"median_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}
    found = {name: rising[int(share * (len(rising) - 1))] for name, share in shares.items()}
    return {name: round(value, 2) for name, value in {**found, "max_ms": rising[-1]}.items()}


def timed(call: Callable[[], object], times: int) -> dict[str, float]:
    """Call it so often and take the times."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return summary(seconds)


def settle_cards(store: Store, who: str, count: int) -> Figures:
    """Settle cards as the page does: the card, a look at what follows, the answer."""
    seconds: dict[str, list[float]] = {"next": [], "peek": [], "settle": []}
    for _ in range(count):
        times = [time.perf_counter()]
        card = store.next(who, "desk")
        if card is None:
            raise RuntimeError("the queue is empty; ask for fewer cards")
        times.append(time.perf_counter())
        store.peek(who, "desk", card.id)
        times.append(time.perf_counter())
        store.settle(card.id, made_vin(card.page), who, card.lease or "", 2, 1.5)
        times.append(time.perf_counter())
        for name, start, end in zip(seconds, times, times[1:], strict=False):
            seconds[name].append(end - start)
    return {name: summary(each) for name, each in seconds.items()}


def time_calls(path: Path, count: int) -> Figures:
    """What each thing takes that the desk asks of a store."""

    def open_queue() -> None:
        with Store.opened(path) as opened:
            opened.counts()
            if opened.next("first", "desk") is None:
                raise RuntimeError("the queue is empty")

    figures = {"open, count, first card": timed(open_queue, 5)}
    with Store.opened(path) as store:
        figures |= settle_cards(store, "anna", count)
        figures["undo"] = timed(lambda: store.undo("anna", "desk"), 50)
        figures["counts"] = timed(store.counts, 10)
        figures["queue(100)"] = timed(lambda: store.queue(100), 10)
        figures["group(120)"] = timed(lambda: store.group("3", 120), 20)
        figures["group_counts"] = timed(store.group_counts, 5)
        screens = iter([[(cell.card_id, cell.position) for cell in store.group(char, 120)] for char in "0123456789"])
        figures["check_group(120)"] = timed(lambda: store.check_group("anna", next(screens), []), 10)
        steps = [step / 100 for step in range(101)]
        figures["thresholds(101)"] = timed(lambda: store.thresholds(steps), 3)
        figures["audit"] = timed(store.audit, 5)
    with without_fsync(), Store.opened(path) as store:
        figures["settle without fsync"] = settle_cards(store, "bert", count)["settle"]
    return figures


@contextlib.contextmanager
def without_fsync() -> Iterator[None]:
    """Stores that are opened in here may lose the last answers in a power cut."""
    pragmas = database_module.PRAGMAS
    database_module.PRAGMAS = tuple(each.replace("synchronous=FULL", "synchronous=NORMAL") for each in pragmas)
    yield
    database_module.PRAGMAS = pragmas


def desk(store: Store, who: str) -> list[tuple[int, float]]:
    """Settle cards until there are none; each card with the seconds until it was given and settled."""
    done: list[tuple[int, float]] = []
    while True:
        start = time.perf_counter()
        card = store.next(who, "desk")
        if card is None:
            return done
        store.settle(card.id, made_vin(card.page), who, card.lease or "")
        done.append((card.id, time.perf_counter() - start))


def some_desks(database: str, names: list[str]) -> list[tuple[int, float]]:
    """Desks of one process, each in a thread."""
    with Store.opened(database) as store, ThreadPoolExecutor(len(names)) as threads:
        return [each for done in threads.map(lambda who: desk(store, who), names) for each in done]


def desks_at_once(database: str, cards: int, desks: int, processes: int) -> dict[str, float]:
    """Let desks settle all cards of a new database, and see that each was given out and settled once."""
    with Store.opened(database) as store:
        fill(store, cards)
        names = [f"desk {number}" for number in range(desks)]
        work = [(database, names[first::processes]) for first in range(min(processes, desks))]
        start = time.perf_counter()
        with multiprocessing.get_context("spawn").Pool(len(work)) as pool:
            done = [each for some in pool.starmap(some_desks, work) for each in some]
        seconds = time.perf_counter() - start
        given = [card for card, _ in done]
        answers = [len(store.history(card)) for card in given]
        if len(set(given)) != len(given) or len(given) != cards or set(answers) != {1}:
            raise RuntimeError(f"{len(given)} times given, {len(set(given))} cards, answers each: {set(answers)}")
        if store.counts().settled != cards:
            raise RuntimeError(f"{store.counts()}, but all {cards} should be settled")
    return {**summary([second for _, second in done]), "cards_per_second": round(cards / seconds, 1)}


def print_table(figures: Figures) -> None:
    """One line for each figure."""
    for name, figure in figures.items():
        values = "  ".join(f"{key} {value:g}" for key, value in figure.items())
        print(f"{name:<38}{values}")


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cards", type=int, default=100_000, help="in the queue of the big store")
    parser.add_argument("--settle", type=int, default=1000, help="cards that are settled to time it")
    parser.add_argument("--desks", type=int, default=20)
    parser.add_argument("--desk-cards", type=int, default=10_000, help="cards that the desks settle")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vinscribe-store-") as folder:
        path = Path(folder, "cards.db")
        with Store.opened(path) as store:
            filing = {"mean_ms": round(fill(store, args.cards), 2)}
        figures: Figures = {"add, a card": filing, "database": {"mib": round(path.stat().st_size / 2**20, 1)}}
        figures |= time_calls(path, args.settle)
        name = f"{args.desks} desks, next + settle"
        figures[f"{name}, SQLite"] = desks_at_once(str(Path(folder, "desks.db")), args.desk_cards, args.desks, 1)
        programs = find_programs()
        if programs is None:
            print("PostgreSQL is not installed: left out", file=sys.stderr)
        else:
            with postgresql_server(programs) as server:
                database = new_database(server, "desks")
                figures[f"{name}, PostgreSQL"] = desks_at_once(database, args.desk_cards, args.desks, PROCESSES)
    print_table(figures)
    if args.json:
        machine = {"machine": platform.machine(), "python": platform.python_version()}
        args.json.write_text(json.dumps(machine | {"cards": args.cards, "figures": figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
