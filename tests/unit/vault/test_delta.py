"""Deltas give back exactly what was sent, whatever a client does with its history."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bailee.api import Api
from bailee.apis.requests import request_of
from bailee.vault.delta import Delta, DeltaDraft, digest_key, encode
from bailee.vault.known import KnownPieces
from bailee.vault.packing import pack, parse, unpack
from bailee.vault.rebuilding import Rebuilder

KEY = digest_key(bytes(32))

texts = st.text(max_size=8) | st.sampled_from(["\ud800", "null", "", "a" * 80])
numbers = st.integers() | st.floats(allow_nan=False) | st.booleans()
values = st.recursive(
    st.none() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
marks = st.sampled_from([{}, {}, {"cache_control": {"type": "ephemeral"}}, {"cache_control": None}])


@st.composite
def blocks(draw: Any) -> Any:
    """Content blocks: text, tool use, tool results with blocks inside, and unknown things."""
    mark = draw(marks)
    kind = draw(st.sampled_from(["text", "tool_use", "tool_result", "odd", "string"]))
    if kind == "text":
        return {"type": "text", "text": draw(texts), **mark}
    if kind == "tool_use":
        return {"type": "tool_use", "input": draw(values), **mark}
    if kind == "tool_result":
        inner = draw(
            texts
            | st.lists(
                st.builds(lambda t, m: {"type": "text", "text": t, **m}, texts, marks), max_size=2
            )
        )
        return {"type": "tool_result", "content": inner, **mark}
    return draw(values) if kind == "odd" else draw(texts)


messages = st.one_of(
    st.builds(
        lambda role, content: {"role": role, "content": content},
        st.sampled_from(["user", "assistant", "system"]),
        texts | st.lists(blocks(), max_size=3),
    ),
    values,
)
fields = st.dictionaries(
    st.sampled_from(["system", "tools", "model", "metadata", "\ud800"]),
    values | st.lists(blocks(), max_size=3) | st.just([{"name": "t" * 80}] * 2),
    max_size=3,
)
answers = (
    st.none()
    | values
    | st.builds(
        lambda content: {"id": "m", "role": "assistant", "content": content, "usage": {"n": 1}},
        texts | st.lists(blocks(), max_size=2),
    )
)


@st.composite
def sessions(draw: Any) -> list[tuple[Any, Any, Any]]:
    """Sessions as clients make them: going on, trying again, editing, branching, compacting."""
    made: list[tuple[Any, Any, Any]] = []
    for _ in range(draw(st.integers(1, 7))):
        sent: Any = []
        answer: Any = None
        if made:
            _, sent, answer = copy.deepcopy(draw(st.sampled_from(made)))
        sent = sent or []
        action = draw(st.sampled_from(["go on", "again", "edit", "cut", "new", "none", "twice"]))
        if action == "go on":
            if isinstance(answer, dict) and "content" in answer:
                sent.append({"role": "assistant", "content": answer["content"]})
            sent += draw(st.lists(messages, max_size=2))
        elif action == "edit" and sent:
            sent[draw(st.integers(0, len(sent) - 1))] = draw(messages)
        elif action == "cut":
            sent = sent[draw(st.integers(0, len(sent))) :]
        elif action == "twice":
            sent += sent
        elif action == "new":
            sent = draw(st.lists(messages, max_size=4))
        previous = made[-1][0] if made and draw(st.booleans()) else draw(fields)
        made.append((previous, None if action == "none" else sent, draw(answers)))
    return made


def same(left: Any, right: Any) -> bool:
    """Equal as JSON values: numbers of the same kind, whatever the order of keys."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(repr(left) == repr(right))


def stored(session: list[tuple[Any, Any, Any]]) -> list[Delta]:
    """The session's deltas, as they come back from storage."""
    known = KnownPieces(KEY)
    deltas = []
    for number, (extra, sent, answer) in enumerate(session):
        delta = encode(number, extra, sent, answer, known)
        known.places |= delta.learned
        body: Any = unpack(pack(delta.body))
        deltas.append(Delta(body, delta.learned))
    return deltas


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(sessions())
def test_rebuilds_what_was_sent(session: list[tuple[Any, Any, Any]]) -> None:
    """Every request and answer of a session comes back as the same JSON value."""
    before = copy.deepcopy(session)
    rebuilder = Rebuilder()
    for number, delta in enumerate(stored(session)):
        extra, sent = rebuilder.add(number, delta.body)
        assert same(before[number][0], extra)
        assert same(before[number][1], None if sent is None else sent.all())
        assert same(before[number][2], rebuilder.answer(number))
    assert same(before, session), "encoding must not change what it is given"


def conversation(turns: int, mark: bool = True) -> list[tuple[Any, Any, Any]]:
    """A conversation with a long system prompt and tools, and a mark that moves at every turn."""
    extra = {"system": [{"type": "text", "text": "s" * 5000}], "tools": [{"name": "t" * 500}] * 10}
    made: list[tuple[Any, Any, Any]] = []
    history: list[Any] = []
    for number in range(turns):
        history.append({"role": "user", "content": [{"type": "text", "text": f"{number} " * 50}]})
        sent = copy.deepcopy(history)
        if mark:
            sent[-1]["content"][0]["cache_control"] = {"type": "ephemeral"}
        answer = {"role": "assistant", "content": [{"type": "text", "text": f"a{number} " * 50}]}
        made.append((copy.deepcopy(extra), sent, answer))
        history.append(copy.deepcopy(answer))
    return made


def test_size_grows_with_what_is_new() -> None:
    """The tenth turn of a conversation costs what the second did, moving cache marks included."""
    sizes = [len(pack(delta.body)) for delta in stored(conversation(10))]
    assert sizes[0] > 8000
    assert max(sizes[1:]) < min(sizes[1:]) * 1.2
    assert max(sizes[1:]) < 1200


def test_an_altered_answer_costs_one_message() -> None:
    """A client that sends an answer back changed pays for that message, once."""
    session = conversation(4)
    for _, sent, _ in session[2:]:
        sent[1] = {"role": "assistant", "content": [{"type": "text", "text": "changed"}]}
    items = [delta.body["items"] for delta in stored(session)]
    new = [sum("m" in item for item in some) for some in items]
    assert [1, 1, 2, 1] == new


def test_compaction_costs_what_is_new() -> None:
    """A history that is cut in front refers to the messages that are still in it."""
    session = conversation(4)
    session.append((session[-1][0], session[-1][1][3:], session[-1][2]))
    items: Any = stored(session)[-1].body["items"]
    assert all("r" in item for item in items)


def test_messages_that_begin_alike_are_told_apart() -> None:
    """Long messages that differ in their last character are different messages."""
    long = [{"role": "user", "content": "x" * 5000 + end} for end in "abc"]
    session: list[Any] = [({}, long[:1], None), ({}, long[1:], None), ({}, long[::-1], None)]
    rebuilder = Rebuilder()
    for number, delta in enumerate(stored(session)):
        _, said = rebuilder.add(number, delta.body)
        assert said is not None
        assert session[number][1] == said.all()


def echoing(count: int) -> tuple[list[tuple[Any, Any, Any]], list[Delta]]:
    """A session of the Responses API, whose answers say again what was asked: instructions as they
    came, tools with what the provider fills in. Its deltas, as they come back from storage.
    """
    asked: dict[str, Any] = {
        "instructions": "i" * 900,
        "tools": [{"name": "t" * 300}],
        "model": "m",
    }
    session: list[tuple[Any, Any, Any]] = []
    for number in range(count):
        output = [{"type": "message", "content": f"{number} " * 200}]
        tools = [{**asked["tools"][0], "strict": True}]
        answer = {"id": f"r{number}", "instructions": asked["instructions"], "output": output}
        session.append((asked, [], {**answer, "tools": tools, "usage": {"n": number}}))
    known = KnownPieces(KEY)
    deltas: list[Delta] = []
    for number, (fields, sent, answer) in enumerate(copy.deepcopy(session)):
        delta = encode(number, fields, sent, answer, known, api=Api.RESPONSES)
        known.places |= delta.learned
        body: Any = unpack(pack({**delta.body, "api": "responses"}))
        deltas.append(Delta(body, delta.learned))
    return session, deltas


def test_what_an_answer_says_again_is_kept_once() -> None:
    """Instructions are where the request has them, tools where the first answer has them; each
    answer comes back with its members in their order.
    """
    session, deltas = echoing(4)
    rebuilder = Rebuilder()
    for number, delta in enumerate(deltas):
        rebuilder.add(number, delta.body)
        back: Any = rebuilder.answer(number)
        assert json.dumps(session[number][2]) == json.dumps(back)
    sizes = [len(pack(delta.body)) for delta in deltas]
    assert [[1, "instructions", "f", 0], [3, "tools", "a", 0]] == deltas[3].body["echo"]
    assert max(sizes[1:]) < 700 < sizes[0]


def test_an_answer_that_says_something_else_is_kept_as_it_came() -> None:
    """A member that differs in a number's kind alone is another."""
    session, _ = echoing(2)
    known, rebuilder = KnownPieces(KEY), Rebuilder()
    for number, seen in enumerate((1, 1.0, True)):
        answer = {**session[number % 2][2], "metadata": {"n": seen, "w": "x" * 300}}
        delta = encode(number, session[0][0], [], answer, known, api=Api.RESPONSES)
        known.places |= delta.learned
        rebuilder.add(number, {**delta.body, "api": "responses"})
        assert same(answer, rebuilder.answer(number))


responses_parts = st.lists(
    st.builds(
        lambda text, more: {"type": "output_text", "text": text, **more},
        st.sampled_from(["a", "b" * 300]),
        st.sampled_from([{}, {"annotations": []}, {"annotations": None}, {"logprobs": [1]}]),
    ),
    max_size=2,
)
responses_items = st.one_of(
    st.builds(
        lambda more, parts: {"role": "user", "content": parts, **more},
        st.sampled_from([{}, {"type": "message"}, {"id": "1"}, {"id": 2, "phase": ""}]),
        responses_parts,
    ),
    st.builds(
        lambda number, more: {"type": "reasoning", "summary": [{"n": number}] * 50, **more},
        st.sampled_from([1, 1.0, True]),
        st.sampled_from([{}, {"id": "x"}, {"content": None}, {"status": {"": [None]}}]),
    ),
    values,
)
asked_and_answered = st.tuples(
    st.lists(responses_items, max_size=5), st.lists(responses_items, max_size=2)
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(asked_and_answered, max_size=5))
def test_items_under_other_ids_come_back_as_they_came(session: list[tuple[Any, Any]]) -> None:
    """Whatever a client leaves out or writes anew, in whatever order it sends what."""
    known, rebuilder = KnownPieces(KEY), Rebuilder()
    for number, (sent, output) in enumerate(session):
        answer = {"output": output, "id": "r"}
        delta = encode(number, {}, copy.deepcopy(sent), answer, known, api=Api.RESPONSES)
        known.places |= delta.learned
        body: Any = unpack(pack({**delta.body, "api": "responses"}))
        _, said = rebuilder.add(number, body)
        assert said is not None
        assert same(sent, said.all())
        assert same(answer, rebuilder.answer(number))


def test_a_compaction_under_other_ids_costs_what_is_new() -> None:
    """As Codex does it: the same instructions and words under new ids, then a summary."""

    def item(role: str, text: str, named: str) -> Any:
        content = [{"type": "input_text", "text": text}]
        return {"type": "message", "role": role, "content": content, "id": named}

    words = [("developer", "i" * 9000), ("user", "w" * 2000)]
    first = [item(*one, f"a{number}") for number, one in enumerate(words)]
    after = [item(*one, f"b{number}") for number, one in enumerate(words)]
    known = KnownPieces(KEY)
    sizes: list[int] = []
    for number, sent in enumerate((first, [*after, item("user", "a summary", "b9")])):
        delta = encode(number, {}, sent, None, known, api=Api.RESPONSES)
        known.places |= delta.learned
        sizes.append(len(pack(delta.body)))
    assert sizes[0] > 11_000
    assert sizes[1] < 500


def test_digests_need_the_key() -> None:
    """Two sessions with the same content have no digest in common."""
    session = conversation(2)
    one = encode(0, *session[0], KnownPieces(digest_key(b"1" * 32))).learned
    other = encode(0, *session[0], KnownPieces(digest_key(b"2" * 32))).learned
    assert len(one) == len(other)
    assert set() == one.keys() & other.keys()


@pytest.mark.parametrize("text", ['{"a": 1e400}', '{"a": 123456789012345678901234567890}'])
def test_numbers_outside_of_64_bits(text: str) -> None:
    """Numbers that orjson can't hold survive packing."""
    value = parse(text.encode())
    assert same(value, unpack(pack(value)))
    assert not isinstance(value, bytes)


@settings(max_examples=300, deadline=None)
@given(values)
def test_parses_what_json_can_say(value: Any) -> None:
    """A JSON text becomes the value that the standard library reads in it."""
    assert same(value, parse(json.dumps(value).encode()))


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(sessions())
def test_what_begins_in_the_same_bytes_makes_the_same_delta(
    session: list[tuple[Any, Any, Any]],
) -> None:
    """A request's first messages are passed over by their bytes: nothing of what is stored differs
    for that, whatever the client does with its history, and with its cache marks.
    """
    quick, slow = KnownPieces(KEY), KnownPieces(KEY)
    for number, (rest, sent, answer) in enumerate(session):
        body = json.dumps({**rest, "messages": sent}, ensure_ascii=False, separators=(",", ":"))
        asked = request_of(Api.MESSAGES, body.encode("utf-8", "surrogatepass"), "")
        made = [
            DeltaDraft(asked.fields, asked.items, answer, known, written=written).delta(
                number, known
            )
            for known, written in ((quick, asked.written), (slow, None))
        ]
        assert made[0] == made[1]
        for known in (quick, slow):
            known.places |= made[0].learned


def test_a_conversation_that_goes_on_is_read_from_where_it_does() -> None:
    """The messages before the first cache mark are not digested again; not even looked at."""
    known = KnownPieces(KEY)
    sent: list[Any] = [{"role": "user", "content": "a" * 100}] * 5
    marked = {"role": "user", "content": [{"type": "text", "text": "b", "cache_control": {}}]}
    for number, messages in enumerate(([*sent, marked], [*sent, *sent, marked])):
        asked = request_of(Api.MESSAGES, _body(system="s" * 100, messages=messages), "")
        assert asked.written is not None
        draft = DeltaDraft(asked.fields, asked.items, None, known, written=asked.written)
        assert (0, 5)[number] == draft._begun
        known.places |= draft.delta(number, known).learned
    assert [10] == [one.messages for one in known.beginnings]


@pytest.mark.parametrize(
    "first",
    [
        b'{"x":{"messages":[{"content":"a"}]},"messages":[{"content":"c"}]}',
        b'{"x":"\\"messages\\":[","messages":[{"content":"c"}]}',
        b'{"messages":[{"content":"a"}],"messages":[{"content":"c"}]}',
    ],
    ids=["a list of that name within another field", "in a text", "the same key twice"],
)
def test_no_other_list_passes_for_the_messages(first: bytes) -> None:
    """Who writes a request can't have it stored with messages that another one had."""
    known = KnownPieces(KEY)
    honest = b'{"messages":[{"content":"a"}]}'
    forged = first.replace(b'"c"', b'"d"')
    for number, body in enumerate((honest, first, forged, honest, first)):
        asked = request_of(Api.MESSAGES, body, "")
        draft = DeltaDraft(asked.fields, asked.items, None, known, written=asked.written)
        plain = DeltaDraft(asked.fields, asked.items, None, known)
        delta = draft.delta(number, known)
        assert plain.delta(number, known) == delta
        known.places |= delta.learned


def _body(**members: Any) -> bytes:
    """A body as clients in JavaScript write it."""
    return json.dumps(members, separators=(",", ":")).encode()
