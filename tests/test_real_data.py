"""What is promised of the part of EMNIST that the project's figures come from; needs that archive."""

import hashlib
from pathlib import Path

import pytest

from vinscribe.training.dataset import VIEWS, Split, make_view
from vinscribe.training.emnist import Archive, Pool, read_pool

ARCHIVE = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "emnist" / "gzip.zip"

pytestmark = pytest.mark.skipif(not ARCHIVE.exists(), reason=f"needs the EMNIST archive {ARCHIVE}")


@pytest.fixture(scope="module")
def pool() -> Pool:
    return read_pool(Archive(ARCHIVE))


def digests_of(*splits: Split) -> set[bytes]:
    return {hashlib.sha256(image).digest() for split in splits for image in split.images}


def test_counts(pool: Pool) -> None:
    assert len(pool) == 240_730
    view = make_view(pool, "vin")
    assert (len(view.train), len(view.validation), len(view.test)) == (123_231, 15_772, 15_620)


def test_no_test_image_is_trained_or_validated_on(pool: Pool) -> None:
    views = [make_view(pool, name) for name in VIEWS]
    tested = digests_of(*(view.test for view in views))
    assert len(tested) > 15_000
    for view in views:
        assert not tested & digests_of(view.train, view.validation)
