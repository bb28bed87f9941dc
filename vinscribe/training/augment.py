"""Random changes to a batch of characters, on the whole batch at once: turn, slant, scale, shift, bend, stroke width.

Source: P. Simard, D. Steinkraus, J. Platt, "Best practices for convolutional neural networks applied to visual
document analysis", ICDAR 2003 (elastic distortion).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class AugmentSettings:
    """How far a character may be changed; every range is symmetric around no change.

    Attributes:
        turn_degrees: largest rotation.
        slant: largest horizontal shear, as a fraction of the height.
        scale: largest relative change of each side.
        shift_px: largest shift.
        bend_px: standard deviation of the elastic displacement at its coarse nodes.
        stroke: largest weight of a picture with thinner or thicker strokes, mixed into the original.
    """

    turn_degrees: float = 8.0
    slant: float = 0.15
    scale: float = 0.1
    shift_px: float = 2.0
    bend_px: float = 0.6
    stroke: float = 0.3


def augment(images: Tensor, settings: AugmentSettings, generator: torch.Generator) -> Tensor:
    """Draws a new variant of every image.

    Args:
        images: (N, 1, H, W) float32 in [0, 1], ink white on black.
        settings: how far to go.
        generator: the source of randomness; the same state gives the same pictures.

    Returns:
        (N, 1, H, W) float32 in [0, 1].
    """
    images = _change_stroke(images, settings, generator)
    grid = functional.affine_grid(
        _affine(len(images), images.shape[-1], settings, generator), list(images.shape), False
    )
    if settings.bend_px:
        grid = grid + _bend(images, settings.bend_px, generator)
    return functional.grid_sample(images, grid, align_corners=False)


def _uniform(n: int, generator: torch.Generator) -> Tensor:
    return torch.rand(n, generator=generator) * 2 - 1


def _affine(n: int, side_px: int, settings: AugmentSettings, generator: torch.Generator) -> Tensor:
    """(N, 2, 3) maps from output to input coordinates in [-1, 1]."""
    turn = _uniform(n, generator) * math.radians(settings.turn_degrees)
    slant = _uniform(n, generator) * settings.slant
    scale_x = torch.exp(_uniform(n, generator) * settings.scale)
    scale_y = torch.exp(_uniform(n, generator) * settings.scale)
    shift = torch.stack([_uniform(n, generator), _uniform(n, generator)], 1) * (2 * settings.shift_px / side_px)
    cos, sin = torch.cos(turn), torch.sin(turn)
    theta = torch.empty(n, 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = cos * scale_x, (cos * slant - sin) * scale_y
    theta[:, 1, 0], theta[:, 1, 1] = sin * scale_x, (sin * slant + cos) * scale_y
    theta[:, :, 2] = shift
    return theta


def _bend(images: Tensor, bend_px: float, generator: torch.Generator) -> Tensor:
    """(N, H, W, 2) smooth random displacements: 5×5 nodes, interpolated."""
    n, _, height, width = images.shape
    nodes = torch.randn(n, 2, 5, 5, generator=generator) * (2 * bend_px / width)
    smooth = functional.interpolate(nodes, (height, width), mode="bicubic", align_corners=True)
    return smooth.permute(0, 2, 3, 1)


def _change_stroke(images: Tensor, settings: AugmentSettings, generator: torch.Generator) -> Tensor:
    """Mixes a third of the images with a thinner, another third with a thicker version of themselves."""
    kind = torch.randint(3, (len(images),), generator=generator)
    weight = (torch.rand(len(images), generator=generator) * settings.stroke).view(-1, 1, 1, 1)
    out = images.clone()
    thin, thick = kind == 1, kind == 2
    out[thin] += weight[thin] * (-functional.max_pool2d(-images[thin], 3, 1, 1) - images[thin])
    out[thick] += weight[thick] * (functional.max_pool2d(images[thick], 3, 1, 1) - images[thick])
    return out
