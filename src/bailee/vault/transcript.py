"""A session as a person reads it: each exchange as it was, and the conversations merged. Pure.

Clients send several conversations under one session: the main one, those of subagents (which say
so), and small ones on the side, for example to find a title; turns are taken back, and requests
sent again. What of it is the main conversation, and what a branch, says `branches`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bailee.api import Api
from bailee.errors import IntegrityError
from bailee.vault.branches import Branch, branching
from bailee.vault.compressing import ExchangeRecord
from bailee.vault.kept import IndexedExchange, KeptExchange, SessionRow
from bailee.vault.lines import ReadLines
from bailee.vault.listing import MESSAGES
from bailee.vault.packing import JSON
from bailee.vault.readable import Readable, items_back
from bailee.vault.rebuilding import Rebuilder
from bailee.vault.request_tree import RequestTree

if TYPE_CHECKING:  # who opens sessions elsewhere has no database
    from bailee.db.engine import DbRow

__all__ = ["KeptExchange", "SessionRow", "Thread", "Transcript", "rebuild", "transcript"]


@dataclass(frozen=True, slots=True)
class Thread:
    """A conversation whose requests continue one another: `first` began it, `last` is the one that
    it came to, `count` are answered in it. `said`: its messages.
    """

    first: KeptExchange
    last: KeptExchange
    count: int
    said: list[JSON]

    def messages(self) -> list[JSON]:
        """What it came to: the last request and its answer, as messages that can be read."""
        return self.said


@dataclass(frozen=True, slots=True)
class Transcript:
    """A session: its exchanges, its main conversation as messages, and what branched off from it
    (`branches`), in time. `begins`: where in `main` another conversation begins, as after the
    client has compacted its history. `threads`: the conversations that make up `main`, its agents'
    and those in parallel, in the order in which they began.
    """

    session: SessionRow
    exchanges: list[KeptExchange]
    main: list[JSON]
    begins: list[int] = field(default_factory=list)
    branches: list[Branch] = field(default_factory=list)
    threads: list[Thread] = field(default_factory=list)


def rebuild(
    records: Iterable[tuple[DbRow | IndexedExchange, ExchangeRecord]],
) -> Iterable[tuple[KeptExchange, int | None]]:
    """Exchanges from the index's rows and their records, in order of number; with each, the number
    of the exchange that it continues.

    Raises:
        IntegrityError: a record is missing or in another's place.
    """
    rebuilder = Rebuilder()
    for row, record in records:
        body = record.body
        try:
            if body["number"] != row.number:
                raise KeyError(row.number)
            fields, messages = rebuilder.add(row.number, body)
        except (KeyError, IndexError, AssertionError) as error:
            raise IntegrityError(
                f"the records of session {row.session_id} do not fit together.",
                hint="the index was changed or damaged; restore it from a backup",
            ) from error
        known = messages is not None or fields or record.raw_request is None
        base = body.get("base")
        yield (
            KeptExchange(
                number=row.number,
                exchange_id=body["exchange_id"],
                agent=body["agent"],
                started=row.started,
                ended=row.ended,
                outcome=row.outcome,
                status=row.status,
                method=body["method"],
                target=body["target"],
                request_headers=body["request_headers"],
                answer_headers=body["answer_headers"],
                fields=fields if known else None,
                said=messages,
                answer=rebuilder.answer(row.number),
                error=body["error"],
                usage=body["usage"],
                raw_request=record.raw_request,
                raw_answer=record.raw_answer,
                beyond=body.get("beyond"),
                api=Api(body.get("api", Api.MESSAGES)),
                at=body.get("at", MESSAGES),
                parent=body.get("parent"),
                title=body.get("title", False),
                after=body.get("after"),
                response=body.get("response"),
                elsewhere=body.get("elsewhere", []),
            ),
            base[0] if base else None,
        )


def transcript(
    session: SessionRow, rebuilt: Iterable[tuple[KeptExchange, int | None]]
) -> Transcript:
    """The session's exchanges and its conversations."""
    exchanges = [exchange for exchange, _ in rebuilt]
    readable = Readable(exchanges)
    tree = RequestTree()
    for exchange in exchanges:
        tree.add(exchange, items_back(exchange), readable.before(exchange))
    tree.sum_up()
    found = branching(tree, exchanges, ReadLines(tree, exchanges, readable))
    main: list[JSON] = []
    begins: list[int] = []
    for line in found.main:
        begins.append(len(main))
        main += line.messages
    threads = [
        Thread(exchanges[one.first], exchanges[one.last], max(1, len(one.exchanges)), one.messages)
        for one in found.conversations
    ]
    return Transcript(session, exchanges, main, begins[1:], found.branches, threads)
