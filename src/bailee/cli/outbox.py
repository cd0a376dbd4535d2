"""`bailee outbox`: what was sent and what is to be sent, as its exact bytes."""

from __future__ import annotations

import base64
import hashlib
import sys
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

from bailee.cli.errors import reporting
from bailee.cli.flows import SettingsOption, warn
from bailee.cli.show import console, moment, print_json, say, size, table, write_text
from bailee.cli.surroundings import here
from bailee.errors import InputError

if TYPE_CHECKING:
    from bailee.client.machine import ClientMachine
    from bailee.client.outbox import OutboxItem
    from bailee.client.sender import SendOutcome

app = typer.Typer(help="What was sent and what will be sent, byte for byte.")
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
OfflineOption = Annotated[
    bool, typer.Option("--offline", help="Show what would be sent; send and delete nothing.")
]


def _machine(settings: str | None) -> ClientMachine:
    from bailee.client.machine import ClientMachine

    machine = ClientMachine.open(here(), option=settings)
    warn(machine.settings)
    return machine


@app.callback(invoke_without_command=True)
def outbox(
    context: typer.Context,
    as_json: JsonOption = False,
    offline: OfflineOption = False,
    settings: SettingsOption = None,
) -> None:
    """List every payload, by day; the same as `bailee outbox list`."""
    if context.invoked_subcommand is None:
        list_items(as_json, offline, settings)


@app.command("list")
def list_items(
    as_json: JsonOption = False, offline: OfflineOption = False, settings: SettingsOption = None
) -> None:
    """List every payload, by day. Sends nothing."""
    with reporting("agent"):
        machine = _machine(settings)
        if offline:
            _plan(machine, as_json)
            return
        items = machine.outbox().items()
        if as_json:
            print_json([_as_json(item) for item in items])
            return
        if not items:
            say("Nothing was sent, and nothing is to be sent.")
            return
        for day, group in groupby(items, key=lambda item: item.day):
            out = console()
            out.print(day, style="bold")
            rows = [
                (
                    f"  {item.id}",
                    item.flow,
                    item.state,
                    size(item.size),
                    item.destination or "",
                    item.answer or "",
                )
                for item in group
            ]
            out.print(table(("  id", "flow", "state", "size", "to", "answer"), rows))
        console().print("\nbailee outbox show ID prints the exact bytes.", style="dim")


@app.command()
def show(
    item_id: Annotated[str, typer.Argument(metavar="ID", help="As in `bailee outbox`.")],
    as_json: JsonOption = False,
    raw: Annotated[bool, typer.Option("--raw", help="The exact bytes and nothing else.")] = False,
) -> None:
    """Show one payload: what is said about it, and its exact bytes."""
    with reporting("agent"):
        if raw and as_json:
            raise InputError("Give --raw or --json, not both.")
        machine = _machine(None)
        box = machine.outbox()
        item = box.find(item_id)
        body = box.body(item)
        if raw and sys.stdout.isatty():
            raise InputError(
                "the exact bytes could control the terminal, so they are not written to it.",
                hint="write them to a file or a pipe; without --raw they are shown as text",
            )
        if raw:
            sys.stdout.buffer.write(body)
            sys.stdout.buffer.flush()
            return
        if as_json:
            print_json({**_as_json(item), **_bytes(body)})
            return
        about = table(
            ("", ""),
            [
                ("id", item.id),
                ("flow", item.flow),
                ("state", item.state),
                ("made", moment(item.made)),
                ("sent", moment(item.sent) if item.sent else "no"),
                ("to", item.destination or item.path),
                ("type", item.content_type),
                ("bytes", f"{item.size}"),
                ("sha256", hashlib.sha256(body).hexdigest()),
            ],
        )
        about.show_header = False
        console().print(about)
        write_text("\n" + _visible(body) + "\n")


@app.command("send")
def send_now(
    as_json: JsonOption = False, offline: OfflineOption = False, settings: SettingsOption = None
) -> None:
    """Send what is pending now, as far as the switches allow. What they forbid is deleted."""
    with reporting("agent"):
        machine = _machine(settings)
        if offline:
            _plan(machine, as_json)
            return
        _tell(machine.send(hurry=True), as_json, done=True)


def _plan(machine: ClientMachine, as_json: bool) -> None:
    from bailee.client.sender import plan

    found = plan(machine.outbox(), machine.policy, machine.settings, machine.clock())
    _tell(found, as_json, done=False)


def _tell(outcomes: list[SendOutcome], as_json: bool, *, done: bool) -> None:
    if as_json:
        print_json(
            [
                {**_as_json(one.item), ("became" if done else "would_be"): one.became,
                 "why": one.why or None}
                for one in outcomes
            ]
        )  # fmt: skip
        return
    if not outcomes:
        say("Nothing is pending.")
        return
    head = "became" if done else "would be"
    rows = [
        (one.item.id, one.item.flow, size(one.item.size), one.became, one.why) for one in outcomes
    ]
    console().print(table(("id", "flow", "size", head, "why"), rows))


def _as_json(item: OutboxItem) -> dict[str, object]:
    return {
        "id": item.id,
        "day": item.day,
        "flow": item.flow,
        "state": item.state,
        "path": item.path,
        "content_type": item.content_type,
        "size": item.size,
        "made": item.made,
        "sent": item.sent,
        "attempts": item.attempts,
        "next_attempt": item.next_attempt,
        "destination": item.destination,
        "answer": item.answer,
    }


def _bytes(body: bytes) -> dict[str, object]:
    try:
        text: str | None = body.decode()
    except UnicodeDecodeError:
        text = None
    return {
        "body": text,
        "body_base64": base64.b64encode(body).decode(),
        "sha256": hashlib.sha256(body).hexdigest(),
    }


def _visible(body: bytes) -> str:
    """The bytes as text; what a terminal would act on is shown as its number instead."""
    text = body.decode(errors="backslashreplace")
    return "".join(
        c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text
    )
