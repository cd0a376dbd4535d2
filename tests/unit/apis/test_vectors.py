"""What real clients send and get: given back exactly, named, and shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.support.apis import Vector, captured, conversations, names

from bailee.api import Api
from bailee.apis.reading import interpret
from bailee.items.view import view, view_answer
from bailee.vault.delta import digest_key, encode
from bailee.vault.known import KnownPieces
from bailee.vault.listing import together
from bailee.vault.packing import pack, unpack
from bailee.vault.rebuilding import Rebuilder

KEY = digest_key(bytes(32))
BROKEN = {
    "chat-end-error-mid",
    "chat-end-no-finish-cut",
    "codex-end-cut-before-completed",
    "codex-end-eof-before-completed",
    "codex-end-error-event",
    "codex-end-error-event-nested",
    "codex-end-failed",
    "codex-end-only-created-then-cut",
    "gemini-end-error-mid",
    "gemini-end-no-finish-cut",
    "gemini-end-no-finish-eof",
}
"""Streams that broke off, or were broken by an error."""
KEPT_BESIDE = {"synthetic-responses-disagreement", "synthetic-responses-unknown-event"}
"""Streams that say more than one document can."""


@pytest.mark.row("G3", "G4")
@pytest.mark.parametrize("name", names())
def test_each_request_comes_back_exactly(name: str) -> None:
    """From what is stored of it, whatever the API, as the JSON that was sent."""
    known, rebuilder = KnownPieces(KEY), Rebuilder()
    for number, one in enumerate(conversations(name)):
        found = interpret(captured(one))
        api = found.api
        delta = encode(number, found.fields, found.messages, found.answer, known, api=api)
        known.places |= delta.learned
        body: Any = unpack(pack({**delta.body, "api": str(api)}))
        fields, items = rebuilder.add(number, body)
        assert one.body is None or found.raw_request is None
        back = fields if items is None else together(fields, items.all(), found.at)
        assert (one.body or {}) == back


@pytest.mark.row("G3", "G4")
@pytest.mark.parametrize("name", names())
def test_each_answer_is_understood_or_kept(name: str) -> None:
    """A whole answer is its document; of one that broke off, or says two things, the bytes are
    kept too.
    """
    for one in conversations(name):
        found = interpret(captured(one))
        beside = found.raw_answer is not None
        if one.status == 200 and one.answer:
            assert (name in BROKEN | KEPT_BESIDE) == (beside or found.error is not None)
        else:
            assert found.answer is None


@pytest.mark.row("G3", "G4")
@pytest.mark.parametrize("name", names())
def test_nothing_that_was_said_is_left_out_of_the_view(name: str) -> None:
    """Each text, call and result of a request and of its answer is in the messages for reading."""
    for one in conversations(name):
        found = interpret(captured(one))
        shown = view(found.api, found.messages or [])
        answered = view_answer(found.api, found.answer)
        if found.api is not Api.MESSAGES:
            for source, messages in ((found.messages, shown), (said_in(found.answer), answered)):
                texts = json.dumps(messages, ensure_ascii=False)
                for text in leaves(source):
                    assert json.dumps(text, ensure_ascii=False)[1:-1] in texts
            assert all({"role", "content"} == {*message} for message in shown + answered)  # type: ignore[misc]


HIDDEN = {
    *("type", "id", "status", "role", "phase", "object", "index", "finish_reason", "finishReason"),
    *("internal_chat_message_metadata_passthrough", "arguments", "usage", "logprobs"),
}
"""Members that name things, and texts that are shown as the JSON that they are."""


def leaves(value: Any) -> list[str]:
    """The texts in it."""
    if isinstance(value, dict):
        return [text for name, one in value.items() if name not in HIDDEN for text in leaves(one)]
    if isinstance(value, list):
        return [text for one in value for text in leaves(one)]
    return [value] if isinstance(value, str) else []


def said_in(answer: Any) -> Any:
    """The part of an answer that says something."""
    if not isinstance(answer, dict):
        return []
    inner = answer.get("response", answer)
    if "candidates" in inner:
        return [one.get("content") for one in inner["candidates"]]
    return answer.get("output") or [one["message"] for one in answer.get("choices", [])]


@pytest.mark.row("G4")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("codex-lite", "AAAAB"),  # a fork is another session
        ("codex-classic", "AAAABB"),
        ("codex-subagent", "AAA/1A"),
        ("codex-compaction-local", "AAA"),
        ("codex-builtin-http", "AA"),
        ("codex-review", "A/1"),
        ("codex-tui-title", "ABtA"),
        ("opencode-responses", "AAAAB"),
        ("opencode-subagent", "AAA/1A"),
        ("opencode-chat", "AAAAB"),
        ("opencode-gemini", "AAAAB"),
        ("opencode-messages", "A"),
        ("aider-chat", "---"),
        ("gemini-tool-resume", "---"),
    ],
)
def test_sessions_and_agents_are_what_the_client_says(name: str, expected: str) -> None:
    """Letters are sessions in order, `/` a sub-agent of it, `t` a title; `-`: it says none."""
    assert expected == "".join(named(conversations(name)))


def named(some: list[Vector]) -> list[str]:
    """Who each is of, in short."""
    sessions: dict[str, str] = {}
    agents: dict[str, str] = {}
    found = []
    for one in some:
        meaning = interpret(captured(one))
        if meaning.client_session is None:
            found.append("-")
            continue
        letter = sessions.setdefault(meaning.client_session, chr(65 + len(sessions)))
        agent = meaning.agent and agents.setdefault(meaning.agent, str(len(agents) + 1))
        found.append(letter + (f"/{agent}" if agent else "") + ("t" if meaning.title else ""))
    return found


@pytest.mark.row("G4")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("codex-lite", (8, 7, 3)),
        ("opencode-chat", (8, 7, 3)),
        ("gemini-tool-resume", (8, 11, 3)),
    ],
)
def test_what_was_used_counts_by_one_rule(name: str, expected: tuple[int, int, int]) -> None:
    """Tokens asked without those of a cache, answered with thoughts, and read from a cache."""
    for one in conversations(name):
        used = interpret(captured(one)).usage
        if used:
            assert expected == (
                used["input_tokens"],
                used["output_tokens"],
                used["cache_read_input_tokens"],
            )
