"""What came before a choice and what after, whatever the clock does meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bailee.accounts import OPERATOR
from support.homes.places import Place

SESSION = "11111111-32a5-4d0c-8f0b-0d7c3d1c1a11"
STEPS = [timedelta(days=-100), timedelta(seconds=-1), timedelta(0), timedelta(days=20)]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A home of its own."""
    made = Place(tmp_path / "home")
    yield made
    made.close()


@pytest.mark.row("T4", "R4")
@pytest.mark.parametrize("step", STEPS)
def test_what_was_said_under_a_refusal_stays_under_it(place: Place, step: timedelta) -> None:
    """Refused, said, the clock stepped, allowed: it is not trained on and no longer kept, until
    the session is resumed; the same after a restart.
    """
    place.choose("refused")
    before = place.begin(SESSION)
    under_way = place.begin(SESSION)
    place.end(before)
    place.clock.advance(step)
    place.choose("allowed")
    place.end(under_way)
    place.close()
    place.open()

    (row,) = place.node.vault.owned(place.account)
    assert ("P30D", "deny") == (row.period, place.node.deciding.training(row).effect)
    place.end(place.begin(SESSION))
    (row,) = place.node.vault.owned(place.account)
    assert ("P5Y", "allow") == (row.period, place.node.deciding.training(row).effect)


@pytest.mark.row("T4", "R1")
@pytest.mark.parametrize("step", STEPS)
def test_a_withdrawal_reaches_what_was_said_before_it(place: Place, step: timedelta) -> None:
    """Allowed, said, the clock stepped, refused: it is not trained on, and goes after 30 days."""
    place.choose("allowed")
    place.end(place.begin(SESSION))
    place.clock.advance(step)
    place.choose("refused")

    (row,) = place.node.vault.owned(place.account)
    assert ("P30D", "deny") == (row.period, place.node.deciding.training(row).effect)


@pytest.mark.row("T6")
@pytest.mark.parametrize("step", STEPS)
def test_joining_the_partner_programme_reaches_nothing_from_before(
    place: Place, step: timedelta
) -> None:
    """Said, the clock stepped, joined: not eligible before the session is resumed."""
    organisations = place.node.registry.organisations
    made, _ = organisations.create("Acme", plan="team", by=OPERATOR)
    account = organisations.account(made.organisation_id).account_id
    place.end(place.begin(SESSION, account=account))
    place.clock.advance(step)
    place.node.accounts.set_partner(account, True, language="en", source="api", by=OPERATOR)

    (row,) = place.node.vault.owned(account)
    assert "train.inactive" == place.node.deciding.training(row).clause
    place.end(place.begin(SESSION, account=account))
    (row,) = place.node.vault.owned(account)
    assert "train.partner" == place.node.deciding.training(row).clause
