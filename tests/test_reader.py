import dataclasses
import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from drawn import BLOT, draw, write_model

from vinscribe.cells import normalise
from vinscribe.charset import CHARSET
from vinscribe.errors import ImageError
from vinscribe.images import list_pictures
from vinscribe.reader import CharacterReading, Reader, Unreadable


@pytest.fixture(scope="module", params=[(28, 33), (40, 34)], ids=["28px-33", "40px-34"])
def reader(request, tmp_path_factory):
    size, num_outputs = request.param
    return Reader(write_model(tmp_path_factory.mktemp("model") / "model.onnx", size=size, num_outputs=num_outputs))


@pytest.fixture(scope="module")
def blot_reader(tmp_path_factory):
    return Reader(write_model(tmp_path_factory.mktemp("model") / "model.onnx", size=40, num_outputs=34))


def test_arrays_are_read(reader):
    readings = reader.classify(draw(char, 40) for char in CHARSET)
    assert "".join(reading.char for reading in readings) == CHARSET
    first = readings[CHARSET.index("M")]
    assert (first.code, first.file, first.legible) == (77, "", True)
    assert first.top[0] == (first.char, first.confidence)
    assert len(first.top) == 5
    probabilities = [probability for _, probability in first.top]
    assert probabilities == sorted(probabilities, reverse=True)
    assert all(0 <= probability <= 1 for probability in probabilities)


def test_no_arrays(reader):
    assert reader.classify([]) == []


def test_blank_is_not_legible_to_a_model_of_33(tmp_path):
    reader = Reader(write_model(tmp_path / "model.onnx"))
    blank, letter = reader.classify([np.full((28, 28), 255, np.uint8), draw("A")])
    assert (blank.legible, blank.legible_probability, blank.confidence) == (False, 0, 0)
    assert blank.char in CHARSET
    assert (letter.legible, letter.legible_probability) == (True, 1)


def test_a_blot_is_not_legible_and_has_no_confidence(blot_reader):
    blot, letter = blot_reader.classify([draw(BLOT, 60), draw("H", 60)])
    assert not blot.legible
    assert blot.legible_probability < 0.1
    assert sum(probability for _, probability in blot.top) <= blot.legible_probability
    assert blot.confidence == blot.top[0][1]
    assert (letter.char, letter.legible) == ("H", True)
    assert letter.confidence < letter.legible_probability < 1  # joint, not given that there is a character


@pytest.mark.parametrize(("illegible", "legible"), [(0.5, True), (0.50001, False), (0.49999, True)])
def test_legible_means_at_least_as_probable_as_not(blot_reader, monkeypatch, illegible, legible):
    outputs = np.zeros((1, 34), np.float32)
    outputs[0, [7, 33]] = 1 - illegible, illegible
    monkeypatch.setattr(blot_reader.classifier, "outputs", lambda _: outputs)
    (reading,) = blot_reader.classify([draw("7")])
    assert (reading.legible, reading.char) == (legible, "7")
    assert reading.legible_probability == pytest.approx(1 - illegible, abs=1e-6)


def test_cells_come_with_their_readings(reader, tmp_path):
    paths = [str(tmp_path / f"{number:02d}.png") for number in range(9)]
    for number, path in enumerate(paths):
        cv2.imwrite(path, draw(CHARSET[number], 50))
    for number in (0, 4):
        (tmp_path / f"{number:02d}.png").write_bytes(b"no picture")
    pairs = list(reader.read_with_cells(paths, batch_size=4))
    assert [result.file for result, _ in pairs] == paths
    assert [number for number, (_, cell) in enumerate(pairs) if cell is None] == [0, 4]
    for number, (result, cell) in enumerate(pairs):
        if cell is not None:
            assert result.char == CHARSET[number]
            assert np.array_equal(cell, normalise(draw(CHARSET[number], 50), reader.classifier.size_px))
    assert [result for result, cell in pairs if cell is not None] == [
        result for result in reader.read_characters(paths, batch_size=4) if isinstance(result, CharacterReading)
    ]


def test_an_array_that_is_no_picture(reader):
    with pytest.raises(ImageError):
        reader.classify([np.zeros((3, 3), np.uint8)])


def test_readings_cannot_be_changed(reader):
    reading = reader.classify([draw("A")])[0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        reading.char = "B"


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_files_are_read_in_order_with_failures_in_their_place(reader, tmp_path, batch_size):
    expected = []
    for number in range(40):
        path = str(tmp_path / f"{number:02d}.png")
        if number in (0, 7, 8, 39):
            with open(path, "wb") as file:
                file.write(b"no picture")
            expected.append(None)
        else:
            char = CHARSET[number % 33]
            cv2.imwrite(path, draw(char, 20 + number))
            expected.append(char)
    paths = list_pictures(str(tmp_path))
    results = list(reader.read_characters(paths, batch_size))
    assert [result.file for result in results] == paths
    found = [result.char if isinstance(result, CharacterReading) else None for result in results]
    assert found == expected
    assert isinstance(results[0], Unreadable)
    assert "not a PNG" in str(results[0].error)


def test_files_and_arrays_give_the_same(reader, tmp_path):
    path = str(tmp_path / "a.png")
    cv2.imwrite(path, draw("G", 50))
    (from_file,) = reader.read_characters([path])
    assert dataclasses.replace(from_file, file="") == reader.classify([draw("G", 50)])[0]


def test_paths_are_taken_as_they_are_needed(reader, tmp_path):
    path = str(tmp_path / "a.png")
    cv2.imwrite(path, draw("G"))
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield path

    results = reader.read_characters(endless(), batch_size=4)
    for _ in range(10):
        next(results)
    results.close()
    assert taken <= 10 + 4 * (2 * (os.cpu_count() or 1) + 2)


def test_reading_imports_neither_training_nor_web():
    code = (
        "import json, sys, vinscribe.cli, vinscribe.reader, vinscribe.classifier, onnxruntime\n"
        "vinscribe.cli._build_parser()\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert "cv2" in loaded
    unwanted = {"torch", "keras", "tensorflow", "matplotlib", "scipy", "requests", "flask", "fastapi", "starlette"}
    assert not unwanted & set(loaded)


def test_importing_the_package_is_light():
    code = "import sys, vinscribe; assert not {'cv2', 'numpy', 'onnxruntime'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_public_names():
    import vinscribe

    assert vinscribe.Reader is Reader
    assert vinscribe.CharacterReading is CharacterReading
    with pytest.raises(AttributeError, match="nothing"):
        _ = vinscribe.nothing
