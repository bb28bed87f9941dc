"""register.py: what is kept of an office's VINs, and that the VINs themselves are not."""

import os
import zipfile
from collections import Counter
from dataclasses import replace
from threading import Thread

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vinscribe.array_file import save_arrays
from vinscribe.charset import CHARSET, label_of
from vinscribe.errors import DataError, ModelError, UsageError
from vinscribe.knowledge import Knowledge
from vinscribe.register import FORMAT, HEAD_POSITIONS, Register
from vinscribe.vin import has_valid_check_digit

HONDA, BUS, GOLF = "1HGCM82633A004352", "1M8GDM9AXKP042788", "WVWZZZ1JZXW000001"
WAY_OUT = "make it anew with vinscribe vehicles learn"


def head_of(vin):
    return "".join(vin[position] for position in HEAD_POSITIONS)


def rows_of(register):
    """(head, VINs, valid ones), in words."""
    heads = ["".join(CHARSET[label] for label in row) for row in register.heads]
    return list(zip(heads, register.counts.tolist(), register.valid.tolist(), strict=True))


def counted(vins):
    """The same, counted by going through the VINs."""
    distinct = set(vins)
    heads = Counter(map(head_of, distinct))
    valid = Counter(head_of(vin) for vin in distinct if has_valid_check_digit(vin))
    return sorted((head, count, valid[head]) for head, count in heads.items())


def test_counts_heads():
    register = Register.of([GOLF, HONDA, "1HGCM82633A004353", BUS, HONDA])
    assert rows_of(register) == [("1HGCM8263A", 2, 1), ("1M8GDM9AKP", 1, 1), ("WVWZZZ1JXW", 1, 0)]
    assert (register.heads.dtype, register.counts.dtype, register.valid.dtype) == (np.uint8, np.int64, np.int64)
    assert len(register) == 4
    assert register.notes == ()


short_vins = st.text("01AZ", min_size=17, max_size=17)


@given(st.lists(short_vins, min_size=1, max_size=40))
@settings(max_examples=100, deadline=None)
def test_counts_as_one_does_by_hand(vins):
    assert rows_of(Register.of(vins)) == counted(vins)


@given(st.lists(short_vins, min_size=1, max_size=20), st.lists(short_vins, min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_merged_adds_up(one, other):
    both = Register.merged([Register.of(one), Register.of(other)])
    assert len(both) == len(set(one)) + len(set(other))
    expected = Counter()
    for head, count, _ in counted(one) + counted(other):
        expected[head] += count
    assert [(head, count) for head, count, _ in rows_of(both)] == sorted(expected.items())


def test_merged_of_none_is_empty():
    empty = Register.merged([])
    assert (len(empty), empty.heads.shape) == (0, (0, 10))


def test_blocks_do_not_matter(monkeypatch):
    vins = [f"{HONDA[:10]}{plant}{number:06d}" for plant in "ABL" for number in range(50)]
    whole = Register.of(vins)
    monkeypatch.setattr("vinscribe.register._CHUNK", 7)
    assert rows_of(Register.of(vins)) == rows_of(whole) == counted(vins)


def test_comes_back_as_it_was(tmp_path):
    register = Register.of([GOLF, HONDA, BUS])
    register.save(tmp_path / "office.npz")
    loaded = Register.load(tmp_path / "office.npz")
    assert rows_of(loaded) == rows_of(register)
    assert (loaded.heads.dtype, loaded.counts.dtype, loaded.valid.dtype) == (np.uint8, np.int64, np.int64)
    assert loaded.notes == ()
    loaded.save(tmp_path / "again.npz")
    assert (tmp_path / "office.npz").read_bytes() == (tmp_path / "again.npz").read_bytes()
    Register.merged([]).save(tmp_path / "empty.npz")
    assert len(Register.load(tmp_path / "empty.npz")) == 0


def test_no_serial_number_is_kept(tmp_path):
    """Registers whose VINs differ in the serial numbers alone are the same file."""
    digits = [f"{HONDA[:8]}{check}{HONDA[9:11]}{number:06d}" for check in "0123456789X" for number in range(40)]
    valid = [vin for vin in digits if has_valid_check_digit(vin)]
    Register.of(valid[:15]).save(tmp_path / "a.npz")
    Register.of(valid[15:30]).save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert sorted(archive.namelist()) == ["counts.npy", "header.npy", "heads.npy", "valid.npy"]


@pytest.mark.parametrize(
    "content",
    [f"{HONDA}\n{GOLF}\n{HONDA}\n", f"{GOLF.lower()}\r\n {HONDA} ", f"owner;Vin\nSmith;{HONDA}\nJones;{GOLF}\n"],
    ids=["text", "lower case", "table"],
)
def test_reads_lists(tmp_path, content):
    (tmp_path / "a.npz").write_text(content)  # by content, not by name
    assert rows_of(Register.load(tmp_path / "a.npz")) == counted([HONDA, GOLF])


def test_rubbish_is_left_out_and_noted(tmp_path):
    (tmp_path / "a.txt").write_text(f"{HONDA}\nABC\n{GOLF}\n1HGCM82633AO04352\n")
    register = Register.load(tmp_path / "a.txt")
    assert len(register) == 2
    path = tmp_path / "a.txt"
    assert register.notes == (f"{path}: 2 of 4 lines hold no VIN, left out (first: line 2, 'ABC')",)
    assert Register.of([HONDA, "ABC"]).notes == (
        "the office's VINs: 1 of 2 entries hold no VIN, left out (first: entry 2, 'ABC')",
    )


def test_learns_of_several_files(tmp_path):
    (tmp_path / "a.txt").write_text(f"{HONDA}\n{GOLF}\n")
    (tmp_path / "b.csv").write_text(f"vin\n{HONDA}\n{BUS}\nABC\n")
    Register.of([BUS]).save(tmp_path / "old.npz")
    register = Register.learned([tmp_path / "a.txt", tmp_path / "old.npz", tmp_path / "b.csv"])
    assert rows_of(register) == [("1HGCM8263A", 1, 1), ("1M8GDM9AKP", 2, 2), ("WVWZZZ1JXW", 1, 0)]
    assert register.notes == (f"{tmp_path / 'b.csv'}: 1 of 3 lines hold no VIN, left out (first: line 4, 'ABC')",)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_file_that_can_be_read_only_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = Thread(target=(tmp_path / "pipe").write_text, args=(f"{HONDA}\n{GOLF}\n",))
    writer.start()
    register = Register.load(tmp_path / "pipe")
    writer.join()
    assert len(register) == 2


def test_no_list_at_all(tmp_path):
    with pytest.raises(UsageError, match=r"no such file: .*none\.txt; give the office's VINs as a text"):
        Register.load(tmp_path / "none.txt")
    with pytest.raises(DataError, match="cannot read"):
        Register.load(tmp_path)
    rubbish = {b"": "it has no entries", b"ABC\n": "line 1, 'ABC'", b"\x89PNG\r\n\0": "no text in UTF-8"}
    for content, match in rubbish.items():
        (tmp_path / "a.txt").write_bytes(content)
        with pytest.raises(DataError, match=match) as caught:
            Register.load(tmp_path / "a.txt")
        assert "the office's VINs" in str(caught.value)
    with pytest.raises(DataError, match="there are none"):
        Register.of([])
    with pytest.raises(DataError, match="entry 1, 'ABC'"):
        Register.of(["ABC"])


def test_files_of_another_kind(tmp_path):
    path = tmp_path / "a.npz"
    Knowledge.empty().save(path)
    with pytest.raises(ModelError, match="is a file of 'vinscribe vehicles', not of 'vinscribe register'"):
        Register.load(path)
    np.savez(path, vins=np.zeros(3))
    with pytest.raises(ModelError, match="is no file of 'vinscribe register'.*" + WAY_OUT):
        Register.load(path)
    save_arrays(path, {"format": FORMAT, "version": 2}, {})
    with pytest.raises(ModelError, match="newer than 1"):
        Register.load(path)


def test_damage_is_noticed_anywhere(tmp_path):
    path = tmp_path / "a.npz"
    Register.of([GOLF, HONDA, BUS]).save(path)
    whole = path.read_bytes()
    for size in range(4, len(whole), 11):
        path.write_bytes(whole[:size])
        with pytest.raises(ModelError, match=WAY_OUT):
            Register.load(path)


HEADS = np.array([[label_of(char) for char in "1HGCM8263A"], [label_of(char) for char in "1M8GDM9AKP"]], np.uint8)
WRONG = {
    "heads unsorted": {"heads": HEADS[::-1]},
    "heads twice": {"heads": HEADS[[0, 0]]},
    "heads of nine": {"heads": HEADS[:, :9]},
    "heads in a row": {"heads": np.ones(2, np.uint8)},
    "heads as int64": {"heads": HEADS.astype(np.int64)},
    "heads beyond the characters": {"heads": np.full((2, 10), 33, np.uint8)},
    "counts of one": {"counts": np.ones(1, np.int64)},
    "counts of nothing": {"counts": np.array([0, 1])},
    "counts beyond all": {"counts": np.array([1, 1 << 62])},
    "valid of more": {"valid": np.array([0, 2])},
    "valid below": {"valid": np.array([0, -1])},
    "valid as float": {"valid": np.zeros(2)},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_arrays_that_cannot_be_right(tmp_path, change):
    sound = Register(HEADS, np.ones(2, np.int64), np.ones(2, np.int64))
    sound.save(tmp_path / "a.npz")
    assert len(Register.load(tmp_path / "a.npz")) == 2
    replace(sound, **change).save(tmp_path / "a.npz")
    with pytest.raises(ModelError, match=f"is damaged: .*{WAY_OUT}"):
        Register.load(tmp_path / "a.npz")
