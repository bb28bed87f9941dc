"""The two networks: the user's own (``seed``) and ours (``vinscribe``).

Both are plain ``nn.Sequential`` stacks, so that export to ONNX and Keras is a walk over layers. Input is
(N, 1, S, S) float32 in [0, 1], ink white on black, S being ``input_px``; output is logits, (N, 33) of the user's and
(N, 34) of ours, whose last one says that there is no legible character.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

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


def vinscribe_network(dropout: float = 0.3) -> nn.Sequential:
    """Our network: six convolutions and one dense layer (444,930 weights, 24 million multiplications).

    The first convolution halves the picture at once: a stroke is three to four pixels wide, little is lost, and what
    follows costs a quarter. Pooling comes before normalisation for the same reason.
    """
    return nn.Sequential(
        *_convolution(1, 32, 5, stride=2),  # 32 x 20 x 20
        *_convolution(32, 48, 3, pool=True),  # 48 x 10 x 10
        *_convolution(48, 96, 3),
        *_convolution(96, 96, 3, pool=True),  # 96 x 5 x 5
        *_convolution(96, 112, 3),
        *_convolution(112, 112, 3),  # 112 x 5 x 5
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(112 * 5 * 5, NUM_OUTPUTS),
    )


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, pool: bool = False) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    pooling = [nn.MaxPool2d(2)] if pool else []
    return [convolution, *pooling, nn.BatchNorm2d(outputs), nn.ReLU()]


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
