"""The clock of `vinscribe read --profile`."""

import re
import time

import pytest
from scan_files import encode

from vinscribe import stages
from vinscribe.cli import main
from vinscribe.stages import as_lines, spent, stage, start
from vinscribe.training.cards import draw_card


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr(stages, "_clock", None)


def test_nothing_is_measured_before_it_is_asked_for(clock):
    with stage("open"):
        pass
    assert spent() is None


def test_an_inner_stage_is_not_counted_in_the_outer_one(clock):
    start()

    @stage("cut")
    def inner():
        time.sleep(0.02)

    with stage("normalise"):
        time.sleep(0.01)
        inner()
        inner()
    seconds = spent()
    assert set(seconds) == {"normalise", "cut"}
    assert seconds["cut"] >= 0.04
    assert seconds["normalise"] >= 0.01
    assert spent() == {}


def test_an_error_ends_a_stage(clock):
    start()
    with pytest.raises(ValueError, match="x"), stage("find"), stage("cut"):
        raise ValueError("x")
    assert set(spent()) == {"find", "cut"}


def test_what_is_said():
    first, *lines = as_lines({"find": 0.3, "write": 0.1}, 10)
    assert first == "where the time of 10 pages went, summed over all processes:"
    assert lines[1] == "find          30.00 ms a page   75.0 %"
    assert [line.split()[0] for line in lines] == list(stages.NAMES)
    assert next(as_lines({}, 0)).startswith("where the time of 0 pages")


def test_every_stage_of_a_card_is_measured(tmp_path, capsys):
    (tmp_path / "a.png").write_bytes(encode(draw_card(5, layout="boxes", scan="clean", dpi=150).image))
    assert main(["read", str(tmp_path), "--workers", "1", "--out", str(tmp_path / "out.csv"), "--profile"]) == 0
    lines = capsys.readouterr().err.splitlines()
    found = {match[1]: float(match[2]) for line in lines if (match := re.match(r"(\w+) +([\d.]+) ms a page", line))}
    assert list(found) == list(stages.NAMES)
    assert all(value > 0 for value in found.values())
