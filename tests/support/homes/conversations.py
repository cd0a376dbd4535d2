"""Sessions as the vault gives them, made of what clients ask and models answer, without a vault."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bailee.training.dataset import ExportedSession
from bailee.vault.delta import digest_key, encode
from bailee.vault.known import KnownPieces
from bailee.vault.packing import JSON
from bailee.vault.rebuilding import Rebuilder
from bailee.vault.transcript import KeptExchange, SessionRow, Transcript, transcript

BEGAN = datetime(2026, 11, 29, 8, 0, tzinfo=UTC)
COMMITMENT = "c0ffee" * 8


@dataclass(frozen=True)
class Asked:
    """An exchange: what was asked, in which fields, and what was answered."""

    messages: list[JSON]
    answer: JSON = None
    fields: dict[str, JSON] = field(default_factory=dict)
    agent: str | None = None
    target: str = "/v1/messages"


def answered(*content: JSON, model: str = "model-1") -> JSON:
    """An answer of the Messages API."""
    return {"type": "message", "role": "assistant", "model": model, "content": list(content)}


def user(content: JSON) -> JSON:
    """A person's message."""
    return {"role": "user", "content": content}


def text(said: str) -> JSON:
    """A block of text."""
    return {"type": "text", "text": said}


def session_row() -> SessionRow:
    """A session in the index."""
    return SessionRow(
        *("one", "ada", "transcript", "pro", "api", "key", BEGAN, BEGAN, 1, "pro/api", 1, 1),
        *(BEGAN, "5 years", "clause", "document", 1, 1, 0, 0),
    )


def _rebuilt(asked: Iterable[Asked]) -> Iterator[tuple[KeptExchange, int | None]]:
    known = KnownPieces(digest_key(b"k" * 32))
    rebuilder = Rebuilder()
    for number, one in enumerate(asked):
        delta = encode(number, one.fields, one.messages, one.answer, known)
        known.places |= delta.learned
        fields, said = rebuilder.add(number, delta.body)
        base = delta.body.get("base")
        at = BEGAN.timestamp() + number
        exchange = KeptExchange(
            *(number, f"x{number}", one.agent, at, at, "complete", 200, "POST", one.target),
            *([], [], fields, said, one.answer, None, {}, None, None, None),
        )
        yield exchange, base[0] if isinstance(base, list | tuple) else None


def said(*asked: Asked) -> Transcript:
    """A session of these exchanges."""
    return transcript(session_row(), _rebuilt(asked))


def exported(*asked: Asked, commitment: str = COMMITMENT) -> ExportedSession:
    """The same as a session that may be trained on."""
    return ExportedSession(commitment, said(*asked), "t1", "sha256:d", "consent-1", "pro", "api")
