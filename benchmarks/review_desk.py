"""What the review desk promises: no waiting, nothing lost, no card twice, few keys.

    python benchmarks/review_desk.py --model-card

Needs Chromium, PostgreSQL and a machine with nothing else to do; takes about a quarter of an hour. In a real browser:
how long it takes from Enter until the next card is on screen, and from asking for the page until the first one is,
with 100,000 cards in the queue (the ones that are settled are drawn and have scans, the others are only in the store);
and how many keys are pressed for a card when an archive of drawn cards, read by the released model, is settled by hands
that make no mistakes. In the store: writers that are killed at random moments, and 20 desks at once on PostgreSQL. The
run fails if anything is lost, or a card is given to two desks or settled twice. How long each call of the store takes
is measured by ``review_store.py``.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "benchmarks")]

from browsers import launched  # type: ignore[import-not-found]  # noqa: E402
from killed_writers import check_all_there, kill_writers  # type: ignore[import-not-found]  # noqa: E402
from made_desk import command  # type: ignore[import-not-found]  # noqa: E402
from postgresql_server import (  # type: ignore[import-not-found]  # noqa: E402
    find_programs,
    new_database,
    postgresql_server,
)
from review_browser import Keys, Times, fill_queue, next_card_times, opening_times, pressed_keys  # noqa: E402
from review_store import PROCESSES, desks_at_once  # noqa: E402

from vinscribe.review.store import Store  # noqa: E402
from vinscribe.training.documents import write_between  # noqa: E402

MOST_NEXT_MS = 100
MOST_OPEN_MS = 1000
MOST_KEYS = 3
TYPING_KEYS = 18
"""All 17 characters, and Enter."""

PAUSE_MS = 1000
OPENINGS = 10


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        cards: in the queue of the big store.
        settled: of these, with pauses between, and as many without.
        archive: cards of the archive whose keys are counted.
        kills: of writers.
        desks, desk_cards: on PostgreSQL.
    """

    cards: int = 100_000
    settled: int = 100
    archive: int = 150
    kills: int = 50
    desks: int = 20
    desk_cards: int = 10_000


@dataclass(frozen=True)
class Figures:
    """What was measured.

    Attributes:
        date, machine: when and where.
        plan: how much.
        opened: the page, with the queue.
        next_card, next_card_hurried: from Enter to the next card; a second for each card, and no pause at all.
        keys: for the cards of an archive.
        confirmed: so many things writers said that they were done before they were killed; none was lost.
        desks: of desks at once: a card's waiting and settling together, in milliseconds, and cards a second.
    """

    date: str
    machine: str
    plan: Plan
    opened: Times
    next_card: Times
    next_card_hurried: Times
    keys: Keys
    confirmed: int
    desks: dict[str, float]


def say(text: str) -> None:
    """Progress, on standard error."""
    print(text, file=sys.stderr, flush=True)


def measure(plan: Plan, scratch: Path) -> Figures:
    """Measure all of it.

    Raises:
        SystemExit: PostgreSQL is not installed.
        AssertionError, RuntimeError: something was lost, or done twice.
    """
    programs = find_programs()
    if programs is None:
        raise SystemExit("PostgreSQL is not installed; apt-get install postgresql")
    with launched() as browser:
        opened, calm, hurried = waiting_times(browser, plan, scratch)
        keys = pressed_keys(browser, scratch / "archive", plan.archive, say)
        say(f"{keys}")
    said = kill_writers(scratch / "killed.db", plan.kills)
    check_all_there(scratch / "killed.db", said)
    say(f"{plan.kills} writers killed")
    with postgresql_server(programs) as server:
        desks = desks_at_once(new_database(server, "desks"), plan.desk_cards, plan.desks, PROCESSES)
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return Figures(time.strftime("%Y-%m-%d"), machine, plan, opened, calm, hurried, keys, len(said), desks)


def waiting_times(browser: object, plan: Plan, scratch: Path) -> tuple[Times, Times, Times]:
    """With a big queue: of opening the page, of the next card with pauses, and without."""
    scans, database = scratch / "scans", scratch / "cards.db"
    scans.mkdir()
    with Store.opened(database) as store:
        vins = fill_queue(store, scans, plan.cards, 2 * (plan.settled + OPENINGS + 2))
    say(f"{plan.cards:,} cards filed")
    with command(["--database", str(database)]) as address:
        opened = opening_times(browser, address, OPENINGS)
        calm = next_card_times(browser, address, vins, plan.settled, PAUSE_MS)
        hurried = next_card_times(browser, address, vins, plan.settled, 0)
    for name, times in (("opened", opened), ("next card", calm), ("hurried", hurried)):
        say(f"{name}: median {times.median_ms:.0f} ms, slowest {times.slowest_ms:.0f} ms")
    return opened, calm, hurried


def as_markdown(figures: Figures) -> str:
    """The figures as a table."""
    plan, keys, desks = figures.plan, figures.keys, figures.desks

    def told(times: Times) -> str:
        return f"median {times.median_ms:.0f} ms, slowest {times.slowest_ms:.0f} ms"

    rows = [
        (
            f"page asked for → first of {plan.cards:,} cards on screen",
            f"within {MOST_OPEN_MS:,} ms",
            told(figures.opened),
        ),
        (
            f"Enter → next of {plan.cards:,} cards on screen, {PAUSE_MS / 1000:g} s spent on each",
            f"within {MOST_NEXT_MS} ms",
            told(figures.next_card),
        ),
        ("the same, without any pause", "–", told(figures.next_card_hurried)),
        (
            "keys for a card with one character in doubt",
            f"at most {MOST_KEYS}; typing takes {TYPING_KEYS}",
            f"{keys.one_doubt_mean:.2f} ({keys.one_doubt_cards} cards)",
        ),
        ("keys for any card that needs a person", "–", f"{keys.mean:.2f} ({keys.cards} cards)"),
        (
            f"`kill -9` at {plan.kills} random moments under writing",
            "nothing lost",
            f"none of {figures.confirmed} confirmed changes lost",
        ),
        (
            f"{plan.desks} desks at once settle {plan.desk_cards:,} cards on PostgreSQL",
            "no card twice",
            f"none twice; {desks['cards_per_second']:.0f} cards a second, "
            f"median {desks['median_ms']:.0f} ms, 99 % within {desks['p99_ms']:.0f} ms",
        ),
    ]
    heading = (
        f"By `python benchmarks/review_desk.py`, {figures.date}, {figures.machine}; times and keys in Chromium, the "
        f"keys on {plan.archive} drawn cards read by the released model."
    )
    lines = [f"| {name} | {wanted} | {measured} |" for name, wanted, measured in rows]
    return "\n".join([heading, "", "| | wanted | measured |", "|---|---|---|", *lines])


def main() -> None:
    """Measure, print a table, write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in asdict(Plan()).items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=int, default=value, metavar="N", help=f"(default: {value:,})")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures as JSON")
    parser.add_argument("--model-card", action="store_true", help="write the table into MODEL_CARD.md and README.md")
    args = parser.parse_args()
    plan = Plan(**{name: getattr(args, name) for name in asdict(Plan())})
    with tempfile.TemporaryDirectory(prefix="vinscribe-desk-") as scratch:
        figures = measure(plan, Path(scratch))
    text = as_markdown(figures)
    print(text)
    if args.json:
        args.json.write_text(json.dumps(asdict(figures), indent=1) + "\n", encoding="utf-8")
    if args.model_card:
        write_between(ROOT / "MODEL_CARD.md", "review", text)
        write_between(ROOT / "README.md", "review", text)


if __name__ == "__main__":
    main()
