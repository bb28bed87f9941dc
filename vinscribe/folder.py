"""A folder that whole files are put into, on a disk or in an object store."""

import os
import secrets
from pathlib import Path

from vinscribe.addresses import filesystem, is_address, told, without_scheme
from vinscribe.errors import UsageError, VinscribeError

_UNFINISHED = ".unfinished-"


class Folder:
    """A folder that whole files are put into; can be pickled.

    Args:
        path: on a disk, or an address.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._local = without_scheme(path)

    def names(self) -> list[str]:
        """Of the files in it, sorted; none if it is not there.

        Raises:
            UsageError: it cannot be listed.
        """
        try:
            if not is_address(self._local):
                return sorted(os.listdir(self._local))
            system, path = filesystem(self._local)
            found = [str(entry["name"]).rpartition("/")[2] for entry in system.ls(path, detail=True)]
        except FileNotFoundError:
            if is_address(self._local):
                self._check_bucket()
            return []
        except UsageError:
            raise
        except Exception as error:
            raise UsageError(f"{self.path} cannot be listed: {told(error)}; give another place") from None
        return sorted(name for name in found if name)

    def read(self, name: str) -> bytes:
        """What is in a file. Raises UsageError."""
        try:
            if not is_address(self._local):
                with open(os.path.join(self._local, name), "rb") as file:
                    return file.read()
            system, path = filesystem(self._local)
            data: bytes = system.cat_file(f"{path.rstrip('/')}/{name}")
        except UsageError:
            raise
        except Exception as error:
            raise UsageError(f"{name} in {self.path} cannot be read: {told(error)}; put that right") from None
        return data

    def write(self, name: str, data: bytes) -> None:
        """Put a file there, whole or not at all, over one of that name. Raises VinscribeError."""
        try:
            if is_address(self._local):
                system, path = filesystem(self._local)
                system.pipe_file(f"{path.rstrip('/')}/{name}", data)  # one object, which appears when all is there
            else:
                self._write_on_disk(name, data)
        except UsageError:
            raise
        except Exception as error:
            raise VinscribeError(
                f"cannot write to {self.path}: {told(error)}; put that right, then go on with --resume"
            ) from None

    def make(self) -> None:
        """Make the folder if it is not there, and take away what a killed process left of a file. Raises UsageError."""
        if is_address(self._local):
            return  # object stores have no folders
        try:
            Path(self._local).mkdir(parents=True, exist_ok=True)
            for name in os.listdir(self._local):
                if name.startswith(_UNFINISHED):
                    Path(self._local, name).unlink()
        except OSError as error:
            raise UsageError(f"cannot write to {self.path}: {told(error)}; give another place") from None

    def _write_on_disk(self, name: str, data: bytes) -> None:
        unfinished = os.path.join(self._local, f"{_UNFINISHED}{secrets.token_hex(4)}-{name}")
        with open(unfinished, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(unfinished).replace(Path(self._local, name))

    def _check_bucket(self) -> None:
        """Raises UsageError if not even the bucket is there."""
        system, path = filesystem(self._local)
        bucket = path.strip("/").partition("/")[0]
        try:
            there = system.exists(bucket)
        except Exception as error:
            raise UsageError(f"{self.path} cannot be reached: {told(error)}; give another place") from None
        if not there:
            raise UsageError(f"{self.path}: there is no {bucket}; make it first, or give another place")
