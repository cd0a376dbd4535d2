"""As much of GitHub's REST API as opens an issue, with its own checks, on loopback."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

TOKEN = "ghp_" + "q" * 36


@dataclass
class GitHub:
    """Where it is, and the issues that were opened."""

    url: str = ""
    issues: list[dict[str, Any]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)


@contextmanager
def github(repository: str) -> Iterator[GitHub]:
    """An API that knows one repository and one token."""
    made = GitHub()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            made.bodies.append(body)
            if self.headers.get("authorization") != f"Bearer {TOKEN}":
                return self._answer(401, {"message": "Bad credentials"})
            if self.path != f"/repos/{repository}/issues":
                return self._answer(404, {"message": "Not Found"})
            if not self.headers.get("user-agent"):
                return self._answer(403, {"message": "Request forbidden by administrative rules."})
            issue = json.loads(body)
            if not isinstance(issue.get("title"), str) or not issue["title"]:
                return self._answer(422, {"message": "Validation Failed"})
            made.issues.append(issue)
            number = len(made.issues)
            page = f"https://github.com/{repository}/issues/{number}"
            return self._answer(201, {"number": number, "html_url": page, "state": "open", **issue})

        def _answer(self, status: int, value: dict[str, Any]) -> None:
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json; charset=utf-8")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
