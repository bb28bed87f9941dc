r"""What each ingredient of the recipe brings: short trainings, each with one ingredient more, read set by set.

    python benchmarks/ingredients.py --shared ../shared/data --model-card

Each training is far shorter than the release's and all are of the same length and seed, so the rows compare with each
other, not with the released model. Scanned digits and fonts are validated on from the row on that adds them. One
process per core, each on one thread; a finished training is not done again.
"""

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ink_sets import add_arguments, sets_of  # noqa: E402
from real_ink import read_set, score  # noqa: E402

from vinscribe.cores import core_count  # noqa: E402
from vinscribe.training.augment import AugmentSettings  # noqa: E402
from vinscribe.training.batches import Data  # noqa: E402
from vinscribe.training.documents import write_between  # noqa: E402
from vinscribe.training.emnist import Archive  # noqa: E402
from vinscribe.training.export import export_model  # noqa: E402
from vinscribe.training.fit import RECIPES, FitSettings, fit  # noqa: E402
from vinscribe.training.folders import PARTS, HandFolders  # noqa: E402
from vinscribe.training.runs import finish_run, load_data, training_record  # noqa: E402

SETS = (
    "karvy",
    "photographed",
    "european_digits",
    "chars74k",
    "unipen",
    "swiss",
    "spanish",
    "italian",
    "digilets",
    "emnist",
    "boxes",
)
EPOCHS, SAMPLES_PER_EPOCH = 3, 50_000


@dataclass(frozen=True)
class Ingredient:
    """A recipe: its name in the table, what it changes in the release's settings."""

    name: str
    changes: dict[str, Any] = field(default_factory=dict)


_SOURCES = ("pen", "unipen", "pictures", "fonts", "cards")
"""Fields of the settings with a source's share, in the order in which the sources come to it."""


def _with(*sources: str) -> dict[str, Any]:
    """What leaves only these sources beside EMNIST."""
    return {source: 0.0 for source in _SOURCES if source not in sources}


INGREDIENTS = (
    Ingredient("EMNIST's pictures alone", {"augment": AugmentSettings(bare=1.0, illegible=0.0), **_with()}),
    Ingredient("+ drawn into cells", _with()),
    Ingredient("+ the project's alphabet", _with("pen")),
    Ingredient("+ recorded pen strokes", _with("pen", "unipen")),
    Ingredient("+ scanned digits", _with("pen", "unipen", "pictures")),
    Ingredient("+ fonts", _with("pen", "unipen", "pictures", "fonts")),
    Ingredient("+ cells of whole cards (the release's recipe)"),
)


def settings_of(ingredient: Ingredient) -> FitSettings:
    """The short recipe with this ingredient and those before it."""
    short = replace(RECIPES["vinscribe"], epochs=EPOCHS, samples_per_epoch=SAMPLES_PER_EPOCH)
    return replace(short, **ingredient.changes)


def learned_from(data: Data, settings: FitSettings) -> Data:
    """The data without scanned characters and fonts that the settings do not draw."""
    kinds = {"pictures": ("pictures",), "fonts": ("fonts", "inked")}
    unused = [kind for share, of_share in kinds.items() if not getattr(settings, share) for kind in of_share]
    nothing: dict[str, Any] = dict.fromkeys(f"{part}_{kind}" for part in PARTS for kind in unused)
    return replace(data, **nothing)


def train(number: int, emnist: Path, folders: HandFolders) -> Path:
    """Trains and exports one of INGREDIENTS; returns its model file."""
    run_dir = ROOT / "runs" / "ingredients" / str(number)
    settings, archive = settings_of(INGREDIENTS[number]), Archive(emnist)
    view, data = load_data(archive, "vin", settings, folders)
    data = learned_from(data, settings)
    fitted = fit(settings, data, run_dir)
    result = finish_run(fitted, settings, view, data, run_dir)
    export_model(fitted.network, result.temperature, training_record(result, archive, folders), run_dir)
    return run_dir / "model.onnx"


def table(rates: dict[str, list[float]]) -> str:
    """Markdown: a row for each ingredient, a column for each set, percent."""
    lines = [f"| trained on | {' | '.join(SETS)} |", "|---" * (len(SETS) + 1) + "|"]
    lines += [f"| {name} | {' | '.join(f'{100 * rate:.1f}' for rate in row)} |" for name, row in rates.items()]
    return "\n".join(lines)


def main() -> None:
    """Trains, reads, prints the table, and writes it where it was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument(
        "--fonts", type=Path, default=ROOT / "fonts", metavar="DIR", help="handwriting fonts (default: %(default)s)"
    )
    parser.add_argument("--model-card", action="store_true", help="write the table into MODEL_CARD.md")
    parser.set_defaults(sets=",".join(SETS))
    args = parser.parse_args()
    sets = sets_of(args)
    emnist = args.emnist or args.shared / "emnist" / "gzip.zip"
    folders = HandFolders(args.shared / "unipen", args.shared, args.fonts)
    with ProcessPoolExecutor(core_count(), mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(train, number, emnist, folders) for number in range(len(INGREDIENTS))]
        models = [job.result() for job in jobs]
    rates = {}
    for ingredient, model in zip(INGREDIENTS, models, strict=True):
        scores = [score(ink, read_set(ink, str(model))) for ink in sets]
        rates[ingredient.name] = [found.accuracy or 0.0 for found in scores]
    text = (
        f"By `python benchmarks/ingredients.py`, {time.strftime('%Y-%m-%d')}: right characters in percent after "
        f"{EPOCHS} × {SAMPLES_PER_EPOCH:,} characters each, seed {RECIPES['vinscribe'].seed}.\n\n{table(rates)}"
    )
    print(text)
    if args.model_card:
        write_between(ROOT / "MODEL_CARD.md", "ingredients", text)


if __name__ == "__main__":
    main()
