"""A pen that writes the 33 VIN characters as many hands would: strokes for training, pictures for tests and samples.

What it writes stands in the stroke alphabet, ``vinscribe/training/alphabet.py``.

Needs only numpy and OpenCV.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from vinscribe.errors import UsageError
from vinscribe.training.alphabet import ALPHABET, Variant, variant_of

_STEP = 0.07  # curves are followed in straight pieces of about this length
_WOBBLE = 0.013  # of each control point by itself; these four are spreads, in unit boxes
_SWAY = 0.012  # of the whole character, smoothly
_DRIFT = 0.014  # of each stroke against the others
_BOW = 0.02  # of a stroke to one side, for each unit of its length
_SLOPPINESS = 0.3, 0.9, 2.2  # least, most usual, greatest: all four of a character are multiplied by it
_ASPECT = 0.6, 1.0, 1.3  # least, most usual, greatest width
_EXTENSION = -0.05, 0.08  # of a stroke's ends, in lengths of the stroke
_CORNER_CUT = -0.3, 0.8  # corners overshoot, or are cut
_CORNER_SWING = 0.45  # at most this much of a swing around the corner, seldom much
_JOINED = 0.04  # how often the pen is not lifted between two strokes that are near to each other
_JOIN_REACH = 0.05, 0.5


@dataclass(frozen=True)
class _Plan:
    """A variant, ready to be written: K control points, M points along its S strokes.

    Attributes:
        points: float32 (K, 2) in the unit box.
        curves: float32 (3, M * K): weights of the control points in each point of the curve, (M, K) flattened; with
            sharp corners, with corners cut off, with corners swung around.
        moves: float32 (M, D): where the curve goes with each of D random numbers for either axis, spreads included.
        spans: first point of each stroke and the one behind its last.
        ends, inner: int (2 S,): control points at the strokes' ends, and the ones beside them.
        reach: float32 (2 S, 1): length of the stroke, at most 1, over the length of its outermost segments.
        joints: the strokes that end near the start of the next one.
    """

    points: NDArray[np.float32]
    curves: NDArray[np.float32]
    moves: NDArray[np.float32]
    spans: tuple[tuple[int, int], ...]
    ends: NDArray[np.intp]
    inner: NDArray[np.intp]
    reach: NDArray[np.float32]
    joints: tuple[int, ...]


def write(char: str, rng: np.random.Generator, variant: str | None = None) -> list[NDArray[np.float32]]:
    """The strokes of a handwritten character: polylines float32 (n, 2), x to the right, y down, n >= 2.

    The character stands upright, about 1 high, in a unit box that it may leave a little; slant, turn and size are for
    whoever draws it. ``variant`` None takes one by chance, usual ones more often. Control points and whole strokes
    move, corners are rounded or overshot, ends are too long or too short, the width differs, and now and then the pen
    is not lifted. The same generator state gives the same strokes. Raises ``UsageError`` for an unknown character or
    variant.
    """
    plan = _plan(_by_chance(char, rng) if variant is None else variant_of(char, variant))
    num_points = len(plan.points)
    noise = rng.standard_normal((num_points + plan.moves.shape[1], 2), np.float32)
    noise *= rng.triangular(*_SLOPPINESS)
    points = plan.points + _WOBBLE * noise[:num_points]
    extension = rng.uniform(*_EXTENSION, plan.reach.shape) * plan.reach
    points[plan.ends] += extension * (points[plan.ends] - points[plan.inner])
    cut, swing = rng.uniform(*_CORNER_CUT), _CORNER_SWING * rng.random() ** 3
    weights = np.array([1 - cut - swing, cut, swing], np.float32) @ plan.curves
    curve = weights.reshape(-1, num_points) @ points + plan.moves @ noise[num_points:]
    curve[:, 0] = 0.5 + (curve[:, 0] - 0.5) * rng.triangular(*_ASPECT)
    spans = plan.spans
    if plan.joints and rng.random() < _JOINED:
        joint = plan.joints[rng.integers(len(plan.joints))]
        spans = (*spans[:joint], (spans[joint][0], spans[joint + 1][1]), *spans[joint + 2 :])
    return [curve[start:stop] for start, stop in spans]


@cache
def _weights(char: str) -> tuple[tuple[Variant, ...], list[float]]:
    """The variants of a character and the sums of their weights so far."""
    if char not in ALPHABET:
        variant_of(char, "")  # says what is wrong
    return ALPHABET[char], list(accumulate(variant.weight for variant in ALPHABET[char]))


def _by_chance(char: str, rng: np.random.Generator) -> Variant:
    variants, sums = _weights(char)
    return variants[bisect(sums, rng.random() * sums[-1])]


@cache
def _plan(variant: Variant) -> _Plan:
    strokes = [_Stroke(text) for text in variant.strokes]
    first = np.cumsum([0] + [len(stroke.points) for stroke in strokes])
    start = np.cumsum([0] + [len(stroke.sharp) for stroke in strokes])
    points = np.vstack([stroke.points for stroke in strokes])
    curves = [_diagonal(kind) for kind in zip(*((s.sharp, s.cut, s.swung) for s in strokes), strict=True)]
    x, y = (2 * (curves[0] @ points) - 1).T
    sway = np.stack([x * x, x * y, y * y, x**3, x * x * y, x * y * y, y**3], 1)
    drift = _diagonal(np.ones((len(stroke.sharp), 1)) for stroke in strokes)
    bow = _diagonal(stroke.bow[:, None] for stroke in strokes)
    gaps = [np.linalg.norm(b.points[0] - a.points[-1]) for a, b in pairwise(strokes)]
    return _Plan(
        points=points.astype(np.float32),
        curves=np.array(curves, np.float32).reshape(3, -1),
        moves=np.hstack([_SWAY * sway, _DRIFT * drift, _BOW * bow]).astype(np.float32),
        spans=tuple((int(a), int(b)) for a, b in pairwise(start)),
        ends=np.concatenate([first[:-1], first[1:] - 1]),
        inner=np.concatenate([first[:-1] + 1, first[1:] - 2]),
        reach=np.array([s.reach[0] for s in strokes] + [s.reach[1] for s in strokes], np.float32)[:, None],
        joints=tuple(i for i, gap in enumerate(gaps) if _JOIN_REACH[0] <= gap <= _JOIN_REACH[1]),
    )


class _Stroke:
    """A stroke of k control points: its curve of m points as float64 (m, k), three times as in ``_Plan``.

    ``bow`` (m,) is how far the curve goes to the side where the stroke is bowed by one unit for each of its length.
    """

    def __init__(self, text: str) -> None:
        pieces = [
            [tuple(float(part) / 100 for part in point.split(",")) for point in p.split()] for p in text.split("|")
        ]
        self.points = np.array([point for piece in pieces for point in piece])
        stops = np.cumsum([len(piece) for piece in pieces])
        self.sharp = _curve(self.points, [0, *(stops - 1)])
        self.swung = _curve(self.points, [0, stops[-1] - 1])
        path = self.sharp @ self.points
        way = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
        length = way[-1]
        self.bow = 4 * length * (way / length) * (1 - way / length)
        # Corners are cut by averaging along the stroke, less and less towards its ends, which stay.
        spread = np.minimum(0.06, np.minimum(way, length - way) / 2)[:, None] + 1e-9
        near = np.exp(-(((way - way[:, None]) / spread) ** 2) / 2) * np.gradient(way)
        self.cut = near / near.sum(axis=1, keepdims=True) @ self.sharp
        segments = np.linalg.norm(self.points[[1, -1]] - self.points[[0, -2]], axis=1)
        self.reach = min(length, 1) / np.maximum(segments, 0.15)  # else a short segment would turn round


def _diagonal(blocks: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The blocks (m, k) down the diagonal of a matrix of zeros."""
    blocks = list(blocks)
    rows, columns = np.cumsum([[0, 0], *(block.shape for block in blocks)], axis=0).T
    whole = np.zeros((rows[-1], columns[-1]))
    for block, row, column in zip(blocks, rows, columns, strict=False):
        whole[row : row + block.shape[0], column : column + block.shape[1]] = block
    return whole


def _curve(points: NDArray[np.float64], corners: list[int]) -> NDArray[np.float64]:
    """The weights (m, k) of the control points (k, 2) in a curve through all of them, smooth but at the corners."""
    pieces = []
    for start, stop in pairwise(corners):
        piece = _catmull_rom(points[start : stop + 1])
        whole = np.zeros((len(piece), len(points)))
        whole[:, start : stop + 1] = piece
        pieces.append(whole if stop == corners[-1] else whole[:-1])  # the corner is the next piece's first point
    return np.vstack(pieces)


def _catmull_rom(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weights (m, k) of k >= 2 points in a smooth curve through them.

    Source: Catmull and Rom, A class of local interpolating splines, 1974, as the pyramid of Barry and Goldman, 1988;
    knots at the square roots of the distances (centripetal), so that it makes no loops of its own.
    """
    weights = np.eye(len(points))
    weights = np.vstack([2 * weights[0] - weights[1], weights, 2 * weights[-1] - weights[-2]])
    lengths = np.linalg.norm(np.diff(weights @ points, axis=0), axis=1)
    knots = np.concatenate([[0], np.cumsum(np.sqrt(lengths))])
    rows = []
    for i in range(1, len(points)):
        t = np.linspace(knots[i], knots[i + 1], max(3, int(np.ceil(lengths[i] / _STEP)) + 1))[:-1, None]
        lines = [_mix(t, knots[j : j + 2], weights[j], weights[j + 1]) for j in (i - 1, i, i + 1)]
        bends = [_mix(t, knots[j : j + 3 : 2], *lines[j - i + 1 : j - i + 3]) for j in (i - 1, i)]
        rows.append(_mix(t, knots[i : i + 2], *bends))
    return np.vstack([*rows, weights[-2][None]])


def _mix(
    t: NDArray[np.float64], knots: NDArray[np.float64], first: NDArray[np.float64], second: NDArray[np.float64]
) -> NDArray[np.float64]:
    """From the first at the first of two knots to the second at the other."""
    share = (t - knots[0]) / (knots[1] - knots[0])
    return np.asarray((1 - share) * first + share * second)


@dataclass(frozen=True)
class Hand:
    """How a hand writes: means and spreads (standard deviations) of what differs from character to character.

    Heights and widths are fractions of the picture's side, the wobble a fraction of the character's box.
    """

    height: float = 0.72
    height_spread: float = 0.03
    aspect: float = 0.95  # width of the unit box over its height
    aspect_spread: float = 0.06
    slant_deg: float = 5.0  # to the right
    slant_spread_deg: float = 6.0
    turn_spread_deg: float = 2.5
    shift_spread: float = 0.02
    wobble: float = 0.015
    pen_width: float = 0.08
    pen_width_spread: float = 0.012


_OVERSAMPLING = 4  # ink is drawn this much larger and averaged: smooth edges at any pen width
_FREE_MARGIN = 0.04  # no ink nearer to the edge than this fraction of the side


def draw(
    char: str,
    rng: np.random.Generator,
    size_px: int = 28,
    variant: str | None = None,
    hand: Hand | None = None,
) -> NDArray[np.uint8]:
    """A handwritten character: uint8 (size_px, size_px), white ink (255) on black (0), soft edges, all ink inside.

    Neater than ``write``: only the control points move. ``variant`` None takes any variant of the character by
    chance. The same generator state gives the same picture. Raises ``UsageError`` for an unknown character or
    variant, or a side under 8 px.
    """
    if size_px < 8:
        raise UsageError(f"A character needs at least 8 px, not size_px={size_px}.")
    hand = hand or Hand()
    plan = _plan(_by_chance(char, rng) if variant is None else variant_of(char, variant))
    points = plan.points + rng.normal(0, hand.wobble, plan.points.shape)
    curve = plan.curves[0].reshape(-1, len(points)) @ points
    pen_width = max(0.03, rng.normal(hand.pen_width, hand.pen_width_spread))
    return _ink(_place([curve[a:b] for a, b in plan.spans], rng, hand, pen_width), pen_width, size_px)


def _place(
    strokes: list[NDArray[np.float64]], rng: np.random.Generator, hand: Hand, pen_width: float
) -> list[NDArray[np.float64]]:
    """Strokes of the unit box, slanted, turned and scaled, in fractions of the picture's side and well inside it."""
    slant = np.tan(np.radians(rng.normal(hand.slant_deg, hand.slant_spread_deg)))
    turn = np.radians(rng.normal(0, hand.turn_spread_deg))
    height = np.clip(rng.normal(hand.height, hand.height_spread), 0.4, 1.0)
    width = height * rng.normal(hand.aspect, hand.aspect_spread)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix = rotation @ np.array([[1.0, -slant], [0.0, 1.0]]) @ np.diag([width, height])
    placed = [stroke @ matrix.T for stroke in strokes]
    low, high = np.min(np.vstack(placed), axis=0), np.max(np.vstack(placed), axis=0)
    room = 1 - 2 * _FREE_MARGIN - pen_width
    scale = min(1.0, room / np.max(high - low))
    centre = 0.5 + rng.normal(0, hand.shift_spread, 2)
    slack = (room - scale * (high - low)) / 2
    centre = np.clip(centre, 0.5 - slack, 0.5 + slack)
    return [(stroke - (low + high) / 2) * scale + centre for stroke in placed]


def _ink(strokes: list[NDArray[np.float64]], pen_width: float, size_px: int) -> NDArray[np.uint8]:
    side = size_px * _OVERSAMPLING
    canvas = np.zeros((side, side), np.uint8)
    thickness = max(1, round(pen_width * side))
    for stroke in strokes:
        # OpenCV takes whole numbers with 4 binary digits behind the point; pixel centres lie at whole numbers.
        points = np.round((stroke * side - 0.5) * 16).astype(np.int32)
        cv2.polylines(canvas, [points], isClosed=False, color=255, thickness=thickness, lineType=cv2.LINE_AA, shift=4)
    return np.asarray(cv2.resize(canvas, (size_px, size_px), interpolation=cv2.INTER_AREA), np.uint8)
