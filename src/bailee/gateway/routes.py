"""Which request goes where, and what kind of errand it is.

Pure. Rules kept here:

* The path alone decides. The query goes along untouched.
* **One spelling.** A path that an upstream could read as another one is refused with its reason,
  never mended: an escape, a doubled or last slash, `;`, a dot segment, another case. The one
  exception is the id of a Bedrock model, in which SDKs write `:` as `%3A` and `/` as `%2F`.
* A path that ends as a conversation's does, and is not one that is known to be one, goes nowhere:
  it could be a conversation that nobody records.
* Telemetry goes nowhere from here: the model's provider is not whom it is for.
* `KNOWN` are the requests that are known; the rest is `other`. What of either passes, and with
  whose credential, the policy decides by the route's `kind`.
* A route's label is what logs, metrics and summaries say: it holds no part of a path that a
  client chose, because a path may carry a name, and a name may be content.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from bailee.errors import InputError

Kind = Literal["conversation", "counting", "models", "other"]
"""What the policy calls `route`: a conversation that can be recorded; counting its tokens; which
models there are; anything else."""
KINDS: Final[tuple[Kind, ...]] = ("conversation", "counting", "models", "other")

_WORD: Final = rb"[A-Za-z0-9](?:[A-Za-z0-9._-]|:|%3A)*"
_BEDROCK_ID: Final = _WORD + rb"(?:%2F" + _WORD + rb")*"  # a name, or an ARN, which has slashes
_NAME: Final = rb"[A-Za-z0-9][A-Za-z0-9._:@-]*"
_PUBLISHER: Final = (
    rb"/vertex(?:/v1)?/projects/" + _NAME + rb"/locations/[a-z0-9-]+/publishers/anthropic/models/"
)


@dataclass(frozen=True, slots=True)
class KnownRoute:
    """A request that is known: what it is, by `method` and `pattern` (of the whole path).

    `pings`: the stream may be kept alive by our own pings. `prompt`: an answer is owed within
    seconds and may not be a redirect. `example` is for the documentation.
    """

    label: str
    channel: str
    kind: Kind
    pattern: re.Pattern[bytes]
    example: str
    methods: frozenset[bytes] = frozenset({b"POST"})
    pings: bool = False
    prompt: bool = False


_READ: Final = frozenset({b"GET", b"HEAD"})


def _known() -> tuple[KnownRoute, ...]:
    made = [
        KnownRoute(
            "/v1/messages",
            "api",
            "conversation",
            re.compile(rb"/v1/messages"),
            "/v1/messages?beta=true",
            pings=True,
        ),
        KnownRoute(
            "/v1/messages/count_tokens",
            "api",
            "counting",
            re.compile(rb"/v1/messages/count_tokens"),
            "/v1/messages/count_tokens",
        ),
        KnownRoute(
            "/v1/models",
            "api",
            "models",
            re.compile(rb"/v1/models"),
            "/v1/models?limit=1000",
            _READ,
            prompt=True,
        ),
        KnownRoute(
            "/v1/models/*",
            "api",
            "models",
            re.compile(rb"/v1/models/" + _NAME),
            "/v1/models/claude-sonnet-4-5",
            _READ,
            prompt=True,
        ),
    ]
    for verb in ("invoke", "invoke-with-response-stream", "converse", "converse-stream"):
        made.append(_bedrock(verb, "conversation"))
    made.append(_bedrock("count-tokens", "counting"))
    # Counting tokens is spelled as a model of this name, so it comes first.
    made.append(_vertex(b"count-tokens", "rawPredict", "counting"))
    for verb in ("rawPredict", "streamRawPredict"):
        made.append(_vertex(_NAME, verb, "conversation"))
    return tuple(made)


def _bedrock(verb: str, kind: Kind) -> KnownRoute:
    ends = verb.encode("ascii")
    return KnownRoute(
        f"/bedrock/model/*/{verb}",
        "bedrock",
        kind,
        re.compile(rb"/bedrock/model/" + _BEDROCK_ID + rb"/" + ends),
        f"/bedrock/model/eu.anthropic.claude-sonnet-4-5-v1:0/{verb}",
    )


def _vertex(model: bytes, verb: str, kind: Kind) -> KnownRoute:
    named = "*" if kind == "conversation" else "count-tokens"
    return KnownRoute(
        f"/vertex/*/models/{named}:{verb}",
        "vertex",
        kind,
        re.compile(_PUBLISHER + model + b":" + verb.encode("ascii")),
        f"/vertex/v1/projects/p/locations/l/publishers/anthropic/models/"
        f"{'claude-sonnet-4-5@20250929' if kind == 'conversation' else 'count-tokens'}:{verb}",
        pings=kind == "conversation",
    )


KNOWN: Final = _known()
CHANNELS: Final = ("api", "bedrock", "vertex")
OTHERS: Final = {"api": "/v1/*", "bedrock": "/bedrock/*", "vertex": "/vertex/*"}
"""By channel, the label of what is not known."""
PASSED: Final = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE"})
"""The methods of what is not known. OPTIONS is for browsers, and answered here."""


@dataclass(frozen=True, slots=True)
class GatewayRoute:
    """Where a request goes. `target` is the path and query for the upstream of `channel`; the
    other fields are as in `KnownRoute`.
    """

    channel: str
    target: bytes
    label: str
    kind: Kind
    prompt: bool = False
    pings: bool = False

    @property
    def recorded(self) -> bool:
        """Whether an exchange on this route is kept when its caller's terms say so."""
        return self.kind == "conversation"


@dataclass(frozen=True, slots=True)
class AnsweredHere:
    """A request that the gateway answers itself: whether it is there, or how it stands."""

    label: str


@dataclass(frozen=True, slots=True)
class RefusedRoute:
    """A request that goes nowhere: the error, and the methods for Allow when that was wrong."""

    label: str
    error: InputError
    allow: str = ""


# Almost every request is one of these.
_USUAL: Final = {
    target: GatewayRoute("api", target, "/v1/messages", "conversation", pings=True)
    for target in (b"/v1/messages", b"/v1/messages?beta=true")
}
_USUAL_RECORDED: Final = {target: target.decode("ascii") for target in _USUAL}
_GREETINGS: Final = {path.encode(): path for path in ("/", "/api/hello", "/healthz", "/readyz")}
_CHANNELS_OF: Final = {b"v1": "api", b"bedrock": "bedrock", b"vertex": "vertex"}
_ABSOLUTE: Final = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)
_KEPT_PARAMETERS: Final = frozenset({b"beta", b"alt"})
_ONE_SPELLING: Final = re.compile(rb"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~:@-]+)+")
# The last segment of a conversation's path for a tolerant reader: in any case, with a suffix.
_LIKE_A_CONVERSATION: Final = re.compile(
    rb"(?:messages|invoke|invoke-with-response-stream|converse|converse-stream"
    rb"|.*:rawpredict|.*:streamrawpredict)(?:[^A-Za-z0-9_-].*)?",
    re.IGNORECASE,
)
_TELEMETRY: Final = re.compile(
    rb".*/v1(?:development)?/(?:metrics|logs|traces|profiles|log_event|rgstr)", re.IGNORECASE
)


def route(method: bytes, target: bytes) -> GatewayRoute | AnsweredHere | RefusedRoute:
    """Where `method` on `target` (origin or absolute form) goes."""
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
        return AnsweredHere(greeting) if method in _READ else _wrong_method(greeting, _READ)
    for known in KNOWN:
        if known.pattern.fullmatch(path) is not None:
            if method not in known.methods:
                return _wrong_method(known.label, known.methods)
            return GatewayRoute(
                known.channel,
                target[_prefix(known.channel) :],
                known.label,
                known.kind,
                prompt=known.prompt,
                pings=known.pings,
            )
    if _ONE_SPELLING.fullmatch(path) is None:
        return RefusedRoute("*", _misspelled(path))
    return _other(method, path, mark + query)


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
    channel = _CHANNELS_OF.get(path[1:].partition(b"/")[0])
    if channel is None:
        return RefusedRoute(
            "*",
            InputError(
                "There is nothing at this path.",
                code="not_found",
                hint="the gateway answers /v1/..., /bedrock/... and /vertex/..., in lower case",
            ),
        )
    label = OTHERS[channel]
    if _TELEMETRY.fullmatch(path) is not None:
        return RefusedRoute(
            label,
            InputError(
                "Telemetry does not belong at the gateway and goes to no model's provider.",
                code="not_found",
                hint="send it to the ingest: set OTEL_EXPORTER_OTLP_ENDPOINT to the address that "
                "`bailee up` prints as ingest (the setting ingest.listen)",
            ),
        )
    if _LIKE_A_CONVERSATION.fullmatch(path.rpartition(b"/")[2]) is not None:
        return RefusedRoute(
            label,
            InputError(
                "This looks like a conversation, but is not spelled like one that can be recorded.",
                hint="write /v1/messages; /bedrock/model/{id}/invoke, a slash in the id as %2F; or "
                "/vertex/v1/projects/{p}/locations/{l}/publishers/anthropic/models/{m}:rawPredict",
            ),
        )
    if method not in PASSED:
        return _wrong_method(label, PASSED)
    return GatewayRoute(channel, path[_prefix(channel) :] + query, label, "other")


def _prefix(channel: str) -> int:
    """How much of a path says the channel and does not go along."""
    return 0 if channel == "api" else len(channel) + 1


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


def _wrong_method(label: str, allowed: frozenset[bytes]) -> RefusedRoute:
    names = ", ".join(sorted(name.decode("ascii") for name in allowed))
    error = InputError(
        "This path does not accept this method.", code="method_not_allowed", hint=f"use {names}"
    )
    return RefusedRoute(label, error, allow=names)
