"""Whether reading an archive costs in proportion to its pages, on the local engine and on Ray.

    python benchmarks/scale.py --pages 100 1000 5000 --json scale.json
    python benchmarks/scale.py --pages 20000 --workers 2 --engines local --json scale.json --model-card --plan
    python benchmarks/scale.py --from scale.json --plan

Folders of 100 to 20,000 scans (hard links to 40 drawn cards, see archives.py) are read by whole runs of ``vinscribe
read``, with one worker and with two, on each engine, one after the other. Reports pages a second, and the most memory
that all processes of the run had at the same moment (Linux only). Each run is kept in the JSON file at once, and made
only if it is not there yet; the tables are of all runs in it. ``--plan`` computes from the figures what a very large
archive takes, see scale_plan.py.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from archives import DPI, draw_archive, run_command  # noqa: E402
from scale_plan import Measured, Prices, add_price_arguments, done_bytes, write_plan  # noqa: E402

from vinscribe.shards import BATCH  # noqa: E402
from vinscribe.training.documents import write_between  # noqa: E402

PAGES = (100, 1_000, 5_000, 20_000)
COMPARED = 5_000
"""Pages at which engines and numbers of workers are compared, or the most that were measured below."""

LEAST_SPEEDUP = 1.8
MOST_OVERHEAD = 0.15
MOST_GROWTH = 0.10
"""What a release is held to: two workers against one; Ray against the local engine; cost and memory of the largest
archive against those of a thousand pages, or the next that was measured."""

_ENGINES = ("local", "Ray")
_CARDS = 40  # whose results are written to see how large they are


@dataclass(frozen=True)
class Run:
    """A whole run of the command.

    Attributes:
        engine: ``local`` or ``Ray``.
        workers, pages: how many.
        seconds: wall time.
        peak_bytes: the most memory that all of its processes had at the same moment.
    """

    engine: str
    workers: int
    pages: int
    seconds: float
    peak_bytes: int

    @property
    def rate(self) -> float:
        """Pages a second."""
        return self.pages / self.seconds


@dataclass(frozen=True)
class Figures:
    """What was measured.

    Attributes:
        date, machine: when and where.
        runs: in the order in which they were made.
        card_bytes: of a scan, on average.
        jsonl_bytes, parquet_bytes: of a page's results in shards, on average over different cards.
        done_bytes: of memory for each file that was read before, with ``--resume``.
    """

    date: str
    machine: str
    runs: tuple[Run, ...]
    card_bytes: float
    jsonl_bytes: float
    parquet_bytes: float
    done_bytes: float

    def run(self, engine: str, workers: int, pages: int) -> Run | None:
        """The run of that kind, if there was one."""
        for each in self.runs:
            if (each.engine, each.workers, each.pages) == (engine, workers, pages):
                return each
        return None


def measure(wanted: Sequence[tuple[str, int, int]], scratch: Path, known: Path | None = None) -> Figures:
    """Draws the archives and reads them.

    Args:
        wanted: engine, workers and pages of each run.
        scratch: an empty folder.
        known: where figures are kept; runs that are there already are not made again.

    Raises:
        SystemExit: a run failed, or did not write a line for each page.
    """
    runs = list(_load(known).runs) if known and known.exists() else []
    made = {(each.engine, each.workers, each.pages) for each in runs}
    archives: dict[int, list[Path]] = {}
    figures = _figures(runs, scratch)
    for engine, workers, pages in wanted:
        if (engine, workers, pages) in made:
            continue
        folder = scratch / f"archive{pages}"
        if pages not in archives:
            archives[pages] = draw_archive(folder, pages)
        arguments = [str(folder), "--workers", str(workers), *(["--ray"] if engine == "Ray" else [])]
        run = run_command(arguments, scratch / f"{engine}{workers}-{pages}.jsonl")
        if run.lines != pages:
            raise SystemExit(f"{run.lines} lines for {pages} pages, {workers} workers, {engine}")
        runs.append(Run(engine, workers, pages, round(run.seconds, 2), run.peak_bytes))
        print(f"{runs[-1]}: {runs[-1].rate:.2f} pages a second", file=sys.stderr)
        figures = replace(figures, runs=tuple(runs))
        if known:
            _save(figures, known)
    return figures


def _figures(runs: Sequence[Run], scratch: Path) -> Figures:
    """Those runs, and the sizes of scans and of what is made of them."""
    drawn = draw_archive(scratch / "few", _CARDS)
    beside = str(drawn[0].parent)
    sizes = {}
    for name in ("shards/", "shards.parquet"):
        _shards([beside, "--batch", "1000"], scratch, name)
        sizes[name] = sum(path.stat().st_size for path in (scratch / name).glob("part-*")) / len(drawn)
    return Figures(
        date=time.strftime("%Y-%m-%d"),
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        runs=tuple(runs),
        card_bytes=round(sum(path.stat().st_size for path in drawn) / len(drawn)),
        jsonl_bytes=round(sizes["shards/"]),
        parquet_bytes=round(sizes["shards.parquet"]),
        done_bytes=round(done_bytes()),
    )


def _shards(arguments: Sequence[str], scratch: Path, name: str) -> None:
    from vinscribe.cli import main as vinscribe

    if vinscribe(["read", *arguments, "--out", f"{scratch}/{name}"]):
        raise SystemExit(f"{name} could not be written")


def _save(figures: Figures, path: Path) -> None:
    path.write_text(json.dumps(asdict(figures), indent=1) + "\n", encoding="utf-8")


def checks(figures: Figures) -> list[tuple[str, str, str, bool]]:
    """What is wanted of the figures: name, wanted, measured, whether that is enough; without what was not measured."""
    pages = sorted({each.pages for each in figures.runs})
    middle = max((count for count in pages if count <= COMPARED), default=pages[0])
    found: list[tuple[str, str, str, bool]] = []

    def compare(name: str, wanted: str, a: Run | None, b: Run | None, value: Callable[[Run, Run], float]) -> None:
        if a is None or b is None or a == b:
            return
        number = value(a, b)
        if wanted.startswith("at least"):
            found.append((name, wanted, f"{number:.2f}", number >= LEAST_SPEEDUP))
            return
        most = MOST_OVERHEAD if name.startswith("Ray") else MOST_GROWTH
        found.append((name, wanted, f"{100 * number:.1f} %", number <= most))

    for engine in _ENGINES:
        one, two = figures.run(engine, 1, middle), figures.run(engine, 2, middle)
        compare(
            f"2 workers against 1, {engine}, {middle:,} pages",
            f"at least {LEAST_SPEEDUP}",
            *(two, one),
            lambda a, b: a.rate / b.rate,
        )
    for workers in (1, 2):
        here, there = (figures.run(engine, workers, middle) for engine in _ENGINES)
        compare(
            f"Ray's overhead, {workers} worker{'s' * (workers != 1)}, {middle:,} pages",
            f"under {100 * MOST_OVERHEAD:.0f} %",
            *(there, here),
            lambda a, b: a.seconds / b.seconds - 1,
        )
    small = min((count for count in pages if count >= 1_000), default=pages[0])
    for engine in _ENGINES:
        largest = max((each.pages for each in figures.runs if (each.engine, each.workers) == (engine, 2)), default=0)
        few, many = figures.run(engine, 2, small), figures.run(engine, 2, largest)
        told = f"{largest:,} pages against {small:,}, {engine}, 2 workers"
        wanted = f"at most {100 * MOST_GROWTH:.0f} % more"
        compare(f"time of a page, {told}", wanted, many, few, lambda a, b: b.rate / a.rate - 1)
        compare(f"peak memory, {told}", wanted, many, few, lambda a, b: a.peak_bytes / b.peak_bytes - 1)
    return found


def as_markdown(figures: Figures) -> str:
    """The figures as tables."""
    kinds = sorted({(each.engine, each.workers) for each in figures.runs}, key=lambda kind: (kind[0] != "local", kind))
    pages = sorted({each.pages for each in figures.runs})
    heading = (
        f"By `python benchmarks/scale.py`, {figures.date}, {figures.machine}: whole runs of `vinscribe read` over "
        f"folders of scans (A5, {DPI} dpi, grey; drawn cards, repeated); pages a second, and the most memory of all "
        "processes together."
    )
    names = [f"{engine}, {workers} worker{'s' * (workers != 1)}" for engine, workers in kinds]
    lines = [heading, "", "| pages | " + " | ".join(names) + " |", "|---" * (len(kinds) + 1) + "|"]
    for count in pages:
        cells = []
        for engine, workers in kinds:
            run = figures.run(engine, workers, count)
            cells.append("" if run is None else f"{run.rate:.2f}, {run.peak_bytes / 1e6:,.0f} MB")
        lines.append(f"| {count:,} | " + " | ".join(cells) + " |")
    lines += ["", "| | wanted | measured |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {wanted} | {value} |" for name, wanted, value, _ in checks(figures))])


def measured(figures: Figures) -> Measured:
    """What the plan goes by: the rate of a core on Ray with two workers, or without Ray where there was no such run."""
    ray = [each for each in figures.runs if each.engine == "Ray"] or list(figures.runs)
    best = max(ray, key=lambda each: (each.workers, each.pages))
    few = min((each for each in ray if each.workers == best.workers), key=lambda each: (each.pages < 1_000, each.pages))
    growth = (best.peak_bytes - few.peak_bytes) / (best.pages - few.pages) if best.pages > few.pages else 0.0
    return Measured(
        date=figures.date,
        machine=figures.machine,
        engine=best.engine,
        pages=best.pages,
        core_pages_per_s=best.rate / best.workers,
        worker_bytes=best.peak_bytes / best.workers,
        growth_bytes=max(0.0, growth * BATCH),
        card_bytes=figures.card_bytes,
        jsonl_bytes=figures.jsonl_bytes,
        parquet_bytes=figures.parquet_bytes,
        done_bytes=figures.done_bytes,
    )


def _load(path: Path) -> Figures:
    said = json.loads(path.read_text(encoding="utf-8"))
    return Figures(**{**said, "runs": tuple(Run(**each) for each in said["runs"])})


def main() -> None:
    """Measure, print tables, write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, nargs="+", default=PAGES, metavar="N", help=f"(default: {PAGES})")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], metavar="N", help="(default: 1 2)")
    parser.add_argument("--engines", nargs="+", choices=_ENGINES, default=_ENGINES)
    parser.add_argument("--from", dest="known", type=Path, metavar="JSON", help="figures of an earlier run")
    parser.add_argument("--json", type=Path, metavar="OUT", help="keep the figures there")
    parser.add_argument("--model-card", action="store_true", help="write the tables into MODEL_CARD.md and README.md")
    parser.add_argument("--plan", action="store_true", help="write the plan into docs/scale.md")
    add_price_arguments(parser)
    args = parser.parse_args()
    if args.known:
        figures = _load(args.known)
    else:
        with tempfile.TemporaryDirectory() as scratch:
            wanted = [
                (engine, number, count) for count in args.pages for number in args.workers for engine in args.engines
            ]
            figures = measure(wanted, Path(scratch), args.json)
    text = as_markdown(figures)
    print(text)
    if args.model_card:
        write_between(ROOT / "MODEL_CARD.md", "scale", text)
        write_between(ROOT / "README.md", "scale", text)
    if args.plan:
        write_plan(measured(figures), Prices.of(args), ROOT / "docs" / "scale.md")


if __name__ == "__main__":
    main()
