"""Under which names the console is answered, and the one that people are shown. Pure.

A cookie is bound to a host's name and not to its port: one for `127.0.0.1` goes to every program
that listens there. So on this machine the console's pages have a name of their own,
`bailee-<label>.localhost`. Browsers take every name under `localhost` to this machine by themselves
(RFC 6761); the label is random, made once for a home, and told to nobody but by the printed links,
so that no other program can lead a browser to its own port under that name.

Rules kept here:

* `console.url`, where it is set, is the console's one name; links, cookies, passkeys and what a
  provider sends people back to follow it.
* Pages are answered under the console's own names alone. The HTTP API, which takes a key and no
  cookie, and the log, which takes neither, are answered where the console listens too: programs
  need not resolve names.
* Any other name is refused (DNS rebinding), and nothing that is said of it names the label.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final
from urllib.parse import urlsplit

from bailee.errors import InputError
from bailee.loopback import is_loopback

_FOR_PROGRAMS: Final = ("/api/", "/ledger/")
_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\]")
_PORTS: Final = {"https": 443, "http": 80}


class NameVerdict(Enum):
    """What a request under a name gets."""

    ANSWER = "what it asks for"
    THERE = "the same page under the console's own name"
    ELSEWHERE = "a word about the printed link"
    FOREIGN = "nothing"


@dataclass(frozen=True, slots=True)
class Names:
    """`url`: what people are shown, without a slash at its end. `own`: `Host` values under which
    pages are answered; `here`: those under which only the API is. `told`: whether a visitor under
    one of `here` may be told `url`: it is public, not a label.
    """

    url: str
    own: frozenset[str]
    here: frozenset[str] = frozenset()
    told: bool = False

    @property
    def secure(self) -> bool:
        """Whether browsers reach the console by TLS."""
        return self.url.startswith("https://")

    def reply(self, host: str, path: str) -> NameVerdict:
        """What a request for `path` gets whose `Host` is `host`."""
        name = host.lower()
        if name in self.own:
            return NameVerdict.ANSWER
        if name not in self.here:
            return NameVerdict.FOREIGN
        if path.startswith(_FOR_PROGRAMS):
            return NameVerdict.ANSWER
        return NameVerdict.THERE if self.told else NameVerdict.ELSEWHERE

    def origin(self, host: str) -> str:
        """The console's origin as a browser that asked under `host`, one of `own`, says it."""
        scheme, _, shown = self.url.partition("://")
        default = f":{_PORTS[scheme]}"
        name = host.lower().removesuffix(default)
        return self.url if name == shown else f"{scheme}://{name}"


def public(url: str) -> Names:
    """Names for a console whose address is set.

    Raises:
        InputError: code `configuration`, it is no address of a console.
    """
    checked = check_url(url, "console.url")
    scheme, _, shown = checked.partition("://")
    full = shown if _has_port(shown) else f"{shown}:{_PORTS[scheme]}"
    return Names(checked, frozenset((shown, full)), told=True)


def names(url: str | None, *, host: str, port: int, tls: bool, label: str) -> Names:
    """The console's names. `url` is the setting, `host` and `port` are where it listens, `label`
    is this home's.

    Raises:
        InputError: code `configuration`, `url` is no address of a console.
    """
    shown = f"[{host}]" if ":" in host else host
    machine = {f"{one}:{port}" for one in (shown, "localhost", "127.0.0.1")}
    if url is not None:
        found = public(url)
        return Names(found.url, found.own, frozenset(machine) - found.own, told=True)
    if is_loopback(host) and not tls:
        own = f"{label}.localhost:{port}"
        return Names(f"http://{own}", frozenset((own,)), frozenset(machine))
    # A certificate is for a name that only the operator knows; without `console.url` it is reached
    # by where it listens.
    return Names(f"{'https' if tls else 'http'}://{shown}:{port}", frozenset(machine))


def check_url(url: str, setting: str) -> str:
    """A public address without the slash at its end, if it is one that cookies and keys may go to.

    Raises:
        InputError: code `configuration`.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    name = parts.hostname or ""
    shown = f"[{name}]" if ":" in name else name
    local = is_loopback(name) or name.endswith(".localhost")
    if (
        not url.isprintable()
        or not _HOST.fullmatch(shown)
        or parts.path.rstrip("/")
        or parts.query
        or parts.fragment
        or parts.username is not None
        or not (parts.scheme == "https" or (parts.scheme == "http" and local))
    ):
        raise InputError(
            f"{setting} is not the public address of a service.",
            code="configuration",
            hint="write it like https://bailee.example.org; http only for a name of this machine",
        )
    standard = port is None or port == _PORTS[parts.scheme]
    return f"{parts.scheme}://{shown}" + ("" if standard else f":{port}")


def _has_port(shown: str) -> bool:
    return bool(re.search(r":\d+$", shown)) and not shown.endswith("]")
