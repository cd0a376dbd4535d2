"""What an OpenID provider answers, as far as it is the same for whoever asks it: people who sign in
through one, and machines that show a token of one. Pure but for the visit that it is given.

Standards: OpenID Connect Discovery 1.0, RFC 7515, RFC 7517.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

from bailee.accounts.provider_calls import Visit
from bailee.errors import InputError, UpstreamError
from bailee.loopback import is_loopback
from bailee.outbound.network import HttpResponse

SIGNATURES: Final = [
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "EdDSA",
]
"""Those that anyone can check and only the provider can make."""
LEEWAY: Final = 60
"""Seconds by which clocks may differ."""


def metadata(visit: Visit, issuer: str, needed: Iterable[str]) -> Mapping[str, object]:
    """What a provider says of itself, with the addresses that are needed.

    Raises:
        UpstreamError: it does not answer as one, or as another.
    """
    at = issuer.rstrip("/") + "/.well-known/openid-configuration"
    said = json_object(visit.ask("GET", at))
    if said.get("issuer") != issuer:
        raise not_one("it calls itself by another name")
    for name in needed:
        address = said.get(name)
        if not isinstance(address, str):
            raise not_one(f"it names no {name}")
        check_address(address)
    return said


def check_address(url: str) -> None:
    """Refuse an address that is not reached by TLS, unless it is on this machine.

    Raises:
        InputError: so it is.
    """
    parts = urlsplit(url)
    local = is_loopback(parts.hostname or "")
    if (
        not parts.hostname
        or parts.query
        or parts.fragment
        or parts.username
        or not (parts.scheme == "https" or (parts.scheme == "http" and local))
    ):
        raise InputError("a provider is reached by https.", hint="like https://sign-in.example.org")


def json_object(answer: HttpResponse) -> Mapping[str, object]:
    """The JSON object that was answered with status 200.

    Raises:
        UpstreamError: there is none.
    """
    try:
        value = json.loads(answer.content) if answer.status == 200 else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise not_one(f"it answered with status {answer.status}")
    return value


def not_one(why: str) -> UpstreamError:
    """That what answers is no OpenID provider."""
    return UpstreamError(
        f"the organisation's provider does not answer as an OpenID provider: {why}.",
        code="upstream_protocol",
        hint="the operator set its address: bailee organisation show",
    )
