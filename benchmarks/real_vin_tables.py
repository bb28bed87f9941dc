"""The tables of ``real_vins.py``: what was measured at each level of knowledge, in Markdown; percent."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import page_scores
from numpy.typing import NDArray
from page_scores import Outcome
from vin_scores import Score

GROUPS = {
    "all": ("north-america", "europe", "elsewhere"),
    "North America": ("north-america",),
    "Europe and elsewhere": ("europe", "elsewhere"),
}
"""Where the vehicles were seen."""

ALL_SETS = "all sets"
Scores = dict[str, dict[str, Score]]
"""Set -> group -> score."""


@dataclass(frozen=True)
class Measured:
    """What was measured at one level.

    Attributes:
        scores: see `Scores`.
        negatives: kind of rows without a whole VIN -> (accepted, rows).
        decoding_us: microseconds of processor time that a VIN takes to decode.
        confidence, correct: (N,), of every VIN of all sets.
        pages: hand -> outcomes of whole cards.
    """

    scores: Scores
    negatives: dict[str, tuple[int, int]]
    decoding_us: float
    confidence: NDArray[np.floating]
    correct: NDArray[np.bool_]
    pages: dict[str, list[Outcome]]


def table(measured: Mapping[str, Measured], group: str, sets: Sequence[str]) -> str:
    """Of one group, the sets at each level."""
    heads = ["set", "knowledge", "VINs", "characters", "exact, raw", "without check digit", "exact", "accepted"]
    heads += ["wrong of these (bound)", "coverage at 0.1 % error"]
    rows = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for name in sets:
        for level, own in measured.items():
            if group in own.scores[name]:
                rows.append(f"| {name} | {level} | {_row(own.scores[name][group])} |")
    return "\n".join(rows)


def _row(found: Score) -> str:
    rates = (found.characters, found.raw, found.structure, found.exact, found.accepted)
    shares = " | ".join(f"{100 * rate:.1f}" for rate in rates)
    wrong = f"{found.num_wrong} of {found.num_accepted:,} ({100 * found.wrong_bound:.2f})"
    return f"{found.vins:,} | {shares} | {wrong} | {100 * found.coverage['0.001']:.1f}"


def negative_table(measured: Mapping[str, Measured]) -> str:
    """Accepted rows without a whole VIN, at each level; "" without such rows."""
    kinds = list(next(iter(measured.values())).negatives)
    if not kinds:
        return ""
    rows = [f"| accepted without a whole VIN | {' | '.join(kinds)} |", "|" + "---|" * (1 + len(kinds))]
    for level, own in measured.items():
        rows.append(f"| {level} | {' | '.join(f'{part} of {count:,}' for part, count in own.negatives.values())} |")
    return "\n".join(rows)


def page_table(measured: Mapping[str, Measured]) -> str:
    """Whole cards, by hand and level; "" where none were read."""
    hands = list(next(iter(measured.values())).pages)
    scores = {
        f"{hand}, {level}": page_scores.score(own.pages[hand]) for hand in hands for level, own in measured.items()
    }
    return page_scores.table("whole cards", scores) if scores else ""


def heading(measured: Mapping[str, Measured], seed: int, register: int) -> str:
    """What the tables show."""
    first = next(iter(measured.values()))
    times = ", ".join(f"{own.decoding_us:,.0f} µs ({level})" for level, own in measured.items())
    vins = first.scores[ALL_SETS]["all"].vins
    return (
        f"By `python benchmarks/real_vins.py`, {time.strftime('%Y-%m-%d')}: {vins:,} times a VIN that a vehicle has, "
        f"in {len(first.scores) - 1} sets (seed {seed}); where a region has fewer VINs than a set takes of it, they "
        "come again in other drawings. Each is written by one writer of UNIPEN that was not trained on (`unipen`), by "
        "one of 27 German writers (`digilets`), or with EMNIST's test pictures of mixed writers (`emnist`): `bare` "
        "characters, in `boxes` that are drawn by other code than the training's, or on drawn `cards` with their "
        f"true cells. Knowledge: none; of makers and models (vPIC); with it a register of {register:,} other VINs. "
        "Percent; accepted at the default threshold, wrong ones of these with the one-sided 95 % bound of their rate "
        f"(Clopper-Pearson). Decoding takes {times} a VIN on one core."
    )


def report(measured: Mapping[str, Measured], seed: int, register: int, diagram: Path | None) -> str:
    """All tables as they go into the model card; ``diagram``: the reliability diagram, beside the card."""
    sets = list(next(iter(measured.values())).scores)
    parts = [heading(measured, seed, register)]
    for group in GROUPS:
        names = sets[:1] if group == "all" else sets
        parts.append("" if group == "all" else f"Vehicles seen in {group}:")
        parts.append(table(measured, group, names))
    parts += [negative_table(measured), page_table(measured)]
    if diagram:
        parts.append(f"![How far the confidence in whole VINs holds ({list(measured)[-1]})]({diagram.as_posix()})")
    return "\n\n".join(part for part in parts if part)


def summary(measured: Mapping[str, Measured]) -> str:
    """The few figures for the README."""
    heads = ("vehicles seen in", "knowledge", "VINs", "exact, raw", "exact", "accepted", "wrong of these")
    rows = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for group in list(GROUPS)[1:]:
        for level, own in measured.items():
            found = own.scores[ALL_SETS].get(group)
            if found:
                shares = " | ".join(f"{100 * share:.1f}" for share in (found.raw, found.exact, found.accepted))
                wrong = f"{found.num_wrong} of {found.num_accepted:,}"
                rows.append(f"| {group} | {level} | {found.vins:,} | {shares} | {wrong} |")
    note = (
        f"By `python benchmarks/real_vins.py`, {time.strftime('%Y-%m-%d')}: VINs that vehicles have, written by people "
        "that were not trained on, as bare characters, in boxes and on drawn cards (their true cells); percent. "
        "Accepted: at the default threshold."
    )
    return note + "\n\n" + "\n".join(rows)


def record(measured: Mapping[str, Measured]) -> dict[str, Any]:
    """All figures of each level."""
    return {
        level: {
            "sets": {name: {group: asdict(found) for group, found in of.items()} for name, of in own.scores.items()},
            "negatives": {kind: {"accepted": part, "rows": rows} for kind, (part, rows) in own.negatives.items()},
            "decoding_us": own.decoding_us,
            "pages": {hand: asdict(page_scores.score(outcomes)) for hand, outcomes in own.pages.items()},
        }
        for level, own in measured.items()
    }
