"""References of receipts: nobody makes one but the home, and each leads to its own receipt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.keeping.reference import id_of, reference

KEY, ANOTHER = bytes(32), bytes([1]) * 32


@pytest.mark.row("R6")
@given(st.text())
def test_a_reference_leads_to_its_receipt(receipt: str) -> None:
    """Whatever the id, and under no other home's key."""
    made = reference(KEY, receipt)
    assert receipt == id_of(KEY, made)
    assert id_of(ANOTHER, made) is None


@pytest.mark.row("R6")
@given(st.text(), st.text(alphabet="0123456789abcdef.", max_size=40))
def test_nothing_else_does(receipt: str, guess: str) -> None:
    """Not an id by itself, and not with another ending."""
    assert id_of(KEY, receipt) is None
    made = f"{receipt}.{guess}"
    assert (receipt if made == reference(KEY, receipt) else None) == id_of(KEY, made)
