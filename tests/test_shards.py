"""Folders of shards: whole or not at all, read by others, gone on with."""

import json
import pickle
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from made_readings import made_reading

from vinscribe import folder, shards
from vinscribe.archive import PageRead
from vinscribe.errors import UsageError, VinscribeError
from vinscribe.shards import Shards, ShardWriter, keys_of
from vinscribe.targets import ShardFolder

SETTINGS = {"format": "jsonl", "market": "any"}
KINDS = ["jsonl", pytest.param("parquet", marks=pytest.mark.skipif(not find_spec("pyarrow"), reason="needs the extra"))]


def pages(file, count, decision="review"):
    return [PageRead(replace(made_reading(page, decision=decision), file=file), count) for page in range(1, count + 1)]


def write(path, kind, *batches, resume=False):
    made = Shards(str(path), kind, SETTINGS, resume)
    made.open()
    for number, batch in enumerate(batches):
        made.write(number, batch)
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_known_again(tmp_path, kind):
    write(tmp_path / "out", kind, [*pages("/a.png", 1), *pages("/b.tif", 3)[:2]], pages("/caf\udce9.png", 1))
    assert sorted(keys_of(str(tmp_path / "out"))) == [
        ("/a.png", 1, 1),
        ("/b.tif", 1, 3),
        ("/b.tif", 2, 3),
        ("/caf\\udce9.png", 1, 1),
    ]
    again = Shards(str(tmp_path / "out"), kind, SETTINGS, resume=True)
    files = ("/a.png", "/b.tif", "/caf\udce9.png", "/d.png")
    assert [again.done.unread(file) for file in files] == [(), [3], (), None]
    with pytest.raises(UsageError, match="has results already; go on with them by --resume"):
        Shards(str(tmp_path / "out"), kind, SETTINGS, resume=False)


def test_the_lines_are_those_of_a_file_with_the_number_of_pages(tmp_path):
    from vinscribe.output import vin_record

    (page,) = pages("/a.png", 1)
    write(tmp_path / "out", "jsonl", [page])
    (name,) = (tmp_path / "out").glob("part-*.jsonl")
    row = json.loads(name.read_text())
    assert row.pop("pages") == 1
    assert row == json.loads(json.dumps(vin_record(page.reading)))


def test_other_programs_read_parquet(tmp_path):
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    pandas = pytest.importorskip("pandas", reason="needs the extra [cluster]")
    out = tmp_path / "vins.parquet"
    write(out, "parquet", pages("/a.tif", 3), pages("/b.png", 1, "no_field"), [])
    frame = pandas.read_parquet(out)
    assert sorted(zip(frame.file, frame.page, frame.decision, strict=True)) == [
        ("/a.tif", 1, "review"),
        ("/a.tif", 2, "review"),
        ("/a.tif", 3, "review"),
        ("/b.png", 1, "no_field"),
    ]
    query = f"SELECT vin, cells[17].choices[1].probability, field[1][1] FROM '{out}/*.parquet' WHERE page = 2"  # noqa: S608
    assert duckdb.sql(query).fetchall() == [(made_reading(2).vin, 0.5, 100.25)]
    (counted,) = duckdb.sql(f"SELECT count(*), count(vin) FROM '{out}/*.parquet'").fetchall()  # noqa: S608
    assert counted == (4, 3)


def test_those_who_only_write_do_not_carry_what_is_done(tmp_path):
    write(tmp_path / "out", "jsonl", pages("/a.png", 1))
    again = Shards(str(tmp_path / "out"), "jsonl", SETTINGS, resume=True)
    assert again.done
    sent = pickle.loads(pickle.dumps(again))  # noqa: S301
    assert not sent.done
    sent.write(0, pages("/b.png", 1))
    assert len(list(keys_of(str(tmp_path / "out")))) == 2


def test_a_folder_is_made_once_as_others_may_be_writing(tmp_path):
    target = ShardFolder(Shards(str(tmp_path / "out"), "jsonl", SETTINGS, resume=False), 2)
    target.open()
    (tmp_path / "out" / ".unfinished-of-another").touch()
    target.open()
    assert (tmp_path / "out" / ".unfinished-of-another").exists()


def test_a_second_try_writes_over_the_first(tmp_path):
    made = write(tmp_path / "out", "jsonl", pages("/a.tif", 2))
    made.write(0, pages("/a.tif", 2))
    assert len(list(keys_of(str(tmp_path / "out")))) == 2
    write(tmp_path / "out", "jsonl", pages("/b.tif", 2), resume=True)  # another run has names of its own
    assert len(list(keys_of(str(tmp_path / "out")))) == 4


def test_what_is_not_whole_never_shows(tmp_path, monkeypatch):
    made = write(tmp_path / "out", "jsonl")

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(folder.os, "fsync", fail)
        with pytest.raises(VinscribeError, match=r"cannot write to .*No space left on device; .*--resume"):
            made.write(0, pages("/a.png", 1))
    assert not list((tmp_path / "out").glob("part-*"))
    write(tmp_path / "out", "jsonl", pages("/a.png", 1))
    assert not list((tmp_path / "out").glob(".unfinished*"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_shard_is_told(tmp_path, kind):
    write(tmp_path / "out", kind, pages("/a.png", 1))
    (shard,) = (tmp_path / "out").glob("part-*")
    shard.write_bytes(shard.read_bytes()[:-7])
    with pytest.raises(UsageError, match=rf"{shard.name} in .* is damaged; delete it, and what it held is read again"):
        Shards(str(tmp_path / "out"), kind, SETTINGS, resume=True)


def test_other_settings_or_none_are_told(tmp_path):
    write(tmp_path / "out", "jsonl", pages("/a.png", 1))
    with pytest.raises(UsageError, match="was begun with another market; go on with the same"):
        Shards(str(tmp_path / "out"), "jsonl", {**SETTINGS, "market": "europe"}, resume=True)
    settings = tmp_path / "out" / "_vinscribe.json"
    settings.write_text('{"vinscribe": "0.0", "settings": {"format": "jsonl", "market": "any"}}')
    assert "was begun by vinscribe 0.0" in Shards(str(tmp_path / "out"), "jsonl", SETTINGS, resume=True).notes[0]
    settings.write_text("{}")
    with pytest.raises(UsageError, match=r"_vinscribe.json is damaged"):
        Shards(str(tmp_path / "out"), "jsonl", SETTINGS, resume=True)
    settings.unlink()
    with pytest.raises(UsageError, match=r"no _vinscribe.json in it"):
        Shards(str(tmp_path / "out"), "jsonl", SETTINGS, resume=True)


def test_a_page_that_is_there_twice_is_told(tmp_path):
    write(tmp_path / "out", "jsonl", pages("/a.png", 1), pages("/a.png", 1))
    (note,) = Shards(str(tmp_path / "out"), "jsonl", SETTINGS, resume=True).notes
    assert "/a.png, page 1, is in another shard, too" in note


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    Path(tmp_path, "file").touch()
    with pytest.raises(UsageError, match="cannot be listed: Not a directory; give another place"):
        Shards(str(tmp_path / "file"), "jsonl", SETTINGS, resume=False)
    with pytest.raises(UsageError, match="cannot write to"):
        folder.Folder(str(tmp_path / "file")).make()


def test_parquet_needs_pyarrow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"pyarrow is not installed, which Parquet needs; pip install"):
        Shards(str(tmp_path / "out"), "parquet", SETTINGS, resume=False)


def test_a_writer_fills_shards(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "_MOST_ROWS", 4)
    writer = ShardWriter(write(tmp_path / "out", "jsonl"), 2)
    for file, count in (("/a", 1), ("/b", 1), ("/c", 6), ("/d", 1)):
        for page in pages(file, count):
            writer.write(page)
        writer.end_file()
    writer.flush()
    writer.flush()
    rows = [path.read_text().count("\n") for path in sorted((tmp_path / "out").glob("part-*"))]
    assert rows == [2, 4, 3]
    assert len(list(keys_of(str(tmp_path / "out")))) == 9
