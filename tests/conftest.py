"""Settings for all tests."""

import os

# The tests' networks are tiny: more threads only wait for each other, very long if the machine is busy. Set before
# anything imports NumPy or PyTorch; subprocesses inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
