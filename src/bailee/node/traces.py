"""What there is to look for of somebody, gathered before they are erased.

Two sorts: words, which name them or lead to them outside of bailee, and of which nothing is to be
left; and ids, random ones of ours and of sessions, some of which stay as names of what was done.

What others use too is no trace of anybody: hosts of the trusted list, and those that another
account's lists or Git connections name. Nor is a word under six bytes: it is found everywhere by
chance. How many were left aside so is told.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final
from urllib.parse import quote

from bailee.accounts.attempts import digest_of
from bailee.accounts.identifiers import Identifiers
from bailee.cloud.egress.trusted import GROUP_OF
from bailee.cloud.sessions.store import EGRESS, OUTPUT
from bailee.errors import IntegrityError
from bailee.home.searching import Trace
from bailee.json_values import JsonObject, members, objects, text
from bailee.node import subjects
from bailee.node.stores import Stores
from bailee.node.subjects import DataSubject

EMAIL: Final = "email"
NAME: Final = "name that they gave"
BROWSER: Final = "description of a browser"
GIT: Final = "owner or repository of Git"
HOST: Final = "host that they alone named"
SAID: Final = "reason or address on record about them"
DIGEST: Final = "digest by which they were found"
SESSION: Final = "session's id"
OURS: Final = "random id of ours"
TOO_SHORT: Final = "words under six bytes"

_SHORTEST: Final = 6


def gather(node: Stores, subject: DataSubject, now: datetime) -> tuple[Trace, ...]:
    """The traces of somebody. One that is too short is there by its kind alone.

    Raises:
        StorageError: a store can't be read.
    """
    found: dict[Trace, None] = {}
    for what, words in _words(node, subject, now):
        for word in words:
            found.update(dict.fromkeys(spelled(what, word)))
    for raw in _digests(node, subject):
        found[Trace(DIGEST, raw.lower())] = None
        found[Trace(DIGEST, raw.hex().encode())] = None
    for what, ids in _ids(node, subject, now):
        found.update(dict.fromkeys(Trace(what, id=one) for one in ids))
    return tuple(found)


def pack(traces: Iterable[Trace]) -> bytes:
    """Traces as bytes."""
    return json.dumps([[one.what, one.word.hex(), one.id] for one in traces]).encode()


def unpack(packed: bytes) -> tuple[Trace, ...]:
    """What `pack` packed."""
    return tuple(Trace(what, bytes.fromhex(word), one) for what, word, one in json.loads(packed))


def _words(
    node: Stores, subject: DataSubject, now: datetime
) -> Iterator[tuple[str, Iterable[str | None]]]:
    person, own = subject.person, subject.account
    keys = subjects.keys_of(node.accounts, subject)
    yield NAME, [key.name for key, _ in keys]
    if person is not None:
        yield EMAIL, [person.email]
        yield NAME, [one.name for one in node.registry.passkeys.of_person(person.person_id)]
        yield NAME, [one.name for one in node.registry.saved_views.of(person.person_id)]
        browsers = node.registry.web_sessions.of_person(person.person_id)
        yield BROWSER, [one.client for one in browsers]
    leaves = list(node.ledger.entries(whose=subject.id))
    said = [str(leaf.body[n]) for leaf in leaves for n in ("reason", "issue") if leaf.body.get(n)]
    yield SAID, said
    sent = node.reports.of(subject.whose, now)
    yield SAID, [report.issue for report in sent]
    places = [str(leaf.body["place"]) for leaf in leaves if leaf.body.get("place")]
    hosts = [_host(str(leaf.body["entry"])) for leaf in leaves if leaf.body.get("entry")]
    if own is not None:
        yield NAME, [] if own.name == subject.id else [own.name]
        mine = {*node.vault.owned_ids(own.account_id), *(one.id for one in sent)}
        mine |= {one.id for one in node.cloud.records.all(own.account_id)}
        yield SAID, [hold.reason for hold in node.holds.all() if hold.subject in mine]
        places += [one.place for one in node.git_connections.all(own.account_id)]
        hosts += [_host(one.entry) for one in node.network_lists.all(own.account_id)]
        for record in node.cloud.records.all(own.account_id):
            for piece in _pieces(node, record.id, OUTPUT, now):
                if "asked" in piece:
                    asked = members(piece["asked"])
                    places.append(text(asked.get("repository")).partition("://")[2])
            for piece in _pieces(node, record.id, EGRESS, now):
                hosts += [text(one.get("host")) for one in objects(piece.get("connections"))]
    shared = _shared(node, subject)
    for place in places:
        host, _, path = place.partition("/")
        yield GIT, [place, path.partition("/")[0]] if path else []
        hosts.append(host)
    yield HOST, [host for host in hosts if host not in shared]


def _pieces(node: Stores, session: str, data_class: str, now: datetime) -> Iterator[JsonObject]:
    """What is kept of a cloud session, as far as it can be read: damage keeps nobody here."""
    try:
        yield from node.cloud.read(session, data_class, now)
    except IntegrityError:
        return


def _shared(node: Stores, subject: DataSubject) -> set[str]:
    """Hosts that are nobody's in particular."""
    own = None if subject.account is None else subject.account.account_id
    found = set(GROUP_OF)
    for account in {account.account_id for _, account in node.accounts.api_keys()} - {own}:
        found.update(_host(one.entry) for one in node.network_lists.all(account))
        found.update(one.place.partition("/")[0] for one in node.git_connections.all(account))
    return found


def _host(entry: str) -> str:
    """The host of an entry: `*.host`, `host:port`."""
    host, colon, port = entry.removeprefix("*.").rpartition(":")
    return host if colon and port.isdigit() else entry.removeprefix("*.")


def _spellings(word: str | None) -> Iterator[bytes]:
    """A word as it may stand in a file: in UTF-8, in a URL, in JSON; ASCII in lower case."""
    if word:
        for spelled in (word, quote(word), json.dumps(word)[1:-1]):
            yield spelled.encode("utf-8", "backslashreplace").lower()


def spelled(what: str, word: str | None) -> Iterator[Trace]:
    """The traces that a word is, of a kind: one for each spelling, or that it is too short."""
    for one in _spellings(word):
        short = len(one) < _SHORTEST
        yield Trace(TOO_SHORT if short else what, b"" if short else one)


def _digests(node: Stores, subject: DataSubject) -> Iterator[bytes]:
    if subject.person is None or subject.person.email is None:
        return
    names: Identifiers = node.registry.identifiers
    yield names.index("email", subject.person.email)
    yield digest_of(names, "email", subject.person.email)
    yield from node.registry.identities_of(subject.person.person_id)


def _ids(node: Stores, subject: DataSubject, now: datetime) -> Iterator[tuple[str, Iterable[str]]]:
    yield OURS, [subject.id, *(key.key_id for key, _ in subjects.keys_of(node.accounts, subject))]
    yield OURS, [report.id for report in node.reports.of(subject.whose, now)]
    if subject.account is not None:
        account = subject.account.account_id
        yield OURS, [account, *(one.id for one in node.git_connections.all(account))]
        yield OURS, [one.id for one in node.cloud.records.all(account)]
        yield SESSION, node.vault.owned_ids(account)
        mine = [one for one in node.receipts.of_owner(account) if one.owner == account]
        yield SESSION, [one.subject for one in mine]
