"""Sign-ins that wait to be confirmed: what a client and a person are told, and when."""

from __future__ import annotations

import os
from datetime import timedelta
from threading import Barrier, Thread

import pytest

from bailee.accounts.device_grants import (
    BEGUN_BY_ADDRESS,
    INTERVAL,
    LASTS,
    LOOKED_BY_ADDRESS,
    DeviceGrants,
    Poll,
)
from bailee.errors import InputError
from bailee.testing import FakeClock

HERE = "192.0.2.7"


@pytest.fixture
def clock() -> FakeClock:
    """One that stands until it is moved."""
    return FakeClock()


@pytest.fixture
def grants(clock: FakeClock) -> DeviceGrants[str]:
    """Grants whose approval is a text."""
    return DeviceGrants(clock, os.urandom)


def test_a_grant_is_confirmed_and_handed_over_once(grants: DeviceGrants[str]) -> None:
    """What was confirmed comes with the next poll, and never again."""
    begun = grants.begin(client="cli", address=HERE)
    before = grants.poll(begun.device_code)
    grants.approve(begun.user_code, "ada")

    assert Poll.PENDING is before
    assert "ada" == grants.poll(begun.device_code)
    assert Poll.EXPIRED is grants.poll(begun.device_code)


def test_a_code_is_typed_as_people_type(grants: DeviceGrants[str]) -> None:
    """In small letters, with blanks or without the hyphen; what is shown says who asks."""
    begun = grants.begin(client="cli/1", address=HERE)
    waiting = grants.look(" " + begun.user_code.lower().replace("-", " "), address=HERE)
    assert ("cli/1", HERE, begun.user_code) == (waiting.client, waiting.address, waiting.user_code)


def test_what_was_denied_is_over(grants: DeviceGrants[str]) -> None:
    """It can't be confirmed any more, and the client is told so."""
    begun = grants.begin(client="cli", address=HERE)
    grants.deny(begun.user_code)
    with pytest.raises(InputError, match="no sign-in waits"):
        grants.approve(begun.user_code, "ada")
    assert Poll.DENIED is grants.poll(begun.device_code)


def test_what_is_too_old_is_over(grants: DeviceGrants[str], clock: FakeClock) -> None:
    """After ten minutes nobody confirms it, and a confirmation before is worth nothing."""
    begun, other = (grants.begin(client="cli", address=HERE) for _ in range(2))
    grants.approve(other.user_code, "ada")
    clock.advance(LASTS)
    with pytest.raises(InputError):
        grants.approve(begun.user_code, "ada")
    assert [Poll.EXPIRED] * 2 == [grants.poll(one.device_code) for one in (begun, other)]


def test_a_clock_that_is_set_back_lets_nobody_in_for_longer(
    grants: DeviceGrants[str], clock: FakeClock
) -> None:
    """It makes no poll an impatient one, and a grant's end stays where it is."""
    begun = grants.begin(client="cli", address=HERE)
    grants.poll(begun.device_code)
    clock.advance(-timedelta(hours=1))
    assert Poll.PENDING is grants.poll(begun.device_code)
    clock.advance(timedelta(hours=1) + LASTS)
    assert Poll.EXPIRED is grants.poll(begun.device_code)


def test_who_is_impatient_waits_longer(grants: DeviceGrants[str], clock: FakeClock) -> None:
    """RFC 8628, 3.5: five seconds more each time."""
    begun = grants.begin(client="cli", address=HERE)
    said = [grants.poll(begun.device_code)]
    clock.advance(timedelta(seconds=1))
    said.append(grants.poll(begun.device_code))
    clock.advance(timedelta(seconds=INTERVAL))
    said.append(grants.poll(begun.device_code))
    clock.advance(timedelta(seconds=3 * INTERVAL))
    said.append(grants.poll(begun.device_code))
    assert [Poll.PENDING, Poll.SLOW_DOWN, Poll.SLOW_DOWN, Poll.PENDING] == said


def test_one_address_begins_a_bounded_number(grants: DeviceGrants[str], clock: FakeClock) -> None:
    """And is let in again ten minutes later; another one is not slowed."""
    for _ in range(BEGUN_BY_ADDRESS):
        grants.begin(client="cli", address=HERE)
    with pytest.raises(InputError, match="too many"):
        grants.begin(client="cli", address=HERE)
    grants.begin(client="cli", address="192.0.2.8")
    clock.advance(LASTS)
    grants.begin(client="cli", address=HERE)


def test_who_tries_codes_is_stopped(grants: DeviceGrants[str]) -> None:
    """Ten wrong ones, and the right one does not open either."""
    begun = grants.begin(client="cli", address=HERE)
    for _ in range(LOOKED_BY_ADDRESS):
        with pytest.raises(InputError, match="no sign-in waits"):
            grants.look("BBBB-BBBB", address=HERE)
    with pytest.raises(InputError, match="too many"):
        grants.look(begun.user_code, address=HERE)
    assert grants.look(begun.user_code, address="192.0.2.8")


def test_a_race_gives_one_client_its_tokens(grants: DeviceGrants[str]) -> None:
    """Many that poll with one code at once: one gets what was confirmed."""
    begun = grants.begin(client="cli", address=HERE)
    grants.approve(begun.user_code, "ada")
    barrier, given = Barrier(8), []

    def poll() -> None:
        barrier.wait()
        given.append(grants.poll(begun.device_code))

    threads = [Thread(target=poll) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 == given.count("ada")
    assert 7 == given.count(Poll.EXPIRED)
