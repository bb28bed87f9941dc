"""The trained model in ONNX Runtime (or, from an .h5 file, in Keras): cells -> probabilities of the 33 characters."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vinscribe.cells import CELL_PX
from vinscribe.charset import CHARSET, NUM_CLASSES
from vinscribe.errors import ModelError

BATCH_SIZE = 64
"""Cells that go through the network at once: small enough that its activations stay in a core's cache."""

INPUT_NAME = "cells"
OUTPUT_NAME = "probs"


class _Backend(Protocol):
    """What runs a model file."""

    metadata: dict[str, str]

    def run(self, cells: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (N, 28, 28) -> float32 (N, 33); safe to call from several threads at once."""


def default_model_path() -> Path:
    """The released model: beside the checkout's ``inference.py``, or inside the installed package."""
    package = Path(__file__).resolve().parent
    checkout = package.parent
    if (checkout / "pyproject.toml").is_file():
        return checkout / "model.onnx"
    return package / "model.onnx"


def core_count() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Classifier:
    """Classifies cells with a model file.

    >>> classifier = Classifier()                                      # doctest: +SKIP
    >>> classifier.probs(np.zeros((2, 28, 28), np.uint8)).shape        # doctest: +SKIP
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

    def probs(self, cells: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities of the 33 characters for each cell.

        Args:
            cells: uint8 (N, 28, 28) as `vinscribe.cells.normalise` makes them. N may be 0.

        Returns:
            float32 (N, 33) in the order of `vinscribe.charset.CHARSET`; each row sums to 1.
        """
        if cells.dtype != np.uint8 or cells.ndim != 3 or cells.shape[1:] != (CELL_PX, CELL_PX):
            raise ValueError(f"cells must be uint8 (N, {CELL_PX}, {CELL_PX}), not {cells.dtype} {cells.shape}")
        if len(cells) <= BATCH_SIZE:
            return self._backend.run(cells) if len(cells) else np.zeros((0, NUM_CLASSES), np.float32)
        # Each batch runs on one core and as many batches as there are cores run at once. That is a sixth faster
        # than splitting each batch over the cores, and nothing has to wait for its neighbour.
        with ThreadPoolExecutor(core_count()) as pool:
            return np.concatenate(list(pool.map(self._backend.run, _batches(cells))))


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
        way_out = "use a model.onnx written by this version's train.py"
        charset = self.metadata.get("charset")
        if charset != CHARSET:
            raise ModelError(f"{path} is a model for the characters {charset!r}, not {CHARSET!r}; {way_out}")
        for kind, name, expected, found in (
            ("input", INPUT_NAME, [1, CELL_PX, CELL_PX], self._session.get_inputs()),
            ("output", OUTPUT_NAME, [NUM_CLASSES], self._session.get_outputs()),
        ):
            shown = ", ".join(f"{node.name} {node.type} {node.shape}" for node in found)
            fits = len(found) == 1 and found[0].name == name and found[0].type == "tensor(float)"
            if not fits or list(found[0].shape[1:]) != expected or isinstance(found[0].shape[0], int):
                raise ModelError(f"{path} has the {kind} {shown}, not {name} float [N, {expected}]; {way_out}")

    def run(self, cells: NDArray[np.uint8]) -> NDArray[np.float32]:
        scaled = np.multiply(cells[:, np.newaxis], np.float32(1 / 255), dtype=np.float32)
        probs: NDArray[np.float32] = self._session.run([OUTPUT_NAME], {INPUT_NAME: scaled})[0]
        return probs


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
        shapes = (tuple(self._model.input_shape), tuple(self._model.output_shape))
        if shapes != ((None, CELL_PX, CELL_PX, 1), (None, NUM_CLASSES)):
            raise ModelError(
                f"{path} maps {shapes[0]} to {shapes[1]}, not (None, {CELL_PX}, {CELL_PX}, 1) to (None, {NUM_CLASSES});"
                " use a model written by this version's train.py"
            )

    def run(self, cells: NDArray[np.uint8]) -> NDArray[np.float32]:
        scaled = np.multiply(cells[..., np.newaxis], np.float32(1 / 255), dtype=np.float32)
        with self._lock:
            return np.asarray(self._model.predict_on_batch(scaled), np.float32)
