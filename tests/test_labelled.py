"""labelled.py: a labels.csv as offices write it, and what is wrong with one, by its line."""

from pathlib import Path

import pytest

from vinscribe.charset import ILLEGIBLE, label_of
from vinscribe.errors import UsageError
from vinscribe.labelled import read_labels


def folder_with(path: Path, labels: str | bytes, names: str = "a.png b.png c.png sub/d.png") -> Path:
    (path / "sub").mkdir()
    for name in names.split():
        (path / name).write_bytes(b"")
    (path / "labels.csv").write_bytes(labels if isinstance(labels, bytes) else labels.encode())
    return path


def test_characters_illegible_and_unknown(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "file,label\na.png,7\nsub/d.png,K\nb.png,\nc.png,?\n")
    found = read_labels(folder)
    assert found.files == (str(folder / "a.png"), str(folder / "sub/d.png"), str(folder / "b.png"))
    assert found.labels.tolist() == [7, label_of("K"), ILLEGIBLE]
    assert found.labels.dtype == "int64"
    assert found.skipped == 1


@pytest.mark.parametrize(
    "labels",
    [
        "writer,label,position,file\r\nx,A,1,a.png\r\n",
        b"\xef\xbb\xbffile,label\na.png,A\n",
        b"\xef\xbb\xbflabel,file\n\nA,a.png\n\n",
        '"file","label"\n"a.png","A"',
        "file, label\na.png, A\n",
    ],
    ids=["columns", "bom", "empty lines", "quoted", "spaces"],
)
def test_the_ways_to_write_it(tmp_path: Path, labels: str | bytes) -> None:
    found = read_labels(folder_with(tmp_path, labels))
    assert (found.files, found.labels.tolist(), found.skipped) == ((str(tmp_path / "a.png"),), [10], 0)


def test_a_name_with_a_comma_and_letters_of_any_script(tmp_path: Path) -> None:
    (tmp_path / "ü,字.png").write_bytes(b"")
    (tmp_path / "labels.csv").write_text('file,label\n"ü,字.png",Z\n', encoding="utf-8")
    assert read_labels(tmp_path).files == (str(tmp_path / "ü,字.png"),)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("file,label\na.png,A\nb.png,k\n", r"labels\.csv, line 3: the label 'k' is none of 0123.*; write 'K'"),
        ("file,label\na.png,O\n", r"line 2: the label 'O' is none of \w+ \(empty"),
        ("file,label\na.png,AB\n", "line 2: the label 'AB'"),
        ("file,label\na.png,A\n\nnone.png,B\n", r"line 4: no such file: 'none\.png'"),
        ("file,label\nsub,B\n", "line 2: no such file: 'sub'"),
        (f"file,label\n{'x' * 5000},B\n", "line 2: no such file"),
        ("file,label\nnone.png,?\n", r"line 2: no such file: 'none\.png'"),
        ("file,label\na.png\n", r"line 2: expected a file and a label, not 'a\.png'"),
        ("file,label\n,A\n", "line 2: expected a file and a label, not ',A'"),
        ("file,label\na.png,A\nb.png,B\na.png,C\n", r"line 4: 'a\.png' has a label already, in line 2"),
        ("file;label\na.png;A\n", "the header is 'file;label'; expected the columns file and label, and commas"),
        ("a.png,A\n", "the header is 'a.png,A'"),
        ("", "the header is ''"),
        ("file,label\n", "no row with a label"),
        ("file,label\na.png,?\n", "no row with a label"),
        ('file,label\n"a.png,A\n', "no CSV file in UTF-8"),
        ("file,label\na.png,A\n".encode("utf-16"), "no CSV file in UTF-8"),
        (b"file,label\ncaf\xe9.png,A\n", "no CSV file in UTF-8"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, labels: str | bytes, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_labels(folder_with(tmp_path, labels))


def test_no_folder_and_no_labels(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no such folder: .*none"):
        read_labels(tmp_path / "none")
    with pytest.raises(UsageError, match=r"no .*labels\.csv; write one with the columns file and label"):
        read_labels(tmp_path)
    (tmp_path / "labels.csv").mkdir()
    with pytest.raises(UsageError, match="cannot read"):
        read_labels(tmp_path)
