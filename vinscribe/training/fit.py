"""One training run: cross-entropy, AdamW, early stopping on the validation loss, best weights restored.

A run folder holds ``settings.json`` (resolved), ``metrics.jsonl`` (a line per epoch), ``checkpoint.pt`` (to resume) and
``best.pt`` (the weights with the lowest validation loss). Every epoch draws its randomness anew from the run's seed
and the epoch's number, so a run that was killed and resumed from its last whole epoch ends with the same weights as
one that was never broken.

Source: I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR 2019 (AdamW); C. Szegedy et al.,
"Rethinking the Inception architecture", CVPR 2016 (label smoothing); B. Polyak, A. Juditsky, "Acceleration of
stochastic approximation by averaging", 1992 (averaged weights).
"""

import copy
import hashlib
import json
import math
import os
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from vinscribe.cells import normalise_batch
from vinscribe.errors import TrainingError, UsageError
from vinscribe.training.augment import AugmentSettings, augment
from vinscribe.training.checkpoint import load_state, save_state
from vinscribe.training.dataset import Split
from vinscribe.training.evaluate import fit_temperature, negative_log_likelihood
from vinscribe.training.network import build_network


@dataclass(frozen=True)
class FitSettings:
    """Everything that decides a run's result, beside the data.

    Attributes:
        network: a name of ``network.NETWORKS``.
        seed: of weights, order and augmentation.
        epochs: most epochs; the learning rate falls to zero over them.
        samples_per_epoch: images drawn per epoch, but at most twice as many as there are; 0 for each image once,
            whatever ``class_balance`` says.
        class_balance: 0 draws classes as often as they stand in validation, 1 draws all classes equally often, values
            between are a compromise: a class is drawn in proportion to its share to the power of 1 - class_balance.
        batch_size: images per step.
        lr: highest learning rate.
        warmup: share of the steps in which the rate rises to ``lr``; after it, it falls by a half cosine.
        weight_decay: of AdamW, decoupled.
        label_smoothing: share of the target that is spread over all classes.
        ema_decay: of the averaged weights that are validated and kept, 0 for the plain weights.
        patience: epochs without a better validation loss before the run stops.
        bfloat16: forward pass in bfloat16 where that is safe (much faster on recent CPUs).
        threads: CPU threads, 0 for all cores; the result depends on it in the last bits.
        augment: how far images are changed, None to leave them alone.
    """

    network: str = "vinscribe"
    seed: int = 0
    epochs: int = 12
    samples_per_epoch: int = 120_000
    class_balance: float = 0.6
    batch_size: int = 128
    lr: float = 3e-3
    warmup: float = 0.1
    weight_decay: float = 0.05
    label_smoothing: float = 0.02
    ema_decay: float = 0.998
    patience: int = 5
    bfloat16: bool = True
    threads: int = 0
    augment: AugmentSettings | None = field(default_factory=AugmentSettings)

    def __post_init__(self) -> None:
        """Refuses what no run can work with: ``UsageError``."""
        for name in ("epochs", "batch_size", "lr", "patience"):
            if not getattr(self, name) > 0:
                option = "--" + name.replace("_", "-")
                raise UsageError(f"{option} {getattr(self, name)}: must be greater than 0")


RECIPES = {
    "vinscribe": FitSettings(),
    # The user's: plain Adam (AdamW without decay), each image once per epoch as it is, a constant rate.
    "seed": FitSettings(
        network="seed",
        epochs=20,
        samples_per_epoch=0,
        class_balance=0.0,
        lr=1e-3,
        warmup=0.0,
        weight_decay=0.0,
        label_smoothing=0.0,
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


def to_inputs(images: NDArray[np.uint8]) -> Tensor:
    """Images (N, H, W) uint8, normalised as in reading -> (N, 1, 28, 28) uint8 tensor."""
    return torch.from_numpy(normalise_batch(list(images)))[:, None]


def fit(settings: FitSettings, train: Split, validation: Split, run_dir: Path) -> FitResult:
    """Trains a network, or goes on with the run that is in the folder already.

    Args:
        settings: of the run.
        train: images to learn from.
        validation: images that decide when to stop and which weights to keep.
        run_dir: the run's folder; made if missing.

    Raises:
        TrainingError: the folder holds a run with other settings or data, or the loss is no longer finite.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(settings.threads or os.cpu_count() or 1)
    run = _Run(settings, train, validation.counts(), run_dir)
    run.load()
    inputs = to_inputs(validation.images)
    while not run.finished:
        train_metrics = run.train_epoch()
        val_loss, val_accuracy = validate(run.averaged, inputs, validation.labels, settings.class_balance)
        run.end_epoch(train_metrics | {"val_loss": val_loss, "val_accuracy": val_accuracy})
    network = build_network(settings.network)
    network.load_state_dict(load_state(run_dir / "best.pt"))
    return FitResult(network.eval(), run.metrics)


@torch.inference_mode()
def logits_of(network: nn.Module, inputs: Tensor) -> Tensor:
    """Logits (N, 33) float32 of inputs (N, 1, 28, 28) uint8, in eval mode."""
    network.eval()
    return torch.cat([network(_as_float(batch)) for batch in inputs.split(1000)])


def validate(
    network: nn.Module, inputs: Tensor, labels: NDArray[np.int64], class_balance: float = 0.0
) -> tuple[float, float]:
    """Loss and accuracy of a network on inputs (N, 1, 28, 28) uint8 with labels (N,).

    The loss is the cross-entropy at the best temperature, its classes weighted as training draws them: label smoothing
    makes a network timid and balancing shifts its priors, and neither may decide which epoch was the best.
    """
    logits = logits_of(network, inputs).numpy()
    weights = class_shares(np.bincount(labels), class_balance)[labels] / np.bincount(labels)[labels]
    loss = negative_log_likelihood(logits / fit_temperature(logits, labels, weights), labels, weights)
    return loss, float((logits.argmax(1) == labels).mean())


def class_shares(counts: NDArray[np.int64], class_balance: float) -> NDArray[np.float64]:
    """How often each class is drawn: counts (33,) to the power of 1 - class_balance, adding up to 1; 0 stays 0."""
    shares = np.where(counts > 0, np.maximum(counts, 1).astype(np.float64) ** (1 - class_balance), 0)
    normalised: NDArray[np.float64] = shares / shares.sum()
    return normalised


def _as_float(inputs: Tensor) -> Tensor:
    return (inputs.float() / 255).contiguous(memory_format=torch.channels_last)


class _Run:
    """The state of a run between epochs."""

    def __init__(self, settings: FitSettings, train: Split, class_counts: NDArray[np.int64], run_dir: Path) -> None:
        self.settings, self.dir = settings, run_dir
        self.inputs, self.labels = to_inputs(train.images), torch.from_numpy(train.labels)
        self.data = hashlib.sha256(train.images.tobytes() + train.labels.tobytes()).hexdigest()
        torch.manual_seed(settings.seed)
        # https://docs.pytorch.org/tutorials/intermediate/memory_format_tutorial.html: faster on CPUs as well.
        self.network = build_network(settings.network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averaged = copy.deepcopy(self.network) if settings.ema_decay else self.network
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=settings.lr, weight_decay=settings.weight_decay
        )
        self.metrics: list[dict[str, float]] = []
        self.images_per_epoch = min(settings.samples_per_epoch, 2 * len(train)) or len(train)
        self.steps_per_epoch = math.ceil(self.images_per_epoch / settings.batch_size)
        # A class that validation happens to lack is drawn as if it stood there once.
        shares = class_shares(class_counts.clip(1), settings.class_balance) / train.counts().clip(1)
        self.weights = torch.from_numpy(shares)[self.labels]

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
        return self.epoch >= self.settings.epochs or (self.epoch > 0 and waited >= self.settings.patience)

    def identity(self) -> dict[str, Any]:
        """What must be the same for a run to be resumed."""
        return {"settings": asdict(self.settings), "train_images": len(self.inputs), "data": self.data}

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

    def train_epoch(self) -> dict[str, float]:
        """Trains for one epoch; returns its mean loss and accuracy on the augmented images."""
        generator = torch.Generator().manual_seed(self.settings.seed * 1_000_003 + self.epoch)
        torch.manual_seed(generator.initial_seed() + 1)  # dropout draws from the global generator
        self.network.train()
        loss_sum = correct = seen = 0.0
        with _progress(self.steps_per_epoch, f"epoch {self.epoch + 1}/{self.settings.epochs}") as bar:
            for step, rows in enumerate(self._draw(generator).split(self.settings.batch_size)):
                loss, hits = self._step(rows, self.epoch * self.steps_per_epoch + step, generator)
                loss_sum, correct, seen = loss_sum + loss * len(rows), correct + hits, seen + len(rows)
                bar.set_postfix(loss=f"{loss_sum / seen:.4f}", accuracy=f"{correct / seen:.4f}", refresh=False)
                bar.update()
        return {"train_loss": loss_sum / seen, "train_accuracy": correct / seen}

    def _draw(self, generator: torch.Generator) -> Tensor:
        """Rows of this epoch, in random order."""
        if not self.settings.samples_per_epoch:
            return torch.randperm(len(self.inputs), generator=generator)
        return torch.multinomial(self.weights, self.images_per_epoch, replacement=True, generator=generator)

    def _step(self, rows: Tensor, step: int, generator: torch.Generator) -> tuple[float, float]:
        settings = self.settings
        images, labels = self.inputs[rows].float() / 255, self.labels[rows]
        if settings.augment:
            images = augment(images, settings.augment, generator)
        for group in self.optimizer.param_groups:
            group["lr"] = settings.lr * self._rate(step / (settings.epochs * self.steps_per_epoch))
        with torch.autocast("cpu", torch.bfloat16, enabled=settings.bfloat16):
            logits = self.network(images.contiguous(memory_format=torch.channels_last)).float()
        loss = functional.cross_entropy(logits, labels, label_smoothing=settings.label_smoothing)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        if settings.ema_decay:
            self._average(step)
        return loss.item(), float((logits.argmax(1) == labels).sum())

    def _rate(self, done: float) -> float:
        """Share of the highest learning rate after a share of all steps."""
        warmup = self.settings.warmup
        if not warmup:
            return 1.0
        return done / warmup if done < warmup else 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))

    @torch.no_grad()
    def _average(self, step: int) -> None:
        decay = min(self.settings.ema_decay, (1 + step) / (10 + step))
        for mean, value in zip(self.averaged.state_dict().values(), self.network.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)

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


def _progress(total: int, title: str) -> Any:
    """A bar on a terminal, nothing elsewhere (``end_epoch`` prints a plain line anyway)."""
    return tqdm(total=total, desc=title, unit="step", leave=False, disable=None, mininterval=0.5)
