"""A session as a tree: its main conversation, and everything else where it branched off."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bailee.api import Api
from bailee.items.speaking import as_said
from bailee.vault.branch_kinds import BranchKind
from bailee.vault.delta import digest_key, encode
from bailee.vault.known import KnownPieces
from bailee.vault.rebuilding import Rebuilder
from bailee.vault.transcript import KeptExchange, SessionRow, Transcript, transcript

pytestmark = pytest.mark.row("G3")

_AT = datetime(2026, 1, 1, tzinfo=UTC)
SESSION = SessionRow(
    "s", "o", "transcript", "pro", "api", "k", _AT, _AT, 0, "pro/api", 0, 0, _AT, "P30D", "c", "d",
    0, 0, 0, 0,
)  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """A request and what came of it."""

    said: list[Any]
    answer: Any = None
    error: Any = None
    agent: str | None = None
    tools: bool = True
    system: str = ""
    started: float | None = None
    ended: float | None = None


def user(text: str) -> dict[str, Any]:
    """What a person said."""
    return {"role": "user", "content": text}


def model(text: str) -> dict[str, Any]:
    """What the model said, as a client sends it back."""
    return {"role": "assistant", "content": [{"type": "text", "text": text}]}


def answer(text: str) -> dict[str, Any]:
    """The same as it came."""
    return {"type": "message", "id": "m", **model(text), "stop_reason": "end_turn"}


def kept(asked: Iterable[Asked]) -> Iterable[tuple[KeptExchange, int | None]]:
    """What the vault gives back of such requests: through deltas, as it keeps them."""
    known, rebuilder = KnownPieces(digest_key(b"k" * 32)), Rebuilder()
    for number, one in enumerate(asked):
        fields: dict[str, Any] = {"model": "m", "tools": [{"name": "ls"}]} if one.tools else {}
        fields |= {"system": one.system} if one.system else {}
        delta = encode(number, fields, one.said, one.answer, known)
        known.places |= delta.learned
        plain, said = rebuilder.add(number, delta.body)
        started = float(10 * number) if one.started is None else one.started
        yield (
            KeptExchange(
                number, f"x{number}", one.agent, started, one.ended or started + 5, "complete",
                200 if one.error is None else 529, "POST", "/v1/messages", [], [], plain, said,
                one.answer, one.error, {}, None, None, None,
            ),
            None,
        )  # fmt: skip


def shown(*asked: Asked) -> Transcript:
    """The transcript of such a session."""
    return transcript(SESSION, kept(asked))


def texts(messages: Iterable[Any]) -> list[str]:
    """What messages say."""
    return [
        one["content"] if isinstance(one["content"], str) else one["content"][0]["text"]
        for one in messages
    ]


def told(found: Transcript) -> list[tuple[str, int | None, int, list[str]]]:
    """The branches in a few words."""
    return [(b.kind.value, b.of, b.at, texts(b.messages)) for b in found.branches]


A, B, C, D = (user(one) for one in "abcd")
X, Y, Z = (model(one) for one in "xyz")


def test_turns_that_were_taken_back_are_where_they_were() -> None:
    """Who rewinds goes on from an earlier place; what was said meanwhile is a branch there."""
    found = shown(
        Asked([A], answer("x")),
        Asked([A, X, B], answer("y")),
        Asked([A, X, B, Y, C], answer("z")),
        Asked([A, X, D], answer("w")),
    )
    assert ["a", "x", "d", "w"] == texts(found.main)
    assert [("taken_back", None, 2, ["b", "y", "c", "z"])] == told(found)
    assert [1, 2] == found.branches[0].exchanges


def test_an_answer_whose_repeat_failed_stays() -> None:
    """The repeat is beside it, with the error that it got."""
    refused = {"type": "error", "error": {"type": "overloaded_error", "message": "later"}}
    found = shown(Asked([A], answer("x")), Asked([A], error=refused))
    assert ["a", "x"] == texts(found.main)
    assert [("failed", None, 1, [])] == told(found)
    assert (refused, 529, [1]) == (
        found.branches[0].error, found.branches[0].status, found.branches[0].exchanges,
    )  # fmt: skip


@pytest.mark.parametrize(("on", "beside"), [("y", "x"), ("x", "y")])
def test_of_two_answers_to_one_request_the_one_that_was_gone_on_with_is_main(
    on: str, beside: str
) -> None:
    """The other is a repeat."""
    found = shown(Asked([A], answer("x")), Asked([A], answer("y")), Asked([A, model(on), B]))
    assert ["a", on, "b"] == texts(found.main)
    assert ("repeat", None, 1, [beside]) in told(found)


def test_a_title_call_with_the_same_prompt_is_beside_the_answer() -> None:
    """It has no tools, and asks for a title; it takes nobody's place, whichever came first."""
    title = Asked([A], answer("t"), tools=False, system="Write a TITLE for it.")
    for order in ([Asked([A], answer("x")), title], [title, Asked([A], answer("x"))]):
        found = shown(*order)
        assert ["a", "x"] == texts(found.main)
        assert [("title", None, 1, ["t"])] == told(found)


def test_a_small_request_that_stands_alone_is_placed_by_time() -> None:
    """It began after the prompt and ended before the answer: it stands between."""
    found = shown(
        Asked([C], answer("t"), tools=False, started=1, ended=2),
        Asked([A], answer("x"), started=0, ended=9),
    )
    assert ["a", "x"] == texts(found.main)
    assert [("aside", None, 1, ["c", "t"])] == told(found)


def test_a_second_conversation_at_the_same_time_is_parallel() -> None:
    """The one that was there longest is the main one."""
    found = shown(
        Asked([A], answer("x")),
        Asked([C], answer("z")),
        Asked([A, X, B], answer("y")),
        Asked([C, Z, D], answer("w")),
        Asked([A, X, B, Y, D], answer("v")),
    )
    assert ["a", "x", "b", "y", "d", "v"] == texts(found.main)
    assert [("parallel", None, 2, ["c", "z", "d", "w"])] == told(found)


def test_what_runs_within_a_conversation_is_not_the_main_one() -> None:
    """An agent that its client does not name asks more often than the one that called it."""
    found = shown(
        Asked([A], answer("x")),
        Asked([C], answer("z")),
        Asked([C, Z, D], answer("w")),
        Asked([C, Z, D, model("w"), B], answer("v")),
        Asked([A, X, B], answer("y")),
    )
    assert ["a", "x", "b", "y"] == texts(found.main)
    assert [("parallel", None, 2, ["c", "z", "d", "w", "b", "v"])] == told(found)


RULES = {"role": "system", "content": "rules"}


@pytest.mark.parametrize("summary", [[user("so far")], [user("so far"), model("summed up"), C]])
def test_a_compacted_history_is_another_conversation(summary: list[Any]) -> None:
    """Though it begins with the same instructions: what was said before stands before it, and an
    agent with these instructions where it began.
    """
    found = shown(
        Asked([RULES, A], answer("x")),
        Asked([RULES, C], answer("z"), agent="reader"),
        Asked([RULES, A, X, B], answer("y")),
        Asked([RULES, *summary, D], answer("w")),
    )
    assert ["rules", "a", "x", "b", "y", *texts(summary), "d", "w"] == texts(found.main)
    assert ([5], [("agent", None, 3, ["c", "z"])]) == (found.begins, told(found))
    lines = [texts(one.messages()) for one in found.threads]
    assert ["rules", *texts(summary), "d", "w"] in lines
    assert ["rules", "a", "x", "b", "y"] in lines


def test_a_summary_instead_of_an_answer_is_another_conversation() -> None:
    """Codex keeps what the person said, and goes on from there. Where one answer alone is gone,
    that was taken back.
    """
    before = [Asked([A], answer("x")), Asked([A, X, B], answer("y"))]
    found = shown(*before, Asked([A, C, D], answer("z")))
    assert ["a", "x", "b", "y", "c", "d", "z"] == texts(found.main)
    assert ([4], []) == (found.begins, told(found))

    found = shown(before[0], Asked([A, C], answer("z")))
    assert ["a", "c", "z"] == texts(found.main)
    assert [("taken_back", None, 1, ["x"])] == told(found)


def test_a_changed_instruction_is_no_other_conversation() -> None:
    """What was there instead is the branch, and nothing else is said again."""
    found = shown(
        Asked([RULES, C, A], answer("x")),
        Asked([RULES, D, A, X, B], answer("y")),
    )
    assert ["rules", "d", "a", "x", "b", "y"] == texts(found.main)
    assert [("rewritten", None, 1, ["c"])] == told(found)


def test_who_says_the_first_words_otherwise_goes_on_with_the_same_conversation() -> None:
    """A client that takes it up on another day begins it with that day's date. All else is told
    once: what branched off before stands where it did, an agent after the words it followed.
    """
    monday, tuesday = user("on Monday: a"), user("on Tuesday: a")
    found = shown(
        Asked([monday], answer("x")),
        Asked([monday, X, B], answer("y")),
        Asked([user("count")], answer("n"), agent="reader"),
        Asked([monday, X, C], answer("z")),
        Asked([monday, X, C, Z], error={"type": "error"}),
        Asked([tuesday, X, C, Z, D], answer("w")),
        Asked([user("on Wednesday: a"), X, C, Z, D, model("w"), B], answer("v")),
    )
    assert ["on Wednesday: a", "x", "c", "z", "d", "w", "b", "v"] == texts(found.main)
    assert [] == found.begins
    assert [
        ("rewritten", None, 0, ["on Monday: a"]),
        ("taken_back", None, 2, ["b", "y"]),
        ("agent", None, 2, ["count", "n"]),
        ("failed", None, 4, []),
        ("rewritten", None, 0, ["on Tuesday: a"]),
    ] == told(found)
    (main,) = [one for one in found.threads if one.first.agent is None]
    assert (0, 6, 4) == (main.first.number, main.last.number, main.count)


def test_who_says_other_words_and_gets_the_same_answer_has_two_conversations() -> None:
    """It is the model that says the same."""
    found = shown(Asked([A], answer("x")), Asked([B], answer("x")), Asked([B, X, C], answer("y")))
    assert ["a", "x", "b", "x", "c", "y"] == texts(found.main)
    assert [2] == found.begins


def test_an_agent_that_its_client_does_not_name_is_known_by_its_call() -> None:
    """It begins with just the words that a tool was called with."""
    call = {"type": "tool_use", "id": "t", "name": "ask", "input": {"prompt": "c", "of": 1}}
    called = {"role": "assistant", "content": [call]}
    found = shown(
        Asked([A], {"type": "message", **called}),
        Asked([C], answer("z")),
        Asked([D], answer("w")),
        Asked([A, called, B], answer("y")),
    )
    assert [("agent", ["c", "z"]), ("aside", ["d", "w"])] == [
        (branch.kind.value, texts(branch.messages)) for branch in found.branches
    ]


def test_a_text_in_the_other_form_is_the_same() -> None:
    """A client that marks a text for a cache writes it as a list, and otherwise as it is."""
    short = {"role": "assistant", "content": "x"}
    long = {"role": "user", "content": [{"type": "text", "text": "b"}]}
    found = shown(Asked([A], answer("x")), Asked([A, short, long], answer("y")),
                  Asked([A, X, B, Y, C], answer("z")))  # fmt: skip
    assert ["a", "x", "b", "y", "c", "z"] == texts(found.main)
    assert [] == told(found)


def test_one_conversation_after_another_is_the_main_one() -> None:
    """After a compaction a client begins anew; the transcript says where."""
    found = shown(Asked([A], answer("x")), Asked([A, X, B], answer("y")), Asked([C], answer("z")))
    assert ["a", "x", "b", "y", "c", "z"] == texts(found.main)
    assert ([4], []) == (found.begins, found.branches)


def test_an_agent_stands_where_it_began() -> None:
    """After the answer that called it; one that went on from the same words branches off there."""
    found = shown(
        Asked([A], answer("x")),
        Asked([C], answer("z"), agent="reader"),
        Asked([A, X, D], answer("w"), agent="forked"),
        Asked([A, X, B], answer("y")),
    )
    assert ["a", "x", "b", "y"] == texts(found.main)
    assert [("agent", None, 2, ["c", "z"]), ("agent", None, 2, ["d", "w"])] == told(found)
    assert ["reader", "forked"] == [one.name for one in found.branches]


def test_a_branch_has_branches() -> None:
    """An agent's turn that was taken back branches off from the agent."""
    found = shown(
        Asked([A], answer("x")),
        Asked([C], answer("z"), agent="reader"),
        Asked([C, Z, D], answer("w"), agent="reader"),
        Asked([C, Z, B], answer("y"), agent="reader"),
    )
    assert ("taken_back", 1, 2, ["d", "w"]) in told(found)


def test_an_answer_that_is_sent_back_otherwise_is_there_as_it_came() -> None:
    """A client that leaves the thinking out goes on with the conversation all the same."""
    thought = {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "thinking", "text": "h"}],
    }
    found = shown(Asked([A], thought), Asked([A, X, B], answer("y")), Asked([A, X, B, Y, C]))
    assert ["a", "x", "b", "y", "c"] == texts(found.main)
    assert [("rewritten", None, 1, ["h"]), ("failed", None, 5, [])] == told(found)


def test_a_history_that_moves_says_nothing_twice() -> None:
    """A message that wanders to the end is where it is now, and in no branch."""
    found = shown(Asked([A, RULES], answer("x")), Asked([A, X, B, RULES], answer("y")))
    assert ["a", "x", "b", "rules", "y"] == texts(found.main)
    assert [] == told(found)


def test_converse_is_a_conversation() -> None:
    """Its answer is the next request's message, and no branch."""
    said = {"role": "assistant", "content": [{"text": "x"}]}
    found = shown(
        Asked([A], {"output": {"message": said}, "stopReason": "end_turn"}),
        Asked([A, said, B], {"output": {"message": said}}),
    )
    assert ([A, said, B, said], []) == (found.main, found.branches)


@pytest.mark.parametrize("odd", [[], ["bare"], {"a": 1}, 7, "text"])
def test_an_answer_that_is_no_message_is_there(odd: Any) -> None:
    """Whatever it is, and whether the request has messages or not."""
    assert [A, odd] == shown(Asked([A], odd)).main
    ((exchange, base),) = kept([Asked([A], odd)])
    (other,) = transcript(SESSION, [(replace(exchange, said=None), base)]).branches
    assert (BranchKind.OTHER, [odd]) == (other.kind, other.messages)


SHORT = {"role": "assistant", "content": "x"}
MESSAGES = st.sampled_from([A, B, C, X, SHORT, Y, Z, RULES, "bare", 7, {"content": ["\ud83d"]}])
ANSWERS = st.sampled_from([None, None, answer("x"), answer("y"), answer("n1"), {"odd": 1}])


@st.composite
def sessions(draw: st.DrawFn) -> list[Asked]:
    """Requests that go on with, cut, repeat or rewrite what earlier ones said."""
    asked: list[Asked] = []
    for _ in range(draw(st.integers(1, 9))):
        said: list[Any] = []
        if asked and draw(st.integers(0, 4)):
            before = draw(st.sampled_from(asked))
            said = [*before.said]
            if isinstance(before.answer, dict) and "content" in before.answer:
                said.append({name: before.answer[name] for name in ("role", "content")})
            said = said[: draw(st.integers(0, len(said)))] if draw(st.booleans()) else said
        if said and not draw(st.integers(0, 3)):
            said[0] = draw(MESSAGES)
        said += draw(st.lists(MESSAGES, max_size=3))
        asked.append(
            Asked(
                said,
                draw(ANSWERS),
                draw(st.sampled_from([None, {"type": "error"}])),
                draw(st.sampled_from([None, None, "one", "two"])),
                draw(st.booleans()),
                started=draw(st.sampled_from([None, 0.0, 7.0])),
            )
        )
    return asked


def packed(message: Any) -> str:
    """What a message says, to be compared."""
    return json.dumps(as_said(Api.MESSAGES, message), sort_keys=True)


@settings(max_examples=300, deadline=None)
@given(sessions())
def test_every_message_and_every_answer_is_somewhere(asked: list[Asked]) -> None:
    """And every exchange is in one place: an answer in a line, what failed in a branch of its own;
    a branch leaves a line that there is, at a place that there is.
    """
    found = shown(*asked)
    said = {packed(one) for one in found.main}
    said |= {packed(one) for branch in found.branches for one in branch.messages}
    for one in asked:
        assert said >= {packed(message) for message in one.said}
        if isinstance(one.answer, dict) and "content" in one.answer:
            assert packed({name: one.answer[name] for name in ("role", "content")}) in said
        elif one.answer is not None:
            assert packed(one.answer) in said
    lengths: dict[int | None, int] = {None: len(found.main)}
    lengths |= {branch.number: len(branch.messages) for branch in found.branches}
    assert [*range(1, len(found.branches) + 1)] == [one.number for one in found.branches]
    for branch in found.branches:
        assert 0 <= branch.at <= lengths[branch.of]
        assert branch.of != branch.number
        for number in branch.exchanges:
            assert (branch.error, branch.kind) in (
                (None, branch.kind), (asked[number].error, BranchKind.FAILED),
                (asked[number].error, BranchKind.OTHER),
            )  # fmt: skip
    placed = [number for branch in found.branches for number in branch.exchanges]
    assert len(placed) == len(set(placed))
    failed = {number for number, one in enumerate(asked) if one.answer is None}
    assert failed <= set(placed)


def long_session(turns: int) -> list[tuple[KeptExchange, int | None]]:
    """Every turn with a repeat that failed, a turn that is taken back, and a title; as deltas,
    since to make them of whole requests takes the square.
    """
    rebuilder, found = Rebuilder(), list[tuple[KeptExchange, int | None]]()
    ((any_one, _),) = kept([Asked([A])])
    before: list[int] | None = None
    for turn in range(turns):
        at = 4 * turn
        here = [at, 2 * turn + 1]
        for number, base, said, text, tools in (
            (at, before, [user(f"u{turn}")], f"a{turn}", True),
            (at + 1, here, [], None, True),
            (at + 2, before, [user(f"w{turn}")], f"v{turn}", True),
            (at + 3, None, [user(f"t{turn}")], f"title {turn}", False),
        ):
            came = None if text is None else answer(text)
            items = [{"m": one} for one in said]
            body = {"answer": came, "base": base, "items": items, "fields": [], "marks": []}
            _, messages = rebuilder.add(number, body)
            exchange = replace(
                any_one, number=number, said=messages, answer=came, started=float(number),
                ended=number + 0.5, fields={"tools": [1]} if tools else {},
            )  # fmt: skip
            found.append((exchange, None))
        before = [at, 2 * turn + 2]
    return found


@pytest.mark.row("G1")
@pytest.mark.parametrize("turns", [50, 2_000])
def test_a_long_session_is_told_once(turns: int) -> None:
    """What is told grows with the turns, and not with their square."""
    found = transcript(SESSION, long_session(turns))
    assert 2 * turns == len(found.main)
    assert 3 * turns == len(found.branches)
    assert 4 * turns == sum(len(one.messages) for one in found.branches)
    kinds = Counter(one.kind for one in found.branches)
    beginning = 1  # the first turn that is taken back has nothing before it
    assert {
        BranchKind.FAILED: turns,
        BranchKind.TAKEN_BACK: turns - beginning,
        BranchKind.ASIDE: turns + beginning,
    } == kinds
