"""One exchange as the gateway captured it, before anything interpreted it.

An exchange is one request to the model and its answer. It is captured as bytes: nothing that a
client or upstream sends, malformed or from the future, can keep it from being recorded.
There is no `CapturedExchange` for a zero-retention request: `Terms` are what it takes
to make one, and the policy gives none.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from bailee.api import Api
from bailee.policy.facts import Terms

__all__ = ["Api", "CapturedExchange", "Outcome", "Terms"]


class Outcome(StrEnum):
    """How an exchange ended."""

    COMPLETE = "complete"
    CLIENT_ABORTED = "client_aborted"
    UPSTREAM_FAILED = "upstream_failed"
    TIMED_OUT = "timed_out"


class CapturedExchange(NamedTuple):
    """An exchange as bytes, with the terms it is kept on.

    `started_at`, `ended_at` are Unix seconds. `owner` is the account's id, `key_id` the API key's.
    `headers` are the request headers that name a session or an agent and the answer's
    `content-type`, `content-encoding` and `request-id`; never a credential.
    `request` and `answer` are the bodies as they crossed the wire (transfer coding removed,
    content coding kept). `status` is 0 when no answer began. `consent` is the number of the owner's
    last choice when the request began, 0 if there was none: by it, and by no clock, the exchange
    comes before or after a choice. `api` is the one that the request's route speaks.
    """

    # A tuple, since one is made for every request: a frozen dataclass takes three times as long.
    exchange_id: str
    owner: str
    key_id: str
    plan: str
    channel: str
    terms: Terms
    started_at: float
    ended_at: float
    outcome: Outcome
    method: str
    target: str
    status: int
    request_headers: tuple[tuple[str, str], ...]
    answer_headers: tuple[tuple[str, str], ...]
    request: bytes
    answer: bytes
    consent: int = 0
    api: Api = Api.MESSAGES
