"""Settings that go further than the policy document: the document holds, and it is told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bailee.accounts import OPERATOR
from bailee.app.access import GatewayPolicyAccess
from bailee.app.telemetry import TelemetryPolicyAccess, own_terms, pass_on
from bailee.cases import CaseKind
from bailee.errors import InputError
from bailee.node import bounded
from bailee.policy.holding import InForce, OwnHeld
from bailee.policy.loading import from_bytes
from bailee.telemetry.records import ERROR, METRIC
from support.clients.asking import perform
from support.documents import HELD, edited
from support.homes.backed_up import BackedUp
from support.homes.places import Place

pytestmark = pytest.mark.row("P1")
HOUR = timedelta(hours=1)
SETTINGS = """
[telemetry]
metrics = "store otlp:http://127.0.0.1:9"
errors = "none"
[retention]
shred_hours = 12
[backup]
keys_hours = 300
[requests]
period = "P45D"
further_period = "P30D"
"""
BOTH = "store otlp:http://127.0.0.1:9"
STRICTER = (
    ('of = "metrics"\nonly = ["store", "onward"]', 'of = "metrics"\nonly = ["store"]'),
    ('of = "errors"\nonly = ["store", "onward"]', 'of = "errors"\nonly = []'),
    ('at_most = "PT24H"', 'at_most = "PT6H"'),
    ('at_most = "P14D"', 'at_most = "P1D"'),
    ('at_most = "P1M"', 'at_most = "P10D"'),
    ('at_most = "P2M"', 'at_most = "P1M"'),
)


def silent() -> str:
    """The shipped document without a bound, as those of earlier homes are."""
    start = HELD.index("[[bound]]")
    return HELD[:start] + HELD[HELD.index("[[invariant]]") :]


def hold(place: Place | BackedUp, document: str) -> None:
    """Let a document hold from now on."""
    place.node.holding.take(InForce(from_bytes(document.encode(), "ours.toml"), 1))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A home with such settings."""
    made = Place(tmp_path / "home")
    made.close()
    (tmp_path / "home" / "bailee.toml").write_text(SETTINGS)
    made.open()
    yield made
    made.close()


def due(place: Place) -> tuple[int, int]:
    """In how many days a request is due that comes now, and by how many more it is put off."""
    cases, now = place.node.cases, place.clock()
    made = cases.open(CaseKind.ACCESS, "ada@x.example", None, received=now, by="op")
    later = cases.extend(made, now, "there is much", by="op")
    return (made.due_at - now).days, (later.due_at - made.due_at).days


@pytest.mark.row("R5", "R6", "S1", "S2")
def test_what_a_document_bounds_holds_from_the_next_time_on(place: Place) -> None:
    """Of both, the stricter, in whatever order documents come to hold; nothing keeps a home from
    opening.
    """
    node = place.node
    pass_on(node, {})

    def decided() -> tuple[object, ...]:
        hours = bounded.shredding_after(node), bounded.snapshots_live(node)
        goes = [node.telemetry.destination(one) for one in (METRIC, ERROR)]
        return (
            *(one / HOUR for one in hours),
            *(one.shown for one in goes),
            *due(place),
        )

    found = [decided()]
    for document in (edited(*STRICTER), silent(), HELD):
        hold(place, document)
        found.append(decided())
    place.close()
    place.open()
    assert [
        (12, 300, BOTH, "none", 31, 30),
        (6, 24, "store", "none", 10, 30),
        (12, 300, BOTH, "none", 45, 30),
        (12, 300, BOTH, "none", 31, 30),
    ] == found


def test_each_setting_that_goes_further_is_told_before_and_after(place: Place) -> None:
    """By the clause that closes it: of the document that holds, and of one that is tried."""
    before = perform(place.node, "policy.closed", {})
    tried = perform(place.node, "policy.try", {"document": edited(*STRICTER)})
    hold(place, edited(*STRICTER))
    after = perform(place.node, "policy.closed", {})
    assert [("requests.period", "bound.answers")] == [(one["setting"], one["by"]) for one in before]
    assert [
        ("telemetry.metrics", None, "bound.metrics"),
        ("telemetry.errors", None, None),
        ("retention.shred_hours", None, "bound.old-keys"),
        ("backup.keys_hours", None, "bound.key-snapshots"),
        ("requests.period", "bound.answers", "bound.answers"),
        ("requests.further_period", None, None),
    ] == [(one["setting"], one["before"], one["after"]) for one in tried["settings"]]
    assert [
        ("telemetry.metrics", "bound.metrics"),
        ("retention.shred_hours", "bound.old-keys"),
        ("backup.keys_hours", "bound.key-snapshots"),
        ("requests.period", "bound.answers"),
    ] == [(one["setting"], one["by"]) for one in after]


def test_a_setting_that_is_no_value_at_all_is_refused_at_the_start(place: Place) -> None:
    """Whatever the document has."""
    file = place.folder / "bailee.toml"
    text = file.read_text()
    place.close()
    file.write_text(text.replace('"P45D"', '"P400D"'))
    with pytest.raises(InputError, match=r"requests\.period"):
        place.open()
    file.write_text(text)
    place._lock.release()
    place.open()


@pytest.mark.row("R5")
def test_copies_of_keys_end_by_the_document_that_holds(tmp_path: Path) -> None:
    """A snapshot that was taken for longer ends by it, and the root is rotated sooner: what was
    destroyed before can be had from neither.
    """
    made = BackedUp(tmp_path, environment={"BAILEE_BACKUP_KEYS_HOURS": "300"})
    account = str(made.person("ola@x.example")["account"])
    made.say(account, "damson")
    made.back_up()
    (taken,) = made.node.snapshots.living()
    made.node.vault.delete(made.sessions["damson"], made.clock())
    made.clock.advance(timedelta(hours=6))
    late = made.node.vault.rotation_due(made.clock())
    lag = made.node.vault.lag(made.clock()).at_most
    hold(made, edited(*STRICTER))
    (now,) = made.node.snapshots.living()
    assert [300, 24] == [(one.until - one.taken_at) / HOUR for one in (taken, now)]
    assert (False, True) == (late, made.node.vault.rotation_due(made.clock()))
    assert [24, 6] == [one / HOUR for one in (lag, made.node.vault.lag(made.clock()).at_most)]
    made.clock.advance(timedelta(hours=19))
    assert {} == made.node.sweep(made.clock()).failures
    assert [] == made.node.snapshots.living()
    assert [] == [*made.keys.iterdir()]
    assert "key_destroyed" not in {one["state"] for one in made.ask("retention.receipts")}
    made.node.close()


SIZES = "".join(
    f"""
[[bound]]
id = "bound.{of.replace("_", "-")}"
heading = "retention"
rows = ["R1"]
of = "{of}"
at_most = "{most} MiB"
en = "No more of an account is kept."
zh = "每个账户最多保留这些。"
"""
    for of, most in (("stored", 7), ("stored_measurements", 5), ("stored_reports", 3))
)


@pytest.mark.row("R1", "S1", "F1")
def test_no_more_of_an_account_is_kept_than_the_document_has(place: Place) -> None:
    """Whatever the settings say of everybody, or an operator of one account."""
    key = place.node.accounts.create(plan="api", name="firm")[2]
    access = GatewayPolicyAccess(place.node.accounts, place.node.holding)

    def limits() -> list[object]:
        caller = access.authenticate(key.encode())
        assert caller is not None
        shown = perform(place.node, "account.show", {"id": caller.owner})
        sizes = (shown["stored_mb"], shown["telemetry_mb"], shown["reports_mb"])
        return [caller.stored, caller.stored_at_most, sizes]

    account = access.authenticate(key.encode())
    assert account is not None
    found = [limits()]
    hold(place, edited(("\n[dates]\n", f"{SIZES}\n[dates]\n")))
    found.append(limits())
    for own in (0, 100, 2):
        perform(place.node, "account.limit", {"account": account.owner, "stored_mb": own})
        found.append(limits())
    most = 7 << 20
    assert [
        [None, 0, (0, 4096, 1024)],
        [None, most, (7, 5, 3)],
        [most, most, (7, 5, 3)],
        [most, most, (7, 5, 3)],
        [2 << 20, most, (2, 5, 3)],
    ] == found


OWN = b"""
format = "bailee-own-policy/1"

[[bound]]
id = "own.nobody-else"
of = "metrics"
only = ["store"]
en = "What our agents measure is passed on to nobody."

[[bound]]
id = "own.no-errors"
of = "errors"
only = []
en = "No errors of our agents are kept."
"""


@pytest.mark.row("S1", "S2")
def test_an_organisation_says_where_its_measurements_go(place: Place) -> None:
    """Of what its keys send, and of what the server measures of exchanges with one; what others
    send goes where the operator has it.
    """
    node = place.node
    acme = perform(node, "organisation.create", {"name": "Acme", "plan": "team"})
    accounts = acme["account"], place.account
    made = [node.accounts.create_key(one, "k", by=OPERATOR) for one in accounts]
    keys = [secret for _, secret in made]
    access = TelemetryPolicyAccess(node)

    def places() -> list[object]:
        found = []
        for secret in keys:
            sender = access.sender(secret.encode())
            key = node.accounts.authenticate(secret.encode(), sending=True)
            assert sender is not None and key is not None
            measured = [own_terms(node, one, key[0].key_id).places for one in (METRIC, ERROR)]
            assert [*sender.places.values()] == measured
            found.append(tuple(measured))
        return found

    everywhere = ("store", "onward")
    before = places()
    node.holding.take_own(acme["organisation"], OwnHeld(OWN, 2))
    own = places()
    hold(place, edited(*STRICTER))
    both = places()
    assert [(everywhere, everywhere)] * 2 == before
    assert [(("store",), ()), (everywhere, everywhere)] == own
    assert [(("store",), ()), (("store",), ())] == both


@pytest.mark.row("R1", "S1", "F1")
def test_an_organisation_has_less_of_it_kept(place: Place) -> None:
    """Of sessions, measurements and reports: of its own account, and of no other; whatever is
    smallest of both documents and what was set.
    """
    node = place.node
    acme = perform(node, "organisation.create", {"name": "Acme", "plan": "team"})
    secrets = [node.accounts.create_key(acme["account"], "k", by=OPERATOR)[1]]
    secrets.append(node.accounts.create(plan="api", name="firm")[2])
    access = GatewayPolicyAccess(node.accounts, node.holding)

    def limits() -> list[object]:
        found = []
        for secret in secrets:
            caller = access.authenticate(secret.encode())
            assert caller is not None
            shown = perform(node, "account.show", {"id": caller.owner})
            sizes = (shown["stored_mb"], shown["telemetry_mb"], shown["reports_mb"])
            found.append((caller.stored_at_most >> 20, sizes))
        return found

    own = 'format = "bailee-own-policy/1"\n' + "".join(
        f'[[bound]]\nid = "own.{of.replace("_", "-")}"\nof = "{of}"\nat_most = "{most} MiB"\n'
        'en = "Of us {at_most} are kept."\n'
        for of, most in (("stored", 6), ("stored_measurements", 9), ("stored_reports", 2))
    )
    node.holding.take_own(acme["organisation"], OwnHeld(own.encode(), 2))
    found = [limits()]
    hold(place, edited(("\n[dates]\n", f"{SIZES}\n[dates]\n")))
    found.append(limits())
    perform(node, "account.limit", {"account": acme["account"], "stored_mb": 100})
    found.append(limits())
    theirs = (7, (7, 5, 3))
    assert [
        [(6, (6, 9, 2)), (0, (0, 4096, 1024))],
        [(6, (6, 5, 2)), theirs],
        [(6, (6, 5, 2)), theirs],
    ] == found
