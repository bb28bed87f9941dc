"""Whole drawn cards with real VINs in real hands, read by the finder, for ``real_vins.py``."""

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from page_scores import Outcome, Truth, judge
from real_vin_cells import choose_vins
from vin_sheets import choose_writers

from vinscribe.decode import Decoder
from vinscribe.reader import Reader
from vinscribe.training.cards import Card, draw_card
from vinscribe.training.hands import Hands
from vinscribe.training.real_vins import RealVins
from vinscribe.training.unipen import StrokeSet

HANDS = ("unipen", "digilets")
"""Who writes; see `real_vin_cells`."""


def read_pages(
    real: RealVins,
    strokes: StrokeSet,
    hand: str,
    count: int,
    seed: int,
    model: Path,
    decoders: Mapping[str, Decoder],
) -> dict[str, list[Outcome]]:
    """Draws cards and reads each of them, through its file, with every decoder.

    Args:
        real: VINs to choose from.
        strokes: of the hand's writers.
        hand: one of `HANDS`.
        count: cards.
        seed: of everything that is drawn.
        model: what reads the cells.
        decoders: by their names.

    Returns:
        Name of a decoder -> an outcome for each card, in one group: the region under ``region``.

    Raises:
        DataError: nobody has all characters of a VIN.
    """
    readers = {name: _reader(model, decoder) for name, decoder in decoders.items()}
    rng = np.random.default_rng([seed, 5, HANDS.index(hand)])
    vins = choose_vins(real, count, rng)
    writers, hands = choose_writers(vins, strokes, rng), Hands(strokes)
    found: dict[str, list[Outcome]] = {name: [] for name in decoders}
    for number, vin in enumerate(vins.texts()):
        card = draw_card([seed, 6, HANDS.index(hand), number], vin=vin, hand=hands.of(str(writers[number])))
        truth = Truth(f"{hand}-{number + 1:05d}", {"region": str(vins.regions[number])}, vin, card.truth.cells)
        for name, outcome in _judged(card, truth, readers).items():
            found[name].append(outcome)
        if (number + 1) % 50 == 0:
            print(f"{hand} pages: {number + 1:,} of {len(vins):,}", file=sys.stderr)
    return found


def _judged(card: Card, truth: Truth, readers: Mapping[str, Reader]) -> dict[str, Outcome]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, truth.name + card.ending)
        path.write_bytes(card.data)
        return {name: judge(str(path), truth, reader)[0] for name, reader in readers.items()}


def _reader(model: Path, decoder: Decoder) -> Reader:
    reader = Reader(model)
    reader.decoder = decoder
    return reader
