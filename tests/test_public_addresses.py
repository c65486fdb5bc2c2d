"""A list may name any address; only public ones are connected to, whatever names say of them."""

import gzip
import ipaddress
import socket
import tracemalloc
from pathlib import Path

import anyio
import pytest
from conftest import BLUE, RED, FakeEncoder, save_gif
from test_downloads import Server, send, server  # noqa: F401 - a fixture

from retrieval.build.build import build_index
from retrieval.build.downloads import Downloader
from retrieval.build.public_addresses import OPTION, why_private
from retrieval.errors import MediaError, SourceError, UnavailableError

PUBLIC = "93.184.216.34"


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",  # metadata of most clouds
        "172.31.255.255",
        "192.0.0.192",  # metadata of Oracle's
        "192.168.1.1",
        "192.88.99.1",
        "198.18.0.1",
        "203.0.113.9",
        "224.0.0.251",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::1",
        "100::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:db8::1",
        "2002:7f00:1::1",
        "2002:a9fe:a9fe::",
        "3fff::1",
        "fc00::1",
        "fd00:ec2::254",  # metadata of Amazon's
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
    ],
)
def test_address_that_is_not_public_is_known(address):
    assert why_private(address)


@pytest.mark.parametrize(
    "address", [PUBLIC, "2606:2800:220:1:248:1893:25c8:1946", f"::ffff:{PUBLIC}",
                f"64:ff9b::{PUBLIC}", "2002:5db8:d822::1"],
)  # fmt: skip
def test_public_address_is_known(address):
    assert why_private(address) == ""


def test_every_private_network_is_refused_at_its_edges():
    for network in map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")):
        assert why_private(str(network[0])) and why_private(str(network[-1]))
        assert not why_private(str(network[0] - 1)) and not why_private(str(network[-1] + 1))


class Names:
    """A resolver of these names; `asked` is what was resolved, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, names: dict[str, list[list[str]]]):
        self.names, self.asked = names, []
        monkeypatch.setattr(anyio, "getaddrinfo", self.resolve)

    async def resolve(self, host, port, **options):
        self.asked.append(host)
        answers = self.names.get(host, [[host]])
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in addresses]


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch, server: Server) -> list[str]:  # noqa: F811
    """Where connections are made to; each leads to the test's server instead."""
    made: list[str] = []

    async def connect(self, host, port, *options):
        made.append(host)
        return await original(self, "127.0.0.1", server.server_port, *options)

    from httpcore2 import AnyIOBackend

    original = AnyIOBackend.connect_tcp
    monkeypatch.setattr(AnyIOBackend, "connect_tcp", connect)
    return made


@pytest.fixture
def gif(tmp_path: Path) -> bytes:
    return save_gif(tmp_path / "x.gif", [RED, BLUE]).read_bytes()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]"])
def test_loopback_is_refused_however_it_is_written(server, host):  # noqa: F811
    with Downloader(max_bytes=999) as downloader, pytest.raises(MediaError) as caught:
        downloader.fetch(f"http://{host}:{server.server_port}/a.gif")
    assert not isinstance(caught.value, UnavailableError)  # not tried again
    said = str(caught.value)
    assert said.startswith(host.strip("[]")) and "a loopback address" in said and OPTION in said
    assert server.asked == []


def test_name_that_changes_its_address_after_the_check_gains_nothing(
    server,  # noqa: F811
    connections,
    gif,
    monkeypatch,
):
    names = Names(monkeypatch, {"rebinding.example": [[PUBLIC], ["127.0.0.1"]]})
    server.answers["/a.gif"] = [send(200, gif)]
    with Downloader(max_bytes=9_999, retries=0) as downloader:
        assert downloader.fetch("http://rebinding.example/a.gif").data == gif
    assert connections == [PUBLIC] and names.asked == ["rebinding.example"]
    with Downloader(max_bytes=9_999) as downloader, pytest.raises(MediaError) as caught:
        downloader.fetch("http://rebinding.example/a.gif")
    assert "rebinding.example has the address 127.0.0.1, a loopback address" in str(caught.value)
    assert connections == [PUBLIC]


def test_name_with_one_private_address_among_public_ones_is_refused(connections, monkeypatch):
    Names(monkeypatch, {"mixed.example": [[PUBLIC, "10.0.0.7"]]})
    with Downloader(max_bytes=999) as downloader, pytest.raises(MediaError, match=r"10\.0\.0\.7"):
        downloader.fetch("http://mixed.example/a.gif")
    assert connections == []


@pytest.mark.parametrize(
    "target", ["http://169.254.169.254/latest/meta-data", "http://inside.example/", "//[::1]/"]
)
def test_redirect_to_a_private_address_is_refused(
    server,  # noqa: F811
    connections,
    monkeypatch,
    target,
):
    Names(monkeypatch, {"public.example": [[PUBLIC]], "inside.example": [["192.168.0.1"]]})
    server.answers["/a.gif"] = [send(302, Location=target)]
    with Downloader(max_bytes=999) as downloader, pytest.raises(MediaError, match=OPTION):
        downloader.fetch("http://public.example/a.gif")
    assert connections == [PUBLIC] and len(server.asked) == 1


def test_next_address_is_tried_when_one_does_not_accept(server, gif):  # noqa: F811
    server.answers["/a.gif"] = [send(200, gif)]
    with Downloader(max_bytes=9_999, allow_private=True, retries=0) as downloader:
        # localhost is ::1 as well on most systems, where this server does not listen.
        url = f"http://localhost:{server.server_port}/a.gif"
        assert downloader.fetch(url).data == gif


def test_proxy_of_the_environment_gets_names_and_no_private_address(
    server,  # noqa: F811
    gif,
    monkeypatch,
):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", server.root)
    server.answers["http://cats.example/a.gif"] = [send(200, gif)]
    with Downloader(max_bytes=9_999) as downloader:
        assert downloader.fetch("http://cats.example/a.gif").data == gif
        for host in ("10.0.0.1", "0xa.1", "[fd00::1]"):
            with pytest.raises(MediaError, match=OPTION):
                downloader.fetch(f"http://{host}/a.gif")
    assert [path for path, _ in server.asked] == ["http://cats.example/a.gif"]
    monkeypatch.setenv("no_proxy", "localhost")
    with Downloader(max_bytes=9_999) as downloader, pytest.raises(MediaError, match=OPTION):
        downloader.fetch("http://localhost:1/a.gif")


def test_gzip_bomb_is_never_unpacked(server):  # noqa: F811
    bomb = gzip.compress(b"GIF89a" + bytes(200_000_000), 9)
    server.answers["/a.gif"] = [send(200, bomb, Content_Encoding="gzip")]
    server.answers["/b.gif"] = [send(200, b"GIF89a" + bomb, Content_Encoding="gzip")]
    tracemalloc.start()
    try:
        with Downloader(max_bytes=1_000_000, allow_private=True) as downloader:
            with pytest.raises(MediaError, match="no picture"):
                downloader.fetch(f"{server.root}/a.gif")
            raw = downloader.fetch(f"{server.root}/b.gif")
        assert raw.data is not None and len(raw.data) == len(bomb) + 6
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
    assert all(headers["Accept-Encoding"] == "identity" for _, headers in server.asked)


def test_build_lists_a_private_address_and_takes_it_with_the_option(
    server,  # noqa: F811
    gif,
    tmp_path,
):
    server.answers["/a.gif"] = [send(200, gif)]
    (tmp_path / "list.txt").write_text(f"{server.root}/a.gif\n")
    with pytest.raises(SourceError, match=OPTION):
        build_index(tmp_path / "list.txt", tmp_path / "b", FakeEncoder())
    assert server.asked == []
    report = build_index(
        tmp_path / "list.txt", tmp_path / "b", FakeEncoder(), allow_private_addresses=True
    )
    assert report.n_gifs == 1
