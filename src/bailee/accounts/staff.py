"""Access by staff: reading what is a person's own takes a reason, and is on record first.

The entry is written before anything is read: an access that can't be recorded does not happen. The
person sees it with the rest of what is held about them, and the reason goes when they are erased.
Staff are operators; whoever reads their own sessions is not staff then.

Rows: F4 (the rule for access), P4.
"""

from __future__ import annotations

from typing import Final

from bailee.accounts.authority import Authority
from bailee.accounts.backing import Backing
from bailee.accounts.roles import Actor, Permission
from bailee.errors import InputError
from bailee.shown import is_plain

SHORTEST_REASON: Final = 8
LONGEST_REASON: Final = 300


class Staff:
    """Puts accesses on record.

    Operations call it before they read what is somebody else's, on any thread. It reads no content
    itself, and has nothing in memory.
    """

    def __init__(self, backing: Backing, authority: Authority) -> None:
        self._ledger = backing.ledger
        self._authority = authority

    def read(self, actor: Actor, subject: str, reason: str, *, whose: str) -> None:
        """Put on record that `actor` is about to read the content of `subject` (a session's or a
        report's id), and why. Read it only when this returns. `whose` it is, a person's or an
        account's: a reason may name somebody, so it is unreadable when they are erased.

        Raises:
            InputError: no reason worth the name; `forbidden`, the actor is not staff.
            StorageError: it can't be recorded.
        """
        self._authority.require(actor, Permission.CONTENT_READ_AS_STAFF)
        said = worded(reason)
        self._ledger.append("access.read", subject, {"by": actor.name, "reason": said}, whose=whose)


def worded(reason: str, what: str = "reading someone's content") -> str:
    """A reason as it goes on record. `what` is it that needs one.

    Raises:
        InputError: it is none worth the name, or too long.
    """
    said = " ".join(reason.split())
    if len(said) < SHORTEST_REASON or not is_plain(said):
        raise InputError(
            f"{what} needs a reason of at least {SHORTEST_REASON} characters, in plain text.",
            hint="say in a few words what it is for; it is recorded",
        )
    if len(said) > LONGEST_REASON:
        raise InputError(f"a reason has at most {LONGEST_REASON} characters.")
    return said
