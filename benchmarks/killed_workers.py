"""Whether ``vinscribe read`` loses a page, or writes one twice, when its workers are killed.

    python benchmarks/killed_workers.py --runs 20 --json killed.json
    python benchmarks/killed_workers.py --runs 20 --model-card

Each run reads a folder of drawn cards with two workers, by turns on the local engine and on Ray, into a file, a folder
of shards or a folder of Parquet, while processes of it are killed at random (SIGKILL): those that read, Ray's actors,
its listing. What a run wrote must have each page once. Linux only, as processes are found in /proc.
"""

import argparse
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from archives import draw_archive, family  # noqa: E402

from vinscribe.shards import keys_of  # noqa: E402
from vinscribe.targets import is_shards  # noqa: E402
from vinscribe.training.documents import write_between  # noqa: E402

_KINDS = (("", "vins.jsonl"), ("--ray", "vins.jsonl"), ("--ray", "shards/"), ("--ray", "vins.parquet"))
_PAUSE_S = (1.0, 4.0)
_WORKERS = ("ray::MapWorker", "ray::Read", "spawn_main")  # how their command lines begin, or what is in them


@dataclass(frozen=True)
class Run:
    """A run and what came of it.

    Attributes:
        engine: ``local`` or ``Ray``.
        out: what was written to.
        killed: processes.
        missing, twice: pages.
    """

    engine: str
    out: str
    killed: int
    missing: int
    twice: int


class Killer:
    """A context in which processes that a process started are killed at random.

    Args:
        pid: of the process; it is spared itself.
        seed: of the chances.
        pause_s: from and to how many seconds there are between two.
        most: so many at most.
        age_s: those that are younger are spared, so that any gets to work.

    Attributes:
        killed: how many were.
    """

    def __init__(
        self, pid: int, seed: int, pause_s: tuple[float, float] = _PAUSE_S, most: int = 1_000, age_s: float = 2.0
    ) -> None:
        self.killed = 0
        self._pid = pid
        self._chance = random.Random(seed)  # noqa: S311
        self._pause_s = pause_s
        self._most = most
        self._age_s = age_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._kill)

    def __enter__(self) -> "Killer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _kill(self) -> None:
        while self.killed < self._most and not self._over.wait(self._chance.uniform(*self._pause_s)):
            victims = [pid for pid in workers_of(self._pid) if age_s(pid) >= self._age_s]
            if victims:
                try:
                    os.kill(self._chance.choice(victims), signal.SIGKILL)
                    self.killed += 1
                except ProcessLookupError:
                    continue


def workers_of(pid: int) -> list[int]:
    """The processes that read or list scans for a process."""
    found = []
    for child in family(pid)[1:]:
        try:
            line = Path(f"/proc/{child}/cmdline").read_text(errors="replace")
        except OSError:
            continue
        if any(word in line for word in _WORKERS):
            found.append(child)
    return found


def age_s(pid: int) -> float:
    """Seconds since a process was started; 0 once it is gone."""
    try:
        ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, IndexError):
        return 0.0
    return float(Path("/proc/uptime").read_text().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")


def places(out: str) -> list[tuple[str, int]]:
    """File and page of each result in a file or a folder of shards, sorted."""
    if is_shards(out):
        return sorted((file, page) for file, page, _ in keys_of(out))
    with open(out, encoding="utf-8") as lines:
        return sorted((row["file"], row["page"]) for row in map(json.loads, lines))


def run(folder: Path, scratch: Path, number: int) -> Run:
    """Reads the folder while workers are killed.

    Raises:
        SystemExit: the run failed.
    """
    engine, name = _KINDS[number % len(_KINDS)]
    out = f"{scratch}/{number}-{name}"
    arguments = [str(folder), "--workers", "2", "--batch", "8", "--out", out, *([engine] if engine else [])]
    command = [sys.executable, "-m", "vinscribe", "read", *arguments]
    with tempfile.TemporaryFile() as told:
        with (
            subprocess.Popen(command, cwd=ROOT, stdout=told, stderr=told) as process,
            Killer(process.pid, number) as by,
        ):
            process.wait()
        if process.returncode:
            told.seek(0)
            raise SystemExit(f"{' '.join(command)} failed:\n{told.read().decode(errors='replace')[-2000:]}")
    found = [file for file, _ in places(out)]
    wanted = {str(path) for path in folder.iterdir()}
    return Run("Ray" if engine else "local", name, by.killed, len(wanted - set(found)), len(found) - len(set(found)))


def as_markdown(runs: list[Run], pages: int) -> str:
    """The runs as a table."""
    rows = []
    for engine in ("local", "Ray"):
        own = [each for each in runs if each.engine == engine]
        numbers = (len(own), sum(each.killed for each in own), sum(each.missing for each in own))
        rows.append((engine, *numbers, sum(each.twice for each in own)))
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    heading = (
        f"By `python benchmarks/killed_workers.py`, {time.strftime('%Y-%m-%d')}, {machine}: runs over {pages:,} scans "
        "with two workers, while processes that read or list were killed at random; wanted: nothing missing, nothing "
        "twice."
    )
    table = ["| engine | runs | killed | pages missing | pages twice |", "|---|---|---|---|---|"]
    return "\n".join([heading, "", *table, *("| " + " | ".join(f"{each}" for each in row) + " |" for row in rows)])


def main() -> None:
    """Run, print a table, write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20, metavar="N")
    parser.add_argument("--pages", type=int, default=100, metavar="N", help="in each run (default: 100)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the runs as JSON")
    parser.add_argument("--model-card", action="store_true", help="write the table into MODEL_CARD.md and README.md")
    args = parser.parse_args()
    runs = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "archive")
        draw_archive(folder, args.pages)
        for number in range(args.runs):
            runs.append(run(folder, Path(scratch), number))
            print(runs[-1], file=sys.stderr)
    text = as_markdown(runs, args.pages)
    print(text)
    if args.json:
        args.json.write_text(json.dumps([asdict(each) for each in runs], indent=1) + "\n", encoding="utf-8")
    if args.model_card:
        write_between(ROOT / "MODEL_CARD.md", "killed", text)
        write_between(ROOT / "README.md", "killed", text)
    if any(each.missing or each.twice for each in runs):
        raise SystemExit("pages are missing or there twice")


if __name__ == "__main__":
    main()
