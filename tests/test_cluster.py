"""`vinscribe read --ray`: the same results, whoever is killed."""

import json
import os
import pickle
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from made_scans import QuickReader
from object_store import BUCKET
from scan_files import card, encode, tiff

from vinscribe import cli, cluster
from vinscribe.archive import Before, Failed, PageWritten, Part, ReadSettings
from vinscribe.cli import main
from vinscribe.cluster import Batch, BatchReader, Job, batches
from vinscribe.errors import ModelError, UsageError
from vinscribe.listing import Scans
from vinscribe.scan_command import read_scans
from vinscribe.shards import Shards

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

from killed_workers import Killer, places  # noqa: E402

if find_spec("ray") is None:
    pytest.skip("ray is not installed: needs the extra [cluster]", allow_module_level=True)


@pytest.fixture
def scans(tmp_path, monkeypatch):
    """Fifty scans for `QuickReader` in the current folder, with 74 pages; one of them is broken."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(50):
        (folder / f"{number:03d}.png").write_text("3" if number % 4 == 0 else "1")
    (folder / "007.png").write_text("")
    monkeypatch.chdir(tmp_path)
    return folder


ALL = [
    (f"scans/{number:03d}.png", page)
    for number in range(50)
    if number != 7
    for page in range(1, 4 if number % 4 == 0 else 2)
]


def quick(*arguments):
    """The command with `QuickReader`; its exit status."""
    return read_scans(cli._build_parser().parse_args(["read", *arguments]), QuickReader)


def shown(text):
    return [(row["file"], row["page"]) for row in map(json.loads, text.splitlines())]


def test_standard_output_is_the_same_as_without(scans, own_ray, capsys):
    assert quick("scans", "--format", "jsonl", "--workers", "1") == 1
    here = capsys.readouterr()
    assert quick("scans", "--format", "jsonl", "--batch", "7", "--workers", "1", "--ray") == 1
    there = capsys.readouterr()
    assert shown(there.out) == ALL
    assert there.out == here.out
    assert there.err.splitlines()[:-1] == here.err.splitlines()[:-1] == ["quick", "scans/007.png: empty file"]
    assert there.err.splitlines()[-1].startswith("50 files, 75 pages read")


def test_resume_goes_on_with_what_either_engine_wrote(scans, own_ray, capsys):
    assert quick("scans/000.png", "scans/001.png", "--out", "vins.jsonl", "--workers", "1") == 0
    assert quick("scans", "--out", "vins.jsonl", "--resume", "--batch", "7", "--workers", "1", "--ray") == 1
    assert sorted(shown(Path("vins.jsonl").read_text())) == ALL
    assert "48 files (2 more were read before), 71 pages read" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="processes are found in /proc: Linux only")
@pytest.mark.parametrize("seed", range(2))
def test_killed_workers_lose_nothing_and_repeat_nothing(own_ray, store, seed):
    for number in range(60):
        store.pipe_file(f"{BUCKET}/killed{seed}/{number:03d}.png", b"1")
    out = f"s3://{BUCKET}/results{seed}/vins.parquet"
    with Killer(os.getpid(), seed, pause_s=(0.4, 1.2), most=3) as killer:
        assert quick(f"s3://{BUCKET}/killed{seed}", "--out", out, "--batch", "4", "--workers", "2", "--ray") == 0
    assert killer.killed >= 1
    assert places(out) == [(f"s3://{BUCKET}/killed{seed}/{number:03d}.png", 1) for number in range(60)]


def test_a_file_that_kills_its_reader_costs_one_page(scans, own_ray, capsys):
    (scans / "020.png").write_text("die")
    assert quick("scans", "--out", "shards/", "--batch", "7", "--workers", "1", "--ray") == 1
    lost = [("scans/020.png", 2), ("scans/020.png", 3)]
    assert places("shards/") == [place for place in ALL if place not in lost]
    assert "scans/020.png, page 2: the process that read it died" in capsys.readouterr().err
    (scans / "020.png").write_text("2")
    assert quick("scans", "--out", "shards/", "--resume", "--workers", "1", "--ray") == 1
    assert places("shards/") == [place for place in ALL if place != lost[1]]


def test_what_is_wrong_is_said_before_anything_is_written(scans, own_ray, capsys):
    with pytest.raises(ModelError, match="threshold above 1"):
        quick("scans", "--out", "vins.jsonl", "--threshold", "2", "--workers", "1", "--ray")
    assert not Path("vins.jsonl").exists()


def test_a_target_that_cannot_be_written_ends_the_run(scans, own_ray, capsys):
    assert main(["read", "scans", "--out", "s3://nobody-has-this/vins/", "--ray"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "s3://nobody-has-this/vins/: there is no nobody-has-this; make it first" in line


def test_without_ray_it_says_how_to_get_it(scans, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["read", "scans", "--ray"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--ray: ray is not installed; pip install -r requirements-cluster.txt" in line


def test_a_ray_of_its_own_starts_and_ends_without_a_word(tmp_path, capsys):
    (tmp_path / "a.tif").write_bytes(tiff([card(0), card(1)]))
    (tmp_path / "b.png").write_bytes(encode(card(2)))
    arguments = ["read", str(tmp_path), "--format", "jsonl", "--workers", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "vinscribe", *arguments, "--ray"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "default"},
    )
    assert main(arguments) == done.returncode == 0
    assert done.stdout == capsys.readouterr().out
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["2 files, 3 pages read"]


def test_batches_hold_so_many_scans_and_all_that_is_between(tmp_path):
    for name in ("a", "b", "c", "d", "e"):
        (tmp_path / f"{name}.png").touch()

    class Some:
        def unread(self, file):
            return () if Path(file).stem in "bde" else None

    found = list(batches(Scans((str(tmp_path),), Some()), 2))
    assert found == [
        Batch(0, (Part(f"{tmp_path}/a.png"), Part(f"{tmp_path}/c.png"), Before(1))),
        Batch(1, (Before(2),)),
    ]
    assert [len(batch.parts) for batch in batches(Scans((str(tmp_path),)), 2)] == [3, 3, 2]


def test_an_actor_reads_a_batch_and_writes_its_shard(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "__main__", type(sys)("__main__"))
    for name, said in (("a", "3"), ("b", "die"), ("c", "1")):
        Path(f"{name}.png").write_text(said)
    written = Shards("out/", "jsonl", {}, resume=False)
    written.open()
    reader = BatchReader(Job(QuickReader, ReadSettings(None, "any", 0.5), {}, str(tmp_path), written))
    parts = (Part("a.png"), Part("b.png"), Failed("x", None, "locked"), Part("c.png"), Before(2))
    notes, results = pickle.loads(reader({"batch": pickle.dumps(Batch(7, parts))})["answer"])  # noqa: S301
    assert notes == ("quick",)
    done = [(each.file, each.page) for each in results if isinstance(each, PageWritten)]
    assert done == [("a.png", 1), ("a.png", 2), ("a.png", 3), ("b.png", 1), ("c.png", 1)]
    assert [each.file for each in results if isinstance(each, Failed)] == ["b.png", "x"]
    assert results[-1] == Before(2)
    assert [path.name[-14:] for path in Path("out").glob("part-*")] == ["00000007.jsonl"]
    assert places("out/") == done
    reader._workers.__exit__()


def test_an_actor_takes_its_files_along(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "__main__", type(sys)("__main__"))
    model, gone = tmp_path / "model.onnx", tmp_path / "gone" / "list.txt"
    model.write_bytes(b"here")
    office, more = str(tmp_path / "gone" / "office.npz"), str(tmp_path / "gone" / "more" / "office.npz")
    settings = ReadSettings(str(model), "any", 0.5, str(gone), register=(office, more))
    files = {str(model): b"here", str(gone): b"sent", office: b"learned", more: b"more"}
    job = Job(QuickReader, settings, files, str(tmp_path))
    unpacked = cluster._unpacked(job)
    assert unpacked.model == str(model)
    assert Path(unpacked.expected).read_bytes() == b"sent"
    assert [Path(path).read_bytes() for path in unpacked.register] == [b"learned", b"more"]
    assert unpacked.template is None
    other = BatchReader(Job(QuickReader, settings, {}, str(tmp_path), version="0.0"))
    answer = pickle.loads(other({"batch": pickle.dumps(Batch(0, (Failed("a", None, "b"),)))})["answer"])  # noqa: S301
    assert isinstance(answer, UsageError)
    assert "vinscribe is 0.0 here" in str(answer)
