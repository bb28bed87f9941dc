import sys

import numpy as np
import pytest
from drawn import METADATA, draw, write_model

from vinscribe.cells import normalise_batch
from vinscribe.charset import CHARSET
from vinscribe.classifier import BATCH_SIZE, Classifier, default_model_path
from vinscribe.errors import ModelError


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return Classifier(write_model(tmp_path_factory.mktemp("model") / "model.onnx"))


@pytest.fixture(scope="module")
def cells():
    return normalise_batch(draw(char) for char in CHARSET)


def test_each_character_is_the_most_probable_of_its_own_picture(classifier, cells):
    probs = classifier.probs(cells)
    assert probs.dtype == np.float32
    assert probs.argmax(axis=1).tolist() == list(range(33))
    np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("count", [0, 1, BATCH_SIZE, BATCH_SIZE + 1, 5 * BATCH_SIZE + 7])
def test_batches_give_what_single_cells_give(classifier, cells, count):
    many = np.resize(cells, (count, 28, 28))
    probs = classifier.probs(many)
    assert probs.shape == (count, 33)
    np.testing.assert_allclose(probs, np.resize(classifier.probs(cells), (count, 33)), atol=1e-6)


@pytest.mark.parametrize("wrong", [np.zeros((2, 28, 28), np.float32), np.zeros((28, 28), np.uint8)])
def test_cells_of_another_kind_are_refused(classifier, wrong):
    with pytest.raises(ValueError, match="uint8"):
        classifier.probs(wrong)


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
        ({"num_classes": 36}, "output probs .*36"),
        ({"cells_shape": ("n", 1, 14, 56)}, "input cells .*14, 56"),
        ({"cells_shape": (1, 1, 28, 28)}, "input cells .*1, 1, 28"),
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
