"""What a very large archive takes, computed from what scale.py measured: the tables of docs/scale.md."""

import argparse
import tracemalloc
from dataclasses import dataclass, fields
from pathlib import Path

from vinscribe.done import Done
from vinscribe.shards import BATCH
from vinscribe.training.documents import write_between

_HOUR_S = 3_600
_FEW = 20_000  # files whose memory is measured


@dataclass(frozen=True)
class Measured:
    """What the plan goes by.

    Attributes:
        date, machine, engine, pages: of the run that it goes by.
        core_pages_per_s: pages a second and core.
        worker_bytes: peak memory of a run, for each worker.
        growth_bytes: by which peak memory grew for each further batch; of Ray, which keeps something of each.
        card_bytes, jsonl_bytes, parquet_bytes: of a scan, and of a page's results.
        done_bytes: of memory for each file that was read before, with ``--resume``.
    """

    date: str
    machine: str
    engine: str
    pages: int
    core_pages_per_s: float
    worker_bytes: float
    growth_bytes: float
    card_bytes: float
    jsonl_bytes: float
    parquet_bytes: float
    done_bytes: float


@dataclass(frozen=True)
class Prices:
    """What is assumed; money in one currency.

    Attributes:
        cards: of one page each.
        cores: of a machine, each as fast as one that was measured on.
        machines: that work side by side.
        machine_hour: price of a machine for an hour.
        tb_month: of a terabyte in the object store for a month.
        million_reads, million_writes: of a million requests.
        batch: scans in a shard.
        memory_gb: of the machine that runs the command.
        review_share, review_s: of the cards that is left for people, and seconds that one takes them.
    """

    cards: float = 1e8
    cores: int = 32
    machines: int = 20
    machine_hour: float = 1.6
    tb_month: float = 23.0
    million_reads: float = 0.4
    million_writes: float = 5.0
    batch: int = 1_000
    memory_gb: float = 64.0
    review_share: float = 0.1
    review_s: float = 10.0

    @classmethod
    def of(cls, args: argparse.Namespace) -> "Prices":
        """Those of the command line."""
        return cls(**{each.name: getattr(args, each.name) for each in fields(cls)})


def add_price_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds an option for each of the `Prices`."""
    group = parser.add_argument_group("what the plan assumes")
    for each in fields(Prices):
        default = each.default
        kind = type(default)
        group.add_argument(
            f"--{each.name.replace('_', '-')}", type=kind, default=default, metavar="N", help=f"(default: {default:,g})"
        )


def done_bytes() -> float:
    """Memory for each file that was read before."""
    tracemalloc.start()
    try:
        done = Done()
        before = tracemalloc.get_traced_memory()[0]
        for number in range(_FEW):
            done.add(f"s3://office/cards/{number:09d}.jpg", 1, 1)
        return (tracemalloc.get_traced_memory()[0] - before) / _FEW
    finally:
        tracemalloc.stop()


def as_markdown(found: Measured, prices: Prices) -> str:
    """The plan as tables."""
    rate = found.core_pages_per_s * prices.cores * prices.machines
    hours = prices.cards / rate / _HOUR_S
    machine_hours = hours * prices.machines
    shards = prices.cards / prices.batch
    per_million = 1e6 / prices.cards
    reads = prices.cards * (1 + 1 / 1_000)  # a card, and a thousand names
    requests = reads / 1e6 * prices.million_reads + shards / 1e6 * prices.million_writes
    names = prices.memory_gb * 1e9 / found.done_bytes
    rows = [
        ("pages a second and core", f"{found.core_pages_per_s:.2f}"),
        ("core hours", f"{machine_hours * prices.cores:,.0f}"),
        (f"hours on {prices.machines} machines of {prices.cores} cores", f"{hours:,.1f}"),
        ("pages a second, all together", f"{rate:,.0f}"),
        ("read from the store, each machine", f"{rate / prices.machines * found.card_bytes / 1e6:,.0f} MB/s"),
        ("memory of a machine, one worker a core", f"{found.worker_bytes * prices.cores / 1e9:,.0f} GB"),
        (f"scans, {found.card_bytes / 1e3:,.0f} kB each", f"{prices.cards * found.card_bytes / 1e12:,.1f} TB"),
        (f"results as Parquet, {found.parquet_bytes:,.0f} bytes each", _size(prices.cards * found.parquet_bytes)),
        (f"results as JSON Lines, {found.jsonl_bytes:,.0f} bytes each", _size(prices.cards * found.jsonl_bytes)),
        (f"shards of {prices.batch:,} scans", f"{shards:,.0f}"),
        ("machines, per million cards", f"{machine_hours * prices.machine_hour * per_million:,.2f}"),
        ("requests, per million cards", f"{requests * per_million:,.2f}"),
        (
            "keeping scans and Parquet, per million cards and month",
            f"{(found.card_bytes + found.parquet_bytes) * 1e6 / 1e12 * prices.tb_month:,.2f}",
        ),
        ("hours of people", f"{prices.cards * prices.review_share * prices.review_s / _HOUR_S:,.0f}"),
        ("memory of the command, what it has read before (`--resume`)", _size(prices.cards * found.done_bytes)),
        (
            f"memory of the command, if it grows by as much for each batch of {prices.batch:,} as for one of {BATCH}",
            _size(shards * found.growth_bytes),
        ),
        (f"cards at which {prices.memory_gb:g} GB are full of what was read before", f"{names:,.0f}"),
    ]
    heading = (
        f"By `python benchmarks/scale.py --plan`, from the run over {found.pages:,} pages of {found.date} on "
        f"{found.engine} ({found.machine}). Assumed: {prices.cards:,.0f} cards of one page; a core as fast as the "
        f"measured one; a machine of {prices.cores} cores {prices.machine_hour:g} an hour; a terabyte "
        f"{prices.tb_month:g} a month; a million reads {prices.million_reads:g}, a million writes "
        f"{prices.million_writes:g}; {100 * prices.review_share:g} % of the cards left for people, "
        f"{prices.review_s:g} seconds each."
    )
    return "\n".join([heading, "", "| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def write_plan(found: Measured, prices: Prices, path: Path) -> None:
    """Writes the tables into the document, and prints them."""
    text = as_markdown(found, prices)
    print(text)
    write_between(path, "plan", text)


def _size(size_bytes: float) -> str:
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:,.1f} {unit}"
    return f"{size_bytes:,.0f} bytes"
