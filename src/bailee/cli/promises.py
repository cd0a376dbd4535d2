"""`bailee promises`: whether each promise is kept now, and how that is known."""

from __future__ import annotations

from typing import Final

import typer

from bailee.cli.answers import Fields
from bailee.cli.errors import reporting
from bailee.cli.policy_tables import plain
from bailee.cli.reach import JsonOption, PlaceOption, ask_one
from bailee.cli.show import console, moment, print_json
from bailee.cli.speaking import LanguageOption, spoken
from bailee.words import Words, words

_BROKEN: Final = 1


def promises(
    lang: LanguageOption = None, as_json: JsonOption = False, home: PlaceOption = None
) -> None:
    """Whether each promise of a home is kept now, and how that is known. Exit status 1: one is not
    kept.
    """
    with reporting():
        found = ask_one(home, "promises")
    standings = found.parts("promises")
    if as_json:
        print_json(found)
    else:
        t = words(spoken(lang), "terminal")
        rows = [
            (
                t(f"promise.stands_{one['standing']}"),
                t(f"promise.{one['promise']}"),
                _known(t, one),
            )
            for one in standings
        ]
        columns = [t(f"promise.of_{name}") for name in ("now", "promise", "known")]
        console().print(plain(columns, rows))
    if any(one["standing"] == "broken" for one in standings):
        raise typer.Exit(_BROKEN)


def _known(t: Words, one: Fields) -> str:
    why = t(f"promise.why_{one['why']}", count=one["count"])
    return t("promise.since", why=why, at=moment(one["since"])) if one["since"] else why
