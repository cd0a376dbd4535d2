"""HTTP servers of tests, on a port of 127.0.0.1, with a thread for each connection."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class ThreadedServer:
    """Who is one makes a handler and begins with it when entered; `url` is where it is then."""

    url: str

    def begin(self, handler: type[BaseHTTPRequestHandler]) -> None:
        """Answer, by this handler."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
