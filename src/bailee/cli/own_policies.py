"""`bailee organisation policy`: an organisation's own document, beside the operator's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import typer

from bailee.cli.answers import Fields
from bailee.cli.errors import reporting
from bailee.cli.policy_tables import plain
from bailee.cli.reach import JsonOption, PlaceOption, ask_one
from bailee.cli.show import console, moment, print_json, say, write_text
from bailee.cli.speaking import LanguageOption, spoken
from bailee.errors import InputError
from bailee.money import dollars
from bailee.shown import line

app = typer.Typer(
    help="An organisation's own policy document: stricter than the operator's, or as it allows.",
    no_args_is_help=True,
)
LARGEST: Final = 1_000_000
_NONE: Final = "none"

Organisation = Annotated[str, typer.Argument(help="org_…, as in `bailee organisation list`.")]
Document = Annotated[Path, typer.Argument(metavar="FILE", help="The document, in TOML.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is recorded.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask whether to.")]
KeyOption = Annotated[
    str | None,
    typer.Option("--key", help="Act as the owner with this API key.", show_default=False),
]


@app.command()
def show(
    organisation: Organisation,
    text: Annotated[bool, typer.Option("--text", help="The document itself, and no more.")] = False,
    key: KeyOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Show what an organisation's own document says, what holds with it, and what became of it."""
    with reporting():
        found = ask_one(home, "organisation.policy", _as(key, {"organisation": organisation}))
        if as_json:
            print_json(found)
        elif text:
            write_text(str(found["text"] or ""))
        else:
            _shown(found)


@app.command()
def explain(  # noqa: PLR0917 - each is an option
    organisation: Organisation,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="ACTION NAME=VALUE...", help="As `bailee policy explain` takes them."
        ),
    ],
    lang: LanguageOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Say what is decided for an organisation, by which clause of which document."""
    with reporting():
        asked = {
            "organisation": organisation,
            "question": words,
            "language": spoken(lang, as_json=as_json),
        }
        found = ask_one(home, "organisation.policy_explain", _as(key, asked))
        if as_json:
            print_json(found)
            return
        out = console()
        out.print(line(found.text("sentence")), style="bold")
        say("")
        say(line(found.text("text")))
        say(f"{found.text('clause')}  of the document {found.text('document')[:12]}")
        if found.text("clause") != found.text("operators_clause"):
            theirs = _in_words(found.text("operators"))
            say(f"The operator's document has: {theirs} ({found.text('operators_clause')})")


@app.command()
def diff(  # noqa: PLR0917 - each is an option
    organisation: Organisation,
    file: Document,
    lang: LanguageOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Say what a document would change for an organisation. Nothing is changed."""
    with reporting():
        asked = {
            "organisation": organisation,
            "document": _read(file),
            "language": spoken(lang, as_json=as_json),
        }
        found = ask_one(home, "organisation.policy_try", _as(key, asked))
        if as_json:
            print_json(found)
        else:
            _changes(found, "Nothing was changed.")


@app.command("set")
def set_(  # noqa: PLR0917 - each is an option
    organisation: Organisation,
    file: Document,
    reason: Reason,
    yes: Yes = False,
    key: KeyOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Let a document of an organisation's own hold from now on; its people are told where their
    terms change. What is kept less long by it, goes sooner, and can't be brought back.
    """
    with reporting():
        _change(organisation, _read(file), reason, yes, key, as_json, home)


@app.command()
def remove(  # noqa: PLR0917 - each is an option
    organisation: Organisation,
    reason: Reason,
    yes: Yes = False,
    key: KeyOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Let the operator's document alone hold again. What is there stays no longer by it."""
    with reporting():
        _change(organisation, None, reason, yes, key, as_json, home)


def _change(  # noqa: PLR0917 - as they come
    organisation: str,
    document: str | None,
    reason: str,
    yes: bool,
    key: str | None,
    as_json: bool,
    home: PlaceOption,
) -> None:
    asked: dict[str, object] = {"organisation": organisation}
    if document is not None:
        asked["document"] = document
    tried = ask_one(home, "organisation.policy_try", _as(key, asked))
    if not as_json:
        _changes(tried, "Nothing was changed yet.")
    if not yes and not typer.confirm("Let it hold from now on?", err=True):
        raise InputError("nothing was changed.", hint="answer y, or give --yes")
    name = "organisation.policy_remove" if document is None else "organisation.policy_set"
    asked |= {"reason": reason, "against": tried.text("before")}
    found = ask_one(home, name, _as(key, asked))
    if as_json:
        print_json(found)
        return
    newest = found.parts("history")[-1]
    what = "The operator's document alone" if document is None else "Its own document"
    say(f"{what} holds for {organisation} (entry {newest.number('number')} of the audit record).")


def _shown(found: Fields) -> None:
    document = found["document"]
    if document is None:
        say(f"{found['organisation']} has no document of its own: the operator's alone holds.")
    else:
        say(f"{found['organisation']}  sha256 {document}")
        if not found["readable"]:
            say("It can't be read: nothing of theirs goes out until it is given again, or removed.")
        for one in found.parts("clauses"):
            outcome = _in_words(str(one["retention"] or one["effect"]))
            say(f"  {one.text('id')}  {one.text('action')}: {outcome}")
            say(f"    {line(one.text('en'))}")
        for name in found.texts("refuses"):
            say(f"  {name}: refused")
        for problem in found.texts("problems"):
            say(f"  the operator's document is the stricter: {line(problem)}")
    rows = [
        (
            one.text("data_class") if one.text("action") == "retain" else "training",
            _in_words(one.text("result")),
            one.text("clause"),
            _in_words(one.text("operators")),
        )
        for one in found.parts("terms")
    ]
    console().print(plain(("what", "holds", "by clause", "the operator's"), rows))
    _beside(found)
    for one in found.parts("history"):
        what = str(one["document"])[:12] if one["document"] else "removed"
        why = line(str(one["reason"] or ""))
        say(f"{moment(one['at'])}  {what}  by {one.text('by')}: {why}")


def _beside(found: Fields) -> None:
    """What holds for it, and stands in no document."""
    for one in found.parts("models"):
        say(f"models of {one.text('subject')}: {' '.join(one.texts('models'))}")
    for one in found.parts("limits"):
        amount = one.number("amount")
        most = dollars(amount) if one["measure"] == "money" else f"{amount:,} {one['measure']}"
        per = "at once" if one["per"] == "now" else f"a {one['per']}"
        say(f"limit of {one.text('subject')}: {most} {per}")
    if found["key_days"] is not None:
        days = found.number("key_days")
        say(f"keys made by hand: good for {days} days" if days else "keys made by hand: none")


def _changes(found: Fields, over: str) -> None:
    said = found.texts("changes")
    for one in (*said, *found.texts("demands")):
        say(line(one))
    if not said:
        say("Nothing changes of how long it keeps anything, or of training.")
    trial = found.part("trial")
    say(
        f"Of {trial.number('sessions'):,} sessions, {trial.number('changed_sessions'):,} are "
        f"decided otherwise. {over}"
    )


def _in_words(outcome: str) -> str:
    from bailee.policy.wording import outcome_in_words

    kept = outcome.startswith("P")
    return outcome_in_words("keep" if kept else outcome, outcome if kept else None, "en")


def _read(file: Path) -> str:
    """The text of a document. What it may say is the server's to judge."""
    try:
        with file.open("rb") as opened:
            content = opened.read(LARGEST + 1)
    except OSError as error:
        raise InputError(
            f"{file} can't be read: {error.strerror or 'unknown reason'}.", code="not_found"
        ) from None
    if len(content) > LARGEST:
        raise InputError(f"{file} is too large to be an organisation's document.")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise InputError(f"{file} is not UTF-8 text.", hint="nothing was changed") from None


def _as(key: str | None, arguments: Mapping[str, object]) -> dict[str, object]:
    return {"key": key, **arguments} if key else {**arguments}
