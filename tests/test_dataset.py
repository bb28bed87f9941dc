"""dataset.py: who is in a view, and that no test image is ever trained on."""

import hashlib

import numpy as np
import pytest

from vinscribe.charset import CHARSET, NUM_CLASSES
from vinscribe.errors import DataError, UsageError
from vinscribe.training import dataset
from vinscribe.training.dataset import Split, make_view, part_of
from vinscribe.training.emnist import CHARACTERS, SPLITS, Pool, mask_of

ROWS_PER_SET = 60


def make_pool(rows: list[tuple[str, str]], seed: int = 0, balanced_rows: tuple[int, int] = (0, 0)) -> Pool:
    """A pool of noise images; each row is (what its labels allow, its splits separated by spaces)."""
    images = np.random.default_rng(seed).integers(0, 256, (len(rows), 28, 28), np.uint8)
    digests = np.frombuffer(b"".join(hashlib.sha256(image).digest() for image in images), np.uint8).reshape(-1, 32)
    splits = [sum(1 << SPLITS.index(split) for split in names.split()) for _, names in rows]
    counts = dict.fromkeys(SPLITS, 0) | dict(zip(dataset.OFFICIAL_BALANCED, balanced_rows, strict=True))
    masks = np.array([mask_of(chars) for chars, _ in rows], np.uint64)
    return Pool(images, digests, masks, np.array(splits, np.uint16), counts)


@pytest.fixture(scope="module")
def pool() -> Pool:
    """Every ByClass character surely, every merged letter of unknown case, some official Balanced rows."""
    rows = [(char, "byclass-test") for char in CHARACTERS for _ in range(ROWS_PER_SET)]
    merged = [char + char.lower() for char in "CIJKLMOPSUVWXYZ"]
    rows += [(chars, "bymerge-test") for chars in merged for _ in range(ROWS_PER_SET)]
    rows += [(char, "byclass-test balanced-test") for char in CHARSET for _ in range(6)]
    rows += [("Aa", "letters-test")] * 20 + [("", "byclass-test digits-test")] * 5
    return make_pool(rows)


def names_of(split: Split) -> set[bytes]:
    return {hashlib.sha256(image).digest() for image in split.images}


def test_the_first_byte_decides() -> None:
    digests = np.zeros((256, 32), np.uint8)
    digests[:, 0] = np.arange(256)
    digests[:, 1:] = 200
    assert list(part_of(digests)) == ["test"] * 26 + ["validation"] * 26 + ["train"] * 204


@pytest.mark.parametrize("name", dataset.VIEWS)
def test_splits_do_not_overlap(pool: Pool, name: str) -> None:
    view = make_view(pool, name)
    names = [names_of(split) for split in (view.train, view.validation, view.test)]
    assert sum(map(len, names)) == len(set().union(*names)) > 0
    assert [len(split) for split in (view.train, view.validation, view.test)] == list(map(len, names))


@pytest.mark.parametrize("trained", dataset.VIEWS)
@pytest.mark.parametrize("tested", dataset.VIEWS)
def test_no_test_image_of_any_view_is_trained_on(pool: Pool, trained: str, tested: str) -> None:
    view = make_view(pool, trained)
    known = names_of(view.train) | names_of(view.validation)
    assert not known & names_of(make_view(pool, tested).test)
    official = {bytes(digest) for digest in pool.digests[pool.in_splits("balanced-test")]}
    assert len(official) == 6 * NUM_CLASSES
    assert not known & official


def test_labels_of_the_vin_view(pool: Pool) -> None:
    same_shape = "CKMPSUVWXYZ"
    view = make_view(pool, "vin", same_shape)
    chars_of = {bytes(digest): int(mask) for digest, mask in zip(pool.digests, pool.masks, strict=True)}
    for split, exact in ((view.train, False), (view.validation, True), (view.test, True)):
        for image, label in zip(split.images, split.labels, strict=True):
            char, mask = CHARSET[label], chars_of[hashlib.sha256(image).digest()]
            allowed = {mask_of(char)}
            if not exact and char in same_shape:
                allowed |= {mask_of(char.lower()), mask_of(char + char.lower())}
            assert mask in allowed
    # Lowercase l is a bare stroke: neither it nor an L of unknown case is trained on, known capitals are.
    counts = view.train.counts()
    assert counts[CHARSET.index("C")] > 2 * counts[CHARSET.index("L")] > 0


def test_the_vin_view_without_lowercase(pool: Pool) -> None:
    view = make_view(pool, "vin")
    assert view.train.counts()[CHARSET.index("C")] < 1.2 * ROWS_PER_SET
    assert np.array_equal(view.test.images, make_view(pool, "vin", "CKMPSUVWXYZ").test.images)


def test_more_of_emnist_gives_a_superset_with_the_same_assignment(pool: Pool) -> None:
    keep = np.random.default_rng(1).random(len(pool)) < 0.7
    part = Pool(pool.images[keep], pool.digests[keep], pool.masks[keep], pool.splits[keep], pool.rows)
    small, large = make_view(part, "vin"), make_view(pool, "vin")
    for less, more in ((small.train, large.train), (small.validation, large.validation), (small.test, large.test)):
        assert names_of(less) < names_of(more)


def test_the_balanced_view_of_a_part_is_made_like_it_and_says_so(pool: Pool) -> None:
    view = make_view(pool, "balanced")
    for split in (view.train, view.validation, view.test):
        assert len(set(split.counts())) == 1
    assert "made like EMNIST Balanced" in view.note
    share = len(view.validation) / (len(view.validation) + len(view.train))
    assert share == pytest.approx(0.15, abs=0.02)


def test_the_balanced_view_as_published(monkeypatch: pytest.MonkeyPatch) -> None:
    merged = [char + char.lower() if char in "CJKLMPSUVWXYZ" else char for char in CHARSET] + ["a", "Ii", "Q"]
    rows = [(chars, "balanced-train") for chars in merged for _ in range(40)]
    rows += [(chars, "balanced-test") for chars in merged for _ in range(10)]
    monkeypatch.setattr(dataset, "OFFICIAL_BALANCED", {"balanced-train": 1440, "balanced-test": 360})
    pool = make_pool(rows, balanced_rows=(1440, 360))
    view = make_view(pool, "balanced")
    assert "as published" in view.note
    assert set(view.test.counts()) == {10}
    dropped = int((part_of(pool.digests[: 40 * NUM_CLASSES]) == "test").sum())
    assert len(view.train) + len(view.validation) == 40 * NUM_CLASSES - dropped
    assert f"{dropped} train rows left out" in view.note


def test_what_cannot_be_made_is_refused(pool: Pool) -> None:
    with pytest.raises(UsageError, match="--view caps"):
        make_view(pool, "caps")
    few = pool.masks != np.uint64(mask_of("7"))
    with pytest.raises(DataError, match="no image to train on for 7"):
        make_view(Pool(pool.images[few], pool.digests[few], pool.masks[few], pool.splits[few], pool.rows), "vin")


def test_the_text_has_a_line_per_class_and_a_sum(pool: Pool) -> None:
    view = make_view(pool, "vin")
    lines = view.text().splitlines()
    assert len(lines) == 2 + NUM_CLASSES + 1
    assert lines[-1].split() == ["all", *(f"{len(split):,}" for split in (view.train, view.validation, view.test))]
