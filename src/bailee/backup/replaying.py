"""What a restore has to do again, from the entries of the audit record since a backup. Pure.

Rules kept here:

* Every kind of entry is in one of three tables: it is done again (`_DONE_AGAIN`), time does it
  again (`_BY_TIME`), or there is nothing to undo in an older home (`_NOTHING`). A kind that is in
  none can't be replayed, and a restore is refused.
* What counts is how things stood at the end: of choices, roles and limits the last, of holds those
  that were not released.
* Where an entry does not say all, the safe side is taken, and who has to act is told: a person
  whose password was changed since signs in otherwise, or gets a new one.
* What came into being since is not in the backup, and can't be brought back; it is no matter here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, NamedTuple

from bailee.errors import IntegrityError
from bailee.ledger.particulars import Value

_POOLS: Final = {"pool": "paused_pool", "paused_pool": "pool"}


class Entry(NamedTuple):
    """An entry as a restore reads it: what is somebody's is not in its body."""

    number: int
    at: datetime
    kind: str
    subject: str
    body: Mapping[str, Value]


class OwnedEntry(NamedTuple):
    """What an entry says of an account's that only its owner's key opens: kind and subject, whose
    it is, and the ciphertext (`ledger.open_again`); None: an older version's, which has none.
    """

    kind: str
    subject: str
    account: str
    verdict: str
    again: str | None


class RecordedKeeping(NamedTuple):
    """That a session is kept beyond its time: since when and until when, on what terms, by whom."""

    at: datetime
    until: datetime
    period: str
    clause: str
    document: str
    by: str


class RecordedOwnPolicy(NamedTuple):
    """That a document of an organisation's own came to hold (its hash, and as ciphertext its text),
    or none (`document` None), by which entry, and which did before.
    """

    number: int
    at: datetime
    kind: str
    document: str | None
    before: str | None
    by: str
    again: str | None


class RecordedChoice(NamedTuple):
    """A choice that was recorded: the record's id, when, what it was and is, who chose, and the
    number of its entry.
    """

    record: str
    at: datetime
    old: str
    new: str
    actor: str
    number: int


@dataclass(slots=True)
class RecordedRules:
    """What became of the rules for a provider's groups: which were taken out and not put in again,
    by their ids, and where a token names groups; `claim` None: there are no rules any more.
    """

    claim: str | None = None
    removed: set[str] = field(default_factory=set)


@dataclass(slots=True)
class ReplayPlan:
    """What is to be done again, by what it concerns. Ids throughout.

    `choices`: by account and purpose, in order. `holds`: placed and not released, each with what it
    is on and since when; `released`: those that are over. `roles`: by organisation and person, None
    where there is none any more. `providers`: organisations whose sign-in was changed. `rules`: by
    organisation, those for its provider's groups. `groups`: by organisation and person, where such
    rules gave something that they took since. `provider_only`: by organisation, whether its people
    sign in by its provider alone; `passwords_ended`: where that was so at some time since.
    `workloads`: service accounts that were removed; `tokens`: of provisioning, that were revoked;
    `provisioned`: groups that a provider changed or removed, each with its organisation.
    `requests`: of people about their own data, that came since and were not answered, each with
    when it is due (Unix seconds); `let_go`: those of which what names somebody was destroyed.
    `networks`: by account, what was done to its network list, in order. `buried`: what no client
    may go on with. `usage_limits`: by scope, subject, measure and span, None where there is none
    any more; `usage_models`: by scope and subject, empty where all may be asked. `snapshots`: of
    keys, taken since and not gone: until when (Unix seconds), and the root's generation then.
    `kept`: by session, the last act by which its person keeps it; `unkept`: those taken back, and
    when; `unkeeping`: accounts in which nobody may keep any, or may again. `document`: the policy
    document (SHA-256, hex) that came to hold last; "": none did. `own_policies`: by organisation,
    its own document that came to hold last, or none.
    """

    sessions: dict[str, None] = field(default_factory=dict)
    reports: dict[str, None] = field(default_factory=dict)
    cloud: dict[str, None] = field(default_factory=dict)
    people: dict[str, None] = field(default_factory=dict)
    keys: dict[str, None] = field(default_factory=dict)
    choices: dict[tuple[str, str], list[RecordedChoice]] = field(default_factory=dict)
    holds: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    released: dict[str, None] = field(default_factory=dict)
    roles: dict[tuple[str, str], str | None] = field(default_factory=dict)
    operators: dict[str, bool] = field(default_factory=dict)
    trainers: dict[str, bool] = field(default_factory=dict)
    auditors: dict[str, bool] = field(default_factory=dict)
    requests: dict[str, int] = field(default_factory=dict)
    let_go: dict[str, None] = field(default_factory=dict)
    routes: dict[str, bool] = field(default_factory=dict)
    limits: dict[str, int | None] = field(default_factory=dict)
    usage_limits: dict[tuple[str, str, str, str], int | None] = field(default_factory=dict)
    usage_models: dict[tuple[str, str], str] = field(default_factory=dict)
    providers: dict[str, None] = field(default_factory=dict)
    groups: dict[tuple[str, str], None] = field(default_factory=dict)
    tokens: dict[str, None] = field(default_factory=dict)
    provisioned: dict[str, str] = field(default_factory=dict)
    rules: dict[str, RecordedRules] = field(default_factory=dict)
    provider_only: dict[str, bool] = field(default_factory=dict)
    residencies: dict[str, str | None] = field(default_factory=dict)
    key_days: dict[str, list[tuple[datetime, int | None]]] = field(default_factory=dict)
    passwords_ended: dict[str, None] = field(default_factory=dict)
    workloads: dict[str, None] = field(default_factory=dict)
    passwords: dict[str, None] = field(default_factory=dict)
    passkeys: dict[str, None] = field(default_factory=dict)
    git: dict[str, None] = field(default_factory=dict)
    networks: dict[str, list[OwnedEntry]] = field(default_factory=dict)
    buried: list[OwnedEntry] = field(default_factory=list)
    snapshots: dict[str, tuple[int, int]] = field(default_factory=dict)
    ended: dict[str, None] = field(default_factory=dict)
    kept: dict[str, RecordedKeeping] = field(default_factory=dict)
    unkept: dict[str, datetime] = field(default_factory=dict)
    unkeeping: dict[str, bool] = field(default_factory=dict)
    document: str = ""
    own_policies: dict[str, RecordedOwnPolicy] = field(default_factory=dict)


def plan(entries: Iterable[Entry]) -> ReplayPlan:
    """What all of these entries, in order, ask to be done again.

    Raises:
        IntegrityError: code `schema`, a kind is not known here, and so can't be replayed.
    """
    made = ReplayPlan()
    for entry in entries:
        again = _DONE_AGAIN.get(entry.kind)
        if again is not None:
            again(made, entry)
        elif entry.kind not in _BY_TIME and entry.kind not in _NOTHING:
            raise IntegrityError(
                f"the log has entries of the kind {entry.kind}, which this version can't replay.",
                code="schema",
                hint="install the version of bailee that wrote them, or newer; nothing was "
                "restored",
            )
    return made


def replayed_kinds() -> frozenset[str]:
    """Every kind of entry that a restore knows what to do about."""
    return frozenset({*_DONE_AGAIN, *_BY_TIME, *_NOTHING})


def _into(name: str) -> Callable[[ReplayPlan, Entry], None]:
    """Note an entry's subject."""

    def note(made: ReplayPlan, entry: Entry) -> None:
        getattr(made, name)[entry.subject] = None

    return note


def _chosen(made: ReplayPlan, entry: Entry) -> None:
    record, purpose, old, new, actor = (
        str(entry.body[name]) for name in ("record", "purpose", "old", "new", "actor")
    )
    choice = RecordedChoice(record, entry.at, old, new, actor, entry.number)
    made.choices.setdefault((entry.subject, purpose), []).append(choice)


def _held(made: ReplayPlan, entry: Entry) -> None:
    made.holds[str(entry.body["hold"])] = (entry.subject, entry.at)


def _let_go(made: ReplayPlan, entry: Entry) -> None:
    name = str(entry.body["hold"])
    if made.holds.pop(name, None) is None:
        made.released[name] = None


def _role(made: ReplayPlan, entry: Entry) -> None:
    new = entry.body.get("new")
    made.roles[entry.subject, str(entry.body["person"])] = None if new is None else str(new)


def _provider_only(made: ReplayPlan, entry: Entry) -> None:
    made.provider_only[entry.subject] = bool(entry.body["only"])
    if entry.body["only"]:
        made.passwords_ended[entry.subject] = None


def _rules_set(made: ReplayPlan, entry: Entry) -> None:
    made.providers[entry.subject] = None
    claim = entry.body.get("claim")
    rules = made.rules.setdefault(entry.subject, RecordedRules())
    rules.claim = None if claim is None else str(claim)


def _rule_removed(made: ReplayPlan, entry: Entry) -> None:
    rules = made.rules.setdefault(entry.subject, RecordedRules())
    rules.removed.add(str(entry.body["rule"]))


def _rule_added(made: ReplayPlan, entry: Entry) -> None:
    rules = made.rules.setdefault(entry.subject, RecordedRules())
    rules.removed.discard(str(entry.body["rule"]))


def _key_days(made: ReplayPlan, entry: Entry) -> None:
    days = entry.body.get("days")
    demand = entry.at, None if days is None else int(str(days))
    made.key_days.setdefault(entry.subject, []).append(demand)


def _own_policy(made: ReplayPlan, entry: Entry) -> None:
    again, document, before = (entry.body.get(one) for one in ("again", "document", "before"))
    made.own_policies[entry.subject] = RecordedOwnPolicy(
        entry.number,
        entry.at,
        entry.kind,
        None if document is None else str(document),
        None if before is None else str(before),
        str(entry.body["by"]),
        None if again is None else str(again),
    )


def _group_lost(made: ReplayPlan, entry: Entry) -> None:
    made.groups[entry.subject, str(entry.body["person"])] = None


def _token_revoked(made: ReplayPlan, entry: Entry) -> None:
    made.tokens[str(entry.body["token"])] = None


def _group_changed(made: ReplayPlan, entry: Entry) -> None:
    made.provisioned[str(entry.body["group"])] = entry.subject


def _operator(made: ReplayPlan, entry: Entry) -> None:
    made.operators[entry.subject] = bool(entry.body["operator"])


def _trainer(made: ReplayPlan, entry: Entry) -> None:
    made.trainers[entry.subject] = bool(entry.body["trainer"])


def _auditor(made: ReplayPlan, entry: Entry) -> None:
    made.auditors[entry.subject] = bool(entry.body["auditor"])


def _request_due(made: ReplayPlan, entry: Entry) -> None:
    made.requests[entry.subject] = int(entry.body["due"] or 0)


def _request_answered(made: ReplayPlan, entry: Entry) -> None:
    made.requests.pop(entry.subject, None)


def _taken_over(made: ReplayPlan, entry: Entry) -> None:
    made.passwords[entry.subject] = made.passkeys[entry.subject] = None


def _routes(made: ReplayPlan, entry: Entry) -> None:
    made.routes[entry.subject] = bool(entry.body["allowed"])


def _limit(made: ReplayPlan, entry: Entry) -> None:
    mb = entry.body["mb"]
    made.limits[entry.subject] = None if mb is None else int(mb)


def _usage_limit(made: ReplayPlan, entry: Entry) -> None:
    scope, measure, span = (str(entry.body[name]) for name in ("scope", "measure", "span"))
    amount = entry.body.get("amount")
    subject = "" if scope == "everybody" else entry.subject
    limit = None if amount is None else int(amount)
    made.usage_limits[scope, subject, measure, span] = limit
    other = _POOLS.get(scope)
    if other is not None and limit is not None:  # it took the other's place
        made.usage_limits[other, subject, measure, span] = None


def _usage_models(made: ReplayPlan, entry: Entry) -> None:
    made.usage_models[str(entry.body["scope"]), entry.subject] = str(entry.body["models"] or "")


def _kept(made: ReplayPlan, entry: Entry) -> None:
    until = datetime.fromtimestamp(int(entry.body["until"] or 0), UTC)
    period, clause, document, by = (
        str(entry.body[name]) for name in ("period", "clause", "document", "by")
    )
    made.unkept.pop(entry.subject, None)
    made.kept[entry.subject] = RecordedKeeping(entry.at, until, period, clause, document, by)


def _no_longer_kept(made: ReplayPlan, entry: Entry) -> None:
    made.kept.pop(entry.subject, None)
    made.unkept[entry.subject] = entry.at


def _no_keeping(made: ReplayPlan, entry: Entry) -> None:
    made.unkeeping[entry.subject] = bool(entry.body["forbidden"])


def _residency(made: ReplayPlan, entry: Entry) -> None:
    region = entry.body.get("region")
    made.residencies[entry.subject] = None if region is None else str(region)


def _network(made: ReplayPlan, entry: Entry) -> None:
    made.networks.setdefault(entry.subject, []).append(_owned(entry, entry.subject))


def _buried(made: ReplayPlan, entry: Entry) -> None:
    made.buried.append(_owned(entry, str(entry.body["account"])))


def _owned(entry: Entry, account: str) -> OwnedEntry:
    again, verdict = entry.body.get("again"), str(entry.body.get("verdict"))
    text = None if again is None else str(again)
    return OwnedEntry(entry.kind, entry.subject, account, verdict, text)


def _document(made: ReplayPlan, entry: Entry) -> None:
    made.document = entry.subject


def _snapshot(made: ReplayPlan, entry: Entry) -> None:
    until, generation = entry.body["until"], entry.body["generation"]
    made.snapshots[entry.subject] = (int(until or 0), int(generation or 0))


def _snapshot_gone(made: ReplayPlan, entry: Entry) -> None:
    made.snapshots.pop(entry.subject, None)
    made.ended[entry.subject] = None


_DONE_AGAIN: Final[Mapping[str, Callable[[ReplayPlan, Entry], None]]] = {
    "erasure.requested": _into("sessions"),
    "report_withdrawal.requested": _into("reports"),
    "report_erasure.requested": _into("reports"),
    "cloud_erasure.requested": _into("cloud"),
    "person.erasure_requested": _into("people"),
    "person.erased": _into("people"),
    "key.revoked": _into("keys"),
    "consent.recorded": _chosen,
    "hold.requested": _held,
    "hold.void": _let_go,
    "hold.releasing": _let_go,
    "hold.released": _let_go,
    "member.role": _role,
    "member.removed": _role,
    "person.operator": _operator,
    "person.trainer": _trainer,
    "person.auditor": _auditor,
    "request.opened": _request_due,
    "request.extended": _request_due,
    "request.answered": _request_answered,
    "request.refused": _request_answered,
    "request.closed": _into("let_go"),
    "account.unrecorded_routes": _routes,
    "account.stored_limit": _limit,
    "account.no_keeping": _no_keeping,
    "account.residency": _residency,
    "session.kept": _kept,
    "session.released": _no_longer_kept,
    "usage.limit_set": _usage_limit,
    "usage.limit_removed": _usage_limit,
    "usage.models_set": _usage_models,
    "provider.bound": _into("providers"),
    "provider.groups_set": _rules_set,
    "provider.group_rule_removed": _rule_removed,
    "provider.group_rule_added": _rule_added,
    "organisation.provider_only": _provider_only,
    "organisation.key_days": _key_days,
    "organisation.policy_set": _own_policy,
    "organisation.policy_removed": _own_policy,
    "group.lost": _group_lost,
    "workload.removed": _into("workloads"),
    "provisioning.token_revoked": _token_revoked,
    "provisioning.group_set": _group_changed,
    "provisioning.group_removed": _group_changed,
    "person.password_set": _into("passwords"),
    "person.passkey_removed": _into("passkeys"),
    "person.taken_over": _taken_over,
    "git_connection.removed": _into("git"),
    "cloud_network.added": _network,
    "cloud_network.removed": _network,
    "session.buried": _buried,
    "policy.activated": _document,
    "backup.keys_taken": _snapshot,
    "backup.keys_gone": _snapshot_gone,
}

_RECEIPTS: Final = (
    *("erasure", "expiry", "held_expiry", "report_withdrawal", "report_erasure", "report_expiry"),
    *("cloud_erasure", "cloud_expiry"),
)
_STATES: Final = (
    *("requested", "inaccessible", "deferred", "key_destroyed", "backups_unrecoverable"),
    "reclaimed",
)

_BY_TIME: Final = frozenset(
    {
        *(f"{kind}.requested" for kind in ("expiry", "held_expiry", "report_expiry")),
        *("cloud_expiry.requested", "cloud.expired", "telemetry.expired"),
        *("vault.spool_expired", "vault.expired_unsealed", "request.expired"),
    }
)
"""Its time has come, and so has it in the restored home: the sweep does it before anything is
served."""

_NOTHING: Final = frozenset(
    {
        # steps of what is done again by its first
        *(f"{kind}.{state}" for kind in _RECEIPTS for state in _STATES[1:]),
        *("session.deletion_asked", "hold.placing_asked", "hold.release_asked", "hold.placed"),
        *("person.erasure_deferred", "person.erasure_done", "cloud.erased"),
        # what came into being since, and is not in the backup
        *("account.created", "key.created", "organisation.created", "person.created"),
        *("workload.added", "workload.exchanged", "group.gained"),
        # what a provider says of a person's place is done again with the place
        *("provisioning.token_made", "provisioning.person_set", "person.readdressed"),
        *("person.identity_bound", "person.passkey_added", "git_connection.added"),
        *("sign_in.begun", "report.received"),
        *("cloud.session_requested", "cloud.session_started", "cloud.session_ended", "cloud.git"),
        # every sign-in is ended by a restore
        *("sign_in.ended", "sign_in.client_begun", "sign_in.client_ended"),
        # what was seen, read, or went wrong
        *("access.read", "sessions.searched", "person.exported", "hold.read"),
        *("request.looked", "request.exported", "request.held", "request.erased"),
        *("vault.quarantined", "vault.kept_as_bytes", "vault.torn", "vault.damaged"),
        *("vault.unkept", "vault.closed_unsealed", "vault.spool_unopened"),
        *("home.salvaged", "home.restored", "home.verified"),
        *("keyring.damaged", "keyring.rotated"),
        *("keyring.rotation_asked", "keyring.moved", "egress.day"),
        *("remains.search_begun", "remains.searched"),
        *("retention.moved", "retention.key_damaged", "retention.move_failed"),
        *("retention.sweep_failed", "retention.sweep_recovered"),
        *("watch.late", "watch.restored", "watch.revived", "work.set_aside"),
        *("telemetry.torn", "telemetry.damaged", "telemetry.undelivered", "telemetry.refused"),
        "telemetry.alert_failed",
        *("clock.stepped", "clock.set_right", "clock.followed"),
        "backup.created",
        # its dataset names it, and this home says that it does not know it
        *("training.export_begun", "training.exported"),
        # how far somebody has come with a report or an error
        *("report.changed", "error_issue.changed"),
        # what was granted is a limit, which is done again
        *("usage.increase_asked", "usage.increase_decided"),
    }
)
"""An older home lacks it, and nothing is shown, kept or let in by that. `home.older_accepted` is in
no table: what it undid can't be told from what was decided."""
