"""Sign-ins that a client has begun and a person has not confirmed yet: the device grant (RFC 8628).

The client gets a device code, which it polls with, and shows a user code, which the person confirms
in a browser. What was confirmed is handed to the client once.

Rules kept here:

* A grant lasts ten minutes and is good once; it is confirmed or denied once.
* A device code is 256 random bits, of which the digest is held. A user code is eight letters out of
  twenty, none a vowel, so that it is no word; who tries codes is stopped after ten, by address.
* Who polls sooner than the interval is told to slow down, and has to wait five seconds more.
* How many begin from one address is bounded, and so is what waits in all: then the oldest go.
* It is all in memory: what waits when the process ends is begun again.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final, Generic, TypeVar

from bailee.accounts.attempts import network
from bailee.clock import Clock
from bailee.errors import InputError

LASTS: Final = timedelta(minutes=10)
INTERVAL: Final = 5
BEGUN_BY_ADDRESS: Final = 30
LOOKED_BY_ADDRESS: Final = 10
_EARLY: Final = timedelta(seconds=1)  # a timer that runs fast is no impatience
_ROOM: Final = 10_000
_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
_CODE: Final = 8
_LONGEST_CLIENT: Final = 200
Approval = TypeVar("Approval")


class Poll(Enum):
    """Why a client that polls has no answer yet, or never; the values are the protocol's."""

    PENDING = "authorization_pending"
    SLOW_DOWN = "slow_down"
    DENIED = "access_denied"
    EXPIRED = "expired_token"


@dataclass(frozen=True, slots=True)
class BegunGrant:
    """What a client is told. `interval` and `lasts` in seconds."""

    device_code: str
    user_code: str
    lasts: int
    interval: int = INTERVAL


@dataclass(frozen=True, slots=True)
class WaitingGrant:
    """What a person is shown: which client, what it says of itself, from where, since when."""

    user_code: str
    client: str
    address: str
    begun_at: datetime


@dataclass(slots=True)
class _Grant(Generic[Approval]):
    waiting: WaitingGrant
    until: datetime
    interval: int = INTERVAL
    polled_at: datetime | None = None
    approval: Approval | None = None
    denied: bool = False


class DeviceGrants(Generic[Approval]):
    """The grants that wait. `PeopleRegistry` owns one; the protocol begins and polls, the console
    looks, confirms and denies, on any thread. It knows no person and makes no token: an approval is
    whatever it was given.
    """

    def __init__(self, clock: Clock, random: Callable[[int], bytes]) -> None:
        self._clock = clock
        self._random = random
        self._lock = threading.Lock()  # whenever anything below is read or changed
        self._by_device: OrderedDict[bytes, _Grant[Approval]] = OrderedDict()
        self._by_user: dict[str, _Grant[Approval]] = {}
        self._begun = _Window(BEGUN_BY_ADDRESS)
        self._looked = _Window(LOOKED_BY_ADDRESS)

    def begin(self, *, client: str, address: str) -> BegunGrant:
        """Begin one.

        Raises:
            InputError: `too_many_attempts`.
        """
        device = self._random(32).hex()
        with self._lock:
            now = self._clock()
            self._begun.count(network(address), now)
            code = self._free_code()
            waiting = WaitingGrant(code, client[:_LONGEST_CLIENT], address, now)
            grant: _Grant[Approval] = _Grant(waiting, now + LASTS)
            self._by_device[_digest(device)] = self._by_user[code] = grant
            while len(self._by_device) > _ROOM:
                _, oldest = self._by_device.popitem(last=False)
                self._by_user.pop(oldest.waiting.user_code, None)
        return BegunGrant(device, code, int(LASTS.total_seconds()))

    def look(self, user_code: str, *, address: str) -> WaitingGrant:
        """The grant that waits under a user code, as somebody typed it.

        Raises:
            InputError: `not_found`; `too_many_attempts`, of addresses that tried others.
        """
        with self._lock:
            now = self._clock()
            self._looked.check(network(address), now)
            grant = self._open(user_code, now)
            if grant is None:
                self._looked.count(network(address), now)
                raise _no_such_code()
            return grant.waiting

    def approve(self, user_code: str, approval: Approval) -> None:
        """Confirm it; the client gets this approval when it next polls.

        Raises:
            InputError: `not_found`, it is over, or was confirmed or denied already.
        """
        with self._lock:
            grant = self._taken(user_code)
            grant.approval = approval

    def deny(self, user_code: str) -> None:
        """Deny it.

        Raises:
            InputError: as `approve`.
        """
        with self._lock:
            self._taken(user_code).denied = True

    def poll(self, device_code: str) -> Approval | Poll:
        """What was confirmed, this once; or why there is nothing."""
        digest = _digest(device_code)
        with self._lock:
            now = self._clock()
            grant = self._by_device.get(digest)
            if grant is None:
                return Poll.EXPIRED
            if grant.until <= now:
                return self._over(digest, grant, Poll.EXPIRED)
            if grant.denied:
                return self._over(digest, grant, Poll.DENIED)
            if grant.approval is not None:
                return self._over(digest, grant, grant.approval)
            last, grant.polled_at = grant.polled_at, now
            wait = timedelta(seconds=grant.interval) - _EARLY
            if last is not None and timedelta(0) <= now - last < wait:
                grant.interval += INTERVAL
                return Poll.SLOW_DOWN
            return Poll.PENDING

    def _over(
        self, digest: bytes, grant: _Grant[Approval], said: Approval | Poll
    ) -> Approval | Poll:
        del self._by_device[digest]
        self._by_user.pop(grant.waiting.user_code, None)
        return said

    def _open(self, user_code: str, now: datetime) -> _Grant[Approval] | None:
        grant = self._by_user.get(normal(user_code))
        if grant is None or grant.until <= now or grant.denied or grant.approval is not None:
            return None
        return grant

    def _taken(self, user_code: str) -> _Grant[Approval]:
        grant = self._open(user_code, self._clock())
        if grant is None:
            raise _no_such_code()
        return grant

    def _free_code(self) -> str:
        while True:
            # 256 is no multiple of twenty: bytes that would favour some letters are left out.
            letters = [_LETTERS[one % 20] for one in self._random(4 * _CODE) if one < 240]
            if len(letters) < _CODE:
                continue
            code = "".join(letters[:4]) + "-" + "".join(letters[4:_CODE])
            if code not in self._by_user:
                return code


class _Window:
    """How often each address did something in the last ten minutes. Its owner holds the lock."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._times: OrderedDict[str, deque[datetime]] = OrderedDict()

    def count(self, address: str, now: datetime) -> None:
        self.check(address, now)
        self._times.setdefault(address, deque()).append(now)
        self._times.move_to_end(address)
        while len(self._times) > _ROOM:
            self._times.popitem(last=False)

    def check(self, address: str, now: datetime) -> None:
        times = self._times.get(address, deque())
        while times and not timedelta(0) <= now - times[0] < LASTS:
            times.popleft()
        if len(times) >= self._most:
            raise InputError(
                "there were too many attempts from this address.",
                code="too_many_attempts",
                hint="wait ten minutes, then begin again",
            )


def normal(user_code: str) -> str:
    """A user code as it is held, out of what somebody typed.

    >>> normal(" wdjb mjht")
    'WDJB-MJHT'
    """
    letters = [one for one in user_code.upper()[:40] if one in _LETTERS]
    return "".join(letters[:4]) + "-" + "".join(letters[4:])


def _no_such_code() -> InputError:
    return InputError(
        "no sign-in waits under this code.",
        code="not_found",
        hint="it lasts ten minutes and is good once: begin again where you signed in",
    )


def _digest(code: str) -> bytes:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).digest()
