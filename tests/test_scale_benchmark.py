"""The benchmark of scale and its plan: what the tables say of made figures."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

import archives  # noqa: E402
import killed_workers  # noqa: E402
import scale  # noqa: E402
import scale_plan  # noqa: E402
from killed_workers import workers_of  # noqa: E402
from scale import Figures, Run, as_markdown, checks, measured  # noqa: E402
from scale_plan import Prices, done_bytes  # noqa: E402

RUNS = tuple(
    Run(engine, workers, pages, pages / (4 * workers * slower) + 10 * (engine == "Ray"), 300_000_000 * workers + more)
    for engine, slower, more in (("local", 1.0, 0), ("Ray", 0.95, 400_000_000))
    for workers in (1, 2)
    for pages in (100, 1_000, 5_000, 20_000)
)
FIGURES = Figures("2026-01-02", "Linux", RUNS, 250_000.0, 3_800.0, 400.0, 60.0)


def test_the_table_has_every_run():
    lines = as_markdown(FIGURES).splitlines()
    assert lines[2] == "| pages | local, 1 worker | local, 2 workers | Ray, 1 worker | Ray, 2 workers |"
    assert lines[4] == "| 100 | 4.00, 300 MB | 8.00, 600 MB | 2.75, 700 MB | 4.32, 1,000 MB |"
    assert lines[7].startswith("| 20,000 | 4.00, 300 MB | 8.00, 600 MB |")


def test_what_is_wanted_is_held_against_the_figures():
    found = {name: (wanted, value, good) for name, wanted, value, good in checks(FIGURES)}
    assert found["2 workers against 1, local, 5,000 pages"] == ("at least 1.8", "2.00", True)
    assert found["Ray's overhead, 2 workers, 5,000 pages"] == ("under 15 %", "6.9 %", True)
    assert found["time of a page, 20,000 pages against 1,000, local, 2 workers"] == ("at most 10 % more", "0.0 %", True)
    assert found["peak memory, 20,000 pages against 1,000, Ray, 2 workers"][1:] == ("0.0 %", True)
    slow = Figures(**{**vars(FIGURES), "runs": (Run("local", 1, 100, 25.0, 1), Run("local", 2, 100, 20.0, 1))})
    assert [each[2:] for each in checks(slow)] == [("1.25", False)]


def test_the_plan_follows_from_figures_and_prices(tmp_path):
    plan = tmp_path / "scale.md"
    plan.write_text("<!-- plan:begin -->\n<!-- plan:end -->\n")
    scale_plan.write_plan(measured(FIGURES), Prices(cards=1e6, cores=10, machines=10, machine_hour=1.0), plan)
    text = plan.read_text()
    rate = RUNS[-1].pages / RUNS[-1].seconds / 2
    assert f"| pages a second and core | {rate:.2f} |" in text
    assert f"| core hours | {1e6 / rate / 3600:,.0f} |" in text
    assert f"| machines, per million cards | {1e6 / rate / 36000:,.2f} |" in text
    assert "| scans, 250 kB each | 0.2 TB |" in text
    assert "| results as Parquet, 400 bytes each | 400.0 MB |" in text
    assert "| shards of 1,000 scans | 1,000 |" in text
    grown = replace(measured(FIGURES), growth_bytes=2_000_000.0)
    scale_plan.write_plan(grown, Prices(cards=1e6, cores=10, machines=10, machine_hour=1.0), plan)
    assert "for each batch of 1,000 as for one of 32 | 2.0 GB |" in plan.read_text()


def test_memory_of_what_was_read_before():
    assert 30 < done_bytes() < 300


def test_the_command_measures_and_writes(tmp_path, monkeypatch):
    def draw(folder, pages):
        cards = tmp_path / "cards"
        cards.mkdir(exist_ok=True)
        (cards / "a.jpg").write_bytes(b"x" * 100)
        return [cards / "a.jpg"]

    def shards(arguments, scratch, name):
        Path(scratch, name).mkdir()
        Path(scratch, name, "part-0").write_bytes(b"x" * 10)

    for name in ("README.md", "MODEL_CARD.md", "docs/scale.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(
            "<!-- scale:begin -->\n<!-- scale:end -->\n<!-- plan:begin -->\n<!-- plan:end -->\n"
        )
    monkeypatch.setattr(scale, "ROOT", tmp_path)
    monkeypatch.setattr(scale, "draw_archive", draw)
    monkeypatch.setattr(scale, "_shards", shards)
    monkeypatch.setattr(scale, "run_command", lambda arguments, out: archives.Run(2.0, 1_000_000, 4))
    out = tmp_path / "out.json"
    arguments = ["scale.py", "--pages", "4", "--model-card", "--plan", "--json", str(out), "--machines", "3"]
    monkeypatch.setattr(sys, "argv", arguments)
    scale.main()
    said = json.loads(out.read_text())
    assert len(said["runs"]) == 4
    assert (said["card_bytes"], said["jsonl_bytes"]) == (100, 10)
    assert "| 4 | 2.00, 1 MB |" in (tmp_path / "README.md").read_text()
    assert "3 machines of 32 cores" in (tmp_path / "docs/scale.md").read_text()
    monkeypatch.setattr(sys, "argv", ["scale.py", "--from", str(out)])
    scale.main()
    monkeypatch.setattr(scale, "run_command", lambda arguments, out: archives.Run(1.0, 2_000_000, 8))
    monkeypatch.setattr(sys, "argv", ["scale.py", "--pages", "4", "8", "--workers", "2", "--json", str(out)])
    scale.main()  # what is known already is not measured again
    assert [each["pages"] for each in json.loads(out.read_text())["runs"]] == [4, 4, 4, 4, 8, 8]
    monkeypatch.setattr(scale, "run_command", lambda arguments, out: archives.Run(2.0, 1_000_000, 4))
    monkeypatch.setattr(sys, "argv", ["scale.py", "--pages", "5"])
    with pytest.raises(SystemExit, match="4 lines for 5 pages, 1 workers, local"):
        scale.main()


def test_killed_runs_are_summed_up():
    runs = [killed_workers.Run("local", "a", 3, 0, 0), killed_workers.Run("Ray", "a", 4, 1, 2)]
    lines = killed_workers.as_markdown(runs, 100).splitlines()
    assert lines[-2:] == ["| local | 1 | 3 | 0 | 0 |", "| Ray | 1 | 4 | 1 | 2 |"]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="processes are found in /proc: Linux only")
def test_a_run_on_the_local_engine_survives_its_killers(tmp_path, monkeypatch):
    from scan_files import card, encode

    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(150):
        (folder / f"{number:03d}.png").write_bytes(encode(card(number % 40, 1200, 1800)))
    monkeypatch.setattr(killed_workers, "_KINDS", (("", "shards/"),))
    monkeypatch.setattr(killed_workers, "_PAUSE_S", (2.0, 4.0))
    run = killed_workers.run(folder, tmp_path, 0)
    assert (run.missing, run.twice) == (0, 0)
    assert workers_of(1 << 30) == []
