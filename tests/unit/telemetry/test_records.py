"""Rows with names, in the bytes that were written before they had any."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.registry import Refusals
from bailee.telemetry import columns, outward
from bailee.telemetry.destinations import Address
from bailee.telemetry.records import (
    ERROR,
    METRIC,
    CaughtError,
    DataClass,
    Figure,
    Row,
    StackFrame,
    as_json,
    frames_from_json,
    from_json,
    where,
)
from support.attacks.decoders import EVENT, NOW_MS, REGISTRY, events

pytestmark = pytest.mark.row("S1", "S2")

WRITTEN: Final = json.loads(
    (Path(__file__).parent / "rows_as_first_written.json").read_text("utf-8")
)
"""What the code wrote whose rows were plain lists."""
TEXTS: Final[dict[DataClass, str]] = {METRIC: "figures", ERROR: "errors"}


def rows_of(data_class: DataClass) -> list[Row]:
    """The rows of before, as they are read now."""
    return list(from_json(data_class, WRITTEN[TEXTS[data_class]].encode()))


def made(data_class: DataClass) -> list[Row]:
    """The same, made of their values with no reader in between."""
    plain = orjson.loads(WRITTEN[TEXTS[data_class]])
    if data_class == METRIC:
        return [Figure(*row) for row in plain]
    return [
        CaughtError(*row[:8], [StackFrame(*frame) for frame in row[8]], row[9]) for row in plain
    ]


@pytest.mark.parametrize("data_class", [METRIC, ERROR])
def test_what_was_written_before_is_read_and_written_as_it_was(data_class: DataClass) -> None:
    """To the byte, numbers at the ends of their range too."""
    assert made(data_class) == rows_of(data_class)
    assert WRITTEN[TEXTS[data_class]] == as_json(made(data_class)).decode()


def test_an_event_gives_the_bytes_that_it_gave() -> None:
    """From a sender's body to a journal's frame; the issue's digest is the same."""
    row = events().row(orjson.dumps(EVENT), Refusals(), NOW_MS)

    assert WRITTEN["errors"].startswith(as_json([row]).decode().removesuffix("]"))


def test_columns_hold_the_texts_that_they_held() -> None:
    """Bounds and stacks are texts in a column: files of before and after are joined."""
    for data_class, name in ((METRIC, "bounds"), (ERROR, "frames")):
        table = columns.table(data_class, made(data_class), REGISTRY, [name])
        assert WRITTEN[name] == table.column(name).to_pylist()
    stacks = [frames_from_json(text) for text in WRITTEN["frames"]]
    assert "bailee.gateway.server" == where(stacks[0])
    assert None is where(stacks[2])


def test_what_is_passed_on_is_what_was_passed_on() -> None:
    """OTLP and envelopes, to the byte."""
    ids = iter(f"{number:032x}" for number in range(100))
    to = Address("otlp", "https://x.example", {})
    sent = [
        [request.url, request.rows, request.body.hex()]
        for data_class in (METRIC, ERROR)
        for request in outward.requests(
            to, made(data_class), frozenset(REGISTRY.common), lambda: next(ids)
        )
    ]
    assert WRITTEN["otlp"] == sent
    errors = [row for row in made(ERROR) if isinstance(row, CaughtError)]
    assert WRITTEN["envelopes"] == [
        outward.envelope(row, f"{number:032x}").decode() for number, row in enumerate(errors)
    ]


values = st.text(st.characters(exclude_categories=["Cs"])) | st.integers(-(2**53), 2**53)
numbers = st.floats(allow_nan=False, allow_infinity=False)
figures = st.builds(
    Figure,
    at=st.integers(0, 2**53),
    name=st.text(st.characters(exclude_categories=["Cs"])),
    kind=st.sampled_from(["counter", "gauge", "histogram", "event", "span"]),
    value=numbers,
    count=st.integers(0, 2**53),
    bounds=st.none() | st.lists(numbers, max_size=3),
    counts=st.none() | st.lists(st.integers(0, 2**53), max_size=3),
    attributes=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), values),
)


@given(st.lists(figures, max_size=3))
def test_any_figure_comes_back_and_is_a_plain_list_on_disk(rows: list[Figure]) -> None:
    """What one version writes, any reader of JSON reads."""
    text = as_json(rows)

    assert rows == from_json(METRIC, text)
    assert text == orjson.dumps([list(msgspec.structs.astuple(row)) for row in rows])
