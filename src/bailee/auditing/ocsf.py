"""What each kind of entry is in OCSF. Pure.

An entry becomes an event of one class: who signs in, what changes of an account, what is destroyed.
What OCSF has no attribute for stands in `unmapped`, by its name in the record. The log's place is
`metadata.sequence`, and `metadata.uid` is the same each time that an event is delivered.

Standard: OCSF 1.8.0 (schema.ocsf.io), its core without extensions or profiles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from bailee import __version__
from bailee.auditing.entry import UNREADABLE, StreamedEntry
from bailee.json_values import JsonObject
from bailee.ledger.particulars import KINDS

VERSION: Final = "1.8.0"
_NAME: Final = "bailee"


class EventClass(IntEnum):
    """Classes of OCSF, by their number; the first digit is the category's."""

    ACCOUNT_CHANGE = 3001
    AUTHENTICATION = 3002
    ENTITY_MANAGEMENT = 3004
    APPLICATION_LIFECYCLE = 6002
    API_ACTIVITY = 6003
    DATASTORE_ACTIVITY = 6005
    APPLICATION_ERROR = 6008


class Severity(IntEnum):
    """How grave an event is by itself."""

    INFORMATIONAL = 1
    MEDIUM = 3
    HIGH = 4


@dataclass(frozen=True, slots=True)
class Mapped:
    """A kind's class, activity and severity."""

    event_class: EventClass
    activity: int
    severity: Severity = Severity.INFORMATIONAL


_OTHER: Final = 99


def _account(activity: int, severity: Severity = Severity.INFORMATIONAL) -> Mapped:
    return Mapped(EventClass.ACCOUNT_CHANGE, activity, severity)


def _entity(activity: int, severity: Severity = Severity.INFORMATIONAL) -> Mapped:
    return Mapped(EventClass.ENTITY_MANAGEMENT, activity, severity)


def _store(activity: int, severity: Severity = Severity.INFORMATIONAL) -> Mapped:
    return Mapped(EventClass.DATASTORE_ACTIVITY, activity, severity)


_CREATED, _READ, _UPDATED, _DELETED = _entity(1), _entity(2), _entity(3), _entity(4)
_ACTIVATED: Final = _entity(10)
_LOGON: Final = Mapped(EventClass.AUTHENTICATION, 1)
_LOGOFF: Final = Mapped(EventClass.AUTHENTICATION, 2)
_TICKET: Final = Mapped(EventClass.AUTHENTICATION, 3)
_CALLED: Final = Mapped(EventClass.API_ACTIVITY, _OTHER)
_CALLED_READ: Final = Mapped(EventClass.API_ACTIVITY, 2)
_LIFE: Final = Mapped(EventClass.APPLICATION_LIFECYCLE, _OTHER)
_FAULT: Final = Mapped(EventClass.APPLICATION_ERROR, 1, Severity.MEDIUM)
_GRAVE: Final = Mapped(EventClass.APPLICATION_ERROR, 1, Severity.HIGH)
_STORED, _STORE_READ, _STORE_CHANGED, _DESTROYED = _store(6), _store(1), _store(2), _store(7)
_STORE_OTHER: Final = _store(_OTHER)
_BY_AREA: Final[Mapping[str, Mapped]] = {
    "erasure": _DESTROYED, "expiry": _DESTROYED, "held_expiry": _DESTROYED,
    "report_withdrawal": _DESTROYED, "report_erasure": _DESTROYED, "report_expiry": _DESTROYED,
    "cloud_erasure": _DESTROYED, "cloud_expiry": _DESTROYED,
}  # fmt: skip
"""Of receipts, whatever their state."""
MAPPED: Final[Mapping[str, Mapped]] = {
    **{kind: _BY_AREA[area] for kind in KINDS if (area := kind.partition(".")[0]) in _BY_AREA},
    # accounts, keys, organisations
    "account.created": _CREATED, "account.unrecorded_routes": _UPDATED,
    "account.stored_limit": _UPDATED, "account.no_keeping": _UPDATED,
    "account.residency": _UPDATED, "key.created": _CREATED, "key.revoked": _DELETED,
    "consent.recorded": _UPDATED, "organisation.created": _CREATED, "member.role": _UPDATED,
    "member.removed": _UPDATED, "provider.bound": _UPDATED, "organisation.provider_only": _UPDATED,
    "organisation.key_days": _UPDATED, "provider.groups_set": _UPDATED,
    "organisation.policy_set": _UPDATED, "organisation.policy_removed": _UPDATED,
    "provider.group_rule_added": _UPDATED, "provider.group_rule_removed": _UPDATED,
    "group.gained": _UPDATED, "group.lost": _UPDATED,
    # people
    "person.created": _account(1), "person.operator": _account(_OTHER, Severity.MEDIUM),
    "person.trainer": _account(_OTHER), "person.auditor": _account(_OTHER, Severity.MEDIUM),
    "person.erased": _account(6),
    "person.passkey_added": _account(10), "person.passkey_removed": _account(11),
    "person.password_set": _account(3), "person.identity_bound": _account(_OTHER),
    "person.taken_over": _account(_OTHER, Severity.MEDIUM),
    "person.erasure_requested": _account(_OTHER), "person.erasure_deferred": _account(_OTHER),
    "person.erasure_done": _account(_OTHER), "person.exported": _STORE_READ,
    "sign_in.begun": _LOGON, "sign_in.ended": _LOGOFF, "sign_in.client_begun": _LOGON,
    "sign_in.client_ended": _LOGOFF, "workload.exchanged": _TICKET,
    "workload.added": _CREATED, "workload.removed": _DELETED,
    "provisioning.token_made": _CREATED, "provisioning.token_revoked": _DELETED,
    "provisioning.person_set": _account(_OTHER), "person.readdressed": _account(_OTHER),
    "provisioning.group_set": _UPDATED, "provisioning.group_removed": _DELETED,
    # what somebody looked at
    "access.read": Mapped(EventClass.API_ACTIVITY, 2, Severity.MEDIUM),
    "sessions.searched": Mapped(EventClass.API_ACTIVITY, 2, Severity.MEDIUM),
    "remains.search_begun": _CALLED_READ, "remains.searched": _CALLED_READ, "hold.read": _READ,
    # people's requests about their own data
    "request.opened": _CREATED, "request.extended": _UPDATED, "request.looked": _CALLED_READ,
    "request.exported": _STORE_READ, "request.held": _UPDATED, "request.erased": _UPDATED,
    "request.answered": _UPDATED, "request.refused": _UPDATED, "request.closed": _DELETED,
    "request.expired": _DESTROYED,
    # what is kept and destroyed
    "vault.quarantined": _FAULT, "vault.kept_as_bytes": _FAULT, "vault.torn": _FAULT,
    "vault.damaged": _GRAVE, "vault.expired_unsealed": _DESTROYED, "vault.unkept": _STORE_OTHER,
    "vault.closed_unsealed": _FAULT, "vault.spool_expired": _DESTROYED,
    "vault.spool_unopened": _FAULT, "home.older_accepted": _store(_OTHER, Severity.HIGH),
    "home.verified": Mapped(EventClass.APPLICATION_LIFECYCLE, _OTHER), "home.salvaged": _GRAVE,
    "home.restored": _store(_OTHER, Severity.HIGH), "keyring.damaged": _GRAVE,
    "keyring.moved": _store(_OTHER, Severity.MEDIUM), "keyring.rotation_asked": _STORE_OTHER,
    "keyring.rotated": _STORE_CHANGED, "backup.created": _STORE_READ,
    "backup.keys_taken": _store(1, Severity.MEDIUM), "backup.keys_gone": _DESTROYED,
    "session.deletion_asked": _DESTROYED, "session.kept": _STORE_CHANGED,
    "session.released": _STORE_CHANGED, "session.buried": _STORE_OTHER,
    "hold.placing_asked": _UPDATED, "hold.release_asked": _UPDATED, "hold.requested": _CREATED,
    "hold.placed": _ACTIVATED, "hold.void": _DELETED, "hold.releasing": _UPDATED,
    "hold.released": _DELETED, "retention.moved": _STORE_CHANGED,
    "retention.key_damaged": _GRAVE, "retention.move_failed": _FAULT,
    "retention.sweep_failed": _FAULT, "retention.sweep_recovered": _LIFE,
    "training.export_begun": _STORE_READ, "training.exported": _STORE_READ,
    # the server, its clock, and what it owes
    "watch.late": _GRAVE, "watch.restored": _LIFE, "watch.revived": _FAULT,
    "work.set_aside": _FAULT, "clock.stepped": _FAULT, "clock.set_right": _LIFE,
    "clock.followed": _LIFE, "egress.day": _STORE_OTHER,
    # feedback, telemetry
    "report.received": _STORED, "report.changed": _STORE_CHANGED, "telemetry.torn": _FAULT,
    "telemetry.damaged": _FAULT, "telemetry.expired": _DESTROYED,
    "telemetry.undelivered": _FAULT, "telemetry.refused": _FAULT,
    "telemetry.alert_failed": _FAULT, "error_issue.changed": _STORE_CHANGED,
    # cloud sessions
    "git_connection.added": _CREATED, "git_connection.removed": _DELETED,
    "cloud_network.added": _CREATED, "cloud_network.removed": _DELETED,
    "cloud.session_requested": _CREATED, "cloud.session_started": _ACTIVATED,
    "cloud.session_ended": _entity(11), "cloud.git": _CALLED, "cloud.expired": _DESTROYED,
    "cloud.erased": _DESTROYED,
    # limits and the policy
    "usage.limit_set": _UPDATED, "usage.limit_removed": _UPDATED, "usage.models_set": _UPDATED,
    "usage.increase_asked": _CREATED, "usage.increase_decided": _UPDATED,
    "policy.activated": _entity(10, Severity.MEDIUM),
    UNREADABLE: _GRAVE,
}  # fmt: skip
"""Every kind of the audit record."""


def event(entry: StreamedEntry, log: str) -> JsonObject:
    """An entry as an event. `log`: the log's name, by which entries of two are told apart."""
    mapped = MAPPED[entry.kind]
    of = mapped.event_class
    by = entry.body.get("by")
    said: JsonObject = {
        "activity_id": mapped.activity,
        "category_uid": of // 1000,
        "class_uid": int(of),
        "type_uid": of * 100 + mapped.activity,
        "severity_id": int(mapped.severity),
        "time": int(entry.at.timestamp() * 1000),
        "metadata": {
            "version": VERSION,
            "product": {"name": _NAME, "vendor_name": _NAME, "version": __version__},
            "uid": f"{log}/{entry.leaf}",
            "sequence": entry.leaf,
            "event_code": entry.kind,
            "log_name": log,
            "original_event_uid": str(entry.number),
        },
        "unmapped": {
            "subject": entry.subject,
            **entry.body,
            **({"sealed": list(entry.sealed)} if entry.sealed else {}),
        },
    }
    if mapped.activity == _OTHER:
        said["activity_name"] = entry.kind
    actor: JsonObject = {"user": {"uid": by}} if isinstance(by, str) and by else {"app_name": _NAME}
    if of is not EventClass.APPLICATION_ERROR and of is not EventClass.APPLICATION_LIFECYCLE:
        said["actor"] = actor
    return said | _of_class(entry, of)


def _of_class(entry: StreamedEntry, of: EventClass) -> JsonObject:
    subject = entry.subject or "none"
    if of is EventClass.ENTITY_MANAGEMENT:
        return {"entity": {"uid": subject, "type": entry.kind.partition(".")[0]}}
    if of is EventClass.ACCOUNT_CHANGE:
        return {"user": {"uid": subject}}
    if of is EventClass.AUTHENTICATION:
        return {"user": {"uid": subject}, "service": {"name": _NAME}}
    if of is EventClass.APPLICATION_LIFECYCLE:
        return {"app": {"name": _NAME, "version": __version__}}
    if of is EventClass.API_ACTIVITY:
        return {"api": {"operation": entry.kind}, "src_endpoint": {"name": _NAME}}
    if of is EventClass.DATASTORE_ACTIVITY:
        return {"database": {"name": _NAME, "type_id": 99}, "src_endpoint": {"name": _NAME}}
    return {}
