"""`bailee metrics`: what was measured, by whom it may be seen, and what was refused."""

from __future__ import annotations

from typing import Annotated

import typer

from bailee.cli.errors import reporting
from bailee.cli.narrowing import ALL, Narrowing, narrowed
from bailee.cli.reach import JsonOption, PlaceOption, ask_one, ask_several
from bailee.cli.show import console, moment, print_json, say, size, table

app = typer.Typer(help="Operational metrics.", no_args_is_help=True)


@app.command("list")
@narrowed("last")
def list_metrics(
    only: Narrowing = ALL,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """The measures of which something is kept."""
    with reporting():
        rows = only.of(ask_several(home, "metrics.list"))
        if as_json:
            print_json(rows)
            return
        shown = [(r["name"], r["kind"], r["unit"], r["points"], moment(r["last"])) for r in rows]
        columns = ("measure", "kind", "unit", "points", "last")
        console().print(table(columns, shown, right=("points",)))


@app.command()
def query(  # noqa: PLR0917 - each is an option
    name: Annotated[str, typer.Argument(help="The measure, as in `bailee metrics list`.")],
    since: Annotated[str, typer.Option(help="How far back: 90m, 24h, 7d.")] = "24h",
    by: Annotated[list[str] | None, typer.Option(help="Group by this field; repeatable.")] = None,
    of: Annotated[str | None, typer.Option(help="The numeric field of an event to take.")] = None,
    step: Annotated[
        str | None, typer.Option(help="A row for each such stretch: 5m, 1h, 1d.")
    ] = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Counts, sums and percentiles of one measure."""
    with reporting():
        arguments = {"name": name, "since": since, "by": by or [], "of": of, "step": step}
        found = ask_one(home, "metrics.query", arguments)
        if as_json:
            print_json(found)
            return
        out = console()
        say(f"{found['name']}: {found['description']}")
        measured = found.parts("rows")
        if not measured:
            say(f"Nothing was received since {moment(found['since'])}.")
            return
        figures = [key for key in measured[0] if key not in ("group", "at", "approximate")]
        columns = (*(["time"] if step else []), *(by or []), *figures)
        rows = [
            (
                *([moment(row["at"])] if step else []),
                *(_word(row.part("group")[field]) for field in by or []),
                *(_number(row[key]) for key in figures),
            )
            for row in measured
        ]
        out.print(table(columns, rows, right=figures))


@app.command()
def summary(
    since: Annotated[str, typer.Option(help="How far back: 90m, 24h, 7d.")] = "24h",
    step: Annotated[str, typer.Option(help="A row for each such stretch: 5m, 1h, 1d.")] = "1h",
    latency: Annotated[
        str | None, typer.Option(help="The measure of time to take; else the gateway's.")
    ] = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """How quick, how reliable and how used: what the console's page of metrics shows."""
    with reporting():
        arguments = {"since": since, "step": step, "latency": latency}
        found = ask_one(home, "metrics.summary", arguments)
        if as_json:
            print_json(found)
            return
        out = console()
        quick, programs = found.part("latency"), found.part("reliability").parts("programs")
        if quick["whole"] is not None:
            whole = quick.part("whole")
            figures = ("p50", "p90", "p95", "p99")
            say(f"Latency in {quick['unit']}, {quick['name']}: {quick['description']}")
            rows = [(whole["count"], *(_number(whole[key]) for key in figures))]
            out.print(table(("requests", *figures), rows, right=("requests", *figures)))
        rows = [
            (p["program"], p["requests"], _share(p["error_rate"]), _share(p["availability"]))
            for p in programs
        ]
        columns = ("program", "requests", "error rate", "availability")
        if programs:
            out.print(table(columns, rows, right=columns[1:]))
        usage = found.part("usage")
        models = [(row["model"], row["tokens"]) for row in usage.parts("models")]
        if models:
            out.print(table(("model", "tokens"), models, right=("tokens",)))
        features = [(row["feature"], row["kind"], row["uses"]) for row in usage.parts("features")]
        if features:
            out.print(table(("feature", "kind", "uses"), features, right=("uses",)))
        if quick["whole"] is None and not programs and not models and not features:
            say(f"Nothing was measured since {moment(found['since'])}.")


@app.command()
def dropped(as_json: JsonOption = False, home: PlaceOption = None) -> None:
    """What clients sent that may not be kept, so that a wrong client is found."""
    with reporting():
        rows = ask_several(home, "metrics.dropped")
        if as_json:
            print_json(rows)
            return
        shown = [
            (
                r["day"],
                r["protocol"],
                r["service"],
                r["field"],
                r["why"] or r["reason"],
                r["count"],
            )
            for r in rows
        ]
        columns = ("day", "protocol", "sent by", "field", "why", "times")
        console().print(table(columns, shown, right=("times",)))


@app.command()
def destinations(as_json: JsonOption = False, home: PlaceOption = None) -> None:
    """Where metrics and errors go from here, and how passing them on goes."""
    with reporting():
        rows = ask_several(home, "metrics.destinations")
        if as_json:
            print_json(rows)
            return
        shown = [
            (
                r["flow"],
                r["to"],
                r["delivered"],
                r["refused"],
                size(r.number("waiting")),
                "–" if r["failing_since"] is None else moment(r["failing_since"]),
            )
            for r in rows
        ]
        columns = ("flow", "to", "delivered", "refused", "waiting", "failing since")
        console().print(table(columns, shown, right=("delivered", "refused", "waiting")))


@app.command()
def fields(as_json: JsonOption = False) -> None:
    """Everything that telemetry may hold, from the registry."""
    with reporting():
        from bailee.registry import load

        registry = load()
        if as_json:
            print_json(
                {
                    "measures": [
                        {
                            "name": m.name,
                            "kind": m.kind,
                            "unit": m.unit,
                            "description": m.description,
                            "sensitivity": m.sensitivity,
                            "owner": m.owner,
                            "expires": str(m.expires),
                            "fields": sorted(m.attributes),
                        }
                        for m in registry.measures.values()
                    ],
                    "fields": [
                        {
                            "name": f.name,
                            "type": f.kind.type,
                            "description": f.description,
                            "sensitivity": f.sensitivity,
                            "owner": f.owner,
                            "expires": str(f.expires),
                        }
                        for f in registry.fields.values()
                    ],
                }
            )
            return
        out = console()
        measures = [(m.name, m.kind, m.description) for m in registry.measures.values()]
        out.print(table(("measure", "kind", "what it is"), measures))
        out.print()
        rows = [
            (f.name, f.kind.type, f.sensitivity, f.description) for f in registry.fields.values()
        ]
        out.print(table(("field", "type", "sensitivity", "what it is"), rows))


def _share(given: object) -> str:
    return "–" if given is None else f"{given:.2%}"


def _word(value: object) -> str:
    return "–" if value is None else str(value)


def _number(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if value == int(value) else f"{value:,.3f}"
    return "–" if value is None else f"{value:,}"
