"""Requests by which a provider is given a batch of others: which they are, and which models those
ask. Pure.

| API | at | models |
|---|---|---|
| Messages | `/v1/messages/batches` | `requests[].params`, as in a request of its own |
| Gemini | `…:batchGenerateContent`, `…:asyncBatchEmbedContent` | path, `batch`, each request |
| Vertex | `/batchPredictionJobs` | `model` |
| Bedrock | `/model-invocation-job` | `modelId` |
| any | a file at the provider; another `/batches` (OpenAI, Azure) | can't be told |

Rules kept here:

* A request is read and not changed, within the bounds of any (`vault.bounds`). Of one that is past
  them, that could be read in two ways, or that leaves a model open, no model is told, so that
  nothing is allowed by it.
* What a batch uses is used later: nothing of it is for this request to reserve.

Rows: O2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bailee.apis.brief import brief
from bailee.apis.decoding import decoded
from bailee.apis.requests import json_of
from bailee.json_values import JsonObject, members, text
from bailee.usage.asked import AskedOf, models_of
from bailee.vault.packing import JSON
from bailee.vault.structure import drops_members

_MAKES: Final = re.compile(
    r"(?:batches|batchpredictionjobs?|model-invocation-jobs?)"
    r"|.*:(?:batchgeneratecontent|asyncbatchembedcontent)",
    re.IGNORECASE,
)
_MESSAGES: Final = "/messages/batches"
_NAMED_BY: Final = {"batchpredictionjobs": "model", "model-invocation-job": "modelId"}
_LIST: Final = "requests"
_MOST_MODELS: Final = 20


@dataclass(frozen=True, slots=True)
class AskedLater(AskedOf):
    """What a batch asks of models later. `models`: those of all its requests, each once."""


def makes_batch(target: str) -> bool:
    """Whether a POST to this path and query has a batch made."""
    path = target.partition("?")[0]
    return _MAKES.fullmatch(path.rpartition("/")[2]) is not None


def asked_later(target: str, body: bytes, codings: str) -> AskedLater:
    """What a whole request asks that has a batch made. Never raises."""
    fields = _fields(body, codings)
    found = {} if fields is None else dict.fromkeys(_models(target.partition("?")[0], fields))
    told = found if "" not in found and len(found) <= _MOST_MODELS else {}
    return AskedLater(tuple(told), 0, 0)


def _fields(body: bytes, codings: str) -> JsonObject | None:
    """The members of a body; None: it can't be read, or in two ways."""
    try:
        plain = decoded(body, codings)
        if plain is None:
            return None
        plain = brief(plain)
        read = json_of(plain, _LIST)
    except (ValueError, RecursionError):  # past a bound is one
        return None
    twice = not read.plain and drops_members(plain, read.value)
    return read.value if isinstance(read.value, dict) and not twice else None


def _models(path: str, fields: JsonObject) -> Iterator[str]:
    """The models of each of its requests; an empty name for one that can't be told."""
    if path.endswith(_MESSAGES):
        for one in _listed(fields.get(_LIST)):
            yield from models_of("", members(members(one).get("params"))) or ("",)
    elif ":" in path.rpartition("/")[2]:
        batch = members(fields.get("batch"))
        # What a body names counts beside the path's, and never in its place.
        yield from models_of(path, batch) if models_of(path, {}) else ("",)
        given = [batch[name] for name in ("inputConfig", "input_config") if name in batch]
        inner = members(members(given[0]).get(_LIST)) if len(given) == 1 else {}
        for one in _listed(inner.get(_LIST)):
            asked = members(one).get("request")
            yield from models_of(path, asked) if isinstance(asked, dict) else ("",)
    else:
        named_by = _NAMED_BY.get(path.rpartition("/")[2].lower())
        yield "" if named_by is None else text(fields.get(named_by))


def _listed(value: JSON) -> list[JSON]:
    """The entries of a list; where there is none, one that says nothing."""
    return value if isinstance(value, list) and value else [None]
