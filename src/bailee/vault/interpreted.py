"""What an exchange means, as whoever knows its API says; the vault itself knows no API."""

from __future__ import annotations

from dataclasses import dataclass, field

from bailee.api import Api
from bailee.vault.bounds import Beyond
from bailee.vault.known import Written
from bailee.vault.listing import MESSAGES
from bailee.vault.packing import JSON


@dataclass(frozen=True, slots=True)
class Interpreted:
    """An exchange taken apart. `api`: the one that it speaks.

    `agent`, `parent`: a sub-agent's name, and that of who began it. `title`: the client asks for a
    title alone. `fields` are the request body's members except its list of items, which are
    `messages`, None when the body has none; `at` is where the list stood (`listing`). `after`: the
    earlier response that the request continues or fetches, by the id that the provider gave it;
    `response`: this answer's. `elsewhere`: what it refers to that the provider holds.

    `answer` is the answer as a non-streaming one would be. `raw_request` and `raw_answer` are kept
    when the bytes can't be interpreted, so that nothing is lost; `beyond` is the bound that they
    passed, when it was one. `values`: a number of JSON values that were taken apart, or somewhat
    more; `size`: the bytes of the bodies that they were read from. `written`: the request's text,
    where that is quick to compare with the next one's.
    """

    api: Api = Api.MESSAGES
    client_session: str | None = None
    agent: str | None = None
    parent: str | None = None
    title: bool = False
    fields: dict[str, JSON] = field(default_factory=dict)
    messages: list[JSON] | None = None
    at: str = MESSAGES
    after: str | None = None
    response: str | None = None
    elsewhere: tuple[str, ...] = ()
    answer: JSON = None
    error: JSON = None
    usage: dict[str, int] = field(default_factory=dict)
    raw_request: bytes | None = None
    raw_answer: bytes | None = None
    beyond: Beyond | None = None
    values: int = 0
    size: int = 0
    written: Written | None = None
