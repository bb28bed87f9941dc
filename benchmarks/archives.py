"""How fast ``vinscribe read FOLDER`` reads an archive of scans, and how much memory it takes.

    python benchmarks/archives.py --pages 5000 --json archives.json
    python benchmarks/archives.py --pages 5000 --model-card

Draws A5 cards at 200 dpi, grey (seed fixed), and fills a folder with hard links to them. Reports pages a second and
peak memory of a run over the whole folder with two workers, and over a part of it with one; the time of a whole run
over one card (median of 5); and where the time of a page goes, in processor time of one core. Memory is that of all
processes of the run at the same moment, as /proc tells it (Linux only): pages that they share are counted in each of
them, so it is never too low.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from page_scores import reader_of  # noqa: E402

from vinscribe import stages as clock  # noqa: E402
from vinscribe.pages import Page, read_pages  # noqa: E402
from vinscribe.training.cards import draw_card  # noqa: E402
from vinscribe.training.documents import write_between  # noqa: E402

LEAST_PAGES_PER_S = 8.0
MOST_BYTES = 1_000_000_000
"""What a release is held to: with two workers on two cores."""

DPI = 200
A5_PX = tuple(round(mm * DPI / 25.4) for mm in (148, 210))
_MARGIN = 1.06  # the glass around the card
_CARDS = 40  # different ones
_PART = 500  # pages that are read with fewer workers than the most: the time of a page does not depend on how many
_STARTS = 5
_SAMPLE_S = 0.2  # memory is looked at so often
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Run:
    """A whole run of the command.

    Attributes:
        seconds: wall time.
        peak_bytes: the most memory that all of its processes had at the same moment.
        lines: that it wrote.
    """

    seconds: float
    peak_bytes: int
    lines: int


@dataclass(frozen=True)
class Stages:
    """Processor time of one page on one core in milliseconds, medians.

    Attributes:
        open_ms: from the file to the page.
        find_ms: looking for rows of cells.
        read_ms: cutting the cells, reading them, weighing the rows, making the VIN.
    """

    open_ms: float
    find_ms: float
    read_ms: float


@dataclass(frozen=True)
class Figures:
    """What was measured.

    Attributes:
        date, machine: when and where.
        pages, different: in the folder, and how many different ones.
        runs: number of workers -> the run over the folder, with fewer workers than the most over a part of it.
        start_s: wall time of a whole run over one card, median.
        stages: where the time of a page goes.
    """

    date: str
    machine: str
    pages: int
    different: int
    runs: dict[int, Run]
    start_s: float
    stages: Stages


def draw_archive(folder: Path, pages: int, different: int = _CARDS, seed: int = 0) -> list[Path]:
    """Fills a folder with so many files, hard links to ``different`` drawn cards; returns those cards' paths.

    The cards, A5 either way round, lie in a folder beside it.
    """
    beside = folder.with_name(folder.name + " drawn")
    beside.mkdir(parents=True)
    folder.mkdir()
    drawn: list[Path] = []
    number = 0
    while len(drawn) < min(different, pages):
        card = draw_card([seed, number], scan="grey", dpi=DPI)
        number += 1
        sides = sorted(card.image.shape[:2])
        if card.image.ndim == 2 and all(a <= b <= a * _MARGIN for a, b in zip(A5_PX, sides, strict=True)):
            drawn.append(beside / f"{number:04d}{card.ending}")
            drawn[-1].write_bytes(card.data)
    for index in range(pages):
        source = drawn[index % len(drawn)]
        os.link(source, folder / f"scan-{index + 1:06d}{source.suffix}")
    return drawn


def memory_of(pid: int) -> int:
    """Bytes of memory of a process and all that it started; 0 once they are gone."""
    total = 0
    for process in family(pid):
        try:
            total += int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE_BYTES
        except (OSError, IndexError):
            continue  # it has just ended
    return total


def family(pid: int) -> list[int]:
    """A process and all that it started, and they, and so on."""
    found = [pid]
    for one in found:  # grows while it is gone through
        for tasks in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                found += [int(child) for child in tasks.read_text().split()]
            except OSError:
                continue
    return found


def run_command(arguments: Sequence[str], out: Path, checkout: Path | None = None) -> Run:
    """Runs ``vinscribe read`` with these arguments into a file; of another checkout than this, if one is given.

    Raises:
        SystemExit: it failed.
    """
    command = [sys.executable, "-m", "vinscribe", "read", *arguments, "--out", str(out)]
    start = time.perf_counter()
    with tempfile.TemporaryFile() as told:
        with subprocess.Popen(command, cwd=checkout or ROOT, stdout=told, stderr=told) as process:
            peak = _watched(process)
        seconds = time.perf_counter() - start
        if process.returncode:
            told.seek(0)
            raise SystemExit(f"{' '.join(command)} failed:\n{told.read().decode(errors='replace')[-2000:]}")
    with open(out, "rb") as file:
        lines = sum(1 for _ in file)
    return Run(seconds, peak, lines)


def _watched(process: subprocess.Popen[bytes]) -> int:
    """The most memory that a process and its children had at the same moment, until it ends."""
    peaks = [0]
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_SAMPLE_S):
            peaks.append(memory_of(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    process.wait()
    over.set()
    watcher.join()
    return max(peaks)


def stages(paths: Sequence[Path], model: str | None = None) -> Stages:
    """Where the time of these pages goes, in this process."""
    cv2.setNumThreads(1)
    reader = reader_of(model)
    reader.read(paths[0])  # once beforehand, for what is made only once
    clock.start()
    found: list[tuple[float, float, float]] = []
    for path in paths:
        started = time.perf_counter()
        (page,) = read_pages(path)
        if not isinstance(page, Page):
            raise page.error
        opened = time.perf_counter()
        clock.spent()
        reader.read_page(page.image)
        whole = time.perf_counter() - opened
        finding = (clock.spent() or {}).get("find", 0.0)
        found.append((opened - started, finding, whole - finding))
    return Stages(*(round(1000 * statistics.median(column), 1) for column in zip(*found, strict=True)))


def measure(pages: int, workers: Sequence[int], scratch: Path) -> Figures:
    """Draws the archive and reads it with the most workers; with each other number a part of it.

    Raises:
        SystemExit: a run failed, or did not write a line for each page.
    """
    folder = scratch / "archive"
    drawn = draw_archive(folder, pages)
    runs = {}
    for count in workers:
        todo = pages if count == max(workers) else min(pages, _PART)
        read = folder if todo == pages else _part_of(folder, todo, scratch / f"part {count}")
        run = runs[count] = run_command([str(read), "--workers", str(count)], scratch / f"{count}.jsonl")
        if run.lines != todo:
            raise SystemExit(f"{run.lines} lines for {todo} pages with {count} workers")
        print(f"{count} workers: {run.lines / run.seconds:.2f} pages a second", file=sys.stderr)
    starts = [run_command([str(drawn[0])], scratch / f"start{number}.jsonl").seconds for number in range(_STARTS)]
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return Figures(
        date=time.strftime("%Y-%m-%d"),
        machine=machine,
        pages=pages,
        different=len(drawn),
        runs=runs,
        start_s=round(statistics.median(starts), 2),
        stages=stages(drawn),
    )


def _part_of(folder: Path, pages: int, part: Path) -> Path:
    """A folder with the first pages of another."""
    part.mkdir()
    for file in sorted(folder.iterdir())[:pages]:
        os.link(file, part / file.name)
    return part


def as_markdown(figures: Figures) -> str:
    """The figures as a table."""
    spent = figures.stages
    whole_ms = spent.open_ms + spent.find_ms + spent.read_ms
    rows = [
        (
            f"{count} worker{'s' * (count != 1)}" + f", {run.lines:,} of them" * (run.lines != figures.pages),
            f"{run.lines / run.seconds:.1f} pages a second, peak memory {run.peak_bytes / 1e6:,.0f} MB",
        )
        for count, run in figures.runs.items()
    ]
    rows.append((f"a whole run on one card, median of {_STARTS}", f"{figures.start_s} s"))
    told = f"opening {spent.open_ms:.0f}, finding the rows {spent.find_ms:.0f}, reading them {spent.read_ms:.0f}"
    rows.append(("a page on one core, median", f"{whole_ms:.0f} ms: {told}"))
    heading = (
        f"By `python benchmarks/archives.py`, {figures.date}, {figures.machine}: `vinscribe read` on a folder of "
        f"{figures.pages:,} scans (A5, {DPI} dpi, grey; {figures.different} drawn cards, repeated); wanted: at least "
        f"{LEAST_PAGES_PER_S:g} pages a second on two cores, under {MOST_BYTES / 1e6:,.0f} MB."
    )
    return "\n".join([heading, "", "| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def main() -> None:
    """Measure, print a table, write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=5000, metavar="N")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], metavar="N", help="(default: 1 2)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures as JSON")
    parser.add_argument("--model-card", action="store_true", help="write the table into MODEL_CARD.md and README.md")
    args = parser.parse_args()
    if not Path("/proc/self/statm").is_file():
        raise SystemExit("memory is read from /proc, which only Linux has; run this there")
    with tempfile.TemporaryDirectory() as scratch:
        figures = measure(args.pages, args.workers, Path(scratch))
    text = as_markdown(figures)
    print(text)
    if args.json:
        args.json.write_text(json.dumps(asdict(figures), indent=1) + "\n", encoding="utf-8")
    if args.model_card:
        write_between(ROOT / "MODEL_CARD.md", "archives", text)
        write_between(ROOT / "README.md", "archives", text)


if __name__ == "__main__":
    main()
