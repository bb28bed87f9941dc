"""Writes a trained network as ``model.onnx`` and ``model.h5`` and proves that all three give the same probabilities.

The temperature goes into the last dense layer (weights and bias divided by it), and a softmax follows, so a reader of
either file gets calibrated probabilities without knowing of it.
"""

import json
import logging
import math
import os
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vinscribe import __version__
from vinscribe.charset import CHARSET, NUM_OUTPUTS
from vinscribe.classifier import INPUT_NAME, OUTPUT_NAME, ROWS_NAME, Classifier
from vinscribe.errors import TrainingError
from vinscribe.training.network import Residual, fused, input_px, unfused
from vinscribe.training.row_reader import ReadingNetwork, RowReader
from vinscribe.views import NUM_VIEWS
from vinscribe.vin import VIN_LENGTH

PARITY = 1e-4
"""Largest difference of a probability between PyTorch, ONNX Runtime and Keras."""

OPSET = 18
_HALVED = 64  # weights of a tensor, from which on storing them in half precision pays
_ACTIVATIONS: dict[type[nn.Module], str] = {nn.ReLU: "relu", nn.Tanh: "tanh", nn.Softmax: "softmax"}


def for_reading(network: nn.Sequential, temperature: float) -> nn.Sequential:
    """A copy in eval mode that gives probabilities: `calibrated_logits`, and softmax behind them."""
    return nn.Sequential(*calibrated_logits(network, temperature).children(), nn.Softmax(1)).eval()


def calibrated_logits(network: nn.Sequential, temperature: float) -> nn.Sequential:
    """A copy in eval mode with the temperature in the last dense layer.

    Normalisation is part of the layers before it, and every weight is a number of half precision: model.onnx stores it
    in two bytes, and all that read it compute with the same one.
    """
    scaled = fused(network)
    last = scaled[-1]
    if not isinstance(last, nn.Linear):
        raise TrainingError(f"the network ends with {type(last).__name__}; a dense layer is needed to calibrate it")
    with torch.no_grad():
        last.weight.div_(temperature)
        last.bias.div_(temperature)
        for values in scaled.parameters():
            values.copy_(values.half().float())
    return scaled.eval()


def export_model(
    network: nn.Sequential, temperature: float, record: dict[str, Any], folder: Path, rows: RowReader | None = None
) -> None:
    """Writes ``model.onnx`` and ``model.h5`` into a folder, both or neither, after checking their parity.

    Args:
        network: trained, giving logits (N, 33) or (N, 34).
        temperature: from ``evaluate.fit_temperature``.
        record: what the model's metadata says of its training; ``network``, ``training``, ``data``, and
            ``vins`` where the confidence in whole VINs was calibrated.
        folder: where to; existing files of these names are replaced.
        rows: reads whole rows, see `vinscribe.training.row_reader`; model.onnx alone has it.

    Raises:
        TrainingError: the written files do not give the same probabilities as the network.
    """
    calibrated, size_px = for_reading(network, temperature), input_px(record["network"])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".export-") as scratch:
        onnx_path, h5_path = Path(scratch) / "model.onnx", Path(scratch) / "model.h5"
        reading = calibrated if rows is None else ReadingNetwork(calibrated_logits(network, temperature), rows)
        metadata = _metadata(calibrated, size_px, temperature, record, rows is not None)
        _write_onnx(reading, size_px, metadata, onnx_path)
        _write_keras(calibrated, size_px, h5_path)
        check_parity(calibrated, onnx_path, h5_path)
        if isinstance(reading, ReadingNetwork):
            check_rows(reading, onnx_path)
        onnx_path.replace(folder / "model.onnx")
        h5_path.replace(folder / "model.h5")


def load_weights(network: nn.Sequential, path: Path, cells: Tensor) -> None:
    """Puts the weights of a ``model.h5`` that `export_model` wrote into a network of the same layers.

    The temperature stays in the last dense layer: the network begins with calibrated logits.

    Args:
        network: see above.
        path: of the model.
        cells: float32 (N, 1, S, S) as the network will be given them, see `vinscribe.training.network.unfused`.

    Raises:
        TrainingError: the file cannot be read, or is not of such a network.
    """
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    try:
        weights = [layer.get_weights() for layer in keras.models.load_model(path, compile=False).layers]
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path}: cannot be read as a Keras model ({error}); give a model.h5") from error
    stored = [each for each in weights if each]
    channels, values = 0, []
    try:
        for arrays in stored:
            kernel, bias = (torch.from_numpy(np.ascontiguousarray(array)) for array in arrays)
            if kernel.ndim == 4:
                kernel, channels = kernel.permute(3, 2, 0, 1), kernel.shape[3]
            else:
                kernel = kernel.T
                if channels:  # Keras has (H, W, C)
                    kernel, channels = kernel.reshape(len(kernel), -1, channels).transpose(1, 2).flatten(1), 0
            values.append((kernel, bias))
        unfused(network, values, cells)
    except (ValueError, RuntimeError, IndexError) as error:
        raise TrainingError(f"{path}: is of another network; leave --start out") from error


def check_parity(calibrated: nn.Sequential, onnx_path: Path, h5_path: Path, num_images: int = 512) -> float:
    """Largest difference of any probability between the three, on random strokes; ``TrainingError`` above PARITY."""
    readers = [Classifier(path) for path in (onnx_path, h5_path)]
    cells = _random_cells(num_images, readers[0].size_px)
    inputs = torch.from_numpy(cells)[:, None].float() / 255
    with torch.inference_mode():
        expected = calibrated(inputs).numpy()
    worst = 0.0
    for reader in readers:
        difference = float(np.abs(reader.raw(cells) - expected).max())
        if not difference <= PARITY:
            name = reader.path.name
            raise TrainingError(f"{name} differs from the trained network by {difference:.2e} (at most {PARITY})")
        worst = max(worst, difference)
    return worst


def check_rows(reading: ReadingNetwork, onnx_path: Path, num_rows: int = 8) -> float:
    """Largest difference of any probability of rows of random strokes; ``TrainingError`` above PARITY."""
    reader = Classifier(onnx_path)
    looks = VIN_LENGTH * NUM_VIEWS
    cells = _random_cells(num_rows * looks, reader.size_px)
    with torch.inference_mode():
        expected = reading(torch.from_numpy(cells)[:, None].float() / 255)[1].numpy()
    found = reader.rows(cells.reshape(num_rows, VIN_LENGTH, NUM_VIEWS, *cells.shape[1:]))
    worst = float(np.abs(found - expected).max())
    if not worst <= PARITY:
        raise TrainingError(f"{onnx_path.name} reads rows differently, by {worst:.2e} (at most {PARITY})")
    return worst


def _random_cells(n: int, size_px: int) -> NDArray[np.uint8]:
    """(n, size_px, size_px) uint8: smooth blobs, so that the answers vary (all plain noise looks alike)."""
    noise = torch.rand(n, 1, 7, 7, generator=torch.Generator().manual_seed(0))
    smooth = nn.functional.interpolate(noise, (size_px, size_px), mode="bicubic")
    cells: NDArray[np.uint8] = (((smooth - 0.5) * 4).clamp(0, 1) * 255).byte()[:, 0].numpy()
    return cells


def _metadata(
    calibrated: nn.Sequential, size_px: int, temperature: float, record: dict[str, Any], has_rows: bool
) -> dict[str, str]:
    outputs = calibrated[-2].out_features
    last = ", then that of no legible character" if outputs == NUM_OUTPUTS else ""
    contract = {
        "name": "cells",
        "shape": ["N", 1, size_px, size_px],
        "dtype": "float32",
        "range": [0, 1],
        "ink": "white on black, as vinscribe.cells.normalise gives it, divided by 255",
        "output": f"probs: float32 [N, {outputs}], calibrated probabilities in the order of charset{last}",
        "rows": f"rows: float32 [R, {VIN_LENGTH}, {outputs}], the same of whole rows: R is N // "
        f"{VIN_LENGTH * NUM_VIEWS}, each {NUM_VIEWS} cells are the looks at one place",
    }
    if not has_rows:
        del contract["rows"]
    return {
        "charset": CHARSET,
        "input": json.dumps(contract),
        "temperature": repr(temperature),
        "network": str(record["network"]),
        "training": json.dumps(record["training"], sort_keys=True),
        "vins": json.dumps(record.get("vins"), sort_keys=True),
        "data": json.dumps(record["data"], sort_keys=True),
        "vinscribe_version": __version__,
    }


def _write_onnx(reading: nn.Module, size_px: int, metadata: dict[str, str], path: Path) -> None:
    example = torch.zeros(2 * VIN_LENGTH * NUM_VIEWS, 1, size_px, size_px)
    outputs = [OUTPUT_NAME, ROWS_NAME] if isinstance(reading, ReadingNetwork) else [OUTPUT_NAME]
    with warnings.catch_warnings(), _quiet("torch.onnx"):  # which misses torchvision, whose layers nobody uses here
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecations
        torch.onnx.export(
            reading,
            (example,),
            path,
            input_names=[INPUT_NAME],
            output_names=outputs,
            dynamic_shapes=({0: torch.export.Dim("N")},),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    model = onnx.load(path)
    _halve(model)
    # The exporter notes the source lines of every layer, paths included: no use to a reader.
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    onnx.helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _halve(model: onnx.ModelProto) -> None:
    """Stores weights in half precision; ONNX Runtime turns them back into floats when it loads the model."""
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and math.prod(tensor.dims) >= _HALVED:
            values, name = onnx.numpy_helper.to_array(tensor), tensor.name
            tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
            casts.append(onnx.helper.make_node("Cast", [f"{name}_half"], [name], to=onnx.TensorProto.FLOAT))
    for cast in reversed(casts):
        model.graph.node.insert(0, cast)


def _write_keras(calibrated: nn.Sequential, size_px: int, path: Path) -> None:
    """The same layers in Keras, which holds pictures as (N, height, width, channels)."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    cells = keras.Input((size_px, size_px, 1), name="cells")
    model = keras.Model(cells, _keras_layers(calibrated, cells))
    with _quiet("absl"):  # Keras calls HDF5 legacy; the user's programs read it
        model.save(path)


def _keras_layers(layers: Iterable[nn.Module], values: Any) -> Any:
    """What the layers make of Keras values, as Keras layers with the same weights."""
    import keras

    flattened: tuple[int, ...] | None = None  # (channels, height, width) that the next dense layer reads
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            values = _keras_convolution(layer, values)
        elif isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d):
            norm = keras.layers.BatchNormalization(epsilon=layer.eps)
            values = norm(values)
            norm.set_weights([_array(t) for t in (layer.weight, layer.bias, layer.running_mean, layer.running_var)])
        elif isinstance(layer, nn.Linear):
            dense = keras.layers.Dense(layer.out_features)
            values = dense(values)
            dense.set_weights([_dense_kernel(layer, flattened), _array(layer.bias)])
            flattened = None
        elif isinstance(layer, nn.Flatten):
            _, height, width, channels = values.shape
            flattened = (channels, height, width)
            values = keras.layers.Flatten()(values)
        elif isinstance(layer, nn.MaxPool2d):
            values = keras.layers.MaxPooling2D(layer.kernel_size)(values)
        elif isinstance(layer, Residual):
            values = keras.layers.Add()([values, _keras_layers(layer.body, values)])
            values = keras.layers.Activation("relu")(values)
        elif isinstance(layer, nn.Dropout):
            continue
        elif type(layer) in _ACTIVATIONS:
            values = keras.layers.Activation(_ACTIVATIONS[type(layer)])(values)
        else:
            raise TrainingError(f"export to Keras knows no layer {type(layer).__name__}; add it to export.py")
    return values


def _keras_convolution(layer: nn.Conv2d, values: Any) -> Any:
    import keras

    if layer.padding != (0, 0):
        # Keras' own "same" pads strided convolutions unevenly; this is what PyTorch does.
        values = keras.layers.ZeroPadding2D(layer.padding)(values)
    added = keras.layers.Conv2D(layer.out_channels, layer.kernel_size, layer.stride, use_bias=layer.bias is not None)
    values = added(values)
    kernel = _array(layer.weight).transpose(2, 3, 1, 0)
    added.set_weights([kernel] if layer.bias is None else [kernel, _array(layer.bias)])
    return values


def _dense_kernel(layer: nn.Linear, flattened: tuple[int, ...] | None) -> NDArray[np.float32]:
    """(inputs, outputs); behind a flatten the inputs are put from PyTorch's order (C, H, W) into Keras' (H, W, C)."""
    kernel = _array(layer.weight)
    if flattened:
        kernel = kernel.reshape(-1, *flattened).transpose(0, 2, 3, 1).reshape(kernel.shape)
    return kernel.T


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Only errors of a library's logger, for as long as the block runs."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _array(tensor: Any) -> NDArray[np.float32]:
    values: NDArray[np.float32] = tensor.detach().cpu().numpy()
    return values
