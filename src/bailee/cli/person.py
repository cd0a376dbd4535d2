"""`bailee person`: the people of a home. The operator's; a person's own are `password` here and
`bailee privacy`.
"""

from __future__ import annotations

import os
from typing import Annotated

import typer

from bailee.cli import personal_data
from bailee.cli.errors import reporting
from bailee.cli.importing import import_
from bailee.cli.key import told_once
from bailee.cli.narrowing import ALL, Narrowing, narrowed
from bailee.cli.reach import JsonOption, PlaceOption, ask_one, ask_pages, ask_several
from bailee.cli.show import console, moment, note, print_json, say, table
from bailee.errors import InputError
from bailee.shown import line

app = typer.Typer(help="People: who has an account here.", no_args_is_help=True)


@app.command()
def create(  # noqa: PLR0917 - each is an option
    email: Annotated[
        str, typer.Option(help="Their email; upper and lower case count as the same.")
    ],
    plan: Annotated[
        str | None,
        typer.Option(help="The plan of their own account; else free.", show_default=False),
    ] = None,
    organisation: Annotated[
        str | None,
        typer.Option(
            help="Add them to this organisation instead, without an account of their own."
        ),
    ] = None,
    operator: Annotated[
        bool, typer.Option("--operator", help="They also run this service.")
    ] = False,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Make a person with a key: of an account of their own, or of their organisation's. No choice
    is made for them.
    """
    with reporting():
        if organisation is None and plan is None:
            plan = "free"
        arguments = {
            "email": email,
            "plan": plan,
            "organisation": organisation,
            "operator": operator,
        }
        made = ask_one(home, "person.create", arguments, make=True)
        if as_json:
            print_json(made)
        else:
            say(made.text("key"))
            told_once(made)
            if organisation is None:
                said = "chooses with it what they choose."
            else:
                said = "has no account of their own, and goes with the membership."
            note(f"{made['person']} {said}", err=True)


app.command("import")(import_)


@app.command()
def trainer(
    person: Annotated[str, typer.Argument(help="Who: their email or id.")],
    no_longer: Annotated[bool, typer.Option("--no-longer", help="Take it back.")] = False,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Let a person make training exports (bailee training) with a key of their own account."""
    with reporting():
        made = ask_one(home, "person.trainer", {"id": person, "trainer": not no_longer})
        if as_json:
            print_json(made)
        else:
            say(f"{made['person']}: trainer, {'yes' if made['trainer'] else 'no longer'}.")


@app.command()
def auditor(
    person: Annotated[str, typer.Argument(help="Who: their email or id.")],
    no_longer: Annotated[bool, typer.Option("--no-longer", help="Take it back.")] = False,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Let a person see the evidence, in the console and with a key of their own account: promises,
    receipts, the audit record, the policy's history. No content, and nobody's name.
    """
    with reporting():
        made = ask_one(home, "person.auditor", {"id": person, "auditor": not no_longer})
        if as_json:
            print_json(made)
        else:
            say(f"{made['person']}: auditor, {'yes' if made['auditor'] else 'no longer'}.")


@app.command()
def password(
    key: Annotated[
        str | None,
        typer.Option("--key", help="Your API key (else BAILEE_API_KEY).", show_default=False),
    ] = None,
    change: Annotated[
        bool, typer.Option("--change", help="You have one already: ask for it first.")
    ] = False,
    home: PlaceOption = None,
) -> None:
    """Set the password that you sign in to the console with. Asks for it; shows nothing."""
    with reporting():
        presented = key or os.environ.get("BAILEE_API_KEY")
        if not presented:
            raise InputError(
                "only you can set the password: it needs your API key.",
                code="authentication",
                hint="give it with --key or BAILEE_API_KEY",
            )
        old = typer.prompt("Current password", hide_input=True, err=True) if change else None
        new = typer.prompt("New password", hide_input=True, confirmation_prompt=True, err=True)
        done = ask_one(home, "person.password", {"key": presented, "new": new, "old": old})
        say(f"{done['person']} signs in with it from now on.")


@app.command("list")
@narrowed("created")
def list_people(
    only: Narrowing = ALL,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Everybody; those who were erased without a name."""
    with reporting():
        people = only.of(ask_pages(home, "person.list"))
        if as_json:
            print_json(people)
            return
        rows = [
            (
                p["person"],
                p["email"] or f"erased {moment(p['erased'])}",
                p["account"],
                p["plan"],
                ", ".join(f"{m['role']} of {m['organisation']}" for m in p.parts("organisations")),
                moment(p["created"]),
            )
            for p in people
        ]
        console().print(
            table(("person", "email", "account", "plan", "organisations", "created"), rows)
        )


@app.command()
def show(
    person: Annotated[str, typer.Argument(help="per_…, or the email.")],
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """One person: account, choice and its history, keys, where they are signed in."""
    with reporting():
        shown = ask_one(home, "person.show", {"id": person})
        if as_json:
            print_json(shown)
            return
        say(f"{shown['person']}  {shown['email'] or 'erased'}")
        if shown["training"]:
            training = shown.part("training")
            say(f"account    {shown['account']}, plan {shown['plan']}")
            say(f"training   {training['choice']} ({training['effect']} by {training['clause']})")
        for one in shown.parts("organisations"):
            say(f"{one['role']:<10} {one['organisation']} since {moment(one['joined'])}")
        for key in shown.parts("keys"):
            state = f"revoked {moment(key['revoked'])}" if key["revoked"] else "good"
            say(f"key        {key['key_id']} {line(key.text('name'))} ({state})")
            say(f"             {key.part('terms')['in_words']}")
        for record in shown.parts("consent"):
            say(f"consent    {moment(record['at'])}  {record['old']} → {record['new']}")


@app.command("sign-ins")
def sign_ins(
    person: Annotated[
        str | None, typer.Argument(help="per_…, or the email; else you, by your key.")
    ] = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Which clients are signed in for a person, and on whose terms they work."""
    with reporting():
        clients = ask_several(home, "sign_ins.list", {"id": person})
        if as_json:
            print_json(clients)
            return
        rows = [
            (
                one["key_id"],
                one["client"] or "unknown",
                "provider" if one["by_provider"] else "this service",
                moment(one["since"]),
                moment(one["renewed"]),
            )
            for one in clients
        ]
        console().print(table(("key", "client", "asked at renewal", "since", "renewed"), rows))


@app.command("sign-out")
def sign_out(
    person: Annotated[
        str | None, typer.Argument(help="per_…, or the email; else you, by your key.")
    ] = None,
    client: Annotated[
        str | None,
        typer.Option(help="One client alone: its key, see `sign-ins`.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Sign a person out everywhere, at once: every client and every browser. Keys that were made
    stay.
    """
    with reporting():
        done = ask_one(home, "sign_ins.end", {"id": person, "client": client})
        if as_json:
            print_json(done)
            return
        clients = done.texts("clients")
        say(f"{done['person']}: {len(clients)} clients signed out, {done['web_sessions']} browsers")
        for one in clients:
            say(f"  {one}")


app.command("export")(personal_data.export)
app.command("erase")(personal_data.erase)
