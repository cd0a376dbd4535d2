"""The pages' words in Chinese and English, and which of the two a visitor reads.

Rules kept here:

* The catalogues (`messages/en.toml`, `messages/zh.toml`) have the same names; a missing one is an
  error and never an empty place on a page.
* The language is the one asked for in the address, else the person's setting, else the browser's
  cookie, else the first that the browser accepts and we have, else English.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from bailee.errors import BaileeError
from bailee.policy.document import Language

LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh")
HTML_LANGUAGE: Final[Mapping[Language, str]] = {"en": "en", "zh": "zh-Hans"}
OWN_NAME: Final[Mapping[Language, str]] = {"en": "English", "zh": "中文"}
_FOLDER: Final = Path(__file__).parent / "messages"


class Words:
    """One language's catalogue. Called with a name, it gives the text with its places filled."""

    def __init__(self, language: Language, texts: Mapping[str, str]) -> None:
        self.language: Final = language
        self.texts: Final = texts

    def __call__(self, name: str, /, **values: object) -> str:
        """The text under `name` (`area.name`); `{places}` are filled from `values`.

        Raises:
            KeyError: there is no such text, or a place has no value.
        """
        return self.texts[name].format(**values) if values else self.texts[name]

    def count(self, name: str, number: int) -> str:
        """The text for a number of things; English has a second text, `name_one`, for one."""
        if number == 1 and self.language == "en":
            return self(f"{name}_one", number=number)
        return self(name, number=number)

    def of_error(self, error: BaileeError) -> str:
        """An error in this language where the catalogue has its code, else as it was raised."""
        own = self.texts.get(f"error.code.{error.code}")
        if self.language != "en" and own is not None:
            return f"{own} ({error.message})" if error.message.isascii() else error.message
        return error.message if error.hint is None else f"{error.message} {error.hint}"

    def until(self, moment: datetime, now: datetime) -> str:
        """How far off a moment is, in the largest unit that fits: "in 29 days"."""
        seconds = (moment - now).total_seconds()
        if seconds <= 0:
            return self("time.passed")
        days = int(seconds // 86_400)
        if days >= 730:
            return self("time.in_years", number=days // 365)
        if days >= 2:
            return self("time.in_days", number=days)
        hours = int(seconds // 3600)
        return self("time.in_hours", number=hours) if hours >= 2 else self("time.soon")


@cache
def words(language: Language) -> Words:
    """The catalogue of a language."""
    with (_FOLDER / f"{language}.toml").open("rb") as file:
        return Words(language, dict(_flat(tomllib.load(file), "")))


def known(language: str | None) -> Language | None:
    """The language of this name, if it is one of ours."""
    return next((one for one in LANGUAGES if one == language), None)


def accepted(header: str) -> Language | None:
    """The first of our languages by an `Accept-Language` header's weights (RFC 9110, 12.5.4)."""
    ranked: list[tuple[float, int, Language]] = []
    for place, part in enumerate(header[:500].split(",")):
        name, _, parameters = part.strip().partition(";")
        language = known(name.strip().lower().split("-")[0])
        weight = _weight(parameters)
        if language is not None and weight > 0:
            ranked.append((-weight, place, language))
    return min(ranked)[2] if ranked else None


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


def _flat(table: Mapping[str, Any], before: str) -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value
