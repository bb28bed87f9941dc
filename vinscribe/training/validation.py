"""What a run is validated on, and how well a network reads it."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vinscribe.cells import normalise, normalise_batch
from vinscribe.training.augment import AugmentSettings, render
from vinscribe.training.batches import Data, class_shares, stroke_glyphs
from vinscribe.training.card_cells import CardCells
from vinscribe.training.evaluate import fit_temperature, negative_log_likelihood
from vinscribe.training.glyphs import Glyphs, ImageGlyphs
from vinscribe.training.hands import Hands
from vinscribe.training.unipen import without_doubtful

_CARDS = 120  # to validate on

EXTRA = "extra"
"""Name of the part with the office's cells."""


@dataclass(frozen=True)
class Part:
    """One part of validation: cells (N, size_px, size_px) uint8, labels (N,) int64, 33 where nothing is legible."""

    name: str
    cells: NDArray[np.uint8]
    labels: NDArray[np.int64]


def validation_parts(data: Data, settings: AugmentSettings | None, size_px: int, seed: int = 0) -> list[Part]:
    """EMNIST as it is; where training renders, much else beside it; the office's cells.

    Rendered are EMNIST, the recorded strokes and the fonts in cells, and the strokes on cards; scanned characters are
    taken as they are. The cells are the same in every epoch and every run.
    """
    bare = [normalise(image, size_px) for image in data.validation.images]
    parts = [Part("emnist", np.stack(bare), data.validation.labels)]
    if settings is not None and settings.bare < 1:
        images = ImageGlyphs(data.validation.images, data.validation.labels)
        parts.append(_rendered_part("cells", images, np.arange(len(bare))[::3], settings, size_px, seed))
        if data.validation_strokes:
            glyphs, every = stroke_glyphs(data.validation_strokes), np.arange(len(data.validation_strokes))
            parts.append(_rendered_part("unipen", glyphs, every, settings, size_px, seed))
            hands = Hands(without_doubtful(data.validation_strokes))
            parts.append(Part("cards", *CardCells([hands], size_px).draw_many(_CARDS, [seed, _CARDS])))
        if data.validation_fonts:
            glyphs, every = stroke_glyphs(data.validation_fonts), np.arange(len(data.validation_fonts))
            parts.append(_rendered_part("fonts", glyphs, every, settings, size_px, seed))
        if data.validation_pictures:
            scanned = [normalise(image, size_px) for image in data.validation_pictures.images]
            parts.append(Part("pictures", np.stack(scanned), data.validation_pictures.labels))
    if data.extra and len(data.extra.validation):
        parts.append(Part(EXTRA, data.extra.validation.cells, data.extra.validation.labels))
    return parts


def _rendered_part(
    name: str, glyphs: Glyphs, indices: NDArray[np.int64], settings: AugmentSettings, size_px: int, seed: int
) -> Part:
    rng = np.random.default_rng([seed, len(name)])
    in_cells = replace(settings, bare=0.0)
    rendered = [render(glyphs, int(index), in_cells, rng) for index in indices]
    cells = np.stack([normalise(picture, size_px) for picture, _ in rendered])
    return Part(name, cells, np.array([label for _, label in rendered]))


def to_inputs(images: NDArray[np.uint8], size_px: int) -> Tensor:
    """Images (N, H, W) uint8, normalised as in reading -> (N, 1, size_px, size_px) uint8 tensor."""
    return torch.from_numpy(normalise_batch(list(images), size_px))[:, None]


@torch.inference_mode()
def logits_of(network: nn.Module, inputs: Tensor) -> Tensor:
    """Logits (N, outputs) float32 of inputs (N, 1, S, S) uint8, in eval mode."""
    network.eval()
    return torch.cat([network(as_float(batch)) for batch in inputs.split(1000)])


class Validation:
    """Loss and accuracies of a network on the validation pictures.

    The loss is the cross-entropy at the best temperature, the mean over the parts, EMNIST's classes weighted as
    training draws them: label smoothing makes a network timid and balancing shifts its priors, and neither may decide
    which epoch was the best. The office's cells count with their share of the training: a few dozen must not decide.

    Args:
        data: of the run.
        settings: how cells are rendered; None for a run that does not render.
        size_px: the network's input side.
        class_balance: how far EMNIST's classes are evened out, see ``fit.FitSettings``.
    """

    def __init__(self, data: Data, settings: AugmentSettings | None, size_px: int, class_balance: float) -> None:
        parts = validation_parts(data, settings, size_px)
        self.names = [part.name for part in parts]
        self.inputs = torch.from_numpy(np.concatenate([part.cells for part in parts]))[:, None]
        self.labels = np.concatenate([part.labels for part in parts])
        self.part_of = np.repeat(np.arange(len(parts)), [len(part.labels) for part in parts])
        own = data.extra.share if data.extra and EXTRA in self.names else 0.0
        each = (1 - own) / (len(parts) - (EXTRA in self.names))
        shares = [own if name == EXTRA else each for name in self.names]
        weights = [_weights(part, class_balance) * share for part, share in zip(parts, shares, strict=True)]
        self.weights = np.concatenate(weights)

    def measure(self, network: nn.Module) -> dict[str, float]:
        """val_loss, and val_NAME: the accuracy on each part."""
        logits = logits_of(network, self.inputs).numpy()
        temperature = fit_temperature(logits, self.labels, self.weights)
        right = logits.argmax(1) == self.labels
        return {"val_loss": negative_log_likelihood(logits / temperature, self.labels, self.weights)} | {
            f"val_{name}": float(right[self.part_of == number].mean()) for number, name in enumerate(self.names)
        }


def _weights(part: Part, class_balance: float) -> NDArray[np.float64]:
    """(N,) adding up to 1."""
    if part.name != "emnist":
        return np.full(len(part.labels), 1 / len(part.labels))
    counts = np.bincount(part.labels)
    shares: NDArray[np.float64] = class_shares(counts, class_balance)[part.labels] / counts[part.labels]
    return shares


def as_float(inputs: Tensor) -> Tensor:
    """Cells (N, 1, S, S) uint8 -> float32 in [0, 1], in the memory order that is fastest."""
    return (inputs.float() / 255).contiguous(memory_format=torch.channels_last)
