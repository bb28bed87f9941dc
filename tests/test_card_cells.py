"""Cells of drawn cards, to learn from and to validate on."""

import numpy as np

from vinscribe.charset import CHARSET, ILLEGIBLE, NUM_CLASSES
from vinscribe.training.card_cells import CardCells, draw_cells
from vinscribe.training.hands import Hands
from vinscribe.training.unipen import StrokeSet
from vinscribe.vin import VIN_LENGTH

BAR = [np.array([[0.5, 0.0], [0.5, 1.0]], np.float32)]


def test_seventeen_cells_of_one_size_with_ink_in_each():
    cells = draw_cells("1HGCM82633A004352", None, np.random.default_rng(4), dpi=200)
    assert len(cells) == VIN_LENGTH
    assert len({cell.shape for cell in cells}) == 1
    assert all(np.ptp(cell) > 30 for cell in cells)


def test_the_same_seed_gives_the_same_cells_and_every_character_comes():
    cards = CardCells([], 40)
    cells, labels = cards.draw_many(12, 5)
    again, same = cards.draw_many(12, 5)
    np.testing.assert_array_equal(cells, again)
    np.testing.assert_array_equal(labels, same)
    assert cells.shape == (12 * VIN_LENGTH, 40, 40)
    assert cells.dtype == np.uint8
    written = labels[labels != ILLEGIBLE]
    assert len(set(written.tolist())) > 0.9 * NUM_CLASSES


def test_hands_write_and_hands_that_lack_a_character_do_not():
    labels = np.arange(NUM_CLASSES)
    complete = Hands(StrokeSet([BAR] * NUM_CLASSES, labels, np.array(["a"] * NUM_CLASSES)))
    partial = Hands(StrokeSet([BAR] * 3, labels[:3], np.array(["a"] * 3)))
    own, bars, fallen_back = (CardCells(hands, 40).draw_many(6, 8)[0] for hands in ([], [complete], [partial]))
    np.testing.assert_array_equal(own, fallen_back)
    assert not np.array_equal(own, bars)
    text = "".join(CHARSET[label] for label in range(VIN_LENGTH))
    upright = draw_cells(text, complete.choose(text, np.random.default_rng(0)), np.random.default_rng(1))
    assert len(upright) == VIN_LENGTH


def hands_of(part: list[np.ndarray], writer: str) -> Hands:
    return Hands(StrokeSet([part] * NUM_CLASSES, np.arange(NUM_CLASSES), np.array([writer] * NUM_CLASSES)))


def test_the_first_hands_write_most_and_all_of_them_write():
    collections = [hands_of(BAR, name) for name in "abc"]
    cards, rng, chosen = CardCells(collections, 40), np.random.default_rng(0), []
    for number, hands in enumerate(collections):
        hands.choose = lambda text, rng, number=number: chosen.append(number)
    for _ in range(3000):
        cards._choose("1HGCM82633A004352", rng)
    shares = np.bincount(chosen, minlength=3) / len(chosen)
    np.testing.assert_allclose(shares, [0.7, 0.15, 0.15], atol=0.03)


def test_hands_that_lack_a_character_are_passed_over():
    labels = np.arange(NUM_CLASSES)
    partial = Hands(StrokeSet([BAR] * 3, labels[:3], np.array(["a"] * 3)))
    one, same = (
        CardCells(hands, 40).draw_many(4, 8)[0] for hands in ([partial, hands_of(BAR, "a")], [hands_of(BAR, "a")])
    )
    np.testing.assert_array_equal(one, same)
