"""What a command's help shows as examples, from `examples.toml`."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def examples() -> dict[str, list[str]]:
    """The lines of each command, by its words after `bailee`."""
    import tomli  # here: only a help needs it

    with Path(__file__).with_name("examples.toml").open("rb") as file:
        return {words: list(lines) for words, lines in tomli.load(file).items()}
