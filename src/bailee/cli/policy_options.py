"""The options that commands about the policy document share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bailee.errors import InputError

if TYPE_CHECKING:
    from bailee.policy import Policy

DocumentOption = Annotated[
    Path | None,
    typer.Option(
        "--document",
        metavar="FILE",
        help="A document, or a shipped version such as 2026-08-22 (else the usual).",
    ),
]
OwnOption = Annotated[
    Path | None,
    typer.Option(
        "--own",
        metavar="FILE",
        help="An organisation's own document beside it.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


def loaded(document: Path | None, own: Path | None) -> Policy:
    """The policy of a document, with an organisation's own beside it.

    Raises:
        Unsound: one of them is not sound.
        InputError: one of them can't be read.
    """
    from bailee.policy import Policy, load

    policy = load(document)
    if own is None:
        return policy
    from bailee.policy.own import LARGEST, read
    from bailee.policy.own_proof import prove

    try:
        with own.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise InputError(
            f"The document {own} can't be read: {error.strerror or 'unknown reason'}.",
            code="not_found" if isinstance(error, FileNotFoundError) else "configuration",
            hint="give the path of an organisation's document",
        ) from None
    made = read(content, policy.document, file=str(own))
    prove(made, policy.document, str(own))
    return Policy(policy.document, made)
