import dataclasses
import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from drawn import BLOT, METADATA, draw, write_model

from vinscribe.cells import normalise
from vinscribe.charset import CHARSET
from vinscribe.decode import Calibration, VinReading
from vinscribe.errors import ImageError, ModelError, UsageError
from vinscribe.expected import ExpectedVins
from vinscribe.images import list_pictures
from vinscribe.reader import VINS_AT_ONCE, CharacterReading, Reader, Unreadable
from vinscribe.register import Register


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
    assert reading.legible_probability == pytest.approx(1 - illegible, abs=5e-6)  # of several looks


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


VIN = "1HGCM82633A004352"


@pytest.fixture(scope="module")
def vin_model(tmp_path_factory):
    # Of large cells this kind of model is sure enough for whole VINs.
    return write_model(tmp_path_factory.mktemp("model") / "model.onnx", size=128, num_outputs=34)


def cells_of(vin):
    """With margins, so that looking at less of a cell cuts off no ink."""
    cells = [draw(char, 30 + 3 * number) for number, char in enumerate(vin)]
    return [np.pad(cell, len(cell) // 6) for cell in cells]


def write_folder(folder, vin):
    folder.mkdir()
    for number, cell in enumerate(cells_of(vin)):
        cv2.imwrite(str(folder / f"{number}.png"), cell)
    return str(folder)


def test_the_cells_of_a_vin_are_read(vin_model):
    reading = Reader(vin_model).read_cells(cells_of(VIN))
    assert isinstance(reading, VinReading)
    assert (reading.vin, reading.raw, reading.decision, reading.file) == (VIN, VIN, "accept", "")
    assert "".join(cell.char for cell in reading.cells) == VIN
    assert min(cell.legible_probability for cell in reading.cells) > 0.99


def test_probabilities_are_those_given_a_legible_character(vin_model, monkeypatch):
    reader = Reader(vin_model)
    outputs = np.full((17, 34), 1e-9, np.float32)
    outputs[np.arange(17), [CHARSET.index(char) for char in VIN]] = 0.7
    outputs[:, 33] = 0.3
    monkeypatch.setattr(reader.classifier, "rows", lambda _cells: outputs[None])
    cells = reader.read_cells(cells_of(VIN)).cells
    assert [cell.legible_probability for cell in cells] == pytest.approx([0.7] * 17)
    assert min(cell.confidence for cell in cells) > 0.98  # what is hardly legible counts as less ink


@pytest.mark.parametrize("count", [0, 16, 18])
def test_a_vin_has_seventeen_cells(vin_model, count):
    with pytest.raises(UsageError, match=f"^{count} cells; a VIN has 17"):
        Reader(vin_model).read_cells([draw("A")] * count)


def test_a_cell_that_is_no_picture(vin_model):
    with pytest.raises(ImageError):
        Reader(vin_model).read_cells([*cells_of(VIN)[:16], np.zeros((3, 3), np.uint8)])


def test_market_threshold_and_expected_vins_reach_the_decoder(vin_model):
    expected = ExpectedVins.of([VIN])
    decoder = Reader(vin_model, market="europe", expected=expected, threshold=0.5).decoder
    assert (decoder.expected is expected, decoder.threshold) == (True, 0.5)
    assert decoder.parts is not Reader(vin_model).decoder.parts
    for options in ({"market": "moon"}, {"threshold": 2.0}):
        with pytest.raises(UsageError):
            Reader(vin_model, **options).read_cells(cells_of(VIN))


def test_the_register_reaches_the_decoder(vin_model):
    known = Register.of([VIN[:11] + f"{number:06}" for number in range(40)])
    plain, own = Reader(vin_model), Reader(vin_model, register=known)
    assert len(own.decoder.parts) > len(plain.decoder.parts)
    assert own.read_cells(cells_of(VIN)).vin == VIN


def test_the_decoder_is_made_once_and_only_for_vins(vin_model):
    reader = Reader(vin_model, market="moon")  # a decoder cannot be made of this
    assert reader.classify([draw("A")])[0].char == "A"
    reader = Reader(vin_model)
    reader.read_cells(cells_of(VIN))
    assert reader.decoder is reader.decoder


@pytest.mark.parametrize("said", [None, "null", '{"slope": 0.5, "offset": -1, "exact": 0.9}'])
def test_confidence_is_calibrated_as_the_model_says(tmp_path, said):
    metadata = METADATA if said is None else METADATA | {"vins": said}
    decoder = Reader(write_model(tmp_path / "model.onnx", metadata)).decoder
    assert decoder.calibration == (Calibration(0.5, -1.0) if said and "slope" in said else Calibration())


@pytest.mark.parametrize(
    "said", ["", "{}", "[]", '{"slope": "x", "offset": 1}', '{"slope": 1, "offset": 0, "class_shares": [1]}']
)
def test_a_calibration_that_makes_no_sense(tmp_path, said):
    reader = Reader(write_model(tmp_path / "model.onnx", METADATA | {"vins": said}))
    with pytest.raises(ModelError, match="vins"):
        reader.read_cells(cells_of(VIN))


def test_folders_are_read_in_order_with_failures_in_their_place(vin_model, tmp_path):
    vins = ["".join(CHARSET[(7 * number + place) % 33] for place in range(17)) for number in range(6)]
    good = [write_folder(tmp_path / f"{number}", vin) for number, vin in enumerate(vins)]
    folders = [good[number % len(good)] for number in range(VINS_AT_ONCE + 9)]
    (tmp_path / "empty").mkdir()
    places = (0, 5, VINS_AT_ONCE, len(folders) - 1)
    for place in places:
        folders[place] = str(tmp_path / ("empty" if place else "none"))
    results = list(Reader(vin_model).read_cell_folders(folders))
    assert [result.file for result in results] == folders
    assert [number for number, result in enumerate(results) if isinstance(result, Unreadable)] == list(places)
    assert str(results[0].error).startswith("no such directory")
    assert str(results[5].error).startswith("0 pictures, not 17")
    for number, result in enumerate(results):
        if isinstance(result, VinReading):
            assert result.raw == vins[number % len(vins)]
    alone = Reader(vin_model).read_cells(cells_of(vins[1]))
    together = results[1]
    assert together.vin == alone.vin
    assert together.confidence == pytest.approx(alone.confidence, abs=1e-4)


def test_pictures_are_taken_in_natural_order(vin_model, tmp_path):
    folder = write_folder(tmp_path / "a", VIN)  # 0.png to 16.png: 10.png is the eleventh
    (reading,) = Reader(vin_model).read_cell_folders([folder])
    assert reading.vin == VIN


def test_folders_are_taken_as_they_are_needed(vin_model, tmp_path):
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield str(tmp_path)

    results = Reader(vin_model).read_cell_folders(endless())
    for _ in range(10):
        next(results)
    results.close()
    assert taken <= VINS_AT_ONCE * (2 * (os.cpu_count() or 1) + 2)


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


def test_the_command_line_is_light_and_characters_need_no_facts_about_vins(reader, tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), draw("A"))
    code = (
        "import sys, vinscribe.cli; vinscribe.cli._build_parser()\n"
        "assert not {'cv2', 'onnxruntime', 'vininfo', 'vinscribe.decode'} & set(sys.modules)\n"
        "assert vinscribe.cli.inference_main(sys.argv[1:]) == 0\n"
        "assert 'cv2' in sys.modules\n"
        "facts = {'vininfo', *map('vinscribe.'.__add__, ('decode', 'priors', 'knowledge', 'register', 'expected'))}\n"
        "assert not facts & set(sys.modules)"
    )
    arguments = [str(tmp_path), "--model", str(reader.classifier.path)]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True)


def test_importing_the_package_is_light():
    code = "import sys, vinscribe; assert not {'cv2', 'numpy', 'onnxruntime'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_public_names():
    import vinscribe

    assert vinscribe.Reader is Reader
    assert vinscribe.CharacterReading is CharacterReading
    assert vinscribe.VinReading is VinReading
    assert all(hasattr(vinscribe, name) for name in vinscribe.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        _ = vinscribe.nothing
