"""What a command's help shows as examples, from `examples.toml`, which is read when help is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from typer._click.core import Context


def examples() -> dict[str, list[str]]:
    """The lines of each command, by its words after `bailee`."""
    import tomli  # here: only a help needs it

    with Path(__file__).with_name("examples.toml").open("rb") as file:
        return {words: list(lines) for words, lines in tomli.load(file).items()}


class ExemplifiedCommand(TyperCommand):
    """A command whose help ends with examples of it. Made when a command line is read."""

    def get_help(self, ctx: Context) -> str:
        """The help, and below it the examples."""
        lines = examples().get(_words(ctx), [])
        shown = "".join(f"  {line}\n" for line in lines)
        text = super().get_help(ctx)
        return f"{text}\n\nExamples:\n{shown.rstrip()}" if lines else text


def _words(ctx: Context) -> str:
    """How a command is called: its words without the program's name."""
    words: list[str] = []
    while ctx.parent is not None:
        words.append(ctx.info_name or "")
        ctx = ctx.parent
    return " ".join(reversed(words))


def exemplify(program: typer.Typer) -> None:
    """Have the help of every command of a program, and of its groups, end with its examples."""
    for command in program.registered_commands:
        if command.cls in (None, TyperCommand):
            command.cls = ExemplifiedCommand
    for group in program.registered_groups:
        if group.typer_instance is not None:
            exemplify(group.typer_instance)
