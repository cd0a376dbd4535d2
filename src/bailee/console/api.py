"""The HTTP API: every operation under its route (`operations.routes`), by key or cookie.

Rules kept here:

* Who asks is known before a body is read. A key comes as `x-api-key`, or `Authorization: Bearer`.
  With a cookie something is changed only from a page of this console, and only by JSON, which no
  form of another site can send.
* Arguments stand in the address's path, in its query, and for what changes something in a JSON
  object.
* What comes piece by piece comes as JSON Lines. One that fails on the way is broken off, so that
  nobody takes a part for the whole; what fails before the first piece is an error like any other.
* Errors have one shape: the Messages API's, with `code` and `hint` beside it.
* With an `Idempotency-Key` something is done once, however often it is asked for (`node.once`).

Rows: T2 (the choice over HTTP), G2.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import chain
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from bailee import json_lines
from bailee.accounts import Actor
from bailee.accounts.keys import KEY_PREFIX
from bailee.console.asking import Ask
from bailee.console.cookies import read_cookie
from bailee.console.parts import Parts
from bailee.errors import CODES, BaileeError, InputError
from bailee.node import Node
from bailee.operations import codec, openapi
from bailee.operations.asks import Via, from_outside
from bailee.operations.routes import ROUTES, Route
from bailee.operations.table import OPERATIONS, perform

LINES: Final = "application/x-ndjson"
_SAFE: Final = ("GET", "HEAD")
_KEY: Final = re.compile(r"[\x21-\x7e]{1,200}")
_NOTHING_MORE: Final = object()


class ApiHandlers:
    """The handlers: one for each route, and the API's description. The site calls them on its
    worker threads, several at once. It keeps the description once it was made, and of requests
    nothing.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._described: bytes | None = None

    def describe(self, ask: Ask) -> Response:
        """The API's description: OpenAPI 3.1."""
        del ask
        if self._described is None:
            self._described = orjson.dumps(openapi.document(OPERATIONS, ROUTES))
        return Response(self._described, media_type="application/json")

    def operation(self, name: str, route: Route, ask: Ask) -> Response:
        """Carry one out."""
        assert ask.actor is not None
        by, node = ask.actor, self._parts.node
        values = _values(route, ask)
        if "language" in codec.parameters(OPERATIONS[name]).__struct_fields__:
            values.setdefault("language", ask.words.language)  # in which they were asked
        texts = route.in_address
        key = ask.request.headers.get("idempotency-key")
        if key is None or route.method in _SAFE:
            result = perform(node, name, values, by=by, via=Via.API, texts=texts)
            return _answer(result, _text if route.lines else json_lines.line)
        if not _KEY.fullmatch(key):
            raise InputError("the Idempotency-Key is no text of 1 to 200 plain characters.")
        done, again = node.once.do(
            _asker(by),
            key,
            [name, values],
            lambda: _whole(perform(node, name, values, by=by, via=Via.API, texts=texts)),
        )
        response = as_json(done)
        if again:
            response.headers["idempotent-replayed"] = "true"
        return response


def _asker(by: Actor) -> str:
    """Under whom an answer is kept, by their key: one with another of the same person's keys, that
    may do less, is not told what this one was answered. Nor is who may do less by now.
    """
    asks = (by.person_id, by.key_id, by.account_id, "operator" if by.operator else None)
    return " ".join(one or "-" for one in asks)


def who(node: Node, request: Request, cookie: str) -> Actor:
    """Who asks: whose key it is, else whose cookie.

    Raises:
        InputError: code `authentication`, there is neither, or it is not good; `forbidden`, with a
            cookie something is to be changed that no page of ours asks for.
    """
    key = request.headers.get("x-api-key")
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        if key is not None and key != bearer.strip() and bearer.strip().startswith(KEY_PREFIX):
            raise InputError(
                "this request holds two different keys.",
                code="authentication",
                hint="send one of them",
            )
        key = key or bearer.strip()
    if key:
        return from_outside(node, {"key": key})
    if not read_cookie(request, cookie):
        raise InputError(
            "there is no API key.",
            code="authentication",
            hint="send it as x-api-key, or as Authorization: Bearer",
        )
    actor = from_outside(node, {"cookie": read_cookie(request, cookie)})
    ours = request.headers.get("sec-fetch-site") == "same-origin"
    if request.method not in _SAFE and not (ours and _is_json(request)):
        raise InputError(
            "with a cookie, only this console's own pages can change anything.",
            code="forbidden",
            hint="use an API key",
        )
    return actor


def refusal(error: BaileeError) -> Response:
    """An error as the API gives it."""
    code = CODES[error.code]
    body = {
        "type": "error",
        "error": {
            "type": code.api_type,
            "code": error.code,
            "message": error.message,
            "hint": error.hint,
        },
    }
    return as_json(body, error.http_status)


def _values(route: Route, ask: Ask) -> dict[str, object]:
    """An operation's arguments as they came."""
    texts: dict[str, list[str]] = {}
    for name, value in ask.request.query_params.multi_items():
        texts.setdefault(name, []).append(value)
    if texts and not route.in_address:
        raise InputError("its arguments belong in the body, not in the address.")
    values: dict[str, object] = {**texts} if route.in_address else _object(ask.body)
    for name, value in ask.path.items():
        if (name, value) == ("id", "me"):
            continue
        if name in values:
            raise InputError(f"{name!r} stands in the address's path, and once more elsewhere.")
        values[name] = value
    return values


def _answer(result: object, line: Callable[[object], bytes]) -> Response:
    if isinstance(result, AsyncIterator):
        return StreamingResponse(_lines_of(result, line), media_type=LINES)
    if isinstance(result, Iterator):
        first = next(result, _NOTHING_MORE)
        rest = result if first is _NOTHING_MORE else chain((first,), result)
        return StreamingResponse(map(line, rest), media_type=LINES)
    return as_json(result)


async def _lines_of(
    items: AsyncIterator[object], line: Callable[[object], bytes]
) -> AsyncIterator[bytes]:
    async for item in items:
        yield line(item)


def _whole(result: object) -> object:
    """What is kept so that it can be said again; nothing that changes something comes in pieces."""
    assert not isinstance(result, Iterator | AsyncIterator)
    return result


def as_json(value: object, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(json_lines.line(value).rstrip(b"\n"), status, media_type="application/json")


def _text(item: object) -> bytes:
    """A line that an operation gives as text. What is no Unicode can't be in JSON that it made."""
    return str(item).rstrip("\n").encode("utf-8", "surrogatepass") + b"\n"


def _is_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json"


def _object(raw: bytes) -> dict[str, object]:
    if not raw:
        return {}
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise InputError("the request's body is not a JSON object.")
    return body
