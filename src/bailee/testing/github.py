"""GitHub's REST API as far as filing an issue goes, on a port of 127.0.0.1.

It answers as the real one does (API version 2022-11-28): statuses, headers and the shape of its
messages, for a good token, a bad one, a repository that is not seen, has moved or takes no issues,
an issue that is not valid, and too many requests. What was filed can be looked at.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

_DOCS = "https://docs.github.com/rest/issues/issues#create-an-issue"


@dataclass
class GitHub:
    """The server; use it as a context. `tokens`: those it knows, and whether each may write.
    `repositories`: what there is; `moved` and `closed` say which have another name, or take no
    issues. `left`: how many requests are still allowed.
    """

    tokens: dict[str, bool] = field(default_factory=lambda: {"ghp_good": True})
    repositories: set[str] = field(default_factory=lambda: {"orchard/public"})
    moved: dict[str, str] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    left: int = 5000
    issues: list[dict[str, object]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    requests: list[dict[str, str]] = field(default_factory=list)

    def __enter__(self) -> Self:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, answer, more = outer.answer(self.path, headers, body)
                content = json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {
                    "content-type": "application/json; charset=utf-8",
                    "content-length": str(len(content)),
                    "x-github-media-type": "github.v3; format=json",
                    **more,
                }.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(
        self, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, object], dict[str, str]]:
        """Status, body and further headers of an answer."""
        self.requests.append(headers)
        self.bodies.append(body)
        if not headers.get("user-agent"):
            return 403, {"message": "Request forbidden by administrative rules."}, {}
        rate = {"x-ratelimit-limit": "5000", "x-ratelimit-remaining": str(max(0, self.left - 1))}
        if self.left <= 0:
            return 403, _said("API rate limit exceeded for user ID 1."), rate
        self.left -= 1
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.tokens:
            return 401, _said("Bad credentials"), rate
        repository = path.removeprefix("/repos/").removesuffix("/issues")
        if repository in self.moved:
            to = f"{self.url}/repositories/1/issues"
            return 307, _said("Moved Permanently") | {"url": to}, rate | {"location": to}
        if repository not in self.repositories:
            return 404, _said("Not Found"), rate
        if not self.tokens[token]:
            return 403, _said("Resource not accessible by personal access token"), rate
        if repository in self.closed:
            return 410, _said("Issues has been disabled in this repository."), rate
        return self._create(repository, body, rate)

    def _create(
        self, repository: str, body: bytes, rate: dict[str, str]
    ) -> tuple[int, dict[str, object], dict[str, str]]:
        try:
            given = json.loads(body)
        except ValueError:
            return 400, _said("Problems parsing JSON"), rate
        problems = [
            {"resource": "Issue", "code": "missing_field" if not given.get(name) else "custom"}
            for name, most in (("title", 256), ("body", 65_536))
            if (name == "title" and not given.get(name)) or len(given.get(name) or "") > most
        ]
        if problems:
            return 422, _said("Validation Failed") | {"errors": problems}, rate
        number = len(self.issues) + 1
        made = {
            "number": number,
            "state": "open",
            "title": given["title"],
            "body": given.get("body"),
            "html_url": f"https://github.com/{repository}/issues/{number}",
            "url": f"{self.url}/repos/{repository}/issues/{number}",
        }
        self.issues.append(made)
        return 201, made, rate | {"location": made["url"]}


def _said(message: str) -> dict[str, object]:
    return {"message": message, "documentation_url": _DOCS}
