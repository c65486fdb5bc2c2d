"""Downloads against a real server that is slow, broken, busy or lying."""

import http.server
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from functools import partial
from pathlib import Path

import pytest
from conftest import BLUE, RED, FakeEncoder, save_gif

from retrieval.build.build import build_index
from retrieval.build.downloads import MAX_REDIRECTS, Downloader, Fetched
from retrieval.build.host_limits import DOWN_AFTER
from retrieval.errors import MediaError, SilentHostError, UnavailableError

# The servers of these tests are on loopback; test_public_addresses.py has what is refused.
LocalDownloader = partial(Downloader, allow_private=True)
Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


class Server(http.server.ThreadingHTTPServer):
    """`answers[path]` are given in turn, the last one for ever; `asked` is what came in."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, list[Answer]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.in_flight = self.most_in_flight = 0
        self.lock = threading.Lock()
        self.root = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address) -> None:
        pass  # clients that hang up are what is tested


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.asked.append((self.path, dict(self.headers)))
            answers = self.server.answers[self.path]
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            self.server.in_flight += 1
            self.server.most_in_flight = max(self.server.most_in_flight, self.server.in_flight)
        try:
            answer(self)
        finally:
            with self.server.lock:
                self.server.in_flight -= 1

    def log_message(self, *args) -> None:
        pass


def send(status: int, body: bytes = b"", delay_s: float = 0, **headers: str) -> Answer:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        time.sleep(delay_s)
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def hang_up(body: bytes = b"", *, announced: int | None = None, chunked: bool = False) -> Answer:
    """Begin an answer, and close the connection before its end."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        if announced is not None or chunked:
            handler.send_response(200)
            if chunked:
                handler.send_header("Transfer-Encoding", "chunked")
                body_sent = f"{len(body) + 9:x}\r\n".encode() + body
            else:
                handler.send_header("Content-Length", str(announced))
                body_sent = body
            handler.end_headers()
            handler.wfile.write(body_sent)

    return answer


def drip(head: bytes, byte: bytes, every_s: float = 0.05) -> Answer:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.wfile.write(head)
        for _ in range(200):
            handler.wfile.write(byte)
            time.sleep(every_s)

    return answer


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def gif(tmp_path: Path) -> bytes:
    return save_gif(tmp_path / "x.gif", [RED, BLUE]).read_bytes()


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def downloader(waits: list[float]) -> Iterator[Downloader]:
    """One that writes its pauses down instead of making them."""
    with LocalDownloader(max_bytes=10_000, timeout_s=2, wait=waits.append) as downloader:
        yield downloader


def test_the_bytes_come_with_what_tells_whether_they_changed(server, downloader, gif):
    date = formatdate(0, usegmt=True)
    server.answers["/a.gif"] = [send(200, gif, ETag='"v1"', Last_Modified=date), send(304)]
    fetched = downloader.fetch(f"{server.root}/a.gif")
    assert fetched == Fetched(gif, '"v1"', date)
    again = downloader.fetch(f"{server.root}/a.gif", fetched.etag, fetched.last_modified)
    assert again == Fetched(None, '"v1"', date)
    (_, first), (_, second) = server.asked
    assert first["User-Agent"].startswith("clip-reaction-search/")
    assert first["User-Agent"].endswith(" (index builder)")
    assert "If-None-Match" not in first and "If-Modified-Since" not in first
    assert (second["If-None-Match"], second["If-Modified-Since"]) == ('"v1"', date)


def test_what_fails_for_the_moment_is_tried_again(server, downloader, waits, gif):
    whole = send(200, gif)
    half = gif[: len(gif) // 2]
    server.answers = {
        "/busy.gif": [send(503), send(429), whole],
        "/cut.gif": [hang_up(half, announced=len(gif)), whole],
        "/chunks.gif": [hang_up(half, chunked=True), whole],
        "/dropped.gif": [hang_up(), whole],
    }
    for path in server.answers:
        assert downloader.fetch(server.root + path).data == gif, path
    assert waits == [1, 2, 1, 1, 1]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (send(503), r"HTTP 503 Service Unavailable \(4 tries\)"),
        (hang_up(b"GIF89a", announced=900), r"the connection was cut \(4 tries\)"),
        (hang_up(), r"the connection was cut \(4 tries\)"),
    ],
)
def test_what_keeps_failing_is_given_up_and_may_be_there_next_time(
    server, downloader, waits, answer, reason
):
    server.answers["/a.gif"] = [answer]
    with pytest.raises(UnavailableError, match=reason):
        downloader.fetch(f"{server.root}/a.gif")
    assert (len(server.asked), waits) == (4, [1, 2, 4])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (send(404, b"GIF89a"), "HTTP 404 Not Found"),
        (send(403), "HTTP 403 Forbidden"),
        (send(304), "HTTP 304 Not Modified"),
        (send(299), "HTTP 299"),
        (send(200), "empty file"),
        (
            send(200, b"<!doctype html><title>Gone</title>", Content_Type="text/html"),
            "no picture .* sent it as text/html; expected GIF",
        ),
        (send(200, b"%PDF-1.7 and so on and on"), "sent it as nothing in particular"),
        (send(200, b"GIF"), "no picture"),
        (send(200, b"GIF89a" + bytes(20_000)), "max_bytes is 10,000, this has 20,006"),
        (drip(b"HTTP/1.1 200 OK\r\n\r\nGIF89a" + bytes(20_000), b"", 0), "max_bytes .* has more"),
    ],
)
def test_what_will_not_change_is_refused_at_once(server, downloader, waits, answer, reason):
    server.answers["/a.gif"] = [answer]
    with pytest.raises(MediaError, match=reason) as caught:
        downloader.fetch(f"{server.root}/a.gif")
    assert not isinstance(caught.value, UnavailableError)
    assert (len(server.asked), waits) == (1, [])


@pytest.mark.parametrize(
    "answer",
    [
        drip(b"", b"H"),
        drip(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a"),
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nGIF89a" + bytes(40), b"a"),
        drip(b"HTTP/1.1 200 OK\r\n\r\nGIF89a" + bytes(40), b"a"),
        drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n384\r\nGIF89a", b"a"),
    ],
    ids=["status", "headers", "body", "body without a length", "chunk"],
)
def test_a_server_that_drips_does_not_hold_a_thread(server, answer):
    server.answers["/a.gif"] = [answer]
    start = time.monotonic()
    with (
        LocalDownloader(max_bytes=10_000, timeout_s=2, total_s=0.3) as downloader,
        pytest.raises(UnavailableError, match=r"took longer than 0\.3 s"),
    ):
        downloader.fetch(f"{server.root}/a.gif")
    assert time.monotonic() - start < 1
    assert len(server.asked) <= 1  # not tried again


def test_silence_is_a_failure_too(server, waits):
    server.answers["/a.gif"] = [send(200, b"GIF89a", delay_s=0.5)]
    with (
        LocalDownloader(max_bytes=99, timeout_s=0.1, retries=1, wait=waits.append) as downloader,
        pytest.raises(UnavailableError, match=r"said nothing for 0\.1 s \(2 tries\)"),
    ):
        downloader.fetch(f"{server.root}/a.gif")


def test_retry_after_is_heeded_for_the_whole_host(server, downloader, waits, gif):
    server.answers["/a.gif"] = [send(429, Retry_After="7"), send(200, gif)]
    server.answers["/b.gif"] = [send(200, gif)]
    assert downloader.fetch(f"{server.root}/a.gif").data == gif
    downloader.fetch(f"{server.root}/b.gif")
    backoff, rest_of_a, rest_of_b = waits
    assert backoff == 1
    assert 6 < rest_of_b < rest_of_a <= 7


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_host_that_asks_for_too_long_a_wait_is_left_alone(server, downloader, gif, form):
    after = "3600" if form == "seconds" else formatdate(time.time() + 3600, usegmt=True)
    server.answers["/a.gif"] = [send(503, Retry_After=after)]
    server.answers["/b.gif"] = [send(200, gif)]
    for path in ("/a.gif", "/b.gif"):
        with pytest.raises(UnavailableError, match=r"HTTP 503 .* not asked again for 3\d\d\d s"):
            downloader.fetch(server.root + path)
    assert len(server.asked) == 1


def test_a_retry_after_that_says_nothing_is_passed_over(server, downloader, waits, gif):
    server.answers["/a.gif"] = [send(503, Retry_After="soon"), send(200, gif)]
    assert downloader.fetch(f"{server.root}/a.gif").data == gif
    assert waits == [1]


def test_a_host_that_is_down_is_not_tried_for_each_of_its_addresses(downloader, waits):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        root = f"http://127.0.0.1:{closed.getsockname()[1]}"
    for i in range(2):
        with pytest.raises(UnavailableError, match=r"cannot be reached \(4 tries\)"):
            downloader.fetch(f"{root}/{i}.gif")
    with pytest.raises(UnavailableError, match="cannot be reached; not asked again for 300 s"):
        downloader.fetch(f"{root}/3.gif")
    assert len(waits) == 6


def test_endless_body_of_a_redirect_is_not_read(server, downloader, gif):
    endless = drip(b"HTTP/1.1 302 Found\r\nLocation: /b.gif\r\n\r\n", bytes(1_000_000), every_s=0)
    server.answers = {"/a.gif": [endless], "/b.gif": [send(200, gif)]}
    tracemalloc.start()
    try:
        assert downloader.fetch(f"{server.root}/a.gif").data == gif
        assert tracemalloc.get_traced_memory()[1] < 20_000_000  # 200 MB were sent
    finally:
        tracemalloc.stop()


@pytest.fixture
def silent_root() -> Iterator[str]:
    """The address of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as listening:
        yield f"http://localhost:{listening.getsockname()[1]}"


def test_silent_host_is_left_for_last_and_then_given_up(silent_root):
    with LocalDownloader(max_bytes=99, timeout_s=0.1, wait=lambda s: None) as downloader:
        with pytest.raises(SilentHostError):
            downloader.fetch(f"{silent_root}/0.gif")  # its first three tries time out
        start = time.monotonic()
        for i in range(1, 100):
            with pytest.raises(SilentHostError):
                downloader.fetch(f"{silent_root}/{i}.gif")
        assert time.monotonic() - start < 0.1
        for i in range(DOWN_AFTER):
            with pytest.raises(UnavailableError, match=r"said nothing for 0\.1 s \(1 try\)"):
                downloader.fetch(f"{silent_root}/{i}.gif", last=True)
        with pytest.raises(UnavailableError, match="not asked again for 300 s"):
            downloader.fetch(f"{silent_root}/9.gif", last=True)


def test_host_that_answers_again_is_slow_no_more(server, gif):
    for i in range(5):
        server.answers[f"/{i}.gif"] = [send(200, gif, delay_s=0.5), send(200, gif)]
    with LocalDownloader(max_bytes=9_999, timeout_s=0.1, retries=0) as downloader:
        for i in range(3):
            with pytest.raises(UnavailableError):
                downloader.fetch(f"{server.root}/{i}.gif")
        with pytest.raises(SilentHostError):
            downloader.fetch(f"{server.root}/0.gif")
        assert downloader.fetch(f"{server.root}/0.gif", last=True).data == gif
        assert downloader.fetch(f"{server.root}/1.gif").data == gif


def test_build_postpones_a_silent_host(server, silent_root, gif, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "retrieval.build.incremental.Downloader", partial(Downloader, timeout_s=0.2)
    )
    addresses = [f"{silent_root}/{i}.gif" for i in range(100)]
    server.answers["/a.gif"] = [send(200, gif)]
    (tmp_path / "list.txt").write_text("\n".join([*addresses, f"{server.root}/a.gif"]))
    start = time.monotonic()
    report = build_index(
        tmp_path / "list.txt", tmp_path / "b", FakeEncoder(), allow_private_addresses=True
    )
    assert report.n_gifs == 1 and len(report.skipped) == 100  # each with its reason
    assert {s.reason.partition(" (")[0].partition(";")[0] for s in report.skipped} == {
        "the server said nothing for 0.2 s"
    }
    assert [s.path for s in report.skipped] == addresses
    assert time.monotonic() - start < 10  # 100 addresses of 4 tries are 80 s


def test_two_at_once_at_a_host_and_no_more(server, gif):
    for i in range(12):
        server.answers[f"/{i}.gif"] = [send(200, gif, delay_s=0.05)]
    with LocalDownloader(max_bytes=10_000) as downloader, ThreadPoolExecutor(8) as pool:
        fetched = pool.map(downloader.fetch, (f"{server.root}/{i}.gif" for i in range(12)))
        assert all(answer.data == gif for answer in fetched)
    assert server.most_in_flight == 2


def test_redirects_are_followed_to_http_and_not_for_ever(server, downloader, gif):
    def to(address: str) -> Answer:
        return send(302, Location=address)

    server.answers = {
        "/a.gif": [to("/b.gif")],
        "/b.gif": [send(200, gif, Set_Cookie="a=b", ETag="v")],
        "/circle.gif": [to("/circle.gif")],
        "/file.gif": [to("file:///etc/passwd")],
        "/ftp.gif": [to("ftp://127.0.0.1/a.gif")],
        "/nowhere.gif": [send(302)],
        "/odd.gif": [to("http://[")],
    }
    assert downloader.fetch(f"{server.root}/a.gif").etag == "v"
    downloader.fetch(f"{server.root}/b.gif")
    assert all("Cookie" not in headers for _, headers in server.asked)
    for path, reason in {
        "/circle.gif": f"more than {MAX_REDIRECTS} redirects",
        "/file.gif": "file: cannot be fetched",
        "/ftp.gif": "ftp: cannot be fetched",
        "/nowhere.gif": "HTTP 302 Found",
        "/odd.gif": "no valid address",
    }.items():
        with pytest.raises(MediaError, match=reason):
            downloader.fetch(server.root + path)
    assert len(server.asked) == 3 + MAX_REDIRECTS + 1 + 4


@pytest.mark.parametrize(
    "url",
    [
        "a.gif",
        "ftp://127.0.0.1/a",
        "http://",
        "http://[",
        "http://a:b@127.0.0.1/",
        "http://a:99999",
    ],
)
def test_what_is_no_address_is_refused_without_repeating_it(downloader, url):
    with pytest.raises(MediaError) as caught:
        downloader.fetch(url)
    assert "a:b" not in str(caught.value)


def test_passwords_of_netrc_stay_at_home(server, downloader, gif, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login ann password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server.answers["/a.gif"] = [send(200, gif)]
    downloader.fetch(f"{server.root}/a.gif")
    assert "Authorization" not in server.asked[0][1]


def test_closing_ends_the_waiting(server):
    server.answers["/a.gif"] = [send(503, Retry_After="50")]
    downloader = LocalDownloader(max_bytes=10_000)
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(downloader.fetch, f"{server.root}/a.gif") for _ in range(4)]
        while not server.asked:
            time.sleep(0.01)
        start = time.monotonic()
        downloader.close()
        for fetch in waiting:
            with pytest.raises(UnavailableError, match="stopped"):
                fetch.result()
    assert time.monotonic() - start < 1
