"""README.md: its commands are real, and the first of them does what it says."""

import csv
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from vinscribe import cli

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.split("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("python ")
]


def test_commands_are_found() -> None:
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_understood(command: str) -> None:
    _, *words = shlex.split(command)
    if words[0] == "inference.py":
        parser, words = cli._build_inference_parser(), words[1:]
    else:
        assert words[0] == "train.py" or words[:2] == ["-m", "vinscribe"]
        parser = cli._build_parser()
        words = ["train", *words[1:]] if words[0] == "train.py" else words[2:]
    assert callable(parser.parse_args(words).run)


def test_the_first_command_reads_the_sample_cards() -> None:
    first = README.split("```sh")[1].split("```")[0]
    assert first.strip().endswith("python -m vinscribe read samples/cards")
    run = subprocess.run(
        [sys.executable, "-m", "vinscribe", "read", "samples/cards", "--format", "table"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0
    shown = README.split("```text\n")[1].split("```")[0].splitlines()
    printed = run.stdout.splitlines()
    assert len(printed) == 4
    # All but the confidence, whose last digits are the machine's.
    assert [line.split()[:1] + line.split()[2:] for line in printed[1:]] == [
        line.split()[:1] + line.split()[2:] for line in shown[1:]
    ]


def test_the_samples_are_read_as_it_says() -> None:
    run = subprocess.run(
        [sys.executable, "inference.py", "samples/characters"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
    with (ROOT / "samples/characters/labels.csv").open(newline="") as file:
        labels = {row["file"]: row["label"] for row in csv.DictReader(file)}
    lines = run.stdout.splitlines()
    assert [line[5:] for line in lines] == sorted(f"samples/characters/{name}" for name in labels)
    right = sum(line == f"{ord(labels[Path(line[5:]).name]):03d}, {line[5:]}" for line in lines)
    assert right >= len(labels) - 2
    assert "065, samples/characters/A.png" in README
    assert "065, samples/characters/A.png" in lines


def test_every_file_of_the_tree_is_there() -> None:
    tree = README.split("## What is where")[1].split("```")[1]
    for name in re.findall(r"\b[\w/-]+\.(?:py|onnx|h5|txt)\b", tree):
        folders = ("", "vinscribe", "vinscribe/training", "vinscribe/review", "benchmarks")
        places = [ROOT / folder for folder in folders]
        assert any((place / name).exists() for place in places), name


def test_every_command_is_documented() -> None:
    for name in ("chars", "read", "template", "review", "vin", "vehicles", "cards", "data", "evaluate"):
        assert f"python -m vinscribe {name}" in README
