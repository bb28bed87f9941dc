"""What a cell holds beside its character: box lines, paper, shadow, grain, dirt."""

import cv2
import numpy as np
from numpy.typing import NDArray

from vinscribe.training.glyphs import Ink

Field = NDArray[np.float32]

_BANK_PX = 192
_KINDS = ("box",) * 4 + ("sides", "comb", "line", "dashed", "dotted", "rounded", "rounded")


def _grain_bank() -> list[Field]:
    """Fields of noise (192, 192), mean 0, standard deviation about 1, from fine to coarse grain."""
    rng = np.random.default_rng(0)
    bank = []
    for sigma in (0, 0, 0, 0.6, 0.6, 1.0, 1.5, 2.5):
        noise = rng.standard_normal((_BANK_PX, _BANK_PX)).astype(np.float32)
        if sigma:
            noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), sigma), np.float32)
        bank.append(np.asarray(noise / noise.std(), np.float32))
    return bank


_GRAIN = _grain_bank()


def grain(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """Noise (height, width) float32, mean about 0, standard deviation about 1; not to be written to."""
    field = _GRAIN[rng.integers(len(_GRAIN))]
    top, left = rng.integers(_BANK_PX - shape[0] + 1), rng.integers(_BANK_PX - shape[1] + 1)
    return field[top : top + shape[0], left : left + shape[1]]


def draw_lines(shape: tuple[int, int], rng: np.random.Generator) -> Ink:
    """Lines of a box of any kind: uint8 (height, width), 255 where a line is; some sides may be missing or cut."""
    height, width = shape
    lines = np.zeros(shape, np.uint8)
    kind = _KINDS[rng.integers(len(_KINDS))]
    thickness = 1 + min(int(rng.exponential(1.3)), 6)
    # The cell was cut about at the box: a side may lie outside, or well inside.
    inset = rng.normal(0.035, 0.045) * height
    left, top, right, bottom = inset + rng.normal(0, 0.025, 4) * height
    right, bottom = width - 1 - right, height - 1 - bottom
    tilt = rng.normal(0, 0.012, 4) * height
    over = 0.0 if rng.random() < 0.4 else float(max(height, width))  # lines of a whole row of boxes run on
    verticals = [(left, top - over, left + tilt[0], bottom + over), (right, top - over, right + tilt[1], bottom + over)]
    horizontals = [
        (left - over, top, right + over, top + tilt[2]),
        (left - over, bottom, right + over, bottom + tilt[3]),
    ]
    if kind == "sides":
        sides = [side for side in verticals + horizontals if rng.random() < 0.5]
    elif kind == "comb":
        foot = bottom - height * rng.uniform(0.08, 0.4)
        sides = [(x, foot, x + lean, y) for (x, _, _, y), lean in zip(verticals, tilt, strict=False)]
        sides += horizontals[1:] * (rng.random() < 0.7)
    elif kind == "line":
        sides = horizontals[1:] + horizontals[:1] * (rng.random() < 0.3)
    else:
        sides = verticals + horizontals
    if rng.random() < 0.12:  # double frame, or the next box beside this one
        gap = thickness + rng.uniform(2, 8)
        sides += [
            (x0 + dx, y0 + dy, x1 + dx, y1 + dy)
            for x0, y0, x1, y1 in sides
            for dx, dy in [_outwards(x0, y0, x1, y1, gap, shape)]
        ]
    step = {"dashed": rng.uniform(6, 14), "dotted": thickness * rng.uniform(2, 3.5)}.get(kind, 0.0)
    if kind == "rounded":
        _draw_rounded(lines, (left, top, right, bottom), thickness, rng)
        sides = sides[len(verticals) + len(horizontals) :]
    for x0, y0, x1, y1 in sides:
        _draw_line(lines, (x0, y0), (x1, y1), thickness, step, rng)
    if rng.random() < 0.12:  # broken by a poor print
        np.multiply(lines, grain(shape, rng) > rng.uniform(-1.5, 0), out=lines, casting="unsafe")
    return lines


def _outwards(x0: float, y0: float, x1: float, y1: float, gap: float, shape: tuple[int, int]) -> tuple[float, float]:
    """By how much a side's parallel is moved."""
    if abs(x1 - x0) < abs(y1 - y0):
        return (gap if x0 < shape[1] / 2 else -gap), 0.0
    return 0.0, (gap if y0 < shape[0] / 2 else -gap)


def _draw_line(
    lines: Ink,
    start: tuple[float, float],
    end: tuple[float, float],
    thickness: int,
    step: float,
    rng: np.random.Generator,
) -> None:
    """A line, or its dashes of about half a step each."""
    points = np.array([start, end])
    if not step:
        cv2.polylines(lines, [np.rint(points * 16).astype(np.int32)], False, 255, thickness, cv2.LINE_AA, 4)
        return
    points = points.clip(-step, max(lines.shape) + step)
    count = max(1, int(np.linalg.norm(points[1] - points[0]) / step))
    starts = (np.arange(count) + rng.random())[:, None, None] + np.array([0, 0.5 if step > 3 * thickness else 0.05])[
        :, None
    ]
    dashes = points[0] + (points[1] - points[0]) * (starts / count)
    cv2.polylines(lines, list(np.rint(dashes * 16).astype(np.int32)), False, 255, thickness, cv2.LINE_AA, 4)


def _draw_rounded(lines: Ink, box: tuple[float, float, float, float], thickness: int, rng: np.random.Generator) -> None:
    """A frame with round or cut corners, at the utmost an ellipse."""
    left, top, right, bottom = box
    radius = np.array([right - left, bottom - top]) * (rng.uniform(0.06, 0.35) if rng.random() < 0.85 else 0.5)
    if rng.random() < 0.7:
        radius = np.full(2, radius.min())
    steps = 2 if radius.max() < 0.2 * (right - left) and rng.random() < 0.3 else 9
    turns = np.linspace(0, np.pi / 2, steps)
    arc = np.column_stack([np.cos(turns), np.sin(turns)])
    corners = [
        np.array([right, bottom]) - radius + arc * radius,
        np.array([left + radius[0], bottom - radius[1]]) + arc[::-1] * radius * [-1, 1],
        np.array([left, top]) + radius - arc * radius,
        np.array([right - radius[0], top + radius[1]]) + arc[::-1] * radius * [1, -1],
    ]
    points = np.rint(np.concatenate(corners) * 16).astype(np.int32)
    cv2.polylines(lines, [points], True, 255, thickness, cv2.LINE_AA, 4)


def draw_dirt(shape: tuple[int, int], rng: np.random.Generator) -> Ink:
    """Specks and small scratches: uint8 (height, width)."""
    dirt = np.zeros(shape, np.uint8)
    scale = np.array(shape[::-1])
    for _ in range(rng.integers(1, 5)):
        at = rng.random(2) * scale
        length = rng.exponential(0.04) * shape[0]
        turn = rng.random() * 2 * np.pi
        points = np.array([at, at + length * np.array([np.cos(turn), np.sin(turn)])])
        cv2.polylines(
            dirt, [np.rint(points * 16).astype(np.int32)], False, 255, int(rng.integers(1, 3)), cv2.LINE_AA, 4
        )
    return dirt


def draw_paper(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """Brightness of empty paper: float32 (height, width), about 100 to 255: tint and shadow."""
    level = 255 - min(rng.exponential(25), 130)
    paper = np.full(shape, level, np.float32)
    chance = rng.random()
    if chance < 0.3:  # light falls unevenly
        corners = (1 - rng.random((2, 2)) * rng.uniform(0.05, 0.35)).astype(np.float32)
        paper *= cv2.resize(corners, shape[::-1], interpolation=cv2.INTER_LINEAR)
    elif chance < 0.34:  # the edge of a shadow
        edge = np.zeros(shape, np.float32)
        x, y = rng.random(2) * shape[::-1]
        turn = rng.random() * 2 * np.pi
        far = 300 * np.array([np.cos(turn), np.sin(turn)])
        side = 300 * np.array([-np.sin(turn), np.cos(turn)])
        corners = np.array([x, y]) + np.array([far, far + side, -far + side, -far])
        cv2.fillConvexPoly(edge, np.rint(corners).astype(np.int32), 1.0)
        paper *= 1 - rng.uniform(0.1, 0.5) * cv2.blur(edge, (9, 9))
    return paper


def draw_light(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """How bright light falls: float32 (height, width), 0.3 to 1, falling off strongly or with a soft shadow's edge."""
    height, width = shape
    turn = rng.random() * 2 * np.pi
    x, y = np.linspace(-np.cos(turn), np.cos(turn), width), np.linspace(-np.sin(turn), np.sin(turn), height)
    across = (x + y[:, None]).astype(np.float32)  # about -1.4 to 1.4, 0 in the middle
    if rng.random() < 0.5:
        share = across * np.float32(0.5 / (abs(np.cos(turn)) + abs(np.sin(turn)))) + np.float32(0.5)
    else:
        softness = np.exp(rng.uniform(np.log(0.05), np.log(0.6)))
        share = ((across - np.float32(rng.uniform(-0.7, 0.7))) * np.float32(1 / softness) + 0.5).clip(0, 1)
        share *= share * (3 - 2 * share)
    return np.asarray(1 - np.float32(rng.uniform(0.35, 0.7)) * share, np.float32)
