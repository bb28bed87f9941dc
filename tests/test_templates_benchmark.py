"""The benchmark of templates: what it draws, how it makes templates, what its tables say."""

import json
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from test_read_cards import EMPTY, RIGHT

from vinscribe.training.card_print import LAYOUTS, PLAIN
from vinscribe.training.card_scan import SCANS

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

import templates  # noqa: E402
from templates import BOXES, NEGATIVES, NO_BOXES, OTHER, Task, draw, read_page, report, summary, tasks  # noqa: E402

PAGE = Task(PLAIN, 0, 0, "grey", None, 5)


def test_every_kind_comes_in_every_way() -> None:
    todo = tasks(440, 22, 0)
    assert [sum(task.negative == kind for task in todo) for kind in (None, *NEGATIVES)] == [440 + 66, 88, 88, 88, 88]
    cards = [task for task in todo if task.source in (*LAYOUTS, PLAIN) and task.negative is None]
    assert {(task.source, task.office) for task in cards} == {(name, n) for name in (*LAYOUTS, PLAIN) for n in (0, 1)}
    assert {(task.source, task.scan) for task in cards} == {
        (name, scan) for name in (*LAYOUTS, PLAIN) for scan in SCANS
    }
    changes = sum(one.source != two.source or one.office != two.office for one, two in pairwise(todo))
    assert changes == 2 * 11 + 3 - 1  # templates are made once each


def test_the_cards_of_an_office_differ_in_what_is_written() -> None:
    one, same, two = (draw(replace(PAGE, index=index), Path()) for index in (0, 0, 1))
    assert one.data == same.data
    assert one.truth.vin != two.truth.vin


def test_a_page_is_read_with_the_template_of_its_office() -> None:
    outcome = read_page(PAGE, Path(), None, None)
    assert outcome.found
    assert outcome.groups["kind"] == NO_BOXES
    assert sum(a == b for a, b in zip(outcome.raw or "", outcome.truth or "", strict=False)) >= 14
    other = read_page(replace(PAGE, negative=OTHER), Path(), None, None)
    assert (other.truth, other.decision, other.groups) == (None, "no_field", {"negative": OTHER})


@pytest.mark.parametrize(("off", "there"), [((0, 0), True), ((2, 5), True), ((6, 0), False), ((0, 12), False)])
def test_a_field_is_found_if_its_corners_are(off: tuple[int, int], there: bool) -> None:
    true = np.array([[0.0, 0], [340, 0], [340, 40], [0, 40]])  # places of 20 by 40 px
    reading = type("Reading", (), {"field": true + off})()
    assert templates._is_there(reading, true) is there
    assert not templates._is_there(type("Reading", (), {"field": None})(), true)


def test_tables_and_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = replace(RIGHT, groups={"kind": BOXES, "layout": "boxes", "scan": "grey", "dpi": "200"})
    outcomes = [right, replace(right, vin=None, found=False, offered=False, decision="no_field"), EMPTY]
    text = report(outcomes, 2, 0, 3)
    assert f"| {BOXES} | 2 | 50.0 | 100.0 | 50.0 | 100.0 | 50.0 | 0 of 1 |" in text
    assert "| empty | 1 | 0 | 1 | 0 |" in text
    assert f"| {BOXES}, scanned | pages |" in text
    assert summary(outcomes, 2, 0, 3) in text

    monkeypatch.setattr(templates, "read_all", lambda *_: iter(outcomes))
    monkeypatch.setattr(templates, "ROOT", tmp_path)
    for name in ("README.md", "MODEL_CARD.md"):
        (tmp_path / name).write_text("<!-- templates:begin --><!-- templates:end -->")
    monkeypatch.setattr(sys, "argv", ["templates.py", "--json", str(tmp_path / "all.json"), "--model-card"])
    templates.main()
    assert f"| {BOXES}, scanned |" in capsys.readouterr().out
    assert "| layout |" not in (tmp_path / "README.md").read_text()
    assert "| without a whole VIN |" in (tmp_path / "MODEL_CARD.md").read_text()
    assert len(json.loads((tmp_path / "all.json").read_text())["outcomes"]) == 3
