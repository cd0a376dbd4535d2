"""Which request goes where, and what of it may be kept.

Pure. Rules kept here:

* The path alone decides. The query goes along untouched.
* A route's label is what logs, metrics and summaries say: it holds no part of a path that a
  client chose, because a path may carry a name, and a name may be content.
* Recorded are the requests to a model that carry a conversation. Other `/v1/*` requests (batches,
  files, those of a future API) pass through and are not kept.
* A path that a proxy and an upstream could resolve differently (dot segments) is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from bailee.errors import InputError

_SLASH: Final = rb"(?:[/\\]|%2f|%5c)"
_DOT_SEGMENT: Final = re.compile(
    rb"(?:^|" + _SLASH + rb")(?:\.|%2e){1,2}(?:" + _SLASH + rb"|$)", re.IGNORECASE
)
_SEPARATORS: Final = re.compile(rb"/{2,}")
_BEDROCK: Final = re.compile(
    rb"/model/[^/]+/(invoke|invoke-with-response-stream|converse|converse-stream)"
)
_VERTEX: Final = re.compile(rb"/.+/models/([^/:]+):(rawPredict|streamRawPredict)")
_ABSOLUTE: Final = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)
_KEPT_PARAMETERS: Final = frozenset({b"beta", b"alt"})


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request goes.

    `target` is the path and query for the upstream of `channel`. `recorded`: whether an exchange
    on this route is kept when its caller's terms say so. `prompt`: an answer is owed within
    seconds and may not be a redirect. `pings`: the stream may be kept alive by our own pings.
    """

    channel: str
    target: bytes
    label: str
    recorded: bool = False
    prompt: bool = False
    pings: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that the gateway answers itself: whether it is there, and nothing more."""

    label: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that goes nowhere: the error, and the methods for Allow when that was wrong."""

    label: str
    error: InputError
    allow: str = ""


# Almost every request is one of these.
_USUAL: Final = {
    target: Route("api", target, "/v1/messages", recorded=True, pings=True)
    for target in (b"/v1/messages", b"/v1/messages?beta=true")
}
_USUAL_RECORDED: Final = {target: target.decode("ascii") for target in _USUAL}
_MESSAGES: Final = frozenset({b"POST"})
_READ: Final = frozenset({b"GET", b"HEAD"})
_PASSED: Final = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"})


def route(method: bytes, target: bytes) -> Route | Answered | Refused:
    """Where `method` on `target` (origin or absolute form) goes."""
    if method == b"POST" and (usual := _USUAL.get(target)) is not None:
        return usual
    if not target.startswith(b"/"):
        if (authority := _ABSOLUTE.match(target)) is None:
            return Refused("*", InputError("The request's target is not a path."))
        target = target[authority.end() :]
        if not target.startswith(b"/"):
            target = b"/" + target
    path, mark, query = target.partition(b"?")
    if b"#" in target or _DOT_SEGMENT.search(path) is not None:
        return Refused("*", InputError("The request's path has dot segments or a fragment."))
    plain = _SEPARATORS.sub(b"/", unquote_to_bytes(path))
    if len(plain) > 1:
        plain = plain.rstrip(b"/")
    if plain in (b"/", b"/api/hello"):
        label = plain.decode("ascii")
        return Answered(label) if method in _READ else _wrong_method(label, _READ)
    for prefix, channel in ((b"/bedrock", "bedrock"), (b"/vertex", "vertex")):
        if path.startswith(prefix + b"/"):
            return _cloud(method, channel, path[len(prefix) :], mark + query)
    if path.startswith(b"/v1/"):
        return _api(method, plain, target)
    return Refused(
        "*",
        InputError(
            "There is nothing at this path.",
            code="not_found",
            hint="the gateway answers /v1/..., /bedrock/... and /vertex/...",
        ),
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


def _api(method: bytes, plain: bytes, target: bytes) -> Route | Refused:
    if plain == b"/v1/messages":
        if method != b"POST":
            return _wrong_method("/v1/messages", _MESSAGES)
        return Route("api", target, "/v1/messages", recorded=True, pings=True)
    if plain == b"/v1/messages/count_tokens":
        if method != b"POST":
            return _wrong_method("/v1/messages/count_tokens", _MESSAGES)
        return Route("api", target, "/v1/messages/count_tokens")
    if plain == b"/v1/models" or plain.startswith(b"/v1/models/"):
        label = "/v1/models" if plain == b"/v1/models" else "/v1/models/*"
        if method not in _READ:
            return _wrong_method(label, _READ)
        return Route("api", target, label, prompt=True)
    if method not in _PASSED:
        return _wrong_method("/v1/*", _PASSED)
    return Route("api", target, "/v1/*")


def _cloud(method: bytes, channel: str, path: bytes, query: bytes) -> Route | Refused:
    target = path + query
    verb: bytes | None = None
    if channel == "bedrock":
        if (match := _BEDROCK.fullmatch(path)) is not None:
            verb = b"/model/*/" + match[1]
    elif (match := _VERTEX.fullmatch(path)) is not None:
        # Counting tokens is spelled as a model of this name.
        if match[1] == b"count-tokens":
            return Route(channel, target, "/vertex/count-tokens")
        verb = b"/*/models/*:" + match[2]
    if verb is not None:
        label = f"/{channel}{verb.decode('ascii')}"
        if method != b"POST":
            return _wrong_method(label, _MESSAGES)
        return Route(channel, target, label, recorded=True, pings=channel == "vertex")
    if method not in _PASSED:
        return _wrong_method(f"/{channel}/*", _PASSED)
    return Route(channel, target, f"/{channel}/*")


def _wrong_method(label: str, allowed: frozenset[bytes]) -> Refused:
    names = ", ".join(sorted(name.decode("ascii") for name in allowed))
    error = InputError(
        "This path does not take this method.", code="method_not_allowed", hint=f"use {names}"
    )
    return Refused(label, error, allow=names)
