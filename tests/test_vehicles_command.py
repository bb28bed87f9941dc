"""vehicles_command.py, vehicles_text.py: ``vinscribe vehicles learn|show|build``."""

import subprocess
import sys

import pytest
from test_vpic import sqlite_file

from vinscribe.cli import main
from vinscribe.knowledge import Knowledge, released_path
from vinscribe.register import Register
from vinscribe.vehicles_text import year_code

HONDA, BUS, GOLF = "1HGCM82633A004352", "1M8GDM9AXKP042788", "WVWZZZ1JZXW000001"


@pytest.fixture
def run(capsys):
    """Runs ``vinscribe vehicles …``; returns its status, standard output and standard error."""

    def run(*arguments):
        return (main(["vehicles", *map(str, arguments)]), *capsys.readouterr())

    return run


@pytest.fixture
def office(tmp_path):
    vins = [HONDA, "1HGCM82633A004353", "1HGCM82633B004353", "1HGEJ82633A004354", BUS, GOLF]
    (tmp_path / "list.txt").write_text("\n".join([*vins, HONDA, "rubbish"]))
    return tmp_path


def test_learns(run, office):
    status, out, err = run("learn", office / "list.txt", "-o", office / "office.npz")
    assert (status, out) == (0, "")
    assert err == (
        f"{office / 'list.txt'}: 1 of 8 lines hold no VIN, left out (first: line 8, 'rubbish')\n"
        f"{office / 'office.npz'}: 6 VINs of 3 makers, 33.3% with a valid check digit\n"
    )
    assert len(Register.load(office / "office.npz")) == 6


def test_learns_more(run, office):
    run("learn", office / "list.txt", "-o", office / "office.npz")
    (office / "more.csv").write_text("vin,owner\nWVWZZZ1JZXW000002,Smith\n")
    status, _, err = run("learn", office / "office.npz", office / "more.csv", "-o", office / "office.npz")
    assert (status, err) == (0, f"{office / 'office.npz'}: 7 VINs of 3 makers, 28.6% with a valid check digit\n")


def test_shows_a_register(run, office):
    run("learn", office / "list.txt", "-o", office / "office.npz")
    for path in (office / "office.npz", office / "list.txt"):
        status, out, _ = run("show", path)
        assert status == 0
        assert out == (
            "kind           register: what is usual among an office's VINs\n"
            "VINs           6\n"
            "makers         3\n"
            "ways to begin  5\n"
            "check digit    33.3% with a valid check digit\n"
            "makers:\n"
            "  1HG          4   66.7%\n"
            "  1M8          1   16.7%\n"
            "  WVW          1   16.7%\n"
        )


def test_shows_a_maker_of_a_register(run, office):
    path = office / "list.txt"
    assert run("show", path, "--maker", "1hg")[:2] == (
        0,
        "1HG  4 VINs\n"
        "  CM826        3  year 3 (2003 or 2033); plants: A 2, B 1\n"
        "  EJ826        1  year 3 (2003 or 2033); plants: A 1\n",
    )
    assert run("show", path, "--maker", "1HG", "--year", "2003")[1] == run("show", path, "--maker", "1HG")[1]
    assert run("show", path, "--maker", "1HG", "--year", "2004")[:2] == (1, "")
    assert run("show", path, "--maker", "1HG", "--year", "1066")[:2] == (1, "")
    status, out, err = run("show", path, "--maker", "2HG")
    assert (status, out, err) == (1, "", f"{path} tells nothing of maker 2HG\n")


def test_shows_what_comes_with_vinscribe(run):
    status, out, err = run("show")
    assert (status, err) == (0, "")
    lines = dict(line.split("  ", 1) for line in out.splitlines())
    assert lines["kind"].strip() == "knowledge of vehicles: what makers tell of their VINs"
    assert "NHTSA vPIC" in lines["source"]
    assert set(lines) >= {"date", "sha256", "makers", "schemas", "boxes", "links", "model years"}
    assert run("show", released_path())[1] == out


def test_shows_a_maker(run):
    status, out, err = run("show", "--maker", "1HG", "--year", "2003")
    assert (status, err) == (0, "")
    assert out.startswith("1HG  ")
    assert "CM8" in out
    assert all(line.startswith(("1HG  ", "  ")) and len(line) < 120 for line in out.splitlines())
    status, out, err = run("show", "--maker", "1HG", "--year", "1950")
    assert (status, out) == (1, "")
    assert err == "the knowledge of vinscribe tells nothing of maker 1HG in 1950\n"


def test_shows_makers_that_are_alike(run, tmp_path):
    Knowledge.empty().save(tmp_path / "empty.npz")
    status, _, err = run("show", tmp_path / "empty.npz", "--maker", "1HG")
    assert (status, err) == (1, f"{tmp_path / 'empty.npz'} tells nothing of maker 1HG\n")
    assert run("show", tmp_path / "empty.npz")[0] == 0
    status, out, err = run("show", "--maker", "1A9")
    assert (status, out) == (1, "")
    assert "; it knows 1A9" in err


def test_builds_and_shows(run, tmp_path):
    sqlite_file(tmp_path / "vpic.db")
    status, out, err = run("build", tmp_path / "vpic.db", "-o", tmp_path / "a.npz", "--source", "made\nfor a test")
    assert (status, out) == (0, "")
    assert err.startswith("read: 3 of wmi, 3 of vinschema, 4 of wmi_vinschema, 8 of pattern rows\n  1 schemas have no")
    assert "\ncompiled: 3 makers, 3 schemas, 2 boxes, 11 sets, 4 links, 3 joined rows\n" in err
    status, out, _ = run("show", tmp_path / "a.npz")
    assert (status, out.splitlines()[1].split(maxsplit=1)) == (0, ["source", "made?for a test"])
    assert run("show", tmp_path / "a.npz", "--maker", "1HG")[1] == (
        "1HG  2001-2003  1 pattern; plants: ALM\n"
        "  CM[58][26][345]\n"
        "1HG  2004-2026  1 pattern; plants: not told\n"
        "  GD***\n"
    )  # fmt: skip
    assert run("show", tmp_path / "a.npz", "--maker", "2XY", "--year", 1999)[1] == (
        "2XY  1999-2000  positions 4 to 8 not told; plants: T\n"
    )


def test_writes_sets_as_patterns(run, tmp_path):
    patterns = [(10, "[0-9][2-5A-D][79A][E-GX]*", 28), (10, "[0-9][2-5A-D][79A][E-GX][1-9A-Z]", 28)]
    sqlite_file(tmp_path / "vpic.db", patterns=patterns)
    run("build", tmp_path / "vpic.db", "-o", tmp_path / "a.npz")
    out = run("show", tmp_path / "a.npz", "--maker", "1HG", "--year", 2001)[1]
    assert out.splitlines()[1] == "  [0-9][2-5A-D][79A][EFGX][1-9A-Z]"


WRONG = {
    "no -o": (["learn", "list.txt"], "-o"),
    "no file": (["learn", "-o", "a.npz"], "FILE"),
    "no such list": (["learn", "none.txt", "-o", "a.npz"], "no such file: none.txt"),
    "no such folder": (["learn", "list.txt", "-o", "none/a.npz"], "there is no folder none; make it first"),
    "over the list": (["learn", "list.txt", "-o", "list.txt"], "would write over the list of VINs"),
    "over vPIC": (["build", "vpic.db", "-o", "vpic.db"], "would write over the copy of vPIC"),
    "no such vPIC": (["build", "none.db", "-o", "a.npz"], "no such file: none.db"),
    "no folder for vPIC": (["build", "vpic.db", "-o", "none/a.npz"], "there is no folder none; make it first"),
    "a folder": (["build", "vpic.db", "-o", "."], "is a folder"),
    "year alone": (["show", "--year", "2010"], "give --maker as well"),
    "year that is none": (["show", "--maker", "1HG", "--year", "X"], "invalid int value"),
    "short maker": (["show", "--maker", "1H"], "--maker '1H': give 3 characters"),
    "maker with O": (["show", "--maker", "1HO"], "--maker '1HO'"),
    "maker without 9": (["show", "--maker", "1HG001"], "where the third is 9"),
    "no such knowledge": (["show", "none.npz"], "no such file: none.npz"),
    "damaged knowledge": (["show", "damaged.npz"], "build it anew with vinscribe vehicles build"),
    "nothing to do": ([], "COMMAND"),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG.keys())
def test_mistakes(run, office, monkeypatch, arguments, message):
    monkeypatch.chdir(office)
    sqlite_file(office / "vpic.db")
    (office / "damaged.npz").write_bytes(released_path().read_bytes()[:1000])
    before = {path.name: path.read_bytes() for path in office.iterdir()}
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert {path.name: path.read_bytes() for path in office.iterdir()} == before


def test_files_without_knowledge(run, office):
    (office / "other.txt").write_text("some text\n")
    status, out, err = run("show", office / "other.txt")
    assert (status, out) == (1, "")
    assert "no VIN in" in err
    status, out, err = run("build", office / "other.txt", "-o", office / "a.npz")
    assert (status, out) == (1, "")
    assert "is no dump of vPIC" in err
    assert not (office / "a.npz").exists()


def test_codes_of_years():
    assert [year_code(year) for year in (1979, 1980, 2009, 2010, 2039, 2040)] == [None, "A", "9", "A", "9", None]


def test_the_parser_needs_no_numpy():
    code = (
        "import argparse, sys; from vinscribe import vehicles_command as v;"
        "v.register(argparse.ArgumentParser().add_subparsers()); sys.exit('numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
