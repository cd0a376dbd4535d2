"""A start is ready whatever the end before it left behind, and nobody waits for it."""

from __future__ import annotations

import asyncio
import os

import pytest

from bailee.errors import StorageError
from bailee.node.node import Node
from bailee.testing.upstream import Failure
from support.attacks.attacked import MIB, House, size_of
from support.attacks.bombs import MANY_MESSAGES, unfolding
from support.attacks.costs import exchange

WELL = b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"pear"}]}'
pytestmark = pytest.mark.row("G1", "D4")


def test_a_start_over_content_that_asks_for_much(house: House) -> None:
    """Killed with bombs in the spool: ready for little more than over an empty one, and alive when
    all is done.
    """
    plain = house.killed()
    for _ in range(4):
        house.upstream.then(Failure(502, "api_error", "no"))
        house.post(MANY_MESSAGES)
        house.post(unfolding("br"), content_encoding="br")
    after = house.killed()
    # What is done behind meanwhile counts too: the busier the machine, the more of it.
    assert after.cpu < plain.cpu + 6.0 and after.memory < plain.memory + 150, (plain, after)
    assert after.loop < plain.loop + 1.0, (plain, after)
    house.settle()
    with house.within():
        pass


def test_a_start_over_a_gigabyte(house: House) -> None:
    """Killed with a gigabyte in the spool: the thread that starts does as little, and the rest is
    done behind, most of it still to come. Meanwhile it serves, lists, and says that more is being
    filed; and it holds a fraction of it in memory.
    """
    plain = house.killed()
    spool = house.bailee.home / "vault" / "spool"
    with house.ended() as node:
        asyncio.run(_spool(node, 1024 * MIB))
        files = len([*spool.iterdir()])
    assert len([*spool.iterdir()]) > files // 2
    assert 200 == house.post(WELL)[0]
    assert "an earlier run left" in house.bailee.run("sessions", "list").stdout
    house.killed()
    left = size_of(spool)
    after = house.killed()
    assert after.loop < plain.loop + 1.0 and after.memory < plain.memory + 300, (plain, after)
    assert left > 128 * MIB  # how much depends on how long the start and the kill took
    assert 200 == house.post(WELL)[0]


async def _spool(node: Node, size: int) -> None:
    """Make so many bytes durable, of which nothing is sealed: a disk writes them faster than a
    client sends them, and the sealer would keep up with a client.
    """
    node.vault._sealer.queue.stop()
    owner = node.accounts.first()
    assert owner is not None
    text = os.urandom(12 * MIB).hex()
    body = b'{"model":"m","messages":[{"role":"user","content":"%b"}]}' % text.encode()
    for number in range(size // len(body) + 1):
        done: asyncio.Future[StorageError | None] = asyncio.get_running_loop().create_future()
        one = exchange(body, b"{}", "application/json")
        node.vault.spool.submit(
            one._replace(exchange_id=f"req_{number}", owner=owner.account_id), done.set_result
        )
        assert await done is None
