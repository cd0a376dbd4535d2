"""What the protocol's requests are answered with, and what clients make of it. Pure.

Rules kept here, each since a client was seen to need it:

* `expires_in` is a number, and 3600: with 300 or less it asks for a token before each request.
* An address is of the origin that the client knows, or it is not heeded; nothing is `null`.
* A notice is plain text of at most 500 characters.
* A document of settings is wrapped, and named by its digest. One that no client could take is none:
  what is answered then is 404, at which clients start. At anything else they don't.

Standards: RFC 6749 (5), RFC 8414, RFC 8628 (3.2), RFC 8693 (2.2).
"""

from __future__ import annotations

import json
from typing import Final

from bailee.accounts.device_grants import BegunGrant
from bailee.accounts.sign_ins import ClientTokens
from bailee.json_values import Json, JsonObject
from bailee.managed.values import checksum
from bailee.policy import Policy
from bailee.policy.amounts import period_in_words
from bailee.policy.facts import Facts
from bailee.policy.period import NOTHING
from bailee.policy.wording import joined

LONGEST_NOTICE: Final = 500
DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
REFRESH_GRANT: Final = "refresh_token"
EXCHANGE_GRANT: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT_TOKEN: Final = "urn:ietf:params:oauth:token-type:jwt"  # noqa: S105
ID_TOKEN: Final = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105
ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105


def metadata(base: str) -> JsonObject:
    """Where a client signs in. `base`: the address that it knows."""
    return {
        "issuer": base,
        "device_authorization_endpoint": f"{base}/oauth/device_authorization",
        "token_endpoint": f"{base}/oauth/token",
        "revocation_endpoint": f"{base}/oauth/revoke",
        "grant_types_supported": [DEVICE_GRANT, REFRESH_GRANT, EXCHANGE_GRANT],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "gateway_protocol_version": 1,
    }


def device_authorization(begun: BegunGrant, console: str, notice: str) -> JsonObject:
    """What a client is told of the grant that it began. `console`: where it is confirmed."""
    page = f"{console}/device"
    return {
        "device_code": begun.device_code,
        "user_code": begun.user_code,
        "verification_uri": page,
        "verification_uri_complete": f"{page}?user_code={begun.user_code}",
        "expires_in": begun.lasts,
        "interval": begun.interval,
        "login_notice": notice[:LONGEST_NOTICE],
    }


def tokens(given: ClientTokens, console: str) -> JsonObject:
    """Tokens, as the answer of a token endpoint; with whose they are, so that a person sees whom
    they sign in as, and where the console is, so that their client can ask what is to be chosen.
    """
    said: dict[str, Json] = {
        "access_token": given.access,
        "token_type": "Bearer",
        "expires_in": given.lasts,
        "bailee_console": console,
    }
    if given.refresh is not None:
        said["refresh_token"] = given.refresh
    if given.email is not None:
        said["email"] = given.email
    return said


def exchanged(access: str, lasts: int) -> JsonObject:
    """What a machine gets for a token of its provider (RFC 8693, 2.2.1). It is not renewed."""
    return {
        "access_token": access,
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "Bearer",
        "expires_in": lasts,
    }


def notice(policy: Policy, console: str) -> str:
    """That sessions are recorded, and on what terms, for whoever is about to sign in."""
    kept: dict[str, set[str]] = {"commercial": set(), "consumer": set()}
    for name, plan in policy.plans.items():
        for choice in ("allowed", "refused") if plan.segment == "consumer" else ("none",):
            decision = policy.retain("transcript", Facts(name, "api", choice, False, False))
            kept[plan.segment].add(period_in_words(decision.retention or NOTHING, "en"))
    company, own = (joined(sorted(kept[one]), "en") for one in ("commercial", "consumer"))
    return (
        "Sessions through this gateway are recorded, on the terms of the account that you confirm "
        f"in the browser. A company's: kept {company}, or less long where it says so. A person's "
        f"own: kept {own}, by their choice about training. All terms: {console}/data-usage"
    )[:LONGEST_NOTICE]


def settings(document: JsonObject) -> tuple[str, bytes]:
    """A document of settings as clients take it: the ETag, and the body."""
    named = checksum(document)
    wrapped = {"uuid": named, "checksum": named, "settings": document}
    return f'"{named}"', json.dumps(wrapped, ensure_ascii=False).encode()


def announced(console: str) -> str:
    """What a client tells its person, who has a choice about training to make."""
    return (
        "Whether your sessions may improve models is yours to choose, and you have not chosen: "
        f"{console}/privacy"
    )


def asks_whether(if_none_match: str | None, etag: str) -> bool:
    """Whether a client asks if what it has is still good, and it is. `*` asks something else."""
    if if_none_match is None:
        return False
    return etag in [one.strip() for one in if_none_match.split(",")]
