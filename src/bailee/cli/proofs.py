"""Proofs and checkpoints as commands write them: to a file that is new, or to standard output."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bailee.cli.answers import Fields
from bailee.cli.show import print_json, say, write_text
from bailee.errors import InputError

OutOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write it to this file, which is made.")
]


def put_proof(found: Fields, output: Path | None, as_json: bool) -> None:
    """A proof, as an operation gave it (`operations.receipts.Proved`)."""
    if as_json:
        print_json(found)
        return
    put(output, found.text("proof"))
    say(f"It proves leaf {found['leaf']}, which is: {found['payload']}", err=True)


def put(output: Path | None, text: str) -> None:
    """Write to a new file, or to standard output.

    Raises:
        InputError: the file is there, or can't be written.
    """
    if output is None:
        write_text(text)
        return
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise InputError(
            f"{output} can't be written ({error.strerror}).", hint="name a file that is not there"
        ) from error
