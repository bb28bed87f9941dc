"""Whether ``vinscribe read`` has become faster: this checkout and another one read the same archive in turn.

    git worktree add ../before COMMIT
    python benchmarks/before_after.py ../before --model-card

Each round reads a folder of drawn scans (see archives.py) with both, one right after the other, as a machine that has
other work to do is not equally fast all day; the median of the rounds' ratios counts.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from archives import DPI, draw_archive, run_command  # noqa: E402

from vinscribe.training.documents import write_between  # noqa: E402


@dataclass(frozen=True)
class Figures:
    """What was measured.

    Attributes:
        date, machine: when and where.
        commit: that the other checkout is at, and its date.
        pages, workers: how many.
        before_s, now_s: seconds of each round.
    """

    date: str
    machine: str
    commit: str
    pages: int
    workers: int
    before_s: tuple[float, ...]
    now_s: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """How many times as fast it is now, median."""
        return statistics.median(before / now for before, now in zip(self.before_s, self.now_s, strict=True))


def measure(before: Path, pages: int, workers: int, rounds: int, scratch: Path) -> Figures:
    """Draws the archive and reads it with both.

    Raises:
        SystemExit: a run failed, or did not write a line for each page.
    """
    draw_archive(scratch / "archive", pages)
    seconds: dict[Path, list[float]] = {before: [], ROOT: []}
    for number in range(rounds):
        for checkout, own in seconds.items():
            arguments = [str(scratch / "archive"), "--workers", str(workers)]
            run = run_command(arguments, scratch / f"{len(own)}-{checkout.name}-{number}.jsonl", checkout)
            if run.lines != pages:
                raise SystemExit(f"{run.lines} lines for {pages} pages in {checkout}")
            own.append(round(run.seconds, 2))
        print(f"{number + 1}: {seconds[before][-1]} s, now {seconds[ROOT][-1]} s", file=sys.stderr)
    shown = ["git", "-C", str(before), "show", "-s", "--format=%h of %as"]
    return Figures(
        date=time.strftime("%Y-%m-%d"),
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        commit=subprocess.run(shown, stdout=subprocess.PIPE, text=True, check=True).stdout.strip(),
        pages=pages,
        workers=workers,
        before_s=tuple(seconds[before]),
        now_s=tuple(seconds[ROOT]),
    )


def as_markdown(figures: Figures) -> str:
    """The figures in words."""

    def told(seconds: Sequence[float]) -> str:
        return f"{figures.pages / statistics.median(seconds):.1f} pages a second"

    return (
        f"By `python benchmarks/before_after.py`, {figures.date}, {figures.machine}: {figures.pages:,} scans "
        f"(A5, {DPI} dpi, grey) with {figures.workers} workers, read {len(figures.now_s)} times in turn with the "
        f"commit {figures.commit} and now: {told(figures.before_s)} then, {told(figures.now_s)} now; "
        f"{figures.ratio:.2f} times as fast (median of the pairs)."
    )


def main() -> None:
    """Measure, print the figures, write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, metavar="CHECKOUT", help="folder of the other checkout")
    parser.add_argument("--pages", type=int, default=300, metavar="N")
    parser.add_argument("--workers", type=int, default=2, metavar="N")
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures as JSON")
    parser.add_argument("--model-card", action="store_true", help="write the figures into MODEL_CARD.md and README.md")
    args = parser.parse_args()
    before = args.before.resolve()
    if not (before / "vinscribe" / "__main__.py").is_file():
        raise SystemExit(f"{args.before} is no checkout of vinscribe; make one with git worktree add")
    with tempfile.TemporaryDirectory() as scratch:
        figures = measure(before, args.pages, args.workers, args.rounds, Path(scratch))
    text = as_markdown(figures)
    print(text)
    if args.json:
        args.json.write_text(json.dumps(asdict(figures), indent=1) + "\n", encoding="utf-8")
    if args.model_card:
        write_between(ROOT / "MODEL_CARD.md", "faster", text)
        write_between(ROOT / "README.md", "faster", text)


if __name__ == "__main__":
    main()
