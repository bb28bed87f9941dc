"""Confidence in whole VINs: what it is fitted on, and that fitting finds what there is to find."""

import json

import numpy as np
import pytest
from emnist_archive import glyphs

from vinscribe.charset import CHARSET, NUM_CLASSES, NUM_OUTPUTS
from vinscribe.decode import Calibration
from vinscribe.priors import market_priors
from vinscribe.training.augment import AugmentSettings
from vinscribe.training.batches import Data
from vinscribe.training.dataset import Split
from vinscribe.training.unipen import StrokeSet
from vinscribe.training.vin_calibration import calibrate_vins, fit_calibration, fit_sharpness, sample_vins
from vinscribe.views import NUM_VIEWS
from vinscribe.vin import CHECK_POSITION, check_digit


def text(labels):
    return "".join(CHARSET[label] for label in labels)


def test_sampled_vins_follow_the_priors():
    vins = [text(labels) for labels in sample_vins(market_priors("any"), 3000, np.random.default_rng(0))]
    american = [vin for vin in vins if vin[0] in "12345"]
    assert 0.3 < len(american) / len(vins) < 0.4
    valid = [check_digit(vin) == vin[CHECK_POSITION] for vin in american]
    assert 0.94 < np.mean(valid) < 0.995
    german = [check_digit(vin) == vin[CHECK_POSITION] for vin in vins if vin[0] == "W"]
    assert 0.15 < np.mean(german) < 0.5


@pytest.mark.parametrize(("slope", "offset"), [(1.0, 0.0), (0.5, -1.0), (1.6, 0.5)])
def test_fit_finds_the_calibration(slope, offset):
    rng = np.random.default_rng(1)
    odds = rng.normal(2, 3, 40_000)
    right = rng.random(len(odds)) < 1 / (1 + np.exp(-(slope * odds + offset)))
    found = fit_calibration(1 / (1 + np.exp(-odds)), right)
    assert found == (pytest.approx(slope, rel=0.05), pytest.approx(offset, abs=0.1))


@pytest.mark.parametrize("power", [0.7, 1.0, 1.8])
def test_fit_finds_the_sharpness(power):
    rng = np.random.default_rng(2)
    timid = rng.dirichlet(np.full(NUM_CLASSES, 0.3), 20_000)
    true = timid**power / (timid**power).sum(1, keepdims=True)
    labels = (true.cumsum(1) < rng.random((len(true), 1))).sum(1).clip(max=NUM_CLASSES - 1)
    assert fit_sharpness(timid, labels) == pytest.approx(power, rel=0.04)


def test_sharpened_probabilities_keep_their_order():
    probs = np.array([[0.5, 0.3, 0.2] + [0.0] * 30])
    sharp = Calibration(sharpness=2.0).likelihoods(probs)
    assert sharp[0, :3] == pytest.approx(np.array([25, 9, 4]) / 38)
    assert Calibration.of({"vins": '{"slope": 1, "offset": 0, "sharpness": 1.4}'}).sharpness == 1.4


def test_calibration_travels_in_the_metadata():
    assert Calibration.of({}) == Calibration.of({"vins": "null"}) == Calibration(1.0, 0.0)
    fitted = json.dumps({"slope": 0.8, "offset": -0.3, "class_shares": [1 / 33] * 33, "num_vins": 10, "exact": 0.5})
    assert Calibration.of({"vins": fitted}) == Calibration(0.8, -0.3, (1 / 33,) * 33)


def test_whole_vins_are_drawn_from_validation_alone():
    labels = np.tile(np.arange(NUM_CLASSES), 2)
    validation = Split(glyphs(2 * CHARSET, seed=1), labels)
    train = Split(np.zeros_like(validation.images), labels)
    line = [np.array([[0.2, 0.1], [0.8, 0.9]], np.float32)]
    strokes = StrokeSet([line] * len(labels), labels, np.repeat(["a", "b"], NUM_CLASSES))
    seen = []

    def probs_of(cells):
        seen.append(len(cells))
        assert cells.amax(dim=(1, 2, 3)).min() > 100  # there is ink in every cell: none of train's
        probs = np.full((len(cells), NUM_OUTPUTS), 0.01, np.float32)
        probs[:, 1] = 0.67
        return probs

    settings, even = AugmentSettings(boxed=0.0), np.full(NUM_CLASSES, 1 / NUM_CLASSES)
    found = calibrate_vins(probs_of, Data(train, validation, None, strokes), settings, 40, even, num_vins=4)
    assert seen == [NUM_VIEWS * 17 // 2] * 24
    assert found.num_vins == 12
    assert found.exact == 0
