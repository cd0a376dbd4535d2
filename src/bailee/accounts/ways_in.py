"""Passkeys and providers as they look from outside. Pure.

What carries them out (`passkey_sign_in`, `provider_sign_in`) takes a moment to import, and most
commands never need it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime

from bailee.json_values import JsonObject, text


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Where the console is: `rp_id` its host name without a port, `origin` as a browser says it."""

    rp_id: str
    origin: str


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey of a person. `passkey_id` is its credential's, in hexadecimal digits."""

    passkey_id: str
    name: str
    created_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class OpenIdProvider:
    """An organisation's OpenID provider. `secret_env`: the environment variable with the client's
    secret; None for a public client.
    """

    organisation_id: str
    domain: str
    issuer: str
    client_id: str
    secret_env: str | None

    def as_json(self) -> JsonObject:
        """As a JSON object."""
        return asdict(self)

    @classmethod
    def of_json(cls, said: JsonObject) -> OpenIdProvider:
        """What `as_json` made."""
        secret_env = said["secret_env"]
        return cls(
            text(said["organisation_id"]),
            text(said["domain"]),
            text(said["issuer"]),
            text(said["client_id"]),
            None if secret_env is None else text(secret_env),
        )


@dataclass(frozen=True, slots=True)
class Arrived:
    """Who came back from a provider. `offline`: it was asked for a token by which it can be asked
    again, which is `token`; None: it gave none.
    """

    person_id: str
    provider: OpenIdProvider
    offline: bool
    token: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Begun:
    """Where to send the browser, and the cookie that it is to come back with (SameSite=Lax)."""

    url: str
    cookie: str
