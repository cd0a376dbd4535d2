"""`--since`, `--limit` and `--filter` of lists."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import typer

from bailee.cli import whole
from bailee.cli.answers import Fields
from bailee.cli.narrowing import ALL, Narrowing, narrowing
from bailee.clock import system_clock
from bailee.errors import InputError

PROGRAM: Any = typer.main.get_command(whole())
# What is no list of items that were made one after another, and says in its help what it shows.
OTHERS = {"backup list", "cloud image list", "flows list", "outbox list", "receipts list"}


def _items() -> Iterator[Fields]:
    """Sessions of a month, a day apart, the newest first; more than anybody may ask for."""
    day, now = 0, system_clock()
    while True:
        yield Fields(
            id=f"s{day}",
            at=(now - timedelta(days=day)).isoformat(),
            held=day % 2 == 0,
            by={"client": "claude-code" if day % 3 else "codex"},
            tags=["a", f"t{day}"],
            ended=None,
        )
        day += 1
        assert day < 60, "it goes on asking"


def _shown(only: Narrowing) -> list[str]:
    return [item.text("id") for item in only.of(_items())]


def _narrow(since: str | None, limit: int | None, *filters: str, falls: bool = True) -> Narrowing:
    return narrowing("at", falls, since, limit, list(filters))


def test_each_list_has_the_options() -> None:
    """One that is new, and has none of them, is missed here."""

    def lists(group: Any, words: str = "") -> Iterator[tuple[str, set[str]]]:
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                yield from lists(command, f"{words}{name} ")
            elif name == "list":
                yield words + name, {option for one in command.params for option in one.opts}

    missing = {words for words, options in lists(PROGRAM) if not {"--limit", "--filter"} <= options}
    assert missing == OTHERS


def test_no_more_is_asked_for_than_is_shown() -> None:
    """A page that nobody needs is not fetched, by the number or by the moment."""
    assert _shown(_narrow(None, 3)) == ["s0", "s1", "s2"]
    assert _shown(_narrow("60h", None)) == ["s0", "s1", "s2"]
    assert _shown(_narrow(None, 2, "by.client=codex", "held=true")) == ["s0", "s6"]
    assert len(ALL.of([Fields(a=1)] * 9)) == 9


@pytest.mark.parametrize(
    ("filters", "shown"),
    [
        (["id=s1*"], ["s1", "s10", "s11", "s12"]),
        (["tags=t4"], ["s4"]),
        (["held=false", "id=s?"], []),
        (["ended="], [f"s{day}" for day in range(4)]),
        (["by.client=c*", "by.client=*x"], ["s0", "s3", "s6", "s9"]),
        (["id=*"], [f"s{day}" for day in range(4)]),
    ],
)
def test_a_field_is_what_is_asked_for(filters: list[str], shown: list[str]) -> None:
    """`*` is anything and nothing else is special; of a list one of its items."""
    assert _shown(_narrow("14d", 4, *filters)) == shown


def test_a_list_in_another_order_is_read_to_its_end() -> None:
    """Where the newest are not first, what is old says nothing of what follows."""
    ten = [item for item, _ in zip(_items(), range(10), strict=False)][::-1]
    found = _narrow("60h", None, falls=False).of(ten)
    assert [item.text("id") for item in found] == ["s2", "s1", "s0"]


@pytest.mark.parametrize(
    ("since", "filters", "said"),
    [
        ("yesterday", [], "--since takes a day"),
        ("12345678901234567890d", [], "--since takes a day"),
        ("2026-13-01", [], "--since takes a day"),
        (None, ["open"], "--filter takes a field's name"),
        (None, ["=open"], "--filter takes a field's name"),
        (None, ["state=open"], "no item has a field state"),
    ],
)
def test_what_cannot_be_read_is_refused(since: str | None, filters: list[str], said: str) -> None:
    """With what to write instead."""
    with pytest.raises(InputError, match=said):
        narrowing("at", True, since, 3, filters).of(_items())
