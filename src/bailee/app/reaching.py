"""What a key may use at the upstreams: the policy behind the gateway's port, asked once for each
state of a key, and for each request that has to be looked at.

Rules kept here:

* Who may use all that an upstream offers is not looked at: their requests go as they come.
* What is asked of the policy are the terms that the upstream declares, for the models that the
  request names.
* A refusal names its clause, says its text, and holds nothing of the request.

Rows: O4, R2.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from typing import Final

from bailee.errors import PolicyDenied
from bailee.gateway.access import Look, Reach
from bailee.gateway.routes import GatewayRoute
from bailee.policy import Policy
from bailee.policy.reaching import Reached, ReachFacts, UpstreamTerms, reach, reaches_all
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
_OTHER_HINT: Final = "leave it out of the request, or use another key"


def reach_of(
    policy: Policy,
    terms: Mapping[str, UpstreamTerms],
    channels: tuple[str, ...],
    *,
    plan: str,
    zero_retention: bool,
) -> Reach | None:
    """What a key of an account on this plan may use; None: all that there is. `terms`: what the
    upstreams declare, by channel.
    """
    looks: dict[tuple[str, bool], _Looking] = {}
    for own in (False, True):
        who = ReachFacts(plan, "own" if own else "operator", zero_retention)
        for channel in channels:
            upstream = terms.get(channel, _UNDECLARED)
            if not reaches_all(policy, who, upstream):
                looks[channel, own] = _Looking(policy, who, channel, upstream)
    if not looks:
        return None

    def found(where: GatewayRoute, own: bool) -> Look | None:
        looking = looks.get((where.channel, own))
        if looking is None or where.kind == "models":  # which holds nothing of anybody's
            return None
        return partial(looking.refusal, where.kind)

    return found


class _Looking:
    """Looks at the requests of one key to one upstream. The gateway calls it, on any thread; it
    keeps nothing.
    """

    def __init__(
        self, policy: Policy, who: ReachFacts, channel: str, upstream: UpstreamTerms
    ) -> None:
        self._policy = policy
        self._who = who
        self._channel = channel
        self._upstream = upstream

    def refusal(self, kind: str, method: bytes, request: WholeRequest) -> PolicyDenied | None:
        """Why a request on a route of this kind does not go there; None: it goes."""
        try:
            looked = look_at(kind, method, request)
            found = reach(self._policy, self._who, self._upstream, looked.models, looked.uses)
        except Exception as error:  # a defect here must let nothing pass
            _log.error("a request could not be looked at: %s", type(error).__name__)
            found = reach(self._policy, self._who, self._upstream, (), ("unread",))
            if found.allowed:
                return PolicyDenied("This request could not be looked at, and was not sent.")
        return None if found.allowed else self._refused(found)

    def _refused(self, found: Reached) -> PolicyDenied:
        document = self._policy.document
        clause = next(one for one in document.every_clause if one.id == found.decision.clause)
        uses = "" if found.use == "conversation" else self._uses(found.use)
        hint = _HINTS.get(found.use, _OTHER_HINT)
        table = "upstream" if self._channel == "api" else self._channel
        return PolicyDenied(
            f"{clause.text.en}{uses} (clause {clause.id})", hint=hint.format(table=table)
        )

    def _uses(self, use: str) -> str:
        return f" This request has {self._policy.document.labels['uses'][use].en}."
