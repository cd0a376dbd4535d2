"""The `bailee` command: one file per command group, thin.

Nothing of the server is imported until a command needs it, so that the base install has every
command that needs no server, and a plain refusal for the others. Of the groups only the one is
imported and built that the first word names: all of them take several times as long.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from typing import Annotated, Final

import typer

from bailee import __version__
from bailee.cli.show import say, warn_in_lines

_COMMANDS: Final = {
    "up": "up:up",
    "sign-in": "up:sign_in",
    "demo": "demo:demo",
    "code": "code:code",
    "flows": "flows:flows",
    "run": "run:run",
    "outbox": "outbox:app",
    "local": "local:app",
    "policy": "policy:app",
    "person": "person:app",
    "hold": "hold:app",
    "receipts": "personal_data:receipts",
    "organisation": "organisation:app",
    "account": "account:app",
    "key": "key:app",
    "privacy": "privacy:app",
    "sessions": "sessions:app",
    "retention": "retention:app",
    "metrics": "metrics:app",
    "errors": "errors_command:app",
    "feedback": "feedback:app",
    "survey": "survey:app",
    "cloud": "cloud:app",
    "clock": "clock:app",
    "keyring": "keyring:app",
    "home": "home:app",
    "audit": "audit:app",
    "verify": "verify:verify",
    "config": "config:app",
}
"""Each first word, and what it names: module and attribute. A module's `HOW` says more of its
command."""


def _version(wanted: bool) -> None:
    if wanted:
        say(f"bailee {__version__}")
        raise typer.Exit


def _root(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


def _made(names: Iterable[str]) -> typer.Typer:
    made = typer.Typer(
        name="bailee",
        help="The self-hostable data plane for coding agents.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    made.callback()(_root)
    for name in names:
        module_name, attribute = _COMMANDS[name].split(":")
        module = import_module(f"bailee.cli.{module_name}")
        command = getattr(module, attribute)
        if isinstance(command, typer.Typer):
            made.add_typer(command, name=name)
        else:
            made.command(name, **getattr(module, "HOW", {}))(command)
    return made


@cache
def whole() -> typer.Typer:
    """Every command. What is added to it, `main` has too."""
    return _made(_COMMANDS)


def main() -> None:
    """Run the command line. A fault of our own is reported where that is on, and stays a fault."""
    first = sys.argv[1:2]
    try:
        app = _made(first) if first and first[0] in _COMMANDS else whole()
        app()
    except Exception as error:
        from bailee.client.crashes import crashed

        told = crashed(error, "bailee-code" if "code" in first else "bailee")
        if told is not None:
            warn_in_lines(told)
        raise
