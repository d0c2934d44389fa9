"""Media from URLs: what is fetched, and that nothing inside the network ever is."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest

from tasks.media import MediaSource
from tasks.platforms import LocalPlatform, OutgoingPost, PermanentPlatformError, TemporaryPlatformError
from tasks.public_addresses import is_public
from tasks.remote_media import REDIRECTS, RemoteMedia
from tests.stack import wait_for

PICTURE = b"\x89PNG picture" * 1_000
MOST = 20_000


class Handler(BaseHTTPRequestHandler):
    """Answers by path; the server notes who asked for what."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers["Host"]))
        getattr(self, "answer_" + self.path.strip("/").split("/")[0].split("?")[0].split(".")[0])()

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def send(self, content: bytes = PICTURE, kind: str = "image/png", status: int = 200, **headers: str):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in ({"Content-Length": str(len(content))} | headers).items():
            if value:
                self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def answer_a(self) -> None:
        self.send()

    def answer_html(self) -> None:
        self.send(kind="text/html")

    def answer_svg(self) -> None:
        self.send(kind="image/svg+xml; charset=utf-8")

    def answer_packed(self) -> None:
        self.send(Content_Encoding="gzip")

    def answer_large(self) -> None:
        self.send(b"x" * (MOST + 1))

    def answer_endless(self) -> None:
        """No length, and more than is wanted."""
        self.close_connection = True
        self.send(b"x" * (MOST * 3), Content_Length="")

    def answer_short(self) -> None:
        """Less than was promised."""
        self.close_connection = True
        self.send(b"x" * 10, Content_Length="100")

    def answer_missing(self) -> None:
        self.send(status=404)

    def answer_busy(self) -> None:
        self.send(status=503)

    def answer_to(self) -> None:
        self.send(b"", status=302, Location=self.path.split("/", 2)[2])

    def answer_round(self) -> None:
        self.send(b"", status=307, Location="/round")

    def answer_dripping(self) -> None:
        """A byte now and then, for ever, of the body."""
        self.drip(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n")

    def answer_silent(self) -> None:
        """The same of the headers."""
        self.drip(b"HTTP/1.1 200 OK\r\nX: ")

    def drip(self, head: bytes) -> None:
        self.close_connection = True
        self.wfile.write(head)
        while not self.server.over.wait(0.02):
            try:
                self.wfile.write(b"x")
            except OSError:
                return


@pytest.fixture(scope="module")
def server() -> Iterator[ThreadingHTTPServer]:
    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.asked, running.over = [], threading.Event()
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    yield running
    running.over.set()
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture
def port(server: ThreadingHTTPServer) -> int:
    server.asked.clear()
    return server.server_port


@pytest.fixture
def remote(port: int, tmp_path: Path) -> RemoteMedia:
    """One that may fetch from this machine, since a test has no server anywhere else."""
    return RemoteMedia(
        tmp_path / "media",
        most=MOST,
        timeout=5,
        is_allowed=lambda address: str(address) == "127.0.0.1",
        ports=frozenset({port}),
    )


def strict(tmp_path: Path, port: int) -> RemoteMedia:
    """With the real rule for addresses, and a port that would do."""
    return RemoteMedia(tmp_path, most=MOST, timeout=5, ports=frozenset({80, 443, port}))


def test_a_picture_is_fetched_and_kept(remote, port, place, settings):
    """Through the media source and the local platform, as a post's picture is."""
    media = MediaSource(settings.jobcast_media_source, remote)
    platform = LocalPlatform("local", place.storage, settings.jobcast_media_root)
    url = f"http://127.0.0.1:{port}/a.png?x=1"
    (kept,) = place.storage.media_of(platform.publish(OutgoingPost("k", "hi"), [media.media(url)]))
    assert (kept.name, kept.size, kept.sha256) == (url, len(PICTURE), hashlib.sha256(PICTURE).hexdigest())
    assert (settings.jobcast_media_root / kept.path).read_bytes() == PICTURE


def test_redirects_are_followed_a_few_times(remote, port):
    """Relative ones too."""
    with remote.open(f"http://127.0.0.1:{port}/to//to//a") as file:
        assert file.read() == PICTURE


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "2130706433", "0x7f000001", "017700000001", "127.1", "0177.0.0.1", "localhost", "0",
     "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002::]",
     "169.254.169.254", "10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1", "224.0.0.1", "255.255.255.255",
     "[fe80::1]", "[fc00::1]", "[ff02::1]", "[::127.0.0.1]", "[fec0::1]"],
)  # fmt: skip
def test_no_spelling_of_an_inside_address_is_fetched(server, port, tmp_path, host):
    """The server is there, and is never asked."""
    with pytest.raises(PermanentPlatformError, match="not a public address"):
        strict(tmp_path, port).open(f"http://{host}:{port}/a")
    assert server.asked == []


def test_a_redirect_to_the_inside_is_not_followed(remote, server, port):
    """Each hop is checked like the first."""
    for target in (
        "http://169.254.169.254/latest/meta-data/",
        f"http://[::1]:{port}/a",
        "http://localhost./a",
    ):
        with pytest.raises(PermanentPlatformError):
            remote.open(f"http://127.0.0.1:{port}/to/{target}")
    for target in ("file:///etc/passwd", "ftp://example.com/a", "gopher://127.0.0.1/", "//user@127.0.0.1/a"):
        with pytest.raises(PermanentPlatformError):
            remote.open(f"http://127.0.0.1:{port}/to/{target}")
    assert not any(path == "/a" for path, _ in server.asked)


def test_a_name_is_looked_up_once_and_the_checked_address_is_the_one_that_is_asked(
    remote, server, port, monkeypatch
):
    """A second answer, with another address in it, has nobody to hear it."""
    answers = [["127.0.0.1"], ["127.0.0.2"]]

    def rebinding(host, *_: object, **__: object):
        assert host == "pictures.example"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answers.pop(0)]

    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *a, **k: rebinding(host) if "example" in host else real(host, *a, **k),
    )
    remote.open(f"http://pictures.example:{port}/a").close()
    assert server.asked == [("/a", f"pictures.example:{port}")]
    assert answers == [["127.0.0.2"]]


def test_a_name_with_one_inside_address_is_refused(tmp_path, port, monkeypatch):
    """However many public ones it has besides."""
    found = [(socket.AF_INET, 1, 6, "", (address, port)) for address in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(PermanentPlatformError, match="not a public address"):
        strict(tmp_path, port).open(f"http://pictures.example:{port}/a")


@pytest.mark.parametrize(
    "url",
    ["http://user:secret@8.8.8.8/a", "http://user@8.8.8.8/a", "http://8.8.8.8:22/a", "http://8.8.8.8:0/a",
     "https://8.8.8.8:6379/a", "http:///a", "http://", "https://8.8.8.8:99999/", "http://[::1/a"],
)  # fmt: skip
def test_user_names_other_ports_and_what_is_no_url_are_refused(tmp_path, url):
    """And a password is not repeated."""
    with pytest.raises(PermanentPlatformError) as refused:
        RemoteMedia(tmp_path, most=MOST, timeout=5).open(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("path", "reason"),
    [("html", "no picture"), ("svg", "no picture"), ("packed", "compressed"), ("large", "20,000 bytes"),
     ("endless", "20,000 bytes"), ("missing", "answered 404"), ("round", f"more than {REDIRECTS} redirects")],
)  # fmt: skip
def test_what_is_not_a_picture_of_a_fair_size_is_refused_for_good(remote, port, path, reason):
    """By what the server says, and by what it really sends."""
    with pytest.raises(PermanentPlatformError, match=reason):
        remote.open(f"http://127.0.0.1:{port}/{path}?signature=secret")


@pytest.mark.parametrize("path", ["busy", "short"])
def test_what_may_pass_is_tried_again_later(remote, port, path):
    """A server that is busy or breaks off."""
    with pytest.raises(TemporaryPlatformError):
        remote.open(f"http://127.0.0.1:{port}/{path}")


def test_a_refused_connection_may_pass(tmp_path):
    """Nobody listens there right now."""
    remote = RemoteMedia(tmp_path, most=1, timeout=2, is_allowed=lambda _: True, ports=frozenset({1}))
    with pytest.raises(TemporaryPlatformError):
        remote.open("http://127.0.0.1:1/a")


@pytest.mark.parametrize("path", ["dripping", "silent"])
def test_the_whole_fetch_has_one_time_limit(port, tmp_path, path):
    """A byte now and then does not wind it up again; not in the headers either."""
    remote = RemoteMedia(tmp_path, most=MOST, timeout=0.5, is_allowed=lambda _: True, ports=frozenset({port}))
    began = time.monotonic()
    with pytest.raises(TemporaryPlatformError, match=r"not there within 0\.5 s"):
        remote.open(f"http://127.0.0.1:{port}/{path}")
    assert time.monotonic() - began < 10


def test_nothing_stays_behind(remote, port, tmp_path):
    """Neither half a file nor a thread."""
    threads = threading.active_count()
    for path in ("endless", "html", "short"):
        with pytest.raises((PermanentPlatformError, TemporaryPlatformError)):
            remote.open(f"http://127.0.0.1:{port}/{path}")
    remote.open(f"http://127.0.0.1:{port}/a").close()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    wait_for(lambda: threading.active_count() <= threads, what="the threads to end, the server's own as well")


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001:830::200e"]
)
def test_ordinary_addresses_are_public(address):
    """The rule does not refuse the internet."""
    assert is_public(ip_address(address))
