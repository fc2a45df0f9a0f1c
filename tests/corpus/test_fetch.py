from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from nmt_pbt.base.errors import UsageError
from nmt_pbt.tasks.translation.corpus import fetch as module
from nmt_pbt.tasks.translation.corpus.fetch import SOURCES, RemoteFile, Source, fetch

CONTENT = {"one.gz": bytes(range(256)) * 1000, "two.gz": b"second file" * 500}


class Server(ThreadingHTTPServer):
    """A web server that a test can make fail.

    Attributes:
        content: Its files.
        asked: What was asked for: a file's name, and the position asked for or None.
        break_after: Close the connection after so many bytes of the next answer.
        ranges: Whether it can begin in the middle of a file.
        status: Answer everything with this.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = dict(CONTENT)
        self.asked: list[tuple[str, int | None]] = []
        self.break_after: int | None = None
        self.ranges = True
        self.status = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/folder/"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name = self.path.removeprefix("/folder/")
        wanted = self.headers["Range"]
        position = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else None
        self.server.asked.append((name, position))
        data = self.server.content.get(name, b"")
        begin = position if position is not None and self.server.ranges else 0
        if self.server.status or not data:
            self.send_error(self.server.status or 404)
            return
        if begin >= len(data):
            self.send_error(416)
            return
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - begin))
        self.end_headers()
        end, self.server.break_after = self.server.break_after, None
        self.wfile.write(data[begin : None if end is None else begin + end])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    files = tuple(
        RemoteFile(name, hashlib.sha256(data).hexdigest(), len(data)) for name, data in sorted(CONTENT.items())
    )
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setitem(SOURCES, "sample", Source(server.url, files))
        yield server
        server.shutdown()
        thread.join()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_all_files_arrive(server: Server, tmp_path: Path) -> None:
    assert fetch("sample", tmp_path / "new" / "sample") == tmp_path / "new" / "sample"
    for name, data in CONTENT.items():
        assert (tmp_path / "new" / "sample" / name).read_bytes() == data
    assert names(tmp_path / "new" / "sample") == ["one.gz", "two.gz"]
    assert server.asked == [("one.gz", None), ("two.gz", None)]


def test_progress_is_told(server: Server, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    fetch("sample", tmp_path, progress=lambda *step: told.append(step))
    assert told[-1] == ("two.gz", 5_500, 5_500)
    ones = [done for name, done, total in told if name == "one.gz" and total == 256_000]
    assert ones == sorted(ones)
    assert len(ones) > 2
    assert ones[-1] == 256_000


def test_what_is_there_and_right_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    fetch("sample", tmp_path)
    (tmp_path / "two.gz").write_bytes(b"damaged")
    server.asked.clear()
    fetch("sample", tmp_path)
    assert server.asked == [("two.gz", None)]
    assert (tmp_path / "two.gz").read_bytes() == CONTENT["two.gz"]


def test_an_interrupted_download_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.break_after = 100_000
    with pytest.raises(UsageError, match=r"one\.gz: the download failed .*100,000 of 256,000.*same command again"):
        fetch("sample", tmp_path)
    assert names(tmp_path) == ["one.gz.part"]
    assert (tmp_path / "one.gz.part").read_bytes() == CONTENT["one.gz"][:100_000]
    fetch("sample", tmp_path)
    assert server.asked == [("one.gz", None), ("one.gz", 100_000), ("two.gz", None)]
    assert (tmp_path / "one.gz").read_bytes() == CONTENT["one.gz"]
    assert names(tmp_path) == ["one.gz", "two.gz"]


def test_a_download_stopped_before_its_last_rename_is_not_repeated(server: Server, tmp_path: Path) -> None:
    (tmp_path / "one.gz.part").write_bytes(CONTENT["one.gz"])
    fetch("sample", tmp_path)
    assert server.asked == [("two.gz", None)]


def test_a_server_that_cannot_begin_in_the_middle_is_read_from_the_start(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    (tmp_path / "one.gz.part").write_bytes(b"x" * 1000)
    fetch("sample", tmp_path)
    assert (tmp_path / "one.gz").read_bytes() == CONTENT["one.gz"]


def test_a_wrong_file_is_refused_and_not_kept(server: Server, tmp_path: Path) -> None:
    server.content["one.gz"] = bytes(256_000)
    with pytest.raises(UsageError, match="not the file it should be") as error:
        fetch("sample", tmp_path)
    assert "\n" not in str(error.value)
    assert names(tmp_path) == []


def test_a_part_that_belongs_to_another_file_is_refused_and_fetched_afresh(server: Server, tmp_path: Path) -> None:
    (tmp_path / "one.gz.part").write_bytes(b"x" * 1000)
    with pytest.raises(UsageError, match="not the file it should be"):
        fetch("sample", tmp_path)
    fetch("sample", tmp_path)
    assert (tmp_path / "one.gz").read_bytes() == CONTENT["one.gz"]


@pytest.mark.parametrize("size", [255_999, 256_001, 5])
def test_a_file_of_another_size_is_refused_before_it_is_loaded(server: Server, tmp_path: Path, size: int) -> None:
    server.content["one.gz"] = bytes(size)
    with pytest.raises(UsageError, match=rf"the server has {size:,} bytes, expected 256,000"):
        fetch("sample", tmp_path)
    assert names(tmp_path) == []


def test_a_part_longer_than_the_servers_file_is_not_kept(server: Server, tmp_path: Path) -> None:
    server.content["one.gz"] = bytes(100)
    (tmp_path / "one.gz.part").write_bytes(b"x" * 1000)
    with pytest.raises(UsageError, match="answers 416"):
        fetch("sample", tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize("status", [404, 500, 503])
def test_what_the_server_answers_is_told(server: Server, tmp_path: Path, status: int) -> None:
    server.status = status
    with pytest.raises(UsageError, match=f"the server answers {status}"):
        fetch("sample", tmp_path)


def test_no_network_is_one_line(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the download failed") as error:
        fetch("sample", tmp_path, base_url="http://127.0.0.1:9")
    assert "\n" not in str(error.value)


def test_another_address_may_be_given(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SOURCES, "sample", Source("http://127.0.0.1:9", SOURCES["sample"].files))
    fetch("sample", tmp_path, base_url=server.url)
    assert names(tmp_path) == ["one.gz", "two.gz"]


@pytest.mark.parametrize("url", ["file:///etc", "ftp://host", "no address"])
def test_only_web_addresses_are_taken(server: Server, tmp_path: Path, url: str) -> None:
    with pytest.raises(UsageError, match="not a web address"):
        fetch("sample", tmp_path, base_url=url)


def test_a_place_that_cannot_be_written_is_told(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="cannot be written"):
        fetch("sample", tmp_path / "file" / "folder")


def test_an_unknown_corpus_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'multi30' cannot be fetched; did you mean 'multi30k'"):
        fetch("multi30", tmp_path)
    assert names(tmp_path) == []


def test_multi30k_is_pinned() -> None:
    source = SOURCES["multi30k"]
    assert "/a3d2e0d26b56f3846f66a952536ffed4e401d05a/" in source.base_url
    assert len({file.sha256 for file in source.files}) == len(source.files) == 22
    trained = {file.name.split(".")[1] for file in source.files if file.name.startswith("train.")}
    assert trained == {"en", "de", "fr", "cs"}
    assert all(len(bytes.fromhex(file.sha256)) == 32 for file in source.files)


def test_multi30k_beside_the_checkout_is_what_is_pinned() -> None:
    folder = Path(module.__file__).resolve().parents[5] / "shared" / "data" / "multi30k"
    if not folder.is_dir():
        pytest.skip("Multi30k is not beside this checkout")
    there = [file for file in SOURCES["multi30k"].files if (folder / file.name).is_file()]
    assert len(there) >= 6
    for file in there:
        data = (folder / file.name).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file.size, file.sha256)
