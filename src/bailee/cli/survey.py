"""`bailee survey`: what people answered, as counts; small ones are not shown."""

from __future__ import annotations

import typer

from bailee.cli.answers import Fields
from bailee.cli.errors import reporting
from bailee.cli.reach import JsonOption, PlaceOption, ask_one
from bailee.cli.show import console, note, print_json, table

app = typer.Typer(help="The session survey's results.", no_args_is_help=True)


@app.callback()
def _survey() -> None:
    pass


@app.command()
def results(as_json: JsonOption = False, home: PlaceOption = None) -> None:
    """How often each answer was given, by week and by version of the client."""
    with reporting():
        found = ask_one(home, "survey.results")
        if as_json:
            print_json(found)
            return
        out = console()
        out.print(found["question"])
        answers = found.texts("answers")
        for name, title in (("week", "week of"), ("version", "version")):
            rows = [_row(line.text(name), line, answers) for line in found.parts(f"{name}s")]
            rows.append(_row("all", found.part("all"), answers))
            out.print(table((title, *answers, "total"), rows, right=(*answers, "total")))
            out.print()
        note(
            f"–: not shown, a count under {found['least']} or one that would give such a "
            "count away."
        )


def _row(name: str, line: Fields, answers: list[str]) -> tuple[str, ...]:
    counted = line.part("counts")
    counts = [*(counted[answer] for answer in answers), line["total"]]
    return (name, *("–" if count is None else str(count) for count in counts))
