"""What an officer answers a request with: what remains of a person or a session, and who says so.

Rules kept here:

* It is staff's to ask, with a reason, and on record before anything is looked at; what came of it
  is on record after, by its digest.
* The result is a note that the home's log key has signed. It names the checkpoint of the log that
  it was made at. Its first line says what it is, so that no checkpoint can be taken for one.
* It says kinds, places and counts: nothing that was looked for or found stands in it.

Rows: P4, R6.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from bailee.accounts.roles import Permission
from bailee.accounts.staff import worded
from bailee.errors import InputError
from bailee.ledger.folder import CHECKPOINT
from bailee.ledger.tlog import notes
from bailee.node import Node, remains
from bailee.node.old_entries import NOBODY
from bailee.operations.asks import Asks
from bailee.operations.codec import Function, plain
from bailee.operations.operation import operation

TYPE: Final = "bailee/remains/1"
_MOST: Final = 500
"""Findings in one note: the rest is counted."""
_WORDS: Final = 100


@dataclass(frozen=True, slots=True)
class SignedRemains:
    """The result, and the note that it is signed as. `clean`: nothing was found but what is left on
    purpose.
    """

    clean: bool
    result: dict[str, object]
    note: str
    key: str


@operation()
def search(
    asks: Asks,
    node: Node,
    *,
    reason: str,
    person: str | None = None,
    session: str | None = None,
    also: list[str] = [],  # noqa: B006 (never changed)
    backups: list[str] = [],  # noqa: B006
    logs: list[str] = [],  # noqa: B006
) -> SignedRemains:
    """Look for what remains of a person or a session, in the home and in folders of its machine."""
    asks.require(node, Permission.AUDIT_READ)
    words = [one for word in also if (one := word.strip())]
    if len(words) > _WORDS:
        raise InputError(f"at most {_WORDS} words are looked for.")
    if person is not None and session is None:
        wanted = remains.of_person(node, person, words, asks.at)
    elif session is not None and person is None:
        wanted = remains.of_session(node, session, words)
    else:
        raise InputError("name a person, or a session.")
    said = worded(reason, "a search for what remains of somebody")
    subject = wanted.subject or NOBODY
    node.ledger.append(
        "remains.search_begun",
        subject,
        {"by": asks.actor.name, "reason": said, "folders": len([*backups, *logs])},
        whose=NOBODY,
    )
    node.sequencer.run()
    looked = remains.look(node, wanted, [Path(one) for one in (*backups, *logs)])
    found = looked.found
    unexpected = [one for one in found if not one.expected]
    kinds = ["home", *("backup" for _ in backups), *("logs" for _ in logs)]
    result: dict[str, object] = plain(
        {
            "at": asks.at,
            "by": asks.actor.name,
            "subject": wanted.subject,
            "looked_for": remains.by_kind(wanted),
            "keys_looked_for": len(wanted.keys),
            "searched": [
                {"kind": kind, **plain(one)}
                for kind, one in zip(kinds, looked.searched, strict=True)
            ],
            "found": [*unexpected, *(one for one in found if one.expected)][:_MOST],
            "not_listed": max(0, len(found) - _MOST),
            "not_tried": looked.untried,
            "clean": not unexpected,
            "unseen": remains.unseen(node),
            "checkpoint": (node.sequencer.folder.read(CHECKPOINT) or b"").decode(),
        }
    )
    signer = node.sequencer.signer
    text = f"{TYPE}\n{signer.name}\n{orjson.dumps(result).decode()}\n"
    node.ledger.append(
        "remains.searched",
        subject,
        {
            "by": asks.actor.name,
            "found": sum(one.count for one in unexpected),
            "document": hashlib.sha256(text.encode()).hexdigest(),
        },
    )
    note = notes.signed(text, [signer], 0).data.decode()
    return SignedRemains(not unexpected, result, note, signer.key.text)


OPERATIONS: Final[Mapping[str, Function]] = {"audit.remains": search}
