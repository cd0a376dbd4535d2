"""`bailee training`: what may be trained on, as a dataset, and who has left it since."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from bailee.cli.answers import Fields, fields
from bailee.cli.errors import reporting
from bailee.cli.narrowing import ALL, Narrowing, narrowed
from bailee.cli.reach import AsOption, JsonOption, PlaceOption, ask_one, ask_several, operate
from bailee.cli.show import console, moment, print_json, progress, say, size, table
from bailee.clock import parse_moment
from bailee.errors import CODES

_WRONG: Final = CODES["tampered"].exit_status

app = typer.Typer(
    help="Datasets of what may be trained on, and who has left them.", no_args_is_help=True
)

KeyOption = Annotated[
    str | None,
    typer.Option("--key", help="A trainer's own API key (else the operator asks)."),
]
PlaceArgument = Annotated[
    str,
    typer.Argument(metavar="DIR|s3://BUCKET/PREFIX", help="The dataset's folder or prefix."),
]


@app.callback()
def _group() -> None:
    pass


@app.command()
def export(  # noqa: PLR0917 (Typer reads the options off it)
    to: Annotated[
        str,
        typer.Option(
            metavar="DIR|s3://BUCKET/PREFIX",
            help="A new folder or prefix; credentials are found as the AWS SDKs find them.",
        ),
    ],
    since: Annotated[
        str | None,
        typer.Option(metavar="MOMENT", help="Only sessions that were active since, as 2026-01-31."),
    ] = None,
    form: Annotated[str, typer.Option("--format", help="parquet, or jsonl.")] = "parquet",
    engine: Annotated[
        str,
        typer.Option(help="Where the work is done: local, ray://HOST:PORT, or ray (this machine)."),
    ] = "local",
    workers: Annotated[
        int | None, typer.Option(help="How many at once (else one for each processor).")
    ] = None,
    lend_at: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="For a cluster of several machines: this one's address, as they reach it.",
        ),
    ] = None,
    names_model: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="A spaCy model of your own, by which names are found and masked (Presidio).",
        ),
    ] = None,
    reason: Annotated[str | None, typer.Option(help="What it is for. It goes on record.")] = None,
    as_: AsOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Write every session that may be trained on into a folder or a bucket, each decided when it is
    written. One that was broken off goes on when it is asked for again.
    """
    with reporting():
        arguments = {
            "folder": _named(to),
            "since": None if since is None else _moment(since).isoformat(),
            "format": form,
            "engine": engine,
            "workers": workers,
            "lend_at": lend_at,
            "names_model": None if names_model is None else str(names_model.absolute()),
            "reason": reason,
            "as": as_,
            **_by(key),
        }
        last = None
        for item in map(fields, operate(home, "training.export", arguments)):
            if "document" in item:
                last = item
            else:
                progress(f"{item['done']} of {item['of']} shards, {item['sessions']} sessions")
        progress("")
        if as_json:
            print_json(last)
        elif last is not None:
            _say(last)


def _named(place: str) -> str:
    """A bucket as it is, a folder from the root."""
    return place if "://" in place else str(Path(place).absolute())


def _by(key: str | None) -> dict[str, object]:
    """Who asks, if it is not the operator."""
    return {} if key is None else {"key": key}


def _moment(since: str) -> datetime:
    return parse_moment(since, name="--since")


def _say(done: Fields) -> None:
    say(f"{done['place']} has {done['rows']} rows of {done['sessions']} sessions.")
    if done.number("taken_out"):
        say(f"Taken out again, since they were withdrawn meanwhile: {done['taken_out']} sessions.")
    if done.number("unreadable"):
        say(f"Could not be read, and are not in it: {done['unreadable']} sessions (bailee verify).")
    say(f"It is {done['export']}, {size(done.number('bytes'))}; its manifest is signed.")


@app.command()
def verify(
    folder: PlaceArgument,
    key: KeyOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Check a dataset against its manifest, the home's log and policy. Exits with 5 if anything is
    wrong.
    """
    with reporting():
        found = ask_one(home, "training.verify", {"folder": _named(folder), **_by(key)})
        wrong = found.parts("wrong")
        if as_json:
            print_json(found)
        else:
            for one in wrong:
                say(f"{one['where']}: {one['what']}")
            say(f"{len(wrong) or 'Nothing'} wrong. Read: {found['files']} files.")
            say(f"It is {found['export']}: {found['rows']} rows of {found['sessions']} sessions.")
            if found["on_record"] is not None:
                say(f"Its manifest is leaf {found['on_record']} of the log.")
    if wrong:
        raise typer.Exit(_WRONG)


@app.command()
def withdrawals(
    folder: PlaceArgument,
    key: KeyOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """List the rows that were withdrawn, deleted or erased since, or are past their time, and write
    their ids into a file, by which they are dropped.
    """
    with reporting():
        found = ask_one(home, "training.withdrawals", {"folder": _named(folder), **_by(key)})
        rows = found.parts("rows")
        if as_json:
            print_json(found)
            return
        if rows:
            columns = ("row", "file", "why")
            listed = [(one["row"], one["file"], one["why"]) for one in rows]
            console().print(table(columns, listed))
        say(f"{len(rows) or 'No'} rows are to be dropped. {found['filter']} has their ids.")


@app.command()
@narrowed("began")
def exports(
    key: KeyOption = None,
    only: Narrowing = ALL,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """What was exported, when, by whom, for what."""
    with reporting():
        found = only.of(ask_several(home, "training.exports", _by(key)))
        if as_json:
            print_json(found)
            return
        rows = [
            (
                one["export"],
                one["state"],
                moment(one["began"]),
                one["by"],
                one["reason"],
                one["sessions"],
                one["rows"],
                one["place"],
            )
            for one in found
        ]
        columns = ("export", "state", "begun", "by", "for", "sessions", "rows", "folder")
        console().print(table(columns, rows, right=("sessions", "rows")))
