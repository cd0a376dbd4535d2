"""What an account, its key and its choice are. Pure.

Rows: T1, T4.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from bailee.policy.facts import Facts

Choice = Literal["allowed", "refused"]

Scope = Literal["full", "ingest", "cloud", "operator", "signed_in", "workload"]
"""What a key opens: all that its account may do; the ingest listener alone; for one cloud session,
the gateway alone; what an operator may ask; or as `full`, by tokens that last an hour
(`client_tokens`), for a client that is signed in; the gateway alone, by such tokens, for a service
account (`workload_identity`)."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account: its plan, whose it is, and what was chosen about training (`none`: not yet).

    `person_id`: whose own it is; `organisation_id`: which organisation's; neither: it is its key
    holder's. `chosen_at` and `partner_since`: since when the present choice and membership in the
    partner programme hold. `chosen_number` and `partner_number`: the number of the last change of
    each, which says what came before it and what after; 0: there was none. `unrecorded_routes`:
    the operator lets its requests go upstream on the operator's credential although they are no
    conversations and are not recorded. `stored_mb`: how much (MiB) of it may be kept on disk (0: no
    limit; None: as much as of everybody). `no_keeping`: nobody may keep a session of it beyond its
    time. `residency`: its requests are answered from this region of the policy document alone;
    None: from anywhere.
    """

    account_id: str
    name: str
    plan: str
    training_choice: str
    chosen_at: datetime | None
    partner_programme: bool
    created_at: datetime
    person_id: str | None = None
    organisation_id: str | None = None
    partner_since: datetime | None = None
    unrecorded_routes: bool = False
    chosen_number: int = 0
    partner_number: int = 0
    stored_mb: int | None = None
    no_keeping: bool = False
    residency: str | None = None

    @property
    def consent(self) -> int:
        """The number of the last change of any choice of this account's."""
        return max(self.chosen_number, self.partner_number)

    def facts(
        self, *, zero_retention: bool, channel: str = "api", plan: str | None = None
    ) -> Facts:
        """What the policy asks of what comes from this account. `zero_retention`: by a key that
        keeps nothing; `plan`: the one that it came on, if that is not the present one.
        """
        return Facts(
            plan or self.plan,
            channel,
            self.training_choice,
            zero_retention,
            self.partner_programme,
        )


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key without its secret. `person_id`: for whom it speaks, if for a person. One with the
    scope `cloud` has the session's id as its name, and speaks for nobody. `expires_at`: from
    when it opens nothing; None: it has no such day. `ephemeral`: it ends with a cloud session or a
    server's run, and is gone then.
    """

    key_id: str
    account_id: str
    name: str
    zero_retention: bool
    created_at: datetime
    revoked_at: datetime | None
    person_id: str | None = None
    created_by: str = "operator"
    scope: Scope = "full"
    expires_at: datetime | None = None
    ephemeral: bool = False

    def is_over(self, now: datetime) -> bool:
        """Whether it opens nothing at a moment: it was revoked, or its day has come."""
        return self.revoked_at is not None or (
            self.expires_at is not None and self.expires_at <= now
        )
