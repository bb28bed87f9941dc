"""fit.py: the same seed gives the same weights, broken off or not; the best weights are kept; trouble is named."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from emnist_archive import glyphs
from torch.nn import functional

from vinscribe.charset import CHARSET, NUM_CLASSES, label_of
from vinscribe.errors import TrainingError, UsageError
from vinscribe.training import checkpoint
from vinscribe.training import fit as fit_module
from vinscribe.training.batches import Data
from vinscribe.training.dataset import Split
from vinscribe.training.export import export_model
from vinscribe.training.fit import RECIPES, FitResult, FitSettings, fit, noisy_cross_entropy
from vinscribe.training.network import input_px
from vinscribe.training.validation import Validation, logits_of, to_inputs

SMALL = FitSettings(epochs=4, samples_per_epoch=96, batch_size=32, threads=1, bfloat16=False)
PLAIN = replace(RECIPES["seed"], epochs=3, batch_size=33, threads=1)


@pytest.fixture(autouse=True, scope="module")
def in_one_process() -> Iterator[None]:
    """Starting the rendering process takes seconds; one test does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit_module, "WORKERS", 0)
        yield


def drawn(copies: int, seed: int) -> Split:
    text = CHARSET * copies
    labels = np.array([label_of(char) for char in text], np.int64)
    return Split(glyphs(text, seed), labels)


DATA = Data(drawn(2, seed=0), drawn(1, seed=1))


@pytest.fixture(scope="module")
def data() -> Data:
    return DATA


@pytest.fixture(scope="module")
def unbroken(data: Data, tmp_path_factory: pytest.TempPathFactory) -> FitResult:
    return fit(SMALL, data, tmp_path_factory.mktemp("run"))


def same_weights(one: FitResult, other: FitResult) -> bool:
    states = (one.network.state_dict(), other.network.state_dict())
    return all(torch.equal(*pair) for pair in zip(*(state.values() for state in states), strict=True))


def fail_at(step: int, error: BaseException) -> Callable[..., Any]:
    """In place of ``_Run._step``: the true one, until the given step (counted from 0) of this process."""
    true_step, steps = fit_module._Run._step, iter(range(step))

    def failing(*args: Any) -> Any:
        if next(steps, None) is None:
            raise error
        return true_step(*args)

    return failing


def test_the_same_seed_gives_the_same_weights(unbroken: FitResult, data: Data, tmp_path: Path) -> None:
    torch.rand(7)  # what happened before does not matter
    again = fit(SMALL, data, tmp_path / "again")
    assert same_weights(unbroken, again)
    assert unbroken.metrics == again.metrics
    other = fit(replace(SMALL, seed=1), data, tmp_path / "other")
    assert not same_weights(unbroken, other)


@pytest.mark.parametrize(
    "settings",
    [SMALL, replace(SMALL, bfloat16=True, epochs=3), PLAIN],
    ids=["ours", "bfloat16", "seed network"],
)
def test_a_run_broken_off_in_an_epoch_ends_like_an_unbroken_one(
    settings: FitSettings, data: Data, tmp_path: Path
) -> None:
    whole = fit(settings, data, tmp_path / "whole")
    steps_per_epoch = 3 if settings.augment else 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit_module._Run, "_step", fail_at(2 * steps_per_epoch + 1, KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            fit(settings, data, tmp_path / "broken")
    assert len((tmp_path / "broken" / "metrics.jsonl").read_text().splitlines()) == 2
    resumed = fit(settings, data, tmp_path / "broken")
    assert same_weights(whole, resumed)
    assert whole.metrics == resumed.metrics


def test_a_process_of_its_own_renders_the_same(
    unbroken: FitResult, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit_module, "WORKERS", 1)
    other = fit(SMALL, data, tmp_path)
    # Sums in memory of another process may differ in their last bits, and training makes more of that.
    first, same = unbroken.metrics[0], other.metrics[0]
    assert same["train_loss"] == pytest.approx(first["train_loss"], rel=1e-6)
    assert same["train_accuracy"] == first["train_accuracy"]


KILLED = """
import os, signal, sys
from pathlib import Path
from vinscribe.training import checkpoint
import test_fit

calls = iter(range(2))
true_fsync = os.fsync

def fsync(number):  # the third file is best.pt or the checkpoint of epoch 2, written but not yet in its place
    if next(calls, None) is None:
        os.kill(os.getpid(), signal.SIGKILL)
    true_fsync(number)

checkpoint.os.fsync = fsync
test_fit.fit_module.WORKERS = 0
test_fit.fit(test_fit.SMALL, test_fit.DATA, Path(sys.argv[1]))
"""


def test_a_run_killed_while_it_saves_ends_like_an_unbroken_one(unbroken: FitResult, data: Data, tmp_path: Path) -> None:
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parent.parent)])
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)], env=os.environ | {"PYTHONPATH": path}, capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 1
    assert len(list(tmp_path.glob("*.part"))) == 1
    resumed = fit(SMALL, data, tmp_path)
    assert same_weights(unbroken, resumed)
    assert unbroken.metrics == resumed.metrics


def test_half_a_file_never_stands_under_the_final_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.save_state({"epoch": 1}, tmp_path / "a.pt")

    def half(_: Any, file: Any) -> None:
        file.write(b"PK half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save_state({"epoch": 2}, tmp_path / "a.pt")
    assert checkpoint.load_state(tmp_path / "a.pt") == {"epoch": 1}


def test_a_finished_run_is_not_trained_again(data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fit(PLAIN, data, tmp_path)
    monkeypatch.setattr(fit_module._Run, "_step", fail_at(0, AssertionError("trained again")))
    assert same_weights(first, fit(PLAIN, data, tmp_path))


@pytest.mark.parametrize("network", RECIPES)
def test_overfits_a_handful_of_cells(network: str, tmp_path: Path) -> None:
    cells = drawn(1, seed=3)
    often = Split(np.tile(cells.images, (10, 1, 1)), np.tile(cells.labels, 10))
    settings = replace(PLAIN, network=network, lr=3e-3, epochs=6, patience=6)
    result = fit(settings, Data(often, cells), tmp_path)
    logits = logits_of(result.network, to_inputs(cells.images, input_px(network)))
    assert (logits.argmax(1).numpy() == cells.labels).all()
    assert result.metrics[-1]["val_loss"] < 0.1
    assert result.metrics[-1]["val_emnist"] == 1


def test_stops_early_and_keeps_the_best_weights(data: Data, tmp_path: Path) -> None:
    # What it learns does not hold for this validation data: the surer it gets, the worse.
    wrong = Split(data.validation.images, (data.validation.labels + 1) % NUM_CLASSES)
    settings = replace(PLAIN, epochs=60, patience=2, lr=3e-4)
    result = fit(settings, Data(data.train, wrong), tmp_path)
    losses = [row["val_loss"] for row in result.metrics]
    best = losses.index(min(losses))
    assert len(losses) == best + 1 + 2 < 60
    validation = Validation(
        Data(data.train, wrong), settings.augment, input_px(settings.network), settings.class_balance
    )
    measured = validation.measure(result.network)
    assert measured["val_loss"] == pytest.approx(losses[best], abs=1e-6)
    assert measured["val_loss"] < losses[-1] - 1e-6


def test_other_settings_or_data_in_the_folder_are_refused(data: Data, tmp_path: Path) -> None:
    train, validation = data.train, data.validation
    fit(replace(PLAIN, epochs=1), data, tmp_path)
    for settings, changed in (
        (PLAIN, train),
        (replace(PLAIN, epochs=1), Split(train.images, train.labels[::-1].copy())),
        (replace(PLAIN, epochs=1), Split(train.images[::-1].copy(), train.labels)),
    ):
        with pytest.raises(TrainingError, match=r"other settings or data.*--run.*--fresh"):
            fit(settings, Data(changed, validation), tmp_path)


def test_a_loss_that_is_no_number_ends_the_run(data: Data, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"epoch 1 ended with train_loss nan.*lower --lr"):
        fit(replace(PLAIN, lr=1e30), data, tmp_path)
    assert not (tmp_path / "checkpoint.pt").exists()


def test_a_model_that_is_there_goes_on_learning(data: Data, tmp_path: Path) -> None:
    trained = fit(replace(SMALL, epochs=1), data, tmp_path / "before").network
    record = {"network": "vinscribe", "training": {}, "data": {}}
    export_model(trained, 1.0, record, tmp_path)
    settings = replace(SMALL, epochs=2, start=str(tmp_path / "model.h5"))
    (tmp_path / "run").mkdir()
    run = fit_module._Run(settings, data, tmp_path / "run")
    inputs = to_inputs(data.validation.images, input_px("vinscribe"))
    for network in (run.network, run.averaged):
        torch.testing.assert_close(logits_of(network, inputs), logits_of(trained, inputs), rtol=1e-2, atol=1e-2)
    first = fit(settings, data, tmp_path / "run")
    (tmp_path / "model.h5").unlink()  # it keeps a copy
    assert (tmp_path / "run" / fit_module.START_FILE).exists()
    assert same_weights(first, fit(settings, data, tmp_path / "run"))
    with pytest.raises(TrainingError, match=r"--start .*model\.h5: No such file.*give a model\.h5"):
        fit(settings, data, tmp_path / "other")


@pytest.mark.parametrize("name", ["checkpoint.pt", "best.pt"])
@pytest.mark.parametrize("kind", ["cut", "empty", "text"])
def test_a_damaged_file_is_named(name: str, kind: str, data: Data, tmp_path: Path) -> None:
    settings = replace(PLAIN, epochs=1)
    fit(settings, data, tmp_path)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "text": b"hello"}[kind])
    with pytest.raises(TrainingError, match=rf"{name}: missing or damaged.*--fresh"):
        fit(settings, data, tmp_path)


@pytest.mark.parametrize("given", [{"epochs": 0}, {"batch_size": 0}, {"lr": -0.1}, {"lr": float("nan")}])
def test_settings_no_run_can_work_with(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"--{next(iter(given)).replace('_', '-')} .*greater than 0"):
        replace(SMALL, **given)


def test_noisy_labels_pull_less_on_a_network_that_is_sure() -> None:
    labels = torch.tensor([0, 1, 2])
    logits = torch.zeros(3, 34)
    logits[0, 0], logits[1, 1], logits[2, 5] = 20, 3, 20  # right and sure, right, wrong and sure
    logits.requires_grad_()
    plain = noisy_cross_entropy(logits, labels, 0.0)
    assert plain.item() == pytest.approx(functional.cross_entropy(logits, labels).item())
    noisy = noisy_cross_entropy(logits, labels, 0.01)
    probs = 0.99 * logits.softmax(1)[torch.arange(3), labels] + 0.01 / 34
    assert noisy.item() == pytest.approx(-probs.log().mean().item(), rel=1e-5)
    (gradient,) = torch.autograd.grad(noisy, logits)
    (unbounded,) = torch.autograd.grad(plain, logits)
    assert gradient[2].abs().sum() < 0.01 * unbounded[2].abs().sum()
    assert gradient[1].abs().sum() > 0.9 * unbounded[1].abs().sum()


def test_the_rate_rises_falls_and_falls_once_more() -> None:
    settings = FitSettings(epochs=14, polish=2 / 7, warmup=0.1)
    assert settings.first_epochs == 10
    run = object.__new__(fit_module._Run)
    run.settings = settings
    rates = [run._rate(epoch) for epoch in (0, 0.5, 1, 5.5, 10 - 1e-9, 10, 12, 14)]
    assert rates == pytest.approx([0, 0.5, 1, 0.5, 0, 0.5, 0.25, 0], abs=1e-6)
