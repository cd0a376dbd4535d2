"""How a console is asked by a key: where it is reached, and that the key goes nowhere else."""

from __future__ import annotations

import urllib.request
from typing import Any
from urllib.parse import urlsplit


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A key goes where it was meant to go and nowhere else."""

    def redirect_request(self, *_args: Any, **_more: Any) -> None:
        """None: the redirect is the answer."""


def reached(address: str) -> str:
    """A console's address as it is asked: a name under `localhost` is this machine's (RFC 6761),
    which few systems know, and the console answers programs under the number.
    """
    parts = urlsplit(address)
    if (parts.hostname or "").endswith(".localhost"):
        return parts._replace(netloc=f"127.0.0.1:{parts.port or 80}").geturl()
    return address
