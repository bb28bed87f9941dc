"""The decoder's beliefs: proper probabilities, no veto, and what the rules say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vinscribe.beliefs import market_parts
from vinscribe.charset import CHARSET, NUM_CLASSES, label_of
from vinscribe.errors import UsageError
from vinscribe.knowledge import Knowledge, released
from vinscribe.priors import MARKETS, maker_counts
from vinscribe.vin import VIN_LENGTH, is_vin_char


def labels_of(*vins):
    return np.array([[label_of(char) for char in vin] for vin in vins])


def bits(market, *vins, knowledge=None):
    parts = market_parts(market, released() if knowledge is None else knowledge)
    return -np.log2(parts.prior(labels_of(*vins))[0])


@pytest.mark.parametrize("knowledge", [Knowledge.empty(), released()], ids=["none", "vPIC"])
@pytest.mark.parametrize("market", list(MARKETS))
def test_proper_probabilities(market, knowledge):
    parts = market_parts(market, knowledge)
    assert parts.weights.sum() == pytest.approx(1)
    assert (parts.weights > 0).all()
    np.testing.assert_allclose(parts.shares[np.unique(parts.rows)].sum(1), 1)
    assert parts.shares.min() >= 0
    assert ((parts.check_rates >= 0) & (parts.check_rates < 1)).all()


@given(st.text(CHARSET, min_size=VIN_LENGTH, max_size=VIN_LENGTH), st.sampled_from(list(MARKETS)))
@settings(max_examples=100, deadline=None)
def test_no_string_is_impossible(vin, market):
    assert bits(market, vin)[0] < 200


@pytest.mark.parametrize("market", list(MARKETS))
def test_every_first_character_belongs_to_one_group(market):
    firsts = "".join(group.first for group in MARKETS[market])
    assert sorted(firsts) == sorted(CHARSET)
    assert sum(group.share for group in MARKETS[market]) == pytest.approx(1)


def test_who_writes_a_check_digit():
    def rate(market, vin):
        return market_parts(market, released()).prior(labels_of(vin))[1][0]

    assert rate("any", "1HGCM82633A004352") > 0.95
    assert rate("any", "WVWZZZ1JZXW000001") < 0.1
    assert rate("europe", "XTAGFK330JY144213") < 0.2
    for vin in ("WBAPH7C50BE000001", "WVWAA7AU0DW000001"):
        assert rate("north-america", vin) > 0.9  # who sells there writes one
    assert (market_parts("any", released(), None, check_digit=False).check_rates == 0).all()


def test_a_listed_descriptor_is_likelier_than_another():
    listed, other = bits("any", "1HGCP2F71AA004352", "1HGCPZF71AA004352")
    assert listed < other - 6
    year, wrong = bits("any", "1HGCP2F71AA004352", "1HGCP2F713A004352")
    assert year < wrong - 3
    with_it, without = (bits("any", "1HGCP2F71AA004352", knowledge=k) for k in (released(), Knowledge.empty()))
    assert with_it[0] < without[0] - 10


def test_a_small_maker_has_six_characters():
    codes = {code.decode() for code in released().makers if len(code) == 6}
    code = sorted(code for code in codes if code.startswith("1A9"))[0]
    vin = f"{code[:3]}ABCDE0A1{code[3:]}001"
    assert bits("any", vin)[0] < bits("any", f"{code[:3]}ABCDE0A1{'ZZ9'}001")[0] - 1


def test_known_codes_are_likelier_than_others():
    known, unknown = bits("any", "WVWAAAAAAAA000001", "WXZAAAAAAAA000001")
    assert known < unknown - 2


def test_fillers_come_with_another_filler_in_place_of_the_check_digit():
    filled, other = bits("europe", "WVWZZZ1JZXW000001", "WVWZZZ1J5XW000001")
    assert filled < other - 2
    assert filled < bits("europe", "WVWABC1JZXW000001")[0] - 5


def test_counts_of_makers_are_makers_codes_alone():
    counts = maker_counts()
    assert all(len(code) == 3 and all(map(is_vin_char, code)) and count > 0 for code, count in counts.items())
    assert list(counts) == sorted(counts)


def test_unknown_market():
    with pytest.raises(UsageError, match="no market 'moon'; there are any, north-america, europe"):
        market_parts("moon", Knowledge.empty())


def test_the_last_four_are_digits():
    parts = market_parts("any", released())
    tail = parts.shares[parts.rows[:, 14:]][..., :10].sum(2)  # a small maker's code ends before them
    assert tail.shape == (len(parts), 3)
    assert tail.min() > 0.99
    assert parts.shares[parts.rows[:, 16]].min() > 0
    assert NUM_CLASSES == 33
