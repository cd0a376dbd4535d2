"""`bailee limits`: limits on what is used of models, and which models may be asked."""

from __future__ import annotations

from typing import Annotated

import typer

from bailee.cli.answers import Fields
from bailee.cli.errors import reporting
from bailee.cli.limit_requests import deny, grant, list_requests
from bailee.cli.narrowing import ALL, Narrowing, narrowed
from bailee.cli.reach import JsonOption, PlaceOption, ask_one, ask_several, operate
from bailee.cli.show import console, moment, print_json, say, table
from bailee.errors import InputError
from bailee.money import dollars, micro

app = typer.Typer(
    help="Limits on what is used of models, and which models may be asked.", no_args_is_help=True
)

_EACH = ("members", "team_members")
_UNCOUNTED = (*_EACH, "paused_pool")
_CALLED = {
    "members": "each of", "team_members": "each of",
    "pool": "pool of", "paused_pool": "pool, paused, of",
}  # fmt: skip
_UNLIMITED = 10**15  # `usage.limits`, which the base install has not
_Of = Annotated[
    str | None,
    typer.Option(
        help="A person (per_… or email), org_…, org_…/team or key_…; else everybody together."
    ),
]
_Per = Annotated[str | None, typer.Option(help="minute, day, week or month (UTC).")]


@app.command("list")
@narrowed()
def list_limits(
    of: Annotated[str | None, typer.Option(help="Whose; else all that you may see.")] = None,
    only: Narrowing = ALL,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """The limits that hold, and how much of each is used."""
    with reporting():
        found = only.of(ask_several(home, "usage.limits", {"of": of}))
        if as_json:
            print_json(found)
            return
        rows = [
            (
                one["clause"] or one["id"],
                _of_whom(one),
                one["measure"] if one["per"] == "now" else f"{one['measure']} a {one['per']}",
                "" if one["scope"] in _UNCOUNTED else _amount(one, "used"),
                _amount(one, "amount"),
                moment(one["ends"]) if one["ends"] else "",
            )
            for one in found
        ]
        columns = ("limit", "of", "on", "used", "at most", "again from")
        console().print(table(columns, rows, right=("used", "at most")))


@app.command("set")
def set_limit(  # noqa: PLR0917 - each is an option
    of: _Of = None,
    each: Annotated[
        bool,
        typer.Option("--each", help="Each member of the organisation or team has so much."),
    ] = False,
    member: Annotated[
        str | None,
        typer.Option(
            help="A member of the organisation (per_… or email): theirs, whatever each has."
        ),
    ] = None,
    pool: Annotated[
        bool,
        typer.Option("--pool", help="A team's pool: its members share so much."),
    ] = False,
    paused: Annotated[
        bool, typer.Option("--paused", help="With --pool: nothing is asked of it for now.")
    ] = False,
    money: Annotated[
        str | None, typer.Option(help="US dollars: 20 or 0.50; of a member also `unlimited`.")
    ] = None,
    tokens: Annotated[int | None, typer.Option(min=0, help="Tokens, in and out.")] = None,
    requests: Annotated[int | None, typer.Option(min=0, help="Requests.")] = None,
    concurrency: Annotated[int | None, typer.Option(min=0, help="Requests at once.")] = None,
    per: _Per = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Set a limit in the place of the one on the same; it holds for the next request."""
    with reporting():
        given = {
            "money": None if money is None else _money(money),
            "tokens": tokens,
            "requests": requests,
            "concurrency": concurrency,
        }
        named = [(measure, amount) for measure, amount in given.items() if amount is not None]
        if len(named) != 1:
            raise InputError(
                "one limit at a time.", hint="--money, --tokens, --requests or --concurrency"
            )
        ((measure, amount),) = named
        if measure != "concurrency" and per is None:
            raise InputError("in which time?", hint="--per minute, day, week or month")
        asked = {
            "measure": measure, "amount": amount, "of": of,
            **({} if per is None else {"per": per}),
            **({"each": True} if each else {}),
            **({} if member is None else {"member": member}),
            **({"pool": True} if pool else {}),
            **({"paused": True} if paused else {}),
        }  # fmt: skip
        changed = ask_one(home, "usage.limit", asked)
        if as_json:
            print_json(changed)
        elif changed["scope"] in _EACH:
            say(f"{changed['id']}: each has {_amount(changed, 'amount')}.")
        elif changed["scope"] in _UNCOUNTED:
            say(f"{changed['id']}: {_amount(changed, 'amount')}, paused.")
        else:
            say(
                f"{changed['id']}: {_amount(changed, 'used')} of {_amount(changed, 'amount')} used."
            )


@app.command()
def remove(
    limit: Annotated[str, typer.Argument(help="The limit, as in `bailee limits list`.")],
    home: PlaceOption = None,
) -> None:
    """Take a limit away; that holds for the next request."""
    with reporting():
        list(operate(home, "usage.unlimit", {"id": limit}))
        say(f"{limit} holds no more.")


app.command("requests")(list_requests)
app.command()(grant)
app.command()(deny)


@app.command()
def models(as_json: JsonOption = False, home: PlaceOption = None) -> None:
    """Which models may be asked, where not all may."""
    with reporting():
        _show_models(ask_several(home, "usage.models", {}), as_json)


@app.command()
def allow(
    of: Annotated[str, typer.Argument(help="org_…, org_…/team, or a plan of the policy.")],
    models: Annotated[
        list[str] | None,
        typer.Argument(help="Models; a name means its dated ids too, claude-haiku-* all such."),
    ] = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Say which models an organisation, a team or a plan's accounts may ask; none: all again."""
    with reporting():
        _show_models(ask_several(home, "usage.allow", {"of": of, "models": models or []}), as_json)


def _show_models(found: list[Fields], as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    if not found:
        say("Every model may be asked.")
        return
    rows = [
        (one["scope"], one["subject"], " ".join(map(str, one.texts("models")))) for one in found
    ]
    console().print(table(("of", "which", "models"), rows))


def _of_whom(one: Fields) -> str:
    named = str(one["subject"] or "everybody")
    called = _CALLED.get(str(one["scope"]))
    return named if called is None else f"{called} {named}"


def _amount(one: Fields, name: str) -> str:
    amount = one.number(name)
    if amount >= _UNLIMITED:
        return "unlimited"
    if one["measure"] != "money":
        return f"{amount:,}"
    return dollars(amount)


def _money(said: str) -> int:
    return _UNLIMITED if said == "unlimited" else micro(said)
