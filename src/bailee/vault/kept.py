"""What the vault gives back: a session's row in the index, and its exchanges. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING

from bailee.api import Api
from bailee.vault.listing import MESSAGES, together
from bailee.vault.packing import JSON
from bailee.vault.rebuilding import Messages

if TYPE_CHECKING:  # who opens sessions elsewhere has no database
    from bailee.db.engine import DbRow


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session in the index. `last_consent`: the number of its owner's last choice before its
    latest request; `uses`: each `plan/channel` it was used with; `bytes`: of ciphertext;
    `expires_at`: kept until then; `kept_until`: as its person's own act has it, if one does.
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
    kept_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class IndexedSession:
    """A session as the index has it at one moment: its row, those of its exchanges, what it is told
    by as far as that is made (`indexing`), and whether there is a hold on it. None of it is opened.
    """

    row: SessionRow
    exchanges: list[DbRow]
    told: DbRow
    held: bool


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
        """The same of a row of the index, with the id of its session."""
        return cls(*(getattr(row, one.name) for one in fields(cls)))


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
