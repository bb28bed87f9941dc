"""The trained model in ONNX Runtime (or, from an .h5 file, in Keras): cells -> probabilities.

A model has 34 outputs, the 33 characters and "no legible character"; older ones, and the user's network, have the 33
characters alone. The side of the cells that it wants is a property of the model, too.
"""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vinscribe.charset import CHARSET, ILLEGIBLE, NUM_CLASSES, NUM_OUTPUTS
from vinscribe.cores import core_count
from vinscribe.errors import ModelError
from vinscribe.vin import VIN_LENGTH

BATCH_SIZE = 64
"""Cells that go through the network at once: small enough that its activations stay in a core's cache."""

INPUT_NAME = "cells"
OUTPUT_NAME = "probs"
ROWS_NAME = "rows"

SIZES_PX = range(16, 129)
"""Sides of cells that a model may ask for."""

_LEAST_PROBABILITY = 1e-7  # whose logarithm is taken

_WAY_OUT = "use a model written by this version's train.py"


class _Backend(Protocol):
    """What runs a model file."""

    metadata: dict[str, str]
    size_px: int
    num_outputs: int
    reads_rows: bool

    def run(self, cells: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (N, S, S) -> float32 (N, 33 or 34); safe to call from several threads at once."""

    def run_rows(self, cells: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (R * 17 * NUM_VIEWS, S, S) -> float32 (R, 17, 34); as safe, but not of all backends."""


def default_model_path() -> Path:
    """The released model: beside the checkout's ``inference.py``, or inside the installed package."""
    package = Path(__file__).resolve().parent
    checkout = package.parent
    if (checkout / "pyproject.toml").is_file():
        return checkout / "model.onnx"
    return package / "model.onnx"


class Classifier:
    """Classifies cells with a model file.

    >>> classifier = Classifier()                                      # doctest: +SKIP
    >>> cells = normalise_batch(images, classifier.size_px)            # doctest: +SKIP
    >>> classifier.probs(cells).shape                                  # doctest: +SKIP
    (2, 33)

    Args:
        model: a ``.onnx`` file, or an ``.h5`` or ``.keras`` file where Keras is installed; the released model if None.

    Raises:
        ModelError: the file is missing, damaged, or no model of the 33 VIN characters.
    """

    def __init__(self, model: str | os.PathLike[str] | None = None) -> None:
        self.path = default_model_path() if model is None else Path(model)
        if not self.path.is_file():
            wrong = "not a file" if self.path.exists() else "no such model file"
            raise ModelError(f"{wrong}: {self.path}; give the path of a model.onnx, or make one with train.py")
        ending = self.path.suffix.lower()
        if ending == ".onnx":
            self._backend: _Backend = _OnnxBackend(self.path)
        elif ending in (".h5", ".keras"):
            self._backend = _KerasBackend(self.path)
        else:
            raise ModelError(f"unknown kind of model: {self.path}; expected a file that ends in .onnx or .h5")

    @property
    def metadata(self) -> dict[str, str]:
        """What the model file says about itself: charset, input, temperature, network, training, data and so on.

        Empty for Keras files.
        """
        return dict(self._backend.metadata)

    @property
    def size_px(self) -> int:
        """Side of the cells that the model reads: the second argument of `vinscribe.cells.normalise`."""
        return self._backend.size_px

    @property
    def tells_illegible(self) -> bool:
        """Whether the model knows cells in their boxes, and that there may be no character in them."""
        return self._backend.num_outputs == NUM_OUTPUTS

    def outputs(self, cells: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities of the 33 characters, and of there being no legible one, for each cell.

        Args:
            cells: uint8 (N, size_px, size_px) as `vinscribe.cells.normalise` makes them. N may be 0.

        Returns:
            float32 (N, 34) in the order of `vinscribe.charset.CHARSET`, then ILLEGIBLE; each row sums to 1. A cell
            that is blank is never legible; a model without that last output finds every other one legible.
        """
        return with_illegible(self.raw(cells), cells)

    def probs(self, cells: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities of the 33 characters for each cell, given that it shows one of them.

        Args:
            cells: as for `outputs`.

        Returns:
            float32 (N, 33) in the order of `vinscribe.charset.CHARSET`; each row sums to 1.
        """
        return given_legible(self.raw(cells))

    def rows(self, cells: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities of the cells of whole rows, each read in the light of the others.

        Args:
            cells: uint8 (R, 17, NUM_VIEWS, size_px, size_px), the looks at each cell as `vinscribe.views` makes them.

        Returns:
            float32 (R, 17, 34), as `outputs` gives them. A model that reads no rows gives the geometric means of what
            it makes of the looks.
        """
        flat = cells.reshape(-1, *cells.shape[3:])
        per_row = cells.shape[1] * cells.shape[2]
        # In parts as large as the network takes at once: more would be spread over cores that have their own work.
        step = max(1, BATCH_SIZE // per_row) * per_row
        parts = [flat[start : start + step] for start in range(0, len(flat), step)]
        if self._backend.reads_rows:
            probs = np.concatenate([self._backend.run_rows(part) for part in parts])
            return with_illegible(probs.reshape(-1, NUM_OUTPUTS), flat[:: cells.shape[2]]).reshape(probs.shape)
        outputs = np.concatenate([self.outputs(part) for part in parts])
        return mean_outputs(outputs.reshape(*cells.shape[:3], -1))

    def raw(self, cells: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What the model itself gives: float32 (N, 33) or (N, 34)."""
        side = self.size_px
        if cells.dtype != np.uint8 or cells.ndim != 3 or cells.shape[1:] != (side, side):
            raise ValueError(f"cells must be uint8 (N, {side}, {side}), not {cells.dtype} {cells.shape}")
        if len(cells) <= BATCH_SIZE:
            return self._backend.run(cells) if len(cells) else np.zeros((0, self._backend.num_outputs), np.float32)
        # Each batch runs on one core and as many batches as there are cores run at once. That is a sixth faster
        # than splitting each batch over the cores, and nothing has to wait for its neighbour.
        with ThreadPoolExecutor(core_count()) as pool:
            return np.concatenate(list(pool.map(self._backend.run, _batches(cells))))


def mean_outputs(outputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities of looks, float32 (..., V, 34) -> their geometric means, (..., 34); rows sum to 1."""
    logs = np.log(np.maximum(outputs, _LEAST_PROBABILITY)).mean(axis=-2)
    probs = np.exp(logs - logs.max(axis=-1, keepdims=True))
    means: NDArray[np.float32] = probs / probs.sum(axis=-1, keepdims=True)
    return means


def with_illegible(raw: NDArray[np.float32], cells: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The 34 probabilities of a model with 33 or 34 outputs.

    Args:
        raw: float32 (N, 33) or (N, 34), rows that sum to 1.
        cells: uint8 (N, S, S), what the model was given.

    Returns:
        float32 (N, 34). A blank cell has no legible character; any other has one, where the model does not say it.
    """
    blank = cells.reshape(len(cells), cells.shape[1] * cells.shape[2]).max(axis=1, initial=0) == 0
    if raw.shape[1] == NUM_OUTPUTS and not blank.any():
        return raw
    outputs = np.zeros((len(raw), NUM_OUTPUTS), np.float32)
    outputs[:, : raw.shape[1]] = raw
    outputs[blank] = np.arange(NUM_OUTPUTS) == ILLEGIBLE
    return outputs


def given_legible(raw: NDArray[np.float32]) -> NDArray[np.float32]:
    """The characters' probabilities, given that there is one: float32 (N, 33 or 34) -> (N, 33), rows that sum to 1."""
    if raw.shape[1] == NUM_CLASSES:
        return raw
    # A network that is very sure of a blot may leave nothing at all to the characters: then they share it evenly.
    probs = np.maximum(raw[:, :NUM_CLASSES], np.finfo(np.float32).tiny)
    scaled: NDArray[np.float32] = probs / probs.sum(axis=1, keepdims=True)
    return scaled


def _batches(cells: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    for start in range(0, len(cells), BATCH_SIZE):
        yield cells[start : start + BATCH_SIZE]


class _OnnxBackend:
    """A model in ONNX Runtime, one core for each call."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what goes wrong is raised; nothing is to be printed beside it
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has a dozen kinds without a common base of their own
            reason = str(error).splitlines()[0]
            raise ModelError(f"damaged model file, or no ONNX model: {path} ({reason}); fetch it again") from error
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self._check(path)

    def _check(self, path: Path) -> None:
        charset = self.metadata.get("charset")
        if charset != CHARSET:
            raise ModelError(f"{path} is a model for the characters {charset!r}, not {CHARSET!r}; {_WAY_OUT}")
        inputs, every = self._session.get_inputs(), self._session.get_outputs()
        outputs, rows = every[:1], every[1:]
        cells, probs = _shape(inputs, INPUT_NAME), _shape(outputs, OUTPUT_NAME)
        if len(cells) != 4 or cells[1] != 1 or cells[2] != cells[3] or cells[2] not in SIZES_PX:
            wanted = f"{INPUT_NAME} float [N, 1, S, S] with S from {SIZES_PX[0]} to {SIZES_PX[-1]}"
            raise ModelError(f"{path} has the input {_shown(inputs)}, not {wanted}; {_WAY_OUT}")
        if len(probs) != 2 or probs[1] not in (NUM_CLASSES, NUM_OUTPUTS):
            wanted = f"{OUTPUT_NAME} float [N, {NUM_CLASSES}] or [N, {NUM_OUTPUTS}]"
            raise ModelError(f"{path} has the output {_shown(outputs)}, not {wanted}; {_WAY_OUT}")
        wanted_rows = [VIN_LENGTH, NUM_OUTPUTS]
        if rows and (len(rows) > 1 or rows[0].name != ROWS_NAME or list(rows[0].shape[1:]) != wanted_rows):
            wanted = f"{ROWS_NAME} float [R, {VIN_LENGTH}, {NUM_OUTPUTS}] or none"
            raise ModelError(f"{path} has the second output {_shown(rows)}, not {wanted}; {_WAY_OUT}")
        self.size_px, self.num_outputs, self.reads_rows = int(cells[2]), int(probs[1]), bool(rows)

    def run(self, cells: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self._computed(OUTPUT_NAME, cells)

    def run_rows(self, cells: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self._computed(ROWS_NAME, cells)

    def _computed(self, output: str, cells: NDArray[np.uint8]) -> NDArray[np.float32]:
        scaled = np.multiply(cells[:, np.newaxis], np.float32(1 / 255), dtype=np.float32)
        probs: NDArray[np.float32] = self._session.run([output], {INPUT_NAME: scaled})[0]
        return probs


def _shape(nodes: Any, name: str) -> list[Any]:
    """The shape of a model's only input or output; empty unless it has that name, is float, and takes any N."""
    fits = len(nodes) == 1 and nodes[0].name == name and nodes[0].type == "tensor(float)"
    return list(nodes[0].shape) if fits and nodes[0].shape and not isinstance(nodes[0].shape[0], int) else []


def _shown(nodes: Any) -> str:
    return ", ".join(f"{node.name} {node.type} {node.shape}" for node in nodes)


class _KerasBackend:
    """A model in Keras: for checking a model.h5; far slower to start than ONNX Runtime."""

    def __init__(self, path: Path) -> None:
        from importlib.util import find_spec

        if "KERAS_BACKEND" not in os.environ and find_spec("torch"):
            os.environ["KERAS_BACKEND"] = "torch"  # Keras asks for TensorFlow otherwise
        try:
            import keras
        except ImportError as error:
            raise ModelError(
                f"{path} is a Keras model and Keras cannot be imported ({error}); "
                "pip install -r requirements-train.txt, or use the model.onnx beside it"
            ) from error
        try:
            self._model: Any = keras.models.load_model(path, compile=False)
        except Exception as error:  # h5py and Keras raise whatever they stumble on
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ModelError(f"damaged model file, or no Keras model: {path} ({reason}); fetch it again") from error
        self.metadata: dict[str, str] = {}
        self._lock = threading.Lock()  # Keras models do not promise to bear several threads
        found_input, found_output = self._model.input_shape, self._model.output_shape
        fits = any(tuple(found_input) == (None, side, side, 1) for side in SIZES_PX)
        if not fits or all(tuple(found_output) != (None, number) for number in (NUM_CLASSES, NUM_OUTPUTS)):
            raise ModelError(
                f"{path} maps {found_input} to {found_output}, not (None, S, S, 1) with S from {SIZES_PX[0]} to"
                f" {SIZES_PX[-1]} to (None, {NUM_CLASSES}) or (None, {NUM_OUTPUTS}); {_WAY_OUT}"
            )
        self.size_px, self.num_outputs, self.reads_rows = int(found_input[1]), int(found_output[1]), False

    def run_rows(self, cells: NDArray[np.uint8]) -> NDArray[np.float32]:
        raise NotImplementedError

    def run(self, cells: NDArray[np.uint8]) -> NDArray[np.float32]:
        scaled = np.multiply(cells[..., np.newaxis], np.float32(1 / 255), dtype=np.float32)
        with self._lock:
            return np.asarray(self._model.predict_on_batch(scaled), np.float32)
