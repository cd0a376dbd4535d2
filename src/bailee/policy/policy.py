"""A sound policy, and its decisions.

A decision is the first clause of its action that matches the facts. Facts are finite, so each
decision is worked out once and then found in a table; a repeated one costs about a microsecond.

Rules kept here:

* Fail closed: a fact that is missing, unknown, of the wrong type or with a value that the document
  does not list is an `InputError`. Nothing is assumed.
* A yes or no is `True` or `False`, never 1 or 0; a table's key can't tell them apart, so they are
  looked at first.
* An environment variable that is not a switch of the document is an error; one that is set to the
  empty string does not count as set. Values of variables never appear in an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import date
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from bailee.errors import InputError
from bailee.policy.actions import ACTIONS, FLAGS, Action
from bailee.policy.document import Clause, Document, NetworkDemand, Plan
from bailee.policy.fact_values import checked, quoted
from bailee.policy.facts import ClientFacts, Facts, Terms
from bailee.policy.period import parse
from bailee.policy.reading import one_of
from bailee.policy.space import Combination, Value
from bailee.records import dataclass

if TYPE_CHECKING:
    from bailee.policy.own import OwnDocument

_Key: TypeAlias = tuple[object, ...]
_NOBODY: Final = ClientFacts()


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy says.

    `effect`: "keep" (for `retain`), "allow" or "deny" (`train`, `send`, `pass`), "require" (work
    waits for the answer), "ask" or "skip" (`choose`), "keep" or "drop" (`resume`). `retention`: for
    `retain`, an ISO 8601 period, "P0D" included; else None.
    `clause`: the clause that decided. `document`: SHA-256 (hex) of the document's bytes.
    """

    effect: str
    clause: str
    document: str
    retention: str | None = None

    @property
    def asks(self) -> bool:
        """Whether a person is asked, for `choose`."""
        return self.effect in {"require", "ask"}

    @property
    def terms(self) -> Terms | None:
        """On what terms something is kept, for `retain`; None: it is not kept."""
        if self.retention is None or not parse(self.retention).count:
            return None
        return Terms(self.retention, self.clause, self.document)


@dataclass(frozen=True, slots=True)
class PassedOver:
    """An earlier clause that did not apply: the first fact that failed, the values that would
    have done, and the value it had.
    """

    clause: Clause
    fact: str
    wanted: tuple[Value, ...]
    actual: Value


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision with its facts (as the clauses see them: `segment` included, and each switch as
    "absent", "empty" or "set"), its clause, and the clauses before it. `operators`: what the
    operator's document decides, where an organisation's own decided; None: it was the operator's.
    """

    action: str
    facts: Mapping[str, Value]
    decision: Decision
    clause: Clause
    passed_over: tuple[PassedOver, ...]
    operators: Decision | None = None


_Lookup: TypeAlias = tuple[dict[_Key, Decision], int, Callable[[Mapping[str, object]], _Key], int]
"""An action's table, how many facts it has, facts to key, where in the key flags begin."""


class Policy:
    """The decisions of a document that `prove` has found sound; `load` makes it.

    Everything that decides has the same one, and asks it from any thread. It never changes what it
    decides: its tables only come to hold what was worked out before, and two that work out the same
    at once come to the same. It reads no clock, no environment and no file.
    """

    def __init__(self, document: Document, own: OwnDocument | None = None) -> None:
        """`own`: an organisation's document, which narrows what `document` decides."""
        self.document: Final = document
        self.own: Final = own
        self._clauses: Final = {
            action: tuple((clause, self._decision(clause)) for clause in clauses)
            for action, clauses in document.clauses.items()
        }
        self._tables: Final[dict[str, dict[_Key, Decision]]] = {action: {} for action in ACTIONS}
        self._retained: Final = self._tables["retain"]
        self._trained: Final = self._tables["train"]
        self._sent: Final = self._tables["send"]
        self._lookups: Final[dict[str, _Lookup]] = {
            action.name: (
                self._tables[action.name],
                len(document.facts[action.name]),
                itemgetter(*document.facts[action.name]),
                sum(fact not in FLAGS for fact in document.facts[action.name]),
            )
            for action in ACTIONS.values()
            if not action.env
        }
        self._sending: Final = document.facts["send"]
        self._key_of: Final = itemgetter(*self._sending)  # of at least two: a tuple
        # Each switch adds to one number: once its weight when empty, twice when set.
        self._weights: Final = {name: 3**place for place, name in enumerate(document.switches)}

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) of the document's exact bytes; of the operator's, where an organisation has
        its own beside it.
        """
        return self.document.sha256

    @property
    def version(self) -> str:
        """The document's version, which is the day it takes effect."""
        return self.document.version

    @property
    def on_recorder_failure(self) -> str:
        """What to do when what must be kept can't be written: "refuse" or "serve_unrecorded"."""
        return self._unsure("on_recorder_failure", self.document.on_recorder_failure)

    @property
    def on_limits_unknown(self) -> str:
        """What to do when it can't be told whether a request is within its limits: "refuse", or
        "serve".
        """
        return self._unsure("on_limits_unknown", self.document.on_limits_unknown)

    def goes_on(self, *, zero_retention: bool) -> int | None:
        """For how many minutes requests go on while the databases can't be asked, of a key of which
        nothing is kept or of another one; None: no end is said.
        """
        outage = self.document.without_database
        if outage is None:
            return None
        return outage.unkept if zero_retention else outage.kept

    @property
    def gateways_go_on(self) -> int:
        """For how many minutes a gateway of its own goes by what it knew last while the databases
        can't be reached; 0: no longer than what it knows is good for anyway.
        """
        outage = self.document.without_database
        return 0 if outage is None else outage.gateways

    @property
    def plans(self) -> Mapping[str, Plan]:
        """The plans by name, each with its `segment`."""
        return self.document.plans

    @property
    def may_require_choice(self) -> bool:
        """Whether a clause of it has work wait until a person has chosen about training."""
        return any(one.effect == "require" for one in self.document.clauses["choose"])

    def phase(self, day: date) -> str:
        """The value of the fact `phase` on a day, from the document's dates."""
        if day < self.document.choice_from:
            return "before_choice"
        return "deciding" if day <= self.document.decide_by else "after_deadline"

    def local_transcript_days(self, setting: int | None) -> int:
        """For how many days the client keeps transcripts; `setting` None: the default.

        Raises:
            InputError: not a whole number from 0 to the document's largest.
        """
        local = self.document.local_transcripts
        if setting is None:
            return local.default_days
        if (
            not isinstance(setting, int)
            or isinstance(setting, bool)
            or not 0 <= setting <= local.max_days
        ):
            raise InputError(
                f"{local.setting} must be a whole number from 0 to {local.max_days}.",
                hint="0 keeps no transcripts",
            )
        return setting

    def decide(self, action: str, facts: Mapping[str, object]) -> Decision:
        """The decision for exactly the action's facts.

        Raises:
            InputError: an unknown action, or facts that are not exactly the action's.
        """
        try:
            if action == "send":
                if len(facts) == len(self._sending) + 1:
                    env: Any = facts["env"]
                    return self._sent[*self._key_of(facts), self._number(env)]
            else:
                table, count, key_of, flags = self._lookups[action]
                key = key_of(facts)
                if len(facts) == count:
                    for flag in key[flags:]:
                        if flag is not True and flag is not False:
                            break
                    else:
                        return table[key]
        except (KeyError, TypeError, AttributeError):
            pass  # seen for the first time, or wrong: the slow way tells which
        return self._work_out(action, facts)

    def retain(self, data_class: str, facts: Facts) -> Decision:
        """Whether and how long something is kept, and by which clause. Raises `InputError` as
        `decide` does.
        """
        zero, partner = facts.zero_retention, facts.partner_programme
        if (zero is True or zero is False) and (partner is True or partner is False):
            try:
                return self._retained[
                    data_class, facts.plan, facts.channel, facts.training_choice, zero, partner
                ]
            except (KeyError, TypeError):
                pass
        return self._work_out("retain", {"data_class": data_class, **asdict(facts)})

    def terms(self, data_class: str, facts: Facts) -> Terms | None:
        """On what terms something is kept; None: it is not. Raises as `decide` does."""
        return self.retain(data_class, facts).terms

    def train(
        self,
        *,
        data_class: str,
        plan: str,
        channel: str,
        training_choice: str,
        zero_retention: bool,
        partner_programme: bool,
        active_since_choice: bool,
    ) -> Decision:
        """Whether something may improve models. Raises `InputError` as `decide` does."""
        if (
            (zero_retention is True or zero_retention is False)
            and (partner_programme is True or partner_programme is False)
            and (active_since_choice is True or active_since_choice is False)
        ):
            try:
                return self._trained[
                    data_class,
                    plan,
                    channel,
                    training_choice,
                    zero_retention,
                    partner_programme,
                    active_since_choice,
                ]
            except (KeyError, TypeError):
                pass
        return self._work_out(
            "train",
            {
                "data_class": data_class,
                "plan": plan,
                "channel": channel,
                "training_choice": training_choice,
                "zero_retention": zero_retention,
                "partner_programme": partner_programme,
                "active_since_choice": active_since_choice,
            },
        )

    def send(
        self, *, flow: str, provider: str, env: Mapping[str, str], client: ClientFacts = _NOBODY
    ) -> Decision:
        """Whether a flow may leave the machine; `env` holds the document's switches that exist in
        the environment, with their values. Raises `InputError` as `decide` does.
        """
        return self.decide("send", self.sending(flow, provider, env, client))

    def sending(
        self, flow: str, provider: str, env: Mapping[str, str], client: ClientFacts = _NOBODY
    ) -> dict[str, object]:
        """The facts of `send`: of what is known about a client those that this document reads."""
        known: dict[str, object] = {
            "flow": flow,
            "provider": provider,
            "sign_in": client.sign_in,
            "client_version": self.client_version(client),
        }
        return {**{fact: known[fact] for fact in self._sending}, "env": env}

    def client_version(self, client: ClientFacts) -> str | None:
        """The value of the fact `client_version` for a client: the oldest for one whose version is
        not known or not understood. None: this document does not ask.
        """
        found = None
        for name, begins in self.document.client_versions:
            if found is None or client.numbers >= begins:
                found = name
        return found

    def route(self, kind: str, target: str) -> str:
        """The value of the fact `route`: of what is known as nothing else (`other`), the first that
        the document names for a `target` (path and query at the provider), if it names one.
        """
        if kind == "other" and self.document.routes:
            path = target.partition("?")[0].lower()
            for name, begins in self.document.routes.items():
                if any(path == one or path.startswith(f"{one}/") for one in begins):
                    return name
        return kind

    def method(self, method: str) -> str:
        """The value of the fact `method` for a request's, such as `GET`."""
        name = method.lower()
        return name if name in self.document.labels.get("method", ()) else "other"

    def passes(
        self,
        *,
        route: str,
        credential: str,
        unrecorded_routes: bool,
        cloud_session: bool,
        method: str = "other",
    ) -> Decision:
        """Whether a request may go to the provider. Raises `InputError` as `decide` does."""
        known: dict[str, object] = {
            "route": route,
            "credential": credential,
            "unrecorded_routes": unrecorded_routes,
            "cloud_session": cloud_session,
            "method": method,
        }
        return self.decide("pass", {fact: known[fact] for fact in self.document.facts["pass"]})

    def resumes(self, *, session_deleted: bool, account_erased: bool) -> Decision:
        """Whether what goes on with a session is kept, on the terms that `retain` gives. Raises
        `InputError` as `decide` does.
        """
        return self.decide(
            "resume", {"session_deleted": session_deleted, "account_erased": account_erased}
        )

    def choose(self, *, plan: str, training_choice: str, phase: str, arrival: str) -> Decision:
        """Whether a person is asked about training now. Raises `InputError` as `decide` does."""
        return self.decide(
            "choose",
            {"plan": plan, "training_choice": training_choice, "phase": phase, "arrival": arrival},
        )

    def explain(self, action: str, facts: Mapping[str, object]) -> Explanation:
        """The decision with the clauses that were passed over. Raises as `decide` does."""
        seen = self._seen(self._action(action), facts)
        found = self._operators(action, seen)
        if self.own is None:
            return found
        theirs, rooms = found.decision, self.document.rooms
        clause = self.own.deciding(action, seen, theirs.effect, theirs.retention, rooms)
        if clause is None or clause.effect is None:
            return found
        decision = Decision(clause.effect, clause.id, self.own.sha256, clause.retention)
        return Explanation(action, seen, decision, clause, found.passed_over, theirs)

    def clause(self, name: str) -> Clause | None:
        """The clause with this id, of this document or the organisation's; None: there is none."""
        own = () if self.own is None else self.own.every_clause
        return next((one for one in (*self.document.every_clause, *own) if one.id == name), None)

    @property
    def most_network(self) -> NetworkDemand | None:
        """The clause, of this document or the organisation's, that leaves cloud sessions the least
        of the network; None: none limits it.
        """
        own = () if self.own is None else self.own.network
        from bailee.policy.network import strictest  # here: no start of the agent asks

        return strictest((*self.document.network, *own))

    def keeps_nothing(self, data_classes: Iterable[str], facts: Facts) -> bool:
        """Whether none of these is kept of what has these facts. Raises as `decide` does."""
        return all(self.terms(one, facts) is None for one in data_classes)

    def _unsure(self, what: str, operators: str) -> str:
        return "refuse" if self.own is not None and what in self.own.refuses else operators

    def _operators(self, action: str, seen: Combination) -> Explanation:
        """What the document alone decides."""
        passed: list[PassedOver] = []
        for clause, decision in self._clauses[action]:
            for condition in clause.when:
                if seen[condition.fact] not in condition.values:
                    passed.append(
                        PassedOver(clause, condition.fact, condition.values, seen[condition.fact])
                    )
                    break
            else:
                return Explanation(action, seen, decision, clause, tuple(passed))
        raise AssertionError("a proved document decides every combination")

    def _decision(self, clause: Clause) -> Decision:
        assert clause.effect is not None
        return Decision(clause.effect, clause.id, self.document.sha256, clause.retention)

    def _work_out(self, action: str, facts: Mapping[str, object]) -> Decision:
        """Decide with every check, and remember: valid facts are finite, so the table is too."""
        decision = self.explain(action, facts).decision
        if ACTIONS[action].env:
            key: _Key = (*self._key_of(facts), self._number(facts["env"]))
        else:
            key = tuple(facts[fact] for fact in self.document.facts[action])
        self._tables[action][key] = decision
        return decision

    def _number(self, env: Any) -> int:
        """The states of all switches as one number. KeyError or TypeError: look closer."""
        number = 0
        for name, value in env.items():
            if type(value) is not str:
                raise TypeError
            number += self._weights[name] * (2 if value else 1)
        return number

    def _action(self, name: object) -> Action:
        if not isinstance(name, str) or name not in ACTIONS:
            raise InputError(
                "There is no such action.", hint=f"action is one of: {', '.join(ACTIONS)}"
            )
        return ACTIONS[name]

    def _seen(self, action: Action, facts: Mapping[str, object]) -> Combination:
        """The facts as clauses see them, after every check."""
        if not isinstance(facts, Mapping):
            raise InputError("Facts must be an object.", hint=self._facts_hint(action))
        taken = self.document.facts[action.name]
        names = (*taken, "env") if action.env else taken
        for given in facts:
            if given not in names:
                raise InputError(
                    f"{quoted(given)} is not a fact of {action.name}.",
                    hint=self._facts_hint(action),
                )
        for name in names:
            if name not in facts:
                raise InputError(f"The fact {name} is missing.", hint=self._facts_hint(action))
        seen: Combination = {}
        space = self.document.spaces[action.name]
        for name in taken:
            seen[name] = checked(name, facts[name], space.domains[name])
        if action.env:
            seen.update(self._switches(facts["env"]))
        if "plan" in seen:
            seen["segment"] = self.document.plans[str(seen["plan"])].segment
        return seen

    def _facts_hint(self, action: Action) -> str:
        names = (*self.document.facts[action.name], *(["env"] if action.env else []))
        return f"{action.name} takes {', '.join(names)}"

    def _switches(self, env: object) -> Combination:
        if not isinstance(env, Mapping):
            raise InputError("env must be an object of environment variables.", hint="env: {}")
        states: Combination = dict.fromkeys(self.document.switches, "absent")
        for name, value in env.items():
            if not isinstance(name, str) or name not in states:
                raise InputError(
                    f"{quoted(name)} is not a switch of the policy.",
                    hint=one_of(str(name)[:80], states),
                )
            if type(value) is not str:
                raise InputError(
                    f"The value of {name} must be a string.", hint='as in the environment: "1"'
                )
            states[name] = "set" if value else "empty"
        return states
