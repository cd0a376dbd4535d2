"""The page about sizes past one machine reckons with what was measured, and as it says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import scale_page
from scale_page import LIMITS, Costs, Needs, Service, most

ROOT = Path(__file__).parents[1]


def measured() -> dict[str, Any]:
    """The last runs of the benchmarks."""
    runs: dict[str, Any] = json.loads((ROOT / "bench/results/last.json").read_text())
    return runs


def test_the_first_limit_is_the_one_that_fills_first() -> None:
    """At each limit's number of sessions it is full, and it is not before; none is below the
    first, which the page names.
    """
    costs = Costs(measured())
    found = {limit.what: most(limit.used, costs) for limit in LIMITS}

    for limit in LIMITS:
        at = found[limit.what]
        assert 0.9 < limit.used(Needs(Service(at), costs)) <= 1
        assert limit.used(Needs(Service(at * 1.1), costs)) > 1
    first = min(found, key=lambda what: found[what])
    assert f"sessions a day: {first}." in scale_page.render(ROOT)


def test_what_is_kept_is_what_comes_times_how_long() -> None:
    """All of it for 30 days is thirty days' sessions; all of it for five years 1,826 of them."""
    costs = Costs(measured())
    short = Service(1000, five_years=0)

    assert 30_000 == short.living
    assert 1_826_250 == replace(short, five_years=1).living
    assert Needs(short, costs).keyring_bytes >= 30_000 * costs.key_row


def test_a_days_deletions_make_no_more_keys_anew_than_there_are() -> None:
    """One deletion takes one epoch's sessions along; a million not more than all of them."""
    costs = Costs(measured())
    one, many = (Service(1000, deleted=each) for each in (0.001, 1000.0))

    assert one.living / one.epochs == pytest.approx(Needs(one, costs).rewrapped, rel=1e-4)
    assert Needs(many, costs).rewrapped <= many.living


def test_a_cost_is_read_from_the_line_that_measured_it() -> None:
    """Another figure there is another on the page, and without its line there is no page."""
    runs = measured()
    for line in runs["vault"]["lines"]:
        if line[0] == "sealing that session":
            line[2] = "spool to index; 7.5 ms of processor"
    slower = Costs(runs)

    assert 7.5e-3 == slower.sealing
    assert 20 * 7.5e-3 == pytest.approx(Needs(Service(scale_page.DAY), slower).sealing_cores)
    del runs["units"]
    with pytest.raises(LookupError, match="units"):
        Costs(runs)
