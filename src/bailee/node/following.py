"""Sessions follow their owner's choice, and a document that came to hold: it is queued here, and
worked off by whoever does that.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from bailee.accounts import Account
from bailee.node.stores import Stores


class Following:
    """Queues the moves that choices and documents ask for. Accounts call it after each choice, on
    the thread that made it; a start and whoever activates a document once. It moves nothing itself.
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
        policy = self._stores.activations.told(account_id).get(account_id, 0)
        for keeper in self._stores.keepers:
            keeper.follow(account_id, self._last_choice(account), policy)
        self._moves_wait()

    def follow_document(self) -> None:
        """Let what is there follow the document that came to hold, for those whose terms changed
        with it: in the background of a server, at once elsewhere. Errors as in `follow`.
        """
        self.follow_all()
        self._moves_wait()

    def follow_all(self) -> None:
        """Queue what is missing: a choice, or a document, is on disk before its moves are, and a
        crash may come between the two. What a cloud session left follows first, at once: a move in
        the queue says that it has.
        """
        applied, told = self._stores.vault.moving.applied(), self._stores.activations.told()
        # Who has no key has no session.
        holders = {account for _, account in self._stores.accounts.api_keys()}
        missing = []
        for account, at in self._stores.damages.each(
            holders,
            lambda one: (one, self._last_choice(one)),
            lambda one: f"account {one.account_id}",
        ):
            held = at, told.get(account.account_id, 0)
            if held != (None, 0) and applied.get(account.account_id, (None, 0)) != held:
                missing.append((account.account_id, *held))
        if missing:
            cloud = self._stores.cloud
            owners = {one.owner for one in cloud.records.all()} if told else set()
            for account_id, at, policy in missing:
                if account_id in owners:
                    cloud.follow(account_id, at, policy)
            self._stores.vault.moving.request_all(missing, self._stores.clock())

    def _last_choice(self, account: Account) -> datetime | None:
        """When something was last chosen for an account that its sessions may have to follow."""
        if self._stores.policy.plans[account.plan].segment == "consumer":
            return account.chosen_at
        records = self._stores.accounts.consent_records(account.account_id)
        return records[-1].at if records else None
