"""Training exports between the acts of a history, and in their midst."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from bailee.training.exports import Exports
from histories.histories import Acts, Histories, tell
from histories.product import Product

ADA, BOB, ACME = 0, 1, 2


def _say(history: Histories, who: int, channel: str = "api") -> None:
    """A request and its answer, in a new session."""
    known = history.clients.get(history.model.owners[who].name, [])
    history.say(who, len(known), channel)


def _people(history: Histories) -> Iterable[object]:
    """Two sessions of each, of which those may be trained on that came after a yes."""
    for who in (ADA, BOB, ACME):
        yield _say(history, who)
    yield history.choose(ADA, "allowed")
    yield history.choose(BOB, "refused")
    yield history.partner("joined")
    for who in (ADA, ADA, BOB, ACME, ACME):
        yield _say(history, who)
    yield _say(history, ACME, "bedrock")


def withdrawn(history: Histories) -> Iterable[object]:
    """A person withdraws while an export is written; then the other export is asked who left."""
    yield from _people(history)
    yield history.export(ADA)
    yield history.export(ADA, "refuse")
    yield history.leave(0)
    yield history.leave(1)


def resumed(history: Histories) -> Iterable[object]:
    """A withdrawal is taken back: the resumed session is in it again, the others are not."""
    yield from _people(history)
    yield history.export(ADA)
    yield history.choose(ADA, "refused")
    yield history.choose(ADA, "allowed")
    yield history.export(ADA)
    yield history.say(ADA, 1)
    yield history.export(ADA)
    yield history.leave(0)


def left(history: Histories) -> Iterable[object]:
    """An organisation leaves the programme in the midst."""
    yield from _people(history)
    yield history.export(ACME, "leave")
    yield history.leave(0)
    yield history.export(ACME)


def deleted(history: Histories) -> Iterable[object]:
    """Sessions are deleted and held in the midst, and after; what is held only is not exported."""
    yield from _people(history)
    yield history.hold(0)
    yield history.export(0, "delete")
    for which in range(3):
        yield history.delete(which)
    yield history.export(0)
    yield history.leave(0)


def erased(history: Histories) -> Iterable[object]:
    """A person is erased in the midst."""
    yield from _people(history)
    yield history.export(ADA)
    yield history.export(ADA, "erase")
    yield history.leave(0)
    yield history.leave(1)


def ended(history: Histories) -> Iterable[object]:
    """The time of the commercial sessions ends in the midst."""
    yield from _people(history)
    yield history.export(ACME, "end")
    yield history.sweep()
    yield history.export(ACME)
    yield history.leave(0)


@pytest.mark.row("T4", "T5", "T6", "T7")
@pytest.mark.parametrize("acts", [withdrawn, resumed, left, deleted, erased, ended])
def test_a_dataset_has_exactly_what_the_model_allows(acts: Acts) -> None:
    """At its end, whatever happened while it was written; and who left since is listed."""
    tell(acts)


@pytest.mark.row("T7")
@pytest.mark.parametrize("acts", [withdrawn, erased])
def test_what_is_not_taken_out_is_found(monkeypatch: pytest.MonkeyPatch, acts: Acts) -> None:
    """A product that decides when it lends, and not again, does not agree with the model."""
    monkeypatch.setattr(Exports, "_left", lambda *_: {})
    monkeypatch.setattr(Product, "shard", 100)  # all is written by then, in whichever order
    with pytest.raises(AssertionError):
        tell(acts)
