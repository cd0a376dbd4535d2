"""The address of a gateway as clients take it, and what Claude Code is told of it. Pure.

Facts that were seen of the client: the address may have a path and ends without a slash; plain HTTP
is for this machine alone; each address behind its name has to be private. Two settings together
make it offer the sign-in, from a person's own settings or from managed ones.

Rows: O1.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from bailee.errors import InputError
from bailee.json_values import JsonObject
from bailee.loopback import is_loopback
from bailee.managed.compiling import sign_in_at
from bailee.outbound.addresses import is_internal

SHOWN: Final = 16
"""How many digits of a certificate's fingerprint the client shows."""


def checked_gateway(address: str) -> str:
    """The address without a slash at its end.

    Raises:
        InputError: it is none that a client would take.
    """
    given = address.strip()
    if "://" not in given:
        given = f"https://{given}"
    try:
        parts = urlsplit(given)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    host = parts.hostname or ""
    plain = parts.scheme == "http" and (is_loopback(host) or host == "localhost")
    clean = not (parts.query or parts.fragment or parts.username is not None)
    if not (host and given.isprintable() and clean and (parts.scheme == "https" or plain)):
        raise InputError(
            "that is not the address of a gateway.",
            hint="write it like https://bailee.example.com; http is for this machine alone",
        )
    return given.rstrip("/")


def with_gateway(settings: JsonObject, gateway: str) -> JsonObject:
    """Claude Code's settings with the two that make it sign in at this gateway."""
    return settings | sign_in_at(gateway)


def not_private(addresses: Iterable[str]) -> list[str]:
    """Those of a name's addresses for which the client would refuse it."""
    return [
        one for one in addresses if not is_internal(ipaddress.ip_address(one.partition("%")[0]))
    ]


def fingerprint(digest: str) -> str:
    """A certificate's SHA-256 (hexadecimal digits) as the client asks a person to compare it."""
    return f"{digest[:SHOWN]}…"
