"""Doing again in a restored home what was decided since its backup, before anything is served.

Each function can be repeated: what is done already is not done twice.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from sqlalchemy import Connection, Engine, delete, select, update

from bailee.accounts import OPERATOR
from bailee.backup.closing import Applied, close_ways_in
from bailee.backup.replaying import OwnedEntry, RecordedChoice, RecordedOwnPolicy, ReplayPlan
from bailee.db.accounts import accounts, consent_records
from bailee.db.audit import audit, audit_leaves
from bailee.db.cloud_network import network_entries
from bailee.db.engine import reading, storage_errors
from bailee.db.people import auditors, memberships, persons, trainers
from bailee.db.policy import policy_activations, policy_notices
from bailee.db.portable import count_on, insert
from bailee.db.vault import sessions
from bailee.errors import InputError, IntegrityError
from bailee.keeping.keeper import Keeper
from bailee.keeping.snapshots import KeySnapshot
from bailee.ledger import Sealing
from bailee.ledger.ledger import open_again
from bailee.ledger.sequencing import Committed
from bailee.node import Node
from bailee.node.own_policies import OwnChange, put_own_policy
from bailee.usage.limit_rows import put_limit, put_models
from bailee.usage.limits import LimitMeasure, LimitSpan, Scope, Subject
from bailee.vault.exchange import Terms
from bailee.vault.prolonging import KeepingAct
from bailee.vault.record import subject_of

_WHAT: Final = "the restored home"
_BY: Final = "operator"
_SOURCE: Final = "restored"
_PORTION: Final = 1000
_STEP: Final = timedelta(microseconds=1)


def put_back(engine: Engine, rows: Sequence[Committed]) -> None:
    """Put entries back into the audit record, each with its number and leaf. What was somebody's of
    them is not there any more.
    """
    names = ("number", "at", "kind", "subject", "body", "whose")
    with storage_errors("the audit record"), engine.begin() as connection:
        for row in rows:
            values = {name: getattr(row, name) for name in names}
            connection.execute(insert(audit).values(values).on_conflict_do_nothing())
            leaf = {"leaf": row.leaf, "number": row.number, "salt": row.salt, "digest": row.digest}
            connection.execute(insert(audit_leaves).values(leaf).on_conflict_do_nothing())
        count_on(connection, audit, 0)


def apply_to_data(engine: Engine, plan: ReplayPlan, done: Applied, sealing: Sealing) -> None:
    """What is said by rows alone: who may come in, and who chose what. In one transaction, before a
    store reads them. `sealing`: whoever opens what is somebody's.
    """
    with storage_errors(_WHAT), engine.begin() as connection:
        for (account, purpose), choices in plan.choices.items():
            _choose(connection, account, purpose, choices)
            done.undone += 1
        for (organisation, person), role in plan.roles.items():
            where = memberships.c.organisation_id == organisation, memberships.c.person_id == person
            if role is None:
                done.undone += connection.execute(delete(memberships).where(*where)).rowcount
            else:
                change = update(memberships).where(*where).values(role=role)
                done.undone += connection.execute(change).rowcount
        close_ways_in(connection, plan, done)
        for person, operator in plan.operators.items():
            change = update(persons).where(persons.c.id == person).values(operator=operator)
            done.undone += connection.execute(change).rowcount
        for person, trainer in plan.trainers.items():
            gone = delete(trainers).where(trainers.c.person_id == person)
            if not trainer:  # who was made one since is made one again by the operator
                done.undone += connection.execute(gone).rowcount
        for person, auditor in plan.auditors.items():
            gone = delete(auditors).where(auditors.c.person_id == person)
            if not auditor:
                done.undone += connection.execute(gone).rowcount
        for account, allowed in plan.routes.items():
            change = update(accounts).where(accounts.c.id == account)
            done.undone += connection.execute(change.values(unrecorded_routes=allowed)).rowcount
        for account, mb in plan.limits.items():
            change = update(accounts).where(accounts.c.id == account)
            done.undone += connection.execute(change.values(stored_mb=mb)).rowcount
        _limit_use(connection, plan)
        done.undone += len(plan.usage_limits) + len(plan.usage_models)
        for account, forbidden in plan.unkeeping.items():
            change = update(accounts).where(accounts.c.id == account)
            done.undone += connection.execute(change.values(no_keeping=forbidden)).rowcount
        for account, region in plan.residencies.items():
            change = update(accounts).where(accounts.c.id == account)
            done.undone += connection.execute(change.values(residency=region)).rowcount
        for account, entries in plan.networks.items():
            _list_hosts(connection, account, entries, sealing, done)
        done.undone += len(plan.networks)
        for organisation, own in plan.own_policies.items():
            _own_policy(connection, organisation, own, sealing, done)
        done.undone += len(plan.own_policies)
        _look_at_document(connection, plan, done)


def _own_policy(
    connection: Connection,
    organisation: str,
    own: RecordedOwnPolicy,
    sealing: Sealing,
    done: Applied,
) -> None:
    """Have an organisation's own document be the one that came to hold last, and what is there
    follow it. Where its text can't be read any more, nothing of theirs goes out.
    """
    its = select(accounts.c.id).where(accounts.c.organisation_id == organisation)
    account = connection.execute(its).scalar()
    if account is None:
        return  # it came into being since
    entry = OwnedEntry(own.kind, organisation, account, "", own.again)
    text = None if own.document is None else opened(entry, account, sealing)
    put_own_policy(
        connection,
        OwnChange(
            *(own.number, own.at, organisation, own.document, own.before, own.by),
            *(0, True),
        ),
        None if text is None else text.encode(),
    )
    notice = insert(policy_notices).values(account_id=account, number=own.number)
    connection.execute(notice.on_conflict_do_nothing())
    if own.document is not None and text is None:
        done.look.append(
            f"{organisation}: its own policy document came to hold since and can't be read, so "
            "nothing of theirs goes out; an owner gives it again: bailee organisation policy set."
        )


def _look_at_document(connection: Connection, plan: ReplayPlan, done: Applied) -> None:
    """Say that another policy document came to hold since: the log has its name and not its text,
    so nobody but who has it can let it hold again.
    """
    newest = select(policy_activations.c.document).order_by(policy_activations.c.number.desc())
    held = connection.execute(newest.limit(1)).scalar()
    if plan.document and plan.document != held:
        done.look.append(
            f"the policy document {plan.document[:12]} came to hold since, and the backup's holds "
            "again; activate it: bailee policy activate."
        )


def _limit_use(connection: Connection, plan: ReplayPlan) -> None:
    """Put limits and lists of models as they were decided last."""
    for (scope, subject, measure, span), amount in plan.usage_limits.items():
        whose = Subject(Scope(scope), subject)
        put_limit(connection, whose, LimitMeasure(measure), LimitSpan(span), amount)
    for (scope, subject), models in plan.usage_models.items():
        put_models(connection, scope, subject, models)


def _list_hosts(
    connection: Connection,
    account: str,
    entries: Sequence[OwnedEntry],
    sealing: Sealing,
    done: Applied,
) -> None:
    """Have an account's list of hosts say what it said last. Where that can't be read any more, it
    allows nothing.
    """
    there = select(accounts.c.person_id).where(accounts.c.id == account)
    row = connection.execute(there).first()
    if row is None:
        return
    of_it = network_entries.c.account_id == account
    hosts = [opened(one, row.person_id or account, sealing) for one in entries]
    if None in hosts:
        allows = network_entries.c.verdict == "allow"
        connection.execute(delete(network_entries).where(of_it, allows))
        done.look.append(
            f"{account}: its list of hosts for cloud sessions was changed since; it allows no "
            "more than the operator's does, and what was denied since has to be denied again."
        )
        return
    for one, host in zip(entries, hosts, strict=True):
        connection.execute(delete(network_entries).where(of_it, network_entries.c.entry == host))
        if one.kind == "cloud_network.added":
            made = {"id": f"net_{os.urandom(8).hex()}", "account_id": account, "entry": host}
            about = {"verdict": one.verdict, "created_at": datetime.now(UTC), "created_by": _SOURCE}
            connection.execute(insert(network_entries).values(made | about))


def opened(one: OwnedEntry, holder: str, sealing: Sealing) -> str | None:
    """What an entry says of somebody's; None: it can't be read any more, or never could."""
    if one.again is None:
        return None
    with suppress(IntegrityError, ValueError):
        return open_again(sealing, holder, one.kind, one.subject, one.again)
    return None


def _choose(
    connection: Connection, account: str, purpose: str, choices: Sequence[RecordedChoice]
) -> None:
    """Put an account's choices back as they were recorded, their moments in order. What the notice
    was is not known.
    """
    there = select(accounts.c.id).where(accounts.c.id == account)
    if connection.execute(there).first() is None:
        return
    records = select(consent_records.c.id, consent_records.c.at)
    of_it = records.where(consent_records.c.account_id == account)
    known = {row.id: row.at for row in connection.execute(of_it)}
    for one in choices:
        if one.record not in known:
            latest = max(known.values(), default=one.at - _STEP)
            known[one.record] = max(one.at, latest + _STEP)
            connection.execute(
                insert(consent_records).values(
                    id=one.record,
                    account_id=account,
                    at=known[one.record],
                    old=one.old,
                    new=one.new,
                    notice="",
                    language="",
                    source=_SOURCE,
                    purpose=purpose,
                    notice_version="",
                    actor=one.actor,
                    number=one.number,
                )
            )
    last = choices[-1]
    values: dict[str, object]
    if purpose == "training":
        values = {
            "training_choice": last.new,
            "chosen_at": known[last.record],
            "chosen_number": last.number,
        }
    else:
        joined = last.new == "joined"
        values = {
            "partner_programme": joined,
            "partner_since": known[last.record] if joined else None,
            "partner_number": last.number,
        }
    connection.execute(update(accounts).where(accounts.c.id == account).values(values))


def apply_to_node(node: Node, plan: ReplayPlan, done: Applied) -> None:
    """What is done by services: keys revoked, choices followed, holds, deletions, erasures; then
    what is due.

    Raises:
        BaileeError: a step failed; it can be repeated.
    """
    now = node.clock()
    node.once.forget_all()
    known = {key.key_id for key, _ in node.accounts.api_keys()}
    for client, _ in node.accounts.api_keys():
        if client.scope == "signed_in" and client.revoked_at is None:  # they sign in again
            node.accounts.revoke(client.key_id, by=OPERATOR)
    for key in known.intersection(plan.keys):
        node.accounts.revoke(key, by=OPERATOR)
        done.undone += 1
    for account in dict.fromkeys(account for account, _ in plan.choices):
        with suppress(InputError):  # it came into being since
            node.following.follow(account)
    for connection in plan.git:
        done.undone += _done(partial(node.git_connections.remove, connection, by=_BY))
        node.keyring.destroy([connection])
    _keep(node, plan, now, done)
    _hold(node, plan, done)
    _end(node, node.vault, plan.sessions, lambda one: node.vault.delete(one, now, by=_BY), done)
    _end(
        node,
        node.reports,
        plan.reports,
        lambda one: node.reports.withdraw(node.reports.get(one, now), now, by=_BY),
        done,
    )
    _end(node, node.cloud, plan.cloud, lambda one: node.cloud.delete(one, now, by=_BY), done)
    before = {erasure.person_id for erasure in node.erasures.rows.all()}
    for person in plan.people:
        if person not in before or not _is_erased(node, person):
            done.undone += _done(partial(node.erasures.request, person, now, by=OPERATOR))
        node.keyring.destroy([person])
    for hold in node.holds.all():
        if hold.id in plan.released and hold.state in ("placing", "placed", "releasing"):
            node.holds.release(hold.id, now)
            done.undone += 1
    _bury(node, plan, now, done)
    _let_go_of_requests(node, plan, now, done)
    _forget_unknown(node)
    for name, (until, generation) in plan.snapshots.items():
        at = datetime.fromtimestamp(until, UTC)
        node.snapshots.note(KeySnapshot(name, "", generation, now, at))
    for failure in node.sweep(now).failures.items():
        if failure[0] != node.snapshots.name:  # where they lie is not known here
            raise failure[1]


def _keep(node: Node, plan: ReplayPlan, now: datetime, done: Applied) -> None:
    """Keep what its person has kept since, as of then: its own time may have come meanwhile. And
    take back what they took back.
    """
    keeps = node.vault.prolonging
    for session, at in plan.unkept.items():
        done.undone += _done(partial(keeps.release, session, _BY, now, at))
    for session, kept in plan.kept.items():
        terms = Terms(kept.period, kept.clause, kept.document)
        act = KeepingAct(kept.by, kept.at, kept.until, terms)
        done.undone += _done(partial(keeps.keep, session, act, kept.at))


def _hold(node: Node, plan: ReplayPlan, done: Applied) -> None:
    """Place what was placed since, as of then: what was held is held, though its time has come
    meanwhile. Under another id, since the reason is not known here.
    """
    reasons = {hold.reason for hold in node.holds.all()}
    for name, (subject, at) in plan.holds.items():
        reason = f"as {name} before the restore, whose reason is lost"
        if reason not in reasons:
            placed = _done(partial(node.holds.place, subject, reason, at))
            done.undone += placed
            if placed:
                done.look.append(f"{name}: placed again on {subject}; its reason is lost.")


def _bury(node: Node, plan: ReplayPlan, now: datetime, done: Applied) -> None:
    """Let nothing be kept that goes on with a session which was deleted since; that of one which
    the backup does not have too. Who was erased has no key any more, and nothing is kept of them.
    """
    with storage_errors(_WHAT), reading(node.data) as connection:
        query = select(accounts.c.id, accounts.c.person_id)
        holders = {row.id: row.person_id or row.id for row in connection.execute(query)}
    lost = 0
    for one in plan.buried:
        if one.account in holders and not node.erasures.rows.is_gone(one.account):
            text = opened(one, holders[one.account], node.ledger.sealing)
            if text is None:
                lost += 1
                continue
            node.vault.tombstones.put_back(one.account, text, now)
    if lost:
        done.look.append(
            f"{lost} sessions were deleted since that a client may go on with as new ones: "
            "their owners' keys are younger than these keys."
        )


def _let_go_of_requests(node: Node, plan: ReplayPlan, now: datetime, done: Applied) -> None:
    """Destroy what named people in requests of which it was destroyed since, and say which came
    since and wait for an answer: what they say is lost here.
    """
    done.undone += node.cases.let_go_again(plan.let_go, now)
    for name, due in plan.requests.items():
        at = datetime.fromtimestamp(due, UTC)
        done.look.append(
            f"{name}: a person's request that came or was put off since, due on {at:%Y-%m-%d}; "
            "look it up in your mail, and open it again unless the backup has it: "
            "bailee requests open."
        )


def _end(
    node: Node,
    keeper: Keeper,
    some: Iterable[str],
    end: Callable[[str], object],
    done: Applied,
) -> None:
    """End what was ended since. Of what the backup does not have, the keys may be there all the
    same: the snapshot is younger.
    """
    for one in some:
        done.undone += _done(partial(end, one))
        node.holds.secure(one)
        node.keyring.destroy([*keeper.keys_of(one).values()])


def _is_erased(node: Node, person: str) -> bool:
    erasure = node.erasures.rows.of(person)
    return erasure is not None and erasure.state != "requested"


def _forget_unknown(node: Node) -> None:
    """Destroy the keys of sessions that the backup does not have: the snapshot is younger, nothing
    else ends them, and their ciphertext may lie somewhere still.
    """
    with storage_errors(_WHAT), reading(node.data) as connection:
        known = {subject_of(one) for one in connection.execute(select(sessions.c.id)).scalars()}
    known |= {subject_of(one) for one in node.holds.held()}
    _destroy(node, [one for one in node.keyring.subjects(subject_of("")) if one not in known])


def _destroy(node: Node, some: Sequence[str]) -> None:
    for start in range(0, len(some), _PORTION):
        node.keyring.destroy(some[start : start + _PORTION])


def _done(act: Callable[[], object]) -> int:
    """Do something that may be done already, or be of what the backup does not have; how often."""
    try:
        act()
    except InputError:
        return 0
    return 1
