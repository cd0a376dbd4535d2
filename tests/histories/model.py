"""What the mission promises of a session, as a small model. Pure, and nothing of bailee is in it.

Written from rows T1 to T6, R1 to R6 and O7, and from what issue 11 says of clocks and deleting:

* a choice reaches sessions with a request that began after it (T2, T4), and is kept on record;
* there is none before 2025-08-28 (T3); no choice is not a yes;
* 5 years for what a consumer allowed, 30 days for all else, from the last activity (R1, R4);
* commercial data is trained on only after an admin's word, the first-party API's alone (T5, T6);
* what its owner keeps by an act of their own stays until the later day, and nothing else follows;
* past its time nobody reads it, and within the hour nobody can (R5);
* deleted or erased, it stays so, whatever is under way; a hold defers that and says so (R6);
* a clock that steps destroys, prolongs and shows again nothing until it is confirmed or, by a day
  at most, has lasted.

Where the mission leaves a choice, the model gives all that is allowed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

CHOICE_FROM = datetime(2025, 8, 28, tzinfo=UTC)
SMALL = timedelta(minutes=5)  # a step of no more is no step
LASTS = timedelta(hours=24)
ASKED = timedelta(days=1)
HOUR = timedelta(hours=1)
RESUMABLE = timedelta(days=30)  # as long as a client keeps what it can resume (R3)

DENIED, DESTROYED, BEYOND_BACKUPS = 1, 2, 3
"""How far the forgetting of a session has to be: read by nobody; its key gone; in copies too."""


@dataclass(eq=False)
class Owner:
    """Somebody with a plan and a word to give. `word`: how often it was given."""

    name: str
    plan: str
    consumer: bool
    says: str = "none"
    word: int = 0
    records: list[tuple[str, str]] = field(default_factory=list)
    erased: bool = False


@dataclass(eq=False)
class Said:
    """One exchange. `word`: its owner's when it began."""

    text: str
    owner: Owner
    client: str
    channel: str
    word: int


@dataclass(eq=False)
class Session:
    """What was said in one session. `since`: when it came to its end, by time or by a word."""

    owner: Owner
    client: str
    said: list[Said]
    last: datetime
    since: datetime | None = None
    deleted: bool = False
    holds: list[str] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    forgotten: int = 0
    swept: bool = False
    kept: datetime | None = None  # until when its owner keeps it
    row: str = ""  # by which name the product has it

    @property
    def resumed(self) -> bool:
        """Whether a request of it began after its owner's last word."""
        return any(one.word == self.owner.word for one in self.said)

    @property
    def is_long(self) -> bool:
        """Whether it is kept for five years."""
        return self.owner.consumer and self.owner.says == "allowed" and self.resumed

    @property
    def until(self) -> datetime:
        """When it is over: by time, or on the later day until which its owner keeps it."""
        return self.by_time if self.kept is None else max(self.by_time, self.kept)

    @property
    def by_time(self) -> datetime:
        """When its time is over."""
        if not self.is_long:
            return self.last + timedelta(days=30)
        leap = (self.last.month, self.last.day) == (2, 29)
        return self.last.replace(year=self.last.year + 5, day=28 if leap else self.last.day)

    @property
    def clauses(self) -> set[str]:
        """What may decide how long it is kept."""
        if not self.owner.consumer:
            return {"retain.commercial"}
        said = "undecided" if self.owner.says == "none" else self.owner.says
        if self.resumed:
            return {f"retain.consumer-{said}"}
        return {"retain.consumer-refused", "retain.consumer-undecided"}

    @property
    def is_eligible(self) -> bool:
        """Whether it may be trained on."""
        if self.owner.consumer:
            return self.owner.says == "allowed" and self.resumed
        direct = all(one.channel == "api" for one in self.said)
        return self.owner.says == "joined" and self.resumed and direct


class Model:
    """A home as the mission has it: whose words are there, and what time it is."""

    def __init__(self, owners: list[Owner], now: datetime) -> None:
        self.owners = owners
        self.sessions: list[Session] = []
        self.under_way: list[Said] = []
        self.buried: dict[str, datetime] = {}
        self.open_again: set[str] = set()  # deleted so long ago that nothing is promised any more
        self.home = self.wall = now
        self.step: timedelta | None = None  # as it was when it was noticed
        self.anew: timedelta | None = None  # as a process noticed it that knew of none
        self.lasted = timedelta()
        self.surely_lasted = timedelta()  # a crash may forget since when
        self.noted = False
        self.count = 0

    # -- words -----------------------------------------------------------------------------------

    @property
    def may_choose(self) -> bool:
        """Whether there is a choice yet."""
        return self.home >= CHOICE_FROM

    def is_asked(self, owner: Owner) -> bool:
        """Whether they are asked about training."""
        return owner.consumer and owner.says == "none" and self.may_choose

    def give_word(self, owner: Owner, says: str) -> None:
        """A choice, or joining or leaving. What holds already changes nothing."""
        if owner.says == says or (owner.says, says) == ("none", "left"):
            return
        owner.records.append((owner.says, says))
        owner.says, owner.word = says, owner.word + 1
        self._time_ends()

    def begin(self, owner: Owner, client: str, channel: str) -> Said:
        """A request begins."""
        self.count += 1
        said = Said(f"word {self.count}", owner, client, channel, owner.word)
        self.under_way.append(said)
        return said

    def end(self, said: Said) -> None:
        """Its answer has ended, and that was acknowledged."""
        self.under_way.remove(said)
        if said.owner.erased or said.client in self.buried:
            return
        living = [one for one in self.sessions if one.client == said.client and one.since is None]
        if living:
            (session,) = living
            session.said.append(said)
            session.last = max(session.last, self.home)
        else:
            self.sessions.append(Session(said.owner, said.client, [said], self.home))
        self._time_ends()

    def ends(self, said: Said, by: datetime) -> bool:
        """Whether the session that this goes on with is over by then, without it."""
        living = [one for one in self.sessions if one.client == said.client and one.since is None]
        return any(one.until <= by for one in living)

    def is_settled(self, client: str) -> bool:
        """Whether it is promised what becomes of more that is said under this name."""
        return client not in self.open_again

    # -- forgetting ------------------------------------------------------------------------------

    def is_readable(self, session: Session) -> bool:
        """Whether who asks is shown it. What may be past its time, nobody is shown."""
        return session.since is None and session.until > max(self.home, self.wall)

    @property
    def readable(self) -> list[Session]:
        """What is listed."""
        return [one for one in self.sessions if self.is_readable(one)]

    @property
    def held(self) -> list[tuple[Session, str]]:
        """The holds, each with its session."""
        return [(one, hold) for one in self.sessions for hold in one.holds]

    def delete(self, session: Session) -> None:
        """Its owner deletes it."""
        session.deleted, session.since = True, self.home
        session.forgotten = DENIED
        self.buried[session.client] = self.home

    def keep(self, session: Session, until: datetime) -> None:
        """Its owner keeps it."""
        session.kept = until

    def unkeep(self, session: Session) -> None:
        """And takes that back; what is over by time is so for good."""
        session.kept = None
        self._time_ends()

    def erase(self, owner: Owner) -> None:
        """A person is erased."""
        owner.erased = True
        for session in self.sessions:
            if session.owner is owner and session.forgotten < DESTROYED:
                session.since = session.since or self.home
                session.deleted, session.forgotten, session.swept = True, DENIED, False

    def release(self, session: Session, hold: str) -> None:
        """One hold is released."""
        session.holds.remove(hold)
        session.released.append(hold)

    def sweep(self) -> None:
        """What the schedule does, several times an hour."""
        for session in self.sessions:
            if session.since is not None:
                due = session.deleted or session.forgotten or self.home >= session.since + HOUR
                if due:
                    session.swept = True
                    self._destroy(session)

    def rotate(self) -> None:
        """The root is rotated: older copies of the keys open nothing that was destroyed."""
        for session in self.sessions:
            if session.forgotten == DESTROYED:
                session.forgotten = BEYOND_BACKUPS

    def _destroy(self, session: Session) -> None:
        least = DENIED if session.holds else DESTROYED
        session.forgotten = max(session.forgotten, least)

    def _time_ends(self, before: datetime | None = None) -> None:
        """What is past its time is so for good."""
        for session in self.sessions:
            if session.since is None and session.until <= self.home:
                session.since = max(session.until, before or self.home)
        over = [one for one, at in self.buried.items() if at + RESUMABLE <= self.home]
        self.open_again.update(over)

    # -- time ------------------------------------------------------------------------------------

    def passes(self, how_long: timedelta) -> None:
        """Time passes."""
        before = self.home
        self.wall += how_long
        if self.step is None:
            self.home = max(self.home, self.wall)
        else:
            self.home += how_long
            self.lasted += how_long
            self.surely_lasted += how_long
        self._time_ends(before)

    def set_wall(self, by: timedelta) -> None:
        """Somebody sets the clock."""
        before = self.home
        self.wall += by
        ahead = self.wall - self.home
        if abs(ahead) <= SMALL:
            self.step = None
            self.home = max(self.home, self.wall)
        elif self.step is None or abs(ahead - self.step) > SMALL:
            self.step, self.anew = ahead, None
            self.lasted = self.surely_lasted = timedelta()
            self.noted = False
        self._time_ends(before)

    @property
    def _sizes(self) -> list[timedelta]:
        return [abs(one) for one in (self.step, self.anew) if one is not None]

    @property
    def may_follow(self) -> bool:
        """Whether the step may be followed without anybody's word."""
        return self.step is not None and min(self._sizes) <= ASKED and self.lasted >= LASTS

    @property
    def must_follow(self) -> bool:
        """Whether it is, by who looks now."""
        small = self.step is not None and max(self._sizes) <= ASKED
        return small and self.surely_lasted >= LASTS

    def follow(self) -> None:
        """The clock is taken as it is. What was past its time before is not shown by an earlier."""
        before = self.home
        if self.wall < self.home:
            for session in self.sessions:
                if session.since is not None:
                    session.swept = True
                    self._destroy(session)
        self.home, self.step = self.wall, None
        self._time_ends(before)

    def starts(self, now: datetime) -> None:
        """The process starts again, and takes it to be `now`: it may have lost by how little the
        clock was set before. Since when a step lasts, and how large it was, it knows if that was
        noted; else it takes it as it is now, with what the clock was set by since.
        """
        if abs(now - self.home) <= SMALL:
            self.home = now
            self._time_ends()
        if self.step is not None and not self.noted:
            self.surely_lasted = timedelta()
            self.anew = self.wall - self.home
