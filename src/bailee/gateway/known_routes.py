"""The requests that the gateway knows: by path, what each is, which API it speaks, and by which
channel it goes. Pure.

Rules kept here:

* `KNOWN` are the requests that are known; the rest is `other`. What of either passes, and with
  whose credential, the policy decides by the route's `kind`.
* The channel is whose service it is: a fact of the policy. A request of OpenAI's APIs is on
  `openai` whether its path has the prefix or not; Google's are on `google`, and on `vertex` below
  that prefix.
* A route's label is what logs, metrics and summaries say: it holds no part of a path that a
  client chose, because a path may carry a name, and a name may be content.

Paths: the vendors' references of the Messages API, Bedrock runtime, Vertex AI, OpenAI's Responses
API and Chat Completions, Azure OpenAI, Foundry, and the Gemini API.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from bailee.api import Api

Kind = Literal["conversation", "counting", "models", "other"]
"""What the policy calls `route`: a conversation that can be recorded; counting its tokens; which
models there are; anything else."""
KINDS: Final[tuple[Kind, ...]] = ("conversation", "counting", "models", "other")

_WORD: Final = rb"[A-Za-z0-9](?:[A-Za-z0-9._-]|:|%3A)*"
_BEDROCK_ID: Final = _WORD + rb"(?:%2F" + _WORD + rb")*"  # a name, or an ARN, which has slashes
_NAME: Final = rb"[A-Za-z0-9][A-Za-z0-9._:@-]*"
_ID: Final = rb"[A-Za-z0-9][A-Za-z0-9_-]*"
_PROJECT: Final = rb"/projects/" + _NAME + rb"/locations/[a-z0-9-]+"
_PUBLISHER: Final = rb"/vertex(?:/v1)?" + _PROJECT + rb"/publishers/anthropic/models/"
_GOOGLE_ON_VERTEX: Final = (
    rb"/vertex(?:/v1|/v1beta1)?(?:" + _PROJECT + rb")?/publishers/google/models/" + _NAME
)
_GEMINI_MODEL: Final = rb"/(?:v1|v1alpha|v1beta)/(?:models|tunedModels)/" + _NAME


@dataclass(frozen=True, slots=True)
class KnownRoute:
    """A request that is known: what it is, by `method` and `pattern` (of the whole path).

    `cut`: how many bytes of the path's beginning do not go along. `pings`: the stream may be kept
    alive by our own pings. `prompt`: an answer is owed within seconds and may not be a redirect.
    `deletes`: DELETE is any other request, rather than an error. `example` is
    for the documentation.
    """

    label: str
    channel: str
    kind: Kind
    pattern: re.Pattern[bytes]
    example: str
    methods: frozenset[bytes] = frozenset({b"POST"})
    api: Api = Api.MESSAGES
    cut: int = 0
    pings: bool = False
    prompt: bool = False
    deletes: bool = False


READ: Final = frozenset({b"GET", b"HEAD"})
_GET: Final = frozenset({b"GET"})
PREFIXES: Final = {
    b"v1": ("api", 0),
    b"bedrock": ("bedrock", len("/bedrock")),
    b"vertex": ("vertex", len("/vertex")),
    b"openai": ("openai", len("/openai")),
    b"gemini": ("google", len("/gemini")),
    b"v1beta": ("google", 0),
    b"v1alpha": ("google", 0),
    b"azure": ("azure", len("/azure")),
    b"foundry": ("foundry", len("/foundry")),
}
"""By a path's first segment: the channel, and how much of the path does not go along."""
CHANNELS: Final = ("api", "bedrock", "vertex", "openai", "google", "azure", "foundry")
BATCH_RESULTS: Final = "/batches/*/results"
"""How the label of a batch's results ends (Message Batches API)."""
OTHERS: Final = {
    "api": "/v1/*",
    "bedrock": "/bedrock/*",
    "vertex": "/vertex/*",
    "openai": "/openai/*",
    "google": "/gemini/*",
    "azure": "/azure/*",
    "foundry": "/foundry/*",
}
"""By channel, the label of what is not known."""
API_OF: Final = {"openai": Api.RESPONSES, "azure": Api.RESPONSES, "google": Api.GEMINI}
"""By channel, the API in whose shape errors are, when nothing else says it; else the Messages
API's."""


def _known() -> tuple[KnownRoute, ...]:
    return (
        *_messages("", "api"),
        *_messages("/foundry", "foundry"),
        *_bedrock_routes(),
        *_vertex_routes(),
        *_openai("", "openai"),
        *_openai("/openai", "openai"),
        *_openai("/azure/openai", "azure"),
        _openai_route(
            "/azure/openai/deployments/*/chat/completions",
            "azure",
            rb"/azure/openai/deployments/" + _NAME + rb"/chat/completions",
            "/azure/openai/deployments/gpt/chat/completions?api-version=2024-10-21",
            api=Api.CHAT,
        ),
        *_gemini("", "/v1beta"),
        *_gemini("/gemini", "/gemini"),
        *_models("", "api", Api.MESSAGES, "claude-sonnet-4-5"),
        *_models("/openai", "openai", Api.RESPONSES, "gpt-5.5"),
        *_models("/azure/openai", "azure", Api.RESPONSES, "gpt-5.5"),
    )


def _messages(prefix: str, channel: str) -> tuple[KnownRoute, ...]:
    path = f"{prefix}/v1/messages"
    return (
        KnownRoute(
            path,
            channel,
            "conversation",
            re.compile(path.encode()),
            f"{path}?beta=true",
            cut=len(prefix),
            pings=True,
        ),
        KnownRoute(
            f"{path}/count_tokens",
            channel,
            "counting",
            re.compile(path.encode() + rb"/count_tokens"),
            f"{path}/count_tokens",
            cut=len(prefix),
        ),
        KnownRoute(
            f"{path}{BATCH_RESULTS}",
            channel,
            "other",
            re.compile(path.encode() + rb"/batches/" + _ID + rb"/results"),
            f"{path}/batches/msgbatch_01/results",
            READ,
            cut=len(prefix),
        ),
    )


def _models(prefix: str, channel: str, api: Api, model: str) -> tuple[KnownRoute, ...]:
    path = f"{prefix}/v1/models"
    cut = PREFIXES[channel.encode()][1] if prefix else 0
    return tuple(
        KnownRoute(
            path + label,
            channel,
            "models",
            re.compile(path.encode() + pattern),
            path + example,
            READ,
            api,
            cut,
            prompt=True,
        )
        for label, pattern, example in (
            ("", rb"", "?limit=1000"),
            ("/*", rb"/" + _NAME, f"/{model}"),
        )
    )


def _bedrock_routes() -> tuple[KnownRoute, ...]:
    conversations = ("invoke", "invoke-with-response-stream", "converse", "converse-stream")
    return (
        *(_bedrock(verb, "conversation") for verb in conversations),
        _bedrock("count-tokens", "counting"),
    )


def _bedrock(verb: str, kind: Kind) -> KnownRoute:
    ends = verb.encode("ascii")
    return KnownRoute(
        f"/bedrock/model/*/{verb}",
        "bedrock",
        kind,
        re.compile(rb"/bedrock/model/" + _BEDROCK_ID + rb"/" + ends),
        f"/bedrock/model/eu.anthropic.claude-sonnet-4-5-v1:0/{verb}",
        api=Api.CONVERSE if verb.startswith("converse") else Api.MESSAGES,
        cut=len("/bedrock"),
    )


def _vertex_routes() -> tuple[KnownRoute, ...]:
    google: tuple[tuple[str, Kind], ...] = (
        ("generateContent", "conversation"),
        ("streamGenerateContent", "conversation"),
        ("countTokens", "counting"),
    )
    return (
        # Counting tokens is spelled as a model of this name, so it comes first.
        _vertex(b"count-tokens", "rawPredict", "counting"),
        *(_vertex(_NAME, verb, "conversation") for verb in ("rawPredict", "streamRawPredict")),
        *(
            KnownRoute(
                f"/vertex/*/publishers/google/models/*:{verb}",
                "vertex",
                kind,
                re.compile(_GOOGLE_ON_VERTEX + b":" + verb.encode("ascii")),
                f"/vertex/v1/projects/p/locations/l/publishers/google/models/gemini-2.5-pro:{verb}",
                api=Api.GEMINI,
                cut=len("/vertex"),
            )
            for verb, kind in google
        ),
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
        cut=len("/vertex"),
        pings=kind == "conversation",
    )


def _openai(prefix: str, channel: str) -> tuple[KnownRoute, ...]:
    """The requests that carry a conversation. Reading one back (`background`) is one too."""
    path = f"{prefix}/v1/"
    at = path.encode()
    return (
        _openai_route(f"{path}responses", channel, at + rb"responses", f"{path}responses"),
        _openai_route(
            f"{path}responses/compact",
            channel,
            at + rb"responses/compact",
            f"{path}responses/compact",
        ),
        _openai_route(
            f"{path}responses/input_tokens",
            channel,
            at + rb"responses/input_tokens",
            f"{path}responses/input_tokens",
            kind="counting",
        ),
        KnownRoute(
            f"{path}responses/*",
            channel,
            "conversation",
            re.compile(at + rb"responses/" + _ID),
            f"{path}responses/resp_68a",
            _GET,
            Api.RESPONSES,
            PREFIXES[channel.encode()][1] if prefix else 0,
            deletes=True,
        ),
        _openai_route(
            f"{path}chat/completions",
            channel,
            at + rb"chat/completions",
            f"{path}chat/completions",
            api=Api.CHAT,
        ),
    )


def _openai_route(
    label: str,
    channel: str,
    pattern: bytes,
    example: str,
    *,
    api: Api = Api.RESPONSES,
    kind: Kind = "conversation",
) -> KnownRoute:
    prefixed = not label.startswith("/v1/")
    cut = PREFIXES[channel.encode()][1] if prefixed else 0
    return KnownRoute(label, channel, kind, re.compile(pattern), example, api=api, cut=cut)


def _gemini(prefix: str, label: str) -> tuple[KnownRoute, ...]:
    """`v1` and `v1alpha` too; a list of models there only where the path says whose."""
    at = prefix.encode()
    model = at + _GEMINI_MODEL
    lists = at + (rb"/(?:v1|v1alpha|v1beta)" if prefix else rb"/v1(?:alpha|beta)")
    example = f"{prefix}/v1beta/models"
    kinds: tuple[tuple[str, Kind], ...] = (
        ("generateContent", "conversation"),
        ("streamGenerateContent", "conversation"),
        ("countTokens", "counting"),
    )
    return (
        *(
            KnownRoute(
                f"{label}/models/*:{verb}",
                "google",
                kind,
                re.compile(model + b":" + verb.encode("ascii")),
                f"{example}/gemini-2.5-pro:{verb}",
                api=Api.GEMINI,
                cut=len(prefix),
            )
            for verb, kind in kinds
        ),
        *(
            KnownRoute(
                f"{label}/models{more}",
                "google",
                "models",
                re.compile(lists + rb"/models" + pattern),
                f"{example}{ending}",
                READ,
                Api.GEMINI,
                len(prefix),
                prompt=True,
            )
            for more, pattern, ending in (
                ("", rb"", "?pageSize=50"),
                ("/*", rb"/[A-Za-z0-9][A-Za-z0-9._-]*", "/gemini-2.5-pro"),
            )
        ),
    )


KNOWN: Final = _known()
