"""Read the character in each picture of a directory: ``python inference.py DIR``."""

import sys

from vinscribe.cli import inference_main

if __name__ == "__main__":
    sys.exit(inference_main())
