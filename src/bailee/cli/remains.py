"""`bailee audit erasure`: what remains of somebody or of a session, signed; and checking that."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from bailee.cli.answers import Fields, fields
from bailee.cli.errors import reporting
from bailee.cli.proofs import OutOption, put
from bailee.cli.reach import JsonOption, PlaceOption, ask_one
from bailee.cli.show import console, print_json, say, table
from bailee.errors import InputError

_LEFT = 1
Folders = list[Path] | None


def erasure(
    person: Annotated[
        str | None, typer.Argument(help="per_…, an email, or acc_…; also of who was erased.")
    ] = None,
    *,
    session: Annotated[
        str | None, typer.Option(help="A session, in the place of a person.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why; it goes on record first.")] = None,
    backup: Annotated[
        Folders, typer.Option(help="A folder with backups, searched too; may be repeated.")
    ] = None,
    logs: Annotated[
        Folders, typer.Option(help="A folder with logs, searched too; may be repeated.")
    ] = None,
    also: Annotated[
        Path | None,
        typer.Option(
            allow_dash=True,
            help="A file with words to look for besides, one in a line; - for standard input.",
        ),
    ] = None,
    output: OutOption = None,
    check: Annotated[
        Path | None, typer.Option("--verify", help="Check a result that was written, and show it.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="With --verify: the log's public key, else this home's.")
    ] = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Look for what remains of a person or a session: in the home, and in folders with backups and
    logs. The result is signed with the log's key. Exits with 1 if something is left that should not
    be.
    """
    with reporting():
        if check is not None:
            found = _verified(check, key or ask_one(home, "audit.checkpoint").text("key"))
        else:
            if reason is None:
                raise InputError("a search needs a reason.", hint="--reason; it goes on record")
            asked = {
                "person": person,
                "session": session,
                "reason": reason,
                "also": [] if also is None else _lines(also),
                "backups": [str(one.absolute()) for one in backup or []],
                "logs": [str(one.absolute()) for one in logs or []],
            }
            made = ask_one(home, "audit.remains", asked)
            found = made.part("result")
            if output is not None:
                put(output, made.text("note"))
            if as_json:
                print_json(made)
        if check is not None and as_json:
            print_json(found)
        if not as_json:
            _say(found)
    if not found["clean"]:
        raise typer.Exit(_LEFT)


def _say(found: Fields) -> None:
    for one in found.parts("searched"):
        say(
            f"Searched {one['kind']} {one['folder']}: {one['files']} files, {one['bytes']} bytes, "
            f"{one['databases']} databases by their rows, {one['opened']} compressed files."
        )
        for name in one.texts("closed"):
            say(f"  could not be looked into: {name}")
    for name in found.texts("not_tried"):
        say(f"could not be tried: {name}")
    kinds = [f"{name} ({count})" for name, count in found.part("looked_for").items()]
    say(f"Looked for: {', '.join(kinds)}; {found['keys_looked_for']} keys.")
    rows = [
        ("" if one["expected"] else "left", one["what"], one["count"], one["where"], one["why"])
        for one in found.parts("found")
    ]
    if rows:
        console().print(table(("", "what", "times", "where", "why"), rows, right=("times",)))
    if found["not_listed"]:
        say(f"and {found['not_listed']} more places")
    say(
        "Nothing is left but what stays on purpose."
        if found["clean"]
        else "Something is left that should not be: the lines that begin with `left`."
    )
    say(found.text("unseen"))


def _verified(file: Path, key: str) -> Fields:
    """The result that a file holds, if the log with this key signed it.

    Raises:
        InputError: it can't be read, or the key is none.
        IntegrityError: it is none, was changed, or somebody else signed it.
    """
    import json

    from bailee.errors import IntegrityError
    from bailee.ledger.tlog import notes

    try:
        read = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file} can't be read ({error.strerror}).") from error
    note, by = notes.read(read), notes.key(key)
    kind, name, result, *_ = [*note.text.split("\n"), "", ""]
    if by not in note.verified([by]) or kind != "bailee/remains/1" or name != by.name:
        raise IntegrityError(
            "this is not a result that the log with this key signed.",
            hint="compare the key with the operator's; ask for the file again",
        )
    return fields(json.loads(result))


def _lines(file: Path) -> list[str]:
    try:
        content = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"{file} can't be read as text.") from error
    return [line for line in content.splitlines() if line.strip()]
