"""A plain static server on loopback whose files can be held up or missing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


class StaticServer:
    """What is served, and what was asked for; paths are below the site."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._gates: dict[str, threading.Event] = {}
        self.broken: set[str] = set()
        self.asked: list[str] = []
        self._server = ThreadingHTTPServer(
            ("127.0.0.1", 0), partial(_Handler, server_of=self, directory=str(folder))
        )
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def hold(self, path: str) -> None:
        """Send half of a file, and the rest when it is released."""
        self._gates[path] = threading.Event()

    def release(self, path: str) -> None:
        self._gates.pop(path).set()

    def gate(self, path: str) -> threading.Event | None:
        return self._gates.get(path)

    def stop(self) -> None:
        """Take the server off the network; requests fail from now on."""
        for path in list(self._gates):
            self.release(path)
        self._server.shutdown()
        self._server.server_close()


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, *args: object, server_of: StaticServer, directory: str):
        self._site = server_of
        super().__init__(*args, directory=directory)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        with suppress(ConnectionError):  # a browser that leaves a page
            self._send()

    def _send(self) -> None:
        path = urlsplit(self.path).path.lstrip("/")
        self._site.asked.append(path)
        if path in self._site.broken:
            self.send_error(503)
            return
        gate = self._site.gate(path)
        if gate is None:
            super().do_GET()
            return
        content = Path(self.translate_path(self.path)).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        half = len(content) // 2
        self.wfile.write(content[:half])
        self.wfile.flush()
        gate.wait(30)
        self.wfile.write(content[half:])

    def log_message(self, format: str, *args: object) -> None: ...


@contextmanager
def static_server(folder: Path) -> Iterator[StaticServer]:
    server = StaticServer(folder)
    yield server
    server.stop()
