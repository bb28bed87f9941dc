"""The review desk's side of the command line: ``vinscribe review``.

Only the parser lives at the top: the web framework and the database are imported when the command runs.
"""

import argparse
from typing import Any

from vinscribe.errors import UsageError
from vinscribe.read_command import add_reading_arguments

PORT = 8017

_EXAMPLE = """\
examples:
  vinscribe review scans
  vinscribe review scans --database postgresql+psycopg://office@server/cards --host 0.0.0.0
"""


def register(subparsers: Any) -> None:
    """Adds the parser of ``review`` to the command line."""
    review = subparsers.add_parser(
        "review",
        help="let people settle, in the browser, what the reader doubts",
        description="Read the new scans of an archive in the background, and serve a page on which people settle the "
        "VINs that may be wrong. It is on this computer only, unless --host says otherwise.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    review.add_argument("archives", nargs="*", metavar="ARCHIVE", help="scans, or folders of scans")
    review.add_argument(
        "--database",
        metavar="URL|FILE",
        help="an SQLite file, or postgresql+psycopg://… (default: .vinscribe/cards.db in the first archive)",
    )
    review.add_argument(
        "--host", default="127.0.0.1", help="address to listen at; beyond this computer a token is demanded"
    )
    review.add_argument("--port", type=int, default=PORT, help=f"0 takes a free one (default: {PORT})")
    review.add_argument("--no-browser", action="store_true", help="do not open the page in a browser")
    review.add_argument(
        "--audit-share",
        type=float,
        default=0.02,
        metavar="P",
        help="share of accepted VINs that people are asked for all the same, unawares, to measure the error of "
        "automatic acceptance (default: 0.02)",
    )
    review.add_argument(
        "--double-share",
        type=float,
        default=0.0,
        metavar="P",
        help="share of the VINs in the queue that two people must settle alike (default: 0)",
    )
    review.add_argument(
        "--template", metavar="FILE", help="where the VIN is on these scans, by vinscribe template make"
    )
    add_reading_arguments(review)
    review.add_argument("--workers", type=int, metavar="N", help="processes that read (default: all cores but one)")
    review.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    try:
        from vinscribe.review.serve import serve
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("vinscribe"):
            raise
        raise UsageError(f"{error.name} is not installed; pip install -r requirements-review.txt") from error
    return serve(args)
