"""Files of PyTorch state that survive a kill: written whole or not at all, and a damaged one names itself."""

import os
from pathlib import Path
from typing import Any

import torch

from vinscribe.errors import TrainingError


def save_state(state: Any, path: Path) -> None:
    """Writes whole or not at all, also when the power goes: a checkpoint must survive a kill at any moment."""
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def load_state(path: Path) -> Any:
    """What ``save_state`` wrote; ``TrainingError`` if the file is missing or damaged."""
    try:
        return torch.load(path, weights_only=True)
    except Exception as error:  # PyTorch raises whatever it stumbles on
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise TrainingError(
            f"{path}: missing or damaged ({reason}); start the run anew with --fresh, or take another folder, --run"
        ) from error
