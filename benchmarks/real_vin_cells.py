"""The cells of real VINs in real hands: drawn, read with the network once, and kept for whatever decodes them.

A set is a hand and a kind of drawing. Hands: ``unipen`` (pen strokes of writers not trained on), ``digilets`` (pen
strokes of German writers, for measuring only), ``emnist`` (pictures, mixed writers). Kinds: ``bare`` (characters
without a box), ``boxes`` (see `vin_sheets`), ``cards`` (the true cells of whole drawn cards), ``negatives`` (the cells
of cards without a whole VIN). A VIN of strokes is written by one writer who has all of its characters; others lend what
else a card's boxes need.

For fitting, VINs and hands are others: the VINs' other half, UNIPEN's validation writers, EMNIST's validation pictures.
What is drawn hangs on the seed, the set's name and the VIN's number alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from ink_sets import draw_strokes
from numpy.typing import NDArray
from vin_sheets import Picture, VinSet, choose_writers, emnist_bare, emnist_boxes, rows_of_writers, unipen_boxes
from whole_vins import ROOT, Model, making, place_of, read_once

from vinscribe.training.card_cells import draw_cells
from vinscribe.training.dataset import Split, make_view
from vinscribe.training.emnist import Archive, read_pool
from vinscribe.training.hands import Hands
from vinscribe.training.real_vins import RealVins
from vinscribe.training.unipen import VERDICTS_FILE, StrokeSet, read_strokes, split_writers, without_doubtful

SETS = (
    *(f"{hand} {kind}" for hand in ("unipen", "digilets") for kind in ("bare", "boxes", "cards", "negatives")),
    *(f"emnist {kind}" for kind in ("bare", "boxes")),
)
"""For measuring."""
FIT_SETS = tuple(f"fit {name}" for name in SETS if not name.startswith("digilets"))
"""For fitting."""

REGION_SHARES = {"north-america": 1000 / 1430, "europe": 215 / 1430, "elsewhere": 215 / 1430}
"""Of the VINs of a set."""
NEGATIVES = ("empty", "missing", "struck")
"""Kinds of cards without a whole VIN, in turn; see `vinscribe.training.cards.NEGATIVES`."""
NEGATIVE_COUNT = 150
"""VINs in a set of negatives."""

_DRAWN_BY = ("boxes", "card_*", "cards", "documents", "hands", "pen", "alphabet", "unipen")  # of vinscribe/training
_HEIGHTS_PX, _PEN_WIDTHS, _MARGINS = (24, 96), (0.025, 0.09), (0.07, 0.2)  # of bare strokes, as in `ink_sets`


@dataclass(frozen=True)
class Cells:
    """A set as the network read it.

    Attributes:
        name: of `SETS` or `FIT_SETS`.
        path: of the file that holds the arrays below under their names.
        outputs: float32 (N, 17, 34), see `vinscribe.views.outputs_of_views`.
        labels: int64 (N, 17), what is written; of negatives, what would be.
        regions: (N,) str, see `vinscribe.training.real_vins.REGIONS`.
        writers: (N,) str, who wrote it; empty where each character has a writer of its own.
        negatives: (N,) str, of `NEGATIVES`; empty where a whole VIN is written.
    """

    name: str
    path: Path
    outputs: NDArray[np.float32]
    labels: NDArray[np.int64]
    regions: NDArray[np.str_]
    writers: NDArray[np.str_]
    negatives: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.labels)


def choose_vins(real: RealVins, count: int, rng: np.random.Generator) -> RealVins:
    """VINs of each region by `REGION_SHARES`, in random order; all of a region before any of it comes again."""
    wanted = {region: round(share * count) for region, share in REGION_SHARES.items()}
    rows = []
    for region, number in wanted.items():
        own = np.flatnonzero(real.regions == region)
        times = -(-number // len(own)) if len(own) else 0
        rows += [row for _ in range(times) for row in rng.permutation(own).tolist()][:number]
    return real.select(rng.permutation(np.array(rows, np.int64)))


class SetMaker:
    """Makes the sets of real VINs.

    Args:
        real: all real VINs.
        shared: folder with ``unipen`` and ``digilets``.
        emnist: the EMNIST archive.
        count: VINs in a set.
        seed: of the VINs' choice and all that is drawn.

    Raises:
        DataError: on making a set: a source is missing or damaged.
    """

    def __init__(self, real: RealVins, shared: Path, emnist: Path, count: int, seed: int) -> None:
        self._real = real
        self._shared, self._emnist = shared, emnist
        self._count, self._seed = count, seed
        self.strokes = cache(self._strokes)
        self._glyphs = cache(self._read_glyphs)

    def make(self, name: str) -> VinSet[RealVins]:
        """A set by its name, of `SETS` or `FIT_SETS`."""
        hand, kind = name.split()[-2:]
        fit = name in FIT_SETS
        count = min(NEGATIVE_COUNT, self._count) if kind == "negatives" else self._count
        number = (*SETS, *FIT_SETS).index(name)
        vins = choose_vins(
            self._real.part("fit" if fit else "measure"), count, np.random.default_rng([self._seed, number])
        )
        seed = 1000 * self._seed + number  # no two sets draw with the same numbers
        if hand == "emnist":
            draw = emnist_bare if kind == "bare" else emnist_boxes
            return replace(draw(vins, self._glyphs(fit), seed), name=name)
        made = _STROKE_SETS[kind](vins, self.strokes(hand, fit), seed)
        return replace(made, name=name, note=f"pen strokes of one writer a VIN, {made.note}")

    def cells(self, name: str, model: Model, key: str, scratch: Path) -> Cells:
        """The same, read: at once if it was read before, see `whole_vins.read_once`."""
        made = self.make(name)
        count = len(made.truth)
        kinds = [NEGATIVES[row % len(NEGATIVES)] if "negatives" in name else "" for row in range(count)]
        writers = np.full(count, "", np.str_) if made.writers is None else made.writers
        truth, negatives = made.truth, np.array(kinds, np.str_)
        also = {"labels": truth.labels, "regions": truth.regions, "writers": writers, "negatives": negatives}
        outputs = read_once(made, model, key, scratch, also)
        path = place_of(made, key, scratch)
        return Cells(name, path, outputs, truth.labels, truth.regions, writers, negatives)

    def key(self, model: Path) -> str:
        """All that the sets depend on but the VINs."""
        folder = ROOT / "vinscribe" / "training"
        programs = [path for name in _DRAWN_BY for path in sorted(folder.glob(f"{name}.py"))]
        programs += [Path(__file__), VERDICTS_FILE, ROOT / "vinscribe" / "field.py"]
        strokes = [path for hand in ("unipen", "digilets") for path in sorted((self._shared / hand).glob("*"))]
        return making(model, [self._emnist, *strokes], self._seed, programs)

    def _strokes(self, hand: str, fit: bool) -> StrokeSet:
        strokes = read_strokes(self._shared / hand)
        if hand == "digilets":
            return strokes  # nobody was trained on
        return without_doubtful(split_writers(strokes)["validation" if fit else "test"])

    def _read_glyphs(self, fit: bool) -> Split:
        view = make_view(read_pool(Archive(self._emnist)), "vin")
        return view.validation if fit else view.test


def _bare(truth: RealVins, strokes: StrokeSet, seed: int) -> VinSet[RealVins]:
    """Characters by themselves, all with one pen on one paper; see `ink_sets`."""
    writers = choose_writers(truth, strokes, np.random.default_rng([seed, 3]))
    of_writer = rows_of_writers(strokes, writers)

    def draw(number: int) -> list[Picture]:
        rng = np.random.default_rng([seed, 4, number])
        height_px = round(_log_uniform(*_HEIGHTS_PX, rng))
        pen = max(_log_uniform(*_PEN_WIDTHS, rng), 1 / height_px)
        ink, paper, margin = int(rng.integers(0, 80)), int(rng.integers(225, 256)), float(rng.uniform(*_MARGINS))
        rows = [rng.choice(of_writer[str(writers[number])][label]) for label in truth.labels[number]]
        return [draw_strokes(strokes.strokes[row], height_px, pen, ink, paper, margin) for row in rows]

    return VinSet("", "bare", truth, writers, draw)


def _boxes(truth: RealVins, strokes: StrokeSet, seed: int) -> VinSet[RealVins]:
    return replace(unipen_boxes(truth, strokes, seed), note="in the boxes of one form")


def _cards(truth: RealVins, strokes: StrokeSet, seed: int, negative: bool = False) -> VinSet[RealVins]:
    """True cells of whole drawn cards; ``negative``: of cards without a whole VIN."""
    writers = choose_writers(truth, strokes, np.random.default_rng([seed, 3]))
    hands, texts = Hands(strokes), truth.texts()

    def draw(number: int) -> list[Picture]:
        rng = np.random.default_rng([seed, 4, number])
        kind = NEGATIVES[number % len(NEGATIVES)] if negative else None
        return draw_cells(texts[number], hands.of(str(writers[number])), rng, negative=kind)

    return VinSet("", "the true cells of drawn cards", truth, writers, draw)


def _negatives(truth: RealVins, strokes: StrokeSet, seed: int) -> VinSet[RealVins]:
    return replace(_cards(truth, strokes, seed, negative=True), note="cells of drawn cards without a whole VIN")


_STROKE_SETS: dict[str, Callable[[RealVins, StrokeSet, int], VinSet[RealVins]]] = {
    "bare": _bare,
    "boxes": _boxes,
    "cards": _cards,
    "negatives": _negatives,
}


def _log_uniform(low: float, high: float, rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
