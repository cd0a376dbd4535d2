"""Which terms hold for a session after a choice."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.policy.period import expires_at
from bailee.vault.exchange import Terms
from bailee.vault.terms import Present, governing, known_consent

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
TERMS = st.builds(
    Terms, st.sampled_from(["P0D", "P30D", "P6M", "P5Y"]), st.sampled_from("abc"), st.just("d")
)


@given(held=TERMS, given=TERMS, since=st.integers(0, 5), last=st.integers(0, 5))
def test_a_choice_lengthens_only_what_is_resumed(
    held: Terms, given: Terms, since: int, last: int
) -> None:
    """Resumed since: what the choice gives. Not resumed: never longer than it was, and no longer
    than the choice gives. Judging again changes nothing.
    """
    present = Present(given, since, since)
    now = governing(held, present, last_consent=last, last_activity=NOON)
    if last >= since:
        assert given == now
    else:
        end = min(expires_at(NOON, held.period), expires_at(NOON, given.period))
        assert end == expires_at(NOON, now.period)
    assert now == governing(now, present, last_consent=last, last_activity=NOON)


def test_what_is_not_known_changes_nothing() -> None:
    """Without a present choice, what was captured holds."""
    held = Terms("P5Y", "a", "d")
    assert held == governing(held, None, last_consent=1, last_activity=NOON)


@pytest.mark.parametrize(("brought", "counts"), [(0, 0), (3, 3), (7, 7), (8, 0)])
def test_a_number_of_another_history_is_none(brought: int, counts: int) -> None:
    """What names a choice that this home has not come to was not said under the present one."""
    assert counts == known_consent(brought, Present(Terms("P5Y", "a", "d"), 5, 7))
