"""augment.py: random but repeatable, within range, and the character stays in the frame."""

from dataclasses import fields, replace

import pytest
import torch
from emnist_archive import glyphs
from torch import Tensor

from vinscribe.charset import CHARSET
from vinscribe.training.augment import AugmentSettings, augment
from vinscribe.training.fit import to_inputs

NOTHING = AugmentSettings(**{field.name: 0.0 for field in fields(AugmentSettings)})


@pytest.fixture(scope="module")
def images() -> Tensor:
    return to_inputs(glyphs(CHARSET * 8, seed=0)).float() / 255


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_same_state_gives_the_same_pictures(images: Tensor) -> None:
    torch.manual_seed(1)
    first = augment(images, AugmentSettings(), generator())
    torch.manual_seed(2)  # the global generator has no part in it
    assert torch.equal(first, augment(images, AugmentSettings(), generator()))
    assert not torch.equal(first, augment(images, AugmentSettings(), generator(1)))


def test_shape_and_range_stay_and_the_input_is_left_alone(images: Tensor) -> None:
    before = images.clone()
    out = augment(images, AugmentSettings(), generator())
    assert out.shape == images.shape
    assert out.dtype == torch.float32
    assert 0 <= out.min() < 0.1
    assert 0.9 < out.max() <= 1
    assert torch.equal(images, before)


def test_no_change_at_all_settings_zero(images: Tensor) -> None:
    assert torch.allclose(augment(images, NOTHING, generator()), images, atol=1e-4)


@pytest.mark.parametrize("name", [field.name for field in fields(AugmentSettings)])
def test_each_setting_changes_the_pictures(images: Tensor, name: str) -> None:
    one = replace(NOTHING, **{name: getattr(AugmentSettings(), name)})
    change = (augment(images, one, generator()) - images).abs().mean((1, 2, 3))
    # Stroke width leaves a third of the images alone.
    assert (change > 1e-3).float().mean() > (0.5 if name == "stroke" else 0.9)


def test_every_picture_is_changed_in_its_own_way(images: Tensor) -> None:
    same = images[:1].expand(50, -1, -1, -1)
    out = augment(same, AugmentSettings(), generator())
    assert len({picture.numpy().tobytes() for picture in out}) == 50


def test_no_character_is_torn_out_of_the_frame(images: Tensor) -> None:
    settings = replace(AugmentSettings(), stroke=0.0)  # which changes the ink on purpose
    for seed in range(5):
        kept = augment(images, settings, generator(seed)).sum((1, 2, 3)) / images.sum((1, 2, 3))
        assert kept.min() > 0.5
        assert kept.mean() == pytest.approx(1, abs=0.1)
