"""A person's data: a copy of all of it, its erasure, and the receipts of that.

`bailee person export | erase` are the operator's; `bailee receipts` verifies anywhere.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from bailee.cli.answers import Fields, fields
from bailee.cli.errors import reporting
from bailee.cli.private_files import write_private
from bailee.cli.proofs import OutOption, put_proof
from bailee.cli.reach import JsonOption, PlaceOption, ask_one, ask_pages, is_there, operate
from bailee.cli.show import console, moment, print_json, say, table
from bailee.cli.speaking import LanguageOption, spoken
from bailee.errors import InputError
from bailee.words import Words, words

receipts = typer.Typer(help="Receipts of what was destroyed.", no_args_is_help=True)
ReceiptArgument = Annotated[
    str, typer.Argument(help="As in `bailee receipts list`, or a receipt's reference.")
]
Whom = Annotated[
    str,
    typer.Argument(help="per_…, an email, or acc_… for an account that no person has."),
]


def export(
    person: Whom,
    output: Annotated[Path, typer.Option("--output", "-o", help="The ZIP file to write.")],
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Everything that is held about a person, as one ZIP: index.html to read, JSON lines, and
    every session that can be read.
    """
    with reporting():
        from rich.progress import Progress

        with Progress(disable=as_json) as progress:
            task = progress.add_task("sessions", total=None)

            def pieces() -> Iterator[bytes]:
                for item in operate(home, "person.export", {"id": person}):
                    piece = fields(item)
                    if "data" in piece:
                        yield base64.b64decode(piece.text("data"))
                    else:
                        done, of = piece.number("done"), piece.number("of")
                        progress.update(task, completed=done, total=of)

            size = write_private(output, pieces())
        if as_json:
            print_json({"person": person, "file": str(output), "bytes": size})
        else:
            say(f"{output} is written ({size} bytes). index.html in it is the place to begin.")


def erase(
    person: Whom,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Erase a person: the keys of their sessions, what names them, their keys and sign-ins. It
    can't be undone. Prints what stays and why, and a signed receipt with --json.
    """
    with reporting():
        if not yes and not typer.confirm(f"Erase {person}? This can't be undone.", err=True):
            raise typer.Exit(1)
        done = ask_one(home, "person.erase", {"id": person})
        if as_json:
            print_json(done)
            return
        receipt = done.part("signed").part("receipt")
        say(f"{done['subject']} is erased ({done['state']}). Receipt {done['erasure']}.")
        rows = [
            (one["session"], one["state"], moment(one["since"]))
            for one in receipt.parts("sessions")
        ]
        if rows:
            console().print(table(("session", "state", "since"), rows))
        _say_left(receipt, words("en", "terminal"))
        say(f"Whoever has this reference sees the receipt: {done['reference']}")


def _say_left(receipt: Fields, t: Words) -> None:
    """What an erasure left, as its receipt says, which is signed in English."""
    say(t("destroyed.stays"))
    for one in receipt.parts("stays"):
        count = f" ({one['count']}, {one['where']})" if "where" in one else ""
        told = {name: one[name] for name in ("what", "why", "until")}
        say(t("destroyed.stays_one", count=count, **told))
    say(t("destroyed.named", how=receipt["identifiers"]))
    say(_searched(receipt.part("search")))
    say(receipt.text("backups"))


def _searched(search: Fields) -> str:
    """What was searched for them, in a sentence or two."""
    if "failed" in search:
        return f"Searched: {search['failed']}."
    said = f"Searched: {search['files']} files, {search['bytes']} bytes, {search['databases']} "
    said += "databases by their rows."
    if "not_searched" in search:
        left = search.part("not_searched")
        said += f" Not searched: {left['files']} files, {left['bytes']} bytes."
    return f"{said} {search['unseen']}"


@receipts.command("list")
def list_receipts(
    lang: LanguageOption = None, as_json: JsonOption = False, home: PlaceOption = None
) -> None:
    """Every person's erasure with its signed receipt, then all that was destroyed, one by one; with
    --json each of them signed, for `bailee receipts verify -`.
    """
    with reporting():
        erasures = [*ask_pages(home, "receipts.list")][::-1]
        things = [*ask_pages(home, "retention.receipts", {"signed": as_json})][::-1]
        if as_json:
            print_json([*erasures, *things])
            return
        t = words(spoken(lang), "terminal")
        rows = [
            (
                e["erasure"],
                t("destroyed.person"),
                e["subject"],
                e["requested_by"],
                e["state"],
                moment(e["requested"]),
            )
            for e in erasures
        ]
        rows += [
            (
                r["receipt"],
                f"{r['kind']} ({r['data_class']})",
                r["subject"],
                r["by"],
                r["state"],
                moment(r.part("states")["requested"]),
            )
            for r in things
        ]
        names = ("receipt", "kind", "of", "by", "state", "requested")
        console().print(table([t(f"destroyed.of_{name}") for name in names], rows))


@receipts.command()
def show(
    receipt: ReceiptArgument,
    lang: LanguageOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """One receipt as it stands now: each step with the leaf of the log that it is, what is left and
    why. With --json signed, for `bailee receipts verify`.
    """
    with reporting():
        found = ask_one(home, "receipts.show", {"id": receipt})
        if as_json:
            print_json(found)
            return
        t = words(spoken(lang), "terminal")
        said = found.part("signed").part("receipt")
        if "erasure" in said:
            say(t("destroyed.of_person", subject=said["subject"], by=said["requested_by"]))
        else:
            what = {name: said[name] for name in ("kind", "subject", "data_class")}
            say(t("destroyed.one", by=said["by"] or t("destroyed.by_time"), **what))
        steps = [
            (
                one["state"],
                moment(one["at"]),
                t("destroyed.no_leaf") if one["leaf"] is None else one["leaf"],
            )
            for one in found.parts("steps")
        ]
        state, since, leaf = (t(f"destroyed.of_{name}") for name in ("state", "since", "leaf"))
        console().print(table((state, since, leaf), steps, right=(leaf,)))
        parts = [(one["subject"], one["kind"], one["state"]) for one in found.parts("parts")]
        if parts:
            columns = (t("destroyed.of_of"), t("destroyed.of_kind"), state)
            console().print(table(columns, parts))
        if "stays" in said:
            _say_left(said, t)
        for one in found.parts("left"):
            say(t("destroyed.left", what=one["what"], why=one["why"], until=one["until"]))
        say(t("destroyed.reference", reference=found["reference"]))


@receipts.command()
def proof(
    receipt: ReceiptArgument,
    output: OutOption = None,
    step: Annotated[
        str | None, typer.Option(help="Prove this step, as key_destroyed, and not the latest.")
    ] = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """The proof that a receipt's latest step is in the log, with the moments of those before it:
    one file (.tlog-proof) that anyone can check who has the log's public key.
    """
    with reporting():
        put_proof(ask_one(home, "receipts.proof", {"id": receipt, "step": step}), output, as_json)


@receipts.command()
def key(as_json: JsonOption = False, home: PlaceOption = None) -> None:
    """The public key of this home's receipts, for whoever verifies one."""
    with reporting():
        found = ask_one(home, "receipts.key")
        if as_json:
            print_json(found)
        else:
            say(found.text("public_key"))


@receipts.command()
def verify(
    file: Annotated[
        Path,
        typer.Argument(
            help="A receipt, as `bailee person erase --json` or `receipts show --json` gave it, or "
            "a list of them; - for standard input.",
            allow_dash=True,
        ),
    ],
    public_key: Annotated[
        str | None,
        typer.Option("--key", help="The home's public key (`bailee receipts key`)."),
    ] = None,
    lang: LanguageOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Check that a receipt, or each of a list, is as it was signed, and by whose key: that of
    --key, else this home's. Exits with 5 if not.
    """
    with reporting():
        from bailee.errors import IntegrityError
        from bailee.keyring import signing

        try:
            read = json.loads(sys.stdin.read() if str(file) == "-" else file.read_text())
        except (OSError, ValueError) as error:
            raise InputError(f"{file} can't be read as JSON.") from error
        expected = public_key
        if expected is None and is_there(home):
            expected = ask_one(home, "receipts.key").text("public_key")
        found: list[dict[str, object]] = []
        by, open_ones = "", 0
        for one in read if isinstance(read, list) else [read]:
            signed = one.get("signed", one) if isinstance(one, dict) else one
            if signed is None and isinstance(read, list):
                open_ones += 1
                continue
            receipt, by = signing.verify(signed)
            if signed is not one and any(receipt.get(name, one[name]) != one[name] for name in one):
                raise IntegrityError(
                    "what stands beside the signed receipt is not what was signed.",
                    hint="it was changed; ask for it again",
                )
            if expected is not None and expected != by:
                raise IntegrityError(
                    "the receipt is signed, but by another key.",
                    hint="ask whoever runs the service for the output of `bailee receipts key`",
                )
            found.append(receipt)
        if as_json:
            shown = {"receipts": found} if isinstance(read, list) else {"receipt": found[0]}
            print_json({"valid": True, "key_known": expected is not None} | shown)
            return
        t = words(spoken(lang), "terminal")
        ours = expected is not None
        whose = t("destroyed.this_key") if ours else t("destroyed.other_key", key=by)
        say(t("destroyed.signed", number=len(found), whose=whose))
        for receipt in found:
            what = receipt.get("kind", t("destroyed.person"))
            stands = {"subject": receipt["subject"], "state": receipt["state"]}
            say(t("destroyed.stands", what=what, **stands))
        if open_ones:
            say(t("destroyed.open", number=open_ones))
