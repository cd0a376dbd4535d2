"""A turn that goes in circles ends; one that gets on does not."""

from __future__ import annotations

from bailee.agent import events
from bailee.agent.ports import Call, Intent, ToolOutcome
from bailee.agent.progress import MALFORMED, REPEATS, TurnProgress

INTENT = Intent("Bash", "x", "x")


def ended(said: str, *, error: bool = False, malformed: bool = False) -> events.ToolEnded:
    """What came of a call that is always the same."""
    call = Call("t", "Bash", {"command": "make"})
    return events.ToolEnded(call, INTENT, ToolOutcome(said, is_error=error), malformed)


def answers_until_stuck(*rounds: list[events.Event], most: int = 100) -> int:
    """How many answers it takes, the last of `rounds` repeated."""
    progress = TurnProgress()
    for number in range(most):
        for event in rounds[min(number, len(rounds) - 1)]:
            progress.take(event)
        if progress.stuck():
            return number + 1
    return most


def test_a_malformed_call_is_answered_once() -> None:
    """A second answer in a row with nothing else ends the turn; one with more does not."""
    bad = ended("no such tool", error=True, malformed=True)
    good = [ended("1")]
    assert MALFORMED == answers_until_stuck([bad])
    assert 1 + MALFORMED == answers_until_stuck(good, [bad])
    assert 2 + MALFORMED == answers_until_stuck([bad], good, [bad])
    assert MALFORMED < answers_until_stuck([bad, ended("2")])


def test_the_same_again_and_what_only_fails_has_an_end() -> None:
    """A call repeated to the same end, failures and refusals are no progress."""
    refused = events.CallRefused(Call("t", "Bash", {}), INTENT, "no")
    assert REPEATS + 1 == answers_until_stuck([ended("pending")])
    assert REPEATS == answers_until_stuck([ended("failed", error=True)])
    assert REPEATS == answers_until_stuck([refused])


def test_news_begins_the_count_anew() -> None:
    """Work that comes to something else each time goes on for as long as it likes."""
    progress = TurnProgress()
    for number in range(10 * REPEATS):
        progress.take(ended(str(number // 3)))
        assert not progress.stuck()
    assert not progress.stuck(), "an answer without calls ends nothing"
