"""Which request goes where, and what kind of errand it is.

Pure. Rules kept here:

* The path alone decides. The query goes along untouched.
* **One spelling.** A path that an upstream could read as another one is refused with its reason,
  never mended: an escape, a doubled or last slash, `;`, a dot segment, another case. The one
  exception is the id of a Bedrock model, in which SDKs write `:` as `%3A` and `/` as `%2F`.
* A path that ends as a conversation's does, and is not one that is known to be one, goes nowhere:
  it could be a conversation that nobody records.
* Telemetry goes to no model's provider: what a client that is signed in sends to its gateway is
  taken by the ingest, and everything else of the kind goes nowhere.
* Which requests are known says `known_routes`; the rest is `other`. What of either passes, and
  with whose credential, the policy decides by the route's `kind`.
* A key in the query of an API that takes one there goes nowhere: a target goes on as it came.
* A WebSocket asked for on a conversation's path is routed like it, to be refused to who may ask.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from bailee.api import Api
from bailee.errors import InputError
from bailee.gateway.known_routes import (
    API_OF,
    CHANNELS,
    KINDS,
    KNOWN,
    OTHERS,
    PREFIXES,
    READ,
    Kind,
    KnownRoute,
)
from bailee.usage.batch_requests import makes_batch

__all__ = [
    "BESIDE",
    "CHANNELS",
    "COST_ANALYTICS",
    "COST_REPORT",
    "INCREASES",
    "KINDS",
    "KNOWN",
    "OTHERS",
    "PASSED",
    "SPEND_LIMITS",
    "USAGE_REPORT",
    "AnsweredHere",
    "BesideRoute",
    "GatewayRoute",
    "Kind",
    "KnownRoute",
    "RefusedRoute",
    "recorded_target",
    "route",
]

PASSED: Final = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE"})
"""The methods of what is not known. OPTIONS is for browsers, and answered here."""


@dataclass(frozen=True, slots=True)
class GatewayRoute:
    """Where a request goes. `target` is the path and query for the upstream of `channel`; `api` is
    the one that it speaks, and errors of ours have the shape of; the other fields are as in
    `KnownRoute`.
    """

    channel: str
    target: bytes
    label: str
    kind: Kind
    prompt: bool = False
    pings: bool = False
    api: Api = Api.MESSAGES
    method: str = "POST"

    @property
    def recorded(self) -> bool:
        """Whether an exchange on this route is kept when its caller's terms say so."""
        return self.kind == "conversation"

    @property
    def makes_batch(self) -> bool:
        """Whether it has a batch made, whose requests ask models later."""
        if self.kind != "other" or self.method != "POST":
            return False
        return makes_batch(self.target.decode("latin-1"))


@dataclass(frozen=True, slots=True)
class AnsweredHere:
    """A request that the gateway answers itself: whether it is there, or how it stands."""

    label: str


@dataclass(frozen=True, slots=True)
class BesideRoute:
    """A request that an application beside the gateway answers: how clients sign in, and what those
    that are signed in send to the address that they know. Nothing of it goes upstream.
    """

    label: str


@dataclass(frozen=True, slots=True)
class RefusedRoute:
    """A request that goes nowhere: the error, the methods for Allow when that was wrong, and the
    API in whose shape it is said.
    """

    label: str
    error: InputError
    allow: str = ""
    api: Api = Api.MESSAGES


# Almost every request is one of these.
_USUAL: Final = {
    target: GatewayRoute(
        known.channel,
        target[known.cut :],
        known.label,
        known.kind,
        pings=known.pings,
        api=known.api,
    )
    for known in KNOWN
    if known.kind == "conversation" and b"POST" in known.methods and "*" not in known.label
    for path in (known.label.encode("ascii"),)
    for target in (path, *([path + b"?beta=true"] if known.api is Api.MESSAGES else []))
}
_USUAL_RECORDED: Final = {one.target: one.target.decode("ascii") for one in _USUAL.values()}
_GREETINGS: Final = {path.encode(): path for path in ("/", "/api/hello", "/healthz", "/readyz")}
SPEND_LIMITS: Final = "/v1/organizations/spend_limits"
"""Where the vendor's admin API has limits on what each member spends."""
INCREASES: Final = "/v1/organizations/spend_limit_increase_requests"
"""Where it has members' requests for more."""
USAGE_REPORT: Final = "/v1/organizations/usage_report/messages"
"""Where it tells what was used, and"""
COST_REPORT: Final = "/v1/organizations/cost_report"
"""what it cost; and"""
COST_ANALYTICS: Final = "/v1/organizations/analytics/cost"
"""where its own gateway tells that."""
BESIDE: Final = {
    "/.well-known/oauth-authorization-server": READ,
    "/oauth/device_authorization": frozenset({b"POST"}),
    "/oauth/token": frozenset({b"POST"}),
    "/oauth/revoke": frozenset({b"POST"}),
    "/managed/settings": frozenset({b"GET"}),
    "/managed/bailee": frozenset({b"GET"}),
    "/api/oauth/usage": frozenset({b"GET"}),
    "/v1/metrics": frozenset({b"POST"}),
    "/v1/logs": frozenset({b"POST"}),
    "/v1/traces": frozenset({b"POST"}),
    SPEND_LIMITS: frozenset({b"GET", b"POST"}),
    f"{SPEND_LIMITS}/effective": frozenset({b"GET"}),
    f"{SPEND_LIMITS}/audit": frozenset({b"GET"}),
    f"{SPEND_LIMITS}/{{id}}": frozenset({b"GET", b"DELETE"}),
    INCREASES: frozenset({b"GET"}),
    USAGE_REPORT: frozenset({b"GET"}),
    COST_REPORT: frozenset({b"GET"}),
    COST_ANALYTICS: frozenset({b"GET"}),
    f"{INCREASES}/{{id}}": frozenset({b"GET"}),
    f"{INCREASES}/{{id}}/approve": frozenset({b"POST"}),
    f"{INCREASES}/{{id}}/deny": frozenset({b"POST"}),
}
"""What is answered beside the gateway, with the methods. Clients that are signed in know one
address, and send everything there."""
_BESIDE: Final = {path.encode(): BesideRoute(path) for path in BESIDE}
_SPENDING: Final = b"/v1/organizations/spend_limit"
_BESIDE_BY_ID: Final = [
    (re.compile(path.replace("{id}", "[^/]+").encode()), BesideRoute(path))
    for path in BESIDE
    if "{id}" in path
]
_ABSOLUTE: Final = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)
_KEPT_PARAMETERS: Final = frozenset({b"beta", b"alt", b"api-version", b"stream", b"starting_after"})
_ONE_SPELLING: Final = re.compile(rb"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~:@-]+)+")
# The last segment of a conversation's path for a tolerant reader: in any case, with a suffix.
_LIKE_A_CONVERSATION: Final = re.compile(
    rb"(?:messages|invoke|invoke-with-response-stream|converse|converse-stream"
    rb"|responses|compact|completions"
    rb"|.*:rawpredict|.*:streamrawpredict|.*:generatecontent|.*:streamgeneratecontent)"
    rb"(?:[^A-Za-z0-9_-].*)?",
    re.IGNORECASE,
)
_LIKE_READING_BACK: Final = re.compile(
    rb"(?:/azure)?(?:/openai)?/v1/responses/[^/]+", re.IGNORECASE
)
_OPENAI_ALONE: Final = re.compile(rb"/v1/(?:responses|chat)/")
_TELEMETRY: Final = re.compile(
    rb".*/v1(?:development)?/(?:metrics|logs|traces|profiles|log_event|rgstr)", re.IGNORECASE
)


def route(
    method: bytes, target: bytes, *, websocket: bool = False
) -> GatewayRoute | AnsweredHere | BesideRoute | RefusedRoute:
    """Where `method` on `target` (origin or absolute form) goes. `websocket`: it asks for one."""
    if method == b"POST" and (usual := _USUAL.get(target)) is not None:
        return usual
    if not target.startswith(b"/"):
        if (authority := _ABSOLUTE.match(target)) is None:
            return RefusedRoute("*", InputError("The request's target is not a path."))
        target = target[authority.end() :]
        if not target.startswith(b"/"):
            target = b"/" + target
    if b"#" in target:
        return RefusedRoute("*", _two_ways("It has a fragment.", "leave # and what follows out"))
    path, mark, query = target.partition(b"?")
    if (greeting := _GREETINGS.get(path)) is not None:
        return AnsweredHere(greeting) if method in READ else _wrong_method(greeting, READ)
    beside = _BESIDE.get(path)
    if beside is None and path.startswith(_SPENDING):
        beside = next((one for named, one in _BESIDE_BY_ID if named.fullmatch(path)), None)
    if beside is not None:
        allowed = BESIDE[beside.label]
        return beside if method in allowed else _wrong_method(beside.label, allowed)
    for known in KNOWN:
        if known.pattern.fullmatch(path) is not None:
            asks = websocket and known.kind == "conversation"
            if method not in known.methods and not asks:
                if known.deletes and method == b"DELETE":
                    label = OTHERS[known.channel]
                    return GatewayRoute(
                        *(known.channel, target[known.cut :], label, "other"),
                        api=known.api,
                        method="DELETE",
                    )
                return _wrong_method(known.label, known.methods, known.api)
            if known.api is Api.GEMINI and _key_in(query):
                return RefusedRoute(known.label, _key_in_query(), api=known.api)
            return GatewayRoute(
                known.channel,
                target[known.cut :],
                known.label,
                known.kind,
                prompt=known.prompt,
                pings=known.pings,
                api=known.api,
                method=method.decode("latin-1"),
            )
    if _ONE_SPELLING.fullmatch(path) is None:
        return RefusedRoute("*", _misspelled(path), api=_api_of(path))
    return _other(method, path, mark + query)


def _api_of(path: bytes) -> Api:
    """The API in whose shape errors are said at a path that is not known."""
    channel, _ = PREFIXES.get(path[1:].partition(b"/")[0], ("", 0))
    return API_OF.get(channel, Api.MESSAGES)


def _key_in(query: bytes) -> bool:
    """Whether a query has a parameter in which Google's services take a credential."""
    return any(
        unquote_to_bytes(part.partition(b"=")[0]).lower() in _KEYS for part in query.split(b"&")
    )


_KEYS: Final = frozenset({b"key", b"access_token", b"oauth_token", b"$key", b"$access_token"})


def _key_in_query() -> InputError:
    return InputError(
        "A key stands in the address, which goes on as it came.",
        hint="send the key as x-goog-api-key, and leave it out of the address",
    )


def recorded_target(target: bytes) -> str:
    """`target` as a record may hold it: the path, and of the query only parameters known to carry
    no credential.
    """
    if (usual := _USUAL_RECORDED.get(target)) is not None:
        return usual
    path, mark, query = target.partition(b"?")
    if mark:
        kept = [part for part in query.split(b"&") if part.partition(b"=")[0] in _KEPT_PARAMETERS]
        if kept:
            path += b"?" + b"&".join(kept)
    return path.decode("latin-1")


def _other(method: bytes, path: bytes, query: bytes) -> GatewayRoute | RefusedRoute:
    """What is not known, spelled well."""
    channel, cut = PREFIXES.get(path[1:].partition(b"/")[0], (None, 0))
    if channel is None:
        return RefusedRoute(
            "*",
            InputError(
                "There is nothing at this path.",
                code="not_found",
                hint="the gateway answers /v1/..., /v1beta/..., /openai/..., /gemini/..., "
                "/bedrock/..., /vertex/..., /azure/... and /foundry/..., in lower case",
            ),
        )
    if _OPENAI_ALONE.match(path) is not None:
        channel = "openai"
    label, api = OTHERS[channel], API_OF.get(channel, Api.MESSAGES)
    if _TELEMETRY.fullmatch(path) is not None:
        return RefusedRoute(
            label,
            InputError(
                "Telemetry does not belong at the gateway and goes to no model's provider.",
                code="not_found",
                hint="send it to the ingest: set OTEL_EXPORTER_OTLP_ENDPOINT to the address that "
                "`bailee up` prints as ingest (the setting ingest.listen)",
            ),
            api=api,
        )
    if (
        _LIKE_A_CONVERSATION.fullmatch(path.rpartition(b"/")[2]) is not None
        or _LIKE_READING_BACK.fullmatch(path) is not None
    ):
        return RefusedRoute(
            label,
            InputError(
                "This looks like a conversation, but is not spelled like one that can be recorded.",
                hint=_SPELLINGS.get(channel, _SPELLINGS["api"]),
            ),
            api=api,
        )
    if method not in PASSED:
        return _wrong_method(label, PASSED, api)
    if channel == "google" and _key_in(query[1:]):
        return RefusedRoute(label, _key_in_query(), api=api)
    said = method.decode("latin-1")
    return GatewayRoute(channel, path[cut:] + query, label, "other", api=api, method=said)


_SPELLINGS: Final = {
    "api": "write /v1/messages, /v1/responses or /v1/chat/completions; "
    "/bedrock/model/{id}/invoke, a slash in the id as %2F; or "
    "/vertex/v1/projects/{p}/locations/{l}/publishers/anthropic/models/{m}:rawPredict",
    "openai": "write /openai/v1/responses or /openai/v1/chat/completions",
    "google": "write /gemini/v1beta/models/{m}:generateContent or :streamGenerateContent",
    "azure": "write /azure/openai/v1/responses or /azure/openai/v1/chat/completions",
    "foundry": "write /foundry/v1/messages",
}


_MISSPELLED: Final = (
    (
        re.compile(rb"//"),
        "It begins with two slashes.",
        "the client's base URL must end without a slash",
    ),
    (re.compile(rb".*\\"), "It has a backslash.", "write /"),
    (re.compile(rb".*;"), "It has parameters.", "leave ; and what follows out"),
    (
        re.compile(rb"(?:.*/|.*%2f)?(?:\.|%2e){1,2}(?:/|%2f|$)", re.IGNORECASE),
        "It has dot segments.",
        "write the path that is meant",
    ),
    (re.compile(rb".*//"), "It has two slashes in a row.", "write one"),
    (re.compile(rb".*/$"), "It ends with a slash.", "leave the last slash out"),
    (
        re.compile(rb".*%"),
        "It has an escape where none belongs.",
        "write characters as they are; only in a Bedrock model's id may : be %3A, and / must be "
        "%2F, in capitals",
    ),
)


def _misspelled(path: bytes) -> InputError:
    reason, hint = next(
        ((reason, hint) for pattern, reason, hint in _MISSPELLED if pattern.match(path)),
        ("It has a character that no API uses.", "see the table of routes"),
    )
    return _two_ways(reason, hint)


def _two_ways(reason: str, hint: str) -> InputError:
    return InputError(f"This path could be read in two ways. {reason}", hint=hint)


def _wrong_method(label: str, allowed: frozenset[bytes], api: Api = Api.MESSAGES) -> RefusedRoute:
    names = ", ".join(sorted(name.decode("ascii") for name in allowed))
    error = InputError(
        "This path does not accept this method.", code="method_not_allowed", hint=f"use {names}"
    )
    return RefusedRoute(label, error, allow=names, api=api)
