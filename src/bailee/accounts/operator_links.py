"""Single-use links for the operator; there is no default password.

A server prints a link when it starts, and gives one to who asks at its terminal. Its token is good
once and for fifteen minutes, at whichever console of the home it is shown, after a new start too.
What the browser then holds is a console session like any other.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from bailee.accounts.pending import Pending, PendingKind

LINK_LASTS: Final = timedelta(minutes=15)
_LINK: Final = PendingKind("link", 1000, LINK_LASTS)


class OperatorLinks:
    """The links that were given out and not used. A server gives them out; the console redeems them
    on its worker threads. It begins no session.
    """

    def __init__(self, pending: Pending) -> None:
        self._pending = pending

    def give(self) -> str:
        """A token for one link.

        Raises:
            StorageError: it can't be kept.
        """
        token = self._pending.secret()
        self._pending.put(_LINK, token, asker="operator")
        return token

    def redeem(self, token: str) -> bool:
        """Whether the token is good: for the first time, and in time."""
        return self._pending.take(_LINK, token) is not None
