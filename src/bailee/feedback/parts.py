"""What a bug report is made of, in the shapes that clients send. Pure.

Both shapes are a JSON text within JSON: `{"content": "<JSON text>"}`.

* bailee's own client: `description`, `transcript`, `errors`, `environment`, each if it is sent.
* coding agents that were redirected here: a flat object. What names their machine and version is
  the environment; `description` and `errors` are themselves; everything else, what is not known
  here too, goes with the transcript, which is the part that is never made public.

Rules kept here:

* A part has a size of its own that it may have; nothing is cut. A text that would be far more
  objects than bytes is refused before it is read: each costs a hundred times its brace.
* A survey's answer in a report is dropped: kept there, it would be joined to who gave it.
* What is refused is refused without being repeated.

Rows: F1.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import orjson

from bailee.errors import InputError
from bailee.json_values import JsonObject
from bailee.vault.packing import JSON, Unpackable, pack

Part = Literal["description", "transcript", "errors", "environment"]
PARTS: Final[tuple[Part, ...]] = ("description", "transcript", "errors", "environment")
Parts: TypeAlias = "dict[Part, JSON]"

LARGEST: Final[Mapping[Part, int]] = {
    "description": 64 << 10,
    "transcript": 24 << 20,
    "errors": 1 << 20,
    "environment": 64 << 10,
}
MOST_OBJECTS: Final = 1_000_000
_ENVIRONMENT: Final = frozenset(
    {"platform", "version", "terminal", "surface", "scope", "datetime", "message_count"}
)


def read(body: bytes) -> Parts:
    """The parts of a report that is sent as `body`.

    Raises:
        InputError: it is no report, holds nothing, or a part is too large.
    """
    outer = _object(body)
    content = outer.get("content")
    if not isinstance(content, str):
        raise _not_a_report()
    sent = _object(content.encode("utf-8", "surrogatepass"))
    found = {
        part: value for part, value in _parts(_unanswered(sent)).items() if value not in _NOTHING
    }
    if not found:
        raise InputError("the report is empty.", hint="say what happened, or add a part")
    for part, value in found.items():
        try:
            size = len(pack(value))
        except Unpackable:
            raise _not_a_report() from None
        if size > LARGEST[part]:
            raise InputError(
                f"the report's {part} is over {LARGEST[part]} bytes.",
                code="request_too_large",
                hint="leave it out, or shorten it",
            )
    return {part: found[part] for part in PARTS if part in found}


_NOTHING: Final[tuple[JSON, ...]] = (None, "", [], {})


def _unanswered(sent: JsonObject) -> JsonObject:
    """What was sent without a survey's answer, whether it lies beside the parts or within one."""
    return {
        name: {inner: v for inner, v in value.items() if not inner.startswith("survey")}
        if isinstance(value, dict)
        else value
        for name, value in sent.items()
        if not name.startswith("survey")
    }


def _parts(sent: Mapping[str, JSON]) -> Parts:
    environment = sent.get("environment")
    around: dict[str, JSON] = dict(environment) if isinstance(environment, dict) else {}
    conversation: dict[str, JSON] = {}
    if not isinstance(environment, dict | None):
        conversation["environment"] = environment
    for name, value in sent.items():
        if name in ("description", "errors", "environment"):
            continue
        if name in _ENVIRONMENT and isinstance(value, str | int | float | bool):
            around[name] = value
        elif value not in _NOTHING:
            conversation[name] = value
    description = sent.get("description")
    if isinstance(description, str):
        description = description.strip()
    # The client's own transcript is there as it was sent; what comes with it has its name.
    alone = conversation.keys() <= {"transcript"}
    return {
        "description": description,
        "transcript": conversation.get("transcript") if alone else conversation,
        "errors": sent.get("errors"),
        "environment": around,
    }


def _object(text: bytes) -> JsonObject:
    """A JSON object. What JavaScript cuts within a character is read too."""
    if text.count(b"{") + text.count(b"[") > MOST_OBJECTS:
        raise InputError(
            f"the report has over {MOST_OBJECTS} objects and lists.",
            code="request_too_large",
            hint="leave the transcript out, or shorten it",
        )
    try:
        value = orjson.loads(text)
    except ValueError:
        try:
            value = json.loads(text.decode("utf-8", "surrogatepass"))
        except (ValueError, RecursionError):
            raise _not_a_report() from None
    if not isinstance(value, dict):
        raise _not_a_report()
    return value


def _not_a_report() -> InputError:
    return InputError(
        "the body is not a bug report.", hint='send {"content": "<a JSON object as text>"}'
    )
