"""One training run: cross-entropy, AdamW, early stopping on the validation loss, best weights restored.

A second process makes the batches (see ``batches``) while the first one learns from them.

A run folder holds ``settings.json`` (resolved), ``metrics.jsonl`` (a line per epoch), ``checkpoint.pt`` (to resume) and
``best.pt`` (the weights with the lowest validation loss). Every epoch draws its randomness anew from the run's seed
and the epoch's number, so a run that was killed and resumed from its last whole epoch ends with the same weights as
one that was never broken.

Source: I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR 2019 (AdamW); C. Szegedy et al.,
"Rethinking the Inception architecture", CVPR 2016 (label smoothing); B. Polyak, A. Juditsky, "Acceleration of
stochastic approximation by averaging", 1992 (averaged weights).
"""

import copy
import json
import math
import os
import shutil
import sys
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from vinscribe.cells import normalise_batch
from vinscribe.errors import TrainingError, UsageError
from vinscribe.training.augment import AugmentSettings
from vinscribe.training.batches import (
    Data,
    EpochSampler,
    PlainBatches,
    RenderedBatches,
    Shares,
    make_sources,
)
from vinscribe.training.card_cells import CardCells
from vinscribe.training.checkpoint import load_state, save_state
from vinscribe.training.export import load_weights
from vinscribe.training.hands import Hands
from vinscribe.training.network import build_network, input_px
from vinscribe.training.validation import Validation, as_float


@dataclass(frozen=True)
class FitSettings:
    """Everything that decides a run's result, beside the data.

    Attributes:
        network: a name of ``network.NETWORKS``.
        seed: of weights, order and augmentation.
        epochs: most epochs; the learning rate falls to zero over them, but for the last ones.
        polish: share of the epochs, the last ones, in which the rate falls once more, from a half of the highest.
        polish_bare: ``augment.bare`` in these.
        samples_per_epoch: characters drawn per epoch, but at most twice as many as EMNIST gives.
        class_balance: 0 draws EMNIST's classes as often as they stand in validation, 1 draws all classes equally often,
            values between are a compromise: a class is drawn in proportion to its share to the power of
            1 - class_balance.
        unipen: share of recorded pen strokes, where there are any.
        pen: share of the project's own alphabet.
        fonts: share of fonts, where there are any.
        pictures: share of scanned characters, where there are any.
        cards: of all characters, how many come from whole cards, drawn and scanned; the shares above are of the rest.
        start: path of a ``model.h5`` with the weights to begin with; empty to begin with random ones.
        batch_size: images per step.
        lr: highest learning rate.
        warmup: share of the steps in which the rate rises to ``lr``; after it, it falls by a half cosine.
        weight_decay: of AdamW, decoupled.
        label_smoothing: share of the target that is spread over all classes.
        label_noise: share of the labels that are taken to be wrong, any other being as likely: what a network is sure
            of weighs more than a label that contradicts it.
        ema_decay: of the averaged weights that are validated and kept, 0 for the plain weights.
        patience: epochs without a better validation loss before the run stops; what is polished is polished to the end.
        bfloat16: forward pass in bfloat16 where that is safe (much faster on recent CPUs).
        threads: CPU threads, 0 for all cores; the result depends on it in the last bits.
        augment: how characters are rendered; None to take each EMNIST picture once per epoch, as it is.
    """

    network: str = "vinscribe"
    seed: int = 0
    epochs: int = 40
    polish: float = 2 / 7
    polish_bare: float = 0.5
    samples_per_epoch: int = 120_000
    class_balance: float = 0.6
    unipen: float = 0.22
    pen: float = 0.15
    fonts: float = 0.1
    pictures: float = 0.1
    cards: float = 0.16
    start: str = ""
    batch_size: int = 128
    lr: float = 3e-3
    warmup: float = 0.1
    weight_decay: float = 0.05
    label_smoothing: float = 0.0
    label_noise: float = 0.01
    ema_decay: float = 0.999
    patience: int = 8
    bfloat16: bool = True
    threads: int = 1
    augment: AugmentSettings | None = field(default_factory=AugmentSettings)

    def __post_init__(self) -> None:
        """Refuses what no run can work with: ``UsageError``."""
        for name in ("epochs", "batch_size", "lr", "patience"):
            if not getattr(self, name) > 0:
                option = "--" + name.replace("_", "-")
                raise UsageError(f"{option} {getattr(self, name)}: must be greater than 0")

    @property
    def shares(self) -> Shares:
        """Of the sources."""
        return Shares(self.unipen, self.pen, self.fonts, self.pictures)

    @property
    def first_epochs(self) -> int:
        """Epochs before the polish."""
        return self.epochs - round(self.epochs * self.polish)


START_FILE = "start.h5"
"""In a run's folder: the model that it began with, if any."""

_STATISTICS = 1024  # pictures on which a network that goes on learning measures what it normalises by

WORKERS = 1
"""Processes that render beside the one that learns; 0 to render in its pauses."""

RECIPES = {
    "vinscribe": FitSettings(),
    # The user's: plain Adam (AdamW without decay), each image once per epoch as it is, a constant rate.
    "seed": FitSettings(
        network="seed",
        epochs=20,
        polish=0.0,
        class_balance=0.0,
        unipen=0.0,
        pen=0.0,
        fonts=0.0,
        pictures=0.0,
        cards=0.0,
        lr=1e-3,
        warmup=0.0,
        weight_decay=0.0,
        label_smoothing=0.0,
        label_noise=0.0,
        ema_decay=0.0,
        patience=3,
        bfloat16=False,
        augment=None,
    ),
}
"""Default settings of each network."""


@dataclass(frozen=True)
class FitResult:
    """What a run leaves: the best network (in eval mode) and one dict of metrics per epoch."""

    network: nn.Sequential
    metrics: list[dict[str, float]]


def fit(settings: FitSettings, data: Data, run_dir: Path) -> FitResult:
    """Trains a network, or goes on with the run that is in the folder already.

    Args:
        settings: of the run.
        data: what it learns from, and what decides when to stop and which weights to keep.
        run_dir: the run's folder; made if missing.

    Raises:
        TrainingError: the folder holds a run with other settings or data, or the loss is no longer finite.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(settings.threads or os.cpu_count() or 1)
    run = _Run(settings, data, run_dir)
    run.load()
    if not run.finished:
        validation = Validation(data, settings.augment, input_px(settings.network), settings.class_balance)
        batches = _loader(settings, run.batches, run.sampler)
        while not run.finished:
            train_metrics = run.train_epoch(batches)
            run.end_epoch(train_metrics | validation.measure(run.averaged))
    network = build_network(settings.network)
    network.load_state_dict(load_state(run_dir / "best.pt"))
    return FitResult(network.eval(), run.metrics)


def noisy_cross_entropy(logits: Tensor, labels: Tensor, label_noise: float, label_smoothing: float = 0.0) -> Tensor:
    """Mean negative log probability of labels (N,) given logits (N, K), if a share of the labels is drawn blindly.

    Source: G. Patrini et al., "Making deep neural networks robust to label noise", CVPR 2017 (forward correction).
    """
    if not label_noise:
        return functional.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    log_probs = logits.log_softmax(1)
    blind = torch.full_like(log_probs, math.log(label_noise / logits.shape[1]))
    noisy = torch.logaddexp(log_probs + math.log1p(-label_noise), blind)
    return functional.nll_loss(noisy, labels) * (1 - label_smoothing) - label_smoothing * noisy.mean()


def _loader(
    settings: FitSettings, batches: Dataset[tuple[Tensor, Tensor]], sampler: EpochSampler
) -> DataLoader[tuple[Tensor, Tensor]]:
    """Rendering takes a process of its own; pictures that are taken as they are do not."""
    if settings.augment is None or not WORKERS:
        return DataLoader(batches, batch_size=None, sampler=sampler)
    return DataLoader(
        batches,
        batch_size=None,
        sampler=sampler,
        num_workers=WORKERS,
        prefetch_factor=32,
        persistent_workers=True,
        multiprocessing_context="spawn",
        worker_init_fn=_single_thread,
    )


def _single_thread(_worker: int) -> None:
    cv2.setNumThreads(1)


class _Run:
    """The state of a run between epochs."""

    def __init__(self, settings: FitSettings, data: Data, run_dir: Path) -> None:
        self.settings, self.data, self.dir = settings, data, run_dir
        torch.manual_seed(settings.seed)
        # https://docs.pytorch.org/tutorials/intermediate/memory_format_tutorial.html: faster on CPUs as well.
        network = build_network(settings.network)
        if settings.start and not (run_dir / "checkpoint.pt").exists():
            try:
                shutil.copyfile(settings.start, run_dir / START_FILE)  # which the release may replace
            except OSError as error:
                raise TrainingError(f"--start {settings.start}: {error.strerror}; give a model.h5") from error
            cells = normalise_batch(list(data.train.images[:_STATISTICS]), input_px(settings.network))
            load_weights(network, run_dir / START_FILE, as_float(torch.from_numpy(cells)[:, None]))
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averaged = copy.deepcopy(self.network) if settings.ema_decay else self.network
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=settings.lr, weight_decay=settings.weight_decay, fused=True
        )
        self.metrics: list[dict[str, float]] = []
        images = len(data.train) if settings.augment is None else min(settings.samples_per_epoch, 2 * len(data.train))
        self.steps_per_epoch = math.ceil(images / settings.batch_size)
        self.sampler = EpochSampler(self.steps_per_epoch)
        self.batches = _make_batches(settings, data, settings.first_epochs * self.steps_per_epoch)

    @property
    def epoch(self) -> int:
        return len(self.metrics)

    @property
    def best_epoch(self) -> int:
        losses = [row["val_loss"] for row in self.metrics]
        return losses.index(min(losses)) if losses else -1

    @property
    def finished(self) -> bool:
        waited = self.epoch - 1 - self.best_epoch
        tired = 0 < self.epoch <= self.settings.first_epochs and waited >= self.settings.patience
        return self.epoch >= self.settings.epochs or tired

    def identity(self) -> dict[str, Any]:
        """What must be the same for a run to be resumed."""
        identity = {"settings": asdict(self.settings), "train_images": len(self.data.train), "data": self.data.sha256()}
        return identity | ({"extra": self.data.extra.record()} if self.data.extra else {})

    def load(self) -> None:
        """Takes up the checkpoint in the folder, if there is one."""
        path = self.dir / "checkpoint.pt"
        if not path.exists():
            (self.dir / "settings.json").write_text(json.dumps(self.identity(), indent=2) + "\n")
            return
        state = load_state(path)
        if state["identity"] != self.identity():
            raise TrainingError(
                f"{self.dir}: holds a run with other settings or data (see its settings.json); choose another folder "
                "with --run, or start it anew with --fresh"
            )
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.metrics = state["metrics"]

    def train_epoch(self, batches: DataLoader[tuple[Tensor, Tensor]]) -> dict[str, float]:
        """Trains for one epoch; returns its mean loss and accuracy on the rendered characters."""
        torch.manual_seed(self.settings.seed * 1_000_003 + self.epoch)  # for dropout
        self.sampler.epoch = self.epoch
        self.network.train()
        loss_sum = correct = seen = 0.0
        with _progress(self.steps_per_epoch, f"epoch {self.epoch + 1}/{self.settings.epochs}") as bar:
            for step, (cells, labels) in enumerate(batches):
                loss, hits = self._step(cells, labels, self.epoch * self.steps_per_epoch + step)
                loss_sum, correct, seen = loss_sum + loss * len(cells), correct + hits, seen + len(cells)
                bar.set_postfix(loss=f"{loss_sum / seen:.4f}", accuracy=f"{correct / seen:.4f}", refresh=False)
                bar.update()
        return {"train_loss": loss_sum / seen, "train_accuracy": correct / seen}

    def _step(self, cells: Tensor, labels: Tensor, step: int) -> tuple[float, float]:
        settings = self.settings
        for group in self.optimizer.param_groups:
            group["lr"] = settings.lr * self._rate(step / self.steps_per_epoch)
        with torch.autocast("cpu", torch.bfloat16, enabled=settings.bfloat16):
            logits = self.network(as_float(cells)).float()
        loss = noisy_cross_entropy(logits, labels, settings.label_noise, settings.label_smoothing)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        if settings.ema_decay:
            self._average(step)
        return loss.item(), float((logits.argmax(1) == labels).sum())

    def _rate(self, epochs: float) -> float:
        """Share of the highest learning rate after so many epochs, whole and parts."""
        warmup, first = self.settings.warmup, self.settings.first_epochs
        if not warmup:
            return 1.0
        if epochs >= first:
            return 0.25 * (1 + math.cos(math.pi * (epochs - first) / (self.settings.epochs - first)))
        done = epochs / first
        return done / warmup if done < warmup else 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))

    @torch.no_grad()
    def _average(self, step: int) -> None:
        decay = min(self.settings.ema_decay, (1 + step) / (10 + step))
        means, values = (tuple(each.state_dict().values()) for each in (self.averaged, self.network))
        floating = [number for number, mean in enumerate(means) if mean.is_floating_point()]
        torch._foreach_lerp_([means[number] for number in floating], [values[number] for number in floating], 1 - decay)
        for number in set(range(len(means))) - set(floating):
            means[number].copy_(values[number])

    def end_epoch(self, metrics: dict[str, float]) -> None:
        """Notes the metrics, keeps the weights if they are the best so far, writes the checkpoint."""
        if not all(map(math.isfinite, metrics.values())):
            text = ", ".join(f"{name} {value:g}" for name, value in metrics.items())
            raise TrainingError(
                f"{self.dir}: epoch {self.epoch + 1} ended with {text}; start anew with --fresh and a lower --lr"
            )
        self.metrics.append({"epoch": self.epoch + 1, **metrics})
        if self.best_epoch == self.epoch - 1:
            save_state(self.averaged.state_dict(), self.dir / "best.pt")
        state = {
            "identity": self.identity(),
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "metrics": self.metrics,
        }
        save_state(state, self.dir / "checkpoint.pt")
        (self.dir / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in self.metrics))
        line = "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        print(f"epoch {self.epoch}/{self.settings.epochs}  {line}", file=sys.stderr, flush=True)


def _make_batches(settings: FitSettings, data: Data, polish_from: int) -> Dataset[tuple[Tensor, Tensor]]:
    size_px = input_px(settings.network)
    if settings.augment is None:
        cells = normalise_batch(list(data.train.images), size_px)
        return PlainBatches(cells, data.train.labels, settings.batch_size, settings.seed)
    sources = make_sources(data, settings.class_balance, settings.shares)
    polished = replace(settings.augment, bare=max(settings.augment.bare, settings.polish_bare))
    phases = [(polish_from, settings.augment), (math.inf, polished)]
    hands = [Hands(strokes) for strokes in (data.train_strokes, data.train_fonts) if strokes]
    cards = CardCells(hands, size_px) if settings.cards else None
    return RenderedBatches(sources, phases, settings.batch_size, size_px, settings.seed, cards, settings.cards)


def _progress(total: int, title: str) -> Any:
    """A bar on a terminal, nothing elsewhere (``end_epoch`` prints a plain line anyway)."""
    return tqdm(total=total, desc=title, unit="step", leave=False, disable=None, mininterval=0.5)
