"""The rows of cells on a page -> the one that holds the VIN, read.

Engine numbers have boxes, too, and a card may lie upside down. Each row that the finder offers is read, and what its
ink says is weighed: whether all cells hold legible characters, how clear they are, and whether they make sense as a
VIN. That there are other rows which might be it lowers the confidence.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vinscribe.cells import normalise_batch
from vinscribe.charset import ILLEGIBLE
from vinscribe.classifier import Classifier, given_legible
from vinscribe.field import Field, cut_cells, same_ends
from vinscribe.ink import crossed_from_corner_to_corner, crossed_out
from vinscribe.plain import PLAIN, cut_characters
from vinscribe.stages import stage
from vinscribe.views import with_more_views
from vinscribe.vin import VIN_LENGTH

if TYPE_CHECKING:
    from vinscribe.decode import Decoder, VinReading  # loaded with the first VIN: characters are read without it

MOST_FIELDS = 12
"""Rows that are looked at, at most, of each search of a page."""

PLAIN_SCORES, PLAIN_TRUST = (0.0, 0.3, 0.6, 0.8), (0.3, 0.6, 0.95, 0.99)
"""Score of a field without boxes, and how likely it was cut between its characters, however clear they are."""

_SURE = 5.0  # weight of evidence from which on no more rows are looked for
_ENOUGH = 12.0  # nats of evidence: what makes so much sense as a VIN is one
_RIVAL = 0.6  # score of a row that might be it, too
_GEOMETRY = 1.0  # how much the finder's log odds count
_LEAST_LEGIBLE = 0.02  # that a cell is not legible counts no more than this
_HIGH_COMB, _LOW_COMB = 0.85, 0.75  # of a cell's width: its height from which on another one is tried
_AROUND = 0.0  # of a cell is looked at to see whether it is struck out
_EMPTY = 0.2  # with less of its cells legible, on average, a row is empty

Grey = NDArray[np.uint8]


def read_fields(
    page: Grey, searches: Iterable[Sequence[Field]], classifier: Classifier, decoder: "Decoder"
) -> "VinReading | None":
    """Read the row that most likely holds the VIN.

    The next search is only asked for if no row of those before makes sense as a VIN.

    Args:
        page: uint8 (height, width).
        searches: rows of 17 cells on it, the most likely of each search first.
        classifier: reads the cells.
        decoder: makes VINs of them.

    Returns:
        The reading with its place on the page; None without a row.
    """
    seen: list[_Seen] = []
    for fields in searches:
        new = [field for field in fields if not any(same_ends(field, each.field) for each in seen)]
        sure = False
        for field in new[:MOST_FIELDS]:
            if not sure or field.score >= _RIVAL:
                seen += _glance(page, _cuts(field), classifier, decoder)
                sure = sure or max(each.weight for each in seen) >= _SURE
        if sure:
            break
    if not seen:
        return None
    best = max(seen, key=lambda each: each.weight)
    others = [each.rivalry for each in seen if each.vin != best.vin and not same_ends(each.field, best.field)]
    share = 1 / (1 + float(np.exp(np.array(others) - best.rivalry).sum()))
    return _doubted(_read(page, best, classifier, decoder), share, decoder.threshold)


def no_field(reason: str) -> "VinReading":
    """The reading of a page without a field, and why there is none."""
    from vinscribe.decode import VinReading

    return VinReading(
        file="",
        page=None,
        vin=None,
        confidence=0.0,
        decision="no_field",
        reason=reason,
        raw=None,
        changes=(),
        candidates=(),
        check_digit=None,
        cells=(),
    )


@dataclass(frozen=True)
class _Seen:
    """A row at first sight.

    Attributes:
        field: the row.
        cells: uint8 (17, S, S), what the network saw of it.
        vin: what it seems to say.
        weight: of the evidence that it is the VIN's, in nats.
        rivalry: the same, but no row makes more than enough sense: that a model is better known says nothing against
            the VIN in the row beside it.
    """

    field: Field
    cells: Grey
    vin: tuple[int, ...]
    weight: float
    rivalry: float


def _cuts(field: Field) -> list[Field]:
    """The row; of a comb, whose cells nothing but a line of print may bound above, lower ones as well."""
    right, down = field.cells[:, 1] - field.cells[:, 0], field.cells[:, 3] - field.cells[:, 0]
    width, height = (float(np.linalg.norm(side, axis=1).mean()) for side in (right, down))
    if field.kind != "comb" or height < _HIGH_COMB * width:
        return [field]
    cells = field.cells.copy()
    cells[:, :2] += (1 - _LOW_COMB * width / height) * (field.cells[:, [3, 2]] - field.cells[:, :2])
    corners = np.array([cells[0, 0], cells[-1, 1], cells[-1, 2], cells[0, 3]])
    return [field, replace(field, cells=cells, corners=corners)]


def _glance(page: Grey, fields: Sequence[Field], classifier: Classifier, decoder: "Decoder") -> list[_Seen]:
    cells = normalise_batch(chain.from_iterable(_pictures(page, field) for field in fields), classifier.size_px)
    with stage("classify"):
        outputs = classifier.outputs(cells)
    probs = given_legible(outputs).reshape(len(fields), VIN_LENGTH, -1)
    legible = (1 - outputs[:, ILLEGIBLE]).reshape(len(fields), VIN_LENGTH)
    decoded = decoder.decode(probs, legible)
    scores = np.clip([field.score for field in fields], 0.001, 0.999)
    clear = np.log(np.maximum(legible, _LEAST_LEGIBLE)) + np.log(probs.max(2))
    shape = clear.sum(1) + _GEOMETRY * np.log(scores / (1 - scores))
    weights, rivalries = decoded.evidence + shape, np.minimum(decoded.evidence, _ENOUGH) + shape
    by_row = cells.reshape(len(fields), VIN_LENGTH, *cells.shape[1:])
    vins = map(tuple, decoded.best.tolist())
    return [_Seen(*each) for each in zip(fields, by_row, vins, weights.tolist(), rivalries.tolist(), strict=True)]


def _read(page: Grey, seen: _Seen, classifier: Classifier, decoder: "Decoder") -> "VinReading":
    """The reading of a row, looked at from all sides, with its place."""
    field = seen.field
    pictures = _pictures(page, field)
    with stage("normalise"):
        looks = np.stack([with_more_views(picture, cell) for picture, cell in zip(pictures, seen.cells, strict=True)])
    with stage("classify"):
        outputs = classifier.rows(looks[None])[0]
    probs, legible = given_legible(outputs), 1 - outputs[:, ILLEGIBLE]
    reading = _placed(decoder.readings(probs[None], legible[None])[0], field)
    if legible.mean() < _EMPTY:
        return replace(reading, reason="the field is empty")
    if reading.decision == "accept" and (struck := _crossed_out(page, field, reading)):
        return replace(reading, decision="review", reason=f"cell {struck} may be struck out")
    if field.kind == PLAIN:
        trust = float(np.interp(field.score, PLAIN_SCORES, PLAIN_TRUST))
        return _doubted(reading, trust, decoder.threshold, "field without boxes")
    return reading


def _crossed_out(page: Grey, field: Field, reading: "VinReading") -> int:
    """Number, from 1, of the first cell that lines run through, or that an X fills; 0 if there is none."""
    if field.kind == PLAIN:
        return 0
    for number, (cell, read) in enumerate(zip(cut_cells(page, field, _AROUND), reading.cells, strict=True), 1):
        filled = read.char == "X" and crossed_from_corner_to_corner(cell, _AROUND)
        if filled or crossed_out(cell, _AROUND):
            return number
    return 0


@stage("cut")
def _pictures(page: Grey, field: Field) -> list[Grey]:
    """The cells of a row as they are on the page."""
    return cut_characters(page, field) if field.kind == PLAIN else cut_cells(page, field)


def _placed(reading: "VinReading", field: Field) -> "VinReading":
    """The reading with its corners on the page, to a tenth of a pixel."""
    boxes = [tuple((round(x, 1), round(y, 1)) for x, y in corners) for corners in field.cells.tolist()]
    cells = tuple(replace(cell, box=box) for cell, box in zip(reading.cells, boxes, strict=True))
    corners = tuple((round(x, 1), round(y, 1)) for x, y in field.corners.tolist())
    return replace(reading, cells=cells, field=corners)


def _doubted(
    reading: "VinReading", share: float, threshold: float, reason: str = "another row of cells may be the field"
) -> "VinReading":
    """The reading if it is right by that share only for another reason than its characters."""
    candidates = tuple(replace(each, probability=each.probability * share) for each in reading.candidates)
    reading = replace(reading, confidence=reading.confidence * share, candidates=candidates)
    if reading.decision == "accept" and reading.confidence < threshold:
        reading = replace(reading, decision="review", reason=reason)
    return reading
