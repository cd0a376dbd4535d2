"""A home's wiring under a server: a choice waits for no move, and an erasure ends what runs."""

from __future__ import annotations

from functools import cached_property

from bailee.app.cloud_running import Cloud
from bailee.app.cosigning import AskingWitnesses
from bailee.app.mover import Mover
from bailee.app.sequencing import Sequencing
from bailee.app.word_maker import WordMaker
from bailee.node.wiring import Wiring


class ServerWiring(Wiring):
    """Has what works beside a home's services: mover, sequencer, witnesses, what makes indexes of
    words, cloud sessions. A process that serves makes one, as `Wiring` says. The server starts and
    stops what it hands out.
    """

    @cached_property
    def mover(self) -> Mover:
        """What works off the queue of moves."""
        return Mover(self.stores)

    @cached_property
    def sequencing(self) -> Sequencing:
        """What has the audit record's tree grow."""
        return Sequencing(self.ground.sequencer)

    @cached_property
    def witnesses(self) -> AskingWitnesses:
        """What has the tree's checkpoints cosigned."""
        return AskingWitnesses(self.ground.sequencer, self.ground.cosigning)

    @cached_property
    def word_maker(self) -> WordMaker:
        """What makes sessions' indexes of words."""
        return WordMaker(self.stores)

    @cached_property
    def cloud_running(self) -> Cloud:
        """The cloud sessions that run."""
        return Cloud(self.stores)

    def moves_wait(self) -> None:
        """The mover does it."""
        self.mover.wake()

    def end_cloud_sessions(self, account_id: str) -> None:
        """End the cloud sessions of an account that run."""
        self.cloud_running.stop_owned(account_id)
