"""A visitor of the console without a browser: keeps cookies, follows redirects, sends forms.

As browsers do, it takes every name under `localhost` to this machine by itself (RFC 6761); Python
leaves that to the system, which often does not.
"""

from __future__ import annotations

import http.client
import http.cookiejar
import re
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from html import unescape
from typing import Any


@dataclass(frozen=True)
class Way:
    """How a visitor comes: from which address of this machine, and whom they trust under TLS."""

    source: str = "127.0.0.1"
    tls: ssl.SSLContext | None = None


def opener(
    jar: http.cookiejar.CookieJar | None = None, way: Way = Way()
) -> urllib.request.OpenerDirector:
    """What opens an address as a browser does, with its cookies in `jar`. Names under `localhost`
    and `test` are this machine's.
    """

    def connected(host: str, port: int, timeout: Any) -> socket.socket:
        here = host.endswith((".localhost", ".test")) or host == "localhost"
        at = "127.0.0.1" if here else host
        return socket.create_connection((at, port), timeout, source_address=(way.source, 0))

    class Connection(http.client.HTTPConnection):
        def connect(self) -> None:
            self.sock = connected(self.host, self.port, self.timeout)

    class Secure(http.client.HTTPConnection):
        default_port = 443

        def connect(self) -> None:
            assert way.tls is not None
            plain = connected(self.host, self.port, self.timeout)
            self.sock = way.tls.wrap_socket(plain, server_hostname=self.host)

    class Http(urllib.request.HTTPHandler):
        def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Connection, req)

    class Https(urllib.request.HTTPSHandler):
        def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Secure, req)

    # An empty jar is false, and is kept.
    kept = http.cookiejar.CookieJar() if jar is None else jar
    cookies = urllib.request.HTTPCookieProcessor(kept)
    return urllib.request.build_opener(Http(), Https(), cookies)


@dataclass(frozen=True)
class Answer:
    """What came back, at the end of any redirects."""

    status: int
    url: str
    text: str
    headers: dict[str, str]


class Visitor:
    """Someone at `console` (its address)."""

    def __init__(self, console: str, way: Way = Way(), **headers: str) -> None:
        self.console = console
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.jar = http.cookiejar.CookieJar()
        self._opener = opener(self.jar, way)

    def get(self, path: str) -> Answer:
        """Open a page, by path or whole address."""
        return self._send(path, None)

    def post(self, path: str, fields: dict[str, str], token: str | None = None) -> Answer:
        """Send a form as it is; `token` is put in with it."""
        sent = fields | ({} if token is None else {"form_token": token})
        return self._send(path, urllib.parse.urlencode(sent).encode())

    def put(self, path: str, body: bytes) -> Answer:
        """Put a document."""
        return self._send(path, body, "PUT")

    def delete(self, path: str) -> Answer:
        """Delete what is there."""
        return self._send(path, None, "DELETE")

    def submit(self, page: str, path: str, fields: dict[str, str] | None = None) -> Answer:
        """Open `page` and send its form to `path`."""
        return self.post(path, fields or {}, self.token(page))

    def token(self, page: str) -> str:
        """The form token that `page` gives to this visitor."""
        found = re.search(r'name="form_token" value="([^"]*)"', self.get(page).text)
        assert found is not None, f"{page} has no form"
        return unescape(found[1])

    def _send(self, path: str, body: bytes | None, method: str | None = None) -> Answer:
        url = path if path.startswith("http") else self.console + path
        request = urllib.request.Request(url, body, self.headers, method=method)
        try:
            with self._opener.open(request, timeout=30) as response:
                return _answer(response)
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error)


def _answer(response: urllib.request.addinfourl | urllib.error.HTTPError) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(
        response.status or 0, response.url, response.read().decode("utf-8", "replace"), headers
    )
