import datetime
import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vinscribe.charset import CHARSET, label_of
from vinscribe.errors import UsageError
from vinscribe.vin import (
    CHECK_CHARS,
    CHECK_POSITION,
    VALUES,
    VIN_LENGTH,
    WEIGHTS,
    YEAR_CODES,
    check_digit,
    describe,
    has_valid_check_digit,
    known_wmis,
    valid_slips,
)

codes = st.text(CHARSET, min_size=VIN_LENGTH, max_size=VIN_LENGTH)
positions = st.integers(0, VIN_LENGTH - 1)

# Three of common knowledge, and the worked example of the NHTSA's outline for new manufacturers.
VALID = ("1HGCM82633A004352", "11111111111111111", "1M8GDM9AXKP042788", "1J9RP1A36A1644345")
REAL_BUT_INVALID = ("XTAGFK330JY144213", "VF1LM1B0H36666155", "W0LPC6DB3CC123456", "6FPAAAJGAT4Z00001")
SAME_VALUE = ("1AJ", "2BKS", "3CLT", "4DMU", "5ENV", "6FW", "7GPX", "8HY", "9RZ", "0")


def changed(vin, position, char):
    return vin[:position] + char + vin[position + 1 :]


@pytest.mark.parametrize("vin", VALID)
def test_check_digit_of_valid_vins(vin):
    assert check_digit(vin) == vin[CHECK_POSITION]
    assert has_valid_check_digit(vin)


@pytest.mark.parametrize("vin", REAL_BUT_INVALID)
def test_check_digit_of_makers_without_one(vin):
    assert not has_valid_check_digit(vin)
    assert describe(vin).problems == ()


def test_tables():
    assert WEIGHTS.shape == (17,)
    assert VALUES.shape == (33,)
    assert sorted("".join(SAME_VALUE)) == sorted(CHARSET)
    for chars in SAME_VALUE:
        assert {int(VALUES[label_of(char)]) for char in chars} == {int(chars[0])}
    assert len(YEAR_CODES) == 30
    assert not set("UZ0IOQ") & set(YEAR_CODES)


@pytest.mark.parametrize("position", [position for position in range(VIN_LENGTH) if position != CHECK_POSITION])
def test_each_weight(position):
    """One in an empty VIN adds just its weight."""
    assert check_digit(changed("0" * VIN_LENGTH, position, "1")) == CHECK_CHARS[WEIGHTS[position]]


@given(codes)
def test_any_code_becomes_valid(vin):
    assert has_valid_check_digit(changed(vin, CHECK_POSITION, check_digit(vin)))


@given(codes, positions, st.sampled_from(CHARSET))
def test_single_changes(vin, position, char):
    """A change of a valid VIN goes unnoticed if and only if both characters have the same value; no exceptions.

    Weight times difference of values is a product of numbers from 1 to 10, which the prime 11 never divides; and the
    check digit's own place has no weight, so another one there is wrong.
    """
    vin = changed(vin, CHECK_POSITION, check_digit(vin))
    same_value = VALUES[label_of(char)] == VALUES[label_of(vin[position])]
    unnoticed = char == vin[position] or (same_value and position != CHECK_POSITION)
    assert has_valid_check_digit(changed(vin, position, char)) == unnoticed


@given(codes)
@example(VALID[0])
@example(REAL_BUT_INVALID[0])
def test_slips_are_all_there_are(vin):
    neighbours = (changed(vin, position, char) for position in range(VIN_LENGTH) for char in CHARSET)
    expected = [other for other in neighbours if other != vin and has_valid_check_digit(other)]
    assert list(valid_slips(vin)) == expected


@pytest.mark.parametrize(
    "vin", ["", "1HGCM82633A00435", "1HGCM82633A004352 ", "1hgcm82633a004352", "IHGCM82633A004352"]
)
def test_no_check_digit_of_what_is_no_vin(vin):
    for function in (check_digit, has_valid_check_digit, valid_slips):
        with pytest.raises(UsageError, match="is no VIN"):
            function(vin)


def test_known_wmis():
    wmis = known_wmis()
    assert {"1H", "WVW", "XTA", "JN"} <= wmis
    assert {len(wmi) for wmi in wmis} == {2, 3}
    assert all(char in CHARSET for wmi in wmis for char in wmi)
    assert "WOL" not in wmis  # the library has it, with the letter O


def test_describe_a_valid_vin():
    description = describe(" 1m8gdm9axkp042788\n")
    assert description.code == "1M8GDM9AXKP042788"
    assert description.problems == ()
    assert description.suggestion is None
    assert (description.wmi, description.region, description.country) == ("1M8", "North America", "United States")
    assert description.maker == "Mercury"
    assert description.years == (1989, 2019)
    assert (description.check_digit_expected, description.check_digit_found) == ("X", "X")
    assert description.check_digit_valid is True
    assert description.check_digit_required is True


def test_describe_a_european_vin():
    description = describe("W0LPC6DB3CC123456")
    assert (description.region, description.country, description.maker) == ("Europe", "Germany", "Opel/Vauxhall")
    assert description.years == (1982, 2012)
    assert (description.check_digit_expected, description.check_digit_found) == (check_digit("W0LPC6DB3CC123456"), "3")
    assert description.check_digit_valid is False
    assert description.check_digit_required is False


@pytest.mark.parametrize(("first", "required"), [*((char, True) for char in "12345L"), *((c, False) for c in "WJK69")])
def test_where_a_check_digit_is_required(first, required):
    assert describe(first + "A" * 16).check_digit_required is required


@pytest.mark.parametrize("char", CHARSET)
def test_years(char):
    years = describe(f"1HGCM8263{char}A004352").years
    next_year = datetime.datetime.now(datetime.timezone.utc).year + 1
    expected = [year for year in range(1980, next_year + 1) if YEAR_CODES[(year - 1980) % 30] == char]
    assert years == tuple(expected)


def test_unknown_maker():
    assert describe("1" * 17).maker is None


@pytest.mark.parametrize(
    ("code", "problems", "suggestion"),
    [
        ("1HGCM82633A00435", ["16 characters, a VIN has 17"], None),
        ("1HGCM82633A0043520", ["18 characters"], None),
        ("", ["0 characters"], None),
        ("IHGCM82633AOO4352", ["I, as here in position 1 (1 is", "O, as here in position 12, 13 (0 is"], VALID[0]),
        ("1HGCM82633AQ04352", ["Q, as here in position 12 (0 is"], VALID[0]),
        (
            "1HGCM826\N{CYRILLIC SMALL LETTER A}3A004352",
            ["CYRILLIC CAPITAL LETTER A, as here in position 9 (A"],
            "1HGCM826A3A004352",
        ),
        ("1HGCM82633A0?4352", ["no VIN has ?, as here in position 13"], None),
        ("1HG CM82633A 004352", ["19 characters", "a blank, as here in position 4, 13"], VALID[0]),
        ("1HGCM82633A00435\x00", ["U+0000"], None),
        ("?" * 1000, ["it has 1000 characters, a VIN has 17"], None),
    ],
)
def test_malformed_codes(code, problems, suggestion):
    description = describe(code)
    assert len(description.problems) == len(problems)
    for problem, expected in zip(description.problems, problems, strict=True):
        assert expected in problem
    assert description.suggestion == suggestion
    assert (description.wmi, description.years, description.check_digit_valid) == (None, (), None)


def test_cyrillic_letters_are_taken_for_the_latin_ones():
    code = "\N{CYRILLIC CAPITAL LETTER ES}AAAAAAAAAAAAA\N{CYRILLIC CAPITAL LETTER ER}1\N{CYRILLIC CAPITAL LETTER O}"
    assert describe(code).suggestion == "CAAAAAAAAAAAAAP10"


@given(st.text() | codes | st.tuples(st.sampled_from(sorted(known_wmis())), codes).map(lambda pair: "".join(pair)[:17]))
def test_describe_never_fails(code):
    description = describe(code)
    assert (description.wmi is None) == bool(description.problems)
    if not description.problems:
        assert description.years == tuple(sorted(description.years))
        assert description.maker != "UnsupportedBrand"


def test_import_does_without_the_library():
    program = "import sys, vinscribe.vin; sys.exit('vininfo' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
