"""How fast ``python inference.py`` reads, beside loading the model anew for each picture.

    python benchmarks/throughput.py --out throughput.json

Draws its pictures itself (seed fixed) in a temporary folder. Reports pictures per second and peak memory of whole runs
over 10,000 PNG files of 28x28 (a bare character) and over 10,000 of 72x72 (a character in its box, with the grain of
paper), beside what ONNX Runtime alone makes of as many cells that are in memory already; the time of a whole run over
one picture (median of 7); and, where Keras and model.h5 are there, the seconds per picture when each picture loads the
model anew. Both sizes and ONNX Runtime alone are measured in turn.

Python may keep compiled modules and buffers its output, as it does where nobody has told it otherwise.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from vinscribe.training.documents import write_between  # noqa: E402

CHARACTERS = "0123456789ABCDEFGHJKLMNPRSTUVWXYZ"

_RUN_AND_MEASURE = """
import json, resource, subprocess, sys, time
start = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, check=True)
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps([seconds, peak, done.stdout.count(b"\\n")]))
"""

# Of the two ways to use all cores, the one that is faster here: batches side by side, or each batch split.
_NETWORK_ALONE = """
import json, os, sys, time
from concurrent.futures import ThreadPoolExecutor
import numpy as np, onnxruntime
count, cores = int(sys.argv[2]), len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
rates = []
for threads in (1, cores):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
    (cells,) = session.get_inputs()
    batch = np.random.default_rng(0).random((64, *cells.shape[1:]), np.float32)
    run = lambda _: session.run(None, {cells.name: batch})
    run(0)
    with ThreadPoolExecutor(cores // threads) as pool:
        start = time.perf_counter()
        list(pool.map(run, range(-(-count // len(batch)))))
        rates.append(-(-count // len(batch)) * len(batch) / (time.perf_counter() - start))
print(json.dumps(max(rates)))
"""

_LOAD_EACH_TIME = """
import json, sys, time
import cv2, keras, numpy as np
keras.models.load_model(sys.argv[1], compile=False)  # the first load also loads parts of Keras; not counted
start = time.perf_counter()
for path in sys.argv[2:]:
    model = keras.models.load_model(sys.argv[1], compile=False)
    picture = cv2.resize(cv2.imread(path, cv2.IMREAD_GRAYSCALE), model.input_shape[1:3])
    model.predict(picture[None, ..., None].astype("float32") / 255, verbose=0)
print(json.dumps((time.perf_counter() - start) / len(sys.argv[2:])))
"""


def draw_character(char: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A character in one of OpenCV's fonts, moved and scaled a little: uint8 (28, 28), white on black."""
    canvas = np.zeros((28, 28), np.uint8)
    scale = rng.uniform(0.7, 0.9)
    origin = (int(rng.integers(4, 8)), int(rng.integers(22, 26)))
    cv2.putText(canvas, char, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, 2, cv2.LINE_AA)
    return canvas


def draw_cell(char: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The same in a box on paper with some grain, dark ink: uint8 (72, 72)."""
    ink = cv2.resize(draw_character(char, rng), (56, 56), interpolation=cv2.INTER_CUBIC)
    cell = cv2.copyMakeBorder(ink, 8, 8, 8, 8, cv2.BORDER_CONSTANT).astype(np.float32)
    cv2.rectangle(cell, (1, 1), (70, 70), 160.0, 3)
    return np.asarray((235 - cell * 0.75 + rng.normal(0, 3, cell.shape)).clip(0, 255), np.uint8)


DRAW = {28: draw_character, 72: draw_cell}
"""Side of a picture in pixels -> how it is drawn."""


def draw_folder(folder: Path, side_px: int, count: int, seed: int = 0) -> None:
    """Write ``count`` PNG files."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for number in range(count):
        cv2.imwrite(str(folder / f"{number:06d}.png"), DRAW[side_px](CHARACTERS[number % len(CHARACTERS)], rng))


def run_inference(folder: Path, model: str | None) -> tuple[float, int, int]:
    """(seconds, peak bytes, lines) of a whole ``python inference.py FOLDER``."""
    command = [sys.executable, str(ROOT / "inference.py"), str(folder)]
    command += ["--model", model] if model else []
    # A process in between, so that the peak is that of this run alone and not of an earlier child.
    seconds, peak_bytes, lines = _said([sys.executable, "-c", _RUN_AND_MEASURE, *command])
    return seconds, peak_bytes, lines


def network_alone(model: Path, count: int) -> float:
    """Cells per second that ONNX Runtime classifies on all cores, if they are in memory already."""
    return float(_said([sys.executable, "-c", _NETWORK_ALONE, str(model), str(count)]))


def _said(command: list[str]) -> Any:
    """The JSON that a command prints."""
    own = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")
    environment = {name: value for name, value in os.environ.items() if name not in own}
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=True).stdout)


def seconds_loading_each_time(folder: Path, keras_model: Path, count: int) -> float | None:
    """Seconds per picture when each one loads the Keras model anew; None where that cannot be run here."""
    if not keras_model.is_file():
        return None
    environment = {"KERAS_BACKEND": "torch"} | dict(os.environ)
    pictures = [str(path) for path in sorted(folder.iterdir())[:count]]
    command = [sys.executable, "-c", _LOAD_EACH_TIME, str(keras_model), *pictures]
    done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=False)
    return float(json.loads(done.stdout.splitlines()[-1])) if done.returncode == 0 else None


def measure(count: int, repeats: int, model: str | None, keras_model: Path) -> dict[str, Any]:
    """All figures, by name."""
    with tempfile.TemporaryDirectory() as scratch:
        folders = {side_px: Path(scratch, f"{side_px} px") for side_px in DRAW}
        for side_px, folder in folders.items():
            draw_folder(folder, side_px, count)
        one = Path(scratch, "one")
        draw_folder(one, 72, 1)
        rounds, alone = [], []
        for _ in range(repeats):
            rounds.append({side_px: run_inference(folder, model) for side_px, folder in folders.items()})
            alone.append(network_alone(Path(model or ROOT / "model.onnx"), count))
        starts = [run_inference(one, model)[0] for _ in range(7)]
        runs = [run for found in rounds for run in found.values()]
        if any(lines != count for _, _, lines in runs):
            raise SystemExit("inference.py did not print one line for each picture")
        return {
            "date": time.strftime("%Y-%m-%d"),
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python "
            + platform.python_version(),
            "pictures": count,
            "repeats": repeats,
            "pictures_per_s": {
                side_px: round(statistics.median(count / found[side_px][0] for found in rounds)) for side_px in DRAW
            },
            "network_alone_per_s": round(statistics.median(alone)),
            "share_of_network_alone": {
                side_px: round(
                    statistics.median(
                        count / found[side_px][0] / rate for found, rate in zip(rounds, alone, strict=True)
                    ),
                    3,
                )
                for side_px in DRAW
            },
            "peak_memory_mb": round(max(peak for _, peak, _ in runs) / 1e6),
            "start_s": round(statistics.median(starts), 3),
            "loading_each_time_s_per_picture": seconds_loading_each_time(folders[28], keras_model, 5),
        }


def as_markdown(figures: dict[str, Any]) -> str:
    """The figures as a table for the model card."""
    anew = figures["loading_each_time_s_per_picture"]
    return "\n".join(
        [
            f"`python benchmarks/throughput.py --model-card`, {figures['date']}, {figures['machine']}:",
            "",
            "| | |",
            "|---|---|",
            *(
                f"| `python inference.py` on {figures['pictures']:,} PNG files of {side_px}×{side_px} px, median of "
                f"{figures['repeats']} runs | {rate:,} pictures per second |"
                for side_px, rate in figures["pictures_per_s"].items()
            ),
            "| ONNX Runtime alone, on as many cells in memory, measured in turn with these "
            f"| {figures['network_alone_per_s']:,} per second |",
            *(
                f"| `inference.py` on {side_px}×{side_px} px against that, median of the rounds (wanted: 60 %) "
                f"| {100 * share:.0f} % |"
                for side_px, share in figures["share_of_network_alone"].items()
            ),
            f"| its peak memory | {figures['peak_memory_mb']} MB |",
            f"| its whole run on one picture, median of 7 | {figures['start_s']} s |",
            "| the model loaded anew for each picture, in Keras "
            f"| {f'{anew:.2f} s per picture' if isinstance(anew, float) else 'not measured'} |",
        ]
    )


def main() -> None:
    """Measure, print a table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=7, help="runs over the folder; the median counts")
    parser.add_argument("--model", help="model for inference.py (default: the released one)")
    parser.add_argument("--keras-model", type=Path, default=ROOT / "model.h5")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    parser.add_argument("--model-card", action="store_true", help="write the figures into MODEL_CARD.md")
    args = parser.parse_args()
    figures = measure(args.pictures, args.repeats, args.model, args.keras_model)
    width = max(map(len, figures))
    for name, value in figures.items():
        print(f"{name:<{width}}  {value}")
    if args.out:
        args.out.write_text(json.dumps(figures, indent=2) + "\n")
    if args.model_card:
        write_between(ROOT / "MODEL_CARD.md", "speed", as_markdown(figures))


if __name__ == "__main__":
    main()
