"""17 x 33 probabilities -> one VIN, the runners-up, and how far to trust it.

The decoder weighs the ink of 17 cells against what is known of VINs (`vinscribe.priors`): exact sums over all strings,
no beam of guesses (`vinscribe.lattice`). The beliefs are evidence, never a veto, and a character that is clear by
itself is never rewritten: where the rules would like it otherwise, the VIN comes out as it is written, with the low
confidence that the rules leave to it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vinscribe.beliefs import market_parts
from vinscribe.charset import CHARSET, NUM_CLASSES
from vinscribe.errors import ModelError, UsageError
from vinscribe.expected import ExpectedVins
from vinscribe.knowledge import Knowledge, released
from vinscribe.lattice import Lattice
from vinscribe.parts import Floats, Ints
from vinscribe.priors import UNLISTED
from vinscribe.stages import stage
from vinscribe.vin import CHECK_POSITION, VIN_LENGTH, check_digit, has_valid_check_digit

if TYPE_CHECKING:
    from vinscribe.register import Register

CLEAR = 0.999
"""A character read with this confidence by itself is never rewritten."""

LEGIBLE = 0.9
"""Least probability of a legible character, in every cell of a VIN that is accepted."""

ILLEGIBLE_RARITY = 0.1
"""How much rarer cells without a legible character are in a VIN than in training, where they are a tenth."""

THRESHOLD = 0.999
"""Least confidence of a VIN that is accepted: at most one wrong in a thousand."""

CHECKED = 0.5
"""A check digit is likely in a VIN whose other characters say that it has one more often than this."""

NUM_CANDIDATES = 5

NUM_CHOICES = 3

_LEAST_CHOICE = 0.001  # less probable characters are no choice

LOOKALIKES = VIN_LENGTH * (NUM_CLASSES - 1)
"""Strings that differ from a VIN in one character."""

_CHUNK = 64  # VINs at once: their tables of maker's codes fit into the cache
_NEGLIGIBLE = 1e-9  # share of the total that a single listed VIN may be left out for


@dataclass(frozen=True, slots=True)
class Candidate:
    """A VIN and the probability, in [0, 1], that it is what is written."""

    vin: str
    probability: float


@dataclass(frozen=True, slots=True)
class CellReading:
    """One of the 17 cells.

    Attributes:
        char: the character at this position of the best VIN.
        confidence: the probability, in [0, 1], that it is right, all evidence weighed.
        legible_probability: that the cell shows a legible character, in [0, 1].
        choices: the up to three characters that the cell's own ink makes most probable, with their probabilities,
            best first; those under a thousandth are left out.
        box: its four corners (x, y) in pixels of the page; None for a cell that was cut already.
    """

    char: str
    confidence: float
    legible_probability: float
    choices: tuple[tuple[str, float], ...] = ()
    box: tuple[tuple[float, float], ...] | None = None


@dataclass(frozen=True, slots=True)
class VinReading:
    """What 17 cells were read as.

    Attributes:
        file: the path as it was given; empty for cells that came as arrays.
        page: number of the page, from 1; None for cells that were cut already.
        vin: the best VIN; None without a field.
        confidence: the calibrated probability, in [0, 1], that the whole VIN is right.
        decision: ``accept``, ``review`` or, of a page, ``no_field``.
        reason: why it needs a review, or why there is no field; None for an accepted one.
        raw: the best character of each cell by itself; None without a field.
        changes: for each character of ``vin`` that is another than in ``raw``: which, and on what evidence.
        candidates: the best VINs with their probabilities, falling, which add up to at most 1; the first is ``vin``.
        check_digit: ``valid`` or ``invalid``; many makers write none. None without a field.
        cells: the 17 cells; none without a field.
        field: four corners (x, y) of the row of cells in pixels of the page; None for cells that were cut already.
    """

    file: str
    page: int | None
    vin: str | None
    confidence: float
    decision: str
    reason: str | None
    raw: str | None
    changes: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    check_digit: str | None
    cells: tuple[CellReading, ...]
    field: tuple[tuple[float, float], ...] | None = None


@dataclass(frozen=True)
class Decoded:
    """What N VINs were decoded to, as arrays: labels are int64 class labels, probabilities float64.

    Attributes:
        raw: (N, 17), the best character of each cell by itself.
        best: (N, 17), the best VIN.
        confidence: (N,), the calibrated probability that it is right.
        char_confidence: (N, 17), the probability of each of its characters, all evidence weighed.
        candidates: (N, K, 17), the best strings, the best VIN first.
        candidate_probs: (N, K), falling, adding up to at most 1.
        evidence: (N,), the logarithm of how much better the ink fits a VIN than any 17 characters.
        listed: bool (N,), whether the best VIN is on the list of expected ones; False without a list.
        accept: bool (N,).
    """

    raw: Ints
    best: Ints
    confidence: Floats
    char_confidence: Floats
    candidates: Ints
    candidate_probs: Floats
    evidence: Floats
    listed: NDArray[np.bool_]
    accept: NDArray[np.bool_]


@dataclass(frozen=True)
class Calibration:
    """What decoding has to know of the model that read the cells; it is kept in the model file.

    Attributes:
        slope, offset: of the log odds of the confidence in a whole VIN that is likely to have a check digit, fitted to
            VINs of validation writers.
        class_shares: how often the model met each of the 33 characters when it was trained, adding up to 1; equally
            often if empty. Its probabilities lean towards what it met often, which is not what is frequent in a VIN.
        sharpness: power to which the probabilities of a cell are raised. They are means over several looks, which are
            right more often than each look by itself says.
        floor: share of each cell's probability that is spread over all 33 characters: how often it is wrong where it
            says that it cannot be.
        free_slope, free_offset: as ``slope`` and ``offset``, where a check digit is not likely; the same if None.

    Source: J. Platt, "Probabilistic outputs for support vector machines", 1999 (slope and offset).
    """

    slope: float = 1.0
    offset: float = 0.0
    class_shares: tuple[float, ...] = ()
    sharpness: float = 1.0
    floor: float = 1e-4
    free_slope: float | None = None
    free_offset: float | None = None

    @classmethod
    def of(cls, metadata: Mapping[str, str]) -> "Calibration":
        """That of a model with this metadata; the plain one where the model has none. ``ModelError`` for nonsense."""
        said = metadata.get("vins", "null")
        try:
            fitted = json.loads(said)
            if fitted is None:
                return cls()
            shares = tuple(map(float, fitted.get("class_shares", ())))
            optional = {
                name: float(fitted[name])
                for name in ("sharpness", "floor", "free_slope", "free_offset")
                if fitted.get(name) is not None
            }
            found = cls(float(fitted["slope"]), float(fitted["offset"]), shares, **optional)
            if len(shares) not in (0, NUM_CLASSES) or not found.sharpness > 0 or not 0 <= found.floor <= 1:
                raise ValueError
            return found
        except (ValueError, TypeError, KeyError, AttributeError):
            raise ModelError(f"the model's metadata 'vins' is {said[:200]!r}; use a model that is whole") from None

    def likelihoods(self, probs: Floats) -> Floats:
        """Probabilities (..., 33) as they would be if the model had met every character equally often, sharpened."""
        if not self.class_shares and self.sharpness == 1:
            return probs
        shares = np.array(self.class_shares or (1 / NUM_CLASSES,) * NUM_CLASSES)
        even = (probs / shares) ** self.sharpness
        likelihoods: Floats = even / even.sum(-1, keepdims=True)
        return likelihoods

    def ink(self, probs: Floats, legible: Floats) -> Floats:
        """How well each character fits (N, 17, 33): a cell that is not legible fits all of them alike.

        Args:
            probs: (N, 17, 33), the characters' probabilities, given that they are legible.
            legible: (N, 17), the probability of that.
        """
        seen = legible / (legible + ILLEGIBLE_RARITY * (1 - legible))
        share = (seen * (1 - self.floor))[:, :, None]
        ink: Floats = share * self.likelihoods(probs) + (1 - share) / NUM_CLASSES
        return ink

    def __call__(self, probs: Floats, checked: NDArray[np.bool_] | None = None) -> Floats:
        """Probabilities (N,) that VINs are right -> calibrated ones; ``checked`` (N,): a check digit is likely."""
        clipped = np.clip(probs, 1e-12, 1 - 1e-12)
        odds = np.log(clipped) - np.log1p(-clipped)
        calibrated = self.slope * odds + self.offset
        if checked is not None and self.free_slope is not None and self.free_offset is not None:
            calibrated = np.where(checked, calibrated, self.free_slope * odds + self.free_offset)
        found: Floats = 1 / (1 + np.exp(-calibrated))
        return found


class Decoder:
    """Decodes VINs with the beliefs about a market, and a list of expected VINs if there is one.

    Args:
        market: a name of ``priors.MARKETS``.
        expected: VINs that are known already.
        threshold: least confidence of a VIN that is accepted, in [0, 1].
        calibration: of the confidence; as it is if None.
        check_digit: False to leave it out of account.
        knowledge: of vehicles; what comes with vinscribe if None.
        register: what the office knows already.

    Raises:
        UsageError: no such market, or a threshold outside [0, 1].
        ModelError: the knowledge that comes with vinscribe is damaged.
    """

    def __init__(
        self,
        market: str = "any",
        expected: ExpectedVins | None = None,
        threshold: float = THRESHOLD,
        calibration: Calibration | None = None,
        check_digit: bool = True,
        knowledge: Knowledge | None = None,
        register: "Register | None" = None,
    ) -> None:
        if not 0 <= threshold <= 1:
            raise UsageError(f"threshold {threshold}: must be from 0 to 1")
        self.parts = market_parts(market, released() if knowledge is None else knowledge, register, check_digit)
        self.expected = expected
        self.threshold = threshold
        self.calibration = calibration or Calibration()

    @stage("decode")
    def decode(self, probs: NDArray[np.floating], legible: NDArray[np.floating] | None = None) -> Decoded:
        """Decode N VINs.

        Args:
            probs: (N, 17, 33), the characters' probabilities, given that they are legible; rows add up to 1.
            legible: (N, 17), the probability that a cell shows a legible character; 1 everywhere if None.
        """
        ink = np.asarray(probs, np.float64)
        seen = np.ones(ink.shape[:2]) if legible is None else np.asarray(legible, np.float64)
        starts = range(0, max(len(ink), 1), _CHUNK)
        parts = [self._decode_chunk(ink[i : i + _CHUNK], seen[i : i + _CHUNK]) for i in starts]
        return Decoded(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

    def _decode_chunk(self, probs: Floats, legible: Floats) -> tuple[NDArray[np.generic], ...]:
        """The attributes of ``Decoded``, in their order."""
        raw = probs.argmax(2)
        ink = self.calibration.ink(probs, legible)
        strings_of = Lattice(ink, self.parts)
        clear = (probs.max(2) >= CLEAR) & (legible >= LEGIBLE)
        allowed = ~clear[:, :, None] | (np.arange(NUM_CLASSES) == raw[:, :, None])
        strings, scores = strings_of.best(NUM_CANDIDATES, allowed)
        found: list[_Found] | None = None
        if self.expected is not None:
            found = [_found(self.expected, strings_of, row) for row in range(len(probs))]
            strings, scores = _merged(strings, scores, found, allowed)
        best, listed = strings[:, 0], np.zeros(len(probs), bool)
        sums = strings_of.marginals(best) * strings_of.total[:, None]
        total = strings_of.total + strings_of.left_out
        if self.expected is not None and found is not None:
            total = total + [extra.sum() for _, extra in found]
            sums = sums + _agreement(best, found)
            listed = self.expected.contains(best)
        chars = sums / total[:, None]
        probability = np.minimum(scores / total[:, None], 1)
        confidence = self.calibration(probability[:, 0], self.parts.prior(best)[1] > CHECKED)
        rest = ((1 - confidence) / np.maximum(1 - probability[:, 0], 1e-12)).clip(0, 1)
        candidate_probs = np.column_stack([confidence, probability[:, 1:] * rest[:, None]])
        accept = (confidence >= self.threshold) & (legible >= LEGIBLE).all(1)
        evidence = np.log(total) + strings_of.log_scale + VIN_LENGTH * np.log(NUM_CLASSES)
        return raw, best, confidence, chars.clip(0, 1), strings, candidate_probs, evidence, listed, accept

    @stage("decode")
    def readings(
        self, probs: NDArray[np.floating], legible: NDArray[np.floating], files: Sequence[str] | None = None
    ) -> list[VinReading]:
        """Decode N VINs (see `decode`) into readings, with the names of their files if they have any."""
        decoded = self.decode(probs, legible)
        files = [""] * len(probs) if files is None else files
        return [
            self.reading(decoded, row, np.asarray(probs[row], np.float64), np.asarray(legible[row], np.float64), file)
            for row, file in enumerate(files)
        ]

    def reading(self, decoded: Decoded, row: int, probs: Floats, legible: Floats, file: str = "") -> VinReading:
        """The reading of one of the VINs that were decoded, of its ``probs`` (17, 33) and ``legible`` (17,)."""
        vin, raw = _text(decoded.best[row]), _text(decoded.raw[row])
        accept = bool(decoded.accept[row])
        candidates = zip(decoded.candidates[row], decoded.candidate_probs[row].tolist(), strict=True)
        confidences = decoded.char_confidence[row].tolist()
        return VinReading(
            file=file,
            page=None,
            vin=vin,
            confidence=float(decoded.confidence[row]),
            decision="accept" if accept else "review",
            reason=None if accept else self._reason(decoded, row, vin, probs, legible),
            raw=raw,
            changes=_changes(vin, raw, bool(decoded.listed[row])),
            candidates=tuple(Candidate(_text(labels), prob) for labels, prob in candidates if prob > 0),
            check_digit="valid" if has_valid_check_digit(vin) else "invalid",
            cells=tuple(map(CellReading, vin, confidences, legible.tolist(), self._choices(probs))),
        )

    def _choices(self, probs: Floats) -> list[tuple[tuple[str, float], ...]]:
        """See `CellReading`, of each cell (17, 33)."""
        likelihoods = self.calibration.likelihoods(probs)
        best = np.argsort(-likelihoods, axis=1, kind="stable")[:, :NUM_CHOICES]
        return [
            tuple((CHARSET[label], float(own[label])) for label in labels if own[label] >= _LEAST_CHOICE)
            for own, labels in zip(likelihoods, best, strict=True)
        ]

    def _reason(self, decoded: Decoded, row: int, vin: str, probs: Floats, legible: Floats) -> str:
        """Why a VIN needs a review, in a few words."""
        unread = [str(position + 1) for position in np.flatnonzero(legible < LEGIBLE)]
        if unread:
            return f"no clearly legible character in cell{'s' * (len(unread) > 1)} {', '.join(unread)}"
        doubts = []
        confidences = decoded.char_confidence[row]
        for position in np.argsort(confidences, kind="stable")[:2]:
            if confidences[position] < self.threshold:
                others = np.where(np.arange(NUM_CLASSES) == decoded.best[row, position], -1, probs[position])
                doubts.append(f"character {position + 1}: {vin[position]} or {CHARSET[others.argmax()]}")
        if not has_valid_check_digit(vin) and self.parts.prior(decoded.best[row : row + 1])[1][0] > CHECKED:
            doubts.append(f"check digit {vin[CHECK_POSITION]}, {check_digit(vin)} expected")
        return "; ".join(doubts) or f"confidence below {self.threshold:g}"


def _text(labels: Ints) -> str:
    return "".join(CHARSET[label] for label in labels)


def _changes(vin: str, raw: str, listed: bool) -> tuple[str, ...]:
    """What was rewritten, and on what evidence."""
    if listed:
        evidence = "a VIN that is expected"
    elif has_valid_check_digit(vin) and not has_valid_check_digit(raw):
        evidence = "the check digit"
    else:
        evidence = "what is usual there"
    return tuple(
        f"character {position + 1}: {new} instead of {old}, by {evidence}"
        for position, (new, old) in enumerate(zip(vin, raw, strict=True))
        if new != old
    )


# The list of expected VINs. A VIN that is not on it is taken to look like a listed one but for one character: so a
# listed string is worth (1 - UNLISTED) / UNLISTED * LOOKALIKES times as much as one that is not listed, and no more. If
# unlisted VINs were spread over all 33**17 strings, clear characters would be rewritten to find a VIN on the list.

_LISTED_WORTH = (1 - UNLISTED) / UNLISTED * LOOKALIKES

_Found = tuple[NDArray[np.int64], Floats]
"""Listed VINs (M, 17) that a reading may be, and what being listed adds to their scores (M,)."""


def _found(expected: ExpectedVins, strings_of: Lattice, row: int) -> _Found:
    factors, most = strings_of.bounds(row)
    rows = expected.near(factors, _NEGLIGIBLE * float(strings_of.total[row]) / (_LISTED_WORTH * most))
    labels = expected.labels[rows].astype(np.int64)
    return labels, _LISTED_WORTH * strings_of.scores(labels, np.full(len(labels), row))


def _merged(strings: Ints, scores: Floats, found: list[_Found], allowed: NDArray[np.bool_]) -> tuple[Ints, Floats]:
    """The best strings with the listed ones among them, at their worth."""
    strings, scores = strings.copy(), scores.copy()
    positions = np.arange(VIN_LENGTH)
    for row, (labels, extra) in enumerate(found):
        usable = allowed[row][positions, labels].all(1)
        known = scores[row] > 0  # there are fewer strings than candidates where all is clear
        worth = dict(zip(map(tuple, strings[row][known].tolist()), scores[row][known].tolist(), strict=True))
        for string, score in zip(labels[usable].tolist(), extra[usable].tolist(), strict=True):
            key = tuple(string)
            worth[key] = worth.get(key, score / _LISTED_WORTH) + score
        best = sorted(worth, key=lambda key: -worth[key])[: scores.shape[1]]
        strings[row, : len(best)], scores[row, : len(best)] = best, [worth[key] for key in best]
        scores[row, len(best) :] = 0
    return strings, scores


def _agreement(best: Ints, found: list[_Found]) -> Floats:
    """(N, 17): what is added to the sums of the strings with these characters."""
    return np.stack([extra @ (labels == own) for own, (labels, extra) in zip(best, found, strict=True)])
