"""Making a damaged data database whole again without what can't be read, at the operator's word.

Who salvages loses rows for good. That is allowed where a row that is gone lets nobody in, shows
nothing and keeps nothing longer: its loss is that of the row. It is refused where it would undo
something: without a hold something is destroyed, without a tombstone a deleted session comes back.

Rules kept here:

* Without a reason nothing is changed: it is said what would be lost.
* A session without a row is nobody's to forget any more. So its key goes, but for one that is held.
* A receipt that is lost can ask for no rotation. So the root is rotated.
"""

from __future__ import annotations

from typing import Final, Unpack

from sqlalchemy import select

from bailee.db.engine import reading
from bailee.db.salvaging import Lost, lost, rebuild
from bailee.db.vault import holds, sessions
from bailee.errors import InputError, IntegrityError
from bailee.home import Home, HomeLock, parts
from bailee.node.node import Node
from bailee.node.old_entries import NOBODY
from bailee.node.wiring import WiringOptions
from bailee.vault.record import subject_of

BEARABLE: Final = frozenset(
    {
        *("sessions", "exchanges", "prefixes", "receipts", "receipt_segments", "sweep_steps"),
        *("accounts", "api_keys", "ephemeral_keys", "consent_records", "persons", "memberships"),
        "providers",
        *("identities", "passkeys", "web_sessions", "sign_in_attempts", "answers"),
        *("saved_views", "pending"),
        *("error_issues", "telemetry_dropped", "survey_counts", "received", "egress_counts"),
        *("receipt_owners", "conversation_links", "session_words"),
        *("session_facts", "session_ends"),
        *("usage_counts", "usage_windows", "usage_reservations", "usage_limits", "usage_models"),
        *("usage_gateways", "usage_batches", "limit_increases", "disk_state"),
    }
)
"""Tables of which rows may be lost."""


def salvage(home: Home, reason: str | None, **given: Unpack[WiringOptions]) -> list[Lost]:
    """What of the data database can't be read; with a `reason`, a database that is made of all else
    takes its place. `given`: as `Node.open` takes it.

    Raises:
        InputError: the home is not there, or in use.
        IntegrityError: what can't be read can't be done without; or parts do not belong together.
        StorageError: nothing of the database can be read, or the new one can't be written.
    """
    if not home.exists:
        raise InputError(f"there is no home at {home.path}.", code="not_found")
    if not home.data_database.exists():
        raise InputError(
            f"{home.path} has no database in a file.",
            code="not_found",
            hint="pages of PostgreSQL's are put right by its own means",
        )
    with HomeLock(home):
        parts.examine(home)
        found = lost(home.data_database)
        needed = sorted(one.table for one in found if one.table not in BEARABLE)
        if needed:
            raise IntegrityError(
                f"{' and '.join(needed)} of data.db can't be read whole: without a row of that, "
                "something would be undone.",
                hint="put back what was there last; nothing was changed",
            )
        if reason is not None:
            rebuild(home.data_database)
            _settle(home, found, reason, **given)
    return found


def _settle(home: Home, found: list[Lost], reason: str, **given: Unpack[WiringOptions]) -> None:
    with Node.open(home, **given) as node:
        for one in found:
            node.ledger.append(
                "home.salvaged",
                one.table,
                {"rows": len(one.ids), "reason": reason[:300]},
                whose=NOBODY,
            )
        with node.vault.lock, reading(node.data) as connection:  # nothing is sealed meanwhile
            known = {*connection.execute(select(sessions.c.id)).scalars()}
            known |= {*connection.execute(select(holds.c.subject)).scalars()}
            known_keys = {subject_of(one) for one in known}
            keys = node.keyring.subjects(subject_of(""))
            node.keyring.destroy([one for one in keys if one not in known_keys])
        node.vault.stored.recount()
        node.vault.sum_up()
        node.vault.rotate(node.clock())
