"""The benchmark of whole VINs: the VINs it makes, the sheets it draws, what it counts, on drawn characters."""

import csv
import gzip
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from drawn import METADATA, draw, write_model
from emnist_archive import glyphs, write_archive

from vinscribe.charset import CHARSET, ILLEGIBLE, NUM_OUTPUTS
from vinscribe.classifier import Classifier
from vinscribe.decode import Calibration
from vinscribe.errors import DataError
from vinscribe.expected import ExpectedVins
from vinscribe.training.dataset import Split
from vinscribe.training.unipen import StrokeSet, part_of
from vinscribe.vin import YEAR_CODES, has_valid_check_digit, known_wmis

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

import vin_sheets  # noqa: E402
import whole_vins  # noqa: E402
from made_vins import MadeVins, as_texts, make_register, make_vins  # noqa: E402
from vin_scores import coverage_at, score, scores_of, table, upper_bound  # noqa: E402

TEST_WRITER = next(f"hand {number}" for number in range(500) if part_of(f"hand {number}") == "test")
BAR = [np.array([[0, 0], [0.2, 1]], np.float32)]


def labels_of(*vins: str) -> np.ndarray:
    return np.array([[CHARSET.index(char) for char in vin] for vin in vins], np.int64)


def made(count: int, seed: int = 0) -> MadeVins:
    return make_vins(count, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def many() -> MadeVins:
    return made(6000)


@pytest.fixture(scope="module")
def test_split() -> Split:
    return Split(glyphs(CHARSET * 3, seed=1), np.tile(np.arange(33), 3))


# The VINs


def test_seven_in_ten_have_a_check_digit_and_the_others_only_by_chance(many: MadeVins) -> None:
    valid = np.array([has_valid_check_digit(vin) for vin in many.texts()])
    assert many.checked.mean() == pytest.approx(0.7, abs=0.02)
    assert valid[many.checked].all()
    assert 0.02 < valid[~many.checked].mean() < 1 / 11 + 0.01


def test_makers_are_of_the_regions_that_they_should_be_of(many: MadeVins) -> None:
    first = np.array([vin[0] for vin in many.texts()])
    assert set(first[many.checked]) == set("12345LJK")
    assert set(first[~many.checked]) == set("STUVWXYZMJK")
    asian = np.isin(first, ["J", "K"])
    assert 0.4 < many.checked[asian].mean() < 0.6
    known = [vin[:3] in known_wmis() or vin[:2] in known_wmis() for vin in many.texts()]
    assert np.mean(known) == pytest.approx(0.9, abs=0.015)


def test_positions_hold_what_they_should(many: MadeVins) -> None:
    vins = many.texts()
    assert all(len(vin) == 17 and vin[13:].isdigit() for vin in vins)
    european = np.array([vin[0] in "STUVWYZ" for vin in vins])
    years = np.array([vin[9] in YEAR_CODES for vin in vins])
    assert years[~european].all()
    assert 0.6 < years[european].mean() < 0.95
    filled = np.array([vin[3:6] + vin[8] == "ZZZZ" for vin in vins])
    assert not filled[~european].any()
    assert filled[european].mean() == pytest.approx(0.4, abs=0.06)
    lettered = np.mean([not vin[11:13].isdigit() for vin in vins])
    assert 0.1 < lettered < 0.4
    assert {char for vin in vins for char in vin[3:8]} == set(CHARSET)


def test_the_seed_decides() -> None:
    assert made(50, 1).texts() == made(50, 1).texts()
    assert len({*made(50, 1).texts(), *made(50, 2).texts()}) == 100
    assert made(0).texts() == []
    assert as_texts(labels_of("0189ABHJKLMNPRSYZ")) == ["0189ABHJKLMNPRSYZ"]


def test_the_register_holds_its_share_of_the_true_ones_and_a_family_of_each() -> None:
    truth = made(40)
    register = make_register(truth, 0.75, 2000, np.random.default_rng(0))
    assert register == sorted(set(register))
    assert len(register) == pytest.approx(2000 + 30, abs=10)
    vins = set(register)
    assert sum(vin in vins for vin in truth.texts()) == 30
    for vin, checked in zip(truth.texts(), truth.checked, strict=True):
        family = [other for other in register if other[:8] + other[9:13] == vin[:8] + vin[9:13]]
        assert len(family) >= 15
        assert not checked or all(map(has_valid_check_digit, family))


# The sheets


def test_the_cells_of_a_sheet_share_their_style_and_differ_in_the_rest(test_split: Split) -> None:
    boxes = vin_sheets.emnist_boxes(made(12), test_split, seed=0)
    styles = set()
    for number in range(12):
        cells = boxes.draw(number)
        assert len({cell.shape for cell in cells}) == 1
        assert 36 <= cells[0].shape[0] <= 90
        stack = np.stack(cells).astype(int)
        typical = np.median(stack, axis=0)
        # Most pixels are paper and box: the same in all cells, but for the grain.
        assert np.median(np.abs(stack - typical), axis=(1, 2)).max() < 25
        assert len({cell.tobytes() for cell in cells}) == 17
        styles.add((cells[0].shape, int(typical.mean()) // 8))
    assert len(styles) > 8


def test_the_cells_of_a_sheet_share_ink_paper_and_polarity() -> None:
    block = np.full((28, 14), 255, np.uint8)
    kept, spreads = set(), []
    for number in range(20):
        sheet = vin_sheets.new_sheet((number,))
        kept.add(sheet.jpeg_quality is None)
        cells = sheet.draw([block] * 17)
        papers = np.array([np.median(cell) for cell in cells])
        inks = [np.percentile(np.abs(cell - paper), 95) for cell, paper in zip(cells, papers, strict=True)]
        spreads.append((np.ptp(papers), np.ptp(inks)))
    # Of most sheets: on some the ground is hatched or shaded, or the block larger than the paper that is left.
    assert (np.median(spreads, axis=0) < (15, 30)).all()
    assert kept == {True, False}


def test_characters_have_one_size_but_for_a_jitter_and_a_pen_of_a_pixel_at_least() -> None:
    for number in range(60):
        sheet = vin_sheets.new_sheet((number,))
        low, high = sheet.sizes
        assert 0.45 <= low < high <= 0.85
        assert high / low < 1.23
        assert sheet.pen * high * sheet.page.height / vin_sheets.FINE >= 1
        assert sheet.page.height * high <= sheet.glyph_px <= 1.5 * sheet.page.height


def test_a_picture_hangs_on_the_seed_and_its_number_alone(test_split: Split) -> None:
    first, again = (vin_sheets.emnist_boxes(made(4), test_split, seed=0) for _ in range(2))
    first.draw(0)
    for one, other in zip(first.draw(3), again.draw(3), strict=True):
        np.testing.assert_array_equal(one, other)
    other_seed = vin_sheets.emnist_boxes(made(4), test_split, seed=1).draw(3)
    assert any(not np.array_equal(one, other) for one, other in zip(first.draw(3), other_seed, strict=True))


def test_bare_glyphs_are_those_of_the_labels(test_split: Split) -> None:
    vins = made(3)
    bare = vin_sheets.emnist_bare(vins, test_split, seed=0)
    for number, labels in enumerate(vins.labels):
        for picture, label in zip(bare.draw(number), labels, strict=True):
            own = test_split.images[test_split.labels == label]
            assert (own == picture).all((1, 2)).any()


def test_a_writer_has_all_the_characters_and_vins_are_shared_out() -> None:
    chars, digits = np.arange(33), np.arange(10)
    labels = np.concatenate([chars, chars, digits])
    writers = np.array(["ann"] * 33 + ["bob"] * 33 + ["cid"] * 10)
    strokes = StrokeSet([BAR] * len(labels), labels, writers)
    vins = MadeVins(labels_of(*["11111111111111111"] * 3, *["1HGCM82633A004352"] * 6), np.ones(9, bool))
    chosen = vin_sheets.choose_writers(vins, strokes, np.random.default_rng(0))
    assert sorted(chosen[:3]) == ["ann", "bob", "cid"]
    assert sorted(chosen[3:]) == ["ann"] * 3 + ["bob"] * 3
    with pytest.raises(DataError, match="all characters of 1HGCM82633A004352"):
        vin_sheets.choose_writers(vins, strokes.select(writers == "cid"), np.random.default_rng(0))


def test_a_vin_is_written_by_its_writer_alone_with_one_pen(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.tile(np.arange(33), 2)
    strokes = StrokeSet([[BAR[0] * (1 + row / 99)] for row in range(66)], labels, np.repeat(["ann", "bob"], 33))
    vins, drawn = made(6), []
    true = vin_sheets.draw_strokes

    def record(own: list[np.ndarray], height_px: int, pen: float, *rest: float) -> np.ndarray:
        row = next(row for row in range(66) if strokes.strokes[row] is own)
        drawn.append((str(strokes.writers[row]), int(labels[row]), height_px, pen))
        return true(own, height_px, pen, *rest)

    monkeypatch.setattr(vin_sheets, "draw_strokes", record)
    boxes = vin_sheets.unipen_boxes(vins, strokes, seed=0)
    for number in range(6):
        drawn.clear()
        assert len(boxes.draw(number)) == 17
        assert [label for _, label, _, _ in drawn] == vins.labels[number].tolist()
        assert {writer for writer, *_ in drawn} == {str(boxes.writers[number])}
        assert len({pen for *_, pen in drawn}) == 1


# What is counted


def test_coverage_is_the_largest_share_that_keeps_to_the_error_rate() -> None:
    confidence, correct = np.array([0.7, 0.9, 0.6, 0.8]), np.array([False, True, True, True])
    assert coverage_at(confidence, correct, 0) == 0.5
    assert coverage_at(confidence, correct, 0.25) == 1  # one of four, though one of three before it is more
    assert coverage_at(confidence, correct, 0.24) == 0.5
    assert coverage_at(confidence, np.zeros(4, bool), 0.5) == 0
    hundred = np.arange(1000)
    assert coverage_at(-hundred.astype(float), hundred != 0, 0.001) == 1


def test_coverage_never_parts_vins_of_one_confidence() -> None:
    assert coverage_at(np.array([0.9, 0.9, 0.8]), np.array([True, False, True]), 0) == 0
    assert coverage_at(np.array([0.9, 0.8, 0.8]), np.array([True, True, False]), 0) == pytest.approx(1 / 3)


def test_upper_bound_is_that_of_clopper_and_pearson() -> None:
    assert upper_bound(0, 3000) == pytest.approx(1 - 0.05 ** (1 / 3000))
    assert upper_bound(1, 100) == pytest.approx(0.0466, abs=1e-4)
    assert upper_bound(0, 0) == upper_bound(5, 5) == 1


def test_score_compares_whole_vins() -> None:
    truth = labels_of("11111111111111111", "1HGCM82633A004352", "XTAGFK330JY144213", "ZZZZZZZZZZZZZZZZZ")
    raw, best, structure = truth.copy(), truth.copy(), truth.copy()
    raw[:2, 5] += 1  # two VINs with a wrong character each
    best[0, 5] += 1  # one of them put right
    structure[:3, 0] = 32 - structure[:3, 0]
    decoded = SimpleNamespace(
        raw=raw, best=best, confidence=np.array([0.9, 0.8, 0.7, 0.1]), accept=np.array([True, True, True, False])
    )
    found = score(truth, SimpleNamespace(best=structure), decoded, np.array([True, True, True, False]))
    assert (found.vins, found.raw, found.structure, found.exact) == (3, 1 / 3, 0, 2 / 3)
    assert found.characters == pytest.approx(1 - 2 / 51)
    assert (found.accepted, found.num_accepted, found.num_wrong) == (1, 3, 1)
    assert found.wrong_bound == upper_bound(1, 3)
    assert found.coverage == {"0.01": 0, "0.001": 0}
    assert found.ece == pytest.approx((0.9 + 0.2 + 0.3) / 3)


def test_the_table_has_a_row_for_each_kind_of_maker() -> None:
    truth = made(20)
    decoded = SimpleNamespace(raw=truth.labels, best=truth.labels, confidence=np.ones(20), accept=np.ones(20, bool))
    found = scores_of(truth, decoded, decoded)
    assert [part.vins for part in found.values()] == [20, truth.checked.sum(), (~truth.checked).sum()]
    lines = table({"x": found}).splitlines()
    assert len(lines) == 5
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2].startswith("| x | all | 20 | 100.0 | 100.0 | 100.0 | 100.0 | 100.0 | 0 of 20 (13.91) | 100.0 |")
    assert list(scores_of(MadeVins(truth.labels, np.ones(20, bool)), decoded, decoded)) == ["all", "with a check digit"]


# The whole way


def drawn_set(vins: MadeVins) -> vin_sheets.VinSet:
    """VINs in the characters that the tests' model knows."""

    def pictures(number: int) -> list[np.ndarray]:
        return [np.pad(draw(CHARSET[label], 40), 4) for label in vins.labels[number]]  # nothing is lost when trimmed

    return vin_sheets.VinSet("drawn", "", vins, None, pictures)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_model(tmp_path_factory.mktemp("model") / "model.onnx", size=40, num_outputs=34)


def test_every_vin_gets_its_own_outputs(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_vins, "_AT_ONCE", 3)
    vins = made(7)
    outputs = whole_vins.read_cells(drawn_set(vins), Classifier(model))
    assert outputs.shape == (7, 17, NUM_OUTPUTS)
    np.testing.assert_array_equal(outputs[..., :ILLEGIBLE].argmax(2), vins.labels)


def test_what_was_read_is_kept_until_something_changes(tmp_path: Path) -> None:
    class Counting:
        size_px, calls = 40, 0

        def rows(self, cells: np.ndarray) -> np.ndarray:
            self.calls += 1
            return np.full((*cells.shape[:2], NUM_OUTPUTS), 1 / NUM_OUTPUTS + self.calls, np.float32)

    reader, one, other = Counting(), drawn_set(made(2)), drawn_set(made(2, seed=1))
    first = whole_vins.read_once(one, reader, "key", tmp_path)
    np.testing.assert_array_equal(whole_vins.read_once(one, reader, "key", tmp_path), first)
    once = reader.calls
    whole_vins.read_once(one, reader, "another key", tmp_path)
    whole_vins.read_once(other, reader, "key", tmp_path)
    assert reader.calls == 3 * once
    weights, source = tmp_path / "model", tmp_path / "source"
    keys = []
    for seed, size in ((0, 28), (1, 28), (1, 40)):
        write_model(weights, size=size)
        source.write_text("data")
        keys.append(whole_vins.making(weights, [source], seed))
    write_model(weights, metadata=METADATA | {"vins": "null"}, size=40)
    assert whole_vins.making(weights, [source], 1) == keys[-1]  # what is calibrated anew reads the same
    source.write_text("more data")
    assert len({*keys, whole_vins.making(weights, [source], 1)}) == 4


def test_clear_ink_is_read_right_and_a_register_changes_nothing() -> None:
    vins = drawn_set(made(30))
    outputs = np.full((30, 17, NUM_OUTPUTS), 1e-9, np.float32)
    np.put_along_axis(outputs, vins.truth.labels[..., None], 1, axis=2)
    register = ExpectedVins.of(make_register(vins.truth, 0.9, 400, np.random.default_rng(0)))
    found = whole_vins.measure(vins, outputs, Calibration(), register)
    for scores in (found.scores, found.expected):
        assert scores is not None
        assert {(part.raw, part.exact, part.num_wrong) for part in scores.values()} == {(1, 1, 0)}
    assert (found.num_writers, found.most_of_a_writer) == (None, None)
    assert whole_vins.measure(vins, outputs, Calibration()).expected is None


def test_the_command_reads_all_three_sets(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "unipen").mkdir()
    with gzip.open(tmp_path / "unipen" / "strokes.jsonl.gz", "wt") as file:
        file.writelines(json.dumps([[[0, 0], [row + 1, 30]]]) + "\n" for row in range(33))
    with (tmp_path / "unipen" / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("index", "label", "writer")])
        csv.writer(file).writerows((row, char, TEST_WRITER) for row, char in enumerate(CHARSET))
    (tmp_path / "emnist").mkdir()
    write_archive(tmp_path / "emnist" / "gzip.zip")
    written: list[tuple[str, str]] = []
    monkeypatch.setattr(whole_vins, "write_between", lambda path, name, text: written.append((name, text)))
    options = ["--vins", "8", "--expected", "400", "--scratch", "s", "--json", "out.json", "--model-card"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["whole_vins.py", "--shared", ".", "--model", model, *options])
    whole_vins.main()
    printed = capsys.readouterr().out
    assert written[0] == ("whole-vins", printed.rstrip("\n"))
    assert [name for name, _ in written] == ["whole-vins"] * 2  # the card and the README's few figures
    sets = json.loads((tmp_path / "out.json").read_text())["sets"]
    assert list(sets) == ["emnist bare", "emnist boxes", "unipen boxes"]
    for name, figures in sets.items():
        assert figures["scores"]["all"]["vins"] == figures["expected"]["all"]["vins"] == 8
        assert printed.count(f"| {name} | all | 8 |") == 2
    assert (sets["unipen boxes"]["num_writers"], sets["unipen boxes"]["most_of_a_writer"]) == (1, 8)
    assert len(list((tmp_path / "s").iterdir())) == 3
