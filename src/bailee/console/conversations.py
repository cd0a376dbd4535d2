"""A session as a page shows it: the main conversation, and what branched off folded in place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bailee.blocks import Block, Spoken, as_json
from bailee.operations import codec
from bailee.operations.sessions import SessionTranscript
from bailee.operations.transcript import AsBytes, ShownBranch, ShownExchange
from bailee.unfolding import UNANSWERED, Another, Begins, Ends, Told, unfolded


@dataclass(frozen=True, slots=True)
class ShownPiece:
    """What comes next on a page: a message (`role`, `blocks`, `marks`, which are folded), the begin
    or the end of a fold (`branch`), or another conversation. `ended`: the fold's exchange has no
    answer, and how it ended is said; `error`: what came instead, as JSON.
    """

    what: Literal["message", "begins", "ends", "another"]
    role: str = ""
    blocks: tuple[Block, ...] = ()
    marks: str = ""
    branch: ShownBranch | None = None
    ended: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class ShownParticulars:
    """An exchange, and as JSON what it says beside its messages."""

    exchange: ShownExchange
    text: str


@dataclass(frozen=True, slots=True)
class ShownSession:
    """All that a page has of what was said in a session."""

    pieces: list[ShownPiece]
    exchanges: list[ShownParticulars]
    as_bytes: list[AsBytes]


def shown_session(shown: SessionTranscript) -> ShownSession:
    """All of a session, in the order in which it is read."""
    told = unfolded(shown.messages, shown.branches, shown.begins)
    return ShownSession(
        [_piece(one) for one in told],
        [ShownParticulars(one, as_json(codec.plain(one))) for one in shown.exchange_list],
        shown.as_bytes,
    )


def _piece(told: Told[ShownBranch]) -> ShownPiece:
    match told:
        case Spoken(role, blocks, marks):
            return ShownPiece("message", role, tuple(blocks), marks)
        case Begins(branch):
            return ShownPiece("begins", branch=branch)
        case Ends(branch):
            error = "" if branch.error is None else as_json(branch.error)
            return ShownPiece("ends", branch=branch, ended=branch.kind in UNANSWERED, error=error)
        case Another():
            return ShownPiece("another")
