"""When a server is ready."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bailee.app import promise
from bailee.app.promise import (
    GatewayStanding,
    Reason,
    ServerStanding,
    gateway_reasons,
    pause,
    reasons,
)
from bailee.words import words

GOOD = ServerStanding(begun=True, records=True, unswept=0.0, unrotated=0.0, unsealed=0.0)


def test_who_keeps_all_of_it_is_ready() -> None:
    """Up to each bound there is no reason against it."""
    edge = replace(
        GOOD, unswept=promise.SWEEP, unrotated=promise.ROTATION, unsealed=promise.SEALING
    )
    assert () == reasons(GOOD) == reasons(edge)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"begun": False}, Reason.STARTING),
        ({"records": False}, Reason.NOT_RECORDING),
        ({"unswept": promise.SWEEP + 1}, Reason.SWEEP_LATE),
        ({"unrotated": promise.ROTATION + 1}, Reason.ROTATION_LATE),
        ({"unsealed": promise.SEALING + 1}, Reason.SEALING_LATE),
        ({"unwitnessed": promise.WITNESSES + 1}, Reason.UNWITNESSED),
        ({"overdue": 1}, Reason.REQUESTS_OVERDUE),
    ],
)
def test_each_lack_has_its_reason(change: dict[str, float], reason: Reason) -> None:
    """Each by itself is one reason, with words."""
    assert (reason,) == reasons(replace(GOOD, **change))
    assert promise.IN_WORDS[reason]


def test_each_lack_of_a_gateway_of_its_own_has_its_reason() -> None:
    """Up to its bound there is none; that no server has the home keeps it from nothing."""
    good = GatewayStanding(confirmed=True, joined=True, records=True, unheld=promise.HOLDER)
    assert () == gateway_reasons(good)
    for change, reason in (
        ({"confirmed": False}, Reason.OUTDATED),
        ({"joined": False}, Reason.NOT_JOINED),
        ({"joined": False, "records": False}, Reason.NOT_JOINED),
        ({"records": False}, Reason.NOT_RECORDING),
        ({"lasting": False}, Reason.THREAD_ENDED),
        ({"draining": True}, Reason.DRAINING),
        ({"unheld": promise.HOLDER + 1}, Reason.HOLDER_AWAY),
    ):
        assert (reason,) == gateway_reasons(replace(good, **change))
        assert (reason in promise.ALERTS) is (reason is Reason.HOLDER_AWAY)


def test_the_bounds_keep_the_hour() -> None:
    """The end of an epoch (half an hour), and the bound of the sweep, are an hour at most."""
    assert 30 * 60 + promise.SWEEP <= 3600


@pytest.mark.parametrize(("failed", "seconds"), [(0, 300), (1, 30), (2, 60), (3, 120), (99, 300)])
def test_the_next_sweep_comes_sooner_after_a_failure(failed: int, seconds: float) -> None:
    """Half a minute, doubling up to the interval."""
    assert seconds == pause(300.0, failed)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_console_has_words_for_each_reason(language: str) -> None:
    """In each of its languages."""
    said = words(language, "console")
    assert all(said(f"watch.{reason}") for reason in Reason)
