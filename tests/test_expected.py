"""expected.py: lists of VINs as offices write them, and the search in one, against going through all of it."""

import os
from functools import reduce
from threading import Thread

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vinscribe.charset import CHARSET, NUM_CLASSES, label_of
from vinscribe.errors import DataError, UsageError
from vinscribe.expected import ExpectedVins
from vinscribe.vin import VIN_LENGTH

HONDA, GOLF, LADA = "1HGCM82633A004352", "WVWZZZ1JZXW000001", "XTAGFK330JY144213"


def labels_of(*vins):
    return np.array([[label_of(char) for char in vin] for vin in vins], np.int64).reshape(-1, VIN_LENGTH)


def vins_of(expected):
    return ["".join(CHARSET[label] for label in row) for row in expected.labels]


def load(tmp_path, content, name="register.txt"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return ExpectedVins.load(path)


def test_labels_are_sorted_and_single():
    expected = ExpectedVins.of([LADA, HONDA, GOLF, HONDA])
    assert expected.labels.tolist() == labels_of(HONDA, GOLF, LADA).tolist()
    assert expected.labels.dtype == np.uint8
    assert len(expected) == 3
    assert expected.notes == ()


@pytest.mark.parametrize(
    "content",
    [
        f"{GOLF}\n{HONDA}",
        f"\r\n{HONDA}\r\n\r\n{GOLF}\r\n \r\n",
        f"{HONDA}\r{GOLF}\r",
        f"  {HONDA.lower()}\t\n\xa0{GOLF} \n",
        f'"{HONDA}"\n"{GOLF}"\n',
        f"\ufeff{HONDA}\n{GOLF}\n{HONDA}\n",
        f"VIN\n{HONDA}\n{GOLF}\n",
        f"\n vin ,owner\n{HONDA},Smith\n\n{GOLF.lower()} ,Jones\n",
        f'"Owner";"Vin"\r\n"Smith; Sons";"{HONDA}"\r\n"Jo""nes\nJr";"{GOLF}"\r\n;\r\n',
        f'"owner, with title",vin\nSmith,{HONDA}\nJones,{GOLF}\n',
        f"\ufeffowner\tvin\tyear\nO'Neil, \"Al\"\t{HONDA}\t2003\nJones\t{GOLF}\t1999\n",
        f"owner;vin\nM\xfcller;{HONDA}\nB\xe9;{GOLF}\n".encode("latin-1"),
    ],
    ids=[
        "plain", "crlf and empty lines", "cr", "lower case and blanks", "quoted", "bom and twice", "one column",
        "commas", "quotes in a table", "comma in the header", "tabs", "latin-1",
    ],
)  # fmt: skip
def test_the_ways_to_write_it(tmp_path, content):
    expected = load(tmp_path, content)
    assert vins_of(expected) == [HONDA, GOLF]
    assert expected.notes == ()


@pytest.mark.parametrize(
    ("content", "counts", "first"),
    [
        (f"{HONDA}\n\n{HONDA[:-1]}\n{GOLF}\nABC\n", "2 of 4", f"line 3, '{HONDA[:-1]}'"),
        (f"{HONDA}2\n{GOLF}\n{HONDA}\n", "1 of 3", f"line 1, '{HONDA}2'"),
        (f"{HONDA}\n{GOLF}\n1HGCM82633AO04352\n", "1 of 3", "line 3, '1HGCM82633AO04352'"),
        (f"{HONDA}\n{GOLF}\n1HGCM82633Aß04352\n", "1 of 3", "line 3, '1HGCM82633Aß04352'"),
        (f"owner,vin\nA,{GOLF}\n\nB,\nC\nD,{HONDA}\n", "2 of 4", "line 4, ''"),
        (f"{HONDA}\n{GOLF}\n{'x' * 99}", "1 of 3", f"line 3, '{'x' * 39}…'"),
    ],
    ids=["short", "long", "O", "not ASCII", "empty and missing", "very long"],
)
def test_what_holds_no_vin_is_left_out_and_noted(tmp_path, content, counts, first):
    expected = load(tmp_path, content)
    assert vins_of(expected) == [HONDA, GOLF]
    assert expected.notes == (f"{tmp_path / 'register.txt'}: {counts} lines hold no VIN, left out (first: {first})",)


def test_counts_across_blocks_of_lines(tmp_path, monkeypatch):
    monkeypatch.setattr("vinscribe.vin_lists._CHUNK", 10)
    vins = [f"{HONDA[:11]}{number:06d}" for number in range(35)]
    lines = [*vins[:22], "no VIN", *vins[22:], "ABC"]
    expected = load(tmp_path, "\n".join(lines))
    assert vins_of(expected) == vins
    assert expected.notes[0].endswith("2 of 37 lines hold no VIN, left out (first: line 23, 'no VIN')")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it has no entries"),
        (b"\n \r\n", "it has no entries"),
        (b"vin,owner\n", "it has no entries"),
        (b"Number;Owner\n%b;Smith\n" % HONDA.encode(), r"first: line 1, 'Number;Owner'.*column 'vin'"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "no text"),
        (f"{HONDA}\n{GOLF}\n".encode("utf-16"), "no text"),
        (f'vin,owner\n{HONDA},"Smith\n{GOLF},Jones\n'.encode(), "damaged CSV"),
    ],
    ids=["empty", "blank", "header alone", "no column", "picture", "utf-16", "open quote"],
)
def test_no_list_at_all(tmp_path, content, message):
    with pytest.raises(DataError, match=message) as caught:
        load(tmp_path, content)
    assert str(tmp_path / "register.txt") in str(caught.value)


def test_no_such_file(tmp_path):
    with pytest.raises(UsageError, match=r"no such file: .*none\.txt"):
        ExpectedVins.load(tmp_path / "none.txt")


def test_a_folder_is_no_list(tmp_path):
    with pytest.raises(DataError, match="cannot read"):
        ExpectedVins.load(str(tmp_path))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_file_that_can_be_read_only_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = Thread(target=(tmp_path / "pipe").write_text, args=(f"{HONDA}\n{GOLF}\n",))
    writer.start()
    expected = ExpectedVins.load(tmp_path / "pipe")
    writer.join()
    assert vins_of(expected) == [HONDA, GOLF]


def test_of_notes_what_it_leaves_out():
    expected = ExpectedVins.of(vin for vin in [HONDA, "ABC", GOLF])
    assert expected.notes == ("expected VINs: 1 of 3 entries hold no VIN, left out (first: entry 2, 'ABC')",)
    with pytest.raises(DataError, match="there are none"):
        ExpectedVins.of([])
    with pytest.raises(DataError, match=r"entry 1, 'ABC'"):
        ExpectedVins.of(["ABC"])


# Search

FEW = "019AZ"  # few characters: many shared beginnings; the first and the last label

short_lists = st.lists(st.text(FEW, min_size=5, max_size=5), min_size=1, max_size=40)
worths = st.sampled_from([0.0, 1e-7, 1e-3, 0.25, 0.5, 1.0])


@st.composite
def searches(draw):
    """A short list whose VINs share all but five characters, factors, and a least product."""
    positions = draw(st.lists(st.integers(0, VIN_LENGTH - 1), min_size=5, max_size=5, unique=True))
    ends = draw(short_lists)
    vins = np.zeros((len(ends), VIN_LENGTH), np.int64)
    vins[:, positions] = [[label_of(char) for char in end] for end in ends]
    factors = np.full((VIN_LENGTH, NUM_CLASSES), 1e-7)
    factors[:, 0] = 1
    for position in positions:
        factors[position, [label_of(char) for char in FEW]] = draw(st.lists(worths, min_size=5, max_size=5))
    return vins, factors, draw(st.sampled_from([0.0, 1e-14, 1e-7, 2.5e-4, 1 / 16, 0.25, 1.0, 2.0]))


def expected_of(labels):
    return ExpectedVins.of("".join(CHARSET[label] for label in row) for row in labels)


def brute_force(expected, factors, least):
    """Rows whose product, multiplied from the left to the right, is at least ``least``."""
    products = [
        reduce(lambda product, pair: product * factors[pair], enumerate(row), 1.0) for row in expected.labels.tolist()
    ]
    return [row for row, product in enumerate(products) if product >= least]


@given(searches())
@settings(max_examples=300, deadline=None)
def test_near_equals_brute_force(search):
    labels, factors, least = search
    expected = expected_of(labels)
    found = expected.near(factors, least)
    assert found.dtype == np.int64
    assert found.tolist() == brute_force(expected, factors, least)


@given(st.integers(0, 2**32), st.floats(1e-14, 1.0))
@settings(max_examples=50, deadline=None)
def test_near_equals_brute_force_for_random_factors(seed, least):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, rng.integers(1, NUM_CLASSES + 1), (30, VIN_LENGTH))
    factors = 10 ** rng.uniform(-2, 0, (VIN_LENGTH, NUM_CLASSES))
    expected = expected_of(labels)
    assert expected.near(factors, least).tolist() == brute_force(expected, factors, least)
    exact = float(np.prod(factors[np.arange(VIN_LENGTH), expected.labels[0]]))
    assert 0 in expected.near(factors, exact * (1 - 1e-12))  # just at the border
    assert 0 not in expected.near(factors, exact * (1 + 1e-12))


def test_near_finds_what_differs_in_one_or_two_characters():
    vins = [f"{HONDA[:12]}{number:05d}" for number in range(100_000)]
    expected = ExpectedVins.of(vins)
    factors = np.full((VIN_LENGTH, NUM_CLASSES), 1e-6)
    factors[np.arange(VIN_LENGTH), labels_of(HONDA)[0]] = 1
    own = vins.index(HONDA)
    assert expected.near(factors, 0.5).tolist() == [own]
    assert len(expected.near(factors, 0.5e-6)) == 1 + 5 * 9
    assert len(expected.near(factors, 0.5e-12)) == 1 + 5 * 9 + 10 * 9 * 9
    assert len(expected.near(factors, 0.0)) == 100_000


@given(short_lists, short_lists)
def test_contains_equals_a_set(listed, asked):
    start = HONDA[:12]
    expected = ExpectedVins.of(start + end for end in listed)
    found = expected.contains(labels_of(*(start + end for end in asked)))
    assert found.dtype == np.bool_
    assert found.tolist() == [end in listed for end in asked]


def test_contains_no_rows():
    assert ExpectedVins.of([HONDA]).contains(np.empty((0, VIN_LENGTH), np.int64)).shape == (0,)


def test_contains_vins_of_zeros():
    """Label 0 is a zero byte: neither in the middle nor at the end of a VIN does it hide what differs."""
    zeros = "0" * VIN_LENGTH
    expected = ExpectedVins.of([zeros, "0" * 16 + "1", "1" + "0" * 16])
    asked = [zeros, "0" * 16 + "2", "0" * 16 + "1", "1" + "0" * 16, "01" + "0" * 15, "Z" * 17]
    assert expected.contains(labels_of(*asked)).tolist() == [True, False, True, True, False, False]
    assert len(expected) == 3
