"""Rebuilding a session costs what is kept of it, not the square."""

from __future__ import annotations

from typing import Any

import pytest

from bailee.vault.delta import digest_key, encode
from bailee.vault.known import KnownPieces
from bailee.vault.rebuilding import Rebuilder


class Counted(list[Any]):
    """A list that counts how many entries are taken from it, by index or by slice."""

    taken = 0

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        Counted.taken += len(found) if isinstance(index, slice) else 1
        return found


def bodies(sessions: list[list[Any]]) -> list[dict[str, Any]]:
    """The deltas of requests with these messages."""
    known = KnownPieces(digest_key(b"k" * 32))
    made = []
    for number, messages in enumerate(sessions):
        delta = encode(number, {}, messages, None, known)
        known.places |= delta.learned
        made.append(delta.body)
    return made


@pytest.mark.row("G1")
def test_a_history_that_is_cut_or_moved_is_rebuilt_in_one_walk() -> None:
    """Every message refers to another exchange: each costs one look, however many there are."""
    messages: list[Any] = [{"role": "user", "content": f"m{n}"} for n in range(2_000)]
    first, second = bodies([messages, [{"role": "user", "content": "first"}, *messages]])
    assert 2_000 == sum("r" in item for item in second["items"])  # type: ignore[union-attr]
    rebuilder = Rebuilder()
    rebuilder.add(0, first)
    node = rebuilder._nodes[0]
    rebuilder._nodes[0] = type(node)(node.base, Counted(node.tail))
    Counted.taken = 0
    _, said = rebuilder.add(1, second)
    assert said is not None
    assert messages == said.all()[1:]
    assert 2_000 == Counted.taken


@pytest.mark.row("G1")
def test_a_conversation_that_grows_is_not_copied_at_every_turn() -> None:
    """Feeding a rebuilder takes nothing from what it has; a request is made when asked for."""
    messages: list[Any] = [{"role": "user", "content": f"m{n}"} for n in range(300)]
    rebuilder = Rebuilder()
    Counted.taken = 0
    said = None
    for number, body in enumerate(bodies([messages[: n + 1] for n in range(300)])):
        _, said = rebuilder.add(number, body)
        node = rebuilder._nodes[number]
        rebuilder._nodes[number] = type(node)(node.base, Counted(node.tail))
    assert 0 == Counted.taken
    assert said is not None
    assert (messages, 300) == (said.all(), said.count)
    assert Counted.taken <= 300


def test_marks_go_back_in_one_pass() -> None:
    """A thousand marks in one message, and in the blocks within one block, come back exactly."""
    mark = {"cache_control": {"type": "ephemeral"}}
    inner = [{"type": "text", "text": str(n), **mark} for n in range(1_000)]
    message = {"role": "user", "content": [*inner, {"type": "tool_result", "content": inner}]}
    (body,) = bodies([[message]])
    _, said = Rebuilder().add(0, body)
    assert said is not None
    assert [message] == said.all()
