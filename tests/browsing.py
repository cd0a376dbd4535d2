"""A visitor of the console without a browser: keeps cookies, follows redirects, sends forms."""

from __future__ import annotations

import http.cookiejar
import re
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from html import unescape


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
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))

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
