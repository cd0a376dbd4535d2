"""What was kept can be listed, shown and exported, exactly, by whoever opens the vault next."""

from __future__ import annotations

import json
import stat
from typing import Any
from uuid import UUID

import pytest

from bailee.errors import InputError

Bench = Any

SESSION = "6f4f5a8e-32a5-4d0c-8f0b-0d7c3d1c1a11"


def turn(text: str) -> dict[str, Any]:
    """A user's message."""
    return {"role": "user", "content": text}


def reply(text: str) -> dict[str, Any]:
    """An assistant's answer."""
    content = [{"type": "text", "text": text}]
    return {"id": "m", "type": "message", "role": "assistant", "content": content}


def conversation(bench: Bench, turns: int, **options: Any) -> list[Any]:
    """Exchanges of a conversation in which each request repeats all that came before."""
    messages: list[Any] = []
    made = []
    for number in range(turns):
        messages.append(turn(f"question {number}"))
        answer = reply(f"answer {number}")
        made.append(bench.exchange(list(messages), answer, **options))
        messages.append({"role": "assistant", "content": answer["content"]})
    return made


@pytest.mark.row("R1")
def test_listed_with_terms(bench: Bench) -> None:
    """A session is listed with its plan, its times, and the clause it is kept under."""
    bench.keep(*conversation(bench, 3, session=SESSION))
    (row,) = bench.vault.sessions(bench.clock())
    assert (SESSION, "ada", "pro", "api", 3) == (
        row.id,
        row.owner,
        row.plan,
        row.channel,
        row.exchanges,
    )
    assert ("P30D", "retain.test", "d" * 64) == (row.period, row.clause, row.document)
    assert 30 == (row.expires_at - row.last_activity).days
    assert (30, 3) == (row.input_tokens, row.output_tokens)


def test_shown_as_sent(bench: Bench) -> None:
    """Every request and answer comes back equal, and after reopening still does."""
    sent = conversation(
        bench, 5, session=SESSION, model="m", system=[{"type": "text", "text": "s"}]
    )
    bench.keep(*sent[:2])
    bench.reopen()
    bench.keep(*sent[2:])
    for _ in range(2):
        shown = bench.vault.show(SESSION)
        assert [json.loads(x.request) for x in sent] == [x.request for x in shown.exchanges]
        assert [json.loads(x.answer) for x in sent] == [x.answer for x in shown.exchanges]
        assert json.loads(sent[-1].request)["messages"] == shown.main[:-1]
        assert reply("answer 4")["content"] == shown.main[-1]["content"]
        bench.vault.ship()
        bench.reopen()


def test_exported(bench: Bench) -> None:
    """The export is JSON Lines with the session first, each exchange after it, and what of them is
    the main conversation.
    """
    sent = conversation(bench, 2, session=SESSION)
    bench.keep(*sent)
    lines = [json.loads(line) for line in bench.vault.export(SESSION)]
    kinds = ["session", "exchange", "exchange", "conversation"]
    assert kinds == [line["type"] for line in lines]
    assert [json.loads(x.request) for x in sent] == [line["request"] for line in lines[1:3]]
    assert [0, 1] == lines[3]["exchanges"]


def test_ids_are_not_shared(bench: Bench) -> None:
    """A client's UUID is the session's id, unless another owner's session has it."""
    bench.keep(bench.exchange([turn("a")], session=SESSION, owner="ada"))
    bench.keep(bench.exchange([turn("b")], session=SESSION, owner="bob"))
    bench.keep(bench.exchange([turn("c")], session="not a uuid", owner="bob"))
    ids = {row.owner + row.id for row in bench.vault.sessions(bench.clock())}
    assert 3 == len(ids)
    assert f"ada{SESSION}" in ids
    assert all(UUID(name[3:]).version == 4 for name in ids)
    assert 1 == len(bench.vault.sessions(bench.clock(), owner="ada"))


def test_conversation_without_a_session(bench: Bench) -> None:
    """Requests that continue one another are one session; others and other owners are not."""
    bench.keep(*conversation(bench, 3, session=None))
    bench.keep(bench.exchange([turn("question 0"), turn("other")], session=None, owner="bob"))
    bench.keep(bench.exchange([turn("unrelated")], session=None))
    assert [1, 1, 3] == sorted(row.exchanges for row in bench.vault.sessions(bench.clock()))


def test_raw_when_not_understood(bench: Bench) -> None:
    """Bytes that can't be interpreted, or on which interpreting fails, come back as bytes."""
    odd = bench.exchange(session=SESSION, request=b"{not json \xff")
    breaking = bench.exchange([turn("x")], session=None, headers=(("break", "1"),))
    deep = bench.exchange(session="deep", request=b'{"messages":' + b"[" * 900 + b"]" * 900 + b"}")
    bench.keep(odd, breaking, deep)
    assert 3 == len(bench.vault.sessions(bench.clock()))
    assert b"{not json \xff" == bench.vault.show(SESSION).exchanges[0].raw_request
    raws = [
        bench.vault.show(row.id).exchanges[0].raw_request
        for row in bench.vault.sessions(bench.clock())
    ]
    assert breaking.request in raws


def test_subagents_apart(bench: Bench) -> None:
    """A subagent's conversation and a side request stay out of the main conversation."""
    main = conversation(bench, 2, session=SESSION, tools=[{"name": "t"}])
    sub = bench.exchange([turn("find it")], reply("found"), session=SESSION, agent="a1")
    title = bench.exchange([turn("title?")], reply("A title"), session=SESSION)
    bench.keep(main[0], sub, title, main[1])
    shown = bench.vault.show(SESSION)
    assert 4 == len(shown.exchanges)
    agent, title_call = shown.branches
    assert ("a1", turn("find it")) == (agent.name, agent.messages[0])
    assert ("aside", turn("title?")) == (title_call.kind, title_call.messages[0])
    assert 4 == len(shown.main)


def test_unknown_session(bench: Bench) -> None:
    """What is not there is `not_found`."""
    with pytest.raises(InputError) as caught:
        bench.vault.show(SESSION)
    assert "not_found" == caught.value.code


@pytest.mark.row("D4")
def test_encrypted_and_private(bench: Bench) -> None:
    """No file under the home holds a word of the content, and all are for their owner alone."""
    bench.keep(*conversation(bench, 3, session=SESSION, system="a secret system prompt"))
    bench.submit(bench.exchange([turn("still in the spool: question")], session=SESSION))
    bench.vault.ship()
    assert [] == bench.holds(b"question", b"secret system", b"answer 1")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in bench.files()}
    folders = {
        stat.S_IMODE(p.stat().st_mode) for p in (bench.path / "vault").rglob("*") if p.is_dir()
    }
    assert ({0o600}, {0o700}) == ({mode & 0o777 for mode in modes}, folders)


def test_report(bench: Bench) -> None:
    """The report counts sessions, exchanges and bytes by class, plan and expiry day."""
    bench.keep(
        bench.exchange([turn("a")], session="1"),
        bench.exchange([turn("b")], session="2"),
        bench.exchange([turn("c")], session="3", plan="team", period="P5Y"),
    )
    (first, second) = bench.vault.report(bench.clock())
    assert ("transcript", "pro", "2026-01-31", 2, 2) == (
        first.data_class,
        first.plan,
        first.expiry_day,
        first.sessions,
        first.exchanges,
    )
    assert ("team", "2031-01-01") == (second.plan, second.expiry_day)
    assert (
        sum(row.bytes for row in bench.vault.sessions(bench.clock())) == first.bytes + second.bytes
    )
