"""What helps show as examples: each command has some, and each is one that the program takes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from bailee.cli import whole
from bailee.cli.examples import examples

PROGRAM: Any = typer.main.get_command(whole())
EXAMPLES = examples()


def _commands(group: Any, words: tuple[str, ...] = ()) -> Iterator[str]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, (*words, name))
        else:
            yield " ".join((*words, name))


def test_each_command_has_examples_and_nothing_else_has() -> None:
    """A command that is new, or has another name, is missed here."""
    assert set(_commands(PROGRAM)) == set(EXAMPLES)


@pytest.mark.parametrize("words", EXAMPLES)
def test_an_example_is_read_as_it_stands(words: str) -> None:
    """By the command's own parameters: none is unknown, missing, or of another type."""
    for line in EXAMPLES[words]:
        program, *arguments = shlex.split(line)
        assert program == "bailee" and words.split() == arguments[: len(words.split())]
        command = PROGRAM
        for word in words.split():
            command = command.commands[word]
        command.make_context(words, arguments[len(words.split()) :])


def test_a_help_ends_with_its_examples() -> None:
    """Each on a line of its own, as it is typed."""
    shown = CliRunner().invoke(whole(), ["account", "residency", "--help"])
    assert shown.exit_code == 0
    assert shown.output.endswith(
        'Examples:\n  bailee account residency "$ORGANISATION" eu\n'
        '  bailee account residency "$ORGANISATION" --anywhere\n'
    )
