"""How many whole VINs are read right, how many of them can be trusted, and how long decoding takes.

    python benchmarks/whole_vins.py --shared ../shared/data --emnist ../shared/data/emnist/gzip.zip --json vins.json
    python benchmarks/whole_vins.py --expected 1000000 --model-card

5,000 made-up VINs (see ``made_vins.py``), 70 % of them with a check digit, are written with test characters
(``vin_sheets.py``) and read as ``vinscribe read`` would: the classifier's probabilities, then the decoder. With
``--expected`` once more beside a list of so many VINs that holds 90 % of the true ones.
"""

import argparse
import hashlib
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ink_sets import default_scratch  # noqa: E402
from made_vins import MadeVins, make_register, make_vins  # noqa: E402
from vin_scores import PARTS, Score, scores_of, table  # noqa: E402
from vin_sheets import Vins, VinSet, emnist_bare, emnist_boxes, unipen_boxes  # noqa: E402

from vinscribe.charset import ILLEGIBLE, NUM_CLASSES, NUM_OUTPUTS  # noqa: E402
from vinscribe.classifier import Classifier, given_legible  # noqa: E402
from vinscribe.decode import Calibration, Decoder  # noqa: E402
from vinscribe.expected import ExpectedVins  # noqa: E402
from vinscribe.training.dataset import make_view  # noqa: E402
from vinscribe.training.documents import write_between  # noqa: E402
from vinscribe.training.emnist import Archive, read_pool  # noqa: E402
from vinscribe.training.unipen import read_strokes, split_writers  # noqa: E402
from vinscribe.views import views_of_all  # noqa: E402
from vinscribe.vin import VIN_LENGTH  # noqa: E402

LISTED_SHARE = 0.9
"""Of the true VINs, those that stand in the list of expected ones."""
_AT_ONCE = 200  # VINs drawn before they are read
_TIMED_BATCH, _TIMED_RUNS = 1000, 5
_DRAWN_BY = ("vin_sheets.py", "ink_sets.py", "unseen_boxes.py", "unseen_ink.py")
_READ_BY = ("cells.py", "views.py", "images.py", "classifier.py", "training/dataset.py", "training/unipen.py")

Floats = NDArray[np.floating]


class Model(Protocol):
    """What reads cells; `vinscribe.classifier.Classifier` is one."""

    @property
    def size_px(self) -> int:
        """Side of the cells."""

    def rows(self, cells: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (R, 17, NUM_VIEWS, size_px, size_px) -> probabilities (R, 17, 34)."""


def read_cells(vins: VinSet[Vins], model: Model) -> NDArray[np.float32]:
    """Draws and reads a set: float32 (N, 17, 34), the characters' probabilities, then that there is none."""
    outputs = np.empty((len(vins.truth), VIN_LENGTH, NUM_OUTPUTS), np.float32)
    for start in range(0, len(outputs), _AT_ONCE):
        part = outputs[start : start + _AT_ONCE]
        pictures = [picture for row in range(len(part)) for picture in vins.draw(start + row)]
        looks = views_of_all(pictures, model.size_px)
        part[:] = model.rows(looks.reshape(-1, VIN_LENGTH, *looks.shape[1:]))
    return outputs


def read_once(
    vins: VinSet[Vins], model: Model, key: str, scratch: Path, also: Mapping[str, NDArray[Any]] | None = None
) -> NDArray[np.float32]:
    """As `read_cells`; what was read with the same model and the same programs is kept in a file.

    ``also``: arrays that are kept beside it, for other programs.
    """
    path = place_of(vins, key, scratch)
    if path.is_file():
        with np.load(path) as kept:
            found: NDArray[np.float32] = kept["outputs"]
            return found
    print(f"drawing and reading {vins.name} …", file=sys.stderr)
    arrays: dict[str, Any] = {"outputs": read_cells(vins, model), **(also or {})}
    scratch.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{os.getpid()}-{path.name}")
    np.savez_compressed(unfinished, **arrays)
    unfinished.replace(path)
    outputs: NDArray[np.float32] = arrays["outputs"]
    return outputs


def place_of(vins: VinSet[Vins], key: str, scratch: Path) -> Path:
    """The file that `read_once` keeps a set in."""
    writers = [] if vins.writers is None else vins.writers.tolist()
    truth = hashlib.sha256(vins.truth.labels.tobytes() + "".join(writers).encode() + key.encode()).hexdigest()
    return scratch / f"{vins.name.replace(' ', '_')}-{truth[:16]}.npz"


def making(model: Path, sources: Sequence[Path], seed: int, drawn_by: Sequence[Path] = ()) -> str:
    """All that a reading depends on but the VINs: weights, programs (``drawn_by``: others), sizes of sources, seed."""
    programs = [Path(__file__).with_name(name) for name in _DRAWN_BY] + [ROOT / "vinscribe" / name for name in _READ_BY]
    digest = hashlib.sha256(_weights(model) + b"".join(path.read_bytes() for path in [*programs, *drawn_by]))
    sizes = [path.stat().st_size for path in sources]
    return f"{digest.hexdigest()} {sizes} {seed} {cv2.__version__} {np.__version__}"


def _weights(path: Path) -> bytes:
    """A model file without its metadata: a confidence that is calibrated anew changes nothing that is read."""
    model = onnx.load(path)
    del model.metadata_props[:]
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def microseconds_per_vin(decoder: Decoder, probs: Floats, legible: Floats) -> float:
    """Processor time of decoding alone, a thousand at once: median of five."""
    probs, legible = probs[:_TIMED_BATCH], legible[:_TIMED_BATCH]
    decoder.decode(probs, legible)  # once beforehand, for what is made only once
    seconds = []
    for _ in range(_TIMED_RUNS):
        start = time.process_time()  # of all threads: what one core would take
        decoder.decode(probs, legible)
        seconds.append(time.process_time() - start)
    return statistics.median(seconds) / len(probs) * 1e6


@dataclass(frozen=True)
class Figures:
    """What was measured on one set.

    Attributes:
        note: what kind of ink it is.
        scores: by kind of maker.
        decoding_us: microseconds of processor time that a VIN takes to decode.
        expected, expected_us: the same with a list of expected VINs; None without.
        num_writers, most_of_a_writer: writers and the most VINs of one; None where each character has its own.
    """

    note: str
    scores: dict[str, Score]
    decoding_us: float
    expected: dict[str, Score] | None
    expected_us: float | None
    num_writers: int | None
    most_of_a_writer: int | None


def measure(
    vins: VinSet[MadeVins], outputs: NDArray[np.float32], calibration: Calibration, register: ExpectedVins | None = None
) -> Figures:
    """Decodes what was read and compares it with what was written."""
    probs = given_legible(outputs.reshape(-1, NUM_OUTPUTS)).reshape(-1, VIN_LENGTH, NUM_CLASSES)
    legible = 1 - outputs[..., ILLEGIBLE]
    decoder = Decoder(calibration=calibration)
    structure = Decoder(calibration=calibration, check_digit=False).decode(probs, legible)
    expected = expected_us = None
    if register is not None:
        beside = Decoder(expected=register, calibration=calibration)
        expected = scores_of(vins.truth, structure, beside.decode(probs, legible))
        expected_us = microseconds_per_vin(beside, probs, legible)
    of_writer = None if vins.writers is None else np.unique(vins.writers, return_counts=True)[1]
    return Figures(
        note=vins.note,
        scores=scores_of(vins.truth, structure, decoder.decode(probs, legible)),
        decoding_us=microseconds_per_vin(decoder, probs, legible),
        expected=expected,
        expected_us=expected_us,
        num_writers=None if of_writer is None else len(of_writer),
        most_of_a_writer=None if of_writer is None else int(of_writer.max()),
    )


def heading(figures: dict[str, Figures], seed: int) -> str:
    """What the first table shows."""
    vins = max(found.scores["all"].vins for found in figures.values())
    hands = "; ".join(
        f"`{name}`: {found.num_writers} writers, at most {found.most_of_a_writer:,} VINs of one"
        for name, found in figures.items()
        if found.num_writers
    )
    slowest = max(found.decoding_us for found in figures.values())
    return (
        f"By `python benchmarks/whole_vins.py`, {time.strftime('%Y-%m-%d')}: {vins:,} made-up VINs (seed {seed}), each "
        "written with test characters. Percent: right characters and exact VINs by single characters (raw), decoded "
        "without the check digit (structure), decoded; VINs accepted at the default threshold, wrong ones among them "
        "with the one-sided 95 % bound of their rate (Clopper-Pearson); the largest share of VINs, the surest first, "
        "with no more than so many errors; calibration error of the whole VIN's confidence. A VIN is written by a "
        f"writer who wrote all of its characters ({hands}). Decoding takes at most {slowest:,.0f} µs a VIN on one core."
    )


def report(figures: dict[str, Figures], seed: int, listed: int) -> str:
    """All tables as they go into the model card; ``listed``: length of the list of expected VINs, 0 for none."""
    notes = "\n".join(f"- `{name}`: {found.note}." for name, found in figures.items())
    text = [heading(figures, seed), table({name: found.scores for name, found in figures.items()}), notes]
    if listed:
        slowest = max(found.expected_us or 0 for found in figures.values())
        text.append(
            f"The same beside a list of {listed:,} expected VINs with {100 * LISTED_SHARE:.0f} % of these in it, and "
            "for each of them, in the list or not, others that differ in the last four digits and the check digit "
            f"alone; decoding takes at most {slowest:,.0f} µs a VIN:"
        )
        text.append(table({name: found.expected for name, found in figures.items() if found.expected}))
    return "\n\n".join(text)


def summary(figures: dict[str, Figures], seed: int) -> str:
    """The few figures for the README."""
    rows = ["| set | makers | VINs | exact, raw | exact, decoded | accepted | wrong of these |", "|" + "---|" * 7]
    for name, found in figures.items():
        for part in PARTS[1:]:
            score = found.scores[part]
            shares = (f"{100 * share:.1f}" for share in (score.raw, score.exact, score.accepted))
            wrong = f"{score.num_wrong} of {score.num_accepted:,}"
            rows.append(f"| {name} | {part} | {score.vins:,} | {' | '.join(shares)} | {wrong} |")
    note = (
        f"By `python benchmarks/whole_vins.py`, {time.strftime('%Y-%m-%d')}: made-up VINs (seed {seed}), written with "
        "test characters of EMNIST, or of one UNIPEN writer, in boxes drawn by other code than the training's; "
        "percent. Accepted: at the default threshold."
    )
    return note + "\n\n" + "\n".join(rows)


def make_sets(shared: Path, emnist: Path, count: int, seed: int) -> list[VinSet[MadeVins]]:
    """The three sets, of the same VINs."""
    truth = make_vins(count, np.random.default_rng(seed))
    images = make_view(read_pool(Archive(emnist)), "vin").test
    strokes = split_writers(read_strokes(shared / "unipen"))["test"]
    return [emnist_bare(truth, images, seed), emnist_boxes(truth, images, seed), unipen_boxes(truth, strokes, seed)]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared" / "data", help="folder with unipen")
    parser.add_argument("--emnist", type=Path, help="EMNIST archive (default: emnist/gzip.zip of that folder)")
    parser.add_argument("--model", type=Path, help="model.onnx (default: the released one)")
    parser.add_argument("--vins", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--expected", type=int, default=0, metavar="N", help="also beside a list of about N VINs")
    parser.add_argument("--scratch", type=Path, help="folder for what was read (default: in the user's cache)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write all figures")
    parser.add_argument("--model-card", action="store_true", help="write the tables into MODEL_CARD.md and README.md")
    return parser.parse_args()


def main() -> None:
    """Read the sets, print the tables, write what was asked for."""
    args = _parse()
    emnist = args.emnist or args.shared / "emnist" / "gzip.zip"
    model = Classifier(args.model)
    calibration = Calibration.of(model.metadata)
    key = making(model.path, [emnist, *sorted((args.shared / "unipen").iterdir())], args.seed)
    sets = make_sets(args.shared, emnist, args.vins, args.seed)
    register = None
    if args.expected:
        rng = np.random.default_rng([args.seed, 1])
        register = ExpectedVins.of(make_register(sets[0].truth, LISTED_SHARE, args.expected, rng))
    scratch = args.scratch or default_scratch().with_name("whole_vins")
    figures = {}
    for vins in sets:
        outputs = read_once(vins, model, key, scratch)
        figures[vins.name] = found = measure(vins, outputs, calibration, register)
        print(f"{vins.name:<14} exact {found.scores['all'].exact:.2%}", file=sys.stderr)
    text = report(figures, args.seed, len(register or ()))
    print(text)
    if args.json:
        record: dict[str, Any] = {"date": time.strftime("%Y-%m-%d"), "python": platform.python_version(), "made": key}
        record |= {"vins": args.vins, "seed": args.seed, "listed": len(register or ())}
        record |= {"sets": {name: asdict(found) for name, found in figures.items()}}
        args.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if args.model_card:
        write_between(ROOT / "MODEL_CARD.md", "whole-vins", text)
        write_between(ROOT / "README.md", "whole-vins", summary(figures, args.seed))


if __name__ == "__main__":
    main()
