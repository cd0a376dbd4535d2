"""A visitor of the console without a browser: keeps cookies, follows redirects, sends forms.

As browsers do, it takes every name under `localhost` to this machine by itself (RFC 6761); Python
leaves that to the system, which often does not.
"""

from __future__ import annotations

import http.client
import http.cookiejar
import re
import socket
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from html import unescape


class _Connection(http.client.HTTPConnection):
    """To this machine, when the name says so."""

    def connect(self) -> None:
        if self.host.endswith(".localhost"):
            self.sock = socket.create_connection(("127.0.0.1", self.port), self.timeout)
        else:
            super().connect()


class _Http(urllib.request.HTTPHandler):
    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Connection, request)


def opener(jar: http.cookiejar.CookieJar | None = None) -> urllib.request.OpenerDirector:
    """What opens an address as a browser does, with its cookies in `jar`."""
    return urllib.request.build_opener(
        _Http(), urllib.request.HTTPCookieProcessor(jar or http.cookiejar.CookieJar())
    )


@dataclass(frozen=True)
class Answer:
    """What came back, at the end of any redirects."""

    status: int
    url: str
    text: str
    headers: dict[str, str]


class Visitor:
    """Someone at `console` (its address)."""

    def __init__(self, console: str, **headers: str) -> None:
        self.console = console
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.jar = http.cookiejar.CookieJar()
        self._opener = opener(self.jar)

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
