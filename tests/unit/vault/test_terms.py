"""Which terms hold for a session after a choice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bailee.policy.period import expires_at
from bailee.vault.exchange import Terms
from bailee.vault.terms import Present, governing

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
TERMS = st.builds(
    Terms, st.sampled_from(["P0D", "P30D", "P6M", "P5Y"]), st.sampled_from("abc"), st.just("d")
)
MOMENTS = st.integers(-5, 5).map(lambda hours: NOON + timedelta(hours=hours))


@given(held=TERMS, given=TERMS, since=st.none() | MOMENTS, began=MOMENTS)
def test_a_choice_lengthens_only_what_is_resumed(
    held: Terms, given: Terms, since: datetime | None, began: datetime
) -> None:
    """Resumed since: what the choice gives. Not resumed: never longer than it was, and no longer
    than the choice gives. Judging again changes nothing.
    """
    present = Present(given, since)
    now = governing(held, present, last_request=began, last_activity=began)
    if since is None or began > since:
        assert given == now
    else:
        end = min(expires_at(began, held.period), expires_at(began, given.period))
        assert end == expires_at(began, now.period)
    assert now == governing(now, present, last_request=began, last_activity=began)


def test_what_is_not_known_changes_nothing() -> None:
    """Without a present choice, what was captured holds."""
    held = Terms("P5Y", "a", "d")
    assert held == governing(held, None, last_request=NOON, last_activity=NOON)
