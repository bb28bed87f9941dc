"""The command ``vinscribe template``. Only the parser lives at the top: OpenCV is imported when it runs."""

import argparse
from typing import TYPE_CHECKING, Any

from vinscribe.console import OK, quiet_libraries, say
from vinscribe.errors import ImageError, UsageError

if TYPE_CHECKING:
    from vinscribe.pages import Page

_EXAMPLE = """\
examples:
  vinscribe template make empty.png --field 118,402,1190,74
  vinscribe template make card1.png card2.png card3.png --field 118,402,1190,74 -o office.json
  vinscribe template make scan.pdf --page 3 --field 90,310,900,60 --plain -o office.json
then:
  vinscribe read scans --template office.json
"""


def register(subparsers: Any) -> None:
    """Adds the parser of ``template`` to the command line."""
    template = subparsers.add_parser(
        "template",
        help="mark once where the VIN is on an office's card",
        description="Mark once where the VIN field is on cards that are all printed alike. Reading with the template "
        "lays every scan over it, turned, shifted or scaled, and looks nowhere else.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = template.add_subparsers(title="commands", metavar="COMMAND", required=True)
    make = commands.add_parser(
        "make",
        help="make a template of a scan",
        description="Make a template of a scan on which the VIN field is marked. Best is the scan of an empty card; of "
        "cards that are filled in, give several: what is on all of them is printed.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    make.add_argument("scans", nargs="+", metavar="SCAN", help="the field is marked on the first one")
    make.add_argument(
        "--field",
        required=True,
        metavar="X,Y,W,H",
        help="left, top, width and height of the field in pixels of the page; PDF pages are drawn at 200 dpi",
    )
    make.add_argument("--page", type=int, default=1, metavar="N", help="of every scan, this page (default: 1)")
    make.add_argument("--count", type=int, default=17, metavar="N", help="characters in the field (default: 17)")
    make.add_argument("--plain", action="store_true", help="the field has no boxes: characters are cut by their ink")
    make.add_argument(
        "--turned",
        type=int,
        choices=(0, 90, 180, 270),
        default=0,
        metavar="DEGREES",
        help="how far the card was turned clockwise on the first scan: 90, 180 or 270 (default: 0)",
    )
    make.add_argument("-o", "--out", default="template.json", metavar="FILE", help="default: template.json")
    make.set_defaults(run=_run_make)


def _run_make(args: argparse.Namespace) -> int:
    box = _box(args.field)
    if args.page < 1:
        raise UsageError(f"--page {args.page}: pages are counted from 1")
    try:
        from vinscribe.template import Template
    except ModuleNotFoundError as error:
        raise UsageError(f"{error.name} is not installed; pip install -r requirements.txt") from error
    with quiet_libraries():
        first, *more = [_page(path, args.page).image for path in args.scans]
        template = Template.made(first, box, count=args.count, plain=args.plain, turned=args.turned, more=more)
    template.save(args.out)
    cells = {"boxes": "its boxes were found", "equal": "no boxes were found, so equally wide", "plain": "cut by ink"}
    say(
        f"{args.out}: field of {args.count} characters ({cells[template.kind]}), "
        f"{len(template.landmarks.points)} landmarks of the form"
    )
    return OK


def _box(text: str) -> tuple[float, float, float, float]:
    try:
        x, y, width, height = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--field {text!r}: give four numbers, left,top,width,height, as in 118,402,1190,74") from None
    return x, y, width, height


def _page(path: str, number: int) -> "Page":
    """A page of a scan; the error of a scan that cannot be read names it."""
    from vinscribe.pages import BrokenPage, read_pages

    try:
        for page in read_pages(path):
            if page.number == number:
                if isinstance(page, BrokenPage):
                    raise page.error
                return page
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from None
    raise UsageError(f"{path} has no page {number}; give another --page")
