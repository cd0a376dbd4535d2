"""`--since`, `--limit` and `--filter`: which items of a list are shown, the same in every list.

A list's command has a parameter `only` and is decorated with `narrowed`, which puts the options in
its place. It gives the items as they come from a home or server; no more pages are asked for than
what is shown needs.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from functools import wraps
from typing import Annotated, Final, TypeVar

import typer

from bailee.cli.answers import Fields
from bailee.cli.errors import reporting
from bailee.clock import SPANS, parse_span, system_clock
from bailee.errors import InputError
from bailee.json_values import Json
from bailee.records import dataclass

_SLACK: Final = timedelta(days=1)
"""By so much a list's order may differ from its moments: it is by number, and clocks step."""

Since = Annotated[
    str | None,
    typer.Option("--since", metavar="WHEN", help="Only since then: 2026-11-01, or 90m, 24h, 7d."),
]
Most = Annotated[int | None, typer.Option("--limit", min=1, help="At most so many.")]
Filters = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        metavar="NAME=VALUE",
        help="Only where this field, as --json names it, is this; * is anything. Repeatable.",
    ),
]


Item = TypeVar("Item")


class _Age(Enum):
    """How old an item is, beside what --since says; the last: what follows is older too."""

    SINCE = auto()
    BEFORE = auto()
    BEFORE_ALL = auto()


@dataclass(frozen=True)
class Narrowing:
    """What a person wants to see of a list. `at`: the field with an item's moment, if it has one;
    `falls`: the newest come first, so that what is older needs no asking.
    """

    at: str | None = None
    falls: bool = False
    since: datetime | None = None
    limit: int | None = None
    filters: tuple[tuple[str, re.Pattern[str]], ...] = ()

    @property
    def everything(self) -> bool:
        """Whether the person named nothing that leaves items out."""
        return self.since is None and self.limit is None and not self.filters

    def of(self, items: Iterable[Fields], *, limit: int | None = None) -> list[Fields]:
        """These items, or the first `limit` of them where the person names no other number.

        Raises:
            InputError: an item has no field of a filter's name.
        """
        return self.of_shown(items, Fields, limit=limit)

    def of_shown(
        self,
        items: Iterable[Item],
        shown: Callable[[Item], Mapping[str, Json]],
        *,
        limit: int | None = None,
    ) -> list[Item]:
        """The same of whatever --json shows as `shown` does."""
        most = self.limit or limit
        found: list[Item] = []
        for item in items:
            fields = shown(item)
            age = self._age(fields)
            if age is _Age.BEFORE_ALL:
                break
            if age is _Age.SINCE and self._fits(fields):
                found.append(item)
                if len(found) == most:
                    break
        return found

    def _age(self, item: Mapping[str, Json]) -> _Age:
        if self.since is None or self.at is None:
            return _Age.SINCE
        (text,) = _values(item, self.at) or ("",)
        if not text:
            return _Age.BEFORE
        moment = datetime.fromisoformat(text)
        if self.falls and moment < self.since - _SLACK:
            return _Age.BEFORE_ALL
        return _Age.BEFORE if moment < self.since else _Age.SINCE

    def _fits(self, item: Mapping[str, Json]) -> bool:
        for name, value in self.filters:
            if name.partition(".")[0] not in item:
                raise InputError(
                    f"--filter: no item has a field {name}.", hint=f"use {', '.join(sorted(item))}"
                )
            if not any(value.fullmatch(one) for one in _values(item, name)):
                return False
        return True


def narrowing(
    at: str | None, falls: bool, since: str | None, limit: int | None, filters: list[str]
) -> Narrowing:
    """From what stands on the command line.

    Raises:
        InputError: it can't be read.
    """
    pairs = []
    for text in filters:
        name, is_, value = text.partition("=")
        if not is_ or not name:
            raise InputError(
                "--filter takes a field's name and a value.", hint="write it like state=open"
            )
        pairs.append((name, re.compile(".*".join(map(re.escape, value.split("*"))), re.DOTALL)))
    return Narrowing(at, falls, None if since is None else _moment(since), limit, tuple(pairs))


def _moment(text: str) -> datetime:
    try:
        if text[-1:] in SPANS:
            return system_clock() - parse_span(text, name="--since")
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except (ValueError, OverflowError, InputError):
        raise InputError(
            "--since takes a day (UTC), or how far back.", hint="write it like 2026-11-01, or 24h"
        ) from None


def _values(item: Mapping[str, Json], path: str) -> list[str]:
    """What stands at a path of names with dots between: one text, each of a list's, or none."""
    value: Json | Mapping[str, Json] = item
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    some = value if isinstance(value, list) else [value]
    return [_text(one) for one in some if not isinstance(one, Mapping | list)]


def _text(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


ALL: Final = Narrowing()
"""Nothing is left out: what a command has for `only` before the options take its place."""


def narrowed(at: str | None = None, *, falls: bool = False) -> Callable[..., Callable[..., None]]:
    """Decorates a list's command: in the place of its parameter `only` it has the options."""

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def called(
            *given: object,
            since: str | None = None,
            limit: int | None = None,
            filters: list[str] | None = None,
            **named: object,
        ) -> None:
            with reporting():
                only = narrowing(at, falls, since, limit, filters or [])
            command(*given, only=only, **named)

        signature = inspect.signature(command, eval_str=True)
        options = {"since": Since, "limit": Most, "filters": Filters}
        if at is None:
            del options["since"]
        taken: list[inspect.Parameter] = []
        for name, one in signature.parameters.items():
            if name != "only":
                taken.append(one)
                continue
            taken += [
                inspect.Parameter(option, one.kind, default=None, annotation=kind)
                for option, kind in options.items()
            ]
        vars(called)["__signature__"] = signature.replace(parameters=taken)
        return called

    return decorated
