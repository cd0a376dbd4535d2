"""The small HTTP API beside the pages: a person's own choice, sessions and reports, by their key.

Rows: T2 (the choice over HTTP).
"""

from __future__ import annotations

import json
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from bailee.console.asking import Ask
from bailee.console.parts import Parts
from bailee.errors import InputError
from bailee.operations import codec, sessions
from bailee.operations.asks import Asks, Via, asked_by

_AT_ONCE: Final = 1000


class Api:
    """The handlers; each takes an `Ask` and answers JSON."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._operate = parts.operate

    def training(self, ask: Ask) -> Response:
        """The choice about training, and what follows from it."""
        return as_json(self._operate("privacy.show", {"key": presented(ask.request)}))

    def choose(self, ask: Ask) -> Response:
        """Make the choice."""
        arguments = {
            "key": presented(ask.request),
            "choice": _object(ask.body).get("choice"),
            "language": ask.words.language,
            "source": "api",
        }
        return as_json(self._operate("privacy.choose", arguments))

    def key(self, ask: Ask) -> Response:
        """On whose terms the key is. None is made here: a key that was stolen could make another
        that outlives it.
        """
        return as_json(self._operate("key.show", {"key": presented(ask.request)}))

    def sessions(self, ask: Ask) -> Response:
        """The sessions of the key's account; of an organisation's, for those who administer it."""
        asks, node = self._asks(ask), self._parts.node
        found = codec.every(lambda after: sessions.list_(asks, node, after=after, limit=_AT_ONCE))
        return as_json(codec.plain(found))

    def reports(self, ask: Ask) -> Response:
        """The bug reports that the key's holder sent."""
        return as_json(self._operate("feedback.list", {"key": presented(ask.request)}))

    def report(self, ask: Ask) -> Response:
        """One of them, with what is in it."""
        arguments = {"key": presented(ask.request), "id": ask.path["report"]}
        found = self._operate("feedback.show", arguments)
        # What a client cut within a character is kept as it was sent, and only this can say it.
        return Response(json.dumps(found), media_type="application/json")

    def withdraw(self, ask: Ask) -> Response:
        """Withdraw one; the answer is the receipt."""
        arguments = {"key": presented(ask.request), "id": ask.path["report"]}
        return as_json(self._operate("feedback.withdraw", arguments))

    def _asks(self, ask: Ask) -> Asks:
        """Whose key it is."""
        actor = self._parts.registry.authority.by_key(presented(ask.request))
        return asked_by(self._parts.node, actor, Via.API)


def as_json(value: object, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(orjson.dumps(value), status, media_type="application/json")


def presented(request: Request) -> str:
    """The key that a request came with.

    Raises:
        InputError: code `authentication`, there is none.
    """
    key = request.headers.get("x-api-key")
    if not key:
        raise InputError("there is no API key.", code="authentication", hint="send it as x-api-key")
    return key


def _object(raw: bytes) -> dict[str, object]:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise InputError(
            "the request's body is not a JSON object.", hint='send {"choice": "refused"}'
        )
    return body
