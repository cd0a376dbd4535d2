"""bailee's console, asked with the person's own key.

Where it is: `BAILEE_CONSOLE_URL`; or, when the model's address is the gateway on this machine, the
console's usual port beside it. A key that is not bailee's is never sent there, and a key goes
nowhere by a redirect, or readably to another machine. The way there is `outbound.network`'s.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from bailee.client.reaching import reached
from bailee.errors import UpstreamError
from bailee.loopback import is_loopback
from bailee.outbound.network import Network, NoAnswer

_SECONDS: Final = 3
_GATEWAY_PORT: Final = 8787
_CONSOLE_PORT: Final = 8788


class _NothingThere(UpstreamError):
    """The answer was 404."""


@dataclass(frozen=True, slots=True)
class ConsoleApi:
    """A console and a key for it. `get`, `find` and `put` block, for seconds.

    They raise `UpstreamError` when there is no answer, or none that can be understood, and
    `InputError` when its address or the network's settings can't be.
    """

    address: str
    key: str = field(repr=False)
    network: Network = field(default_factory=Network)

    def get(self, path: str, seconds: float = _SECONDS) -> object:
        """What is there, if it is said within so many seconds."""
        return self._call("GET", path, seconds=seconds)

    def find(self, path: str) -> object:
        """What is there; None: the console knows of nothing there that the key's holder may see."""
        try:
            return self.get(path)
        except _NothingThere:
            return None

    def put(self, path: str, body: Mapping[str, object], *, language: str) -> object:
        """Changes what is there; `language` is the one in which the person was asked."""
        headers = {"content-type": "application/json", "accept-language": language}
        return self._call("PUT", path, json.dumps(body).encode(), headers)

    def _call(
        self,
        method: str,
        path: str,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = _SECONDS,
    ) -> object:
        try:
            answer = self.network.ask(
                method,
                reached(self.address) + path,
                content=content,
                headers={**(headers or {}), "x-api-key": self.key},
                what="BAILEE_CONSOLE_URL",
                seconds=seconds,
            )
        except NoAnswer:
            raise UpstreamError(
                "the console can't be reached.", code="upstream_unreachable"
            ) from None
        if not answer.good:
            kind = _NothingThere if answer.status == 404 else UpstreamError
            raise kind(
                f"the console answered with status {answer.status}.", code="upstream_protocol"
            )
        try:
            value: object = json.loads(answer.content)
        except (ValueError, RecursionError):
            raise UpstreamError(
                "the console's answer is not understood.", code="upstream_protocol"
            ) from None
        return value


def console_api(base_url: str | None, environment: Mapping[str, str]) -> ConsoleApi | None:
    """The console for the person of this environment, where it and they can be known. Pure."""
    key = environment.get("ANTHROPIC_AUTH_TOKEN") or environment.get("ANTHROPIC_API_KEY")
    address = console_of(base_url, environment)
    if address is None or key is None or not key.startswith("bl_"):
        return None
    return ConsoleApi(address, key, Network.of(environment))


def console_of(base_url: str | None, environment: Mapping[str, str]) -> str | None:
    """The console's address, where it can be known. Pure."""
    given = environment.get("BAILEE_CONSOLE_URL")
    if given:
        return given.rstrip("/")
    if base_url is None:
        return None
    parts = urlsplit(base_url)
    try:
        near = is_loopback(parts.hostname or "") and parts.port == _GATEWAY_PORT
    except ValueError:
        return None
    return f"http://127.0.0.1:{_CONSOLE_PORT}" if near else None
