"""What is held for records, and that what is not kept has no place to be held."""

from __future__ import annotations

import inspect

import pytest

from bailee.admission import Over
from bailee.gateway.answers import error_answer
from bailee.gateway.recording import Keeping, NotKept, over_share
from bailee.vault.exchange import Terms


@pytest.mark.row("R2")
def test_what_is_not_kept_can_not_hold_bytes() -> None:
    """NotKept has two fields, each a word, and no method; Keeping can't be made without terms."""
    assert ["clause", "why"] == [name for name in dir(NotKept) if not name.startswith("_")]
    assert not hasattr(NotKept("x"), "__dict__")
    methods = [
        name for name, _ in inspect.getmembers(NotKept, inspect.isfunction) if name != "__init__"
    ]
    assert [] == methods
    with pytest.raises(TypeError):
        Keeping()  # type: ignore[call-arg]
    assert "P30D" == Keeping(Terms("P30D", "c", "d")).terms.period


@pytest.mark.parametrize(
    ("over", "says"),
    [
        (Over("key", "requests", 7), "This key has 7 requests under way"),
        (Over("account", "memory", 0), "This account holds as much"),
        (Over("account", "writing", 0), "still being written"),
    ],
)
def test_who_is_over_a_share_is_told_to_come_again(over: Over, says: str) -> None:
    """As a rate limit, in the words of the share."""
    error = over_share(over)
    assert (429, True) == (error.http_status, says in error.message)
    assert "rate_limit_error" == error.api_body()["error"]["type"]  # type: ignore[index]
    assert b"\r\nretry-after: " in error_answer(error, "req_1", close=False)
