"""bailee's console, asked with the person's own key.

Where it is: `BAILEE_CONSOLE_URL`; or, when the model's address is the gateway on this machine, the
console's usual port beside it. A key that is not bailee's is never sent there, and a key goes
nowhere by a redirect.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from bailee.client.reaching import NoRedirect, reached
from bailee.errors import UpstreamError
from bailee.loopback import is_loopback

_SECONDS: Final = 3
_GATEWAY_PORT: Final = 8787
_CONSOLE_PORT: Final = 8788
_LARGEST: Final = 10_000_000


class _NothingThere(UpstreamError):
    """The answer was 404."""


@dataclass(frozen=True, slots=True)
class ConsoleApi:
    """A console and a key for it. `get`, `find` and `put` block, for seconds.

    They raise `UpstreamError` when there is no answer, or none that can be understood.
    """

    address: str
    key: str = field(repr=False)

    def get(self, path: str) -> Any:
        """What is there."""
        return self._call(urllib.request.Request(reached(self.address) + path))  # noqa: S310

    def find(self, path: str) -> Any:
        """What is there; None: the console knows of nothing there that the key's holder may see."""
        try:
            return self.get(path)
        except _NothingThere:
            return None

    def put(self, path: str, body: Mapping[str, object], *, language: str) -> Any:
        """Changes what is there; `language` is the one in which the person was asked."""
        headers = {"content-type": "application/json", "accept-language": language}
        data = json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310
            reached(self.address) + path, data, headers, method="PUT"
        )
        return self._call(request)

    def _call(self, request: urllib.request.Request) -> Any:
        request.add_header("x-api-key", self.key)
        opener = urllib.request.build_opener(NoRedirect)
        try:
            with opener.open(request, timeout=_SECONDS) as answer:
                return json.loads(answer.read(_LARGEST))
        except urllib.error.HTTPError as error:
            error.close()
            kind = _NothingThere if error.code == 404 else UpstreamError
            raise kind(
                f"the console answered with status {error.code}.", code="upstream_protocol"
            ) from None
        except OSError:
            raise UpstreamError(
                "the console can't be reached.", code="upstream_unreachable"
            ) from None
        except (ValueError, RecursionError, http.client.HTTPException):
            raise UpstreamError(
                "the console's answer is not understood.", code="upstream_protocol"
            ) from None


def console_api(base_url: str | None, environment: Mapping[str, str]) -> ConsoleApi | None:
    """The console for the person of this environment, where it and they can be known. Pure."""
    key = environment.get("ANTHROPIC_AUTH_TOKEN") or environment.get("ANTHROPIC_API_KEY")
    address = console_of(base_url, environment)
    if address is None or key is None or not key.startswith("bl_"):
        return None
    return ConsoleApi(address, key)


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
