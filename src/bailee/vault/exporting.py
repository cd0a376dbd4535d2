"""A session as JSON Lines, for its owner: one object for the session, one for each exchange, then
one for the main conversation and one for each branch of it, which name exchanges by their numbers.

Bytes that could not be interpreted are given in base64. Text that is not valid Unicode is escaped,
as RFC 8259 allows. Pure.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace
from datetime import date

import orjson

from bailee import json_lines
from bailee.vault.branches import Branch
from bailee.vault.session_words import Telling
from bailee.vault.transcript import KeptExchange, SessionRow, transcript


def as_lines(
    session: SessionRow,
    exchanges: Iterable[KeptExchange],
    telling: Telling | None = None,
    *,
    branches: Sequence[Branch] | None = None,
) -> Iterator[bytes]:
    """The lines, each with its line feed. `telling`: what the session is told by, if that is
    known; it stands in the session's object. `branches`: its branches, where they are known.
    """
    row = {"type": "session"} | {
        field.name: _plain(getattr(session, field.name)) for field in fields(session)
    }
    if telling is not None:
        row |= {"title": telling.title, "client": telling.client, "folder": telling.folder}
    yield _line(row)
    told: list[KeptExchange] = []
    numbers: list[int] = []
    for exchange in exchanges:
        yield _line({"type": "exchange"} | as_object(exchange))
        numbers.append(exchange.number)
        if branches is not None:
            continue
        # Its bytes are not needed again, and may be many.
        raw = None if exchange.raw_request is None else b""
        told.append(replace(exchange, raw_request=raw, raw_answer=None))
    if branches is None:
        branches = transcript(session, ((one, None) for one in told)).branches
    beside = {number for branch in branches for number in branch.exchanges}
    main = [number for number in numbers if number not in beside]
    yield _line({"type": "conversation", "exchanges": main})
    for branch in branches:
        plain = {one.name: _plain(getattr(branch, one.name)) for one in fields(branch)}
        del plain["messages"]  # they are their exchanges'
        yield _line({"type": "branch"} | plain)


def as_object(exchange: KeptExchange) -> dict[str, object]:
    """An exchange as JSON values."""
    plain = {
        one.name: _plain(getattr(exchange, one.name))
        for one in fields(exchange)
        if one.name not in ("fields", "said")
    }
    return plain | {"request": exchange.request}


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, date):
        return value.isoformat()
    return value


def _line(value: dict[str, object]) -> bytes:
    try:
        packed = orjson.dumps(value)
        if b"null" not in packed or orjson.loads(packed) == value:
            return packed + b"\n"
    except (TypeError, ValueError, RecursionError):
        pass
    return json_lines.line(value)
