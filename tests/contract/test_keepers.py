"""One life for all that is kept: each keeper's things are held, erased, swept, receipted alike."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bailee.accounts import OPERATOR
from bailee.errors import BaileeError, InputError
from bailee.feedback.reports import Origin
from bailee.keyring import signing
from bailee.node import Node
from bailee.vault.exchange import Terms
from support.clients.asking import perform
from support.homes.captured import begun, end
from support.machines.cloud_yard import Yard

MATTER = "matter 7 before the court"
PLANTED = "medlar"


@dataclass
class Kept:
    """A home in which an account has one thing that is kept. `shown`: its owner reads it."""

    yard: Yard
    thing: str
    name: str
    classes: set[str]
    shown: Callable[[], bool]

    @property
    def node(self) -> Node:
        """The home."""
        return self.yard.node

    def ask(self, operation: str, **values: Any) -> Any:
        """Ask as the operator."""
        found = perform(self.node, operation, values)
        return list(found) if isinstance(found, Iterator) else found

    def hold(self) -> str:
        """Hold it."""
        held = self.ask("hold.place", reason=MATTER, **{self.name: self.thing})
        assert ("placed", self.thing) == (held["state"], held[self.name])
        return str(held["hold"])

    def receipts(self) -> list[dict[str, Any]]:
        """Its receipts."""
        found: list[dict[str, Any]] = self.ask("retention.receipts", subject=self.thing)
        return found

    def states(self) -> set[str]:
        """How far they have come."""
        return {one["state"] for one in self.receipts()}

    def keys(self) -> list[str]:
        """Those of its keys that nothing has destroyed."""
        keeper = self.node.holds.keeper(self.thing)
        return self.node.keyring.living(list(keeper.keys_of(self.thing).values()))

    def sweep(self) -> None:
        """Sweep, so that no step fails."""
        assert {} == self.node.sweep(self.yard.clock()).failures

    def erase(self) -> str:
        """Erase whose it is; how far that has come."""
        done = self.node.erasures.request(
            self.yard.account.account_id, self.yard.clock(), by=OPERATOR
        )
        return done.state


def session(yard: Yard) -> Kept:
    """A session of the vault."""
    account = yard.account.account_id
    end(yard.node, begun(yard.node, account, "s", PLANTED))
    yard.node.vault.settle()
    (row,) = yard.node.vault.sessions(yard.clock(), account)

    def shown() -> bool:
        try:
            return bool(yard.node.vault.show(row.id, yard.clock()))
        except BaileeError:
            return False

    return Kept(yard, row.id, "session", {"transcript"}, shown)


def report(yard: Yard) -> Kept:
    """A bug report."""
    made = yard.node.reports.keep(
        Origin(yard.account.account_id, None, "key_1"),
        {"description": PLANTED},
        Terms("P30D", "retain.test", "d" * 64),
        None,
    )

    def shown() -> bool:
        try:
            found = yard.node.reports.get(made.id, yard.clock())
            return bool(yard.node.reports.open(found))
        except BaileeError:
            return False

    return Kept(yard, made.id, "report", {"feedback_report"}, shown)


def cloud_session(yard: Yard) -> Kept:
    """What a cloud session left."""

    async def live() -> str:
        async with yard.open() as sessions:
            one = yard.request(sessions)
            await sessions.run(one)
            return one

    thing = asyncio.run(live())
    record = yard.node.cloud.records.get(thing)
    assert yard.node.cloud.append(record, "cloud_output", {"events": [PLANTED]}, yard.clock())
    classes = {one.data_class for one in yard.node.cloud.holdings(thing)}
    store = yard.node.cloud

    def shown() -> bool:
        return any(list(store.read(thing, one, yard.clock())) for one in classes)

    return Kept(yard, thing, "cloud_session", classes, shown)


@pytest.fixture(params=[session, report, cloud_session], ids=lambda one: one.__name__)
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kept]:
    """A thing of each keeper, in a home of its own."""
    yard = Yard(tmp_path)
    yield request.param(yard)
    yard.node.close()


PAST = timedelta(days=30, minutes=31)


@pytest.mark.row("R5", "R6")
def test_each_keeper_is_one_of_these(kept: Kept) -> None:
    """Who adds a keeper has it live this life too."""
    assert {"session", "report", "cloud session"} == {one.what for one in kept.node.keepers}
    assert kept.shown()
    assert len(kept.classes) == len(kept.keys())


@pytest.mark.row("R5")
def test_it_goes_at_its_time_and_leaves_a_receipt_that_says_nobody_asked(kept: Kept) -> None:
    """Past its time it is read by nobody; the sweep destroys its keys. Its receipt, or that of the
    key that it was under with others, says so and names nobody.
    """
    kept.yard.clock.advance(PAST)
    assert not kept.shown()
    kept.sweep()
    assert [] == kept.keys()
    found = kept.receipts() or kept.ask("retention.receipts")
    assert all(one["by"] is None and "key_destroyed" in one["states"] for one in found)
    assert kept.classes == {one["data_class"] for one in found}
    before = len(kept.ask("retention.receipts"))
    kept.sweep()
    assert before == len(kept.ask("retention.receipts"))


@pytest.mark.row("R6")
def test_its_owner_is_erased_and_the_receipts_say_who_asked(kept: Kept) -> None:
    """Each class has a receipt that names who asked; the erasure's own names each."""
    assert "done" == kept.erase()
    assert ([], False) == (kept.keys(), kept.shown())
    found = kept.receipts()
    assert {("operator", "key_destroyed")} == {(one["by"], one["state"]) for one in found}
    assert kept.classes == {one["data_class"] for one in found}
    (erasure,) = kept.ask("receipts.list")
    parts = erasure["signed"]["receipt"][f"{kept.name}s"]
    assert {(kept.thing, one) for one in kept.classes} == {
        (part[kept.name], part["data_class"]) for part in parts
    }


@pytest.mark.row("R5", "R6")
@pytest.mark.parametrize("end_of_it", ["time", "erasure", "time, then erasure"])
def test_what_is_held_ends_when_it_is_released(kept: Kept, end_of_it: str) -> None:
    """Time and an erasure are deferred, and shown so; nobody reads it meanwhile. Releasing the last
    hold does what waited, once.
    """
    first, second = kept.hold(), kept.hold()
    if end_of_it.startswith("time"):
        kept.yard.clock.advance(PAST)
        kept.sweep()
        kept.sweep()
    if end_of_it.endswith("erasure"):
        assert "deferred" == kept.erase()
    assert ([], False, {"deferred"}) == (kept.keys(), kept.shown(), kept.states())
    count = len(kept.receipts())
    assert {first, second} == {one["hold"] for one in kept.ask("hold.list")}

    assert [] != kept.ask("hold.read", id=first, reason="asked for by the court")
    kept.ask("hold.release", id=first)
    kept.sweep()
    assert {"deferred"} == kept.states()
    assert any(PLANTED in one for one in kept.ask("hold.read", id=second, reason="for the court"))
    kept.ask("hold.release", id=second)
    assert ({"key_destroyed"}, count) == (kept.states(), len(kept.receipts()))
    assert [] == kept.node.keyring.subjects("held:")
    with pytest.raises(InputError, match="released"):
        kept.ask("hold.read", id=second, reason="for the court")
    if end_of_it.endswith("erasure"):
        assert "done" == kept.ask("receipts.list")[0]["state"]
    kept.sweep()
    assert count == len(kept.receipts())


@pytest.mark.row("R6")
def test_a_start_finishes_what_a_release_began(kept: Kept) -> None:
    """A hold that is to be released is, at the next sweep; what waited goes."""
    hold = kept.hold()
    kept.yard.clock.advance(PAST)
    kept.sweep()
    kept.node.holds.begin_release(hold)
    kept.sweep()
    assert {"key_destroyed"} == kept.states()
    assert "released" == kept.node.holds.get(hold).state


@pytest.mark.row("R6", "P4")
def test_what_is_held_is_read_for_its_matter_by_the_operator_and_on_record_first(
    kept: Kept,
) -> None:
    """Without a reason it is not read, nor by who is no operator; the reason is on record, when
    whose it is was erased too.
    """
    hold = kept.hold()
    assert "deferred" == kept.erase()
    with pytest.raises(InputError, match="reason"):
        kept.ask("hold.read", id=hold)
    key = kept.ask("key.create", plan="pro", name="another")["key"]
    with pytest.raises(InputError):
        kept.ask("hold.read", id=hold, reason="for the court", key=key)
    assert [] == kept.ask("audit.list", kind="access.read")
    lines = [json.loads(line) for line in kept.ask("hold.read", id=hold, reason="for the court")]
    assert PLANTED in json.dumps(lines)
    (entry,) = kept.ask("audit.list", kind="access.read")
    assert (kept.thing, "operator", "for the court") == (
        entry["subject"],
        entry["body"]["by"],
        entry["body"]["reason"],
    )


@pytest.mark.row("C4", "R6")
def test_what_comes_to_a_held_cloud_session_later_is_held_too(tmp_path: Path) -> None:
    """A class of which nothing was there when the hold was placed is kept by it all the same."""
    yard = Yard(tmp_path)
    kept = cloud_session(yard)
    (diff,) = yard.node.cloud.delete(kept.thing, yard.clock(), by="operator")[:1]
    assert "key_destroyed" == diff.state
    record = yard.node.cloud.records.get(kept.thing)
    assert yard.node.cloud.append(record, "cloud_output", {"events": []}, yard.clock())
    hold = kept.hold()
    assert yard.node.cloud.append(record, "cloud_diff", {"diff": PLANTED}, yard.clock())
    assert f"held:{hold}/cloud_diff" in yard.node.keyring.subjects("held:")  # whichever goes first
    kept.yard.clock.advance(PAST)
    kept.sweep()
    assert any(PLANTED in one for one in kept.ask("hold.read", id=hold, reason="for the court"))
    assert not yard.node.cloud.append(record, "cloud_diff", {"diff": "more"}, yard.clock())
    yard.node.close()


@pytest.mark.row("R4", "C4")
@pytest.mark.parametrize("make", [session, cloud_session])
@pytest.mark.parametrize("chosen", ["allowed", "refused"])
def test_it_follows_a_choice(make: Callable[[Yard], Kept], chosen: Any, tmp_path: Path) -> None:
    """What was to be kept for years is gone after the short time, if its owner then refuses."""
    yard = Yard(tmp_path)
    choose = yard.node.accounts.choose_training
    choose(yard.account.account_id, "allowed", language="en", source="console")
    kept = make(yard)
    choose(yard.account.account_id, chosen, language="en", source="console")
    yard.clock.advance(PAST)
    kept.sweep()
    assert (chosen == "allowed") == kept.shown()
    yard.node.close()


@pytest.mark.row("R6")
def test_what_is_not_kept_any_more_is_not_held(kept: Kept) -> None:
    """Nor is a thing of another kind than was said."""
    other = next(one for one in ("session", "report", "cloud_session") if one != kept.name)
    with pytest.raises(InputError) as refused:
        kept.ask("hold.place", reason=MATTER, **{other: kept.thing})
    assert "not_found" == refused.value.code
    kept.yard.clock.advance(PAST)
    with pytest.raises(InputError) as refused:
        kept.hold()
    assert "not_found" == refused.value.code


@pytest.mark.row("R5", "R6")
def test_a_receipt_is_signed_and_says_who_asked(kept: Kept) -> None:
    """What is destroyed has one that anybody can verify who has the home's key."""
    other = kept.ask("key.create", plan="pro", name="another")["key"]
    kept.erase()
    one = kept.receipts()[0]
    with pytest.raises(InputError) as refused:
        kept.ask("receipts.show", id=one["receipt"], key=other)
    assert "not_found" == refused.value.code
    signed = kept.ask("receipts.show", id=one["receipt"])["signed"]
    said, by = signing.verify(signed)
    assert kept.ask("receipts.key")["public_key"] == by
    assert ("operator", kept.thing, "key_destroyed") == (said["by"], said["subject"], said["state"])
