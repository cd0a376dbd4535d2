"""What a whole request asks of a provider: which models, and what it uses there. Pure.

Rules kept here: it is read once, within bounds; what could be read in two ways is not read; nothing
of it is kept or said.

Rows: O4.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bailee.apis.requests import request_of
from bailee.apis.uses import ProviderUse, uses_of, uses_of_path
from bailee.usage.asked import models_of
from bailee.usage.asking import WholeRequest
from bailee.usage.models import model_of
from bailee.vault.bounds import BeyondBound

_MOST_MODELS: Final = 20
_CHARSET: Final = re.compile(r"charset\s*=\s*\"?([^\s;\"]*)", re.IGNORECASE)
_READ_HERE: Final = ("utf-8", "utf8", "us-ascii")


@dataclass(frozen=True, slots=True)
class RequestUses:
    """`models`: those that it names, without their dates; none: it can't be told. `uses`: what it
    uses besides the conversation.
    """

    models: tuple[str, ...]
    uses: frozenset[ProviderUse]


_UNREAD: Final = RequestUses((), frozenset({ProviderUse.UNREAD}))


def look_at(kind: str, method: bytes, request: WholeRequest) -> RequestUses:
    """What a request uses. `kind` is its route's. Never raises."""
    if kind == "other":
        return RequestUses((), uses_of_path(request.target))
    if method != b"POST":  # an answer that the provider stored
        return RequestUses((), frozenset({ProviderUse.STORAGE}))
    if any(one.lower() not in _READ_HERE for one in _CHARSET.findall(request.kind)):
        return _UNREAD
    try:
        parts = request_of(request.api, request.body, request.codings, briefly=True)
    except (BeyondBound, RecursionError):
        return _UNREAD
    if parts.raw is not None:
        return _UNREAD
    models = dict.fromkeys(model_of(one) for one in models_of(request.target, parts.fields))
    if len(models) > _MOST_MODELS:
        return _UNREAD
    counting = kind == "counting"
    return RequestUses(
        tuple(models), uses_of(request.api, request.target, parts, counting=counting)
    )
