"""How a home's promises are judged, from what was found of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bailee.node.promises import (
    VERIFIED_WITHIN,
    LateOnes,
    Promise,
    PromiseFacts,
    Stands,
    broken,
    judged,
)
from bailee.words import LANGUAGES, words

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
LATE = LateOnes(3, NOW - timedelta(hours=2))
WELL = PromiseFacts(
    now=NOW,
    server=True,
    reasons=(),
    alerts=(),
    failing=(),
    swept=NOW,
    overdue=LateOnes(),
    deletions=LateOnes(),
    erasures=LateOnes(),
    recoverable=LateOnes(),
    snapshot_until=None,
    moves=LateOnes(),
    unasked=0,
    damaged=0,
    verified=(NOW - timedelta(days=1), 0),
    witnesses=True,
    clock_held=False,
    requests=LateOnes(),
    requests_open=0,
)

pytestmark = pytest.mark.row("P3", "R5", "R6")


def standings(facts: PromiseFacts) -> dict[Promise, Stands]:
    """How each stands."""
    return {one.promise: one.standing for one in judged(facts)}


def test_all_is_kept_where_nothing_is_late_and_all_was_looked_at() -> None:
    """Each promise has one judgement."""
    assert dict.fromkeys(Promise, Stands.KEPT) == standings(WELL)
    assert [] == broken(judged(WELL))


@pytest.mark.parametrize(
    ("promise", "changed"),
    [
        (Promise.RECORDED, {"reasons": ("not_recording",)}),
        (Promise.RECORDED, {"reasons": ("sealing_late",)}),
        (Promise.RECORDED, {"reasons": ("thread_ended",)}),
        (Promise.DESTROYED, {"overdue": LATE}),
        (Promise.DESTROYED, {"reasons": ("sweep_late",)}),
        (Promise.DESTROYED, {"failing": ("keys",)}),
        (Promise.DELETED, {"deletions": LATE}),
        (Promise.ERASED, {"erasures": LATE}),
        (Promise.UNRECOVERABLE, {"recoverable": LATE}),
        (Promise.UNRECOVERABLE, {"reasons": ("rotation_late",)}),
        (Promise.FOLLOWED, {"moves": LATE}),
        (Promise.SOUND, {"damaged": 1}),
        (Promise.SOUND, {"verified": (NOW, 2)}),
        (Promise.WITNESSED, {"alerts": ("unwitnessed",)}),
        (Promise.TIMELY, {"clock_held": True}),
        (Promise.ANSWERED, {"requests": LateOnes(1, NOW)}),
    ],
)
def test_what_breaks_one_breaks_no_other(promise: Promise, changed: Mapping[str, object]) -> None:
    """And is said of that one alone."""
    found = judged(replace(WELL, **changed))  # type: ignore[arg-type]
    assert [promise] == [one.promise for one in broken(found)]


@pytest.mark.parametrize(
    ("promises", "changed"),
    [
        ({Promise.RECORDED, Promise.WITNESSED}, {"server": False}),
        ({Promise.RECORDED}, {"reasons": ("starting",)}),
        ({Promise.DESTROYED}, {"swept": None}),
        ({Promise.SOUND}, {"verified": None}),
        ({Promise.SOUND}, {"verified": (NOW - VERIFIED_WITHIN, 0)}),
        ({Promise.SOUND}, {"verified": (NOW + timedelta(days=1), 0)}),
        ({Promise.WITNESSED}, {"witnesses": False}),
    ],
)
def test_what_nobody_has_looked_at_is_not_called_kept(
    promises: set[Promise], changed: Mapping[str, object]
) -> None:
    """Nor broken."""
    found = standings(replace(WELL, **changed))  # type: ignore[arg-type]
    assert promises == {one for one, how in found.items() if how is Stands.UNKNOWN}
    assert Stands.BROKEN not in found.values()


def test_a_snapshot_of_the_keys_is_a_promise_of_its_own() -> None:
    """Until its end it opens what was destroyed since, and that is said; it is not late."""
    facts = replace(WELL, recoverable=LATE, snapshot_until=NOW + timedelta(hours=9))
    found = {one.promise: one for one in judged(facts)}[Promise.UNRECOVERABLE]
    assert (Stands.KEPT, "snapshot", 3) == (found.standing, found.why, found.count)


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_judgement_can_be_said(language: str) -> None:
    """In both languages, whatever was found."""
    said = words(language, "terminal")  # type: ignore[arg-type]
    some = [
        WELL,
        replace(WELL, server=False, witnesses=False, swept=None, verified=None, clock_held=True),
        replace(WELL, overdue=LATE, moves=LATE, damaged=1, alerts=("unwitnessed",)),
        replace(WELL, recoverable=LATE, snapshot_until=NOW),
        replace(WELL, failing=("keys",), verified=(NOW - VERIFIED_WITHIN, 0), unasked=4),
        *(
            replace(WELL, reasons=(one,))
            for one in ("not_recording", "sealing_late", "thread_ended", "starting")
        ),
    ]
    for one in (one for facts in some for one in judged(facts)):
        assert said(f"promise.{one.promise}") and said(f"promise.stands_{one.standing}")
        assert said(f"promise.why_{one.why}", count=one.count)
