"""How well RapidOCR and Tesseract read the pictures that vinscribe is measured on, each of them helped.

    apt-get install tesseract-ocr
    python3 -m venv .venv-rivals && .venv-rivals/bin/pip install -r benchmarks/requirements-rivals.txt
    .venv-rivals/bin/python benchmarks/rivals.py --shared ../shared/data --json rivals.json

The file that ``--json`` writes is what ``real_ink.py --rivals`` takes. RapidOCR 3.10 runs the models that its wheel
carries, PP-OCRv6 small, in ONNX Runtime; Tesseract 5 runs the ``eng`` model of the system's package.

The help, beside which vinscribe gets the pictures as they lie:

- Paper and shadow are flattened, box lines and what else touches the edge are removed, ink that is brighter than its
  ground is turned round, and the rest is trimmed: ``bare_ink.py``.
- The ink is scaled and laid on white as each reader likes it best (``RAPIDOCR_FRAME``, ``TESSERACT_FRAME``): the best
  of about fifteen framings for each, on 20 to 208 pictures of every set, so on pictures that count. Thicker, paler or
  blurred strokes, black and white alone, and Tesseract's ``--psm 8`` gave no more.
- I counts as 1, O and Q as 0, a small letter as its capital; of several characters the first one of a VIN counts.
- Tesseract may answer digits and capitals only (its whitelist). RapidOCR knows 18,709 characters and has no whitelist:
  it gets one here (`only_allowed`), and names the likeliest character where it would have answered nothing.
- RapidOCR is told that the picture is one line of text. With its own text detection before that (``--detect``) it
  read a point less, on the mean of the sets.
"""

import argparse
import importlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from bare_ink import Grey, extract_ink  # noqa: E402
from ink_sets import NAMES, InkSet, add_arguments, sets_of  # noqa: E402

from vinscribe.charset import is_vin_char  # noqa: E402
from vinscribe.images import read_grey  # noqa: E402
from vinscribe.training.evaluate import wilson_interval  # noqa: E402

Reader = Callable[[Sequence[Grey]], list[str]]
"""Trimmed characters, as `extract_ink` gives them -> what it answers to each."""


@dataclass(frozen=True)
class Frame:
    """How a character is laid on white.

    Attributes:
        height_px: of the whole picture.
        ink_share: the character's height in parts of that; less where it would be wider than 1.6 times its height.
        aspect: least width of the picture in parts of its height.
    """

    height_px: int
    ink_share: float
    aspect: float


RAPIDOCR_FRAME = Frame(48, 0.65, 0.7)  # 48 px is what its network takes
DETECTION_FRAME = Frame(100, 0.5, 1.0)
TESSERACT_FRAME = Frame(36, 0.6, 1.0)
SAMPLED = ("chars74k", "unipen", "emnist", "boxes")
"""Sets of which ``--limit`` takes a part."""
SEED = 0
ALLOWED = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""What the readers may answer; I, O and Q stand for 1 and 0."""
_TITLES = {"tesseract": "Tesseract", "rapidocr": "RapidOCR"}


def fold(text: str) -> str:
    """The first VIN character of what a reader answered, I as 1, O and Q as 0, in capitals; "" where there is none."""
    chars = text.upper().translate(str.maketrans("IOQ", "100"))
    return next((char for char in chars if is_vin_char(char)), "")


def lay_on_white(ink: Grey, frame: Frame) -> Grey:
    """A trimmed character, scaled and centred: uint8 (frame.height_px, width)."""
    most = frame.ink_share * frame.height_px
    scale = min(most / ink.shape[0], 1.6 * most / ink.shape[1])
    size = max(1, round(ink.shape[1] * scale)), max(1, round(ink.shape[0] * scale))
    ink = np.asarray(cv2.resize(ink, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC), np.uint8)
    margin = round((frame.height_px - most) / 2)
    width = max(round(frame.aspect * frame.height_px), size[0] + 2 * margin)
    page = np.full((frame.height_px, width), 255, np.uint8)
    top, left = (frame.height_px - size[1]) // 2, (width - size[0]) // 2
    page[top : top + size[1], left : left + size[0]] = ink
    return page


def read_with_tesseract(characters: Sequence[Grey]) -> list[str]:
    """What Tesseract answers to trimmed characters; one process reads them all, as it would one by one.

    Raises:
        SystemExit: Tesseract is not installed, or did not answer to each picture.
    """
    with tempfile.TemporaryDirectory() as scratch:
        paths = [str(Path(scratch, f"{number:06d}.png")) for number in range(len(characters))]
        for path, ink in zip(paths, characters, strict=True):
            cv2.imwrite(path, lay_on_white(ink, TESSERACT_FRAME))
        listed = Path(scratch, "pictures.txt")
        listed.write_text("\n".join(paths) + "\n")
        options = ["--psm", "10", "--dpi", "300", "-l", "eng", "-c", f"tessedit_char_whitelist={ALLOWED}"]
        command = [_tesseract(), str(listed), "stdout", *options]
        environment = os.environ | {"OMP_THREAD_LIMIT": "1"}  # its threads get in each other's way on small pictures
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=environment, check=False)
    pages = done.stdout.split("\f")
    if done.returncode or len(pages) != len(characters):
        raise SystemExit(f"tesseract answered {len(pages)} of {len(characters)} pictures: {done.stderr[-500:]}")
    return pages


def _tesseract() -> str:
    found = shutil.which("tesseract")
    if not found:
        raise SystemExit("no tesseract here: apt-get install tesseract-ocr, or --readers rapidocr")
    return found


def only_allowed(probs: NDArray[np.float32], allowed: NDArray[np.bool_]) -> NDArray[np.float32]:
    """A whitelist for a CTC reader that has none.

    Args:
        probs: (pictures, steps, characters), float32, character 0 is the blank.
        allowed: bool (characters,); the blank's own entry does not matter.

    Returns:
        The like, zero where it is not allowed. Where the blank would win every step, it is out of the step in which
        an allowed character is likeliest, so that each picture is read as something.
    """
    found = np.where(allowed, probs, 0).astype(np.float32)
    characters = found[:, :, 1:].max(2)
    found[:, :, 0] = probs[:, :, 0]
    silent = (found[:, :, 0] >= characters).all(1)
    found[silent, characters[silent].argmax(1), 0] = 0
    return found


def _rapidocr_frame(detect: bool) -> Frame:
    return DETECTION_FRAME if detect else RAPIDOCR_FRAME


def rapidocr_reader(detect: bool) -> tuple[Reader, str]:
    """RapidOCR as a function from trimmed characters to answers, and the names of its models.

    Raises:
        SystemExit: RapidOCR is not installed.
    """
    try:
        package: Any = importlib.import_module("rapidocr")
    except ModuleNotFoundError as error:
        raise SystemExit(
            f"{error.name} is not installed: pip install -r {HERE / 'requirements-rivals.txt'}, or --readers tesseract"
        ) from None
    threads = dict.fromkeys(("intra_op_num_threads", "inter_op_num_threads"), 1)
    settings = {f"EngineConfig.onnxruntime.{name}": count for name, count in threads.items()}
    engine = package.RapidOCR(params=settings | {"Global.log_level": "critical", "Det.limit_side_len": 160})
    recogniser = engine._load_rec_model()
    session, chars = recogniser.session, recogniser.postprocess_op.character
    allowed = np.isin(chars, list(ALLOWED))
    recogniser.session = lambda batch: only_allowed(session(batch), allowed)
    frame = _rapidocr_frame(detect)

    def read(characters: Sequence[Grey]) -> list[str]:
        pages = [cv2.cvtColor(lay_on_white(ink, frame), cv2.COLOR_GRAY2BGR) for ink in characters]
        answers = [engine(page, use_det=detect, use_cls=False, use_rec=True, text_score=0.0).txts for page in pages]
        return ["".join(answer or ()) for answer in answers]

    steps = ("Det", "Rec") if detect else ("Rec",)
    models = [engine.cfg[step] for step in steps]
    return read, ", ".join(
        f"{model.ocr_version.value} {model.model_type.value} {model.task_type.value}" for model in models
    )


def sample(ink: InkSet, limit: int, seed: int) -> tuple[list[Path], list[str]]:
    """Paths and labels of a set's pictures, of a large drawn set ``limit`` of them by chance (all for 0), in order."""
    rows: list[int] = list(range(len(ink.files)))
    if ink.name in SAMPLED and 0 < limit < len(rows):
        rows = sorted(np.random.default_rng(seed).permutation(len(rows))[:limit].tolist())
    return [ink.folder / ink.files[row] for row in rows], [ink.labels[row] for row in rows]


def table(rates: Mapping[str, Mapping[str, float]], pictures: Mapping[str, int]) -> str:
    """Each set's pictures and each reader's share of right ones with its 95 % interval, percent, in columns."""
    rows = [["set", "pictures", *(_TITLES.get(reader, reader) for reader in rates)]]
    for name, count in pictures.items():
        row = [name, f"{count:,}"]
        for reader in rates.values():
            low, high = wilson_interval(np.array(round(reader[name] * count)), np.array(count))
            row.append(f"{100 * reader[name]:.1f} ({100 * float(low):.1f}–{100 * float(high):.1f})")
        rows.append(row)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.set_defaults(sets=",".join(name for name in NAMES if name not in ("empty", "struck")))
    parser.add_argument("--readers", default="tesseract,rapidocr", help="default: %(default)s")
    parser.add_argument("--limit", type=int, default=1000, help="pictures of each drawn set; 0: all (default: 1000)")
    parser.add_argument("--detect", action="store_true", help="RapidOCR with its text detection")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the rates, {reader: {set: rate}}")
    args = parser.parse_args()
    args.readers = args.readers.split(",")
    if unknown := set(args.readers) - set(_TITLES):
        parser.error(f"--readers: no reader {', '.join(sorted(unknown))}; choose of {', '.join(_TITLES)}")
    return args


def open_readers(names: Sequence[str], detect: bool) -> tuple[dict[str, Reader], dict[str, dict[str, str]]]:
    """The readers by name, and for the record their versions and models."""
    readers: dict[str, Reader] = {}
    record = {}
    for name in names:
        if name == "tesseract":
            printed = subprocess.run([_tesseract(), "--version"], capture_output=True, text=True, check=True)
            release = (printed.stdout or printed.stderr).split("\n")[0].removeprefix("tesseract ")
            readers[name], record[name] = read_with_tesseract, {"version": release, "model": "eng (LSTM), --psm 10"}
        else:
            readers[name], model = rapidocr_reader(detect)
            runtime = f"{version('rapidocr')}, onnxruntime {version('onnxruntime')}"
            record[name] = {"version": runtime, "model": model}
    return readers, record


def main() -> None:
    """Read the sets with both readers, print the table, write the JSON."""
    args = _parse()
    readers, about = open_readers(args.readers, args.detect)
    rates: dict[str, dict[str, float]] = {name: {} for name in readers}
    pictures: dict[str, int] = {}
    for ink in sets_of(args):
        paths, labels = sample(ink, args.limit, SEED)
        if not any(labels):
            continue  # nothing legible in this set
        characters = [extract_ink(read_grey(path)) for path in paths]
        pictures[ink.name] = len(paths)
        for name, read in readers.items():
            started = time.perf_counter()
            right = sum(fold(text) == label for text, label in zip(read(characters), labels, strict=True))
            rates[name][ink.name] = right / len(paths)
            seconds = time.perf_counter() - started
            print(f"{ink.name}: {name} {right} of {len(paths)} right, {seconds:.0f} s", file=sys.stderr, flush=True)
    print(table(rates, pictures))
    if args.json:
        record = {
            "date": time.strftime("%Y-%m-%d"),
            "python": platform.python_version(),
            "opencv": cv2.__version__,
            "readers": about,
            "frames": {"tesseract": asdict(TESSERACT_FRAME), "rapidocr": asdict(_rapidocr_frame(args.detect))},
            "pictures": pictures,
            "limit": args.limit,
            "seed": SEED,
        }
        args.json.write_text(json.dumps({**rates, "_record": record}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
