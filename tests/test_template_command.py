import argparse

import cv2
import pytest
from drawn_forms import FIELD, draw_form, turned

from vinscribe.errors import DataError, ImageError, UsageError
from vinscribe.template import Template
from vinscribe.template_command import register

BOX = ",".join(map(str, FIELD))


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Runs ``vinscribe template make …`` in a folder with scans; returns its status, standard output and error."""
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("empty.png", draw_form())
    cv2.imwrite("filled.png", turned(draw_form(fill=1), 7)[0])
    cv2.imwrite("other.png", draw_form(form=3))
    cv2.imwritemulti("pages.tif", [draw_form(form=3), draw_form()])

    def run(*arguments):
        parser = argparse.ArgumentParser()
        register(parser.add_subparsers(required=True))
        args = parser.parse_args(["template", "make", *arguments])
        return (args.run(args), *capsys.readouterr())

    return run


def test_makes_a_template(run):
    status, out, err = run("empty.png", "--field", BOX)
    assert (status, out) == (0, "")
    assert err.startswith("template.json: field of 17 characters (its boxes were found), ")
    assert Template.load("template.json").kind == "boxes"


def test_several_scans_and_another_name(run):
    status, _, err = run("empty.png", "filled.png", "--field", BOX, "-o", "office.json", "--plain")
    assert status == 0
    assert "office.json: field of 17 characters (cut by ink)" in err
    assert Template.load("office.json").kind == "plain"


def test_page_of_a_file_with_pages(run):
    assert run("pages.tif", "--field", BOX, "--page", "2")[0] == 0
    assert Template.load("template.json").fields(draw_form(fill=1))


def test_is_not_written_over(run):
    run("empty.png", "--field", BOX)
    with pytest.raises(UsageError, match=r"template\.json is there already"):
        run("empty.png", "--field", BOX)


@pytest.mark.parametrize(
    ("arguments", "kind", "complaint"),
    [
        (("empty.png", "--field", "1,2,3"), UsageError, "--field '1,2,3': give four numbers"),
        (("empty.png", "--field", "a,b,c,d"), UsageError, "give four numbers"),
        (("empty.png", "--field", "900,0,400,40"), UsageError, "is not on the page of 1000 x 700 pixels"),
        (("empty.png", "--field", BOX, "--page", "0"), UsageError, "counted from 1"),
        (("empty.png", "--field", BOX, "--page", "2"), UsageError, r"empty\.png has no page 2"),
        (("none.png", "--field", BOX), ImageError, r"none\.png: cannot be read"),
        (("empty.png", "other.png", "--field", BOX), DataError, "scan 2 does not show the same form"),
    ],
)
def test_what_is_wrong_is_said(run, arguments, kind, complaint):
    with pytest.raises(kind, match=complaint):
        run(*arguments)
