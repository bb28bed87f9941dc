"""The two networks: the user's own (``seed``) and ours (``vinscribe``).

Both are plain ``nn.Sequential`` stacks, so that export to ONNX and Keras is a walk over layers. Input is
(N, 1, S, S) float32 in [0, 1], ink white on black, S being ``input_px``; output is logits, (N, 33) of the user's and
(N, 34) of ours, whose last one says that there is no legible character.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from vinscribe.cells import CELL_PX
from vinscribe.charset import NUM_CLASSES, NUM_OUTPUTS
from vinscribe.errors import UsageError


def seed_network() -> nn.Sequential:
    """The user's network: two convolution + pooling pairs, flatten, three dense layers (351,513 weights)."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),  # 16 x 14 x 14
        nn.Conv2d(16, 48, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),  # 48 x 5 x 5
        nn.Flatten(),
        nn.Linear(48 * 5 * 5, 256),
        nn.Tanh(),
        nn.Linear(256, 84),
        nn.Tanh(),
        nn.Linear(84, NUM_CLASSES),
    )


class Residual(nn.Module):
    """Two convolutions whose result is added to what they are given: (N, C, H, W) -> (N, C, H, W).

    Source: K. He et al., "Deep residual learning for image recognition", CVPR 2016.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        first, second = _convolution(channels, channels, 3), _convolution(channels, channels, 3)
        self.body = nn.Sequential(*first, *second[:-1])

    def forward(self, values: Tensor) -> Tensor:
        """Of a batch."""
        return torch.relu(values + self.body(values))


EMBEDDING = 160
"""Values by which our network describes a cell before it says which character it is."""


def vinscribe_network(dropout: float = 0.2) -> nn.Sequential:
    """Our network: ten convolutions and two dense layers (1.1 million weights, 33 million multiplications).

    The first convolution halves the picture at once: a stroke is three to four pixels wide, little is lost, and what
    follows costs a quarter.
    """
    return nn.Sequential(
        *_convolution(1, 32, 5, stride=2),  # 32 x 20 x 20
        *_convolution(32, 64, 3, stride=2),  # 64 x 10 x 10
        Residual(64),
        *_convolution(64, 128, 3, pool=True),  # 128 x 5 x 5
        Residual(128),
        Residual(128),
        nn.Conv2d(128, 128, 3, bias=False),  # 128 x 3 x 3
        nn.BatchNorm2d(128),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(128 * 3 * 3, EMBEDDING, bias=False),
        nn.BatchNorm1d(EMBEDDING),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(EMBEDDING, NUM_OUTPUTS),
    )


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, pool: bool = False) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    pooling = [nn.MaxPool2d(2)] if pool else []
    return [convolution, nn.BatchNorm2d(outputs), *pooling, nn.ReLU()]


@dataclass(frozen=True)
class _Network:
    build: Callable[[], nn.Sequential]
    input_px: int


NETWORKS = {"seed": _Network(seed_network, 28), "vinscribe": _Network(vinscribe_network, CELL_PX)}


def build_network(name: str) -> nn.Sequential:
    """A network by name, with random weights; ``UsageError`` for an unknown name."""
    return _network(name).build()


def input_px(name: str) -> int:
    """Side of the cells that a network takes; ``UsageError`` for an unknown name."""
    return _network(name).input_px


def _network(name: str) -> _Network:
    if name not in NETWORKS:
        raise UsageError(f"--network {name}: no such network; choose one of {', '.join(NETWORKS)}")
    return NETWORKS[name]


def fused(network: nn.Sequential) -> nn.Sequential:
    """A copy for reading: normalisation is part of the layer before it, dropout is gone; the same function of cells.

    Args:
        network: its normalisations follow convolutions or dense layers at once.
    """
    layers: list[nn.Module] = []
    for layer in copy.deepcopy(network).to(memory_format=torch.contiguous_format).eval():  # type: ignore[call-overload]
        before = layers[-1] if layers else None
        if isinstance(layer, nn.BatchNorm2d) and isinstance(before, nn.Conv2d):
            layers[-1] = fuse_conv_bn_eval(before, layer)
        elif isinstance(layer, nn.BatchNorm1d) and isinstance(before, nn.Linear):
            layers[-1] = fuse_linear_bn_eval(before, layer)
        elif isinstance(layer, Residual):
            layer.body = fused(layer.body)
            layers.append(layer)
        elif not isinstance(layer, nn.Dropout):
            layers.append(layer)
    return nn.Sequential(*layers)


def unfused(network: nn.Sequential, weights: Sequence[Sequence[Tensor]], cells: Tensor) -> None:
    """Puts the weights of a fused network into one that normalises, which then computes the same, in training too.

    Args:
        network: that ``fused`` would turn into one with these weights.
        weights: for each of its convolutions and dense layers, in order, the kernel and, where it has one, the bias.
        cells: float32 (N, 1, S, S), hundreds: what the normalisations take as their statistics is measured on these.

    Raises:
        ValueError, RuntimeError: the weights are those of another network.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    norms = {id(before): layer for before, layer in _followed(network)}
    for layer, values in zip(layers, weights, strict=True):
        kernel, bias = values
        with torch.no_grad():
            layer.weight.copy_(kernel)
            norm = norms.get(id(layer))
            if norm is None:
                assert layer.bias is not None  # noqa: S101
                layer.bias.copy_(bias)
                continue
            for buffer, value in ((norm.running_mean, 0.0), (norm.running_var, 1.0 - norm.eps), (norm.weight, 1.0)):
                buffer.fill_(value)
            norm.bias.copy_(bias)
    statistics: dict[int, tuple[Tensor, Tensor]] = {}

    def note(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        values = inputs[0].transpose(0, 1).flatten(1)
        statistics[id(norm)] = values.mean(1), values.var(1, correction=0)

    hooks = [norm.register_forward_pre_hook(note) for norm in norms.values()]
    with torch.inference_mode():
        network.eval()(cells)
    for hook in hooks:
        hook.remove()
    for norm in norms.values():
        mean, variance = (values.clone() for values in statistics[id(norm)])
        with torch.no_grad():
            norm.bias.add_(mean)
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)
            norm.weight.copy_((variance + norm.eps).sqrt())


def _followed(network: nn.Sequential) -> Iterator[tuple[nn.Module, Any]]:
    """Layers and the normalisations that follow them."""
    for module in network.modules():
        if isinstance(module, nn.Sequential):
            for before, layer in pairwise(module):
                if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d):
                    yield before, layer
