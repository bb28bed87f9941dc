"""VINs that vehicles have, for measuring and for fitting a few numbers; none of them enters a released file.

A folder holds ``north-america.csv``, ``europe.csv`` and ``elsewhere.csv``, named after where the vehicles were seen,
each with the columns ``vin`` and ``source``; others are not looked at.

**The rule of the parts.** The lowest bit of the first byte of the sha256 of a VIN (ASCII) decides, whatever the folder
holds: 0 is for fitting, 1 for measuring. No VIN is in both.
"""

import csv
import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vinscribe.charset import CHARSET, is_vin_char, label_of
from vinscribe.errors import DataError, UsageError
from vinscribe.vin import VIN_LENGTH

REGIONS = ("north-america", "europe", "elsewhere")
"""Where vehicles were seen; a file of each."""

PARTS = ("fit", "measure")

_WMI = slice(3)


@dataclass(frozen=True)
class RealVins:
    """N VINs, each once unless rows were selected more often.

    Attributes:
        labels: int64 (N, 17), 0..32, see ``charset.CHARSET``.
        regions: (N,) str, of `REGIONS`.
        sources: (N,) str, who said so.
        left_out: lines of the files that are no 17 characters of a VIN.
    """

    labels: NDArray[np.int64]
    regions: NDArray[np.str_]
    sources: NDArray[np.str_]
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.labels)

    def texts(self) -> list[str]:
        """As strings of 17 characters."""
        return ["".join(CHARSET[label] for label in row) for row in self.labels.tolist()]

    def part(self, name: str) -> "RealVins":
        """Those for fitting or for measuring, in the same order; ``name`` is one of `PARTS`, else ``UsageError``."""
        if name not in PARTS:
            raise UsageError(f"no part {name!r} of the real VINs; choose from {', '.join(PARTS)}")
        return self.select(np.array([part_of_vin(vin) == name for vin in self.texts()], bool))

    def select(self, rows: NDArray[Any]) -> "RealVins":
        """The VINs that a mask (N,) bool picks, or those of row numbers, in that order."""
        return RealVins(self.labels[rows], self.regions[rows], self.sources[rows], self.left_out)


def read_real_vins(folder: Path) -> RealVins:
    """Reads a folder's VINs, in the order of `REGIONS` and of the lines.

    What is no VIN is left out and counted; a VIN that comes again is left out and not counted.

    Raises:
        DataError: a file is missing or damaged, lacks a column, or no file has a VIN.
    """
    found: dict[str, tuple[str, str]] = {}
    left_out = 0
    for region in REGIONS:
        for vin, source in _read(Path(folder) / f"{region}.csv"):
            if len(vin) == VIN_LENGTH and all(map(is_vin_char, vin)):
                found.setdefault(vin, (region, source))
            else:
                left_out += 1
    if not found:
        raise DataError(f"{folder}: no VIN in its files, {left_out:,} lines are none; fetch them again")
    labels = np.array([[label_of(char) for char in vin] for vin in found], np.int64)
    regions, sources = zip(*found.values(), strict=True)
    return RealVins(labels, np.array(regions, np.str_), np.array(sources, np.str_), left_out)


def part_of_vin(vin: str) -> str:
    """'fit' or 'measure' for a VIN of 17 characters, by the rule above."""
    return PARTS[hashlib.sha256(vin.encode()).digest()[0] & 1]


def maker_counts(real: RealVins) -> list[tuple[str, int]]:
    """The first three characters of the VINs and how many have them, the most frequent first, then by alphabet."""
    counts = Counter(vin[_WMI] for vin in real.texts())
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _read(path: Path) -> list[tuple[str, str]]:
    """A file's lines: VIN in capitals, and source."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            missing = {"vin", "source"} - set(rows.fieldnames or ())
            if missing:
                raise DataError(f"{path}: no column {', '.join(sorted(missing))} (found: {rows.fieldnames})")
            return [((row["vin"] or "").strip().upper(), row["source"] or "") for row in rows]
    except FileNotFoundError as error:
        files = ", ".join(f"{region}.csv" for region in REGIONS)
        raise DataError(f"{path} is missing; give the folder that holds {files}") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read ({error}); fetch it again") from error
