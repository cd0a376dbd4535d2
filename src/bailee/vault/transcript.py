"""A session as a person reads it: each exchange as it was, and the conversations merged. Pure.

Clients send several conversations under one session: the main one, those of subagents (which say
so), and small ones on the side, for example to find a title. Exchanges whose requests continue one
another make a *thread*. The main conversation is the threads of no agent that use tools or have
more than one exchange, one after another: there is a second one after the client has compacted its
history.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from bailee.api import Api
from bailee.db.engine import DbRow
from bailee.errors import IntegrityError
from bailee.vault.compressing import ExchangeRecord
from bailee.vault.delta import Rebuilder
from bailee.vault.kept import KeptExchange, SessionRow
from bailee.vault.listing import MESSAGES
from bailee.vault.packing import JSON
from bailee.vault.readable import Readable, has_tools

__all__ = ["KeptExchange", "SessionRow", "Transcript", "rebuild", "transcript"]


@dataclass(frozen=True, slots=True)
class Transcript:
    """A session's exchanges, its main conversation as messages, those of its subagents by the
    agent's id, and those on the side.
    """

    session: SessionRow
    exchanges: list[KeptExchange]
    main: list[JSON]
    agents: dict[str, list[JSON]] = field(default_factory=dict)
    aside: list[list[JSON]] = field(default_factory=list)


@dataclass(slots=True)
class _Thread:
    first: KeptExchange
    last: KeptExchange
    count: int = 1

    @property
    def substantial(self) -> bool:
        """Whether it is more than a question on the side."""
        return not self.first.title and (self.count > 1 or has_tools(self.first))


def rebuild(
    records: Iterable[tuple[DbRow, ExchangeRecord]],
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
                answer=body["answer"],
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
    exchanges: list[KeptExchange] = []
    bases: list[int | None] = []
    for exchange, base in rebuilt:
        exchanges.append(exchange)
        bases.append(base)
    readable = Readable(exchanges)
    threads: list[_Thread] = []
    of: dict[int, _Thread] = {}
    for exchange, base in zip(exchanges, bases, strict=True):
        empty = exchange.said is None or not exchange.said.count
        if empty and not readable.is_apart(exchange):
            continue
        earlier = readable.before(exchange)
        continued = base if earlier is None else earlier.number
        thread = of.get(continued) if continued is not None else None
        if thread is None or thread.first.agent != exchange.agent:
            thread = _Thread(exchange, exchange)
            threads.append(thread)
        else:
            thread.last = exchange
            thread.count += 1
        of[exchange.number] = thread
    own = [thread for thread in threads if thread.first.agent is None]
    main = [thread for thread in own if thread.substantial]
    aside = [thread for thread in own if not thread.substantial]
    if not main:
        main, aside = aside, []
    agents: dict[str, list[JSON]] = {}
    for thread in threads:
        if thread.first.agent is not None:
            agents.setdefault(thread.first.agent, []).extend(readable.conversation(thread.last))
    return Transcript(
        session=session,
        exchanges=exchanges,
        main=[message for thread in main for message in readable.conversation(thread.last)],
        agents=agents,
        aside=[readable.conversation(thread.last) for thread in aside],
    )
