"""What each API's exchanges may cost: past a bound the bytes are kept, and which bound it was is
said.
"""

from __future__ import annotations

import json

import pytest
from tests.support.apis import exchange

from bailee.api import Api
from bailee.apis.reading import interpret
from bailee.items.replies import MOST, items_of
from bailee.vault import bounds
from bailee.vault.bounds import Beyond

pytestmark = pytest.mark.row("G1", "G4")
LISTS = {
    Api.MESSAGES: "messages",
    Api.CONVERSE: "messages",
    Api.RESPONSES: "input",
    Api.CHAT: "messages",
    Api.GEMINI: "contents",
}
EVENTS = {
    Api.RESPONSES: '{"type":"response.output_item.done","output_index":%d,"item":{"a":[1,2,3]}}',
    Api.CHAT: '{"choices":[{"index":%d,"delta":{"content":"x","a":[1,2,3]}}]}',
    Api.GEMINI: '{"candidates":[{"index":%d,"content":{"parts":[{"a":[1,2,3]}]}}]}',
}
"""An event that leaves something of its own each time."""
PIECES = {
    Api.RESPONSES: '{"type":"response.output_text.delta","output_index":0,"content_index":0,'
    '"delta":"x"}',
    Api.CHAT: '{"choices":[{"index":0,"delta":{"content":"x"}}]}',
    Api.GEMINI: '{"candidates":[{"content":{"parts":[{"text":"x"}]}}]}',
}
"""An event that goes on with a text."""


@pytest.mark.parametrize("api", Api)
@pytest.mark.parametrize(
    ("item", "count", "bound"),
    [
        ("0", 1_000_000, Beyond.VALUES),
        ("{}", bounds.MESSAGES + 1, Beyond.MESSAGES),
        ("[" * 500 + "]" * 500, 2_000, Beyond.DEPTH),
    ],
)
def test_a_request_past_a_bound_is_kept_as_it_came(
    api: Api, item: str, count: int, bound: Beyond
) -> None:
    """A million entries, more messages than are told apart, too deep a nesting."""
    body = f'{{"{LISTS[api]}":[{",".join([item] * count)}]}}'.encode()
    found = interpret(exchange(api, body, b""))
    assert (bound, body, None) == (found.beyond, found.raw_request, found.messages)


def test_a_list_within_the_request_is_bounded_too() -> None:
    """Code Assist's."""
    body = json.dumps({"request": {"contents": [{}] * (bounds.MESSAGES + 1)}}).encode()
    assert Beyond.MESSAGES is interpret(exchange(Api.GEMINI, body, b"")).beyond


@pytest.mark.parametrize("api", EVENTS)
def test_a_stream_that_leaves_too_much_is_kept_as_it_came(api: Api) -> None:
    """Each event leaves values: there is one budget for all."""
    body = "".join(f"data:{EVENTS[api] % n}\n\n" for n in range(40_000)).encode()
    found = interpret(exchange(api, b"{}", body))
    assert (Beyond.VALUES, body, None) == (found.beyond, found.raw_answer, found.answer)


@pytest.mark.parametrize("api", PIECES)
def test_a_long_answer_is_no_such_thing(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of a text cost no values, however many they are; their number has a bound."""
    monkeypatch.setattr(bounds, "EVENTS", 20_000)
    events = f"data:{PIECES[api]}\n\n" * 20_000
    found = interpret(exchange(api, b"{}", events.encode()))
    assert found.beyond is None
    assert "x" * 20_000 in json.dumps(found.answer)

    more = interpret(exchange(api, b"{}", f"{events}data:{PIECES[api]}\n\n".encode()))
    assert Beyond.EVENTS is more.beyond


def test_an_answer_of_too_many_items_counts_as_none() -> None:
    """Each would cost rows of the index when it came, whether it is sent back or not."""
    item = {"type": "message", "role": "assistant", "content": []}
    assert MOST == len(items_of(Api.RESPONSES, {"output": [item] * MOST}))
    assert [] == items_of(Api.RESPONSES, {"output": [item] * (MOST + 1)})
