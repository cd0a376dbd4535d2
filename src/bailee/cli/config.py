"""`bailee config`: every setting, its value, and where the value came from."""

from __future__ import annotations

import os

import typer

from bailee.cli.errors import reporting
from bailee.cli.reach import HomeOption, JsonOption
from bailee.cli.show import console, print_json, say, table
from bailee.config import SETTINGS, Settings, load
from bailee.home import find
from bailee.policy.wording import upstream_in_words

_TERMS = "What that upstream declares to keep, and to do with it."
_FURTHER = "A further upstream: the policy document's reach clauses choose among a channel's."
_NOT_IN_FORCE = "Not in force: the address that is in force does not stand in the same file."

app = typer.Typer(help="Settings.", no_args_is_help=True)


def _further(settings: Settings) -> dict[str, str]:
    """Each further upstream in words: of which channel, where it is, and what it declares."""
    return {
        f"upstreams.{one.name}": f"{one.channel}, {one.url}: {upstream_in_words(one.terms, 'en')}"
        for one in settings.further
    }


@app.callback()
def _group() -> None:
    pass


@app.command()
def show(as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Every setting, its value, and where it came from."""
    with reporting():
        place = find(home)
        settings = load(place.settings_file, os.environ, {})
        if as_json:
            print_json(
                {
                    s.name: {"value": settings.values[s.name], "from": settings.origin[s.name]}
                    for s in SETTINGS
                }
                | {
                    f"{table}.terms": {
                        "value": upstream_in_words(terms, "en"),
                        "from": str(place.settings_file),
                        "in_force": settings.terms_in_force(table) is not None,
                    }
                    for table, terms in settings.terms.items()
                }
                | {
                    name: {"value": value, "from": str(place.settings_file)}
                    for name, value in _further(settings).items()
                }
            )
            return
        rows = [
            (
                s.name,
                "not set" if settings.values[s.name] is None else str(settings.values[s.name]),
                settings.origin[s.name],
                s.meaning,
            )
            for s in SETTINGS
        ]
        rows += [
            (
                f"{table}.terms",
                upstream_in_words(terms, "en"),
                str(place.settings_file),
                _TERMS if settings.terms_in_force(table) is not None else _NOT_IN_FORCE,
            )
            for table, terms in settings.terms.items()
        ]
        rows += [
            (name, value, str(place.settings_file), _FURTHER)
            for name, value in _further(settings).items()
        ]
        say(f"home: {place.path}")
        console().print(table(("setting", "value", "from", "meaning"), rows))
