import argparse
import json
import subprocess
import sys
from itertools import pairwise

import cv2
import numpy as np
import pytest

from vinscribe.charset import is_vin_char
from vinscribe.errors import DataError, UsageError
from vinscribe.training import cards_command
from vinscribe.training.alphabet import ALPHABET
from vinscribe.training.card_words import COLOURS, LANGUAGES, MAKES, NAMES, STREETS
from vinscribe.training.cards import (
    CHECKED_SHARE,
    LAYOUTS,
    NEGATIVES,
    PLAIN,
    SCANS,
    draw_card,
    make_vin,
    write_cards,
)
from vinscribe.vin import YEAR_CODES, describe, has_valid_check_digit

CELL = 40


def grey(card):
    return card.image if card.image.ndim == 2 else cv2.cvtColor(card.image, cv2.COLOR_BGR2GRAY)


def straightened(card, corners=None):
    """The VIN field, each of its cells 40 px wide and 40 high in a row without gaps between."""
    cells = []
    target = np.float32([[0, 0], [CELL, 0], [CELL, CELL], [0, CELL]])
    for cell in corners or card.truth.cells:
        matrix = cv2.getPerspectiveTransform(np.float32(cell), target)
        cells.append(cv2.warpPerspective(grey(card), matrix, (CELL, CELL), flags=cv2.INTER_AREA))
    return np.array(cells, float)


def likeness(one, other):
    return np.corrcoef(one.ravel(), other.ravel())[0, 1]


def ink_in(cells):
    """How uneven each cell is within its lines."""
    return cells[:, 5:-5, 5:-5].std(axis=(1, 2))


def test_the_same_seed_gives_the_same_bytes():
    one, again, other = draw_card(5), draw_card(5), draw_card(6)
    assert one.data == again.data
    assert one.truth == again.truth
    assert one.data != other.data
    assert draw_card([5, 1]).data != one.data


@pytest.mark.parametrize("scan", SCANS)
def test_the_picture_is_what_the_file_holds(scan):
    card = draw_card(1, scan=scan, dpi=150)
    kept = cv2.imdecode(np.frombuffer(card.data, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(card.image, kept)
    assert card.data.startswith({".png": b"\x89PNG", ".jpg": b"\xff\xd8"}[card.ending])
    assert card.truth.scan == scan
    two_tones = set(np.unique(card.image)) <= {0, 255}
    assert two_tones == (scan in ("bitonal", "fax"))
    assert card.truth.dpi == (204 if scan == "fax" else 150)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_cells_are_where_the_truth_says(layout):
    for seed in range(4):
        card = draw_card(seed, layout, "clean", "empty", dpi=200)
        assert straightened(card)[:, 10:-10, 10:-10].std(axis=(1, 2)).max() < 1  # double frames have lines inside
        middles = np.array([[np.add(cell[0], cell[1]) / 2, np.add(cell[3], cell[2]) / 2] for cell in card.truth.cells])
        seams = [(one[0], other[0], other[1], one[1]) for one, other in pairwise(middles)]
        columns = straightened(card, seams)[:, 22:36].mean(axis=1)  # what is printed between two cells
        printed = np.abs(columns - np.median(columns, axis=1, keepdims=True))
        assert printed.max(axis=1).min() > 4
        centres = (printed * np.arange(CELL)).sum(axis=1) / printed.sum(axis=1)
        np.testing.assert_allclose(centres, (CELL - 1) / 2, atol=0.08 * CELL)


@pytest.mark.parametrize("scan", SCANS)
@pytest.mark.parametrize("layout", ["boxes", "comb", "groups"])
def test_the_truth_follows_the_scan(layout, scan):
    seed = 17
    plain = straightened(draw_card(seed, layout, "clean", dpi=200))
    card = draw_card(seed, layout, scan, dpi=200)
    found = straightened(card)
    least = 0.45 if scan in ("fax", "bitonal", "faint") else 0.7
    assert likeness(plain, found) > least
    assert likeness(plain, found) > likeness(plain, found[::-1, ::-1, ::-1]) + 0.2  # the same, upside down
    height, width = card.image.shape[:2]
    corners = np.array(card.truth.field)
    assert (corners > 0).all()
    assert (corners < [width, height]).all()
    np.testing.assert_allclose(card.truth.field[0], card.truth.cells[0][0])
    np.testing.assert_allclose(card.truth.field[2], card.truth.cells[16][2])


def test_a_turned_card_is_turned():
    ways = set()
    for seed in range(8):
        (left, top), (right, end), *_ = draw_card(seed, scan="turned", dpi=150).truth.field
        ways.add(round(np.degrees(np.arctan2(end - top, right - left)) / 90) % 4)
    assert ways == {1, 2, 3}


def test_a_skewed_card_is_askew_by_a_few_degrees():
    for seed in range(6):
        (left, top), (right, end), *_ = draw_card(seed, scan="skewed", dpi=150).truth.field
        assert 1.4 < abs(np.degrees(np.arctan2(end - top, right - left))) < 5.1


def test_every_cell_has_ink_on_a_card_with_a_vin():
    for seed in range(5):
        cells = straightened(draw_card(seed, "boxes", "clean", dpi=200))
        assert ink_in(cells).min() > 2


def test_cards_without_a_field():
    card = draw_card(3, negative="no_field", dpi=150)
    assert (card.truth.vin, card.truth.field, card.truth.cells) == (None, None, None)
    assert card.truth.negative == "no_field"
    words = draw_card(3, dpi=150)
    assert words.truth.vin is not None
    assert words.truth.negative is None


@pytest.mark.parametrize("seed", range(1, 5))
def test_one_cell_is_missing(seed):
    card = draw_card(seed, "boxes", "clean", "missing", dpi=200)
    assert card.truth.vin is None
    assert (ink_in(straightened(card)) < 1).sum() == 1


@pytest.mark.parametrize("seed", range(4))
def test_one_character_is_struck_out(seed):
    plain, struck = (draw_card(seed, "boxes", "clean", negative, dpi=200) for negative in (None, "struck"))
    assert struck.truth.vin is None
    change = np.abs(straightened(plain) - straightened(struck))[:, 8:-8, 8:-8].mean(axis=(1, 2))
    change -= np.median(change)  # of the paper's tone: one is scanned in colour, perhaps, the other in grey
    assert change.max() > 10
    assert np.sort(change)[-2] < 0.3 * change.max()


def test_pale_lines_stay_visible():
    for layout in ("pale", "tinted"):
        for scan in ("bitonal", "fax", "faint"):
            for seed in range(6):
                card = draw_card(seed, layout, scan, "empty", dpi=200)
                middle = np.mean(card.truth.field, axis=0)
                around = [[tuple(middle + (np.array(point) - middle) * 1.03) for point in card.truth.field]]
                assert straightened(card, around).std() > 2, (scan, seed)


def test_cards_of_one_form_are_printed_alike_at_any_resolution():
    one, two = (draw_card(seed, "boxes", "clean", "empty", dpi, form=4) for seed, dpi in ((1, 150), (2, 300)))
    assert one.truth.vin == two.truth.vin is None
    np.testing.assert_allclose(np.array(one.truth.field) / 150, np.array(two.truth.field) / 300, atol=0.01)
    other = draw_card(1, "boxes", "clean", "empty", 150, form=5)
    pages = [
        cv2.resize(grey(card), (600, 400), interpolation=cv2.INTER_AREA).astype(float) for card in (one, two, other)
    ]
    assert likeness(pages[0], pages[1]) > 0.7 > 0.4 > likeness(pages[0], pages[2])
    vins = {draw_card(seed, "boxes", "clean", form=4).truth.vin for seed in (1, 2)}
    assert len(vins) == 2


def test_a_field_without_boxes_has_nothing_between_its_characters():
    for form in range(3):
        card = draw_card(form, PLAIN, "clean", "empty", 200, form=form)
        assert straightened(card)[:, 10:-10, 10:-10].std(axis=(1, 2)).max() < 4
        left, right = (straightened(card)[:, 10:-10, side].std() for side in (np.s_[:3], np.s_[-3:]))
        assert max(left, right) < 40


def test_hands_differ():
    fields = [straightened(draw_card(seed, "boxes", "clean", dpi=200)) for seed in range(8)]
    inks = [ink_in(field).mean() for field in fields]
    heights = [(field[:, :, 8:-8] < field.max() - 60).any(axis=2).sum(axis=1).mean() for field in fields]
    assert np.ptp(inks) > 15
    assert np.ptp(heights) > 0.15 * CELL


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layout": "box"}, "unknown layout 'box'; choose from boxes,"),
        ({"scan": "xerox"}, "unknown scan 'xerox'"),
        ({"negative": "torn"}, "unknown negative 'torn'"),
        ({"dpi": 20}, "20 dpi; choose 100 to 600"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(UsageError, match=message):
        draw_card(0, **options)


def test_vins():
    rng = np.random.default_rng(0)
    vins = [make_vin(rng) for _ in range(600)]
    valid = {vin: has_valid_check_digit(vin) for vin in vins}  # raises for what is no VIN
    assert all(valid[vin] for vin in vins if vin[0] in "12345L")
    others = np.mean([valid[vin] for vin in vins if vin[0] not in "12345L"])
    assert CHECKED_SHARE - 0.05 < others < CHECKED_SHARE + 0.1
    assert 0.7 < np.mean(list(valid.values())) < 0.85
    assert len(set(vins)) == 600
    assert all(vin[9] in YEAR_CODES and vin[-4:].isdigit() for vin in vins)
    assert np.mean([describe(vin).maker is not None for vin in vins[:50]]) > 0.9


def test_what_is_written_beside_the_vin_can_be_written():
    for text in (*NAMES, *STREETS, *MAKES, *COLOURS):
        letters = [char for char in text if char not in " -"]
        assert all(char in ALPHABET or char in "IOQ" for char in letters), text
    assert len({words.title for words in LANGUAGES}) == len(LANGUAGES)
    assert all(words.vin for words in LANGUAGES)
    assert all(is_vin_char(char) for char in ALPHABET)


def truths(folder):
    return [json.loads(line) for line in (folder / "truth.jsonl").read_text(encoding="utf-8").splitlines()]


def test_a_folder_of_cards(tmp_path):
    one, more = tmp_path / "one", tmp_path / "more"
    paths = list(write_cards(one, 4, seed=2))
    list(write_cards(more, 6, seed=2))
    for path in paths:  # the same cards, and more
        assert path.read_bytes() == (more / path.name).read_bytes()
    lines = truths(one)
    assert lines == truths(more)[:4]
    assert [line["file"] for line in lines] == [path.name for path in paths]
    assert len({(line["layout"], line["scan"]) for line in truths(more)}) == 6
    for line in lines:
        assert set(line) == {"file", "vin", "negative", "layout", "scan", "dpi", "field", "cells"}
        assert (line["vin"] is None) == (line["negative"] is not None)
        if line["negative"] != "no_field":
            assert np.array(line["field"]).shape == (4, 2)
            assert np.array(line["cells"]).shape == (17, 4, 2)


def test_all_cards_of_one_kind(tmp_path):
    list(write_cards(tmp_path, 8, layout="comb", scan="faint", negatives=1))
    lines = truths(tmp_path)
    assert {(line["layout"], line["scan"]) for line in lines} == {("comb", "faint")}
    assert {line["negative"] for line in lines} <= set(NEGATIVES)
    assert len({line["negative"] for line in lines}) > 1


def test_a_folder_with_cards_is_not_written_to(tmp_path):
    list(write_cards(tmp_path, 1))
    with pytest.raises(UsageError, match="is there already; choose an empty folder"):
        list(write_cards(tmp_path, 1))


@pytest.mark.parametrize("options", [{"count": 0}, {"count": 1, "negatives": 1.5}, {"count": 1, "layout": "no"}])
def test_nothing_sensible_to_write(tmp_path, options):
    with pytest.raises(UsageError):
        list(write_cards(tmp_path / "new", **options))


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot write cards to"):
        list(write_cards(tmp_path / "file" / "cards", 1))


def test_the_command(tmp_path, capsys):
    parser = argparse.ArgumentParser()
    cards_command.register(parser.add_subparsers())
    options = ["--count", "2", "--seed", "3", "--layout", "pale", "--scan", "clean", "--negatives", "0"]
    args = parser.parse_args(["cards", str(tmp_path / "out"), *options])
    assert args.run(args) == 0
    assert [line["layout"] for line in truths(tmp_path / "out")] == ["pale", "pale"]
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"2 cards and truth.jsonl in {tmp_path / 'out'}\n"


def test_drawing_needs_no_heavy_library():
    code = (
        "import sys\n"
        "from vinscribe.training.cards import draw_card\n"
        "draw_card(0, dpi=150)\n"
        "assert not {'torch', 'keras', 'matplotlib', 'scipy', 'onnxruntime'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
