"""row_cells.py: rows that one hand wrote, cut out as badly as a field finder cuts them."""

from collections import Counter

import numpy as np
import pytest
from emnist_archive import glyphs

from vinscribe.charset import CHARSET, ILLEGIBLE, NUM_CLASSES
from vinscribe.training import row_cells
from vinscribe.training.augment import AugmentSettings
from vinscribe.training.dataset import Split
from vinscribe.training.row_cells import KINDS, RowCells, make_text
from vinscribe.views import NUM_VIEWS
from vinscribe.vin import VIN_LENGTH

EMNIST = Split(glyphs(CHARSET * 2, seed=4), np.tile(np.arange(NUM_CLASSES), 2))


@pytest.fixture(scope="module")
def source() -> RowCells:
    return RowCells([], EMNIST, AugmentSettings(), 40)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_row(source: RowCells, kind: str) -> None:
    row = source.draw(np.random.default_rng(3), kind)
    assert row.kind == kind
    assert row.views.shape == (VIN_LENGTH, NUM_VIEWS, 40, 40)
    assert row.views.dtype == np.uint8
    assert row.labels.shape == (VIN_LENGTH,)
    assert (row.views[:, 0].reshape(VIN_LENGTH, -1).max(1) > 100).all()
    again = source.draw(np.random.default_rng(3), kind)
    np.testing.assert_array_equal(row.views, again.views)
    np.testing.assert_array_equal(row.labels, again.labels)


def test_what_cannot_be_read_is_labelled_so(source: RowCells, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, count in (("_EMPTY", VIN_LENGTH), ("_BLANK", 1), ("_STRUCK", 1)):
        for other in ("_EMPTY", "_BLANK", "_STRUCK"):
            monkeypatch.setattr(row_cells, other, float(other == name))
        row = source.draw(np.random.default_rng(5), "strip")
        assert (row.labels == ILLEGIBLE).sum() == count


def test_texts_are_in_no_order_and_likes_meet() -> None:
    rng = np.random.default_rng(0)
    texts = [make_text(rng) for _ in range(2000)]
    assert all(len(text) == VIN_LENGTH and set(text) <= set(CHARSET) for text in texts)
    # Nothing tells where in a VIN a character stood: digits are as frequent at the start as at the end.
    digits = np.array([[char.isdigit() for char in text] for text in texts]).mean(0)
    assert digits.max() - digits.min() < 0.06
    assert set("".join(texts)) == set(CHARSET)
    repeated = np.mean([max(Counter(text).values()) >= 3 for text in texts])
    assert repeated > 0.4


def test_misplaced_rows_stay_within_a_third() -> None:
    left = np.arange(VIN_LENGTH) * 30.0
    cells = np.stack(
        [np.stack([left + x, np.full(VIN_LENGTH, y)], 1) for x, y in ((0, 0), (30, 0), (30, 40), (0, 40))], 1
    )
    rng = np.random.default_rng(1)
    moved = np.stack([row_cells._misplaced(cells, rng) - cells for _ in range(400)]) / 30
    whole_row = moved.mean((1, 2))
    assert 0.05 < np.abs(whole_row[:, 0]).mean() < 0.15
    assert np.abs(whole_row).max() < 0.45
    assert np.abs(moved - moved.mean((1, 2), keepdims=True)).max() < 0.6  # at the ends of a row whose pitch is wrong
