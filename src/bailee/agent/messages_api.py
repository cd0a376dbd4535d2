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
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bailee.agent.answers import Assembling, SentEvents
from bailee.agent.endpoint import MODELS, Endpoint, address_of, network_faults
from bailee.agent.faults import ModelFault, of_answer
from bailee.agent.ports import Answer, AnswerPiece, Message, ModelRequest
from bailee.client.signed_in import fresh
from bailee.clock import system_clock
from bailee.errors import BaileeError
from bailee.json_values import JsonObject, members, text
from bailee.outbound.network import Network

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
            if self._http is not None:
                self._http.headers["authorization"] = f"Bearer {held.access}"

    def warm(self) -> None:
        """Imports what requests need, for who has the time before the first."""
        if self._at.provider == "api":
            import httpx2  # noqa: F401
        else:
            import anthropic  # noqa: F401

    async def close(self) -> None:
        """Closes its connections."""
        if self._http is not None:
            await self._http.aclose()

    def _events(self, body: JsonObject) -> AsyncGenerator[JsonObject]:
        if self._http is None:
            named = {"x-claude-code-session-id": self._session, "x-app": "cli"}
            self._http = self._network.async_client(
                address_of(self._at), "The model's address", seconds=SILENCE
            )
            if self._at.provider == "api":
                self._http.headers.update([*self._at.headers, *named.items(), *_keys(self._at)])
            else:
                from bailee.agent.clouds import CloudClient

                self._cloud = CloudClient(self._at, named, self._http)
        if self._cloud is not None:
            return self._cloud.events(body)
        return _posted(self._http, f"{address_of(self._at).rstrip('/')}/v1/messages", body)

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


async def _posted(
    http: httpx2.AsyncClient, address: str, body: JsonObject
) -> AsyncGenerator[JsonObject]:
    """The events of one answer. What is no character in what is sent (of a folder's name, say)
    becomes a question mark.
    """
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    events = SentEvents()
    headers = {"accept": "text/event-stream", "content-type": "application/json"}
    with network_faults("unreachable"):
        request = http.build_request("POST", address, content=content, headers=headers)
        answer = await http.send(request, stream=True)
    with network_faults("broke_off"):
        async with aclosing(answer):
            kind = answer.headers.get("content-type", "")
            if answer.status_code != 200 or not kind.startswith("text/event-stream"):
                raise await _refusal(answer)
            async for data in answer.aiter_bytes():
                for event in events.feed(data):
                    yield event


async def _refusal(answer: httpx2.Response) -> ModelFault:
    """What an answer means that is none."""
    content = b""
    async for data in answer.aiter_bytes():
        content += data
        if len(content) > _LARGEST_ERROR:
            break
    try:
        said = members(json.loads(content.decode("utf-8", "replace")))
    except (ValueError, RecursionError):
        said = {}
    error = members(said.get("error"))
    message, kind = text(error.get("message")) or text(said.get("message")), text(error.get("type"))
    status = None if answer.status_code == 200 and error else answer.status_code
    if not message and status == 200:
        message = f"it sends {answer.headers.get('content-type') or 'nothing'}"
    return of_answer(status, kind, message, dict(answer.headers), system_clock())


def marked(messages: Sequence[Message]) -> list[Message]:
    """The messages with a cache mark at their end: the next request begins with them. Pure."""
    made = list(messages)
    if made and made[-1]["content"]:
        *before, last = made[-1]["content"]
        last = {**last, "cache_control": {"type": "ephemeral"}}
        made[-1] = {"role": made[-1]["role"], "content": [*before, last]}
    return made
