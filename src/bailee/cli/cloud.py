"""`bailee cloud`: sessions in virtual machines of their own: started, watched, continued, ended."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from bailee.cli import cloud_git, cloud_image, cloud_network, cloud_show
from bailee.cli.answers import Fields, fields
from bailee.cli.errors import reporting
from bailee.cli.narrowing import ALL, Narrowing, narrowed
from bailee.cli.reach import (
    AsOption,
    HomeOption,
    HomePlace,
    JsonOption,
    PlaceOption,
    ask_one,
    ask_pages,
    ask_several,
    operate,
)
from bailee.cli.show import console, moment, note, print_json, say, table
from bailee.errors import InputError
from bailee.home import find

app = typer.Typer(help="Sessions in virtual machines of their own.", no_args_is_help=True)
Session = Annotated[str, typer.Argument(help="cs-…, as in `bailee cloud list`.")]
KeyOption = Annotated[
    str | None,
    typer.Option("--key", help="Your API key (else BAILEE_API_KEY).", show_default=False),
]
ReasonOption = Annotated[
    str | None, typer.Option(help="Why you read what belongs to someone else; it is recorded.")
]


def _who(key: str | None) -> dict[str, object]:
    presented = key or os.environ.get("BAILEE_API_KEY")
    return {"key": presented} if presented else {}


def _ask(home: HomePlace | None, operation: str, key: str | None, **arguments: object) -> Fields:
    return ask_one(home, operation, {**_who(key), **arguments})


@app.command()
def start(  # noqa: PLR0917 - each is an option
    task: Annotated[str, typer.Argument(help="What to do; - reads standard input.")],
    repo: Annotated[str, typer.Option("--repo", help="https://HOST/OWNER/NAME")],
    branch: Annotated[
        str | None, typer.Option(help="Where to begin; else the default branch.")
    ] = None,
    push_branch: Annotated[
        str | None,
        typer.Option(help="The branch to push to, below bailee/; else the session's own name."),
    ] = None,
    network: Annotated[
        str | None, typer.Option(help="none, trusted or full; else the setting cloud.network.")
    ] = None,
    agent: Annotated[str, typer.Option(help="bailee, or claude if the image has it.")] = "bailee",
    model: Annotated[str | None, typer.Option(help="The model to ask for.")] = None,
    linger: Annotated[
        int | None,
        typer.Option(min=0, help="Minutes to wait for a follow-up once the task is done."),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Watch it until it ends, without waiting for follow-ups.")
    ] = False,
    account: Annotated[str | None, typer.Option(help="Whose session (acc_…).")] = None,
    zero_retention: Annotated[
        bool, typer.Option("--zero-retention", help="Keep no content of this session.")
    ] = False,
    key: KeyOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Let an agent work on a repository in its own virtual machine.

    With --wait the exit status is 0 when the task was done, 1 when it was not, 130 when someone
    stopped it, 8 when its machine ended otherwise.
    """
    with reporting():
        seconds = None if linger is None else linger * 60
        started = _ask(
            home,
            "cloud.start",
            key,
            task=sys.stdin.read() if task == "-" else task,
            repository=repo,
            branch=branch,
            push_branch=push_branch,
            network=network,
            agent=agent,
            model=model,
            linger=0 if wait and linger is None else seconds,
            account=account,
            zero_retention=zero_retention,
        )
        if not wait:
            if as_json:
                print_json(started)
            else:
                say(started.text("session"))
                note(
                    f"It pushes to {started['push_branch']}. "
                    f"Watch it: bailee cloud attach {started['session']}"
                )
            return
        _watch(home, started.text("session"), key, as_json, reason=None, as_=None)


@app.command("list")
@narrowed("created", falls=True)
def list_sessions(
    state: Annotated[str | None, typer.Option(help="Only those in this state.")] = None,
    key: KeyOption = None,
    only: Narrowing = ALL,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Cloud sessions, the latest first."""
    with reporting():
        arguments = {**_who(key), "state": state}
        found = only.of(ask_pages(home, "cloud.list", arguments))
        if as_json:
            print_json(found)
            return
        rows = [
            (
                one["session"],
                cloud_show.state(one),
                one["agent"],
                one["network"],
                one["security"],
                one.text("plan") + (", zero retention" if one["zero_retention"] else ""),
                moment(one["created"]),
                moment(one["ended"]),
            )
            for one in found
        ]
        columns = ("session", "state", "agent", "network", "isolation", "plan", "asked", "ended")
        console().print(table(columns, rows))


@app.command()
def show(
    session: Session, key: KeyOption = None, as_json: JsonOption = False, home: PlaceOption = None
) -> None:
    """One session: how far it has got, and what is kept of it until when."""
    with reporting():
        found = _ask(home, "cloud.show", key, id=session)
        if as_json:
            print_json(found)
        else:
            cloud_show.particulars(found)


@app.command()
def attach(  # noqa: PLR0917 - each is an option
    session: Session,
    reason: ReasonOption = None,
    as_: AsOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Watch a session from beginning to end. Ctrl-C lets it continue alone."""
    with reporting():
        _watch(home, session, key, as_json, reason, as_)


def _watch(  # noqa: PLR0917 - as they come
    home: HomePlace | None,
    session: str,
    key: str | None,
    as_json: bool,
    reason: str | None,
    as_: str | None,
) -> None:
    arguments = {**_who(key), "id": session, "reason": reason, "as": as_}
    events = map(fields, operate(home, "cloud.attach", arguments))
    status = 0
    try:
        for event in events:
            if as_json:
                print_json(event)
            else:
                cloud_show.event(event)
            if event["kind"] == "state" and event["state"] == "ended":
                status = cloud_show.exit_status(event.text("end"))
    except KeyboardInterrupt:
        say(f"{session} goes on: bailee cloud attach {session}", err=True)
        raise typer.Exit(130) from None
    raise typer.Exit(status)


@app.command()
def send(
    session: Session,
    text: Annotated[str, typer.Argument(help="What to do now; - reads standard input.")],
    key: KeyOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Ask a session's agent for more, once it has finished its current work."""
    with reporting():
        words = sys.stdin.read() if text == "-" else text
        found = _ask(home, "cloud.send", key, id=session, text=words)
        if as_json:
            print_json(found)
        else:
            say(f"{session} is {found['state']}, and will see to it.")


@app.command()
def diff(  # noqa: PLR0917 - each is an option
    session: Session,
    reason: ReasonOption = None,
    as_: AsOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """All that a session changed, as a patch that `git apply` takes."""
    with reporting():
        found = _ask(home, "cloud.diff", key, id=session, reason=reason, **{"as": as_})
        if as_json:
            print_json(found)
        else:
            cloud_show.patch(found.text("diff"))


@app.command()
def stop(
    session: Session, key: KeyOption = None, as_json: JsonOption = False, home: PlaceOption = None
) -> None:
    """End a session now. When this returns, its machine and its token are gone."""
    with reporting():
        found = _ask(home, "cloud.stop", key, id=session)
        if as_json:
            print_json(found)
        else:
            say(f"{session} has ended: {found['end']}.")


@app.command()
def logs(  # noqa: PLR0917 - each is an option
    session: Session,
    egress: Annotated[
        bool, typer.Option("--egress", help="Its connections, and what the proxy decided.")
    ] = False,
    reason: ReasonOption = None,
    as_: AsOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """What happened in a session, as far as it is kept."""
    with reporting():
        arguments = {**_who(key), "id": session, "egress": egress, "reason": reason, "as": as_}
        found = ask_several(home, "cloud.logs", arguments)
        if as_json:
            print_json(found)
        elif egress:
            cloud_show.connections(found)
        else:
            for event in found:
                cloud_show.event(event)


@app.command()
def delete(
    session: Session, key: KeyOption = None, as_json: JsonOption = False, home: PlaceOption = None
) -> None:
    """Destroy what is kept of a session that has ended."""
    with reporting():
        found = _ask(home, "cloud.delete", key, id=session)
        if as_json:
            print_json(found)
        else:
            receipts = found.parts("receipts")
            waits = any(one["state"] == "deferred" for one in receipts)
            how = (
                "shown to nobody, and destroyed when it is held no longer" if waits else "destroyed"
            )
            say(f"What was kept of {session} is {how}.")
            for one in receipts:
                say(f"receipt {one['receipt']} ({one['data_class']}): {one['state']}")


@app.command()
def teleport(  # noqa: PLR0917 - each is an option
    session: Session,
    folder: Annotated[
        Path | None, typer.Option(help="The repository's clone; else the folder you are in.")
    ] = None,
    remote: Annotated[str, typer.Option(help="The remote to fetch the branch from.")] = "origin",
    reason: ReasonOption = None,
    as_: AsOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Continue a session here: fetch its branch and take over its conversation."""
    from bailee.cli import cloud_teleport

    with reporting("agent"):
        found = _ask(home, "cloud.teleport", key, id=session, reason=reason, **{"as": as_})
        done = cloud_teleport.bring(found, (folder or Path.cwd()).absolute(), remote)
        if as_json:
            print_json(done)
        else:
            say(f"{done['branch']} is checked out in {done['folder']}.")
            if done["conversation"]:
                say(f"Go on: bailee code --resume {done['conversation']}")
            else:
                say("Its conversation stays where it was: only bailee's own agent takes it over.")


@app.command()
def runner(
    slots: Annotated[
        int | None, typer.Option(min=1, help="Machines at once; else the setting cloud.capacity.")
    ] = None,
    home: HomeOption = None,
) -> None:
    """Lead machines for the server of this home, until it goes. It starts one by itself."""
    with reporting("cloud"):
        from bailee.app.cloud_runner import run_runner

        found = find(home)
        if not found.exists:
            raise InputError(
                f"there is no home at {found.path}.",
                code="not_found",
                hint="name it with --home or BAILEE_HOME",
            )
        run_runner(found, os.environ, slots)


app.add_typer(cloud_git.app, name="git")
app.add_typer(cloud_image.app, name="image")
app.add_typer(cloud_network.app, name="network")
