"""Fits the row reader to rows that our network, already trained, has seen.

Rows are drawn and read once, by as many processes as there are cores, in parts that stay in the run's folder: what is
interrupted goes on after the last whole part. Learning from them then takes minutes.
"""

import copy
import hashlib
import json
import math
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vinscribe.charset import NUM_CLASSES
from vinscribe.cores import core_count
from vinscribe.training.augment import AugmentSettings
from vinscribe.training.batches import Data
from vinscribe.training.evaluate import fit_temperature, negative_log_likelihood
from vinscribe.training.fit import noisy_cross_entropy
from vinscribe.training.hands import Hands
from vinscribe.training.row_cells import RowCells
from vinscribe.training.row_reader import RowReader, for_reading
from vinscribe.training.unipen import without_doubtful
from vinscribe.training.validation import as_float


@dataclass(frozen=True)
class RowSettings:
    """What decides the row reader, beside data and network.

    Attributes:
        rows: drawn to learn from.
        validation_rows: drawn from hands that nothing was learned from.
        part: rows in a file.
        epochs: over all rows.
        batch_size: rows per step.
        lr: highest learning rate; it rises at first and falls to 0 by a half cosine.
        weight_decay: of AdamW.
        label_noise: see `vinscribe.training.fit.noisy_cross_entropy`.
        ema_decay: of the averaged weights that are kept.
        seed: of rows, weights and order.
    """

    rows: int = 24_000
    validation_rows: int = 2_000
    part: int = 1_000
    epochs: int = 8
    batch_size: int = 64
    lr: float = 2e-3
    weight_decay: float = 0.02
    label_noise: float = 0.01
    ema_decay: float = 0.998
    seed: int = 0


ROWS = RowSettings()


@dataclass(frozen=True)
class RowScores:
    """How validation rows are read.

    Attributes:
        characters: share of the cells that are right.
        rows: share of the rows without an error.
        log_loss: mean of -log of the probability of what is written.
    """

    characters: float
    rows: float
    log_loss: float


@dataclass(frozen=True)
class RowFit:
    """What was fitted.

    Attributes:
        reader: calibrated; None where the mean of the looks reads validation rows as well.
        class_shares: (33,), how often each character stood in the rows.
        looks: scores of the mean of the looks, at its best temperature.
        alone: of a row reader that sees no other cell.
        together: of the row reader.
    """

    reader: RowReader | None
    class_shares: NDArray[np.float64]
    looks: RowScores
    alone: RowScores
    together: RowScores


@dataclass(frozen=True)
class _Seen:
    """Rows as the network sees them: embeddings (R, 17, V, E), log-probabilities (R, 17, V, 34), labels (R, 17)."""

    embeddings: Tensor
    log_probs: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


def fit_rows(
    network: nn.Sequential,
    data: Data,
    augment: AugmentSettings,
    size_px: int,
    folder: Path,
    settings: RowSettings = ROWS,
) -> RowFit:
    """Draws rows, reads them, and fits the row reader to what was read.

    Args:
        network: gives calibrated logits, fused: `vinscribe.training.export.for_reading` without its softmax.
        data: hands to learn from and to validate on.
        augment: how characters by themselves are rendered.
        size_px: the network's input side.
        folder: where the parts are kept.
        settings: of it.
    """
    train, validation = _see_all(network, data, augment, size_px, folder, settings)
    torch.set_num_threads(core_count())
    fitted = {attention: _fit(train, settings, attention) for attention in (False, True)}
    results = {attention: _scores(_logits(reader, validation), validation) for attention, reader in fitted.items()}
    looks, _ = _scores(validation.log_probs.mean(2), validation)
    together, temperature = results[True]
    counts = np.bincount(train.labels.flatten().numpy(), minlength=NUM_CLASSES + 1)[:NUM_CLASSES]
    better = together.log_loss < looks.log_loss
    reader = for_reading(fitted[True], temperature) if better else None
    return RowFit(reader, counts / counts.sum(), looks, results[False][0], together)


def _see_all(
    network: nn.Sequential, data: Data, augment: AugmentSettings, size_px: int, folder: Path, settings: RowSettings
) -> tuple[_Seen, _Seen]:
    digest = hashlib.sha256(data.sha256().encode() + json.dumps(asdict(augment), sort_keys=True).encode())
    for values in network.state_dict().values():
        digest.update(values.numpy().tobytes())
    place = folder / f"rows-{digest.hexdigest()[:12]}"
    place.mkdir(parents=True, exist_ok=True)
    jobs = []
    for name, count in (("validation", settings.validation_rows), ("train", settings.rows)):
        sizes = [min(settings.part, count - start) for start in range(0, count, settings.part)]
        jobs += [(name, number, size) for number, size in enumerate(sizes)]
    todo = [job for job in jobs if not _path(place, settings, *job).exists()]
    if todo:
        maker = _Maker(network, data, augment, size_px, place, settings)
        # Threads of the parent (OpenCV, PyTorch) would be lost in a fork.
        with ProcessPoolExecutor(
            core_count(), mp_context=get_context("spawn"), initializer=_start, initargs=(maker,)
        ) as pool:
            for done, _ in enumerate(pool.map(_make, todo), 1):
                print(f"rows for the row reader: {done} of {len(todo)} parts", file=sys.stderr, flush=True)
    seen = []
    for name in ("train", "validation"):
        parts = [np.load(_path(place, settings, *job)) for job in jobs if job[0] == name]
        arrays = [np.concatenate([part[key] for part in parts]) for key in ("embeddings", "log_probs", "labels")]
        seen.append(_Seen(*map(torch.from_numpy, arrays)))
    return seen[0], seen[1]


def _path(place: Path, settings: RowSettings, name: str, number: int, size: int) -> Path:
    return place / f"{name}-seed{settings.seed}-{number:03d}-{size}.npz"


class _Maker:
    """Draws and reads parts; made once a process."""

    def __init__(
        self,
        network: nn.Sequential,
        data: Data,
        augment: AugmentSettings,
        size_px: int,
        place: Path,
        settings: RowSettings,
    ) -> None:
        self.network, self.place, self.settings = network, place, settings
        train = [Hands(strokes) for strokes in (data.train_strokes, data.train_fonts) if strokes]
        others = (data.validation_strokes and without_doubtful(data.validation_strokes), data.validation_fonts)
        validation = [Hands(strokes) for strokes in others if strokes]
        self.sources = {
            "train": RowCells(train, data.train, augment, size_px),
            "validation": RowCells(validation, data.validation, augment, size_px),
        }

    def make(self, job: tuple[str, int, int]) -> None:
        name, number, size = job
        path = _path(self.place, self.settings, name, number, size)
        seed = [self.settings.seed, int(name == "train"), number]
        rows = [self.sources[name].draw(np.random.default_rng([*seed, row])) for row in range(size)]
        embeddings, log_probs = [], []
        with torch.inference_mode():
            for row in rows:
                shape = row.views.shape[:2]
                found = self.network[:-1](as_float(torch.from_numpy(row.views.reshape(-1, 1, *row.views.shape[2:]))))
                embeddings.append(found.half().reshape(*shape, -1).numpy())
                log_probs.append(self.network[-1](found).log_softmax(1).reshape(*shape, -1).numpy())
        unfinished = path.with_suffix(".part.npz")
        labels = np.stack([row.labels for row in rows])
        np.savez(unfinished, embeddings=np.stack(embeddings), log_probs=np.stack(log_probs), labels=labels)
        unfinished.replace(path)


_maker: _Maker | None = None


def _start(maker: _Maker) -> None:
    global _maker
    _maker = maker
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def _make(job: tuple[str, int, int]) -> None:
    assert _maker is not None  # noqa: S101
    _maker.make(job)


def _fit(train: _Seen, settings: RowSettings, attention: bool) -> RowReader:
    torch.manual_seed(settings.seed)
    reader = RowReader(attention=attention)
    averaged = copy.deepcopy(reader).eval()
    optimizer = torch.optim.AdamW(reader.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
    per_epoch = len(train) // settings.batch_size
    steps, step = settings.epochs * per_epoch, 0
    for _ in range(settings.epochs):
        order = torch.randperm(len(train))[: per_epoch * settings.batch_size]
        for rows in order.split(settings.batch_size):
            rate = min(1, step / (0.05 * steps)) * 0.5 * (1 + math.cos(math.pi * step / steps))
            for group in optimizer.param_groups:
                group["lr"] = settings.lr * rate
            logits = reader(train.embeddings[rows].float(), train.log_probs[rows])
            loss = noisy_cross_entropy(logits.flatten(0, 1), train.labels[rows].flatten(), settings.label_noise)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            decay = min(settings.ema_decay, step / (9 + step))
            with torch.no_grad():
                for mean, value in zip(averaged.parameters(), reader.parameters(), strict=True):
                    mean.lerp_(value, 1 - decay)
    return averaged


@torch.inference_mode()
def _logits(reader: RowReader, seen: _Seen) -> Tensor:
    parts = zip(seen.embeddings.split(500), seen.log_probs.split(500), strict=True)
    return torch.cat([reader(embeddings.float(), log_probs) for embeddings, log_probs in parts])


def _scores(logits: Tensor, seen: _Seen) -> tuple[RowScores, float]:
    """Scores at the best temperature, and that."""
    flat, labels = logits.flatten(0, 1).numpy(), seen.labels.flatten().numpy()
    temperature = fit_temperature(flat, labels)
    right = logits.argmax(2) == seen.labels
    loss = negative_log_likelihood(flat / temperature, labels)
    return RowScores(float(right.float().mean()), float(right.all(1).float().mean()), loss), temperature
