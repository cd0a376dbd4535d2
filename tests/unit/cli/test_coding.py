"""A plain command line of `bailee code` is read without the library that reads command lines."""

from __future__ import annotations

import pytest
import typer.main
from hypothesis import given
from hypothesis import strategies as st
from typer.core import TyperGroup

from bailee.cli import whole
from bailee.cli.coding import CodeCommandLine, plain
from bailee.errors import BaileeError

_COMMAND = typer.main.get_command(whole())
_WORDS = st.sampled_from(
    [
        *("-p", "--print", "--output-format", "-c", "--continue", "--resume", "-r", "--model"),
        *("--max-turns", "--allowed-tools", "--allowedTools", "--disallowed-tools", "--add-dir"),
        *("--disallowedTools", "--settings", "--no-sandbox", "--help", "--", "-", "-cp", "-px"),
        *("--model=m", "--print=x", "--pri", "json", "hello", "/tmp", "3", "", "two words"),
        *("-p hello", "=", "ü"),
    ]
)


def _by_the_command(words: list[str]) -> CodeCommandLine | None:
    """What the command itself reads; None where it refuses, or shows its help."""
    assert isinstance(_COMMAND, TyperGroup)
    code = _COMMAND.commands["code"]
    try:
        read = code.make_context("code", list(words)).params
    except (Exception, SystemExit) as refused:  # click's own, which it keeps to itself
        assert not isinstance(refused, BaileeError)
        return None
    read = {name: [*one] if isinstance(one, tuple) else one for name, one in read.items()}
    return CodeCommandLine(**{name: one for name, one in read.items() if one is not None})


@given(st.lists(_WORDS, max_size=7))
def test_what_is_read_plainly_is_what_the_command_reads(words: list[str]) -> None:
    """Or nothing is read plainly, and the command is asked."""
    read = plain(words)
    assert read is None or read == _by_the_command(words)


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ([], CodeCommandLine()),
        (["-p", "hello"], CodeCommandLine(print_="hello")),
        (["what now", "-c"], CodeCommandLine(prompt="what now", continue_=True)),
        (
            [
                "-p",
                "a",
                "--output-format",
                "json",
                "--allowedTools",
                "Edit",
                "--allowed-tools",
                "x",
            ],
            CodeCommandLine(print_="a", output_format="json", allowed_tools=["Edit", "x"]),
        ),
    ],
)
def test_these_are_plain(words: list[str], asked: CodeCommandLine) -> None:
    """What programs and people type most."""
    assert asked == plain(words) == _by_the_command(words)
