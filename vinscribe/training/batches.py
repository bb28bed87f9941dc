"""Batches for training: characters drawn from their sources, rendered, normalised.

Each batch depends on the run's seed and the batch's number alone, whoever makes it and whenever.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from vinscribe.cells import normalise
from vinscribe.charset import NUM_CLASSES
from vinscribe.training.augment import AugmentSettings, bare, render
from vinscribe.training.card_cells import CardCells
from vinscribe.training.dataset import Split
from vinscribe.training.extra import CellSet, ExtraCells
from vinscribe.training.glyphs import Glyphs, ImageGlyphs, PenGlyphs, StrokeGlyphs
from vinscribe.training.hand_sets import PictureSet
from vinscribe.training.unipen import StrokeSet
from vinscribe.vin import VIN_LENGTH


@dataclass(frozen=True)
class Data:
    """What a run learns from and is validated on.

    Attributes:
        train, validation: EMNIST.
        train_strokes, validation_strokes: recorded pen strokes of different writers; None to do without.
        extra: an office's own cells; None to do without.
        train_fonts, validation_fonts: different fonts as pen strokes, each a writer; None to do without.
        train_inked, validation_inked: the same fonts as they are inked.
        train_pictures, validation_pictures: scanned characters of different writers; None to do without.
    """

    train: Split
    validation: Split
    train_strokes: StrokeSet | None = None
    validation_strokes: StrokeSet | None = None
    extra: ExtraCells | None = None
    train_fonts: StrokeSet | None = None
    validation_fonts: StrokeSet | None = None
    train_inked: PictureSet | None = None
    validation_inked: PictureSet | None = None
    train_pictures: PictureSet | None = None
    validation_pictures: PictureSet | None = None

    def sha256(self) -> str:
        """Of all that is trained on."""
        digest = hashlib.sha256(self.train.images.tobytes() + self.train.labels.tobytes())
        for strokes in (self.train_strokes, self.train_fonts):
            if strokes:
                digest.update(strokes.labels.tobytes())
                for character in strokes.strokes:
                    digest.update(b"".join(stroke.tobytes() for stroke in character))
        for pictures in (self.train_inked, self.train_pictures):
            if pictures:
                digest.update(pictures.images.tobytes() + pictures.labels.tobytes())
        if self.extra:
            digest.update(self.extra.record()["sha256"].encode())
        return digest.hexdigest()


@dataclass(frozen=True)
class Source:
    """A source of characters or finished cells, its share of what is drawn, how often each of its items is taken."""

    glyphs: Glyphs | CellSet
    share: float
    cumulative: NDArray[np.float64]

    def draw(self, rng: np.random.Generator) -> int:
        """The index of a character."""
        return int(np.searchsorted(self.cumulative, rng.random() * self.cumulative[-1], side="right"))


def class_shares(counts: NDArray[np.int64], class_balance: float) -> NDArray[np.float64]:
    """How often each class is drawn: its count to the power of 1 - class_balance, adding up to 1; 0 stays 0."""
    shares = np.where(counts > 0, np.maximum(counts, 1).astype(np.float64) ** (1 - class_balance), 0)
    normalised: NDArray[np.float64] = shares / shares.sum()
    return normalised


INKED = 1 / 3
"""Of what is drawn from fonts, the share of their characters as they are inked."""


@dataclass(frozen=True)
class Shares:
    """How much of what is drawn comes from each source; EMNIST has the rest, and what a source that is missing had.

    Attributes:
        unipen: of the recorded strokes.
        pen: of the project's alphabet.
        fonts: of the fonts; a third of it as they are inked, the rest as strokes of a pen.
        pictures: of the scanned characters.
    """

    unipen: float = 0.0
    pen: float = 0.0
    fonts: float = 0.0
    pictures: float = 0.0


def make_sources(data: Data, class_balance: float, shares: Shares) -> list[Source]:
    """EMNIST, what there is of recorded strokes, alphabet, fonts and scanned characters, and the office's cells.

    The office's share is taken from all the others alike.

    Args:
        data: of the run.
        class_balance: how far EMNIST's classes are evened out, see ``fit.FitSettings``.
        shares: of the sources.
    """
    # A class that validation happens to lack is drawn as if it stood there once.
    by_class = class_shares(data.validation.counts().clip(1), class_balance) / data.train.counts().clip(1)
    sources = [_source(ImageGlyphs(data.train.images, data.train.labels), 1, by_class[data.train.labels])]
    for strokes, share in ((data.train_strokes, shares.unipen), (data.train_fonts, shares.fonts * (1 - INKED))):
        if strokes and share:
            sources.append(_source(stroke_glyphs(strokes), share, writer_weights(strokes)))
    for pictures, share in ((data.train_inked, shares.fonts * INKED), (data.train_pictures, shares.pictures)):
        if pictures and share:
            glyphs = ImageGlyphs(pictures.images, pictures.labels)
            sources.append(_source(glyphs, share, writer_weights(pictures)))
    if shares.pen:
        sources.append(_source(PenGlyphs(), shares.pen, np.ones(NUM_CLASSES)))
    rest = 1 - sum(source.share for source in sources[1:])
    sources[0] = replace(sources[0], share=rest)
    if data.extra:
        own = _source(data.extra.train, data.extra.share, _cell_weights(data.extra.train))
        sources = [*(replace(source, share=source.share * (1 - own.share)) for source in sources), own]
    return sources


def _cell_weights(cells: CellSet) -> NDArray[np.float64]:
    """(N,): a class with the square root of its cells, or one wrong label of a rare one would be drawn all the time."""
    counts = np.bincount(cells.labels)
    weights: NDArray[np.float64] = class_shares(counts, 0.5)[cells.labels] / counts[cells.labels]
    return weights


def drawn_shares(sources: Sequence[Source], cards: float = 0.0) -> NDArray[np.float64]:
    """How often each character is drawn from all sources and a share of cards together: (33,), adding up to 1."""
    shares = np.zeros(NUM_CLASSES)
    for source in sources:
        weights = np.diff(source.cumulative, prepend=0)
        counts = np.bincount(source.glyphs.labels, weights, NUM_CLASSES)[:NUM_CLASSES]  # without the illegible ones
        shares += source.share * counts / source.cumulative[-1]
    shares /= shares.sum()
    return (1 - cards) * shares + cards / NUM_CLASSES


def stroke_glyphs(strokes: StrokeSet) -> StrokeGlyphs:
    """Recorded strokes as a source of characters."""
    return StrokeGlyphs(strokes.strokes, strokes.labels)


def _source(glyphs: Glyphs | CellSet, share: float, weights: NDArray[np.float64]) -> Source:
    return Source(glyphs, share, weights.cumsum())


def writer_weights(characters: StrokeSet | PictureSet) -> NDArray[np.float64]:
    """(N,): every class equally often, a writer with the square root of what they wrote."""
    _, writers, counts = np.unique(characters.writers, return_inverse=True, return_counts=True)
    weights = counts[writers] ** -0.5
    totals = np.bincount(characters.labels, weights, NUM_CLASSES)
    shares: NDArray[np.float64] = weights / totals[characters.labels]
    return shares


class RenderedBatches(Dataset[tuple[Tensor, Tensor]]):
    """Item ``i``: cells (batch_size, 1, size_px, size_px) uint8 and labels (batch_size,) int64.

    Args:
        sources: where characters come from.
        settings: how they are rendered: pairs of a batch number and what holds for the batches before it.
        batch_size: characters per batch.
        size_px: the network's input side.
        seed: of the run.
        cards: cells of whole cards; None to do without.
        cards_share: of all characters, how many come from these.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        settings: Sequence[tuple[float, AugmentSettings]],
        batch_size: int,
        size_px: int,
        seed: int,
        cards: CardCells | None = None,
        cards_share: float = 0.0,
    ) -> None:
        self.sources, self.settings = sources, settings
        self.cards, self.cards_share = cards, cards_share if cards else 0.0
        self.batch_size, self.size_px, self.seed = batch_size, size_px, seed
        self._shares = np.cumsum([source.share for source in sources])

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        """Renders the batch of this number."""
        rng = np.random.default_rng([self.seed, number])
        settings = next(settings for end, settings in self.settings if number < end)
        cells = np.empty((self.batch_size, 1, self.size_px, self.size_px), np.uint8)
        labels = np.empty(self.batch_size, np.int64)
        first = 0
        if self.cards:
            for _ in range(int(self.cards_share * self.batch_size / VIN_LENGTH + rng.random())):
                end = min(first + VIN_LENGTH, self.batch_size)
                drawn, drawn_labels = self.cards.draw(rng)
                cells[first:end, 0], labels[first:end] = drawn[: end - first], drawn_labels[: end - first]
                first = end
        for row in range(first, self.batch_size):
            source = self.sources[int(np.searchsorted(self._shares[:-1], rng.random(), side="right"))]
            index = source.draw(rng)
            if isinstance(source.glyphs, CellSet):
                cell, labels[row] = bare(source.glyphs.cells[index], rng), source.glyphs.labels[index]
            else:
                picture, labels[row] = render(source.glyphs, index, settings, rng)
                cell = normalise(picture, self.size_px)
            cells[row, 0] = _moved(cell, rng)
        return torch.from_numpy(cells), torch.from_numpy(labels)


def _moved(cell: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Half of the cells, a little shifted and scaled: no field finder cuts as exactly as the normaliser places."""
    if rng.random() < 0.5:
        return cell
    side = len(cell)
    scale = np.exp(rng.uniform(-0.08, 0.05, 2))
    shift = (1 - scale) * (side - 1) / 2 + rng.normal(0, 0.025, 2) * side
    matrix = np.array([[scale[0], 0, shift[0]], [0, scale[1], shift[1]]])
    return cv2.warpAffine(cell, matrix, (side, side), flags=cv2.INTER_LINEAR)  # type: ignore[return-value]


class PlainBatches(Dataset[tuple[Tensor, Tensor]]):
    """EMNIST's pictures as they are, each once per epoch, in an order of the epoch's own.

    Args:
        cells: uint8 (N, size_px, size_px), normalised.
        labels: int64 (N,).
        batch_size: pictures per batch; an epoch's last batch may be smaller.
        seed: of the run.
    """

    def __init__(self, cells: NDArray[np.uint8], labels: NDArray[np.int64], batch_size: int, seed: int) -> None:
        self.cells, self.labels = torch.from_numpy(cells)[:, None], torch.from_numpy(labels)
        self.batch_size, self.seed = batch_size, seed
        self.steps = -(-len(cells) // batch_size)
        self._order = (-1, torch.empty(0, dtype=torch.int64))

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        """The batch of this number, counted over all epochs."""
        epoch, step = divmod(number, self.steps)
        if self._order[0] != epoch:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
            self._order = (epoch, torch.randperm(len(self.cells), generator=generator))
        rows = self._order[1][step * self.batch_size : (step + 1) * self.batch_size]
        return self.cells[rows], self.labels[rows]


class EpochSampler(Sampler[int]):
    """The numbers of one epoch's batches; ``epoch`` says which."""

    def __init__(self, steps: int) -> None:
        self.steps, self.epoch = steps, 0

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.epoch * self.steps, (self.epoch + 1) * self.steps))

    def __len__(self) -> int:
        return self.steps
