"""Posts of a strip -> the cells between them, in runs at an equal pitch."""

from dataclasses import dataclass

import numpy as np

from vinscribe.evidence import Evidence
from vinscribe.strip import PITCH_PX

# What counts against a way to place cells, in cells.
_NEW_RUN = 0.4  # to begin another group
_UNSEEN = 0.5  # a line between two cells that is not to be seen
_WEAK = 0.6  # lines that are not there at all
_BROKEN = 1.0  # rails that are not there at all
_OFF = 0.1  # a line off its place, times the square of the pixels

_MOST_CELLS = 3  # that may follow one another without a line to be seen


@dataclass(frozen=True)
class Run:
    """Cells that follow one another at the pitch: the outer sides, and how many."""

    left: float
    right: float
    count: int


def find_runs(evidence: Evidence, width: int) -> list[Run]:
    """Runs of cells between posts along a strip, not overlapping, with as many cells as there can be."""
    posts = evidence.posts
    strength = [evidence.tooth(post) for post in posts]
    gap = PITCH_PX - width
    # Of all ways to place cells left of post i: the best value so far; the best value of those with a cell that ends
    # at the post, and that cell: (index of the post where it begins, how many cells with it, index of the post where
    # the cell before it ends, or -1).
    best = [0.0] * len(posts)
    ending: list[tuple[float, int, int, int]] = [(-np.inf, -1, 0, -1)] * len(posts)
    for i, right in enumerate(posts):
        for j in range(i - 1, -1, -1):
            apart = right - posts[j]
            if apart > _MOST_CELLS * (PITCH_PX + 1):
                break
            cells = round((apart + gap) / PITCH_PX)
            off = abs(apart + gap - cells * PITCH_PX)
            least = 0.5 if cells == 1 else 0.8
            if cells < 1 or off > 1 + cells or evidence.least_rail(posts[j], right, cells) < least:
                continue
            # A tooth that cannot be seen costs something, and so do lines that are weak or not quite in their place.
            seen = (strength[i] + strength[j]) / 2
            value = cells - _UNSEEN * (cells - 1) - _OFF * off**2 - _WEAK * (1 - seen)
            value -= _BROKEN * (1 - evidence.unbroken(posts[j], right)) * cells
            before = -1
            start = best[j] - _NEW_RUN
            for k in range(j, -1, -1):
                if posts[j] - posts[k] > gap + 2 or posts[j] in evidence.walls:
                    break
                follows = ending[k][0] - _OFF * (posts[j] - posts[k] - gap) ** 2
                if posts[j] - posts[k] >= gap - 2 and follows > start:
                    before, start = k, follows
            if start + value > ending[i][0]:
                ending[i] = (start + value, j, cells, before)
        best[i] = max(ending[i][0], best[i - 1] if i else 0.0)
    return _traced(posts, best, ending)


def _traced(posts: list[int], best: list[float], ending: list[tuple[float, int, int, int]]) -> list[Run]:
    """The runs of the best way to place cells, from left to right."""
    runs: list[Run] = []
    at = len(posts) - 1
    while at >= 0:
        if not ending[at][2] or (at and best[at] == best[at - 1]):
            at -= 1
            continue
        right, count = posts[at], 0
        while True:
            _, begin, cells, before = ending[at]
            count += cells
            if before < 0:
                break
            at = before
        runs.append(Run(posts[begin], right, count))
        at = begin
    return runs[::-1]
