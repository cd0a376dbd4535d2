"""Whether a session may be trained on, over all orders of choosing, starting and resuming."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bailee.errors import InputError
from bailee.policy import load
from bailee.policy.holding import InForce
from bailee.training.eligibility import OwnerStanding, Use, decide

POLICY = load(None)
HELD = InForce(POLICY)
PRO = Use("pro", "api")


class Choosing(RuleBasedStateMachine):
    """One consumer, three sessions. The model keeps the whole history as a list of words and reads
    it from its end; the code under test knows two numbers.
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: list[str | int] = []
        self.standing = OwnerStanding("none", 0)
        self.last_consent: dict[int, int] = {}

    @rule(choice=st.sampled_from(["allowed", "refused"]))
    def choose(self, choice: str) -> None:
        """Choose, or choose again, the same or otherwise."""
        self.history.append(choice)
        self.standing = OwnerStanding(choice, len(self.history))

    @rule(session=st.integers(0, 2))
    def use(self, session: int) -> None:
        """Start or resume a session."""
        self.history.append(session)
        self.last_consent[session] = self.standing.chosen

    @invariant()
    def only_what_was_used_since_the_present_yes(self) -> None:
        """Eligible is what stands after the last word, if that is a yes."""
        words = [n for n, event in enumerate(self.history) if isinstance(event, str)]
        since = self.history[words[-1] :] if words else []
        expected = set(since[1:]) if since and since[0] == "allowed" else set()
        found = {
            session
            for session, last in self.last_consent.items()
            if decide(HELD, self.standing, [PRO], last).effect == "allow"
        }
        assert expected == found


TestChoosing = Choosing.TestCase


def test_allowing_again_does_not_reach_back() -> None:
    """Used while allowed, then withdrawn, then allowed again: not eligible until it is resumed."""
    again = OwnerStanding("allowed", 3)
    assert "train.inactive" == decide(HELD, again, [PRO], 1).clause
    assert "allow" == decide(HELD, again, [PRO], 3).effect


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
    standing = OwnerStanding(choice, 1, partner, 1 if partner else 0)
    uses = [Use(*use) for use in plans]
    alone = [decide(HELD, standing, [use], 1).effect for use in uses]
    together = decide(HELD, standing, uses, 1).effect
    assert ("allow" if set(alone) == {"allow"} else "deny") == together


@pytest.mark.parametrize("channel", ["bedrock", "vertex"])
def test_a_partner_has_their_own_word(channel: str) -> None:
    """An organisation's sessions count from its joining, not from a consumer's choice, and one that
    was ever on another channel never does.
    """
    standing = OwnerStanding("allowed", 1, partner_programme=True, joined=2)
    team = Use("team", "api")
    assert "train.inactive" == decide(HELD, standing, [team], 1).clause
    assert "train.partner" == decide(HELD, standing, [team], 2).clause
    mixed = decide(HELD, standing, [team, Use("team", channel)], 2)
    assert "train.partner-other-channel" == mixed.clause


def test_no_use_is_refused() -> None:
    """Nothing is assumed about a session of which no use is known."""
    with pytest.raises(InputError):
        decide(HELD, OwnerStanding("allowed", 1), [], 1)
