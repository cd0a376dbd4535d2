"""A session as a person reads it: each exchange as it was, and the conversations merged. Pure.

Clients send several conversations under one session: the main one, those of subagents (which say
so), and small ones on the side, for example to find a title. Exchanges whose requests continue one
another make a *thread*. The main conversation is the threads of no agent that use tools or have
more than one exchange, one after another: there is a second one after the client has compacted its
history.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING

from bailee.errors import IntegrityError
from bailee.vault.compressing import ExchangeRecord
from bailee.vault.delta import Messages, Rebuilder, as_message
from bailee.vault.packing import JSON

if TYPE_CHECKING:  # who opens sessions elsewhere has no database
    from bailee.db.engine import DbRow


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session in the index. `last_consent`: the number of its owner's last choice before its
    latest request; `uses`: each `plan/channel` it was used with; `bytes`: of ciphertext;
    `expires_at`: kept until then.
    """

    id: str
    owner: str
    data_class: str
    plan: str
    channel: str
    key_id: str
    started: datetime
    last_activity: datetime
    last_consent: int
    uses: str
    exchanges: int
    bytes: int
    expires_at: datetime
    period: str
    clause: str
    document: str
    input_tokens: int
    output_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int


@dataclass(frozen=True, slots=True)
class IndexedExchange:
    """What the index says of one exchange, apart from where its record lies. `id`: of the record;
    times are Unix seconds.
    """

    id: str
    session_id: str
    number: int
    started: float
    ended: float
    outcome: str
    status: int

    @classmethod
    def of(cls, row: DbRow) -> IndexedExchange:
        """The same of a row of the index."""
        return cls(*(getattr(row, one.name) for one in fields(cls)))


@dataclass(frozen=True, slots=True)
class KeptExchange:
    """One exchange. `fields` and `said`: the request's members apart from `messages`, and those;
    `said` is None when it has none, and both when the request is kept raw. `answer`: the
    assistant's message. `beyond`: the bound (`bounds.Beyond`) that what is kept raw has passed, if
    it was one. Times are Unix seconds.
    """

    number: int
    exchange_id: str
    agent: str | None
    started: float
    ended: float
    outcome: str
    status: int
    method: str
    target: str
    request_headers: list[list[str]]
    answer_headers: list[list[str]]
    fields: dict[str, JSON] | None
    said: Messages | None
    answer: JSON
    error: JSON
    usage: dict[str, int]
    raw_request: bytes | None
    raw_answer: bytes | None
    beyond: str | None

    @property
    def request(self) -> dict[str, JSON] | None:
        """The request's JSON as the client sent it, put together anew; None when it is kept raw."""
        if self.fields is None or self.said is None:
            return self.fields
        return {**self.fields, "messages": self.said.all()}

    @property
    def messages(self) -> list[JSON]:
        """The request's messages, in a new list."""
        return [] if self.said is None else self.said.all()


@dataclass(slots=True)
class Thread:
    """Exchanges whose requests continue one another: `count` of them, the `first` and the `last`
    that was made.
    """

    first: KeptExchange
    last: KeptExchange
    count: int = 1

    def messages(self) -> list[JSON]:
        """What the thread came to: the last request and its answer."""
        reply = _reply(self.last.answer)
        return [*self.last.messages, *([] if reply is None else [reply])]

    @property
    def substantial(self) -> bool:
        """Whether it is more than a small one on the side."""
        return self.count > 1 or bool((self.first.fields or {}).get("tools"))


@dataclass(frozen=True, slots=True)
class Transcript:
    """A session's exchanges, its main conversation as messages, those of its subagents by the
    agent's id, and those on the side. `threads`: what the main conversation and the subagents' are
    made of, in the order in which they began.
    """

    session: SessionRow
    exchanges: list[KeptExchange]
    main: list[JSON]
    agents: dict[str, list[JSON]] = field(default_factory=dict)
    aside: list[list[JSON]] = field(default_factory=list)
    threads: list[Thread] = field(default_factory=list)


def _reply(answer: JSON) -> JSON:
    """An answer as a message of the conversation: `as_message`, or that of Bedrock's Converse."""
    output = answer.get("output") if isinstance(answer, dict) else None
    message = output.get("message") if isinstance(output, dict) else None
    return message if isinstance(message, dict) else as_message(answer)


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
                answer=body["answer"],
                error=body["error"],
                usage=body["usage"],
                raw_request=record.raw_request,
                raw_answer=record.raw_answer,
                beyond=body.get("beyond"),
            ),
            base[0] if base else None,
        )


def transcript(
    session: SessionRow, rebuilt: Iterable[tuple[KeptExchange, int | None]]
) -> Transcript:
    """The session's exchanges and its conversations."""
    exchanges: list[KeptExchange] = []
    threads: list[Thread] = []
    of: dict[int, Thread] = {}
    for exchange, base in rebuilt:
        exchanges.append(exchange)
        if exchange.said is None or not exchange.said.count:
            continue
        thread = of.get(base) if base is not None else None
        if thread is None or thread.first.agent != exchange.agent:
            thread = Thread(exchange, exchange)
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
            agents.setdefault(thread.first.agent, []).extend(thread.messages())
    return Transcript(
        session=session,
        exchanges=exchanges,
        main=[message for thread in main for message in thread.messages()],
        agents=agents,
        aside=[thread.messages() for thread in aside],
        threads=[one for one in threads if not any(one is other for other in aside)],
    )
