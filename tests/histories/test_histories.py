"""Random histories, in which the product and the model of what was promised agree."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from histories.histories import Histories
from histories.product import Product

ROWS = ("T1", "T2", "T3", "T4", "T5", "T6", "R1", "R4", "R5", "R6")
EXAMPLES = int(os.environ.get("BAILEE_HISTORIES", "0"))
"""How many histories; 0: those that are the same each time."""


@pytest.fixture(scope="module", autouse=True)
def _template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A home with people in it, for every history to begin with."""
    made = Product(tmp_path_factory.mktemp("template"))
    made.open()
    made.people()
    made.close()
    Histories.template = made
    yield


@pytest.mark.row(*ROWS)
def test_what_was_promised_holds_in_every_history() -> None:
    """After each act, what is listed, kept, trained on, held and receipted is what the model of the
    mission says.
    """
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=EXAMPLES or 12,
            stateful_step_count=50 if EXAMPLES else 25,
            derandomize=not EXAMPLES,
            phases=[Phase.generate],
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
