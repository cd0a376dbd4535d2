"""GitHub's API as far as an app's tokens go, as its documentation describes it.

Statements are verified with the app's public key, their times are checked, and a token is for what
was asked for. What was given, and to whom, is in `given`.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any, Self

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey


@dataclass
class GitHubApi:
    """Runs while entered. `change`: applied to an answer before it is sent."""

    app_id: str
    installation_id: str
    repositories: tuple[str, ...]
    public_key: RSAKey
    given: list[dict[str, Any]] = field(default_factory=list)
    change: dict[str, Any] = field(default_factory=dict)
    status: int = 201

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"owner": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, authorization: str, body: dict[str, Any]) -> tuple[int, object]:
        """Status and body for a request."""
        match = re.fullmatch(r"/app/installations/(\d+)/access_tokens", path)
        if match is None:
            return 404, {"message": "Not Found"}
        try:
            token = jwt.decode(authorization.removeprefix("Bearer "), self.public_key, ["RS256"])
        except JoseError:
            return 401, {"message": "A JSON web token could not be decoded"}
        now, claims = time.time(), token.claims
        if not claims["iat"] <= now < claims["exp"] <= now + 600 or claims["iss"] != self.app_id:
            return 401, {"message": "'Expiration time' claim ('exp') is too far in the future"}
        if match[1] != self.installation_id or not set(body["repositories"]) <= set(
            self.repositories
        ):
            return 422, {"message": "There is at least one repository that does not exist"}
        made = {
            "token": "ghs_" + secrets.token_hex(18),
            "expires_at": "2030-01-01T00:00:00Z",
            "permissions": {**body["permissions"], "metadata": "read"},
            "repository_selection": "selected",
            "repositories": [{"name": name} for name in body["repositories"]],
        } | self.change
        self.given.append(made)
        return self.status, made


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: GitHubApi

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        status, answer = self.owner.answer(self.path, self.headers["authorization"], body)
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json; charset=utf-8")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
