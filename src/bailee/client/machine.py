"""What a person's machine has, opened for work in one folder: the way in for the agent and the
command line. Nothing is made on disk until something is kept.

Rows: R3, S6.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bailee.client import announcing, files
from bailee.client.flows import FlowState, permitted
from bailee.client.local_key import machine_key
from bailee.client.outbox import Outbox, OutboxItem
from bailee.client.payloads import Payload
from bailee.client.sender import SendOutcome, send
from bailee.client.settings import ClientSettings
from bailee.client.transcripts import LocalTranscripts, reaching
from bailee.clock import Clock, system_clock
from bailee.policy import Policy, load
from bailee.policy.document import Language
from bailee.words import words


@dataclass(frozen=True, slots=True)
class ClientMachine:
    """Settings that hold in `folder`, and the stores of this machine's user."""

    policy: Policy
    settings: ClientSettings
    folder: Path
    data: Path
    option: str | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    clock: Clock = system_clock

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        option: str | None = None,
        environment: Mapping[str, str] = os.environ,
        clock: Clock = system_clock,
    ) -> ClientMachine:
        """The machine as it is set up. Raises `InputError` for a wrong `option` (--settings)."""
        policy = load()
        settings = files.read(policy, folder, option=option, environment=environment)
        return cls(policy, settings, folder, files.data_folder(), option, environment, clock)

    @property
    def keep_days(self) -> int:
        """For how many days new transcripts are kept. A value that is not understood is 0."""
        chosen = self.settings.keep_days
        return self.policy.local_transcript_days(None if chosen is None else chosen.value)

    @property
    def clean_days(self) -> int:
        """After how many days what is there is forgotten. A value that is not understood deletes
        nothing earlier than the default does: a typing error must not cost what was kept.
        """
        chosen = self.settings.keep_days
        if chosen is None or chosen.assumed:
            return self.policy.local_transcript_days(None)
        return self.policy.local_transcript_days(chosen.value)

    @property
    def credential(self) -> str | None:
        """The person's bailee key, where one is set."""
        for name in ("BAILEE_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY"):
            value = self.settings.variable(name)
            if value is not None and value.startswith("bl_"):
                return value
        return None

    def flow(self, name: str, language: Language = "en") -> FlowState:
        """Whether a flow of the document may leave, and who decided."""
        return permitted(self.policy, self.settings, name, language)

    def transcripts(self) -> LocalTranscripts:
        """The local transcripts."""
        return LocalTranscripts(
            self.data / "transcripts", self.key, days=self.keep_days, clock=self.clock
        )

    def outbox(self) -> Outbox:
        """The outbox."""
        return Outbox(self.data / "outbox", self.key, clock=self.clock)

    def key(self) -> bytes:
        """The key of this machine's stores; made at the first use."""
        return machine_key(self.data)

    def tidy(self, language: Language = "en") -> str | None:
        """Forget what is past its time, bailee's own; a line for the person, if there is something
        to say. The first time something is near its end this announces it and deletes nothing.
        What is past its time is not shown or resumed in any case.
        """
        days, now = self.clean_days, self.clock()
        store = self.transcripts()
        due = store.due(days)
        announced = announcing.read(self.data, "bailee")
        soonest = due[0].forgotten_at if due else None
        if announcing.to_announce(announced, days, soonest, now):
            with reaching(self.data):
                note = announcing.Announced(days, now.isoformat())
                announcing.write(self.data, "bailee", note)
            past = sum(one.forgotten_at <= now for one in due)
            said = words(language, "terminal")
            if past:
                return said.count("notice.past", past, days=days)
            return said("notice.unused", days=days)
        if announcing.may_delete(announced, days):
            store.forget(days)
            self.outbox().forget(max(days, 1))
        return None

    def queue(self, payload: Payload) -> OutboxItem | None:
        """Put a payload into the outbox, if its flow may leave; None if it may not."""
        return self.outbox().put(payload) if self.flow(payload.flow).on else None

    def send(
        self,
        *,
        hurry: bool = False,
        only: str | None = None,
        leaving: frozenset[str] = frozenset(),
    ) -> list[SendOutcome]:
        """Send what is pending; the switches are read anew for each payload. Items of the flows
        `leaving` are left where they are.
        """
        return send(
            self.outbox(),
            self.policy,
            lambda: files.read(
                self.policy, self.folder, option=self.option, environment=self.environment
            ),
            credential=self.credential,
            clock=self.clock,
            hurry=hurry,
            only=only,
            leaving=leaving,
        )
