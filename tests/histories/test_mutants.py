"""Defects put into the product on purpose: the histories find each of them.

Each is one rule of the product left out, with a short history that needs the rule. The same history
of the product as it is agrees with the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from bailee import steady
from bailee.accounts import Accounts
from bailee.db.vault import holds
from bailee.keyring import Keyring, rotation
from bailee.node.deciding import Deciding
from bailee.node.following import Following
from bailee.node.node import Node
from bailee.policy import Decision
from bailee.policy.period import expires_at
from bailee.training import eligibility
from bailee.vault import batch, forgetting, moving
from bailee.vault.forgetting import Forgetting
from bailee.vault.prolonging import Prolonging
from bailee.vault.tombstones import Tombstones
from bailee.vault.transcript import SessionRow
from bailee.vault.vault import Vault
from histories.histories import DAY, Acts, Histories, tell

ADA, ACME = 0, 2
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
NEW = 1 << 16  # no session of so few: a new one
Defect = Callable[[pytest.MonkeyPatch], None]


def _by_time(self: Deciding, session: SessionRow) -> Decision:
    owner = self._accounts.get(session.owner)
    active = owner.chosen_at is None or session.last_activity > owner.chosen_at
    standing = eligibility.OwnerStanding(owner.training_choice, 1, owner.partner_programme, 1)
    uses = (eligibility.Use(*use.split("/")) for use in session.uses.split())
    return eligibility.decide(self._holding.now, standing, uses, int(active))


def _by_the_first_use(*arguments: Any) -> Decision:
    policy, standing, uses, last = arguments
    return eligibility._one(policy, standing, next(iter(uses)), last)


def under_way(history: Histories) -> Iterable[object]:
    """Said under a refusal, answered under an allowance."""
    yield history.choose(ADA, "refused")
    yield history.begin(ADA, NEW)
    yield history.passes(HOUR)
    yield history.choose(ADA, "allowed")
    yield history.passes(HOUR)
    yield history.end(0)


def before(history: Histories) -> Iterable[object]:
    """Said under a refusal, allowed, not gone on with."""
    yield history.choose(ADA, "refused")
    yield history.say(ADA, NEW)
    yield history.choose(ADA, "allowed")


def withdrawn(history: Histories) -> Iterable[object]:
    """Said under an allowance, then refused."""
    yield history.choose(ADA, "allowed")
    yield history.say(ADA, NEW)
    yield history.choose(ADA, "refused")


def mixed(history: Histories) -> Iterable[object]:
    """In the partner programme, begun on the first-party API, gone on with on Bedrock."""
    yield history.partner("joined")
    yield history.say(ACME, NEW)
    yield history.say(ACME, 0, "bedrock")


def held(history: Histories) -> Iterable[object]:
    """Held, past its time, released."""
    yield history.say(ADA, NEW)
    yield history.hold(0)
    yield history.passes(31 * DAY)
    yield history.sweep()
    yield history.release(0)
    yield history.sweep()


def over(history: Histories) -> Iterable[object]:
    """Past its time."""
    yield history.say(ADA, NEW)
    yield history.passes(31 * DAY)
    yield history.sweep()


def deleted(history: Histories) -> Iterable[object]:
    """Deleted while a turn of it is under way."""
    yield history.say(ADA, NEW)
    yield history.begin(ADA, 0)
    yield history.delete(0)
    yield history.end(0)


def ahead(history: Histories) -> Iterable[object]:
    """The clock a year ahead, and set right."""
    yield history.say(ADA, NEW)
    yield history.step(400 * DAY)
    yield history.sweep()
    yield history.step_back()


def years_back(history: Histories) -> Iterable[object]:
    """Before there is a choice, somebody makes it."""
    yield history.step(-800 * DAY)
    yield history.confirm()
    yield history.choose(ADA, "allowed")


def killed(history: Histories) -> Iterable[object]:
    """Killed when an answer has just been acknowledged."""
    yield history.begin(ADA, NEW)
    yield history.crash([0])


def rotated(history: Histories) -> Iterable[object]:
    """The clock set back, which is confirmed; deleted and rotated by the earlier time."""
    yield history.say(ADA, NEW)
    yield history.step(-40 * DAY)
    yield history.confirm()
    yield history.say(ADA, 1)
    yield history.delete(0)
    yield history.sweep()
    yield history.rotate()


def kept(history: Histories) -> Iterable[object]:
    """Kept by its owner, gone on with, past its own time, taken back."""
    yield history.say(ADA, NEW)
    yield history.keep(0, 300)
    yield history.say(ADA, 0)
    yield history.passes(31 * DAY)
    yield history.sweep()
    yield history.unkeep(0)
    yield history.passes(HOUR)
    yield history.sweep()


def kept_and_refused(history: Histories) -> Iterable[object]:
    """Said under an allowance, kept by its owner, then refused."""
    yield history.choose(ADA, "allowed")
    yield history.say(ADA, NEW)
    yield history.keep(0, 300)
    yield history.choose(ADA, "refused")


def _by_its_own_time(last: datetime, period: str, _kept: datetime | None) -> datetime:
    return expires_at(last, period)


NO_HOLD = select(holds.c.subject).where(holds.c.subject.is_(None))
DEFECTS: dict[str, tuple[Defect, Acts]] = {
    "order goes by time": (lambda at: at.setattr(Deciding, "_training", _by_time), under_way),
    "eligible whatever was last consented to": (
        lambda at: at.setattr(eligibility, "active_since", lambda *_: True),
        before,
    ),
    "expiry does not follow a choice": (
        lambda at: at.setattr(Following, "follow", lambda *_: None),
        withdrawn,
    ),
    "one yes is a yes": (
        lambda at: at.setattr(eligibility, "decide", _by_the_first_use),
        mixed,
    ),
    "the sweep ignores holds": (
        lambda at: (
            at.setattr(Forgetting, "_defer_held", lambda *_: None),
            at.setattr(forgetting, "held_subjects", lambda: NO_HOLD),
        )[0],
        held,
    ),
    "keys stay": (
        lambda at: (
            at.setattr(Keyring, "destroy_due", lambda *_: []),
            at.setattr(Forgetting, "_remove_expired", lambda *_: 0),
        )[0],
        over,
    ),
    "no tombstone": (lambda at: at.setattr(Tombstones, "bury", lambda *_: False), deleted),
    "a step is believed": (lambda at: at.setattr(steady, "_BOUND", 1e12), ahead),
    "read by the home's time": (
        lambda at: at.setattr(Node, "latest", lambda self: self.clock()),
        ahead,
    ),
    "a choice before its day": (
        lambda at: at.setattr(Accounts, "check_has_choice", lambda *_: None),
        years_back,
    ),
    "when a root is gone goes by the clock": (
        lambda at: at.setattr(rotation, "gone_at", lambda lag, now: now + lag),
        rotated,
    ),
    "what is said after it was kept ends that": (
        lambda at: at.setattr(batch, "end_of", _by_its_own_time),
        kept,
    ),
    "a choice ends what is kept": (
        lambda at: at.setattr(moving, "end_of", _by_its_own_time),
        kept_and_refused,
    ),
    "what is kept is noted, and goes": (
        lambda at: at.setattr(Prolonging, "_apply", lambda *_: None),
        kept,
    ),
    "a crash loses what was acknowledged": (
        lambda at: at.setattr(Vault, "recover", lambda *_: None),
        killed,
    ),
}
HISTORIES = list({acts: None for _, acts in DEFECTS.values()})


@pytest.mark.parametrize(
    "acts", {acts: None for _, acts in DEFECTS.values()}, ids=lambda a: a.__name__
)
def test_the_product_as_it_is_agrees(acts: Acts) -> None:
    """Without a defect each of these histories agrees with the model."""
    tell(acts)


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With it, the same history does not."""
    defect, acts = DEFECTS[name]
    defect(monkeypatch)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        tell(acts)
