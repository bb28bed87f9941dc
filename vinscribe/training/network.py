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


def vinscribe_network(widths: tuple[int, int, int] = (32, 64, 128), dropout: float = 0.3) -> nn.Sequential:
    """Our network: three stages of two 3×3 convolutions, each halved by pooling, and one dense layer.

    Pooling comes before the second normalisation of a stage: the same function up to rounding, a quarter of the work.
    """
    layers: list[nn.Module] = []
    channels = 1
    for width in widths:
        layers += [
            nn.Conv2d(channels, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.MaxPool2d(2),  # 14, 7, 3 px
            nn.BatchNorm2d(width),
            nn.ReLU(),
        ]
        channels = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(dropout), nn.Linear(channels * 3 * 3, NUM_CLASSES))


NETWORKS = {"seed": seed_network, "vinscribe": vinscribe_network}


def build_network(name: str) -> nn.Sequential:
    """A network by name, with random weights; ``UsageError`` for an unknown name."""
    if name not in NETWORKS:
        raise UsageError(f"--network {name}: no such network; choose one of {', '.join(NETWORKS)}")
    return NETWORKS[name]()
