"""batches.py: what is drawn how often, and that a batch depends on its number and the seed alone."""

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from emnist_archive import glyphs

from vinscribe.cells import normalise_batch
from vinscribe.charset import CHARSET, ILLEGIBLE, NUM_CLASSES, label_of
from vinscribe.training import validation
from vinscribe.training.augment import AugmentSettings
from vinscribe.training.batches import (
    INKED,
    Data,
    EpochSampler,
    PlainBatches,
    RenderedBatches,
    Shares,
    class_shares,
    drawn_shares,
    make_sources,
    writer_weights,
)
from vinscribe.training.card_cells import CardCells
from vinscribe.training.dataset import Split
from vinscribe.training.fit import RECIPES
from vinscribe.training.glyphs import ImageGlyphs, PenGlyphs, StrokeGlyphs
from vinscribe.training.hand_sets import PictureSet
from vinscribe.training.unipen import StrokeSet
from vinscribe.training.validation import validation_parts


def split(text: str, seed: int = 0) -> Split:
    return Split(glyphs(text, seed), np.array([label_of(char) for char in text]))


def strokes(text: str, writers: list[str]) -> StrokeSet:
    line = [np.array([[0, 0], [0.2, 1]], np.float32)]
    return StrokeSet([line] * len(text), np.array([label_of(char) for char in text]), np.array(writers))


def pictures(text: str, writers: list[str], seed: int = 0) -> PictureSet:
    images = np.stack([cv2.resize(image, (56, 56)) for image in glyphs(text, seed)])
    return PictureSet(images, np.array([label_of(char) for char in text]), np.array(writers))


DATA = Data(split(CHARSET + "111"), split(CHARSET, 1), strokes("AAB", ["x", "x", "y"]), strokes("AB", ["z", "z"]))


def test_shares_of_the_sources() -> None:
    sources = make_sources(DATA, 0.6, Shares(0.3, 0.1))
    assert [type(source.glyphs) for source in sources] == [ImageGlyphs, StrokeGlyphs, PenGlyphs]
    assert [source.share for source in sources] == pytest.approx([0.6, 0.3, 0.1])
    without = make_sources(replace(DATA, train_strokes=None), 0.6, Shares(0.3, 0.1))
    assert [source.share for source in without] == pytest.approx([0.9, 0.1])
    assert [type(source.glyphs) for source in make_sources(DATA, 0.6, Shares())] == [ImageGlyphs]


EVERYTHING = replace(
    DATA,
    train_fonts=strokes("AB", ["f", "g"]),
    validation_fonts=strokes("ABC", ["h"] * 3),
    train_inked=pictures("ABC", ["f", "g", "g"]),
    validation_inked=pictures("AB", ["h"] * 2),
    train_pictures=pictures("0123", ["p", "p", "p", "q"]),
    validation_pictures=pictures("01", ["r", "r"]),
)


def test_shares_of_all_sources_add_up_to_one() -> None:
    sources = make_sources(EVERYTHING, 0.6, Shares(0.2, 0.1, 0.15, 0.25))
    kinds = [ImageGlyphs, StrokeGlyphs, StrokeGlyphs, ImageGlyphs, ImageGlyphs, PenGlyphs]
    assert [type(source.glyphs) for source in sources] == kinds
    expected = [0.3, 0.2, 0.15 * (1 - INKED), 0.15 * INKED, 0.25, 0.1]
    assert [source.share for source in sources] == pytest.approx(expected)
    assert [len(source.glyphs.labels) for source in sources] == [36, 3, 2, 3, 4, NUM_CLASSES]
    ours = make_sources(EVERYTHING, 0.6, RECIPES["vinscribe"].shares)
    assert sum(source.share for source in ours) == pytest.approx(1)
    assert len(ours) == 6
    assert 0.3 < ours[0].share < 0.5  # EMNIST's
    assert drawn_shares(ours, 0.2).sum() == pytest.approx(1)


@pytest.mark.parametrize(
    "names", [["train_fonts"], ["train_inked"], ["train_pictures"], ["train_fonts", "train_inked"]]
)
def test_emnist_has_what_a_missing_or_empty_source_had(names: list[str]) -> None:
    shares = Shares(0.2, 0.1, 0.15, 0.25)
    whole = make_sources(EVERYTHING, 0.6, shares)
    empty = {"train_fonts": strokes("", []), "train_inked": None, "train_pictures": None}
    fewer = make_sources(replace(EVERYTHING, **{name: empty[name] for name in names}), 0.6, shares)
    assert len(fewer) == len(whole) - len(names)
    assert sum(source.share for source in fewer) == pytest.approx(1)
    assert fewer[0].share > whole[0].share


def test_cells_of_every_source_are_drawn() -> None:
    sources = make_sources(EVERYTHING, 0.6, Shares(0.2, 0.1, 0.15, 0.25))
    plain = AugmentSettings(bare=0.0, boxed=0.0, illegible=0.0, small=0.0, defocus=0.0)
    cells, labels = RenderedBatches(sources, [(np.inf, plain)], 60, 40, seed=5)[0]
    assert cells.flatten(1).amax(1).min() > 0
    assert {0, 1, 2, 3, 10, 11} <= set(labels.tolist())


@pytest.mark.parametrize(("class_balance", "ones"), [(0.0, 1 / 33), (1.0, 1 / 33)])
def test_classes_are_drawn_as_validation_has_them(class_balance: float, ones: float) -> None:
    source = make_sources(DATA, class_balance, Shares())[0]
    generator = np.random.default_rng(0)
    drawn = [source.glyphs.labels[source.draw(generator)] for _ in range(6000)]
    assert np.mean(np.array(drawn) == label_of("1")) == pytest.approx(ones, abs=0.01)  # four of 36 pictures


def test_class_shares_between_natural_and_even() -> None:
    counts = np.array([100, 1, 0])
    np.testing.assert_allclose(class_shares(counts, 0.0), [100 / 101, 1 / 101, 0])
    np.testing.assert_allclose(class_shares(counts, 1.0), [0.5, 0.5, 0])
    np.testing.assert_allclose(class_shares(counts, 0.5), [10 / 11, 1 / 11, 0])


def test_every_class_of_strokes_is_drawn_equally_often_and_no_writer_drowns_the_others() -> None:
    many = strokes("A" * 101 + "B", ["busy"] * 100 + ["rare", "rare"])
    weights = writer_weights(many)
    assert weights[:101].sum() == pytest.approx(weights[101])
    assert weights[100] > 5 * weights[0]


def test_drawn_shares_are_what_is_drawn() -> None:
    sources = make_sources(DATA, 0.6, Shares(0.3, 0.3))
    rng = np.random.default_rng(0)
    counts = np.zeros(NUM_CLASSES)
    for source in sources:
        drawn = [source.glyphs.labels[source.draw(rng)] for _ in range(4000)]
        counts += source.share * np.bincount(drawn, minlength=NUM_CLASSES) / len(drawn)
    shares = drawn_shares(sources)
    assert shares.sum() == pytest.approx(1)
    np.testing.assert_allclose(shares, counts, atol=0.02)


def test_the_last_batches_are_rendered_otherwise() -> None:
    sources = make_sources(DATA, 0.6, Shares())
    dark, bright = (AugmentSettings(bare=0.0, boxed=0.0, inverted=inverted, fax=0.0) for inverted in (0.0, 1.0))
    changing = RenderedBatches(sources, [(2, dark), (np.inf, bright)], 16, 40, seed=5)
    before, after = (RenderedBatches(sources, [(np.inf, settings)], 16, 40, seed=5) for settings in (dark, bright))
    assert torch.equal(changing[1][0], before[1][0])
    assert torch.equal(changing[2][0], after[2][0])
    assert not torch.equal(changing[2][0], before[2][0])


def test_a_batch_depends_on_seed_and_number_alone() -> None:
    sources = make_sources(DATA, 0.6, Shares(0.3, 0.3))
    batches = RenderedBatches(sources, [(np.inf, AugmentSettings())], 16, 40, seed=5)
    cells, labels = batches[7]
    batches[3]
    again, same = RenderedBatches(sources, [(np.inf, AugmentSettings())], 16, 40, seed=5)[7]
    assert cells.shape == (16, 1, 40, 40)
    assert cells.dtype == torch.uint8
    assert labels.dtype == torch.int64
    assert torch.equal(cells, again)
    assert torch.equal(labels, same)
    for other in (batches[8], RenderedBatches(sources, [(np.inf, AugmentSettings())], 16, 40, seed=6)[7]):
        assert not torch.equal(cells, other[0])


def test_labels_fit_their_pictures() -> None:
    """A 1 has ink in its middle, a 0 has little."""
    sources = make_sources(Data(split("1" * 20 + "0" * 20), split("10", 1)), 0.0, Shares())
    cells, labels = RenderedBatches(sources, [(np.inf, AugmentSettings(bare=1.0, illegible=0.0))], 60, 40, seed=0)[0]
    middle = cells[:, 0, 16:24, 17:23].float().mean((1, 2))
    assert middle[labels == 1].mean() > 1.5 * middle[labels == 0].mean()
    assert 15 < int(labels.sum()) < 45


def test_whole_cards_come_first_in_a_batch() -> None:
    cards = CardCells([], 40)
    sources = make_sources(DATA, 0.5, Shares(pen=0.2))
    batches = RenderedBatches(sources, [(math.inf, AugmentSettings())], 40, 40, 3, cards, 17 / 40)
    cells, labels = batches[5]
    rng = np.random.default_rng([3, 5])
    assert int(17 / 40 * 40 / 17 + rng.random()) == 1
    drawn, drawn_labels = cards.draw(rng)
    np.testing.assert_array_equal(cells[:17, 0].numpy(), drawn)
    np.testing.assert_array_equal(labels[:17].numpy(), drawn_labels)
    assert cells[17:].flatten(1).amax(1).min() > 0


def test_plain_batches_take_each_picture_once_per_epoch() -> None:
    cells = normalise_batch(list(DATA.train.images), 28)
    batches = PlainBatches(cells, np.arange(len(cells)), 10, seed=3)
    assert batches.steps == 4
    first, second = ([batches[epoch * 4 + step] for step in range(4)] for epoch in range(2))
    for epoch in (first, second):
        assert torch.cat([labels for _, labels in epoch]).sort()[0].tolist() == list(range(36))
    assert first[0][1].tolist() != second[0][1].tolist()
    assert torch.equal(batches[0][1], first[0][1])  # in any order
    picture, row = first[2][0][4], int(first[2][1][4])
    np.testing.assert_array_equal(picture[0].numpy(), cells[row])


def test_the_sampler_counts_on_over_the_epochs() -> None:
    sampler = EpochSampler(3)
    assert list(sampler) == [0, 1, 2]
    sampler.epoch = 4
    assert list(sampler) == [12, 13, 14]
    assert len(sampler) == 3


def test_validation_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "_CARDS", 2)
    parts = {part.name: part for part in validation_parts(DATA, AugmentSettings(), 40)}
    assert list(parts) == ["emnist", "cells", "unipen", "cards"]
    np.testing.assert_array_equal(parts["emnist"].cells, normalise_batch(list(DATA.validation.images)))
    np.testing.assert_array_equal(parts["emnist"].labels, DATA.validation.labels)
    assert len(parts["cells"].cells) == 11  # every third
    assert parts["unipen"].cells.shape == (2, 40, 40)
    assert parts["cards"].cells.shape == (34, 40, 40)
    again = {part.name: part for part in validation_parts(DATA, AugmentSettings(), 40)}
    np.testing.assert_array_equal(parts["cells"].cells, again["cells"].cells)
    assert set(parts["unipen"].labels) <= {10, 11, ILLEGIBLE}
    for settings in (None, AugmentSettings(bare=1.0)):
        assert [part.name for part in validation_parts(DATA, settings, 28)] == ["emnist"]


def test_validation_parts_of_all_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "_CARDS", 2)
    parts = {part.name: part for part in validation_parts(EVERYTHING, AugmentSettings(), 40)}
    assert list(parts) == ["emnist", "cells", "unipen", "cards", "fonts", "pictures"]
    assert parts["fonts"].cells.shape == (3, 40, 40)
    assert set(parts["fonts"].labels) <= {10, 11, 12, ILLEGIBLE}
    assert EVERYTHING.validation_pictures is not None
    np.testing.assert_array_equal(parts["pictures"].cells, normalise_batch(list(EVERYTHING.validation_pictures.images)))
    assert parts["pictures"].labels.tolist() == [0, 1]
    measured = validation.Validation(EVERYTHING, AugmentSettings(), 40, 0.6)
    assert np.bincount(measured.part_of, measured.weights) == pytest.approx([1 / 6] * 6)


def test_the_hash_covers_all_that_is_trained_on() -> None:
    hashes = {
        DATA.sha256(),
        replace(DATA, train=split(CHARSET + "112")).sha256(),
        replace(DATA, train_strokes=None).sha256(),
        replace(DATA, train_strokes=strokes("AAC", ["x", "x", "y"])).sha256(),
        EVERYTHING.sha256(),
        replace(EVERYTHING, train_fonts=strokes("AC", ["f", "g"])).sha256(),
        replace(EVERYTHING, train_inked=pictures("ABC", ["f", "g", "g"], seed=1)).sha256(),
        replace(EVERYTHING, train_pictures=pictures("0132", ["p", "p", "p", "q"])).sha256(),
    }
    assert len(hashes) == 8
    assert replace(DATA, validation=split("1")).sha256() == DATA.sha256()
    others = {"validation_fonts": None, "validation_inked": None, "validation_pictures": None}
    assert replace(EVERYTHING, **others).sha256() == EVERYTHING.sha256()
