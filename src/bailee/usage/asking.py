"""Who asks for what of a model, and the port of whoever says whether it may go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from bailee.api import Api
from bailee.apis.metering import Metered
from bailee.usage.client_shapes import LimitRefusal
from bailee.usage.limits import Scope, Subject, member_id, team_id

PLAN: Final = "plan"
"""Of a list of models: it is for the accounts of a plan."""


class UsageAsker(NamedTuple):
    """Who asks: the key, whom it speaks for, on which plan, and in which team. Empty: nobody, or
    none.
    """

    key_id: str
    person: str
    organisation: str
    plan: str
    team: str = ""

    @property
    def account(self) -> str:
        """Whose turns a request of theirs takes."""
        return self.organisation or self.person or self.key_id

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """Whose limits the request is under, and what each of those among whom its person is may
        use (`limits.resolved`).
        """
        found = [Subject(Scope.KEY, self.key_id), Subject(Scope.EVERYBODY, "")]
        if self.person:
            found.append(Subject(Scope.PERSON, self.person))
        if self.organisation:
            found.append(Subject(Scope.ORGANISATION, self.organisation))
        if self.team:
            team = team_id(self.organisation, self.team)
            found += Subject(Scope.TEAM, team), Subject(Scope.POOL, team)
        if self.organisation and self.person:
            found += member_subjects(self.organisation, self.person, self.team)
        return tuple(found)

    @property
    def lists(self) -> tuple[tuple[str, str], ...]:
        """Whose lists of models hold."""
        of = (Scope.ORGANISATION, self.organisation), (PLAN, self.plan)
        if not self.team:
            return of
        return (Scope.TEAM, team_id(self.organisation, self.team)), *of


def member_subjects(organisation: str, person: str, team: str | None) -> list[Subject]:
    """By what a member's limits in an organisation are found. `team`: theirs, if any."""
    found = [
        Subject(Scope.MEMBER, member_id(organisation, person)),
        Subject(Scope.MEMBERS, organisation),
    ]
    if team:
        found.append(Subject(Scope.TEAM_MEMBERS, team_id(organisation, team)))
    return found


@dataclass(frozen=True, slots=True)
class WholeRequest:
    """A request that is there whole. `own`: on the client's own credential, under no limit.
    `codings` and `kind`: its Content-Encoding and Content-Type, empty where it says none.
    """

    request_id: str
    asker: UsageAsker
    api: Api
    target: str
    body: bytes
    codings: str
    own: bool
    kind: str = ""


NOBODY: Final = UsageAsker("", "", "", "")


class Governor(Protocol):
    """Says whether requests may go on. The gateway calls it on its event loop."""

    def governs(self, asker: UsageAsker) -> bool:
        """Whether a request of theirs has to be there whole and admitted. A look into memory."""
        ...

    async def admit(self, request: WholeRequest) -> bytes | LimitRefusal:
        """Whether it may go on: the header lines that its answer gets, or why not."""
        ...

    def settle(self, request_id: str, metered: Metered | None) -> None:
        """A request is over, and this is what its answer used. One that was never asked for is
        passed over.
        """
        ...


class Ungoverned:
    """A governor where there are no limits."""

    def governs(self, asker: UsageAsker) -> bool:  # noqa: ARG002
        """See `Governor.governs`."""
        return False

    async def admit(self, request: WholeRequest) -> bytes | LimitRefusal:  # noqa: ARG002
        """See `Governor.admit`."""
        return b""

    def settle(self, request_id: str, metered: Metered | None) -> None:
        """See `Governor.settle`."""
