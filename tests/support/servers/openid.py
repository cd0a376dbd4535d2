"""An organisation's provider: npm `oidc-provider` in a process, and going through its pages."""

from __future__ import annotations

import http.cookiejar
import json
import os
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from support.browsers.browsing import Answer, Visitor
from support.clients.node_modules import module

VERSION = "9.13.3"
SECRET = "provider-secret"
_SCRIPT = Path(__file__).parents[2] / "integration" / "accounts" / "provider.mjs"
_BACK = "/sign-in/organisation/return"


@contextmanager
def provider(
    console: str,
    accounts: Mapping[str, Mapping[str, object]],
    *,
    disabled: Path | None = None,
    groups: Path | None = None,
    rotates: Path | None = None,
    back: str = _BACK,
) -> Iterator[str]:
    """A provider whose people are `accounts` (login: claims), for this console; its issuer. Who is
    named in the file `disabled`, a line each, is let in no more. The file `groups` has the groups
    of each, as JSON. With a folder `rotates` a refresh token is good once: who shows one again ends
    all that it came from; the file `asked` there has a line for each time that tokens are asked
    for, and while a file `held` is there nobody is answered, for eight seconds at the most.
    """
    script = module("oidc-provider", VERSION).parents[1] / f"provider-{os.getpid()}.mjs"
    script.write_text(_SCRIPT.read_text())  # beside its packages, where node looks for them
    with subprocess.Popen(
        ["node", str(script)],
        env={
            "PATH": os.environ["PATH"],
            "ACCOUNTS": json.dumps(accounts),
            "REDIRECT": console + back,
            **({} if groups is None else {"GROUPS": str(groups)}),
            **({} if rotates is None else {"ROTATES": str(rotates)}),
            **({} if disabled is None else {"DISABLED": str(disabled)}),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()
            script.unlink()


def come_by(visitor: Visitor, email: str, login: str) -> Answer:
    """Sign a visitor in through the provider of their email's domain."""
    page = visitor.submit("/sign-in", "/sign-in/organisation", {"email": email}).text
    leaving = re.search(r'class="button chief" href="([^"]+)"', page)
    assert leaving is not None, page
    return visitor.get(_Through(visitor.console + _BACK).walk(unescape(leaving[1]), login))


def walk(back: str, url: str, login: str) -> dict[str, str]:
    """Sign in at the provider as `login`, from where it sends a browser to `url`; the answer that
    comes to `back`.
    """
    return dict(parse_qsl(urlsplit(_Through(back).walk(url, login)).query))


class _Through(urllib.request.HTTPRedirectHandler):
    """Follows the provider's pages with cookies of its own, up to the way back."""

    def __init__(self, back: str) -> None:
        self._back = back
        self._found = ""
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(self, jar)

    def redirect_request(self, *arguments: Any) -> urllib.request.Request | None:
        """Go on, unless it leads back."""
        url = arguments[5]
        if url.startswith(self._back):
            self._found = _BACK + "?" + urlsplit(url).query
            return None
        return super().redirect_request(*arguments)

    def walk(self, url: str, login: str) -> str:
        """Sign in as `login` and agree; the way back."""
        page = self._open(url)
        for _ in range(5):
            if self._found:
                return self._found
            action = re.search(r'<form[^>]* action="([^"]+)"', page)
            prompt = re.search(r'name="prompt" value="(\w+)"', page)
            assert action is not None
            assert prompt is not None
            form = {"prompt": prompt[1], "login": login, "password": "any"}
            page = self._open(action[1], urlencode(form).encode())
        raise AssertionError("the provider never came to an end")

    def _open(self, url: str, data: bytes | None = None) -> str:
        try:
            with self._opener.open(url, data) as response:
                return str(response.read().decode())
        except urllib.error.HTTPError:
            if self._found:
                return ""
            raise
