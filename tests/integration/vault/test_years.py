"""Months of retention with the real code, in virtual time (`bench/years.py`)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from bench.years import Years

HOUR = timedelta(hours=1)
ADD_UP = {"departed_sessions"}
"""A digest of each session that is gone, so that no id is used twice: it goes two years later
(`vault.departing`)."""


def test_what_goes_leaves_little_that_adds_up(tmp_path: Path) -> None:
    """Sessions come and go for half a year: each key opens until its time and not an hour longer,
    no older copy opens it a day and some minutes after that, and once as much goes as comes no
    table has more rows than before, but for those that say what was done and one that is known.
    """
    course = Years(tmp_path).run(4, days=50, kinds=(False,))

    assert ([], []) == (course.early, course.lasting)
    assert course.destroyed > 50
    assert timedelta(0) < course.late < HOUR
    assert timedelta(0) < course.in_copies < timedelta(days=1) + HOUR
    assert ADD_UP == set(course.growing(1))
    assert course.census[3].rows["receipts"] > course.census[1].rows["receipts"]
    assert course.census[3].generation > course.census[0].generation


def test_without_sweeps_it_shows(tmp_path: Path) -> None:
    """Keys outlast their time, and what is kept adds up: what is looked at above can be wrong."""
    course = Years(tmp_path, sweeps=False).run(3, days=50, kinds=(False,))

    assert len(course.lasting) > 20
    assert {"sessions", "exchanges", "deks"} <= set(course.growing(0))
