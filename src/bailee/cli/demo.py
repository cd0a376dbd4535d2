"""`bailee demo`: the main job end to end, each claim seen to hold or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from bailee.cli.errors import reporting
from bailee.cli.reach import JsonOption
from bailee.cli.show import console, print_json, say, table

if TYPE_CHECKING:
    from rich.table import Table

    from bailee.app.demo import DemoStep


def demo(as_json: JsonOption = False) -> None:
    """Hold four people's sessions on the policy's terms, walk the clock and see them forgotten."""
    with reporting():
        import asyncio

        holds = asyncio.run(_run(as_json))
    if not holds:
        raise typer.Exit(1)


async def _run(as_json: bool) -> bool:
    from bailee.app import demo as walk

    steps = []
    async for step in walk.run():
        steps.append(step)
        if not as_json:
            _print(step)
    holds = all(step.holds for step in steps)
    if as_json:
        print_json({"holds": holds, "steps": [_plain(step) for step in steps]})
    else:
        say("Every claim holds." if holds else "A claim does not hold.")
    return holds


def _print(step: DemoStep) -> None:
    from rich.text import Text

    mark = Text("✓", style="green") if step.holds else Text("✗", style="bold red")
    console().print(mark + Text(f" {step.claim}"))
    if step.rows:
        columns = list(step.rows[0])
        rows = [[str(row[column]) for column in columns] for row in step.rows]
        for line in _indented(table(columns, rows)):
            say(line)


def _indented(made: Table) -> list[str]:
    out = console()
    with out.capture() as captured:
        out.print(made)
    return ["    " + line.rstrip() for line in captured.get().splitlines()]


def _plain(step: DemoStep) -> dict[str, object]:
    return {"claim": step.claim, "holds": step.holds, "rows": [dict(row) for row in step.rows]}
