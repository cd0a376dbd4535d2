"""`bailee audit`: the record of what was decided, released and destroyed, and the proof of it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

import typer

from bailee.cli.answers import Fields, fields
from bailee.cli.errors import reporting
from bailee.cli.narrowing import ALL, Narrowing, narrowed
from bailee.cli.proofs import OutOption, put, put_proof
from bailee.cli.reach import JsonOption, PlaceOption, ask_one, ask_pages, ask_several
from bailee.cli.remains import erasure
from bailee.cli.show import console, moment, note, print_json, say, table
from bailee.errors import CODES, InputError

_SHOWN: Final = 100
_DAMAGED: Final = CODES["tampered"].exit_status

app = typer.Typer(help="The audit record.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


app.command()(erasure)


@app.command("list")
@narrowed("at", falls=True)
def list_entries(
    kind: Annotated[str | None, typer.Option(help="Only this kind, as key.created.")] = None,
    subject: Annotated[str | None, typer.Option(help="Only about this id.")] = None,
    only: Narrowing = ALL,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """The latest entries, in order: 100 of them unless --limit says how many; as JSON, all."""
    with reporting():
        arguments = {"kind": kind, "subject": subject}
        asked = ask_pages(home, "audit.list", arguments)
        entries = only.of(asked, limit=None if as_json else _SHOWN)[::-1]
        if as_json:
            print_json(entries)
            return
        rows = [
            (
                e["number"],
                "" if e["leaf"] is None else e["leaf"],
                moment(e["at"]),
                e["kind"],
                e["subject"],
                _particulars(e),
            )
            for e in entries
        ]
        columns = ("no.", "leaf", "at", "kind", "subject", "particulars")
        console().print(table(columns, rows, right=("no.", "leaf")))
        if only.limit is None and len(entries) == _SHOWN:
            note(f"The latest {_SHOWN}. More: --limit N; all: --json.")


@app.command()
def show(
    number: Annotated[int, typer.Argument(help="The entry's number.", min=1)],
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """One entry: what it says, and which leaf of the log it is."""
    with reporting():
        e = ask_one(home, "audit.show", {"number": number})
        if as_json:
            print_json(e)
            return
        leaf = "none yet" if e["leaf"] is None else e["leaf"]
        say(f"{e['kind']} {e['subject']} at {moment(e['at'])}")
        say(f"entry {e['number']}, leaf {leaf}")
        if e["body"]:
            say(_particulars(e))


@app.command()
def checkpoint(
    output: OutOption = None, as_json: JsonOption = False, home: PlaceOption = None
) -> None:
    """The log's checkpoint over all entries up to now: a signed note. Keep it, and
    `bailee audit verify --since` shows that nothing in it was changed or taken back.
    """
    with reporting():
        found = ask_one(home, "audit.checkpoint")
        if as_json:
            print_json(found)
            return
        put(output, found.text("note"))
        say(f"The log's public key: {found['key']}", err=True)
        say(f"Its key of ML-DSA-44: {found['key_ml_dsa_44']}", err=True)
        _say_witnesses(found, err=True)


@app.command()
def witness(as_json: JsonOption = False, home: PlaceOption = None) -> None:
    """Ask the witnesses of the setting ledger.witnesses to cosign the log's checkpoint now, and say
    which have. A server does so by itself. To be a witness: `bailee witness`.
    """
    with reporting():
        found = ask_one(home, "audit.witness")
        if as_json:
            print_json(found)
            return
        _say_witnesses(found, err=False)


@app.command()
def prove(
    named: Annotated[
        str, typer.Argument(metavar="RECEIPT|NUMBER", help="A receipt's id, or an entry's number.")
    ],
    output: OutOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """The proof that an entry is in the log, which anyone can check with the log's public key: one
    .tlog-proof file, with the entry in it. Of a receipt, its latest step is proved.
    """
    with reporting():
        found = ask_one(home, "audit.proof", {"id": named})
        put_proof(found, output, as_json)


@app.command()
def verify(  # noqa: PLR0917 - each is an option
    copy: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Check these files, and no home: a folder that is a copy of ledger/ or of a home, "
            "or a log's address, as https://…/ledger.",
        ),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(help="A public key of the log's (`bailee audit checkpoint` says them)."),
    ] = None,
    since: Annotated[
        Path | None, typer.Option(help="An earlier checkpoint: the log must have grown from it.")
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(help="Whom you trust (c2sp.org/tlog-policy): the log, and witnesses of it."),
    ] = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Check the log: its checkpoint, every file, and that each entry is what its leaf commits to.
    What is wrong is named. Exits with 5 if anything is.
    """
    with reporting():
        before = None if since is None else _read(since)
        if copy is not None:
            found = _of_copy(copy, key, policy, before)
        elif key or policy is not None:
            raise InputError(
                "--key and --policy are for a copy.",
                hint="name it with --from; a home knows its own key, and ledger.witnesses",
            )
        else:
            found = ask_one(home, "audit.verify", {"since": before})
    if as_json:
        print_json(found)
    else:
        _say_checked(found, before is not None)
    if found["damaged"]:
        raise typer.Exit(_DAMAGED)


def _of_copy(place: str, keys: list[str] | None, policy: Path | None, before: str | None) -> Fields:
    """Check a copy: of a home, if it looks like one, else of the log's files; or what is served."""
    from bailee.home import Home
    from bailee.ledger import Folder
    from bailee.ledger.cosigning import policy_of
    from bailee.ledger.fetching import RemoteLog
    from bailee.ledger.folder import LogFiles
    from bailee.ledger.signing import trusting
    from bailee.ledger.tlog import notes
    from bailee.ledger.verifying import Check, copied
    from bailee.operations.codec import plain

    trust = policy_of(policy, "--policy")
    if keys:
        trust = trusting([notes.key(key) for key in keys], trust)
    if not trust.logs:
        raise InputError(
            "whose log this is says its public key alone.",
            hint="give it with --key, or in --policy; `bailee audit checkpoint` says it",
        )
    home = Home(Path(place))
    of_home = home.ledger.is_dir()
    with ExitStack() as closing:
        entries = None
        files: LogFiles
        if place.startswith(("http://", "https://")):
            files = remote = RemoteLog(place)
            closing.callback(remote.close)
        elif not home.path.is_dir():
            raise InputError(f"there is no folder {place}.", code="not_found")
        else:
            files = Folder(home.ledger if of_home else home.path)
            if of_home and home.data_database.exists():
                entries = closing.enter_context(copied(home.data_database))
        remembered = None if before is None else before.encode()
        checked = Check(files, trust, remembered, entries).run()
    return fields(plain(checked))


stream_app = typer.Typer(help="Where the record is delivered to.", no_args_is_help=True)
app.add_typer(stream_app, name="stream")


@stream_app.callback()
def _stream_group() -> None:
    pass


@stream_app.command("status")
def stream_status(as_json: JsonOption = False, home: PlaceOption = None) -> None:
    """How the delivery to each address of the settings audit.* goes: how much waits, and why."""
    with reporting():
        found = ask_several(home, "audit.streams")
        if as_json:
            print_json(found)
            return
        if not found:
            say("The record is delivered nowhere: no setting audit.* names an address.")
            return
        rows = [
            (
                one["sink"],
                one["where"],
                one["next"],
                one["waiting"],
                one["delivered"],
                one["failures"],
                one["problem"] or "",
            )
            for one in found
        ]
        columns = ("to", "address", "next leaf", "waiting", "delivered", "failures", "problem")
        right = ("next leaf", "waiting", "delivered", "failures")
        console().print(table(columns, rows, right=right))


def _say_witnesses(found: Fields, *, err: bool) -> None:
    witnesses = found.parts("witnesses")
    for one in witnesses:
        how = f"cosigned at {moment(one['cosigned'])}" if one["cosigned"] else "has not cosigned"
        say(f"{one['name']}: {how}{': ' + one.text('problem') if one['problem'] else ''}", err=err)
    if witnesses:
        enough = "Enough" if found["quorum"] else "Not enough"
        say(f"{enough} witnesses have cosigned {found['size']} leaves.", err=err)
    elif not err:
        say("No witness is named: the setting ledger.witnesses names a policy.")


def _say_checked(found: Fields, beside: bool) -> None:
    damaged = found.parts("damaged")
    for one in damaged:
        say(f"{one['where']}: {one['what']}")
    looked = f"{found['files']} files, {found['leaves']} leaves, {found['entries']} entries"
    say(f"{len(damaged) or 'Nothing'} wrong. Checked: {looked}.")
    if found["size"] is not None:
        since = " It begins with the earlier checkpoint." if beside and not damaged else ""
        say(f"The log has {found['size']} leaves and the root {found['root']}.{since}")
    if found["witnessed"] is not None:
        say(f"Enough witnesses cosigned its first {found['witnessed']} leaves.")
    for name, words in (
        ("waiting", "entries are not signed yet."),
        ("erased", "entries had particulars that were erased; the rest of each is proved."),
        ("lost", "leaves have no entry any more: an older copy of the data was accepted."),
    ):
        if found[name]:
            say(f"{found[name]} {words}")


def _particulars(entry: Fields) -> str:
    erased = entry.texts("erased")
    return " ".join(
        f"{name}={'(erased)' if name in erased else value}"
        for name, value in entry.part("body").items()
    )


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"{file} can't be read as text.") from error
