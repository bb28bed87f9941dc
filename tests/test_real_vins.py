"""The VINs that vehicles have, on files of made-up ones."""

from pathlib import Path

import numpy as np
import pytest

from vinscribe.charset import CHARSET
from vinscribe.errors import DataError, UsageError
from vinscribe.training.real_vins import PARTS, REGIONS, maker_counts, part_of_vin, read_real_vins


def made_vin(number: int, maker: str = "1ZZ") -> str:
    return f"{maker}AAAAAAAA{number:06d}"


def write(folder: Path, **lines: list[str]) -> Path:
    """A folder with the three files; those that are not named hold a VIN each."""
    for number, region in enumerate(REGIONS):
        rows = lines.get(region.replace("-", "_"), [f"{made_vin(number, 'ZZ1')},none"])
        (folder / f"{region}.csv").write_text("\n".join(["vin,source", *rows]) + "\n")
    return folder


def test_the_files_are_read_in_order_with_their_regions(tmp_path: Path) -> None:
    lines = [f"{made_vin(7)},a", f" {made_vin(3).lower()} ,b"]
    real = read_real_vins(write(tmp_path, north_america=lines))
    assert real.texts() == [made_vin(7), made_vin(3), made_vin(1, "ZZ1"), made_vin(2, "ZZ1")]
    assert real.regions.tolist() == ["north-america", "north-america", "europe", "elsewhere"]
    assert real.sources.tolist() == ["a", "b", "none", "none"]
    assert (len(real), real.labels.shape, real.labels.dtype, real.left_out) == (4, (4, 17), np.int64, 0)
    assert "".join(CHARSET[label] for label in real.labels[0]) == made_vin(7)


def test_what_is_no_vin_is_counted_and_a_vin_comes_once(tmp_path: Path) -> None:
    wrong = ["1ZZAAAAAAAA00000,short", "1ZZAAAAAAAA0000000,long", "1ZZAAAAAAAA00000O,letter", ",nothing"]
    twice = [f"{made_vin(1)},first", f"{made_vin(1)},second"]
    real = read_real_vins(write(tmp_path, north_america=[*wrong, *twice], europe=[f"{made_vin(1)},third"]))
    assert real.left_out == 4
    assert real.texts() == [made_vin(1), made_vin(2, "ZZ1")]
    assert real.sources.tolist() == ["first", "none"]


def test_a_vin_is_in_one_part_by_its_own_hash(tmp_path: Path) -> None:
    # The first bytes of their sha256 are a6, 07, cf, 18.
    assert [part_of_vin(made_vin(number)) for number in range(4)] == ["fit", "measure", "measure", "fit"]
    real = read_real_vins(write(tmp_path, north_america=[f"{made_vin(number)},x" for number in range(200)]))
    parts = [real.part(name).texts() for name in PARTS]
    assert sorted(parts[0] + parts[1]) == sorted(real.texts())
    assert all(70 < len(part) < 132 for part in parts)
    assert {part_of_vin(vin) for vin in parts[0]} == {"fit"}
    with pytest.raises(UsageError, match="no part 'test'"):
        real.part("test")


def test_rows_are_selected_with_all_that_belongs_to_them(tmp_path: Path) -> None:
    real = read_real_vins(write(tmp_path, europe=["junk,x", f"{made_vin(5)},y"]))
    chosen = real.select(np.array([1, 1, 0]))
    assert chosen.texts() == [made_vin(5)] * 2 + [made_vin(0, "ZZ1")]
    assert chosen.regions.tolist() == ["europe", "europe", "north-america"]
    assert chosen.sources.tolist() == ["y", "y", "none"]
    assert chosen.left_out == 1
    assert len(real.select(np.zeros(3, bool))) == 0


def test_makers_are_counted(tmp_path: Path) -> None:
    lines = [f"{made_vin(number, maker)},x" for number, maker in enumerate(["2ZZ", "1ZZ", "2ZZ"])]
    real = read_real_vins(write(tmp_path, north_america=lines))
    assert maker_counts(real) == [("2ZZ", 2), ("ZZ1", 2), ("1ZZ", 1)]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("europe", None, "europe.csv is missing; give the folder that holds north-america.csv, europe.csv, elsewhere"),
        ("europe", b"vin,from\n", "no column source"),
        ("elsewhere", b"", "no column source, vin"),
        ("europe", b'vin,source\n"1ZZ,x\n', "europe.csv cannot be read"),
        ("europe", b"vin,source\n\xff\xfe,x\n", "europe.csv cannot be read"),
    ],
)
def test_missing_or_damaged_files_are_told(tmp_path: Path, name: str, content: bytes | None, told: str) -> None:
    path = write(tmp_path) / f"{name}.csv"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=told):
        read_real_vins(tmp_path)


def test_files_without_a_vin_are_no_source(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no VIN in its files, 1 lines are none"):
        read_real_vins(write(tmp_path, north_america=["x,y"], europe=[], elsewhere=[]))
