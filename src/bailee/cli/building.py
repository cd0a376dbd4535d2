"""From the table of commands to the program that reads a command line."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Annotated

import typer

from bailee import __version__
from bailee.cli.help_page import OPTIONS, WHAT
from bailee.cli.helping import HelpedGroup, with_help
from bailee.cli.show import say


def _version(wanted: bool) -> None:
    if wanted:
        say(f"bailee {__version__}")
        raise typer.Exit


def _root(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help=OPTIONS["--version"]),
    ] = False,
) -> None:
    pass


def made(places: Mapping[str, str]) -> typer.Typer:
    """A program with the commands at `places`, each a module's name and an attribute of it."""
    program = typer.Typer(
        name="bailee",
        cls=HelpedGroup,
        help=WHAT,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    program.callback()(_root)
    for name, place in places.items():
        module_name, attribute = place.split(":")
        module = import_module(f"bailee.cli.{module_name}")
        command = getattr(module, attribute)
        if isinstance(command, typer.Typer):
            program.add_typer(command, name=name)
        else:
            program.command(name, **getattr(module, "HOW", {}))(command)
    with_help(program)
    return program
