"""What a stream that carries a command holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.cloud.channel import commands
from bailee.cloud.ports import Command

PIECES = st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.binary(max_size=99)))


@given(PIECES, st.integers(0, 255), st.integers(1, 40))
def test_records_are_read_however_they_are_cut(
    pieces: list[tuple[str, bytes]], status: int, cut: int
) -> None:
    """Output and status come out as they went in, whatever the pieces on the way."""
    wire = b"".join(commands.output(*piece) for piece in pieces) + commands.status(status)
    records = commands.Records()
    read = [
        piece
        for place in range(0, len(wire), cut)
        for piece in records.receive(wire[place : place + cut])
    ]

    assert pieces == read
    assert status == records.status


@given(st.binary(max_size=200))
def test_any_bytes_are_records_or_a_value_error(data: bytes) -> None:
    """What a guest says in place of records raises nothing else."""
    records = commands.Records()
    try:
        list(records.receive(data))
    except ValueError:
        return

    assert records.status is None or 0 <= records.status <= 255


def test_a_command_is_read_as_it_was_said() -> None:
    """A request holds all of a command but its input."""
    command = Command(["ls", "-l ü"], {"A": "b"}, "/tmp", timeout=1.5, root=True)
    request = commands.request(command)

    assert command == commands.read_request(request[commands.LENGTH.size :])


@pytest.mark.parametrize("argv", [["x" * (1 << 20)], [], ["a\0b"]])
def test_what_can_be_no_command_is_refused(argv: list[str]) -> None:
    """A request is bounded and possible before it is sent."""
    with pytest.raises(ValueError, match="a command"):
        commands.request(Command(argv))
