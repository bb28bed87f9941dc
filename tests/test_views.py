"""Two looks at a cell, and what comes of them."""

import cv2
import numpy as np
import pytest
from drawn import draw, write_model
from hypothesis import given
from hypothesis import strategies as st

from vinscribe.cells import normalise
from vinscribe.charset import CHARSET, ILLEGIBLE, NUM_OUTPUTS
from vinscribe.classifier import BATCH_SIZE, Classifier, mean_outputs
from vinscribe.errors import ImageError
from vinscribe.views import NUM_VIEWS, SMALLER, outputs_in_doubt, views, views_of_all
from vinscribe.vin import VIN_LENGTH


def boxed(side=60):
    picture = np.full((side, side), 255, np.uint8)
    cv2.rectangle(picture, (1, 1), (side - 2, side - 2), 0, 2)
    cv2.putText(picture, "A", (side // 3, 2 * side // 3), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 0, 2)
    return picture


def test_the_first_look_is_the_cell_itself():
    seen = views(boxed(), 40)
    assert seen.shape == (NUM_VIEWS, 40, 40)
    assert (seen[0] == normalise(boxed(), 40)).all()


def test_trimming_takes_the_box_away():
    whole, trimmed = views(boxed(), 40)
    assert whole[:, :3].max() > 200
    without_box = normalise(boxed()[6:-6, 6:-6], 40)
    assert (trimmed == without_box).all()


def test_a_tiny_picture_is_not_trimmed_to_nothing():
    picture = np.full((8, 8), 255, np.uint8)
    picture[1:7, 4] = 0
    assert views(picture, 40).shape == (NUM_VIEWS, 40, 40)
    with pytest.raises(ImageError, match="at least 8"):
        views(picture[:7, :7], 40)


@given(st.lists(st.lists(st.floats(0, 1), min_size=4, max_size=4), min_size=1, max_size=4))
def test_means_are_probabilities(rows):
    outputs = np.array(rows, np.float32) + np.float32(1e-6)
    outputs /= outputs.sum(axis=1, keepdims=True)
    means = mean_outputs(outputs)
    assert means.sum() == pytest.approx(1, abs=1e-5)
    assert (means >= 0).all()
    if len(rows) == 1:
        assert means == pytest.approx(outputs[0], abs=1e-5)


def test_what_one_look_rules_out_is_unlikely():
    sure, against = [0.9, 0.1], [1e-7, 1 - 1e-7]
    means = mean_outputs(np.array([sure, sure, sure, against], np.float32))
    assert means[0] == pytest.approx(0.0846, abs=0.001)  # 0.9 ** 0.75 * 1e-7 ** 0.25, against 0.1 ** 0.75 of the other


def test_of_whole_rows_a_plain_model_gives_the_means(tmp_path, monkeypatch):
    classifier = Classifier(write_model(tmp_path / "model.onnx", size=40, num_outputs=34))
    cells = views_of_all([draw(char, 40) for char in (CHARSET * 2)[: 3 * VIN_LENGTH]], 40)
    cells = cells.reshape(3, VIN_LENGTH, *cells.shape[1:])
    cells[1, 5] = 0
    sizes, outputs_of = [], classifier.outputs
    monkeypatch.setattr(classifier, "outputs", lambda part: (sizes.append(len(part)), outputs_of(part))[1])
    rows = classifier.rows(cells)
    assert rows.shape == (3, VIN_LENGTH, NUM_OUTPUTS)
    assert max(sizes) <= BATCH_SIZE
    assert sum(sizes) == 3 * VIN_LENGTH * NUM_VIEWS
    by_hand = mean_outputs(np.stack([outputs_of(own) for own in cells.reshape(-1, *cells.shape[2:])]))
    assert rows.reshape(-1, NUM_OUTPUTS) == pytest.approx(by_hand, abs=1e-6)
    assert rows[1, 5, ILLEGIBLE] > 0.99


def test_characters_in_doubt_are_looked_at_again():
    sure, unsure = np.full(NUM_OUTPUTS, 0.001, np.float32), np.full(NUM_OUTPUTS, 0.01, np.float32)
    sure[3], unsure[4] = 0.967, 0.67
    outputs = np.stack([sure, unsure, sure])
    pictures = [boxed(), boxed(50), boxed()]
    cells = np.stack([normalise(picture) for picture in pictures])
    asked = []

    def outputs_of(looks):
        asked.append(looks)
        return np.stack([np.roll(unsure, shift) for shift in (1, 1, 1)])

    found = outputs_in_doubt(outputs, pictures, cells, outputs_of)
    assert (found[[0, 2]] == outputs[[0, 2]]).all()
    assert found[1].argmax() == 5
    assert found[1] == pytest.approx(mean_outputs(np.stack([unsure, *outputs_of(None)])), abs=1e-6)
    ((trimmed, more_trimmed, smaller), _) = asked
    assert (trimmed == normalise(boxed(50)[2:-2, 2:-2])).all()
    assert (more_trimmed == normalise(boxed(50)[5:-5, 5:-5])).all()
    ink = [np.nonzero(look.max(0) > 127)[0] for look in (cells[1], smaller)]
    assert np.ptp(ink[1]) == pytest.approx(SMALLER * np.ptp(ink[0]), abs=1.5)
    assert outputs_in_doubt(outputs[[0, 2]], pictures[::2], cells[::2], None) is not None  # nothing is asked
