"""`bailee local`: the transcripts that are kept on this machine, bailee's and other agents'."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bailee.cli.days import end_of_day
from bailee.cli.errors import reporting
from bailee.cli.flows import SettingsOption, warn
from bailee.cli.narrowing import ALL, Narrowing, narrowed
from bailee.cli.show import console, moment, note, print_json, say, size, table, write_text
from bailee.cli.surroundings import here
from bailee.errors import InputError, StorageError
from bailee.json_values import JsonObject, whole

if TYPE_CHECKING:
    from bailee.cli.local_files import ListedSession
    from bailee.client.cleaning_plan import NotCleaned
    from bailee.client.machine import ClientMachine

app = typer.Typer(help="Transcripts on this machine.", no_args_is_help=True)
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
Whose = Literal["bailee", "claude", "codex", "gemini", "opencode", "aider", "all"]
WhoseOption = Annotated[
    Whose, typer.Option("--of", help="Whose files; `all`: bailee's and those of every agent.")
]
SessionArgument = Annotated[str, typer.Argument(help="As in `bailee local list`.")]


def _machine(settings: str | None) -> ClientMachine:
    from bailee.client.machine import ClientMachine

    machine = ClientMachine.open(here(), option=settings)
    warn(machine.settings)
    return machine


def _of(whose: Whose) -> list[str]:
    from bailee.client.agents import NAMES

    return ["bailee", *NAMES] if whose == "all" else [whose]


def in_words(until: datetime, now: datetime, kept: datetime | None = None) -> str:
    """When something is forgotten, as a person says it. `kept`: they keep it until then."""
    if kept is not None and kept >= until:
        return f"kept by you through {(kept - timedelta(seconds=1)).astimezone().date()}"
    left = until - now
    if left.days >= 2:
        return f"forgotten in {left.days} days"
    hours = int(left.total_seconds() // 3600)
    if hours >= 1:
        return f"forgotten in {hours} hour{'' if hours == 1 else 's'}"
    return "forgotten within the hour" if left.total_seconds() > 0 else "past its time"


@app.command("list")
@narrowed("last_activity", falls=True)
def list_sessions(
    only: Narrowing = ALL,
    as_json: JsonOption = False,
    whose: WhoseOption = "bailee",
    settings: SettingsOption = None,
) -> None:
    """List the sessions that are kept here, and when each is forgotten."""
    from bailee.cli.local_files import ListedSession, doubt, listed

    with reporting("agent"):
        machine = _machine(settings)
        found = only.of_shown(listed(machine, _of(whose)), ListedSession.as_json)
        if as_json:
            print_json([one.as_json() for one in found])
            return
        if not found:
            why = "" if machine.keep_days else "; cleanupPeriodDays is 0, so none are kept"
            owner = "" if whose in ("bailee", "all") else f" of {whose}"
            say(f"No session{owner} is kept on this machine{why}.")
        else:
            now = machine.clock()
            rows = [
                (
                    *((one.of,) if whose == "all" else ()),
                    one.session,
                    one.title,
                    one.folder,
                    moment(one.last_activity.isoformat()),
                    in_words(one.forgotten_at, now, one.kept_until),
                )
                for one in found
            ]
            of = ("of",) if whose == "all" else ()
            console().print(table((*of, "session", "title", "folder", "last used", ""), rows))
            if any(one.forgotten_at - now < timedelta(days=7) for one in found):
                note("To keep one longer: bailee local keep SESSION. To export one: local export.")
        if (jumped := machine.clock_in_doubt()) is not None:
            say(doubt(jumped), err=True)


@app.command()
def keep(
    session: SessionArgument,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="DATE", help="Through this day, like 2027-01-31."),
    ] = None,
    whose: WhoseOption = "bailee",
    as_json: JsonOption = False,
    settings: SettingsOption = None,
) -> None:
    """Keep one session longer than its time, until a day; `release` takes it back."""
    with reporting("agent"):
        end = None if until is None else end_of_day(until)
        machine = _machine(settings)
        one = _one(machine, session, whose)
        kept = machine.keep(one.of, one.session, end)
        if as_json:
            print_json(kept.as_json())
            return
        through = (kept.until - timedelta(seconds=1)).astimezone().date()
        say(f"{one.session} is kept on this machine through {through}, by {kept.clause}.")
        if kept.until <= one.forgotten_at:
            note("It would have been kept for longer without that, and will be.")
        more = "" if one.of == "bailee" else f" --of {one.of}"
        note(f"To take it back: bailee local release {one.session}{more}")


@app.command()
def release(
    session: SessionArgument, whose: WhoseOption = "bailee", as_json: JsonOption = False
) -> None:
    """Take back that a session is kept: it goes by its own time again."""
    from bailee.client.keeping import KeptSessions

    with reporting("agent"):
        machine = _machine(None)
        released = [
            of
            for of in _of(whose)
            if KeptSessions(machine.data).release(of, session, machine.clock())
        ]
        if not released:
            raise InputError(
                "No such session is kept by you.", code="not_found", hint="bailee local list"
            )
        if as_json:
            print_json({"session": session, "of": released[0], "released": True})
        else:
            say(f"{session} goes by its own time again.")


@app.command()
def clock(
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Say that this machine's clock is right.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show whether this machine's clock is in doubt; while it is, nothing is deleted by time."""
    from bailee.cli.local_files import doubt

    with reporting("agent"):
        machine = _machine(None)
        jumped = machine.clock_in_doubt()
        if confirm:
            machine.confirm_clock()
        if as_json:
            off = None if jumped is None else round(jumped.by.total_seconds())
            print_json({"now": machine.clock().isoformat(), "off_by": off, "confirmed": confirm})
        elif jumped is None:
            say("This machine's clock is where it was expected.")
        elif confirm:
            say(f"It is {moment(machine.clock().isoformat())}: what is past its time may go.")
        else:
            say(doubt(jumped))


@app.command()
def export(session: SessionArgument, whose: WhoseOption = "bailee") -> None:
    """Print the records of a session that is kept here, a line of JSON each."""
    with reporting("agent"):
        machine = _machine(None)
        if whose == "bailee":
            records = machine.transcripts().load(session)
            if not records:
                raise _not_here()
            for record in records:
                print_json(record)
            return
        one = _one(machine, session, whose)
        if one.path is None:
            raise InputError(
                f"{one.of} keeps this session in its database.",
                hint=f"{one.of} export {one.session}, if it has such a command",
            )
        try:
            text = one.path.read_text("utf-8", "replace")
        except OSError as error:
            raise StorageError(f"{one.path} can't be read ({error.strerror}).") from error
        write_text(text, as_json=True)


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
    from bailee.cli.local_files import carried_out, not_cleaned, past_as_json, planned

    with reporting("agent"):
        machine = _machine(settings)
        days = machine.lifetimes.own.days
        if not dry_run:
            _sure_of_the_clock(machine)
        told: list[JsonObject] = []
        failed: list[NotCleaned] = []
        for of in _of(whose):
            if of == "bailee":
                told += _own(machine, days, dry_run)
                continue
            plan = planned(machine, of)
            if dry_run:
                done, unclean = list(plan.past), list(plan.unread)
            else:
                done, unclean = carried_out(plan, lambda _: True)
            told += [past_as_json(one) for one in done]
            failed += unclean
        if as_json:
            print_json({"days": days, "dry_run": dry_run, "past": told})
        elif told:
            rows = [
                (one["of"], one["what"], one["records"] or "", size(whole(one["size"])))
                for one in told
            ]
            verb = "would go" if dry_run else "is gone"
            console().print(table(("of", verb, "records", "size"), rows))
        elif not failed:
            say(f"Nothing is past its {days} day{'' if days == 1 else 's'}.")
        if failed:
            raise not_cleaned(failed)


@app.command()
def delete(session: SessionArgument, as_json: JsonOption = False) -> None:
    """Forget one session now: its key is destroyed, then its file."""
    with reporting("agent"):
        if not _machine(None).transcripts().delete(session):
            raise _not_here()
        if as_json:
            print_json({"session": session, "deleted": True})
        else:
            say(f"{session} is forgotten on this machine.")


def _sure_of_the_clock(machine: ClientMachine) -> None:
    from bailee.cli.local_files import clock_is_right, doubt

    jumped = machine.clock_in_doubt()
    if jumped is not None and not clock_is_right(machine, jumped):
        raise InputError(
            doubt(jumped).partition(" Nothing is deleted")[0] + " Nothing was deleted.",
            code="configuration",
            hint="if it is right: bailee local clock --confirm",
        )
    if jumped is None and machine.data.exists():
        machine.note_time()


def _one(machine: ClientMachine, session: str, whose: Whose) -> ListedSession:
    from bailee.cli.local_files import listed

    found = [one for one in listed(machine, _of(whose)) if one.session == session]
    if not found:
        raise _not_here()
    return found[0]


def _not_here() -> InputError:
    return InputError("No such session is kept here.", code="not_found", hint="bailee local list")


def _own(machine: ClientMachine, days: int, dry_run: bool) -> list[JsonObject]:
    from bailee.client.transcripts import reaching

    store = machine.transcripts()
    now = machine.clock()
    with reaching(machine.data):
        past = [one for one in store.due() if one.forgotten_at <= now]
    if not dry_run:
        past = list(store.forget())
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
