"""The errors that vinscribe raises on purpose.

    VinscribeError
    ├── UsageError      the command or call itself is wrong (exit status 2)
    ├── ImageError      a file is no readable picture
    ├── ModelError      a model file is missing, damaged or of another kind
    ├── DataError       training data is missing, damaged or inconsistent
    │   └── DownloadError   the EMNIST archive could not be fetched whole
    ├── TrainingError   a training run cannot start or go on
    └── StoreError      the review desk's store cannot do what is asked

Every message says what went wrong, the value received, and the way out. Only ``cli.py`` catches them.
"""


class VinscribeError(Exception):
    """Base of all errors that vinscribe raises on purpose."""


class UsageError(VinscribeError):
    """The command or call itself is wrong: an unknown option, a missing directory."""


class ImageError(VinscribeError):
    """A file is no readable picture, or an array no picture of a character."""


class ModelError(VinscribeError):
    """A model file is missing, damaged, or does not fit this version of vinscribe."""


class DataError(VinscribeError):
    """Training data is missing, damaged or inconsistent."""


class DownloadError(DataError):
    """The EMNIST archive could not be fetched whole."""


class TrainingError(VinscribeError):
    """A training run cannot start or go on."""


class StoreError(VinscribeError):
    """The review desk's store cannot do it: a card was given to another desk, or the database is not ours."""
