"""network.py: the user's network layer by layer, ours within its size; normalisation put into layers and back."""

import copy

import pytest
import torch
from torch import Tensor, nn

from vinscribe.charset import NUM_CLASSES, NUM_OUTPUTS
from vinscribe.errors import UsageError
from vinscribe.training.network import (
    EMBEDDING,
    NETWORKS,
    Residual,
    build_network,
    fused,
    input_px,
    seed_network,
    unfused,
    vinscribe_network,
)


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


def test_our_network_is_as_large_as_it_says() -> None:
    network, multiplications = vinscribe_network().eval(), []

    def count(layer: nn.Module, _: object, result: Tensor) -> None:
        multiplications.append(layer.weight.numel() * result[0, 0].numel())

    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    for layer in layers:
        layer.register_forward_hook(count)
    side = input_px("vinscribe")
    network(torch.zeros(1, 1, side, side))
    text = " ".join(str(vinscribe_network.__doc__).split())
    assert f"{weights_of(network) / 1e6:.1f} million weights" in text
    assert f"{sum(multiplications) / 1e6:.0f} million multiplications" in text
    convolutions = sum(isinstance(layer, nn.Conv2d) for layer in layers)
    assert (convolutions, len(layers) - convolutions) == (10, 2)
    assert "ten convolutions and two dense layers" in text
    assert layers[-2].out_features == layers[-1].in_features == EMBEDDING
    assert 2 * weights_of(network) <= 2_500_000  # bytes of model.onnx, in half precision


def trained(network: nn.Sequential, side: int) -> nn.Sequential:
    """Its normalisations have statistics, its weights and biases are not those it begins with."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                layer.weight.uniform_(0.5, 1.5, generator=generator)
                layer.bias.normal_(0, 0.3, generator=generator)
        for _ in range(3):
            network.train()(cells(side, 64, 2))
    return network.eval()


def cells(side: int, count: int, seed: int) -> Tensor:
    return torch.rand(count, 1, side, side, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_fused_network_computes_the_same(name: str) -> None:
    side = input_px(name)
    network = trained(build_network(name), side)
    before = copy.deepcopy(network.state_dict())
    found = fused(network.train())
    assert not any(isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.Dropout) for layer in found.modules())
    assert network.training  # the network itself stays as it was
    assert all(torch.equal(values, before[key]) for key, values in network.state_dict().items())
    some = cells(side, 9, 3)
    with torch.inference_mode():
        expected = network.eval()(some)
        torch.testing.assert_close(found(some), expected, rtol=1e-4, atol=1e-4)
        for kind in (torch.channels_last, torch.contiguous_format):
            again = fused(network.to(memory_format=kind))
            torch.testing.assert_close(again(some.contiguous(memory_format=kind)), expected, rtol=1e-4, atol=1e-4)


def values_of(network: nn.Sequential) -> list[list[Tensor]]:
    layers = [layer for layer in fused(network).modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    return [[layer.weight, layer.bias] for layer in layers]


def test_an_unfused_network_computes_the_same_in_training_too() -> None:
    side = input_px("vinscribe")
    network = trained(vinscribe_network(), side)
    other = vinscribe_network(dropout=0.0)
    measured, unseen = cells(side, 200, 4), cells(side, 20, 5)
    unfused(other, values_of(network), measured)
    with torch.inference_mode():
        for some in (measured, unseen):
            torch.testing.assert_close(other.eval()(some), network(some), rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(other.train()(measured), network(measured), rtol=1e-3, atol=1e-3)


def test_weights_of_another_network_are_refused() -> None:
    values = values_of(vinscribe_network())
    some = cells(input_px("vinscribe"), 4, 0)
    for wrong in (values[:-1], [*values, values[-1]], values[::-1], values_of(seed_network())):
        with pytest.raises((ValueError, RuntimeError)):
            unfused(vinscribe_network(), wrong, some)


def test_what_a_residual_block_adds_to() -> None:
    block = Residual(8).eval()
    values = torch.rand(2, 8, 5, 5, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert block(values).shape == values.shape
        for parameter in block.parameters():
            parameter.zero_()
        torch.testing.assert_close(block(values), values)  # what it is given goes through


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--network lenet.*choose one of seed, vinscribe"):
        build_network("lenet")
    with pytest.raises(UsageError, match=r"--network lenet"):
        input_px("lenet")
