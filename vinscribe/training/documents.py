"""Measured figures go into README.md and MODEL_CARD.md between markers: nobody types a number."""

from pathlib import Path

from vinscribe.errors import TrainingError


def write_between(path: Path, name: str, text: str) -> None:
    """Replaces what stands between ``<!-- name:begin -->`` and ``<!-- name:end -->`` in a file."""
    head, tail = split_at_markers(path, name)
    path.write_text(f"{head}\n{text}\n{tail}", encoding="utf-8")


def split_at_markers(path: Path, name: str) -> tuple[str, str]:
    """A file's text up to the first marker and from the second one on, markers included; ``TrainingError`` without."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    head, found, rest = text.partition(begin)
    _, found_end, tail = rest.partition(end)
    if not found or not found_end:
        raise TrainingError(f"{path}: no place for the tables; put the lines {begin} and {end} where they belong")
    return head + begin, end + tail
