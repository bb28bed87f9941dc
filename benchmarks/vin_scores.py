"""What the benchmark of whole VINs counts: exact ones, errors among accepted ones, coverage, calibration."""

from dataclasses import dataclass

import numpy as np
from made_vins import MadeVins
from numpy.typing import NDArray

from vinscribe.decode import Decoded
from vinscribe.training.evaluate import expected_calibration_error

ERROR_RATES = (0.01, 0.001)
"""At which the coverage is given."""
PARTS = ("all", "with a check digit", "without")
"""Kinds of makers."""

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Score:
    """VINs of one kind; rates in [0, 1].

    Attributes:
        vins: how many.
        characters: share of characters that are right by themselves.
        raw, structure, exact: share of VINs that are wholly right: by their single characters, decoded without the
            check digit, decoded.
        accepted: share that is accepted at the default threshold.
        num_accepted, num_wrong: accepted ones, and wrong ones among them.
        wrong_bound: upper bound, at 95 %, of the error rate of accepted ones.
        coverage: error rate -> largest share of VINs, the surest first, that has no higher one.
        ece: expected calibration error of the VIN's confidence.
    """

    vins: int
    characters: float
    raw: float
    structure: float
    exact: float
    accepted: float
    num_accepted: int
    num_wrong: int
    wrong_bound: float
    coverage: dict[str, float]
    ece: float


def coverage_at(confidence: Floats, correct: NDArray[np.bool_], error_rate: float) -> float:
    """The largest share of VINs whose error rate is at most this, when all above some confidence are taken."""
    order = np.argsort(-confidence, kind="stable")
    taken = np.arange(1, len(order) + 1)
    fits = (~correct[order]).cumsum() <= error_rate * taken + 1e-9
    # No threshold can part VINs of the same confidence.
    ends = np.append(np.diff(confidence[order]) != 0, True)
    return float(np.max(taken[fits & ends], initial=0) / len(order))


def upper_bound(errors: int, count: int, level: float = 0.95) -> float:
    """One-sided upper bound of an error rate; 1 where nothing was counted.

    Source: C. Clopper, E. Pearson, "The use of confidence or fiducial limits", Biometrika 26 (1934).
    """
    from scipy.special import betaincinv

    return float(betaincinv(errors + 1, count - errors, level)) if errors < count else 1.0


def score(labels: NDArray[np.int64], structure: Decoded, decoded: Decoded, chosen: NDArray[np.bool_]) -> Score:
    """Compares the chosen ones (N,) of what was decoded with the true labels (N, 17)."""
    labels, confidence = labels[chosen], decoded.confidence[chosen]
    right = decoded.raw[chosen] == labels
    correct = (decoded.best[chosen] == labels).all(1)
    accept = decoded.accept[chosen]
    num_accepted, num_wrong = int(accept.sum()), int((accept & ~correct).sum())
    return Score(
        vins=len(labels),
        characters=float(right.mean()),
        raw=float(right.all(1).mean()),
        structure=float((structure.best[chosen] == labels).all(1).mean()),
        exact=float(correct.mean()),
        accepted=float(accept.mean()),
        num_accepted=num_accepted,
        num_wrong=num_wrong,
        wrong_bound=upper_bound(num_wrong, num_accepted),
        coverage={f"{rate:g}": coverage_at(confidence, correct, rate) for rate in ERROR_RATES},
        ece=expected_calibration_error(confidence, correct),
    )


def scores_of(truth: MadeVins, structure: Decoded, decoded: Decoded) -> dict[str, Score]:
    """The scores of all VINs, of those whose maker writes a check digit, and of the others; by name of ``PARTS``."""
    parts = zip(PARTS, (np.ones_like(truth.checked), truth.checked, ~truth.checked), strict=True)
    return {name: score(truth.labels, structure, decoded, chosen) for name, chosen in parts if chosen.any()}


def table(scores: dict[str, dict[str, Score]]) -> str:
    """Set -> part -> score, as a table in Markdown; percent."""
    coverage = [f"coverage at {100 * rate:g} % error" for rate in ERROR_RATES]
    rows = [["set", "makers", "VINs", "characters", "exact, raw", "structure", "decoded", "accepted"]]
    rows[0] += ["wrong of these (bound)", *coverage, "calibration error"]
    for name, parts in scores.items():
        for part, found in parts.items():
            rates = (found.characters, found.raw, found.structure, found.exact, found.accepted)
            wrong = f"{found.num_wrong} of {found.num_accepted:,} ({100 * found.wrong_bound:.2f})"
            covered = [f"{100 * share:.1f}" for share in found.coverage.values()]
            shares = [f"{100 * rate:.1f}" for rate in rates]
            rows.append([name, part, f"{found.vins:,}", *shares, wrong, *covered, f"{100 * found.ece:.2f}"])
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])
