"""The model behind the Messages API, over HTTP; its Bedrock and Vertex forms by the vendor's SDK.

Rules kept here:

* Each request names its session (`x-claude-code-session-id`, `metadata.user_id`) and nothing else
  of the person or the machine.
* The way there is `outbound.network`'s: the company's proxy and authority, a client certificate,
  TLS to anywhere but this machine, no redirect followed.
* A request is made once: how often it is made again is the agent's to say, by `faults`.
* What goes over the Messages API itself needs no SDK, which takes seconds to import. Requests that
  a cloud wants signed go by `clouds`.

Rows: D1, D2.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bailee.agent.answers import Assembling, SentEvents
from bailee.agent.endpoint import MODELS, Endpoint, address_of, network_faults, unsendable
from bailee.agent.faults import ModelFault, of_answer
from bailee.agent.ports import Answer, AnswerPiece, Message, ModelRequest
from bailee.client.signed_in import fresh
from bailee.clock import system_clock
from bailee.errors import BaileeError
from bailee.json_values import JsonObject, members, text
from bailee.outbound.network import USER_AGENT, Network
from bailee.outbound.straight import PostFailed, StraightConnection
from bailee.records import dataclass

if TYPE_CHECKING:
    import httpx2

    from bailee.agent.clouds import CloudClient

_TOKENS: Final = 16_000
_VERSION: Final = "2026-10-21"
SILENCE: Final = 600.0  # seconds
_LARGEST_ERROR: Final = 1_000_000  # bytes


class MessagesApi:
    """A `ports.Model` behind the Messages API, its Bedrock form or its Vertex form. Owns the
    connections to it; used on one event loop's thread.
    """

    def __init__(
        self,
        at: Endpoint,
        *,
        session: str,
        model: str | None = None,
        max_tokens: int | None = None,
        network: Network | None = None,
    ) -> None:
        self.name = model or MODELS[at.provider]
        self._network = network or Network({})
        self._at = at
        self._session = session
        self._max_tokens = max_tokens or _TOKENS
        self._straight: StraightConnection | None = None
        self._http: httpx2.AsyncClient | None = None
        self._cloud: CloudClient | None = None

    async def stream(self, request: ModelRequest) -> AsyncIterator[AnswerPiece | Answer]:
        """See `ports.Model.stream`."""
        answer = Assembling()
        await self._renew()
        async with aclosing(self._events(self._body(request))) as events:
            async for event in events:
                if (piece := answer.take(event)) is not None:
                    yield piece
        yield answer.answer()

    async def _renew(self) -> None:
        """Have a token that lasts an hour renewed before it is over."""
        if self._at.signed_in is None:
            return
        folder = Path(self._at.signed_in).parent
        try:
            held = await asyncio.to_thread(fresh, folder, self._network, time.time())
        except BaileeError:
            return  # the model's answer says it, to whoever knows what to do then
        if held.access != self._at.token and held.gateway == self._at.base_url:
            self._at = replace(self._at, token=held.access)

    def warm(self) -> None:
        """Imports what requests need, for who has the time before the first."""
        if self._at.provider != "api":
            import anthropic  # noqa: F401
        elif self._network.proxy(address_of(self._at)) is not None:
            import httpx2  # noqa: F401

    async def close(self) -> None:
        """Closes its connections."""
        if self._straight is not None:
            await self._straight.close()
        if self._http is not None:
            await self._http.aclose()

    def _events(self, body: JsonObject) -> AsyncGenerator[JsonObject]:
        named = {"x-claude-code-session-id": self._session, "x-app": "cli"}
        self._connect(named)
        if self._cloud is not None:
            return self._cloud.events(body)
        sent = {"accept": "text/event-stream", "content-type": "application/json"}
        fields = [*self._at.headers, *named.items(), *_keys(self._at), *sent.items()]
        if self._straight is not None:
            return _answered(_straight(self._straight, fields, _json(body)))
        assert self._http is not None
        return _answered(_by_proxy(self._http, _place(self._at), fields, _json(body)))

    def _connect(self, named: Mapping[str, str]) -> None:
        if self._straight is not None or self._http is not None:
            return
        what = "The model's address"
        if self._at.provider == "api":
            self._straight = self._network.straight(_place(self._at), what, SILENCE)
            if self._straight is not None:
                return
        self._http = self._network.async_client(address_of(self._at), what, seconds=SILENCE)
        if self._at.provider != "api":
            from bailee.agent.clouds import CloudClient

            self._cloud = CloudClient(self._at, named, self._http)

    def _body(self, request: ModelRequest) -> JsonObject:
        body: JsonObject = {
            "model": self.name,
            "max_tokens": self._max_tokens,
            "messages": [
                {"role": m["role"], "content": [*m["content"]]} for m in marked(request.messages)
            ],
            "metadata": {"user_id": json.dumps({"session_id": self._session})},
            "stream": True,
        }
        if request.system:
            body["system"] = [
                {"type": "text", "text": request.system, "cache_control": {"type": "ephemeral"}}
            ]
        if request.tools:
            body["tools"] = [{**tool} for tool in request.tools]  # type: ignore[dict-item]
            if not request.may_call:
                body["tool_choice"] = {"type": "none"}
        return body


def _keys(at: Endpoint) -> list[tuple[str, str]]:
    made = [("anthropic-version", _VERSION)]
    if at.key is not None:
        made.append(("x-api-key", at.key))
    if at.token is not None:
        made.append(("authorization", f"Bearer {at.token}"))
    return made


def _place(at: Endpoint) -> str:
    return f"{address_of(at).rstrip('/')}/v1/messages"


def _json(body: JsonObject) -> bytes:
    """What is no character in what is sent (of a folder's name, say) becomes a question mark."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class _Head:
    """How an answer begins. Names of `headers` are in small letters."""

    status: int
    headers: Mapping[str, str]


_Answer = AsyncGenerator[_Head | bytes]
"""First the head, then the content in pieces."""


async def _straight(
    way: StraightConnection, fields: Sequence[tuple[str, str]], content: bytes
) -> _Answer:
    with _post_faults():
        answer = await way.post([("user-agent", USER_AGENT), *fields], content)
        async with aclosing(answer):
            yield _Head(answer.status, answer.headers)
            async for data in answer.pieces():
                yield data


@contextmanager
def _post_faults() -> Iterator[None]:
    try:
        yield
    except PostFailed as failed:
        if failed.how == "unsendable":
            raise unsendable(str(failed)) from None
        raise ModelFault(failed.how, str(failed)) from None


async def _by_proxy(
    http: httpx2.AsyncClient, address: str, fields: Sequence[tuple[str, str]], content: bytes
) -> _Answer:
    with network_faults("unreachable"):
        request = http.build_request("POST", address, content=content, headers=[*fields])
        answer = await http.send(request, stream=True)
    with network_faults("broke_off"):
        async with aclosing(answer):
            yield _Head(answer.status_code, answer.headers)
            async for data in answer.aiter_bytes():
                yield data


async def _answered(answer: _Answer) -> AsyncGenerator[JsonObject]:
    """The events of one answer."""
    events, refusing, content = SentEvents(), False, b""
    head = _Head(0, {})
    async with aclosing(answer):
        async for part in answer:
            if isinstance(part, _Head):
                head = part
                kind = head.headers.get("content-type", "")
                refusing = head.status != 200 or not kind.startswith("text/event-stream")
            elif refusing:
                content += part
                if len(content) > _LARGEST_ERROR:
                    break
            else:
                for event in events.feed(part):
                    yield event
    if refusing:
        raise _refusal(head, content)


def _refusal(head: _Head, content: bytes) -> ModelFault:
    """What an answer means that is none. Pure but for the time."""
    try:
        said = members(json.loads(content.decode("utf-8", "replace")))
    except (ValueError, RecursionError):
        said = {}
    error = members(said.get("error"))
    message, kind = text(error.get("message")) or text(said.get("message")), text(error.get("type"))
    status = None if head.status == 200 and error else head.status
    if not message and status == 200:
        message = f"it sends {head.headers.get('content-type') or 'nothing'}"
    return of_answer(status, kind, message, dict(head.headers), system_clock())


def marked(messages: Sequence[Message]) -> list[Message]:
    """The messages with a cache mark at their end: the next request begins with them. Pure."""
    made = list(messages)
    if made and made[-1]["content"]:
        *before, last = made[-1]["content"]
        last = {**last, "cache_control": {"type": "ephemeral"}}
        made[-1] = {"role": made[-1]["role"], "content": [*before, last]}
    return made
