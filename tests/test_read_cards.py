"""The benchmark of drawn cards: which cards it draws, what it counts, what its tables say."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from vinscribe.reader import Reader
from vinscribe.training.card_print import LAYOUTS
from vinscribe.training.card_scan import SCANS
from vinscribe.training.cards import NEGATIVES, draw_card, write_cards

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

import read_cards  # noqa: E402
from page_scores import (  # noqa: E402
    FAULTS,
    Bar,
    Outcome,
    Truth,
    bar_table,
    coverage,
    fault_list,
    faults,
    judge,
    near,
    score,
    scores_by,
)
from page_scores import table as score_table  # noqa: E402
from read_cards import BARS, Task, negative_table, read_card, report, summary, tasks, truth_of, what_is_wrong  # noqa: E402

VIN, OTHER = "1HGCM82633A004352", "1HGCM82633A004353"
GROUPS = {"layout": "boxes", "scan": "grey", "dpi": "200", "check digit": "valid"}
RIGHT = Outcome(
    name="one",
    groups=GROUPS,
    truth=VIN,
    vin=VIN,
    raw=VIN,
    decision="accept",
    confidence=0.9999,
    reason=None,
    found=True,
    offered=True,
    by_cells=VIN,
)
EMPTY = replace(
    RIGHT, truth=None, vin=OTHER, raw=OTHER, decision="review", by_cells=None, groups={"negative": "empty"}, found=False
)


def cells_at(x: float, y: float, count: int = 17) -> np.ndarray:
    """Boxes of 20 by 40 px, side by side."""
    left = x + 20.0 * np.arange(count)
    corners = [(left, y), (left + 20, y), (left + 20, y + 40), (left, y + 40)]
    return np.stack([np.stack(np.broadcast_arrays(*corner), axis=-1) for corner in corners], axis=1)


# The cards


def test_the_cards_are_those_of_the_command(tmp_path: Path) -> None:
    ours = [draw_card(task.seed, task.layout, task.scan, task.negative) for task in tasks(4, 3)[:4]]
    drawn = [path.read_bytes() for path in write_cards(tmp_path, 4, seed=3, negatives=0)]
    assert [card.data for card in ours] == drawn


def test_there_are_as_many_of_each_kind_as_there_should_be() -> None:
    todo = tasks(500, 0)
    assert [sum(task.negative == kind for task in todo) for kind in (None, *NEGATIVES)] == [500, 100, 100, 100, 100]
    assert {(task.layout, task.scan) for task in todo[:110]} == {(one, two) for one in LAYOUTS for two in SCANS}
    assert len({task.seed for task in todo}) == len({task.name for task in todo}) == len(todo)
    assert tasks(500, 0) == todo
    assert not {task.seed for task in tasks(500, 1)} & {task.seed for task in todo}


# What counts as found


def test_cells_are_near_up_to_a_quarter_of_a_cell() -> None:
    true = cells_at(100, 50)
    assert near(true, true)
    assert near(cells_at(104.9, 59.9), true)
    assert not near(cells_at(105.1, 50), true)
    assert not near(cells_at(100, 39.9), true)
    assert not near(true[::-1], true)  # upside down
    assert not near(true[:16], true)
    assert not near([], true)
    one_off = true.copy()
    one_off[9] += [6, 0]
    assert not near(one_off, true)


def test_near_goes_along_the_sides_of_cells_that_lie_askew() -> None:
    true = cells_at(100, 50)
    quarter = true @ np.array([[0.0, 1.0], [-1.0, 0.0]]) + [500, 0]
    right, down = np.array([[0.0, 1.0], [-1.0, 0.0]])  # of the cells, which lie on their side
    assert near(quarter + 9.9 * down, quarter)
    assert not near(quarter + 5.1 * right, quarter)


# What is counted


def test_an_outcome_knows_what_went_wrong() -> None:
    wrong = replace(RIGHT, vin=OTHER, raw=OTHER, by_cells=OTHER)
    assert (RIGHT.exact, RIGHT.fault) == (True, None)
    assert (EMPTY.exact, EMPTY.fault) == (False, None)
    cases = {
        "not offered": replace(wrong, found=False, offered=False, by_cells=VIN),
        "another row": replace(wrong, found=False, by_cells=VIN),
        "cells off": replace(wrong, by_cells=VIN),
        "rewritten": replace(wrong, raw=VIN),
        "misread": wrong,
    }
    assert {name: outcome.fault for name, outcome in cases.items()} == {name: name for name in FAULTS}
    assert faults([*cases.values(), wrong, RIGHT, EMPTY]) == {**dict.fromkeys(FAULTS, 1), "misread": 2}
    assert fault_list([RIGHT, wrong, EMPTY]).startswith("Of the VINs, 1 are not exact: 0 not offered")
    assert [what_is_wrong(outcome) for outcome in (RIGHT, EMPTY)] == [None, None]
    assert what_is_wrong(wrong) == "wrongly accepted"
    assert what_is_wrong(replace(wrong, decision="review")) == "misread"
    assert what_is_wrong(replace(EMPTY, decision="accept")) == "wrongly accepted"


def test_a_score_counts_pages_with_a_vin_only() -> None:
    lost = replace(RIGHT, vin=None, raw=None, found=False, decision="no_field", by_cells=OTHER)
    slip = replace(RIGHT, vin=OTHER, raw=OTHER)
    found = score([RIGHT, lost, slip, EMPTY, replace(EMPTY, decision="accept")])
    assert (found.pages, found.found, found.exact, found.exact_by_cells) == (3, 2, 1, 2)
    assert found.characters == 17 + 16
    assert (found.accepted, found.wrong) == (2, 1)
    assert 0.95 < found.wrong_bound < 1
    assert score([RIGHT] * 300).wrong_bound == pytest.approx(0.01, abs=0.0005)
    assert score([EMPTY]).wrong_bound == 1


def test_coverage_goes_down_from_the_surest() -> None:
    right = [replace(RIGHT, confidence=0.9 + 0.01 * number) for number in range(6)]
    wrong = replace(RIGHT, vin=OTHER, confidence=0.925)
    assert coverage([*right, wrong, EMPTY], 0.002) == 3 / 7
    assert coverage([*right, wrong], 0.2) == 1
    assert coverage([EMPTY], 0.002) == 0


def test_tables_have_a_row_for_each_part() -> None:
    comb = replace(RIGHT, vin=OTHER, decision="review", groups={**GROUPS, "layout": "comb", "dpi": "1000"})
    by_dpi = scores_by([comb, RIGHT, RIGHT, EMPTY], "dpi")
    assert list(by_dpi) == ["200", "1000"]
    assert list(scores_by([comb, RIGHT, RIGHT, EMPTY], "layout")) == ["comb", "boxes"]
    rows = score_table("dpi", by_dpi).splitlines()
    assert rows[2] == "| 200 | 2 | 100.0 | 100.0 | 100.0 | 100.0 | 100.0 | 0 of 2 |"
    assert rows[3] == "| 1000 | 1 | 100.0 | 100.0 | 0.0 | 100.0 | 0.0 | 0 of 0 |"
    assert {row.count("|") for row in rows} == {9}


def test_negatives_are_told_by_kind() -> None:
    accepted = replace(EMPTY, decision="accept", groups={"negative": "struck"})
    lines = negative_table([RIGHT, EMPTY, EMPTY, accepted]).splitlines()
    assert "| empty | 2 | 0 | 2 | 0 |" in lines
    assert "| struck | 1 | 0 | 0 | 1 |" in lines
    assert len(lines) == 2 + len(NEGATIVES)


def bar(name: str) -> Bar:
    return next(bar for bar in BARS if bar.name.startswith(name))


def test_bars_count_what_they_say() -> None:
    slip = replace(RIGHT, vin=OTHER)
    coarse = replace(slip, groups={**GROUPS, "dpi": "150"})
    unchecked = replace(slip, groups={**GROUPS, "check digit": "none, or invalid"})
    dashed = replace(RIGHT, groups={**GROUPS, "layout": "dashed"}, decision="review")
    outcomes = [RIGHT, slip, coarse, unchecked, dashed, EMPTY, replace(EMPTY, decision="accept")]
    assert bar("field found").count(outcomes) == (5, 5)
    assert bar("exact VIN").count(outcomes) == (2, 5)
    assert bar("exact VIN, layout `boxes`").count(outcomes) == (1, 2)
    assert bar("the same").count(outcomes) == (2, 3)
    assert bar("wrong VINs").count(outcomes) == (3, 4)
    assert bar("accepted cards").count(outcomes) == (1, 2)
    lines = bar_table(BARS, outcomes).splitlines()
    assert "| exact VIN | at least 90 % | 40.0 % (2 of 5) |" in lines
    assert "| accepted cards without a whole VIN | at most 0 % | 50.0 % (1 of 2) |" in lines
    assert bar_table(BARS, []).count("– %") == len(BARS)


def test_the_report_holds_every_table() -> None:
    text = report([RIGHT, EMPTY], 1, 0)
    assert all(f"| {title} | pages |" in text for title in ("layout", "scanned", "dpi", "check digit"))
    assert "| boxes | 1 |" in text
    assert "(seed 0)" in text
    assert "| without a whole VIN |" in text
    assert len(summary([RIGHT, EMPTY], 1, 0)) < len(text)


# Whole pages, by the released model


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader()


def test_a_card_is_drawn_read_and_judged(tmp_path: Path) -> None:
    task = Task("one", (86,), "boxes", "grey", None)
    outcome = read_card(task, None, tmp_path)
    truth = draw_card(task.seed, task.layout, task.scan).truth
    assert outcome.exact
    assert outcome.found
    assert outcome.by_cells == outcome.truth == truth.vin
    assert outcome.groups["layout"] == "boxes"
    assert outcome.groups["check digit"] in ("valid", "none, or invalid")
    assert not list(tmp_path.iterdir())


def test_a_struck_card_is_no_exact_one(tmp_path: Path) -> None:
    outcome = read_card(Task("one", (66,), "comb", "clean", "struck"), None, tmp_path)
    assert (outcome.truth, outcome.exact, outcome.by_cells) == (None, False, None)
    assert outcome.groups == {"negative": "struck"}
    assert outcome.decision != "accept"


def test_the_truth_upside_down_is_another_row(tmp_path: Path, reader: Reader) -> None:
    card = draw_card(86, "boxes", "clean", dpi=150)
    path = tmp_path / f"card{card.ending}"
    path.write_bytes(card.data)
    truth = truth_of("one", card.truth)
    turned = replace(truth, cells=np.asarray(card.truth.cells)[::-1][:, [2, 3, 0, 1]])
    assert judge(str(path), truth, reader)[0].found
    wrong = judge(str(path), turned, reader)[0]
    assert (wrong.found, wrong.offered) == (False, True)
    beside = np.add(card.truth.cells, 300)
    nowhere = judge(str(path), Truth("one", {}, VIN, beside), reader)[0]
    assert (nowhere.found, nowhere.offered, nowhere.fault) == (False, False, "not offered")


def test_failures_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("vinscribe.annotate")
    monkeypatch.setattr(read_cards, "what_is_wrong", lambda outcome: "cells off")
    read_card(Task("one", (86,), "boxes", "grey", None), None, tmp_path)
    (picture,) = tmp_path.iterdir()
    assert picture.name.startswith("one-cells_off-")
    assert cv2.imread(str(picture)).shape[2] == 3


def test_processes_give_the_outcomes_in_order(tmp_path: Path) -> None:
    todo = [Task(f"card {seed}", (seed,), "boxes", "clean", "empty") for seed in (1, 2)]
    outcomes = list(read_cards.read_all(todo, None, tmp_path / "wrong", 1))
    assert [outcome.name for outcome in outcomes] == ["card 1", "card 2"]
    assert all(outcome.decision in ("review", "no_field") for outcome in outcomes)
    assert not list((tmp_path / "wrong").iterdir())


def test_the_command_writes_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("README.md", "MODEL_CARD.md"):
        (tmp_path / name).write_text("<!-- read-cards:begin -->\n<!-- read-cards:end -->\n", encoding="utf-8")
    monkeypatch.setattr(read_cards, "ROOT", tmp_path)
    monkeypatch.setattr(read_cards, "read_all", lambda todo, *_: iter([RIGHT, EMPTY]))
    command = ["read_cards.py", "--cards", "1", "--seed", "7", "--json", str(tmp_path / "out.json"), "--model-card"]
    monkeypatch.setattr(sys, "argv", command)
    read_cards.main()
    figures = json.loads((tmp_path / "out.json").read_text())
    assert (figures["seed"], figures["all"]["exact"], len(figures["outcomes"])) == (7, 1, 2)
    assert figures["groups"]["layout"]["boxes"]["pages"] == 1
    assert "| exact VIN | at least 90 % | 100.0 % (1 of 1) |" in (tmp_path / "README.md").read_text()
    assert "| layout | pages |" in (tmp_path / "MODEL_CARD.md").read_text()
