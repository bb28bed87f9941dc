"""Scans and photographs of drawn cards: what a scanner, a fax machine or a phone makes of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

SCANS = (
    "clean",
    "grey",
    "skewed",
    "turned",
    "noisy",
    "jpeg",
    "bitonal",
    "fax",
    "shadow",
    "phone",
    "faint",
)
"""The kinds of scans: straight as printed; as an office's scanner gives them; askew by up to 5 degrees; turned by 90,
180 or 270 degrees; noisy; with JPEG's blocks; black and white only; faxed; with shadows; photographed; pale."""

_FAX_DPI, _FAX_LINES = 204, (98, 196)
_NOISE_PX = 256
# 0..15 in an order that spreads them; source: Bayer, An optimum method for two-level rendition, 1973.
_BAYER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]], np.float32) / 16

Picture = NDArray[np.uint8]
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Scan:
    """A card's picture on its way.

    Attributes:
        image: uint8 (height, width) or (height, width, 3), BGR.
        matrix: float64 (3, 3): pixels of the printed card -> pixels of this picture.
        dpi: resolution of what is on the picture.
    """

    image: Picture
    matrix: Matrix
    dpi: float


@dataclass(frozen=True)
class Contrasts:
    """What a scanner is set to show: how much darker than what is around it, in grey levels.

    Attributes:
        ink: the handwriting, about.
        lines: of the field; negative where they are brighter than their ground.
    """

    ink: float
    lines: float


def scan_card(image: Picture, dpi: float, kind: str, contrasts: Contrasts, rng: np.random.Generator) -> Scan:
    """Scans a printed card.

    Args:
        image: uint8 (height, width, 3), BGR.
        dpi: of the printed card.
        kind: one of `SCANS`.
        contrasts: pale and black-and-white scans are set so that something of this stays.
        rng: where chance comes from.
    """
    coloured = rng.random() < {"phone": 0.8, "bitonal": 0, "fax": 0}.get(kind, 0.25)
    scan = Scan(image if coloured else _grey(image, 0.0 if kind in ("bitonal", "fax") else 0.2, rng), np.eye(3), dpi)
    if kind != "clean":
        scan = replace(scan, image=_creased(scan.image, rng))
    scan = _photographed(scan, rng) if kind == "phone" else _laid(scan, kind, rng)
    picture = scan.image
    if kind in ("shadow", "phone"):
        picture = _shaded(picture, rng)
    if kind == "faint":
        share, black = max(rng.uniform(0.22, 0.45), min(1, 10 / abs(contrasts.lines))), rng.uniform(0, 60)
        tones = np.clip(255 - (255 - np.arange(256)) * share - black, 0, 255).astype(np.uint8)
        picture = np.asarray(cv2.LUT(picture, tones), np.uint8)
    blur = rng.uniform(0.3, 0.6) if kind == "clean" else rng.uniform(0.35, 0.9)
    picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), blur * max(1, scan.dpi / 250)), np.uint8)
    noise = {"clean": 0.0, "noisy": rng.uniform(9, 20), "phone": rng.uniform(2, 6)}.get(kind, rng.uniform(0.5, 4))
    picture = _noisy(picture, noise, rng)
    if kind == "noisy":
        picture = _dirty(picture, scan.dpi, rng)
    scan = replace(scan, image=picture)
    if kind == "bitonal":
        return replace(scan, image=_black_and_white(scan.image, contrasts, rng))
    if kind == "fax":
        return _faxed(scan, contrasts, rng)
    return scan


def moved(points: NDArray[np.float64], matrix: Matrix) -> NDArray[np.float64]:
    """Points (…, 2) of the printed card, where they are in the scan."""
    mapped = np.concatenate([points, np.ones((*points.shape[:-1], 1))], axis=-1) @ matrix.T
    return np.asarray(mapped[..., :2] / mapped[..., 2:])


def _grey(image: Picture, green_share: float, rng: np.random.Generator) -> Picture:
    """Grey as scanners have it: all light, or, of some, their green lamp alone."""
    if rng.random() >= green_share:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
    return np.ascontiguousarray(image[..., 1])


def _turn(degrees: float, size: tuple[float, float], room: tuple[int, int]) -> Matrix:
    """Turns what is size (width, height) clockwise, from its middle to the middle of the room (width, height)."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    rotation = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    there, back = np.eye(3), np.eye(3)
    there[:2, 2], back[:2, 2] = np.array(room) / 2 - 0.5, 0.5 - np.array(size) / 2
    return np.asarray(there @ rotation @ back)


def _laid(scan: Scan, kind: str, rng: np.random.Generator) -> Scan:
    """As it lies on the scanner's glass."""
    if kind == "clean":
        return scan
    height, width = scan.image.shape[:2]
    askew = float(rng.uniform(1.5, 5) * rng.choice([-1, 1])) if kind == "skewed" else float(rng.normal(0, 0.5))
    quarter = int(rng.integers(1, 4)) if kind == "turned" else 0
    seen = (height, width) if quarter % 2 else (width, height)
    sine = abs(np.sin(np.radians(askew))) * (kind == "skewed")  # a little askew, the corners may be cut
    margin = rng.uniform(0, 0.04) * width
    room = (round(seen[0] + sine * seen[1] + margin), round(seen[1] + sine * seen[0] + margin))
    matrix = _turn(90 * quarter + askew, (width, height), room)
    lid = float(rng.choice([255, 245, 200, 60, 15]))
    return _warped(scan, matrix, room, (lid, lid, lid))


def _photographed(scan: Scan, rng: np.random.Generator) -> Scan:
    """As a phone sees it on a table: from a little aside, with the table around."""
    height, width = scan.image.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    room = (round(width * 1.16), round(height * 1.16))
    seen = moved(corners.astype(float), _turn(float(rng.normal(0, 2)), (width, height), room))
    seen += rng.uniform(-0.035, 0.035, (4, 2)) * [width, height]
    matrix = np.asarray(cv2.getPerspectiveTransform(corners, seen.astype(np.float32)), np.float64)
    table = rng.uniform(30, 170, 3) if rng.random() < 0.5 else np.full(3, rng.uniform(40, 200))
    return _warped(scan, matrix, room, tuple(float(value) for value in table))


def _warped(scan: Scan, matrix: Matrix, room: tuple[int, int], beside: tuple[float, ...]) -> Scan:
    if scan.image.ndim == 2:
        beside = (float(np.mean(beside)),)
    warped = cv2.warpPerspective(
        scan.image, matrix, room, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=beside
    )
    return Scan(np.asarray(warped, np.uint8), matrix @ scan.matrix, scan.dpi)


def _lit(image: Picture, light: NDArray[np.float32]) -> Picture:
    """The picture under light (height, width) of 0 to 1."""
    shade = np.round(light * 255).clip(0, 255).astype(np.uint8)
    if image.ndim == 3:
        shade = np.asarray(cv2.merge([shade] * 3), np.uint8)
    return np.asarray(cv2.multiply(image, shade, scale=1 / 255), np.uint8)


def _shaded(image: Picture, rng: np.random.Generator) -> Picture:
    """Light that falls off, and mostly the edge of a shadow across the card."""
    coarse = np.array([36, 48])
    light = cv2.resize(rng.uniform(0.65, 1, (2, 3)).astype(np.float32), (48, 36), interpolation=cv2.INTER_CUBIC)
    if rng.random() < 0.7:
        turn, at = rng.uniform(0, 2 * np.pi), coarse * rng.uniform(0.25, 0.75, 2)
        rows, columns = np.mgrid[: coarse[0], : coarse[1]]
        side = (rows - at[0]) * np.sin(turn) + (columns - at[1]) * np.cos(turn)
        light = light * (1 - rng.uniform(0.15, 0.42) / (1 + np.exp(-side / rng.uniform(0.3, 4)))).astype(np.float32)
    whole = cv2.resize(light, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return _lit(image, np.asarray(whole, np.float32))


def _creased(image: Picture, rng: np.random.Generator) -> Picture:
    """Now and then folded once."""
    if rng.random() > 0.12:
        return image
    height, width = image.shape[:2]
    light = np.ones((height, width), np.float32)
    at, end = width * rng.uniform(0.3, 0.7, 2)
    points = np.array([[at, 0], [end, height]])
    if rng.random() < 0.5:
        points = points[:, ::-1] * [width / height, height / width]
    dark = float(rng.uniform(0.72, 0.92))
    cv2.polylines(light, [np.round(points * 16).astype(np.int32)], False, dark, max(1, width // 700), cv2.LINE_AA, 4)
    return _lit(image, light)


def _noisy(image: Picture, spread: float, rng: np.random.Generator) -> Picture:
    """With noise of this standard deviation: one tile of it, laid side by side."""
    if not spread:
        return image
    tile = rng.standard_normal((_NOISE_PX, _NOISE_PX), np.float32)
    if rng.random() < 0.5:
        tile = np.asarray(cv2.GaussianBlur(tile, (0, 0), 0.7), np.float32)
    tile = np.round(tile * (spread / tile.std())).astype(np.int16)
    height, width = image.shape[:2]
    noise = np.tile(tile, (height // _NOISE_PX + 1, width // _NOISE_PX + 1))[:height, :width]
    if image.ndim == 3:
        noise = np.asarray(cv2.merge([noise] * 3), np.int16)
    return np.asarray(cv2.add(image, noise, dtype=cv2.CV_8U), np.uint8)


def _dirty(image: Picture, dpi: float, rng: np.random.Generator) -> Picture:
    """With specks, and the streaks that dust on a feeder's glass makes."""
    dirty = image.copy()
    height, width = image.shape[:2]
    for x, y, size in rng.random((int(rng.integers(30, 150)), 3)):
        tone = float(rng.uniform(30, 160))
        radius = max(1, round(size**3 * 0.3 * dpi / 25.4))
        cv2.circle(dirty, (int(x * width), int(y * height)), radius, (tone, tone, tone), -1, cv2.LINE_AA)
    for _ in range(rng.integers(0, 3)):
        x, tone = int(rng.integers(width)), float(rng.uniform(90, 250))
        cv2.line(dirty, (x, 0), (x, height), (tone, tone, tone), 1)
    return dirty


def _black_and_white(image: Picture, contrasts: Contrasts, rng: np.random.Generator) -> Picture:
    """Two tones; pale lines and grounds become dots, as machines do that are set to show them."""
    paper = float(np.percentile(image[::8, ::8], 80))
    if abs(contrasts.lines) >= 90:
        return np.where(image > paper - contrasts.ink * rng.uniform(0.3, 0.55), 255, 0).astype(np.uint8)
    height, width = image.shape
    order = np.tile(_BAYER, (height // 4 + 1, width // 4 + 1))[:height, :width]
    # A ground (lines brighter than it) keeps one pixel in eight, a line most of its pixels.
    base, reach = (0.85, 1.2) if contrasts.lines < 0 else (0.35, 0.6)
    return np.where(image > paper - abs(contrasts.lines) * (base + reach * order), 255, 0).astype(np.uint8)


def _faxed(scan: Scan, contrasts: Contrasts, rng: np.random.Generator) -> Scan:
    """Black and white at 204 columns and 98 or 196 lines an inch, shown with square pixels; now and then a lost line.

    Source: ITU-T T.4, standard and fine resolution.
    """
    height, width = scan.image.shape
    lines = _FAX_LINES[int(rng.random() < 0.7)]
    sent = round(width * _FAX_DPI / scan.dpi), round(height * lines / scan.dpi)
    picture = _black_and_white(
        np.asarray(cv2.resize(scan.image, sent, interpolation=cv2.INTER_AREA), np.uint8), contrasts, rng
    )
    for row in np.flatnonzero(rng.random(sent[1]) < 0.002):
        picture[row] = 255
    shown = (sent[0], round(height * _FAX_DPI / scan.dpi))
    picture = np.asarray(cv2.resize(picture, shown, interpolation=cv2.INTER_NEAREST), np.uint8)
    return Scan(picture, np.diag([shown[0] / width, shown[1] / height, 1.0]) @ scan.matrix, float(_FAX_DPI))
