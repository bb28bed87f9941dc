"""The benchmark of archives: the folder it draws, the memory it sums, what its table says."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

import archives  # noqa: E402
from archives import Figures, Run, Stages, as_markdown, draw_archive, memory_of, run_command, stages  # noqa: E402

needs_proc = pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="memory is read from /proc: Linux only")

FIGURES = Figures(
    date="2026-01-02",
    machine="Linux",
    pages=100,
    different=40,
    runs={1: Run(20.0, 250_000_000, 100), 2: Run(10.0, 400_000_000, 100)},
    start_s=0.5,
    stages=Stages(5.2, 60.0, 40.0),
)

_HOLD = """
import subprocess, sys, time
held = bytearray(60_000_000)
child = subprocess.Popen([sys.executable, "-c", "held = bytearray(90_000_000); print(1, flush=True); input()"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
print(1, flush=True)
input()
child.communicate(b"\\n")
"""

_COMMAND = """
import sys
from pathlib import Path
held = bytearray(70_000_000)
out = Path(sys.argv[sys.argv.index("--out") + 1])
if "bad" in sys.argv:
    print("no such folder", file=sys.stderr)
    sys.exit(2)
import time
time.sleep(0.5)
out.write_text("{}\\n" * 3)
"""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    folder = tmp_path_factory.mktemp("scratch") / "archive"
    return folder, draw_archive(folder, 5, different=2)


def test_the_archive_is_hard_links_to_a_few_cards(drawn: tuple[Path, list[Path]]) -> None:
    folder, cards = drawn
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == [f"scan-{number:06d}.jpg" for number in range(1, 6)]
    assert len(cards) == len({file.stat().st_ino for file in files}) == 2
    for card in cards:
        picture = cv2.imread(str(card), cv2.IMREAD_UNCHANGED)
        assert picture.ndim == 2
        assert 1165 <= min(picture.shape) <= 1240
        assert 1654 <= max(picture.shape) <= 1760


@needs_proc
def test_memory_is_that_of_a_process_and_its_children() -> None:
    with subprocess.Popen([sys.executable, "-c", _HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        held = memory_of(process.pid)
        process.communicate(b"\n")
    assert 150_000_000 < held < 250_000_000
    assert memory_of(process.pid) == 0


@needs_proc
def test_a_run_is_timed_and_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "vinscribe"
    package.mkdir()
    (package / "__init__.py").touch()  # before any other on the path
    (package / "__main__.py").write_text(_COMMAND)
    monkeypatch.setattr(archives, "ROOT", tmp_path)
    run = run_command(["folder"], tmp_path / "out.jsonl")
    assert run.lines == 3
    assert 0.5 < run.seconds < 60
    assert run.peak_bytes > 70_000_000
    with pytest.raises(SystemExit, match="no such folder"):
        run_command(["bad"], tmp_path / "out.jsonl")


def test_stages_are_of_one_page(drawn: tuple[Path, list[Path]]) -> None:
    spent = stages(drawn[1][:1])
    assert 0 < spent.open_ms < spent.find_ms + spent.read_ms < 20_000


def test_a_run_that_loses_a_page_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "draw_archive", lambda folder, pages: [folder / "a.jpg"])
    monkeypatch.setattr(archives, "run_command", lambda arguments, out: Run(1.0, 1, 3))
    with pytest.raises(SystemExit, match="3 lines for 4 pages with 2 workers"):
        archives.measure(4, [2], tmp_path)


def test_only_the_most_workers_read_the_whole_folder(
    drawn: tuple[Path, list[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[list[str]] = []

    def run(arguments: list[str], out: Path) -> Run:
        read.append(sorted(file.name for file in Path(arguments[0]).iterdir()) if len(arguments) > 1 else [])
        return Run(2.0, 1, len(read[-1]))

    def draw(folder: Path, pages: int) -> list[Path]:
        folder.symlink_to(drawn[0])
        return drawn[1]

    monkeypatch.setattr(archives, "draw_archive", draw)
    monkeypatch.setattr(archives, "run_command", run)
    monkeypatch.setattr(archives, "stages", lambda _: FIGURES.stages)
    monkeypatch.setattr(archives, "_PART", 2)
    text = as_markdown(archives.measure(5, [1, 2], tmp_path))
    assert [len(names) for names in read[:2]] == [2, 5]
    assert read[0] == read[1][:2]
    assert "| 1 worker, 2 of them | 1.0 pages a second" in text
    assert "| 2 workers | 2.5 pages a second" in text


def test_the_table_says_what_was_measured() -> None:
    lines = as_markdown(FIGURES).splitlines()
    assert "100 scans (A5, 200 dpi, grey; 40 drawn cards" in lines[0]
    assert "at least 8 pages a second on two cores, under 1,000 MB" in lines[0]
    assert "| 1 worker | 5.0 pages a second, peak memory 250 MB |" in lines
    assert "| 2 workers | 10.0 pages a second, peak memory 400 MB |" in lines
    assert "| a page on one core, median | 105 ms: opening 5, finding the rows 60, reading them 40 |" in lines


@needs_proc
def test_the_command_writes_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("README.md", "MODEL_CARD.md"):
        (tmp_path / name).write_text("<!-- archives:begin -->\n<!-- archives:end -->\n", encoding="utf-8")
    monkeypatch.setattr(archives, "ROOT", tmp_path)
    monkeypatch.setattr(archives, "measure", lambda pages, workers, scratch: FIGURES)
    out = tmp_path / "out.json"
    monkeypatch.setattr(sys, "argv", ["archives.py", "--pages", "3", "--json", str(out), "--model-card"])
    archives.main()
    assert json.loads(out.read_text())["runs"]["2"]["seconds"] == 10
    assert (tmp_path / "README.md").read_text() == (tmp_path / "MODEL_CARD.md").read_text()
    assert "| 2 workers |" in (tmp_path / "README.md").read_text()
