import argparse
import io
import json
import sys

import pytest

from vinscribe.errors import ModelError, UsageError
from vinscribe.knowledge import released
from vinscribe.vin import has_valid_check_digit, valid_slips
from vinscribe.vin_command import register

VIN = "1HGCM82633A004352"


@pytest.fixture
def run(capsys):
    """Runs ``vinscribe vin …``; returns its status, standard output and standard error."""

    def run(*arguments):
        parser = argparse.ArgumentParser()
        register(parser.add_subparsers(required=True))
        args = parser.parse_args(["vin", *arguments])
        return (args.run(args), *capsys.readouterr())

    return run


def pipe(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))


def test_valid_vin(run):
    status, out, err = run(VIN)
    assert (status, err) == (0, "")
    assert out == (
        "1HGCM82633A004352  valid\n"
        "  region       North America\n"
        "  country      United States\n"
        "  maker        Honda\n"
        "  model year   2003\n"
        "  check digit  3, as it should be; required of this maker\n"
        "  descriptor   CM826 is listed for this maker and 2003\n"
        "  plant        A is one of this maker's plants in 2003\n"
        "  slips        VINs with a valid check digit that differ in one character: 3 by look-alikes, 34 by others\n"
        "               JHGCM82633A004352  1 -> J in position 1\n"
        "               1HGLM82633A004352  C -> L in position 4\n"
        "               1HGCM82633A00U352  4 -> U in position 14\n"
    )


def test_missed_check_digit_where_it_is_required(run):
    status, out, err = run("1HGCM82633A004353")
    assert (status, err) == (0, "")
    assert "not valid: wrong check digit" in out
    assert "3, by the rule it would be 5; required" in out


def test_missed_check_digit_where_it_is_not(run):
    status, out, err = run("XTAGFK330JY144213")
    assert (status, err) == (0, "")
    assert "well-formed, without a valid check digit" in out
    assert "this maker's choice" in out
    assert "1988 or 2018, if the maker encodes it" in out


def test_code_without_a_year_or_maker(run):
    _, out, _ = run("1" * 9 + "U" + "1" * 7)
    assert "none that the code can stand for" in out
    assert "unknown (111)" in out


@pytest.mark.parametrize(
    ("code", "rows"),
    [
        (
            "1HGXX8263KZ004352",
            [
                "descriptor   XX826 is not listed for this maker and 1989 or 2019: no such model, or another market",
                "plant        Z is not among this maker's plants in 1989 or 2019",
            ],
        ),
        ("XTAGFK330JY144213", ["models       nothing is known of this maker's models"]),
        ("1HGCM8263UA004352", ["models       nothing is known of this maker in such a model year"]),
    ],
)
def test_what_is_known_of_the_model_is_no_failure(run, code, rows):
    status, out, err = run(code)
    assert (status, err) == (0, "")
    assert [row for row in rows if f"  {row}\n" not in out] == []


def test_damaged_knowledge_is_said_once(run, monkeypatch, tmp_path):
    (tmp_path / "vehicles.npz").write_bytes(b"PK\x03\x04 torn")
    monkeypatch.setattr("vinscribe.knowledge.released_path", lambda: tmp_path / "vehicles.npz")
    released.cache_clear()
    with pytest.raises(ModelError, match="vehicles build"):
        run(VIN, VIN)
    assert run("short")[0] == 1  # nothing is asked of it


def test_malformed_codes_do_not_stop_the_others(run):
    status, out, err = run("1HGCM82633AOO4352", VIN, "short\x1b\n", "XTAGFK330JY144213")
    assert status == 1
    first, second = err.splitlines()
    assert first.startswith("'1HGCM82633AOO4352': no VIN has O, as here in position 12, 13")
    assert first.endswith("; try 1HGCM82633A004352")
    assert second.startswith("'SHORT")
    assert second.endswith("; give the 17 characters of a VIN")
    assert "\x1b" not in err
    assert out.startswith(VIN)
    assert out.count("\n\n") == 1  # an empty line between two, none before or after
    assert "\nXTAGFK330JY144213" in out


def test_jsonl(run):
    status, out, err = run("--format", "jsonl", VIN, "1HGCM82633A00435I", "TMBZZZ00000000000")
    assert status == 1
    assert len(err.splitlines()) == 1
    assert out.isascii()
    good, bad, czech = map(json.loads, out.splitlines())
    assert (good["code"], good["problems"], good["maker"], good["years"]) == (VIN, [], "Honda", [2003])
    assert good["look_alike_slips"] == ["JHGCM82633A004352", "1HGLM82633A004352", "1HGCM82633A00U352"]
    assert sorted(good["look_alike_slips"] + good["other_slips"]) == sorted(valid_slips(VIN))
    assert good["known"] == {"maker": True, "years": [2003], "descriptor": True, "plant": True}
    assert bad["known"] is None
    assert (bad["suggestion"], bad["wmi"], bad["other_slips"]) == ("1HGCM82633A004351", None, [])
    assert len(bad["problems"]) == 1
    assert czech["maker"] == "Škoda"
    assert czech["look_alike_slips"][0] == "TMBZZ300000000000"  # Z -> 3: pairs count either way round
    assert has_valid_check_digit(good["code"]) is good["check_digit_valid"]


def test_standard_input(run, monkeypatch):
    pipe(monkeypatch, f"{VIN.lower()}\r\n\n  {VIN}  ".encode())
    status, out, err = run("--format", "jsonl", "-", "XTAGFK330JY144213")
    assert (status, err) == (0, "")
    assert [json.loads(line)["code"] for line in out.splitlines()] == [VIN, VIN, "XTAGFK330JY144213"]


def test_standard_input_that_is_no_text(run, monkeypatch):
    pipe(monkeypatch, b"\xff\xfe\x00\n" + VIN.encode())
    status, out, err = run("-")
    assert status == 1
    assert len(err.splitlines()) == 1
    assert out.startswith(VIN)


def test_terminal_without_accents(monkeypatch):
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", output)
    parser = argparse.ArgumentParser()
    register(parser.add_subparsers())
    args = parser.parse_args(["vin", "TMBZZZ00000000000"])
    assert args.run(args) == 0
    output.flush()
    assert b"maker        ?koda\n" in output.buffer.getvalue().replace(b"\r\n", b"\n")


def test_without_the_library(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "vininfo", None)
    with pytest.raises(UsageError, match=r"vininfo is not installed; pip install -r requirements\.txt"):
        run(VIN)


def test_unknown_format(run, capsys):
    with pytest.raises(SystemExit):
        run("--format", "xml", VIN)
    assert "invalid choice" in capsys.readouterr().err
