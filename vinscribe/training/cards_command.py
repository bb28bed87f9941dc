"""The command ``vinscribe cards``. Only the parser lives at the top: OpenCV is imported when it runs."""

import argparse
from pathlib import Path
from typing import Any

from vinscribe.console import OK, Progress, say

_EXAMPLE = """\
examples:
  vinscribe cards drawn --count 100
  vinscribe cards drawn --count 20 --layout comb --scan phone --negatives 0
"""


def register(subparsers: Any) -> None:
    """Adds the parser of ``cards`` to the command line."""
    cards = subparsers.add_parser(
        "cards",
        help="draw filled-in vehicle record cards, to try the reading of scans with",
        description="Draw filled-in vehicle record cards and scan them, with their truth in OUT/truth.jsonl: a line of "
        "JSON for each card with its file, VIN (null where there is no whole one), layout, scan, dpi, and the corners "
        "of the VIN field and of its 17 cells in pixels. The same seed gives the same bytes.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    cards.add_argument("out", type=Path, metavar="OUT", help="folder for the cards; made if it is not there")
    cards.add_argument("--count", type=int, default=10, metavar="N", help="how many cards (default: 10)")
    cards.add_argument("--seed", type=int, default=0, metavar="S", help="other seeds, other cards (default: 0)")
    cards.add_argument("--layout", metavar="NAME", help="all cards with this kind of VIN field (default: all kinds)")
    cards.add_argument("--scan", metavar="NAME", help="all cards scanned in this way (default: all ways)")
    cards.add_argument(
        "--negatives",
        type=float,
        metavar="SHARE",
        help="of cards without a whole VIN: no field, an empty one, a box left empty, a character struck out "
        "(default: 0.12)",
    )
    cards.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from vinscribe.training.cards import NEGATIVE_SHARE, TRUTH_FILE, write_cards

    negatives = NEGATIVE_SHARE if args.negatives is None else args.negatives
    with Progress(args.count, "cards") as progress:
        for _ in write_cards(args.out, args.count, args.seed, args.layout, args.scan, negatives):
            progress.step()
    say(f"{args.count:,} cards and {TRUTH_FILE} in {args.out}")
    return OK
