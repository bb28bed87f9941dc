"""vinscribe reads handwritten vehicle identification numbers (VINs) from scanned record cards.

>>> from vinscribe import Reader
>>> Reader().classify([image])                                         # doctest: +SKIP
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = ["CharacterReading", "Reader", "VinReading", "__version__"]

if TYPE_CHECKING:
    from vinscribe.decode import VinReading
    from vinscribe.reader import CharacterReading, Reader


def __getattr__(name: str) -> object:
    # Loaded when first asked for: `vinscribe --help` and the training code do without OpenCV and ONNX Runtime.
    if name in ("CharacterReading", "Reader"):
        from vinscribe import reader

        return getattr(reader, name)
    if name == "VinReading":
        from vinscribe.decode import VinReading

        return VinReading
    raise AttributeError(f"module 'vinscribe' has no attribute {name!r}")
