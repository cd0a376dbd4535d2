"""Random histories, in which the product and the model of what was promised agree."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from bailee.clock import ticks
from histories.histories import Histories

SECONDS = float(os.environ.get("BAILEE_HISTORIES_SECONDS", "0"))
"""For how long ever new histories are told; 0: a few, the same each time."""


@pytest.mark.row("T1", "T2", "T3", "T4", "T5", "T6", "R1", "R4", "R5", "R6", "O7")
def test_what_was_promised_holds_in_every_history() -> None:
    """After each act, what is listed, kept, trained on, held and receipted is what the model of the
    mission says.
    """
    began = ticks()
    while True:
        run_state_machine_as_test(
            Histories,
            settings=settings(
                max_examples=10,
                stateful_step_count=60 if SECONDS else 25,
                derandomize=not SECONDS,
                # To tell a history again, ever shorter, takes many minutes.
                phases=[Phase.generate],
                database=None,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
        if ticks() - began >= SECONDS:
            break


@pytest.mark.row("R1", "R5")
def test_a_step_that_a_crash_forgot_is_as_large_as_it_is_found() -> None:
    """Back by a day, which would be followed, and by 20 seconds more before anybody looked: then a
    process that knew of none finds one of more than a day, and waits for somebody's word.
    """
    told = Histories()
    try:
        told.step(by=timedelta(days=-1))
        told.passes(how_long=timedelta(days=30))
        told.nudge(seconds=-20)
        for _ in range(2):
            told.crash(some=[], meanwhile=timedelta(days=2))
            told.time_agrees()
        assert told.model.step is not None
        told.confirm()
        told.time_agrees()
    finally:
        told.teardown()
