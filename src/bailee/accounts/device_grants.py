"""Sign-ins that a client has begun and a person has not confirmed yet: the device grant (RFC 8628).

The client gets a device code, which it polls with, and shows a user code, which the person confirms
in a browser. What was confirmed is handed to the client once.

Rules kept here:

* A grant lasts ten minutes and is good once; it is confirmed or denied once. It is a row
  (`pending`), so any process goes on with it.
* A device code is 256 random bits and a mark by which it is seen to have been made here, before
  anything is looked up. A user code is eight letters out of twenty, none a vowel, so that it is no
  word; who tries codes is stopped after ten, by address.
* Who polls writes nothing, until there is an answer to be taken.
* Who polls sooner than the interval is told to slow down, and has to wait five seconds more; who
  does not hear is answered without a look. When each polled last is known to this process alone:
  it is about what this process has to do.
* How many wait from one address is bounded, and so is what waits in all.
* What a client says of itself opens with the user code. What was confirmed lies under the person's
  key, and goes with them.
"""

from __future__ import annotations

import hmac
import json
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from sqlalchemy import update

from bailee.accounts.attempts import network
from bailee.accounts.backing import Backing
from bailee.accounts.pending import (
    LASTS,
    ROOM,
    Pending,
    PendingKind,
    require_living,
)
from bailee.accounts.sign_ins import ConfirmedSignIn
from bailee.accounts.ways_in import OpenIdProvider
from bailee.db.engine import DbRow, reading, storage_errors
from bailee.db.pending import pending
from bailee.errors import InputError, IntegrityError
from bailee.json_values import members, text

INTERVAL: Final = 5
BEGUN_BY_ADDRESS: Final = 30
LOOKED_BY_ADDRESS: Final = 10
_EARLY: Final = timedelta(seconds=1)  # a timer that runs fast is no impatience
_DEAF: Final = 3 * INTERVAL  # who was told twice
_GRANT: Final = PendingKind("device", BEGUN_BY_ADDRESS, LASTS, strangers=True)
_WRONG: Final = PendingKind("wrong code", LOOKED_BY_ADDRESS, LASTS, strangers=True)
_WHAT: Final = "the sign-ins of clients"
_SEALED: Final = "confirmed sign-in"
_NO: Final = b""
_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
_CODE: Final = 8
_MARK: Final = 32  # hexadecimal digits
_LONGEST_CLIENT: Final = 200


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


class DeviceGrants:
    """The grants that wait. `PeopleRegistry` owns one; the protocol begins and polls, the console
    looks, confirms and denies, on any thread that may wait for the database. It owns the rows of
    its two kinds, and in memory who polled when. It makes no token.
    """

    def __init__(self, backing: Backing, things: Pending) -> None:
        self._engine = backing.engine
        self._clock = backing.clock
        self._identifiers = backing.identifiers
        self._random = backing.random
        self._things = things
        self._patience = _Patience()

    def begin(self, *, client: str, address: str) -> BegunGrant:
        """Begin one.

        Raises:
            InputError: `too_many_attempts`.
        """
        secret = self._random(32).hex()
        device = secret + self._mark(secret)
        code = self._new_code()
        said = json.dumps({"client": client[:_LONGEST_CLIENT], "address": address})
        row = {
            "digest": self._things.digest(_GRANT, device),
            "code": self._things.digest(_GRANT, code),
            "content": self._things.sealed(_GRANT, code, said),
        }
        with storage_errors(_WHAT), self._engine.begin() as connection:
            self._things.insert(connection, _GRANT, row, asker=network(address))
        return BegunGrant(device, code, int(LASTS.total_seconds()))

    def look(self, user_code: str, *, address: str) -> WaitingGrant:
        """The grant that waits under a user code, as somebody typed it.

        Raises:
            InputError: `not_found`; `too_many_attempts`, of addresses that tried others.
        """
        self._things.refuse_more(_WRONG, asker=network(address))
        code = normal(user_code)
        row = self._open(code)
        said = None if row is None else self._things.opened(_GRANT, code, row.content)
        if row is None or said is None:
            self._things.put(_WRONG, self._things.secret(), asker=network(address))
            raise _no_such_code()
        read = members(json.loads(said))
        return WaitingGrant(code, text(read["client"]), text(read["address"]), row.begun_at)

    def approve(self, user_code: str, confirmed: ConfirmedSignIn) -> None:
        """Confirm it; the client gets this when it next polls.

        Raises:
            InputError: `not_found`, it is over, or was confirmed or denied already.
        """
        person_id = confirmed.person_id
        with storage_errors(_WHAT), reading(self._engine) as connection:
            require_living(connection, person_id)  # or they would have a key again
        self._answer(
            user_code, person_id, self._identifiers.seal(person_id, _SEALED, _packed(confirmed))
        )

    def deny(self, user_code: str) -> None:
        """Deny it.

        Raises:
            InputError: as `approve`.
        """
        self._answer(user_code, None, _NO)

    def is_genuine(self, device_code: str) -> bool:
        """Whether it was made here, as far as it says itself. It looks nothing up."""
        secret, mark = device_code[:-_MARK], device_code[-_MARK:]
        if not device_code.isascii() or len(secret) != 64:
            return False
        return hmac.compare_digest(self._mark(secret), mark)

    def poll(self, device_code: str) -> ConfirmedSignIn | Poll:
        """What was confirmed, this once; or why there is nothing."""
        digest = self._things.digest(_GRANT, device_code)
        if digest is None or not self.is_genuine(device_code):
            return Poll.EXPIRED
        if self._patience.is_deaf(digest, self._clock()):
            return Poll.SLOW_DOWN
        row = self._things.find(pending.c.digest == digest)
        if row is None:
            return Poll.EXPIRED
        if row.answer is None:
            return self._patience.polled(digest, self._clock())
        self._patience.forget(digest)
        if not self._things.drop(row):
            return Poll.EXPIRED
        if row.answer == _NO:
            return Poll.DENIED
        try:
            opened = self._identifiers.open(row.person_id, _SEALED, row.answer)
        except IntegrityError:  # they are gone
            return Poll.DENIED
        return _unpacked(row.person_id, opened)

    # -- inside ----------------------------------------------------------------------------------

    def _open(self, code: str) -> DbRow | None:
        digest = self._things.digest(_GRANT, code)
        return self._things.find((pending.c.code == digest) & pending.c.answer.is_(None))

    def _answer(self, user_code: str, person_id: str | None, answer: bytes) -> None:
        waits = pending.c.code == self._things.digest(_GRANT, normal(user_code))
        waits &= pending.c.answer.is_(None)
        with storage_errors(_WHAT), self._engine.begin() as connection:
            if person_id is not None:
                require_living(connection, person_id)
            row = self._things.found(connection, waits)
            if row is None:
                raise _no_such_code()
            connection.execute(
                update(pending)
                .where(pending.c.digest == row.digest)
                .values(person_id=person_id, answer=answer)
            )

    def _mark(self, secret: str) -> str:
        return self._identifiers.index("device code", secret).hex()[:_MARK]

    def _new_code(self) -> str:
        while True:
            # 256 is no multiple of twenty: bytes that would favour some letters are left out.
            letters = [_LETTERS[one % 20] for one in self._random(4 * _CODE) if one < 240]
            if len(letters) >= _CODE:
                return "".join(letters[:4]) + "-" + "".join(letters[4:_CODE])


class _Patience:
    """When each client polled last, and how long it has to wait between: in memory, of a bounded
    number, from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # whenever `_polls` is read or changed
        self._polls: OrderedDict[bytes, tuple[datetime, int]] = OrderedDict()

    def polled(self, digest: bytes, now: datetime) -> Poll:
        """Count a poll: what it is answered while nothing else is to be said."""
        with self._lock:
            early = self._is_early(digest, now)
            _, interval = self._polls.get(digest, (now, INTERVAL))
            self._polls[digest] = (now, interval + INTERVAL if early else interval)
            self._polls.move_to_end(digest)
            if len(self._polls) > ROOM:
                self._polls.popitem(last=False)
        return Poll.SLOW_DOWN if early else Poll.PENDING

    def is_deaf(self, digest: bytes, now: datetime) -> bool:
        """Whether a client that was told twice polls too soon again: no look is due to it."""
        with self._lock:
            _, interval = self._polls.get(digest, (now, INTERVAL))
            return interval >= _DEAF and self._is_early(digest, now)

    def forget(self, digest: bytes) -> None:
        """It is over."""
        with self._lock:
            self._polls.pop(digest, None)

    def _is_early(self, digest: bytes, now: datetime) -> bool:
        last, interval = self._polls.get(digest, (None, INTERVAL))
        if last is None:
            return False
        return timedelta(0) <= now - last < timedelta(seconds=interval) - _EARLY


def normal(user_code: str) -> str:
    """A user code as it is held, out of what somebody typed.

    >>> normal(" wdjb mjht")
    'WDJB-MJHT'
    """
    letters = [one for one in user_code.upper()[:40] if one in _LETTERS]
    return "".join(letters[:4]) + "-" + "".join(letters[4:])


def _packed(confirmed: ConfirmedSignIn) -> str:
    provider = confirmed.provider
    said = {"account": confirmed.account_id, "token": confirmed.token}
    return json.dumps({**said, "provider": None if provider is None else provider.as_json()})


def _unpacked(person_id: str, packed: str) -> ConfirmedSignIn:
    said = members(json.loads(packed))
    provider, token = said["provider"], said["token"]
    return ConfirmedSignIn(
        person_id,
        text(said["account"]),
        None if provider is None else OpenIdProvider.of_json(members(provider)),
        None if token is None else text(token),
    )


def _no_such_code() -> InputError:
    return InputError(
        "no sign-in waits under this code.",
        code="not_found",
        hint="it lasts ten minutes and is good once: begin again where you signed in",
    )
