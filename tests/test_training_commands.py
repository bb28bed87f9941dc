"""train.py, ``vinscribe evaluate``, ``vinscribe data`` and the release, end to end on a small drawn archive."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
from emnist_archive import glyphs, write_archive
from made_hands import write_semeion

from vinscribe.charset import CHARSET
from vinscribe.classifier import Classifier
from vinscribe.cli import main
from vinscribe.errors import TrainingError
from vinscribe.training import release, runs, vin_calibration
from vinscribe.training.commands import train_main
from vinscribe.training.emnist import Archive
from vinscribe.training.fit import RECIPES, FitSettings
from vinscribe.training.folders import HandFolders

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
RUN_FILES = (
    "settings.json metrics.jsonl learning_curves.png confusion.png reliability.png result.json report.txt best.pt"
)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_archive(tmp_path_factory.mktemp("emnist") / "gzip.zip")


def train_py(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "train.py"), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env=ENVIRONMENT | environment)


@pytest.fixture(scope="module")
def trained(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("trained")
    options = ("--network", "seed", "--epochs", "2", "--batch-size", "32", "--threads", "1")
    done = train_py("--emnist", archive, *options, "--out", folder, "--run", folder / "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done


def accuracy_in(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(("images ", "accuracy", "class accuracy"))]


def test_train_py_leaves_models_and_a_run(trained: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = trained
    assert sorted(path.name for path in folder.iterdir()) == ["model.h5", "model.onnx", "run"]
    assert {path.name for path in (folder / "run").iterdir()} >= set(RUN_FILES.split())
    settings = json.loads((folder / "run" / "settings.json").read_text())["settings"]
    assert (settings["network"], settings["epochs"], settings["lr"]) == ("seed", 2, RECIPES["seed"].lr)
    assert len((folder / "run" / "metrics.jsonl").read_text().splitlines()) == 2


def test_train_py_prints_its_report_and_no_noise(trained: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, done = trained
    lines = done.stdout.splitlines()
    assert re.fullmatch(r"validation \(emnist\): \d+\.\d\d%  class mean \d+\.\d\d%", lines[0])
    assert lines[1:3] == ["", "test (vin, seed, seed 0)"]
    report = (folder / "run" / "report.txt").read_text()
    assert done.stdout.split("seed 0)\n")[1].startswith(report)
    assert re.fullmatch(r"run folder .*; wrote .*model\.h5 and .*model\.onnx; \d+\.\d minutes", lines[-1])
    result = json.loads((folder / "run" / "result.json").read_text())
    assert result["test"]["micro"] > 0.9  # printed characters are easy
    # On standard error the view and a line per epoch, no warning of any library.
    progress = done.stderr.splitlines()
    assert progress[0].startswith("view vin: 3,300 distinct images")
    assert [line.split("  ")[0] for line in progress[36:]] == ["epoch 1/2", "epoch 2/2"]


def test_inference_reads_with_the_new_model(
    trained: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    for number, image in enumerate(glyphs(CHARSET, seed=9)):
        cv2.imwrite(str(tmp_path / f"{number:02d}.png"), image)
    command = [sys.executable, str(ROOT / "inference.py"), str(tmp_path), "--model", str(trained[0] / "model.onnx")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=ENVIRONMENT)
    expected = [f"{ord(char):03d}, {tmp_path}/{number:02d}.png" for number, char in enumerate(CHARSET)]
    right = sum(line == wanted for line, wanted in zip(done.stdout.splitlines(), expected, strict=True))
    assert right > 27


def test_evaluate_says_the_same_of_each_file(
    trained: tuple[Path, subprocess.CompletedProcess[str]],
    archive: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, done = trained
    expected = accuracy_in(done.stdout)
    assert len(expected) == 3
    for model in ("model.onnx", "model.h5", "run"):
        sheet = tmp_path / f"{model}.png"
        assert main(["evaluate", str(folder / model), "--emnist", str(archive), "--errors", str(sheet)]) == 0
        assert accuracy_in(capsys.readouterr().out) == expected
        assert cv2.imread(str(sheet)) is not None
    assert main(["evaluate", str(folder / "run"), "--emnist", str(archive), "--split", "validation"]) == 0
    micro = json.loads((folder / "run" / "result.json").read_text())["validation"]["micro"]
    assert f"accuracy (micro)         {micro:.2%}" in capsys.readouterr().out
    assert main(["evaluate", str(folder / "run"), "--emnist", str(archive), "--view", "balanced"]) == 0
    assert "view balanced: made like EMNIST Balanced" in capsys.readouterr().err


def test_data_prints_splits_and_both_views(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "--emnist", str(archive)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["byclass-train", "3,300", "3,300"] in lines
    assert [line[1] for line in lines if line[:1] == ["view"]] == ["vin:", "balanced:"]
    assert sum(line[:1] == ["all"] for line in lines) == 3


@pytest.mark.parametrize("name", ["torch", "keras"])
def test_what_is_not_installed_is_named_in_one_line(name: str, archive: Path, tmp_path: Path) -> None:
    # An import hook instead of a package taken away: to find_spec and to import there is no such module.
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "from importlib import machinery\n"
        "true_find_spec = machinery.PathFinder.find_spec\n"
        "def find_spec(name, path=None, target=None):\n"
        f"    return None if name.split('.')[0] == {name!r} else true_find_spec(name, path, target)\n"
        "machinery.PathFinder.find_spec = find_spec\n"
    )
    done = train_py("--emnist", archive, cwd=tmp_path, PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)]))
    assert done.stderr == f"vinscribe: {name} is not installed; pip install -r requirements-train.txt\n"
    assert (done.stdout, done.returncode) == ("", 2)
    assert not (tmp_path / "runs").exists()


def test_an_archive_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["train"], ["data"], ["evaluate", "model.onnx"]):
        assert main([*command, "--emnist", str(tmp_path / "none.zip")]) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        assert re.fullmatch(r"vinscribe: .*none\.zip: no such file or folder; give .* to --emnist\n", captured.err)


def test_ctrl_c_says_how_to_go_on(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "fit", interrupted)
    assert train_main(["--emnist", str(archive), "--run", str(tmp_path / "run")]) == 130
    assert f"the same command goes on from the last whole epoch in {tmp_path / 'run'}" in capsys.readouterr().err


def test_options_change_the_recipe_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[FitSettings] = []
    monkeypatch.setattr(runs, "train_and_export", lambda _, args: seen.append(runs.settings_from(args)))
    monkeypatch.setattr("vinscribe.training.commands._archive", lambda _: None)
    assert train_main([]) == train_main(["--quick", "--lr", "0.5", "--seed", "4"]) == 0
    assert train_main(["--network", "seed", "--weight-decay", "0.5"]) == 0
    ours = RECIPES["vinscribe"]
    assert seen == [
        ours,
        replace(ours, **runs.QUICK, lr=0.5, seed=4),
        replace(RECIPES["seed"], weight_decay=0.5),
    ]
    assert train_main(["--epochs", "0"]) == 2


def test_folders_of_hands_are_named_by_options(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[HandFolders] = []
    monkeypatch.setattr(runs, "train_and_export", lambda _, args: seen.append(runs.folders_of(args)))
    monkeypatch.setattr("vinscribe.training.commands._archive", lambda _: None)
    assert train_main([]) == train_main(["--unipen", "a", "--digits", "b", "--fonts", "c"]) == 0
    assert seen == [HandFolders(), HandFolders(Path("a"), Path("b"), Path("c"))]


def test_folders_are_read_and_noted_where_strokes_are_drawn(archive: Path, tmp_path: Path) -> None:
    write_semeion(tmp_path)
    folders, ours = HandFolders(digits=tmp_path), RECIPES["vinscribe"]
    _, data = runs.load_data(Archive(archive), "vin", ours, folders)
    assert data.train_pictures
    assert data.validation_pictures
    for settings in (RECIPES["seed"], runs.recipe("vinscribe", "balanced")):
        _, plain = runs.load_data(Archive(archive), "vin", settings, folders)
        assert plain.train_pictures is None
        assert plain.sha256() != data.sha256()


def test_fresh_starts_anew(
    trained: tuple[Path, subprocess.CompletedProcess[str]],
    archive: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(trained[0] / "run", tmp_path / "run")
    options = ["--emnist", str(archive), "--network", "seed", "--epochs", "1", "--batch-size", "32", "--threads", "1"]
    places = ["--out", str(tmp_path), "--run", str(tmp_path / "run")]
    assert train_main([*options, *places]) == 1  # the run there has two epochs
    monkeypatch.setattr(runs, "export_model", lambda *_: None)
    assert train_main([*options, *places, "--fresh"]) == 0
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 1


TINY = {
    "vinscribe": {"epochs": 1, "samples_per_epoch": 128, "batch_size": 64},
    "seed": {"epochs": 1, "batch_size": 32},
}
JOBS = [
    (replace(settings, **TINY[settings.network]), view)
    for settings, view in release.release_jobs()
    if not settings.seed
]
FEW_VINS = 20
README = "# title\n\n<!-- results:begin -->\nold\n<!-- results:end -->\n\nend\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "README.md").write_text(README)
    (tmp_path / "MODEL_CARD.md").write_text(README + "<!-- model:begin --><!-- model:end -->\n")
    return tmp_path


def train_one_with_few_vins(
    path: Path, folders: HandFolders, settings: FitSettings, view_name: str, runs_dir: Path
) -> None:
    """``release._train_one`` in a process of its own, where nothing is patched yet."""
    vin_calibration.NUM_VINS = FEW_VINS
    release._train_one(path, folders, settings, view_name, runs_dir)


def test_a_release_writes_models_tables_and_figures(
    repository: Path, archive: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vin_calibration, "NUM_VINS", FEW_VINS)  # as in training: thousands of cells take minutes
    monkeypatch.setattr(release, "_train_one", train_one_with_few_vins)
    release.make_release(Archive(archive), HandFolders(), repository, JOBS)
    readme, card = ((repository / name).read_text() for name in ("README.md", "MODEL_CARD.md"))
    assert readme.startswith("# title\n\n<!-- results:begin -->\n| network | view |")
    assert readme.endswith("\n<!-- results:end -->\n\nend\n")
    assert "old" not in readme
    rows = re.findall(r"^\| (\w+ \| \w+) \| 0 \| \d+ \|(?: \d+\.\d\d \|){4}$", readme, re.MULTILINE)
    assert rows == ["vinscribe | vin", "seed | vin", "vinscribe | balanced", "seed | balanced"]
    assert capsys.readouterr().out.strip() in readme
    assert len(re.findall(r"^\| \S \| \d+ \| \d+\.\d\d% \|", card, re.MULTILINE)) == len(CHARSET)
    assert {path.name for path in (repository / "docs").iterdir()} == {
        "learning_curves.png",
        "confusion.png",
    }
    assert Classifier(repository / release.RUNS_DIR / "seed" / "model.onnx").metadata["network"] == "seed"
    assert (repository / "model.onnx").exists()
    assert (repository / "model.h5").exists()

    # Once more: nothing is trained again, the tables stay the same.
    before = {path: path.stat().st_mtime_ns for path in repository.rglob("best.pt")}
    assert len(before) == 4
    monkeypatch.setattr(release, "_train_one", None)
    monkeypatch.setattr(release, "export_model", lambda *_: None)
    release.make_release(Archive(archive), HandFolders(), repository, JOBS)
    assert (repository / "README.md").read_text() == readme
    assert (repository / "MODEL_CARD.md").read_text() == card
    assert {path: path.stat().st_mtime_ns for path in repository.rglob("best.pt")} == before

    # A run that was made with another recipe does not count as done.
    (settings, _), runs_dir = JOBS[1], repository / release.RUNS_DIR
    assert release._is_done(settings, "vin", runs_dir)
    assert not release._is_done(replace(settings, lr=5e-3), "vin", runs_dir)
    assert not release._is_done(replace(settings, seed=4), "vin", runs_dir)


def fail_or_train_on(path: Path, folders: HandFolders, settings: FitSettings, view_name: str, runs_dir: Path) -> None:
    """In place of ``release._train_one``, in a process of its own: seed 0 fails while the others go on."""
    if settings.seed:
        (runs_dir / f"{settings.seed} started").touch()
        time.sleep(60)
        (runs_dir / f"{settings.seed} finished").touch()
    else:
        while not list(runs_dir.iterdir()):
            time.sleep(0.05)
        raise TrainingError("seed 0 failed")


def test_a_failed_run_ends_the_others(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "_train_one", fail_or_train_on)
    monkeypatch.setattr(release, "core_count", lambda: 2)
    jobs = [(replace(RECIPES["seed"], seed=seed), "vin") for seed in range(6)]
    with pytest.raises(TrainingError, match="seed 0 failed"):
        release._train_all(Archive(archive), HandFolders(), jobs, tmp_path)
    assert not list(tmp_path.glob("* finished"))


def test_the_table_has_mean_and_standard_deviation() -> None:
    records = [
        {"test": {"micro": rate, "macro": 0.5, "ece": 0.01, "num_images": 9000}, "validation": {"micro": rate}}
        | {"note": "how it was made", "settings": {"seed": seed}}
        for seed, rate in enumerate((0.97, 0.98, 0.99))
    ]
    lines = release.results_table({("seed", "vin"): records}).splitlines()
    assert lines[2] == "| seed | vin | 0, 1, 2 | 9,000 | 98.00 ± 1.00 | 50.00 ± 0.00 | 1.00 ± 0.00 | 98.00 ± 1.00 |"
    assert lines[5] == "View `vin`: how it was made."


@pytest.mark.parametrize("name", ["README.md", "MODEL_CARD.md"])
def test_a_release_without_a_place_for_its_tables_is_refused_at_once(
    name: str, repository: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "_train_all", None)
    (repository / name).write_text("<!-- results:end --> <!-- results:begin -->")
    with pytest.raises(TrainingError, match=rf"{name}: no place for the tables"):
        release.make_release(Archive(archive), HandFolders(), repository, JOBS)
    (repository / name).unlink()
    with pytest.raises(TrainingError, match=rf"{name}: no place for the tables"):
        release.make_release(Archive(archive), HandFolders(), repository, JOBS)
