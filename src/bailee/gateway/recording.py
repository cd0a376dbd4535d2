"""What of an exchange is held for its record, and the port it is handed to.

Rules kept here:

* Whether an exchange is kept is a type. `Keeping` takes `Terms` to make, and holds the bytes.
  `NotKept` has no place for bytes and no method that accepts them: code that has one in its hands
  can't record, whatever it does.
* What is held is counted to the shares of its account and key (`bailee.admission.shares`). Who is
  over is refused, and says so to the client; nothing is dropped in silence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from bailee.admission import Over, Unsealed
from bailee.errors import InputError, PolicyDenied, StorageError
from bailee.gateway.completion import AnswerHold
from bailee.vault.exchange import CapturedExchange, Terms


class Recording(Protocol):
    """Makes exchanges durable. The vault's spool implements it; the gateway asks all of it on its
    event loop's thread, so none of it waits for the disk.
    """

    def submit(
        self, exchange: CapturedExchange, done: Callable[[StorageError | None], None]
    ) -> None:
        """Takes an exchange; returns at once. Called on the event loop's thread. `done` is called
        later on that loop: with None once the record is durable, or with why it is not.
        """
        ...

    @property
    def has_room(self) -> bool:
        """False while the bytes waiting are over the limit."""
        ...

    def unsealed(self, owner: str) -> Unsealed:
        """What is durable and waits on disk to be sealed. Asked for each request."""
        ...

    @property
    def failure(self) -> StorageError | None:
        """Why writing is known to fail, or None."""
        ...


class Keeping:
    """One exchange that is kept: its terms, and its bytes until they are submitted. `hold` holds
    back the answer's end, from the answer's head on. Of the answer's pieces, `seen` were looked
    at and counted in `answer_size`; the rest takes `unseen` bytes of memory.
    """

    __slots__ = (
        "answer",
        "answer_size",
        "hold",
        "request",
        "seen",
        "terms",
        "unseen",
    )

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.request: list[bytes] = []
        self.answer: list[bytes] = []
        self.answer_size = 0
        self.seen = self.unseen = 0
        self.hold: AnswerHold | None = None

    def take(self) -> tuple[bytes, bytes]:
        """The bodies of request and answer, which are not held here any more."""
        bodies = b"".join(self.request), b"".join(self.answer)
        self.request, self.answer = [], []
        return bodies


class NotKept:
    """An exchange that is not kept. `why` is one of `zero_retention`, `not_a_conversation`,
    `unrecorded_route`, `recorder_failed`; `clause` is the policy's that lets it pass so, if one
    does.
    """

    __slots__ = ("clause", "why")

    def __init__(self, why: str, clause: str = "") -> None:
        self.why = why
        self.clause = clause


def not_recorded() -> PolicyDenied:
    """Why a request is refused while its record can't be written."""
    return PolicyDenied(
        "This exchange can't be recorded.",
        code="not_recorded",
        hint="the operator must make room or repair the disk; the policy serves nothing unrecorded",
    )


def over_share(over: Over) -> InputError:
    """Why a request is refused, or ends, while its account or key holds more than its share."""
    if over.what in _ON_DISK:
        return _over_quota(over)
    whose = f"This {over.who}"
    if over.what == "requests":
        message = f"{whose} has {over.most} requests under way, as many as it may."
    elif over.what == "turns":
        message = f"{whose} sends more requests than have their turn while others want theirs."
    elif over.what == "writing":
        message = f"{whose} has much that is still being written."
    elif over.what in _UNSEALED:
        return _outruns_sealing(over)
    else:
        message = f"{whose} holds as much of the gateway's memory as it may."
    return InputError(
        message,
        code="over_share",
        hint="wait for requests to end, then send this one again; the operator sets the shares",
    )


_UNSEALED = ("spool", "unsealed", "sealing")


def _outruns_sealing(over: Over) -> InputError:
    """Why nothing more is recorded of an account while much of its waits to be sealed."""
    message = f"This {over.who} has as much recorded that is not filed yet as it may."
    if over.what == "sealing":
        message = f"What this {over.who} has recorded takes over {over.most} s to be filed."
    return InputError(
        message,
        code="over_share",
        hint="the server files it by itself: send this again later; the operator sets the shares",
    )


_ON_DISK = ("kept", "deleted", "disk")


def _over_quota(over: Over) -> InputError:
    """Why nothing more is recorded of an account that has as much on disk as it may."""
    raise_it = "or ask the operator for more (`bailee account limit`)"
    if over.what == "kept":
        message = f"What is kept of this account takes {over.most >> 20} MiB, as much as it may."
        hint = f"delete sessions, {raise_it}"
    elif over.what == "deleted":
        message = (
            "What was deleted of this account lies beside what is not, and takes, with what is "
            f"kept, {2 * over.most >> 20} MiB, as much as it may."
        )
        hint = f"wait until it is removed, {raise_it}"
    else:
        message = "The disk is nearly full, and this account has more than its part of it."
        hint = "delete sessions, or ask the operator to make room on the disk"
    return InputError(message, code="over_quota", hint=hint)
