"""`bailee usage`: what was used of models, by whom, and at what cost."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from typing import Annotated, Final

import typer

from bailee.cli.answers import Fields
from bailee.cli.errors import reporting
from bailee.cli.reach import JsonOption, PlaceOption, ask_one
from bailee.cli.show import console, note, print_json, say, table, write_text
from bailee.clock import system_clock
from bailee.errors import InputError
from bailee.money import dollars
from bailee.sheets import cell
from bailee.usage.otlp_metrics import UsedBy, request

_AMOUNTS: Final = (
    "requests", "errors", "refused", "aborted", "estimated", "input_tokens", "output_tokens",
    "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "thinking_tokens",
    "cost_micro_usd", "unpriced", "mean_ms", "slowest_ms",
)  # fmt: skip


def usage(  # noqa: PLR0917 - each is an option
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="day, hour, person, organisation, team, account, key, client, model, channel or "
            "upstream; repeatable."
        ),
    ] = None,
    since: Annotated[str | None, typer.Option(help="The first day (UTC): 2026-11-01.")] = None,
    until: Annotated[str | None, typer.Option(help="The last day.")] = None,
    of: Annotated[
        str | None,
        typer.Option(
            help="A person (per_… or email), org_…, org_…/team or acc_…; else all you may see."
        ),
    ] = None,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Comma-separated, for a spreadsheet.")
    ] = False,
    as_otlp: Annotated[
        bool,
        typer.Option("--otlp", help="As OpenTelemetry metrics (OTLP in JSON), for a collector."),
    ] = False,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """What was used of models: requests, tokens and cost, this month unless days are given."""
    with reporting():
        if as_csv + as_json + as_otlp > 1:
            raise InputError("--csv, --json and --otlp are answers to one question: name one.")
        asked = {"by": by or ["day"], "since": since, "until": until}
        found = ask_one(home, "usage.show", {**asked, "of": of})
        if as_json:
            print_json(found)
            return
        rows = found.parts("rows")
        if as_otlp:
            since_when = datetime.fromisoformat(found.text("since"))
            upto = min(datetime.fromisoformat(found.text("until")), system_clock())
            names = by or ["day"]
            used = [
                UsedBy(
                    {one: str(row.part("group")[one]) for one in names},
                    {one: row.number(one) for one in _AMOUNTS},
                )
                for row in rows
            ]
            print_json(request(names, used, since_when, upto))
            return
        if as_csv:
            write_text(_csv(asked["by"] or [], rows))
            return
        if not rows:
            say("Nothing was used in that time.")
            return
        _table(list(asked["by"] or []), rows)


def _table(by: list[str], rows: list[Fields]) -> None:
    columns = (
        *by,
        "requests",
        "errors",
        "refused",
        "input",
        "output",
        "cache read",
        "cache write",
        "cost",
    )
    shown = [
        (
            *(str(row.part("group")[one]) or "–" for one in by),
            *(f"{row.number(name):,}" for name in ("requests", "errors", "refused")),
            f"{row.number('input_tokens'):,}",
            f"{row.number('output_tokens'):,}",
            f"{row.number('cache_read_tokens'):,}",
            f"{row.number('cache_write_5m_tokens') + row.number('cache_write_1h_tokens'):,}",
            _cost(row),
        )
        for row in rows
    ]
    console().print(table(columns, shown, right=columns[len(by) :]))
    unpriced = sum(row.number("unpriced") for row in rows)
    estimated = sum(row.number("estimated") for row in rows)
    if unpriced:
        note(f"Of {unpriced} requests the price is not known: they are not in the cost.")
    if estimated:
        note(f"Of {estimated} requests that broke off, tokens are estimated by what came.")


def _cost(row: Fields) -> str:
    """Dollars to the cent; `?` where no price is known, `+ ?` where one is of some."""
    micro, unpriced = row.number("cost_micro_usd"), row.number("unpriced")
    if unpriced and not micro:
        return "?"
    return dollars(micro) + (" + ?" if unpriced else "")


def _csv(by: object, rows: list[Fields]) -> str:
    names = [str(one) for one in by] if isinstance(by, list) else []
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*names, *_AMOUNTS])
    for row in rows:
        group = [cell(row.part("group")[one]) for one in names]
        writer.writerow([*group, *(row.number(name) for name in _AMOUNTS)])
    return out.getvalue()
