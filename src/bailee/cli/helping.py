"""What each command's help says, from the command itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import typer
from typer.core import TyperCommand, TyperGroup

from bailee.cli.examples import examples
from bailee.cli.help_page import HelpPage, columns, set_in_lines

if TYPE_CHECKING:
    from typer._click.core import Command, Context

_WHOLE: Final = 10_000  # characters of a command's line in the help of its group


class HelpedCommand(TyperCommand):
    """A command whose help is a `HelpPage`, with its examples. Made when a command line is read."""

    def get_help(self, ctx: Context) -> str:
        """The help, in lines as wide as the terminal."""
        return set_in_lines(page_from(self, ctx), columns())


class HelpedGroup(TyperGroup):
    """The same for a group: each of its commands has its whole line. Made when a command line is
    read.
    """

    def get_help(self, ctx: Context) -> str:
        """The help, in lines as wide as the terminal."""
        return set_in_lines(page_from(self, ctx), columns())


def page_from(command: Command, context: Context) -> HelpPage:
    """What a command's help says."""
    words = _words(context)
    rows: dict[str, list[tuple[str, str]]] = {"argument": [], "option": []}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            rows[parameter.param_type_name].append(record)
    text = (command.help or "").split("\n\n")
    below = command.commands if isinstance(command, TyperGroup) else {}
    return HelpPage(
        words=words,
        usage=" ".join(command.collect_usage_pieces(context)),
        paragraphs=[" ".join(paragraph.split()) for paragraph in text if paragraph],
        arguments=rows["argument"],
        options=rows["option"],
        commands=[
            (name, one.get_short_help_str(_WHOLE)) for name, one in below.items() if not one.hidden
        ],
        examples=examples().get(" ".join(words), []),
    )


def commands(program: typer.Typer) -> Iterator[tuple[Command, Context]]:
    """Every command of a program, and every group of it before what it holds, with what its help is
    asked with.
    """
    root = typer.main.get_command(program)
    yield from _below(root, root.make_context("bailee", [], resilient_parsing=True))


def _below(command: Command, context: Context) -> Iterator[tuple[Command, Context]]:
    if isinstance(command, TyperGroup):
        for name, one in command.commands.items():
            if not one.hidden:
                inner = type(context)(one, info_name=name, parent=context)
                yield one, inner
                yield from _below(one, inner)


def _words(context: Context) -> list[str]:
    """How a command is called: its words without the program's name."""
    words: list[str] = []
    while context.parent is not None:
        words.append(context.info_name or "")
        context = context.parent
    return words[::-1]


def with_help(program: typer.Typer) -> None:
    """Have every command of a program, and every group of it, show such a help."""
    for command in program.registered_commands:
        if command.cls in (None, TyperCommand):
            command.cls = HelpedCommand
    for group in program.registered_groups:
        group.cls = HelpedGroup
        if group.typer_instance is not None:
            with_help(group.typer_instance)
