"""`bailee audit`: the record of what was decided, released and destroyed."""

from __future__ import annotations

from typing import Annotated

import typer

from bailee.cli.answers import Fields
from bailee.cli.errors import reporting
from bailee.cli.reach import JsonOption, PlaceOption, ask_pages
from bailee.cli.show import console, moment, print_json, table

app = typer.Typer(help="The audit record.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command("list")
def list_entries(
    kind: Annotated[str | None, typer.Option(help="Only this kind, as key.created.")] = None,
    subject: Annotated[str | None, typer.Option(help="Only about this id.")] = None,
    newest: Annotated[int, typer.Option(min=1, help="How many, counted from the end.")] = 100,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """The latest entries, in order."""
    with reporting():
        arguments = {"kind": kind, "subject": subject}
        entries = [*ask_pages(home, "audit.list", arguments, most=newest)][::-1]
        if as_json:
            print_json(entries)
            return
        rows = [
            (
                e["number"],
                moment(e["at"]),
                e["kind"],
                e["subject"],
                _particulars(e.part("body"), e.texts("erased")),
            )
            for e in entries
        ]
        console().print(
            table(("no.", "at", "kind", "subject", "particulars"), rows, right=("no.",))
        )


def _particulars(body: Fields, erased: list[str]) -> str:
    return " ".join(
        f"{name}={'(erased)' if name in erased else value}" for name, value in body.items()
    )
