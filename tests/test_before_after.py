"""The benchmark of two checkouts: that both read in turn, what it says."""

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import before_after  # noqa: E402
from archives import Run  # noqa: E402


def checkout(folder):
    (folder / "vinscribe").mkdir(parents=True)
    (folder / "vinscribe" / "__main__.py").touch()
    return folder


def test_both_are_read_in_turn_and_compared(tmp_path, monkeypatch, capsys):
    before = checkout(tmp_path / "before")
    read = []

    def run(arguments, out, root):
        read.append(root)
        return Run(6.0 if root == before else 2.0, 1, 4)

    for name in ("README.md", "MODEL_CARD.md"):
        (tmp_path / name).write_text("<!-- faster:begin -->\n<!-- faster:end -->\n")
    monkeypatch.setattr(before_after, "ROOT", tmp_path)
    monkeypatch.setattr(before_after, "draw_archive", lambda folder, pages: None)
    monkeypatch.setattr(before_after, "run_command", run)
    monkeypatch.setattr(before_after.subprocess, "run", lambda *_, **__: type("Done", (), {"stdout": "abc of 2026\n"}))
    arguments = ["before_after.py", str(before), "--pages", "4", "--rounds", "2", "--model-card"]
    monkeypatch.setattr(sys, "argv", arguments)
    before_after.main()
    assert read == [before, tmp_path, before, tmp_path]
    said = "the commit abc of 2026 and now: 0.7 pages a second then, 2.0 pages a second now; 3.00 times as fast"
    assert said in capsys.readouterr().out
    assert said in (tmp_path / "README.md").read_text()


def test_a_run_that_lost_a_page_does_not_count(tmp_path, monkeypatch):
    before = checkout(tmp_path / "before")
    monkeypatch.setattr(before_after, "draw_archive", lambda folder, pages: None)
    monkeypatch.setattr(before_after, "run_command", lambda *_: Run(1.0, 1, 3))
    with pytest.raises(SystemExit, match="3 lines for 4 pages"):
        before_after.measure(before, 4, 2, 1, tmp_path)


def test_what_is_no_checkout_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["before_after.py", str(tmp_path)])
    with pytest.raises(SystemExit, match="is no checkout of vinscribe"):
        before_after.main()
