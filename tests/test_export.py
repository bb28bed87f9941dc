"""export.py: PyTorch, ONNX Runtime and Keras give the same probabilities, or nothing is written."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from emnist_archive import glyphs
from torch import nn

from vinscribe import __version__
from vinscribe.cells import CELL_PX, normalise_batch
from vinscribe.charset import CHARSET, NUM_CLASSES, NUM_OUTPUTS
from vinscribe.classifier import Classifier
from vinscribe.errors import TrainingError
from vinscribe.training import export
from vinscribe.training.export import PARITY, check_parity, export_model, for_reading, load_weights
from vinscribe.training.network import NETWORKS, build_network, input_px, vinscribe_network

ROOT = Path(__file__).resolve().parent.parent
RECORD = {"network": "seed", "training": {"seed": 3, "view": "vin"}, "data": {"a.gz": "00ff"}}
TEMPERATURE = 1.25
ROUNDED = 1e-2
"""Largest difference of a probability that weights in half precision make; a trained network's is smaller."""


def random_network(name: str) -> nn.Sequential:
    """As after a training: no bias is zero, no batch statistic trivial, different answers, and sure ones."""
    generator = torch.Generator().manual_seed(7)
    torch.manual_seed(7)
    network = build_network(name)
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                layer.weight.uniform_(0.5, 1.5, generator=generator)
            if isinstance(getattr(layer, "bias", None), torch.Tensor):
                layer.bias.normal_(0, 0.2, generator=generator)
            if isinstance(layer, nn.Conv2d | nn.Linear) and not norms:
                layer.weight *= 4
        if norms:
            network[-1].weight *= 10
        for norm in norms:
            norm.momentum = 1.0  # the statistics of one batch
        network.train()(cells_of(name, seed=5))
    return network.eval()


def cells_of(name: str, seed: int) -> torch.Tensor:
    """(132, 1, S, S) float32: four printed cells of each character."""
    cells = normalise_batch(glyphs(CHARSET * 4, seed), input_px(name))
    return torch.from_numpy(cells)[:, None].float() / 255


@pytest.fixture(scope="module", params=NETWORKS)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Sequential, Path]:
    folder = tmp_path_factory.mktemp("models")
    network = random_network(request.param)
    export_model(network, TEMPERATURE, RECORD | {"network": request.param}, folder)
    return network, folder


def network_of(folder: Path) -> str:
    return str(Classifier(folder / "model.onnx").metadata["network"])


def test_all_three_give_the_same_probabilities(exported: tuple[nn.Sequential, Path]) -> None:
    network, folder = exported
    inputs = cells_of(network_of(folder), seed=2)
    cells = (255 * inputs[:, 0]).round().byte().numpy()
    with torch.inference_mode():
        trained = torch.softmax(network(inputs) / TEMPERATURE, 1).numpy()
        expected = for_reading(network, TEMPERATURE)(inputs).numpy()
    assert len(set(expected.argmax(1))) >= 3  # not the same answer to everything
    assert expected.max() > 0.5
    assert 0 < np.abs(expected - trained).max() <= ROUNDED
    for name in ("model.onnx", "model.h5"):
        assert np.abs(Classifier(folder / name).raw(cells) - expected).max() <= PARITY
    assert sorted(path.name for path in folder.iterdir()) == ["model.h5", "model.onnx"]


def test_what_is_for_reading_leaves_the_network_as_it_was() -> None:
    network = random_network("vinscribe").train()
    before = {name: values.clone() for name, values in network.state_dict().items()}
    reading = for_reading(network, TEMPERATURE)
    assert not reading.training
    assert network.training
    assert all(torch.equal(values, before[name]) for name, values in network.state_dict().items())
    assert not any(isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.Dropout) for layer in reading.modules())
    assert all(torch.equal(values, values.half().float()) for values in reading.parameters())


@pytest.mark.parametrize("exported", ["vinscribe"], indirect=True)
def test_our_model_is_small_and_holds_halves(exported: tuple[nn.Sequential, Path]) -> None:
    path = exported[1] / "model.onnx"
    assert path.stat().st_size <= 3_000_000
    stored = onnx.load(path).graph.initializer
    large = [tensor for tensor in stored if np.prod(tensor.dims) >= 64]
    assert len(large) > 20
    assert {tensor.data_type for tensor in large} == {onnx.TensorProto.FLOAT16}


def test_the_metadata_is_complete_and_names_no_path(exported: tuple[nn.Sequential, Path]) -> None:
    path = exported[1] / "model.onnx"
    metadata = Classifier(path).metadata
    contract = json.loads(metadata.pop("input"))
    side, outputs = {"seed": (28, 33), "vinscribe": (CELL_PX, NUM_OUTPUTS)}[metadata.pop("network")]
    assert contract["shape"] == ["N", 1, side, side]
    assert contract["name"] == "cells"
    assert f"[N, {outputs}]" in contract["output"]
    assert ("no legible character" in contract["output"]) == (outputs == NUM_OUTPUTS)
    assert metadata == {
        "charset": CHARSET,
        "temperature": "1.25",
        "training": '{"seed": 3, "view": "vin"}',
        "data": '{"a.gz": "00ff"}',
        "vins": "null",
        "vinscribe_version": __version__,
    }
    content = path.read_bytes()
    assert str(ROOT).encode() not in content
    assert b"site-packages" not in content


def test_a_model_that_was_written_can_go_on_learning(exported: tuple[nn.Sequential, Path]) -> None:
    network, folder = exported
    name = network_of(folder)
    other = vinscribe_network(dropout=0.0) if name == "vinscribe" else build_network(name)
    cells, unseen = cells_of(name, seed=3), cells_of(name, seed=4)
    load_weights(other, folder / "model.h5", cells)
    reading = for_reading(network, TEMPERATURE)[:-1]
    with torch.inference_mode():
        for some in (cells, unseen):
            torch.testing.assert_close(other.eval()(some), reading(some), rtol=1e-4, atol=1e-3)
        # What it normalises by in training are the statistics of these very cells.
        torch.testing.assert_close(other.train()(cells), reading(cells), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("exported", NETWORKS, indirect=True)
def test_a_model_of_another_network_is_refused(exported: tuple[nn.Sequential, Path], tmp_path: Path) -> None:
    other = {"seed": "vinscribe", "vinscribe": "seed"}[network_of(exported[1])]
    with pytest.raises(TrainingError, match="another network"):
        load_weights(build_network(other), exported[1] / "model.h5", cells_of(other, seed=3))
    (tmp_path / "no.h5").write_text("no model")
    with pytest.raises(TrainingError, match="Keras"):
        load_weights(build_network("vinscribe"), tmp_path / "no.h5", cells_of("vinscribe", seed=3))


@pytest.mark.parametrize("exported", ["vinscribe"], indirect=True)
def test_keras_opens_the_h5_file_by_itself(exported: tuple[nn.Sequential, Path]) -> None:
    """In a program that knows nothing of vinscribe, with a batch of any size."""
    code = (
        "import os; os.environ['KERAS_BACKEND'] = 'torch'\n"
        "import keras, numpy as np\n"
        f"model = keras.models.load_model({str(exported[1] / 'model.h5')!r}, compile=False)\n"
        "probs = model.predict(np.zeros((3, 40, 40, 1), 'float32'), verbose=0)\n"
        "print(probs.shape, round(float(probs.sum()), 3))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=exported[1])
    assert done.stdout == f"(3, {NUM_OUTPUTS}) 3.0\n"


@pytest.mark.parametrize("exported", ["seed"], indirect=True)
@pytest.mark.parametrize("file", ["model.onnx", "model.h5"])
def test_one_wrong_weight_is_found(file: str, exported: tuple[nn.Sequential, Path], tmp_path: Path) -> None:
    network, folder = exported
    calibrated = for_reading(network, TEMPERATURE)
    assert 0 <= check_parity(calibrated, folder / "model.onnx", folder / "model.h5") <= PARITY
    paths = {name: folder / name for name in ("model.onnx", "model.h5")}
    paths[file] = tmp_path / file
    if file == "model.onnx":
        model = onnx.load(folder / file)
        weights = max(model.graph.initializer, key=lambda tensor: np.prod(tensor.dims))
        values = onnx.numpy_helper.to_array(weights).copy()
        assert values.dtype == np.float16
        values.flat[np.abs(values).argmax()] += 0.5
        weights.CopyFrom(onnx.numpy_helper.from_array(values, weights.name))
        onnx.save(model, tmp_path / file)
    else:
        import keras

        keras_model = keras.models.load_model(folder / file, compile=False)
        weights = keras_model.get_weights()
        weights[-1][0] += 0.5
        keras_model.set_weights(weights)
        with export._quiet("absl"):
            keras_model.save(tmp_path / file)
    with pytest.raises(TrainingError, match=f"{file} differs from the trained network"):
        check_parity(calibrated, paths["model.onnx"], paths["model.h5"])


def test_what_fails_the_check_leaves_the_old_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("model.onnx", "model.h5"):
        (tmp_path / name).write_text(f"old {name}")
    true_kernel = export._dense_kernel
    # The mistake that is made most easily: the flattened picture in PyTorch's order.
    monkeypatch.setattr(export, "_dense_kernel", lambda layer, flattened: true_kernel(layer, None))
    with pytest.raises(TrainingError, match=r"model\.h5 differs"):
        export_model(random_network("seed"), TEMPERATURE, RECORD, tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        name: f"old {name}" for name in ("model.onnx", "model.h5")
    }


def test_a_layer_that_cannot_be_exported_is_named(tmp_path: Path) -> None:
    network = nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), nn.GELU(), nn.Linear(196, NUM_CLASSES))
    with pytest.raises(TrainingError, match="no layer GELU"):
        export_model(network, 1.0, RECORD, tmp_path)
    with pytest.raises(TrainingError, match="ends with ReLU"):
        export_model(nn.Sequential(nn.Flatten(), nn.ReLU()), 1.0, RECORD, tmp_path)


def test_the_released_models() -> None:
    """model.onnx and model.h5 of the repository: the present network, small, and with their record."""
    onnx_path, h5_path = ROOT / "model.onnx", ROOT / "model.h5"
    assert onnx_path.is_file(), "model.onnx is missing; python train.py --release makes it"
    assert h5_path.is_file(), "model.h5 is missing; python train.py --release makes it"
    cells = normalise_batch(glyphs(CHARSET * 4, seed=2))
    probs = Classifier(onnx_path).raw(cells)
    assert probs.shape == (len(cells), NUM_OUTPUTS)
    assert np.abs(Classifier(h5_path).raw(cells) - probs).max() <= PARITY
    assert len(set(probs.argmax(1))) > 20
    load_weights(build_network("vinscribe"), h5_path, cells_of("vinscribe", seed=2))
    assert onnx_path.stat().st_size <= 3_000_000
    assert onnx_path.stat().st_size + h5_path.stat().st_size < 8_000_000
    metadata = Classifier(onnx_path).metadata
    assert metadata["charset"] == CHARSET
    assert 0.1 < float(metadata["temperature"]) < 10
    assert metadata["network"] == "vinscribe"
    training = json.loads(metadata["training"])
    assert training["view"] == "vin"
    assert training["test"]["micro"] > 0.97
    data = json.loads(metadata["data"])
    assert {"unipen/labels.csv", "digits", "fonts/package-lock.json"} < set(data)
    assert all(len(digest) == 64 for digest in data.values())
