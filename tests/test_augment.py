"""augment.py, boxes.py, glyphs.py: repeatable, legible, of every kind."""

from dataclasses import fields, replace

import cv2
import numpy as np
import pytest
from emnist_archive import glyphs as drawn_glyphs
from numpy.typing import NDArray

from vinscribe.cells import normalise
from vinscribe.charset import CHARSET, ILLEGIBLE, label_of
from vinscribe.training.augment import _ILLEGIBLE, AugmentSettings, bare, render
from vinscribe.training.boxes import draw_dirt, draw_lines, draw_paper, grain
from vinscribe.training.glyphs import Glyphs, ImageGlyphs, PenGlyphs, Placement, StrokeGlyphs, draw_strokes

NOTHING = AugmentSettings(**{field.name: 0.0 for field in fields(AugmentSettings)})
LABELS = np.array([label_of(char) for char in CHARSET])
STROKES = [[np.array([[0, 0], [0.4, 0.9]], np.float32), np.array([[0.4, 0], [0, 0.8]], np.float32)]] * 33


def images() -> ImageGlyphs:
    return ImageGlyphs(drawn_glyphs(CHARSET, seed=0), LABELS)


SOURCES: dict[str, Glyphs] = {"images": images(), "strokes": StrokeGlyphs(STROKES, LABELS), "pen": PenGlyphs()}


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest) -> Glyphs:
    return SOURCES[request.param]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def rendered(
    source: Glyphs, settings: AugmentSettings, count: int, seed: int = 0
) -> list[tuple[NDArray[np.uint8], int]]:
    generator = rng(seed)
    return [render(source, int(generator.integers(33)), settings, generator) for _ in range(count)]


def test_the_same_state_gives_the_same_picture(source: Glyphs) -> None:
    first, again, other = (rendered(source, AugmentSettings(), 20, seed) for seed in (0, 0, 1))
    for (picture, label), (same, same_label) in zip(first, again, strict=True):
        np.testing.assert_array_equal(picture, same)
        assert label == same_label
    assert any(a.shape != b.shape or (a != b).any() for (a, _), (b, _) in zip(first, other, strict=True))


def test_pictures_are_grey_and_of_the_sizes_promised(source: Glyphs) -> None:
    shapes = set()
    for picture, label in rendered(source, AugmentSettings(), 150):
        assert picture.dtype == np.uint8
        assert 16 <= max(picture.shape) <= 140
        assert 0 <= label <= ILLEGIBLE
        shapes.add(picture.shape)
    aspects = [width / height for height, width in shapes]
    assert min(aspects) < 0.65
    assert max(aspects) > 1.4


def test_all_settings_zero_is_ink_on_even_paper_and_all_of_it_is_there() -> None:
    for picture, label in rendered(SOURCES["pen"], NOTHING, 60):
        assert label < ILLEGIBLE
        assert np.median(picture) > 90  # paper
        cell = normalise(picture)
        assert cell.max() > 80
        assert (cell > 64).mean() < 0.6


def test_the_label_is_the_characters(source: Glyphs) -> None:
    generator = rng()
    for index in range(33):
        assert render(source, index, replace(AugmentSettings(), illegible=0.0), generator)[1] == LABELS[index]


def test_a_share_is_illegible_and_labelled_so(source: Glyphs) -> None:
    labels = [label for _, label in rendered(source, replace(AugmentSettings(), illegible=0.5), 200)]
    assert 60 <= labels.count(ILLEGIBLE) <= 140
    assert {label for _, label in rendered(source, replace(AugmentSettings(), illegible=1.0), 30)} == {ILLEGIBLE}


@pytest.mark.parametrize("kind", set(_ILLEGIBLE), ids=lambda kind: kind.__name__)
def test_each_illegible_kind_differs_from_its_character(kind) -> None:
    for seed in range(20):
        ink = kind(SOURCES["pen"], 3, (72, 60), rng(seed))
        assert ink.shape == (72, 60)
        assert ink.dtype == np.uint8
    if kind.__name__ != "_blank":
        assert ink.any()


@pytest.mark.parametrize(("name", "least"), [("inverted", 0.95), ("fax", 0.9), ("boxed", 0.9), ("neighbours", 0.6)])
def test_each_setting_does_what_it_says(name: str, least: float) -> None:
    seen = []
    for seed in range(40):
        plain, _ = render(SOURCES["pen"], 5, NOTHING, rng(seed))
        changed, _ = render(SOURCES["pen"], 5, replace(NOTHING, **{name: 1.0}), rng(seed))
        if name == "inverted":
            seen.append(np.median(changed) < 128 < np.median(plain))
        elif name == "fax":
            seen.append(set(np.unique(changed)) <= {0, 255})
        else:
            seen.append(plain.shape != changed.shape or bool((plain != changed).any()))
    assert np.mean(seen) >= least


def test_jpeg_leaves_its_noise() -> None:
    settings = replace(NOTHING, fax=1.0)
    levels = [len(np.unique(picture)) for picture, _ in rendered(SOURCES["pen"], replace(settings, jpeg=1.0), 30)]
    assert np.median(levels) > 10  # two without JPEG


def test_bare_pictures_keep_their_character() -> None:
    source = images()
    generator = rng()
    for index in range(33):
        original = source.images[index]
        ink = original.astype(float).sum()
        for _ in range(4):
            picture = bare(original, generator)
            assert picture.shape == (28, 28)
            assert 0.5 * ink < picture.astype(float).sum() < 1.7 * ink
            overlap = np.minimum(cv2.dilate(original, np.ones((7, 7))), picture).astype(float).sum()
            assert overlap > 0.6 * picture.astype(float).sum()
    assert (bare(source.images[3], generator) != bare(source.images[3], generator)).any()


def test_bare_is_only_for_pictures_that_are_so_by_nature() -> None:
    always = replace(NOTHING, bare=1.0)
    assert {picture.shape for picture, _ in rendered(SOURCES["images"], always, 10)} == {(28, 28)}
    assert (28, 28) not in {picture.shape for picture, _ in rendered(SOURCES["strokes"], always, 10)}


def test_characters_stay_in_the_cell_at_every_size(source: Glyphs) -> None:
    """Ink may touch the edge, but most of the character is never outside."""
    heights = []
    for seed in range(80):
        generator = rng(seed)
        _, width, height = source.extent(seed % 33, generator)
        assert max(width, height) == pytest.approx(1, abs=1e-3)
        picture, _ = render(source, seed % 33, NOTHING, rng(seed))
        paper = np.median(picture)
        _, _, _, ink_height = cv2.boundingRect((picture < paper - 0.5 * (paper - picture.min())).astype(np.uint8))
        heights.append(ink_height / len(picture))
    assert min(heights) < 0.45
    assert 0.8 < max(heights) <= 1


def test_the_pen_is_as_wide_as_asked_for() -> None:
    matrix = np.array([[40.0, 0, 30], [0, 40, 30]])
    line = [np.array([[0, -0.5], [0, 0.5]])]
    for pen_px in (0.7, 1, 1.7, 3, 5, 8):
        ink = draw_strokes(line, (60, 60), Placement(matrix, 40, pen_px))
        assert ink[30].astype(float).sum() / 255 == pytest.approx(pen_px, abs=0.6)
    hair = draw_strokes(line, (60, 60), Placement(matrix, 40, 0.3))
    assert 30 < hair.max() < 128


def test_emnist_strokes_become_thinner_and_thicker() -> None:
    source = images()
    index = CHARSET.index("H")
    character, _, _ = source.extent(index, rng())
    matrix = np.array([[50.0, 0, 36], [0, 50, 36]])
    covered = [
        source.draw(character, (72, 72), Placement(matrix, 50, pen_px), rng()).astype(float).mean()
        for pen_px in (2, 6, 14)
    ]
    assert covered[0] * 1.1 < covered[1]
    assert covered[1] * 1.2 < covered[2]


def test_lines_dirt_paper_and_grain() -> None:
    kinds = [draw_lines((72, 64), rng(seed)) for seed in range(100)]
    shares = [float((lines > 0).mean()) for lines in kinds]
    assert sum(share > 0 for share in shares) > 80
    assert np.median(shares) < 0.4
    assert len({lines.tobytes() for lines in kinds if lines.any()}) > 80
    middle = [lines[24:48, 22:42].mean() / 255 for lines in kinds]
    assert np.mean(middle) < 0.1  # lines are around the character, seldom across it
    assert 0 < (draw_dirt((72, 64), rng()) > 0).mean() < 0.2
    papers = [draw_paper((72, 64), rng(seed)) for seed in range(100)]
    assert all(paper.shape == (72, 64) and paper.dtype == np.float32 for paper in papers)
    assert min(float(paper.min()) for paper in papers) > 30
    assert max(float(paper.max()) for paper in papers) <= 255
    noise = np.concatenate([grain((72, 64), rng(seed)).ravel() for seed in range(50)])
    assert abs(noise.mean()) < 0.2
    assert 0.7 < noise.std() < 1.3
