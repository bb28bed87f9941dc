"""The decoder's beliefs: proper probabilities, no veto, and what the rules say."""

import numpy as np
import pytest

from vinscribe.charset import CHARSET, NUM_CLASSES, label_of
from vinscribe.errors import UsageError
from vinscribe.priors import MARKETS, market_priors
from vinscribe.vin import CHECK_POSITION, VIN_LENGTH, YEAR_CODES, YEAR_POSITION


@pytest.mark.parametrize("market", list(MARKETS))
def test_proper_probabilities_without_a_zero(market):
    priors = market_priors(market)
    assert priors.wmi.sum() == pytest.approx(1)
    assert priors.wmi.min() > 0
    np.testing.assert_allclose(priors.positions.sum(1), 1)
    assert priors.positions.min() > 0
    assert priors.free_check.sum() == pytest.approx(1)
    assert priors.free_check.min() > 0
    assert ((priors.check_rates > 0) & (priors.check_rates < 1)).all()


@pytest.mark.parametrize("market", list(MARKETS))
def test_every_first_character_belongs_to_one_group(market):
    firsts = "".join(group.first for group in MARKETS[market])
    assert sorted(firsts) == sorted(CHARSET)
    assert sum(group.share for group in MARKETS[market]) == pytest.approx(1)


def rate(market, char):
    priors = market_priors(market)
    return priors.check_rates[priors.group[label_of(char)]]


def test_who_writes_a_check_digit():
    for char in "12345L":
        assert rate("any", char) > 0.9
    for char in "WVSXYZ":
        assert rate("any", char) < 0.5
        assert rate("north-america", char) > 0.9  # who sells there writes one
    assert (market_priors("any", check_digit=False).check_rates == 0).all()


def test_known_codes_are_likelier_than_others():
    wmi = market_priors("any").wmi
    known, unknown = (tuple(label_of(char) for char in code) for code in ("WVW", "WXZ"))
    assert wmi[known] > 5 * wmi[unknown]


def test_positions():
    positions = market_priors("europe").positions
    assert positions.shape == (VIN_LENGTH, NUM_CLASSES)
    year = positions[YEAR_POSITION]
    assert year[label_of("0")] < 0.5 * year[label_of(YEAR_CODES[0])]
    digits = [label_of(char) for char in "0123456789"]
    np.testing.assert_allclose(positions[13:, digits].sum(1), 0.99)
    for even in (0, 1, 2, CHECK_POSITION):
        np.testing.assert_allclose(positions[even], 1 / NUM_CLASSES)


def test_unknown_market():
    with pytest.raises(UsageError, match="no market 'moon'; there are any, north-america, europe"):
        market_priors("moon")
