"""Who has as much on disk as they may."""

from __future__ import annotations

import pytest

from bailee.admission import OnDisk, Over, floor, stores

pytestmark = pytest.mark.row("G1")


def test_without_a_limit_nobody_is_over() -> None:
    """Whatever an account has, while enough of the disk is free."""
    assert stores(OnDisk(living=1 << 50, all=1 << 50, accounts=2), 0) is None


def test_who_has_the_limit_is_over() -> None:
    """At the limit, not before it."""
    assert stores(OnDisk(living=99), 100) is None
    assert Over("account", "kept", 100) == stores(OnDisk(living=100), 100)


def test_deleting_lets_in_again_and_not_without_end() -> None:
    """What was deleted and lies on the disk still is let pass up to as much again."""
    assert stores(OnDisk(living=0, gone=199), 100) is None
    assert Over("account", "deleted", 100) == stores(OnDisk(living=0, gone=200), 100)
    assert Over("account", "deleted", 100) == stores(OnDisk(living=50, gone=150), 100)


def test_a_disk_that_is_nearly_full_is_kept_for_who_has_little() -> None:
    """More than an equal part is too much; an equal part is not, and one that is alone has none."""
    low = {"all": 100, "accounts": 4, "low": True}
    assert stores(OnDisk(living=20, gone=5, **low), 0) is None
    assert Over("account", "disk", 0) == stores(OnDisk(living=20, gone=6, **low), 0)
    assert stores(OnDisk(**low), 0) is None
    assert stores(OnDisk(living=100, all=100, accounts=1, low=True), 0) is None


def test_what_is_kept_free_is_a_twentieth_at_most() -> None:
    """Of a small disk little is kept free; of a large one what was asked for."""
    assert (50, 100, 0) == (floor(100, 1000), floor(100, 10_000), floor(0, 1000))
