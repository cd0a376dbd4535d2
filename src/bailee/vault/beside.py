"""What an exchange says beside its messages: of its request and its answer, each thing once. Pure.

A client sends its instructions and its tools with every request, and answers of OpenAI's Responses
API say them again. Here a member, or an entry of a request's list, is with the exchange that had it
first; later ones name it alone. So what is told of a session follows what is kept of it, and not
its square.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from bailee.vault.kept import KeptExchange
from bailee.vault.packing import JSON, Unpackable, digestible

_SMALL: Final = 64
"""Bytes; what is smaller is told again."""


@dataclass(frozen=True, slots=True)
class Beside:
    """`request`: the request's members apart from its messages; of a list, the entries that are
    new. `unchanged`: the names of members of either of which something is not told again. `answer`:
    its members apart from what is in the conversation. `marks`: where its messages had cache marks:
    the message from 0, the block in it (in a tool's result, also within that), and the mark.
    """

    exchange: KeptExchange
    request: dict[str, JSON]
    unchanged: list[str]
    answer: dict[str, JSON]
    marks: list[JSON]


def beside(exchanges: Iterable[KeptExchange]) -> Iterator[Beside]:
    """Of each exchange, in order."""
    told: set[bytes] = set()
    for exchange in exchanges:
        request: dict[str, JSON] = {}
        unchanged: list[str] = []
        for name, value in (exchange.fields or {}).items():
            if isinstance(value, list):
                entries = [one for one in value if _is_new(name, one, told)]
                if entries or not value:
                    request[name] = entries
                if len(entries) < len(value):
                    unchanged.append(name)
            elif _is_new(name, value, told):
                request[name] = value
            else:
                unchanged.append(name)
        answer: dict[str, JSON] = {}
        for name, value in _of_the_answer(exchange.answer).items():
            if _is_new(name, value, told):
                answer[name] = value
            elif name not in unchanged:
                unchanged.append(name)
        yield Beside(exchange, request, unchanged, answer, _marks(exchange))


def _of_the_answer(answer: JSON) -> dict[str, JSON]:
    if not isinstance(answer, dict) or not ("content" in answer or "output" in answer):
        return {}  # it stands in the conversation whole
    return {name: value for name, value in answer.items() if name not in ("content", "output")}


def _marks(exchange: KeptExchange) -> list[JSON]:
    marks = exchange.said.marks if exchange.said is not None else {}
    return [
        {"message": number, "block": [*where], "mark": mark}
        for number, some in sorted(marks.items())
        for where, mark in some
    ]


def _is_new(name: str, value: JSON, told: set[bytes]) -> bool:
    try:
        packed = digestible(value)
    except Unpackable:
        return True
    if len(packed) < _SMALL:
        return True
    state = hashlib.blake2b(name.encode("utf-8", "surrogatepass") + b"\0", digest_size=16)
    state.update(packed)
    digest = state.digest()
    if digest in told:
        return False
    told.add(digest)
    return True
