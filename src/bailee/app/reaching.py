"""Which upstream a key's requests go to, and what they may use there: the policy behind the
gateway's port, asked once for each state of a key, and for each request that has to be looked at.

Rules kept here:

* Who may use all that their first upstream offers is not looked at: their requests go as they come.
* A region that is demanded and that the document does not know is one that nothing is in.
* What is asked of the policy are the terms that the upstream declares, for the models that the
  request names.
* A refusal names its clause, says its text, and holds nothing of the request.

Rows: O4, R2.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from bailee.errors import PolicyDenied
from bailee.gateway.access import Road
from bailee.gateway.routes import GatewayRoute
from bailee.policy import Policy
from bailee.policy.choosing import ChosenUpstream, DeclaredUpstream, UpstreamChoice
from bailee.policy.names import ANYWHERE
from bailee.policy.reaching import ReachFacts, UpstreamTerms, named_in
from bailee.usage.asking import WholeRequest
from bailee.usage.looking import look_at

_log = logging.getLogger("bailee.reaching")
_UNDECLARED: Final = UpstreamTerms()
_HINTS: Final = {
    "conversation": "use another model or key, or ask the operator, who declares in bailee.toml "
    "what an upstream keeps ([{table}.terms])",
    "storage": 'leave it out (with the Responses API say "store": false), or use another key',
    "unread": "send one JSON object in UTF-8 in which no name stands twice, or use another key",
}
_STAYS_HINT: Final = (
    "what a provider may store stays at one upstream ({upstream}), whatever the model: leave it "
    "out, and another takes the request"
)
_OTHER_HINT: Final = "leave it out of the request, or use another key"


def roads_of(
    policy: Policy,
    upstreams: Mapping[str, Sequence[DeclaredUpstream]],
    channels: tuple[str, ...],
    *,
    plan: str,
    zero_retention: bool,
    residency: str = ANYWHERE,
) -> Roads | None:
    """Where requests go of a key of an account on this plan; None: each channel's to its first
    upstream, whatever they use. `upstreams`: those that there are and what they declare, by
    channel, the first first; `residency`: the region that the account demands.
    """
    who = ReachFacts(plan, "operator", zero_retention, residency)
    roads = Roads(policy, {one: tuple(upstreams.get(one, ())) for one in channels}, who)
    return None if roads.plain else roads


class Roads:
    """Where the requests of keys with the same facts go. The gateway's access owns it and asks it
    on the gateway's loop; what it gives may be called on any thread. It keeps no request.
    """

    def __init__(
        self,
        policy: Policy,
        upstreams: Mapping[str, tuple[DeclaredUpstream, ...]],
        who: ReachFacts,
    ) -> None:
        self._policy = policy
        self._upstreams = upstreams
        self._who = who
        facts = policy.document.facts["reach"]
        self.by_team, self._by_client = "team" in facts, "client" in facts
        self._made: dict[tuple[str, bool, str, str], _Looking] = {}

    @property
    def plain(self) -> bool:
        """Whether all goes to the first upstream of its channel, whoever asks with what."""
        if self.by_team or self._by_client:
            return False
        return all(
            self._looking(channel, own, "", "").straight
            for channel in self._upstreams
            for own in (False, True)
        )

    def road(self, team: str, where: GatewayRoute, own: bool, client: str) -> Road:
        """Where a request on a route goes, of somebody's in a team, with a client."""
        looking = self._looking(where.channel, own, team, client)
        home = looking.choice.home.name
        # A list of models holds nothing of anybody's.
        if looking.shut or not (looking.choice.certain or where.kind == "models"):
            return Road(home, partial(looking.found, where.kind))
        return Road(home)

    def _looking(self, channel: str, own: bool, team: str, client: str) -> _Looking:
        document = self._policy.document
        team = named_in(document, "team", team) if self.by_team else ""
        client = named_in(document, "client", client) if self._by_client else ""
        which = channel, own, team, client
        if (made := self._made.get(which)) is None:
            who = replace(
                self._who, credential="own" if own else "operator", team=team, client=client
            )
            given = self._upstreams[channel]
            first = DeclaredUpstream("upstream" if channel == "api" else channel, _UNDECLARED)
            made = self._made[which] = _Looking(self._policy, who, channel, given or (first,))
        return made


class _Looking:
    """Looks at the requests of keys with the same facts on one channel. The gateway calls it, on
    any thread; it keeps nothing.
    """

    def __init__(
        self,
        policy: Policy,
        who: ReachFacts,
        channel: str,
        upstreams: Sequence[DeclaredUpstream],
    ) -> None:
        self._policy = policy
        self._channel = channel
        self._demanded = who.residency
        known = policy.document.labels.get("residency", {ANYWHERE: None})
        self._homeless = who.residency not in known
        self._first = upstreams[0].name
        self.choice = UpstreamChoice(
            policy, replace(who, residency=ANYWHERE) if self._homeless else who, upstreams
        )

    @property
    def shut(self) -> bool:
        """Whether nothing goes anywhere."""
        return self._homeless or self.choice.nowhere

    @property
    def straight(self) -> bool:
        """Whether all goes to the first upstream, and nobody need look."""
        choice = self.choice
        return choice.certain and not self.shut and choice.home.name == self._first

    def found(self, kind: str, method: bytes, request: WholeRequest) -> PolicyDenied | str:
        """The upstream that a request on a route of this kind goes to, or why to none."""
        if self._homeless:
            return PolicyDenied(
                f"This account is answered from {self._demanded} alone, which the policy document "
                "that holds does not know; nothing was sent.",
                hint="the operator activates a document that does, or lifts the demand",
            )
        try:
            looked = look_at(kind, method, request)
            stays = kind in ("other", "models") or method != b"POST"
            found = self.choice.of(looked.models, looked.uses, stays=stays)
        except Exception as error:  # a defect here must let nothing pass
            _log.error("a request could not be looked at: %s", type(error).__name__)
            found = self.choice.of((), ("unread",))
            if found.upstream is not None:
                return PolicyDenied("This request could not be looked at, and was not sent.")
        return self._refused(found) if found.upstream is None else found.upstream

    def _refused(self, chosen: ChosenUpstream) -> PolicyDenied:
        found = chosen.reached
        clause = self._policy.clause(found.decision.clause)
        assert clause is not None, "what refused is a clause of the policy"
        uses = "" if found.use == "conversation" else self._uses(found.use)
        hint = _HINTS.get(found.use, _OTHER_HINT)
        if chosen.elsewhere:
            hint = _STAYS_HINT.format(upstream=self.choice.home.name)
        table = "upstream" if self._channel == "api" else self._channel
        return PolicyDenied(
            f"{clause.text.en}{uses} (clause {clause.id})", hint=hint.format(table=table)
        )

    def _uses(self, use: str) -> str:
        return f" This request has {self._policy.document.labels['uses'][use].en}."
