"""Accounts, keys and consent in a real SQLite file."""

from __future__ import annotations

import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError as DatabaseRefusal

from bailee.accounts import OPERATOR, Accounts
from bailee.accounts.keys import KeyLimits
from bailee.app.access import GatewayPolicyAccess
from bailee.db.migrate import upgrade
from bailee.errors import BaileeError, InputError
from bailee.gateway.access import NothingKept, Passage
from bailee.ledger import Ledger
from bailee.policy import load
from bailee.policy.holding import PolicyHolder
from bailee.testing import FakeClock
from bailee.testing.sealing import SealingInMemory
from support.asked_routes import EACH, FILES
from support.homes.databases import opened

pytestmark = pytest.mark.both_databases


class Place:
    """A data database with accounts over it, which can be opened anew."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.engine = opened(folder / "data.db")
        upgrade(self.engine, "data")
        self.ledger = Ledger(self.engine, self.clock, SealingInMemory())
        self.policy = load()
        self.holding = PolicyHolder(self.policy)
        self.accounts = self.reopened()

    def reopened(self) -> Accounts:
        """The accounts as a new process would find them."""
        return Accounts(self.engine, self.holding, self.clock, self.ledger)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A fresh database."""
    return Place(tmp_path)


@pytest.mark.row("T1")
@pytest.mark.parametrize(
    "plan", ["free", "pro", "max", "team", "enterprise", "api", "third_party", "gov"]
)
def test_every_plan_of_the_policy_can_have_an_account(place: Place, plan: str) -> None:
    """An account has one of the eight plans, and its key leads to it."""
    account, key, secret = place.accounts.create(plan=plan, name="n")

    assert (key, account) == place.accounts.authenticate(secret.encode())
    assert plan == account.plan


def test_an_unknown_plan_is_refused_with_the_known_ones(place: Place) -> None:
    """The error says which plans there are."""
    with pytest.raises(InputError) as refused:
        place.accounts.create(plan="gold", name="n")

    assert "enterprise" in (refused.value.hint or "")
    assert [] == place.accounts.api_keys()


@pytest.mark.row("R2")
def test_zero_retention_is_for_commercial_plans(place: Place) -> None:
    """A consumer plan can't have a zero-retention key."""
    with pytest.raises(InputError, match="commercial"):
        place.accounts.create(plan="pro", name="n", zero_retention=True)


def test_keys_survive_a_restart_and_are_stored_hashed(place: Place, tmp_path: Path) -> None:
    """A key works after reopening; its text is in no file."""
    _, key, secret = place.accounts.create(plan="api", name="n", zero_retention=True)

    found = place.reopened().authenticate(secret.encode())

    assert found is not None
    assert key == found[0]
    stored = b"".join(f.read_bytes() for f in tmp_path.iterdir())
    assert secret.encode() not in stored
    assert secret[14:].encode() not in stored


def test_a_revoked_key_stops_at_once_and_for_good(place: Place) -> None:
    """Revoking holds for the next look-up and after a restart; twice changes nothing."""
    _, key, secret = place.accounts.create(plan="api", name="n")

    first = place.accounts.revoke(key.key_id)
    place.clock.advance(timedelta(days=1))

    assert place.accounts.authenticate(secret.encode()) is None
    assert place.reopened().authenticate(secret.encode()) is None
    assert first == place.accounts.revoke(key.key_id)


@pytest.mark.row("O1")
def test_a_key_opens_nothing_from_its_last_day_on(place: Place) -> None:
    """At the gateway neither; after a restart too. It takes no room for another."""
    limits = KeyLimits(of_account=2)
    accounts = Accounts(place.engine, place.holding, place.clock, place.ledger, key_limits=limits)
    account, _, _ = accounts.create(plan="team", name="n")
    until = place.clock() + timedelta(days=3)
    made, secret = accounts.create_key(account.account_id, "ci", by=OPERATOR, until=lambda: until)
    gateway = GatewayPolicyAccess(accounts, place.holding)
    before = accounts.authenticate(secret.encode()), gateway.authenticate(secret.encode())
    place.clock.advance(timedelta(days=3))
    after = accounts.authenticate(secret.encode()), gateway.authenticate(secret.encode())
    another, _ = accounts.create_key(account.account_id, "next", by=OPERATOR)
    entry = next(
        one for one in place.ledger.entries(kind="key.created") if one.subject == made.key_id
    )
    again = place.reopened()

    assert None not in before
    assert (None, None) == after
    assert another.expires_at is None
    assert until.isoformat() == entry.body["until"]
    assert again.authenticate(secret.encode()) is None


def test_a_key_with_one_wrong_character_is_refused(place: Place) -> None:
    """The id alone opens nothing."""
    _, _, secret = place.accounts.create(plan="api", name="n")
    wrong = secret[:-1] + ("0" if secret[-1] != "0" else "1")

    assert place.accounts.authenticate(wrong.encode()) is None


def test_a_key_for_this_run_ends_with_it(place: Place) -> None:
    """It is good now, and to the next process where this one was killed; once the run has ended, to
    nobody.
    """
    account, _, _ = place.accounts.create(plan="api", name="n")

    _, secret = place.accounts.key_for_this_run(account.account_id)

    found = place.accounts.authenticate(secret.encode())
    assert found is not None
    assert account == found[1]
    assert place.reopened().authenticate(secret.encode()) is not None
    place.accounts.ephemeral.end_of_run()
    for accounts in (place.accounts, place.reopened()):
        assert accounts.authenticate(secret.encode()) is None


@pytest.mark.row("T2")
def test_a_choice_is_a_consent_record_and_holds_at_once(place: Place) -> None:
    """Each change is kept: who, when, old, new, which notice, which language, from where."""
    account, _, secret = place.accounts.create(plan="pro", name="n")

    place.accounts.choose_training(account.account_id, "allowed", language="zh", source="console")
    place.clock.advance(timedelta(days=3))
    place.accounts.choose_training(account.account_id, "refused", language="en", source="api")

    records = place.accounts.consent_records(account.account_id)
    assert [("none", "allowed", "zh", "console"), ("allowed", "refused", "en", "api")] == [
        (r.old, r.new, r.language, r.source) for r in records
    ]
    assert {place.policy.sha256} == {r.notice for r in records}
    assert timedelta(days=3) == records[1].at - records[0].at
    for accounts in (place.accounts, place.reopened()):
        found = accounts.authenticate(secret.encode())
        assert found is not None
        assert ("refused", place.clock()) == (found[1].training_choice, found[1].chosen_at)


@pytest.mark.row("T5")
def test_a_commercial_account_has_no_training_choice(place: Place) -> None:
    """Nothing a member does can make commercial data eligible."""
    account, _, _ = place.accounts.create(plan="team", name="n")

    with pytest.raises(InputError, match="no training choice"):
        place.accounts.choose_training(account.account_id, "allowed", language="en", source="api")
    assert [] == place.accounts.consent_records(account.account_id)


@pytest.mark.parametrize("table", ["consent_records", "audit"])
@pytest.mark.parametrize("change", ["DELETE FROM {}", "UPDATE {} SET at = '2020-01-01'"])
def test_consent_and_audit_can_not_be_edited(place: Place, table: str, change: str) -> None:
    """The database itself refuses to change or delete these rows."""
    account, _, _ = place.accounts.create(plan="pro", name="n")
    place.accounts.choose_training(account.account_id, "allowed", language="en", source="api")

    with pytest.raises(DatabaseRefusal, match="append-only"), place.engine.begin() as connection:
        connection.execute(text(change.format(table)))


def test_the_audit_record_takes_no_nested_or_long_values(place: Place) -> None:
    """There is no room in it for content."""
    for value in ("x" * 301, {"a": 1}, [1]):
        with pytest.raises(BaileeError):
            place.ledger.append(
                "access.read",
                "s",
                {"reason": value},  # type: ignore[dict-item]
                whose="acc_1",
            )


def test_the_audit_record_keeps_order_and_filters(place: Place) -> None:
    """Entries come in order, of one kind or about one subject, newest first when limited."""
    for number in range(5):
        kind = "telemetry.expired" if number % 2 else "telemetry.undelivered"
        place.ledger.append(kind, str(number), {"files": number})

    even = place.ledger.entries(kind="telemetry.undelivered")
    assert ["0", "2", "4"] == [leaf.subject for leaf in even]
    assert ["3"] == [leaf.subject for leaf in place.ledger.entries(subject="3")]
    assert ["3", "4"] == [leaf.subject for leaf in place.ledger.entries(newest=2)]


@pytest.mark.row("G2")
def test_what_passes_follows_the_account_and_the_key(place: Place) -> None:
    """By the policy's clauses: for whom was named, from the next request on; for a cloud session
    conversations alone, whether or not its account was named.
    """
    account, _, secret = place.accounts.create(plan="team", name="n")
    access = GatewayPolicyAccess(place.accounts, place.holding)

    def passes(presented: str) -> list[str]:
        caller = access.authenticate(presented.encode())
        assert caller is not None
        return [
            f"{where.kind}{'+' * own}"
            for where in EACH
            for own in (False, True)
            if caller.passage(where, own).allowed
        ]

    lent = ["conversation", "conversation+", "counting", "counting+", "models", "models+"]
    assert [*lent, "other+"] == passes(secret)
    place.accounts.allow_unrecorded_routes(account.account_id, True, by=OPERATOR)
    assert [*lent, "other", "other+"] == passes(secret)
    _, session = place.accounts.key_for_cloud_session(
        account.account_id, "cse_1", zero_retention=False, by="operator"
    )
    assert ["conversation", "conversation+"] == passes(session)
    place.accounts = place.reopened()
    assert place.accounts.get(account.account_id).unrecorded_routes


@pytest.mark.row("G1")
def test_a_limit_of_its_own_holds_for_the_next_request(place: Place) -> None:
    """And after a restart; taken back, that of everybody holds. 0 is a limit of its own: none."""
    account, _, secret = place.accounts.create(plan="team", name="n")
    access = GatewayPolicyAccess(place.accounts, place.holding)

    def stored() -> int | None:
        caller = access.authenticate(secret.encode())
        assert caller is not None
        return caller.stored

    found = [stored()]
    for mb in (3, 0, None, 5):
        place.accounts.limit_stored(account.account_id, mb, by=OPERATOR)
        found.append(stored())
    assert [None, 3 << 20, 0, None, 5 << 20] == found
    assert 5 == place.reopened().get(account.account_id).stored_mb


@pytest.mark.row("G2", "R2")
def test_a_zero_retention_key_of_a_named_account_keeps_nothing(place: Place) -> None:
    """Its policy holds: no terms, whatever passes, and the clause says why."""
    account, _, secret = place.accounts.create(plan="team", name="n", zero_retention=True)
    place.accounts.allow_unrecorded_routes(account.account_id, True, by=OPERATOR)
    caller = GatewayPolicyAccess(place.accounts, place.holding).authenticate(secret.encode())
    assert caller is not None
    assert NothingKept("retain.zero-retention") == caller.terms("api")
    assert Passage(True, "pass.named-account") == caller.passage(FILES, False)


def test_who_lists_while_others_make_accounts_is_not_disturbed(place: Place) -> None:
    """One thread makes accounts and keys, another lists, finds and looks for the first of them."""
    made = 0
    failed: list[str] = []

    def make() -> None:
        nonlocal made
        for number in range(150):
            place.accounts.create(plan="team", name=f"a{number}")
            made += 1

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # so that the other has its turn in the middle of anything
    thread = threading.Thread(target=make)
    thread.start()
    try:
        while thread.is_alive():
            try:
                place.accounts.page(None, 100)
                place.accounts.api_keys()
                place.accounts.first()
                place.accounts.of_person("nobody")
            except RuntimeError as error:
                failed.append(str(error))
    finally:
        sys.setswitchinterval(before)
        thread.join()
    assert (150, []) == (made, failed[:1])


@pytest.mark.row("G1")
def test_revoking_a_key_makes_room_for_another(place: Place) -> None:
    """One too many is refused and leaves nothing, also after a start; then one is revoked."""
    limits = KeyLimits(of_account=2)
    accounts = Accounts(place.engine, place.holding, place.clock, place.ledger, key_limits=limits)
    account, first, _ = accounts.create(plan="team", name="n")
    accounts.create_key(account.account_id, "n", by=OPERATOR)
    accounts = Accounts(place.engine, place.holding, place.clock, place.ledger, key_limits=limits)
    for _ in range(2):
        with pytest.raises(InputError, match="2 keys"):
            accounts.create_key(account.account_id, "n", by=OPERATOR)
    accounts.revoke(first.key_id)
    accounts.create_key(account.account_id, "n", by=OPERATOR)
    assert 3 == len(place.reopened().api_keys())
