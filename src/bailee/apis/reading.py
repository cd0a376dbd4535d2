"""What a captured exchange means, for those who know the APIs.

Pure, and total: any bytes give an `Interpreted`. Rules kept here:

* What is understood is taken apart; what is not is kept as bytes beside it. Nothing is lost.
* A stream becomes the document that a non-streaming answer would have been, unknown fields and
  block types included. A stream that broke off becomes the document as far as it came, and its
  bytes are kept too.
* What taking apart may cost is bounded (`vault.bounds`). A request, or an answer, that is past a
  bound is kept as the bytes that came, and which bound it was is said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from bailee.api import Api
from bailee.apis.assembling import Assembled, Assembly, assemble
from bailee.apis.chat import ChatStream
from bailee.apis.decoding import decoded
from bailee.apis.events import Event, frame_events, sse_events
from bailee.apis.gemini import GeminiStream
from bailee.apis.messages import MessageStream
from bailee.apis.naming import named
from bailee.apis.requests import AskedParts, json_of, request_of
from bailee.apis.responses import ResponseStream
from bailee.apis.using import usage
from bailee.json_values import members, text
from bailee.vault import bounds
from bailee.vault.bounds import Beyond, BeyondBound
from bailee.vault.exchange import CapturedExchange, Outcome
from bailee.vault.interpreted import Interpreted
from bailee.vault.packing import JSON
from bailee.vault.structure import drops_members

_ASSEMBLY: Final[Mapping[Api, Callable[[], Assembly]]] = {
    Api.MESSAGES: MessageStream,
    Api.CONVERSE: MessageStream,
    Api.RESPONSES: ResponseStream,
    Api.CHAT: ChatStream,
    Api.GEMINI: GeminiStream,
}
_ANSWERS: Final[Mapping[Api, tuple[str, ...]]] = {
    Api.MESSAGES: ("role", "output"),
    Api.CONVERSE: ("role", "output"),
    Api.RESPONSES: ("output",),
    Api.CHAT: ("choices",),
    Api.GEMINI: ("candidates", "promptFeedback", "usageMetadata", "response"),
}
"""Members by which a document is an answer, and no error."""
_FETCHED: Final = re.compile(r"/responses/([A-Za-z0-9_-]{1,200})(?:\?|$)")
_LONGEST_ID: Final = 200


@dataclass(slots=True)
class _Answer:
    """An answer taken apart. `whole`: that is all there is to it."""

    document: JSON = None
    error: JSON = None
    whole: bool = False
    values: int = 0
    size: int = 0
    beyond: Beyond | None = None


def interpret(exchange: CapturedExchange) -> Interpreted:
    """Takes `exchange` apart. Never raises."""
    api, headers = exchange.api, dict(exchange.request_headers)
    try:
        request = request_of(api, exchange.request, headers.get("content-encoding", ""))
    except BeyondBound as error:
        request = AskedParts(raw=exchange.request, beyond=error.bound)
    try:
        answer = _answer(api, exchange.answer, dict(exchange.answer_headers))
    except BeyondBound as error:
        answer = _Answer(beyond=error.bound)
    ended = exchange.outcome is Outcome.COMPLETE or answer.error is not None
    said = named(api, headers, request.fields)
    return Interpreted(
        api=api,
        client_session=said.session,
        agent=said.agent,
        parent=said.parent,
        title=said.title,
        fields=request.fields,
        messages=request.items,
        at=request.at,
        after=request.after or _fetched(api, exchange),
        response=_response(api, answer.document),
        elsewhere=request.elsewhere,
        answer=answer.document,
        error=answer.error,
        usage=usage(api, answer.document),
        raw_request=request.raw,
        raw_answer=None if answer.whole and ended else exchange.answer or None,
        beyond=request.beyond or answer.beyond,
        values=request.values + answer.values,
        size=request.size + answer.size,
        written=request.written,
    )


def _answer(api: Api, raw: bytes, headers: Mapping[str, str]) -> _Answer:
    """Raises: BeyondBound."""
    body = decoded(raw, headers.get("content-encoding", ""))
    if body is None:
        return _Answer()
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "text/event-stream":
        return _assembled(assemble(_ASSEMBLY[api](), sse_events(body)), body)
    if kind == "application/vnd.amazon.eventstream":
        return _assembled(assemble(_ASSEMBLY[api](), frame_events(body)), body)
    parsed, values, plain = json_of(body)
    whole = plain or not drops_members(body, parsed)
    if api is Api.GEMINI and isinstance(parsed, list):
        found = _assembled(_chunks(parsed, values), body)
        found.whole = found.whole and whole
        return found
    if not isinstance(parsed, dict):
        return _Answer()
    failed = isinstance(parsed.get("error"), dict)
    if api is Api.RESPONSES and failed and "output" in parsed:  # a response that failed
        error: JSON = {"type": "response.failed", "error": parsed["error"]}
        return _Answer(parsed, error, whole, values, len(body))
    if parsed.get("type") == "error" or failed:
        return _Answer(None, parsed, whole, values, len(body))
    if parsed.get("type") == "message" or any(name in parsed for name in _ANSWERS[api]):
        return _Answer(parsed, None, whole, values, len(body))
    return _Answer(None, parsed, whole, values, len(body))


def _assembled(found: Assembled, body: bytes) -> _Answer:
    return _Answer(found.document, found.error, found.whole, found.values, len(body))


def _chunks(chunks: list[JSON], values: int) -> Assembled:
    """A stream that came as one list: its values are counted already.

    Raises:
        BeyondBound: there are too many chunks.
    """
    if len(chunks) > bounds.EVENTS:
        raise BeyondBound(Beyond.EVENTS)

    def events() -> Iterator[Event]:
        return ((one, b"") for one in chunks)

    found = assemble(GeminiStream(), events())
    return Assembled(found.document, found.error, found.whole, values + found.values)


def _fetched(api: Api, exchange: CapturedExchange) -> str | None:
    """The id of the response that was asked for, where an answer is fetched later."""
    if api is not Api.RESPONSES or exchange.method == "POST":
        return None
    found = _FETCHED.search(exchange.target)
    return found[1] if found else None


def _response(api: Api, answer: JSON) -> str | None:
    """The id by which a later request may name this answer."""
    if api is not Api.RESPONSES:
        return None
    return text(members(answer).get("id"))[:_LONGEST_ID] or None
