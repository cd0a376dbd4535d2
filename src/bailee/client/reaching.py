"""Where a console is asked by a key."""

from __future__ import annotations

from urllib.parse import urlsplit


def reached(address: str) -> str:
    """A console's address as it is asked: a name under `localhost` is this machine's (RFC 6761),
    which few systems know, and the console answers programs under the number.
    """
    parts = urlsplit(address)
    if (parts.hostname or "").endswith(".localhost"):
        return parts._replace(netloc=f"127.0.0.1:{parts.port or 80}").geturl()
    return address
