"""The download against a local server that behaves badly in every way that was thought of. No outside network."""

import errno
import hashlib
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections import namedtuple
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from vinscribe.errors import DownloadError
from vinscribe.training import download
from vinscribe.training.download import ArchiveSource, DownloadSettings, cache_folder, fetch_archive

ARCHIVE = b"PK\x03\x04" + bytes(i * i % 251 for i in range(200_000))
FAST = DownloadSettings(tries=3, pause_s=0.0, connect_timeout_s=5, read_timeout_s=5, chunk_bytes=1000)


class Behaviour:
    """What the server does; a test changes it. ``ranges`` keeps the Range header of each request."""

    def __init__(self):
        self.body = ARCHIVE
        self.etag = '"first"'
        self.content_type = "application/zip"
        self.obeys_ranges = True
        self.obeys_if_range = True
        self.states_length = True
        self.break_after = []  # one number of bytes a request: sends so many, then cuts the line
        self.statuses = []  # one status a request, then 200 or 206
        self.ranges = []


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        behaviour = self.server.behaviour
        wanted = self.headers.get("Range")
        behaviour.ranges.append(wanted)
        if behaviour.statuses:
            self.send_error(behaviour.statuses.pop(0))
            return
        start, body = 0, behaviour.body
        same_file = self.headers.get("If-Range") in (None, behaviour.etag) or not behaviour.obeys_if_range
        if wanted and behaviour.obeys_ranges and same_file:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
            if start >= len(body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(body)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        if behaviour.states_length:
            self.send_header("Content-Length", str(len(body) - start))
        if behaviour.etag:
            self.send_header("ETag", behaviour.etag)
        self.send_header("Content-Type", behaviour.content_type)
        self.end_headers()
        end = start + behaviour.break_after.pop(0) if behaviour.break_after else len(body)
        self.wfile.write(body[start:end])
        self.close_connection = True


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.behaviour = Behaviour()
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield httpd
    httpd.shutdown()
    httpd.server_close()
    thread.join()


@pytest.fixture
def behaviour(server):
    return server.behaviour


@pytest.fixture
def source(server):
    return source_at(server.server_address[1])


def source_at(port):
    return ArchiveSource(f"http://127.0.0.1:{port}/a.zip", hashlib.sha256(ARCHIVE).hexdigest(), len(ARCHIVE), "a.zip")


def without_size(source):
    return ArchiveSource(source.url, source.sha256, None, source.name)


def assert_whole(path, folder):
    assert path == folder / "a.zip"
    assert path.read_bytes() == ARCHIVE
    assert {file.name for file in folder.iterdir()} == {"a.zip", "a.zip.lock"}


def leave_part(folder, content, tag='"first"'):
    (folder / "a.zip.part").write_bytes(content)
    if tag:
        (folder / "a.zip.part.tag").write_text(tag)


def test_official_source():
    assert download.OFFICIAL.size_bytes / 2**20 == pytest.approx(535.73, abs=0.005)
    assert re.fullmatch("[0-9a-f]{64}", download.OFFICIAL.sha256)


def test_downloads_once(source, behaviour, tmp_path):
    folder = tmp_path / "new" / "cache"
    assert_whole(fetch_archive(source, folder, FAST), folder)
    assert_whole(fetch_archive(source, folder, FAST), folder)
    assert behaviour.ranges == [None]


def test_source_without_size(source, tmp_path):
    assert_whole(fetch_archive(without_size(source), tmp_path, FAST), tmp_path)


def test_no_progress_bar_off_the_terminal(source, tmp_path, capsys):
    fetch_archive(source, tmp_path, FAST)
    assert capsys.readouterr() == ("", "")


def test_final_file_of_wrong_size_is_replaced(source, tmp_path):
    (tmp_path / "a.zip").write_bytes(b"PK half")
    assert_whole(fetch_archive(source, tmp_path, FAST), tmp_path)


def test_cache_folder(monkeypatch, source, tmp_path):
    monkeypatch.delenv("VINSCRIBE_CACHE", raising=False)
    assert "vinscribe" in cache_folder().parts
    monkeypatch.setenv("VINSCRIBE_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    assert_whole(fetch_archive(source, settings=FAST), tmp_path)


# Resuming


def test_goes_on_after_breaks_in_one_call(source, behaviour, tmp_path):
    behaviour.break_after = [50_000, 60_000]
    assert_whole(fetch_archive(source, tmp_path, FAST), tmp_path)
    assert behaviour.ranges == [None, "bytes=50000-", "bytes=110000-"]


def test_goes_on_in_the_next_call(source, behaviour, tmp_path):
    behaviour.break_after = [50_000, 1000, 0]
    with pytest.raises(DownloadError, match=r"tried 3 times.*--emnist PATH.*51,000 bytes are kept in .*a\.zip\.part"):
        fetch_archive(source, tmp_path, FAST)
    assert not (tmp_path / "a.zip").exists()
    assert (tmp_path / "a.zip.part").read_bytes() == ARCHIVE[:51_000]
    assert_whole(fetch_archive(source, tmp_path, FAST), tmp_path)
    assert behaviour.ranges[-1] == "bytes=51000-"


def test_progress_starts_the_count_of_tries_again(source, behaviour, tmp_path):
    behaviour.break_after = [20_000] * 6
    settings = DownloadSettings(tries=2, pause_s=0, chunk_bytes=1000, progress_bytes=10_000)
    assert_whole(fetch_archive(source, tmp_path, settings), tmp_path)


def test_server_that_always_begins_anew_ends(source, behaviour, tmp_path):
    behaviour.break_after, behaviour.obeys_ranges = [20_000] * 50, False
    settings = DownloadSettings(tries=2, pause_s=0, chunk_bytes=1000, progress_bytes=10_000)
    with pytest.raises(DownloadError, match="tried 2 times"):
        fetch_archive(source, tmp_path, settings)


def test_server_that_ignores_ranges(source, behaviour, tmp_path):
    behaviour.obeys_ranges = False
    leave_part(tmp_path, ARCHIVE[:70_000])
    assert_whole(fetch_archive(source, tmp_path, FAST), tmp_path)
    assert behaviour.ranges == ["bytes=70000-"]


@pytest.mark.parametrize("obeys_if_range", [True, False])
def test_changed_file_begins_anew(source, behaviour, tmp_path, obeys_if_range):
    behaviour.etag, behaviour.obeys_if_range = '"second"', obeys_if_range
    leave_part(tmp_path, b"PK of the old file" * 100)
    assert_whole(fetch_archive(source, tmp_path, FAST), tmp_path)


def test_part_without_tag_goes_on(source, behaviour, tmp_path):
    leave_part(tmp_path, ARCHIVE[:70_000], tag=None)
    assert_whole(fetch_archive(source, tmp_path, FAST), tmp_path)
    assert behaviour.ranges == ["bytes=70000-"]


def test_whole_part_needs_no_server(tmp_path):
    leave_part(tmp_path, ARCHIVE)
    assert_whole(fetch_archive(source_at(port=1), tmp_path, FAST), tmp_path)


def test_416_for_a_whole_part(source, tmp_path):
    leave_part(tmp_path, ARCHIVE)
    assert_whole(fetch_archive(without_size(source), tmp_path, FAST), tmp_path)


@pytest.mark.parametrize("known_size", [True, False])
def test_part_that_is_too_long_begins_anew(source, tmp_path, known_size):
    leave_part(tmp_path, ARCHIVE + b"more")
    assert_whole(fetch_archive(source if known_size else without_size(source), tmp_path, FAST), tmp_path)


# What the server sends is wrong


def test_wrong_checksum_names_both_and_removes_the_part(source, behaviour, tmp_path):
    behaviour.body = ARCHIVE[:-1] + b"!"
    wrong = hashlib.sha256(behaviour.body).hexdigest()
    with pytest.raises(DownloadError, match=f"{wrong} instead of {source.sha256}.*removed.*--emnist PATH"):
        fetch_archive(source, tmp_path, FAST)
    assert {file.name for file in tmp_path.iterdir()} == {"a.zip.lock"}


def test_half_file_on_the_server(source, behaviour, tmp_path):
    behaviour.body = ARCHIVE[:1000]
    with pytest.raises(DownloadError, match="1,000 bytes where the archive has 200,004"):
        fetch_archive(source, tmp_path, FAST)
    assert not (tmp_path / "a.zip").exists()


def test_short_file_without_stated_length_is_kept(source, behaviour, tmp_path):
    behaviour.states_length, behaviour.obeys_ranges, behaviour.body = False, False, ARCHIVE[:1000]
    with pytest.raises(DownloadError, match=r"sent only 1,000 of 200,004 bytes.*1,000 bytes are kept"):
        fetch_archive(source, tmp_path, FAST)
    assert (tmp_path / "a.zip.part").stat().st_size == 1000
    assert not (tmp_path / "a.zip").exists()


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "application/zip"])
def test_html_page(source, behaviour, tmp_path, content_type):
    behaviour.body, behaviour.content_type = b"\n<!DOCTYPE html><p>Log in", content_type
    with pytest.raises(DownloadError, match=r"a web page \(HTML\).*browser.*--emnist PATH"):
        fetch_archive(without_size(source), tmp_path, FAST)
    assert {file.name for file in tmp_path.iterdir()} == {"a.zip.lock"}


def test_html_page_leaves_the_part_alone(source, behaviour, tmp_path):
    leave_part(tmp_path, ARCHIVE[:70_000])
    behaviour.obeys_ranges, behaviour.states_length, behaviour.body = False, False, b"<html>"
    with pytest.raises(DownloadError, match="web page"):
        fetch_archive(source, tmp_path, FAST)
    assert (tmp_path / "a.zip.part").read_bytes() == ARCHIVE[:70_000]


def test_no_zip(source, behaviour, tmp_path):
    behaviour.body = b"Rar!" + bytes(1000)
    with pytest.raises(DownloadError, match=r"other data .*Rar!"):
        fetch_archive(without_size(source), tmp_path, FAST)


def test_empty_answer(source, behaviour, tmp_path):
    behaviour.body = b""
    with pytest.raises(DownloadError, match="sent nothing"):
        fetch_archive(without_size(source), tmp_path, FAST)


@pytest.mark.parametrize("status", [403, 404])
def test_error_status_is_final(source, behaviour, tmp_path, status):
    behaviour.statuses = [status]
    with pytest.raises(DownloadError, match=f"{source.url} answered with HTTP status {status}.*--emnist PATH"):
        fetch_archive(source, tmp_path, FAST)
    assert len(behaviour.ranges) == 1


def test_passing_error_status_is_tried_again(source, behaviour, tmp_path):
    behaviour.statuses = [503, 500]
    assert_whole(fetch_archive(source, tmp_path, FAST), tmp_path)


# What is wrong here


def test_nobody_answers(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        with pytest.raises(DownloadError, match=r"connection to .* failed.*tried 3 times.*network.*--emnist PATH"):
            fetch_archive(source_at(taken.getsockname()[1]), tmp_path, FAST)


def test_unknown_host(monkeypatch, tmp_path):
    def fail(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    monkeypatch.setenv("NO_PROXY", "*")
    source = ArchiveSource("http://no-such-host.invalid/a.zip", "0" * 64, 10, "a.zip")
    with pytest.raises(DownloadError, match=r"no-such-host.invalid/a.zip failed"):
        fetch_archive(source, tmp_path, FAST)


def test_bad_address(tmp_path):
    with pytest.raises(DownloadError, match="Cannot download nonsense"):
        fetch_archive(ArchiveSource("nonsense", "0" * 64, 10, "a.zip"), tmp_path, FAST)


def test_too_little_space_is_seen_beforehand(monkeypatch, source, tmp_path):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10**9, 10**9, 100_000))
    with pytest.raises(
        DownloadError, match=r"full: 200,004 more bytes are needed and 100,000 are free.*VINSCRIBE_CACHE"
    ):
        fetch_archive(source, tmp_path, FAST)
    assert not (tmp_path / "a.zip.part").exists()
    leave_part(tmp_path, ARCHIVE[:150_000])  # what is left fits
    assert_whole(fetch_archive(source, tmp_path, FAST), tmp_path)


def test_disk_full_while_writing(monkeypatch, source, tmp_path):
    def open_on_full_disk(path, mode):
        file = open(path, mode)  # noqa: SIM115 (the caller closes it)
        if not str(path).endswith(".part"):
            return file

        class Full:
            def __enter__(self):
                return self

            def __exit__(self, *args):
                file.close()

            def write(self, chunk):
                if file.tell() > 50_000:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return file.write(chunk)

        return Full()

    with monkeypatch.context() as patch:
        patch.setattr(download, "open", open_on_full_disk, raising=False)
        with pytest.raises(DownloadError, match=r"full: .*No space left.*VINSCRIBE_CACHE.*--emnist PATH"):
            fetch_archive(source, tmp_path, FAST)
    assert not (tmp_path / "a.zip").exists()
    assert (tmp_path / "a.zip.part").stat().st_size > 50_000
    assert_whole(fetch_archive(source, tmp_path, FAST), tmp_path)


def test_cache_that_cannot_be_written(monkeypatch, source, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DownloadError, match=r"Cannot write to the cache folder .*VINSCRIBE_CACHE.*--emnist PATH"):
        fetch_archive(source, tmp_path / "file" / "cache", FAST)

    def refuse(path, mode):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(download, "open", refuse, raising=False)
    with pytest.raises(DownloadError, match=r"Read-only file system.*VINSCRIBE_CACHE"):
        fetch_archive(source, tmp_path, FAST)


def test_second_process_is_refused(source, tmp_path):
    hold = (
        "import sys, pathlib; from vinscribe.training import download\n"
        "with download._only_process(pathlib.Path(sys.argv[1])):\n    print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", hold, str(tmp_path / "a.zip.lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline().strip() == b"held"
        with pytest.raises(DownloadError, match="Another process is downloading"):
            fetch_archive(source, tmp_path, FAST)
        other.kill()
    assert_whole(fetch_archive(source, tmp_path, FAST), tmp_path)
