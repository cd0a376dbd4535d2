"""The options that commands about the policy document share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bailee.policy.document import Language

DocumentOption = Annotated[
    Path | None,
    typer.Option(
        "--document",
        metavar="FILE",
        help="A document, or a shipped version such as 2026-08-22 (else the usual).",
    ),
]
LanguageOption = Annotated[Language, typer.Option("--lang", help="The language of the texts.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
