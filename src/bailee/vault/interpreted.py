"""What an exchange means, as whoever knows its API says; the vault itself knows no API."""

from __future__ import annotations

from dataclasses import dataclass, field

from bailee.api import Api
from bailee.vault.bounds import Beyond
from bailee.vault.packing import JSON


@dataclass(frozen=True, slots=True)
class Interpreted:
    """An exchange taken apart. `api`: the one that it speaks.

    `fields` are the request body's members except `messages`; `messages` is None when the body has
    none. `answer` is the assistant's message as a non-streaming answer would be. `raw_request` and
    `raw_answer` are kept when the bytes can't be interpreted, so that nothing is lost; `beyond` is
    the bound that they passed, when it was one. `values`: a number of JSON values that were taken
    apart, or somewhat more; `size`: the bytes of the bodies that they were read from.
    """

    api: Api = Api.MESSAGES
    client_session: str | None = None
    agent: str | None = None
    fields: dict[str, JSON] = field(default_factory=dict)
    messages: list[JSON] | None = None
    answer: JSON = None
    error: JSON = None
    usage: dict[str, int] = field(default_factory=dict)
    raw_request: bytes | None = None
    raw_answer: bytes | None = None
    beyond: Beyond | None = None
    values: int = 0
    size: int = 0
