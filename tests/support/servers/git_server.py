"""A git server with passwords: `git http-backend`, behind HTTP basic authentication.

Git's own server program does the work; around it is what a web server does for it (CGI, RFC 3875).
Repositories are bare ones below `root`. What was asked, with its headers, is in `asked`.
"""

from __future__ import annotations

import base64
import os
import ssl
import subprocess
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self


def git(*arguments: str, cwd: Path | None = None, **environment: str) -> str:
    """Run git, apart from this machine's settings; its standard output. Fails when git does."""
    done = subprocess.run(
        ["git", *arguments],
        cwd=cwd,
        env=git_environment() | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def git_environment() -> dict[str, str]:
    """An environment in which git sees nothing of this machine's settings, and asks nobody."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": "Ada",
        "GIT_AUTHOR_EMAIL": "ada@example.org",
        "GIT_COMMITTER_NAME": "Ada",
        "GIT_COMMITTER_EMAIL": "ada@example.org",
    }


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class GitServer:
    """Runs while entered. `tls`: a server's context. `redirects`, `answers`: path to location, or
    path to a status and body, instead of git's answer.
    """

    root: Path
    user: str = "x-access-token"
    password: str = "upstream-password-kept-on-the-host"
    tls: ssl.SSLContext | None = None
    asked: list[Asked] = field(default_factory=list)
    redirects: dict[str, str] = field(default_factory=dict)
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)

    @property
    def authorization(self) -> str:
        """What the server wants to see."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    def url(self, name: str) -> str:
        """The address of a repository, without a password."""
        scheme = "https" if self.tls else "http"
        return f"{scheme}://127.0.0.1:{self.port}/{name}"

    def make(self, name: str, *options: str, **settings: str) -> Path:
        """A bare repository; `options` of git init."""
        path = self.root / name
        git("init", "--quiet", "--bare", "--initial-branch=main", *options, str(path))
        for key, value in {"http.receivepack": "true", **settings}.items():
            git("config", key, value, cwd=path)
        return path

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"owner": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: GitServer

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path, _, query = self.path.partition("?")
        self.owner.asked.append(Asked(self.command, self.path, dict(self.headers)))
        self.close_connection = True
        if path in self.owner.redirects:
            self._plain(301, b"", location=self.owner.redirects[path])
        elif path in self.owner.answers:
            self._plain(*self.owner.answers[path])
        elif self.headers.get("authorization") != self.owner.authorization:
            self._plain(401, b"no", www_authenticate='Basic realm="the server behind the proxy"')
        else:
            self._git(path, query)

    def _plain(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _git(self, path: str, query: str) -> None:
        environment = git_environment() | {
            "GIT_PROJECT_ROOT": str(self.owner.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "REMOTE_USER": self.owner.user,
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_TYPE": self.headers.get("content-type", ""),
            "GIT_PROTOCOL": self.headers.get("git-protocol", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("content-encoding", ""),
        }
        if "content-length" in self.headers:
            environment["CONTENT_LENGTH"] = self.headers["content-length"]
        backend = subprocess.Popen(
            ["git", "http-backend"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        feeding = threading.Thread(target=self._feed, args=(backend,), daemon=True)
        feeding.start()
        assert backend.stdout is not None
        status = 200
        headers = []
        while line := backend.stdout.readline().strip():
            name, _, value = line.decode().partition(": ")
            if name.lower() == "status":
                status = int(value.split()[0])
            else:
                headers.append((name, value))
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("connection", "close")
        self.end_headers()
        while piece := backend.stdout.read1(65536):
            self.wfile.write(piece)
        backend.wait()

    def _feed(self, backend: subprocess.Popen[bytes]) -> None:
        assert backend.stdin is not None
        try:
            if self.headers.get("transfer-encoding") == "chunked":
                while size := int(self.rfile.readline(), 16):
                    backend.stdin.write(self.rfile.read(size))
                    self.rfile.readline()
            else:
                left = int(self.headers.get("content-length", 0))
                while left and (piece := self.rfile.read1(min(left, 65536))):
                    backend.stdin.write(piece)
                    left -= len(piece)
        except (OSError, ValueError):
            backend.kill()  # what broke off in the middle is not taken
        finally:
            backend.stdin.close()
