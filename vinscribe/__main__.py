"""``python -m vinscribe``: the command line."""

import sys

from vinscribe.cli import main

if __name__ == "__main__":
    sys.exit(main())
