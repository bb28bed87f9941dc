"""A template: where the VIN field is on an office's card, marked once; every further scan is laid over it.

The file is JSON: the size of the scan it was made of, the field, its cells, and a few hundred landmarks of the form.
No picture of the card is kept.
"""

import base64
import binascii
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vinscribe.alignment import DESCRIPTOR_BYTES, Floats, Grey, Landmarks, align, find_landmarks, moved
from vinscribe.errors import DataError, UsageError
from vinscribe.field import Field, find_fields
from vinscribe.plain import PLAIN, cut_by_ink
from vinscribe.vin import VIN_LENGTH

VERSION = 1
"""Of the file's layout."""

BOXES, EQUAL = "boxes", "equal"
KINDS = (BOXES, EQUAL, PLAIN)
"""Of fields: with lines between the cells; with such that were not seen, so that the cells are taken to be equally
wide; without any, the characters to be told apart by their ink."""

MISFIT = "the page does not fit the template"
"""Why there is no field on a page where `Template.fields` finds none."""

_MARK = "vinscribe_template"
_LANDMARKS = 350  # that are kept
_LEAST_LANDMARKS = 50
_REGIONS = 8  # the page is divided into so many parts each way; each gives about as many landmarks
_LEAST_FIELD_PX = 8
_MOST_CELLS = 100
_MARKED_PITCHES = 0.7  # so far from where the field was marked its boxes are looked for
_MOVED_PITCHES = 0.35  # so far from where a page's alignment says
_OTHER_HEIGHT = 0.4  # share by which the height of boxes may differ from what is expected
_AROUND = 2.0  # heights of the field, above and below it, that its boxes are looked for in
_PREDICTED_SCORE = 0.5  # of a field whose lines were not seen
_MOST_FILE_BYTES = 1 << 22
_CORNERS = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])


@dataclass(frozen=True, eq=False)
class Template:
    """A form, and the field on it.

    Attributes:
        page_size: width and height, in pixels, of the scan it was made of.
        kind: one of KINDS.
        corners: float64 (4, 2), x and y on that scan: top left, top right, bottom right, bottom left as it is read.
        cells: float64 (count, 4, 2), the same of each cell; of equal widths where the field is plain.
        landmarks: of the form, outside the field.
    """

    page_size: tuple[int, int]
    kind: str
    corners: Floats
    cells: Floats
    landmarks: Landmarks

    @classmethod
    def made(
        cls,
        page: Grey,
        box: tuple[float, float, float, float],
        *,
        count: int = VIN_LENGTH,
        plain: bool = False,
        turned: int = 0,
        more: Sequence[Grey] = (),
    ) -> "Template":
        """A template of a scan with a field that somebody marked on it.

        Args:
            page: uint8 (height, width); best of an empty form, but a card that is filled in does.
            box: left, top, width and height of the field, in pixels of the page. Boxes that are near are found.
            count: cells of the field, 1 to 100.
            plain: whether the field has no lines between its cells.
            turned: degrees, a multiple of 90, that the card was turned clockwise on this scan.
            more: scans of other cards of the same form; what is on these, too, is printed.

        Raises:
            UsageError: the box is not on the page, or another argument out of range.
            DataError: too little is printed on the form to know it again, or another scan does not fit.
        """
        corners = _marked(page, box, turned)
        if not 1 <= count <= _MOST_CELLS:
            raise UsageError(f"a field of {count} cells; give 1 to {_MOST_CELLS}")
        cells = _divided(corners, count)
        found = None if plain else _near(page, cells, _MARKED_PITCHES, ends_only=True)
        if found is not None:
            cells, corners = found.cells, found.corners
        kind = PLAIN if plain else BOXES if found is not None else EQUAL
        height, width = page.shape
        landmarks = _outside(find_landmarks(page), corners)
        seen = np.zeros(len(landmarks.points), np.int64)
        for number, other in enumerate(more, 2):
            alignment = align(landmarks, max(page.shape), other)
            if alignment is None:
                raise DataError(f"scan {number} does not show the same form as the first; give scans of one form")
            seen += alignment.found
        # Of two scans and more, only what is on another one as well; the more scans, the better known what is printed.
        landmarks = _spread(landmarks, seen, (width, height), 1 if more else 0)
        if len(landmarks.points) < _LEAST_LANDMARKS:
            raise DataError(
                f"too little is printed on the form to know it again: {len(landmarks.points)} landmarks of "
                f"{_LEAST_LANDMARKS} needed; give a clear scan of the whole form"
            )
        return cls((width, height), kind, corners, cells, landmarks)

    def fields(self, page: Grey) -> list[Field]:
        """Where the field is on a page.

        Args:
            page: uint8 (height, width), turned and scaled in any way.

        Returns:
            The field: its cells as their lines or the ink show them, or else as the form says. Nothing where the page
            does not fit the template: see `MISFIT`.
        """
        if page.ndim != 2 or page.dtype != np.uint8 or not page.size:
            return []
        alignment = align(self.landmarks, max(self.page_size), page)
        if alignment is None:
            return []
        corners, cells = moved(self.corners, alignment.matrix), moved(self.cells, alignment.matrix)
        if self.kind == PLAIN:
            cut = cut_by_ink(page, corners, len(cells))
            return [cut or Field(corners, cells, 0.0, PLAIN)]
        seen = _near(page, cells, _MOVED_PITCHES)
        return [seen or Field(corners, cells, _PREDICTED_SCORE, self.kind)]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the template to a new file; UsageError where there is one, DataError where it cannot be written."""
        content = {
            _MARK: VERSION,
            "page_size": list(self.page_size),
            "kind": self.kind,
            "count": len(self.cells),
            "field": np.round(self.corners, 1).tolist(),
            "cells": np.round(self.cells, 1).tolist(),
            "landmarks": len(self.landmarks.points),
            "points": _encoded(self.landmarks.points.astype("<f4")),
            "descriptors": _encoded(self.landmarks.descriptors),
        }
        lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in content.items())
        try:
            with open(path, "x", encoding="utf-8", newline="\n") as file:
                file.write(f"{{\n{lines}\n}}\n")
        except FileExistsError:
            raise UsageError(f"{path} is there already; give another name, or move it away") from None
        except OSError as error:
            raise DataError(f"cannot write {path}: {error.strerror}; give a place that can be written") from error

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Template":
        """Read a template from a file.

        Raises:
            UsageError: no such file.
            DataError: it cannot be read, is no template, damaged, or of a newer vinscribe.
        """
        try:
            with open(path, "rb") as file:
                data = file.read(_MOST_FILE_BYTES + 1)
        except FileNotFoundError:
            raise UsageError(f"no such file: {path}; make a template with: vinscribe template make") from None
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror}; give a file that can be read") from error
        try:
            content = json.loads(data) if len(data) <= _MOST_FILE_BYTES else None
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict) or _MARK not in content:
            raise DataError(f"{path} is no template; make one with: vinscribe template make")
        if content[_MARK] != VERSION:
            raise DataError(f"{path}: template of version {content[_MARK]!r}, not {VERSION}; make it once more")
        try:
            return _parsed(content)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise DataError(f"{path}: damaged template, {_complaint(error)}; make it once more") from None


def _marked(page: Grey, box: tuple[float, float, float, float], turned: int) -> Floats:
    """Corners of a marked field, in the order of the card when it is upright."""
    if page.ndim != 2 or page.dtype != np.uint8:
        raise UsageError(f"a page must be a uint8 array of shape (height, width), not {page.dtype} {page.shape}")
    if turned % 90:
        raise UsageError(f"a card that is turned by {turned} degrees; give 0, 90, 180 or 270")
    x, y, width, height = box
    says = f"field {x:g},{y:g},{width:g},{height:g}"
    if not (x >= 0 and y >= 0 and x + width <= page.shape[1] and y + height <= page.shape[0]):
        raise UsageError(f"{says} is not on the page of {page.shape[1]} x {page.shape[0]} pixels; mark it on this page")
    quarters = turned // 90 % 4
    long, high = (height, width) if quarters % 2 else (width, height)
    if high < _LEAST_FIELD_PX or long < high:
        raise UsageError(
            f"{says} is no row of cells: give x,y,width,height in pixels, and how far the card is turned if it "
            "lies on its side"
        )
    corners = _CORNERS * [width, height] + [x, y]
    # Clockwise from where the reading begins: turned by a quarter, a card's top left is the scan's top right.
    return np.roll(corners, -quarters, axis=0)


def _divided(corners: Floats, count: int) -> Floats:
    """Cells of equal widths."""
    at = np.linspace(0, 1, count + 1)[:, None]
    top, bottom = (corners[left] + (corners[right] - corners[left]) * at for left, right in ((0, 1), (3, 2)))
    return np.stack([top[:-1], top[1:], bottom[1:], bottom[:-1]], axis=1)


def _near(page: Grey, cells: Floats, most_pitches: float, ends_only: bool = False) -> Field | None:
    """The row of boxes that is seen where cells are expected, or nothing.

    ``ends_only`` is for a field whose cells may be in groups: only where it begins and ends is known.
    """
    expected = _outline(cells)
    long, high = (float(np.linalg.norm(expected[a] - expected[b])) for a, b in ((1, 0), (3, 0)))
    pitch = long / len(cells)
    margin = np.array([2 * pitch, _AROUND * high])
    place = _CORNERS * [long, high] + margin
    transform = cv2.getPerspectiveTransform(place.astype(np.float32), expected.astype(np.float32))
    matrix = np.asarray(transform, np.float64)
    size = [max(1, round(side)) for side in np.array([long, high]) + 2 * margin]
    strip = cv2.warpPerspective(
        page, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
    there = moved(cells, np.asarray(np.linalg.inv(matrix)))
    which = [0, -1] if ends_only else list(range(len(cells)))
    for field in find_fields(np.asarray(strip, np.uint8), len(cells)):
        seen = field.cells.copy()
        if field.kind == "comb":  # its teeth say where cells are and where they end; how high they are, only the form
            seen[:, :2] = seen[:, [3, 2]] + (there[:, :2] - there[:, [3, 2]])
        taller = float(np.linalg.norm(seen[0, 3] - seen[0, 0])) / high
        if _off(seen[which], there[which]) <= most_pitches and abs(np.log(taller)) <= np.log(1 + _OTHER_HEIGHT):
            seen = moved(seen, matrix)
            return Field(_outline(seen), seen, field.score, field.kind)
    return None


def _off(cells: Floats, others: Floats) -> float:
    """The largest distance of the middles of two rows' cells, in widths of a cell."""
    width = float(np.linalg.norm(others[0, 1] - others[0, 0]))
    return float(np.linalg.norm((cells - others).mean(axis=1), axis=1).max()) / width


def _outline(cells: Floats) -> Floats:
    return np.array([cells[0, 0], cells[-1, 1], cells[-1, 2], cells[0, 3]])


def _outside(landmarks: Landmarks, corners: Floats) -> Landmarks:
    """Those outside the field: what is written in it differs on every card."""
    contour = corners.astype(np.float32)
    inside = [cv2.pointPolygonTest(contour, (float(x), float(y)), False) >= 0 for x, y in landmarks.points]
    return landmarks.only(~np.array(inside, bool))


def _spread(landmarks: Landmarks, seen: NDArray[np.int64], page_size: tuple[int, int], least_seen: int) -> Landmarks:
    """The most striking ones of each part of the page, those first that were seen on the most scans."""
    part = np.floor(landmarks.points / page_size * _REGIONS).astype(np.int64) @ [1, _REGIONS]
    rank = np.zeros(len(part), np.int64)
    order = np.lexsort((np.arange(len(part)), -seen))
    for number in np.unique(part):
        inside = order[part[order] == number]
        rank[inside] = np.arange(len(inside))
    best = np.lexsort((np.arange(len(part)), rank, -seen))[:_LANDMARKS]
    return landmarks.only(best[seen[best] >= least_seen])


def _encoded(array: Any) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")


def _parsed(content: dict[str, Any]) -> Template:
    """A template file's content, checked; what is wrong is raised as ValueError, KeyError or TypeError."""
    width, height = (int(side) for side in content["page_size"])
    if not (0 < width <= 100_000 and 0 < height <= 100_000):
        raise ValueError(f"a page of {width} x {height} pixels")
    if content["kind"] not in KINDS:
        raise ValueError(f"kind {content['kind']!r} is none of {', '.join(KINDS)}")
    count, number = int(content["count"]), int(content["landmarks"])
    if not (1 <= count <= _MOST_CELLS and _LEAST_LANDMARKS <= number <= 10_000):
        raise ValueError(f"{count} cells and {number} landmarks")
    points = _decoded(content, "points", "<f4", (number, 2)).astype(np.float64)
    descriptors = _decoded(content, "descriptors", "u1", (number, DESCRIPTOR_BYTES))
    numbers = {name: np.array(content[name], np.float64) for name in ("field", "cells")}
    for name, shape in (("field", (4, 2)), ("cells", (count, 4, 2))):
        if numbers[name].shape != shape:
            raise ValueError(f"{name} is not of {' x '.join(map(str, shape))} numbers")
    every = np.concatenate([points, *(part.reshape(-1, 2) for part in numbers.values())])
    if not (np.isfinite(every).all() and (every >= -1).all() and (every <= [width + 1, height + 1]).all()):
        raise ValueError("something lies outside the page")
    for quad in (numbers["field"], *numbers["cells"]):
        if cv2.contourArea(quad.astype(np.float32), oriented=True) < 1:
            raise ValueError("a field or cell without an area")
    return Template(
        (width, height), content["kind"], numbers["field"], numbers["cells"], Landmarks(points, descriptors)
    )


def _decoded(content: dict[str, Any], name: str, dtype: str, shape: tuple[int, int]) -> Any:
    try:
        data = base64.b64decode(content[name], validate=True)
    except binascii.Error:
        raise ValueError(f"{name} is not in base64") from None
    array = np.frombuffer(data, np.dtype(dtype)) if len(data) % np.dtype(dtype).itemsize == 0 else np.zeros(0)
    if array.size != shape[0] * shape[1]:
        raise ValueError(f"{name} has another length than {shape[0]} landmarks have")
    return array.reshape(shape)


def _complaint(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)
