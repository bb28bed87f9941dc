"""VINs with fillers: sums and best strings against every string written out, and what the fillers are good for."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_lattice import brute_force, sparse_inks

from vinscribe.charset import NUM_CLASSES, label_of
from vinscribe.decode import Decoder
from vinscribe.mixture import FILLED, FILLER, Mixture
from vinscribe.priors import MARKETS, market_priors
from vinscribe.vin import CHECK_POSITION, VIN_LENGTH

FILLED_VIN = "WVWZZZ1JZXW000001"


def both_kinds(ink, priors):
    """String -> score, by the definition: with a descriptor of its own, or with fillers and no check digit."""
    rates = priors.filler_rates[priors.group][:, None, None]
    scores = brute_force(ink, replace(priors, wmi=priors.wmi * (1 - rates)))
    positions = priors.positions.copy()
    positions[FILLED, :] = np.eye(NUM_CLASSES)[FILLER]
    plain = replace(
        priors,
        wmi=priors.wmi * rates,
        positions=positions,
        free_check=priors.filled_check,
        check_rates=np.zeros_like(priors.check_rates),
    )
    for string, score in brute_force(ink, plain).items():
        scores[string] += score
    return scores


@st.composite
def problems(draw):
    ink = draw(sparse_inks(4))
    for position in draw(st.sampled_from([(), FILLED, (*FILLED, CHECK_POSITION)])):
        ink[position, FILLER] += 0.3
    return ink, market_priors(draw(st.sampled_from(list(MARKETS))))


@given(problems())
@settings(max_examples=40, deadline=None)
def test_equals_brute_force(problem):
    ink, priors = problem
    expected = both_kinds(ink, priors)
    mixture = Mixture(ink[None], priors)
    labels, scores = mixture.best(3, (ink > 0)[None])
    best = max(expected, key=lambda string: expected[string])
    scale = scores[0, 0] / expected[best]  # scores are relative
    assert expected[tuple(labels[0, 0])] == pytest.approx(expected[best])
    total = sum(expected.values())
    assert mixture.total[0] == pytest.approx(scale * total)
    for string, score in zip(labels[0], scores[0], strict=True):
        assert score == pytest.approx(scale * expected.get(tuple(string), 0), rel=1e-9, abs=1e-300)
    assert (
        len({tuple(string) for string, score in zip(labels[0], scores[0], strict=True) if score})
        == (scores[0] > 0).sum()
    )
    shares = mixture.marginals(labels[:, 0])[0]
    for position in range(VIN_LENGTH):
        own = sum(score for string, score in expected.items() if string[position] == labels[0, 0, position])
        assert shares[position] == pytest.approx(own / total)
    factors, most = mixture.bounds(0)
    strings = np.array(list(expected))
    products = factors[np.arange(VIN_LENGTH), strings].prod(1)
    assert (scale * np.array(list(expected.values())) <= products * most * (1 + 1e-9)).all()


def probs_of(vin, doubts):
    """(1, 17, 33): clear but for ``doubts``: position from 1 -> (other character, its probability)."""
    probs = np.full((1, VIN_LENGTH, NUM_CLASSES), 1e-6)
    for position, char in enumerate(vin):
        other, share = doubts.get(position + 1, ("A", 0.0))
        probs[0, position, label_of(other)] = share
        probs[0, position, label_of(char)] = 1 - share
    return probs / probs.sum(2, keepdims=True)


def test_fillers_stand_by_each_other():
    probs = probs_of(FILLED_VIN, {4: ("2", 0.7), 6: ("2", 0.6), 9: ("2", 0.6)})
    (reading,) = Decoder().readings(probs, np.ones((1, VIN_LENGTH)))
    assert reading.vin == FILLED_VIN
    assert reading.confidence > 0.9


def test_a_descriptor_is_no_filler():
    written = FILLED_VIN.replace("ZZZ", "2Z5")
    (reading,) = Decoder().readings(probs_of(written, {4: ("Z", 0.2)}), np.ones((1, VIN_LENGTH)))
    assert reading.vin == written
