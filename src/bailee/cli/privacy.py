"""`bailee privacy`: a person's own choice about training, made with their own key."""

from __future__ import annotations

import typer

from bailee.cli.answers import fields, fields_of
from bailee.cli.errors import reporting
from bailee.cli.own_key import KeyOption, own_key
from bailee.cli.reach import JsonOption, PlaceOption, operate
from bailee.cli.show import console, moment, print_json, say, table
from bailee.cli.speaking import LanguageOption, spoken
from bailee.json_values import Json, elements
from bailee.policy.document import Language
from bailee.words import words

app = typer.Typer(help="Your choice about training.", no_args_is_help=True)


def _ask(operation: str, key: str | None, arguments: dict[str, object], home: PlaceOption) -> Json:
    presented = own_key(key, "only you can make this choice")
    (item,) = operate(home, operation, {"key": presented, **arguments})
    return item


def _say(answered: Json, as_json: bool, lang: Language | None) -> None:
    state = fields(answered)
    if as_json:
        print_json(state)
        return
    t = words(spoken(lang), "terminal")
    choice = t.texts.get(f"own.choice_{state['choice']}", state["choice"])
    effect = t.texts.get(f"own.effect_{state['effect']}", state["effect"])
    say(t("own.training", choice=choice, effect=effect, clause=state["clause"]))
    ask = state.part("ask")
    if ask["effect"] != "skip":
        say(t("own.ask", clause=ask["clause"]))


@app.command()
def show(
    key: KeyOption = None,
    lang: LanguageOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """What you chose, and what follows from it."""
    with reporting():
        _say(_ask("privacy.show", key, {}, home), as_json, lang)


@app.command()
def allow(
    key: KeyOption = None,
    lang: LanguageOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Allow training on what you do from now on."""
    with reporting():
        _say(_ask("privacy.choose", key, {"choice": "allowed"}, home), as_json, lang)


@app.command()
def refuse(
    key: KeyOption = None,
    lang: LanguageOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Refuse training."""
    with reporting():
        _say(_ask("privacy.choose", key, {"choice": "refused"}, home), as_json, lang)


@app.command()
def exports(
    key: KeyOption = None,
    lang: LanguageOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """The training datasets that your sessions are in."""
    with reporting():
        found = fields_of(elements(_ask("privacy.exports", key, {}, home)))
        if as_json:
            print_json(found)
            return
        rows = [
            (one["export"], moment(one["finished"]), one["reason"], one["sessions"], one["rows"])
            for one in found
        ]
        t = words(spoken(lang), "terminal")
        columns = [t(f"own.in_{name}") for name in ("export", "made", "for", "sessions", "rows")]
        console().print(table(columns, rows, right=columns[3:]))


@app.command()
def history(
    key: KeyOption = None,
    lang: LanguageOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Every choice you made: when, on which notice, from what to what."""
    with reporting():
        records = fields_of(elements(_ask("privacy.history", key, {}, home)))
        if as_json:
            print_json(records)
            return
        rows = [
            (
                moment(r["at"]),
                r["purpose"],
                f"{r['old']} → {r['new']}",
                "{version} ({language})".format_map(r.part("notice")),
                r["source"],
                r["record"],
            )
            for r in records
        ]
        t = words(spoken(lang), "terminal")
        names = ("when", "for", "change", "notice", "from", "record")
        console().print(table([t(f"own.at_{name}") for name in names], rows))
