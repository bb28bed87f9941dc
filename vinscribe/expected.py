"""The list of VINs that an office already knows: its register, the insurer's book, the day's deliveries.

A list is a text file with one VIN a line, or a table whose header names a column ``vin``; see `vinscribe.vin_lists`.
"""

import os
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from vinscribe.errors import DataError
from vinscribe.vin import VIN_LENGTH
from vinscribe.vin_lists import distinct, load_vins, parse_vins, vin_keys

_SLACK = 1 - 1e-9  # more than products that are multiplied in another order can differ by


class ExpectedVins:
    """VINs that are known already, ready to be compared with readings. Made by `load` or `of`.

    The sorted list is a tree of prefixes: those of length 1 are the root's children, those of length 17 the VINs.

    Attributes:
        labels: uint8 (M, 17), class labels, sorted lexicographically, without duplicates.
        notes: what was left out, in words, for standard error.
    """

    def __init__(self, labels: NDArray[np.uint8], notes: tuple[str, ...] = ()) -> None:
        self.labels: NDArray[np.uint8] = distinct(labels)
        self._keys = vin_keys(self.labels)
        self.notes = notes
        self._chars, self._children = _tree(self.labels)

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "ExpectedVins":
        """Read a file, see the top of `vinscribe.vin_lists`.

        Raises:
            UsageError: no such file.
            DataError: it cannot be read, is no text, is damaged, or holds no VIN.
        """
        return cls(*load_vins(path, "the expected VINs"))

    @classmethod
    def of(cls, vins: Iterable[str]) -> "ExpectedVins":
        """A list of these VINs, written as in a file.

        Raises:
            DataError: none of them is a VIN.
        """
        labels, note = parse_vins(vins)
        if not len(labels):
            raise DataError(f"no VIN among those expected: {note or 'there are none'}; give one at least")
        return cls(labels, (f"expected VINs: {note}",) if note else ())

    def contains(self, labels: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Whether VINs, class labels (N, 17), are on the list: bool (N,)."""
        keys = vin_keys(labels)
        rows = np.searchsorted(self._keys, keys).clip(max=len(self) - 1)
        return np.asarray(self._keys[rows] == keys, np.bool_)

    def near(self, factors: NDArray[np.float64], least: float) -> NDArray[np.int64]:
        """All VINs on the list whose product of factors, one a position, is at least ``least``.

        The tree is gone down level by level. A prefix is dropped as soon as not even the best of all characters at the
        positions behind it would lift its product to ``least``, so the answer is exact.

        Args:
            factors: float64 (17, 33), at least 0: what each character is worth at each position.
            least: what a VIN must be worth.

        Returns:
            int64 (k,), the rows of ``labels``, rising.
        """
        best_behind = np.append(factors.max(1)[::-1].cumprod()[::-1], 1.0)
        nodes, products = np.zeros(1, np.int64), np.ones(1)
        for position in range(VIN_LENGTH):
            first = self._children[position][nodes].astype(np.int64)
            counts = self._children[position][nodes + 1] - first
            ends = counts.cumsum()
            # The children of one node follow each other: its first, and how far behind it.
            nodes = np.repeat(first - ends + counts, counts) + np.arange(ends[-1])
            products = np.repeat(products, counts) * factors[position][self._chars[position][nodes]]
            alive = products * best_behind[position + 1] >= least * _SLACK
            nodes, products = nodes[alive], products[alive]
            if not len(nodes):
                break
        return nodes[products >= least]


def _tree(labels: NDArray[np.uint8]) -> tuple[list[NDArray[np.uint8]], list[NDArray[np.int32]]]:
    """The tree of prefixes of sorted VINs (M, 17), the nodes of each level numbered from 0.

    Returns:
        For each position, the characters there, one for each prefix that ends with it; and for each prefix before it,
        the number of its first child, with one more number at the end. Of the last level, the numbers are the rows.
    """
    differs_from = (labels[1:] != labels[:-1]).argmax(1)  # the first position where a VIN differs from the one before
    chars, children = [], []
    starts = np.zeros(1, np.int64)  # rows where the prefixes of the level above begin
    for position in range(VIN_LENGTH):
        begins = np.append(True, differs_from <= position)
        number = begins.cumsum(dtype=np.int32) - np.int32(1)
        children.append(np.append(number[starts], number[-1] + np.int32(1)))
        starts = begins.nonzero()[0]
        chars.append(labels[starts, position])
    return chars, children
