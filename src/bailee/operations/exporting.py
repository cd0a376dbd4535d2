"""Everything that is held about someone, as one archive: JSON Lines for programs, pages for people.

Rules kept here:

* What is of the person's own account is there with its content. What they did in an organisation
  is the organisation's: there it is named and counted, and nothing more.
* No secret is in it: of keys and passwords it says that there are any, and when.
* One session or report that can't be read does not spoil the rest: it is there with what is wrong
  with it. A report is its sender's, through whichever account they sent it.
* The export is put on record before anything is read.

Rows: R6.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from bailee import json_lines
from bailee.accounts import Actor
from bailee.accounts.roles import Permission
from bailee.errors import BaileeError
from bailee.feedback.reports import Report
from bailee.json_values import objects, text
from bailee.node import subjects
from bailee.node.subjects import DataSubject
from bailee.operations import (
    choices,
    cloud,
    cloud_git,
    cloud_network,
    codec,
    feedback,
    increases,
    organisations,
    people,
    readable,
    training,
)
from bailee.operations.archive import archive
from bailee.operations.key_terms import key_of
from bailee.operations.receipts import receipt
from bailee.operations.sessions import (
    SessionAbout,
    SessionSummary,
    held_and_kept,
    session,
    unkept_of,
)
from bailee.usage.counts import UsageOf
from bailee.vault.exporting import as_lines
from bailee.vault.session_words import Telling
from bailee.vault.transcript import SessionRow

if TYPE_CHECKING:
    from bailee.node.node import Node

Progress = Callable[[int, int], None]
"""Told how many sessions of how many are done."""

_SESSIONS = "sessions"
_CLOUD = "cloud-sessions"
_REPORTS = "reports"
_MONTH, _MONTHS = timedelta(days=30), 14
_LATE = """\
Some of the latest exchanges were still being filed when this was made, and are not in here.
Export again in a few minutes to have them too.
"""


def export(
    node: Node, named: str, now: datetime, *, by: Actor, progress: Progress = lambda _n, _of: None
) -> Iterator[bytes]:
    """A ZIP archive of all that is held about a person (id or email), or about whoever holds the
    key of an account (its id).

    Raises:
        InputError: `not_found` or `forbidden`, before the first byte.
        StorageError: a store can't be read.
    """
    subject = subjects.find(node.registry.people, node.accounts, named)
    if subject.person is not None:
        node.registry.authority.require_for_person(
            by, Permission.PERSON_READ, subject.person.person_id
        )
    else:
        node.registry.authority.require(by, Permission.ACCOUNT_EXPORT, subject.account)
    node.ledger.append("person.exported", subject.id, {"by": by.name})
    if subject.account is not None:
        node.vault.settle(subject.account.account_id)
    return archive(_files(node, subject, now, progress), now)


def _files(
    node: Node, subject: DataSubject, now: datetime, progress: Progress
) -> Iterator[tuple[str, Iterable[bytes]]]:
    own = subject.account
    unfiled = None if own is None else node.vault.unfiled(own.account_id)  # before what is read
    rows = [] if own is None else node.vault.owned(own.account_id)
    tables = _tables(node, subject, rows, now)
    yield "index.html", [readable.page(subject.id, now.isoformat(), tables)]
    if unfiled:
        yield "not-in-here-yet.txt", [_LATE.encode()]
    for name, table in tables.items():
        yield f"{name}.jsonl", map(json_lines.line, table)
    for report in node.reports.of(subject.whose, now):
        yield _report(node, report)
    living = [row for row in rows if row.expires_at > now]
    for number, row in enumerate(living):
        yield from _session(node, row, now)
        progress(number + 1, len(living))
    for entry in tables[_CLOUD]:
        pieces = [
            {"data_class": held["data_class"], "piece": piece}
            for held in objects(entry["kept"])
            for piece in node.cloud.read(str(entry["session"]), text(held["data_class"]), now)
        ]
        if pieces:
            yield f"{_CLOUD}/{entry['session']}.jsonl", [json_lines.line(piece) for piece in pieces]


def _session(node: Node, row: SessionRow, now: datetime) -> Iterator[tuple[str, Iterable[bytes]]]:
    name = f"{_SESSIONS}/{row.id}"
    try:
        shown = node.vault.show(row.id, now)
    except BaileeError as error:  # it may also have come to its end a moment ago
        yield f"{name}.problem.txt", [_problem(error)]
        return
    # One line at a time: together the lines grow with the square of the session.
    yield f"{name}.jsonl", as_lines(shown.session, shown.exchanges, branches=shown.branches)
    pieces = readable.transcript(row.id, shown)
    yield f"{name}.md", (piece.encode("utf-8", "backslashreplace") for piece in pieces)


def _problem(error: BaileeError) -> bytes:
    return f"{error.code}: {error.message}\n".encode()


def _report(node: Node, report: Report) -> tuple[str, Iterable[bytes]]:
    name = f"{_REPORTS}/{report.id}"
    try:
        content = node.reports.open(report)
    except BaileeError as error:
        return f"{name}.problem.txt", [f"{error.code}: {error.message}\n".encode()]
    return f"{name}.json", [json.dumps(content, indent=1).encode() + b"\n"]


def _tables(
    node: Node, subject: DataSubject, rows: list[SessionRow], now: datetime
) -> dict[str, list[dict[str, object]]]:
    person, own = subject.person, subject.account
    keys = subjects.keys_of(node.accounts, subject)
    held, kept = held_and_kept(node, rows)
    told = node.vault.indexing.tellings([row.id for row in rows if row.expires_at > now])
    tables: dict[str, list[dict[str, object]]] = {
        "profile": [_profile(subject)],
        "accounts": [] if own is None else [_row(choices.training_of(node, own), name=own.name)],
        "keys": [_row(key_of(node.policy_of(account), key, account)) for key, account in keys],
        "organisations": [],
        "passkeys": [],
        "signed-in": [],
        "saved-views": [],
        "consent": [],
        "training-exports": [],
        "git-connections": [],
        "network-lists": [],
        _SESSIONS: [
            _session_entry(
                session(node, row, row.id in held, kept.get(row.id), now), told.get(row.id), now
            )
            for row in rows
        ],
        _CLOUD: [] if own is None else _cloud_entries(node, own.account_id, now),
        "sessions-of-organisations": _elsewhere(node, subject, now),
        _REPORTS: [
            _row(feedback.shown(report), content=f"{_REPORTS}/{report.id}.json")
            for report in node.reports.of(subject.whose, now)
        ],
        "not-kept": []
        if own is None
        else [_row(unkept_of(one)) for one in node.vault.unkept(own.account_id)],
        "usage": _used(node, subject, now),
        "requests-for-more": [],
        "receipts": _receipts(node, subject, rows),
    }
    if person is not None:
        tables["organisations"] = [
            _row(
                organisations.membership_of(one),
                name=node.registry.organisations.get(one.organisation_id).name,
            )
            for one in node.registry.organisations.of_person(person.person_id)
        ]
        tables["passkeys"] = [
            {
                "passkey": one.passkey_id,
                "name": one.name,
                "created": one.created_at.isoformat(),
                "last_used": one.last_used_at and one.last_used_at.isoformat(),
            }
            for one in node.registry.passkeys.of_person(person.person_id)
        ]
        tables["signed-in"] = [
            _row(people.web_session_of(one))
            for one in node.registry.web_sessions.of_person(person.person_id)
        ]
        tables["saved-views"] = [
            {
                "view": one.view_id,
                "list": one.list_,
                "name": one.name,
                "asked": dict(one.asked),
                "created": one.created_at.isoformat(),
            }
            for one in node.registry.saved_views.of(person.person_id)
        ]
        tables["requests-for-more"] = [
            _row(increases.summary(node, one))
            for one in node.increases.of_person(person.person_id, now)
        ]
    if own is not None:
        tables["consent"] = [
            _row(choices.consent_of(record))
            for record in node.accounts.consent_records(own.account_id)
        ]
        tables["training-exports"] = [
            _row(one) for one in training.exports_of(node, own.account_id)
        ]
        tables["git-connections"] = [
            _row(cloud_git.shown(one)) for one in node.git_connections.all(own.account_id)
        ]
        tables["network-lists"] = [
            _row(cloud_network.shown(one)) for one in node.network_lists.all(own.account_id)
        ]
    about = [row.id for row in rows]
    about += [str(report["id"]) for report in tables[_REPORTS]]
    about += [str(receipt["subject"]) for receipt in tables["receipts"] if "subject" in receipt]
    entries = subjects.entries(node.ledger, node.accounts, subject, about)
    tables["audit"] = [_row(leaf) for leaf in entries]
    return tables


def _used(node: Node, subject: DataSubject, now: datetime) -> list[dict[str, object]]:
    """What they used of models, by the day: through whichever account, if they are a person."""
    by = ("day", "organisation", "key", "client", "model", "channel")
    whose = (
        UsageOf(person=subject.id) if subject.person is not None else UsageOf(account=subject.id)
    )
    found: list[dict[str, object]] = []
    for number in range(_MONTHS, 0, -1):
        since, until = now - number * _MONTH, now - (number - 1) * _MONTH
        try:
            rows = node.usage.of(whose, since, until, by, now)
        except BaileeError as error:
            found.append({"problem": f"{error.code}: {error.message}"})
            continue
        found += [{**row.group, **_row(row, group=None)} for row in rows]
    return found


def _profile(subject: DataSubject) -> dict[str, object]:
    person = subject.person
    if person is None:
        return {"account": subject.id, "person": None}
    return {
        "person": person.person_id,
        "email": person.email,
        "has_password": person.has_password,
        "operator": person.operator,
        "created": person.created_at.isoformat(),
        "erased": person.erased_at and person.erased_at.isoformat(),
    }


def _session_entry(known: SessionSummary, told: Telling | None, now: datetime) -> dict[str, object]:
    if known.kept_until > now:
        if told is not None:
            known = replace(known, about=SessionAbout(told.title, told.client, told.folder))
        return _row(known, transcript=f"{_SESSIONS}/{known.id}.md")
    why = "held, and readable by nobody" if known.held else "past its time, about to be destroyed"
    return _row(known, transcript=None, why=why)


def _cloud_entries(node: Node, owner: str, now: datetime) -> list[dict[str, object]]:
    return [
        _row(cloud.shown(record), kept=cloud.kept(node, record, now))
        for record in node.cloud.records.all(owner)
    ]


def _elsewhere(node: Node, subject: DataSubject, now: datetime) -> list[dict[str, object]]:
    return [
        {
            "session": row.id,
            "account": row.owner,
            "key": row.key_id,
            "started": row.started.isoformat(),
            "last_activity": row.last_activity.isoformat(),
            "exchanges": row.exchanges,
            "why": "the organisation's; ask it",
        }
        for row in subjects.sessions_elsewhere(node.accounts, node.vault, subject, now)
    ]


def _receipts(node: Node, subject: DataSubject, rows: list[SessionRow]) -> list[dict[str, object]]:
    erasure = node.erasures.rows.of(subject.id)
    found = node.receipts.about([row.id for row in rows])
    if erasure is not None:
        found += node.receipts.parts(erasure.id)
    if subject.account is not None:
        found += node.receipts.of_owner(subject.account.account_id)
    views = {one.id: _row(receipt(node, one)) for one in found}
    return [*views.values(), *([erasure.receipt] if erasure and erasure.receipt else [])]


def _row(shown: object, **more: object) -> dict[str, object]:
    """What an operation shows, as a row of a table, with more beside it."""
    return {**codec.plain(shown), **{name: codec.plain(value) for name, value in more.items()}}
