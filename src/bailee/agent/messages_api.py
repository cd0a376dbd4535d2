"""The model behind the Messages API, by the `anthropic` SDK's clients.

Rules kept here:

* Where requests go, and with which credential, is what the variables that people know say:
  `ANTHROPIC_BASE_URL`, `ANTHROPIC_AUTH_TOKEN`, `ANTHROPIC_API_KEY`; `CLAUDE_CODE_USE_BEDROCK`,
  `CLAUDE_CODE_USE_VERTEX` with `ANTHROPIC_BEDROCK_BASE_URL`, `ANTHROPIC_VERTEX_BASE_URL` and
  `CLAUDE_CODE_SKIP_BEDROCK_AUTH`, `CLAUDE_CODE_SKIP_VERTEX_AUTH` for a gateway in between.
* Each request names its session (`x-claude-code-session-id`, `metadata.user_id`) and nothing else
  of the person or the machine.
* The way there is `outbound.network`'s: the company's proxy and authority, a client certificate,
  TLS to anywhere but this machine, no redirect followed.
* The SDK takes long to import, so that this happens on first use, or before in a thread (`warm`).

Rows: D1, D2.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from bailee.agent.ports import Answer, AnswerPiece, Message, ModelRequest
from bailee.errors import BaileeError, InputError, UpstreamError
from bailee.json_values import objects
from bailee.outbound.network import Network

if TYPE_CHECKING:
    import anthropic

    _Client: TypeAlias = (
        anthropic.AsyncAnthropic | anthropic.AsyncAnthropicBedrock | anthropic.AsyncAnthropicVertex
    )

_Given = dict[str, Any]
"""What is given to the SDK by name, which has a type of its own for each."""
Provider = Literal["api", "bedrock", "vertex"]
MODELS: Final[dict[Provider, str]] = {
    "api": "claude-sonnet-4-5",
    "bedrock": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "vertex": "claude-sonnet-4-5@20250929",
}
_TOKENS: Final = 16_000
_SILENCE: Final = 600.0  # seconds
_CONNECT: Final = 20.0
_TOO_LONG: Final = ("prompt is too long", "context length", "context size", "too many tokens")
_SKIPPED: Final = "skipped"  # where the SDK wants a cloud's credential, and a gateway has its own


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where requests go. `key` goes as `x-api-key`, `token` as `Authorization: Bearer`."""

    provider: Provider
    base_url: str | None
    key: str | None
    token: str | None
    skip_auth: bool = False
    region: str | None = None
    project: str | None = None


def endpoint(environment: Mapping[str, str]) -> Endpoint:
    """What the environment says.

    Raises:
        InputError: it names two providers, or no credential.
    """
    get = environment.get
    bedrock, vertex = get("CLAUDE_CODE_USE_BEDROCK"), get("CLAUDE_CODE_USE_VERTEX")
    key, token = get("ANTHROPIC_API_KEY") or None, get("ANTHROPIC_AUTH_TOKEN") or None
    if bedrock and vertex:
        raise InputError(
            "CLAUDE_CODE_USE_BEDROCK and CLAUDE_CODE_USE_VERTEX are both set.",
            code="configuration",
            hint="unset one",
        )
    if bedrock:
        return Endpoint(
            "bedrock",
            get("ANTHROPIC_BEDROCK_BASE_URL") or None,
            None,
            token,
            bool(get("CLAUDE_CODE_SKIP_BEDROCK_AUTH")),
            get("AWS_REGION") or get("AWS_DEFAULT_REGION") or "us-east-1",
        )
    if vertex:
        return Endpoint(
            "vertex",
            get("ANTHROPIC_VERTEX_BASE_URL") or None,
            None,
            token,
            bool(get("CLAUDE_CODE_SKIP_VERTEX_AUTH")),
            get("CLOUD_ML_REGION") or "us-east5",
            get("ANTHROPIC_VERTEX_PROJECT_ID") or get("GOOGLE_CLOUD_PROJECT") or None,
        )
    if key is None and token is None:
        raise InputError(
            "there is no key for the model.",
            code="authentication",
            hint="set ANTHROPIC_AUTH_TOKEN, and ANTHROPIC_BASE_URL for a gateway; "
            "`bailee up` prints both",
        )
    return Endpoint("api", get("ANTHROPIC_BASE_URL") or None, None if token else key, token)


def warm() -> None:
    """Imports the SDK."""
    import anthropic  # noqa: F401


class MessagesApi:
    """A `ports.Model` behind the Messages API, its Bedrock form or its Vertex form."""

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
        self._client: _Client | None = None

    async def stream(self, request: ModelRequest) -> AsyncIterator[AnswerPiece | Answer]:
        """See `ports.Model.stream`."""
        import anthropic

        if self._client is None:
            self._client = _client(self._at, self._session, self._network)
        try:
            async with self._client.messages.stream(**self._body(request)) as stream:
                async for event in stream:
                    if event.type == "text":
                        yield AnswerPiece("text", event.text)
                    elif event.type == "thinking":
                        yield AnswerPiece("thinking", event.thinking)
                message = stream.current_message_snapshot
                if message.stop_reason is None:
                    raise UpstreamError(
                        "the model's answer broke off before its end.", code="upstream_closed"
                    )
            content = objects(message.to_dict(mode="json")["content"])
            yield Answer(
                content, message.stop_reason, message.model, _usage(message.usage.to_dict())
            )
        except anthropic.AnthropicError as error:
            raise _translated(error) from None

    async def close(self) -> None:
        """Closes its connections."""
        if self._client is not None:
            await self._client.close()

    def _body(self, request: ModelRequest) -> _Given:
        body: _Given = {
            "model": self.name,
            "max_tokens": self._max_tokens,
            "messages": marked(request.messages),
            "metadata": {"user_id": json.dumps({"session_id": self._session})},
        }
        if request.system:
            body["system"] = [
                {"type": "text", "text": request.system, "cache_control": {"type": "ephemeral"}}
            ]
        if request.tools:
            body["tools"] = list(request.tools)
            if not request.may_call:
                body["tool_choice"] = {"type": "none"}
        return body


def marked(messages: Sequence[Message]) -> list[Message]:
    """The messages with a cache mark at their end: the next request begins with them. Pure."""
    made = list(messages)
    if made and made[-1]["content"]:
        *before, last = made[-1]["content"]
        last = {**last, "cache_control": {"type": "ephemeral"}}
        made[-1] = {"role": made[-1]["role"], "content": [*before, last]}
    return made


def address_of(at: Endpoint) -> str:
    """Where the requests of an endpoint go. Pure."""
    if at.base_url is not None:
        return at.base_url
    if at.provider == "bedrock":
        return f"https://bedrock-runtime.{at.region}.amazonaws.com"
    if at.provider == "vertex":
        where = "" if at.region == "global" else f"{at.region}-"
        return f"https://{where}aiplatform.googleapis.com"
    return "https://api.anthropic.com"


def _client(at: Endpoint, session: str, network: Network) -> _Client:
    import anthropic
    import httpx2

    way = network.async_client(address_of(at), "The model's address")
    given: _Given = {
        "default_headers": {"x-claude-code-session-id": session, "x-app": "cli"},
        "http_client": way,
        "timeout": httpx2.Timeout(_SILENCE, connect=_CONNECT),
    }
    try:
        if at.provider == "bedrock":
            return _bedrock(at, given)
        if at.provider == "vertex":
            return _vertex(at, given)
        return anthropic.AsyncAnthropic(
            api_key=at.key, auth_token=at.token, base_url=at.base_url, **given
        )
    except (anthropic.AnthropicError, ValueError) as error:
        raise InputError(
            "the model's client can't be made from the environment.",
            code="configuration",
            hint=str(error).partition("\n")[0],
        ) from None


def _bedrock(at: Endpoint, given: _Given) -> _Client:
    import anthropic

    if at.skip_auth:
        given = {**given, "api_key": at.token or _SKIPPED}
    return anthropic.AsyncAnthropicBedrock(aws_region=at.region, base_url=at.base_url, **given)


def _vertex(at: Endpoint, given: _Given) -> _Client:
    import anthropic

    given = {**given, "region": at.region}
    if at.base_url is not None:
        given["base_url"] = at.base_url
    if at.project is not None:
        given["project_id"] = at.project
    if at.skip_auth:
        given["access_token"] = at.token or _SKIPPED
    return anthropic.AsyncAnthropicVertex(**given)


def _usage(usage: Mapping[str, object]) -> dict[str, int]:
    return {k: v for k, v in usage.items() if isinstance(v, int) and k.endswith("_tokens")}


def _translated(error: Exception) -> BaileeError:
    """The SDK's error as one of ours. The upstream's words stay: they say what to do."""
    import anthropic

    if isinstance(error, anthropic.APIStatusError):
        said = _message_of(error.body) or f"status {error.status_code}"
        if error.status_code == 413 or any(mark in said.lower() for mark in _TOO_LONG):
            return InputError(f"the conversation is too long: {said}", code="request_too_large")
        if error.status_code in (401, 403):
            return InputError(
                f"the model's service refuses the key: {said}",
                code="authentication" if error.status_code == 401 else "forbidden",
                hint="is the key (ANTHROPIC_AUTH_TOKEN, ANTHROPIC_API_KEY) for this address?",
            )
        if error.status_code == 404:
            return InputError(
                f"the model's service does not know this: {said}",
                code="not_found",
                hint="is the model's name right? --model names another",
            )
        if error.status_code < 500 and error.status_code != 429:
            return InputError(f"the model's service refuses the request: {said}")
        return UpstreamError(
            f"the model's service fails: {said}", code="upstream_protocol", hint="try again later"
        )
    if isinstance(error, anthropic.APITimeoutError):
        return UpstreamError("the model was silent for too long.", code="upstream_timeout")
    if isinstance(error, anthropic.APIConnectionError):
        return UpstreamError(
            "the model's service can't be reached.",
            hint="is ANTHROPIC_BASE_URL right, and is a proxy needed?",
        )
    if isinstance(error, anthropic.APIError):  # an error event within a stream
        said = _message_of(error.body) or "it broke off"
        return UpstreamError(f"the model's answer failed: {said}", code="upstream_closed")
    return UpstreamError("the model's client failed.", hint=str(error).partition("\n")[0])


def _message_of(body: object) -> str | None:
    error = body.get("error", body) if isinstance(body, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    return message if isinstance(message, str) else None
