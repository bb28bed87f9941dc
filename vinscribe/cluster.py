"""Archives read on Ray: on this machine's own, or on a cluster.

One Ray task lists the archive, a batch of scans at a time and only as far ahead as batches are needed. Actors read
them, each with a reading process of its own that loads the model once, see `vinscribe.workers`: a file that makes a
library crash takes that process, not the actor. If an actor, its machine or the listing is lost, Ray starts another and
does the batch again. A batch gives one answer, or one shard under a name of its own: none is lost or there twice.

Ray is loaded where it is asked for. Settings travel with the files that they name; scans and ``annotate`` do not: every
machine must see them by the same path or address.
"""

import os
import pickle
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, redirect_stdout, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from vinscribe import __version__
from vinscribe.archive import Before, Failed, PageRead, PageWritten, Part, ReadSettings
from vinscribe.console import quiet_libraries
from vinscribe.errors import UsageError, VinscribeError
from vinscribe.listing import Scans
from vinscribe.ray_session import start_ray
from vinscribe.shards import Shards
from vinscribe.workers import Result, Work, Workers

_AHEAD = 2  # batches that are with an actor, one of them being read


@dataclass(frozen=True)
class Job:
    """What an actor needs to know; can be pickled.

    Attributes:
        make: makes what reads, from settings.
        settings: what to read with.
        files: path, as the settings name it -> what is in that file.
        folder: the current folder, in which relative paths begin.
        shards: where each batch is written; None if the results are sent back.
        version: of vinscribe.
    """

    make: Callable[[ReadSettings], Work]
    settings: ReadSettings
    files: dict[str, bytes]
    folder: str
    shards: Shards | None = None
    version: str = __version__


@dataclass(frozen=True)
class Batch:
    """Scans that are read together, with what came between them, numbered from 0 in each run."""

    number: int
    parts: tuple[Part | Failed | Before, ...]


class RayWorkers:
    """Reads archives on Ray; a context that lets go of it.

    Args:
        make: makes what reads, from settings; must be picklable.
        settings: what to read with.
        address: of a cluster as ``ray.init`` takes it; empty for a Ray of our own on this machine.
        count: actors; as many as there are cores if None.
        batch: scans that are read together.
        shards: where actors write what they read; None if it is to come back.

    Attributes:
        notes: see `vinscribe.workers.Workers`.

    Raises:
        UsageError: Ray is not installed, or cannot be reached.
    """

    def __init__(
        self,
        make: Callable[[ReadSettings], Work],
        settings: ReadSettings,
        address: str,
        count: int | None,
        batch: int,
        shards: Shards | None = None,
    ) -> None:
        self.notes: tuple[str, ...] = ()
        self._job = Job(make, *_packed(settings), folder=str(Path.cwd()), shards=shards)
        self._batch = batch
        self._context = ExitStack()
        try:
            self._context.enter_context(quiet_libraries())
            null = self._context.enter_context(open(os.devnull, "w"))  # noqa: SIM115
            self._context.enter_context(redirect_stdout(null))  # where Ray tells of each worker that was lost
            self._ray = start_ray(address, count, self._context)
            self._count = count or max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        except BaseException:
            self._context.close()
            raise

    def __enter__(self) -> "RayWorkers":
        return self

    def __exit__(self, *_: object) -> None:
        self._context.close()

    def run(self, scans: Scans) -> Iterator[Result | PageWritten]:
        """What comes of the scans, in their order, as `vinscribe.workers.Workers.run`.

        Where shards are written, a `PageWritten` comes for each `PageRead`.

        Raises:
            VinscribeError: what ``make`` or writing a shard raised; Ray cannot go on.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                for row in _dataset(scans, self._job, self._batch, self._count).iter_rows():
                    answer = pickle.loads(row["answer"])  # noqa: S301  from our own actors
                    if isinstance(answer, VinscribeError):
                        raise answer
                    self.notes, results = answer
                    yield from results
            except self._ray.exceptions.RayError as error:
                said = " ".join(str(error).split())[-300:]
                raise VinscribeError(f"Ray could not go on: {said}; see its logs, then use --resume") from None


class BatchReader:
    """What an actor does."""

    def __init__(self, job: Job) -> None:
        self._job = job
        with suppress(OSError):  # a folder of the other machine
            os.chdir(job.folder)
        # Processes that are started here would otherwise load Ray's own main program, and with it all of Ray.
        vars(sys.modules["__main__"]).pop("__file__", None)
        self._workers: Workers | None = None

    def __call__(self, row: dict[str, Any]) -> dict[str, bytes]:
        """A row with a `Batch` -> a row with the notes and results, or with the error that ends the run; pickled."""
        batch = pickle.loads(row["batch"])  # noqa: S301  from our own listing
        try:
            answer: object = self._read(batch)
        except VinscribeError as error:
            answer = error
        return {"answer": pickle.dumps(answer)}

    def _read(self, batch: Batch) -> tuple[tuple[str, ...], list[Result | PageWritten]]:
        if self._workers is None:
            if self._job.version != __version__:
                raise UsageError(f"vinscribe is {self._job.version} here and {__version__} on a machine of the cluster")
            self._workers = Workers(partial(self._job.make, _unpacked(self._job)), 1)
        results: list[Result | PageWritten] = list(self._workers.run(batch.parts))
        if self._job.shards is not None:
            results = self._written(self._job.shards, batch.number, results)
        return self._workers.notes, results

    def _written(self, shards: Shards, number: int, results: list[Result | PageWritten]) -> list[Result | PageWritten]:
        """The results when their readings have been written; the time for it is booked on the first page."""
        begun = time.perf_counter()
        shards.write(number, [each for each in results if isinstance(each, PageRead)])
        seconds = time.perf_counter() - begun
        told: list[Result | PageWritten] = []
        for each in results:
            if not isinstance(each, PageRead):
                told.append(each)
                continue
            page = PageWritten.of(each)
            if page.stages is not None:
                page, seconds = replace(page, stages={**page.stages, "write": seconds}), 0.0
            told.append(page)
        return told


def batches(scans: Scans, size: int) -> Iterator[Batch]:
    """What is to be read in batches of so many scans; the same each time, as long as the archive is the same."""
    number = before = 0
    parts: list[Part | Failed | Before] = []
    for part in scans:
        if isinstance(part, Before):
            before += part.files
            continue
        parts.append(part)
        if len(parts) >= size:
            yield Batch(number, (*parts, Before(before)))
            number, before, parts = number + 1, 0, []
    if parts or before:
        yield Batch(number, (*parts, Before(before)))


def _dataset(scans: Scans, job: Job, batch: int, count: int) -> Any:
    import pyarrow
    import ray.data
    from ray.data.block import BlockMetadata

    folder = job.folder

    def listed() -> Iterator[pyarrow.Table]:
        with suppress(OSError):
            os.chdir(folder)
        for each in batches(scans, batch):
            yield pyarrow.table({"batch": [pickle.dumps(each)]})

    class Listing(ray.data.Datasource):
        def get_name(self) -> str:
            return "Scans"

        def estimate_inmemory_data_size(self) -> None:
            return None

        def get_read_tasks(self, *_: object, **__: object) -> list[ray.data.ReadTask]:
            return [ray.data.ReadTask(listed, BlockMetadata(None, None, None, None))]

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    context.target_max_block_size = context.target_min_block_size = (
        1  # each batch is a block, to be given out by itself
    )
    context.execution_options.preserve_order = True
    source = Listing()  # type: ignore[no-untyped-call]
    listing = ray.data.read_datasource(source, num_cpus=0, override_num_blocks=1)
    pool = ray.data.ActorPoolStrategy(size=count, max_tasks_in_flight_per_actor=_AHEAD)
    return listing.map(BatchReader, fn_constructor_args=(job,), compute=pool, num_cpus=1)


def _packed(settings: ReadSettings) -> tuple[ReadSettings, dict[str, bytes]]:
    """The settings, and what is in the files that they name. What cannot be read is said later, by who needs it."""
    from vinscribe.classifier import default_model_path

    settings = replace(settings, model=settings.model or str(default_model_path()))
    files = {}
    for path in (settings.model, settings.expected, settings.template, *settings.register):
        with suppress(OSError):
            if path is not None:
                files[path] = Path(path).read_bytes()
    return settings, files


def _unpacked(job: Job) -> ReadSettings:
    """The settings with paths of files that are on this machine."""
    moved: dict[str | None, str] = {}
    for path, data in job.files.items():
        with suppress(OSError):
            if Path(path).read_bytes() == data:
                continue
        place = Path(tempfile.mkdtemp(prefix="vinscribe-")) / Path(path).name
        place.write_bytes(data)
        moved[path] = str(place)
    settings = job.settings
    return replace(
        settings,
        model=moved.get(settings.model, settings.model),
        expected=moved.get(settings.expected, settings.expected),
        template=moved.get(settings.template, settings.template),
        register=tuple(moved.get(path, path) for path in settings.register),
    )
