"""A home's accounts and policy beside the process that has it, on PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from bailee.accounts import OPERATOR
from bailee.accounts.client_tokens import access_token
from bailee.app.access import GatewayPolicyAccess
from bailee.db.accounts import accounts
from bailee.db.checks import accept
from bailee.db.migrate import newest
from bailee.db.versions import BOUND
from bailee.errors import BaileeError, InputError, IntegrityError, StorageError
from bailee.gateway.access import NothingKept
from bailee.home import Home
from bailee.node.reader import HomeReader
from bailee.testing.clock import FakeClock, FakeMachine, FakeTicks
from support.clients.asking import perform
from support.documents import LONGER, edited
from support.homes import databases
from support.homes.places import Place
from support.homes.there import There
from support.own_documents import OF_THEIR_OWN
from support.servers import postgres

pytestmark = pytest.mark.row("O6", "T2")

LONG = 60.0
SOON = 0.05
WHY = "an orchard"


class Beside:
    """A home that is open here, and readers of it."""

    def __init__(self, folder: Path, closing: ExitStack) -> None:
        self._closing = closing
        self.home = There(folder, databases.new("data"), databases.new("keys"))
        closing.callback(self.home.close)
        self.ticks = FakeTicks()
        made = self.ask("organisation.create", name="Acme", plan="team")
        self.organisation, self.account = made["organisation"], made["account"]
        self.people = {}
        self.keys = {}
        for role in ("owner", "member"):
            person = self.ask("person.create", email=f"{role}@x.example", plan="pro")
            self.people[role], self.keys[role] = person["person"], person["key"]
            self.ask(
                "organisation.member",
                organisation=self.organisation,
                person=person["person"],
                role=role,
            )
        self.keys["work"] = self.ask(
            "key.create", name="laptop", organisation=self.organisation, key=self.keys["member"]
        )["key"]

    def ask(self, operation: str, **values: object) -> Any:
        """Ask the home something, as the operator or with a key."""
        return perform(self.home.node, operation, values)

    def reader(self, every: float = SOON, **given: Any) -> HomeReader:
        """One more, in this process."""
        made = HomeReader(
            Home(self.home.folder),
            environment=self.home.names,
            every=every,
            ticks=self.ticks,
            **{"clock": self.home.clock, **given},
        )
        self._closing.callback(made.close)
        return made

    def shut(self) -> None:
        """Have the data database end all who are in it, and let in nobody."""
        data = self.home.names["BAILEE_DATABASE_URL"].rpartition("/")[2]
        those = f"FROM pg_stat_activity WHERE datname = '{data}'"
        postgres.shared().do(
            f"ALTER DATABASE {data} ALLOW_CONNECTIONS false",
            f"SELECT pg_terminate_backend(pid, 10000) {those}",
        )

    def let_in(self) -> None:
        """Have it let in who comes."""
        data = self.home.names["BAILEE_DATABASE_URL"].rpartition("/")[2]
        postgres.shared().do(f"ALTER DATABASE {data} ALLOW_CONNECTIONS true")

    def do(self, statement: str, of: str = "BAILEE_DATABASE_URL") -> None:
        """Do something to a database, as its administrator."""
        postgres.shared().do(statement, at=self.home.names[of].rpartition("/")[2])


@pytest.fixture
def beside(tmp_path: Path) -> Iterator[Beside]:
    """A home with an organisation."""
    with ExitStack() as closing:
        yield Beside(tmp_path / "home", closing)


def becomes(asked: Callable[[], bool]) -> None:
    """Wait until it is so."""
    until = time.monotonic() + LONG
    while not asked():
        assert time.monotonic() < until, "it never was"
        time.sleep(0.01)


def is_good(reader: HomeReader, secret: str) -> bool:
    """Whether a key is taken."""
    return reader.accounts.authenticate(secret.encode()) is not None


def test_what_is_decided_is_followed(beside: Beside) -> None:
    """A key that is made and revoked, a choice, a member who goes, a document of the operator's and
    of an organisation's own: each as the home that decides it has it.
    """
    reader, node = beside.reader(), beside.home.node
    assert all(is_good(reader, secret) for secret in beside.keys.values())
    made = beside.ask("key.create", name="ci", organisation=beside.organisation)
    becomes(lambda: is_good(reader, made["key"]))
    beside.ask("key.revoke", key_id=made["key_id"])
    becomes(lambda: not is_good(reader, made["key"]))

    beside.home.choose("allowed")
    becomes(lambda: reader.accounts.get(beside.home.account).training_choice == "allowed")
    assert node.accounts.get(beside.home.account) == reader.accounts.get(beside.home.account)

    before = reader.holding.now
    beside.ask("policy.activate", document=edited(*LONGER), reason=WHY)
    becomes(lambda: reader.holding.now is not before)
    assert node.holding.now.since == reader.holding.now.since
    assert node.holding.policy.sha256 == reader.holding.policy.sha256

    beside.ask(
        "organisation.policy_set",
        organisation=beside.organisation,
        document=OF_THEIR_OWN,
        reason=WHY,
        key=beside.keys["owner"],
    )
    becomes(lambda: reader.holding.of(beside.organisation).policy.own is not None)
    assert node.holding.own(beside.organisation) == reader.holding.own(beside.organisation)
    assert reader.holding.of(None) is reader.holding.now

    node.registry.organisations.remove(beside.organisation, beside.people["member"], by=OPERATOR)
    becomes(lambda: not is_good(reader, beside.keys["work"]))
    assert is_good(reader, beside.keys["owner"])
    beside.ask("person.erase", id=beside.people["owner"])
    becomes(lambda: not is_good(reader, beside.keys["owner"]))
    becomes(lambda: {*node.accounts.every()} == {*reader.accounts.every()})


@pytest.mark.row("R5")
def test_keys_of_sessions_and_of_a_run_are_followed(beside: Beside) -> None:
    """Known where they were not made; and over as soon as the session, the run, the membership or
    the person is. What another session has stays.
    """
    reader, node = beside.reader(), beside.home.node
    accounts = node.accounts
    made = [
        accounts.key_for_cloud_session(beside.account, name, zero_retention=zero, by=by)
        for name, zero, by in (
            ("cs-1", True, beside.people["owner"]),
            ("cs-2", False, beside.people["member"]),
            ("cs-3", False, beside.people["owner"]),
            ("cs-4", False, "operator"),
        )
    ]
    run, of_run = accounts.key_for_this_run(beside.home.account)
    secrets = [*(secret for _, secret in made), of_run]
    becomes(lambda: all(is_good(reader, secret) for secret in secrets))
    assert accounts.api_key(made[0][0]) == reader.accounts.api_key(made[0][0])
    assert reader.accounts.api_key(run).expires_at is not None
    assert accounts.authenticate(secrets[1].encode(), sending=True) is None
    assert reader.accounts.authenticate(secrets[1].encode(), sending=True) is None

    left = [*secrets]
    for over in (
        lambda: accounts.ephemeral.end_of_session("cs-1"),
        lambda: node.registry.organisations.remove(
            beside.organisation, beside.people["member"], by=OPERATOR
        ),
        lambda: beside.ask("person.erase", id=beside.people["owner"]),
    ):
        over()
        gone = left.pop(0)
        becomes(lambda: not is_good(reader, gone))  # noqa: B023
        assert all(is_good(reader, secret) for secret in left)
    accounts.ephemeral.end_of_run()
    becomes(lambda: not is_good(reader, of_run))
    later = beside.reader()
    assert [False] * 3 + [True, False] == [is_good(later, secret) for secret in secrets]


def test_the_gateway_decides_by_what_is_followed(beside: Beside) -> None:
    """The same terms, and another's from the next request on."""
    reader = beside.reader()
    here = GatewayPolicyAccess(beside.home.node.accounts, beside.home.node.holding)
    there = GatewayPolicyAccess(reader.accounts, reader.holding)
    ask = beside.keys["work"].encode()

    def terms(access: GatewayPolicyAccess) -> object:
        caller = access.authenticate(ask)
        assert caller is not None
        found = caller.terms("api")
        return found.clause if isinstance(found, NothingKept) else found

    first = terms(there)
    assert terms(here) == first
    beside.ask("policy.activate", document=edited(*LONGER), reason=WHY)
    becomes(lambda: terms(there) != first)
    assert terms(here) == terms(there)
    reader.follower.close()
    beside.ticks.seconds += BOUND
    with pytest.raises(StorageError) as refused:
        there.authenticate(ask)
    assert "outdated" == refused.value.code


def test_nobody_goes_by_what_is_too_old(beside: Beside) -> None:
    """While the database is away everything that is asked is refused once the bound has passed;
    when it is back, it goes on, with what was decided meanwhile.
    """
    reader = beside.reader()
    secret = beside.keys["work"]
    assert is_good(reader, secret)
    beside.shut()
    becomes(lambda: reader.follower.failure is not None)
    beside.ticks.seconds += BOUND - 1
    assert is_good(reader, secret)
    beside.ticks.seconds += 1
    for asked in (
        lambda: reader.accounts.authenticate(secret.encode()),
        lambda: reader.accounts.get(beside.account),
        reader.accounts.api_keys,
        lambda: reader.holding.policy,
        lambda: reader.holding.of(beside.organisation),
    ):
        with pytest.raises(StorageError, match="was not confirmed for 10 seconds") as refused:
            asked()
        assert "outdated" == refused.value.code
    beside.let_in()
    becomes(lambda: not reader.confirmation.is_stale)
    assert is_good(reader, secret)


@pytest.mark.row("P1", "R5")
def test_the_document_says_for_how_long_it_goes_on(beside: Beside) -> None:
    """Where the database can't be reached, as the last document that was confirmed has it; nobody
    who was revoked before is taken for good, and what was decided meanwhile holds as soon as it is
    back. The next document's word holds at once.
    """
    reader = beside.reader()
    secret, own = beside.keys["work"], beside.keys["owner"]
    minutes = "kept = 60, unkept = 60", "kept = 60, unkept = 60, gateways = 10"
    beside.ask("policy.activate", document=edited(minutes), reason=WHY)
    becomes(lambda: reader.holding.policy.gateways_go_on == 10)
    revoked = beside.ask("key.create", name="ci", organisation=beside.organisation)
    beside.ask("key.revoke", key_id=revoked["key_id"])
    becomes(lambda: reader.accounts.api_key(revoked["key_id"]).revoked_at is not None)
    beside.shut()
    becomes(lambda: reader.follower.failure is not None)
    beside.ticks.seconds += BOUND
    becomes(lambda: reader.confirmation.goes_on)
    beside.ticks.seconds += 590 - BOUND
    assert [True, True, False] == [is_good(reader, one) for one in (secret, own, revoked["key"])]
    beside.ticks.seconds += 10
    with pytest.raises(StorageError, match="was not confirmed for 600 seconds"):
        is_good(reader, secret)
    beside.let_in()
    becomes(lambda: not reader.confirmation.is_stale)
    assert is_good(reader, secret)
    beside.ask("policy.activate", document=edited(), reason=WHY)
    becomes(lambda: reader.holding.policy.gateways_go_on == 0)
    beside.shut()
    becomes(lambda: reader.follower.failure is not None)
    beside.ticks.seconds += BOUND
    with pytest.raises(StorageError, match="was not confirmed for 10 seconds"):
        is_good(reader, secret)


@pytest.mark.row("P1", "R5")
def test_what_is_reached_and_cannot_be_gone_by_confirms_nothing(beside: Beside) -> None:
    """Whatever the document says of the time without a database: it stood still, or what is there
    is another version's.
    """
    reader = beside.reader()
    minutes = "kept = 60, unkept = 60", "kept = 60, unkept = 60, gateways = 10"
    beside.ask("policy.activate", document=edited(minutes), reason=WHY)
    becomes(lambda: reader.holding.policy.gateways_go_on == 10)
    beside.do("UPDATE alembic_version SET version_num = '9999'")
    becomes(lambda: isinstance(reader.follower.failure, IntegrityError))
    beside.ticks.seconds += BOUND
    with pytest.raises(StorageError, match="was not confirmed for 10 seconds"):
        reader.accounts.every()
    beside.do(f"UPDATE alembic_version SET version_num = '{newest('data')}'")
    other = beside.reader()
    other.follower.close()
    beside.ticks.seconds += BOUND
    with pytest.raises(StorageError, match="was not confirmed for 10 seconds"):
        other.accounts.every()


def test_a_clock_that_steps_confirms_nothing(beside: Beside) -> None:
    """A year ahead or back on the reader's wall: what is followed goes on, and what is old is."""
    machine = FakeMachine(beside.home.clock())
    reader = beside.reader(clock=machine.machine)
    for days in (366, -732):
        machine.step(timedelta(days=days))
        assert is_good(reader, beside.keys["work"])
        made = beside.ask("key.create", name="ci", organisation=beside.organisation)
        becomes(lambda: is_good(reader, made["key"]))  # noqa: B023
    beside.ticks.seconds += BOUND
    becomes(lambda: not reader.confirmation.is_stale)


def test_a_damaged_row_lets_nobody_in(beside: Beside) -> None:
    """It is changed past every trigger, and then by the program: then it is read, and is not sound.
    So with an account, whose keys go with it, and come back when somebody accepts it.
    """
    reader = beside.reader()
    secret = beside.keys["work"]
    beside.do(
        "SET session_replication_role = replica; "
        f"UPDATE accounts SET plan = 'max' WHERE id = '{beside.account}'"
    )
    beside.home.node.accounts.limit_stored(beside.account, 7, by=OPERATOR)
    becomes(lambda: not is_good(reader, secret))
    assert is_good(reader, beside.keys["owner"])
    with pytest.raises(InputError) as refused:
        reader.accounts.of_organisation(beside.organisation)
    assert "not_found" == refused.value.code
    with beside.home.node.data.begin() as connection:
        accept(connection, accounts, beside.account)
    becomes(lambda: is_good(reader, secret))
    assert 7 == reader.accounts.of_organisation(beside.organisation).stored_mb


def test_a_document_that_cannot_be_read_confirms_nothing(beside: Beside) -> None:
    """One of another version's, say, comes to hold: the reader does not go on by the one before,
    once the bound has passed.
    """
    reader = beside.reader()
    beside.ask("policy.activate", document=edited(*LONGER), reason=WHY)
    becomes(lambda: reader.holding.now.since > 0)
    with beside.home.node.data.begin() as connection:
        connection.execute(text("UPDATE policy_documents SET content = 'x' WHERE NOT shipped"))
        connection.execute(text("UPDATE policy_activations SET told = told"))
    becomes(lambda: isinstance(reader.follower.failure, IntegrityError))
    beside.ticks.seconds += BOUND
    with pytest.raises(StorageError):
        _ = reader.holding.now


def test_it_knows_no_names_and_writes_nothing(beside: Beside) -> None:
    """What people call their keys is under their own keys, which it does not have."""
    reader = beside.reader()
    found = reader.accounts.authenticate(beside.keys["work"].encode())
    assert found is not None
    assert "" == found[0].name
    names = {key.name for key, _ in beside.home.node.accounts.api_keys()}
    assert "laptop" in names
    with pytest.raises(StorageError, match="only reads"), reader.follower._engine.begin():
        pass


def test_what_it_is_not_for_is_refused(beside: Beside, tmp_path: Path) -> None:
    """Files; a home that no server has opened; databases of two homes; another version's schema;
    a root key that is not there.
    """
    files = Place(tmp_path / "files")
    files.close()
    with pytest.raises(InputError, match="which one process has alone"):
        HomeReader(Home(files.folder), environment={})

    server, names = postgres.shared(), beside.home.names
    new = {name: server.new() for name in names}
    other = Beside(tmp_path / "other", beside._closing)
    keys = "BAILEE_KEYRING_DATABASE_URL"
    for given, where, code in (
        (new, tmp_path / "nothing", "home_parts"),
        ({**names, keys: other.home.names[keys]}, beside.home.folder, "home_parts"),
        (other.home.names, beside.home.folder, "home_parts"),
        (names, tmp_path / "nothing", "tampered"),
    ):
        with pytest.raises(BaileeError) as refused:
            HomeReader(Home(where), environment=given)
        assert code == refused.value.code, refused.value.message
    assert not (tmp_path / "nothing").exists(), "nothing is made"
    beside.do("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(IntegrityError, match="of another version") as newer:
        beside.reader()
    assert "schema" == newer.value.code


def test_another_version_of_the_schema_confirms_nothing(beside: Beside) -> None:
    """The home is opened by a newer version, whose rows say what this one does not know."""
    reader = beside.reader()
    beside.do("UPDATE alembic_version SET version_num = '9999'")
    becomes(lambda: isinstance(reader.follower.failure, IntegrityError))
    beside.ticks.seconds += BOUND
    with pytest.raises(StorageError):
        reader.accounts.every()


def test_keys_end_by_the_readers_own_time(beside: Beside) -> None:
    """A key with a last day is none after it, though nothing in the database changes then."""
    clock = FakeClock(beside.home.clock())
    reader = beside.reader(clock=clock)
    end = clock() + timedelta(days=1)
    *_, secret = beside.home.node.accounts.create(plan="api", name="x", by=OPERATOR, expires_at=end)
    becomes(lambda: is_good(reader, secret))
    clock.advance(timedelta(days=1))
    assert not is_good(reader, secret)


def test_tokens_of_signed_in_clients_are_known(beside: Beside) -> None:
    """They are proved by a key of the keyring, which has no row; they end as the key does."""
    reader, node = beside.reader(), beside.home.node
    key, _ = node.accounts.create_key(beside.home.account, "laptop", by=OPERATOR, scope="signed_in")
    until = beside.home.clock() + timedelta(hours=1)
    token = access_token(node.registry.identifiers.index, key.key_id, until)
    becomes(lambda: is_good(reader, token))
    forged = access_token(lambda *_: bytes(32), key.key_id, until)
    assert not is_good(reader, forged)
    node.accounts.revoke(key.key_id)
    becomes(lambda: not is_good(reader, token))
