"""The `bailee` command: one file per command group, thin.

Nothing of the server is imported until a command needs it, so that the base install has every
command that needs no server, and a plain refusal for the others.
"""

from __future__ import annotations

from typing import Annotated

import typer

from bailee import __version__
from bailee.cli import (
    audit,
    config,
    demo,
    errors_command,
    key,
    keyring,
    metrics,
    policy,
    privacy,
    retention,
    sessions,
    up,
)

app = typer.Typer(
    name="bailee",
    help="The self-hostable data plane for coding agents.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("up")(up.up)
app.command("sign-in")(up.sign_in)
app.command("demo")(demo.demo)
app.add_typer(policy.app, name="policy")
app.add_typer(key.app, name="key")
app.add_typer(privacy.app, name="privacy")
app.add_typer(sessions.app, name="sessions")
app.add_typer(retention.app, name="retention")
app.add_typer(metrics.app, name="metrics")
app.add_typer(errors_command.app, name="errors")
app.add_typer(keyring.app, name="keyring")
app.add_typer(audit.app, name="audit")
app.add_typer(config.app, name="config")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"bailee {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line."""
    app()
