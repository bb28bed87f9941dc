import os
import sys

import numpy as np
import pytest
from drawn import BLOT, METADATA, draw, write_model

from vinscribe.cells import normalise_batch
from vinscribe.charset import CHARSET, ILLEGIBLE
from vinscribe.classifier import BATCH_SIZE, Classifier, default_model_path, given_legible
from vinscribe.errors import ModelError

KINDS = [(28, 33), (28, 34), (40, 33), (40, 34)]
"""Side of the cells and number of outputs: older networks, the user's, the released one."""


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: f"{kind[0]}px-{kind[1]}")
def classifier(request, tmp_path_factory):
    size, num_outputs = request.param
    return Classifier(write_model(tmp_path_factory.mktemp("model") / "model.onnx", size=size, num_outputs=num_outputs))


@pytest.fixture(scope="module")
def cells(classifier):
    return normalise_batch((draw(char) for char in CHARSET), classifier.size_px)


@pytest.mark.parametrize("kind", KINDS)
def test_the_side_of_the_cells_is_the_models(tmp_path, kind):
    assert Classifier(write_model(tmp_path / "model.onnx", size=kind[0], num_outputs=kind[1])).size_px == kind[0]


def test_each_character_is_the_most_probable_of_its_own_picture(classifier, cells):
    for result, columns in ((classifier.probs(cells), 33), (classifier.outputs(cells), 34)):
        assert result.shape == (33, columns)
        assert result.dtype == np.float32
        assert result.argmax(axis=1).tolist() == list(range(33))
        np.testing.assert_allclose(result.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("count", [0, 1, BATCH_SIZE, BATCH_SIZE + 1, 5 * BATCH_SIZE + 7])
def test_batches_give_what_single_cells_give(classifier, cells, count):
    many = np.resize(cells, (count, *cells.shape[1:]))
    for run, columns in ((classifier.probs, 33), (classifier.outputs, 34)):
        assert run(many).shape == (count, columns)
        np.testing.assert_allclose(run(many), np.resize(run(cells), (count, columns)), atol=1e-6)


def test_probs_are_the_outputs_given_a_character(classifier, cells):
    outputs = classifier.outputs(cells)
    np.testing.assert_allclose(classifier.probs(cells), outputs[:, :33] / outputs[:, :33].sum(1, keepdims=True), 1e-4)


@pytest.mark.parametrize("size", [28, 40])
def test_what_looks_like_a_blot_is_not_legible(tmp_path, size):
    classifier = Classifier(write_model(tmp_path / "model.onnx", size=size, num_outputs=34))
    blot = normalise_batch([draw(BLOT)], size)
    assert classifier.outputs(blot)[0, ILLEGIBLE] > 0.9
    assert classifier.probs(blot).sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("size", [28, 40])
def test_a_model_of_33_finds_blank_cells_illegible_and_no_other(tmp_path, size):
    classifier = Classifier(write_model(tmp_path / "model.onnx", size=size))
    cells = normalise_batch([draw("A"), np.full((50, 50), 255, np.uint8), draw(BLOT)], size)
    outputs = classifier.outputs(cells)
    assert outputs[:, ILLEGIBLE].tolist() == [0, 1, 0]
    assert outputs[1, :ILLEGIBLE].max() == 0
    np.testing.assert_array_equal(outputs[[0, 2], :ILLEGIBLE], classifier.probs(cells)[[0, 2]])
    np.testing.assert_allclose(classifier.probs(cells).sum(1), 1, atol=1e-5)


def test_nothing_left_for_the_characters_is_shared_evenly():
    raw = np.zeros((2, 34), np.float32)
    raw[:, ILLEGIBLE] = 1
    raw[1, 5] = 1e-30
    probs = given_legible(raw)
    np.testing.assert_allclose(probs[0], 1 / 33, rtol=1e-5)
    assert probs[1, 5] == pytest.approx(1, abs=1e-5)


def test_cells_of_another_kind_are_refused(classifier):
    side = classifier.size_px
    for shape, kind in (((2, side, side), np.float32), ((side, side), np.uint8), ((2, side, side + 1), np.uint8)):
        for run in (classifier.probs, classifier.outputs):
            with pytest.raises(ValueError, match=f"must be uint8 .N, {side}, {side}."):
                run(np.zeros(shape, kind))


def test_metadata_comes_with_the_model(classifier):
    assert classifier.metadata == METADATA


def test_the_default_is_the_model_at_the_root_of_the_checkout():
    path = default_model_path()
    assert path.name == "model.onnx"
    assert (path.parent / "pyproject.toml").is_file()


def test_missing_model_names_its_path(tmp_path):
    with pytest.raises(ModelError, match=r"no such model file: .*none\.onnx"):
        Classifier(tmp_path / "none.onnx")
    with pytest.raises(ModelError, match="not a file"):
        Classifier(tmp_path)


@pytest.mark.parametrize("data", [b"", b"not a model", None])
def test_damaged_model(tmp_path, data, capfd):
    path = tmp_path / "model.onnx"
    write_model(path)
    path.write_bytes(path.read_bytes()[:2000] if data is None else data)
    with pytest.raises(ModelError, match="damaged model file"):
        Classifier(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metadata": {}}, "characters None"),
        ({"metadata": {"charset": "0123456789"}}, "characters '0123456789'"),
        ({"num_outputs": 36}, r"output probs .*36.*, not probs float \[N, 33\] or \[N, 34\]"),
        ({"num_outputs": 32}, "output probs .*32"),
        ({"cells_shape": ("n", 1, 14, 56)}, "input cells .*14, 56"),
        ({"cells_shape": (1, 1, 28, 28)}, "input cells .*1, 1, 28"),
        ({"cells_shape": ("n", 1, "s", "s")}, r"input cells .*, not cells float .* S from 16 to 128"),
        ({"cells_shape": ("n", 784)}, "input cells .*784"),
        ({"size": 14}, "input cells .*14, 14"),
        ({"size": 130}, "input cells .*130, 130"),
        ({"input_name": "x"}, "input x "),
    ],
)
def test_a_model_for_something_else_is_refused(tmp_path, change, message):
    with pytest.raises(ModelError, match=message):
        Classifier(write_model(tmp_path / "model.onnx", **change))


def test_unknown_ending(tmp_path):
    (tmp_path / "model.pkl").write_bytes(b"x")
    with pytest.raises(ModelError, match="expected a file that ends in"):
        Classifier(tmp_path / "model.pkl")


def test_h5_without_keras_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "model.h5").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "keras", None)
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    with pytest.raises(ModelError, match="pip install -r requirements-train"):
        Classifier(tmp_path / "model.h5")


@pytest.fixture(scope="module")
def keras():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras")


def write_keras(keras, path, shape, num_outputs):
    layers = [keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(num_outputs, "softmax")]
    keras.Sequential(layers).save(path)
    return path


@pytest.mark.parametrize(("size", "num_outputs"), [(28, 33), (40, 34)])
def test_keras_models_of_both_kinds(keras, tmp_path, size, num_outputs):
    path = write_keras(keras, tmp_path / "model.keras", (size, size, 1), num_outputs)
    classifier = Classifier(path)
    assert classifier.size_px == size
    cells = normalise_batch([draw("A"), draw("B")], size)
    raw = keras.models.load_model(path).predict_on_batch(cells[..., None].astype(np.float32) / 255)
    np.testing.assert_allclose(classifier.outputs(cells)[:, :num_outputs], raw, atol=1e-6)
    np.testing.assert_allclose(classifier.probs(cells), raw[:, :33] / raw[:, :33].sum(1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "num_outputs"), [((28, 28, 3), 33), ((28, 40, 1), 34), ((8, 8, 1), 33), ((28, 28, 1), 10)]
)
def test_a_keras_model_for_something_else_is_refused(keras, tmp_path, shape, num_outputs):
    path = write_keras(keras, tmp_path / "model.keras", shape, num_outputs)
    with pytest.raises(ModelError, match=r"maps .* not \(None, S, S, 1\) with S from 16 to 128 to"):
        Classifier(path)
