r"""How well ``python inference.py`` reads real ink, set by set, and how far its confidence can be trusted.

    python benchmarks/real_ink.py --shared ../shared/data --json real_ink.json
    python benchmarks/real_ink.py --model new=runs/1/model.onnx --sets karvy,photographed
    python benchmarks/real_ink.py --model vinscribe=model.onnx --model seed=seed.onnx --rivals rivals.json \
        --diagrams docs --model-card

Every set (see ``ink_sets.py``) is read twice, each time as a user would: ``python inference.py DIR`` gives the
characters, ``vinscribe chars DIR --format jsonl`` confidence and legibility; where the two differ it is an error.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ink_sets import InkSet, add_arguments, sets_of  # noqa: E402

from vinscribe.charset import is_vin_char  # noqa: E402
from vinscribe.training.documents import write_between  # noqa: E402
from vinscribe.training.evaluate import expected_calibration_error, wilson_interval  # noqa: E402

TARGETS = {
    "karvy": "96.5",
    "markus": "20 of 20",
    "photographed": "98.7",
    "european_digits": "98.5",
    "swiss": "98.5",
    "spanish": "98.5",
    "italian": "98.5",
    "digilets": "98.5",
    "chars74k": "99.3",
    "unipen": "97.5",
    "emnist": "98.3",
    "boxes": "97.2",
}
"""Least accuracy that a release is held to, in percent."""
SURE = (0.99, 0.999)
"""Confidences from which a reading counts as sure."""
RIVALS = {"tesseract": "Tesseract", "rapidocr": "RapidOCR"}
_GROUP = {"chars74k": 2, "swiss": 0, "boxes": 1, "empty": 1, "struck": 2}
"""Part of a drawn file's name that says how it was drawn, or who wrote it."""
_FEW = 100  # pictures: fewer are counted, not given in percent
_MOST_ERRORS = 50


@dataclass(frozen=True)
class Reading:
    """What one picture was read as; ``char`` as printed by inference.py."""

    char: str
    confidence: float
    legible: bool


@dataclass(frozen=True)
class Sure:
    """Readings from one confidence on: their share of all, their number, and the share of wrong ones (0 if none)."""

    share: float
    pictures: int
    errors: int
    error_rate: float


@dataclass(frozen=True)
class Score:
    """One model on one set; rates in [0, 1], intervals at 95 % (Wilson).

    Attributes:
        pictures: labelled pictures.
        accuracy: share of right characters; None, as are all that need labels, for sets without a legible character.
        interval: of the accuracy.
        class_mean: mean of the classes' accuracies.
        ece: expected calibration error of the confidence.
        sure: for each of ``SURE``; without labels every such reading is an error.
        called_illegible: share of all pictures that are said to show no legible character.
        called_illegible_interval: its interval.
        groups: accuracy (without labels: share called illegible) for each way of drawing, or each writer.
        errors: [file, label, read, confidence], the most confident first.
    """

    pictures: int
    accuracy: float | None
    interval: tuple[float, float] | None
    class_mean: float | None
    ece: float | None
    sure: dict[str, Sure]
    called_illegible: float
    called_illegible_interval: tuple[float, float]
    groups: dict[str, float]
    errors: list[tuple[str, str, str, float]]


def read_set(ink: InkSet, model: str | None) -> list[Reading]:
    """Reads a set by the two commands; one reading for each of its files.

    Raises:
        SystemExit: a command failed, left a picture out, or the two do not agree.
    """
    chosen = ["--model", model] if model else []
    found: dict[str, Reading] = {}
    for folder in sorted({(ink.folder / file).parent for file in ink.files}):
        printed = dict(_printed([str(ROOT / "inference.py"), str(folder), *chosen]))
        details = ["-m", "vinscribe", "chars", str(folder), "--format", "jsonl", *chosen]
        for line in _output(details).splitlines():
            reading = json.loads(line)
            if printed.get(reading["file"]) != reading["char"]:
                raise SystemExit(
                    f"{reading['file']}: inference.py printed {printed.get(reading['file'])!r}, "
                    f"vinscribe chars {reading['char']!r}"
                )
            found[reading["file"]] = Reading(reading["char"], reading["confidence"], reading["legible"])
    paths = [str(ink.folder / file) for file in ink.files]
    missing = [path for path in paths if path not in found]
    if missing:
        raise SystemExit(f"{len(missing)} pictures of {ink.name} were not read, the first is {missing[0]}")
    return [found[path] for path in paths]


def _printed(command: list[str]) -> Iterator[tuple[str, str]]:
    for line in _output(command).splitlines():
        code, _, path = line.partition(", ")
        yield path, chr(int(code))


def _output(arguments: list[str]) -> str:
    environment = dict(os.environ) | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, encoding="utf-8", env=environment, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with status {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def score(ink: InkSet, readings: Sequence[Reading]) -> Score:
    """Compares readings with a set's labels; a set has either a character for each picture or for none."""
    labels = np.array(ink.labels)
    chars = np.array([reading.char for reading in readings])
    confidences = np.array([reading.confidence for reading in readings])
    illegible = np.array([not reading.legible for reading in readings])
    labelled = is_vin_char(ink.labels[0])
    correct = (chars == labels) & labelled
    wrong = np.flatnonzero(~correct)
    wrong = wrong[np.argsort(-confidences[wrong], kind="stable")][:_MOST_ERRORS].tolist()
    return Score(
        pictures=len(labels),
        accuracy=float(correct.mean()) if labelled else None,
        interval=_interval(correct) if labelled else None,
        class_mean=float(np.mean([correct[labels == label].mean() for label in np.unique(labels)]))
        if labelled
        else None,
        ece=expected_calibration_error(confidences, correct) if labelled else None,
        sure={f"{least:g}": _sure(confidences >= least, correct) for least in SURE},
        called_illegible=float(illegible.mean()),
        called_illegible_interval=_interval(illegible),
        groups=_by_group(ink, correct if labelled else illegible),
        errors=[(ink.files[row], ink.labels[row], readings[row].char, round(confidences[row], 4)) for row in wrong],
    )


def _interval(hits: NDArray[np.bool_]) -> tuple[float, float]:
    low, high = wilson_interval(hits.sum(), np.array(len(hits)))
    return float(low), float(high)


def _sure(chosen: NDArray[np.bool_], correct: NDArray[np.bool_]) -> Sure:
    count, errors = int(chosen.sum()), int((chosen & ~correct).sum())
    return Sure(float(chosen.mean()), count, errors, errors / count if count else 0.0)


def _by_group(ink: InkSet, hits: NDArray[np.bool_]) -> dict[str, float]:
    if ink.name not in _GROUP:
        return {}
    groups = np.array([Path(file).stem.split("_")[_GROUP[ink.name]] for file in ink.files])
    return {str(group): float(hits[groups == group].mean()) for group in np.unique(groups)}


Scores = Mapping[str, Mapping[str, Score]]
"""Model name -> set name -> score."""


def accuracy_table(sets: Sequence[InkSet], scores: Scores, rivals: Mapping[str, Mapping[str, float]]) -> str:
    """All sets with characters, in Markdown: set, ink, pictures, the rivals, the models, the target; percent."""
    rows = [["set", "ink", "pictures", *(RIVALS.get(name, name) for name in rivals), *scores, "target"]]
    for ink in sets:
        if not is_vin_char(ink.labels[0]):
            continue
        others = [_accuracy(rival.get(ink.name), len(ink.files)) for rival in rivals.values()]
        ours = [_accuracy(model[ink.name].accuracy, len(ink.files)) for model in scores.values()]
        rows.append([ink.name, ink.note, f"{len(ink.files):,}", *others, *ours, TARGETS.get(ink.name, "–")])
    return _markdown(rows)


def confidence_table(sets: Sequence[InkSet], scores: Mapping[str, Score]) -> str:
    """One model's intervals, calibration and sure readings on each set, in Markdown; percent."""
    sure = [title for least in SURE for title in (f"≥ {least:g}: share", f"≥ {least:g}: wrong")]
    rows = [["set", "accuracy, 95 % interval", "class mean", "calibration error", *sure, "called illegible"]]
    for ink in sets:
        found = scores[ink.name]
        interval = "–"
        if found.interval:
            interval = f"{_percent(found.accuracy)} ({_percent(found.interval[0])}–{_percent(found.interval[1])})"
        shares = []
        for part in found.sure.values():
            wrong = f"{_percent(part.error_rate, 2)} ({part.errors:,} of {part.pictures:,})" if part.pictures else "–"
            shares += [_percent(part.share), wrong]
        illegible = _percent(found.called_illegible, 2)
        rows.append([ink.name, interval, _percent(found.class_mean), _percent(found.ece, 2), *shares, illegible])
    return _markdown(rows)


def _markdown(rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def _percent(rate: float | None, digits: int = 1) -> str:
    return "–" if rate is None else f"{100 * rate:.{digits}f}"


def _accuracy(rate: float | None, pictures: int) -> str:
    return f"{round(rate * pictures)} of {pictures}" if rate is not None and pictures < _FEW else _percent(rate)


def heading() -> str:
    """What the first table shows."""
    return (
        f"By `python benchmarks/real_ink.py`, {time.strftime('%Y-%m-%d')}: right characters in percent, as printed by "
        "`python inference.py` for the pictures as they lie."
    )


def report(sets: Sequence[InkSet], scores: Scores, rivals: Mapping[str, Mapping[str, float]]) -> str:
    """Both tables as they go into the model card; the second one is of the first model."""
    first = next(iter(scores))
    return "\n\n".join(
        [
            heading(),
            accuracy_table(sets, scores, rivals),
            f"The confidence of {first}: its calibration error, and how many readings are sure and how many of those "
            "wrong. In `empty` and `struck` no picture has a legible character: all should be called illegible, and "
            "every sure reading is wrong; in the other sets none should be called illegible.",
            confidence_table(sets, scores[first]),
        ]
    )


def parse_models(values: Sequence[str]) -> dict[str, str | None]:
    """``name=path`` or ``path`` (named by its file) -> {name: absolute path}; the released model for no values.

    Raises:
        SystemExit: a file is missing, or a name was given twice.
    """
    models: dict[str, str | None] = {}
    for value in values:
        name, found, path = value.partition("=")
        file = Path(path if found else value)
        name = name if found else file.stem
        if not file.is_file():
            raise SystemExit(f"--model {value}: no such file")
        if name in models:
            raise SystemExit(f"--model {value}: the name {name} is taken; write NAME={file}")
        models[name] = str(file.resolve())
    return models or {"vinscribe": None}


def read_rivals(path: Path | None) -> dict[str, dict[str, float]]:
    """Rival -> set -> accuracy in [0, 1], of a JSON file; entries that begin with ``_`` are notes."""
    found: dict[str, dict[str, float]] = json.loads(path.read_text(encoding="utf-8")) if path else {}
    return {name: rates for name, rates in found.items() if not name.startswith("_")}


def _draw_diagrams(folder: Path, ink: InkSet, name: str, readings: Sequence[Reading]) -> None:
    from vinscribe.training.figures import plot_reliability

    folder.mkdir(parents=True, exist_ok=True)
    correct = np.array([reading.char == label for reading, label in zip(readings, ink.labels, strict=True)])
    confidences = np.array([reading.confidence for reading in readings])
    plot_reliability(confidences, correct, folder / f"reliability_{name}_{ink.name}.png")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", action="append", default=[], help="NAME=FILE, again for more (default: the released)"
    )
    add_arguments(parser)
    parser.add_argument("--rivals", type=Path, help="JSON with other readers' accuracies: {reader: {set: rate}}")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write all figures and the surest errors")
    parser.add_argument("--diagrams", type=Path, metavar="DIR", help="draw a reliability diagram for each set")
    parser.add_argument("--model-card", action="store_true", help="write the tables into MODEL_CARD.md and README.md")
    return parser.parse_args()


def main() -> None:
    """Read the sets, print the tables, write what was asked for."""
    args = _parse()
    models, rivals, sets = parse_models(args.model), read_rivals(args.rivals), sets_of(args)
    scores: dict[str, dict[str, Score]] = {name: {} for name in models}
    for name, path in models.items():
        for ink in sets:
            readings = read_set(ink, path)
            scores[name][ink.name] = found = score(ink, readings)
            right = _accuracy(found.accuracy, found.pictures)
            groups = "  ".join(f"{group} {_percent(rate)}" for group, rate in found.groups.items())
            illegible = _percent(found.called_illegible)
            print(
                f"{name}  {ink.name:<16} right {right:<9} called illegible {illegible:<6} {groups}".rstrip(), flush=True
            )
            if args.diagrams and found.accuracy is not None:
                _draw_diagrams(args.diagrams, ink, name, readings)
    text = report(sets, scores, rivals)
    print(f"\n{text}")
    if args.json:
        figures = {name: {ink: asdict(found) for ink, found in of.items()} for name, of in scores.items()}
        record = {"date": time.strftime("%Y-%m-%d"), "python": platform.python_version(), "models": figures}
        args.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if args.model_card:
        write_between(ROOT / "MODEL_CARD.md", "real-ink", text)
        write_between(ROOT / "README.md", "real-ink", f"{heading()}\n\n{accuracy_table(sets, scores, rivals)}")


if __name__ == "__main__":
    main()
