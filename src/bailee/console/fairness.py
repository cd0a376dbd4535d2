"""What one visitor may have of the console: a share of its threads, and of what is changed in it.

Rules kept here:

* A person, by whatever key or cookie, and an account whose key speaks for nobody, has a few
  requests under way at once, whichever page or operation; the rest of the threads are others'.
  So has each address of those who are not known.
* Who changes things does so at a rate: what is changed leaves an entry on record for good.
* The operator has no share: there is nobody whom they would take it from.
* Who is over theirs is answered 429 with `retry-after`; nobody waits for them.

Rows: G1, G2.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from bailee.admission.connections import address_group
from bailee.console.asking import Ask
from bailee.errors import InputError
from bailee.ingest.quotas import Quota, Rate

AT_ONCE: Final = 8
"""Of the forty threads that there are."""
STRANGERS: Final = 24
"""Of one address, which may be that of many."""
CHANGES: Final = Rate(5, 500)
RETRY_AFTER: Final = 1


class Fairness:
    """The shares of all visitors of one site: what each has under way, and how fast they change
    things.

    The site owns it and calls it on its event loop's thread. It never makes anybody wait, and reads
    nothing of a request but who asks.
    """

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._under_way: Counter[str] = Counter()
        self._changes = Quota(CHANGES)

    @contextmanager
    def request(self, ask: Ask, *, changes: bool) -> Iterator[None]:
        """For as long as this request is under way.

        Raises:
            InputError: code `over_share`.
        """
        whose, most = _whose(ask)
        if whose is None:
            yield
            return
        if self._under_way[whose] >= most or (
            changes and self._changes.take(whose, 1, self._seconds())
        ):
            raise InputError(
                "you have as much under way here as one may, or change things too fast.",
                code="over_share",
                hint="wait a moment, then send this again",
            )
        self._under_way[whose] += 1
        try:
            yield
        finally:
            self._under_way[whose] -= 1
            if not self._under_way[whose]:
                del self._under_way[whose]


def _whose(ask: Ask) -> tuple[str | None, int]:
    """Whose share a request takes, and how large that is; None: the operator's."""
    actor, visitor = ask.actor, ask.visitor
    if visitor.operator or (actor is not None and actor.operator):
        return None, 0
    if actor is not None:
        return actor.person_id or actor.account_id or actor.name, AT_ONCE
    if visitor.person is not None:
        return visitor.person.person, AT_ONCE
    client = ask.request.client
    return f"address {address_group(client.host if client else '')}", STRANGERS
