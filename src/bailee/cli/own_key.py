"""A person's own key, for what nobody else decides."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from bailee.errors import InputError

KeyOption = Annotated[
    str | None,
    typer.Option("--key", help="Your API key (else BAILEE_API_KEY).", show_default=False),
]


def own_key(given: str | None, act: str) -> str:
    """The key that was given, or is in the environment. `act`: what it is needed for, as the
    beginning of a sentence.

    Raises:
        InputError: code `authentication`, there is none.
    """
    presented = given or os.environ.get("BAILEE_API_KEY")
    if not presented:
        raise InputError(
            f"{act}: it needs your API key.",
            code="authentication",
            hint="give it with --key or BAILEE_API_KEY",
        )
    return presented
