"""Two views of an EMNIST pool, both with the 33 VIN classes and split by content.

**The rule of the splits.** The first byte of the sha256 of an image's 784 upright bytes decides, whatever the archive
holds: 0-25 is test, 26-51 is validation, 52-255 is train (10.2 %, 10.2 %, 79.7 %). Whoever has more of EMNIST gets a
superset with the same assignment. Images of the official Balanced test part, and in every view all images whose byte
says test, are never trained or validated on, so a model of either view may be tested on both. (Hence the one exception:
an image that a fuller archive shows to be in the official Balanced test part leaves train or validation.)

``vin``: every image once, under its most exact label; only images that are surely a digit or a capital. What is
lowercase or of unknown case goes, but for letters of ``SAME_SHAPE`` in train, as do images whose labels contradict
each other.

``balanced``: EMNIST Balanced as published, with its merged labels and the rows of unused classes removed; 15 % of
train, those with the lowest sha256 behind the first byte, are validation. Where the archive has Balanced only in part,
the view is made like it: equally many rows per class from all images whose merged label is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vinscribe.charset import CHARSET, NUM_CLASSES, label_of
from vinscribe.errors import DataError, UsageError
from vinscribe.training.emnist import MERGED, Pool, mask_of

VIEWS = ("vin", "balanced")
TEST_BYTES = 26
VALIDATION_BYTES = 52
VALIDATION_SHARE = 0.15
"""The user's share of Balanced train that is kept for validation."""

SAME_SHAPE = ""
"""Capitals that are also trained on their lowercase and on images of unknown case: where that helps on validation.

None: with all of CKMPSUVWXYZ, validation was no better (EXPERIMENTS.md).
"""

OFFICIAL_BALANCED = {"balanced-train": 112_800, "balanced-test": 18_800}
"""Rows of the official Balanced parts, all 47 classes."""


@dataclass(frozen=True)
class Split:
    """Images of one split with their labels.

    Attributes:
        images: (N, 28, 28) uint8, upright, white ink on black.
        labels: (N,) int64, 0..32, see ``charset.CHARSET``.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.images)

    def counts(self) -> NDArray[np.int64]:
        """(33,) images per class."""
        return np.bincount(self.labels, minlength=NUM_CLASSES)


@dataclass(frozen=True)
class View:
    """A view's three splits and a sentence or two about how it was made."""

    name: str
    train: Split
    validation: Split
    test: Split
    note: str

    def text(self) -> str:
        """Counts per class of each split, as a person reads them."""
        splits = (self.train, self.validation, self.test)
        lines = [f"view {self.name}: {self.note}", f"{'class':<6} {'train':>8} {'validation':>11} {'test':>7}"]
        for label, char in enumerate(CHARSET):
            train, validation, test = (int(split.counts()[label]) for split in splits)
            lines.append(f"{char:<6} {train:>8,} {validation:>11,} {test:>7,}")
        train, validation, test = (len(split) for split in splits)
        return "\n".join([*lines, f"{'all':<6} {train:>8,} {validation:>11,} {test:>7,}"])


def make_view(pool: Pool, name: str, same_shape: str = SAME_SHAPE) -> View:
    """One view of a pool.

    Args:
        pool: what ``emnist.read_pool`` gives.
        name: ``vin`` or ``balanced``.
        same_shape: for ``vin``, capitals whose lowercase and images of unknown case are trained on as well.

    Raises:
        UsageError: no such view.
        DataError: a class has no image to train on, or a split is empty.
    """
    if name == "vin":
        view = _vin_view(pool, same_shape)
    elif name == "balanced":
        view = _balanced_view(pool)
    else:
        raise UsageError(f"--view {name}: no such view; choose one of {', '.join(VIEWS)}")
    empty = "".join(CHARSET[label] for label in np.flatnonzero(view.train.counts() == 0))
    if empty:
        raise DataError(f"view {name}: no image to train on for {empty}; the archive is too small")
    if not len(view.validation) or not len(view.test):
        raise DataError(f"view {name}: no image to validate or test on; the archive is too small")
    return view


def part_of(digests: NDArray[np.uint8]) -> NDArray[np.str_]:
    """(N,) 'test', 'validation' or 'train' by the first byte of each digest (N, 32)."""
    first = digests[:, 0]
    return np.select([first < TEST_BYTES, first < VALIDATION_BYTES], ["test", "validation"], "train")


def _vin_view(pool: Pool, same_shape: str) -> View:
    labels = np.full(len(pool), -1, np.int64)
    exact = np.zeros(len(pool), bool)
    for char in CHARSET:
        capital = pool.masks == np.uint64(mask_of(char))
        exact |= capital
        labels[capital] = label_of(char)
        if char in same_shape:
            labels[_allows_only(pool, char + char.lower())] = label_of(char)
    parts = part_of(pool.digests)
    official_test = pool.in_splits("balanced-test")
    train = (parts == "train") & (labels >= 0) & ~official_test
    validation = (parts == "validation") & exact & ~official_test
    test = (parts == "test") & exact
    contradictory = int((pool.masks == 0).sum())
    note = f"{len(pool):,} distinct images; {contradictory:,} with contradicting labels left out"
    if same_shape:
        note += f"; {int((train & ~exact).sum()):,} letters in lowercase or of unknown case are trained on"
    return _view("vin", pool, labels, (train, validation, test), note)


def _balanced_view(pool: Pool) -> View:
    labels = np.full(len(pool), -1, np.int64)
    for char in CHARSET:
        merged = char if char.lower() in MERGED else char + char.lower()
        labels[_allows_only(pool, merged)] = label_of(char)
    rows = {split: pool.rows[split] for split in OFFICIAL_BALANCED}
    if rows == OFFICIAL_BALANCED:
        return _official_balanced(pool, labels)
    return _balanced_like(pool, labels, rows)


def _official_balanced(pool: Pool, labels: NDArray[np.int64]) -> View:
    """Balanced as published, but for train rows that are test images of the other view."""
    usable = labels >= 0
    test = usable & pool.in_splits("balanced-test")
    train = usable & pool.in_splits("balanced-train") & (part_of(pool.digests) != "test") & ~test
    dropped = int((usable & pool.in_splits("balanced-train") & ~train).sum())
    validation = _lowest(pool, train, labels, VALIDATION_SHARE)
    note = f"EMNIST Balanced as published; {dropped:,} train rows left out, as they are test images of the view vin"
    return _view("balanced", pool, labels, (train & ~validation, validation, test), note)


def _balanced_like(pool: Pool, labels: NDArray[np.int64], rows: dict[str, int]) -> View:
    """Equally many rows per class of all images with a known merged label, test rows by content hash."""
    is_test = part_of(pool.digests) == "test"
    usable = labels >= 0
    test = _equal(pool, usable & is_test, labels)
    train = _equal(pool, usable & ~is_test & ~pool.in_splits("balanced-test"), labels)
    validation = _lowest(pool, train, labels, VALIDATION_SHARE)
    note = (
        f"made like EMNIST Balanced, of which this archive has {rows['balanced-train']:,} of 112,800 train and "
        f"{rows['balanced-test']:,} of 18,800 test rows: equally many images per class of all whose merged label is "
        "known, test images by content hash"
    )
    return _view("balanced", pool, labels, (train & ~validation, validation, test), note)


def _allows_only(pool: Pool, characters: str) -> NDArray[np.bool_]:
    """(N,) bool: images that are surely one of the characters."""
    allowed: NDArray[np.bool_] = (pool.masks != 0) & ((pool.masks & ~np.uint64(mask_of(characters))) == 0)
    return allowed


def _hash_order(pool: Pool, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Rows sorted by bytes 1-8 of their digest: an order that says nothing of class, split or the first byte."""
    return rows[np.argsort(pool.digests[rows, 1:9].copy().view(">u8").ravel(), kind="stable")]


def _equal(pool: Pool, selected: NDArray[np.bool_], labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Of the selected images, equally many per class."""
    per_class = int(np.bincount(labels[selected], minlength=NUM_CLASSES).min())
    chosen = np.zeros(len(pool), bool)
    for label in range(NUM_CLASSES):
        chosen[_hash_order(pool, np.flatnonzero(selected & (labels == label)))[:per_class]] = True
    return chosen


def _lowest(pool: Pool, selected: NDArray[np.bool_], labels: NDArray[np.int64], share: float) -> NDArray[np.bool_]:
    """The same share of every class, of the selected images."""
    chosen = np.zeros(len(pool), bool)
    for label in range(NUM_CLASSES):
        rows = _hash_order(pool, np.flatnonzero(selected & (labels == label)))
        chosen[rows[: round(share * len(rows))]] = True
    return chosen


def _view(name: str, pool: Pool, labels: NDArray[np.int64], selections: Sequence[NDArray[np.bool_]], note: str) -> View:
    """A view of the images that each of three selections (N,) picks for train, validation and test."""
    train, validation, test = (Split(pool.images[selected], labels[selected]) for selected in selections)
    return View(name, train, validation, test, note)
