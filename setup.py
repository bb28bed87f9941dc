"""Puts the released model into the wheel; everything else is in pyproject.toml.

model.onnx lies at the root of the repository, where ``python inference.py`` finds it. setuptools takes package data
only from inside the package, so the build copies it there.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithModel(build_py):
    """The ordinary build, and model.onnx beside the modules."""

    def run(self):
        """Build, then copy the model; an editable install uses the one at the root."""
        super().run()
        if self.editable_mode:
            return
        model = Path(__file__).parent / "model.onnx"
        if not model.is_file():
            raise FileNotFoundError("model.onnx is missing; python train.py makes it")
        shutil.copy2(model, Path(self.build_lib, "vinscribe", "model.onnx"))


setup(cmdclass={"build_py": BuildWithModel})
