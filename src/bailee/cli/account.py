"""`bailee account`: the accounts of a home, and what the operator lets them send and keep."""

from __future__ import annotations

from typing import Annotated

import typer

from bailee.cli.answers import Fields
from bailee.cli.errors import reporting
from bailee.cli.narrowing import ALL, Narrowing, narrowed
from bailee.cli.reach import JsonOption, PlaceOption, ask_one, ask_pages
from bailee.cli.show import console, moment, print_json, say, table
from bailee.errors import InputError

app = typer.Typer(help="Accounts: what they may send upstream, and keep.", no_args_is_help=True)

_Account = Annotated[str, typer.Argument(help="acc_…, org_…, or a person (per_… or email).")]
_Shown = Annotated[
    str | None,
    typer.Argument(help="acc_…, org_…, or a person (per_… or email); else whose key it is."),
]
_ON_DISK = {"kept": "stored", "waiting": "waiting", "telemetry": "telemetry", "reports": "reports"}
_Routes = Annotated[
    bool,
    typer.Option(
        "--unrecorded-routes",
        help="Requests that are no conversations (files, batches, other APIs), on the operator's "
        "credential. Nothing of them is recorded.",
    ),
]

_Keeping = Annotated[
    bool,
    typer.Option("--keeping", help="That its people keep sessions of theirs beyond their time."),
]
_StoredMb = Annotated[
    int | None,
    typer.Option(
        "--stored-mb",
        min=0,
        help="MiB; 0: no limit; not given: gateway.stored_per_account_mb holds again.",
    ),
]


@app.command("list")
@narrowed("created")
def list_accounts(
    only: Narrowing = ALL,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Every account, and whose it is."""
    with reporting():
        found = only.of(ask_pages(home, "account.list"))
        if as_json:
            print_json(found)
            return
        rows = [
            (
                one["account"],
                one["name"],
                one["plan"],
                one["person"] or one["organisation"] or "its key holder",
                "allowed" if one["unrecorded_routes"] else "",
                *_shares(one).values(),
                moment(one["created"]),
            )
            for one in found
        ]
        columns = ("account", "name", "plan", "whose", "unrecorded routes", *_ON_DISK, "created")
        console().print(table(columns, rows))


@app.command()
def show(account: _Shown = None, as_json: JsonOption = False, home: PlaceOption = None) -> None:
    """An account, and what of it lies on disk."""
    with reporting():
        one = ask_one(home, "account.show", {"id": account})
        if as_json:
            print_json(one)
        else:
            told = [f"{what} {share}" for what, share in _shares(one).items()]
            say(f"{one['account']} has on disk: {', '.join(told)}.")


@app.command()
def allow(
    account: _Account,
    unrecorded_routes: _Routes = False,
    keeping: _Keeping = False,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Let an account send more upstream than conversations, or its people keep sessions beyond
    their time; it holds from now on.
    """
    _change(home, account, (unrecorded_routes, keeping), True, as_json)


@app.command()
def forbid(
    account: _Account,
    unrecorded_routes: _Routes = False,
    keeping: _Keeping = False,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Take that back; it holds from now on. What is kept beyond its time stays a week more."""
    _change(home, account, (unrecorded_routes, keeping), False, as_json)


def _change(
    home: PlaceOption, account: str, named: tuple[bool, bool], allowed: bool, as_json: bool
) -> None:
    routes, keeping = named
    with reporting():
        if routes == keeping:
            raise InputError(
                "nothing was named." if not routes else "two things were named.",
                hint="name --unrecorded-routes or --keeping",
            )
        if routes:
            asked = {"account": account, "unrecorded_routes": allowed}
            changed = ask_one(home, "account.allow", asked)
        else:
            changed = ask_one(
                home, "account.keeping", {"account": account, "forbidden": not allowed}
            )
        if as_json:
            print_json(changed)
        elif keeping:
            may = "may" if allowed else "may not"
            say(f"The people of {changed['account']} {may} keep sessions beyond their time.")
        elif allowed:
            say(
                f"{changed['account']} may use unrecorded routes on the operator's credential. "
                "What it sends there is not recorded."
            )
        else:
            say(f"{changed['account']} may not use unrecorded routes.")


@app.command()
def limit(
    account: _Account,
    stored_mb: _StoredMb = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """How much of an account is kept on disk; without a number, as much as of everybody."""
    with reporting():
        asked = {"account": account, "stored_mb": stored_mb}
        changed = ask_one(home, "account.limit", asked)
        if as_json:
            print_json(changed)
        else:
            told = _share(changed, "stored")
            say(f"{changed['account']} has {told} on disk.")


@app.command()
def residency(
    account: _Account,
    region: Annotated[str | None, typer.Argument(help="As the policy document calls it.")] = None,
    anywhere: Annotated[
        bool, typer.Option("--anywhere", help="It may be answered from anywhere again.")
    ] = False,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Have an account, an organisation's as a rule, answered from one region alone; it holds for
    the next request. What no upstream there takes is refused.
    """
    with reporting():
        if (region is None) != anywhere:
            raise InputError("it is a region, or --anywhere.")
        changed = ask_one(home, "account.residency", {"account": account, "region": region})
        if as_json:
            print_json(changed)
        elif region is None:
            say(f"{changed['account']} may be answered from anywhere.")
        else:
            say(f"{changed['account']} is answered from {changed['residency']} alone.")


def _shares(one: Fields) -> dict[str, str]:
    return {what: _share(one, name) for what, name in _ON_DISK.items()}


def _share(one: Fields, name: str) -> str:
    limit_mb = one[f"{name}_mb"]
    used = f"{-(-one.number(f'{name}_bytes') // (1 << 20))} MiB"
    return f"{used} of {limit_mb}" if limit_mb else used
