"""What the store confirmed is there after the process was killed at any moment."""

import multiprocessing
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy", reason="needs the extra [review]")

from killed_writers import check_all_there, kill_writers

KILLS = 50


@pytest.mark.skipif("forkserver" not in multiprocessing.get_all_start_methods(), reason="needs kill -9")
def test_kill_9_loses_nothing_that_was_confirmed(tmp_path: Path) -> None:
    said = kill_writers(tmp_path / "cards.db", KILLS)
    assert {what for what, _, _ in said} == {"added", "settled", "undone"}
    check_all_there(tmp_path / "cards.db", said)
