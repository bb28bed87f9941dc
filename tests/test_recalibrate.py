"""Calibrating a model that is there: its metadata changes, and nothing that it reads."""

from pathlib import Path

import numpy as np
import pytest
from drawn import write_model
from emnist_archive import glyphs

from vinscribe.charset import CHARSET, NUM_CLASSES
from vinscribe.classifier import Classifier
from vinscribe.decode import Calibration
from vinscribe.errors import ModelError
from vinscribe.training.augment import AugmentSettings
from vinscribe.training.batches import Data
from vinscribe.training.dataset import Split
from vinscribe.training.real_vins import RealVins
from vinscribe.training.recalibrate import recalibrate


@pytest.fixture
def data():
    labels = np.tile(np.arange(NUM_CLASSES), 2)
    validation = Split(glyphs(2 * CHARSET, seed=1), labels)
    return Data(validation, validation)


def real_vins(count):
    labels = np.random.default_rng(0).integers(0, NUM_CLASSES, (count, 17))
    regions = np.array(["north-america", "europe"] * (count // 2))
    return RealVins(labels, regions, regions)


def test_the_confidence_is_fitted_anew_and_the_weights_stay(tmp_path, data):
    path = Path(write_model(tmp_path / "model.onnx", size=40, num_outputs=34))
    before = Classifier(path)
    cells = np.random.default_rng(1).integers(0, 256, (8, 40, 40), np.uint8)
    found = recalibrate(path, data, AugmentSettings(), real_vins(6), num_vins=6)
    after = Classifier(path)
    np.testing.assert_array_equal(before.outputs(cells), after.outputs(cells))
    read = Calibration.of(after.metadata)
    assert (read.slope, read.offset, read.sharpness) == (found.slope, found.offset, found.sharpness)
    assert (read.floor, read.free_slope) == (found.floor, found.free_slope)
    assert {key: value for key, value in after.metadata.items() if key != "vins"} == {
        key: value for key, value in before.metadata.items() if key != "vins"
    }
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]  # nothing unfinished beside it
    assert found.num_vins == 6


def test_a_model_of_bare_pictures_has_no_confidence_in_whole_vins(tmp_path, data):
    path = Path(write_model(tmp_path / "model.onnx", size=28, num_outputs=33))
    with pytest.raises(ModelError, match="33 outputs, not 34: it knows EMNIST's pictures alone"):
        recalibrate(path, data, AugmentSettings(), None, num_vins=2)
