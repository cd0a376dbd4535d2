"""`bailee backup`: data as long as one likes, keys apart and for a time; and restoring."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from bailee.cli.answers import fields
from bailee.cli.errors import reporting
from bailee.cli.reach import JsonOption, PlaceOption, ask_one, operate
from bailee.cli.show import console, moment, print_json, progress, say, size, table
from bailee.errors import CODES, InputError

if TYPE_CHECKING:
    from bailee.backup.restoring import Restored

_DAMAGED: Final = CODES["tampered"].exit_status

app = typer.Typer(help="Backups: data, and keys apart from it; restoring.", no_args_is_help=True)

PlaceArgument = Annotated[
    str,
    typer.Argument(
        metavar="DIR|s3://BUCKET/PREFIX",
        help="The backup's folder or bucket; credentials are found as the AWS SDKs find them.",
    ),
]


@app.callback()
def _group() -> None:
    pass


@app.command()
def create(
    folder: PlaceArgument,
    keys: Annotated[
        str | None,
        typer.Option(
            metavar="DIR", help="Take a snapshot of the keys too, into this folder: never the same."
        ),
    ] = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Back up a home's data, with a server that runs or without. Into a place that has a backup of
    this home already, only what is new is copied. A bucket is reached by the server, if one runs.

    The data may be kept as long as you like: without keys it opens nothing. A snapshot of keys ends
    after `backup.keys_hours`; what is destroyed meanwhile can be read again with it, until then.
    """
    with reporting():
        arguments = {
            "folder": folder if "://" in folder else str(Path(folder).absolute()),
            "keys": None if keys is None else keys if "://" in keys else str(Path(keys).absolute()),
        }
        last, snapshot = None, None
        for item in map(fields, operate(home, "backup.create", arguments)):
            if "until" in item:
                snapshot = item
                continue
            last = item
            progress(f"{last['done']} of {last['of']} files, {size(last.number('bytes'))}")
        progress("")
        if as_json:
            print_json({"data": last, "keys": snapshot})
            return
        if last is not None:
            copied = size(last.number("copied"))
            say(f"{folder} has the home's data: {size(last.number('bytes'))}, {copied} of it new.")
            if mended := last.number("mended"):
                say(f"{mended} files there were not what had been written, and are again.")
        if snapshot is not None:
            say(f"{snapshot['place']} has its keys, until {moment(snapshot['until'])}.")
        say("To restore it, a copy of ledger/ is needed that is newer than this: copy it often.")


@app.command()
def verify(folder: PlaceArgument, as_json: JsonOption = False) -> None:
    """Read a backup whole, and compare each file with its hash. It takes no home and no keys. Exits
    with 5 if anything is wrong.
    """
    with reporting():
        from bailee.backup.checking import verified
        from bailee.backup.naming import place_of
        from bailee.keyring.signing import fingerprint

        made, key, wrong = verified(place_of(folder))
        if as_json:
            print_json(
                {
                    "backup": made.backup,
                    "home": made.home,
                    "at": made.at.isoformat(),
                    "files": len(made.files),
                    "bytes": made.size,
                    "signed_by": fingerprint(key),
                    "wrong": [{"where": where, "what": what} for where, what in wrong],
                }
            )
        else:
            for where, what in wrong:
                say(f"{where}: {what}")
            say(f"{len(wrong) or 'Nothing'} wrong. Read: {len(made.files)} files.")
            say(f"It is {made.backup} of {moment(made.at.isoformat())}, {size(made.size)}.")
            say(f"It was signed with the key {fingerprint(key)} (compare: bailee receipts key).")
    if wrong:
        raise typer.Exit(_DAMAGED)


@app.command("list")
def list_backups(as_json: JsonOption = False, home: PlaceOption = None) -> None:
    """The backups that a home made, and the snapshots of its keys that open something still."""
    with reporting():
        found = ask_one(home, "backup.list")
        if as_json:
            print_json(found)
            return
        made = [
            (one["backup"], moment(one["at"]), one["files"], size(one.number("bytes")))
            for one in found.parts("data")
        ]
        console().print(table(("data", "made", "files", "size"), made, right=("files", "size")))
        keys = [
            (one["id"], moment(one["taken_at"]), moment(one["until"]), one["place"])
            for one in found.parts("keys")
        ]
        console().print(table(("keys", "taken", "until", "place"), keys))


@app.command()
def end(
    snapshot: Annotated[str, typer.Argument(help="Which snapshot of keys: keys_…")],
    gone: Annotated[
        bool, typer.Option("--gone", help="It can't be reached, and is known to be gone.")
    ] = False,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """End a snapshot of keys before its time."""
    with reporting():
        done = ask_one(home, "backup.end", {"id": snapshot, "gone": gone})
        if as_json:
            print_json(done)
        else:
            say(f"{done['id']} opens nothing any more.")


@app.command()
def restore(
    folder: PlaceArgument,
    *,
    keys: Annotated[Path, typer.Option(help="The folder with the snapshot of keys.")],
    home: Annotated[Path, typer.Option(help="The new home. Nothing is in it yet.")],
    ledger: Annotated[
        Path | None,
        typer.Option(help="A copy of ledger/ that is newer than the backup, or the old home."),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A checkpoint of the log that you or a witness remember: a log that is older, or "
            "another one, is refused.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a home of a backup, and do again in it what was deleted, erased, revoked and chosen
    since, before it can serve anything.

    What that was says the log, which has to be newer than the backup. Without such a copy, and with
    one that does not fit, nothing is restored. After a crash the same command goes on.

    Its databases are files, wherever the backup's were; or on PostgreSQL, two empty ones, as
    BAILEE_DATABASE_URL and BAILEE_KEYRING_DATABASE_URL name them.
    """
    with reporting():
        done = _restored(folder, keys, home, ledger, checkpoint)
        if as_json:
            from bailee.operations.codec import plain

            print_json(plain(done))
            return
        say(f"{done.home} is restored from {done.backup}.")
        say(f"The log had {done.entries} entries since; {done.undone} decisions were done again.")
        for one in done.look:
            say(f"see to it: {one}")
        if done.on_postgresql:
            say("Its databases are on PostgreSQL: start it with the same two settings.")
        say("Every sign-in has ended. Never start the old home again: both would write the log.")


def _restored(
    folder: str, keys: Path, home: Path, ledger: Path | None, checkpoint: Path | None
) -> Restored:
    from bailee.backup.naming import place_of
    from bailee.backup.restoring import Restored, restore
    from bailee.home import find

    remembered = None
    if checkpoint is not None:
        try:
            remembered = checkpoint.read_bytes()
        except OSError as error:
            raise InputError(f"{checkpoint} can't be read ({error.strerror}).") from error
    done = None
    given = (place_of(folder), keys, find(home), ledger)
    for done in restore(*given, checkpoint=remembered, environment=os.environ):
        if not isinstance(done, Restored):
            progress(f"{done.done} of {done.of} files")
    progress("")
    assert isinstance(done, Restored)
    return done
