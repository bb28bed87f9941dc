"""Calibrates the confidence in whole VINs of a model that is there: its weights stay as they are.

The decoder's beliefs change more often than weights do, and each change wants the confidence measured anew.
"""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx

from vinscribe.charset import NUM_CLASSES, NUM_OUTPUTS
from vinscribe.classifier import Classifier
from vinscribe.decode import Calibration
from vinscribe.errors import ModelError
from vinscribe.training.augment import AugmentSettings
from vinscribe.training.batches import Data
from vinscribe.training.real_vins import RealVins
from vinscribe.training.vin_calibration import VinCalibration, calibrate_vins


def recalibrate(
    path: Path, data: Data, settings: AugmentSettings, real: RealVins | None, num_vins: int | None = None
) -> VinCalibration:
    """Fits the calibration of whole VINs anew and writes it into the model's metadata.

    Args:
        path: a model.onnx with 34 outputs.
        data: whose validation pictures and strokes are used.
        settings: how cells are rendered.
        real: VINs for fitting; drawn from the decoder's belief if None.
        num_vins: see `calibrate_vins`.

    Raises:
        ModelError: it cannot be read, or knows EMNIST's pictures alone.
    """
    classifier = Classifier(path)
    shares = Calibration.of(classifier.metadata).class_shares or (1 / NUM_CLASSES,) * NUM_CLASSES
    model = onnx.load(path)
    outputs = classifier.raw(np.zeros((1, classifier.size_px, classifier.size_px), np.uint8)).shape[1]
    if outputs != NUM_OUTPUTS:
        raise ModelError(f"{path} has {outputs} outputs, not {NUM_OUTPUTS}: it knows EMNIST's pictures alone")
    found = calibrate_vins(classifier.rows, data, settings, classifier.size_px, np.array(shares), num_vins, real=real)
    metadata = classifier.metadata | {"vins": json.dumps(asdict(found), sort_keys=True)}
    onnx.helper.set_model_props(model, metadata)
    unfinished = path.with_name(f"{path.name}.part")
    onnx.save(model, unfinished)
    unfinished.replace(path)
    return found
