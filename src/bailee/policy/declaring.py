"""An upstream's terms as the operator declares them, and upstreams besides a channel's first, read
from `bailee.toml`. Pure.

    [upstream.terms]
    retains = true            # whether it keeps what it is sent
    days = 30                 # for how long; left out: it does not say
    trains = false            # whether it trains on it
    region = "us"             # where; left out: it does not say
    zero_retention = true     # by agreement it keeps nothing of conversations

    [[upstream.terms.models]] # where a model differs; what is left out is as above
    model = "claude-example-*"
    zero_retention = false

    [upstreams.europe]        # a further upstream: the policy's `reach` clauses choose among them
    channel = "api"
    url = "https://models.example.eu"
    key_env = "EUROPE_KEY"
    [upstreams.europe.terms]  # as above

Rules kept here: nothing is guessed. Terms without `retains` and `trains`, terms that contradict one
another, a name that is not known: each is refused with its place, since a declaration decides what
zero-retention keys may send.

Rows: O4.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bailee.errors import InputError
from bailee.policy.reaching import DeclaredTerms, UpstreamTerms

_KEYS: Final = ("retains", "days", "trains", "region", "zero_retention")
_MOST_DAYS: Final = 36_500
_MOST_MODELS: Final = 200
_MOST_FURTHER: Final = 20
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,39}", re.ASCII)
_OF_FURTHER: Final = ("channel", "url", "key_env", "region")
_OTHER: Final = "other"  # what a document calls an upstream that it does not name
_REGION: Final = re.compile(r"[a-z][a-z0-9-]{0,39}", re.ASCII)
_MODEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,199}\*?", re.ASCII)


def declared(value: object, place: str) -> UpstreamTerms:
    """The terms that a table declares; `place` is its name in messages.

    Raises:
        InputError: code `configuration`.
    """
    table = _table(value, place)
    listed = table.get("models", [])
    if not isinstance(listed, list):
        raise _wrong(f"{place}.models is not a list of tables", f"write [[{place}.models]]")
    if len(listed) > _MOST_MODELS:
        raise _wrong(f"{place}.models has more than {_MOST_MODELS}", "use * at a name's end")
    usual = {key: one for key, one in table.items() if key != "models"}
    models = []
    for number, one in enumerate(listed, start=1):
        where = f"{place}.models, the {number}."
        differs = _table(one, where)
        name = differs.pop("model", None)
        if not isinstance(name, str) or _MODEL.fullmatch(name) is None:
            raise _wrong(f"{where} names no model", 'model = "claude-example-*"')
        if differs.get("retains") is False and "days" not in differs:
            usual_here = {key: value for key, value in usual.items() if key != "days"}
        else:
            usual_here = usual
        models.append((name.lower(), _terms({**usual_here, **differs}, where)))
    return UpstreamTerms(_terms(usual, place) if usual else None, tuple(models))


@dataclass(frozen=True, slots=True)
class FurtherUpstream:
    """An upstream of a channel besides its first. `key_env`: the environment variable that holds
    its key; `region`: the one to sign Bedrock requests for.
    """

    name: str
    channel: str
    url: str
    key_env: str | None
    region: str | None
    terms: UpstreamTerms


def further_ones(value: object, place: str, tables: Sequence[str]) -> tuple[FurtherUpstream, ...]:
    """The upstreams besides the first ones, in the file's order. `tables`: of the first ones, that
    of the channel `api` first.

    Raises:
        InputError: code `configuration`.
    """
    if not isinstance(value, dict) or len(value) > _MOST_FURTHER:
        raise _wrong(f"{place} is not {_MOST_FURTHER} tables at the most", f"write [{place}.NAME]")
    found = []
    for name, one in value.items():
        if _NAME.fullmatch(name) is None or name in tables or name == _OTHER:
            raise _wrong(
                f"{place}: no further upstream can be called {name[:40]!r}",
                "lower-case letters, digits and hyphens, and no channel's name",
            )
        found.append(_further(name, _table(one, f"{place}.{name}"), f"{place}.{name}", tables))
    return tuple(found)


def _further(
    name: str, table: Mapping[str, object], place: str, tables: Sequence[str]
) -> FurtherUpstream:
    texts: dict[str, str] = {}
    for key, value in table.items():
        if key == "terms":
            continue
        if key not in _OF_FURTHER:
            raise _wrong(
                f"{place} can't hold {key[:40]!r}", f"it takes {', '.join(_OF_FURTHER)}, terms"
            )
        if not isinstance(value, str) or not value:
            raise _wrong(f"{place}.{key} is not a text", "write it in quotes")
        texts[key] = value
    channels = ("api", *tables[1:])
    channel, url = texts.get("channel", ""), texts.get("url")
    if channel not in channels:
        raise _wrong(f"{place}.channel is no channel", f"one of: {', '.join(channels)}")
    if url is None:
        raise _wrong(f"{place} has no url", "give its address")
    if "region" in texts and channel != "bedrock":
        raise _wrong(f"{place}.region is only for bedrock", f"declare it in {place}.terms")
    if "key_env" in texts and channel in ("bedrock", "vertex"):
        raise _wrong(f"{place}.key_env: {channel} takes no key", "leave it out")
    terms = declared(table["terms"], f"{place}.terms") if "terms" in table else UpstreamTerms()
    return FurtherUpstream(name, channel, url, texts.get("key_env"), texts.get("region"), terms)


def _terms(table: Mapping[str, object], place: str) -> DeclaredTerms:
    for key in table:
        if key not in _KEYS:
            raise _wrong(f"{place} can't hold {key[:40]!r}", f"it takes {', '.join(_KEYS)}")
    retains, trains = _yes(table, "retains", place), _yes(table, "trains", place)
    zero = _yes(table, "zero_retention", place) if "zero_retention" in table else False
    if zero and trains:
        raise _wrong(f"{place}: what is not kept is not trained on", "mend one of them")
    if "days" in table and not retains:
        raise _wrong(f"{place} has days and retains nothing", "leave days out")
    return DeclaredTerms(retains, trains, _days(table, place), _region(table, place), zero)


def _yes(table: Mapping[str, object], key: str, place: str) -> bool:
    value = table.get(key)
    if not isinstance(value, bool):
        raise _wrong(f"{place}.{key} is not true or false", f"say {key} = true or {key} = false")
    return value


def _days(table: Mapping[str, object], place: str) -> int | None:
    value = table.get("days")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST_DAYS:
        raise _wrong(f"{place}.days is not a whole number from 1 to {_MOST_DAYS}", "days = 30")
    return value


def _region(table: Mapping[str, object], place: str) -> str:
    value = table.get("region", "")
    if value != "" and (not isinstance(value, str) or _REGION.fullmatch(value) is None):
        raise _wrong(f"{place}.region is no name of a region", 'like "us" or "eu-central-1"')
    return str(value)


def _table(value: object, place: str) -> dict[str, object]:
    if not isinstance(value, dict) or not value:
        raise _wrong(f"{place} is not a table that says something", f"write [{place}]")
    return dict(value)


def _wrong(message: str, hint: str) -> InputError:
    return InputError(f"{message}.", code="configuration", hint=hint)
