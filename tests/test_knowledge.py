"""knowledge.py: the file of what is known of vehicles, and what it does with files that are none."""

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from vinscribe.array_file import save_arrays
from vinscribe.errors import ModelError, UsageError
from vinscribe.knowledge import FORMAT, VERSION, Knowledge, make_header, released, released_path
from vinscribe.register import Register

WAY_OUT = "build it anew with vinscribe vehicles build"
ARRAYS = ("makers", "sets", "boxes", "box_counts", "first_box", "schema_plants", "links")


def small():
    """Two makers; one schema with a pattern and plants, one without either."""
    return Knowledge(
        makers=np.array([b"1A9001", b"1HG"]),
        sets=np.array([0, 1 << 12, 1 << 14 | 1 << 15, 1 << 32], np.uint64),
        boxes=np.array([[1, 1, 2, 2, 3], [1, 2, 2, 2, 3]], np.uint16),
        box_counts=np.array([4, 1], np.int32),
        first_box=np.array([0, 2, 2], np.int32),
        schema_plants=np.array([2, 0], np.uint16),
        links=np.array([[0, 1, 1990, 1990], [1, 0, 2001, 2003], [1, 0, 2005, 2005]], np.int32),
        header=make_header("made for a test", "2026-03-12", "0" * 64, makers=2),
    )


def same(one, other):
    return one.header == other.header and all(np.array_equal(getattr(one, a), getattr(other, a)) for a in ARRAYS)


def test_comes_back_as_it_was(tmp_path):
    small().save(tmp_path / "a.npz")
    loaded = Knowledge.load(tmp_path / "a.npz")
    assert same(loaded, small())
    assert {a: getattr(loaded, a).dtype for a in ARRAYS} == {a: getattr(small(), a).dtype for a in ARRAYS}


def test_the_same_knowledge_makes_the_same_bytes(tmp_path):
    small().save(tmp_path / "a.npz")
    Knowledge.load(tmp_path / "a.npz").save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_numpy_reads_it_as_well(tmp_path):
    small().save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert json.loads(arrays["header"].tobytes())["format"] == FORMAT
        assert arrays["makers"].tolist() == [b"1A9001", b"1HG"]


def test_empty(tmp_path):
    empty = Knowledge.empty()
    assert (len(empty.makers), len(empty.boxes), len(empty.links), empty.sets.tolist()) == (0, 0, 0, [0])
    empty.save(tmp_path / "a.npz")
    assert same(Knowledge.load(tmp_path / "a.npz"), empty)


def test_writes_whole_or_not_at_all(tmp_path):
    target = tmp_path / "a.npz"
    small().save(target)
    before = target.read_bytes()
    with pytest.raises(ValueError, match="allow_pickle"):
        replace(small(), links=np.array([None])).save(target)
    assert target.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_no_place_to_write(tmp_path):
    with pytest.raises(UsageError, match=r"there is no folder .*none; make it first"):
        small().save(tmp_path / "none" / "a.npz")
    with pytest.raises(UsageError, match="is a folder"):
        small().save(tmp_path)


def refused(path, match, kind=ModelError):
    with pytest.raises(kind, match=match) as caught:
        Knowledge.load(path)
    assert str(path) in str(caught.value)
    assert WAY_OUT in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_such_file(tmp_path):
    refused(tmp_path / "none.npz", "no such file", UsageError)
    refused(tmp_path, "cannot read")


@pytest.mark.parametrize("content", [b"", b"some text\n", b"\x08\x07onnx\0\0", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"])
def test_files_of_another_kind(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    refused(tmp_path / "a.npz", "is damaged, or no file of 'vinscribe vehicles' at all")


def test_other_files_of_arrays(tmp_path):
    np.savez(tmp_path / "a.npz", weights=np.zeros(3))
    refused(tmp_path / "a.npz", "is no file of 'vinscribe vehicles'")
    np.savez(tmp_path / "a.npz", header=np.array([{"format": FORMAT}], object), weights=np.zeros(3))
    refused(tmp_path / "a.npz", "at all")
    Register.of(["1HGCM82633A004352"]).save(tmp_path / "a.npz")
    refused(tmp_path / "a.npz", "is a file of 'vinscribe register', not of 'vinscribe vehicles'")


def test_newer_and_impossible_versions(tmp_path):
    replace(small(), header=small().header | {"version": VERSION + 1}).save(tmp_path / "a.npz")
    refused(tmp_path / "a.npz", "has version 2 of 'vinscribe vehicles', newer than 1, .* update vinscribe")
    replace(small(), header=small().header | {"version": "one"}).save(tmp_path / "a.npz")
    refused(tmp_path / "a.npz", "its version is 'one'")


def test_a_missing_array(tmp_path):
    save_arrays(tmp_path / "a.npz", small().header, {"makers": small().makers})
    refused(tmp_path / "a.npz", "sets")


def test_damage_is_noticed_anywhere(tmp_path):
    small().save(tmp_path / "a.npz")
    whole = (tmp_path / "a.npz").read_bytes()
    path = tmp_path / "b.npz"
    for size in range(0, len(whole), 37):
        path.write_bytes(whole[:size])
        refused(path, "damaged")
    survived = 0
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            survived += same(Knowledge.load(path), small())
        except ModelError as error:
            assert WAY_OUT in str(error)  # noqa: PT017
    assert survived < len(whole) / 2  # dates and the like, which say nothing


def test_arrays_whose_headers_lie(tmp_path):
    """The zip is sound, what is in it is not."""
    packed = io.BytesIO()
    np.lib.format.write_array(packed, small().links)
    array = packed.getvalue()
    small().save(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    lies = [array[:at] + bytes([byte]) + array[at + 1 :] for at in range(128) for byte in (0, 0x28, 0x39, 0xFF)]
    lies.append(array.replace(b"(3, 4)", b"(3, 4" + b"0" * 12 + b")").replace(b" " * 12 + b"\n", b"\n"))
    for lie in lies:
        with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
            for name, content in (members | {"links.npy": lie}).items():
                archive.writestr(name, content)
        try:
            Knowledge.load(tmp_path / "b.npz")
        except ModelError as error:
            assert WAY_OUT in str(error)  # noqa: PT017


WRONG = {
    "makers unsorted": {"makers": np.array([b"1HG", b"1A9001"])},
    "makers twice": {"makers": np.array([b"1HG   ".strip()] * 2, "S6")},
    "makers too long": {"makers": np.array([b"1A90012", b"1HG"])},
    "makers with I": {"makers": np.array([b"1A9001", b"1HI"], "S6")},
    "makers of two": {"makers": np.array([b"1A9001", b"1H"], "S6")},
    "makers of four": {"makers": np.array([b"1A9001", b"1H92"], "S6")},
    "makers without 9": {"makers": np.array([b"1A8001", b"1HG"], "S6")},
    "sets as float": {"sets": np.zeros(4)},
    "sets without the empty one": {"sets": np.array([1, 2, 3, 4], np.uint64)},
    "sets twice": {"sets": np.array([0, 2, 2, 4], np.uint64)},
    "sets of more than 33": {"sets": np.array([0, 2, 1 << 33, 4], np.uint64)},
    "no sets": {"sets": np.empty(0, np.uint64)},
    "boxes of four": {"boxes": np.ones((2, 4), np.uint16)},
    "boxes beyond the sets": {"boxes": np.full((2, 5), 4, np.uint16)},
    "boxes below": {"boxes": np.full((2, 5), -1, np.int32)},
    "boxes that are empty": {"boxes": np.zeros((2, 5), np.uint16)},
    "boxes as one number": {"boxes": np.array(3, np.uint16)},
    "box_counts of one": {"box_counts": np.ones(1, np.int32)},
    "box_counts of nothing": {"box_counts": np.zeros(2, np.int32)},
    "first_box falling": {"first_box": np.array([0, 3, 2], np.int32)},
    "first_box from 1": {"first_box": np.array([1, 2, 2], np.int32)},
    "first_box to 3": {"first_box": np.array([0, 2, 3], np.int32)},
    "no first_box": {"first_box": np.empty(0, np.int32), "schema_plants": np.empty(0, np.uint16)},
    "schema_plants of three": {"schema_plants": np.zeros(3, np.uint16)},
    "schema_plants beyond": {"schema_plants": np.array([4, 0], np.uint16)},
    "links beyond the makers": {"links": np.array([[2, 0, 2001, 2003]], np.int32)},
    "links below the makers": {"links": np.array([[-1, 0, 2001, 2003]], np.int32)},
    "links beyond the schemas": {"links": np.array([[1, 2, 2001, 2003]], np.int32)},
    "links backwards": {"links": np.array([[1, 1, 2003, 2001]], np.int32)},
    "links twice": {"links": np.array([[1, 1, 2001, 2001]] * 2, np.int32)},
    "links unsorted": {"links": np.array([[1, 1, 2001, 2001], [0, 1, 2001, 2001]], np.int32)},
    "links as int64": {"links": np.zeros((0, 4), np.int64)},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_arrays_that_cannot_be_right(tmp_path, change):
    replace(small(), **change).save(tmp_path / "a.npz")
    refused(tmp_path / "a.npz", f"is damaged: .*({'|'.join(change)})")


def test_the_released_file():
    knowledge = released()
    assert released() is knowledge
    header = knowledge.header
    assert (header["format"], header["version"]) == (FORMAT, VERSION)
    assert "NHTSA vPIC" in header["source"]
    assert len(header["source_sha256"]) == 64
    assert header["source_date"].startswith("20")
    assert released_path().stat().st_size < 1_500_000
    counts = header["counts"]
    found = [knowledge.makers, knowledge.sets, knowledge.boxes, knowledge.schema_plants, knowledge.links]
    assert [counts[name] for name in ("makers", "sets", "boxes", "schemas", "links")] == [len(a) for a in found]
    assert counts["joined_rows"] == knowledge.box_counts.sum()
    assert counts["makers"] > 12_000
    assert counts["links"] > 40_000


def test_what_the_released_file_knows():
    """The sample of 49 CFR 565's tables, 1M8GDM9AXKP042788 of 1989, and a Honda Accord of 2003."""
    knowledge = released()
    for maker, descriptor, year in (("1HG", "CM826", 2003), ("1M8", "GDM9A", 1989)):
        labels = ["0123456789ABCDEFGHJKLMNPRSTUVWXYZ".index(char) for char in descriptor]
        row = knowledge.makers.tolist().index(maker.encode())
        links = knowledge.links[knowledge.links[:, 0] == row]
        fits = 0
        for _, schema, first, last in links.tolist():
            boxes = knowledge.boxes[knowledge.first_box[schema] : knowledge.first_box[schema + 1]]
            if first <= year <= last:
                fits += int((knowledge.sets[boxes] >> np.array(labels, np.uint64) & 1).all(1).sum())
        assert fits, maker
