"""emnist.py: members are read as they are, damage names itself, labels of one image are merged."""

import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pytest
from emnist_archive import glyphs, idx, members_of, write_zip

from vinscribe.errors import DataError
from vinscribe.training.emnist import CHARACTERS, MERGED, Archive, mask_of, read_pool

BYCLASS = {char: label for label, char in enumerate(CHARACTERS)}


def labels_of(text: str, numbering: str = CHARACTERS) -> np.ndarray:
    return np.array([numbering.index(char) for char in text], np.uint8)


@pytest.fixture
def members() -> dict[str, bytes]:
    return members_of({"byclass-test": (glyphs("A7c", 1), labels_of("A7c"))})


def test_images_come_upright_and_in_order(tmp_path: Path, members: dict[str, bytes]) -> None:
    images, labels = Archive(write_zip(tmp_path / "a.zip", members)).read("byclass-test")
    assert np.array_equal(images, glyphs("A7c", 1))
    assert images.flags.c_contiguous
    assert "".join(CHARACTERS[label] for label in labels) == "A7c"


@pytest.mark.parametrize("subfolder", ["gzip", "."])
def test_a_folder_is_read_like_a_zip(tmp_path: Path, members: dict[str, bytes], subfolder: str) -> None:
    for name, data in members.items():
        file = tmp_path / subfolder / Path(name).name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(data)
    archive = Archive(tmp_path)
    assert archive.splits == ("byclass-test",)
    assert np.array_equal(archive.read("byclass-test")[0], glyphs("A7c", 1))


def test_a_folder_that_holds_the_zip_will_do(tmp_path: Path, members: dict[str, bytes]) -> None:
    path = write_zip(tmp_path / "gzip.zip", members)
    assert Archive(tmp_path).path == path
    assert Archive(tmp_path).splits == ("byclass-test",)


def test_merged_numbering_has_47_labels() -> None:
    assert len(MERGED) == 47
    assert [MERGED.index(char) for char in "IOQ"] == [18, 24, 26]
    assert MERGED[36:] == "abdefghnqrt"


IMAGES, LABELS = "gzip/emnist-byclass-test-images-idx3-ubyte.gz", "gzip/emnist-byclass-test-labels-idx1-ubyte.gz"


def damage(members: dict[str, bytes], kind: str) -> None:
    import gzip

    if kind == "cut":
        members[IMAGES] = members[IMAGES][:-40]
    elif kind == "no gzip":
        members[IMAGES] = b"<html>" + members[IMAGES]
    elif kind == "magic":
        members[IMAGES] = gzip.compress(b"\0\0\x08\x01" + bytes(40))
    elif kind == "count":
        members[LABELS] = gzip.compress(idx(labels_of("A7")))
    elif kind == "label range":
        members[LABELS] = gzip.compress(idx(np.array([10, 62, 3], np.uint8)))
    elif kind == "header":
        members[IMAGES] = gzip.compress(idx(glyphs("A7c", 1))[:-5])
    elif kind == "size":
        members[IMAGES] = gzip.compress(idx(np.zeros((3, 28, 27), np.uint8)))
    elif kind == "empty":
        members[IMAGES] = gzip.compress(b"\0\0")
    elif kind == "missing":
        del members[LABELS]


@pytest.mark.parametrize(
    ("kind", "named", "said"),
    [
        ("cut", IMAGES, "damaged"),
        ("no gzip", IMAGES, "damaged"),
        ("magic", IMAGES, "magic"),
        ("count", LABELS, "2"),
        ("label range", LABELS, "label 62 in row 1"),
        ("header", IMAGES, "header says"),
        ("size", IMAGES, "28x27"),
        ("empty", IMAGES, "shorter"),
        ("missing", LABELS, "missing"),
    ],
)
def test_a_damaged_member_names_itself(
    tmp_path: Path, members: dict[str, bytes], kind: str, named: str, said: str
) -> None:
    damage(members, kind)
    with pytest.raises(DataError) as caught:
        Archive(write_zip(tmp_path / "a.zip", members)).read("byclass-test")
    assert Path(named).name in str(caught.value)
    assert said in str(caught.value)


def test_a_flipped_bit_in_the_zip_is_found(tmp_path: Path, members: dict[str, bytes]) -> None:
    path = write_zip(tmp_path / "a.zip", members)
    data = bytearray(path.read_bytes())
    data[zipfile.ZipFile(path).infolist()[0].header_offset + 150] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"images-idx3-ubyte.gz is damaged"):
        Archive(path).read("byclass-test")


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        Archive(tmp_path / "none.zip")
    (tmp_path / "page.zip").write_text("<html>")
    with pytest.raises(DataError, match="no readable zip"):
        Archive(tmp_path / "page.zip")
    with pytest.raises(DataError, match="no EMNIST split"):
        Archive(write_zip(tmp_path / "other.zip", {"readme.txt": b"hello"}))


def test_letters_have_no_label_0(tmp_path: Path) -> None:
    members = members_of({"letters-test": (glyphs("A", 1), np.array([0], np.uint8))})
    with pytest.raises(DataError, match="label 0 in row 0"):
        Archive(write_zip(tmp_path / "a.zip", members)).read("letters-test")


def test_one_image_in_several_splits_is_one_image_with_the_most_exact_label(tmp_path: Path) -> None:
    images = glyphs("CcL5S", 3)
    members = members_of(
        {
            "byclass-test": (images[:1], labels_of("C")),
            "bymerge-test": (images[:3], labels_of("CCL", MERGED)),
            "letters-test": (images[[1, 2, 4]], np.array([3, 12, 19], np.uint8)),
            "digits-test": (images[3:], np.array([5, 5], np.uint8)),
        }
    )
    pool = read_pool(Archive(write_zip(tmp_path / "a.zip", members)))
    assert len(pool) == 5
    said = dict(zip((hashlib.sha256(image).digest() for image in images), ["C", "Cc", "Ll", "5", ""], strict=True))
    assert {bytes(digest): int(mask) for digest, mask in zip(pool.digests, pool.masks, strict=True)} == {
        digest: mask_of(chars) for digest, chars in said.items()
    }
    assert pool.rows["bymerge-test"] == 3
    assert pool.in_splits("byclass-test").sum() == 1
    assert pool.in_splits("byclass-test", "digits-test").sum() == 3
