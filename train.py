"""Trains the character classifier on EMNIST, evaluates it, saves model.h5 and model.onnx; see ``train.py --help``."""

import sys

from vinscribe.training.commands import train_main

if __name__ == "__main__":
    sys.exit(train_main())
