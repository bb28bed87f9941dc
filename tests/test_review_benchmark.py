"""The benchmark of the review desk: what its table says, and that its clock sees what a browser paints."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the extra [review]")
pytest.importorskip("playwright", reason="needs playwright")

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

from made_desk import made_desk, served  # noqa: E402
from playwright.sync_api import Browser  # noqa: E402
from review_browser import Keys, Times, fill_queue, next_card_times, opening_times  # noqa: E402
from review_desk import Figures, Plan, as_markdown  # noqa: E402

FIGURES = Figures(
    date="2026-01-02",
    machine="Linux",
    plan=Plan(cards=1000, settled=2, archive=3, kills=4, desks=5, desk_cards=60),
    opened=Times((300.0, 200.0, 250.0)),
    next_card=Times((10.0, 30.0)),
    next_card_hurried=Times((40.0, 50.0)),
    keys=Keys(cards=3, mean=4.5, one_doubt_cards=2, one_doubt_mean=2.25),
    confirmed=77,
    desks={"median_ms": 12.3, "p99_ms": 45.6, "cards_per_second": 78.9},
)


def test_the_table_has_all_that_was_promised() -> None:
    told = as_markdown(FIGURES)
    assert "| within 1,000 ms | median 250 ms, slowest 300 ms |" in told
    assert "| within 100 ms | median 20 ms, slowest 30 ms |" in told
    assert "| at most 3; typing takes 18 | 2.25 (2 cards) |" in told
    assert "| `kill -9` at 4 random moments under writing | nothing lost | none of 77 confirmed changes lost |" in told
    assert "5 desks at once settle 60 cards on PostgreSQL | no card twice | none twice; 79 cards a second" in told


def test_times_are_taken_of_each_card(browser: Browser, tmp_path: Path) -> None:
    desk = made_desk(tmp_path)
    vins = fill_queue(desk.store, tmp_path, 20, 12)
    with served(desk) as address:
        assert len(opening_times(browser, address, 2).ms) == 2
        assert len(next_card_times(browser, address, vins, 3, 0).ms) == 3
        assert desk.store.counts().settled == 3
