"""Which cells are left open, and what is offered for them."""

import json
from dataclasses import replace

import pytest

from vinscribe.decode import Candidate, CellReading, VinReading
from vinscribe.output import vin_to_json
from vinscribe.review.doubts import choices, open_positions
from vinscribe.review.readings import from_json, shown, shown_name

VIN = "1HGCM82633A004352"


def reading(
    confidences: dict[int, float] | None = None,
    choices: dict[int, tuple[tuple[str, float], ...]] | None = None,
    legible: dict[int, float] | None = None,
    **changes: object,
) -> dict[str, object]:
    """The JSON object of a reading, every cell of it sure but for what is given."""
    cells = tuple(
        CellReading(
            char,
            (confidences or {}).get(at, 0.9999),
            (legible or {}).get(at, 1.0),
            (choices or {}).get(at, ((char, 0.9999),)),
            ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)),
        )
        for at, char in enumerate(VIN)
    )
    whole = VinReading(
        *("a.png", 1, VIN, 0.9, "review", "why", VIN, (), (Candidate(VIN, 0.9),), "valid", cells),
        ((0.0, 0.0), (17.0, 0.0), (17.0, 1.0), (0.0, 1.0)),
    )
    read: dict[str, object] = json.loads(vin_to_json(replace(whole, **changes)))  # type: ignore[arg-type]
    return read


def test_characters_below_the_limit_are_open() -> None:
    assert open_positions(reading({3: 0.98, 8: 0.5, 11: 0.995})) == [3, 8]
    assert open_positions(reading({3: 0.98, 8: 0.5, 11: 0.995}), below=0.6) == [8]


def test_cells_that_may_not_be_legible_are_open() -> None:
    assert open_positions(reading(legible={16: 0.89, 2: 0.91})) == [16]


def test_where_evidence_overruled_the_ink_it_is_open() -> None:
    assert open_positions(reading(raw=VIN[:4] + "N" + VIN[5:])) == [4]


def test_the_group_check_counts() -> None:
    doubtful = reading({3: 0.98, 8: 0.5})
    assert open_positions(doubtful, confirmed=[8]) == [3]
    assert open_positions(doubtful, odd=[0]) == [0, 3, 8]


def test_something_is_always_open() -> None:
    assert open_positions(reading({5: 0.9991, 6: 0.999})) == [6]
    assert open_positions(reading({5: 0.98}), confirmed=[5]) == [5]
    named = reading({6: 0.995}, reason="character 5: M or N; character 2: H or N; check digit 6, 5 expected")
    assert open_positions(named) == [1, 4]


def test_without_a_field_all_is_open() -> None:
    none = reading(vin=None, raw=None, cells=(), candidates=(), field=None, decision="no_field")
    assert open_positions(none) == list(range(17))


def test_choices_are_the_likely_characters_in_the_order_of_the_alphabet() -> None:
    own = reading({6: 0.6}, {6: (("B", 0.7), ("2", 0.2), ("8", 0.1))})
    assert choices(own, 6) == ["2", "8", "B"]


def test_choices_of_an_odd_cell_leave_out_what_it_is_not() -> None:
    own = reading({6: 0.6}, {6: (("2", 0.7), ("B", 0.2), ("8", 0.1))})
    assert choices(own, 6, odd=True) == ["8", "B"]


def test_an_empty_cell_has_no_choices() -> None:
    assert choices(reading({6: 0.6}, {6: (("2", 0.7), ("B", 0.2))}, {6: 0.49}), 6) == []
    assert choices(reading({6: 0.6}, {6: (("2", 0.7), ("B", 0.2))}, {6: 0.51}), 6) == ["2", "B"]


def test_choices_know_the_decoders_character_and_the_candidates() -> None:
    rival = VIN[:6] + "Z" + VIN[7:]
    overruled = reading(
        {6: 0.55}, {6: (("7", 0.9), ("1", 0.002))}, candidates=(Candidate(VIN, 0.5), Candidate(rival, 0.3))
    )
    assert choices(overruled, 6) == ["2", "7", "Z"]


def test_what_the_decoded_vins_have_comes_before_the_ink() -> None:
    ink = {6: (("2", 0.4), ("Z", 0.3), ("7", 0.2))}
    rivals = tuple(
        Candidate(VIN[:6] + char + VIN[7:], share) for char, share in (("5", 0.06), ("S", 0.04), ("S", 0.03))
    )
    doubtful = reading({6: 0.8}, ink, candidates=(Candidate(VIN, 0.8), *rivals))
    assert choices(doubtful, 6) == ["2", "5", "S"]
    assert choices(doubtful, 6, odd=True) == ["5", "S", "Z"]
    alone = reading({6: 0.8}, ink, candidates=(Candidate(VIN, 0.8), rivals[0]))
    assert choices(alone, 6) == ["2", "5", "Z"]
    improbable = Candidate(VIN[:6] + "5" + VIN[7:], 0.0001)  # no better than what the ink says
    assert choices(reading({6: 0.8}, ink, candidates=(Candidate(VIN, 0.8), improbable)), 6) == ["2", "7", "Z"]


@pytest.mark.parametrize(
    ("ink", "expected"),
    [
        ((("2", 0.99), ("Z", 0.004), ("7", 0.003)), ["2", "Z"]),  # a second one even where it is improbable
        ((("2", 0.9), ("Z", 0.09), ("7", 0.009)), ["2", "Z"]),
        ((("2", 0.999),), ["2"]),
    ],
)
def test_improbable_characters_are_no_choice(ink: tuple[tuple[str, float], ...], expected: list[str]) -> None:
    assert choices(reading({6: 0.9}, {6: ink}), 6) == expected


def test_readings_come_back_from_json() -> None:
    before = reading({3: 0.5})
    assert json.loads(vin_to_json(from_json(before))) == before
    none = reading(vin=None, raw=None, cells=(), candidates=(), field=None, decision="no_field")
    assert json.loads(vin_to_json(from_json(none))) == none


def test_names_are_shown_whatever_bytes_they_hold() -> None:
    assert shown("a\udcff/ü") == "a\\udcff/ü"
    assert shown_name("/home/a/b\udce4.png") == "b\\udce4.png"
