"""The steps of a sweep: each is tried, and what fails is named and stops no other.

Rows: R5.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from bailee.errors import BaileeError


class Steps:
    """What became of the steps of one sweep. `failures`: the first error of each step that failed;
    `done`: the steps that did not, in order. The sweep makes it, and uses it on its thread.
    """

    def __init__(self) -> None:
        self.failures: dict[str, BaileeError] = {}
        self.done: list[str] = []

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Carry out a step. Its error ends it, and nothing else."""
        try:
            yield
        except BaileeError as error:
            self.failures[name] = error
        except Exception as error:  # a defect: which kind and where; what it says may be content
            place = traceback.extract_tb(error.__traceback__)[-1]
            defect = BaileeError(
                f"{type(error).__name__} at {place.filename}:{place.lineno}.",
                code="internal",
                hint="this is a defect of bailee; please report it",
            )
            defect.__cause__ = error
            self.failures[name] = defect
        else:
            self.done.append(name)

    def raise_first(self) -> None:
        """Raise what failed first, if anything did.

        Raises:
            BaileeError: it.
        """
        for error in self.failures.values():
            raise error
