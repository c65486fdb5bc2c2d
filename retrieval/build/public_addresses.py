"""Connections to public addresses only, so that a list from a stranger cannot ask this network.

A name is resolved once, every address that it has is checked, and the connection is made to one of
those: between check and connection nothing is resolved again, so a name that changes its address
(DNS rebinding) gains nothing. Each redirect makes or reuses such a connection.

Public are the addresses that IANA's registries call globally reachable, without multicast; of IPv6
the global unicast range alone, and an IPv4 address inside of a longer one counts as itself.
https://www.iana.org/assignments/iana-ipv4-special-registry
https://www.iana.org/assignments/iana-ipv6-special-registry
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from urllib.request import getproxies, proxy_bypass

import anyio
import httpcore2
import httpx2 as httpx

from retrieval.errors import MediaError

OPTION = "--allow-private-addresses"
# An address that does not accept within this time gives way to the name's next one.
NEXT_ADDRESS_S = 3.0

_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052; the rest of 64:ff9b::/16 is private
_SPECIAL = (  # what `ipaddress` of some Python or other calls global
    ipaddress.IPv4Network("192.0.0.0/24"),  # protocol assignments; a cloud's metadata service
    ipaddress.IPv4Network("192.88.99.0/24"),  # relays of 6to4, given up by RFC 7526
    ipaddress.IPv6Network("2001:db8::/32"),  # documentation
    ipaddress.IPv6Network("3fff::/20"),  # documentation, RFC 9637: later than Python 3.10
)


def why_private(address: str) -> str:
    """Why an IP address is not public, "" if it is.

    >>> why_private("127.0.0.1"), why_private("::ffff:169.254.169.254"), why_private("1.1.1.1")
    ('a loopback address', 'a link-local address', '')
    """
    ip = _innermost(ipaddress.ip_address(address.partition("%")[0]))
    kinds = (
        (ip.is_loopback, "a loopback address"),
        (ip.is_link_local, "a link-local address"),  # of which cloud metadata services have one
        (ip.is_unspecified, "the unspecified address"),
        (ip.is_multicast, "a multicast address"),
        (not ip.is_global, "a private or reserved address"),
        (ip.version == 6 and ip not in _GLOBAL_UNICAST, "a private or reserved address"),
        (any(ip in network for network in _SPECIAL), "a private or reserved address"),
    )
    return next((kind for holds, kind in kinds if holds), "")


def _innermost(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address that an IPv6 address stands for: mapped, 6to4 or NAT64; else the same."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def check_public(host: str, address: str) -> None:
    """MediaError, with the option that allows it, if a host's IP address is not public."""
    if kind := why_private(address):
        has = f" has the address {address}," if host != address else " is"
        raise MediaError(
            f"{host}{has} {kind}; expected a public one. Allow it, if the list is yours: {OPTION}"
        )


class CheckingBackend(httpcore2.AsyncNetworkBackend):
    """Makes TCP connections to public addresses; MediaError for others unless they are allowed."""

    def __init__(self, allow_private: bool):
        self._allow_private = allow_private
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        addresses = await _resolve(host, port, timeout)
        if not self._allow_private:
            for address in addresses:
                check_public(host, address)
        *others, last = addresses
        for address in others:
            try:
                within = NEXT_ADDRESS_S if timeout is None else min(timeout, NEXT_ADDRESS_S)
                return await self._inner.connect_tcp(
                    address, port, within, local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return await self._inner.connect_tcp(last, port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


async def _resolve(host: str, port: int, timeout_s: float | None) -> list[str]:
    """The addresses of a host, as the system's resolver sorts them."""
    try:
        with anyio.fail_after(timeout_s):
            found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError as error:
        raise httpcore2.ConnectTimeout(str(error)) from error
    except (OSError, UnicodeError) as error:
        raise httpcore2.ConnectError(str(error)) from error
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class CheckingTransport(httpx.AsyncBaseTransport):
    """Sends requests to public addresses, directly or through the proxies of the environment.

    To others as well with `allow_private`.

    A proxy resolves names and connects by itself, so what a name leads to is the proxy's to refuse;
    addresses that are written as numbers are checked here as well.
    """

    def __init__(self, limits: httpx.Limits, *, allow_private: bool):
        self._allow_private = allow_private
        self._direct = _DirectTransport(limits, CheckingBackend(allow_private))
        proxies = getproxies()
        self._proxied = {
            scheme: httpx.AsyncHTTPTransport(limits=limits, proxy=_with_scheme(proxy))
            for scheme in ("http", "https")
            if (proxy := proxies.get(scheme) or proxies.get("all"))
        }

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        proxied = self._proxied.get(request.url.scheme)
        if proxied is None or proxy_bypass(host):
            return await self._direct.handle_async_request(request)
        if not self._allow_private and (address := _as_address(host)):
            check_public(host, address)
        return await proxied.handle_async_request(request)

    async def aclose(self) -> None:
        for transport in (self._direct, *self._proxied.values()):
            await transport.aclose()


class _DirectTransport(httpx.AsyncHTTPTransport):
    """httpx has no parameter for the network backend; its pool has."""

    def __init__(self, limits: httpx.Limits, backend: httpcore2.AsyncNetworkBackend):
        ssl_context = httpx.create_ssl_context()
        super().__init__(verify=ssl_context, limits=limits)
        # Fails, rather than connect to anything, should httpx2 rename its attribute.
        if not isinstance(self._pool, httpcore2.AsyncConnectionPool):
            raise TypeError(f"httpx2 has a {type(self._pool).__name__} where its pool was")
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=ssl_context,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=backend,
        )


def _as_address(host: str) -> str:
    """The IP address that a host is, "" if it is a name; 2130706433 and 0x7f.1 are addresses."""
    try:
        found = socket.getaddrinfo(host, None, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return ""
    return str(found[0][4][0])


def _with_scheme(proxy: str) -> str:
    return proxy if "://" in proxy else f"http://{proxy}"
