"""A session as a person reads it: each exchange as it was, and the conversations merged. Pure.

Clients send several conversations under one session: the main one, those of subagents (which say
so), and small ones on the side, for example to find a title; turns are taken back, and requests
sent again. What of it is the main conversation, and what a branch, says `branches`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from bailee.api import Api
from bailee.db.engine import DbRow
from bailee.errors import IntegrityError
from bailee.vault.branches import Branch, branching
from bailee.vault.compressing import ExchangeRecord
from bailee.vault.delta import Messages, Rebuilder
from bailee.vault.lines import Lines
from bailee.vault.listing import MESSAGES, together
from bailee.vault.packing import JSON
from bailee.vault.readable import Readable, items_back
from bailee.vault.request_tree import RequestTree


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
class KeptExchange:
    """One exchange. `fields` and `said`: the request's members apart from `messages`, and those;
    `said` is None when it has none, and both when the request is kept raw. `answer`: the
    assistant's message. `beyond`: the bound (`bounds.Beyond`) that what is kept raw has passed, if
    it was one. `api`: the one that it speaks; `at`: where in its request the messages stood; what
    follows is as in `Interpreted`. Times are Unix seconds.
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
    api: Api = Api.MESSAGES
    at: str = MESSAGES
    parent: str | None = None
    title: bool = False
    after: str | None = None
    response: str | None = None
    elsewhere: list[str] = field(default_factory=list)

    @property
    def request(self) -> dict[str, JSON] | None:
        """The request's JSON as the client sent it, put together anew; None when it is kept raw."""
        if self.fields is None or self.said is None:
            return self.fields
        return together(self.fields, self.said.all(), self.at)

    @property
    def messages(self) -> list[JSON]:
        """The request's messages, in a new list."""
        return [] if self.said is None else self.said.all()


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
    exchanges = [exchange for exchange, _ in rebuilt]
    readable = Readable(exchanges)
    tree = RequestTree()
    for exchange in exchanges:
        tree.add(exchange, items_back(exchange), readable.before(exchange))
    tree.sum_up()
    found = branching(tree, exchanges, Lines(tree, exchanges, readable))
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
