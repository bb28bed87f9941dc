"""A folder of results in shards, on a disk or in an object store: ``--out FOLDER/``.

Each shard is a file of JSON Lines or Parquet with the pages of a batch of scans; it is there whole or not at all, and
never added to. So several processes can write into one folder, and what is in it says itself which pages are done. A
row has what ``--format jsonl`` says of a page, and ``pages``, how many its file has. Beside the shards stands
``_vinscribe.json`` with the settings; what begins with ``_`` is left alone by Spark and by pandas.
"""

import json
import secrets
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from vinscribe import __version__
from vinscribe.addresses import place
from vinscribe.archive import PageRead
from vinscribe.done import Done, as_text
from vinscribe.errors import UsageError
from vinscribe.folder import Folder

if TYPE_CHECKING:
    import pyarrow

FORMATS = ("jsonl", "parquet")
BATCH = 32
"""Scans that are read and written together."""

_SHARD = "part-"
_SETTINGS = "_vinscribe.json"
_MOST_ROWS = 2_000  # of a shard that one process writes alone, however many pages a file has


class Shards:
    """The shards in a folder. Writing them can be pickled, so that it is done where the scans are read.

    Args:
        path: of the folder, on a disk or as an address.
        kind: one of `FORMATS`.
        settings: what the results depend on; a folder is not gone on with under others.
        resume: go on with what is there.

    Attributes:
        notes: what there is to say about going on.
        done: the pages that were there when it was opened.

    Raises:
        UsageError: there are results already and ``resume`` is not set, or they cannot be gone on with.
    """

    def __init__(self, path: str, kind: str, settings: dict[str, Any], resume: bool) -> None:
        self.folder = Folder(path)
        self.notes: tuple[str, ...] = ()
        self.done = Done()
        self._kind = kind
        self._settings = settings
        self._run = secrets.token_hex(4)  # so that two runs never write over each other's shards
        if kind == "parquet":
            _need_pyarrow()
        names = self.folder.names()
        shards = [name for name in names if name.startswith(_SHARD)]
        if shards and not resume:
            raise UsageError(f"{path} has results already; go on with them by --resume, or give another place")
        if shards:
            self._check_settings(names)
            for name in shards:
                self._load(name)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "done": Done()}  # which may be large, and is nothing to those who only write

    def open(self) -> None:
        """Make the folder and write the settings into it."""
        self.folder.make()
        told = {"vinscribe": __version__, "settings": self._settings}
        self.folder.write(_SETTINGS, json.dumps(told, indent=1).encode() + b"\n")

    def write(self, number: int, pages: Sequence[PageRead]) -> None:
        """Write shard ``number`` of this run; over an earlier try of the same. Raises VinscribeError."""
        if pages:
            rows = [_row(page) for page in pages]
            data = _parquet(rows) if self._kind == "parquet" else _json_lines(rows)
            self.folder.write(f"{_SHARD}{self._run}-{number:08d}.{self._kind}", data)

    def _check_settings(self, names: list[str]) -> None:
        path = self.folder.path
        if _SETTINGS not in names:
            raise UsageError(f"cannot go on with {path}: no {_SETTINGS} in it; give another place")
        try:
            head = json.loads(self.folder.read(_SETTINGS))
            before = dict(head["settings"])
            version = head["vinscribe"]
        except (ValueError, KeyError, TypeError):
            raise UsageError(f"cannot go on with {path}: {_SETTINGS} is damaged; give another place") from None
        other = sorted(name for name in {*before, *self._settings} if before.get(name) != self._settings.get(name))
        if other:
            raise UsageError(
                f"{path} was begun with another {' and '.join(other)}; go on with the same, or give another place"
            )
        if version != __version__:
            self.notes = (f"{path} was begun by vinscribe {version}; this is {__version__}",)

    def _load(self, name: str) -> None:
        """Takes up which pages a shard has."""
        data = self.folder.read(name)
        try:
            for file, page, pages in _keys(data, name):
                if not self.done.add(place(file), page, pages):
                    self.notes += (f"{name}: {file}, page {page}, is in another shard, too",)
        except (ValueError, KeyError, TypeError, OSError):
            raise UsageError(
                f"{name} in {self.folder.path} is damaged; delete it, and what it held is read again"
            ) from None


class ShardWriter:
    """Writes results into shards as they come, a shard for so many scans."""

    def __init__(self, shards: Shards, batch: int) -> None:
        self._shards = shards
        self._batch = batch
        self._number = self._files = 0
        self._pages: list[PageRead] = []

    def write(self, page: PageRead) -> None:
        """Take a page."""
        self._pages.append(page)
        if len(self._pages) >= max(_MOST_ROWS, self._batch):
            self.flush()

    def end_file(self) -> None:
        """All pages of a file have been taken."""
        self._files += 1
        if self._files >= self._batch:
            self.flush()

    def flush(self) -> None:
        """Write what has not been written yet."""
        pages, self._pages, self._files = self._pages, [], 0
        self._shards.write(self._number, pages)
        self._number += 1


def keys_of(path: str) -> Iterator[tuple[str, int, int]]:
    """File, page and number of pages of each row in a folder of shards."""
    folder = Folder(path)
    for name in folder.names():
        if name.startswith(_SHARD):
            yield from _keys(folder.read(name), name)


def _row(page: PageRead) -> dict[str, Any]:
    from vinscribe.output import vin_record

    record = vin_record(page.reading)
    head = {"file": as_text(record.pop("file")), "page": record.pop("page") or 1, "pages": page.count}
    return {**head, **record}


def _json_lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow
    import pyarrow.parquet

    for row in rows:
        for cell in row["cells"]:
            cell["choices"] = [{"char": char, "probability": probability} for char, probability in cell["choices"]]
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema=_schema()), sink, compression="zstd")
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _schema() -> "pyarrow.Schema":
    """Of a Parquet shard: fixed, so that all shards of all runs can be read together."""
    import pyarrow as pa

    text, number, probability = pa.string(), pa.int32(), pa.float64()
    corners = pa.list_(pa.list_(pa.float64()))
    candidate = pa.struct([("vin", text), ("probability", probability)])
    choice = pa.struct([("char", text), ("probability", probability)])
    cell = pa.struct(
        [
            ("char", text),
            ("confidence", probability),
            ("legible_probability", probability),
            ("choices", pa.list_(choice)),
            ("box", corners),
        ]
    )
    return pa.schema(
        [
            *(("file", text), ("page", number), ("pages", number), ("vin", text), ("confidence", probability)),
            *(("decision", text), ("reason", text), ("raw", text), ("changes", pa.list_(text))),
            *(("candidates", pa.list_(candidate)), ("check_digit", text), ("cells", pa.list_(cell))),
            ("field", corners),
        ]
    )


def _keys(data: bytes, name: str) -> Iterator[tuple[str, int, int]]:
    """File, page, pages of each row of a shard. Raises ValueError and others where it is damaged."""
    if name.endswith(".jsonl"):
        if not data.endswith(b"\n"):
            raise ValueError(name)
        for line in data.splitlines():
            row = json.loads(line)
            yield row["file"], int(row["page"]), int(row["pages"])
    elif name.endswith(".parquet"):
        _need_pyarrow()
        import pyarrow
        import pyarrow.parquet

        columns = pyarrow.parquet.read_table(pyarrow.BufferReader(data), columns=["file", "page", "pages"]).to_pydict()
        yield from zip(columns["file"], columns["page"], columns["pages"], strict=True)
    else:
        raise ValueError(name)


def _need_pyarrow() -> None:
    """Raises UsageError if it is not installed."""
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise UsageError(
            "pyarrow is not installed, which Parquet needs; pip install -r requirements-cluster.txt"
        ) from None
