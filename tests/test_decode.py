"""Decoding: what is written comes out, rules only tip the balance, and confidence says what is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vinscribe.charset import CHARSET, NUM_CLASSES, label_of
from vinscribe.decode import Calibration, Decoder
from vinscribe.errors import ModelError, UsageError
from vinscribe.expected import ExpectedVins
from vinscribe.knowledge import Knowledge
from vinscribe.priors import MARKETS
from vinscribe.vin import CHECK_POSITION, VIN_LENGTH, check_digit

VALID = "1HGCM82633A004352"
FAILING = ("XTAGFK330JY144213", "VF1LM1B0H36666155", "W0LPC6DB3CC123456", "6FPAAAJGAT4Z00001")
"""Real VINs of makers who write no check digit."""

NOTHING = Knowledge.empty()
"""For tests of the rules alone: knowledge of vehicles settles most doubts about a well-known model."""

vins = st.text(CHARSET, min_size=VIN_LENGTH, max_size=VIN_LENGTH)


def ink_of(vin, sure=1.0, doubts=()):
    """Probabilities (1, 17, 33) of a clear VIN; ``doubts`` are (position from 1, other character, its probability)."""
    probs = np.full((1, VIN_LENGTH, NUM_CLASSES), (1 - sure) / (NUM_CLASSES - 1))
    probs[0, np.arange(VIN_LENGTH), [label_of(char) for char in vin]] = sure
    for position, other, probability in doubts:
        probs[0, position - 1, label_of(vin[position - 1])] -= probability
        probs[0, position - 1, label_of(other)] += probability
    return probs


def read(probs, legible=None, **options):
    legible = np.ones(probs.shape[:2]) if legible is None else legible
    return Decoder(**options).readings(probs, legible)[0]


@given(vins, st.sampled_from(list(MARKETS)))
@settings(max_examples=200, deadline=None)
def test_clear_ink_comes_out_as_written(vin, market):
    reading = read(ink_of(vin), market=market)
    assert reading.vin == reading.raw == vin
    assert not reading.changes


@pytest.mark.parametrize("market", list(MARKETS))
@pytest.mark.parametrize("vin", FAILING)
def test_real_vins_that_fail_the_check_come_out_as_written(vin, market):
    reading = read(ink_of(vin, 0.9995), market=market)
    assert (reading.vin, reading.check_digit) == (vin, "invalid")
    if market != "north-america":
        assert reading.confidence > 0.9


def test_a_clear_valid_vin_is_accepted():
    reading = read(ink_of(VALID, 0.9999))
    assert (reading.vin, reading.decision, reading.reason, reading.check_digit) == (VALID, "accept", None, "valid")
    assert reading.confidence > 0.999


def test_the_check_digit_settles_a_doubt():
    written = VALID.replace("004352", "004S52")  # ink says S, a little
    reading = read(ink_of(written, 0.9999, [(15, "3", 0.4)]))
    assert (reading.raw, reading.vin) == (written, VALID)
    assert reading.changes == ("character 15: 3 instead of S, by the check digit",)


def test_a_clear_character_is_never_rewritten():
    wrong = VALID[:-1] + "3"  # fails the check
    reading = read(ink_of(wrong, 0.9995), market="north-america")
    assert (reading.vin, reading.decision) == (wrong, "review")
    assert "check digit 3, 5 expected" in reading.reason
    assert reading.confidence < 0.9


def test_same_check_value_is_left_to_the_ink():
    reading = read(ink_of(VALID, 0.9999, [(5, "D", 0.3)]), knowledge=NOTHING)  # M and D both count 4
    assert reading.vin == VALID
    assert 0.6 < reading.confidence < 0.8
    assert reading.decision == "review"
    assert reading.reason.startswith("character 5: M or D")
    assert reading.cells[4].confidence == pytest.approx(reading.confidence, abs=0.01)


def test_an_even_cell_is_filled_in_by_the_check_digit_and_reviewed():
    probs = ink_of(VALID, 0.9999)
    probs[0, 12] = 1 / NUM_CLASSES
    reading = read(probs)
    assert check_digit(reading.vin) == reading.vin[CHECK_POSITION]
    assert reading.vin == VALID  # 0 is the only digit of its check value
    assert reading.decision == "review"
    alone = read(probs, check_digit=False)
    assert alone.confidence < 0.2


def test_a_cell_without_a_legible_character_goes_to_review():
    legible = np.ones((1, VIN_LENGTH))
    legible[0, [3, 8]] = 0.2, 0.49
    reading = read(ink_of(VALID), legible)
    assert (reading.decision, reading.reason) == ("review", "no clearly legible character in cells 4, 9")
    assert reading.vin == VALID  # of an illegible cell the best guess is kept
    assert reading.cells[3].legible_probability == pytest.approx(0.2)
    assert read(ink_of(VALID), legible, threshold=0.0).decision == "review"
    hardly = np.full((1, VIN_LENGTH), 0.99)  # no cell is doubtful: the ink decides
    assert read(ink_of(VALID), hardly).decision == "accept"


def test_a_blank_cell_says_nothing_whatever_it_was_read_as():
    legible = np.ones((1, VIN_LENGTH))
    legible[0, 12] = 0.0
    written = VALID[:12] + "7" + VALID[13:]
    probs = ink_of(written, 0.9999)
    reading = read(probs, legible)
    assert (reading.vin, reading.decision) == (VALID, "review")  # the check digit tells what is missing
    even = ink_of(VALID, 0.9999)
    even[0, 12] = 1 / NUM_CLASSES
    assert reading.confidence == pytest.approx(read(even).confidence, abs=1e-6)
    listed = read(probs, legible, expected=ExpectedVins.of([VALID]))
    assert (listed.vin, listed.decision) == (VALID, "review")
    assert listed.confidence > reading.confidence


@given(st.integers(0, 2**32), st.sampled_from([0.02, 0.1, 1.0]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_probabilities_add_up(seed, spread, check):
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.full(NUM_CLASSES, spread), (3, VIN_LENGTH))
    decoded = Decoder(check_digit=check).decode(probs)
    assert (decoded.candidate_probs >= 0).all()
    assert (np.diff(decoded.candidate_probs, axis=1) <= 1e-12).all()
    assert (decoded.candidate_probs.sum(1) <= 1 + 1e-9).all()
    assert ((decoded.char_confidence >= decoded.confidence[:, None] - 1e-9) & (decoded.char_confidence <= 1)).all()
    np.testing.assert_allclose(decoded.confidence, decoded.candidate_probs[:, 0])
    np.testing.assert_array_equal(decoded.best, decoded.candidates[:, 0])


def test_many_at_once_are_read_like_one():
    rng = np.random.default_rng(1)
    probs = rng.dirichlet(np.full(NUM_CLASSES, 0.03), (150, VIN_LENGTH))
    together = Decoder().decode(probs)
    for row in (0, 63, 64, 149):
        alone = Decoder().decode(probs[row : row + 1])
        np.testing.assert_array_equal(alone.best[0], together.best[row])
        assert alone.confidence[0] == pytest.approx(together.confidence[row])


def test_no_vins_at_all():
    decoded = Decoder().decode(np.zeros((0, VIN_LENGTH, NUM_CLASSES)))
    assert decoded.best.shape == (0, VIN_LENGTH)
    assert decoded.accept.shape == (0,)


class TestExpected:
    def test_settles_what_the_check_digit_cannot(self):
        ink = ink_of(VALID, 0.9999, [(5, "D", 0.6)])
        assert read(ink, knowledge=NOTHING).vin != VALID
        reading = read(ink, knowledge=NOTHING, expected=ExpectedVins.of([VALID, "WVWZZZ1JZXW000001"]))
        assert (reading.vin, reading.decision) == (VALID, "accept")
        assert reading.changes == ("character 5: M instead of D, by a VIN that is expected",)

    def test_an_unlisted_vin_comes_out_as_written(self):
        reading = read(ink_of(VALID, 0.999999), expected=ExpectedVins.of(["WVWZZZ1JZXW000001"]))
        assert (reading.vin, reading.decision) == (VALID, "accept")

    def test_a_clear_character_is_not_bent_towards_the_list(self):
        other = VALID.replace("M", "D")  # of the same check value
        ink = ink_of(VALID, 0.9995)
        reading = read(ink, knowledge=NOTHING, expected=ExpectedVins.of([other]))
        assert (reading.vin, reading.decision) == (VALID, "review")
        assert reading.confidence < read(ink, knowledge=NOTHING).confidence
        assert read(ink, expected=ExpectedVins.of([other])).vin == VALID

    def test_probabilities_equal_brute_force_over_the_list(self):
        """Where nothing is listed but what is a candidate anyway, the weights follow from the scores alone."""
        ink = ink_of(VALID, 0.9999, [(5, "D", 0.3), (16, "S", 0.2)])
        plain = Decoder(knowledge=NOTHING).decode(ink)
        strings = ["".join(CHARSET[label] for label in labels) for labels in plain.candidates[0]]
        worth = 9 * 17 * 32  # one in ten is not on the list and differs in one of 17 x 32 ways
        expected = plain.candidate_probs[0].copy()
        expected[[1, 3]] *= 1 + worth
        expected /= 1 + plain.candidate_probs[0][[1, 3]].sum() * worth
        listed = Decoder(knowledge=NOTHING, expected=ExpectedVins.of([strings[1], strings[3]])).decode(ink)
        np.testing.assert_allclose(np.sort(listed.candidate_probs[0])[-2:], np.sort(expected)[-2:], rtol=1e-6)
        assert listed.listed[0]


def test_calibration_keeps_the_order_and_the_sum():
    probs = np.random.default_rng(2).dirichlet(np.full(NUM_CLASSES, 0.02), (20, VIN_LENGTH))
    plain = Decoder().decode(probs)
    calibrated = Decoder(calibration=Calibration(slope=0.5, offset=-1)).decode(probs)
    np.testing.assert_array_equal(plain.best, calibrated.best)
    assert (np.argsort(plain.confidence) == np.argsort(calibrated.confidence)).all()
    assert (calibrated.candidate_probs.sum(1) <= 1 + 1e-9).all()
    sure = Decoder(calibration=Calibration(0.5, -1)).decode(ink_of(VALID)).confidence
    assert sure < Decoder().decode(ink_of(VALID)).confidence


def test_what_the_model_met_often_is_not_what_is_written_often():
    shares = np.full(NUM_CLASSES, 1 / (NUM_CLASSES + 8))
    shares[label_of("5")] *= 9  # nine fives for each S
    ink = ink_of(VALID, 0.9999)
    ink[0, 4] = 0
    ink[0, 4, [label_of("5"), label_of("S")]] = 0.6, 0.4
    assert read(ink, check_digit=False, knowledge=NOTHING).vin[4] == "5"
    reading = read(ink, check_digit=False, knowledge=NOTHING, calibration=Calibration(class_shares=tuple(shares)))
    assert reading.raw[4] == "5"  # by itself
    assert reading.vin[4] == "S"
    even = Calibration(class_shares=(1 / NUM_CLASSES,) * NUM_CLASSES).likelihoods(ink)
    np.testing.assert_allclose(even, ink)


@pytest.mark.parametrize("options", [{"market": "moon"}, {"threshold": 1.1}, {"threshold": -0.1}])
def test_bad_options_are_usage_errors(options):
    with pytest.raises(UsageError, match=r"moon|threshold"):
        Decoder(**options)


def test_choices_are_what_the_ink_of_each_cell_says():
    probs = np.full((1, VIN_LENGTH, 33), 0.0001 / 32)
    vin = "1HGCM82633A004352"
    for position, char in enumerate(vin):
        probs[0, position, CHARSET.index(char)] = 0.9999
    probs[0, 5] = 0.02 / 29  # under a thousandth each
    for char, probability in (("B", 0.5), ("8", 0.4), ("6", 0.05), ("3", 0.03)):
        probs[0, 5, CHARSET.index(char)] = probability
    (reading,) = Decoder().readings(probs, np.ones((1, VIN_LENGTH)))
    assert [char for char, _ in reading.cells[5].choices] == ["B", "8", "6"]
    assert [probability for _, probability in reading.cells[5].choices] == pytest.approx([0.5, 0.4, 0.05])
    assert [char for char, _ in reading.cells[0].choices] == ["1"]
    assert reading.cells[5].char == "8"  # the check digit says so


def test_knowledge_of_vehicles_settles_what_the_rules_leave_open():
    ink = ink_of(VALID, 0.9999, [(5, "D", 0.6)])  # M and D both count 4, but no Accord of 2003 is a CD826
    assert read(ink, knowledge=NOTHING).vin != VALID
    reading = read(ink)
    assert (reading.vin, reading.decision) == (VALID, "accept")
    assert reading.changes == ("character 5: M instead of D, by what is usual there",)


def test_a_model_that_nobody_lists_comes_out_as_written():
    odd = VALID.replace("CM826", "CZZF7")
    reading = read(ink_of(odd, 0.9995))
    assert reading.vin == odd
    assert reading.decision == "review"


def test_confidence_is_calibrated_apart_without_a_check_digit():
    calibration = Calibration(1.0, 0.0, free_slope=1.0, free_offset=-3.0)
    for vin, lower in ((VALID, False), ("XTAGFK330JY144213", True)):
        plain, apart = (read(ink_of(vin, 0.9995), calibration=c).confidence for c in (Calibration(), calibration))
        assert (apart < plain - 0.001) == lower


def test_the_floor_is_what_no_cell_is_surer_than():
    probs = ink_of(VALID)
    for floor in (1e-3, 1e-5):
        ink = Calibration(floor=floor).ink(probs, np.ones((1, VIN_LENGTH)))
        assert ink.min() == pytest.approx(floor / NUM_CLASSES)
        np.testing.assert_allclose(ink.sum(2), 1)
    with pytest.raises(ModelError, match="vins"):
        Calibration.of({"vins": '{"slope": 1, "offset": 0, "floor": -1}'})
