"""Who calls the gateway, and on what terms: accounts and policy behind the gateway's port."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from bailee.accounts import Account, ApiKey
from bailee.accounts.known import KnownAccounts
from bailee.app.reaching import Roads, roads_of
from bailee.app.using import asker_of
from bailee.clock import Clock, system_clock
from bailee.db.leases import SECONDS
from bailee.gateway.access import Caller, NothingKept, Passage, Reach, Road
from bailee.gateway.routes import CHANNELS, GatewayRoute
from bailee.gateway.settings import MIB
from bailee.policy import Decision, Policy, bounds
from bailee.policy.choosing import DeclaredUpstream
from bailee.policy.document import WITHOUT
from bailee.policy.facts import Terms
from bailee.policy.holding import InForce, PolicyHolder
from bailee.policy.names import ANYWHERE
from bailee.policy.reaching import OTHER
from bailee.usage.asking import UsageAsker

_OWNER: Final = "your organisation's own policy document says so: ask its owner"
_CHOOSE: Final = "choose under Privacy in the console, or by `bailee privacy`; then ask again"
_BY_OWN: Final = (
    "send a credential of your own for the upstream, and the bailee key as x-bailee-key"
)
_NAMED: Final = "--unrecorded-routes"
_AWAY: Final = "The databases of this server have been away"
_AGAIN: Final = "try again later; the operator sees to the databases (bailee doctor --service)"
_HELD: Final = float(SECONDS)
_MOST: Final = 10_000
_Asks = Callable[[GatewayRoute, bool], Passage]
_NONE: Final[Mapping[str, tuple[DeclaredUpstream, ...]]] = {}


class GatewayPolicyAccess:
    """The gateway's `Access`: keys from `accounts`, terms from `policy`.

    The server makes it, over what it has or what it follows (`node.reader`); the gateway calls it
    on its event loop's thread, so it only looks up. A caller is made once for each state of an
    account, with its terms, and what passes for it, decided; a change of the account (a choice, a
    revoked key), and another document, make a new one at the next request. All that is decided of a
    request is by one document: the one that held when it was let in. It never keeps what was
    presented.
    """

    def __init__(
        self,
        accounts: KnownAccounts,
        holding: PolicyHolder,
        upstreams: Mapping[str, tuple[DeclaredUpstream, ...]] = _NONE,
        teams: Callable[[UsageAsker], UsageAsker] = lambda asker: asker,
        clock: Clock = system_clock,
        *,
        unsure: Callable[[], float] | None = None,
        most: int = _MOST,
    ) -> None:
        """`upstreams`: those that there are, by channel, the first first. `teams`: who asks, with
        their team; a look into memory. `clock`: says which day it is. `unsure`: for how many
        seconds the databases have not been known to be this server's; None: nobody can take them.
        `most`: how many callers are remembered; those of keys that have ended are among them.
        """
        self._accounts = accounts
        self._holding = holding
        self._upstreams = upstreams
        self._teams = teams
        self._clock = clock
        self._unsure = unsure
        self._most = most
        # The gateway's loop's alone. By both documents, plan, zero retention, the region demanded.
        self._roads: dict[tuple[str, str, str, bool, str], Roads | None] = {}
        self._callers: dict[str, tuple[ApiKey, Account, InForce, Caller]] = {}

    def authenticate(self, presented: bytes) -> Caller | None:
        """The caller whose key this is, or None when it is unknown or revoked."""
        found = self._accounts.authenticate(presented)
        if found is None:
            return None
        key, account = found
        now = self._holding.of(account.organisation_id)
        held = self._callers.get(key.key_id)
        if held is not None and held[0] is key and held[1] is account and held[2] is now:
            return held[3]
        caller = self._caller(now, key, account)
        if len(self._callers) >= self._most:
            self._callers.clear()  # each is made anew when it asks
        self._callers[key.key_id] = (key, account, now, caller)
        return caller

    def _caller(self, now: InForce, key: ApiKey, account: Account) -> Caller:
        policy = now.policy
        # Of those that the document does not name there is no upstream either.
        named = policy.document.labels["channel"]
        zero = key.zero_retention
        terms = {
            channel: _terms(policy, account, channel, zero=zero)
            for channel in CHANNELS
            if channel in named
        }
        if not zero and policy.own is not None:
            # What its organisation has kept nowhere is under all that holds for such a key.
            zero = all(isinstance(one, NothingKept) for one in terms.values())
        passages = {
            (route, own, method): _passage(policy, key, account, (str(route), str(method)), own=own)
            for route in policy.document.labels["route"]
            for method in policy.document.labels.get("method", (OTHER,))
            for own in (False, True)
        }

        def passage(where: GatewayRoute, own: bool) -> Passage:
            kind = policy.route(where.kind, where.target.decode("latin-1"))
            return passages[kind, own, policy.method(where.method)]

        def stored(setting: int) -> int:
            own = () if policy.own is None else policy.own.bounds
            return bounds.mib(policy.document, bounds.STORED, setting, own) * MIB

        asks: _Asks = passage
        if account.person_id is not None and policy.may_require_choice:
            asks = self._waiting(policy, account, asks)
        if (minutes := policy.goes_on(zero_retention=zero)) is not None:
            asks = self._confirmed(minutes, asks)
        return Caller(
            owner=account.account_id,
            key_id=key.key_id,
            key_name=key.name,
            plan=account.plan,
            zero_retention=zero,
            terms=terms.__getitem__,
            passage=asks,
            consent=max(account.consent, now.since),
            must_record=policy.on_recorder_failure == "refuse",
            asker=asker_of(key, account),
            reach=self._reach_of(policy, key, account, zero=zero),
            stored=None if account.stored_mb is None else stored(account.stored_mb),
            stored_at_most=stored(0),
        )

    def _waiting(self, policy: Policy, account: Account, passage: _Asks) -> _Asks:
        """The same, where the document may let nothing through before a person has chosen: that is
        asked with each request, since it goes by the day.
        """

        def waits(where: GatewayRoute, own: bool) -> Passage:
            decision = policy.choose(
                plan=account.plan,
                training_choice=account.training_choice,
                phase=policy.phase(self._clock().date()),
                arrival="existing",
            )
            if decision.effect != "require":
                return passage(where, own)
            clause = policy.clause(decision.clause)
            assert clause is not None
            return Passage(False, decision.clause, clause.text.en, _CHOOSE)

        return waits

    def _confirmed(self, minutes: int, passage: _Asks) -> _Asks:
        """The same, as long as the databases are known to be this server's, and for so many minutes
        more: what was revoked, chosen or erased since would not be known here.
        """
        unsure = self._unsure
        if unsure is None:
            return passage
        most = max(_HELD, minutes * 60.0)
        away = Passage(
            False, WITHOUT, f"{_AWAY} for more than {minutes} minutes.", _AGAIN, again=True
        )

        def confirmed(where: GatewayRoute, own: bool) -> Passage:
            return passage(where, own) if unsure() <= most else away

        return confirmed

    def _reach_of(
        self, policy: Policy, key: ApiKey, account: Account, *, zero: bool
    ) -> Reach | None:
        own = "" if policy.own is None else policy.own.sha256
        residency = account.residency or ANYWHERE
        which = policy.sha256, own, account.plan, zero, residency
        if which not in self._roads:
            named = policy.document.labels["channel"]
            self._roads[which] = roads_of(
                policy,
                self._upstreams,
                tuple(channel for channel in CHANNELS if channel in named),
                plan=account.plan,
                zero_retention=zero,
                residency=residency,
            )
        roads = self._roads[which]
        if roads is None:
            return None
        asker, teams = asker_of(key, account), self._teams

        def road(where: GatewayRoute, own: bool, client: str) -> Road:
            team = teams(asker).team if roads.by_team else ""
            return roads.road(team, where, own, client)

        return road


def _passage(
    policy: Policy, key: ApiKey, account: Account, asks: tuple[str, str], *, own: bool
) -> Passage:
    """`asks`: the values of the facts `route` and `method`."""
    route, method = asks
    credential = "own" if own else "operator"
    named, cloud = account.unrecorded_routes, key.scope == "cloud"

    def asked(
        credential: str = credential, *, named: bool = named, cloud: bool = cloud
    ) -> Decision:
        return policy.passes(
            route=route,
            method=method,
            credential=credential,
            unrecorded_routes=named,
            cloud_session=cloud,
        )

    decision = asked()
    if decision.effect == "allow":
        return Passage(True, decision.clause)
    if policy.own is not None:
        # What the organisation closes as well is its owner's to open, whatever the operator would.
        for one in (decision, asked("own")):
            theirs = policy.clause(one.clause)
            if theirs is not None and one.document == policy.own.sha256:
                return Passage(False, one.clause, theirs.text.en, _OWNER)
    clause = policy.clause(decision.clause)
    assert clause is not None
    ways = []
    if asked("own").effect == "allow":
        ways.append(_BY_OWN)
    if asked(named=True).effect == "allow":
        ways.append(f"ask the operator for `bailee account allow {account.account_id} {_NAMED}`")
    if not ways and asked(cloud=False).effect == "allow":
        ways.append("do this outside the cloud session, with another key")
    hint = "; or ".join(ways) or "the operator's policy document says so: ask the operator"
    return Passage(False, decision.clause, clause.text.en, hint)


def _terms(policy: Policy, account: Account, channel: str, *, zero: bool) -> Terms | NothingKept:
    facts = account.facts(zero_retention=zero, channel=channel)
    decision = policy.retain("transcript", facts)
    return decision.terms or NothingKept(decision.clause)
