"""Writers that are killed in the middle of writing into a store, and a look at what is left of it."""

import contextlib
import multiprocessing
import random
import signal
import sqlite3
import time
from pathlib import Path

from made_readings import made_hash, made_vin
from store_writer import write

from vinscribe.review.store import Store

SLOWEST = 60.0
"""Seconds between two words of a writer."""

Word = tuple[str, int, object]
"""What was done, the scan, and its cards or card."""


def kill_writers(database: Path, kills: int) -> list[Word]:
    """Let one writer after the other write into a store, each killed at a random moment; all that they said."""
    multiprocessing.get_context("forkserver").set_forkserver_preload(["vinscribe.output", "vinscribe.review.store"])
    rng = random.Random(9)  # noqa: S311  moments need not be secret
    said: list[Word] = []
    for kill in range(kills):
        said += _run_and_kill(database, kill * 10_000, rng.randint(1, 12), rng.uniform(0, 0.03))
    return said


def check_all_there(database: Path, said: list[Word]) -> None:
    """Nothing that was said is lost, and nothing is half written; AssertionError otherwise."""
    with Store.opened(database) as store:
        for what, scan, number in said:
            if what == "added":
                assert store.knows(made_hash(scan), "m", "{}")
                assert [store.card(card).page for card in number] == [1, 2]  # type: ignore[attr-defined]
                continue
            history = [(decision.kind, decision.vin) for decision in store.history(number)]  # type: ignore[arg-type]
            wanted = ("undo", None) if what == "undone" else ("settle", made_vin(scan))
            assert wanted in history
        _check_whole(database, store)


def _run_and_kill(database: Path, start: int, words: int, more_seconds: float) -> list[Word]:
    """Start a writer and kill it so many seconds after so many words; all that it said."""
    context = multiprocessing.get_context("forkserver")
    hear, say = context.Pipe(duplex=False)
    writer = context.Process(target=write, args=(database, start, say))
    writer.start()
    say.close()
    said = []
    try:
        for _ in range(words):
            assert hear.poll(SLOWEST), "the writer stopped writing"
            said.append(hear.recv())
        time.sleep(more_seconds)
    finally:
        writer.kill()
        writer.join()
    assert writer.exitcode == -signal.SIGKILL, "the writer ended by itself"
    with hear, contextlib.suppress(EOFError, OSError):  # OSError: in the middle of a word
        while True:
            said.append(hear.recv())
    return said


def _check_whole(database: Path, store: Store) -> None:
    """The file is sound, each card has all its cells, and stands where its history says."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        cells = "SELECT count(*) FROM cards WHERE (SELECT count(*) FROM cells WHERE card_id = cards.id) != 17"
        assert connection.execute(cells).fetchone() == (0,)
        assert connection.execute(
            "SELECT count(*) FROM scans WHERE id NOT IN (SELECT scan_id FROM scans_read)"
        ).fetchone() == (0,)
        numbers = [number for (number,) in connection.execute("SELECT id FROM cards")]
    for number in numbers:
        kinds = [decision.kind for decision in store.history(number)]
        settled = kinds.count("settle") - kinds.count("undo")
        assert store.card(number).state == ("settled" if settled else "open")
        assert settled in (0, 1)
