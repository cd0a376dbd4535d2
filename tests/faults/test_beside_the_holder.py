"""Two processes on one home's databases: one has the home and decides, one asks who may what."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import text

from bailee.accounts import OPERATOR
from bailee.db.change_log import CHANNEL
from support.clients import processes
from support.clients.asking import perform
from support.clients.programs import clean_environment
from support.documents import LONGER, edited
from support.homes import databases
from support.homes.there import There
from support.servers import postgres
from support.servers.way import Way

pytestmark = pytest.mark.row("O6", "R5", "T2")

LONG = 60.0
NEVER = 3600.0
SOON = 0.1
_PROGRAM = Path(__file__).with_name("reader_process.py")
UNCONFIRMED = "refused outdated"


class Reader:
    """The process beside. As a context."""

    def __init__(
        self, home: There, every: float, bound: float, names: Mapping[str, str] | None = None
    ) -> None:
        self._process = processes.start(
            *(str(home.folder), str(every), str(bound)),
            env=clean_environment(home.folder, **{**home.names, **(names or {})}),
            program=_PROGRAM,
            given=True,
            stderr=2,  # as of this process
        )

    def __enter__(self) -> Reader:
        if (found := self._said()) != "follows":
            self.__exit__()
            raise AssertionError(f"it did not begin: {found}")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def _said(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def ask(self, line: str) -> str:
        """What it says of a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self._said()

    def send(self, number: signal.Signals) -> None:
        """Stop it, or let it go on."""
        self._process.send_signal(number)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[There]:
    """One that this process has."""
    with ExitStack() as closing:
        made = There(tmp_path / "home", databases.new("data"), databases.new("keys"))
        closing.callback(made.close)
        yield made


def becomes(asked: Callable[[], object], wanted: object) -> None:
    """Wait until it is so."""
    until = time.monotonic() + LONG
    while (found := asked()) != wanted:
        assert time.monotonic() < until, f"it never was: {found}"
        time.sleep(0.02)


def everything_is_known(home: There, reader: Reader) -> None:
    """A key made, a choice, another document, somebody removed from an organisation, a key revoked:
    decided here, and known there.
    """
    registry = home.node.registry
    _, secret = home.node.accounts.create_key(home.account, "k", by=OPERATOR)

    def asks(given: str = secret) -> str:
        return reader.ask(f"key {given}")

    becomes(asks, f"{home.account} none")
    home.choose("allowed")
    becomes(asks, f"{home.account} allowed")

    perform(home.node, "policy.activate", {"document": edited(*LONGER), "reason": "an orchard"})
    becomes(lambda: reader.ask("policy"), home.node.holding.policy.sha256)

    acme, account = registry.organisations.create("Acme", plan="team", by=OPERATOR)
    bob, _ = registry.people.create("bob@x.example", plan=None, by=OPERATOR)
    for person, role in ((registry.people.create("eve@x.example", plan=None, by=OPERATOR)[0],
                          "owner"), (bob, "member")):  # fmt: skip
        registry.organisations.add(acme.organisation_id, person.person_id, role, by=OPERATOR)
    by = registry.authority.by_person(bob.person_id)
    _, bobs = registry.people.create_key(account, "bob's", by=by)
    becomes(lambda: asks(bobs), f"{account.account_id} none")
    registry.organisations.remove(acme.organisation_id, bob.person_id, by=OPERATOR)
    becomes(lambda: asks(bobs), "nobody")

    for key, _ in home.node.accounts.api_keys():
        home.node.accounts.revoke(key.key_id)
    becomes(asks, "nobody")


def test_by_a_notice_it_is_known_at_once(home: There) -> None:
    """It would look by itself in an hour."""
    with Reader(home, NEVER, NEVER) as reader:
        everything_is_known(home, reader)


def test_without_notices_it_is_known_when_it_looks(home: There) -> None:
    """None is sent: whatever is in between passes none on."""
    with home.node.data.begin() as connection:
        query = text("SELECT prosrc FROM pg_proc WHERE proname = 'bailee_changed'")
        body = connection.execute(query).scalar_one()
        quiet = body.replace(f"PERFORM pg_notify('{CHANNEL}', ''); ", "")
        assert quiet != body
        connection.exec_driver_sql(
            "CREATE OR REPLACE FUNCTION bailee_changed() RETURNS trigger LANGUAGE plpgsql "
            f"AS $made${quiet}$made$"
        )
    with Reader(home, SOON, NEVER) as reader:
        everything_is_known(home, reader)


def test_cut_off_it_goes_by_nothing(home: There) -> None:
    """A network that swallows everything lies between it and the database. Once the bound has
    passed it refuses, whatever its own clock says, so that a key that was revoked meanwhile is good
    nowhere; and it goes on by itself when the network is back.
    """
    account, key, secret = home.node.accounts.create(plan="api", name="ci")
    *_, other = home.node.accounts.create(plan="api", name="other")
    with Way(postgres.shared().port) as way:
        database = home.names["BAILEE_DATABASE_URL"].rpartition("/")[2]
        names = {"BAILEE_DATABASE_URL": f"postgresql://bailee@127.0.0.1:{way.port}/{database}"}
        with Reader(home, SOON, 2.0, names) as reader:
            becomes(lambda: reader.ask(f"key {secret}"), f"{account.account_id} none")
            for days in (366, -732):
                reader.ask(f"step {days}")
                becomes(lambda: reader.ask(f"key {secret}"), f"{account.account_id} none")
            way.cut()
            home.node.accounts.revoke(key.key_id)
            becomes(lambda: reader.ask(f"key {secret}"), UNCONFIRMED)
            reader.ask("step -366")
            assert UNCONFIRMED == reader.ask("policy")
            assert UNCONFIRMED == reader.ask(f"key {other}")
            way.heal()
            becomes(lambda: reader.ask(f"key {secret}"), "nobody")
            assert reader.ask(f"key {other}").endswith(" none")


def test_stopped_and_woken_it_does_not_go_by_what_it_knew(home: There) -> None:
    """It stood still while a key was revoked: its first answer is that it must ask."""
    _, key, secret = home.node.accounts.create(plan="api", name="ci")
    with Way(postgres.shared().port) as way:
        database = home.names["BAILEE_DATABASE_URL"].rpartition("/")[2]
        names = {"BAILEE_DATABASE_URL": f"postgresql://bailee@127.0.0.1:{way.port}/{database}"}
        with Reader(home, SOON, 1.0, names) as reader:
            becomes(lambda: reader.ask(f"key {secret}") not in ("nobody", UNCONFIRMED), True)
            reader.send(signal.SIGSTOP)
            way.cut()  # so that nothing can be confirmed as it wakes
            home.node.accounts.revoke(key.key_id)
            time.sleep(1.0)  # the bound, by a clock that goes on
            reader.send(signal.SIGCONT)
            assert UNCONFIRMED == reader.ask(f"key {secret}")
            way.heal()
            becomes(lambda: reader.ask(f"key {secret}"), "nobody")
