"""Paths of points: made smooth, with sharp corners, and led to where a pen would have stopped.

All lengths are in pixels; a path is float64 (n, 2), points (x, y) with y downward. The radius is half the pen's width.
"""

import math
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]  # (n, 2)
CORNER_DEG = 55.0  # a stroke that turns by more within its own radius has a corner there
END_RADII = 0.75  # how far a stroke's end is from the end of the ink: 1 would be a round end, 0 one that is cut off


def finished(path: Points, free: tuple[bool, bool], distance: NDArray[np.float32], radius: float) -> Points:
    """A stroke with sharp corners, smooth between them, its ends where a pen's would be, of few points.

    Args:
        path: where the middle line goes.
        free: whether its first and its last end are ends of the ink, rather than junctions.
        distance: (H, W) float32, of each pixel to the edge of the ink, 0 outside.
        radius: half the pen's width.
    """
    closed = len(path) > 3 and float(np.linalg.norm(path[0] - path[-1])) < 2
    path = _resampled(path)
    if closed and len(path) > 8:
        turn = _turns(np.concatenate([path[-9:-1], path, path[1:9]]), radius)[8:-8]
        start = int(turn.argmax()) if turn.max() > CORNER_DEG else int(path[:, 1].argmin())
        path = np.concatenate([path[start:-1], path[: start + 1]])
    turn = _turns(path, radius)
    corners = []
    reach = max(round(0.7 * radius), 2)
    while len(path) > 2 * reach + 2 and turn.max() > CORNER_DEG:
        corners.append(int(turn.argmax()))
        turn[max(corners[-1] - 2 * reach, 0) : corners[-1] + 2 * reach + 1] = 0
    cuts = [0, *sorted(corners), len(path) - 1]
    pieces = [path[one : two + 1] for one, two in pairwise(cuts)]
    for number, place in enumerate(cuts[1:-1]):
        tip, away = _corner(path, place, reach, distance, radius)
        pieces[number] = np.concatenate([_but(pieces[number], away, last=True), tip[None]])
        pieces[number + 1] = np.concatenate([tip[None], _but(pieces[number + 1], away, last=False)])
    pieces = [_smooth(piece, max(0.6 * radius, 2.0)) for piece in pieces]
    if free[0] and not closed:
        pieces[0] = _extended(pieces[0][::-1], distance, radius)[::-1]
    if free[1] and not closed:
        pieces[-1] = _extended(pieces[-1], distance, radius)
    few = [_simplified(piece) for piece in pieces]
    stroke = np.concatenate([few[0], *(piece[1:] for piece in few[1:])])
    if not closed and stroke[0] @ (0.5, 1) > stroke[-1] @ (0.5, 1):
        stroke = stroke[::-1]
    return stroke


def _turns(path: Points, radius: float) -> NDArray[np.float64]:
    """(n,) by how many degrees a path turns within about its own radius at each of its points, 0 near its ends."""
    turns: NDArray[np.float64] = np.zeros(len(path))
    reach = max(round(0.4 * radius), 2)
    gap = max(round(0.5 * radius), 2)
    both = reach + gap
    if len(path) > 2 * both:
        into = path[both - gap : len(path) - both - gap] - path[: len(path) - 2 * both]
        out = path[2 * both :] - path[both + gap : len(path) - both + gap]
        cross = into[:, 0] * out[:, 1] - into[:, 1] * out[:, 0]
        turns[both : len(path) - both] = np.degrees(np.abs(np.arctan2(cross, (into * out).sum(1))))
    return turns


def _corner(path: Points, place: int, reach: int, distance: NDArray[np.float32], radius: float) -> tuple[Points, int]:
    """Where the two sides of a corner at `place` would meet if they went straight on, and from how far on they do.

    The middle line leaves a side where its inner edge ends, the farther from the corner the more acute it is. A pen of
    this radius cannot have been too near the edge.
    """
    best: tuple[Points, int] = path[place], 1
    for _ in range(2):
        sides = []
        for part in (path[max(place - 3 * reach, 0) : place - reach + 1], path[place + reach : place + 3 * reach + 1]):
            if len(part) < 3:
                return best
            way = part[-1] - part[0]
            sides.append((part.mean(0), way / (np.linalg.norm(way) or 1.0)))
        tip = meeting(sides, path[place], 2 * reach)
        column, row = np.rint(tip).astype(int).clip(0, np.array(distance.shape[::-1]) - 1)
        if distance[row, column] < 0.7 * radius:
            return best
        best = tip, reach
        half = math.radians(180 - angle(sides[0][1], sides[1][1])) / 2
        reach = round(min(max(1 / max(math.tan(half), 0.1), 0.7), 2.0) * radius)
    return best


def _but(piece: Points, count: int, last: bool) -> Points:
    """A piece without its first or last few points; at least one stays."""
    count = min(count, len(piece) - 1)
    return piece[: len(piece) - count] if last else piece[count:]


def _extended(piece: Points, distance: NDArray[np.float32], radius: float) -> Points:
    """The piece with its last end led on, straight, or cut back, to where a pen of this radius would have stopped."""
    along = distances(piece[::-1])[::-1]
    near = piece[along <= max(3 * radius, 6)]
    way = near[-1] - near[0]
    size = float(np.linalg.norm(way))
    if len(near) < 2 or size < 1:
        return piece
    way = way / size
    steps = np.arange(0, 4 * radius, 0.5)
    places = np.rint(piece[-1] + steps[:, None] * way).astype(int)
    places = places.clip(0, np.array(distance.shape[::-1]) - 1)
    outside = np.flatnonzero(distance[places[:, 1], places[:, 0]] == 0)
    room = steps[outside[0]] if len(outside) else steps[-1]
    longer = float(room) - END_RADII * radius
    return np.concatenate([piece, (piece[-1] + longer * way)[None]]) if longer > 0 else piece


def _smooth(piece: Points, sigma: float) -> Points:
    """A piece resampled and smoothed; its two ends stay where they are."""
    piece = _resampled(piece)
    count = len(piece)
    if count < 5:
        return piece
    width = min(round(3 * sigma), count - 1)
    weights = np.exp(-0.5 * (np.arange(-width, width + 1) / sigma) ** 2)
    weights /= weights.sum()
    before = 2 * piece[0] - piece[width:0:-1]
    after = 2 * piece[-1] - piece[-2 : -2 - width : -1]
    longer = np.concatenate([before, piece, after])
    return np.stack([np.convolve(longer[:, axis], weights, "valid") for axis in (0, 1)], axis=1)


def _simplified(piece: Points) -> Points:
    """A piece without the points that a straight line can do without; its two ends stay."""
    half = len(piece) // 2  # a ring would lose its last point
    parts = [piece[: half + 1], piece[half:]] if half else [piece]
    few = [cv2.approxPolyDP(part.astype(np.float32)[:, None], 0.4, False)[:, 0] for part in parts]
    return np.concatenate([few[0], *(part[1:] for part in few[1:])]).astype(np.float64)


def _resampled(path: Points) -> Points:
    """A path with points about 1 pixel apart."""
    along = distances(path)
    count = max(math.ceil(along[-1]), 1) + 1
    at = np.linspace(0, along[-1], count)
    return np.stack([np.interp(at, along, path[:, axis]) for axis in (0, 1)], axis=1)


def meeting(lines: list[tuple[Points, Points]], centre: Points, reach: float) -> Points:
    """Where lines (point, direction) meet best, near a centre: at most `reach` away from it."""
    matrix, right = 0.03 * np.eye(2), 0.03 * centre
    for point, way in lines:
        across = np.eye(2) - np.outer(way, way)
        matrix, right = matrix + across, right + across @ point
    away = np.linalg.solve(matrix, right) - centre
    moved: Points = centre + away * min(1.0, reach / max(float(np.linalg.norm(away)), 1e-9))
    return moved


def distances(path: Points) -> NDArray[np.float64]:
    """(n,) how far each point is from the first, along the path."""
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    return np.concatenate([[0.0], np.cumsum(steps)])


def length(path: Points) -> float:
    """The length of a path."""
    return float(distances(path)[-1])


def angle(one: Points, two: Points) -> float:
    """The angle between two directions, 0 to 180 degrees."""
    sizes = float(np.linalg.norm(one) * np.linalg.norm(two)) or 1.0
    return math.degrees(math.acos(min(max(float(one @ two) / sizes, -1.0), 1.0)))
