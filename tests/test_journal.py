import errno
import json
import multiprocessing
import os
import random
from pathlib import Path

import pytest

from vinscribe import journal
from vinscribe.errors import UsageError, VinscribeError
from vinscribe.journal import ENDING, ResultFile

SETTINGS = {"format": "csv", "market": "any", "model": "0123"}
HEADER = ["file,page"]
PAGES = [
    (f"d/{name}", page, count)
    for name, count in [("a", 1), ("b ü\n", 3), ("c", 1), ("d", 4)]
    for page in range(1, count + 1)
]


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "out.csv")


def opened(path, resume=False, settings=SETTINGS):
    return ResultFile(path, HEADER, settings, resume)


def write(out, pages):
    for file, page, count in pages:
        out.write(f"{file!r},{page}", file, page, count)
    out.close()


def write_what_is_left(path):
    """What a run does that goes on with the file."""
    out = opened(path, resume=True)
    pages = [(file, page, count) for file, page, count in PAGES if is_unread(out, file, page)]
    out.open()
    write(out, pages)
    return pages


def is_unread(out, file, page):
    unread = out.unread(file)
    return unread is None or page in unread


def contents(path):
    with open(path, "rb") as file:
        return file.read()


def test_lines_come_behind_a_header_and_are_known_again(path):
    out = opened(path)
    assert not os.path.lexists(path)  # not before there is anything to write
    write(out, PAGES[:3])
    assert contents(path).decode().splitlines() == ["file,page", "'d/a',1", "'d/b ü\\n',1", "'d/b ü\\n',2"]
    out = opened(path, resume=True)
    assert [out.unread(file) for file in ("d/a", "d/b ü\n", "d/c", "d/d")] == [(), [3], None, None]
    assert out.unread("./d//a") == ()
    out.close()


def test_pages_that_were_skipped_are_left(path):
    write(opened(path), [PAGES[1], PAGES[3], PAGES[5]])
    out = opened(path, resume=True)
    assert [out.unread(file) for file in ("d/a", "d/b ü\n", "d/c", "d/d")] == [None, [2], None, [2, 3, 4]]
    out.close()


@pytest.mark.parametrize("seed", range(3))
def test_a_break_at_any_byte_loses_nothing_and_repeats_nothing(path, seed):
    write(opened(path), PAGES)
    whole, notes = contents(path), contents(path + ENDING)
    chance = random.Random(seed)  # noqa: S311
    for _ in range(150):  # also as after a failure of the power, when the end of either file may be missing
        kept = chance.randrange(len(whole) + 1), chance.randrange(len(notes) + 1)
        if not kept[1]:
            continue
        with open(path, "wb") as file:
            file.write(whole[: kept[0]])
        with open(path + ENDING, "wb") as file:
            file.write(notes[: kept[1]])
        if kept[0] and b"\n" not in notes[: kept[1]]:  # the first line of the journal is written before anything
            with pytest.raises(UsageError, match="damaged"):
                opened(path, resume=True)
            continue
        write_what_is_left(path)
        assert contents(path) == whole
        assert contents(path + ENDING) == notes
        assert write_what_is_left(path) == []


def test_resume_begins_where_there_is_nothing(path):
    assert write_what_is_left(path) == PAGES
    Path(path).unlink()
    assert write_what_is_left(path) == PAGES
    Path(path).unlink()
    with open(path + ENDING, "wb") as file:
        file.write(b'{"vinsc')  # broken off before anything else was written
    assert write_what_is_left(path) == PAGES


def test_a_new_run_does_not_mind_an_old_journal(path):
    write(opened(path), PAGES[:4])
    Path(path).unlink()
    write(opened(path), PAGES[:2])
    assert write_what_is_left(path) == PAGES[2:]


def refused(path, says, **options):
    before = contents(path)
    with pytest.raises(UsageError, match=says):
        opened(path, **options)
    assert contents(path) == before


def test_a_file_that_is_there_is_not_written_over(path):
    write(opened(path), PAGES[:1])
    refused(path, "is there already; go on with it by --resume, or give another name")
    out = opened(path + "2.csv")
    with open(path + "2.csv", "w") as file:  # by another run, meanwhile
        file.write("x")
    with pytest.raises(UsageError, match=r"cannot write .*File exists"):
        out.open()
    out.close()


def test_other_settings_are_refused(path):
    write(opened(path), PAGES[:1])
    other = SETTINGS | {"market": "europe", "model": "4567"}
    refused(path, "was begun with another market and model; go on with the same", resume=True, settings=other)


def test_another_version_is_noted(path, monkeypatch):
    write(opened(path), PAGES[:1])
    monkeypatch.setattr(journal, "__version__", "99.0")
    out = opened(path, resume=True)
    assert out.notes[0].endswith("; this is 99.0")
    out.close()


def test_a_changed_file_is_refused(path):
    write(opened(path), PAGES)
    data = contents(path)
    with open(path, "wb") as file:
        file.write(data.replace(b"d/a", b"d/x"))
    refused(path, "was changed since", resume=True)
    with open(path, "wb") as file:  # as a spreadsheet saves it
        file.write(data.replace(b"'", b""))
    refused(path, "was changed since", resume=True)


@pytest.mark.parametrize("line", [b"nonsense\n", b"[]\n", b'{"end": "x", "crc": 0}\n', b'{"end": 0}\n', b"\xff\n"])
def test_a_damaged_journal_is_refused(path, line):
    write(opened(path), PAGES)
    with open(path + ENDING, "ab") as file:
        file.write(line)
    refused(path, "is damaged", resume=True)


def test_without_a_journal_nobody_knows_what_is_in_the_file(path):
    write(opened(path), PAGES)
    Path(path + ENDING).unlink()
    refused(path, r"no .*journal; give another name", resume=True)


def hold(path, says):
    out = ResultFile(path, HEADER, SETTINGS, resume=True)
    says.send("held")
    says.recv()
    out.close()


def test_two_runs_do_not_write_to_one_file(path):
    pytest.importorskip("fcntl", reason="this system has other locks")
    write(opened(path), PAGES[:1])
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=hold, args=(path, theirs))
    process.start()
    assert ours.recv() == "held"
    refused(path, "is being written by another run", resume=True)
    ours.send("end")
    process.join()
    ours.close()
    theirs.close()
    opened(path, resume=True).close()


class Full:
    """A file on a disk that takes so many bytes more."""

    def __init__(self, file, left):
        self._file, self._left = file, left

    def write(self, data):
        if not self._left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count = self._file.write(data[: self._left])
        self._left -= count
        return count

    def truncate(self, size):
        self._file.truncate(size)

    def close(self):
        self._file.close()


@pytest.mark.parametrize("which", ["_file", "_journal"])
@pytest.mark.parametrize("left", [0, 5, 30])
def test_a_full_disk_is_said_and_costs_nothing(path, which, left):
    write(opened(path + "2.csv"), PAGES)
    out = opened(path)
    out.open()
    setattr(out, which, Full(getattr(out, which), left))
    with pytest.raises(
        VinscribeError, match=r"cannot write .*No space left on device; put that right, then .*--resume"
    ):
        write(out, PAGES)
    out.close()
    for file in (path, path + ".journal"):
        assert Path(file).read_bytes()[-1:] in (b"", b"\n")  # no half line is left
    write_what_is_left(path)
    assert contents(path) == contents(path + "2.csv")


def test_no_folder(tmp_path):
    out = opened(str(tmp_path / "none" / "out.csv"))
    with pytest.raises(UsageError, match=r"cannot write .*No such file or directory"):
        out.open()


def test_each_line_is_one_call_and_on_disk_at_once(path, monkeypatch):
    out = opened(path)
    out.open()
    calls = []
    real = out._file.write
    monkeypatch.setattr(out, "_file", Full(out._file, 10**9))
    monkeypatch.setattr(out._file, "write", lambda data: calls.append(data) or real(data))
    out.write("x" * 100_000, "d/a", 1, 1)
    assert [len(call) for call in calls] == [100_001]
    assert contents(path).endswith(calls[0])
    assert json.loads(contents(path + ENDING).splitlines()[-1])["page"] == 1
    out.close()
