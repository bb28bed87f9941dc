"""A filled shape turned into strokes of a pen: thinned, traced, joined where a stroke goes straight on.

All lengths are in pixels, all points are (x, y) with y downward. The **radius** of a shape is the median distance from
its middle line to its edge: half the width of the pen that could have drawn it.

Around a junction or a corner the middle line of a shape is not where the pen went: a stroke that crosses another bends
towards it, and a sharp turn becomes a fork. So near a junction the traced line is not used. The strokes that meet there
are continued in their own directions, and the junction is put where these lines meet best.
"""

import math
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from vinscribe.training.font_paths import Points, angle, distances, finished, length, meeting

STRAIGHT_ON_DEG = 45.0  # two strokes that meet at a junction are one if it turns by less
SPUR_RADII = 1.7  # shorter branches are the shape's edge, not strokes


@dataclass
class _Branch:
    """A line between two junctions (or ends), from `start` to `end`, with its points; closed if both are the same."""

    start: int
    end: int
    points: Points


@dataclass
class _Graph:
    """The middle line of a shape: `centres` of junctions and ends, the distance to the edge there, and the branches."""

    centres: list[Points] = field(default_factory=list)
    radii: list[float] = field(default_factory=list)
    branches: list[_Branch] = field(default_factory=list)

    def ends_at(self, node: int) -> list[tuple[int, bool]]:
        """(branch, whether it starts here) for each branch's end at a node; a closed branch is there twice."""
        found = []
        for number, branch in enumerate(self.branches):
            if branch.start == node:
                found.append((number, True))
            if branch.end == node:
                found.append((number, False))
        return found

    def node_at(self, end: tuple[int, bool]) -> int:
        """The node at one of a branch's ends."""
        return self.branches[end[0]].start if end[1] else self.branches[end[0]].end

    def outward(self, end: tuple[int, bool]) -> Points:
        """The points of a branch, from the given one of its ends on."""
        points = self.branches[end[0]].points
        return points if end[1] else points[::-1]


def pen_strokes(ink: NDArray[np.uint8]) -> tuple[list[Points], float]:
    """Traces a shape.

    Args:
        ink: (H, W) uint8, 0 or 1, with an empty margin of at least 2 pixels.

    Returns:
        The strokes, float64 (n, 2) with n at least 2, in pixels, each from its upper (or left) end; a closed one ends
        where it starts. And the shape's radius. No strokes at all if there is no ink.
    """
    ink, line, distance, radius = _cleaned(ink)
    if not ink.any():
        return [], 0.0
    graph = _traced(line, distance)
    _merge_junctions(graph)
    _remove_spurs(graph, distance, radius)
    strokes = [finished(path, free, distance, radius) for path, free in _chains(graph, radius)]
    strokes = [stroke for stroke in strokes if length(stroke) > 2 * radius] or strokes[:1]
    return sorted(strokes, key=lambda stroke: (round(stroke[0, 1] + stroke[0, 0] / 2, 3), length(stroke))), radius


def thinned(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The middle line of a shape, one pixel wide, (H, W) uint8 0 or 1: Zhang and Suen's thinning (1984).

    T. Y. Zhang, C. Y. Suen, "A fast parallel algorithm for thinning digital patterns", Communications of the ACM 27(3),
    1984, doi:10.1145/357994.358023. A pixel's eight neighbours make a number below 256, which a table answers.
    """
    line = np.where(ink > 0, 1, 0).astype(np.uint8)
    while True:
        before = line
        for table in _TABLES:
            neighbours = cv2.filter2D(line, cv2.CV_8U, _WEIGHTS, borderType=cv2.BORDER_CONSTANT)
            line = cv2.min(line, cv2.LUT(neighbours, table)).astype(np.uint8)
        if np.array_equal(line, before):
            return line


def _tables() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Two tables (256,): 0 where a pixel with these neighbours (clockwise from above, lowest bit first) goes."""
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    starts = ((bits == 0) & (np.roll(bits, -1, axis=1) == 1)).sum(1)
    inner = (starts == 1) & (bits.sum(1) >= 2) & (bits.sum(1) <= 6)
    up, right, down, left = (bits[:, place] for place in (0, 2, 4, 6))
    first = inner & (up * right * down == 0) & (right * down * left == 0)
    second = inner & (up * right * left == 0) & (up * down * left == 0)
    return (~first).astype(np.uint8), (~second).astype(np.uint8)


_WEIGHTS = np.array([[128, 1, 2], [64, 0, 4], [32, 16, 8]], np.float32)
_TABLES = _tables()


def _cleaned(ink: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float32], float]:
    """A shape with a smooth edge, without specks or pinholes; its middle line; distances to its edge; its radius."""
    ink = np.where(ink > 0, 1, 0).astype(np.uint8)
    distance = cv2.distanceTransform(ink, cv2.DIST_L2, 5)
    ridge = distance[(distance > 0) & (distance >= cv2.dilate(distance, np.ones((3, 3), np.uint8)) - 1e-3)]
    radius = float(np.median(ridge)) if len(ridge) else 0.0
    blurred = cv2.GaussianBlur(ink.astype(np.float32), (0, 0), max(0.3 * radius, 0.8))
    smooth = (blurred > 0.5).astype(np.uint8)
    for value in (1, 0):
        count, parts, stats, _ = cv2.connectedComponentsWithStats((smooth == value).astype(np.uint8), connectivity=4)
        small = np.flatnonzero(stats[:count, cv2.CC_STAT_AREA] < (4 if value else 1) * radius**2)
        smooth[np.isin(parts, small[small > 0])] = 1 - value
    distance = cv2.distanceTransform(smooth, cv2.DIST_L2, 5)
    line = thinned(smooth)
    along = distance[line > 0]
    return smooth, line, distance.astype(np.float32), float(np.median(along)) if len(along) else 0.0


def _traced(line: NDArray[np.uint8], distance: NDArray[np.float32]) -> _Graph:
    """The graph of a middle line: pixels with two neighbours are branches, clusters of others are junctions or ends."""
    around = _neighbours(line)
    graph = _Graph()
    node_of: dict[tuple[int, int], int] = {}
    for pixel in around:
        if len(around[pixel]) == 2 or pixel in node_of:
            continue
        cluster, waiting = [], [pixel]
        node_of[pixel] = len(graph.centres)
        while waiting:
            here = waiting.pop()
            cluster.append(here)
            for other in around[here]:
                if len(around[here]) > 2 and len(around[other]) > 2 and other not in node_of:
                    node_of[other] = node_of[pixel]
                    waiting.append(other)
        graph.centres.append(np.array(cluster, np.float64).mean(0))
        graph.radii.append(max(float(distance[y, x]) for x, y in cluster))
    used: set[tuple[int, int]] = set(node_of)
    for pixel, node in list(node_of.items()):
        for step in around[pixel]:
            if node_of.get(step) == node or (step in used and step not in node_of):
                continue
            path = [pixel, step]
            while path[-1] not in node_of:
                used.add(path[-1])
                path.append(next(other for other in around[path[-1]] if other != path[-2]))
            last = node_of[path[-1]]
            if len(path) > 2 or node < last:  # two junctions side by side are met from both
                inner = [graph.centres[node], *path[1:-1], graph.centres[last]]
                graph.branches.append(_Branch(node, last, np.array(inner, np.float64)))
    for pixel in around:
        if pixel not in used:  # a ring without a junction
            path = [pixel, around[pixel][0]]
            while path[-1] != pixel:
                path.append(next(other for other in around[path[-1]] if other != path[-2]))
            used.update(path)
            graph.centres.append(np.array(pixel, np.float64))
            graph.radii.append(float(distance[pixel[1], pixel[0]]))
            node = len(graph.centres) - 1
            graph.branches.append(_Branch(node, node, np.array(path, np.float64)))
    return graph


def _neighbours(line: NDArray[np.uint8]) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """Of each pixel (x, y) of a line its neighbours; corner to corner only where no side joins the two."""
    pixels = {(int(x), int(y)) for y, x in np.argwhere(line)}
    around = {}
    for x, y in sorted(pixels, key=lambda pixel: (pixel[1], pixel[0])):
        found = [(x + dx, y + dy) for dx, dy in ((0, -1), (1, 0), (0, 1), (-1, 0)) if (x + dx, y + dy) in pixels]
        for dx, dy in ((1, -1), (1, 1), (-1, 1), (-1, -1)):
            if (x + dx, y + dy) in pixels and (x + dx, y) not in pixels and (x, y + dy) not in pixels:
                found.append((x + dx, y + dy))
        around[x, y] = found
    return around


def _merge_junctions(graph: _Graph) -> None:
    """Makes one junction of two whose circles of ink overlap by much: two strokes cross there."""

    def crossing(branch: _Branch) -> bool:
        one, two = branch.start, branch.end
        inner = min(len(graph.ends_at(one)), len(graph.ends_at(two))) > 2
        return inner and one != two and length(branch.points) < graph.radii[one] + graph.radii[two]

    while found := [branch for branch in graph.branches if crossing(branch)]:
        graph.branches = [branch for branch in graph.branches if branch is not found[0]]
        one, two = found[0].start, found[0].end
        graph.centres[one] = (graph.centres[one] + graph.centres[two]) / 2
        graph.radii[one] = max(graph.radii[one], graph.radii[two])
        for other in graph.branches:
            other.start = one if other.start == two else other.start
            other.end = one if other.end == two else other.end


def _remove_spurs(graph: _Graph, distance: NDArray[np.float32], radius: float) -> None:
    """Takes away the branches that only lead into the shape's corners, shortest first.

    Where two branches are left that meet at an angle, the pen turned: as far into the corner as its width allows.
    """
    while True:
        spurs = []
        for number, branch in enumerate(graph.branches):
            for end, starts in ((branch.start, True), (branch.end, False)):
                free = branch.end if starts else branch.start
                if len(graph.ends_at(free)) == 1 and len(graph.ends_at(end)) > 2:
                    excess = length(branch.points) - _spur_limit(graph, (number, starts), end, radius)
                    spurs.append((excess, number, starts, end))
        if not spurs or min(spurs)[0] > 0:
            return
        _, number, starts, end = min(spurs)
        if len(graph.ends_at(end)) == 3:
            points = graph.outward((number, starts))
            x, y = np.rint(points).astype(int).T
            inside = np.flatnonzero(distance[y, x] >= 0.9 * radius)
            graph.centres[end] = points[inside[-1]] if len(inside) else points[0]
        del graph.branches[number]


def _spur_limit(graph: _Graph, spur: tuple[int, bool], node: int, radius: float) -> float:
    """How long a branch may be and still be a mere spur: longer where it is the tip of a sharp turn of two others."""
    limit = SPUR_RADII * graph.radii[node]
    others = [end for end in graph.ends_at(node) if end != spur]
    if len(others) > 2:
        way = _direction(graph, spur, node, 0.0)[1]
        if any(angle(-way, _direction(graph, end, node, radius)[1]) < 30 for end in others):
            limit = 0.9 * graph.radii[node]  # it may be the short end of a bar that crosses a stem
    elif len(others) == 2:
        one, two = (_direction(graph, end, node, radius)[1] for end in others)
        middle = one + two
        half = math.radians(angle(one, two)) / 2
        if half < math.radians(60) and angle(-middle, _direction(graph, spur, node, 0.0)[1]) < 35:
            limit = max(limit, min(1.15 / max(math.sin(half), 0.2), 4.0) * graph.radii[node])
    return limit


def _direction(graph: _Graph, end: tuple[int, bool], node: int, radius: float) -> tuple[Points, Points]:
    """A point (2,) of the branch where it leaves the junction's circle, and the direction (2,) in which it goes on."""
    points = graph.outward(end)
    along = distances(points)
    near = min(graph.radii[node] * 1.1 + 1, along[-1] / 2)
    part = points[(along >= near) & (along <= max(near + 3 * radius, near + 8))]
    if len(part) < 2:
        part = points[[0, -1]]
    way = part[-1] - part[0]
    if not way.any():
        way = points[len(points) // 2] - points[0]
    return part.mean(0), way / (np.linalg.norm(way) or 1.0)


def _chains(graph: _Graph, radius: float) -> list[tuple[Points, tuple[bool, bool]]]:
    """The strokes: branches joined where one goes on as another; and whether their first and last end are free."""
    following: dict[tuple[int, bool], tuple[int, bool]] = {}
    for node in range(len(graph.centres)):
        ends = graph.ends_at(node)
        lines = [_direction(graph, end, node, radius) for end in ends]
        turns = sorted((180 - angle(lines[i][1], lines[j][1]), i, j) for j in range(len(ends)) for i in range(j))
        for turn, i, j in turns:
            straight = turn < STRAIGHT_ON_DEG or len(ends) == 2
            if straight and ends[i] not in following and ends[j] not in following:
                following[ends[i]], following[ends[j]] = ends[j], ends[i]
        if len(ends) > 2:
            graph.centres[node] = meeting(lines, graph.centres[node], 3 * graph.radii[node])
        if len(ends) > 2 or (len(ends) == 2 and turns[0][0] > STRAIGHT_ON_DEG):
            for end in ends:
                _lead_to(graph, end, node)
    chains = []
    left = set(range(len(graph.branches)))
    firsts = [(number, starts) for number in sorted(left) for starts in (True, False)]
    for first in [end for end in firsts if end not in following] + firsts:
        if first[0] in left:
            parts, end = [], first
            while end[0] in left:
                left.remove(end[0])
                parts.append(graph.outward(end))
                last = (end[0], not end[1])
                end = following.get(last, end)
            free = [len(graph.ends_at(graph.node_at(place))) == 1 for place in (first, last)]
            chains.append((np.concatenate(parts), (free[0], free[1])))
    return chains


def _lead_to(graph: _Graph, end: tuple[int, bool], node: int) -> None:
    """Replaces a branch's points within a junction's circle by the junction's centre."""
    points = graph.outward(end)
    along = distances(points)
    kept = points[along > min(graph.radii[node] * 1.1, along[-1] / 2)]
    points = np.concatenate([graph.centres[node][None], kept])
    graph.branches[end[0]].points = points if end[1] else points[::-1]
