"""The rows of cells on a page -> the one that holds the VIN, read.

Engine numbers have boxes, too, and a card may lie upside down. Each row that the finder offers is read, and what its
ink says is weighed: whether all cells hold legible characters, how clear they are, and whether they make sense as a
VIN. That there are other rows which might be it lowers the confidence.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from vinscribe.cells import normalise_batch
from vinscribe.charset import ILLEGIBLE
from vinscribe.classifier import Classifier, given_legible
from vinscribe.decode import Decoder, VinReading
from vinscribe.field import Field, cut_cells
from vinscribe.plain import PLAIN, cut_characters
from vinscribe.stages import stage
from vinscribe.views import outputs_of_views, views_of_all
from vinscribe.vin import VIN_LENGTH

MOST_FIELDS = 12
"""Rows of a page that are looked at, at most."""

PLAIN_SCORES, PLAIN_TRUST = (0.0, 0.3, 0.6, 0.8), (0.3, 0.6, 0.95, 0.99)
"""Score of a field without boxes, and how likely it was cut between its characters, however clear they are."""

_AT_ONCE = 2  # rows that are looked at together: mostly the same one, both ways up
_SURE = 9.0  # weight of evidence from which on no more rows are looked at
_GEOMETRY = 1.0  # how much the finder's log odds count
_LEAST_LEGIBLE = 0.02  # that a cell is not legible counts no more than this
_EMPTY = 0.2  # with less of its cells legible, on average, a row is empty

Grey = NDArray[np.uint8]


def read_fields(page: Grey, fields: Iterable[Field], classifier: Classifier, decoder: Decoder) -> VinReading:
    """Read the row that most likely holds the VIN.

    Args:
        page: uint8 (height, width).
        fields: rows of 17 cells on it, one at least, the most likely first.
        classifier: reads the cells.
        decoder: makes VINs of them.

    Returns:
        The reading with its place on the page.
    """
    candidates = iter(islice(fields, MOST_FIELDS))
    seen: list[_Seen] = []
    while some := list(islice(candidates, _AT_ONCE)):
        seen += _glance(page, some, classifier, decoder)
        if max(each.weight for each in seen) >= _SURE:
            break
    best = max(seen, key=lambda each: each.weight)
    others = [each.weight for each in seen if each.vin != best.vin]
    share = 1 / (1 + float(np.exp(np.array(others) - best.weight).sum()))
    return _doubted(_read(page, best.field, classifier, decoder), share, decoder.threshold)


def no_field(reason: str) -> VinReading:
    """The reading of a page without a field, and why there is none."""
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
    """A row at first sight: what it seems to say, and the weight of the evidence that it is the VIN's, in nats."""

    field: Field
    vin: tuple[int, ...]
    weight: float


def _glance(page: Grey, fields: Sequence[Field], classifier: Classifier, decoder: Decoder) -> list[_Seen]:
    cells = normalise_batch(chain.from_iterable(_pictures(page, field) for field in fields), classifier.size_px)
    with stage("classify"):
        outputs = classifier.outputs(cells)
    probs = given_legible(outputs).reshape(len(fields), VIN_LENGTH, -1)
    legible = (1 - outputs[:, ILLEGIBLE]).reshape(len(fields), VIN_LENGTH)
    decoded = decoder.decode(probs, legible)
    scores = np.clip([field.score for field in fields], 0.001, 0.999)
    clear = np.log(np.maximum(legible, _LEAST_LEGIBLE)) + np.log(probs.max(2))
    weights = decoded.evidence + clear.sum(1) + _GEOMETRY * np.log(scores / (1 - scores))
    return [_Seen(*each) for each in zip(fields, map(tuple, decoded.best.tolist()), weights.tolist(), strict=True)]


def _read(page: Grey, field: Field, classifier: Classifier, decoder: Decoder) -> VinReading:
    """The reading of a row, with its place."""
    cells = views_of_all(_pictures(page, field), classifier.size_px)
    with stage("classify"):
        outputs = outputs_of_views(cells, classifier.outputs)
    probs, legible = given_legible(outputs), 1 - outputs[:, ILLEGIBLE]
    reading = _placed(decoder.readings(probs[None], legible[None])[0], field)
    if legible.mean() < _EMPTY:
        return replace(reading, reason="the field is empty")
    if field.kind == PLAIN:
        trust = float(np.interp(field.score, PLAIN_SCORES, PLAIN_TRUST))
        return _doubted(reading, trust, decoder.threshold, "field without boxes")
    return reading


@stage("cut")
def _pictures(page: Grey, field: Field) -> list[Grey]:
    """The cells of a row as they are on the page."""
    return cut_characters(page, field) if field.kind == PLAIN else cut_cells(page, field)


def _placed(reading: VinReading, field: Field) -> VinReading:
    """The reading with its corners on the page, to a tenth of a pixel."""
    boxes = [tuple((round(x, 1), round(y, 1)) for x, y in corners) for corners in field.cells.tolist()]
    cells = tuple(replace(cell, box=box) for cell, box in zip(reading.cells, boxes, strict=True))
    corners = tuple((round(x, 1), round(y, 1)) for x, y in field.corners.tolist())
    return replace(reading, cells=cells, field=corners)


def _doubted(
    reading: VinReading, share: float, threshold: float, reason: str = "another row of cells may be the field"
) -> VinReading:
    """The reading if it is right by that share only for another reason than its characters."""
    candidates = tuple(replace(each, probability=each.probability * share) for each in reading.candidates)
    reading = replace(reading, confidence=reading.confidence * share, candidates=candidates)
    if reading.decision == "accept" and reading.confidence < threshold:
        reading = replace(reading, decision="review", reason=reason)
    return reading
