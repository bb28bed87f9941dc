"""evaluate.py: measures against figures worked out by hand; every kind of model file gives the same probabilities."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from emnist_archive import glyphs
from numpy.typing import NDArray
from scipy.special import softmax

from vinscribe.cells import normalise_batch
from vinscribe.charset import CHARSET, NUM_CLASSES, NUM_OUTPUTS, label_of
from vinscribe.errors import ModelError, TrainingError
from vinscribe.training.batches import Data
from vinscribe.training.dataset import Split
from vinscribe.training.evaluate import (
    expected_calibration_error,
    fit_temperature,
    load_model,
    measure,
    probs_of_model,
    wilson_interval,
)
from vinscribe.training.export import export_model
from vinscribe.training.fit import RECIPES, fit
from vinscribe.training.network import build_network, input_px


def probs_for(read: str, confidences: list[float]) -> NDArray[np.float32]:
    """Probabilities (N, 33): each row reads a character with a confidence, the rest is spread evenly."""
    rows = []
    for char, confidence in zip(read, confidences, strict=True):
        row = np.full(NUM_CLASSES, (1 - confidence) / (NUM_CLASSES - 1), np.float32)
        row[label_of(char)] = confidence
        rows.append(row)
    return np.stack(rows)


def labels_of(text: str) -> NDArray[np.int64]:
    return np.array([label_of(char) for char in text], np.int64)


def test_measures_worked_out_by_hand() -> None:
    # 0: three of four right; 5: one of two; S: one of one.
    report = measure(probs_for("000D5SS", [0.9, 0.9, 0.9, 0.8, 0.7, 0.6, 1.0]), labels_of("000055S"))
    assert report.num_images == 7
    assert report.micro == pytest.approx(5 / 7)
    assert report.macro == pytest.approx((3 / 4 + 1 / 2 + 1) / 3)
    missed = [0.2 / 32, 0.4 / 32]
    assert report.nll == pytest.approx(-np.log([0.9, 0.9, 0.9, *missed, 0.7, 1.0]).mean(), rel=1e-5)
    # Of the 15 bins: 0.9 three times, right; 0.8 once, wrong; 0.7 right; 0.6 wrong; 1.0 right.
    assert report.ece == pytest.approx((0.3 + 0.8 + 0.3 + 0.6 + 0) / 7, abs=1e-6)
    expected = np.zeros((NUM_CLASSES, NUM_CLASSES), int)
    for true, read, count in (("0", "0", 3), ("0", "D", 1), ("5", "5", 1), ("5", "S", 1), ("S", "S", 1)):
        expected[label_of(true), label_of(read)] = count
    assert np.array_equal(report.confusion, expected)
    assert report.micro_interval == tuple(float(end) for end in wilson_interval(np.array(5), np.array(7)))
    # Half a hit and half a miss added to each class: 3.5/5, 1.5/3, 1.5/2.
    variance = (0.7 * 0.3 / 4 + 0.5 * 0.5 / 2 + 0.75 * 0.25 / 1) / 9
    low, high = report.macro_interval
    assert low == pytest.approx(0.75 - 1.959964 * variance**0.5)
    assert high == 1


def test_confused_pairs_most_frequent_first() -> None:
    true, read = "5" * 5 + "S" * 3 + "0" * 2, "SSS55" + "555" + "0D"
    report = measure(probs_for(read, [0.9] * 10), labels_of(true))
    assert report.confused_pairs() == [("5", "S", 3), ("S", "5", 3), ("0", "D", 1)]
    assert report.confused_pairs(most=1) == [("5", "S", 3)]
    lines = report.text().splitlines()
    assert lines[-1] == "most confused (true→read): 5→S 3  S→5 3  0→D 1"
    assert "images                   10" in lines
    assert "accuracy (micro)         30.00%   95 % interval 10.78% to 60.32%" in lines
    assert "class accuracy (macro)   30.00%" in report.text()
    assert ["5", "5", "40.00%", "S", "3"] in [line.split() for line in lines]
    assert (
        sum(line[:1] in CHARSET and line[1:4] == "   " for line in lines) == 3
    )  # classes without an image are left out


def test_nothing_confused() -> None:
    report = measure(probs_for("01", [0.9, 1.0]), labels_of("01"))
    assert report.confused_pairs() == []
    assert report.text().endswith("most confused (true→read): nothing")
    assert (report.micro, report.macro) == (1, 1)
    assert report.micro_interval[0] < 1
    assert report.macro_interval[0] < 1


def test_wilson_interval() -> None:
    low, high = wilson_interval(np.array([0, 8, 10]), np.array([10, 10, 10]))
    assert low == pytest.approx([0, 0.4902, 0.7225], abs=1e-4)
    assert high == pytest.approx([0.2775, 0.9433, 1], abs=1e-4)


def test_calibration_error() -> None:
    confidences = np.array([0.95] * 10 + [0.55] * 10, np.float32)
    correct = np.array([True] * 9 + [False] + [True] * 8 + [False] * 2)
    assert expected_calibration_error(confidences, correct) == pytest.approx(0.5 * 0.05 + 0.5 * 0.25, abs=1e-6)
    sure = np.ones(4, np.float32)
    assert expected_calibration_error(sure, np.array([True, True, True, False])) == pytest.approx(0.25)
    # Within a bin, too sure and too careful cancel; across bins they do not.
    mixed = np.array([0.61, 0.65, 0.1], np.float32)
    assert expected_calibration_error(mixed, np.array([True, False, True]), bins=2) == pytest.approx((0.26 + 0.9) / 3)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_is_found_again(temperature: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (40_000, NUM_CLASSES))
    probs = softmax(logits, axis=1)
    labels = (probs.cumsum(1) > rng.random((len(probs), 1))).argmax(1)
    found = fit_temperature((logits * temperature).astype(np.float32), labels)
    assert found == pytest.approx(temperature, rel=0.03)


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with its models beside it."""
    folder = tmp_path_factory.mktemp("run")
    cells = Split(glyphs(CHARSET, seed=0), np.arange(NUM_CLASSES))
    result = fit(replace(RECIPES["seed"], epochs=6, batch_size=11, threads=1), Data(cells, cells), folder)
    (folder / "result.json").write_text(json.dumps({"temperature": 0.7}))
    export_model(result.network, 0.7, {"network": "seed", "training": {}, "data": {}}, folder)
    return folder


def test_every_kind_of_model_gives_the_same_probabilities(run_dir: Path) -> None:
    images = glyphs(CHARSET, seed=5)
    expected = probs_of_model(run_dir, images)
    assert expected.shape == (NUM_CLASSES, NUM_CLASSES)
    assert expected.sum(1) == pytest.approx(1, abs=1e-5)
    assert np.ptp(expected, axis=0).max() > 0.1  # the images are told apart
    for name in ("model.onnx", "model.h5", "best.pt", "checkpoint.pt"):
        assert np.abs(probs_of_model(run_dir / name, images) - expected).max() < 1e-4
    # Larger pictures are normalised on their way, as in reading.
    large = np.pad(images, ((0, 0), (9, 3), (3, 9)))
    cells = normalise_batch(large, 28)
    assert np.abs(probs_of_model(run_dir, large) - load_model(run_dir).raw(cells)).max() == 0


def test_models_that_know_of_illegible_cells_give_probabilities_of_the_characters(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build_network("vinscribe").eval()
    with torch.no_grad():
        network[-1].weight.mul_(1000)  # so that the answers vary
    torch.save(network.state_dict(), tmp_path / "best.pt")
    (tmp_path / "settings.json").write_text(json.dumps({"settings": {"network": "vinscribe"}}))
    export_model(network, 1.0, {"network": "vinscribe", "training": {}, "data": {}}, tmp_path)
    images = glyphs(CHARSET, seed=5)
    run = load_model(tmp_path)
    side = input_px("vinscribe")
    raw = run.raw(normalise_batch(images, side))
    assert run.size_px == side
    assert raw.shape == (NUM_CLASSES, NUM_OUTPUTS)
    assert np.ptp(raw, axis=0).max() > 0.1
    expected = raw[:, :NUM_CLASSES] / raw[:, :NUM_CLASSES].sum(1, keepdims=True)
    for name in ("", "best.pt", "model.onnx", "model.h5"):
        probs = probs_of_model(tmp_path / name, images)
        assert probs.shape == (NUM_CLASSES, NUM_CLASSES)
        # Weights of models are in half precision.
        assert np.abs(probs - expected).max() < (1e-2 if name.startswith("model") else 1e-4)


def test_measuring_imports_neither_scipy_nor_pytorch() -> None:
    code = (
        "import sys, vinscribe.training.cells_report, vinscribe.training.evaluate\n"
        "assert not {'torch', 'scipy', 'matplotlib', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_run_without_a_result_is_not_calibrated(run_dir: Path, tmp_path: Path) -> None:
    for name in ("settings.json", "best.pt"):
        (tmp_path / name).write_bytes((run_dir / name).read_bytes())
    images = glyphs(CHARSET, seed=5)
    plain, calibrated = probs_of_model(tmp_path, images), probs_of_model(run_dir, images)
    sharper = softmax(np.log(plain) / 0.7, axis=1)
    assert np.abs(sharper - calibrated).max() < 1e-5 < np.abs(plain - calibrated).max()


def test_what_is_no_model_is_refused(run_dir: Path, tmp_path: Path) -> None:
    images = np.zeros((1, 28, 28), np.uint8)
    for path in (tmp_path, tmp_path / "best.pt"):
        with pytest.raises(ModelError, match="no training run"):
            probs_of_model(path, images)
    with pytest.raises(ModelError, match="no such model file"):
        probs_of_model(tmp_path / "model.onnx", images)
    (tmp_path / "settings.json").write_bytes((run_dir / "settings.json").read_bytes())
    torch.save({"0.weight": torch.zeros(1)}, tmp_path / "best.pt")
    with pytest.raises(ModelError, match="other layers"):
        probs_of_model(tmp_path, images)
    (tmp_path / "best.pt").write_bytes(b"hello")
    with pytest.raises(TrainingError, match="damaged"):
        probs_of_model(tmp_path, images)
