"""In which language a command says its sentences.

What was asked for by `--lang` holds; else the locale's (POSIX: LC_ALL, LC_MESSAGES, LANG). What a
program reads, `--json`, follows no locale: it is English unless `--lang` says otherwise.
"""

from __future__ import annotations

import os
from typing import Annotated

import typer

from bailee.policy.document import Language
from bailee.words import of_locale

LanguageOption = Annotated[
    Language | None,
    typer.Option(
        "--lang", help="The language of the texts (else the locale's).", show_default=False
    ),
]


def spoken(asked: Language | None, *, as_json: bool = False) -> Language:
    """The language to speak."""
    if asked is not None:
        return asked
    return "en" if as_json else of_locale(os.environ)
