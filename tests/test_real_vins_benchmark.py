"""The benchmark of real VINs, on made-up VINs and drawn hands."""

import csv
import gzip
import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from drawn import write_model
from emnist_archive import write_archive

from vinscribe.charset import CHARSET, NUM_OUTPUTS
from vinscribe.classifier import Classifier
from vinscribe.decode import Calibration, Decoder
from vinscribe.knowledge import Knowledge
from vinscribe.training.hands import Hands
from vinscribe.training.real_vins import REGIONS, RealVins, part_of_vin, read_real_vins
from vinscribe.training.unipen import StrokeSet, part_of

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

import real_vin_cells  # noqa: E402
import real_vins  # noqa: E402
from made_vins import make_vins  # noqa: E402
from real_vin_cells import FIT_SETS, SETS, Cells, SetMaker, choose_vins  # noqa: E402
from real_vin_tables import ALL_SETS, GROUPS, report, summary, table  # noqa: E402

COUNT = 4
SEVENTEEN = np.arange(17)


def writers_of(part: str) -> list[str]:
    """Two names of this part of UNIPEN's writers."""
    return [name for name in (f"hand {number}" for number in range(100)) if part_of(name) == part][:2]


def write_strokes(folder: Path, writers: list[str]) -> None:
    """Every character of each writer, each a line of its own."""
    folder.mkdir()
    rows = [(char, writer) for writer in writers for char in CHARSET]
    with gzip.open(folder / "strokes.jsonl.gz", "wt") as file:
        file.writelines(json.dumps([[[0, 0], [row + 1, 30]]]) + "\n" for row in range(len(rows)))
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("index", "label", "writer"), *((n, *row) for n, row in enumerate(rows))])


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small folder of sources: 60 made-up VINs, four drawn writers of UNIPEN and two of DigiLeTs, drawn EMNIST."""
    folder = tmp_path_factory.mktemp("shared")
    write_strokes(folder / "unipen", writers_of("test") + writers_of("validation"))
    write_strokes(folder / "digilets", ["ann", "bob"])
    (folder / "emnist").mkdir()
    write_archive(folder / "emnist" / "gzip.zip")
    (folder / "vins").mkdir()
    texts = make_vins(60, np.random.default_rng(0)).texts()
    for number, region in enumerate(REGIONS):
        lines = [f"{vin},made" for vin in texts[number::3]]
        (folder / "vins" / f"{region}.csv").write_text("\n".join(["vin,source", *lines]))
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_model(tmp_path_factory.mktemp("model") / "model.onnx", size=40, num_outputs=34)


@pytest.fixture(scope="module")
def maker(shared: Path) -> SetMaker:
    return SetMaker(read_real_vins(shared / "vins"), shared, shared / "emnist" / "gzip.zip", COUNT, seed=0)


def clear(name: str, labels: np.ndarray, negative: str = "") -> Cells:
    """A set whose cells are read as they should be; regions in turn."""
    outputs = np.full((len(labels), 17, NUM_OUTPUTS), 1e-9, np.float32)
    np.put_along_axis(outputs, labels[..., None], 1, axis=2)
    texts = np.full(len(labels), "", np.str_)
    regions = np.array(REGIONS)[np.arange(len(labels)) % 3]
    return Cells(name, Path(), outputs, labels, regions, texts, np.full(len(labels), negative))


# What is drawn


def test_every_region_has_its_share_and_all_of_it_comes_before_any_again() -> None:
    labels = np.tile(np.arange(40)[:, None] % 33, 17)
    regions = np.array(["north-america"] * 30 + ["europe"] * 7 + ["elsewhere"] * 3)
    real = RealVins(labels, regions, np.full(40, "x"))
    chosen = choose_vins(real, 100, np.random.default_rng(0))
    assert Counter(chosen.regions.tolist()) == {"north-america": 70, "europe": 15, "elsewhere": 15}
    times = Counter(zip(chosen.texts(), chosen.regions.tolist(), strict=True))
    for region, fewest in {"north-america": 2, "europe": 2, "elsewhere": 5}.items():
        assert {count for (_, own), count in times.items() if own == region} <= {fewest, fewest + 1}
    assert chosen.regions[:5].tolist() != ["north-america"] * 5
    again = choose_vins(real, 100, np.random.default_rng(0))
    np.testing.assert_array_equal(chosen.labels, again.labels)
    assert len(choose_vins(real.select(regions == "europe"), 100, np.random.default_rng(0))) == 15


@pytest.mark.parametrize("name", [*SETS, *FIT_SETS])
def test_vins_and_hands_for_fitting_are_never_those_for_measuring(name: str, maker: SetMaker) -> None:
    made = maker.make(name)
    assert made.name == name
    part = "fit" if name in FIT_SETS else "measure"
    assert {part_of_vin(vin) for vin in made.truth.texts()} == {part}
    assert len(made.truth) == COUNT + 1  # shares are rounded
    if "emnist" in name:
        assert made.writers is None
    else:
        hands = ["ann", "bob"] if "digilets" in name else writers_of("validation" if part == "fit" else "test")
        assert made.writers is not None
        assert set(made.writers.tolist()) == set(hands)
    for picture in (first := made.draw(0)):
        assert picture.ndim == 2
        assert picture.dtype == np.uint8
    assert len(first) == 17
    assert all(map(np.array_equal, first, made.draw(0)))


def test_nothing_of_digilets_is_for_fitting() -> None:
    assert not any("digilets" in name for name in FIT_SETS)


@pytest.mark.parametrize("kind", ["bare", "boxes"])
def test_a_vin_is_written_by_its_writer_alone(kind: str, maker: SetMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    import vin_sheets

    strokes, drawn = maker.strokes("unipen", False), []
    true = vin_sheets.draw_strokes

    def record(own: list[np.ndarray], *rest: float) -> np.ndarray:
        row = next(row for row in range(len(strokes)) if strokes.strokes[row] is own)
        drawn.append((str(strokes.writers[row]), int(strokes.labels[row])))
        return true(own, *rest)

    monkeypatch.setattr(vin_sheets, "draw_strokes", record)
    monkeypatch.setattr(real_vin_cells, "draw_strokes", record)
    made = maker.make(f"unipen {kind}")
    made.draw(1)
    assert drawn == [(str(made.writers[1]), label) for label in made.truth.labels[1]]


def test_a_hand_of_one_writer_borrows_only_what_it_lacks() -> None:
    labels = np.concatenate([np.arange(33), np.arange(10)])
    strokes = StrokeSet(
        [[np.array([[0, 0], [0.5, row / 100]], np.float32)] for row in range(43)],
        labels,
        np.array(["ann"] * 33 + ["bob"] * 10),
    )
    write, rng = Hands(strokes).of("bob"), np.random.default_rng(0)
    rows = [round(float(write(char, rng)[0][1, 1]) * 100) for char in "09AZ"]
    assert rows == [33, 42, 10, 32]
    with pytest.raises(KeyError):
        Hands(strokes).of("cid")


def test_what_was_read_is_kept_with_all_that_belongs_to_it(maker: SetMaker, model: str, tmp_path: Path) -> None:
    reader = Classifier(model)
    key = maker.key(reader.path)
    first = maker.cells("unipen negatives", reader, key, tmp_path)
    assert first.outputs.shape == (COUNT + 1, 17, NUM_OUTPUTS)
    assert first.negatives.tolist() == ["empty", "missing", "struck", "empty", "missing"]
    with np.load(first.path) as kept:
        for name in ("outputs", "labels", "regions", "writers", "negatives"):
            np.testing.assert_array_equal(kept[name], getattr(first, name))
    written = first.path.stat().st_mtime_ns
    again = maker.cells("unipen negatives", reader, key, tmp_path)
    np.testing.assert_array_equal(again.outputs, first.outputs)
    assert again.path.stat().st_mtime_ns == written
    assert maker.cells("fit emnist bare", reader, key, tmp_path).writers.tolist() == [""] * (COUNT + 1)
    assert maker.cells("unipen negatives", reader, "another", tmp_path).path != first.path


# What is counted


def test_a_row_with_an_empty_cell_is_a_whole_vin_but_for_that() -> None:
    vins = make_vins(60, np.random.default_rng(1)).labels
    cards, bare = clear("unipen cards", vins), clear("unipen bare", vins)
    empty = clear("unipen negatives", np.full((6, 17), 33), "empty")
    struck = clear("digilets negatives", vins[:4], "struck")
    outputs, kinds = real_vins.negative_rows([cards, bare, empty, struck], seed=0)
    assert Counter(kinds.tolist()) == {"empty": 6, "struck": 4, real_vins.BLANKED: real_vins.BLANKED_COUNT}
    blanked = outputs[kinds == real_vins.BLANKED].argmax(2)
    assert ((blanked == 33).sum(1) == 1).all()
    rest = np.where(blanked == 33, -1, blanked)
    assert all(((rest[row] == vins) | (rest[row] == -1)).all(1).any() for row in range(len(rest)))
    assert (cards.outputs.argmax(2) == vins).all()  # the set itself is as it was
    assert [len(part) for part in real_vins.negative_rows([bare, cards], seed=0)] == [0, 0]


def test_clear_ink_is_read_right_and_every_group_has_its_row() -> None:
    vins = make_vins(31, np.random.default_rng(2)).labels
    missing = vins[:3].copy()
    missing[:, 5] = 33
    sets = [clear("unipen bare", vins), clear("emnist bare", vins[:8]), clear("x negatives", missing, "missing")]
    decoder = plain("none", Calibration(), [])
    found = real_vins.measure(sets, decoder, decoder, 0, {})
    assert list(found.scores) == [ALL_SETS, "unipen bare", "emnist bare"]
    assert {name: of["all"].vins for name, of in found.scores.items()} == {
        ALL_SETS: 39,
        "unipen bare": 31,
        "emnist bare": 8,
    }
    for of in found.scores.values():
        assert list(of) == list(GROUPS)
        assert of["North America"].vins + of["Europe and elsewhere"].vins == of["all"].vins
        assert {(part.characters, part.raw, part.exact, part.num_wrong) for part in of.values()} == {(1, 1, 1, 0)}
    assert found.negatives == {"missing": (0, 3)}
    assert found.correct.shape == found.confidence.shape == (39,)
    levels = {"none": found, "vPIC": found}
    lines = table(levels, "North America", list(found.scores)).splitlines()
    assert len(lines) == 2 + 6
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2].startswith("| all sets | none | 14 | 100.0 | 100.0 | 100.0 | 100.0 |")
    text = report(levels, 0, 1234, Path("docs", "x.png"))
    assert "39 times a VIN" in text
    assert "1,234 other VINs" in text
    assert "| none | 0 of 3 |" in text
    assert text.endswith("(vPIC)](docs/x.png)")
    assert "whole cards" not in text
    assert len(summary(levels).splitlines()) == 4 + 2 * 2


# The whole way


def test_a_level_knows_what_it_says(shared: Path) -> None:
    known = read_real_vins(shared / "vins").part("fit")
    cells = clear("unipen bare", known.labels[:2])
    evidence = real_vins.evidence(cells.outputs)
    confidence = {}
    for level in real_vins.LEVELS:
        decoded = real_vins.decoder_of(level, Calibration(), known.texts()).decode(*evidence)
        np.testing.assert_array_equal(decoded.best, cells.labels)
        confidence[level] = decoded.confidence.tolist()
    assert len({tuple(own) for own in confidence.values()}) == len(real_vins.LEVELS)


def plain(level: str, calibration: Calibration, known: list[str], check_digit: bool = True) -> Decoder:
    """Without any knowledge, which is fast."""
    return Decoder(calibration=calibration, check_digit=check_digit, knowledge=Knowledge.empty())


@pytest.fixture
def arguments(shared: Path, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command's arguments; a test appends its own."""
    monkeypatch.chdir(tmp_path)
    argv = ["real_vins.py", "--shared", str(shared), "--model", model, "--vins", str(COUNT), "--scratch", "s"]
    monkeypatch.setattr(sys, "argv", argv)
    return argv


def test_the_command_measures_all_sets(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written: list[tuple[str, str]] = []
    monkeypatch.setattr(real_vins, "write_between", lambda path, name, text: written.append((path.name, text)))
    monkeypatch.setattr(real_vins, "decoder_of", plain)
    arguments += ["--pages", "1", "--json", "out.json", "--diagrams", "docs", "--model-card"]
    real_vins.main()
    printed = capsys.readouterr().out
    assert written[0] == ("MODEL_CARD.md", printed.rstrip("\n"))
    assert written[1][0] == "README.md"
    assert Path("docs", real_vins.DIAGRAM).is_file()
    figures = json.loads(Path("out.json").read_text())
    assert list(figures["levels"]) == list(real_vins.LEVELS)
    for level in figures["levels"].values():
        whole = [name for name in SETS if "negatives" not in name]
        assert list(level["sets"]) == [ALL_SETS, *whole]
        assert level["sets"][ALL_SETS]["all"]["vins"] == len(whole) * (COUNT + 1)
        assert {kind: found["rows"] for kind, found in level["negatives"].items()} == {
            "empty": 4,
            "missing": 4,
            "struck": 2,
            real_vins.BLANKED: 2 * (COUNT + 1),
        }
        assert [pages["pages"] for pages in level["pages"].values()] == [1, 1]
    assert len(list(Path("s").iterdir())) == len(SETS)


def test_the_command_draws_the_sets_for_fitting_and_measures_nothing_on_them(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments.append("--fit")
    with pytest.raises(SystemExit):
        real_vins.main()
    assert "add --cells-only" in capsys.readouterr().err
    arguments += ["--cells-only", "--set", "fit unipen bare"]
    real_vins.main()
    said = capsys.readouterr()
    assert said.out == ""
    (kept,) = Path("s").iterdir()
    assert str(kept) in said.err
    arguments += ["--set", "karvy"]
    with pytest.raises(SystemExit, match="no set karvy; choose of unipen bare"):
        real_vins.main()


@pytest.mark.parametrize(
    ("name", "wrong"), [("fit unipen bare", "no set fit unipen bare"), ("unipen negatives", "no set of")]
)
def test_sets_without_whole_vins_for_measuring_are_refused(arguments: list[str], name: str, wrong: str) -> None:
    arguments += ["--set", name]
    with pytest.raises(SystemExit, match=f"--set: {wrong}"):
        real_vins.main()


def test_a_register_may_be_a_file(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    vins = make_vins(3, np.random.default_rng(5)).texts()
    Path("register.txt").write_text("\n".join(vins))
    given: list[list[str]] = []

    def decoder_of(level: str, calibration: Calibration, known: list[str], check_digit: bool = True) -> Decoder:
        given.append(sorted(known))
        return plain(level, calibration, known, check_digit)

    monkeypatch.setattr(real_vins, "decoder_of", decoder_of)
    arguments += ["--set", "emnist bare", "--register", "register.txt"]
    real_vins.main()
    assert given[0] == sorted(vins)
    arguments[-2:] = []
    real_vins.main()
    assert {part_of_vin(vin) for vin in given[-1]} == {"fit"}
    assert len(given[-1]) > 15
