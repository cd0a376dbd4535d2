"""`bailee organisation`: organisations, who is in them, and the partner programme.

Members are changed by the operator, or by an admin with their own key. Joining the partner
programme takes an admin's or owner's own key and the organisation's name, typed: the operator can't
do it.
"""

from __future__ import annotations

import os
from typing import Annotated

import typer

from bailee.cli import groups, own_policies, scim, workloads
from bailee.cli.answers import Fields
from bailee.cli.errors import reporting
from bailee.cli.narrowing import ALL, Narrowing, narrowed
from bailee.cli.reach import JsonOption, PlaceOption, ask_one, ask_pages
from bailee.cli.show import console, moment, print_json, say, table
from bailee.errors import InputError
from bailee.shown import line

app = typer.Typer(help="Organisations and their members.", no_args_is_help=True)
member = typer.Typer(help="Who is in an organisation.", no_args_is_help=True)
partner = typer.Typer(help="The partner programme: an admin's to join.", no_args_is_help=True)
app.add_typer(groups.app, name="groups")
app.add_typer(member, name="member")
app.add_typer(own_policies.app, name="policy")
app.add_typer(workloads.app, name="service-account")
app.add_typer(partner, name="partner")
app.add_typer(scim.app, name="scim")

Organisation = Annotated[str, typer.Argument(help="org_…, as in `bailee organisation list`.")]
Person = Annotated[str, typer.Argument(help="per_…, or the email.")]
RoleArgument = Annotated[str, typer.Argument(help="owner, admin or member.")]
KeyOption = Annotated[
    str | None,
    typer.Option("--key", help="Act as the person with this API key.", show_default=False),
]
OwnKeyOption = Annotated[
    str | None,
    typer.Option("--key", help="Your API key (else BAILEE_API_KEY).", show_default=False),
]


def _as(key: str | None, arguments: dict[str, object]) -> dict[str, object]:
    return {"key": key, **arguments} if key else arguments


def _own(key: str | None, arguments: dict[str, object]) -> dict[str, object]:
    presented = key or os.environ.get("BAILEE_API_KEY")
    if not presented:
        raise InputError(
            "only an admin can decide this: it needs your API key.",
            code="authentication",
            hint="give it with --key or BAILEE_API_KEY",
        )
    return {"key": presented, **arguments}


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Its name.")],
    plan: Annotated[str, typer.Option(help="team, enterprise, api, third_party or gov.")],
    owner: Annotated[
        str | None, typer.Option(help="A person (per_… or email) to be its first owner.")
    ] = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Make an organisation with its account."""
    with reporting():
        arguments: dict[str, object] = {"name": name, "plan": plan, "owner": owner}
        made = ask_one(home, "organisation.create", arguments, make=True)
        if as_json:
            print_json(made)
        else:
            say(f"{made['organisation']} with {made['account']} on plan {plan}.")


@app.command("list")
@narrowed("created")
def list_organisations(
    only: Narrowing = ALL,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Every organisation."""
    with reporting():
        found = only.of(ask_pages(home, "organisation.list"))
        if as_json:
            print_json(found)
            return
        rows = [
            (
                o["organisation"],
                o["name"],
                o["account"],
                o["plan"],
                f"since {moment(o['partner_since'])}" if o["partner_programme"] else "no",
                moment(o["created"]),
            )
            for o in found
        ]
        columns = ("organisation", "name", "account", "plan", "partner programme", "created")
        console().print(table(columns, rows))


@app.command()
def show(
    organisation: Organisation,
    key: KeyOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """One organisation: its members, keys and consent records."""
    with reporting():
        arguments = _as(key, {"organisation": organisation})
        shown = ask_one(home, "organisation.show", arguments)
        if as_json:
            print_json(shown)
            return
        say(f"{shown['organisation']}  {shown['name']}")
        say(f"account    {shown['account']}, plan {shown['plan']}")
        since = f"since {moment(shown['partner_since'])}" if shown["partner_programme"] else "no"
        say(f"partner    {since}")
        for one in shown.parts("members"):
            say(f"{one['role']:<10} {one['person']}  {one['email'] or 'erased'}")
        for one in shown.parts("keys"):
            kept = "zero retention" if one["zero_retention"] else "by the policy"
            state = f"revoked {moment(one['revoked'])}" if one["revoked"] else "good"
            whom = one["person_email"] or one["person"] or "the organisation alone"
            maker = one["maker"] or one["created_by"]
            say(f"key        {one['key_id']} {line(one.text('name'))} ({kept}, {state})")
            say(f"             for {whom}, made by {maker}; {one.part('terms')['in_words']}")
        for record in shown.parts("consent"):
            say(
                f"consent    {moment(record['at'])}  {record['old']} → {record['new']} "
                f"by {record['actor']}"
            )


@app.command()
def provider(  # noqa: PLR0917 - each is an option
    organisation: Organisation,
    domain: Annotated[str, typer.Option(help="The email domain that the provider speaks for.")],
    issuer: Annotated[str, typer.Option(help="Its issuer, as its metadata names it (https).")],
    client_id: Annotated[str, typer.Option(help="The client that it knows this service by.")],
    secret_env: Annotated[
        str | None,
        typer.Option(help="The environment variable with the client's secret, if it has one."),
    ] = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Let the people of a domain sign in through their organisation's OpenID provider."""
    with reporting():
        arguments = {
            "organisation": organisation,
            "domain": domain,
            "issuer": issuer,
            "client_id": client_id,
            "secret_env": secret_env,
        }
        bound = ask_one(home, "organisation.provider", arguments)
        if as_json:
            print_json(bound)
        else:
            say(f"{bound['issuer']} speaks for {bound['domain']}.")


@app.command("provider-only")
def provider_only(
    organisation: Organisation,
    only: Annotated[bool, typer.Option("--only/--not-only", help="Or in every way again.")] = True,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Let an organisation's people sign in through its provider and in no other way; their
    passwords, passkeys and console sessions end.
    """
    with reporting():
        asked = {"organisation": organisation, "only": only}
        done = ask_one(home, "organisation.provider_only", asked)
        if as_json:
            print_json(done)
        elif only:
            say(f"{done['people']} of {done['organisation']} sign in through its provider only.")
        else:
            say(f"The people of {done['organisation']} sign in in every way again.")


@app.command("key-days")
def key_days(
    organisation: Organisation,
    days: Annotated[
        int | None,
        typer.Argument(help="How many at the most; 0: none may be made.", min=0, max=3650),
    ] = None,
    unlimited: Annotated[
        bool, typer.Option("--unlimited", help="They are good until they are revoked again.")
    ] = False,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Have an organisation's keys end so many days after they are made; those that are there end so
    many days from now at the latest.
    """
    with reporting():
        if (days is None) != unlimited:
            raise InputError("it is a number of days, or --unlimited.")
        asked = {"organisation": organisation, "days": days}
        done = ask_one(home, "organisation.key_days", asked)
        if as_json:
            print_json(done)
        elif days is None:
            say(f"Keys of {organisation} are good until they are revoked.")
        else:
            shorter = len(done.texts("keys_shortened"))
            good = f"are good for {days} days at the most" if days else "are good no more"
            say(f"Keys of {organisation} {good}; {shorter} end earlier by it.")


@member.command("add")
def add(  # noqa: PLR0917 - each is an option
    organisation: Organisation,
    person: Person,
    role: Annotated[str, typer.Option(help="owner, admin or member.")] = "member",
    key: KeyOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Add a person."""
    _put(organisation, person, role, key, as_json, home)


@member.command("role")
def change_role(  # noqa: PLR0917 - each is an option
    organisation: Organisation,
    person: Person,
    role: RoleArgument,
    key: KeyOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Give a member another role."""
    _put(organisation, person, role, key, as_json, home)


@member.command("remove")
def remove(
    organisation: Organisation,
    person: Person,
    key: KeyOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Let a person go; their keys there are revoked."""
    with reporting():
        arguments = _as(key, {"organisation": organisation, "person": person})
        done = ask_one(home, "organisation.remove_member", arguments)
        if as_json:
            print_json(done)
        else:
            _removed(done)


def _removed(done: Fields) -> None:
    ended, left = done.texts("keys_revoked"), done.texts("keys_left")
    say(f"{done['person']} is not in {done['organisation']} any more.")
    say(f"Their keys there are revoked: {', '.join(ended) or 'they had none'}.")
    if left:
        say(f"They know these too, which speak for the organisation: {', '.join(left)}.")
        say("Make others and revoke them: bailee key revoke KEY")


def _put(  # noqa: PLR0917 - as they come
    organisation: str,
    person: str,
    role: str,
    key: str | None,
    as_json: bool,
    home: PlaceOption,
) -> None:
    with reporting():
        arguments = _as(key, {"organisation": organisation, "person": person, "role": role})
        made = ask_one(home, "organisation.member", arguments)
        if as_json:
            print_json(made)
        else:
            say(f"{made['person']} is {made['role']} of {made['organisation']}.")


@partner.command("join")
def join(
    organisation: Organisation,
    confirm: Annotated[
        str | None,
        typer.Option(help="The organisation's name, typed out.", show_default=False),
    ] = None,
    key: OwnKeyOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Offer the organisation's sessions on the first-party API for training."""
    with reporting():
        typed = confirm
        if typed is None:
            typed = typer.prompt("Type the organisation's name to confirm", err=True)
        arguments = _own(key, {"organisation": organisation, "confirmation": typed})
        _say(ask_one(home, "partner.join", arguments), as_json)


@partner.command("leave")
def leave(
    organisation: Organisation,
    key: OwnKeyOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Take that back, from now on."""
    with reporting():
        arguments = _own(key, {"organisation": organisation})
        _say(ask_one(home, "partner.leave", arguments), as_json)


def _say(state: Fields, as_json: bool) -> None:
    if as_json:
        print_json(state)
    elif state["partner_programme"]:
        say(f"{state['name']} is in the partner programme since {moment(state['partner_since'])}.")
    else:
        say(f"{state['name']} is not in the partner programme.")
