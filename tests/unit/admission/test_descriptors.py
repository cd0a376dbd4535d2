"""Descriptors are shared out so that nobody takes another's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.admission import share_out
from bailee.admission.descriptors import LEAST
from bailee.errors import InputError


@given(st.integers(LEAST, 1_000_000), st.integers(1, 5))
def test_what_is_shared_out_is_there(limit: int, upstreams: int) -> None:
    """All shares together are within the limit, and each has something."""
    given = share_out(limit, upstreams)
    used = (
        given.own
        + 2 * given.gateway
        + given.idle_upstreams * upstreams
        + given.console
        + given.ingest
    )
    assert used <= limit
    assert min(given.own, given.gateway, given.idle_upstreams, given.console, given.ingest) >= 1


def test_a_common_limit_gives_the_gateway_most() -> None:
    """1,024, as many systems have it for a start."""
    given = share_out(1024)
    assert (256, 96, 96) == (given.own, given.console, given.ingest)
    assert given.gateway > 2 * given.console


@pytest.mark.parametrize("limit", [0, 64, LEAST - 1])
def test_with_too_few_nothing_is_served(limit: int) -> None:
    """A server that could not sweep does not start, and says how many it takes."""
    with pytest.raises(
        InputError, match=f"may have {limit} files open at once; to serve takes 192"
    ):
        share_out(limit)
