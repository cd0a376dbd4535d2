"""Sessions follow their owner's choice: it is queued here, and worked off by whoever does that."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from bailee.accounts import Account
from bailee.node.stores import Stores


class Following:
    """Queues the moves that choices ask for. Accounts call it after each choice, on the thread that
    made it, and a start once. It moves nothing itself.
    """

    def __init__(self, stores: Stores, moves_wait: Callable[[], None]) -> None:
        """`moves_wait` is told that there is something in the queue."""
        self._stores = stores
        self._moves_wait = moves_wait

    def follow(self, account_id: str) -> None:
        """Let an account's sessions follow its present choice: in the background of a server, at
        once elsewhere.

        Raises:
            InputError: there is no such account.
            StorageError: a store failed; the next sweep, or the next start, goes on.
        """
        account = self._stores.accounts.get(account_id)
        for keeper in self._stores.keepers:
            keeper.follow(account_id, self._last_choice(account))
        self._moves_wait()

    def follow_all(self) -> None:
        """Queue what is missing: a choice is on disk before its move is, and a crash may come
        between the two.
        """
        applied = self._stores.vault.moving.applied()
        # Who has no key has no session.
        holders = {account for _, account in self._stores.accounts.api_keys()}
        for account, at in self._stores.damages.each(
            holders,
            lambda one: (one, self._last_choice(one)),
            lambda one: f"account {one.account_id}",
        ):
            if at is not None and applied.get(account.account_id) != at:
                self._stores.vault.moving.request(account.account_id, at, self._stores.clock())

    def _last_choice(self, account: Account) -> datetime | None:
        """When something was last chosen for an account that its sessions may have to follow."""
        if self._stores.policy.plans[account.plan].segment == "consumer":
            return account.chosen_at
        records = self._stores.accounts.consent_records(account.account_id)
        return records[-1].at if records else None
