"""What one client can take of a server: memory by large uploads, connections, its end.

    python -m benchmarks.clients

Measures both servers, as they start by default, over the starter library: eight uploads of 190 MB
at once of one client to /api/v1/mine; meanwhile a search; the memory afterwards; how long
connections live whose headers do not end; the end by SIGTERM while uploads are on their way. Linux.
"""

from __future__ import annotations

import http.client
import io
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from PIL import Image

from tests.support.server import Server, serving, serving_api

N_UPLOADS, UPLOAD_BYTES, BLOCK = 8, 190_000_000, 1_000_000
SEARCH = "/api/v1/search?q=hello"


def picture(n_bytes: int) -> Iterator[bytes]:
    """A small picture with many bytes after its end: it is received whole and decoded at once."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, "PNG")
    first = buffer.getvalue()
    yield first
    for start in range(len(first), n_bytes, BLOCK):
        yield bytes(min(BLOCK, n_bytes - start))


def upload(server: Server, n_bytes: int = UPLOAD_BYTES) -> str:
    """The status of an upload, "hung up" if the server closes the connection early."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    with suppress(OSError):
        headers = {"Content-Length": str(n_bytes)}
        connection.request("POST", "/api/v1/mine?name=a.png", picture(n_bytes), headers)
    try:
        return str(connection.getresponse().status)
    except (OSError, http.client.HTTPException):
        return "hung up"
    finally:
        connection.close()


def search_ms(server: Server) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    start = time.perf_counter()
    connection.request("GET", SEARCH)
    connection.getresponse().read()
    connection.close()
    return (time.perf_counter() - start) * 1000


def wait_until_ready(server: Server) -> None:
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.request("GET", "/api/v1/ready")
        if connection.getresponse().status == 200:
            return
        time.sleep(0.1)


def measure_uploads(server: Server) -> str:
    upload(server, 10_000)  # loads the image tower
    idle_mb = server.resident_mb()
    with ThreadPoolExecutor(N_UPLOADS) as pool:
        sent = [pool.submit(upload, server) for _ in range(N_UPLOADS)]
        searches = []
        while not all(future.done() for future in sent):
            searches.append(search_ms(server))
            time.sleep(0.05)
        statuses = Counter(future.result() for future in sent)
    time.sleep(2)
    searches.sort()
    told = ", ".join(f"{n} × {status}" for status, n in sorted(statuses.items()))
    return (
        f"{idle_mb:.0f} | {server.resident_mb(peak=True) - idle_mb:.0f} | "
        f"{server.resident_mb() - idle_mb:.0f} | {told} | "
        f"{searches[len(searches) // 2]:.0f} | {searches[-1]:.0f}"
    )


def measure_dripping(server: Server) -> float:
    """Seconds until the server hangs up on a client whose headers do not end; 60 at most."""
    start = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ")
        connection.settimeout(0.5)
        while time.monotonic() - start < 60:
            try:
                connection.sendall(b"a")
                if not connection.recv(1):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
    return time.monotonic() - start


def measure_end(server: Server) -> float:
    """Seconds from SIGTERM to the end while uploads are on their way."""
    for _ in range(4):
        threading.Thread(target=upload, args=(server, UPLOAD_BYTES), daemon=True).start()
    time.sleep(0.1)
    start = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(30)
    return time.monotonic() - start


def main() -> None:
    kinds: dict[str, Callable] = {"page": serving, "API alone": serving_api}
    print("server | idle MB | peak MB more | MB more afterwards | answers | search ms p50 | max")
    print("---|--:|--:|--:|---|--:|--:")
    others = []
    for name, start in kinds.items():
        with start() as server:
            wait_until_ready(server)
            print(f"{name} | {measure_uploads(server)}")
            dripping_s = measure_dripping(server)
            others.append(f"{name} | {dripping_s:.1f} | {measure_end(server):.1f}")
    print(
        "\nserver | s until headers that drip are given up | s from SIGTERM to the end\n---|--:|--:"
    )
    print("\n".join(others))


if __name__ == "__main__":
    main()
