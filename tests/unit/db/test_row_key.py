"""The check of a row is HMAC-SHA-256, whichever way it is worked out."""

from __future__ import annotations

import hmac

from hypothesis import given
from hypothesis import strategies as st

from bailee.db.checks import RowKey


@given(st.binary(min_size=32, max_size=32), st.lists(st.binary(max_size=200), max_size=4))
def test_a_check_is_the_standard_s(key: bytes, rows: list[bytes]) -> None:
    """A database that was written before is sound still, and others can check it."""
    made = RowKey()
    made.use(key)
    assert [hmac.digest(key, row, "sha256") for row in rows] == [made._mac(row) for row in rows]
