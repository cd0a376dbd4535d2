"""The main job end to end, on this machine, in half a minute: `bailee demo`.

A temporary home, the embedded model, the real gateway and console over sockets. Four people work;
what each leaves behind is shown with the clause that decided; then the clock walks, and what is
past its time is looked for: as a session, as plaintext, and as key bytes, in every file.

Nothing here is taken on trust: each step states a claim, and `holds` says whether it was seen.
"""

from __future__ import annotations

import asyncio
import http.client
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import orjson
from sqlalchemy import select

from bailee import config
from bailee.accounts import OPERATOR
from bailee.app.serve import Running, Server
from bailee.app.wiring import ServerWiring
from bailee.cloud.git.connections import GitSecret
from bailee.db.engine import reading
from bailee.db.keys import deks, keks
from bailee.home import Home, HomeLock
from bailee.home.searching import Trace, search
from bailee.json_values import members, objects, text, whole
from bailee.keyring import signing
from bailee.node.node import Node
from bailee.operations import erasure, retention, sessions, training
from bailee.operations.asks import Asks, Via, asked_by
from bailee.operations.retention import SweepResult
from bailee.operations.sessions import SessionSummary
from bailee.operations.table import perform
from bailee.training.finishing import Finished
from bailee.vault.record import subject_of

_START = datetime(2026, 1, 1, 12, tzinfo=UTC)
_MARK = "the-orchard-gate-code-is-{}"


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """Someone in the demo: a plan, a choice they make or none, and what kind of key."""

    name: str
    plan: str
    choice: str | None
    zero_retention: bool
    keeps_days: int

    @property
    def mark(self) -> str:
        """A phrase that only this person's prompts hold."""
        return _MARK.format(self.name)


PEOPLE = (
    DemoPerson("ada", "pro", "allowed", False, 5 * 366),
    DemoPerson("bob", "max", "refused", False, 30),
    DemoPerson("corp", "enterprise", None, False, 30),
    DemoPerson("zed", "api", None, True, 0),
)


@dataclass(frozen=True, slots=True)
class DemoStep:
    """A claim, whether it was seen to hold, and what there is to show for it."""

    claim: str
    holds: bool
    rows: list[Mapping[str, object]] = field(default_factory=list)


class _Clock:
    """The demo's clock: its author moves `now` on, the home asks it on any thread."""

    def __init__(self) -> None:
        self.now = _START

    def __call__(self) -> datetime:
        return self.now


async def run() -> AsyncIterator[DemoStep]:
    """Walk through the demo, step by step."""
    with tempfile.TemporaryDirectory(prefix="bailee-demo-") as folder:
        home = Home(Path(folder))
        clock = _Clock()
        home.make(test_clock=True)
        settings = config.load(
            home.settings_file,
            {},
            dict.fromkeys(("gateway.listen", "console.listen", "ingest.listen"), "127.0.0.1:0"),
        )
        wiring = ServerWiring(home, settings=settings, clock=clock)
        with HomeLock(home), Node.over(wiring) as node:
            server = Server(wiring, node, plan="api", always_key=False, on_exchange=lambda _: None)
            async with server as running:
                async for step in _walk(node, running, clock):
                    yield step


async def _walk(node: Node, running: Running, clock: _Clock) -> AsyncIterator[DemoStep]:
    yield DemoStep(
        "a gateway and a console run here; the model is a small one in the same process",
        True,
        [{"gateway": running.gateway, "console": running.console_api, "model": running.upstream}],
    )
    keys = {p.name: _key(node, p) for p in PEOPLE}
    for person in PEOPLE:
        if person.choice is not None:
            await asyncio.to_thread(_choose, running.console_api, keys[person.name], person.choice)
    yield DemoStep(
        "each has a key of their plan; who has a choice made it, with their own key",
        True,
        [{"who": p.name, "plan": p.plan, "choice": p.choice or "none to make"} for p in PEOPLE],
    )

    clock.now += timedelta(minutes=1)  # what is done after a choice is what it reaches
    answers = {}
    for person in PEOPLE:
        answers[person.name] = await asyncio.to_thread(
            _talk, running.gateway, keys[person.name], person
        )
    yield DemoStep(
        "each had a session of two turns through the gateway",
        all(len(turns) == 2 for turns in answers.values()),
        [{"who": name, "last answer": turns[-1][:60]} for name, turns in answers.items()],
    )

    found = await _sessions(node)
    kept = {p.name: found.get(_account(node, keys[p.name])) for p in PEOPLE}
    yield DemoStep(
        "what is kept, until when and by which clause, is what the policy says for each",
        all((kept[p.name] is not None) == (p.keeps_days > 0) for p in PEOPLE)
        and all(s.kept_until <= _START + timedelta(days=p.keeps_days, hours=1)
                for p in PEOPLE if (s := kept[p.name]) is not None)
        and [p.name for p in PEOPLE if _trained(kept[p.name])] == ["ada"],
        [_row(p, kept[p.name]) for p in PEOPLE],
    )  # fmt: skip

    whole = await asyncio.gather(
        *(asyncio.to_thread(_complete, node, s, p) for p in PEOPLE if (s := kept[p.name]))
    )
    yield DemoStep("each kept transcript is complete: both prompts, both answers", all(whole))
    said = [p.mark.encode() for p in PEOPLE]
    said += [turn.encode() for turns in answers.values() for turn in turns if len(turn) > 20]
    plain = _search(node.home.path, said)
    yield DemoStep(
        "no prompt and no answer lies in any file as plain text",
        not plain,
        [{"files searched": _count(node.home.path), "phrases": len(said), "found": len(plain)}],
    )

    secret = {p.name: _key_bytes(node, s) for p in PEOPLE if (s := kept[p.name]) is not None}
    wraps = [wrap for key in secret.values() for wrap in key[1:]]
    there = _search(node.home.path, wraps)
    yield DemoStep(
        "their keys are there, wrapped: what is looked for below can be found",
        there == set(wraps) and not _search(node.home.path, [key[0] for key in secret.values()]),
        [{"wrapped keys looked for": len(set(wraps)), "found": len(there)}],
    )
    for label, until, gone in (
        ("31 days later", timedelta(days=31), ("bob", "corp")),
        ("5 years and a day later", timedelta(days=5 * 365 + 3), ("ada", "bob", "corp")),
    ):
        clock.now = _START + until
        swept = await asyncio.to_thread(retention.run, _operator(node), node)
        left = await _sessions(node)
        stay = {name for name, s in kept.items() if s is not None and name not in gone}
        yield DemoStep(
            f"{label}, what was due is gone: {' and '.join(gone)}",
            left.keys() == {s.account for name, s in kept.items() if s and name in stay},
            [_swept(swept)],
        )
        remains = _search(node.home.path, [value for name in gone for value in secret[name]])
        yield DemoStep(
            "no key of theirs, plain or wrapped, is left in any file",
            not remains,
            [{"files searched": _count(node.home.path), "found": len(remains)}],
        )
    yield await asyncio.to_thread(_erase, node)
    for person in PEOPLE:
        await asyncio.to_thread(_talk, running.gateway, keys[person.name], person)
    with tempfile.TemporaryDirectory(prefix="bailee-demo-dataset-") as folder:
        yield await asyncio.to_thread(_export, node, _account(node, keys["ada"]), Path(folder))
        await asyncio.to_thread(_choose, running.console_api, keys["ada"], "refused")
        yield await asyncio.to_thread(_withdrawn, node, Path(folder))


def _export(node: Node, ada: str, folder: Path) -> DemoStep:
    """A dataset of what may be trained on now."""
    *_, done = training.export(_operator(node), node, folder=str(folder), workers=1)
    assert isinstance(done, Finished)
    checked = training.verify(_operator(node), node, folder=str(folder))
    theirs = training.exports_of(node, ada)
    return DemoStep(
        "all said something again: a training export holds exactly ada's session, and is signed",
        (done.sessions, done.rows, len(theirs)) == (1, 1, 1) and not checked.wrong,
        [
            {
                "sessions": done.sessions,
                "rows": done.rows,
                "leaf of the log": checked.on_record,
                "wrong": len(checked.wrong),
            }
        ],
    )


def _withdrawn(node: Node, folder: Path) -> DemoStep:
    """Who has left the dataset since."""
    left = training.withdrawals(_operator(node), node, folder=str(folder)).rows
    return DemoStep(
        "ada turns training off: whoever has the dataset is told which row to drop",
        [one.why for one in left] == ["withdrawn"],
        [{"row": f"{one.row[:12]}…{one.row[-2:]}", "why": one.why} for one in left],
    )


def _erase(node: Node) -> DemoStep:
    """Someone comes, names a host and a repository, is read by staff, and is erased."""
    email, host, owner = "eve@plum.example", "notes.eves-plums.example", "eves-orchard"
    eve: dict[str, str] = perform(
        node, "person.create", {"email": email, "plan": "pro", "name": "eve's key"}, by=OPERATOR
    )
    account = eve["account"]
    node.network_lists.add(account, "allow", host, by=eve["person"])
    node.git_connections.add(
        account, "github-token", f"github.com/{owner}", GitSecret("a token"), by=eve["person"]
    )
    reason = f"asked for by {email}"
    node.registry.staff.read(OPERATOR, "a-session", reason, whose=account)
    named = [word.encode() for word in (email, host, owner, reason)]
    before = _search(node.home.path, named)
    erased = erasure.erase(_operator(node), node, eve["person"])
    receipt = signing.verify(erased.signed)[0]
    searched, after = members(receipt["search"]), _search(node.home.path, named)
    return DemoStep(
        "a person is erased: the signed receipt says what a search of all files found, and why",
        bool(before) and not after and text(receipt["identifiers"]).endswith("none was found"),
        [
            {
                "files searched": searched["files"],
                "looked for": sum(whole(one["count"]) for one in objects(searched["looked_for"])),
                "found": len(after),
                "places with an id, and why": sum(
                    "where" in one for one in objects(receipt["stays"])
                ),
            }
        ],
    )


def _operator(node: Node) -> Asks:
    return asked_by(node, OPERATOR, Via.TERMINAL)


def _key(node: Node, person: DemoPerson) -> str:
    made = perform(
        node,
        "key.create",
        {"plan": person.plan, "name": person.name, "zero_retention": person.zero_retention},
        by=OPERATOR,
    )
    assert isinstance(made, dict)
    return str(made["key"])


def _account(node: Node, key: str) -> str:
    found = node.accounts.authenticate(key.encode())
    assert found is not None
    return found[1].account_id


async def _sessions(node: Node) -> dict[str, SessionSummary]:
    """The one session that each account has, by account."""
    listed = await asyncio.to_thread(sessions.list_, _operator(node), node)
    return {session.account: session for session in listed.items}


def _trained(session: SessionSummary | None) -> bool:
    return session is not None and session.training.effect == "allow"


def _row(person: DemoPerson, session: SessionSummary | None) -> Mapping[str, object]:
    who = {"who": person.name, "plan": person.plan}
    if session is None:
        return who | {"kept until": "nothing kept", "by": "zero retention", "trained on": "no"}
    return who | {
        "kept until": f"{session.kept_until:%Y-%m-%d}",
        "by": session.retention.clause,
        "trained on": "yes" if _trained(session) else "no",
    }


def _swept(swept: SweepResult) -> Mapping[str, object]:
    return {
        "sessions due": swept.sessions,
        "keys destroyed": swept.keks,
        "segments reclaimed": swept.segments,
    }


def _complete(node: Node, session: SessionSummary, person: DemoPerson) -> bool:
    messages = objects(sessions.show(_operator(node), node, session.id).messages)
    roles = [message.get("role") for message in messages]
    said = orjson.dumps(messages).decode()
    return roles == ["user", "assistant", "user", "assistant"] and person.mark in said


def _key_bytes(node: Node, session: SessionSummary) -> list[bytes]:
    """The session's key in the clear and each wrap above it, as they are now."""
    dek = node.keyring.get(subject_of(session.id))
    with reading(node.keyring.engine) as connection:
        wraps = [
            connection.execute(select(deks.c.wrapped).where(deks.c.subject == dek.subject)),
            connection.execute(select(keks.c.wrapped).where(keks.c.id == dek.kek_id)),
        ]
        return [dek.key, *(rows.scalar_one() for rows in wraps)]


def _search(folder: Path, needles: list[bytes]) -> set[bytes]:
    """Which of these byte strings stand in a file of a folder. Whatever their case: of keys and of
    phrases like these that makes no difference.
    """
    traces = [Trace(needle.hex(), needle.lower()) for needle in needles]
    return {bytes.fromhex(finding.what) for finding in search(folder, traces).findings}


def _count(folder: Path) -> int:
    return sum(1 for file in folder.rglob("*") if file.is_file())


def _choose(console: str, key: str, choice: str) -> None:
    _request(console, "PUT", "/api/v1/privacy/training", key, {"choice": choice})


def _talk(gateway: str, key: str, person: DemoPerson) -> list[str]:
    messages: list[dict[str, object]] = []
    turns = []
    for prompt in (f"Remember: {person.mark}.", "Say hello."):
        messages.append({"role": "user", "content": prompt})
        answer = _request(
            gateway,
            "POST",
            "/v1/messages",
            key,
            {
                "model": "smollm2-135m",
                "max_tokens": 24,
                "metadata": {"user_id": orjson.dumps({"session_id": _session_id(person)}).decode()},
                "messages": messages,
            },
        )
        content = members(answer)["content"]
        messages.append({"role": "assistant", "content": content})
        turns.append("".join(text(block.get("text")) for block in objects(content)))
    return turns


def _session_id(person: DemoPerson) -> str:
    return f"00000000-0000-4000-8000-{PEOPLE.index(person) + 1:012d}"


def _request(base: str, method: str, path: str, key: str, body: object) -> object:
    address = urlsplit(base)
    assert address.hostname is not None
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=120)
    try:
        connection.request(
            method,
            path,
            orjson.dumps(body),
            {"x-api-key": key, "content-type": "application/json"},
        )
        response = connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise RuntimeError(f"{method} {path} answered {response.status}")
        return orjson.loads(answer)
    finally:
        connection.close()
