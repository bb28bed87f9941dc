"""Sums and best strings, against every string of shortened problems written out one by one."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vinscribe.beliefs import market_parts
from vinscribe.charset import CHARSET, NUM_CLASSES, label_of
from vinscribe.knowledge import Knowledge, released
from vinscribe.lattice import NEGLIGIBLE, Lattice
from vinscribe.parts import Parts
from vinscribe.priors import MARKETS
from vinscribe.vin import CHECK_POSITION, VIN_LENGTH, check_digit

WRITTEN = ("1HGCM82633A004352", "JTDKB20U993012345", "WVWZZZ1JZXW000001", "1M8GDM9AXKP042788", "5YJ3E1EA7JF000001")
"""What ink is made of; the characters in its place are drawn by chance."""


def sparse_ink(rng, choices, vin=None):
    """Ink (17, 33) where only a few characters are possible at each position, drawn by chance or around a VIN."""
    ink = np.zeros((VIN_LENGTH, NUM_CLASSES))
    for position, count in enumerate(choices):
        labels = rng.choice(NUM_CLASSES, count, replace=False)
        if vin:
            labels[0] = label_of(vin[position])
        ink[position, labels] = rng.dirichlet(np.ones(count)) + 1e-9
    return ink


def score_of(labels, ink, parts):
    """The definition: the sum over all parts, character by character."""
    vin = "".join(CHARSET[label] for label in labels)
    fits = vin[CHECK_POSITION] == check_digit(vin)
    score = parts.weights.copy()
    for position, label in enumerate(labels):
        share = parts.shares[parts.rows[:, position], label]
        if position == CHECK_POSITION:
            share = (1 - parts.check_rates) * share + parts.check_rates * fits
        score *= ink[position, label] * share
    return score.sum()


def brute_force(ink, parts):
    """String -> score, for every string that the ink allows."""
    strings = product(*(np.flatnonzero(row).tolist() for row in ink))
    return {labels: score_of(labels, ink, parts) for labels in strings}


@st.composite
def sparse_inks(draw, most):
    """Ink where at most so many positions have a choice, of at most so many characters."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    choices = [1] * VIN_LENGTH
    for position in draw(st.lists(st.integers(0, VIN_LENGTH - 1), min_size=1, max_size=most, unique=True)):
        choices[position] = draw(st.integers(2, most))
    return sparse_ink(rng, choices, draw(st.sampled_from([None, *WRITTEN])))


@st.composite
def beliefs(draw):
    """A few dozen parts of every kind, small enough to be summed up by hand."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shares = np.concatenate([np.eye(NUM_CLASSES), rng.dirichlet(np.full(NUM_CLASSES, 0.3), 12)])
    shares[NUM_CLASSES : NUM_CLASSES + 6] *= rng.random((6, NUM_CLASSES)) < 0.6  # sets with holes in them
    shares /= shares.sum(1, keepdims=True)
    rows = rng.integers(NUM_CLASSES, len(shares), (40, VIN_LENGTH))
    rows[:30, :3] = rng.integers(0, NUM_CLASSES, (6, 3))[rng.integers(0, 6, 30)]
    rows[:, 11:] = rows[0, 11:]
    rows[30:] = NUM_CLASSES + 11  # and anything
    return Parts.of(shares, rows, rng.random(40), rng.random(40))


ROUNDING = 1e-6
"""Transforms round to 1e-16 of the strings of all remainders, of which those that count may be a billionth here."""


def check(ink, parts, expected):
    lattice = Lattice(ink[None], parts)
    ordered = sorted(expected.values(), reverse=True)
    labels, scores = lattice.best(5, (ink > 0)[None])
    scale = np.exp(-lattice.log_scale[0])  # scores are relative
    assert lattice.total[0] == pytest.approx(scale * sum(ordered), rel=NEGLIGIBLE)
    assert lattice.total[0] <= scale * sum(ordered) * (1 + ROUNDING)
    assert lattice.left_out[0] <= NEGLIGIBLE * lattice.total[0]
    assert lattice.total[0] + lattice.left_out[0] >= scale * sum(ordered) * (1 - ROUNDING)
    assert scores[0, 0] == pytest.approx(scale * ordered[0])
    for string, score in zip(labels[0], scores[0], strict=True):
        assert score == pytest.approx(scale * expected.get(tuple(string), 0), rel=1e-9, abs=1e-300)
    shares = lattice.marginals(labels[:, 0])[0]
    for position in range(VIN_LENGTH):
        own = sum(score for string, score in expected.items() if string[position] == labels[0, 0, position])
        assert shares[position] == pytest.approx(own / sum(ordered), abs=2 * NEGLIGIBLE)


@given(sparse_inks(5), beliefs())
@settings(max_examples=60, deadline=None)
def test_equals_brute_force(ink, parts):
    check(ink, parts, brute_force(ink, parts))


@given(sparse_inks(4), st.sampled_from(list(MARKETS)), st.booleans())
@settings(max_examples=15, deadline=None)
def test_equals_brute_force_with_the_released_knowledge(ink, market, check_digits):
    parts = market_parts(market, released(), None, check_digits)
    strings = np.array(list(product(*(np.flatnonzero(row) for row in ink))))[:3000]
    kept = np.zeros_like(ink)
    kept[np.arange(VIN_LENGTH), strings] = ink[np.arange(VIN_LENGTH), strings]
    own = np.flatnonzero((parts.shares[parts.rows[:, 0]] @ kept[0]) * (parts.shares[parts.rows[:, 1]] @ kept[1]))
    few = Parts(parts.shares, parts.rows[own], parts.weights[own], parts.check_rates[own])  # nothing else can matter
    expected = {labels: score_of(labels, kept, few) for labels in map(tuple, strings.tolist())}
    if len(expected) == np.count_nonzero(kept, 1).prod():
        check(kept, parts, expected)


def test_the_prior_is_the_sum_over_all_parts():
    parts = market_parts("any", released())
    strings = [[label_of(char) for char in vin] for vin in (*WRITTEN, "6FPAAAJGAT4Z00001", "00000000000000000")]
    prior, rates = parts.prior(np.array(strings))
    ones = np.ones((VIN_LENGTH, NUM_CLASSES))
    np.testing.assert_allclose(prior, [score_of(labels, ones, parts) for labels in strings])
    assert (prior > 0).all()
    assert (prior <= parts.most).all()
    assert ((rates > 0) & (rates < 1)).all()


def test_several_readings_are_independent():
    rng = np.random.default_rng(3)
    ink = rng.dirichlet(np.full(NUM_CLASSES, 0.1), (4, VIN_LENGTH))
    parts, allowed = market_parts("any", Knowledge.empty()), np.ones(ink.shape, bool)
    together = Lattice(ink, parts)
    labels, scores = together.best(3, allowed)
    for row in range(len(ink)):
        alone = Lattice(ink[row : row + 1], parts)
        assert alone.total[0] == pytest.approx(together.total[row])
        own, worth = alone.best(3, allowed[:1])
        np.testing.assert_array_equal(own[0, 0], labels[row, 0])
        np.testing.assert_allclose(worth[0], scores[row])
        np.testing.assert_allclose(alone.marginals(labels[row : row + 1, 0])[0], together.marginals(labels[:, 0])[row])


def test_readings_of_very_different_weight_do_not_disturb_each_other():
    clear = sparse_ink(np.random.default_rng(0), [1] * VIN_LENGTH, WRITTEN[0]) + 1e-7
    odd = sparse_ink(np.random.default_rng(1), [1] * VIN_LENGTH) + 1e-7
    parts = market_parts("any", released())
    together = Lattice(np.stack([clear, odd]), parts)
    for row, ink in enumerate((clear, odd)):
        assert Lattice(ink[None], parts).total[0] == pytest.approx(together.total[row], rel=3 * NEGLIGIBLE)


def test_shares_of_single_characters_add_up_to_one():
    ink = np.random.default_rng(5).dirichlet(np.full(NUM_CLASSES, 0.3), (1, VIN_LENGTH))
    lattice = Lattice(ink, market_parts("any", released()))
    shares = sum(lattice.marginals(np.full((1, VIN_LENGTH), label)) for label in range(NUM_CLASSES))
    np.testing.assert_allclose(shares, 1)


def test_best_strings_keep_to_what_is_allowed():
    rng = np.random.default_rng(7)
    ink = rng.dirichlet(np.full(NUM_CLASSES, 0.3), (3, VIN_LENGTH))
    allowed = rng.random(ink.shape) < 0.2
    allowed[:, :, label_of("5")] = True
    labels, scores = Lattice(ink, market_parts("any", released())).best(4, allowed)
    assert (scores > 0).all()
    assert (np.diff(scores, axis=1) <= 0).all()
    for row in range(3):
        assert len({tuple(string) for string in labels[row]}) == 4
        assert allowed[row][np.arange(VIN_LENGTH), labels[row]].all()
