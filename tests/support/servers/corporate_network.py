"""Real servers and proxies on loopback for tests of the client's network."""

from __future__ import annotations

import contextlib
import http.server
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme


@dataclass
class Received:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """A server that writes down what it gets and answers as it is told."""

    port: int = 0
    received: list[Received] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)

    def url(self, scheme: str = "http", host: str = "127.0.0.1") -> str:
        """Its address."""
        return f"{scheme}://{host}:{self.port}"


@contextmanager
def receiver(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver on loopback, under TLS where a context is given."""
    made = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            made.received.append(Received(self.path, headers, body))
            status, more, answer = (
                made.answers.pop(0) if made.answers else (200, {}, b'{"id":"r1"}')
            )
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    made.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@dataclass
class Squid:
    """A squid: its port, and once it has ended the lines of its access log."""

    port: int
    lines: list[str] = field(default_factory=list)


@contextmanager
def squid(*more: str, users: str = "") -> Iterator[Squid]:
    """A squid of its own on loopback, which resolves bailee.example and nothing else. `more` are
    lines of its configuration that come first ("{folder}" is its folder), `users` its passwords.
    """
    program = shutil.which("squid") or shutil.which("squid", path="/usr/sbin")
    if program is None:
        pytest.skip("squid is not installed")
    # Started as root it runs as another user, who can't enter a folder of pytest's.
    with tempfile.TemporaryDirectory(prefix="bailee-squid-") as name:
        folder = Path(name)
        folder.chmod(0o777)
        port = free_port()
        (folder / "hosts").write_text("127.0.0.1 bailee.example\n")
        (folder / "users").write_text(users)
        (folder / "squid.conf").write_text(
            "\n".join(
                [
                    *(line.format(folder=folder) for line in more),
                    "http_access allow all",
                    f"http_port 127.0.0.1:{port}",
                    "cache deny all",
                    "cache_mem 8 MB",
                    f"pid_filename {folder}/squid.pid",
                    f"access_log stdio:{folder}/access.log",
                    f"cache_log {folder}/cache.log",
                    f"coredump_dir {folder}",
                    f"hosts_file {folder}/hosts",
                    "dns_nameservers 127.0.0.1",
                    "shutdown_lifetime 0 seconds",
                    "netdb_filename none",
                    "pinger_enable off",
                    "",
                ]
            )
        )
        process = subprocess.Popen(
            [program, "-N", "-f", str(folder / "squid.conf")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        try:
            while not listens(port):
                if process.poll() is not None:
                    raise AssertionError(f"squid ended: {process.stderr.read()}")
                time.sleep(0.05)
            made = Squid(port)
            yield made
            process.terminate()
            process.wait()
            made.lines += (folder / "access.log").read_text().splitlines()
        finally:
            process.kill()
            process.wait()
            process.stderr.close()


@contextmanager
def squid_with_password(user: str, password: str) -> Iterator[Squid]:
    """A squid that lets one user through."""
    checker = Path("/usr/lib/squid/basic_ncsa_auth")  # comes with squid
    if not checker.exists():
        pytest.skip("squid is not installed")
    done = subprocess.run(
        ["openssl", "passwd", "-apr1", "-salt", "bailee", password],
        capture_output=True,
        text=True,
        check=True,
    )
    with squid(
        f"auth_param basic program {checker} {{folder}}/users",
        "acl known proxy_auth REQUIRED",
        "http_access deny !known",
        users=f"{user}:{done.stdout.strip()}\n",
    ) as made:
        yield made


def listens(port: int) -> bool:
    """Whether somebody listens on a port of loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Opening:
    """Where it listens."""

    port: int


@contextmanager
def opening_proxy(authority: trustme.CA, public: trustme.CA) -> Iterator[Opening]:
    """A company's proxy that opens TLS: it takes CONNECT, answers in the server's name with a
    certificate that `authority` signs, and speaks TLS anew to the server, which `public` signed.
    """
    trusting = ssl.create_default_context()
    public.configure_trust(trusting)
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_accept, args=(listener, authority, trusting), daemon=True).start()
    try:
        yield Opening(listener.getsockname()[1])
    finally:
        listener.close()


def _accept(listener: socket.socket, authority: trustme.CA, trusting: ssl.SSLContext) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            threading.Thread(
                target=_serve, args=(connection, authority, trusting), daemon=True
            ).start()


def _serve(connection: socket.socket, authority: trustme.CA, trusting: ssl.SSLContext) -> None:
    with contextlib.suppress(OSError), connection:
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(4096)
        host, _, port = head.split()[1].decode().partition(":")
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(host).configure_cert(own)
        with (
            own.wrap_socket(connection, server_side=True) as near,
            socket.create_connection(("127.0.0.1", int(port))) as plain,
            trusting.wrap_socket(plain, server_hostname=host) as far,
        ):
            # One exchange, in one thread: an SSL socket is not for two at a time.
            far.sendall(_message(near))
            near.sendall(_message(far))


def _message(source: ssl.SSLSocket) -> bytes:
    """One HTTP message with its body."""
    content = b""
    while b"\r\n\r\n" not in content:
        content += _some(source)
    head, _, body = content.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in head.lower():
        while not body.endswith(b"0\r\n\r\n"):
            body += _some(source)
        return head + b"\r\n\r\n" + body
    length = next(
        int(line.partition(b":")[2])
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length:")
    )
    while len(body) < length:
        body += _some(source)
    return head + b"\r\n\r\n" + body


def _some(source: ssl.SSLSocket) -> bytes:
    data = source.recv(65536)
    if not data:
        raise OSError("it closed in the middle")
    return data
