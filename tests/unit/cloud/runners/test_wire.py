"""What server and runner say to each other."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.cloud.ports import Command, MachineLimits
from bailee.cloud.runners import wire

TEXT = st.text(max_size=30)
COMMANDS = st.builds(
    Command,
    st.lists(TEXT, min_size=1, max_size=5).map(tuple),
    st.dictionaries(TEXT, TEXT, max_size=3),
    TEXT,
    st.binary(max_size=60),
    st.none() | st.floats(0, 1e6),
    st.booleans(),
)


@given(COMMANDS)
def test_a_command_arrives_as_it_was_sent(command: Command) -> None:
    """Whatever words and bytes are in it, on one line."""
    line = wire.line(wire.execute("cs-1", 7, command))
    assert 1 == line.count(b"\n")
    assert command == wire.command_of(wire.read(line))


def test_limits_arrive_as_they_were_sent() -> None:
    """All of them."""
    sent = wire.read(wire.line(wire.start("cs-1", "secret", ["git"], MachineLimits(cpus=3))))
    assert MachineLimits(cpus=3) == MachineLimits(**sent["limits"])


@pytest.mark.parametrize("text", [b"", b"7", b"[1]", b"{", b"\xff", b"null"])
def test_what_is_no_message_is_refused(text: bytes) -> None:
    """By a `ValueError`, whatever it is."""
    with pytest.raises((ValueError, json.JSONDecodeError)):
        wire.read(text)
