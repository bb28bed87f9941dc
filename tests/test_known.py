"""known.py: what is known of a VIN, by a small made knowledge and by the one that comes with vinscribe."""

import numpy as np
import pytest

from vinscribe.charset import CHARSET, label_of
from vinscribe.errors import UsageError
from vinscribe.knowledge import Knowledge, make_header
from vinscribe.known import NO_SUCH_MODEL, Known, known, mark_of
from vinscribe.vin import YEAR_CODES, check_digit

HONDA, BUS = "1HGCM82633A004352", "1M8GDM9AXKP042788"


def chars(text):
    return sum(1 << label_of(char) for char in text)


@pytest.fixture(scope="module")
def small():
    """1AB: AAA1[12] of 1981 to 2012 with plants P and R; 1AC: a schema that says nothing; 1A9001: BBB11 of 2012."""
    sets = np.array([0, *map(chars, ("A", "1", "12", "PR", "B"))], np.uint64)
    return Knowledge(
        makers=np.array([b"1A9001", b"1AB", b"1AC"], "S6"),
        sets=sets,
        boxes=np.array([[1, 1, 1, 2, 3], [5, 5, 5, 2, 2]], np.uint16),
        box_counts=np.array([2, 1], np.int32),
        first_box=np.array([0, 1, 1, 2], np.int32),
        schema_plants=np.array([4, 0, 0], np.uint16),
        links=np.array([[0, 2, 2012, 2012], [1, 0, 1981, 2012], [2, 1, 1980, 2028]], np.int32),
        header=make_header(None, None, None, makers=3, schemas=3, boxes=2, links=3),
    )


@pytest.mark.parametrize(
    ("vin", "found"),
    [
        ("1ABAAA110CP000001", Known(True, (1982, 2012), True, True)),
        ("1ABAAA120DR000001", Known(True, (1983,), True, True)),
        ("1ABAAA130CP000001", Known(True, (1982, 2012), False, True)),
        ("1ABAAA110CA000001", Known(True, (1982, 2012), True, False)),
        ("1ABAAA110AP000001", Known(True, (2010,), True, True)),
        ("1ABAAA110UP000001", Known(True, (), None, None)),  # U is the code of no year
        ("1ACAAA110CP000001", Known(True, (1982, 2012), None, None)),
        ("1ADAAA110CP000001", Known(False, (), None, None)),
        ("1A9BBB110CP001001", Known(True, (2012,), True, None)),
        ("1A9AAA110CP001001", Known(True, (2012,), False, None)),
        ("1A9BBB110CP002001", Known(False, (), None, None)),
    ],
)
def test_what_is_known(small, vin, found):
    assert known(vin, small) == found


def test_years_end_with_the_next(small):
    years = {year for code in YEAR_CODES for year in known(f"1ACAAA110{code}P000001", small).years}
    assert min(years) == 1980
    assert max(years) <= 2028


def test_the_mark_is_only_for_the_american_market(small):
    odd = "1ABAAA130CP000001"
    assert mark_of(odd, small) == NO_SUCH_MODEL
    assert mark_of("1ABAAA110CP000001", small) is None
    assert mark_of("1ACAAA110CP000001", small) is None
    assert mark_of("1ADAAA110CP000001", small) is None
    golf = "WVWZZZ1JZXW000001"  # an American Golf has no ZZZ
    assert known(golf).descriptor is False
    assert mark_of(golf) is None
    assert mark_of(golf[:8] + check_digit(golf) + golf[9:]) == NO_SUCH_MODEL


def test_what_comes_with_vinscribe():
    assert known(HONDA) == Known(True, (2003,), True, True)
    assert known(BUS).descriptor is True
    assert mark_of(HONDA) is mark_of(BUS) is None
    assert mark_of("1HGXX82633A004352") == NO_SUCH_MODEL


@pytest.mark.parametrize("code", ["", "1HGCM82633A00435", "1HGCM82633AOO4352", HONDA.lower()])
def test_what_is_no_vin(code):
    with pytest.raises(UsageError, match="is no VIN"):
        known(code)


def test_nothing_is_known_without_knowledge():
    assert known(HONDA, Knowledge.empty()) == Known(False, (), None, None)


def test_any_characters(small):
    rng = np.random.default_rng(5)
    for labels in rng.integers(0, len(CHARSET), (200, 17)):
        vin = "".join(CHARSET[label] for label in labels)
        assert isinstance(known("1AB" + vin[3:], small), Known)
        assert isinstance(known(vin), Known)
