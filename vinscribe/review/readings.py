"""Readings as the store keeps them: the JSON objects of `vinscribe.output.vin_to_json`."""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from vinscribe.decode import Candidate, CellReading, VinReading


def from_json(reading: Mapping[str, Any]) -> VinReading:
    """The reading that was written by `vinscribe.output.vin_to_json`, its probabilities rounded."""
    return VinReading(
        file=reading["file"],
        page=reading["page"],
        vin=reading["vin"],
        confidence=reading["confidence"],
        decision=reading["decision"],
        reason=reading["reason"],
        raw=reading["raw"],
        changes=tuple(reading["changes"]),
        candidates=tuple(Candidate(**candidate) for candidate in reading["candidates"]),
        check_digit=reading["check_digit"],
        cells=tuple(
            CellReading(
                char=cell["char"],
                confidence=cell["confidence"],
                legible_probability=cell["legible_probability"],
                choices=tuple((char, probability) for char, probability in cell["choices"]),
                box=cell["box"] and tuple((x, y) for x, y in cell["box"]),
            )
            for cell in reading["cells"]
        ),
        field=reading["field"] and tuple((x, y) for x, y in reading["field"]),
    )


def shown(path: str) -> str:
    r"""A path as text that every program takes: bytes that are no text are written as ``\udcXX``."""
    return path.encode("utf-8", "backslashreplace").decode()


def shown_name(path: str) -> str:
    """The file's name in a path, as `shown`."""
    return shown(PurePath(path).name)
