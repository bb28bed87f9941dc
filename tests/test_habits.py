"""An office's register: what is usual there becomes likely, and nothing else becomes impossible."""

import numpy as np
import pytest

from vinscribe.beliefs import market_parts
from vinscribe.charset import CHARSET, NUM_CLASSES, label_of
from vinscribe.decode import Decoder
from vinscribe.knowledge import released
from vinscribe.register import Register
from vinscribe.vin import CHECK_POSITION, check_digit


def with_check(vin):
    return vin[:CHECK_POSITION] + check_digit(vin) + vin[CHECK_POSITION + 1 :]


VANS = [with_check(f"1FTYE1YM0JKA{number:05d}") for number in range(400)]
"""One fleet: vans with a check digit."""

LADAS = [f"XTAGFK330JY1{number:05d}" for number in range(400)]
"""Another: cars without one, of a maker whom vPIC does not know."""


def bits(register, *vins):
    labels = np.array([[label_of(char) for char in vin] for vin in vins])
    return -np.log2(market_parts("any", released(), register).prior(labels)[0])


def blurred(vin, doubts, sure=0.9995):
    """Probabilities (1, 17, 33) of ink: clear but for doubts, position from 1 -> other character."""
    probs = np.full((1, 17, NUM_CLASSES), (1 - sure) / (NUM_CLASSES - 1))
    for position, char in enumerate(vin):
        probs[0, position, label_of(char)] = sure
    for position, other in doubts.items():
        probs[0, position - 1, label_of(vin[position - 1])] = probs[0, position - 1, label_of(other)] = sure / 2
    return probs


def read(probs, register=None):
    return Decoder(register=register).readings(probs, np.ones((1, 17)))[0]


@pytest.mark.parametrize("fleet", [VANS, LADAS], ids=["vans", "ladas"])
def test_a_new_vehicle_of_the_fleet_becomes_likely(fleet):
    register = Register.of(fleet)
    new = with_check(VANS[0][:-5] + "98765") if fleet is VANS else LADAS[0][:-5] + "98765"
    assert bits(register, new)[0] < bits(None, new)[0] - 8


def test_serial_numbers_are_not_remembered():
    register = Register.of(VANS)
    known, new = bits(register, VANS[17], with_check(VANS[17][:-5] + "98765"))
    assert known == pytest.approx(new)


@pytest.mark.parametrize(("fleet", "other"), [(VANS, LADAS[3]), (LADAS, VANS[3])], ids=["vans", "ladas"])
def test_another_fleet_stays_readable(fleet, other):
    register = Register.of(fleet * 1 + [vin[:-1] + "9" for vin in fleet])
    assert bits(register, other)[0] < bits(None, other)[0] + 6
    reading = read(blurred(other, {}), register)
    assert (reading.vin, reading.confidence > 0.99) == (other, True)
    unknown = "6FPAAAJGAT4Z00001"  # nobody's
    assert read(blurred(unknown, {}, 0.99999), register).vin == unknown


def test_it_settles_what_the_ink_leaves_open():
    vin = LADAS[0][:-5] + "98765"
    doubts = {4: "6", 5: "E"}  # G or 6, F or E
    alone, beside = read(blurred(vin, doubts)), read(blurred(vin, doubts), Register.of(LADAS))
    assert beside.vin == vin
    assert beside.confidence > 0.95
    assert alone.confidence < 0.8


def test_a_makers_check_digit_habit_is_learnt():
    spoilt = [vin[:8] + ("1" if vin[8] != "1" else "2") + vin[9:] for vin in VANS]
    labels = np.array([[label_of(char) for char in VANS[0]]])
    habits = {name: market_parts("any", released(), Register.of(vins)).prior(labels)[1][0]
              for name, vins in (("written", VANS), ("not", spoilt))}  # fmt: skip
    assert habits["written"] > 0.97
    assert habits["not"] < 0.1


def test_clear_ink_against_the_register_comes_out_as_written():
    register = Register.of(VANS)
    odd = with_check("1FTYE1YM0JKA00001").replace("YE1", "YE7")
    reading = read(blurred(odd, {}), register)
    assert reading.vin == reading.raw == odd


def test_registers_are_proper_beliefs():
    for fleet in (VANS, LADAS, VANS[:1], VANS + LADAS):
        parts = market_parts("any", released(), Register.of(fleet))
        assert parts.weights.sum() == pytest.approx(1)
        np.testing.assert_allclose(parts.shares[np.unique(parts.rows)].sum(1), 1)
        assert ((parts.check_rates >= 0) & (parts.check_rates < 1)).all()
    assert CHARSET[:2] == "01"
