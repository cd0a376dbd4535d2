"""What a person's machine has, opened for work in one folder: the way in for the agent and the
command line. Nothing is made on disk until something is kept.

Rows: R3, S6, O7.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bailee.client import announcing, files
from bailee.client.agents import NAMES
from bailee.client.clock_mark import ClockJump, ClockMarks
from bailee.client.flows import FlowState, permitted
from bailee.client.going import doubt_in_words, going_in_words
from bailee.client.keeping import KeptSession, KeptSessions
from bailee.client.lifetimes import Lifetimes, LocalDue
from bailee.client.local_key import machine_key
from bailee.client.outbox import Outbox, OutboxItem
from bailee.client.payloads import Payload
from bailee.client.sender import SendOutcome, send
from bailee.client.setting_keys import TOLD_BOUNDS
from bailee.client.settings import ClientSettings
from bailee.client.signed_in import SIGN_IN_FILE, surroundings
from bailee.client.transcripts import LocalTranscripts, reaching
from bailee.clock import Clock, system_clock
from bailee.errors import InputError
from bailee.outbound.network import Network
from bailee.policy import Policy, load
from bailee.policy.document import Language
from bailee.policy.facts import nobodys
from bailee.policy.period import expires_at
from bailee.records import dataclass
from bailee.steady import MachineClocks, this_machine
from bailee.words import words

if TYPE_CHECKING:
    from bailee.client.cleaning_plan import CleaningPlan


@dataclass(frozen=True, slots=True)
class ClientMachine:
    """Settings that hold in `folder`, and the stores of this machine's user. `clocks`: None where a
    test sets the clock, which then is right by being set.
    """

    policy: Policy
    settings: ClientSettings
    folder: Path
    data: Path
    option: str | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    clock: Clock = system_clock
    clocks: MachineClocks | None = None

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
        clocks = this_machine() if clock is system_clock else None
        data = files.data_folder()
        network = Network.of(environment)
        added = surroundings(settings.variable, data, network, time.time())
        if added:  # somebody is signed in here, and has set nothing else
            environment = {**environment, **added}
            settings = files.read(policy, folder, option=option, environment=environment)
        settings = _with_told(settings, data)
        return cls(policy, settings, folder, data, option, environment, clock, clocks)

    @property
    def keep_days(self) -> int:
        """For how many days new transcripts are kept. A value that is not understood is 0."""
        chosen = self.settings.keep_days
        return self.policy.local_transcript_days(None if chosen is None else chosen.value)

    @property
    def lifetimes(self) -> Lifetimes:
        """After how many days what is there is forgotten. A value that is not understood deletes
        nothing earlier than the default does: a typing error must not cost what was kept.
        """
        chosen = self.settings.own_days
        said = None if chosen is None or chosen.assumed else chosen.value
        most = self.policy.document.local_transcripts.max_days
        return Lifetimes(
            self.policy.local_transcript_days(said),
            lambda folder: files.project_days(Path(folder), most),
        )

    @property
    def credential(self) -> str | None:
        """The person's bailee key, where one is set."""
        for name in ("BAILEE_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY"):
            value = self.settings.variable(name)
            if value is not None and value.startswith("bl_"):
                return value
        return None

    @property
    def signed_in(self) -> bool:
        """Whether the credential is a token that lasts an hour, renewed by `bailee token`."""
        return SIGN_IN_FILE in self.environment

    def flow(self, name: str, language: Language = "en") -> FlowState:
        """Whether a flow of the document may leave, and who decided."""
        return permitted(self.policy, self.settings, name, language)

    def afresh(self) -> ClientMachine:
        """The machine as its settings are now."""
        settings = files.read(
            self.policy, self.folder, option=self.option, environment=self.environment
        )
        return replace(self, settings=_with_told(settings, self.data))

    def transcripts(self) -> LocalTranscripts:
        """The local transcripts."""
        return LocalTranscripts(
            self.data / "transcripts",
            self.key,
            days=self.keep_days,
            lifetimes=self.lifetimes,
            kept=lambda: self.kept("bailee"),
            clock=self.clock,
        )

    def outbox(self) -> Outbox:
        """The outbox."""
        return Outbox(self.data / "outbox", self.key, clock=self.clock)

    def key(self) -> bytes:
        """The key of this machine's stores; made at the first use."""
        return machine_key(self.data)

    def kept(self, of: str) -> dict[str, datetime]:
        """Which sessions of a program the person keeps, and until when. What managed settings say
        about days is stronger. Raises as `KeptSessions.all` does.
        """
        if self.settings.managed_days is not None:
            return {}
        return KeptSessions(self.data).until(of, self.clock())

    def keep(self, of: str, session: str, until: datetime | None) -> KeptSession:
        """Keep a session until then (None: as long as the policy has it by itself), at the
        person's word. That there is such a session is the caller's to know.

        Raises:
            InputError: the day is past, or later than the policy allows; or days are managed here.
            IntegrityError, StorageError: it can't be noted.
        """
        if (managed := self.settings.managed_days) is not None:
            raise InputError(
                f"for how long sessions are kept here is decided by {managed.place}.",
                code="policy_denied",
                hint="ask whoever manages this machine, or export it: bailee local export",
            )
        if "local_transcript_kept" not in self.policy.document.labels["data_class"]:
            raise InputError(
                "the policy document has no clause by which a session could be kept.",
                code="policy_denied",
                hint="export it: bailee local export",
            )
        now = self.clock()
        decided = self.policy.retain(
            "local_transcript_kept", nobodys(next(iter(self.policy.plans)))
        )
        most = expires_at(now, decided.retention or "P0D")
        if until is None:
            days = self.policy.document.local_transcripts.kept_days
            until = min(now + timedelta(days=days), most)
        if not now < until <= most:
            raise InputError(
                f"a session can be kept until {most.date()} at most, and from today on.",
                hint=f"by {decided.clause}; keep it again later for longer",
            )
        kept = KeptSession(of, session, now, until, decided.clause, decided.document)
        KeptSessions(self.data).keep(kept)
        return kept

    @property
    def marks(self) -> ClockMarks | None:
        """The note of when this machine was last in use; None where a test sets the clock."""
        return None if self.clocks is None else ClockMarks(self.data, self.clocks)

    def clock_in_doubt(self) -> ClockJump | None:
        """Whether the clock has jumped, or may have, since this machine was last in use. One that
        only may have, and by which nothing of anybody's would go, is taken as right.

        Raises:
            IntegrityError, StorageError: a note can't be read or written.
        """
        jumped = None if self.marks is None else self.marks.jumped()
        if jumped is not None and not jumped.sure and not self._something_is_past():
            self.note_time()
            return None
        return jumped

    def _something_is_past(self) -> bool:
        now = self.clock()
        try:
            dues = [one.due for one in self.transcripts().due()]
            for agent in NAMES:
                dues += self.plan(agent).dues
        except OSError:
            return True  # what can't be looked at may be
        return any(due.at <= now for due in dues)

    def plan(self, agent: str) -> CleaningPlan:
        """What there is of another agent's on this machine, and what of it is past its time.

        Raises:
            IntegrityError, StorageError: which sessions are kept can't be read.
            OSError: a folder can't be read.
        """
        from bailee.client import foreign
        from bailee.client.foreign_places import groups

        where = groups(agent, Path.home(), files.project_of(self.folder), self.environment)
        return foreign.plan(agent, where, self.lifetimes, self.clock(), self.kept(agent))

    def note_time(self) -> bool:
        """Note that this machine is in use now; whether it had been noted before."""
        marks = self.marks
        if marks is None:
            return True
        before = marks.read() is not None
        with reaching(self.data):
            marks.note()
        return before

    def confirm_clock(self) -> None:
        """The person says that the clock is right."""
        self.note_time()

    def tell_and_choose(
        self, whose: str, dues: Sequence[LocalDue]
    ) -> tuple[list[LocalDue], Callable[[LocalDue], bool]] | ClockJump:
        """What of a program's the person is to be told of now, which is noted as told; and what of
        it may go, since an earlier start told of it. Or: the clock is in doubt, and something would
        go by it.
        """
        now = self.clock()
        notes = announcing.read(self.data, whose)
        news = announcing.news(notes, dues, now)
        if (jumped := self.clock_in_doubt()) is not None:
            going = news or any(due.at <= now for due in dues)
            return jumped if going else ([], lambda _: False)
        if not dues and not self.data.exists():
            return [], lambda _: False
        noted_before = self.note_time()
        if news:
            with reaching(self.data):
                announcing.write(self.data, whose, announcing.noted(notes, news, now))
        return news, lambda due: noted_before and announcing.told(notes, due)

    def tidy(self, language: Language = "en") -> str | None:
        """Forget what is past its time, bailee's own; a line for the person, if there is something
        to say. What nobody told of yet is told now and goes at a later start. What is past its time
        is not shown or resumed in any case.

        Raises:
            IntegrityError, StorageError: a note can't be read or written; nothing was deleted.
        """
        said = words(language, "terminal")
        store = self.transcripts()
        with reaching(self.data):
            due = store.due()
        answer = self.tell_and_choose("bailee", [one.due for one in due])
        if isinstance(answer, ClockJump):
            return doubt_in_words(answer, said)
        news, may = answer
        if any(map(may, (one.due for one in due))):
            store.forget(may)
        if announcing.read(self.data, "bailee") and self.clock_in_doubt() is None:
            self.outbox().forget(max(self.lifetimes.own.days, 1))
        return going_in_words(news, self.clock(), said)

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
            lambda: self.afresh().settings,
            credential=self.credential,
            clock=self.clock,
            hurry=hurry,
            only=only,
            leaving=leaving,
        )


def _with_told(settings: ClientSettings, data: Path) -> ClientSettings:
    """The settings, with what a server said last of what agents may reach, where one ever did."""
    if not os.path.lexists(data / TOLD_BOUNDS):
        return settings
    from bailee.client.told_bounds import with_told

    return with_told(settings, data)
