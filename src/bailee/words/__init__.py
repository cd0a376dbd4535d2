"""What people read, in English and Chinese: one catalogue for the console and the terminal.

Rules kept here:

* A text has a name (`area.name`) and stands in `en/` and `zh/` under it, with the same places to
  fill. A name that is missing is an error, and never an empty place on a page.
* `console.toml` and `terminal.toml` are read by who says them alone, `both.toml` by both.
* Chinese is written with its own stops, full width.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Final, Literal

import tomli

from bailee.errors import BaileeError
from bailee.policy.document import Language

Where = Literal["console", "terminal"]

LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh")
_FOLDER: Final = Path(__file__).parent


class Words:
    """One language's catalogue. Called with a name, it gives the text with its places filled.

    It never changes once made, so any thread may ask it.
    """

    def __init__(self, language: Language, texts: Mapping[str, str]) -> None:
        self.language: Final = language
        self.texts: Final = texts

    def __call__(self, name: str, /, **values: object) -> str:
        """The text under `name` (`area.name`); `{places}` are filled from `values`.

        Raises:
            KeyError: there is no such text, or a place has no value.
        """
        return self.texts[name].format(**values) if values else self.texts[name]

    def count(self, name: str, number: int, **values: object) -> str:
        """The text for a number of things; English has a second text, `name_one`, for one."""
        one = number == 1 and self.language == "en"
        return self(f"{name}_one" if one else name, number=number, **values)

    def what(self, error: BaileeError) -> str:
        """What went wrong, in this language: where it was raised in English, by its code first."""
        if self.language == "en" or not error.message.isascii():
            return error.message
        return f"{self(f'error.code.{error.code}')}（{error.message}）"

    def of_error(self, error: BaileeError) -> str:
        """What went wrong and, where it was said in this language, what to do."""
        if error.hint is None or (self.language != "en" and error.hint.isascii()):
            return self.what(error)
        return f"{self.what(error)} {error.hint}"

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
def words(language: Language, where: Where) -> Words:
    """What is said there, in that language."""
    texts: dict[str, str] = {}
    for part in ("both", where):
        with (_FOLDER / language / f"{part}.toml").open("rb") as file:
            texts.update(_flat(tomli.load(file), ""))
    return Words(language, texts)


def known(language: str | None) -> Language | None:
    """The language of this name, if it is one of ours."""
    return next((one for one in LANGUAGES if one == language), None)


def of_locale(environment: Mapping[str, str]) -> Language:
    """The language that a locale asks for (POSIX, 8.2). Pure."""
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    locale = next((value for name in names if (value := environment.get(name))), "")
    return "zh" if locale.lower().startswith("zh") else "en"


def _flat(table: Mapping[str, object], before: str) -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", str(value)
