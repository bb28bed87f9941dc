"""Training with an office's own cells: they are learned, a tenth is kept out, runs without them stay as they were."""

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from emnist_archive import glyphs, write_archive
from numpy.typing import NDArray

from vinscribe.cells import normalise
from vinscribe.charset import CHARSET, ILLEGIBLE, NUM_CLASSES, label_of
from vinscribe.errors import ImageError, TrainingError, UsageError
from vinscribe.images import read_grey
from vinscribe.training import fit as fit_module
from vinscribe.training import runs
from vinscribe.training.augment import AugmentSettings
from vinscribe.training.batches import Data, RenderedBatches, Shares, drawn_shares, make_sources
from vinscribe.training.commands import train_main
from vinscribe.training.dataset import Split
from vinscribe.training.extra import CellSet, ExtraCells, measure_present, read_extra
from vinscribe.training.fit import FitSettings, fit
from vinscribe.training.validation import Validation, logits_of, validation_parts

SEVEN = label_of("7")


@pytest.fixture(autouse=True, scope="module")
def in_one_process() -> Iterator[None]:
    """Starting the rendering process takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit_module, "WORKERS", 0)
        yield


def boxed(kind: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A cell (48, 40) as an office scans it: a box, and in it a triangle, a full grid, or nothing but grain."""
    cell = np.full((48, 40), 215, np.uint8)
    cv2.rectangle(cell, (1, 1), (38, 46), 150, 1)
    x, y = (int(v) for v in rng.integers(8, 13, 2))
    if kind == "triangle":
        cv2.polylines(cell, [np.array([[x, y + 24], [x + 9, y], [x + 19, y + 24]])], True, 40, 2, cv2.LINE_AA)
    elif kind == "grid":
        for at in range(0, 25, 5):
            cv2.line(cell, (x, y + at), (x + 20, y + at), 40, 2)
            cv2.line(cell, (x + at - at // 5, y), (x + at - at // 5, y + 24), 40, 2)
    return np.asarray(cell - rng.integers(0, 6, cell.shape), np.uint8)


def write_folder(path: Path, rows: list[tuple[str, str]], seed: int = 0) -> Path:
    """A labelled folder of drawn cells; rows of kind and label."""
    rng = np.random.default_rng(seed)
    (path / "cells").mkdir(parents=True)
    lines = ["file,label,card"]
    for number, (kind, label) in enumerate(rows):
        cv2.imwrite(str(path / f"cells/{number:03d}.png"), boxed(kind, rng))
        lines.append(f"cells/{number:03d}.png,{label},1")
    (path / "labels.csv").write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Writes its 7 as a triangle; a grid is struck out."""
    rows = [("triangle", "7")] * 60 + [("grid", "")] * 30 + [("triangle", "?")] * 3
    return write_folder(tmp_path_factory.mktemp("office") / "cells", rows)


@pytest.fixture(scope="module")
def extra(office: Path) -> ExtraCells:
    return read_extra([office], 40)


def printed(copies: int, seed: int) -> Split:
    text = CHARSET * copies
    return Split(glyphs(text, seed), np.array([label_of(char) for char in text], np.int64))


DATA = Data(printed(10, seed=0), printed(1, seed=1))
EASY = AugmentSettings(bare=1.0, illegible=0.0)
SMALL = FitSettings(epochs=3, samples_per_epoch=96, batch_size=32, threads=1, bfloat16=False)


# Folders


def test_what_is_read_from_a_folder(extra: ExtraCells, office: Path) -> None:
    assert len(extra.train) + len(extra.validation) == 90  # without those that nobody knows
    assert 0 < len(extra.validation) < 25
    labels = np.concatenate([extra.train.labels, extra.validation.labels])
    assert np.bincount(labels)[[SEVEN, ILLEGIBLE]].tolist() == [60, 30]
    first = normalise(read_grey(office / "cells/000.png"), 40)
    everything = np.concatenate([extra.train.cells, extra.validation.cells])
    assert any(np.array_equal(first, cell) for cell in everything)
    assert f"{len(extra.validation)} kept out; 10% of what is drawn" in extra.text()


def test_a_picture_that_was_kept_out_stays_so_when_folders_grow(
    extra: ExtraCells, office: Path, tmp_path: Path
) -> None:
    more = write_folder(tmp_path / "more", [("triangle", "7")] * 40, seed=1)
    shutil.copytree(office, tmp_path / "moved")
    for number in range(93):  # another name and another kind of file do not matter, the pixels do
        path = tmp_path / f"moved/cells/{number:03d}.png"
        cv2.imwrite(str(path.with_suffix(".bmp")), read_grey(path))
    labels = (office / "labels.csv").read_text().replace(".png", ".bmp")
    (tmp_path / "moved/labels.csv").write_text(labels)
    grown = read_extra([more, tmp_path / "moved"], 40, 0.3)
    assert grown.share == 0.3
    assert len(grown.train) + len(grown.validation) == 130
    for before, after in ((extra.train, grown.train), (extra.validation, grown.validation)):
        np.testing.assert_array_equal(after.cells[-len(before) :], before.cells)
        np.testing.assert_array_equal(after.labels[-len(before) :], before.labels)


def test_pictures_that_cannot_be_read_are_counted_and_the_first_is_named(office: Path, tmp_path: Path) -> None:
    folder = tmp_path / "office"
    shutil.copytree(office, folder)
    (folder / "cells/004.png").write_bytes(b"no picture")
    cv2.imwrite(str(folder / "cells/007.png"), np.zeros((5, 5), np.uint8))
    with pytest.raises(ImageError, match=r"2 of 90 extra cells .*first of them .*004\.png: .*label it \?"):
        read_extra([folder], 40)


def test_a_folder_that_is_kept_out_as_a_whole_is_too_small(extra: ExtraCells, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "one", [("triangle", "7")])
    for seed in range(200):  # until the only cell is one of the kept out
        rng = np.random.default_rng(seed)
        cv2.imwrite(str(folder / "cells/000.png"), boxed("triangle", rng))
        try:
            assert len(read_extra([folder], 40).validation) == 0
        except UsageError as error:
            assert "1 cells, and by their pixels all are kept out" in str(error)  # noqa: PT017
            return
    pytest.fail("no cell was kept out")


# What is drawn


def test_the_share_is_taken_from_all_other_sources_alike(extra: ExtraCells) -> None:
    plain = make_sources(DATA, 0.6, Shares(pen=0.2))
    mixed = make_sources(replace(DATA, extra=replace(extra, share=0.25)), 0.6, Shares(pen=0.2))
    assert [source.share for source in mixed] == pytest.approx([*(0.75 * source.share for source in plain), 0.25])
    shares = drawn_shares(mixed)
    assert shares.shape == (NUM_CLASSES,)
    assert shares.sum() == pytest.approx(1)
    assert shares[SEVEN] > 3 * drawn_shares(plain)[SEVEN]


def test_a_rare_class_is_drawn_more_often_than_it_stands_there_but_not_as_often_as_a_frequent_one() -> None:
    labels = np.array([SEVEN] * 100 + [ILLEGIBLE])
    cells = CellSet(np.zeros((101, 40, 40), np.uint8), labels)
    source = make_sources(replace(DATA, extra=ExtraCells(cells, cells, 0.1)), 0.6, Shares())[-1]
    weights = np.diff(source.cumulative, prepend=0)
    assert weights[:100].sum() == pytest.approx(10 * weights[100])


def test_cells_are_varied_a_little_and_never_drawn_into_another_box(extra: ExtraCells) -> None:
    one = CellSet(extra.train.cells[:1], extra.train.labels[:1])
    source = make_sources(replace(DATA, extra=ExtraCells(one, one, 0.5)), 0.6, Shares())[-1]
    settings = AugmentSettings(bare=0.0, boxed=1.0, illegible=1.0)
    batches = RenderedBatches([replace(source, share=1.0)], [(np.inf, settings)], 48, 40, seed=0)
    cells, labels = (tensor.numpy() for tensor in batches[0])
    assert (labels == SEVEN).all()  # what is rendered with these settings would be illegible
    assert len(np.unique(cells, axis=0)) == 48
    original = one.cells[0].astype(float)
    likeness = [np.corrcoef(original.ravel(), cv2.blur(cell[0], (3, 3)).ravel())[0, 1] for cell in cells]
    assert np.median(likeness) > 0.4
    ink = cells.mean((1, 2, 3)) / original.mean()
    assert 0.6 < ink.min() < 0.95
    assert 1.0 < ink.max() < 1.4


def test_they_are_one_more_part_of_validation_that_counts_with_its_share(extra: ExtraCells) -> None:
    data = replace(DATA, extra=extra)
    parts = validation_parts(data, AugmentSettings(), 40)
    assert [part.name for part in parts] == ["emnist", "cells", "extra"]
    np.testing.assert_array_equal(parts[2].cells, extra.validation.cells)
    validation = Validation(data, AugmentSettings(), 40, 0.6)
    totals = np.bincount(validation.part_of, validation.weights)
    assert totals == pytest.approx([0.45, 0.45, 0.1])
    nothing = replace(extra, validation=CellSet(extra.train.cells[:0], extra.train.labels[:0]))
    without = Validation(replace(DATA, extra=nothing), AugmentSettings(), 40, 0.6)
    assert without.names == ["emnist", "cells"]
    assert without.weights.sum() == pytest.approx(1)


# Runs


def test_an_odd_form_is_learned_beside_the_usual_one(extra: ExtraCells, tmp_path: Path) -> None:
    data = replace(DATA, extra=replace(extra, share=0.25))
    settings = replace(SMALL, epochs=6, polish=0.0, samples_per_epoch=512, pen=0.0, ema_decay=0.9, augment=EASY)
    result = fit(settings, data, tmp_path)
    read = logits_of(result.network, torch.from_numpy(extra.validation.cells)[:, None]).numpy().argmax(1)
    assert (read == extra.validation.labels).mean() > 0.9  # none of them was learned from
    assert set(read) >= {SEVEN, ILLEGIBLE}
    assert result.metrics[-1]["val_extra"] > 0.9
    usual = np.stack([normalise(image, 40) for image in DATA.validation.images])
    read = logits_of(result.network, torch.from_numpy(usual)[:, None]).numpy().argmax(1)
    assert (read == DATA.validation.labels).mean() > 0.8
    assert read[SEVEN] == SEVEN


def test_a_run_with_them_goes_on_where_it_was_broken_off(
    extra: ExtraCells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = replace(DATA, extra=extra)
    whole = fit(SMALL, data, tmp_path / "whole")
    true_step, steps = fit_module._Run._step, iter(range(4))

    def failing(*args: Any) -> Any:
        if next(steps, None) is None:
            raise KeyboardInterrupt
        return true_step(*args)

    monkeypatch.setattr(fit_module._Run, "_step", failing)
    with pytest.raises(KeyboardInterrupt):
        fit(SMALL, data, tmp_path / "broken")
    monkeypatch.setattr(fit_module._Run, "_step", true_step)
    resumed = fit(SMALL, data, tmp_path / "broken")
    assert resumed.metrics == whole.metrics
    states = [result.network.state_dict().values() for result in (whole, resumed)]
    assert all(torch.equal(*pair) for pair in zip(*states, strict=True))
    for other in (None, replace(extra, share=0.2), replace(extra, train=extra.validation)):
        with pytest.raises(TrainingError, match="other settings or data"):
            fit(SMALL, replace(data, extra=other), tmp_path / "whole")


def test_without_them_a_run_is_what_it_was(tmp_path: Path) -> None:
    """A finished run, the released one above all, must be known again: these are the only things that tell it."""
    fit(replace(SMALL, epochs=1, augment=EASY), DATA, tmp_path)
    identity = json.loads((tmp_path / "settings.json").read_text())
    assert list(identity) == ["settings", "train_images", "data"]
    assert identity["data"] == hashlib.sha256(DATA.train.images.tobytes() + DATA.train.labels.tobytes()).hexdigest()
    assert not any("extra" in name for name in identity["settings"])
    parts = {part.name for part in validation_parts(DATA, AugmentSettings(), 40)}
    assert parts == {"emnist", "cells"}
    assert sum(source.share for source in make_sources(DATA, 0.6, Shares(0.22, 0.22))) == 1


# The command


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_archive(tmp_path_factory.mktemp("emnist") / "gzip.zip", per_class=20)


def test_the_command_reports_on_them_before_and_after(
    office: Path,
    archive: Path,
    extra: ExtraCells,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    records: list[dict[str, Any]] = []
    monkeypatch.setattr(runs, "export_model", lambda _, temperature, record, out, rows: records.append(record))
    monkeypatch.setattr(runs, "calibrate_vins", lambda *_, **__: None)
    monkeypatch.chdir(tmp_path)
    options = ["--emnist", str(archive), "--quick", "--epochs", "1", "--batch-size", "64"]
    assert train_main([*options, "--extra-cells", str(office), "--extra-share", "0.2"]) == 0
    out, err = capsys.readouterr()
    lines = [line for line in out.splitlines() if line.startswith("validation (extra")]
    assert lines[0].startswith("validation (extra): ")
    assert lines[1].startswith("validation (extra, before): ")
    assert lines[1].endswith("model.onnx as it was)")
    assert f"{len(extra.train)} to learn from" in err
    assert records[0]["training"]["extra_cells"] == replace(extra, share=0.2).record()
    run = tmp_path / "runs/vinscribe-vin-seed0-quick-extra"  # never the folder of a run without
    assert json.loads((run / "settings.json").read_text())["extra"] == replace(extra, share=0.2).record()
    # Other cells are other data: said, not trained over.
    assert train_main([*options, "--extra-cells", str(office)]) == 1
    assert "other settings or data" in capsys.readouterr().err


def test_the_present_model_is_measured_on_legible_cells_alone(extra: ExtraCells) -> None:
    legible = extra.validation.labels != ILLEGIBLE
    present = measure_present(extra.validation)
    assert present is not None
    assert present[1].num_images == legible.sum() < len(legible)
    none = CellSet(extra.validation.cells[~legible], extra.validation.labels[~legible])
    assert measure_present(none) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--extra-cells", "none"], "no such folder: none"),
        (["--extra-cells", "{office}", "--extra-cells", "."], r"no labels\.csv"),
        (["--extra-cells", "{office}", "--extra-share", "1"], r"--extra-share 1\.0: must be greater than 0 and less"),
        (["--extra-cells", "{office}", "--extra-share", "nan"], "--extra-share nan: must be"),
        (["--extra-share", "0.2"], "--extra-share 0.2: of which cells"),
        (["--extra-cells", "{office}", "--network", "seed"], "not for --network seed"),
        (["--extra-cells", "{office}", "--release"], "not for --release"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_downloaded(
    options: list[str],
    message: str,
    office: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("vinscribe.training.commands._archive", None)
    monkeypatch.chdir(tmp_path)
    assert train_main([option.format(office=office) for option in options]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(message, error), error


def test_a_broken_picture_leaves_the_run_that_is_there(
    office: Path, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(office, tmp_path / "office")
    (tmp_path / "office/cells/004.png").write_bytes(b"no picture")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/checkpoint.pt").write_bytes(b"hours of work")
    options = ["--emnist", str(archive), "--run", str(tmp_path / "run"), "--fresh"]
    assert train_main([*options, "--extra-cells", str(tmp_path / "office")]) == 1
    assert "1 of 90 extra cells cannot be read" in capsys.readouterr().err
    assert (tmp_path / "run/checkpoint.pt").exists()
