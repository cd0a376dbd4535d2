"""Which document holds at the moment, for everything that asks a policy for as long as it runs.

Rules kept here:

* What holds is one value, replaced as a whole: who reads it twice may find two documents, so who
  decides more than one thing about the same matter reads it once.
* `since` orders documents among what people choose and what comes in, without a clock: it is the
  number of an entry of the audit record, as a choice's number is.

* What holds for an organisation that has a document of its own is that and the operator's together.
  It is put together when it is first asked for, and anew when either changes.

Rows: P1, P5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bailee.errors import InputError
from bailee.policy import own
from bailee.policy.meanings import ToldApart
from bailee.policy.policy import Policy


@dataclass(frozen=True, slots=True)
class InForce:
    """A policy, and the number of the entry by which it came to hold; 0: a home's first."""

    policy: Policy
    since: int = 0

    @property
    def readable(self) -> bool:
        """Whether what an organisation's own document says of what is kept is known."""
        return self.policy.own is None or self.policy.own.readable


@dataclass(frozen=True, slots=True)
class OwnHeld:
    """An organisation's document (None: it has none any more), and the number of the entry since
    which that is so. `sound`: it is what was written. `then`: what the operator's document told
    apart that it was proved against; None: nobody knows.
    """

    content: bytes | None
    since: int
    sound: bool = True
    then: ToldApart | None = None


@dataclass(frozen=True, slots=True)
class _State:
    """All that holds. `made`: by organisation, what was put together."""

    now: InForce
    own: Mapping[str, OwnHeld]
    made: dict[str, InForce] = field(default_factory=dict)


HeldBy = Callable[[str | None], InForce]
"""What holds for an organisation, or for who is of none (`PolicyHolder.of`)."""


class PolicyHolder:
    """The policy that holds. A home has one, and whatever decides is given it. Read from any
    thread; `take` and `take_own` are called by what activates a document, once that is on disk, one
    at a time. It stores nothing.
    """

    def __init__(self, policy: Policy, since: int = 0) -> None:
        self._state = _State(InForce(policy, since), {})

    @property
    def now(self) -> InForce:
        """What holds for who has no document of their own, as one value: the same object until
        another document does.
        """
        return self._state.now

    @property
    def policy(self) -> Policy:
        """The operator's policy that holds."""
        return self._state.now.policy

    def of(self, organisation: str | None) -> InForce:
        """What holds for an organisation, or for who is of none: the same object until another
        document does.
        """
        state = self._state
        if organisation is None or (held := state.own.get(organisation)) is None:
            return state.now
        made = state.made.get(organisation)
        if made is None:
            made = state.made.setdefault(organisation, together(state.now, held))
        return made

    def own(self, organisation: str) -> OwnHeld | None:
        """What an organisation has of its own, or had last; None: it never had any."""
        return self._state.own.get(organisation)

    def organisations(self) -> list[str]:
        """Those that have a document of their own."""
        return [name for name, one in self._state.own.items() if not one.sound or one.content]

    def under(self, policy: Policy) -> Callable[[str | None], Policy]:
        """What would hold for each organisation, if the operator's document were another."""
        state = _State(InForce(policy), self._state.own)

        def of(organisation: str | None) -> Policy:
            if organisation is None or (held := state.own.get(organisation)) is None:
                return policy
            made = state.made.get(organisation)
            if made is None:
                made = state.made.setdefault(organisation, together(state.now, held))
            return made.policy

        return of

    def take(self, now: InForce) -> None:
        """Let another hold, from the next question on."""
        self._state = _State(now, self._state.own)

    def take_own(self, organisation: str, held: OwnHeld) -> None:
        """Let another document of an organisation's hold, or none, from the next question on."""
        state = self._state
        made = {name: one for name, one in state.made.items() if name != organisation}
        self._state = _State(state.now, {**state.own, organisation: held}, made)

    def take_all(self, now: InForce, own: Mapping[str, OwnHeld]) -> None:
        """Let another hold, with these documents of organisations' own."""
        self._state = _State(now, own)


class FollowedPolicy(PolicyHolder):
    """What holds in a home that another process has. Each question raises `StorageError`
    (`outdated`) while what is in memory is not confirmed. Who reads the record puts the whole of
    what holds there (`take_all`), on one thread; before the first time it is asked nothing.
    """

    def __init__(self, require: Callable[[], None]) -> None:
        """`require` raises while nothing may be gone by."""
        self._require = require

    @property
    def _state(self) -> _State:
        self._require()
        return self._followed

    @_state.setter
    def _state(self, state: _State) -> None:
        self._followed = state


def together(now: InForce, held: OwnHeld) -> InForce:
    """The operator's document and an organisation's, as one policy. One that can't be read lets
    nothing through.
    """
    since = max(now.since, held.since)
    document = now.policy.document
    content = held.content or b""
    if held.sound and held.content is None:
        return InForce(now.policy, since)
    found = None
    if held.sound:
        try:
            found = own.read(content, document, before=True, then=held.then)
        except InputError:
            found = None
    return InForce(Policy(document, found or own.unreadable(content, document)), since)
