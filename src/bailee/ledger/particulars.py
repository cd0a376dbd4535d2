"""What the particulars of each kind of entry are, and which of them are somebody's. Pure.

Rules kept here:

* A kind that is not in `KINDS`, or a particular that its kind does not declare, can't be appended.
  Whoever adds one decides here whether it is somebody's.
* What names a person, or leads to one outside of bailee, is `SEALED`: it is kept under the key of
  whoever the entry is about, and is unreadable from the moment that key is destroyed. So is every
  text that somebody wrote.
* What is somebody's and has to be done again by a restore (`AGAIN`) stands in the entry as
  ciphertext under their key, so that the log has it too. With the key it is gone from both.
* What is not sealed must look like what it is declared as. No address of a person is an id or a
  word of ours, so none gets into an entry by mistake.

A random id of ours names nobody by itself: `per_…`, `acc_…`, `key_…`. What it leads to is sealed
or erased elsewhere (decision 78).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import Final

from bailee.errors import BaileeError

Value = str | int | float | bool | None
Body = Mapping[str, Value]

LONGEST: Final = 300


class Form(Enum):
    """What a particular is."""

    ID = "id"  # a random id of ours, or `operator`, `provider`, `nobody` in the place of one
    WORD = "word"  # out of a vocabulary of the program's, the policy's or the registry's
    NUMBER = "number"  # a count, a size, a time, a truth value
    SETTING = "setting"  # text that the operator configured, of an organisation or a release
    SEALED = "sealed"  # names a person or leads to one, or was written by one
    AGAIN = "again"  # the same, and a restore needs it: the log has it, under their key
    WHOLE = "whole"  # a document of theirs, which a restore needs likewise


_ID, _WORD, _NUMBER = Form.ID, Form.WORD, Form.NUMBER
_SETTING, _SEALED, _AGAIN, _WHOLE = Form.SETTING, Form.SEALED, Form.AGAIN, Form.WHOLE
_FOR_A_RESTORE: Final = (Form.AGAIN, Form.WHOLE)

_SHAPES: Final[Mapping[Form, re.Pattern[str]]] = {
    Form.ID: re.compile(r"[A-Za-z0-9_:.\-]{0,100}|cloud session's end|server's end"),
    Form.WORD: re.compile(r"[A-Za-z0-9_:.+/ \-]{0,100}"),
    Form.SETTING: re.compile(r"[^\x00-\x1f\x7f]{0,300}"),
    Form.SEALED: re.compile(r".{0,300}", re.DOTALL),
    Form.AGAIN: re.compile(r".{0,300}", re.DOTALL),
    Form.WHOLE: re.compile(r".{0,16384}", re.DOTALL),
}
_SUBJECT: Final = re.compile(r"[A-Za-z0-9_:.~/ \-]{1,200}")

Declared = Mapping[str, Form]

_NOTHING: Final[Declared] = {}
_BY: Final[Declared] = {"by": _ID}
_PLACE: Final[Declared] = {"offset": _NUMBER, "length": _NUMBER}
_GIT: Final[Declared] = {"kind": _WORD, "place": _SEALED, "by": _ID}
_HOST: Final[Declared] = {"entry": _SEALED, "verdict": _WORD, "by": _ID, "again": _AGAIN}
_GROUP_RULE: Final[Declared] = {
    "rule": _ID, "group": _SETTING, "organisation": _ID, "role": _WORD, "team": _WORD, "by": _ID,
}  # fmt: skip
_GROUP_GRANT: Final[Declared] = {
    "person": _ID, "provider": _ID, "role": _WORD, "rule": _ID, "team": _WORD, "team_rule": _ID,
}  # fmt: skip
_HOLD: Final[Declared] = {"hold": _ID}
_HELD: Final[Declared] = {"data_class": _WORD, "clause": _WORD}
_ERASED: Final[Declared] = {
    "erasure": _ID, "sessions": _NUMBER, "reports": _NUMBER, "cloud_sessions": _NUMBER,
    "deferred": _NUMBER, "found": _NUMBER, "document": _ID,
}  # fmt: skip
CLOUD_COUNTS: Final = (
    *(f"egress_{n}" for n in ("connections", "allowed", "refused", "cut", "failed", "sent",
                              "received")),
    *(f"git_{n}" for n in ("operations", "refused", "rejected")),
)  # fmt: skip
"""What is counted of a cloud session's connections."""

_STATES: Final = (
    "requested", "inaccessible", "deferred", "key_destroyed", "backups_unrecoverable", "reclaimed",
)  # fmt: skip
_RECEIPTS: Final[Mapping[str, Declared]] = {
    f"{kind}.{state}": {
        "receipt": _ID, "data_class": _WORD, "by": _ID, **dict.fromkeys(_STATES, _WORD),
    }
    for kind in (
        "erasure", "expiry", "held_expiry",
        "report_withdrawal", "report_erasure", "report_expiry", "cloud_erasure", "cloud_expiry",
    )
    for state in _STATES
}  # fmt: skip

KINDS: Final[Mapping[str, Declared]] = {
    # accounts
    "account.created": {"plan": _WORD},
    "account.unrecorded_routes": {"allowed": _NUMBER, "by": _ID},
    "account.stored_limit": {"mb": _NUMBER, "by": _ID},
    "account.no_keeping": {"forbidden": _NUMBER, "by": _ID},
    "account.residency": {"region": _WORD, "by": _ID},
    "key.created": {
        "account": _ID, "zero_retention": _NUMBER, "scope": _WORD, "by": _ID,
        "run_only": _NUMBER, "cloud_session": _ID, "until": _WORD,
    },
    "key.revoked": _BY,
    "consent.recorded": {
        "record": _ID, "purpose": _WORD, "old": _WORD, "new": _WORD, "actor": _ID,
    },
    "organisation.created": _BY,
    "member.role": {"person": _ID, "old": _WORD, "new": _WORD, "by": _ID},
    "member.removed": {"person": _ID, "old": _WORD, "by": _ID, "keys": _NUMBER},
    "provider.bound": {"domain": _SETTING, "issuer": _SETTING, "by": _ID},
    # what groups of a provider give: the rules, and what they gave or took, by their ids
    "organisation.provider_only": {"only": _NUMBER, "people": _NUMBER, "by": _ID},
    "organisation.key_days": {"days": _NUMBER, "keys": _NUMBER, "by": _ID},
    # a document of an organisation's own (SHA-256), which has its text for a restore
    "organisation.policy_set": {
        "document": _ID, "before": _ID, "by": _ID, "reason": _SEALED, "sessions": _NUMBER,
        "again": _WHOLE,
    },
    "organisation.policy_removed": {
        "before": _ID, "by": _ID, "reason": _SEALED, "sessions": _NUMBER,
    },
    "provider.groups_set": {"claim": _SETTING, "rules": _NUMBER, "by": _ID},
    "provider.group_rule_added": _GROUP_RULE,
    "provider.group_rule_removed": _GROUP_RULE,
    "group.gained": _GROUP_GRANT,
    "group.lost": _GROUP_GRANT,
    "person.created": {"by": _ID, "operator": _NUMBER},
    "person.operator": {"operator": _NUMBER, "by": _ID},
    "person.trainer": {"trainer": _NUMBER, "by": _ID},
    "person.auditor": {"auditor": _NUMBER, "by": _ID},
    "person.erased": _BY,
    "person.passkey_added": _BY,
    "person.passkey_removed": _BY,
    "person.password_set": _BY,
    "person.identity_bound": {"organisation": _ID},
    "person.taken_over": _NOTHING,
    "sign_in.begun": {"session": _ID},
    "sign_in.ended": {"session": _ID},
    # a client, by the key as which it is known
    "sign_in.client_begun": {"key": _ID, "account": _ID, "provider": _NUMBER},
    "sign_in.client_ended": {"key": _ID, "why": _WORD, "by": _ID},
    # service accounts of machines, and the tokens that were given to them
    "workload.added": {
        "organisation": _ID, "key": _ID, "issuer": _SETTING, "audience": _SETTING,
        "claims": _SETTING, "by": _ID,
    },
    "workload.removed": {"key": _ID, "by": _ID},
    "workload.exchanged": {"key": _ID},
    # what an organisation's provider makes known (SCIM), and by which of its tokens
    "provisioning.token_made": {"token": _ID, "by": _ID},
    "provisioning.token_revoked": {"token": _ID, "by": _ID},
    "provisioning.person_set": {"person": _ID, "known": _NUMBER, "active": _NUMBER, "by": _ID},
    "provisioning.group_set": {"group": _ID, "members": _NUMBER, "by": _ID},
    "provisioning.group_removed": {"group": _ID, "by": _ID},
    "person.readdressed": _BY,
    "access.read": {"by": _ID, "reason": _SEALED},
    # of an account by somebody else; the words are nowhere
    "sessions.searched": {"by": _ID, "reason": _SEALED},
    "remains.search_begun": {"by": _ID, "reason": _SEALED, "folders": _NUMBER},
    "remains.searched": {"by": _ID, "found": _NUMBER, "document": _ID},
    # a person's data as a whole
    "person.exported": _BY,
    "person.erasure_requested": {"erasure": _ID, "by": _ID},
    "person.erasure_deferred": _ERASED,
    "person.erasure_done": _ERASED,
    # a person's request about their own data, by its reference; what was written is under its key
    "request.opened": {"what": _WORD, "due": _NUMBER, "by": _ID},
    "request.extended": {"due": _NUMBER, "reason": _SEALED, "by": _ID},
    "request.looked": {"things": _NUMBER, "by": _ID},
    "request.exported": _BY,
    "request.erased": {"erasure": _ID, "by": _ID},
    "request.held": {"hold": _ID, "by": _ID},
    "request.answered": {"late": _NUMBER, "by": _ID},
    "request.refused": {"late": _NUMBER, "reason": _SEALED, "by": _ID},
    "request.closed": _BY,
    "request.expired": _BY,
    # the vault and the keyring
    **_RECEIPTS,
    "vault.quarantined": {**_PLACE, "error": _WORD},
    "vault.kept_as_bytes": {**_PLACE, "why": _WORD},
    "vault.torn": _PLACE,
    "vault.damaged": _PLACE,
    "vault.expired_unsealed": {"exchanges": _NUMBER},
    "vault.unkept": {"exchanges": _NUMBER, "clause": _WORD},
    "vault.closed_unsealed": _NOTHING,
    "vault.spool_expired": _NOTHING,
    "home.older_accepted": {"newest": _NUMBER, "reason": _SEALED},
    "home.verified": {"damaged": _NUMBER},
    "home.salvaged": {"rows": _NUMBER, "reason": _SEALED},
    "keyring.damaged": {"key": _WORD},
    "vault.spool_unopened": {"bytes": _NUMBER, "sealed": _NUMBER},
    "keyring.moved": {"driver": _WORD, "reason": _SEALED},
    "keyring.rotation_asked": {"reason": _SEALED},
    "keyring.rotated": {"replaced": _NUMBER, "rewrapped": _NUMBER, "behind": _NUMBER},
    # backups: data by its manifest's SHA-256; a snapshot of keys by when it has to be gone
    "backup.created": {"manifest": _WORD, "files": _NUMBER, "bytes": _NUMBER, "by": _ID},
    "backup.keys_taken": {"until": _NUMBER, "generation": _NUMBER},
    "backup.keys_gone": {"by": _ID, "said": _NUMBER},
    "home.restored": {"since": _NUMBER, "entries": _NUMBER, "undone": _NUMBER},
    "session.deletion_asked": _BY,
    # kept beyond its time by its person: until when (Unix seconds), by which clause of what
    "session.kept": {
        "until": _NUMBER, "period": _WORD, "clause": _WORD, "document": _ID, "by": _ID,
    },
    "session.released": _BY,
    # by which digests is told what goes on with a deleted session
    "session.buried": {"account": _ID, "again": _AGAIN},
    "hold.placing_asked": _BY,
    "hold.release_asked": _BY,
    "hold.read": {"hold": _ID, "by": _ID},
    "hold.requested": _HOLD,
    "hold.placed": _HOLD,
    "hold.void": _HOLD,
    "hold.releasing": _HOLD,
    "hold.released": _HOLD,
    "retention.moved": {"seen": _NUMBER, "moved": _NUMBER},
    "retention.key_damaged": _NOTHING,
    "retention.move_failed": {"error": _WORD},
    "retention.sweep_failed": {"error": _WORD},
    "retention.sweep_recovered": {"failures": _NUMBER},
    "watch.late": {"bound": _NUMBER},
    "watch.restored": _NOTHING,
    "watch.revived": _NOTHING,
    "work.set_aside": {"as": _SETTING},
    # training exports, by their id; a manifest by its SHA-256
    "training.export_begun": {"by": _ID, "reason": _SEALED, "format": _WORD, "policy": _ID},
    "training.exported": {
        "by": _ID, "document": _ID, "policy": _ID, "sessions": _NUMBER, "rows": _NUMBER,
    },
    # feedback and telemetry
    "report.received": {"clause": _WORD, "for": _WORD},
    "report.changed": {"state": _WORD, "by": _ID, "issue": _SEALED},
    "telemetry.torn": _PLACE,
    "telemetry.damaged": _PLACE,
    "telemetry.expired": {"files": _NUMBER},
    "telemetry.undelivered": {"files": _NUMBER},
    "telemetry.refused": {"status": _NUMBER, "rows": _NUMBER},
    "telemetry.alert_failed": _NOTHING,
    "error_issue.changed": {"state": _WORD, "resolved_in": _SETTING, "by": _ID},
    # cloud sessions. A commit's hash leads to whoever wrote it, wherever it was published.
    "git_connection.added": _GIT,
    "git_connection.removed": _GIT,
    "cloud_network.added": _HOST,
    "cloud_network.removed": _HOST,
    "cloud.session_requested": {
        "account": _ID, "by": _ID, "agent": _WORD, "network": _WORD, "zero_retention": _NUMBER,
    },
    "cloud.session_started": {"account": _ID, "by": _ID, "security": _WORD},
    "cloud.session_ended": {
        "account": _ID, "reason": _WORD, "problem": _WORD, "seconds": _NUMBER,
        **dict.fromkeys(CLOUD_COUNTS, _NUMBER),
    },
    "cloud.git": {
        "operation": _WORD, "outcome": _WORD, "rule": _WORD, "old": _SEALED, "new": _SEALED,
        "sent": _NUMBER, "received": _NUMBER,
    },
    "cloud.expired": _HELD,
    "cloud.erased": _HELD,
    "egress.day": {
        **{f"{channel}_{what}": _NUMBER
           for channel in ("api", "bedrock", "vertex", "openai", "google", "azure", "foundry")
           for what in ("exchanges", "sent", "received")},
        "telemetry_exchanges": _NUMBER, "telemetry_sent": _NUMBER,
        "cloud_sessions": _NUMBER, **dict.fromkeys(CLOUD_COUNTS, _NUMBER),
    },
    # the machine's clock
    "clock.stepped": {"seconds": _NUMBER},
    "clock.set_right": {"seconds": _NUMBER},
    "clock.followed": {"seconds": _NUMBER, "why": _WORD},
    # limits on what is used, by whose they are: an id, a plan's name, or `all`
    "usage.limit_set": {
        "scope": _WORD, "measure": _WORD, "span": _WORD, "amount": _NUMBER, "by": _ID,
    },
    "usage.limit_removed": {"scope": _WORD, "measure": _WORD, "span": _WORD, "by": _ID},
    "usage.models_set": {"scope": _WORD, "models": _SETTING, "by": _ID},
    # what a member asks for beyond their limit, by organisation and person
    "usage.increase_asked": {"request": _ID, "span": _WORD, "amount": _NUMBER, "by": _ID},
    "usage.increase_decided": {
        "request": _ID, "state": _WORD, "span": _WORD, "amount": _NUMBER, "by": _ID,
    },
    # the policy
    "policy.activated": {
        "version": _WORD, "before": _ID, "by": _ID, "reason": _SEALED,
        "sessions": _NUMBER, "accounts": _NUMBER, "told": _NUMBER,
    },
}  # fmt: skip


def sealed_names(kind: str) -> tuple[str, ...]:
    """The particulars of a kind that are somebody's."""
    return tuple(n for n, form in KINDS.get(kind, _NOTHING).items() if form is Form.SEALED)


def again_names(kind: str) -> tuple[str, ...]:
    """The particulars of a kind that are somebody's, and that a restore needs."""
    return tuple(n for n, form in KINDS.get(kind, _NOTHING).items() if form in _FOR_A_RESTORE)


SEALED_KINDS: Final = tuple(kind for kind in KINDS if sealed_names(kind))
"""The kinds that have such particulars."""


def divide(kind: str, subject: str, body: Body) -> tuple[dict[str, Value], dict[str, str]]:
    """The particulars as anyone may see them, and those that are to be sealed, which stand in the
    first as None.

    Raises:
        BaileeError: code `internal`: the kind or a particular is not declared, or does not look
            like what it is declared as. The message repeats no value.
    """
    declared = KINDS.get(kind)
    if declared is None:
        raise _undeclared(f"the audit record knows no kind {kind!r}.")
    if _SUBJECT.fullmatch(subject) is None:
        raise _undeclared(f"the subject of {kind} is no id.")
    plain: dict[str, Value] = {}
    hidden: dict[str, str] = {}
    for name, value in body.items():
        form = declared.get(name)
        if form is None:
            raise _undeclared(f"{kind} declares no particular {name!r}.")
        if not _fits(form, value):
            raise _undeclared(f"the particular {name!r} of {kind} is no {form.value}.")
        if form in (Form.SEALED, *_FOR_A_RESTORE) and value:
            hidden[name] = str(value)
            plain[name] = None
        else:
            plain[name] = value
    return plain, hidden


def _fits(form: Form, value: object) -> bool:
    if value is None:
        return True
    if form is Form.NUMBER:
        return isinstance(value, int | float)
    return isinstance(value, str) and _SHAPES[form].fullmatch(value) is not None


def _undeclared(message: str) -> BaileeError:
    return BaileeError(message, hint="declare it in bailee.ledger.particulars, if it belongs there")
