"""What a batch used is read from its results, however they come, and nothing else is."""

from __future__ import annotations

import gzip
import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.apis.batch_results import BatchMeter, ResultsOfModel, batch_meter
from bailee.apis.using import Tokens

HAIKU, SONNET = "claude-haiku-4-5-20251001", "claude-sonnet-4-5"


def result(model: str, into: int, out: int, text: str = "plums") -> bytes:
    """A line of a request that was answered, as the API writes it."""
    message = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": model,
        "content": [{"type": "text", "text": text}], "stop_reason": "end_turn",
        "usage": {
            "input_tokens": into, "output_tokens": out, "cache_read_input_tokens": 3,
            "service_tier": "batch",
        },
    }  # fmt: skip
    return (
        json.dumps(
            {"custom_id": "one", "result": {"type": "succeeded", "message": message}}
        ).encode()
        + b"\n"
    )


def ended(kind: str) -> bytes:
    """A line of a request that was not."""
    return json.dumps({"custom_id": "two", "result": {"type": kind}}).encode() + b"\n"


LINES = (
    result(HAIKU, 10, 20)
    + result(SONNET, 1, 2)
    + ended("errored")
    + ended("expired")
    + ended("canceled")
    + b"{no json\n[]\n\n"
    + result(HAIKU, 100, 200, '{"usage": {"input_tokens": 9999}}').rstrip(b"\n")
)
USED = (
    ResultsOfModel(HAIKU, 2, 0, 0, Tokens(110, 220, 6)),
    ResultsOfModel(SONNET, 1, 0, 0, Tokens(1, 2, 3)),
    ResultsOfModel("", 1, 1, 0, Tokens()),
)


@given(st.lists(st.integers(0, len(LINES)), max_size=12), st.booleans())
def test_it_is_the_same_however_the_results_come(cuts: list[int], coded: bool) -> None:
    """In pieces of any size, in a coding too; the last line needs no end."""
    raw = gzip.compress(LINES) if coded else LINES
    meter = batch_meter("b", b"gzip" if coded else b"")
    assert meter is not None
    places = [0, *sorted(min(one, len(raw)) for one in cuts), len(raw)]
    for begin, end in pairwise(places):
        meter.feed(raw[begin:end])
    used = meter.used(complete=True)
    assert used is not None
    assert ("b", USED) == (used.batch, used.models)


def test_what_broke_off_is_not_counted() -> None:
    """The line that did not end says nothing; those before it count."""
    meter = BatchMeter("b")
    meter.feed(LINES)
    used = meter.used(complete=False)
    assert used is not None
    assert ResultsOfModel(HAIKU, 1, 0, 0, Tokens(10, 20, 3)) == used.models[0]
    empty = BatchMeter("b")
    empty.feed(LINES[:40])
    assert empty.used(complete=False) is None


def test_memory_is_bounded() -> None:
    """A line without an end is counted by its size, and models beyond twenty as one."""
    meter = BatchMeter("b")
    for _ in range(40):
        meter.feed(b"x" * (64 << 10))
    meter.feed(b"\n")
    used = meter.used(complete=True)
    assert used is not None
    assert (ResultsOfModel("", 1, 0, 1, Tokens(output=(40 * 64 << 10) // 4)),) == used.models
    many = BatchMeter("b")
    for number in range(50):
        many.feed(result(f"m-{number}", 1, 1))
    found = many.used(complete=True)
    assert found is not None
    assert (20, 50) == (len(found.models), sum(one.requests for one in found.models))


@pytest.mark.parametrize("coding", [b"compress", b"gzip, gzip, gzip, gzip, gzip"])
def test_a_coding_that_is_not_known_is_not_read(coding: bytes) -> None:
    """Nothing is said of it."""
    assert batch_meter("b", coding) is None


def test_what_is_not_in_its_coding_is_read_no_further() -> None:
    """What was read before counts."""
    meter = batch_meter("b", b"gzip")
    assert meter is not None
    meter.feed(gzip.compress(result(HAIKU, 1, 2)))
    meter.feed(b"no gzip at all")
    meter.feed(gzip.compress(result(HAIKU, 1, 2)))
    used = meter.used(complete=True)
    assert used is not None and [1] == [one.requests for one in used.models]
