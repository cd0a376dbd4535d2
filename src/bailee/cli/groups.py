"""`bailee organisation groups`: what groups of an organisation's provider give, by rules."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Annotated, Final

import typer

from bailee.cli.answers import Fields
from bailee.cli.errors import reporting
from bailee.cli.reach import JsonOption, PlaceOption, ask_one
from bailee.cli.show import console, moment, print_json, say, table
from bailee.errors import InputError
from bailee.json_values import elements
from bailee.shown import line

app = typer.Typer(help="What groups of an organisation's provider give.", no_args_is_help=True)
_LARGEST: Final = 1 << 20
_MEMBERS: Final = {"claim", "scope", "rule"}

Organisation = Annotated[str, typer.Argument(help="org_…, as in `bailee organisation list`.")]
RulesFile = Annotated[Path, typer.Argument(help="The rules, in TOML: see the guide.")]


@app.command()
def show(organisation: Organisation, as_json: JsonOption = False, home: PlaceOption = None) -> None:
    """The rules, and who has what by them."""
    with reporting():
        found = ask_one(home, "organisation.groups", {"organisation": organisation})
        _show(found, as_json)


@app.command("set")
def set_rules(
    organisation: Organisation,
    rules: RulesFile,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Put the rules of a file in the place of those that hold; what only an old one gave is taken
    at once. A file without rules: everybody of the provider's domain is a member again.
    """
    with reporting():
        asked = {"organisation": organisation, **_read(rules)}
        _show(ask_one(home, "organisation.set_groups", asked), as_json)


@app.command("try")
def try_rules(  # noqa: PLR0917 - each is an option
    organisation: Organisation,
    group: Annotated[
        list[str] | None, typer.Option(help="A group of theirs; repeatable.", show_default=False)
    ] = None,
    claims: Annotated[
        Path | None,
        typer.Option(help="The claims of an ID token, as JSON; - reads them from standard input."),
    ] = None,
    rules: Annotated[
        Path | None, typer.Option(help="With these rules, in the place of those that hold.")
    ] = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Say what somebody with these groups, or these claims, would have. Nothing changes."""
    with reporting():
        asked: dict[str, object] = {"organisation": organisation}
        if rules is not None:
            asked |= {name: one for name, one in _read(rules).items() if name != "scope"}
        asked["claims"] = _claims(claims) if claims is not None else {}
        if group:
            if claims is not None:
                raise InputError("--group and --claims are two ways to say one thing.")
            held = ask_one(home, "organisation.groups", {"organisation": organisation})
            claim = str(asked.get("claim") or held["claim"])
            asked["claims"] = _under(claim, group)
        tried = ask_one(home, "organisation.try_groups", asked)
        if as_json:
            print_json(tried)
        else:
            _say(tried)


def _say(tried: Fields) -> None:
    if tried["problem"]:
        say(f"They do not come in: {tried['problem']}.")
        return
    say(f"groups: {', '.join(map(line, tried.texts('groups'))) or 'none'}")
    places = tried.parts("places")
    if not places:
        say("They do not come in: no rule gives them anything.")
    for one in places:
        team = f", team {one['team']} (by {one['team_rule']})" if one["team"] else ""
        named = f"{one['organisation']} {line(one.text('name'))}"
        say(f"{one['role']} of {named}, plan {one['plan']} (by {one['rule']}){team}")
        for models in elements(one["models"]):
            say(f"  models: {' '.join(map(str, elements(models)))}")
        for limit in one.texts("limits"):
            say(f"  limit: {limit}")


def _show(found: Fields, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    rules = found.parts("rules")
    if not rules:
        say("There are no rules: everybody that the provider lets in is a member.")
        return
    scope = f", scope {found['scope']}" if found["scope"] else ""
    say(f"claim {line(found.text('claim'))}{scope}")
    rows = [
        (
            one["id"],
            "everybody" if one["group"] is None else line(one.text("group")),
            one["organisation"],
            one["role"],
            one["team"] or "",
        )
        for one in rules
    ]
    console().print(table(("rule", "group", "organisation", "role", "team"), rows))
    for one in found.parts("given"):
        team = f", team {one['team']}" if one["team"] else ""
        say(f"{one['person']}  {one['role'] or 'by hand'}{team}  since {moment(one['since'])}")


def _read(file: Path) -> dict[str, object]:
    """The arguments that a file of rules says."""
    try:
        if file.stat().st_size > _LARGEST:
            raise InputError("the file is too large for rules.")
        said = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"the file can't be read: {error.strerror}.") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"the file is no TOML: {error}") from None
    unknown = said.keys() - _MEMBERS
    if unknown:
        raise InputError(
            f"rules have no {sorted(unknown)[0]!r}.", hint="claim, scope, and [[rule]] for each"
        )
    found: dict[str, object] = {name: said[name] for name in ("claim", "scope") if name in said}
    return {**found, "rules": said.get("rule", [])}


def _claims(file: Path) -> object:
    try:
        text = sys.stdin.read(_LARGEST) if str(file) == "-" else file.read_text("utf-8")
        return json.loads(text)
    except OSError as error:
        raise InputError(f"the file can't be read: {error.strerror}.") from None
    except (ValueError, RecursionError):
        raise InputError("the claims are no JSON.") from None


def _under(claim: str, groups: list[str]) -> object:
    """Claims that name these groups, where `claim` says."""
    if not claim.startswith("/"):
        return {claim: groups}
    found: object = groups
    for name in reversed(claim[1:].split("/")):
        found = {name.replace("~1", "/").replace("~0", "~"): found}
    return found
