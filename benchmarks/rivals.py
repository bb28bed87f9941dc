"""How well RapidOCR and Tesseract read the pictures that vinscribe is measured on, each of them helped.

    apt-get install tesseract-ocr
    python3 -m venv .venv-rivals && .venv-rivals/bin/pip install -r benchmarks/requirements-rivals.txt
    .venv-rivals/bin/python benchmarks/rivals.py --shared ../shared/data --json rivals.json

The file that ``--json`` writes is what ``real_ink.py --rivals`` takes. RapidOCR 3.10 runs the models that its wheel
carries, PP-OCRv6 small, in ONNX Runtime; Tesseract 5 runs the ``eng`` model of the system's package.

The help, beside which vinscribe gets the pictures as they lie:

- Paper and shadow are flattened, box lines and what else touches the edge are removed, ink that is brighter than its
  ground is turned round, and the rest is trimmed: `extract_ink`.
- The ink is scaled and laid on white as each reader likes it best (``RAPIDOCR_FRAME``, ``TESSERACT_FRAME``): the best
  of seven framings for RapidOCR and of ten for Tesseract on up to 208 pictures of each set, so on pictures that count.
  Thicker, paler or blurred strokes, black and white alone, and Tesseract's ``--psm 8`` gave no more.
- I counts as 1, O and Q as 0, a small letter as its capital; of several characters the first one of a VIN counts.
- Tesseract may answer digits and capitals only (its whitelist). RapidOCR knows 18,709 characters and has no whitelist:
  it gets one here (`only_allowed`), and names the likeliest character where it would have answered nothing.
- RapidOCR is told that the picture is one line of text. With its own text detection before that (``--detect``) it
  found the character less often than it helped.
"""

import argparse
import csv
import importlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from ink_sets import NAMES, InkSet, add_arguments, sets_of  # noqa: E402

from vinscribe.charset import is_vin_char  # noqa: E402
from vinscribe.images import read_grey  # noqa: E402
from vinscribe.training.evaluate import wilson_interval  # noqa: E402
