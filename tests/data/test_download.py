"""Downloads against a server on this machine that misbehaves in every way that servers do."""

import errno
import fcntl
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest

from oodbench.data import download as module
from oodbench.data.cards import File
from oodbench.data.download import download
from oodbench.data.fixed import parse
from oodbench.errors import BadCard, Busy, MissingData

CONTENT = np.random.default_rng(0).integers(0, 256, 300_000, np.uint8).tobytes()


@dataclass
class Server:
    """A server whose next answers are `answer`; what was asked is in `asked`."""

    url: str = ""
    asked: list[str | None] = field(default_factory=list)
    answer: Callable[[BaseHTTPRequestHandler], None] = lambda handler: None


@pytest.fixture(params=["https"])
def server(request: pytest.FixtureRequest, trusted: ssl.SSLContext) -> Iterator[Server]:
    known = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known.asked.append(self.headers.get("Range"))
            known.answer(self)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.daemon_threads = True
        running.handle_error = lambda *_: None  # type: ignore[method-assign]  clients that hang up are the tests' own
        if request.param == "https":
            running.socket = trusted.wrap_socket(running.socket, server_side=True)
        known.url = f"{request.param}://127.0.0.1:{running.server_port}/file"
        Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield known
        running.shutdown()


def send(
    handler: BaseHTTPRequestHandler, content: bytes, code: int = 200, said: int | None = None, **more: str
) -> None:
    handler.send_response(code)
    handler.send_header("Content-Length", str(len(content) if said is None else said))
    for name, value in more.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(content)


def ranges(handler: BaseHTTPRequestHandler) -> None:
    """Answer as a server does that knows ranges."""
    asked = handler.headers.get("Range")
    start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
    send(handler, CONTENT[start:], 206 if asked else 200)


def test_whole(server: Server, tmp_path: Path) -> None:
    server.answer = ranges
    download(server.url, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT and server.asked == [None]


def test_what_a_kill_left_is_gone_on_with(server: Server, tmp_path: Path) -> None:
    server.answer = ranges
    (tmp_path / "part").write_bytes(CONTENT[:100_000])
    download(server.url, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT and server.asked == ["bytes=100000-"]


def test_a_server_without_ranges_starts_anew(server: Server, tmp_path: Path) -> None:
    server.answer = lambda handler: send(handler, CONTENT)
    (tmp_path / "part").write_bytes(b"x" * 7)
    download(server.url, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT


def test_more_than_the_server_has_starts_anew(server: Server, tmp_path: Path) -> None:
    server.answer = lambda handler: send(handler, b"", 416) if handler.headers.get("Range") else send(handler, CONTENT)
    (tmp_path / "part").write_bytes(bytes(400_000))
    download(server.url, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT and server.asked == ["bytes=400000-", None]


def test_a_transfer_that_breaks_off_goes_on(server: Server, tmp_path: Path) -> None:
    def cut(handler: BaseHTTPRequestHandler) -> None:
        asked = handler.headers.get("Range")
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        send(handler, CONTENT[start : start + 120_000], 206 if asked else 200, said=len(CONTENT) - start)

    server.answer = cut
    download(server.url, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=120000-", "bytes=240000-"]


def test_a_transfer_that_brings_nothing_ends_and_keeps_what_came(server: Server, tmp_path: Path) -> None:
    server.answer = lambda handler: send(handler, b"", 206, said=1000)
    (tmp_path / "part").write_bytes(CONTENT[:50])
    with pytest.raises(MissingData, match=r"https://.*/file could not be downloaded: .*broke off.*goes on from there"):
        download(server.url, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT[:50]


def test_gzip_files_stay_gzipped(server: Server, tmp_path: Path) -> None:
    """Some servers call a .gz file an encoding; the checksum is that of the file."""
    import gzip

    server.answer = lambda handler: send(handler, gzip.compress(CONTENT, mtime=0), Content_Encoding="gzip")
    download(server.url, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == gzip.compress(CONTENT, mtime=0)


@pytest.mark.parametrize("server", ["http"], indirect=True)
def test_nothing_is_fetched_without_encryption(server: Server, tmp_path: Path) -> None:
    server.answer = ranges
    with pytest.raises(MissingData, match="does not begin with https://"):
        download(server.url, tmp_path / "part")
    assert not server.asked, "not even asked"


def test_a_redirection_to_http_is_refused(server: Server, tmp_path: Path) -> None:
    server.answer = lambda handler: send(handler, b"", 302, Location=server.url.replace("https", "http"))
    with pytest.raises(MissingData, match="does not begin with https://"):
        download(server.url, tmp_path / "part")
    assert len(server.asked) == 1 and not (tmp_path / "part").read_bytes()


def test_a_redirection_to_https_is_followed(server: Server, tmp_path: Path) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/file":
            send(handler, b"", 302, Location="/elsewhere")
        else:
            ranges(handler)

    server.answer = answer
    download(server.url, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT


@pytest.mark.parametrize("code", [403, 404, 500])
def test_an_answer_that_is_not_the_file(server: Server, tmp_path: Path, code: int) -> None:
    server.answer = lambda handler: send(handler, b"<html>", code)
    with pytest.raises(MissingData, match=f"the server answered {code}"):
        download(server.url, tmp_path / "part")
    assert not (tmp_path / "part").read_bytes()


@pytest.mark.parametrize("said", [True, False])
def test_more_than_the_card_says_is_refused(server: Server, tmp_path: Path, said: bool) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if said:
            return send(handler, CONTENT)
        handler.send_response(200)  # no length: it ends when the connection does
        handler.end_headers()
        handler.wfile.write(CONTENT)
        return None

    server.answer = answer
    with pytest.raises(MissingData, match="it has more than 1000 bytes, which is too many"):
        download(server.url, tmp_path / "part", size=1000)
    assert (tmp_path / "part").stat().st_size <= 1000 + module.CHUNK


def test_without_a_size_there_is_a_limit(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT", 999)
    server.answer = ranges
    with pytest.raises(MissingData, match="more than 999 bytes"):
        download(server.url, tmp_path / "part")


def test_a_file_larger_than_the_disk_is_not_begun(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answer = ranges
    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: type("", (), {"free": 10}))
    with pytest.raises(MissingData, match=r"no room in .*300000 bytes are to come, and 10 are free.*OODBENCH_DATA"):
        download(server.url, tmp_path / "part")


def test_a_full_disk(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answer = ranges

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "_refuse", full)
    with pytest.raises(MissingData, match=r"no room in .*No space left on device"):
        download(server.url, tmp_path / "part")


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_server_that_falls_silent(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    monkeypatch.setattr(module, "READ", 0.2)
    let_go = Event()

    def silent(handler: BaseHTTPRequestHandler) -> None:
        if when == "after" and handler.headers.get("Range") is None:
            send(handler, CONTENT[:1000], said=len(CONTENT))
        let_go.wait(10)

    server.answer = silent
    with pytest.raises(MissingData, match="did not answer within 20 s, or sent nothing for 0 s"):
        download(server.url, tmp_path / "part")
    let_go.set()
    assert (tmp_path / "part").stat().st_size == (1000 if when == "after" else 0)


def test_no_way_to_the_server(server: Server, tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"there is no way to the server \(is there a network"):
        download("https://127.0.0.1:1/file", tmp_path / "part")


def test_a_certificate_that_nobody_vouches_for(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answer = ranges
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(MissingData, match=r"its certificate is not trusted.*REQUESTS_CA_BUNDLE"):
        download(server.url, tmp_path / "part")
    assert not server.asked


def test_two_at_once(server: Server, tmp_path: Path) -> None:
    with (tmp_path / "part").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(Busy, match="another process is downloading it"):
            download(server.url, tmp_path / "part")
    assert not server.asked


def test_a_folder_where_the_file_should_be(server: Server, tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    with pytest.raises(MissingData, match="cannot be written to"):
        download(server.url, tmp_path / "part")


@pytest.mark.parametrize("url", ["http://example.org/a", "ftp://example.org/a", "file:///etc/passwd", "example.org/a"])
def test_a_card_names_https_addresses_alone(url: str) -> None:
    with pytest.raises(BadCard, match="url"):
        parse({"name": "a", "md5": "0" * 32, "url": url}, File, "a.toml")
