"""Sums and best strings, against every string of shortened problems written out one by one."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vinscribe.charset import CHARSET, NUM_CLASSES, label_of
from vinscribe.lattice import Lattice
from vinscribe.priors import MARKETS, market_priors
from vinscribe.vin import CHECK_POSITION, VIN_LENGTH, check_digit


def sparse_ink(rng, choices):
    """Ink (17, 33) where only a few characters, drawn by chance, are possible at each position."""
    ink = np.zeros((VIN_LENGTH, NUM_CLASSES))
    for position, count in enumerate(choices):
        labels = rng.choice(NUM_CLASSES, count, replace=False)
        ink[position, labels] = rng.dirichlet(np.ones(count)) + 1e-9
    return ink


def brute_force(ink, priors):
    """String -> score, for every string that the ink allows: the definition, character by character."""
    scores = {}
    for labels in product(*(np.flatnonzero(row) for row in ink)):
        vin = "".join(CHARSET[label] for label in labels)
        score = priors.wmi[labels[:3]]
        for position, label in enumerate(labels):
            score *= ink[position, label] * priors.positions[position, label]
        rate = priors.check_rates[priors.group[labels[0]]]
        own = (1 - rate) * priors.free_check[labels[CHECK_POSITION]]
        scores[labels] = score * (own + rate * (vin[CHECK_POSITION] == check_digit(vin)))
    return scores


@st.composite
def sparse_inks(draw, most):
    """Ink where at most so many positions have a choice, of at most so many characters."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    choices = [1] * VIN_LENGTH
    for position in draw(st.lists(st.integers(0, VIN_LENGTH - 1), min_size=1, max_size=most, unique=True)):
        choices[position] = draw(st.integers(2, most))
    return sparse_ink(rng, choices)


@st.composite
def problems(draw):
    return draw(sparse_inks(5)), market_priors(draw(st.sampled_from(list(MARKETS))), draw(st.booleans()))


@given(problems())
@settings(max_examples=60, deadline=None)
def test_equals_brute_force(problem):
    ink, priors = problem
    expected = brute_force(ink, priors)
    lattice = Lattice(ink[None], priors)
    ordered = sorted(expected.values(), reverse=True)
    labels, scores = lattice.best(5, (ink > 0)[None])
    scale = lattice.scores(labels[:, 0])[0] / expected[tuple(labels[0, 0])]  # scores are relative
    assert lattice.total[0] == pytest.approx(scale * sum(ordered))
    wanted = np.array(ordered[:5])
    assert scores[0][: len(wanted)] == pytest.approx(scale * wanted)
    for string, score in zip(labels[0], scores[0], strict=True):
        assert score == pytest.approx(scale * expected.get(tuple(string), 0), rel=1e-9, abs=1e-300)
    shares = lattice.marginals(labels[:, 0])[0]
    for position in range(VIN_LENGTH):
        own = sum(score for string, score in expected.items() if string[position] == labels[0, 0, position])
        assert shares[position] == pytest.approx(own / sum(ordered))


def test_several_readings_are_independent():
    rng = np.random.default_rng(3)
    ink = rng.dirichlet(np.full(NUM_CLASSES, 0.1), (4, VIN_LENGTH))
    priors, allowed = market_priors("any"), np.ones(ink.shape, bool)
    together = Lattice(ink, priors)
    for row in range(len(ink)):
        alone = Lattice(ink[row : row + 1], priors)
        assert alone.total[0] == pytest.approx(together.total[row])
        labels = together.best(3, allowed)[0]
        np.testing.assert_array_equal(alone.best(3, allowed[:1])[0][0], labels[row])
        np.testing.assert_allclose(alone.marginals(labels[row : row + 1, 0])[0], together.marginals(labels[:, 0])[row])


def test_shares_of_single_characters_add_up_to_one():
    ink = np.random.default_rng(5).dirichlet(np.full(NUM_CLASSES, 0.3), (1, VIN_LENGTH))
    lattice = Lattice(ink, market_priors("any"))
    shares = sum(lattice.marginals(np.full((1, VIN_LENGTH), label)) for label in range(NUM_CLASSES))
    np.testing.assert_allclose(shares, 1)


def test_best_strings_keep_to_what_is_allowed():
    rng = np.random.default_rng(7)
    ink = rng.dirichlet(np.full(NUM_CLASSES, 0.3), (3, VIN_LENGTH))
    allowed = rng.random(ink.shape) < 0.2
    allowed[:, :, label_of("5")] = True
    labels, scores = Lattice(ink, market_priors("any")).best(4, allowed)
    assert (scores > 0).all()
    assert (np.diff(scores, axis=1) <= 0).all()
    for row in range(3):
        assert len({tuple(string) for string in labels[row]}) == 4
        assert allowed[row][np.arange(VIN_LENGTH), labels[row]].all()
