"""network.py: the user's network layer by layer, ours within its size."""

import pytest
import torch
from torch import nn

from vinscribe.charset import NUM_CLASSES, NUM_OUTPUTS
from vinscribe.errors import UsageError
from vinscribe.training.network import NETWORKS, build_network, input_px, seed_network, vinscribe_network


def weights_of(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("name", NETWORKS)
def test_a_row_of_logits_for_each_cell(name: str) -> None:
    network, side = build_network(name).eval(), input_px(name)
    logits = network(torch.rand(3, 1, side, side, generator=torch.Generator().manual_seed(0)))
    assert logits.shape == (3, {"seed": NUM_CLASSES, "vinscribe": NUM_OUTPUTS}[name])
    assert logits.dtype == torch.float32
    assert (logits < 0).any()  # logits, no probabilities
    assert not torch.equal(logits[0], logits[1])


def test_the_seed_network_is_the_users() -> None:
    x = torch.zeros(2, 1, 28, 28)
    seen = []
    for layer in seed_network():
        x = layer(x)
        seen.append((type(layer).__name__, tuple(x.shape[1:])))
    assert seen == [
        ("Conv2d", (16, 28, 28)),
        ("ReLU", (16, 28, 28)),
        ("MaxPool2d", (16, 14, 14)),
        ("Conv2d", (48, 10, 10)),
        ("ReLU", (48, 10, 10)),
        ("MaxPool2d", (48, 5, 5)),
        ("Flatten", (1200,)),
        ("Linear", (256,)),
        ("Tanh", (256,)),
        ("Linear", (84,)),
        ("Tanh", (84,)),
        ("Linear", (33,)),
    ]
    kernels = [layer.kernel_size for layer in seed_network() if isinstance(layer, nn.Conv2d)]
    assert kernels == [(5, 5), (5, 5)]
    assert weights_of(seed_network()) == 351_513
    assert "351,513" in str(seed_network.__doc__)


def test_our_network_fits_into_two_megabytes() -> None:
    assert weights_of(build_network("vinscribe")) <= 500_000
    assert f"{weights_of(vinscribe_network()):,}" in str(vinscribe_network.__doc__)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--network lenet.*choose one of seed, vinscribe"):
        build_network("lenet")
    with pytest.raises(UsageError, match=r"--network lenet"):
        input_px("lenet")
