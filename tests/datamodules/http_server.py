"""A small web server with byte ranges on this machine, for shards at URLs."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class RangeServer(ThreadingHTTPServer):
    """Serves a folder.

    Attributes:
        gets: path and range of every GET.
        has_ranges: whether ranges are honoured.
        has_listings: whether folders are listed.
        failing: numbers of the GETs that fail as on an overloaded server.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
        self.gets: list[tuple[str, str | None]] = []
        self.has_ranges = self.has_listings = True
        self.failing = range(0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(SimpleHTTPRequestHandler):
    server: RangeServer

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        wanted = self.headers.get("Range")
        self.server.gets.append((self.path, wanted))
        if len(self.server.gets) - 1 in self.server.failing:
            self.send_error(503)
        elif path.is_dir() and not self.server.has_listings:
            self.send_error(403)
        elif wanted and path.is_file() and self.server.has_ranges:
            self._send_range(path.read_bytes(), *map(int, re.findall(r"\d+", wanted)))
        else:
            super().do_GET()

    def _send_range(self, data: bytes, first: int, last: int) -> None:
        if first >= len(data):
            self.send_error(416)
            return
        part = data[first : last + 1]
        self.send_response(206)
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Content-Range", f"bytes {first}-{first + len(part) - 1}/{len(data)}")
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def serve(folder: Path) -> Iterator[RangeServer]:
    with RangeServer(folder) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
