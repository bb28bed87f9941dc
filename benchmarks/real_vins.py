"""How many VINs that vehicles have are read right in real hands, and what knowledge of vehicles brings.

    python benchmarks/real_vins.py --shared ../shared/data --emnist ../shared/data/emnist/gzip.zip --json vins.json
    python benchmarks/real_vins.py --pages 200 --diagrams docs --model-card
    python benchmarks/real_vins.py --fit --cells-only

Real VINs are drawn in real hands and read with the network once (``real_vin_cells.py``); what it made of their cells is
kept, and decoded here at several levels of knowledge: none, the released one (vPIC), and beside it a register, which is
the VINs' other half, or a file. ``--fit`` draws the sets for fitting instead, which nothing is measured on.
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ink_sets import default_scratch  # noqa: E402
from made_vins import as_texts  # noqa: E402
from page_scores import Outcome  # noqa: E402
from real_vin_cells import FIT_SETS, SETS, Cells, SetMaker  # noqa: E402
from real_vin_pages import HANDS, read_pages  # noqa: E402
from real_vin_tables import ALL_SETS, GROUPS, Measured, Scores, record, report, summary  # noqa: E402
from vin_scores import score  # noqa: E402
from whole_vins import microseconds_per_vin  # noqa: E402

from vinscribe.charset import ILLEGIBLE, NUM_CLASSES, NUM_OUTPUTS  # noqa: E402
from vinscribe.classifier import Classifier, given_legible  # noqa: E402
from vinscribe.decode import Calibration, Decoded, Decoder  # noqa: E402
from vinscribe.expected import ExpectedVins  # noqa: E402
from vinscribe.training.documents import write_between  # noqa: E402
from vinscribe.training.real_vins import RealVins, read_real_vins  # noqa: E402
from vinscribe.vin import VIN_LENGTH  # noqa: E402

LEVELS = ("none", "vPIC", "vPIC + register")
"""What the decoder knows of vehicles."""

BLANKED = "one cell blank"
"""A kind of negatives: a cell of a whole VIN in whose place an empty one is."""
BLANKED_COUNT = 50
"""Of each hand on cards."""
DIAGRAM = "reliability_real_vins.png"


def decoder_of(level: str, calibration: Calibration, known: Sequence[str], check_digit: bool = True) -> Decoder:
    """The decoder of a level, one of `LEVELS`; ``known``: the VINs of its register, if it has one."""
    from vinscribe.knowledge import Knowledge
    from vinscribe.register import Register

    return Decoder(
        calibration=calibration,
        check_digit=check_digit,
        knowledge=Knowledge.empty() if level == "none" else None,
        register=Register.of(known) if level == "vPIC + register" else None,
    )


def evidence(outputs: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The network's outputs (N, 17, 34) as the decoder takes them: characters (N, 17, 33), legible (N, 17)."""
    probs = given_legible(outputs.reshape(-1, NUM_OUTPUTS)).reshape(-1, VIN_LENGTH, NUM_CLASSES)
    return probs, 1 - outputs[..., ILLEGIBLE]


def negative_rows(sets: Sequence[Cells], seed: int) -> tuple[NDArray[np.float32], NDArray[np.str_]]:
    """Rows without a whole VIN, outputs (N, 17, 34) of real cells, and their kinds (N,); there may be none."""
    drawn = [own for own in sets if (own.negatives != "").any()]
    outputs = [own.outputs for own in drawn]
    kinds = [own.negatives for own in drawn]
    empty = [own.outputs[own.negatives == "empty"] for own in drawn]
    if sum(map(len, empty)):
        blanks = np.concatenate(empty).reshape(-1, NUM_OUTPUTS)
        rng = np.random.default_rng([seed, 7])
        for own in sets:
            if own.name.endswith("cards"):
                rows = own.outputs[rng.permutation(len(own))[:BLANKED_COUNT]].copy()
                places = rng.integers(0, VIN_LENGTH, len(rows))
                rows[np.arange(len(rows)), places] = blanks[rng.integers(0, len(blanks), len(rows))]
                outputs.append(rows)
                kinds.append(np.full(len(rows), BLANKED))
    nothing = np.empty((0, VIN_LENGTH, NUM_OUTPUTS), np.float32)
    return np.concatenate([nothing, *outputs]), np.concatenate([np.empty(0, np.str_), *kinds])


def measure(
    sets: Sequence[Cells], decoder: Decoder, structure: Decoder, seed: int, pages: Mapping[str, list[Outcome]]
) -> Measured:
    """Decodes what was read, and compares it with what was written.

    Args:
        sets: with at least one that has whole VINs.
        decoder: of the level.
        structure: the same without the check digit.
        seed: of the rows without a whole VIN.
        pages: whole cards that were read with the decoder.
    """
    whole = [own for own in sets if not (own.negatives != "").any()]
    probs, legible = evidence(np.concatenate([own.outputs for own in whole]))
    labels = np.concatenate([own.labels for own in whole])
    regions = np.concatenate([own.regions for own in whole])
    names = np.concatenate([np.full(len(own), own.name) for own in whole])
    decoded, other = decoder.decode(probs, legible), structure.decode(probs, legible)
    some = slice(None, None, max(1, len(labels) // 1000))
    return Measured(
        scores=_scores(labels, regions, names, other, decoded),
        negatives=_accepted_negatives(decoder, *negative_rows(sets, seed)),
        decoding_us=microseconds_per_vin(decoder, probs[some], legible[some]),
        confidence=decoded.confidence,
        correct=(decoded.best == labels).all(1),
        pages=dict(pages),
    )


def _scores(
    labels: NDArray[np.int64], regions: NDArray[np.str_], names: NDArray[np.str_], structure: Decoded, decoded: Decoded
) -> Scores:
    found: Scores = {}
    for name in (ALL_SETS, *dict.fromkeys(names.tolist())):
        of_set = np.ones(len(names), bool) if name == ALL_SETS else names == name
        chosen = {group: of_set & np.isin(regions, own) for group, own in GROUPS.items()}
        found[name] = {group: score(labels, structure, decoded, rows) for group, rows in chosen.items() if rows.any()}
    return found


def _accepted_negatives(
    decoder: Decoder, outputs: NDArray[np.float32], kinds: NDArray[np.str_]
) -> dict[str, tuple[int, int]]:
    if not len(outputs):
        return {}
    accept = decoder.decode(*evidence(outputs)).accept
    return {kind: (int(accept[kinds == kind].sum()), int((kinds == kind).sum())) for kind in np.unique(kinds).tolist()}


def cells_of(args: argparse.Namespace, maker: SetMaker, model: Classifier) -> list[Cells]:
    """The sets that the arguments ask for, each told of on standard output.

    Raises:
        SystemExit: there is no such set, or none of them has whole VINs.
    """
    names = args.set or (FIT_SETS if args.fit else SETS)
    known = (*SETS, *FIT_SETS) if args.cells_only else SETS
    unknown = sorted(set(names) - set(known))
    if unknown or all(name.endswith("negatives") for name in names):
        wrong = f"no set {', '.join(unknown)}" if unknown else "no set of whole VINs"
        raise SystemExit(f"--set: {wrong}; choose of {', '.join(known)}")
    key = maker.key(model.path)
    scratch = args.scratch or default_scratch().with_name("real_vins")
    found = []
    for name in names:
        found.append(maker.cells(name, model, key, scratch))
        print(f"{name:<20}{len(found[-1]):>6,} VINs  {found[-1].path}", file=sys.stderr, flush=True)
    return found


def measure_levels(
    args: argparse.Namespace, sets: Sequence[Cells], real: RealVins, maker: SetMaker, model: Classifier
) -> tuple[dict[str, Measured], int]:
    """What was measured at each level, and how many VINs the register has."""
    known = (
        as_texts(ExpectedVins.load(args.register).labels.astype(np.int64))
        if args.register
        else real.part("fit").texts()
    )
    calibration = Calibration.of(model.metadata)
    decoders = {level: decoder_of(level, calibration, known) for level in LEVELS}
    pages: dict[str, dict[str, list[Outcome]]] = {level: {} for level in LEVELS}
    for hand in HANDS if args.pages else ():
        strokes, measuring = maker.strokes(hand, False), real.part("measure")
        read = read_pages(measuring, strokes, hand, args.pages, args.seed, model.path, decoders)
        for level, outcomes in read.items():
            pages[level][hand] = outcomes
    measured = {}
    for level, decoder in decoders.items():
        structure = decoder_of(level, calibration, known, check_digit=False)
        measured[level] = found = measure(sets, decoder, structure, args.seed, pages[level])
        print(f"{level:<16} exact {found.scores[ALL_SETS]['all'].exact:.2%}", file=sys.stderr, flush=True)
    return measured, len(known)


def draw_diagram(folder: Path, measured: Measured) -> Path:
    """How far the confidence in whole VINs holds, as a PNG file in the folder; its path."""
    from vinscribe.training.figures import plot_reliability

    folder.mkdir(parents=True, exist_ok=True)
    plot_reliability(measured.confidence, measured.correct, folder / DIAGRAM, what="VINs")
    return folder / DIAGRAM


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = ROOT.parent / "shared" / "data"
    parser.add_argument("--shared", type=Path, default=shared, help="folder with vins, unipen and digilets")
    parser.add_argument("--emnist", type=Path, help="EMNIST archive (default: emnist/gzip.zip of that folder)")
    parser.add_argument("--model", type=Path, help="model.onnx (default: the released one)")
    parser.add_argument("--vins", type=int, default=1430, metavar="N", help="in a set (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", metavar="NAME", help="only this one, again for more")
    parser.add_argument("--pages", type=int, default=0, metavar="N", help="also read so many whole cards of each hand")
    parser.add_argument("--register", type=Path, metavar="FILE", help="VINs of the register (default: the other half)")
    parser.add_argument("--fit", action="store_true", help="the sets for fitting; only with --cells-only")
    parser.add_argument("--cells-only", action="store_true", help="draw and read the cells, and measure nothing")
    parser.add_argument("--scratch", type=Path, help="folder for what was read (default: in the user's cache)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write all figures")
    parser.add_argument("--diagrams", type=Path, metavar="DIR", help="draw a reliability diagram of the last level")
    parser.add_argument("--model-card", action="store_true", help="write the tables into MODEL_CARD.md and README.md")
    args = parser.parse_args()
    if args.fit and not args.cells_only:
        parser.error("nothing is measured on the sets for fitting; add --cells-only")
    return args


def main() -> None:
    """Read the sets, print the tables, write what was asked for."""
    args = _parse()
    model, real = Classifier(args.model), read_real_vins(args.shared / "vins")
    emnist = args.emnist or args.shared / "emnist" / "gzip.zip"
    maker = SetMaker(real, args.shared, emnist, args.vins, args.seed)
    sets = cells_of(args, maker, model)
    if args.cells_only:
        return
    measured, known = measure_levels(args, sets, real, maker, model)
    diagram = draw_diagram(args.diagrams, measured[LEVELS[-1]]) if args.diagrams else None
    text = report(measured, args.seed, known, diagram)
    print(text)
    if args.json:
        figures: dict[str, Any] = {"date": time.strftime("%Y-%m-%d"), "python": platform.python_version()}
        figures |= {"made": maker.key(model.path), "vins": args.vins, "seed": args.seed, "register": known}
        figures |= {"left_out": real.left_out, "levels": record(measured)}
        args.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if args.model_card:
        write_between(ROOT / "MODEL_CARD.md", "real-vins", text)
        write_between(ROOT / "README.md", "real-vins", summary(measured))


if __name__ == "__main__":
    main()
