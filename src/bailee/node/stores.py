"""The stores of one home, open: everything in which something is kept."""

from __future__ import annotations

from dataclasses import dataclass

from bailee.accounts import Accounts, PeopleRegistry
from bailee.cases import Cases
from bailee.cloud.egress.lists import NetworkLists
from bailee.cloud.git.connections import GitConnections
from bailee.cloud.sessions.store import Store as CloudStore
from bailee.feedback.reports import Reports
from bailee.feedback.survey import Survey
from bailee.ingest.shares import ReceivedCounts
from bailee.keeping.holds import Holds
from bailee.keeping.keeper import Counted, Keeper, Swept
from bailee.keeping.receipts import Receipts
from bailee.keeping.snapshots import KeySnapshots
from bailee.lasting import Lasting
from bailee.node.egress import EgressDays
from bailee.node.ground import Ground
from bailee.node.objects import HomeObjects
from bailee.node.once import Once
from bailee.telemetry.telemetry import Telemetry
from bailee.telemetry.webhook import Webhook
from bailee.training.exports import Exports
from bailee.training.staging import Staging
from bailee.usage.counts import UsageCounts
from bailee.usage.increases import IncreaseRequests
from bailee.usage.limit_store import LimitStore
from bailee.vault.vault import Vault


@dataclass(frozen=True, eq=False)
class Stores(Ground):
    """All of a home's stores, as the services over them are given them. `Wiring` makes it, and has
    each closed. From any thread; it changes nothing by itself.
    """

    registry: PeopleRegistry
    receipts: Receipts
    snapshots: KeySnapshots
    holds: Holds
    objects: HomeObjects
    vault: Vault
    reports: Reports
    survey: Survey
    cloud: CloudStore
    git_connections: GitConnections
    network_lists: NetworkLists
    once: Once
    webhook: Webhook | None
    telemetry: Telemetry
    egress: EgressDays
    exports: Exports
    staging: Staging
    usage: UsageCounts
    limits: LimitStore
    increases: IncreaseRequests
    cases: Cases

    @property
    def accounts(self) -> Accounts:
        """The accounts of the registry."""
        return self.registry.accounts

    @property
    def keepers(self) -> tuple[Keeper, ...]:
        """All that is somebody's; the vault last: its erasing may have to wait."""
        return self.reports, self.cloud, self.vault

    @property
    def swept(self) -> tuple[Swept, ...]:
        """All that a sweep goes over before the vault."""
        return (
            self.telemetry, self.reports, self.survey, self.cloud, self.once, self.egress,
            self.snapshots, self.usage, self.limits, self.increases, self.staging,
            self.cases, self.registry.pending, self.accounts.ephemeral,
        )  # fmt: skip

    @property
    def used(self) -> tuple[Counted, ...]:
        """What is noted of people beside what they said; nobody is named once erased."""
        return self.usage, self.limits, self.increases, self.activations, self.cases

    @property
    def received(self) -> tuple[ReceivedCounts, ...]:
        """The counts of what each account sent to the ingest."""
        return *self.telemetry.received.values(), self.reports.received

    def threads(self) -> list[Lasting]:
        """Its threads, for whoever watches."""
        told = [] if self.webhook is None else [self.webhook.thread]
        return [*self.vault.threads(), *self.telemetry.threads(), *told]
