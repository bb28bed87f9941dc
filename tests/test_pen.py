"""The stroke alphabet and the pen."""

import numpy as np
import pytest

from vinscribe.charset import CHARSET
from vinscribe.errors import UsageError
from vinscribe.training import pen
from vinscribe.training.alphabet import ALPHABET, Variant, variant_of
from vinscribe.training.pen import Hand, draw, write

EVERY_VARIANT = [(char, variant.name) for char in CHARSET for variant in ALPHABET[char]]


def rng(seed=0):
    return np.random.default_rng(seed)


def test_alphabet_has_the_vin_characters():
    assert list(ALPHABET) == list(CHARSET)
    for char, variants in ALPHABET.items():
        names = [variant.name for variant in variants]
        assert len(set(names)) == len(names), char
        assert len(names) >= 7, char
        assert min(variant.weight for variant in variants) > 0
        assert all(name == "" or (name.replace("_", "").isalpha() and name.islower()) for name in names), char
    european = {("0", "slashed"), ("1", "upstroke"), ("4", "open"), ("7", "crossed"), ("9", "curled"), ("Z", "crossed")}
    assert european <= set(EVERY_VARIANT)
    school = {("J", "school"), ("J", "tilde_hook"), ("G", "school_loop"), ("L", "loop_top"), ("Z", "crossed_looped")}
    assert school <= set(EVERY_VARIANT)
    shapes = [variant.strokes for variants in ALPHABET.values() for variant in variants]
    assert len(set(shapes)) == len(shapes)


def test_no_variant_outweighs_all_others():
    for char, variants in ALPHABET.items():
        weights = [variant.weight for variant in variants]
        assert 2 <= max(weights) < 0.35 * sum(weights), char


def test_looped_and_swung_js_are_nearly_as_usual_as_plain_ones():
    weights = {variant.name: variant.weight for variant in ALPHABET["J"]}
    first = list(weights).index("school")
    assert 0.4 < sum(list(weights.values())[first:]) / sum(weights.values()) < 0.45


def test_written_characters_leave_the_unit_box_by_a_little_only():
    generator = rng(2)
    for char, variant in EVERY_VARIANT:
        written = np.concatenate([np.concatenate(write(char, generator, variant)) for _ in range(8)])
        outside = np.maximum(-written, written - 1).max(axis=1)
        assert np.quantile(outside, 0.95) < 0.25, (char, variant)


def test_control_points_lie_in_the_unit_box():
    for char, variants in ALPHABET.items():
        for stroke in (stroke for variant in variants for stroke in variant.strokes):
            points = np.array([point.split(",") for point in stroke.replace("|", " ").split()], float)
            assert ((points >= 0) & (points <= 100)).all(), (char, stroke)


@pytest.mark.parametrize("char", CHARSET)
@pytest.mark.parametrize("size_px", [8, 28, 65])
def test_picture(char, size_px):
    for variant in ALPHABET[char]:
        for seed in range(3):
            picture = draw(char, rng(seed), size_px, variant.name)
            assert picture.shape == (size_px, size_px)
            assert picture.dtype == np.uint8
            assert picture.max() > (200 if size_px >= 28 else 80)
            assert 0.03 < picture.mean() / 255 < 0.45
            ys = np.flatnonzero((picture > 40).any(axis=1))
            assert ys.max() - ys.min() >= 0.5 * size_px - 1
            edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
            assert edge.max() == 0 or size_px == 8  # all ink inside


def test_edges_are_soft():
    assert len(np.unique(draw("S", rng()))) > 8


def test_same_generator_same_picture():
    np.testing.assert_array_equal(draw("G", rng(3)), draw("G", rng(3)))
    assert (draw("G", rng(3)) != draw("G", rng(4))).any()


def test_variants_come_by_chance():
    steady = Hand(
        height_spread=0,
        aspect_spread=0,
        slant_spread_deg=0,
        turn_spread_deg=0,
        shift_spread=0,
        wobble=0,
        pen_width_spread=0,
    )
    generator = rng()
    seen = {draw("7", generator, hand=steady).tobytes() for _ in range(400)}
    assert seen == {draw("7", rng(), variant=variant.name, hand=steady).tobytes() for variant in ALPHABET["7"]}


def points_of(strokes):
    """The control points of a variant's strokes."""
    return np.array([point.split(",") for stroke in strokes for point in stroke.replace("|", " ").split()], float) / 100


def distance(points, stroke):
    return np.linalg.norm(np.asarray(points)[:, None] - stroke, axis=2).min(axis=1)


@pytest.fixture
def calm(monkeypatch):
    """A pen that neither trembles nor errs."""
    for name, value in {
        "_SLOPPINESS": (0, 1e-12, 1e-11),
        "_ASPECT": (1, 1 + 1e-12, 1 + 1e-11),
        "_EXTENSION": (0, 0),
        "_CORNER_CUT": (0, 0),
        "_CORNER_SWING": 0,
        "_JOINED": 0,
    }.items():
        monkeypatch.setattr(pen, name, value)


@pytest.mark.usefixtures("calm")
@pytest.mark.parametrize(("char", "variant"), EVERY_VARIANT)
def test_a_calm_pen_runs_through_the_control_points(char, variant):
    texts = variant_of(char, variant).strokes
    strokes = write(char, rng(), variant)
    assert len(strokes) == len(texts)
    for stroke, text in zip(strokes, texts, strict=True):
        points = points_of([text])
        assert distance(points, stroke).max() < 1e-5
        assert np.abs(stroke[[0, -1]] - points[[0, -1]]).max() < 1e-5
        assert np.linalg.norm(np.diff(stroke, axis=0), axis=1).max() < 0.13  # smooth enough for large pictures


def stroke_of(text):
    plan = pen._plan(Variant("", (text,)))
    return plan, [(kind.reshape(-1, len(plan.points)) @ plan.points) for kind in plan.curves]


def test_corners_are_sharp_cut_or_swung_around():
    plan, (sharp, cut, swung) = stroke_of("20,10 50,10 80,10 | 80,50 80,90")
    corner = [(0.8, 0.1)]
    assert distance(corner, sharp) < 1e-6
    assert 0.01 < distance(corner, cut) < 0.06  # inside, by a little
    assert distance(corner, swung) < 1e-6
    for curve in (sharp, cut, swung):
        np.testing.assert_allclose(curve[[0, -1]], plan.points[[0, -1]], atol=1e-5)
    straight = np.concatenate([sharp[sharp[:, 0] < 0.79, 1] - 0.1, sharp[sharp[:, 1] > 0.11, 0] - 0.8])
    assert np.abs(straight).max() < 1e-6
    assert cut[:, 0].max() < 0.8 + 1e-6
    assert swung[:, 0].max() > 0.802  # out of the corner


def test_narrow_turns_do_not_bulge():
    _, (sharp, _, _) = stroke_of("10,50 50,50 50,54 10,54")
    assert 0.5 < sharp[:, 0].max() < 0.52


def test_a_stroke_bows_in_its_middle():
    plan = pen._plan(variant_of("T", ""))
    bows = plan.moves[:, -2:]
    for (start, stop), bow, length in zip(plan.spans, bows.T, (0.74, 0.87), strict=True):
        assert not bow[[*range(start), *range(stop, len(bow))]].any()
        assert np.abs(bow[[start, stop - 1]]).max() < 1e-6
        assert bow.max() == pytest.approx(pen._BOW * length, rel=0.02)


@pytest.mark.parametrize(("char", "variant"), EVERY_VARIANT)
def test_written_strokes_stay_near_what_was_meant(char, variant):
    texts = variant_of(char, variant).strokes
    meant = points_of(texts)
    far, high = [], []
    for seed in range(25):
        strokes = write(char, rng(seed), variant)
        assert len(texts) - 1 <= len(strokes) <= len(texts)
        for stroke in strokes:
            assert stroke.dtype == np.float32
            assert stroke.ndim == stroke.shape[1] == 2
            assert len(stroke) >= 2
        written = np.concatenate(strokes)
        assert np.abs(written - 0.5).max() < 0.95
        # Measured without the width, which is random by far more.
        wide, meant_wide = max(np.ptp(written[:, 0]), 0.2), max(np.ptp(meant[:, 0]), 0.2)
        x = (written[:, 0] - written[:, 0].min()) / wide * meant_wide + meant[:, 0].min()
        far.append(distance(meant, np.stack([x, written[:, 1]], 1)).max())
        high.append(np.ptp(written[:, 1]) / np.ptp(meant[:, 1]))
    assert 0.01 < np.median(far) < 0.16
    assert max(far) < 0.4
    assert 0.9 < np.median(high) < 1.15
    assert 0.7 < min(high) < max(high) < 1.45


def sizes(char, variant, number=400):
    generator = rng(1)
    return np.array([np.ptp(np.concatenate(write(char, generator, variant)), axis=0) for _ in range(number)])


def test_written_sizes_differ():
    widths, tall = sizes("H", "").T
    assert 0.3 < widths.min() < 0.45
    assert 0.75 < widths.max() < 1.05
    assert 0.85 < np.median(tall) < 0.97
    assert 0.01 < tall.std() < 0.06


def test_straight_strokes_are_bowed_and_end_too_early_or_too_late():
    generator = rng()
    strokes = [write("1", generator, "")[0] for _ in range(200)]
    lengths = np.array([np.linalg.norm(stroke[-1] - stroke[0]) for stroke in strokes])
    assert lengths.min() < 0.87
    assert lengths.max() > 0.95
    sides = []
    for stroke in strokes:
        x, y = (stroke - stroke[0]).T
        along = (stroke[-1] - stroke[0]) / np.linalg.norm(stroke[-1] - stroke[0])
        off = x * along[1] - y * along[0]
        sides.append(off[np.abs(off).argmax()])
    assert min(sides) < -0.02
    assert max(sides) > 0.02
    assert np.abs(sides).max() < 0.2


def test_the_pen_is_seldom_left_down():
    generator = rng()
    joined = sum(len(write("T", generator, "")) == 1 for _ in range(2000))
    assert 40 < joined < 130
    # From the foot of a stem back to its top is too far.
    far = Variant("", ("27,6 26,94", "27,7 78,6"))
    assert pen._plan(far).joints == ()


def test_joined_strokes_keep_all_points(monkeypatch):
    monkeypatch.setattr(pen, "_JOINED", 1)
    joined = write("4", rng(5), "open")
    monkeypatch.setattr(pen, "_JOINED", 0)
    apart = write("4", rng(5), "open")
    assert (len(joined), len(apart)) == (1, 2)
    np.testing.assert_array_equal(joined[0], np.concatenate(apart))


def test_same_generator_same_strokes():
    for char in CHARSET:
        first, again = write(char, rng(3)), write(char, rng(3))
        assert [stroke.tolist() for stroke in first] == [stroke.tolist() for stroke in again]
    assert len({write("S", rng(seed))[0].tobytes() for seed in range(20)}) == 20


def test_usual_variants_come_more_often():
    generator = rng()
    variants = ALPHABET["1"]
    names = [pen._by_chance("1", generator).name for _ in range(4000)]
    total = sum(variant.weight for variant in variants)
    for variant in variants:
        assert names.count(variant.name) / 4000 == pytest.approx(variant.weight / total, abs=0.025)
    assert names.count("") > 3 * names.count("low")


def test_pen_width():
    thin, thick = (draw("X", rng(), 64, hand=Hand(pen_width=width, pen_width_spread=0)) for width in (0.04, 0.12))
    assert thick.sum() > 2 * thin.sum()


def test_bad_requests():
    for unknown in ("O", "I", "Q", "a", "", "10"):
        with pytest.raises(UsageError, match="no character"):
            draw(unknown, rng())
        with pytest.raises(UsageError, match="no character"):
            write(unknown, rng())
    with pytest.raises(UsageError, match=r"The character 7 has no variant 'open'\. It has '', 'crossed'"):
        write("7", rng(), "open")
    with pytest.raises(UsageError, match="size_px=7"):
        draw("A", rng(), 7)
