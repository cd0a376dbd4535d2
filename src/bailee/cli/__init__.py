"""The `bailee` command: one file per command group, thin.

Nothing of the server is imported until a command needs it, so that the base install has every
command that needs no server, and a plain refusal for the others.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from bailee import __version__
from bailee.cli import (
    account,
    audit,
    clock,
    cloud,
    cloud_git,
    cloud_image,
    cloud_network,
    code,
    config,
    demo,
    errors_command,
    feedback,
    flows,
    hold,
    home,
    key,
    keyring,
    local,
    metrics,
    organisation,
    outbox,
    person,
    personal_data,
    policy,
    privacy,
    retention,
    run,
    sessions,
    survey,
    up,
    verify,
)
from bailee.cli.show import say, warn_in_lines

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
app.command("code", cls=code.CodeCommand)(code.code)
app.command("flows")(flows.flows)
app.command("run", context_settings=run.CONTEXT)(run.run)
app.add_typer(outbox.app, name="outbox")
app.add_typer(local.app, name="local")
app.add_typer(policy.app, name="policy")
app.add_typer(person.app, name="person")
person.app.command("export")(personal_data.export)
person.app.command("erase")(personal_data.erase)
app.add_typer(hold.app, name="hold")
app.add_typer(personal_data.receipts, name="receipts")
app.add_typer(organisation.app, name="organisation")
app.add_typer(account.app, name="account")
app.add_typer(key.app, name="key")
app.add_typer(privacy.app, name="privacy")
app.add_typer(sessions.app, name="sessions")
app.add_typer(retention.app, name="retention")
app.add_typer(metrics.app, name="metrics")
app.add_typer(errors_command.app, name="errors")
app.add_typer(feedback.app, name="feedback")
app.add_typer(survey.app, name="survey")
app.add_typer(cloud.app, name="cloud")
cloud.app.add_typer(cloud_git.app, name="git")
cloud.app.add_typer(cloud_image.app, name="image")
cloud.app.add_typer(cloud_network.app, name="network")
app.add_typer(clock.app, name="clock")
app.add_typer(keyring.app, name="keyring")
app.add_typer(home.app, name="home")
app.add_typer(audit.app, name="audit")
app.command("verify")(verify.verify)
app.add_typer(config.app, name="config")


def _version(wanted: bool) -> None:
    if wanted:
        say(f"bailee {__version__}")
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
    """Run the command line. A fault of our own is reported where that is on, and stays a fault."""
    try:
        app()
    except Exception as error:
        from bailee.client.crashes import crashed

        told = crashed(error, "bailee-code" if "code" in sys.argv[1:2] else "bailee")
        if told is not None:
            warn_in_lines(told)
        raise
