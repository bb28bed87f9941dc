"""The two networks: the user's own (``seed``) and ours (``vinscribe``).

Both are plain ``nn.Sequential`` stacks, so that export to ONNX and Keras is a walk over layers. Input is
(N, 1, 28, 28) float32 in [0, 1], ink white on black; output is logits (N, 33).
"""

from torch import nn

from vinscribe.charset import NUM_CLASSES
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
    """Our network: five convolutions and one dense layer (316,161 weights, 22 million multiplications).

    The first convolution halves the picture at once: a stroke is two to three pixels wide, nothing is lost, and what
    follows costs a quarter. Pooling comes before normalisation for the same reason.
    """
    return nn.Sequential(
        *_convolution(1, 32, 5, stride=2),  # 32 x 14 x 14
        *_convolution(32, 64, 3),
        *_convolution(64, 64, 3, pool=True),  # 64 x 7 x 7
        *_convolution(64, 128, 3),
        *_convolution(128, 128, 3, pool=True),  # 128 x 3 x 3
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(128 * 3 * 3, NUM_CLASSES),
    )


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, pool: bool = False) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    pooling = [nn.MaxPool2d(2)] if pool else []
    return [convolution, *pooling, nn.BatchNorm2d(outputs), nn.ReLU()]


NETWORKS = {"seed": seed_network, "vinscribe": vinscribe_network}


def build_network(name: str) -> nn.Sequential:
    """A network by name, with random weights; ``UsageError`` for an unknown name."""
    if name not in NETWORKS:
        raise UsageError(f"--network {name}: no such network; choose one of {', '.join(NETWORKS)}")
    return NETWORKS[name]()
