"""Conversations of the other APIs in the vault: of which session each is, and what is read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from tests.integration.vault.conftest import Bench
from tests.support.apis import Vector, captured, conversations, vectors

from bailee.api import Api
from bailee.apis.reading import interpret
from bailee.db.vault import conversation_links
from bailee.vault.branch_kinds import BranchKind
from bailee.vault.transcript import Transcript

VECTOR = {
    Api.MESSAGES: "opencode-messages",
    Api.CHAT: "opencode-chat",
    Api.RESPONSES: "opencode-responses",
    Api.GEMINI: "opencode-gemini",
}


@pytest.fixture
def apis(tmp_path: Path) -> Iterator[Bench]:
    """A vault that reads as the gateway's does."""
    bench = Bench(tmp_path, interpret=interpret)
    bench.open().recover()
    yield bench
    bench.close()


def keep(bench: Bench, some: list[Vector], owner: str = "ada") -> None:
    """Record these, one after another."""
    for one in some:
        bench.clock.advance(timedelta(seconds=2))
        bench.keep(captured(one, owner=owner, at=bench.clock().timestamp() - 1))


def shown(bench: Bench) -> list[Transcript]:
    """Every session, in the order in which they began."""
    rows = sorted(bench.vault.sessions(bench.clock()), key=lambda row: row.started)
    return [bench.vault.show(row.id) for row in rows]


def blocks(transcript: Transcript) -> list[tuple[str, str]]:
    """Who says what kind of thing in the main conversation, without what the system says."""
    return [
        (message["role"], block["type"])
        for message in transcript.main
        for block in message["content"]  # type: ignore[index, call-overload, union-attr]
        if message["role"] != "system"  # type: ignore[index, call-overload]
    ]  # fmt: skip


def agents(transcript: Transcript) -> set[str]:
    """The names of the agents that say something beside the main conversation."""
    return {one.name for one in transcript.branches if one.kind is BranchKind.AGENT}


def in_order(value: object) -> str:
    """A value as text, the same for the same value."""
    return json.dumps(value, sort_keys=True)


@pytest.mark.row("G3", "G4")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("codex-classic", ["How many quince trees?", "apply_patch", "I look."]),
        ("codex-lite", ["How many quince trees?", "exec", "Looking at the orchard."]),
        ("opencode-responses", ["How many quince trees?", "orchard.txt", "I look."]),
        ("opencode-chat", ["How many quince trees?", "orchard.txt", "I look."]),
        ("opencode-gemini", ["How many quince trees?", "I look.", "invalid"]),
    ],
)
def test_a_session_has_prompts_calls_results_and_answers(
    apis: Bench, name: str, words: list[str]
) -> None:
    """Of a turn with a tool, a resumed one and a fork: each as a message that views can show, and
    each request exactly.
    """
    some = conversations(name)
    keep(apis, some)
    first, fork = shown(apis)
    text = json.dumps(first.main, ensure_ascii=False)

    assert all(word in text for word in words)
    kinds = blocks(first)
    assert ("user", "tool_result") in kinds
    assert ("assistant", "tool_use") in kinds
    assert kinds.count(("assistant", "text")) >= 2
    assert kinds.count(("user", "text")) >= 2
    sent = [one.request for one in (*first.exchanges, *fork.exchanges)]
    asked = [one.body for one in some]
    assert sorted(map(in_order, sent)) == sorted(map(in_order, asked))


@pytest.mark.row("G4")
def test_sub_agents_and_titles_are_apart(apis: Bench) -> None:
    """Codex' and opencode's sub-agents stand by their names; a title is no conversation."""
    keep(apis, conversations("codex-subagent"))
    keep(apis, conversations("opencode-subagent"))
    keep(apis, conversations("codex-tui-title"))
    found = shown(apis)

    assert [1, 1, 0, 0] == [len(agents(one)) for one in found]
    title = found[3]
    assert 1 == len(title.exchanges)
    assert title.exchanges[0].title


@pytest.mark.row("G4")
def test_a_nested_sub_agent_is_of_its_root_s_session(apis: Bench) -> None:
    """Its parent names itself by its own session; whose that was is known."""
    base = conversations("opencode-subagent")[0]
    ids = [("ses_root", None), ("ses_a", "ses_root"), ("ses_b", "ses_a")]
    for own, parent in ids:
        headers = [["x-session-id", own]]
        headers += [["x-parent-session-id", parent]] if parent else []
        keep(apis, [replace(base, headers=headers)])
    assert [3] == [len(one.exchanges) for one in shown(apis)]


@pytest.mark.row("G4")
def test_a_conversation_without_an_id_goes_on_after_a_restart(apis: Bench) -> None:
    """Aider says no id at all. What is known of its conversations is on disk as digests, and goes
    with the session.
    """
    some = conversations("aider-chat")
    keep(apis, some[:2])
    apis.reopen()
    keep(apis, some[2:])
    (found,) = shown(apis)
    assert 3 == len(found.exchanges)

    apis.vault.delete(found.session.id, apis.clock(), by="test")
    apis.vault.sweep(apis.clock())
    with apis.engine.connect() as connection:
        left = connection.execute(select(func.count()).select_from(conversation_links))
        assert 0 == left.scalar_one()


def said_otherwise(api: Api, items: list[Any]) -> list[Any]:
    """The same conversation in the other form that a client may write it in: a text as a list, with
    a mark for a cache or an id; a result that is there twice.
    """
    found = []
    for item in items:
        match api, item:
            case Api.GEMINI, {"parts": [{"functionResponse": _}, *_]}:
                item = {**item, "parts": [*item["parts"][:1], *item["parts"]]}  # noqa: PLW2901
            case Api.RESPONSES, {"role": "user", "content": [part]}:
                item = {**item, "id": "new", "content": part["text"]}  # noqa: PLW2901
            case Api.CHAT | Api.MESSAGES, {"content": str(text), "role": role}:
                block: dict[str, Any] = {"type": "text", "text": text}
                mark = {} if role == "assistant" else {"cache_control": {"type": "ephemeral"}}
                item = {**item, "content": [{**block, **mark}]}  # noqa: PLW2901
        found.append(item)
    return found


def first_turns(api: Api) -> tuple[list[Any], list[Any]]:
    """Two turns of a conversation: of its tool, of its answer."""
    match api:
        case Api.GEMINI:
            named: dict[str, Any] = {"name": "ls", "id": "f"}
            asked = [{"role": "user", "parts": [{"text": "How many quinces?"}]}]
            called = {"role": "model", "parts": [{"functionCall": {**named, "args": {}}}]}
            result = {"functionResponse": {**named, "response": {"output": "seven"}}}
            came = {"role": "user", "parts": [result]}
            ends = [{"role": "model", "parts": [{"text": "Seven."}]}]
            more = {"role": "user", "parts": [{"text": "And pears?"}]}
        case Api.RESPONSES:
            asked = [{"role": "user", "content": [{"type": "input_text", "text": "How many?"}]}]
            called = {"type": "function_call", "call_id": "f", "name": "ls", "arguments": "{}"}
            came = {"type": "function_call_output", "call_id": "f", "output": "seven"}
            ends = [{"role": "assistant", "content": "Seven."}]
            more = {"role": "user", "content": [{"type": "input_text", "text": "And pears?"}]}
        case _:
            asked = [{"role": "user", "content": "How many quinces?"}]
            called = {"role": "assistant", "content": "I look."}
            came = {"role": "user", "content": "Do."}
            ends = [{"role": "assistant", "content": "Seven."}]
            more = {"role": "user", "content": "And pears?"}
    return [*asked, called, came], [*asked, called, came, *ends, more]


@pytest.mark.row("G4")
@pytest.mark.parametrize("api", [Api.MESSAGES, Api.CHAT, Api.RESPONSES, Api.GEMINI])
def test_who_says_the_same_in_another_form_goes_on(apis: Bench, api: Api) -> None:
    """Without an id, what was said is what tells a conversation: not how it is written. After a
    restart too; and what was deleted does not come back in the other form.
    """
    first, second = first_turns(api)
    base = next(one for one in vectors(VECTOR[api]) if one.body)
    name = {Api.RESPONSES: "input", Api.GEMINI: "contents"}.get(api, "messages")

    def turn(items: list[Any]) -> Vector:
        body = {"model": "m", "max_tokens": 9, name: items}
        return replace(base, headers=[], body=body, answer="{}", answer_headers=[])

    keep(apis, [turn(first)])
    apis.reopen()
    keep(apis, [turn(said_otherwise(api, second))])
    (row,) = apis.vault.sessions(apis.clock())
    assert 2 == row.exchanges

    apis.vault.delete(row.id, apis.clock(), by="test")
    keep(apis, [turn(second), turn(said_otherwise(api, second))])
    assert [] == shown(apis)


@pytest.mark.row("G4")
def test_results_of_tools_keep_a_loop_together(apis: Bench) -> None:
    """A tool loop without ids is one session: a tool's result is the client's word."""
    some = [replace(one, headers=[]) for one in conversations("opencode-chat")]
    keep(apis, some[1:])  # after the title
    assert [len(some) - 1] == [len(one.exchanges) for one in shown(apis)]


@pytest.mark.row("G3", "G4")
def test_what_the_provider_holds_is_linked_or_said(apis: Bench) -> None:
    """Requests that name an earlier response are of its session and shown after it, a fork too;
    what never passed here is said to be held by the provider.
    """
    some = conversations("synthetic-responses-previous-id")
    keep(apis, some)
    found = shown(apis)

    assert [3, 1, 1] == [len(one.exchanges) for one in found]
    assert "held_by_the_provider" not in json.dumps(found[0].main)
    assert "How many pear trees?" in json.dumps(found[0].main)
    unknown: Any = found[1].main[0]
    assert ("provider", "held_by_the_provider") == (
        unknown["role"],
        unknown["content"][0]["type"],
    )
    assert found[2].exchanges[0].elsewhere


@pytest.mark.row("G3", "G4")
def test_an_answer_that_is_fetched_later_stands_where_it_was_asked_for(apis: Bench) -> None:
    """The POST's is empty; the model's comes by GET, and is in the session of its question."""
    keep(apis, vectors("synthetic-responses-background"))
    (found,) = shown(apis)

    assert 3 == len(found.exchanges)
    assert [("user", "text"), ("assistant", "text")] == blocks(found)
    assert "Seven." in json.dumps(found.main)


@pytest.mark.row("G1", "G4")
def test_another_account_s_names_lead_nowhere(apis: Bench) -> None:
    """Who sends another's response id, or sub-agent's name, begins a session of their own."""
    some = conversations("synthetic-responses-previous-id")
    keep(apis, some[:1])
    keep(apis, some[1:2], owner="bob")
    assert {"ada": 1, "bob": 1} == {
        row.owner: row.exchanges for row in apis.vault.sessions(apis.clock())
    }


@pytest.mark.row("R5", "G4")
def test_what_names_a_deleted_session_is_not_kept(apis: Bench) -> None:
    """A request that continues an answer of it by the provider's id, though it repeats no word of
    it; and a sub-agent of its sub-agent. Another conversation that begins with the same words is.
    """
    some = conversations("synthetic-responses-previous-id")
    keep(apis, some[:1])
    agents = conversations("opencode-subagent")[0]
    keep(apis, [replace(agents, headers=[["x-session-id", "root"]])])
    keep(apis, [replace(agents, headers=[["x-session-id", "a"], ["x-parent-session-id", "root"]])])
    for one in shown(apis):
        apis.vault.delete(one.session.id, apis.clock(), by="test")
    apis.vault.sweep(apis.clock())

    keep(apis, some[1:2])
    keep(apis, [replace(agents, headers=[["x-session-id", "b"], ["x-parent-session-id", "a"]])])
    assert [] == shown(apis)

    fresh = {**some[0].body, "input": [*some[0].body["input"], some[0].body["input"][0]]}
    keep(apis, [replace(some[0], body=fresh)])
    assert [1] == [len(one.exchanges) for one in shown(apis)]
