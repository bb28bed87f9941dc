"""Made-up VINs for the benchmark of whole VINs: as plausible as a card that somebody filled in, none of a real vehicle.

Seven in ten are of makers who write a check digit. What is frequent here was set down without regard to the decoder's
own beliefs (`vinscribe.priors`), and differs from them: the decoder must not be measured on what it believes.

Sources: 49 CFR 565.15 (the check digit), ISO 3779 (what the positions are for); maker's codes from `vinscribe.vin`.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from vinscribe.charset import CHARSET, NUM_CLASSES, label_of
from vinscribe.vin import CHECK_POSITION, VIN_LENGTH, YEAR_CODES, YEAR_POSITION, check_labels, known_wmis

Labels = NDArray[np.int64]
Shares = tuple[tuple[tuple[str, ...], float], ...]
"""How a VIN of these makers begins, and their share."""

CHECKED_SHARE = 0.7
"""Of the VINs, those of makers who write a check digit."""
UNKNOWN_SHARE = 0.1
"""Of the VINs, those whose maker's code no list has."""

_EUROPE = tuple("STUVWYZ")
_CHECKED: Shares = ((tuple("12345"), 0.65), (("L",), 0.25), (("J", "K"), 0.10))  # North America, China, export
_UNCHECKED: Shares = ((_EUROPE, 0.5), (("X",), 0.15), (("MA", "MB", "MC", "MD", "ME"), 0.12), (("J", "K"), 0.23))

_DIGITS = np.arange(10)
_FILLER = label_of("Z")
_DESCRIPTOR = slice(3, 8)
_PLANT = 10
_SERIAL = slice(11, VIN_LENGTH)
_COUNTER = slice(13, VIN_LENGTH)  # the serial number's last four, always digits
_FILLED_SHARE = 0.4  # of the European ones: ZZZ in positions 4-6 and Z in 9, as Volkswagen does
_EUROPEAN_YEARS = (0.75, 0.85)  # up to the first a year code, up to the second a 0, above it anything


@dataclass(frozen=True)
class MadeVins:
    """N VINs.

    Attributes:
        labels: int64 (N, 17), class labels.
        checked: bool (N,), whether the maker writes a check digit.
    """

    labels: Labels
    checked: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.labels)

    def texts(self) -> list[str]:
        """As strings of 17 characters."""
        return as_texts(self.labels)


def as_texts(labels: Labels) -> list[str]:
    """Class labels (N, 17) -> N strings."""
    codes = np.frombuffer(CHARSET.encode(), np.uint8)[labels]
    return [row.tobytes().decode() for row in codes]


def make_vins(count: int, rng: np.random.Generator) -> MadeVins:
    """Make VINs, in random order; of each kind the share that is said above, as near as chance has it."""
    checked = rng.random(count) < CHECKED_SHARE
    european = np.zeros(count, bool)
    labels = np.empty((count, VIN_LENGTH), np.int64)
    for writes_one, shares in ((True, _CHECKED), (False, _UNCHECKED)):
        group = rng.choice(len(shares), count, p=[share for _, share in shares])
        for number, (beginnings, _) in enumerate(shares):
            rows = np.flatnonzero((checked == writes_one) & (group == number))
            labels[rows, :3] = _maker_codes(len(rows), beginnings, rng)
            european[rows] = beginnings == _EUROPE
    labels[:, _DESCRIPTOR] = _mixed((count, 5), 0.5, rng)
    labels[:, YEAR_POSITION] = _chosen(YEAR_CODES, count, rng)
    labels[:, _PLANT] = _mixed((count,), 0.4, rng)
    labels[:, _SERIAL] = _mixed((count, 6), 0.85, rng)
    labels[:, _COUNTER] = rng.choice(_DIGITS, (count, 4))
    # Without a check digit the position is free: half the makers count on, the others write what they like.
    labels[:, CHECK_POSITION] = _mixed((count,), 0.5 + 0.5 * 10 / NUM_CLASSES, rng)
    _write_as_europeans(labels, european, rng)
    labels[checked, CHECK_POSITION] = check_labels(labels[checked])
    return MadeVins(labels, checked)


def make_register(truth: MadeVins, share: float, size: int, rng: np.random.Generator) -> list[str]:
    """A list of about ``size`` VINs that holds a share of the true ones and not the rest.

    It is as hard as registers are: they come in families of twenty that differ in the last four digits (and the check
    digit) alone, and each true VIN has such a family, whether it stands in the list itself or not.
    """
    family = 20
    others = make_vins(max(0, size // family - len(truth)), rng)
    labels = np.repeat(np.concatenate([truth.labels, others.labels]), family, axis=0)
    checked = np.repeat(np.concatenate([truth.checked, others.checked]), family)
    labels[:, _COUNTER] = rng.choice(_DIGITS, (len(labels), 4))
    labels[checked, CHECK_POSITION] = check_labels(labels[checked])
    listed = rng.permutation(len(truth)) < round(share * len(truth))
    known = truth.texts()
    missing = {vin for vin, is_listed in zip(known, listed, strict=True) if not is_listed}
    return sorted({*as_texts(labels), *known} - missing)


def _maker_codes(count: int, beginnings: tuple[str, ...], rng: np.random.Generator) -> Labels:
    """(count, 3): maker's codes that begin in one of these ways, each as likely as the next."""
    listed = known_wmis()
    known = sorted(code for code in listed if code.startswith(beginnings))
    rest = ("".join(chars) for chars in product(CHARSET, repeat=3 - len(beginnings[0])))
    possible = [beginning + chars for chars in rest for beginning in beginnings]
    unknown = [code for code in possible if code not in listed and code[:2] not in listed]
    codes = []
    for is_unknown, third in zip(rng.random(count) < UNKNOWN_SHARE, rng.choice(list(CHARSET), count), strict=True):
        pool = unknown if is_unknown else known
        codes.append((pool[rng.integers(len(pool))] + third)[:3])
    return np.array([[label_of(char) for char in code] for code in codes], np.int64).reshape(count, 3)


def _mixed(shape: tuple[int, ...], digit_share: float, rng: np.random.Generator) -> Labels:
    """Labels of digits with this share, of letters otherwise."""
    digits, letters = rng.integers(0, 10, shape), rng.integers(10, NUM_CLASSES, shape)
    return np.where(rng.random(shape) < digit_share, digits, letters)


def _chosen(chars: str, count: int, rng: np.random.Generator) -> Labels:
    return rng.choice(np.array([label_of(char) for char in chars]), count)


def _write_as_europeans(labels: Labels, european: NDArray[np.bool_], rng: np.random.Generator) -> None:
    """Fillers, and position 10 that is not always a year."""
    count = len(labels)
    filled = european & (rng.random(count) < _FILLED_SHARE)
    labels[filled, 3:6] = _FILLER
    labels[filled, CHECK_POSITION] = _FILLER
    year, zero = _EUROPEAN_YEARS
    kind = rng.random(count)
    labels[european & (kind >= year), YEAR_POSITION] = label_of("0")
    free = european & (kind >= zero)
    labels[free, YEAR_POSITION] = rng.integers(0, NUM_CLASSES, int(free.sum()))
