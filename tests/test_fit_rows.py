"""fit_rows.py: rows are drawn and seen once, the row reader learns from them and is kept only where it is better."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from emnist_archive import glyphs

from vinscribe.charset import CHARSET, NUM_CLASSES, NUM_OUTPUTS
from vinscribe.training import fit_rows as module
from vinscribe.training.augment import AugmentSettings
from vinscribe.training.batches import Data
from vinscribe.training.dataset import Split
from vinscribe.training.fit_rows import RowSettings, fit_rows
from vinscribe.training.network import EMBEDDING, fused, vinscribe_network
from vinscribe.views import NUM_VIEWS
from vinscribe.vin import VIN_LENGTH

SPLIT = Split(glyphs(CHARSET * 2, seed=4), np.tile(np.arange(NUM_CLASSES), 2))
DATA = Data(SPLIT, SPLIT)
FEW = RowSettings(rows=12, validation_rows=6, part=6, epochs=1, batch_size=4)


@pytest.fixture(scope="module")
def network() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return fused(vinscribe_network())


def test_parts_are_drawn_once(network: torch.nn.Sequential, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = fit_rows(network, DATA, AugmentSettings(), 40, tmp_path, FEW)
    assert "3 of 3 parts" in capsys.readouterr().err
    (folder,) = tmp_path.iterdir()
    parts = sorted(folder.iterdir())
    assert [path.name for path in parts] == [
        "train-seed0-000-6.npz",
        "train-seed0-001-6.npz",
        "validation-seed0-000-6.npz",
    ]
    drawn = [np.load(path)["labels"] for path in parts]
    assert not np.array_equal(drawn[0], drawn[1])
    parts[1].unlink()
    times = {path: path.stat().st_mtime_ns for path in parts if path != parts[1]}
    second = fit_rows(network, DATA, AugmentSettings(), 40, tmp_path, FEW)
    assert "1 of 1 parts" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in times} == times
    np.testing.assert_array_equal(np.load(parts[1])["labels"], drawn[1])
    assert first.together == second.together
    assert first.class_shares.shape == (NUM_CLASSES,)
    assert first.class_shares.sum() == pytest.approx(1)
    other = fused(vinscribe_network())  # other weights see other things
    fit_rows(other, DATA, AugmentSettings(), 40, tmp_path, FEW)
    assert len(list(tmp_path.iterdir())) == 2


def rows_where_hands_matter(count: int, seed: int) -> module._Seen:
    """5 and S look alike; how round a hand writes both shows in its first cell alone."""
    rng = np.random.default_rng(seed)
    labels = rng.choice([CHARSET.index("5"), CHARSET.index("S")], (count, VIN_LENGTH))
    roundness = rng.uniform(-4, 4, (count, 1, 1))
    embeddings = rng.normal(0, 0.1, (count, VIN_LENGTH, NUM_VIEWS, EMBEDDING)).astype(np.float16)
    embeddings[:, 0, :, 0] += roundness[:, 0].astype(np.float16)
    embeddings[:, :, :, 1] += (np.where(labels == CHARSET.index("S"), 1, -1)[..., None] + roundness).astype(np.float16)
    log_probs = np.full((count, VIN_LENGTH, NUM_VIEWS, NUM_OUTPUTS), -9.0, np.float32)
    log_probs[..., [CHARSET.index("5"), CHARSET.index("S")]] = np.log(0.5)
    return module._Seen(torch.from_numpy(embeddings), torch.from_numpy(log_probs), torch.from_numpy(labels))


def test_it_is_kept_where_others_of_the_row_help(
    network: torch.nn.Sequential, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = rows_where_hands_matter(1000, 0), rows_where_hands_matter(200, 1)
    monkeypatch.setattr(module, "_see_all", lambda *_: seen)
    settings = replace(FEW, epochs=6, batch_size=32)
    found = fit_rows(network, DATA, AugmentSettings(), 40, tmp_path, settings)
    assert found.reader is not None
    assert found.together.characters > 0.95
    assert found.together.rows > 0.5
    assert found.alone.characters < 0.8
    assert found.looks.log_loss > found.alone.log_loss > found.together.log_loss + 0.1


def test_it_is_dropped_where_it_does_not_help(
    network: torch.nn.Sequential, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helps, misleads = rows_where_hands_matter(600, 0), rows_where_hands_matter(200, 1)
    swapped = replace(misleads, labels=CHARSET.index("5") + CHARSET.index("S") - misleads.labels)
    monkeypatch.setattr(module, "_see_all", lambda *_: (helps, swapped))
    found = fit_rows(network, DATA, AugmentSettings(), 40, tmp_path, replace(FEW, epochs=6, batch_size=32))
    assert found.reader is None
