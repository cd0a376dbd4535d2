"""`bailee key`: API keys, each of an account with a plan."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from bailee.cli.answers import Fields
from bailee.cli.errors import reporting
from bailee.cli.narrowing import ALL, Narrowing, narrowed
from bailee.cli.reach import JsonOption, PlaceOption, ask_one, ask_pages
from bailee.cli.show import console, moment, note, print_json, say, table
from bailee.cli.speaking import LanguageOption, spoken
from bailee.errors import InputError
from bailee.words import Words, words

app = typer.Typer(help="API keys.", no_args_is_help=True)
_OPENS = ("full", "ingest", "cloud", "signed_in", "workload", "operator")


@app.command()
def create(  # noqa: PLR0917 - each is an option
    plan: Annotated[
        str | None,
        typer.Option(
            help="For a new account: free, pro, max, team, enterprise, api, third_party or gov.",
            show_default=False,
        ),
    ] = None,
    person: Annotated[
        str | None,
        typer.Option(
            help="For this person (per_… or email), of the one account that they have a part in."
        ),
    ] = None,
    organisation: Annotated[
        str | None,
        typer.Option(help="Of this organisation's account; with --person, for that member."),
    ] = None,
    own: Annotated[
        bool,
        typer.Option(
            "--own",
            help="With --person: of their own account, though they are in an organisation.",
        ),
    ] = False,
    account: Annotated[
        str | None, typer.Option(help="Of this account (acc_…), which is nobody's in particular.")
    ] = None,
    ingest: Annotated[
        bool,
        typer.Option(
            "--ingest",
            help="For sending metrics, errors and feedback alone: what a DSN holds.",
        ),
    ] = False,
    operator: Annotated[
        bool,
        typer.Option(
            "--operator",
            help="With --person, who is an operator: it speaks for them as such, to the API alone.",
        ),
    ] = False,
    zero_retention: Annotated[
        bool, typer.Option("--zero-retention", help="Keep no content of this key's sessions.")
    ] = False,
    days: Annotated[
        int | None,
        typer.Option(help="For how many days it is good (else until it is revoked).", min=1),
    ] = None,
    name: Annotated[str, typer.Option(help="A name to recognise it by.")] = "key",
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Make a key: of a new account, a person's or an organisation's. It is shown this once, with on
    whose terms it is.
    """
    with reporting():
        if (plan is None) == (person is None and organisation is None and account is None):
            raise InputError(
                "a key belongs to a new account or to an existing one.",
                hint="give --plan, or --person and --organisation, or --account",
            )
        if own and (person is None or organisation is not None):
            raise InputError("--own goes with --person, and without --organisation.")
        arguments = {
            "plan": plan,
            "own": own,
            "person": person,
            "organisation": organisation,
            "account": account,
            "ingest": ingest,
            "operator": operator,
            "zero_retention": zero_retention,
            "days": days,
            "name": name,
        }
        made = ask_one(home, "key.create", arguments, make=plan is not None)
        if as_json:
            print_json(made)
        else:
            say(made.text("key"))
            told_once(made)


def told_once(made: Fields) -> None:
    """What is said beside a key that was just made: on standard error, so that `$(...)` is the key
    and nothing else.
    """
    note(f"{made['key_id']} {made.part('terms')['in_words']}.", err=True)
    if made["expires"] is not None:
        note(f"It is good until {moment(made['expires'])}.", err=True)
    note("It is stored hashed: it can't be shown again.", err=True)


@app.command("list")
@narrowed("created")
def list_keys(
    only: Narrowing = ALL,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Every key, without its secret."""
    with reporting():
        keys = only.of(ask_pages(home, "key.list"))
        if as_json:
            print_json(keys)
            return
        t = words("en", "terminal")
        rows = [
            (
                k["key_id"],
                k["name"],
                _opens(k, t) + (", unrecorded routes" if k["unrecorded_routes"] else ""),
                *_terms(k.part("terms")),
                k["person"],
                k["created_by"],
                moment(k["created"]),
                moment(k["expires"]),
                moment(k["revoked"]),
            )
            for k in keys
        ]
        columns = (
            "key", "name", "opens", "who pays", "plan", "policy", "kept", "trained on", "for",
            "made by", "created", "until", "revoked",
        )  # fmt: skip
        console().print(table(columns, rows))


@app.command()
def show(
    key: Annotated[
        str | None,
        typer.Option("--key", help="Your API key (else BAILEE_API_KEY).", show_default=False),
    ] = None,
    lang: LanguageOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """On whose terms your key is: who pays, by which plan, and what is kept of what you do."""
    with reporting():
        presented = key or os.environ.get("BAILEE_API_KEY")
        if not presented:
            raise InputError(
                "this is about a key of yours.",
                code="authentication",
                hint="give it with --key or BAILEE_API_KEY",
            )
        found = ask_one(home, "key.show", {"key": presented})
        if as_json:
            print_json(found)
        else:
            t = words(spoken(lang), "terminal")
            say(_whose(found, t))
            say(t("own.opens", account=found["account"], what=_opens(found, t)))
            if found["expires"] is not None:
                say(t("own.until", when=moment(found["expires"])))


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="key_…, as in `bailee key list`.")],
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Revoke a key, at once and for good."""
    with reporting():
        revoked = ask_one(home, "key.revoke", {"key_id": key_id})
        if as_json:
            print_json(revoked)
        else:
            say(f"{key_id} is revoked since {moment(revoked['revoked'])}.")


def _opens(key: Fields, t: Words) -> str:
    scope = key.text("scope")
    return t(f"own.opens_{scope}") if scope in _OPENS else scope


def _whose(key: Fields, t: Words) -> str:
    """On whose terms a key is, in a sentence."""
    from bailee.policy.amounts import period_in_words

    terms = key.part("terms")
    kept = t("own.sending")
    if terms["retention"] is not None and terms["training"] is not None:
        allowed = terms.part("training")["effect"] == "allow"
        trained = t("own.trained_yes" if allowed else "own.trained_no")
        period = terms.part("retention")["period"]
        if terms["zero_retention"] or not isinstance(period, str):
            kept = t("own.zero", trained=trained)
        else:
            in_words = period_in_words(period, t.language)
            kept = t("own.kept", period=in_words, trained=trained)
    whose = t(f"own.pays_{terms['payer']}", name=terms["payer_name"], id=terms["payer_id"])
    named = {"segment": terms["segment"], "plan": terms["plan"]}
    return t("own.key", key=key["key_id"], whose=whose, kept=kept, **named)


def _terms(terms: Fields) -> tuple[object, ...]:
    """Who pays for a key, the plan, whose policy holds, for how long, and whether for training."""
    from bailee.policy.amounts import period_in_words

    pays = terms["payer_id"]
    if terms["payer"] == "organisation":
        pays = f"{terms['payer_name']} ({pays})"
    kept, trained = "", ""
    if terms["retention"] is not None:
        zero = terms["zero_retention"]
        kept = (
            "zero retention"
            if zero
            else period_in_words(terms.part("retention").text("period"), "en")
        )
        trained = "yes" if terms.part("training")["effect"] == "allow" else "no"
    return pays, terms["plan"], terms["segment"], kept, trained
