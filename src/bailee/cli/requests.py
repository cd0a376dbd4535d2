"""`bailee requests`: what people ask about their own data, from the mail that came to the letter
that answers it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bailee.cli.answers import fields
from bailee.cli.errors import reporting
from bailee.cli.narrowing import ALL, Narrowing, narrowed
from bailee.cli.private_files import write_private
from bailee.cli.reach import (
    Arguments,
    AsOption,
    HomePlace,
    JsonOption,
    PlaceOption,
    ask_one,
    ask_pages,
    operate,
)
from bailee.cli.request_lines import (
    COLUMNS,
    SHORT,
    document,
    heads,
    row,
    say_on_hold,
    say_state,
    spoken_words,
    state,
)
from bailee.cli.show import console, moment, note, print_json, say, table, write_text
from bailee.cli.speaking import LanguageOption
from bailee.errors import InputError

app = typer.Typer(
    help="What people ask about their own data: a copy, a correction, an erasure; until when it is "
    "due, and its answer.",
    no_args_is_help=True,
)


class AskedKind(StrEnum):
    """What is asked for, as `cases.steps.CaseKind` has it; the base install does without that."""

    ACCESS = "access"
    PORTABILITY = "portability"
    CORRECTION = "correction"
    OBJECTION = "objection"
    ERASURE = "erasure"


class LetterLanguage(StrEnum):
    """A letter's language."""

    EN = "en"
    ZH = "zh"


Reference = Annotated[
    str,
    typer.Argument(
        metavar="REFERENCE", help="As in `bailee requests list`; or the email of who asks."
    ),
]
KeyOption = Annotated[
    str | None,
    typer.Option("--key", help="A person's own API key: they ask for themselves."),
]
LetterOption = Annotated[LetterLanguage, typer.Option("--language", help="The letter's.")]


@app.command("open")
def open_(  # noqa: PLR0917 - each is an option
    kind: Annotated[AskedKind, typer.Argument(help="What is asked for.")],
    email: Annotated[str | None, typer.Option(help="Who asks.", show_default=False)] = None,
    received: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The day on which it came (else today; UTC)."),
    ] = None,
    said: Annotated[str, typer.Option(help="What they wrote, where it matters.")] = "",
    key: KeyOption = None,
    as_: AsOption = None,
    lang: LanguageOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Open a request that came by mail, or, with --key, one's own."""
    with reporting():
        at = None if received is None else received.replace(tzinfo=UTC).isoformat()
        given = {"kind": kind.value, "email": email, "received": at, "said": said}
        say_state(ask_one(home, "requests.open", _by(given, key, as_)), as_json, lang)


@app.command("list")
@narrowed("received")
def list_requests(  # noqa: PLR0917 - each is an option
    every: Annotated[bool, typer.Option("--all", help="Answered ones too.")] = False,
    email: Annotated[
        str | None,
        typer.Option(help="Those of an email, also of somebody who was erased."),
    ] = None,
    key: KeyOption = None,
    as_: AsOption = None,
    only: Narrowing = ALL,
    lang: LanguageOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """The open requests; what is due first stands first."""
    with reporting():
        asked = _by({"all": every, "email": email}, key, as_)
        found = only.of(ask_pages(home, "requests.list", asked))
        if as_json:
            print_json(found)
            return
        t = spoken_words(lang)
        rows = [
            (
                one["request"],
                t(f"request.kind_{one['kind']}"),
                state(one, t),
                str(one["due"])[:SHORT],
                one["email"] or one["person"] or "",
                one["handler"] or one["handled_by"],
            )
            for one in found
        ]
        columns = ("request", "kind", "state", "due", "asks", "hands")
        console().print(table(heads(columns, t), rows))


@app.command()
def show(  # noqa: PLR0917 - each is an option
    request: Reference,
    key: KeyOption = None,
    as_: AsOption = None,
    lang: LanguageOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """One request: what was asked, until when it is due, and each step."""
    with reporting():
        found = ask_one(home, "requests.show", _by({"id": request}, key, as_))
        if as_json:
            print_json(found)
            return
        t = spoken_words(lang)
        say_state(found, False, lang)
        if found["said"]:
            say(t("asked.said", text=found["said"]))
        steps = [
            (
                moment(one["at"]),
                t(f"request.step_{one['step']}"),
                one["name"] or one["by"],
                one["reason"] or "",
            )
            for one in found.parts("steps")
        ]
        console().print(table(heads(("when", "step", "by", "why"), t), steps))
        say_on_hold(found, t)


@app.command()
def inventory(  # noqa: PLR0917 - each is an option
    request: Reference,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write it as a document (Markdown) here.")
    ] = None,
    as_: AsOption = None,
    lang: LanguageOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Everything that is held about who asks: how much, from when, until when, by which clause, and
    who decides. It stands in the answer.
    """
    with reporting():
        found = ask_one(home, "requests.inventory", _by({"id": request}, None, as_))
        if as_json:
            print_json(found)
            return
        t = spoken_words(lang)
        rows = [row(one, t) for one in found.parts("things")]
        if output is not None:
            write_private(output, [document(found, rows, t).encode()])
            say(t("asked.written", file=output))
            return
        if not rows:
            say(t("asked.nothing"))
        else:
            columns = heads(COLUMNS, t)
            console().print(table(columns, rows, right=(columns[1],)))
        say_on_hold(found, t)
        for one in found.parts("earlier"):
            of = {"request": one["request"], "kind": t(f"request.kind_{one['kind']}")}
            of |= {"state": t(f"request.state_{one['state']}"), "receipt": one["receipt"]}
            say(t("asked.another_receipt" if one["receipt"] else "asked.another", **of))


@app.command()
def hold(  # noqa: PLR0917 - each is an option
    request: Reference,
    reason: Annotated[str, typer.Option(help="The matter; shown to operators only.")],
    session: Annotated[str | None, typer.Option(help="A session of theirs.")] = None,
    report: Annotated[str | None, typer.Option(help="A report of theirs.")] = None,
    cloud_session: Annotated[str | None, typer.Option(help="A cloud session of theirs.")] = None,
    as_: AsOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Put a part under a legal hold before the erasure, which then leaves that part unreadable."""
    with reporting():
        named = {"session": session, "report": report, "cloud_session": cloud_session}
        asked = _by({"id": request, "reason": reason, **named}, None, as_)
        made = ask_one(home, "requests.hold", asked)
        if as_json:
            print_json(made)
        else:
            say(f"{made['hold']} is {made['state']}.")


@app.command()
def export(
    request: Reference,
    output: Annotated[Path, typer.Option("--output", "-o", help="The ZIP file to write.")],
    as_: AsOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """A copy of everything that is theirs, as one ZIP, to go with the answer."""
    with reporting():
        asked = _by({"id": request}, None, as_)
        size = write_private(output, _pieces(home, asked))
        if as_json:
            print_json({"request": request, "file": str(output), "bytes": size})
        else:
            say(f"{output} is written ({size} bytes).")


@app.command()
def erase(  # noqa: PLR0917 - each is an option
    request: Reference,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_: AsOption = None,
    lang: LanguageOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Erase who asked for it. It can't be undone."""
    with reporting():
        if not yes and not typer.confirm(
            f"Erase who asks in {request}? This can't be undone.", err=True
        ):
            raise typer.Exit(1)
        done = ask_one(home, "requests.erase", _by({"id": request}, None, as_))
        if as_json:
            print_json(done)
            return
        t = spoken_words(lang)
        say(t("asked.erased", subject=done["subject"], state=done["state"]))
        say(t("asked.receipt", receipt=done["reference"]))
        note(t("asked.answer_now", request=request))


@app.command()
def answer(  # noqa: PLR0917 - each is an option
    request: Reference,
    done: Annotated[
        str, typer.Option(help="What stands in the letter besides: what was corrected, say.")
    ] = "",
    refuse: Annotated[
        str | None, typer.Option("--refuse", help="Refuse it, on this ground.")
    ] = None,
    as_: AsOption = None,
    lang: LanguageOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Answer a request, or refuse it; then `letter` writes the letter."""
    with reporting():
        asked = _by({"id": request, "done": done, "refuse": refuse}, None, as_)
        say_state(ask_one(home, "requests.answer", asked), as_json, lang)
        if not as_json:
            note(spoken_words(lang)("asked.letter", request=request))


@app.command()
def extend(  # noqa: PLR0917 - each is an option
    request: Reference,
    reason: Annotated[str, typer.Option(help="Why; the person is told.")],
    as_: AsOption = None,
    lang: LanguageOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Put a request off, once; `letter` writes the notice."""
    with reporting():
        asked = _by({"id": request, "reason": reason}, None, as_)
        say_state(ask_one(home, "requests.extend", asked), as_json, lang)


@app.command()
def letter(  # noqa: PLR0917 - each is an option
    request: Reference,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A file: a page if it ends with .html, else text."),
    ] = None,
    language: LetterOption = LetterLanguage.EN,
    key: KeyOption = None,
    as_: AsOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """The answer as a letter; of an open request a draft, or the notice that it is put off."""
    with reporting():
        page = output is not None and output.suffix == ".html"
        asked = {"id": request, "language": language.value, "form": "html" if page else "text"}
        found = ask_one(home, "requests.letter", _by(asked, key, as_))
        if as_json:
            print_json(found)
        elif output is None:
            write_text(found.text("content"))
        else:
            write_private(output, [found.text("content").encode()])
            say(f"{output} is written; it goes to {found['to']}.")


@app.command()
def close(
    request: Reference,
    as_: AsOption = None,
    lang: LanguageOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Let go of what names the person in an answered request, once the letter has gone out: the
    letter can't be written again. The reference and the days stay, until their time.
    """
    with reporting():
        say_state(ask_one(home, "requests.close", _by({"id": request}, None, as_)), as_json, lang)


# -- inside --------------------------------------------------------------------------------------


def _by(given: Arguments, key: str | None, as_: str | None) -> Arguments:
    """What is asked, with who asks."""
    if key is not None and as_ is not None:
        raise InputError("--key and --as name two people.", hint="give one of them")
    who = {"key": key, "as": as_}
    return {**given, **{name: value for name, value in who.items() if value is not None}}


def _pieces(home: HomePlace | None, asked: Arguments) -> Iterator[bytes]:
    for item in operate(home, "requests.export", asked):
        piece = fields(item)
        if "data" in piece:
            yield base64.b64decode(piece.text("data"))
