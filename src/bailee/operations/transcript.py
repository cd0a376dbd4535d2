"""A session as it is read: its main conversation, its branches, its exchanges, and what of them is
kept as bytes. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from bailee.vault.beside import beside
from bailee.vault.branches import Branch
from bailee.vault.transcript import KeptExchange, Transcript


class ExchangeSide(StrEnum):
    """One of the two sides of an exchange."""

    REQUEST = "request"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class AsBytes:
    """An exchange that no view can show as messages, or only in part, since it is kept as the bytes
    that came. `why`: a bound (`vault.bounds`), `not_understood`, `in_part`: its answer is shown as
    far as it is understood, or `key_twice`: an object has a key twice, and the last is shown.
    `size`: of what is kept so, in bytes; `sides`: of what that is.
    """

    number: int
    why: str
    size: int
    sides: tuple[ExchangeSide, ...] = ()


@dataclass(frozen=True, slots=True)
class ShownBranch:
    """What is not in the main conversation: see `vault.branches.Branch`."""

    number: int
    kind: str
    name: str
    of: int | None
    at: int
    started: datetime
    exchanges: list[int]
    messages: list[object]
    error: object
    outcome: str
    status: int


@dataclass(frozen=True, slots=True)
class ShownExchange:
    """An exchange's particulars, and what it says beside its messages: see `vault.beside.Beside`.
    `usage`: tokens, by the names of the Messages API.
    """

    number: int
    exchange_id: str
    agent: str | None
    api: str
    started: datetime
    ended: datetime
    outcome: str
    status: int
    method: str
    target: str
    request_headers: list[list[str]]
    answer_headers: list[list[str]]
    usage: dict[str, int]
    request: dict[str, object]
    unchanged: list[str]
    answer: dict[str, object]
    marks: list[object]
    error: object


def shown_branches(transcript: Transcript) -> list[ShownBranch]:
    """The branches of a session, in time."""
    return [_branch(one) for one in transcript.branches]


def _branch(branch: Branch) -> ShownBranch:
    return ShownBranch(
        branch.number,
        branch.kind,
        branch.name,
        branch.of,
        branch.at,
        datetime.fromtimestamp(branch.started, UTC),
        branch.exchanges,
        [*branch.messages],
        branch.error,
        branch.outcome,
        branch.status,
    )


def shown_exchanges(exchanges: Iterable[KeptExchange]) -> list[ShownExchange]:
    """The particulars of each exchange."""
    return [
        ShownExchange(
            one.number,
            one.exchange_id,
            one.agent,
            one.api,
            datetime.fromtimestamp(one.started, UTC),
            datetime.fromtimestamp(one.ended, UTC),
            one.outcome,
            one.status,
            one.method,
            one.target,
            one.request_headers,
            one.answer_headers,
            one.usage,
            {**said.request},
            said.unchanged,
            {**said.answer},
            [*said.marks],
            one.error,
        )
        for said in beside(exchanges)
        for one in (said.exchange,)
    ]


def as_bytes(exchanges: Iterable[KeptExchange]) -> list[AsBytes]:
    """Those exchanges that are kept as the bytes that came, in whole or in part."""
    return [
        AsBytes(one.number, why, sum(map(len, kept.values())), tuple(kept))
        for one in exchanges
        if (why := _why(one)) is not None
        for kept in (raw_sides(one.raw_request, one.raw_answer),)
    ]


def raw_sides(request: bytes | None, answer: bytes | None) -> dict[ExchangeSide, bytes]:
    """What of an exchange is kept as bytes, by side."""
    kept = {ExchangeSide.REQUEST: request, ExchangeSide.ANSWER: answer}
    return {side: raw for side, raw in kept.items() if raw is not None}


def _why(exchange: KeptExchange) -> str | None:
    if exchange.beyond is not None or exchange.fields is None:
        return exchange.beyond or "not_understood"
    if exchange.raw_request is not None:
        return "key_twice"
    if exchange.raw_answer is None:
        return None
    return "not_understood" if exchange.answer is None and exchange.error is None else "in_part"
