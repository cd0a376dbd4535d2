"""What has been begun and waits for its answer: by whom it is found, how often, for how long, and
how many of it there may be.
"""

from __future__ import annotations

from datetime import timedelta
from threading import Barrier, Thread

import pytest
from sqlalchemy import event, func, select

from bailee.accounts import OPERATOR
from bailee.accounts.pending import LASTS, Pending, PendingKind, PendingThing
from bailee.db.engine import reading
from bailee.db.pending import pending
from bailee.errors import InputError
from bailee.testing.tampering import tamper
from support.homes.town import Town

pytestmark = [pytest.mark.both_databases, pytest.mark.row("O1", "O6")]

STRANGERS = PendingKind("strange", 3, strangers=True)
KNOWN = PendingKind("known", 3)
OTHER = PendingKind("other", 3)


def begun(
    things: Pending, kind: PendingKind = KNOWN, asker: str = "a", said: str = "damson"
) -> str:
    """The secret of a thing that waits."""
    secret = things.secret()
    things.put(kind, secret, said, asker=asker)
    return secret


def content(taken: PendingThing | None) -> str | None:
    """What it says."""
    return None if taken is None else taken.content


def rows(town: Town) -> int:
    """How many there are, whoever may take them."""
    with reading(town.engine) as connection:
        return connection.execute(select(func.count()).select_from(pending)).scalar_one()


def test_a_thing_is_good_once_at_whichever_process(town: Town) -> None:
    """The next process takes what this one began; for what it was begun, and for nothing else."""
    things, later = town.registry.pending, town.reopened().pending
    secret = begun(things)
    assert later.take(OTHER, secret) is None
    assert "damson" == content(later.take(KNOWN, secret))
    assert [None, None] == [one.take(KNOWN, secret) for one in (things, later)]
    assert 0 == rows(town)


def test_of_two_processes_at_once_one_has_it(town: Town) -> None:
    """Each over a connection of its own, many times."""
    towns = [Town(town.folder) for _ in range(4)]
    secrets = [begun(town.registry.pending, asker=str(number)) for number in range(25)]
    barrier = Barrier(len(towns))
    taken: list[str] = []

    def take(at: Town) -> None:
        for secret in secrets:
            barrier.wait()
            if at.registry.pending.take(KNOWN, secret) is not None:
                taken.append(secret)

    threads = [Thread(target=take, args=(one,)) for one in towns]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in towns:
        one.engine.dispose()
    assert sorted(secrets) == sorted(taken)


@pytest.mark.parametrize(
    "moved", [LASTS, timedelta(hours=5), -timedelta(minutes=6), -timedelta(days=1)]
)
def test_it_is_good_for_its_time_however_the_clock_is_set(town: Town, moved: timedelta) -> None:
    """To the moment; and after the clock was set back not for longer: it is over, and is swept."""
    things = town.registry.pending
    secret = begun(things)
    town.fake.advance(moved)
    assert things.take(KNOWN, secret) is None
    assert 1 == rows(town)
    assert {"pending": 1} == things.sweep(town.clock())
    assert 0 == rows(town)


@pytest.mark.parametrize("moved", [LASTS - timedelta(seconds=1), -timedelta(minutes=4)])
def test_clocks_that_differ_a_little_keep_nobody_out(town: Town, moved: timedelta) -> None:
    """As those of two machines do."""
    secret = begun(town.registry.pending)
    town.fake.advance(moved)
    assert {"pending": 0} == town.registry.pending.sweep(town.clock())
    assert "damson" == content(town.registry.pending.take(KNOWN, secret))


def test_who_guesses_finds_nothing_and_writes_nothing(town: Town) -> None:
    """Secrets that are near, empty, long, or no text; what is right is good after all of it."""
    things = town.registry.pending
    secret = begun(things)
    asked: list[str] = []

    @event.listens_for(town.engine, "before_cursor_execute")
    def _asked(*said: object) -> None:
        asked.append(str(said[2]).split()[0])

    near = f"{secret[:-1]}{'0' if secret[-1] != '0' else '1'}"
    guesses = ("", near, secret.upper() + "0", f"{secret}\0", "0" * 64, "é", "\ud800", "0" * 10**6)
    assert [None] * len(guesses) == [things.take(KNOWN, one) for one in guesses]
    assert {"SELECT"} == {*asked}
    assert "damson" == content(things.take(KNOWN, secret))


def test_a_stranger_has_a_number_waiting_and_pushes_out_nobody(town: Town) -> None:
    """One more is refused, until one is over; who is known has the last of theirs."""
    things = town.registry.pending
    theirs = [begun(things, STRANGERS) for _ in range(3)]
    other = begun(things, STRANGERS, "b")
    with pytest.raises(InputError) as refused:
        begun(things, STRANGERS)
    assert "too_many_attempts" == refused.value.code
    assert things.take(STRANGERS, theirs[0]) is not None
    begun(things, STRANGERS)
    assert things.take(STRANGERS, other) is not None

    known = []
    for _ in range(4):
        known.append(begun(things))
        town.fake.advance(timedelta(seconds=1))
    assert [None, *["damson"] * 3] == [content(things.take(KNOWN, one)) for one in known]


def test_a_flood_takes_room_from_itself(town: Town) -> None:
    """Where all room is taken, a newcomer's is that of whoever has most, the oldest of it. Where
    nobody has more than the newcomer would, it is the newcomer who is refused. Another kind has
    room of its own.
    """
    things = Pending(town.registry._backing, room=5)
    town.fake.advance(timedelta(seconds=1))
    first = begun(things, STRANGERS, "few")
    flood = []
    for _ in range(3):
        town.fake.advance(timedelta(seconds=1))
        flood.append(begun(things, STRANGERS, "flood"))
    begun(things, STRANGERS, "c")
    begun(things, STRANGERS, "new")
    begun(things, STRANGERS, "newer")
    with pytest.raises(InputError, match="too many"):
        begun(things, STRANGERS, "newest")
    begun(things, OTHER)

    assert [None, None, "damson"] == [content(things.take(STRANGERS, one)) for one in flood]
    assert "damson" == content(things.take(STRANGERS, first))


def test_what_is_over_makes_room_before_any_sweep(town: Town) -> None:
    """A stranger who waited is let in again, and nothing of before is left."""
    things = town.registry.pending
    for _ in range(3):
        begun(things, STRANGERS)
    town.fake.advance(LASTS)
    begun(things, STRANGERS)
    assert 1 == rows(town)


@pytest.mark.row("R6")
def test_a_persons_go_with_them(town: Town) -> None:
    """They are listed as theirs, and gone when the person is; nothing is begun for who was erased,
    and another's stay.
    """
    things = town.registry.pending
    ada, bob = (town.person(f"{name}@x.example")[0].person_id for name in ("ada", "bob"))
    secrets = {}
    for person in (ada, bob):
        secrets[person] = things.secret()
        things.put(KNOWN, secrets[person], "damson", asker=person, person_id=person)
    (listed,) = things.of_person(ada)
    assert ("known", "", ada, town.clock() + LASTS) == (
        listed.kind, listed.content, listed.person_id, listed.until,
    )  # fmt: skip

    town.registry.people.forget(ada, by=OPERATOR)

    assert ([], 1) == (things.of_person(ada), rows(town))
    assert things.take(KNOWN, secrets[ada]) is None
    with pytest.raises(InputError, match="erased"):
        things.put(KNOWN, things.secret(), asker=ada, person_id=ada)
    assert "damson" == content(things.take(KNOWN, secrets[bob]))


@pytest.mark.sqlite_alone
@pytest.mark.row("R5")
def test_nothing_lies_in_the_clear(town: Town) -> None:
    """No secret, nothing of what a thing says, no address of who began it."""
    things = town.registry.pending
    secret = begun(things, asker="192.0.2.77", said="medlar's token")
    grant = town.registry.device_grants.begin(client="quince/7", address="192.0.2.77")
    stored = town.stored()
    said = (secret, "medlar", grant.device_code, grant.user_code, "quince", "192.0.2.77")
    assert [] == [one for one in said if one.encode() in stored]
    assert bytes.fromhex(secret) not in stored


@pytest.mark.sqlite_alone
@pytest.mark.row("R5", "G2")
@pytest.mark.parametrize(
    "change",
    [
        "until = '2999-01-01 00:00:00.000000'",
        "kind = 'other'",
        "person_id = (SELECT max(id) FROM persons)",
        "digest = x'00'",
        "content = zeroblob(40)",
    ],
)
def test_a_row_that_was_changed_on_the_disk_lets_nobody_in(town: Town, change: str) -> None:
    """Nor does one that somebody wrote there; and it goes with its time."""
    town.person("eve@x.example")
    things = town.registry.pending
    secret = begun(things)
    assert 1 == tamper(town.folder / "data.db", f"UPDATE pending SET {change}")
    assert things.take(KNOWN, secret) is None
    town.fake.advance(timedelta(days=400_000))
    assert {"pending": 1} == things.sweep(town.clock())
