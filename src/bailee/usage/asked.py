"""What a request asks of a model: which, and how much at the most. Pure.

Rules kept here: a request is read and not changed; what two readers could understand differently (a
member twice, a body that is no JSON) names no model, so that nothing is allowed by it.

Where the model stands: in the body (`model`, and `fallbacks`, which another one may answer by), or
in the path (Bedrock, Vertex, Gemini, Azure).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from bailee.api import Api
from bailee.apis.requests import request_of
from bailee.json_values import elements, members, text, whole
from bailee.vault.bounds import BeyondBound
from bailee.vault.packing import JSON

_IN_PATH: Final = re.compile(
    r"/(?:models?|tunedModels|deployments)/([^/?]{1,200}?)(?::[a-zA-Z]+)?(?:[/?]|$)"
)
_BYTES: Final = 2  # of a body, for a token, at the least
_OUTPUT: Final = 32_000  # tokens that an answer has at the most, where a request does not say
_MOST: Final = 10**7


@dataclass(frozen=True, slots=True)
class AskedOf:
    """`models`: the ids that it names, the first is that which is to answer; none: it could not be
    read. `into`, `out`: how many tokens it takes at the most, by its size and by what it says.
    """

    models: tuple[str, ...]
    into: int
    out: int


def asked_of(api: Api, target: str, body: bytes, codings: str) -> AskedOf:
    """What a whole request asks. `target` is its path and query. Never raises."""
    try:
        request = request_of(api, body, codings, briefly=True)
    except BeyondBound:
        return AskedOf((), len(body), _OUTPUT)
    into = max(request.size, len(body)) // _BYTES
    if request.raw is not None:
        return AskedOf((), into, _OUTPUT)
    fields = request.fields
    return AskedOf(models_of(target, fields), into, _out(api, fields))


def models_of(target: str, fields: dict[str, JSON]) -> tuple[str, ...]:
    """The ids that a request names, that which is to answer first; none: it can't be told."""
    in_path = _IN_PATH.search(target)
    first = unquote(in_path[1]) if in_path else text(fields.get("model"))
    if in_path and not first:
        return ()
    fallbacks = elements(fields.get("fallbacks"))
    others = [text(members(one).get("model")) or text(one) for one in fallbacks]
    others.append(text(fields.get("fallback_model")))
    if in_path:
        others.append(text(fields.get("model")))
    return (first, *(one for one in others if one)) if first else ()


def _out(api: Api, fields: dict[str, JSON]) -> int:
    match api:
        case Api.MESSAGES:
            said = whole(fields.get("max_tokens"))
        case Api.RESPONSES:
            said = whole(fields.get("max_output_tokens"))
        case Api.CHAT:
            said = whole(fields.get("max_completion_tokens")) or whole(fields.get("max_tokens"))
        case Api.CONVERSE:
            said = whole(members(fields.get("inferenceConfig")).get("maxTokens"))
        case Api.GEMINI:
            inner = members(fields.get("request")) or fields
            said = whole(members(inner.get("generationConfig")).get("maxOutputTokens"))
    return min(said, _MOST) if said > 0 else _OUTPUT
