"""Files at addresses: in an object store and on a disk by file://."""

import json
import os
import sys
from pathlib import Path

import pytest
from object_store import BUCKET
from scan_files import card, encode, scanned_pdf, tiff

from vinscribe import addresses
from vinscribe.addresses import is_address, kind_of, open_address, place, told, without_scheme
from vinscribe.cli import main
from vinscribe.errors import ImageError, UsageError
from vinscribe.listing import find_scans
from vinscribe.pages import Page, count_pages, read_pages

pytest.importorskip("fsspec", reason="needs the extra [cluster]")


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("s3://office/cards", True),
        ("file:///scans", True),
        ("abfs+x.y://z", True),
        ("scans/a.png", False),
        ("C:\\scans", False),
        ("/a://b", False),
    ],
)
def test_an_address_has_a_scheme(path, answer):
    assert is_address(path) is answer


def test_a_place_is_absolute_and_an_address_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert place("a.png") == f"{tmp_path}/a.png"
    assert place("s3://office/a.png") == "s3://office/a.png"
    assert without_scheme(f"file://{tmp_path}") == str(tmp_path)
    assert without_scheme("s3://office") == "s3://office"


def test_scans_of_all_kinds_are_read_where_they_are(store, tmp_path):
    files = {
        "a.tif": tiff([card(0), card(1)]),
        "b.png": encode(card(2)),
        "sub/ü c.pdf": scanned_pdf([card(0), card(1)]),
        "sub/d.txt": b"no scan",
        "empty.png": b"",
    }
    for name, data in files.items():
        path = tmp_path / "scans" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        store.pipe_file(f"{BUCKET}/kinds/{name}", data)
    for root in (f"s3://{BUCKET}/kinds", f"file://{tmp_path}/scans", str(tmp_path / "scans") + "/"):
        root = root.rstrip("/")
        found = list(find_scans([root]))
        assert found == [f"{root}/{name}" for name in ("a.tif", "b.png", "empty.png", "sub/ü c.pdf")]
        assert [count_pages(path) for path in found if "empty" not in path] == [2, 1, 2]
        pages = [page for path in found if "empty" not in path for page in read_pages(path)]
        assert all(isinstance(page, Page) for page in pages)
        assert len(pages) == 5
        with pytest.raises(ImageError, match="empty file"):
            list(read_pages(f"{root}/empty.png"))


def test_a_large_file_is_read_in_blocks(store, monkeypatch):
    monkeypatch.setattr(addresses, "BLOCK_BYTES", 100)
    data = bytes(range(250)) * 4
    store.pipe_file(f"{BUCKET}/blocks/exact", data[:100])
    store.pipe_file(f"{BUCKET}/blocks/large", data)
    with open_address(f"s3://{BUCKET}/blocks/large") as file:
        assert file.seek(0, os.SEEK_END) == 1000
        file.seek(500)
        assert file.read(300) == data[500:800]
    with open_address(f"s3://{BUCKET}/blocks/exact") as file:
        assert file.read() == data[:100]


def test_what_is_not_there_is_told(store):
    assert kind_of(f"s3://{BUCKET}/none") is None
    assert kind_of("s3://nobody-has-this/none") is None
    with pytest.raises(ImageError, match="cannot be read: "):
        open_address(f"s3://{BUCKET}/none.png")


def test_a_store_that_cannot_be_reached_is_told(monkeypatch):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    system = pytest.importorskip("s3fs", reason="needs the extra [cluster]").S3FileSystem
    system.clear_instance_cache()
    with pytest.raises(UsageError, match=r"s3://office cannot be reached: .*credentials; check the address"):
        kind_of("s3://office")
    system.clear_instance_cache()


def test_kinds_that_nobody_knows_and_packages_that_are_not_there(monkeypatch, capsys):
    with pytest.raises(UsageError, match="none://x: Protocol not known: none"):
        kind_of("none://x")
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    assert main(["read", "gs://office/cards"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "pip install -r requirements-cluster.txt" in line
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    assert main(["read", "s3://office/cards"]) == 2
    assert "is not installed; pip install -r requirements-cluster.txt" in capsys.readouterr().err


def test_errors_are_one_line():
    assert told(FileNotFoundError(2, "No such file", "x")) == "No such file"
    assert told(ValueError("a\n b")) == "a b"
    assert told(ValueError()) == "ValueError"


def test_the_command_reads_and_writes_at_addresses(store, tmp_path, capsys):
    store.pipe_file(f"{BUCKET}/command/a.tif", tiff([card(0), card(1)]))
    store.pipe_file(f"{BUCKET}/command/b.png", b"torn")
    arguments = ["read", f"s3://{BUCKET}/command", "--workers", "1", "--out", f"s3://{BUCKET}/command-out"]
    assert main(arguments) == 1
    assert f"s3://{BUCKET}/command/b.png: not a PNG" in capsys.readouterr().err
    names = sorted(Path(name).name for name in store.ls(f"{BUCKET}/command-out"))
    assert names[0] == "_vinscribe.json"
    rows = [json.loads(line) for line in store.cat_file(f"{BUCKET}/command-out/{names[1]}").splitlines()]
    assert [(row["file"], row["page"], row["pages"]) for row in rows] == [
        (f"s3://{BUCKET}/command/a.tif", page, 2) for page in (1, 2)
    ]
    assert main(arguments) == 2
    assert "has results already; go on with them by --resume" in capsys.readouterr().err
    store.pipe_file(f"{BUCKET}/command/b.png", encode(card(2)))
    assert main([*arguments, "--resume"]) == 0
    assert "1 file (1 more were read before), 1 page read" in capsys.readouterr().err
    assert main(["read", f"s3://{BUCKET}/none"]) == 2
    assert f"no such file or folder: s3://{BUCKET}/none" in capsys.readouterr().err
    assert main(["read", f"s3://{BUCKET}/command", "--annotate", f"s3://{BUCKET}/seen"]) == 2
    assert "pictures are written to a disk" in capsys.readouterr().err
