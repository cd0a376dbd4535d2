"""Random histories, in which the product and the model of what was promised agree."""

from __future__ import annotations

import os

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
