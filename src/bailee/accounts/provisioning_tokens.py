"""Tokens by which an organisation's provider makes and ends its people here (SCIM).

Rules kept here:

* A token counts for its organisation, and for provisioning alone: no gateway, no API, no console.
* It is shown once. What is stored of it is its SHA-256, as of a key (`keys`).
* An organisation has a few at once, so that one can take another's place while both are good.
* It is over at once when it is revoked.

Rows: O1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, delete, func, insert, select, update

from bailee.accounts.accounts import Accounts
from bailee.accounts.authority import Authority
from bailee.accounts.backing import Backing
from bailee.accounts.keys import RANDOM_BYTES, digest
from bailee.accounts.roles import Actor, Permission
from bailee.db.checks import sound
from bailee.db.engine import reading, storage_errors
from bailee.db.provisioning import provisioning_tokens
from bailee.errors import InputError

MOST: Final = 4
_WHAT: Final = "the provisioning tokens"
_FORM: Final = re.compile(r"blp_[0-9a-f]{10}_[0-9a-f]{48}")
_TOUCH: Final = timedelta(hours=1)
_COLUMNS: Final = (
    provisioning_tokens.c.id,
    provisioning_tokens.c.organisation_id,
    provisioning_tokens.c.created_at,
    provisioning_tokens.c.used_at,
)


@dataclass(frozen=True, slots=True)
class ProvisioningToken:
    """A token, without its text. `used_at`: when it was used last, to the hour."""

    token_id: str
    organisation_id: str
    created_at: datetime
    used_at: datetime | None


def has_form(presented: str) -> bool:
    """Whether a text could be a token: what could not needs no looking up."""
    return _FORM.fullmatch(presented) is not None


class ProvisioningTokens:
    """The tokens of a home's organisations. Operations make, list and revoke; the protocol finds
    who asks, on its own threads. It owns their rows, and has nothing in memory: one that was
    revoked is over for the next request.
    """

    def __init__(self, backing: Backing, accounts: Accounts, authority: Authority) -> None:
        self._engine = backing.engine
        self._clock = backing.clock
        self._ledger = backing.ledger
        self._random = backing.random
        self._accounts = accounts
        self._authority = authority

    def make(self, organisation_id: str, *, by: Actor) -> tuple[ProvisioningToken, str]:
        """A new token of an organisation, and its text.

        Raises:
            InputError: no such organisation, it has as many as may be; `forbidden`.
        """
        self._authority.require(by, Permission.PROVIDER_CHANGE)
        self._accounts.of_organisation(organisation_id)
        random = self._random(RANDOM_BYTES)
        token_id, text = f"prv_{random[:5].hex()}", f"blp_{random[:5].hex()}_{random[5:].hex()}"
        made = ProvisioningToken(token_id, organisation_id, self._clock(), None)
        theirs = provisioning_tokens.c.organisation_id == organisation_id
        count = select(func.count()).select_from(provisioning_tokens).where(theirs)
        with storage_errors(_WHAT), self._engine.begin() as connection:
            if connection.execute(count).scalar_one() >= MOST:
                raise InputError(
                    f"an organisation has {MOST} of these tokens at the most.",
                    code="over_quota",
                    hint="revoke one that is not used",
                )
            connection.execute(
                insert(provisioning_tokens).values(
                    id=token_id,
                    organisation_id=organisation_id,
                    digest=digest(text.encode()),
                    created_at=made.created_at,
                )
            )
            said = {"token": token_id, "by": by.name}
            self._ledger.append(
                "provisioning.token_made", organisation_id, said, connection=connection
            )
        return made, text

    def of_organisation(self, organisation_id: str) -> list[ProvisioningToken]:
        """An organisation's, oldest first."""
        return self._rows(provisioning_tokens.c.organisation_id == organisation_id)

    def revoke(self, token_id: str, *, by: Actor) -> ProvisioningToken:
        """End a token, at once.

        Raises:
            InputError: `not_found`, `forbidden`.
        """
        self._authority.require(by, Permission.PROVIDER_CHANGE)
        this = provisioning_tokens.c.id == token_id
        found = self._rows(this)
        if not found:
            raise InputError("there is no such token.", code="not_found")
        with storage_errors(_WHAT), self._engine.begin() as connection:
            if connection.execute(delete(provisioning_tokens).where(this)).rowcount:
                said = {"token": token_id, "by": by.name}
                self._ledger.append(
                    "provisioning.token_revoked",
                    found[0].organisation_id,
                    said,
                    connection=connection,
                )
        return found[0]

    def find(self, presented: str) -> ProvisioningToken | None:
        """The token of this text, used now; None: there is none."""
        if not has_form(presented):
            return None
        found = self._rows(provisioning_tokens.c.digest == digest(presented.encode()))
        if not found:
            return None
        (token,) = found
        now = self._clock()
        if token.used_at is None or now - token.used_at >= _TOUCH:
            this = provisioning_tokens.c.id == token.token_id
            with storage_errors(_WHAT), self._engine.begin() as connection:
                connection.execute(update(provisioning_tokens).where(this).values(used_at=now))
        return token

    def _rows(self, condition: ColumnElement[bool]) -> list[ProvisioningToken]:
        query = select(*_COLUMNS).where(condition, sound(provisioning_tokens))
        query = query.order_by(provisioning_tokens.c.created_at, provisioning_tokens.c.id)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return [ProvisioningToken(*row) for row in connection.execute(query)]
