"""A restore brings back what lives, and nothing that was destroyed or taken back since."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copytree, rmtree

import pytest

from bailee.accounts import OPERATOR
from bailee.accounts.device_grants import Poll
from bailee.accounts.groups import GroupRule, GroupRules
from bailee.accounts.provisioned_groups import WantedGroup
from bailee.accounts.provisioned_people import WantedPerson
from bailee.accounts.sign_ins import ConfirmedSignIn
from bailee.backup import replaying
from bailee.backup.checking import verified
from bailee.backup.places import FolderPlace
from bailee.errors import BaileeError, InputError, IntegrityError
from bailee.home import Home
from bailee.ledger import signing as log_signing
from bailee.ledger.particulars import KINDS
from bailee.ledger.tlog.tree import Frontier, leaf_hash
from bailee.node import Node
from bailee.operations import table
from bailee.usage.increase import IncreaseState
from bailee.usage.limits import LimitSpan
from bailee.vault.exchange import Terms
from bailee.vault.prolonging import KeepingAct
from support.homes.backed_up import START, BackedUp
from support.homes.captured import begun, end
from support.own_documents import kept as of_their_own
from support.roots.places import RootPlaces

pytestmark = pytest.mark.both_databases

PASSWORD = "a long enough password"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[BackedUp]:
    """A home of two people, with one thing of each kind for each fate."""
    made = BackedUp(tmp_path)
    yield made
    made.node.close()


def planted(place: BackedUp) -> tuple[str, str]:
    """Words everywhere; the accounts of who stays and who goes."""
    ola, mia = place.person("ola@x.example"), place.person("mia@x.example")
    stays, goes = str(ola["account"]), str(mia["account"])
    for word in ("quince", "damson", "medlar"):
        place.say(stays, word)
    place.say(goes, "bullace")
    for word in ("sloe", "rowan"):
        place.report(stays, word)
    place.report(goes, "service")
    account = place.node.accounts.get(stays)
    for word in ("hazel", "cobnut"):
        place.output(account, word)
    place.output(place.node.accounts.get(goes), "filbert")
    place.measure(1.0, 2.0, 3.0)
    return stays, goes


@pytest.mark.row("R5", "R6")
def test_nothing_that_was_ended_comes_back(place: BackedUp) -> None:
    """Deleted, withdrawn, erased, expired: no word of it is read, and no key of it opens; the rest
    is as it was.
    """
    _, goes = planted(place)
    place.back_up()
    at = place.clock()
    place.node.vault.delete(place.sessions["damson"], at)
    place.node.reports.withdraw(place.node.reports.get(place.reports["rowan"], at), at, by="key_1")
    place.node.cloud.delete(place.cloud["cobnut"], at, by="operator")
    place.ask("person.erase", id="mia@x.example")
    place.take_log()

    done = place.restore()

    with place.restored() as restored:
        assert {"quince", "medlar", "sloe", "hazel"} == restored.words()
        gone = ("damson", "bullace", "rowan", "service", "cobnut", "filbert")
        assert {} == {word: found for word in gone if (found := restored.openable(word))}
        assert 3 == place.measured(restored.node)
        assert restored.node.erasures.rows.is_gone(goes)
        assert restored.node.registry.people.by_email("mia@x.example") is None
        assert restored.node.registry.people.by_email("ola@x.example") is not None
    assert done.undone >= 4


@pytest.mark.row("R5")
def test_the_snapshot_that_was_restored_from_ends_too(place: BackedUp) -> None:
    """At its time, from the restored home; also where that had come before the restore."""
    planted(place)
    place.back_up()
    place.take_log()
    place.clock.advance(timedelta(hours=49))
    done = place.restore()
    with place.restored() as restored:
        (one,) = restored.node.snapshots.living()
        assert (done.keys, str(place.keys / done.keys)) == (one.id, one.place)
        assert {} == restored.node.sweep(place.clock()).failures
        assert [] == [*place.keys.iterdir()]
        assert [] == restored.node.snapshots.living()


@pytest.mark.row("R1", "R5")
def test_what_came_to_its_time_since_is_gone(place: BackedUp) -> None:
    """Before anything is served, and by the time of the restore, however old the backup is."""
    planted(place)
    place.clock.advance(timedelta(days=29))
    place.back_up()
    place.clock.advance(timedelta(days=1, hours=12))
    assert {} == place.node.sweep(place.clock()).failures
    place.take_log()
    place.restore()
    with place.restored() as restored:
        assert set() == restored.words()
        assert {} == {
            word: found
            for word in ("quince", "medlar", "sloe", "hazel")
            if (found := restored.openable(word))
        }
        assert 0 == place.measured(restored.node)


@pytest.mark.row("T1", "R1", "R5")
def test_what_was_chosen_since_holds(place: BackedUp) -> None:
    """A refusal shortens what was kept under a yes, and nobody trains on it; a record of each
    choice is there, in order, by its number.
    """
    stays, _ = planted(place)
    node = place.node
    node.accounts.choose_training(stays, "allowed", language="en", source="console")
    place.say(stays, "greengage")
    long = {row.id: row.expires_at for row in node.vault.sessions(place.clock(), stays)}
    place.back_up()
    node.accounts.choose_training(stays, "refused", language="en", source="console")
    expected = node.accounts.get(stays)
    records = [(one.number, one.new) for one in node.accounts.consent_records(stays)]
    place.take_log()
    place.restore()
    with place.restored() as restored:
        account = restored.node.accounts.get(stays)
        assert ("refused", expected.consent) == (account.training_choice, account.consent)
        found = restored.node.accounts.consent_records(stays)
        assert records == [(one.number, one.new) for one in found]
        now = {row.id: row.expires_at for row in restored.node.vault.sessions(place.clock(), stays)}
        assert now.keys() == long.keys()
        said = place.sessions["greengage"]
        assert now[said] < long[said] - timedelta(days=365)


@pytest.mark.row("R5", "R6")
def test_what_goes_on_with_a_session_that_was_deleted_since_is_not_kept(place: BackedUp) -> None:
    """One that is in the backup, and one that began after it; of a person's account and of one
    that is nobody's. What they begin anew is kept. What was noted of it opens no more once its
    owner is erased, and names no word.
    """
    of_ola = str(place.person("ola@x.example")["account"])
    of_nobody = str(place.ask("key.create", plan="pro", name="any")["account"])
    of_mia = str(place.person("mia@x.example")["account"])
    place.say(of_ola, "quince")
    place.back_up()
    for account, word in ((of_ola, "damson"), (of_nobody, "medlar"), (of_mia, "sloe")):
        place.say(account, word)
    for word in ("quince", "damson", "medlar", "sloe"):
        place.node.vault.delete(place.sessions[word], place.clock())
    entries = [*place.node.ledger.entries(kind="session.buried")]
    assert {place.sessions[word] for word in ("quince", "damson", "medlar", "sloe")} == {
        one.subject for one in entries
    }
    assert all("again" not in one.body for one in entries)
    place.ask("person.erase", id="mia@x.example")
    place.take_log()
    done = place.restore()
    assert () == done.look
    with place.restored() as restored:
        node = restored.node
        for account, word in ((of_ola, "quince"), (of_ola, "damson"), (of_nobody, "medlar")):
            end(node, begun(node, account, f"session of {word}", word))
            node.vault.flush()
            assert [] == [*node.vault.sessions(place.clock(), account)], word
        end(node, begun(node, of_nobody, "session of hazel", "hazel"))
        node.vault.flush()
        assert 1 == len([*node.vault.sessions(place.clock(), of_nobody)])


@pytest.mark.row("C3", "R6")
def test_what_a_network_list_said_last_holds(place: BackedUp) -> None:
    """Denied, allowed, removed since; by its owner's key. What an older version noted without the
    host is held on the safe side, and somebody is told.
    """
    account = str(place.person("ola@x.example")["account"])

    def ask(what: str, entry: str) -> str:
        return str(place.ask(f"cloud.network.{what}", account=account, entry=entry)["id"])

    ask("allow", "a.example")
    gone = ask("deny", "b.example")
    ask("allow", "c.example")
    place.back_up()
    ask("deny", "a.example")
    place.ask("cloud.network.remove", id=gone)
    ask("allow", "d.example")
    place.take_log()
    assert () == place.restore().look
    said = {("a.example", "deny"), ("c.example", "allow"), ("d.example", "allow")}
    with place.restored() as restored:
        assert said == {(one.entry, one.side) for one in restored.node.network_lists.all(account)}

    body = {"entry": "e.example", "verdict": "deny", "by": "operator"}
    place.node.ledger.append("cloud_network.added", account, body, whose=account)
    place.take_log()
    (told,) = place.restore("later").look
    assert account in told
    with place.restored("later") as restored:
        sides = [one.side for one in restored.node.network_lists.all(account)]
        assert ["deny"] == sides  # what was denied before the backup


@pytest.mark.row("G1", "R6")
def test_ways_in_that_were_closed_since_stay_closed(place: BackedUp) -> None:
    """A key that was revoked, a sign-in, a role, an operator, a limit."""
    planted(place)
    node = place.node
    kept = place.ask("key.create", account=next(iter(node.accounts.api_keys()))[1].account_id,
                     name="kept")  # fmt: skip
    gone = place.ask("key.create", account=kept["account"], name="gone")
    made = place.person("pia@x.example")
    acme = place.ask("organisation.create", name="Acme", plan="team")
    for role in ("owner", "admin"):
        place.ask(
            "organisation.member", organisation=acme["organisation"], role=role,
            person=made["person"] if role == "admin" else place.person("boss@x.example")["person"],
        )  # fmt: skip
    node.registry.people.set_operator(made["person"], True, by=OPERATOR)
    cookie = node.registry.web_sessions.begin(made["person"], client="test")
    confirmed = ConfirmedSignIn(made["person"], made["account"])
    client = node.registry.sign_ins.begin(confirmed, client="test")
    link, grant = (
        node.registry.links.give(),
        node.registry.device_grants.begin(client="", address=""),
    )
    node.registry.device_grants.approve(grant.user_code, confirmed)
    _, of_session = node.accounts.key_for_cloud_session(
        kept["account"], "cs-1", zero_retention=False, by="operator"
    )
    _, of_run = node.accounts.key_for_this_run(kept["account"])
    place.back_up()
    place.ask("key.revoke", key_id=gone["key_id"])
    place.ask(
        "organisation.remove_member", organisation=acme["organisation"], person=made["person"]
    )
    node.registry.people.set_operator(made["person"], False, by=OPERATOR)
    place.ask("account.limit", account=kept["account"], stored_mb=7)
    place.ask("account.residency", account=kept["account"], region="eu")
    own = {"organisation": acme["organisation"], "reason": "asked for"}
    for days in (7, 9):
        place.ask("organisation.policy_set", document=of_their_own(days), **own)
    place.take_log()
    place.restore()
    with place.restored() as restored:
        keys = restored.node.accounts
        assert keys.authenticate(kept["key"].encode()) is not None
        for ended in (gone["key"], of_session, of_run):
            assert keys.authenticate(ended.encode()) is None
        assert restored.node.registry.web_sessions.find(cookie) is None
        assert restored.node.accounts.authenticate(client.access.encode()) is None
        with pytest.raises(InputError, match="sign-in is over"):
            restored.node.registry.sign_ins.renew(client.refresh or "")
        registry = restored.node.registry
        assert not registry.links.redeem(link)
        assert Poll.EXPIRED is registry.device_grants.poll(grant.device_code)
        members = registry.organisations.members(acme["organisation"])
        assert ["owner"] == [one.role for one in members]
        assert not registry.people.get(made["person"]).operator
        assert 7 == keys.get(kept["account"]).stored_mb
        assert "eu" == keys.get(kept["account"]).residency
        its = restored.node.accounts.get(acme["account"])
        found = restored.node.policy_of(its).retain("transcript", its.facts(zero_retention=False))
        assert ("P9D", "own.days") == (found.retention, found.clause)


@pytest.mark.row("O2", "R6")
def test_pools_and_what_was_granted_are_as_they_were_said_last(place: BackedUp) -> None:
    """A pool that was changed, paused or removed since; what was granted since is a limit again,
    and its request waits again, as one that was not decided; what was asked since is not there.
    """
    acme = place.ask("organisation.create", name="Acme", plan="team")["organisation"]
    people = {name: place.person(f"{name}@x.example")["person"] for name in ("mia", "ian", "ann")}
    for person in people.values():
        place.ask("organisation.member", organisation=acme, person=person, role="member")
    month = {"measure": "money", "per": "month"}
    place.ask("usage.limit", amount=9_000_000, of=acme, each=True, **month)
    for team in ("apps", "data", "web"):
        place.ask("usage.limit", amount=5_000_000, of=f"{acme}/{team}", pool=True, **month)

    def ask(name: str) -> str:
        now = place.clock()
        more = 20_000_000
        asked = place.node.increases.ask(
            acme, people[name], LimitSpan.MONTH, more, now=now, until=now + timedelta(days=300)
        )
        return asked.id

    granted, waiting = ask("mia"), ask("ian")
    place.back_up()
    place.ask("usage.limit", amount=7_000_000, of=f"{acme}/apps", pool=True, **month)
    place.ask("usage.limit", amount=8_000_000, of=f"{acme}/data", pool=True, paused=True, **month)
    place.ask("usage.unlimit", id=f"pool:{acme}/web:money:month")
    place.ask("increase.approve", id=granted, amount=12_000_000)
    ask("ann")
    place.take_log()
    place.restore()
    with place.restored() as restored:
        node, now = restored.node, place.clock()
        assert {
            f"members:{acme}:money:month": 9_000_000,
            f"pool:{acme}/apps:money:month": 7_000_000,
            f"paused_pool:{acme}/data:money:month": 8_000_000,
            f"member:{acme}/{people['mia']}:money:month": 12_000_000,
        } == {one.limit_id: one.amount for one in node.limits.limits()}
        waits = node.increases.page([acme], now, 9, states=[IncreaseState.PENDING])
        assert {granted, waiting} == {one.id for one in waits}


@pytest.mark.row("R5", "O1")
def test_what_an_organisation_took_back_since_stays_taken_back(place: BackedUp) -> None:
    """A rule for groups, or all of them; a service account; passwords that ended with a sign-in by
    the provider alone, though that was lifted since; a key whose last day came.
    """
    node, groups = place.node, place.node.registry.groups
    made = {name: str(place.ask("organisation.create", name=name, plan="team")["organisation"])
            for name in ("Acme", "Bird", "Coop")}  # fmt: skip
    acme, bird, coop = made.values()
    for name, organisation in made.items():
        place.ask("organisation.provider", organisation=organisation, issuer="https://id.example",
                  domain=f"{name.lower()}.example", client_id="bailee")  # fmt: skip
    staff, admins = GroupRule("staff", acme), GroupRule("admins", acme, "admin")
    groups.set_rules(acme, GroupRules((staff, admins), scope="groups"), by=OPERATOR)
    groups.set_rules(coop, GroupRules((GroupRule("all", coop),)), by=OPERATOR)
    person = place.person("pia@x.example")["person"]
    place.ask("organisation.member", organisation=acme, person=person, role="member")
    passwords = node.registry.passwords
    herself = node.registry.authority.by_person(person)
    passwords.set_password(person, PASSWORD, old=None, by=herself, address="127.0.0.1")
    assert person == passwords.sign_in("pia@x.example", PASSWORD, address="127.0.0.1")
    ends = place.ask("key.create", name="ends", organisation=acme, days=3)
    jobs = [
        place.ask("workload.add", organisation=acme, name=name, issuer="https://ci.example",
                  audience="bailee", claims={"sub": f"repo:acme/{name}"})["id"]
        for name in ("kept", "gone")
    ]  # fmt: skip
    place.back_up()
    place.ask("workload.remove", id=jobs[1])
    later = GroupRules((staff, GroupRule("late", acme, "admin")), claim="roles")
    groups.set_rules(acme, later, by=OPERATOR)
    groups.set_rules(bird, GroupRules((GroupRule("few", bird),)), by=OPERATOR)
    groups.set_rules(coop, None, by=OPERATOR)
    for only in (True, False):
        place.ask("organisation.provider_only", organisation=acme, only=only)
    place.clock.advance(timedelta(days=3, minutes=1))
    place.take_log()
    done = place.restore()
    with place.restored() as restored:
        registry = restored.node.registry
        assert [jobs[0]] == [one.account_id for one in registry.workloads.of_organisation(acme)]
        assert GroupRules((staff,), "roles", "groups") == registry.groups.rules(acme)
        assert GroupRules((), "groups") == registry.groups.rules(bird)
        assert registry.groups.rules(coop) is None
        with pytest.raises(InputError):
            registry.passwords.sign_in("pia@x.example", PASSWORD, address="127.0.0.1")
        registry.authority.refuse_provider_only(person)
        assert registry.accounts.authenticate(ends["key"].encode()) is None
    assert any(person in one and "provider alone" in one for one in done.look)


@pytest.mark.row("O1", "R5")
def test_a_provider_does_not_come_back_with_what_it_lost(place: BackedUp) -> None:
    """A token that was revoked since, whom it ended, and who was taken out of its groups."""
    acme = place.ask("organisation.create", name="Acme", plan="team")["organisation"]
    kept, gone = (place.ask("scim.add", organisation=acme) for _ in range(2))
    registry, by = place.node.registry, kept["id"]
    people, groups = registry.provisioned_people, registry.provisioned_groups
    ada, bob = (
        people.add(acme, WantedPerson(email, email, None, True), by=by).person_id
        for email in ("ada@acme.example", "bob@acme.example")
    )
    both = groups.add(acme, WantedGroup("all", None, frozenset((ada, bob))), by=by).group_id
    place.back_up()
    place.ask("scim.remove", id=gone["id"])
    people.change(
        acme, ada, WantedPerson("ada@acme.example", "ada@acme.example", None, False), by=by
    )
    groups.change(acme, both, WantedGroup("all", None, frozenset((ada,))), by=by)
    place.take_log()
    done = place.restore()
    with place.restored() as restored:
        registry = restored.node.registry
        assert registry.provisioning_tokens.find(gone["token"]) is None
        assert registry.provisioning_tokens.find(kept["token"]) is not None
        assert not registry.provisioned_people.get(acme, ada).active
        assert registry.provisioned_people.get(acme, bob).active
        with pytest.raises(InputError):
            registry.groups.refuse_ended(acme, ada)
        assert [] == registry.provisioned_groups.members(both)
    assert any(both in one for one in done.look)


@pytest.mark.row("R5")
def test_holds_stand_as_they_stood_last(place: BackedUp) -> None:
    """What was held since is held still, though its time has come; what was let go is not."""
    planted(place)
    place.clock.advance(timedelta(days=29))
    at = place.clock()
    old = place.node.holds.place(place.sessions["medlar"], "matter 1", at)
    place.back_up()
    place.node.holds.place(place.sessions["quince"], "matter 2", at)
    place.node.holds.release(old.id, at)
    place.clock.advance(timedelta(days=1, hours=12))
    place.node.sweep(place.clock())
    place.take_log()
    done = place.restore()
    with place.restored() as restored:
        assert {place.sessions["quince"]} == restored.node.holds.held()
        (hold,) = restored.node.holds.holding(place.sessions["quince"])
        assert b"quince" in b"".join(restored.node.holds.read(hold.id))
        assert set() == restored.words()
        assert [] == restored.openable("medlar")
    assert any("its reason is lost" in one for one in done.look)


@pytest.mark.row("R5", "O7")
def test_what_was_kept_since_is_kept_and_what_was_taken_back_goes(place: BackedUp) -> None:
    """Though its own time has come; until the same day, by whom it was; and where it was forbidden
    since, it is.
    """
    stays, _ = planted(place)
    place.clock.advance(timedelta(days=29))
    at = place.clock()
    keeps, terms = place.node.vault.prolonging, Terms("P1Y", "retain.transcript-kept", "d" * 64)
    act = KeepingAct("per_ola", at, at + timedelta(days=90), terms)
    keeps.keep(place.sessions["medlar"], act, at)
    place.back_up()
    keeps.keep(place.sessions["quince"], act, at)
    keeps.release(place.sessions["medlar"], "per_ola", at, at)
    place.node.accounts.forbid_keeping(stays, True, by=OPERATOR)
    place.clock.advance(timedelta(days=1, hours=12))
    place.node.sweep(place.clock())
    assert [place.sessions["quince"]] == [one.id for one in place.node.vault.owned(stays)]
    place.take_log()
    place.restore()
    with place.restored() as restored:
        assert {"quince"} == restored.words()
        assert [] == restored.openable("medlar")
        (kept,) = restored.node.vault.prolonging.owned(stays)
        assert ("per_ola", act.until.replace(microsecond=0)) == (
            kept.by,
            kept.until.replace(microsecond=0),
        )
        assert restored.node.accounts.get(stays).no_keeping


@pytest.mark.row("P4")
def test_the_log_goes_on_where_it_was(place: BackedUp) -> None:
    """Every entry since is in the restored audit record, as the log has it; what is added comes
    after, and a checkpoint from before is its beginning.
    """
    planted(place)
    place.back_up()
    place.node.vault.delete(place.sessions["damson"], place.clock())
    place.take_log()
    said = [(one.number, one.kind, one.subject) for one in place.node.ledger.entries()]
    before = place.node.sequencer.folder.read("checkpoint")
    assert before is not None
    place.restore()
    with place.restored() as restored:
        found = [(one.number, one.kind, one.subject) for one in restored.node.ledger.entries()]
        assert said == found[: len(said)]
        assert "home.restored" in [kind for _, kind, _ in found[len(said) :]]
        restored.node.sequencer.run()
        checked = table.perform(
            restored.node, "audit.verify", {"since": before.decode()}, by=OPERATOR
        )
        assert ([], 0) == (checked["damaged"], checked["lost"])
        assert [] == table.perform(restored.node, "verify", {}, by=OPERATOR)["damaged"]


@pytest.mark.sqlite_alone
@pytest.mark.row("R6")
def test_parts_of_the_old_home_are_none_of_the_restored_one(place: BackedUp) -> None:
    """The old home, however far it has come, is older than what was restored from its backup."""
    planted(place)
    place.back_up()
    place.take_log()
    place.restore()
    place.node.close()
    restored = Home(place.folder / "restored")
    rmtree(restored.keyring_database.parent)
    place.home.keyring_database.parent.rename(restored.keyring_database.parent)
    with pytest.raises(IntegrityError, match="older") as refused:
        Node.open(restored, clock=place.clock)
    assert "home_parts" == refused.value.code
    place.node = Node.open(Home(place.folder / "another"), clock=place.clock)


def forked(place: BackedUp, checkpoint: bytes) -> bytes:
    """A checkpoint that the log's own key signed over another tree of the same size."""
    size = int(checkpoint.split(b"\n")[1])
    signers = log_signing.signers(place.node.marks.home_id, place.node.keyring.secret)
    other = Frontier().grown([leaf_hash(bytes([one % 251])) for one in range(size)])
    return log_signing.signed(signers, other)


@pytest.mark.row("R5")
def test_a_root_that_a_broken_restore_made_in_a_service_is_gone_on_with(
    place: BackedUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command takes it; a restore of another home, and one after it is done, does not."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.setenv(name, "")  # put back at the end
    (place.folder / "roots").mkdir()
    places = RootPlaces(place.folder / "roots")
    root = places.make("aws-kms")
    environment = {**root.environment, "BAILEE_KEYRING_ROOT": root.where}
    planted(place)
    place.back_up()
    place.take_log()
    with monkeypatch.context() as broken, pytest.raises(OSError, match="killed"):
        broken.setattr("bailee.keyring.copying.copy", killed)
        place.restore(environment=environment)
    with pytest.raises(InputError, match="in use"):
        place.restore("another", environment=environment)
    place.restore(environment=environment)
    assert not (place.folder / "restored" / "root" / "made-by-restore").exists()
    places.close()


@pytest.mark.row("R5")
@pytest.mark.parametrize("driver", ["transit", "google-kms"])
def test_a_new_key_of_a_service_takes_a_restored_home(
    place: BackedUp, monkeypatch: pytest.MonkeyPatch, driver: str
) -> None:
    """A service that makes the first generation with the key: made for the restore it is taken;
    from before the snapshot, or once a home is under it, it is not, and keeps what it has.
    """
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "")  # put back at the end
    (place.folder / "roots").mkdir()
    places = RootPlaces(place.folder / "roots")
    root = places.make(driver)
    environment = {**root.environment, "BAILEE_KEYRING_ROOT": root.where}
    planted(place)
    place.back_up()
    place.take_log()
    began, place.clock.now = place.clock.now, datetime.now(UTC) + timedelta(hours=2)
    with pytest.raises(InputError, match="not new"):
        place.restore("late", environment=environment)
    assert (1,) == root.open().generations()
    place.clock.now = began
    place.restore(environment=environment)
    assert root.open().first_made is None
    with pytest.raises(InputError, match="not new"):
        place.restore("another", environment=environment)
    living = root.open().generations()
    restored = Node.open(
        Home(place.folder / "restored"), clock=place.clock, environment=environment
    )
    assert living == (restored.keyring.generation(),)
    assert {*place.sessions.values()} & {one.id for one in restored.vault.sessions(place.clock())}
    restored.close()
    places.close()


def killed(*_: object) -> None:
    """It ends here."""
    raise OSError("killed")


class TestRefused:
    """What can't be replayed, or does not fit, is refused by name, and nothing is restored."""

    @pytest.mark.row("R5", "R6")
    def test_without_a_newer_log(self, place: BackedUp) -> None:
        """No log; one from before the backup; another home's."""
        planted(place)
        place.take_log()
        place.back_up()
        another = BackedUp(place.folder / "other")
        another.person("eve@x.example")
        another.node.sequencer.run()
        for ledger, said in (
            (None, "no log was named"),
            (place.folder / "nowhere", "there is no log"),
            (place.log, "as old as the backup"),
            (another.home.ledger, "can't be believed"),
        ):
            with pytest.raises(BaileeError) as refused:
                place.restore(ledger=ledger)
            assert said in refused.value.message
            assert refused.value.hint and "ledger" in refused.value.hint
            assert not (place.folder / "restored").exists()
        another.node.close()

    @pytest.mark.row("R6")
    def test_a_log_that_does_not_know_of_the_backup(self, place: BackedUp) -> None:
        """It has grown, and not as far as to when the backup was done."""
        planted(place)
        place.back_up()
        place.take_log()
        place.node.vault.delete(place.sessions["damson"], place.clock())
        place.back_up()
        with pytest.raises(BaileeError, match="the log"):
            place.restore()

    @pytest.mark.row("R5", "R6", "P4")
    def test_a_log_that_does_not_come_to_a_checkpoint_that_is_remembered(
        self, place: BackedUp
    ) -> None:
        """It is newer than the backup, and not new enough; or it is another one from there on; or
        the checkpoint is no checkpoint of it. With one that it comes to, it is taken.
        """
        planted(place)
        place.back_up()
        place.take_log()
        copytree(place.home.ledger, place.folder / "old")
        kept = (place.log / "checkpoint").read_bytes()
        place.node.vault.delete(place.sessions["damson"], place.clock())
        place.take_log()
        remembered = (place.log / "checkpoint").read_bytes()
        for ledger, checkpoint, said in (
            (place.folder / "old", remembered, "rolled back"),
            (place.log, forked(place, remembered), "forked"),
            (place.log, remembered.replace(b"bailee/", b"bailey/"), ""),
            (place.log, b"no checkpoint", ""),
        ):
            with pytest.raises(BaileeError) as refused:
                place.restore(ledger=ledger, checkpoint=checkpoint)
            assert said in refused.value.message
            assert not (place.folder / "restored").exists()
        place.restore("first", checkpoint=kept)
        place.restore("second", checkpoint=remembered)

    def test_a_log_with_a_changed_file(self, place: BackedUp) -> None:
        """A tile, the checkpoint, the history: each is named."""
        planted(place)
        place.back_up()
        place.take_log()
        changed = [one for one in place.log.rglob("*") if one.is_file()]
        assert any("history" in one.parts for one in changed)
        for path in changed:
            before = path.read_bytes()
            path.write_bytes(flipped(before))
            with pytest.raises(BaileeError) as refused:
                place.restore()
            assert path.name in f"{refused.value.message}"
            assert not (place.folder / "restored").exists()
            path.write_bytes(before)
        place.restore()

    def test_a_backup_with_a_changed_file(self, place: BackedUp) -> None:
        """Any of data and keys: it is named, by `verify` too; and put right, all is well."""
        planted(place)
        place.back_up()
        place.take_log()
        of_data = [one for one in place.data.rglob("*") if one.is_file()]
        of_keys = [one for one in place.keys.rglob("*") if one.is_file()]
        for path in (*of_data, *of_keys):
            before = path.read_bytes()
            path.write_bytes(flipped(before))
            with pytest.raises(BaileeError) as refused:
                place.restore()
            if path.name != "root.json":  # its hash lies nowhere: with it nothing opens
                assert path.name in refused.value.message
            if path in of_data and path.name != "manifest.json":
                assert [path.name] == [where.rpartition("/")[2] for where, _ in wrong(place)]
            path.write_bytes(before)
        place.restore()

    def test_keys_that_are_older_or_of_another_home(self, place: BackedUp) -> None:
        """With them something would not open, or nothing."""
        planted(place)
        place.back_up()
        place.say(next(iter(place.node.accounts.api_keys()))[1].account_id, "greengage")
        place.back_up(keys=False)
        place.take_log()
        with pytest.raises(IntegrityError, match="older than the data"):
            place.restore()
        another = BackedUp(place.folder / "other")
        another.back_up()
        with pytest.raises(IntegrityError, match="two homes"):
            place.restore(keys=another.keys)
        another.node.close()

    def test_a_home_that_is_not_new(self, place: BackedUp) -> None:
        """A restore writes over nothing."""
        planted(place)
        place.back_up()
        place.take_log()
        with pytest.raises(InputError, match="not empty"):
            place.restore("home")

    def test_an_entry_that_nobody_here_can_replay(self) -> None:
        """A newer version wrote it; or an older copy was accepted."""
        entry = replaying.Entry(1, START, "orchard.burnt", "x", {})
        with pytest.raises(IntegrityError) as refused:
            replaying.plan([entry])
        assert "schema" == refused.value.code


@pytest.mark.row("R5", "R6")
def test_every_kind_of_entry_is_replayed_or_needs_none() -> None:
    """Who adds a kind says what a restore has to do about it."""
    assert {*KINDS} - {"home.older_accepted"} == replaying.replayed_kinds()


def flipped(content: bytes) -> bytes:
    """With one bit changed, in the middle."""
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def wrong(place: BackedUp) -> list[tuple[str, str]]:
    """What `bailee backup verify` says is wrong."""
    return verified(FolderPlace(place.data))[2]
