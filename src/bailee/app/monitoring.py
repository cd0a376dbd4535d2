"""What a server's figures are read from.

Figures that need a database are read beside the event loop, by one at a time, and at most once a
second (`health_listener`); what is counted over many rows, once a minute.

Rows: O5.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from bailee.app.disk import room_on
from bailee.app.gateway_figures import Figures, gateway_figures, health_figures
from bailee.app.promise import Reason
from bailee.app.watch import Watch
from bailee.clock import Ticks, ticks
from bailee.db.engine import overwrites, size_of
from bailee.db.members import by_role
from bailee.errors import BaileeError
from bailee.gateway.server import Gateway
from bailee.ledger.folder import CHECKPOINT
from bailee.monitoring.catalogue import ALERTS, REASONS, STEPS
from bailee.monitoring.exchanges import ExchangeCounts
from bailee.node.node import Node
from bailee.node.promises import PromiseStanding, Stands, judged
from bailee.node.spooling import LOCAL
from bailee.node.spooling import SETTING as DURABILITY
from bailee.operations import promises

if TYPE_CHECKING:  # its library is imported when somebody scrapes
    from bailee.monitoring.exposition import Exposition, Readings

_COUNTED: Final = 60.0
_ALONE: Final[tuple[str, ...]] = ()


@dataclass(frozen=True, slots=True)
class StreamFigures:
    """How the audit record's delivery to one sink stands: see `auditing.streams.StreamState`."""

    lag_entries: int
    lag_seconds: float
    delivered: int
    failures: int


@dataclass
class ServerFigures:
    """What a server's figures are read from. The server makes one; `read` is called on one thread
    at a time, none of its event loop's.
    """

    node: Node
    watch: Watch
    gateway: Gateway
    counts: ExchangeCounts
    connections: dict[str, Callable[[], int]]
    streams: Callable[[], dict[str, StreamFigures]] = dict
    ticking: Ticks = ticks
    _promises: tuple[float, list[PromiseStanding]] = (float("-inf"), [])

    def said(self) -> bytes:
        """All that is said, in the form that Prometheus reads."""
        return self._exposition.text()

    @cached_property
    def _exposition(self) -> Exposition:
        from bailee.monitoring.exposition import Exposition

        return Exposition(self.counts, self.read)

    def read(self) -> Readings:
        """What stands now. What can't be read is left out."""
        found: Figures = {}
        for part in (
            self._health, self._gateway, self._vault, self._forgetting, self._kept, self._proof,
            self._streams, self._disks, self._members,
        ):  # fmt: skip
            with suppress(BaileeError, OSError):
                found |= part()
        return found

    # -- the parts -------------------------------------------------------------------------------

    def _health(self) -> Figures:
        health = self.watch.health()
        return health_figures(health) | {
            "bailee_sweep_step_failing": {
                (name,): 1.0 for name in dict.fromkeys((*STEPS, *health.failing))
                if name in health.failing
            },
        }  # fmt: skip

    def _gateway(self) -> Figures:
        return gateway_figures(self.gateway, self.connections)

    def _vault(self) -> Figures:
        vault = self.node.vault
        unsealed, took = vault.spool.unsealed(""), vault.spool.write_seconds
        where = self.node.settings.text(DURABILITY) or LOCAL
        return {
            "bailee_spool_bytes": {_ALONE: unsealed.all},
            "bailee_spool_write_seconds": {} if took is None else {(where,): took},
            "bailee_unsealed_exchanges": {_ALONE: unsealed.all_exchanges},
            "bailee_sealing_stalled_seconds": {_ALONE: vault.stalled()},
            "bailee_stored_bytes": {_ALONE: vault.stored.all},
            "bailee_stored_accounts": {_ALONE: vault.stored.accounts},
        }

    def _forgetting(self) -> Figures:
        done = self.watch.done
        return {
            "bailee_sweep_age_seconds": {_ALONE: self.node.sweeping.unswept()},
            "bailee_sweeps_total": {_ALONE: done.sweeps},
            "bailee_keys_destroyed_total": {_ALONE: done.keys},
            "bailee_sessions_removed_total": {_ALONE: done.sessions},
        }

    def _kept(self) -> Figures:
        node, standing = self.node, self._standing()
        return {
            "bailee_epoch_keys": {_ALONE: len(node.keyring.kek_ids())},
            "bailee_root_generation": {_ALONE: node.keyring.generation()},
            "bailee_holds": {_ALONE: len(node.holds.held())},
            "bailee_promise_kept": {
                (one.promise,): float(one.standing is Stands.KEPT)
                for one in standing if one.standing is not Stands.UNKNOWN
            },
            "bailee_promise_late": {
                (one.promise,): one.count for one in standing if one.standing is Stands.BROKEN
            },
        }  # fmt: skip

    def _standing(self) -> list[PromiseStanding]:
        at, found = self._promises
        if self.ticking() - at >= _COUNTED:
            found = judged(promises.found(self.node, self.node.clock()))
            self._promises = self.ticking(), found
        return found

    def _proof(self) -> Figures:
        node = self.node
        leaves, waiting = node.sequencer.sizes()
        written = node.home.ledger / CHECKPOINT
        size = size_of(node.data)
        return {
            "bailee_ledger_leaves": {_ALONE: leaves},
            "bailee_ledger_entries_waiting": {_ALONE: waiting},
            "bailee_ledger_bytes": {_ALONE: size},
            "bailee_ledger_checkpoint_timestamp_seconds": {
                _ALONE: written.stat().st_mtime if written.exists() else 0
            },
            "bailee_ledger_unwitnessed_seconds": {_ALONE: node.cosigning.unwitnessed()},
        }

    def _streams(self) -> Figures:
        streams = self.streams().items()
        return {
            "bailee_audit_stream_lag_entries": {(n,): one.lag_entries for n, one in streams},
            "bailee_audit_stream_lag_seconds": {(n,): one.lag_seconds for n, one in streams},
            "bailee_audit_stream_delivered_total": {(n,): one.delivered for n, one in streams},
            "bailee_audit_stream_failures_total": {(n,): one.failures for n, one in streams},
        }

    def _disks(self) -> Figures:
        rooms = {(folder.name,): room_on(folder) for folder in self.node.home.stores}
        return {
            "bailee_disk_free_bytes": {name: float(room[0]) for name, room in rooms.items()},
            "bailee_disk_size_bytes": {name: float(room[1]) for name, room in rooms.items()},
        }

    def _members(self) -> Figures:
        if overwrites(self.node.data):
            return {}  # a file, which this process has alone
        found: dict[tuple[str, ...], float] = {("gateway",): 0.0}
        found |= {(role,): of.present for role, of in by_role(self.node.data).items()}
        return {"bailee_members": found}


assert {*REASONS, *ALERTS} == {*Reason}
