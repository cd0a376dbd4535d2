"""Two processes that seal into one index: what one has filed, the other goes on with at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.integration.vault.conftest import Bench
from tests.support.apis import Vector, captured, conversations

from bailee.apis.reading import interpret
from bailee.vault.objects import FolderObjects

pytestmark = pytest.mark.row("G4")


@pytest.fixture
def two(tmp_path: Path) -> Iterator[list[Bench]]:
    """Two vaults over one index, one keyring and one object store, each with a spool and open
    segments of its own, as two processes have them.
    """
    for part in ("data", "keyring"):
        (tmp_path / part).mkdir()
    objects = FolderObjects(tmp_path / "segments")
    made = []
    for name in ("one", "other"):
        folder = tmp_path / name
        folder.mkdir()
        for part in ("data", "keyring"):
            (folder / part).symlink_to(tmp_path / part)
        bench = Bench(folder, interpret=interpret, options={"objects": objects, "ship_bytes": 1})
        bench.open().recover()
        made.append(bench)
    yield made
    for bench in made:
        bench.close()


def ship(two: list[Bench]) -> None:
    """Let each put its open segments where both read them."""
    for bench in two:
        bench.vault.sweep(bench.clock())


def in_turn(two: list[Bench], some: list[Vector]) -> None:
    """Each after the last one, at the other."""
    for number, one in enumerate(some):
        for bench in two:
            bench.clock.advance(timedelta(seconds=2))
        bench = two[number % 2]
        bench.keep(captured(one, owner="ada", at=bench.clock().timestamp() - 1))


@pytest.mark.parametrize("name", ["aider-chat", "opencode-chat"])
def test_a_conversation_without_an_id_goes_on_at_the_other(two: list[Bench], name: str) -> None:
    """Of aider's turns and of a tool loop every other request comes in at the other: one session,
    of which each is told all.
    """
    some = [replace(one, headers=[]) for one in conversations(name)]
    some = some[1:] if name == "opencode-chat" else some  # after the title
    in_turn(two, some)
    ship(two)
    for bench in two:
        (row,) = bench.vault.sessions(bench.clock())
        assert len(some) == row.exchanges
        told = bench.vault.show(row.id)
        assert [one.body for one in some] == [one.request for one in told.exchanges]


def test_what_is_filed_late_is_of_the_session_that_goes_on_from_it(two: list[Bench]) -> None:
    """The turn after it was filed first, at the other. Another conversation that begins with the
    same words later is its own.
    """
    one, other = two
    first, second = conversations("aider-chat")[:2]
    for bench in two:
        bench.clock.advance(timedelta(seconds=9))
    now = one.clock().timestamp()
    other.keep(captured(second, owner="ada", at=now - 1))
    one.keep(captured(first, owner="ada", at=now - 6))
    assert [2] == [row.exchanges for row in one.vault.sessions(one.clock())]

    for bench in two:
        bench.clock.advance(timedelta(seconds=9))
    one.keep(captured(first, owner="ada", at=one.clock().timestamp() - 1))
    assert {2, 1} == {row.exchanges for row in other.vault.sessions(other.clock())}


def test_both_at_once_lose_nothing(two: list[Bench]) -> None:
    """Requests of one session come in at both at the same time: each is there, in one session."""
    some = [replace(one, headers=[["session-id", "s"]]) for one in conversations("aider-chat")] * 8
    at = two[0].clock().timestamp() - 1

    def half(number: int) -> None:
        for one in some[number::2]:
            two[number].keep(captured(one, owner="ada", at=at))

    with ThreadPoolExecutor(2) as pool:
        assert [None, None] == [*pool.map(half, (0, 1))]
    ship(two)
    (row,) = two[0].vault.sessions(two[0].clock())
    assert (len(some), len(some)) == (
        row.exchanges, len(two[1].vault.show(row.id).exchanges),
    )  # fmt: skip
