"""Cards written by people who were recorded."""

import numpy as np

from vinscribe.charset import CHARSET, NUM_CLASSES, label_of
from vinscribe.training.cards import draw_card
from vinscribe.training.hands import Hands
from vinscribe.training.unipen import StrokeSet

LABELS = np.tile(np.arange(NUM_CLASSES), 2)


def stroke(row):
    return [np.array([[0.0, 0.0], [0.5, row / 100]], np.float32)]


def hands(rows):
    """Writer a has every character, b only the digits; the end of a stroke tells its row."""
    strokes = StrokeSet(
        [stroke(row) for row in rows], LABELS[rows], np.array(["ab"[row // NUM_CLASSES] for row in rows])
    )
    return Hands(strokes)


def test_a_vin_has_one_writer_as_far_as_they_wrote_its_characters():
    both = hands([*range(NUM_CLASSES), *range(NUM_CLASSES, NUM_CLASSES + 10)])
    rng = np.random.default_rng(0)
    for _ in range(20):
        write = both.choose("1HGCM82633A004352", rng)
        for char in "1HGA":
            (line,) = write(char, rng)
            assert round(line[1, 1] * 100) == label_of(char)  # writer a's


def test_what_a_writer_lacks_another_lends():
    only_digits = hands([*range(10, NUM_CLASSES), *range(NUM_CLASSES, NUM_CLASSES + 10)])
    rng = np.random.default_rng(0)
    write = only_digits.choose("0" * 17, rng)
    assert round(write("5", rng)[0][1, 1] * 100) == NUM_CLASSES + 5
    assert round(write("A", rng)[0][1, 1] * 100) == label_of("A")


def test_cards_are_written_by_the_hand():
    asked = []

    def hand(char, rng):
        asked.append(char)
        return [np.array([[0.0, 0.0], [0.4, 1.0]])]

    vin = "1HGCM82633A004352"
    written = draw_card(3, "boxes", "clean", dpi=150, vin=vin, hand=hand)
    assert written.truth.vin == vin
    assert vin in "".join(asked)
    other = draw_card(3, "boxes", "clean", dpi=150, vin=vin)
    assert written.truth.cells == other.truth.cells
    assert written.data != other.data


def test_recorded_characters_stay_in_proportion():
    tall, wide = [np.array([[0.0, 0.0], [0.0, 1.0]])], [np.array([[0.0, 0.5], [1.0, 0.5]])]
    inks = []
    for strokes in (tall, wide):
        card = draw_card(3, "boxes", "clean", dpi=200, vin=CHARSET[:17], hand=lambda char, rng, own=strokes: own)
        (left, top), _, (right, bottom), _ = card.truth.cells[8]
        cell = card.image[round(top) + 4 : round(bottom) - 4, round(left) + 4 : round(right) - 4]
        inks.append(np.argwhere(cell.min(axis=-1) < 140 if cell.ndim == 3 else cell < 140))
    (high, narrow), (low, broad) = (np.ptp(ink, axis=0) for ink in inks)
    assert high > 2 * narrow
    assert broad > 2 * low
