"""Whether a session may be trained on, over all orders of choosing, starting and resuming."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bailee.errors import InputError
from bailee.policy import load
from bailee.training.eligibility import Standing, Use, decide

POLICY = load(None)
START = datetime(2025, 9, 1, tzinfo=UTC)
PRO = Use("pro", "api")


class Choosing(RuleBasedStateMachine):
    """One consumer, three sessions. The model keeps the whole history as a list of words and reads
    it from its end; the code under test knows two moments.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.history: list[str | int] = []
        self.standing = Standing("none", None)
        self.last_request: dict[int, datetime] = {}

    def _note(self, event: str | int) -> datetime:
        self.history.append(event)
        self.now += timedelta(seconds=1)
        return self.now

    @rule(choice=st.sampled_from(["allowed", "refused"]))
    def choose(self, choice: str) -> None:
        """Choose, or choose again, the same or otherwise."""
        self.standing = Standing(choice, self._note(choice))

    @rule(session=st.integers(0, 2))
    def use(self, session: int) -> None:
        """Start or resume a session."""
        self.last_request[session] = self._note(session)

    @invariant()
    def only_what_was_used_since_the_present_yes(self) -> None:
        """Eligible is what stands after the last word, if that is a yes."""
        words = [n for n, event in enumerate(self.history) if isinstance(event, str)]
        since = self.history[words[-1] :] if words else []
        expected = set(since[1:]) if since and since[0] == "allowed" else set()
        found = {
            session
            for session, at in self.last_request.items()
            if decide(POLICY, self.standing, [PRO], at).effect == "allow"
        }
        assert expected == found


TestChoosing = Choosing.TestCase


def test_allowing_again_does_not_reach_back() -> None:
    """Used while allowed, then withdrawn, then allowed again: not eligible until it is resumed."""
    used = START
    again = Standing("allowed", START + timedelta(days=2))
    assert "train.inactive" == decide(POLICY, again, [PRO], used).clause
    assert "allow" == decide(POLICY, again, [PRO], START + timedelta(days=3)).effect


def test_the_same_instant_does_not_count() -> None:
    """What happens at the very moment of the choice is not after it."""
    assert "deny" == decide(POLICY, Standing("allowed", START), [PRO], START).effect


@given(
    plans=st.lists(
        st.tuples(st.sampled_from(sorted(POLICY.plans)), st.sampled_from(["api", "bedrock"])),
        min_size=1,
        max_size=4,
    ),
    choice=st.sampled_from(["allowed", "refused", "none"]),
    partner=st.booleans(),
)
def test_every_use_must_be_allowed(
    plans: list[tuple[str, str]], choice: str, partner: bool
) -> None:
    """A session that was used with several plans or channels is eligible if it were with each."""
    since = START - timedelta(days=1)
    standing = Standing(choice, since, partner, since if partner else None)
    uses = [Use(*use) for use in plans]
    alone = [decide(POLICY, standing, [use], START).effect for use in uses]
    together = decide(POLICY, standing, uses, START).effect
    assert ("allow" if set(alone) == {"allow"} else "deny") == together


@pytest.mark.parametrize("channel", ["bedrock", "vertex"])
def test_a_partner_has_their_own_word(channel: str) -> None:
    """An organisation's sessions count from its joining, not from a consumer's choice, and one that
    was ever on another channel never does.
    """
    joined = START + timedelta(days=1)
    standing = Standing("allowed", START, partner_programme=True, joined_at=joined)
    team = Use("team", "api")
    assert "train.inactive" == decide(POLICY, standing, [team], START + timedelta(hours=1)).clause
    after = joined + timedelta(hours=1)
    assert "train.partner" == decide(POLICY, standing, [team], after).clause
    mixed = decide(POLICY, standing, [team, Use("team", channel)], after)
    assert "train.partner-other-channel" == mixed.clause


def test_no_use_is_refused() -> None:
    """Nothing is assumed about a session of which no use is known."""
    with pytest.raises(InputError):
        decide(POLICY, Standing("allowed", START), [], START + timedelta(days=1))
