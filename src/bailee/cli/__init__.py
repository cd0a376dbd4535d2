"""The `bailee` command: one file per command group, thin.

Nothing of the server is imported until a command needs it, so that the base install has every
command that needs no server, and a plain refusal for the others. Of the groups only the one is
imported and built that the first word names, and none for the list of them: all of them take
several times as long. What is plainly a prompt for the agent goes to it without the library that
reads command lines.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Final

from bailee.cli.output import open_streams, write_escapes
from bailee.cli.show import warn_in_lines, write_text
from bailee.errors import BaileeError

if TYPE_CHECKING:
    import typer

_BEFORE_COLLECTING: Final = 50_000  # objects
_COMMANDS: Final = {
    "up": (
        "up:up",
        "Start the gateway and the console, and run until stopped (Ctrl-C or SIGTERM).",
    ),
    "serve": (
        "serve:app",
        "One part of a server as a process of its own, beside the one that has the home.",
    ),
    "sign-in": (
        "up:sign_in",
        "Print a new single-use sign-in link for the console of a running server.",
    ),
    "setup": ("setup:app", "Tell an agent of this machine where to sign in."),
    "login": (
        "login:login",
        "Sign in at a gateway, for `bailee code`, `bailee run` and whatever asks `bailee token`.",
    ),
    "logout": ("login:logout", "Sign this machine out."),
    "token": (
        "login:token",
        "Print a token that is good for some minutes: for `apiKeyHelper`, SDKs.",
    ),
    "demo": (
        "demo:demo",
        "Hold four people's sessions on the policy's terms, walk the clock and see them forgotten.",
    ),
    "code": ("code:code", "Work on the code in this folder, with a model."),
    "flows": (
        "flows:app",
        "Show every flow from this machine: state, destination, contents, and who decided.",
    ),
    "run": (
        "run:run",
        "Run another agent so that it uses the gateway, respects the switches and forgets on time.",
    ),
    "outbox": ("outbox:app", "What was sent and what will be sent, byte for byte."),
    "local": ("local:app", "Transcripts on this machine."),
    "policy": (
        "policy:app",
        "The data policy: check it, ask it, compare versions, publish its page.",
    ),
    "doctor": (
        "managed:doctor",
        "Check whether agents on this machine are under the settings that the policy compiles.",
    ),
    "person": ("person:app", "People: who has an account here."),
    "hold": (
        "hold:app",
        "Legal holds: sessions, reports and what cloud sessions left, whose destruction waits.",
    ),
    "requests": (
        "requests:app",
        "What people ask about their own data: a copy, a correction, an erasure; until when it is "
        "due, and its answer.",
    ),
    "receipts": ("personal_data:receipts", "Receipts of what was destroyed."),
    "organisation": ("organisation:app", "Organisations and their members."),
    "account": ("account:app", "Accounts: what they may send upstream, and keep."),
    "key": ("key:app", "API keys."),
    "privacy": ("privacy:app", "Your choice about training."),
    "sessions": ("sessions:app", "Sessions: what is kept, why, until when."),
    "retention": ("retention:app", "Retention: what is kept, and the end of it."),
    "usage": (
        "usage:usage",
        "What was used of models: requests, tokens and cost, this month unless days are given.",
    ),
    "limits": (
        "limits:app",
        "Limits on what is used of models, and which models may be asked.",
    ),
    "metrics": ("metrics:app", "Operational metrics."),
    "errors": ("errors_command:app", "Errors of clients, grouped into issues."),
    "feedback": (
        "feedback:app",
        "Bug reports: your own with your key, all of them without one, for triage.",
    ),
    "survey": ("survey:app", "The session survey's results."),
    "cloud": ("cloud:app", "Sessions in virtual machines of their own."),
    "clock": ("clock:app", "The time of a home."),
    "keyring": ("keyring:app", "The keyring."),
    "backup": ("backup:app", "Backups: data, and keys apart from it; restoring."),
    "training": ("training:app", "Datasets of what may be trained on, and who has left them."),
    "home": ("home:app", "The home as a whole."),
    "audit": ("audit:app", "The audit record."),
    "witness": (
        "witness:witness",
        "Be a witness of other people's logs: cosign what only grows, and nothing else.",
    ),
    "status": (
        "status:status",
        "What runs, since when, what waits, and how disks, keys, certificate and promises stand.",
    ),
    "promises": (
        "promises:promises",
        "Whether each promise of a home is kept now, and how that is known.",
    ),
    "verify": (
        "verify:verify",
        "Check a whole home: its databases, keys, rows, records, receipts, holds, spool and log.",
    ),
    "config": ("config:app", "Settings."),
}
"""Each first word, what it names (module and attribute), and its line in `bailee --help`, which is
the first sentence of its own help. A module's `HOW` says more of its command."""


def listed() -> dict[str, str]:
    """Every command's name and its line in `bailee --help`."""
    return {name: line for name, (_, line) in _COMMANDS.items()}


@cache
def whole() -> typer.Typer:
    """Every command. What is added to it, `main` has too."""
    return _made(_COMMANDS)


@cache
def of(first: str) -> typer.Typer:
    """The commands that begin with one of the words of `listed`: all that `main` builds of them."""
    return _made([first])


def _made(names: Iterable[str]) -> typer.Typer:
    from bailee.cli.building import made

    return made({name: _COMMANDS[name][0] for name in names})


def main() -> None:
    """Run the command line. A fault of our own is reported where that is on, and stays a fault."""
    first = sys.argv[1:2]
    write_escapes()
    if first != ["code"]:  # which has to say itself where an answer can't go
        open_streams()
    try:
        try:
            _run(first)
        finally:
            if sys.stdout is not None and not sys.stdout.closed:
                sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except BaileeError as error:  # outside of what a command reports: its help, its last bytes
        from bailee.cli.errors import report

        report(error)
        sys.exit(error.exit_status)
    except Exception as error:
        from bailee.client.crashes import crashed

        told = crashed(error, "bailee-code" if "code" in first else "bailee")
        if told is not None:
            warn_in_lines(told)
        raise


def _run(first: list[str]) -> None:
    if _showed_help(sys.argv[1:]):
        return
    if first == ["code"]:
        # A start makes much that stays, and nearly nothing that could be collected.
        gc.set_threshold(_BEFORE_COLLECTING, 10, 10)
        from bailee.cli.coding import plain, work

        if (asked := plain(sys.argv[2:])) is not None:
            work(asked)
    if first and first[0] in _COMMANDS:
        _perform(of(first[0]))
    else:
        _perform(whole())


def _showed_help(asked: list[str]) -> bool:
    """Whether a help was asked for, of commands that there are, and nothing beside: it is shown."""
    if (asked and asked[-1] not in ("-h", "--help")) or "_BAILEE_COMPLETE" in os.environ:
        return False
    from bailee.cli.help_page import columns, first_page, page_of, set_in_lines

    page = page_of(asked[:-1]) if len(asked) > 1 else first_page(listed())
    if page is None:
        return False
    open_streams()
    write_text(set_in_lines(page, columns()) + "\n")
    if not asked:
        raise SystemExit(2)
    return True


def _perform(program: typer.Typer) -> None:
    from bailee.cli.mistyped import perform

    perform(program)
