"""Feedback's wiring: who may send it, and on what terms it is kept.

Rows: F1, F2, F3, F4.
"""

from __future__ import annotations

from dataclasses import replace

from bailee.accounts import Actor
from bailee.feedback.receiver import REPORTS, ReportReceiver, ReportSender
from bailee.feedback.reports import DATA_CLASS, Origin
from bailee.ingest.quotas import Rate
from bailee.ingest.shares import Share
from bailee.node.bounded import bytes_stored
from bailee.node.node import Node
from bailee.operations.feedback import whose
from bailee.policy.bounds import STORED_REPORTS


class ReportPolicyAccess:
    """The receiver's `Access`: keys from `accounts`, terms from `policy`. Called on the ingest's
    event loop's thread, and once more from the receiver's own while a report is kept. It keeps
    nothing.
    """

    def __init__(self, node: Node) -> None:
        self._node = node

    def sender(self, key: bytes) -> ReportSender | None:
        """Whose key this is, or None."""
        found = self._node.accounts.authenticate(key, sending=True)
        if found is None:
            return None
        key_of, account = found
        sends_only = key_of.scope == "ingest"
        # What sends only is on many machines: it speaks for whose account it is of, if for anybody.
        person = account.person_id if sends_only else key_of.person_id or account.person_id
        actor = Actor(person_id=person, key_id=key_of.key_id, account_id=account.account_id)
        return ReportSender(
            Origin(account.account_id, person, key_of.key_id),
            self._node.policy_of(account).terms(
                DATA_CLASS, account.facts(zero_retention=key_of.zero_retention)
            ),
            None if sends_only else whose(self._node, actor),
        )


def make_receiver(node: Node) -> ReportReceiver:
    """The ingest's addresses for feedback, over a home."""
    number = node.settings.number
    rate = Rate(number("feedback.rate_per_account_kb") << 10, REPORTS.bytes_per_account.burst)
    return ReportReceiver(
        node.reports,
        node.survey,
        ReportPolicyAccess(node),
        node.clock,
        latest=node.latest,
        limits=replace(REPORTS, bytes_per_account=rate),
        share=lambda account_id: Share(
            number("feedback.reports_per_account"),
            bytes_stored(node, STORED_REPORTS, node.accounts.get(account_id)),
        ),
    )
