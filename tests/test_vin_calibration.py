"""Confidence in whole VINs: what it is fitted on, and that fitting finds what there is to find."""

import json

import numpy as np
import pytest
from emnist_archive import glyphs

from vinscribe.beliefs import market_parts
from vinscribe.charset import CHARSET, NUM_CLASSES, NUM_OUTPUTS
from vinscribe.decode import Calibration
from vinscribe.knowledge import Knowledge, released
from vinscribe.training.augment import AugmentSettings
from vinscribe.training.batches import Data
from vinscribe.training.dataset import Split
from vinscribe.training.real_vins import RealVins
from vinscribe.training.unipen import StrokeSet
from vinscribe.training.vin_calibration import (
    FLOORS,
    calibrate_vins,
    fit_calibration,
    fit_floor,
    fit_sharpness,
    sample_real,
    sample_vins,
)
from vinscribe.views import NUM_VIEWS
from vinscribe.vin import CHECK_POSITION, VIN_LENGTH, check_digit


def text(labels):
    return "".join(CHARSET[label] for label in labels)


def test_sampled_vins_follow_the_belief():
    parts = market_parts("any", Knowledge.empty())
    vins = [text(labels) for labels in sample_vins(parts, 3000, np.random.default_rng(0))]
    american = [vin for vin in vins if vin[0] in "12345"]
    assert 0.35 < len(american) / len(vins) < 0.45
    valid = [check_digit(vin) == vin[CHECK_POSITION] for vin in american]
    assert 0.94 < np.mean(valid) < 0.995
    german = [check_digit(vin) == vin[CHECK_POSITION] for vin in vins if vin[0] == "W"]
    assert 0.1 < np.mean(german) < 0.5


def test_real_vins_are_drawn_by_region():
    labels = np.arange(20)[:, None] % NUM_CLASSES * np.ones(17, int)
    regions = np.array(["north-america"] * 18 + ["europe", "elsewhere"])
    drawn = sample_real(RealVins(labels, regions, regions), 2000, np.random.default_rng(0))
    assert 0.55 < (drawn[:, 0] < 18).mean() < 0.65
    alone = sample_real(RealVins(labels[:5], regions[:5], regions[:5]), 50, np.random.default_rng(0))
    assert set(alone[:, 0].tolist()) == set(range(5))


@pytest.mark.parametrize(("slope", "offset"), [(1.0, 0.0), (0.5, -1.0), (1.6, 0.5)])
def test_fit_finds_the_calibration(slope, offset):
    rng = np.random.default_rng(1)
    odds = rng.normal(2, 3, 40_000)
    right = rng.random(len(odds)) < 1 / (1 + np.exp(-(slope * odds + offset)))
    found = fit_calibration(1 / (1 + np.exp(-odds)), right)
    assert found == (pytest.approx(slope, rel=0.05), pytest.approx(offset, abs=0.1))


def written(vins, power, rng):
    """Probabilities (N, 17, 33) of cells whose best guess is wrong as often as they say, but for a power."""
    true = rng.dirichlet(np.full(NUM_CLASSES, 0.02), (len(vins), 17))
    labels = (true.cumsum(2) < rng.random((len(vins), 17, 1))).sum(2).clip(max=NUM_CLASSES - 1)
    # Exchange characters so that what was drawn is what is written.
    rows, places = np.indices(labels.shape)
    own = true[rows, places, labels].copy()
    true[rows, places, labels] = true[rows, places, vins]
    true[rows, places, vins] = own
    timid = np.maximum(true, 1e-9) ** (1 / power)
    return timid / timid.sum(2, keepdims=True)


def test_a_limited_slope_is_made_up_for_by_the_offset():
    rng = np.random.default_rng(1)
    odds = rng.normal(2, 3, 40_000)
    right = rng.random(len(odds)) < 1 / (1 + np.exp(-(1.6 * odds + 0.5)))
    slope, offset = fit_calibration(1 / (1 + np.exp(-odds)), right, most=1.0)
    assert slope == 1
    assert (1 / (1 + np.exp(-(odds + offset)))).mean() == pytest.approx(right.mean(), abs=0.005)


@pytest.mark.parametrize("power", [1.0, 1.3])
def test_fit_finds_the_sharpness(power):
    rng = np.random.default_rng(2)
    vins = sample_vins(market_parts("any", released()), 400, rng)
    probs = written(vins, power, rng)
    assert fit_sharpness(Calibration(floor=1e-6), probs, np.ones(vins.shape), vins) == pytest.approx(power, abs=0.11)


@pytest.mark.parametrize(("wrong", "floor"), [(0, 1e-4), (3, 1e-4), (60, 1e-3)])
def test_the_floor_is_how_often_sure_cells_are_wrong(wrong, floor):
    labels = np.zeros(30_000, np.int64)
    likelihoods = np.full((len(labels), NUM_CLASSES), 1e-9)
    likelihoods[:, 0] = 1 - 32e-9
    likelihoods[:wrong, [0, 1]] = likelihoods[:wrong, [1, 0]]  # sure of another character
    found = fit_floor(likelihoods, labels)
    assert found * len(labels) >= 1  # no surer than was measured
    assert floor / 4 <= found <= floor * 3
    assert fit_floor(likelihoods[:10], labels[:10]) == max(FLOORS)


def test_sharpened_probabilities_keep_their_order():
    probs = np.array([[0.5, 0.3, 0.2] + [0.0] * 30])
    sharp = Calibration(sharpness=2.0).likelihoods(probs)
    assert sharp[0, :3] == pytest.approx(np.array([25, 9, 4]) / 38)
    assert Calibration.of({"vins": '{"slope": 1, "offset": 0, "sharpness": 1.4}'}).sharpness == 1.4


def test_calibration_travels_in_the_metadata():
    assert Calibration.of({}) == Calibration.of({"vins": "null"}) == Calibration(1.0, 0.0)
    fitted = json.dumps({"slope": 0.8, "offset": -0.3, "class_shares": [1 / 33] * 33, "num_vins": 10, "exact": 0.5})
    assert Calibration.of({"vins": fitted}) == Calibration(0.8, -0.3, (1 / 33,) * 33)
    more = json.dumps({"slope": 1, "offset": 0, "floor": 3e-5, "free_slope": 0.9, "free_offset": None})
    assert Calibration.of({"vins": more}) == Calibration(floor=3e-5, free_slope=0.9)


def test_whole_vins_are_drawn_from_validation_alone():
    labels = np.tile(np.arange(NUM_CLASSES), 2)
    validation = Split(glyphs(2 * CHARSET, seed=1), labels)
    train = Split(np.zeros_like(validation.images), labels)
    line = [np.array([[0.2, 0.1], [0.8, 0.9]], np.float32)]
    strokes = StrokeSet([line] * len(labels), labels, np.repeat(["a", "b"], NUM_CLASSES))
    seen = []

    def rows_of(cells):
        seen.append(cells.shape)
        assert cells.max(axis=(3, 4)).min() > 100  # there is ink in every cell: none of train's
        probs = np.full((len(cells), VIN_LENGTH, NUM_OUTPUTS), 0.01, np.float32)
        probs[..., 1] = 0.67
        return probs

    settings, even = AugmentSettings(boxed=0.0), np.full(NUM_CLASSES, 1 / NUM_CLASSES)
    found = calibrate_vins(rows_of, Data(train, validation, None, strokes), settings, 40, even, num_vins=10)
    assert seen == [(1, VIN_LENGTH, NUM_VIEWS, 40, 40)] * 10
    assert found.num_vins == 10
    assert found.exact == 0
