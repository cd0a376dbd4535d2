"""Closing again in a restored home the ways in that were closed since its backup.

Where an entry does not say all, a way in is closed rather than left open, and who has to open it is
told. Each function can be repeated.

Rows: R5.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import Connection, delete, insert, select, update

from bailee.accounts.authority import by_provider_only
from bailee.accounts.groups import from_text, to_text
from bailee.accounts.key_days import end_keys_by, put_key_days
from bailee.accounts.organisations import put_provider_only
from bailee.backup.replaying import RecordedRules, ReplayPlan
from bailee.db.accounts import ephemeral_keys
from bailee.db.checks import sound
from bailee.db.groups import group_grants, group_rules
from bailee.db.pending import pending
from bailee.db.people import memberships, passkeys, persons, providers, web_sessions
from bailee.db.provisioning import provisioned_members, provisioning_tokens
from bailee.db.sign_ins import sign_ins
from bailee.db.workloads import service_accounts


@dataclass(slots=True)
class Applied:
    """How many decisions were done again, and what somebody has to see to."""

    undone: int = 0
    look: list[str] = field(default_factory=list)


def close_ways_in(connection: Connection, plan: ReplayPlan, done: Applied) -> None:
    """End every session of a person, every sign-in under way and every key of a cloud session or a
    run, and what was ended since of
    passwords, passkeys, providers, the rules for their groups, what these gave, service accounts,
    tokens and groups of provisioning, and keys that an organisation has end. Roles are done before.
    """
    connection.execute(delete(web_sessions))
    connection.execute(delete(pending))
    connection.execute(delete(ephemeral_keys))
    connection.execute(delete(sign_ins))
    for account in plan.workloads:
        gone = delete(service_accounts).where(service_accounts.c.id == account)
        done.undone += connection.execute(gone).rowcount
    for token in plan.tokens:
        gone = delete(provisioning_tokens).where(provisioning_tokens.c.id == token)
        done.undone += connection.execute(gone).rowcount
    for group, organisation in plan.provisioned.items():
        gone = delete(provisioned_members).where(provisioned_members.c.group_id == group)
        if connection.execute(gone).rowcount:
            done.look.append(
                f"{organisation}: who is in {group} was changed by its provider since, and nobody "
                "is; have the provider send it again."
            )
    for organisation, person in plan.groups:
        grants = group_grants.c.organisation_id == organisation
        gone = delete(group_grants).where(grants, group_grants.c.person_id == person)
        done.undone += connection.execute(gone).rowcount
    for organisation, rules in plan.rules.items():
        _take_out(connection, organisation, rules)
    for organisation in plan.providers:
        gone = delete(providers).where(providers.c.organisation_id == organisation)
        if connection.execute(gone).rowcount:
            done.look.append(
                f"{organisation}: its sign-in was changed since, and is off; set it again, "
                "with the rules for its groups."
            )
    for organisation in plan.passwords_ended:
        for person in _ended_with(connection, plan, organisation):
            if _end_password(connection, person) + _end_passkeys(connection, person):
                done.look.append(
                    f"{person}: their password and passkeys ended since, when {organisation} let "
                    "its people sign in by its provider alone."
                )
    for organisation, only in plan.provider_only.items():
        put_provider_only(connection, organisation, only)
    for organisation, demands in plan.key_days.items():
        for at, days in demands:
            put_key_days(connection, organisation, days)
            if days is not None:
                end_keys_by(connection, organisation, at + timedelta(days=days))
    for person in plan.passwords:
        if _end_password(connection, person):
            done.look.append(f"{person}: their password was changed since; they need a new one.")
    for person in plan.passkeys:
        if _end_passkeys(connection, person):
            done.look.append(
                f"{person}: a passkey of theirs was removed since, and all are; they add "
                "theirs again."
            )
    done.undone += len(plan.providers) + len(plan.passwords) + len(plan.passkeys)
    done.undone += len(plan.provider_only) + len(plan.rules) + len(plan.key_days)


def _take_out(connection: Connection, organisation: str, rules: RecordedRules) -> None:
    """Take out of the rules for a provider's groups what was taken out since. What was put in since
    gives something, and is left to who sets them again: until then nobody comes in by it.
    """
    this = group_rules.c.organisation_id == organisation
    row = connection.execute(select(group_rules).where(this, sound(group_rules))).first()
    connection.execute(delete(group_rules).where(this))
    if rules.claim is None:
        return  # there are none any more
    before = () if row is None else from_text(row.rules)
    kept = [one for one in before if one.rule_id not in rules.removed]
    values = {"organisation_id": organisation, "claim": rules.claim, "rules": to_text(kept)}
    scope = "" if row is None else row.scope
    connection.execute(insert(group_rules).values(values | {"scope": scope}))


def _ended_with(connection: Connection, plan: ReplayPlan, organisation: str) -> Iterator[str]:
    """Whose passwords ended when an organisation's people were to sign in by its provider alone:
    those who are in it, and those who came or went since, but for its owners.
    """
    put_provider_only(connection, organisation, True)
    of_it = (
        select(memberships.c.person_id)
        .join(persons, persons.c.id == memberships.c.person_id)
        .where(memberships.c.organisation_id == organisation, by_provider_only())
    )
    found = dict.fromkeys(connection.execute(of_it).scalars())
    for (where, person), role in plan.roles.items():
        if where == organisation and role != "owner":
            found[person] = None
    yield from found


def _end_password(connection: Connection, person: str) -> int:
    has = persons.c.id == person, persons.c.password.is_not(None)
    return connection.execute(update(persons).where(*has).values(password=None)).rowcount


def _end_passkeys(connection: Connection, person: str) -> int:
    return connection.execute(delete(passkeys).where(passkeys.c.person_id == person)).rowcount
