"""`bailee local`: the transcripts that are kept on this machine, bailee's and other agents'."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bailee.cli.errors import reporting
from bailee.cli.flows import SettingsOption, warn
from bailee.cli.show import console, moment, print_json, say, size, table
from bailee.errors import InputError, StorageError
from bailee.json_values import whole

if TYPE_CHECKING:
    from bailee.client.foreign import CleaningPlan, Past
    from bailee.client.machine import ClientMachine

app = typer.Typer(help="Transcripts on this machine.", no_args_is_help=True)
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
Whose = Literal["bailee", "claude", "codex", "gemini", "opencode", "aider", "all"]
WhoseOption = Annotated[
    Whose, typer.Option("--of", help="Whose files; `all`: bailee's and those of every agent.")
]


def _machine(settings: str | None) -> ClientMachine:
    from bailee.client.machine import ClientMachine

    machine = ClientMachine.open(Path.cwd(), option=settings)
    warn(machine.settings)
    return machine


def in_words(until: datetime, now: datetime) -> str:
    """When something is forgotten, as a person says it."""
    left = until - now
    if left.days >= 2:
        return f"forgotten in {left.days} days"
    hours = int(left.total_seconds() // 3600)
    if hours >= 1:
        return f"forgotten in {hours} hour{'' if hours == 1 else 's'}"
    return "forgotten within the hour" if left.total_seconds() > 0 else "past its time"


@app.command("list")
def list_sessions(as_json: JsonOption = False, settings: SettingsOption = None) -> None:
    """List the sessions that are kept here, and when each is forgotten."""
    with reporting("agent"):
        machine = _machine(settings)
        found = machine.transcripts().list()
        if as_json:
            print_json(
                [
                    {
                        "session": one.session,
                        "folder": one.folder,
                        "title": one.title,
                        "last_activity": one.last_activity,
                        "forgotten_at": one.forgotten_at,
                        "records": one.records,
                        "size": one.size,
                    }
                    for one in found
                ]
            )
            return
        if not found:
            why = "" if machine.keep_days else "; cleanupPeriodDays is 0, so none are kept"
            say(f"No session is kept on this machine{why}.")
            return
        now = machine.clock()
        rows = [
            (
                one.session,
                one.title,
                one.folder,
                moment(one.last_activity),
                in_words(datetime.fromisoformat(one.forgotten_at or one.last_activity), now),
            )
            for one in found
        ]
        console().print(table(("session", "title", "folder", "last used", ""), rows))


@app.command()
def export(
    session: Annotated[str, typer.Argument(help="As in `bailee local list`.")],
) -> None:
    """Print the records of a session that is kept here, a line of JSON each."""
    with reporting("agent"):
        records = _machine(None).transcripts().load(session)
        if not records:
            raise InputError(
                "No such session is kept here.", code="not_found", hint="bailee local list"
            )
        for record in records:
            print_json(record)


@app.command()
def clean(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would go; delete nothing.")
    ] = False,
    whose: WhoseOption = "bailee",
    as_json: JsonOption = False,
    settings: SettingsOption = None,
) -> None:
    """Forget what has expired, by the time of its records."""
    from bailee.client.agents import NAMES

    with reporting("agent"):
        machine = _machine(settings)
        days = machine.clean_days
        told: list[dict[str, object]] = []
        if whose in ("bailee", "all"):
            told += _own(machine, days, dry_run)
        for agent in NAMES:
            if whose in (agent, "all"):
                told += [past_as_json(one) for one in of_agent(machine, agent, days, dry_run)]
        if as_json:
            print_json({"days": days, "dry_run": dry_run, "past": told})
            return
        verb = "would go" if dry_run else "is gone"
        if not told:
            say(f"Nothing is past its {days} day{'' if days == 1 else 's'}.")
            return
        rows = [
            (one["of"], one["what"], one["records"] or "", size(whole(one["size"]))) for one in told
        ]
        console().print(table(("of", verb, "records", "size"), rows))


@app.command()
def delete(
    session: Annotated[str, typer.Argument(help="As in `bailee local list`.")],
    as_json: JsonOption = False,
) -> None:
    """Forget one session now: its key is destroyed, then its file."""
    with reporting("agent"):
        if not _machine(None).transcripts().delete(session):
            raise InputError(
                "No such session is kept here.", code="not_found", hint="bailee local list"
            )
        if as_json:
            print_json({"session": session, "deleted": True})
        else:
            say(f"{session} is forgotten on this machine.")


def of_agent(machine: ClientMachine, agent: str, days: int, dry_run: bool) -> list[Past]:
    """What is past of an agent's files; unless `dry_run`, it is deleted."""
    from bailee.client import foreign

    found = planned(machine, agent, days)
    if dry_run:
        return list(found.past)
    try:
        return foreign.carry_out(found)
    except OSError as error:
        raise _unclean(agent, error) from error


def planned(machine: ClientMachine, agent: str, days: int) -> CleaningPlan:
    """What is past of an agent's files."""
    from bailee.client import foreign
    from bailee.client.files import project_of

    try:
        where = foreign.groups(
            agent, Path.home(), project_of(machine.folder), dict(machine.environment)
        )
        return foreign.plan(agent, where, days, machine.clock())
    except OSError as error:
        raise _unclean(agent, error) from error


def _unclean(agent: str, error: OSError) -> StorageError:
    return StorageError(
        f"the files of {agent} can't be cleaned ({error.strerror}).", hint="fix their permissions"
    )


def past_as_json(one: Past) -> dict[str, object]:
    """One thing that goes."""
    return {
        "of": one.agent,
        "what": str(one.path),
        "last": one.last.isoformat(),
        "records": one.records,
        "size": one.size,
    }


def _own(machine: ClientMachine, days: int, dry_run: bool) -> list[dict[str, object]]:
    store = machine.transcripts()
    now = machine.clock()
    past = [one for one in store.due(days) if one.forgotten_at <= now]
    if not dry_run:
        past = list(store.forget(days))
        machine.outbox().forget(max(days, 1))
    return [
        {
            "of": "bailee",
            "what": one.session,
            "last": one.last_activity.isoformat(),
            "records": None,
            "size": one.size,
        }
        for one in past
    ]
