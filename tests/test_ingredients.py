"""benchmarks/ingredients.py: each training has one ingredient more than the one before it, the last one all."""

import sys
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from emnist_archive import write_archive

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

import ingredients  # noqa: E402
from ink_sets import NAMES  # noqa: E402

from vinscribe.classifier import Classifier  # noqa: E402
from vinscribe.training import fit as fit_module  # noqa: E402
from vinscribe.training.batches import Data  # noqa: E402
from vinscribe.training.dataset import Split  # noqa: E402
from vinscribe.training.fit import RECIPES  # noqa: E402
from vinscribe.training.folders import HandFolders  # noqa: E402


def test_each_adds_one_ingredient_and_the_last_is_the_releases_recipe() -> None:
    settings = [ingredients.settings_of(ingredient) for ingredient in ingredients.INGREDIENTS]
    added = []
    for before, after in pairwise(settings):
        changed = [name for name, value in asdict(after).items() if asdict(before)[name] != value]
        added.append(changed)
        assert all(asdict(before)[name] == 0 for name in changed if name != "augment")
    assert added == [["augment"], ["pen"], ["unipen"], ["pictures"], ["fonts"], ["cards"]]
    short = {"epochs": ingredients.EPOCHS, "samples_per_epoch": ingredients.SAMPLES_PER_EPOCH}
    assert settings[-1] == replace(RECIPES["vinscribe"], **short)


def test_fonts_and_scanned_characters_are_there_from_their_row_on() -> None:
    nothing = Split(np.zeros((0, 28, 28), np.uint8), np.zeros(0, np.int64))
    kinds = ("strokes", "fonts", "inked", "pictures")
    names = [f"{part}_{kind}" for part in ("train", "validation") for kind in kinds]
    data = Data(nothing, nothing, **{name: name for name in names})
    seen = []
    for ingredient in ingredients.INGREDIENTS[3:]:
        left = ingredients.learned_from(data, ingredients.settings_of(ingredient))
        seen.append([name for name in names if getattr(left, name) is not None])
    assert seen[0] == ["train_strokes", "validation_strokes"]
    assert seen[1] == ["train_strokes", "train_pictures", "validation_strokes", "validation_pictures"]
    assert seen[2] == seen[3] == names


def test_the_table_has_a_row_for_each_and_a_column_for_each_set() -> None:
    assert set(ingredients.SETS) <= set(NAMES)
    shares = [0.5] * len(ingredients.SETS)
    lines = ingredients.table({"one": shares, "+ other": shares}).splitlines()
    assert [line.count("|") for line in lines] == [len(ingredients.SETS) + 2] * 4
    assert lines[3].startswith("| + other | 50.0 | 50.0 |")


def test_a_training_leaves_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingredients, "ROOT", tmp_path)
    monkeypatch.setattr(ingredients, "EPOCHS", 1)
    monkeypatch.setattr(ingredients, "SAMPLES_PER_EPOCH", 64)
    monkeypatch.setattr(fit_module, "WORKERS", 0)
    model = ingredients.train(0, write_archive(tmp_path / "gzip.zip", per_class=10), HandFolders())
    assert model.is_relative_to(tmp_path / "runs")
    assert Classifier(model).metadata["network"] == "vinscribe"
