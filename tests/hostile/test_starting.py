"""A start is ready whatever the end before it left behind, and nobody waits for it."""

from __future__ import annotations

import os
import time

import pytest

from attacked import MIB, House
from bailee.testing.upstream import Failure
from bombs import MANY_MESSAGES, unfolding

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
    assert after.cpu < plain.cpu + 3.0 and after.memory < plain.memory + 150, (plain, after)
    with house.within():
        pass


def test_a_start_over_a_gigabyte(house: House) -> None:
    """Killed with a gigabyte in the spool: the same, and the rest is done behind."""
    plain = house.killed()
    noise = os.urandom(12 * MIB).hex().encode()
    body = b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"%b"}]}' % noise
    began = time.monotonic()
    sent = 0
    while sent < 1024 * MIB and time.monotonic() - began < 60:
        for key in (house.key, house.neighbours):
            status, _ = house.post(body, x_api_key=key)
            sent += len(body) if status == 200 else 0
    after = house.killed()
    assert after.cpu < plain.cpu + 3.0 and after.memory < plain.memory + 300, (plain, after)
    assert 200 == house.post(body)[0]
