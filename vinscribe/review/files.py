"""Scans on the disk, known by what is in them."""

import hashlib


def file_sha256(path: str) -> str:
    """The SHA-256 of a file in hexadecimal digits. Raises OSError."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
