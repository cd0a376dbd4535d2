"""Random histories of a home, told to the model and done to the product; after each act the two are
compared.

A history is a `Histories`: Hypothesis chooses its acts, or a test writes them down.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bailee.errors import InputError, PolicyDenied
from bailee.vault.exchange import CapturedExchange
from histories.model import (
    BEYOND_BACKUPS,
    DENIED,
    DESTROYED,
    SMALL,
    Model,
    Owner,
    Said,
    Session,
)
from histories.product import START, Product, client_id, step_of
from support.homes.exporting import rows_of

WORDS = {"erasure", "held_expiry"}  # the kinds of receipts that are about one session
STATES = {
    DENIED: ["inaccessible", "deferred", "key_destroyed", "backups_unrecoverable", "reclaimed"],
    DESTROYED: ["key_destroyed", "backups_unrecoverable", "reclaimed"],
    BEYOND_BACKUPS: ["backups_unrecoverable", "reclaimed"],
}
DAY = timedelta(days=1)
MOMENTS = [
    timedelta(minutes=1),
    timedelta(minutes=31),
    timedelta(hours=2),
    DAY,
    10 * DAY,
    timedelta(days=29, hours=23, minutes=50),
    31 * DAY,
    400 * DAY,
    5 * 366 * DAY,
]
STEPS = [-800 * DAY, -40 * DAY, -DAY, -timedelta(hours=3), timedelta(hours=3), 20 * DAY, 400 * DAY]
NUDGES = 10  # which together are no step
ACTS = ["nothing", "refuse", "leave", "delete", "erase", "end"]
NUMBERS = st.integers(0, 1 << 16)


class Histories(RuleBasedStateMachine):
    """One history. `template`: a home with people in it, which each begins with a copy of."""

    template: ClassVar[Product]

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="history-"))
        self.product = self.template.copy(self.folder)
        self.product.open()
        self.model = Model(
            [
                Owner("ada", "pro", consumer=True),
                Owner("bob", "free", consumer=True),
                Owner("acme", "team", consumer=False),
                Owner("firm", "api", consumer=False),
            ],
            START,
        )
        self.captured: dict[Said, CapturedExchange] = {}
        self.clients: dict[str, list[str]] = {}
        self.made = self.nudges = self.exports = 0
        self.exported: dict[str, list[tuple[Session, int]]] = {}

    def teardown(self) -> None:
        """The home is no more."""
        self.product.close()
        shutil.rmtree(self.folder)

    # -- what is said ----------------------------------------------------------------------------

    @rule(who=NUMBERS, which=NUMBERS, channel=st.sampled_from(["api", "api", "bedrock"]))
    def begin(self, who: int, which: int, channel: str = "api") -> None:
        """A request begins, in a new session or in one that was there."""
        owners = [one for one in self.model.owners if not one.erased]
        owner = owners[who % len(owners)]
        known = [one for one in self.clients.get(owner.name, []) if self.model.is_settled(one)]
        if which % (len(known) + 1) == len(known):
            self.made += 1
            client = client_id(self.made)
            self.clients.setdefault(owner.name, []).append(client)
        else:
            client = known[which % (len(known) + 1)]
        said = self.model.begin(owner, client, channel)
        self.captured[said] = self.product.begin(owner.name, client, said.text, channel)

    @precondition(lambda self: self.model.under_way)
    @rule(which=NUMBERS)
    def end(self, which: int) -> None:
        """The answer of one that is under way ends."""
        said = self.model.under_way[which % len(self.model.under_way)]
        if not self.model.is_settled(said.client):
            self.model.under_way.remove(said)  # broken off
            return
        self.product.end(self.captured[said])
        self.product.node.vault.flush()
        self.model.end(said)

    @rule(who=NUMBERS, which=NUMBERS, channel=st.sampled_from(["api", "api", "bedrock"]))
    def say(self, who: int, which: int, channel: str = "api") -> None:
        """A request and its answer."""
        self.begin(who, which, channel)
        self.end(len(self.model.under_way) - 1)

    # -- what is chosen --------------------------------------------------------------------------

    @rule(who=NUMBERS, choice=st.sampled_from(["allowed", "refused"]))
    def choose(self, who: int, choice: str) -> None:
        """A consumer chooses."""
        owners = [one for one in self.model.owners if one.consumer and not one.erased]
        if not owners:
            return
        owner = owners[who % len(owners)]
        if self.model.may_choose:
            self.product.choose(owner.name, choice)
            self.model.give_word(owner, choice)
        else:
            with pytest.raises(PolicyDenied):
                self.product.choose(owner.name, choice)

    @rule(says=st.sampled_from(["joined", "left"]), role=st.sampled_from(["admin", "member"]))
    def partner(self, says: str, role: str = "admin") -> None:
        """Somebody of the organisation gives its word; a member's is none."""
        if role == "admin":
            self.product.partner(says, role=role)
            self.model.give_word(self.model.owners[2], says)
        else:
            with pytest.raises(InputError):
                self.product.partner(says, role=role)

    # -- what is forgotten -----------------------------------------------------------------------

    @precondition(lambda self: self.model.readable)
    @rule(which=NUMBERS)
    def delete(self, which: int) -> None:
        """Somebody deletes a session."""
        session = self.model.readable[which % len(self.model.readable)]
        self.product.ask("sessions.delete", id=session.row)
        self.model.delete(session)

    @precondition(lambda self: self.model.readable)
    @rule(which=NUMBERS, days=st.sampled_from([1, 40, 300]))
    def keep(self, which: int, days: int) -> None:
        """Its owner keeps a session beyond its time."""
        session = self.model.readable[which % len(self.model.readable)]
        until = self.model.home + timedelta(days=days)
        if until > max(self.model.home, self.model.wall):
            self.product.keep(session.owner.name, session.row, until)
            self.model.keep(session, until)
        else:
            with pytest.raises(InputError):
                self.product.keep(session.owner.name, session.row, until)

    @precondition(lambda self: any(one.kept for one in self.model.readable))
    @rule(which=NUMBERS)
    def unkeep(self, which: int) -> None:
        """Its owner takes that back."""
        kept = [one for one in self.model.readable if one.kept]
        session = kept[which % len(kept)]
        self.product.unkeep(session.owner.name, session.row)
        self.model.unkeep(session)

    @precondition(lambda self: self.model.readable)
    @rule(which=NUMBERS)
    def hold(self, which: int) -> None:
        """The operator holds a session."""
        session = self.model.readable[which % len(self.model.readable)]
        placed = self.product.ask("hold.place", session=session.row, reason="a case")
        session.holds.append(placed["hold"])

    @precondition(lambda self: self.model.held)
    @rule(which=NUMBERS)
    def release(self, which: int) -> None:
        """The operator releases a hold."""
        session, hold = self.model.held[which % len(self.model.held)]
        self.product.ask("hold.release", id=hold)
        self.model.release(session, hold)

    @rule(who=NUMBERS)
    def copy(self, who: int) -> None:
        """A person asks for a copy of all that is held about them."""
        owners = [one for one in self.model.owners if one.consumer and not one.erased]
        if owners:
            owner = owners[who % len(owners)]
            wanted = {one.row for one in self.model.readable if one.owner is owner}
            assert wanted == self.product.copied(owner.name)

    @rule(who=NUMBERS)
    def erase(self, who: int) -> None:
        """A person is erased."""
        owners = [one for one in self.model.owners if one.consumer and not one.erased]
        if owners:
            owner = owners[who % len(owners)]
            self.product.erase(owner.name)
            self.model.erase(owner)

    @rule()
    def sweep(self) -> None:
        """The schedule comes round."""
        self._looked()
        self.product.sweep()
        self.model.sweep()

    @rule()
    def rotate(self) -> None:
        """The operator rotates the root."""
        self.product.ask("keyring.rotate")
        self.model.rotate()

    # -- what is trained on ------------------------------------------------------------------------

    @rule(who=NUMBERS, act=st.sampled_from(ACTS))
    def export(self, who: int, act: str = "nothing") -> None:
        """Staff export what may be trained on, and meanwhile somebody thinks again."""
        self.exports += 1
        folder = self.folder / f"dataset {self.exports}"
        self.product.export(folder, lambda: self._meanwhile(act, who))
        found = self._exported_words(folder)
        may = [one for one in self.model.readable if one.is_eligible]
        # What a choice is worth before there is one, nobody has promised.
        must = [one for one in may if self.model.may_choose or not one.owner.consumer]
        texts = {one: tuple(said.text for said in one.said) for one in may}
        assert {texts[one] for one in must} <= set(found) <= set(texts.values())
        assert len(set(found)) == len(found)
        wrong = self.product.ask("training.verify", folder=str(folder))["wrong"]
        assert [] == wrong
        self.exported[str(folder)] = [
            (one, len(one.owner.records)) for one in may if texts[one] in found
        ]

    def _meanwhile(self, act: str, who: int) -> None:
        if act == "refuse":
            self.choose(who, "refused")
        elif act == "leave":
            self.partner("left")
        elif act == "delete" and self.model.readable:
            self.delete(who)
        elif act == "erase":
            self.erase(who)
        elif act == "end":
            self.passes(31 * DAY)

    def _exported_words(self, folder: Path) -> list[tuple[str, ...]]:
        """What was said in each session of a dataset."""
        of: dict[str, list[str]] = {}
        for row in rows_of(folder):
            said = [one["content"] for one in row["messages"] if one["role"] == "user"]
            of.setdefault(row["session"], []).extend(said)
        return [tuple(said) for said in of.values()]

    @precondition(lambda self: self.exported)
    @rule(which=NUMBERS)
    def leave(self, which: int) -> None:
        """Staff ask who has left a dataset."""
        folder, sessions = list(self.exported.items())[which % len(self.exported)]
        found = self.product.ask("training.withdrawals", folder=folder)["rows"]
        wanted = 0
        for session, records in sessions:
            said_no = any(new in ("refused", "left") for _, new in session.owner.records[records:])
            still = session.is_eligible and self.model.is_readable(session)
            over = not self.model.is_readable(session)  # deleted, erased, or past its time
            wanted += over or (said_no and not still)
        assert wanted == len({row["session"] for row in found})

    # -- time ------------------------------------------------------------------------------------

    @rule(how_long=st.sampled_from(MOMENTS))
    def passes(self, how_long: timedelta) -> None:
        """Time passes."""
        self.product.fake.passes(how_long)
        self.model.passes(how_long)

    @precondition(lambda self: self.nudges < NUDGES)
    @rule(seconds=st.sampled_from([-20, -1, 1, 20]))
    def nudge(self, seconds: int) -> None:
        """The clock is set by seconds, as a time server does."""
        self.nudges += 1
        self._set(timedelta(seconds=seconds))

    @rule(by=st.sampled_from(STEPS))
    def step(self, by: timedelta) -> None:
        """The clock steps."""
        self._set(by)

    @precondition(lambda self: self.model.step is not None)
    @rule()
    def step_back(self) -> None:
        """Somebody sees it, and sets the clock right."""
        self._set(self.model.home - self.model.wall)

    @precondition(lambda self: self.model.step is not None)
    @rule()
    def confirm(self) -> None:
        """Somebody says that the clock is right."""
        self.product.ask("clock.confirm")
        self.model.follow()

    def _set(self, by: timedelta) -> None:
        self.product.fake.step(by)
        self.model.set_wall(by)
        self.product.node.clock()

    def _looked(self) -> None:
        """Somebody looks at the clock: a step that has lasted is followed."""
        self.product.node.sweeping.mind_clock()
        self.nudges = 0
        self.model.noted = True
        now = step_of(self.product)
        if self.model.must_follow or (self.model.may_follow and now is None):
            self.model.follow()

    # -- the process -----------------------------------------------------------------------------

    @rule(meanwhile=st.sampled_from([timedelta(), timedelta(minutes=20), 2 * DAY]))
    def restart(self, meanwhile: timedelta) -> None:
        """Stop, and start some time later."""
        self.product.close()
        self._starts(meanwhile)

    def _starts(self, meanwhile: timedelta) -> None:
        self.product.fake.passes(meanwhile)
        self.model.passes(meanwhile)
        self.product.open()
        self.model.starts(self.product.node.clock())
        self._looked()

    @precondition(lambda self: self.model.step is None)
    @rule(off=st.sampled_from([timedelta(minutes=3), timedelta(hours=20)]))
    def boot(self, off: timedelta) -> None:
        """The machine is off for less than a day."""
        self._looked()
        self.product.close()
        self.product.fake.boots(off)
        self.model.passes(off)
        self.product.open()
        self._looked()

    @rule(some=st.lists(NUMBERS, max_size=3), meanwhile=st.sampled_from([timedelta(), 2 * DAY]))
    def crash(self, some: list[int], meanwhile: timedelta = timedelta()) -> None:
        """The process is killed when some answers have just been acknowledged; the rest of what was
        under way is broken off.
        """
        with self.product.dies():
            for which in some:
                if self.model.under_way:
                    said = self.model.under_way[which % len(self.model.under_way)]
                    # What goes on in the last moment before its time is over, and is sealed only
                    # after it, may lose what is older (decision 82).
                    ends = self.model.home + meanwhile
                    if self.model.is_settled(said.client) and not self.model.ends(said, ends):
                        self.product.end(self.captured[said])
                        self.model.end(said)
        self.model.under_way.clear()
        self._starts(meanwhile)
        self.product.node.vault.flush()

    # -- the two agree ---------------------------------------------------------------------------

    @invariant()
    def time_agrees(self) -> None:
        """The home's time is what the model says, and so is whether a step is held."""
        model = self.model
        assert (model.home, max(model.home, model.wall)) == (
            self.product.node.clock(),
            self.product.node.latest(),
        )
        held = step_of(self.product)
        assert (model.step is None) == (held is None)
        assert model.step is None or held is None or abs(model.step - held) <= SMALL

    @invariant()
    def words_agree(self) -> None:
        """What is listed and read, until when, by which clause, for what, and if it is held."""
        shown = {row["id"]: row for row in self.product.listed()}
        words = {tuple(self.product.words(name)): name for name in shown}
        wanted = {tuple(said.text for said in one.said): one for one in self.model.readable}
        assert set(wanted) == set(words)
        for said, session in wanted.items():
            session.row = words[said]
            row = shown[session.row]
            assert self.product.accounts[session.owner.name] == row["account"]
            assert session.until.isoformat() == row["kept_until"]
            assert row["retention"]["clause"] in session.clauses
            # What a choice is worth before there is one, nobody has promised.
            if self.model.may_choose or not session.owner.consumer or not session.is_eligible:
                assert session.is_eligible == (row["training"]["effect"] == "allow")
            assert bool(session.holds) == row["held"]
            assert set() == {one.kind for one in self.product.receipts(session.row)} & WORDS

    @invariant()
    def sums_agree(self) -> None:
        """What is counted without looking at sessions is what looking at each of them counts."""
        assert not self.product.node.vault.sum_up()

    @invariant()
    def forgetting_agrees(self) -> None:
        """What is gone has its receipt and no key; what is held has a key, and says so."""
        for session in self.model.sessions:
            if not session.row:  # it was over before anybody saw it
                continue
            for hold in session.holds:
                assert self.product.has_hold_key(hold)
            for hold in session.released:
                assert not self.product.has_hold_key(hold)
            if session.since is None:
                assert self.product.has_key(session.row)
                continue
            states = [one.state for one in self.product.receipts(session.row) if one.kind in WORDS]
            if session.holds:
                assert set(states) <= {"requested", "inaccessible", "deferred"}
                if session.swept:
                    assert ["deferred"] == states
            elif states:
                least = max(session.forgotten, DENIED)
                assert [] == [one for one in states if one not in STATES[least]]
            else:
                assert not session.deleted or session.owner.erased
            if session.forgotten >= DESTROYED:
                assert not self.product.has_key(session.row)
                if not states:
                    assert self._expired(session)

    def _expired(self, session: Session) -> bool:
        """Whether a receipt says of an epoch that its keys are gone."""
        least = STATES[session.forgotten]
        return any(
            one.kind == "expiry" and one.state in least for one in self.product.node.receipts.all()
        )

    @invariant()
    def owners_agree(self) -> None:
        """Plans, choices, their records, who is asked, and whose erasure has come how far."""
        node = self.product.node
        for owner in self.model.owners:
            account = node.accounts.get(self.product.accounts[owner.name])
            assert owner.plan == account.plan
            if owner.consumer:
                assert owner.says == account.training_choice
            assert (owner.says == "joined") == account.partner_programme
            records = self.product.records(owner.name)
            assert owner.records == [(one.old, one.new) for one in records]
            assert all(one.actor and node.policy.sha256 == one.notice for one in records)
            moments = [one.at for one in records]
            assert sorted(set(moments)) == moments
            asked = node.registry.choices.asked(account).effect
            assert owner.erased or self.model.is_asked(owner) == (asked == "ask")
            if owner.erased:
                erasure = node.erasures.rows.of(account.account_id)
                assert erasure is not None
                held = any(one.holds for one in self.model.sessions if one.owner is owner)
                assert erasure.state == ("deferred" if held else "done")


Acts = Callable[[Histories], Iterable[object]]
"""What happens in a history, act by act."""


def tell(acts: Acts) -> None:
    """One history, compared after each act."""
    history = Histories()
    try:
        for _ in acts(history):
            history.time_agrees()
            history.words_agree()
            history.forgetting_agrees()
            history.owners_agree()
    finally:
        history.teardown()
