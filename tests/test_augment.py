"""augment.py, boxes.py, glyphs.py: repeatable, legible, of every kind."""

from dataclasses import fields, replace

import cv2
import numpy as np
import pytest
from emnist_archive import glyphs as drawn_glyphs
from numpy.typing import NDArray

from vinscribe.cells import normalise
from vinscribe.charset import CHARSET, ILLEGIBLE, label_of
from vinscribe.training.augment import (
    _ILLEGIBLE,
    AugmentSettings,
    _crossed_out,
    _cut_out,
    _defocused,
    _disc_kernel,
    _motion_kernel,
    _slash,
    _wave,
    bare,
    render,
)
from vinscribe.training.boxes import draw_dirt, draw_light, draw_lines, draw_paper, grain
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
            seen.append(abs(np.median(changed) + np.median(plain) - 255) < 2)
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


def ink_of(picture: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    return tuple(cv2.boundingRect(cv2.threshold(picture, 64, 255, cv2.THRESH_BINARY)[1]))


def test_a_picture_is_cut_out_without_a_margin() -> None:
    squares = cuts = 0
    for seed in range(8):
        for number, image in enumerate(SOURCES["images"].images):
            x, y, width, height = ink_of(image)
            cut = _cut_out(image, rng(100 * seed + number))
            if cut is image:  # mostly ink
                assert np.median(image[y : y + height, x : x + width]) > 0
                continue
            squares, cuts = squares + (cut.shape == image.shape), cuts + 1
            if cut.shape == image.shape:
                width, height = (28 * side / (side + 2) for side in (width, height))  # with a pixel on both sides
            found_x, found_y, found_width, found_height = ink_of(cut)
            assert found_width >= 0.85 * width
            assert found_height >= 0.85 * height
            most = 4 if cut.shape == image.shape else 1  # a pixel that was enlarged
            assert max(found_x, found_y) <= most
            assert max(cut.shape[1] - found_x - found_width, cut.shape[0] - found_y - found_height) <= most
            if cut.shape != image.shape:
                top, left = (y - found_y, x - found_x)
                np.testing.assert_array_equal(cut, image[top : top + cut.shape[0], left : left + cut.shape[1]])
    assert cuts > 4 * 33
    assert 0.35 < squares / cuts < 0.6


def test_a_plain_one_is_never_cut_to_a_block() -> None:
    for thickness in (2, 3, 4):
        one = np.zeros((28, 28), np.uint8)
        one[4:24, 12 : 12 + thickness] = 255
        for seed in range(40):
            cut = _cut_out(one, rng(seed))
            assert np.median(cut) < 128  # or it would be taken for paper
            assert cut is one or cut.shape[1] <= thickness + 2


def test_specks_are_not_cut_out() -> None:
    for size in (0, 1, 8):
        speck = np.zeros((28, 28), np.uint8)
        speck[10 : 10 + size, 10 : 10 + size] = 255
        assert _cut_out(speck, rng()) is speck


def test_a_share_of_bare_pictures_is_cut_out() -> None:
    image = SOURCES["images"].images[label_of("7")]
    shapes = [[bare(image, rng(seed), cut).shape for seed in range(200)] for cut in (0.0, 0.5, 1.0)]
    others = [np.mean([shape != (28, 28) for shape in some]) for some in shapes]
    assert others[0] == 0
    assert 0.15 < others[1] < 0.35
    assert 0.35 < others[2] < 0.65


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


def test_light_falls_off_smoothly_and_is_never_out() -> None:
    lights = [draw_light((72, 50), rng(seed)) for seed in range(100)]
    assert all(light.shape == (72, 50) and light.dtype == np.float32 for light in lights)
    assert min(float(light.min()) for light in lights) > 0.29
    assert max(float(light.max()) for light in lights) <= 1
    assert np.median([np.ptp(light) for light in lights]) > 0.35
    steps = [max(np.abs(np.diff(light, axis=axis)).max() for axis in (0, 1)) for light in lights]
    assert max(steps) < 0.7
    assert np.median(steps) < 0.2


def test_uneven_light_darkens_a_part_of_the_cell() -> None:
    ranges = []
    for settings in (NOTHING, replace(NOTHING, uneven=1.0)):
        pictures = [picture for picture, _ in rendered(SOURCES["pen"], settings, 60)]
        ranges.append(np.median([np.ptp(cv2.medianBlur(picture, 15).astype(int)) for picture in pictures]))
    assert ranges[1] > ranges[0] + 20


def test_small_characters_are_a_quarter_of_the_height_or_less_and_stand_low() -> None:
    heights, middles, aspects = [], [], []
    for seed in range(120):
        picture, label = render(SOURCES["pen"], seed % 33, replace(NOTHING, small=1.0), rng(seed))
        assert label == seed % 33
        aspects.append(picture.shape[0] / picture.shape[1])
        darker = np.maximum(cv2.medianBlur(picture, 31).astype(int) - picture, 0)
        _, y, _, height = cv2.boundingRect((darker > 0.5 * darker.max()).astype(np.uint8))
        heights.append(height)
        middles.append((y + height / 2) / len(picture))
    assert np.percentile(heights, 5) >= 7
    assert 10 <= np.median(heights) < 0.27 * 72  # with the pen's width
    assert np.percentile(heights, 75) < 0.33 * 72  # dirt and shadows are measured now and then
    assert np.mean(np.array(middles) > 0.5) > 0.65
    assert 1.1 < min(aspects) < 1.4
    assert 1.9 < max(aspects) < 2.25


def written_line(pen_px: float) -> NDArray[np.float32]:
    """A dark upright line of this width on grey paper: float32 (72, 72)."""
    ink = np.clip(pen_px / 2 + 0.5 - np.abs(np.arange(72) - 35.5), 0, 1)
    return np.tile(220 - 150 * ink, (72, 1)).astype(np.float32)


def width_at_half_depth(row: NDArray[np.float32]) -> float:
    fine = np.interp(np.linspace(0, 71, 7101), np.arange(72), row)
    return float((fine < (row.max() + row.min()) / 2).sum() / 100)


def test_defocus_widens_strokes_and_says_what_contrast_is_left() -> None:
    factors = []
    for seed in range(80):
        line = written_line(4)
        blurred, contrast = _defocused(line, 150, 60, 4, rng(seed))
        assert blurred.shape == line.shape
        assert blurred.dtype == np.float32
        row = blurred[36]
        factors.append(width_at_half_depth(row) / width_at_half_depth(line[36]))
        assert contrast >= 32
        assert np.ptp(row) > 0.75 * contrast
    assert min(factors) > 0.95  # shaken along the line, it stays as it is
    assert 1.3 < np.median(factors) < 2.6
    assert 2.2 < max(factors) < 3.6


def test_nothing_is_blurred_that_would_be_lost() -> None:
    line = written_line(2)
    for seed in range(20):
        assert _defocused(line, 30, 60, 1, rng(seed))[0] is line  # too pale
        assert _defocused(line, 150, 10, 3, rng(seed))[0] is line  # too small


@pytest.mark.parametrize("px", [1.5, 2.0, 3.3, 8.0, 15.0])
def test_kernels_keep_the_brightness(px: float) -> None:
    for kernel in (_disc_kernel(px), _motion_kernel(px, 0.7), _motion_kernel(px, 0.0)):
        assert kernel.dtype == np.float32
        assert kernel.shape[0] == kernel.shape[1]
        assert kernel.shape[0] % 2 == 1
        assert kernel.sum() == pytest.approx(1, abs=1e-5)
        assert kernel.min() >= 0
        np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-6)  # nothing is moved


def test_a_slash_goes_from_corner_to_corner_and_never_like_a_leaning_one() -> None:
    for seed in range(60):
        for width in (40, 56, 72, 120):
            ink = _slash(SOURCES["pen"], 0, (72, width), rng(seed))
            _, _, ink_width, height = cv2.boundingRect(ink)
            assert ink_width > 0.75 * width
            assert height > 0.75 * 72
            rises = int(ink[:36, width // 2 :].sum()) > int(ink[:36, : width // 2].sum())
            assert width >= 0.8 * 72 or not rises


@pytest.mark.parametrize(("char", "lines"), [("7", 2), ("1", 2), ("C", 2), ("8", 1), ("N", 1)])
def test_lines_through_a_character_reach_over_it(char: str, lines: int) -> None:
    """One alone would make a crossed 7 of a 7, and an E of a C."""
    index, counts = CHARSET.index(char), []
    for seed in range(40):
        ink = _crossed_out(SOURCES["pen"], index, (72, 129), rng(seed))
        x, _, width, _ = cv2.boundingRect(ink)
        assert width > 20
        edge = ink[:, x + width // 10] > 60
        counts.append(np.count_nonzero(np.diff(edge.astype(int)) == 1))
    assert np.median(counts) == lines


def test_a_wave_has_three_periods_or_more() -> None:
    lone = 0
    for seed in range(40):
        ink = _wave(SOURCES["pen"], 3, (72, 72), rng(seed))
        if cv2.boundingRect(ink)[3] > 36:  # over a character
            continue
        lone += 1
        middle = [np.average(np.arange(72), weights=ink[:, x]) for x in range(72) if ink[:, x].any()]
        assert len(middle) > 50
        assert np.count_nonzero(np.diff(np.sign(np.array(middle) - np.median(middle)))) >= 4
    assert lone > 8
