"""The table of keys on a page: what it says of one whose last day has come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from jinja2 import Environment, FileSystemLoader, StrictUndefined

import bailee.console
from bailee.accounts import Account, ApiKey
from bailee.operations.key_terms import key_of
from bailee.policy import load

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
PAGES = Path(bailee.console.__file__).with_name("pages")
PAGE = '{% import "macros.html" as m with context %}{{ m.key_table(keys, "") }}'


@pytest.mark.parametrize(
    ("days", "revoked", "said"),
    [
        (8, None, "keys.good"),
        (6, None, "keys.soon"),
        (0, None, "keys.ended"),
        (None, None, "keys.good"),
        (0, NOW, "keys.revoked"),
    ],
)
def test_a_key_is_not_called_good_when_it_opens_nothing(
    days: int | None, revoked: datetime | None, said: str
) -> None:
    """From its last day on it is said to be over, as one that was revoked is; for a week before,
    that it ends.
    """
    account = Account("acc", "n", "team", "none", None, False, NOW)
    until = None if days is None else NOW + timedelta(days=days)
    key = ApiKey("key", "acc", "n", False, NOW, revoked, expires_at=until)
    environment = Environment(
        loader=FileSystemLoader(PAGES), undefined=StrictUndefined, autoescape=True
    )
    page = environment.from_string(PAGE).render(
        keys=[key_of(load(), key, account)],
        now=NOW,
        t=lambda word, **_: word,
        label=lambda *_: "",
        period=str,
        clause_text=str,
        moment=str,
        urlencode=str,
    )

    assert key.is_over(NOW) is (said not in ("keys.good", "keys.soon"))
    assert f">{said}</span>" in page
