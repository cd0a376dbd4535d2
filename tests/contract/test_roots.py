"""Every root key driver keeps the same promises: bound, destroyed for good, refused when away."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from bailee.db.engine import open_sqlite
from bailee.db.migrate import upgrade
from bailee.errors import BaileeError, IntegrityError, StorageError
from bailee.keyring import Keyring, Root, Want
from bailee.testing import FakeClock
from bailee.testing.store import Fault
from support.roots.places import BY_HTTP, DRIVERS, SECRET, RootPlace, RootPlaces

KEY, DATA = b"k" * 32, b"bailee/kek/1 of a test"


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RootPlaces]:
    """Where roots may be; the services run as long as this file's tests."""
    before = dict(os.environ)
    made = RootPlaces(tmp_path_factory.mktemp("roots"))
    yield made
    made.close()
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(params=DRIVERS)
def place(request: pytest.FixtureRequest, places: RootPlaces) -> RootPlace:
    """A new place of each driver."""
    return places.make(request.param)


@pytest.fixture(params=BY_HTTP)
def service(request: pytest.FixtureRequest, places: RootPlaces) -> RootPlace:
    """A new place of each driver that is reached by HTTP."""
    return places.make(request.param)


def code(root: Root, generation: int, wrapped: bytes, data: bytes = DATA) -> str:
    """The code of the error with which it does not open; nothing if it does."""
    try:
        root.unwrap(generation, wrapped, data)
    except BaileeError as error:
        assert error.hint
        assert SECRET not in f"{error.message} {error.hint}"
        return error.code
    return ""


def test_a_wrap_opens_where_it_belongs(place: RootPlace) -> None:
    """Many at once; with other data, a changed byte or in another's place it does not
    authenticate, and those beside it open. The next process opens them too.
    """
    root = place.open(may_make=True)
    (first,) = root.generations()
    some = [(bytes([n % 256]) * 32, f"data {n}".encode()) for n in range(9)]
    wraps = root.wrap_all(first, some)
    bound = [(wrap, data) for wrap, (_, data) in zip(wraps, some, strict=True)]
    changed = bytearray(wraps[3])
    changed[-1] ^= 1
    bound[1] = (wraps[1], b"other data")
    bound[3] = (bytes(changed), some[3][1])
    bound[5] = (wraps[6], some[5][1])
    for opened in (root, place.open()):
        found = opened.unwrap_all(first, bound)
        for number, one in enumerate(found):
            if number in (1, 3, 5):
                assert isinstance(one, IntegrityError)
                assert "tampered" == one.code
            else:
                assert some[number][0] == one
    assert not any(key in wrap for (key, _), wrap in zip(some, wraps, strict=True))


def test_more_than_a_service_takes_at_once(places: RootPlaces) -> None:
    """OpenBao refuses 400 keys in one request; they are asked for in parts."""
    root = places.make("transit").open()
    some = [(os.urandom(32), str(n).encode()) for n in range(450)]
    wraps = root.wrap_all(1, some)
    again = root.unwrap_all(1, [(wrap, data) for wrap, (_, data) in zip(wraps, some, strict=True)])
    assert [key for key, _ in some] == again
    assert {60} == {len(wrap) for wrap in wraps}


@pytest.mark.row("R5")
def test_destroyed_means_destroyed(place: RootPlace) -> None:
    """What was wrapped under a generation that is destroyed opens no more, here or in the next
    process; what is under the new one opens, and the next numbers go on.
    """
    root = place.open(may_make=True)
    (first,) = root.generations()
    old = root.wrap(first, KEY, DATA)
    assert first + 1 == root.add()
    new = root.wrap(first + 1, KEY, DATA)
    assert (first, first + 1) == root.generations() == place.open().generations()
    assert KEY == root.unwrap(first, old, DATA)
    root.destroy(first)
    root.destroy(first)
    for opened in (root, place.open()):
        assert (first + 1,) == opened.generations()
        assert "key_destroyed" == code(opened, first, old)
        assert KEY == opened.unwrap(first + 1, new, DATA)
        if "aws" not in place.where:  # moto says that access was denied
            assert "tampered" == code(opened, first + 1, old)
    assert first + 2 == root.add()
    root.destroy(first + 1)
    assert (first + 2,) == place.open().generations()


@pytest.mark.row("R5")
def test_the_last_one_can_be_destroyed_too(place: RootPlace) -> None:
    """As when a home has moved away: nothing opens what was wrapped there."""
    root = place.open(may_make=True)
    (first,) = root.generations()
    old = root.wrap(first, KEY, DATA)
    root.destroy(first)
    assert "key_destroyed" == code(place.open(moving=True), first, old)


@pytest.mark.parametrize("driver", ["file", "environment", "pkcs11", "aws-kms"])
def test_none_is_made_where_one_has_been(places: RootPlaces, driver: str) -> None:
    """An empty place is refused when keys are under a root: it is another place, or lost."""
    with pytest.raises(IntegrityError):
        places.make(driver).open()


@pytest.mark.row("R5")
def test_aws_and_google_are_asked_for_the_end(places: RootPlaces) -> None:
    """AWS is told to delete after 7 days, Google says by itself when: both are the lag that is
    stated. (moto opens with a key that is to be deleted, which AWS does not: so it is its calls
    that are looked at.)
    """
    google = places.make("google-kms")
    root = google.open()
    root.add()
    root.destroy(1)
    assert ["DESTROY_SCHEDULED", "ENABLED"] == [google.look()[number].state for number in (1, 2)]
    assert timedelta(days=1) == root.lag

    from botocore.session import Session

    aws = places.make("aws-kms")
    root = aws.open(may_make=True)
    root.add()
    root.destroy(1)
    client = Session().create_client(
        "kms", region_name="eu-central-1", endpoint_url=aws.environment["BAILEE_KEYRING_URL"]
    )
    name = f"alias/{aws.where.partition(':')[2]}-1"
    found = client.describe_key(KeyId=name)["KeyMetadata"]
    assert "PendingDeletion" == found["KeyState"]
    assert timedelta(days=7) == root.lag


@pytest.mark.row("R5")
def test_transit_cannot_lower_what_was_raised(places: RootPlaces) -> None:
    """Whoever may administer OpenBao can't bring a trimmed version back."""
    place = places.make("transit")
    root = place.open()
    root.add()
    root.destroy(1)
    assert b'"min_available_version":2' in place.look()
    assert b'"1":' not in place.look()


def test_away_is_refused_and_waits(service: RootPlace) -> None:
    """A service that is not there: a clear refusal, with a hint, and nothing that says a key is
    damaged or destroyed. It is left alone for a while, and works again when it is back.
    """
    assert service.relay is not None
    root = service.open(may_make=True)
    (first,) = root.generations()
    wrapped = root.wrap(first, KEY, DATA)
    service.relay.fail(Fault.NOT_PERSISTED)
    assert "root_unreachable" == code(root, first, wrapped)
    asked = service.relay.asked
    for _ in range(5):
        assert "root_unreachable" == code(root, first, wrapped)
    for call in (lambda: root.wrap(first, KEY, DATA), root.add, lambda: root.destroy(first)):
        with pytest.raises(StorageError):
            call()
    assert asked == service.relay.asked
    assert (first,) == root.generations()
    service.relay.heal()
    assert KEY == service.open().unwrap(first, wrapped, DATA)


def test_one_that_hangs_is_not_waited_for_long(places: RootPlaces) -> None:
    """The first who asks waits for some seconds, and the next not at all."""
    place = places.make("transit")
    assert place.relay is not None
    root = place.open()
    wrapped = root.wrap(1, KEY, DATA)
    place.relay.hangs = True
    assert ["root_unreachable"] * 3 == [code(root, 1, wrapped) for _ in range(3)]


@pytest.mark.parametrize("driver", ["transit", "google-kms"])
def test_a_key_that_is_gone_is_no_damage(places: RootPlaces, driver: str) -> None:
    """Not found: that is the service's word for it, and may be wrong: nobody concludes anything."""
    place = places.make(driver)
    other = places.make(driver)
    root = place.open()
    wrapped = root.wrap(1, KEY, DATA)
    assert place.relay is not None
    place.where = place.where.replace(place.file.parent.name, "nothing-here")
    with pytest.raises(StorageError) as caught:
        place.open(may_make=True)
    assert "root_unreachable" == caught.value.code
    assert "tampered" == code(other.open(), 1, wrapped)


PINS = """
import sys
from bailee.errors import StorageError
from bailee.keyring.roots.pkcs11 import Pkcs11Root

uri, pin = sys.argv[1:]
given, now = [], [0.0]

def give():
    given.append(pin if not given else "wrong")
    return given[-1]

root = Pkcs11Root(uri, give, may_make=True, ticking=lambda: now[0])
wrapped = root.wrap(1, bytes(32), b"data")
root._session.close()
for _ in range(4):
    now[0] += 100
    try:
        root.unwrap(1, wrapped, b"data")
    except StorageError as error:
        print(error.code)
print(len(given))
"""


def test_a_pin_is_tried_once(places: RootPlaces) -> None:
    """A token locks itself after a few wrong PINs: one that was refused is not tried again."""
    place = places.make("pkcs11")
    ran = subprocess.run(  # in a process that is not logged in yet
        [sys.executable, "-c", PINS, place.where, SECRET],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert ["root_unreachable"] * 4 + ["2"] == ran.stdout.split()


class Ring:
    """A keyring under a root, opened again and again."""

    def __init__(self, folder: Path, place: RootPlace) -> None:
        self._folder, self._place = folder, place
        self.clock = FakeClock()
        self._engines: list[Engine] = []
        self.subjects: dict[str, bytes] = {}

    def open(self, root: Root | None = None) -> Keyring:
        """The keyring as a process that starts opens it."""
        engine = open_sqlite(self._folder / "keyring.db")
        upgrade(engine, "keys")
        self._engines.append(engine)
        return Keyring.open(engine, root or self._place.open(), self.clock)

    def fill(self, ring: Keyring) -> None:
        """Some keys, one of which is destroyed."""
        until = self.clock() + timedelta(days=30)
        wants = [Want(f"s{n}", "transcript", until + timedelta(hours=n)) for n in range(3)]
        self.subjects = {name: dek.key for name, dek in ring.many(wants).items()}
        ring.dek("gone", "transcript", until)
        ring.destroy(["gone"])
        ring.secret("digests")

    def close(self) -> None:
        """Close what was opened."""
        for engine in self._engines:
            engine.dispose()


@pytest.mark.row("R5")
@pytest.mark.parametrize("fault", Fault)
def test_aws_is_asked_again_where_an_answer_was_lost(places: RootPlaces, fault: Fault) -> None:
    """Whichever request of making and destroying a generation fails, before or after it was done:
    asked again, there is a new generation, the old ones are gone, and numbers only grow.
    """
    place = places.make("aws-kms")
    assert place.relay is not None
    place.open(may_make=True)
    for broken in range(0, 8, 2):
        root = place.open()
        before = root.generations()[-1]
        place.relay.fail(fault, after=broken, times=2)  # the library tries twice
        with suppress(StorageError):
            root.destroy(root.add() - 1)
        place.relay.heal()
        root = place.open()
        newest = root.generations()[-1]
        newest = newest if newest > before else root.add()
        root.destroy(newest - 1)
        assert (newest,) == place.open().generations()


@pytest.mark.row("R5")
@pytest.mark.parametrize(
    ("driver", "fault", "step"),
    [*(("transit", one, 1) for one in Fault), ("google-kms", Fault.PERSISTED, 4)],
)
def test_broken_off_at_every_request(
    places: RootPlaces, tmp_path: Path, driver: str, fault: Fault, step: int
) -> None:
    """A rotation whose service fails at any one of its requests (or each fourth), before or after
    it was done, goes on with the next; nothing is lost, and one generation is left.
    """
    service = places.make(driver)
    assert service.relay is not None
    ring = Ring(tmp_path, service)
    opened = ring.open(service.open(may_make=True))
    ring.fill(opened)
    broken = 0
    while True:
        root = service.open()
        opened = ring.open(root)
        opened.dek("once more", "transcript", ring.clock() + timedelta(days=30))
        opened.destroy(["once more"])
        service.relay.fail(fault, after=broken, times=1)
        try:
            opened.rotate_root()
        except StorageError as error:
            assert "root_unreachable" == error.code
        failed, broken = service.relay.failed, broken + step
        service.relay.heal()
        after = ring.open()
        after.rotate_root()
        assert ring.subjects == {name: after.get(name).key for name in ring.subjects}
        assert [] == after.damaged()
        assert 1 == len(service.open().generations())
        if not failed:
            break
    assert broken > 5
    ring.close()
