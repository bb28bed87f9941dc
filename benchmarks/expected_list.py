"""How fast a list of expected VINs is loaded and searched, and how much memory it takes.

    python benchmarks/expected_list.py --json expected_list.json

Makes a million VINs itself (seed fixed): makers, their models, consecutive serial numbers. Each figure of loading is
from a process of its own, the median of several; the memory is what its peak grows by. A search is `ExpectedVins.near`
with the factors and the least product that the decoder asks for; beside it the whole decoding of one VIN, with the list
and without. Times are for one VIN at a time on one thread: medians, and what 95 % of the searches stay below.
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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from vinscribe.charset import CHARSET, NUM_CLASSES, label_of  # noqa: E402
from vinscribe.decode import Decoder  # noqa: E402
from vinscribe.expected import ExpectedVins  # noqa: E402
from vinscribe.vin import (  # noqa: E402
    CHECK_POSITION,
    VIN_LENGTH,
    YEAR_CODES,
    YEAR_POSITION,
    check_labels,
    known_wmis,
)

NUM_MAKERS, NUM_MODELS = 60, 3000
SERIAL_DIGITS = 6
CHECK_RATE = 0.7
"""Share of the models whose VINs have a check digit."""

KINDS = {"clear": 0, "1 doubtful": 1, "2 doubtful": 2, "5 doubtful": 5, "not on the list": 0, "empty": VIN_LENGTH}
"""Kind of reading -> how many of its characters are in doubt."""

_LOAD_AND_MEASURE = """
import json, resource, sys, time
from vinscribe.expected import ExpectedVins
unit = 1 if sys.platform == "darwin" else 1024
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
start = time.perf_counter()
expected = ExpectedVins.load(sys.argv[1])
seconds = time.perf_counter() - start
print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit - before, len(expected)]))
"""

_START = "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:]).returncode)"


def make_vins(count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Class labels (count, 17) of VINs: few makers, some thousand models of very different size, serials in a row."""
    wmis = sorted(wmi for wmi in known_wmis() if len(wmi) == 3)
    makers = np.array([[label_of(char) for char in wmi] for wmi in rng.choice(wmis, NUM_MAKERS, replace=False)])
    years = np.array([label_of(char) for char in YEAR_CODES])
    models = rng.integers(0, NUM_CLASSES, (NUM_MODELS, VIN_LENGTH))
    models[:, :3] = makers[rng.integers(0, NUM_MAKERS, NUM_MODELS)]
    models[:, YEAR_POSITION] = rng.choice(years, NUM_MODELS)
    shares = rng.lognormal(0, 1.5, NUM_MODELS)
    sizes = rng.multinomial(count, shares / shares.sum())
    model = np.repeat(np.arange(NUM_MODELS), sizes)
    vins = models[model]
    starts = rng.integers(0, 10**SERIAL_DIGITS, NUM_MODELS)
    serials = (starts[model] + np.arange(count) - (sizes.cumsum() - sizes)[model]) % 10**SERIAL_DIGITS
    vins[:, -SERIAL_DIGITS:] = serials[:, None] // 10 ** np.arange(SERIAL_DIGITS)[::-1] % 10
    has_check = (rng.random(NUM_MODELS) < CHECK_RATE)[model]
    vins[has_check, CHECK_POSITION] = check_labels(vins[has_check])
    return vins


def write_list(path: Path, vins: NDArray[np.int64], before: str = "", after: str = "", header: str = "") -> None:
    """Write VINs, one a line, in an order drawn by chance."""
    chars = np.frombuffer(CHARSET.encode(), np.uint8)[np.random.default_rng(1).permutation(vins)]
    lines = np.frombuffer(f"{before}{'_' * VIN_LENGTH}{after}\n".encode(), np.uint8)[None].repeat(len(vins), 0)
    lines[:, len(before) : len(before) + VIN_LENGTH] = chars
    path.write_bytes(header.encode() + lines.tobytes())


def ink_of(vin: NDArray[np.int64], doubtful: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Probabilities (17, 33) of a reading: the doubtful characters at chance, the others clear; all doubtful: empty."""
    probs = np.full((VIN_LENGTH, NUM_CLASSES), 0.0003 / NUM_CLASSES)
    positions = np.arange(VIN_LENGTH)
    probs[positions, vin] += 0.9997
    if doubtful == VIN_LENGTH:
        return np.full_like(probs, 1 / NUM_CLASSES)
    for position in rng.choice(positions, doubtful, replace=False):
        likely = [vin[position], *rng.choice(np.delete(np.arange(NUM_CLASSES), vin[position]), 2, replace=False)]
        probs[position] = 0.01 / NUM_CLASSES
        probs[position, likely] += [0.5, 0.3, 0.19]
    return probs


class Recorded(ExpectedVins):
    """A list that keeps what the decoder asked it."""

    asked: tuple[NDArray[np.float64], float]

    def near(self, factors: NDArray[np.float64], least: float) -> NDArray[np.int64]:
        """Keep the question, then answer it."""
        self.asked = factors, least
        return super().near(factors, least)


def milliseconds(function: Callable[..., object], *args: object) -> float:
    """What one call takes."""
    start = time.perf_counter()
    function(*args)
    return (time.perf_counter() - start) * 1e3


def measure_loading(path: Path, repeats: int, count: int) -> dict[str, float]:
    """Seconds and megabytes of loading a list, each time in a new process."""
    # A process in between, for a process starts with the peak of the one that started it.
    command = [sys.executable, "-c", _START, sys.executable, "-c", _LOAD_AND_MEASURE, str(path)]
    environment = dict(os.environ) | {"PYTHONPATH": str(ROOT)}
    runs = [
        json.loads(subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=True).stdout)
        for _ in range(repeats)
    ]
    if any(size != count for _, _, size in runs):
        raise SystemExit(f"{path.name}: loaded another number of VINs than were written")
    seconds, peak_bytes, _ = zip(*runs, strict=True)
    return {"seconds": round(statistics.median(seconds), 2), "memory_mb": round(max(peak_bytes) / 1e6)}


def measure_search(
    expected: Recorded, vins: NDArray[np.int64], doubtful: int, rng: np.random.Generator
) -> dict[str, float]:
    """The figures of readings of these VINs (N, 17), of which so many characters are doubtful."""
    with_list, without = Decoder(expected=expected), Decoder()
    found, near, decoded, plain = [], [], [], []
    for vin in vins:
        probs = ink_of(vin, doubtful, rng)[None]
        decoded.append(milliseconds(with_list.decode, probs))
        plain.append(milliseconds(without.decode, probs))
        factors, least = expected.asked
        near.append(milliseconds(expected.near, factors, least))
        found.append(len(expected.near(factors, least)))
    return {
        "found": round(statistics.median(found)),
        "near_ms": round(statistics.median(near), 2),
        "near_ms_95": round(float(np.percentile(near, 95)), 2),
        "decode_ms": round(statistics.median(decoded), 2),
        "decode_ms_without": round(statistics.median(plain), 2),
    }


def measure(count: int, repeats: int, readings: int) -> dict[str, Any]:
    """All figures, by name."""
    rng = np.random.default_rng(0)
    made = np.unique(make_vins(count + count // 10, rng), axis=0)
    on_list = np.sort(rng.choice(len(made), count, replace=False))
    vins, others = made[on_list], np.delete(made, on_list, 0)
    with tempfile.TemporaryDirectory() as scratch:
        plain, table = Path(scratch, "plain.txt"), Path(scratch, "table.csv")
        write_list(plain, vins)
        write_list(table, vins, before="12345;", after=';"Smith; Sons";2003-05-17', header="number;vin;owner;date\n")
        loading = {path.name: measure_loading(path, repeats, count) for path in (plain, table)}
        expected = Recorded.load(plain)
    assert isinstance(expected, Recorded)  # noqa: S101
    searches = {}
    for kind, doubtful in KINDS.items():
        read = rng.permutation(others if kind == "not on the list" else vins)[:readings]
        searches[kind] = measure_search(expected, read, doubtful, rng)
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python "
        + platform.python_version(),
        "vins": count,
        "loading": loading,
        "searches": searches,
    }


def as_text(figures: dict[str, Any]) -> str:
    """The figures as tables."""
    lines = [f"{figures['vins']:,} VINs, {figures['date']}, {figures['machine']}", ""]
    lines.append(f"{'list':<16}{'load, s':>10}{'memory, MB':>12}")
    for name, row in figures["loading"].items():
        lines.append(f"{name:<16}{row['seconds']:>10}{row['memory_mb']:>12}")
    lines += ["", f"{'reading':<16}{'found':>10}{'near, ms':>12}{'95 %':>10}{'decode, ms':>12}{'without':>10}"]
    for kind, row in figures["searches"].items():
        lines.append(
            f"{kind:<16}{row['found']:>10,}{row['near_ms']:>12}{row['near_ms_95']:>10}{row['decode_ms']:>12}"
            f"{row['decode_ms_without']:>10}"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, print the tables, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vins", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5, help="processes that load a list; the median counts")
    parser.add_argument("--readings", type=int, default=200, help="readings of each kind")
    parser.add_argument("--json", type=Path, help="write the figures as JSON")
    args = parser.parse_args()
    figures = measure(args.vins, args.repeats, args.readings)
    print(as_text(figures))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
