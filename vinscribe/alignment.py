"""What is printed on a page, as landmarks; how a form lies on a page.

Landmarks are spots that look the same however the page was scanned. Much of what is on a page is written by hand and
differs from card to card, and letters repeat, so many of the landmarks that look alike are not the same. They count
together only: one move of the whole page must explain many of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

DESCRIPTOR_BYTES = 128

_WORKING_PX = 600  # of the page's longer side: less than 3 pixels for a millimetre of A5, words are spots
_FINE_PX = 1000  # if a page does not fit at first: cards on a large glass are small
_MOST = 1500  # landmarks of a page
_CONTRAST = 0.03  # of a landmark; OpenCV's usual is 0.04
_DARK, _BRIGHT = 0.5, 90.0  # percentiles of a page that become black and white: pale scans have landmarks, too
_MOST_ENHANCED = 4.0
_GUESSES = 3  # moves that are looked into: forms that hold a part twice can be laid over themselves in several ways
_NEAR = 0.012  # of the form's longer side: what a similarity may be off, by perspective and waves of the paper
_REACH = 0.03  # so far from where the similarity says matches are looked for again
_CLOSE = 0.003  # what the final move may be off
_ALIKE = 0.8  # the same spot is that much alike on two scans
_LEAST_INLIERS = 20
_LEAST_SHARE = 0.1  # of the form's landmarks
_REGIONS = 6  # a form is divided into so many parts each way
_REGION_LANDMARKS, _REGION_FOUND = 5, 2  # a part with so many landmarks is there if so many of them are found
_LEAST_REGIONS = 0.45  # share of the parts that must be there: forms of one family have headings and notes in common
_MOST_STRETCH = 2.0  # of the most enlarged place and direction against the least enlarged


@dataclass(frozen=True)
class Landmarks:
    """Spots of a page, the most striking first.

    Attributes:
        points: float64 (n, 2), x and y in the page's pixels.
        descriptors: uint8 (n, 128), what they look like.
    """

    points: Floats
    descriptors: NDArray[np.uint8]

    def only(self, which: Mask | NDArray[np.intp]) -> "Landmarks":
        """Those that a mask or a list of numbers picks."""
        return Landmarks(self.points[which], self.descriptors[which])


@dataclass(frozen=True)
class Alignment:
    """How a form lies on a page.

    Attributes:
        matrix: float64 (3, 3), pixels of the form -> pixels of the page.
        found: bool (n,), which of the form's landmarks are where that says.
    """

    matrix: Floats
    found: Mask


def moved(points: Floats, matrix: Floats) -> Floats:
    """Points (..., 2) moved by a homography (3, 3)."""
    there = points @ matrix[:, :2].T + matrix[:, 2]
    return np.asarray(there[..., :2] / there[..., 2:], np.float64)


def find_landmarks(page: Grey, working_px: int = _WORKING_PX) -> Landmarks:
    """The landmarks of a page.

    Args:
        page: uint8 (height, width).
        working_px: longer side of the page as it is looked at.

    Source: D. Lowe, "Distinctive image features from scale-invariant keypoints", 2004.
    """
    factor = min(1.0, working_px / max(page.shape))
    size = [max(1, round(side * factor)) for side in page.shape[::-1]]
    small = _enhanced(np.asarray(cv2.resize(page, size, interpolation=cv2.INTER_AREA), np.uint8))
    keypoints, descriptors = cv2.SIFT.create(_MOST, contrastThreshold=_CONTRAST).detectAndCompute(small, None)
    if not keypoints:
        return Landmarks(np.zeros((0, 2)), np.zeros((0, DESCRIPTOR_BYTES), np.uint8))
    scale = np.array(page.shape[::-1]) / size
    points = (np.array([keypoint.pt for keypoint in keypoints], np.float64) + 0.5) * scale - 0.5
    order = np.argsort([-keypoint.response for keypoint in keypoints], kind="stable")
    return Landmarks(points, descriptors.astype(np.uint8)).only(order)


def align(form: Landmarks, form_px: float, page: Grey) -> Alignment | None:
    """How a form lies on a page.

    Args:
        form: the form's landmarks.
        form_px: the form's longer side; what landmarks may be off grows with it.
        page: uint8 (height, width), turned any way.

    Returns:
        None if the page is no such form, or too little can be made out on it.
    """
    for working_px in (_WORKING_PX, _FINE_PX):
        alignment = _aligned(form, form_px, find_landmarks(page, working_px))
        if alignment is not None or max(page.shape) <= working_px:
            return alignment
    return None


def _aligned(form: Landmarks, form_px: float, page: Landmarks) -> Alignment | None:
    if min(len(form.points), len(page.points)) < _LEAST_INLIERS:
        return None
    alike = _directions(form) @ _directions(page).T
    best: Alignment | None = None
    # Moves lead from the page to the form: there, what a landmark may be off does not depend on the page's size.
    for guess in _similarities(form, page, alike, _NEAR * form_px):
        matrix, found = _refined(form, page, alike, guess, form_px)
        if matrix is None or not _is_all_there(form.points, found):
            continue
        matrix = np.asarray(np.linalg.inv(matrix), np.float64)
        if _is_plausible(matrix, form.points) and (best is None or found.sum() > best.found.sum()):
            best = Alignment(matrix, found)
    return best


def _refined(
    form: Landmarks, page: Landmarks, alike: NDArray[np.float32], guess: Floats, form_px: float
) -> tuple[Floats | None, Mask]:
    """Page -> form, by perspective, too, and which of the form's landmarks are where that says; None if too few."""
    matrix: Floats | None = guess
    found = np.zeros(len(form.points), bool)
    for reach, close in ((_REACH, 2 * _CLOSE), (3 * _CLOSE, _CLOSE)):
        if matrix is not None:
            matrix, found = _homography(form, page, alike, matrix, reach * form_px, close * form_px)
    return matrix, found


def _enhanced(page: Grey) -> Grey:
    """The page with its contrast stretched, at most `_MOST_ENHANCED` times."""
    dark, bright = (float(level) for level in np.percentile(page, (_DARK, _BRIGHT)))
    factor = min(255 / max(bright - dark, 1.0), _MOST_ENHANCED)
    tones = np.clip((np.arange(256) - bright) * factor + 255, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(page, tones), np.uint8)


def _directions(landmarks: Landmarks) -> NDArray[np.float32]:
    """Descriptors as vectors of length 1, whose product says how much alike they are.

    Source: R. Arandjelović, A. Zisserman, "Three things everyone should know to improve object retrieval", 2012.
    """
    roots = np.sqrt(landmarks.descriptors.astype(np.float32))
    return np.asarray(roots / np.maximum(np.linalg.norm(roots, axis=1, keepdims=True), 1e-6), np.float32)


def _similarities(form: Landmarks, page: Landmarks, alike: NDArray[np.float32], near_px: float) -> Iterator[Floats]:
    """Page -> form by shift, turn and scale alone, from landmarks that are each other's likest.

    Several ways, each from those landmarks that the ones before do not explain.
    """
    of_page = alike.argmax(axis=1)
    of_form = np.flatnonzero(alike.argmax(axis=0)[of_page] == np.arange(len(of_page)))
    for _ in range(_GUESSES):
        if len(of_form) < _LEAST_INLIERS:
            return
        affine, inliers = cv2.estimateAffinePartial2D(
            page.points[of_page[of_form]],
            form.points[of_form],
            ransacReprojThreshold=near_px,
            maxIters=5000,
            confidence=0.999,
        )
        if not np.ndim(affine):  # None where there is no such move
            return
        yield np.vstack([affine, [0, 0, 1]])
        of_form = of_form[inliers.ravel() == 0]


def _homography(
    form: Landmarks, page: Landmarks, alike: NDArray[np.float32], guess: Floats, reach_px: float, close_px: float
) -> tuple[Floats | None, Mask]:
    """Page -> form, from the landmarks that are about where a guess says."""
    found = np.zeros(len(form.points), bool)
    apart = np.linalg.norm(form.points[:, None] - moved(page.points, guess)[None], axis=2)
    likely = np.where(apart <= reach_px, alike, 0)
    of_page = likely.argmax(axis=1)
    of_form = np.flatnonzero(likely.max(axis=1) >= _ALIKE)
    if len(of_form) < _LEAST_INLIERS:
        return None, found
    matrix, inliers = cv2.findHomography(
        page.points[of_page[of_form]], form.points[of_form], cv2.USAC_MAGSAC, close_px, maxIters=2000
    )
    if not np.ndim(matrix):  # None where there is no such move
        return None, found
    found[of_form[inliers.ravel() > 0]] = True
    return np.asarray(matrix, np.float64), found


def _is_plausible(matrix: Floats, points: Floats) -> bool:
    """Whether a homography only turns, scales and tilts a little: what may happen to a page under a camera."""
    low, high = points.min(axis=0), points.max(axis=0)
    corners = np.array([low, [high[0], low[1]], high, [low[0], high[1]]])
    if not (np.append(corners, np.ones((4, 1)), axis=1) @ matrix[2] > 1e-6).all():
        return False
    there = moved(corners, matrix)
    scales: list[float] = []
    for corner, at in zip(corners, there, strict=True):
        change = moved(corner + np.eye(2), matrix) - at
        if np.linalg.det(change) <= 0:  # mirrored
            return False
        scales += np.linalg.svd(change, compute_uv=False).tolist()
    return max(scales) < _MOST_STRETCH * min(scales)


def _is_all_there(points: Floats, found: Mask) -> bool:
    """Whether enough of a form's landmarks are found, and all over it."""
    if found.sum() < max(_LEAST_INLIERS, _LEAST_SHARE * len(points)):
        return False
    low, high = points.min(axis=0), points.max(axis=0)
    parts = np.floor((points - low) / (high - low + 1) * _REGIONS).astype(np.int64) @ [1, _REGIONS]
    number, seen = (np.bincount(parts[which], minlength=_REGIONS**2) for which in (slice(None), found))
    return bool((seen[number >= _REGION_LANDMARKS] >= _REGION_FOUND).mean() >= _LEAST_REGIONS)
