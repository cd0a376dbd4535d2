"""What can be asked of a policy: the actions, the facts each takes, the effects it can have.

The questions are the software's and stand here; the answers, and the values that facts can have,
are the document's.

Rules kept here:

* An action takes exactly its facts, all of them, every time: those that every document reads, and
  of the optional ones those that the document says it reads.
* Effects go from the strictest to the laxest: the document's check uses that order.
* Facts that are yes or no come last, after those that are names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bailee.records import dataclass

SWITCH_STATES: Final = ("absent", "empty", "set")

# fact → the table of the document that lists its values
NAMED_FACTS: Final[dict[str, str]] = {
    "data_class": "data_classes",
    "plan": "plans",
    "channel": "channels",
    "training_choice": "training_choices",
    "phase": "phases",
    "arrival": "arrivals",
    "flow": "flows",
    "provider": "providers",
    "route": "routes",
    "credential": "credentials",
    "sign_in": "sign_ins",
    "client_version": "client_versions",
    "upstream": "upstreams",
    "uses": "uses",
    "model": "models",
    "region": "regions",
    "residency": "residencies",
    "place": "places",
    "team": "teams",
    "client": "clients",
    "method": "methods",
}
FLAGS: Final = (
    "zero_retention",
    "partner_programme",
    "active_since_choice",
    "unrecorded_routes",
    "cloud_session",
    "session_deleted",
    "account_erased",
)

# Values that the software itself gives or asks for: a document without them can't be used.
REQUIRED_VALUES: Final[dict[str, frozenset[str]]] = {
    "training_choices": frozenset({"allowed", "refused", "none"}),
    "phases": frozenset({"before_choice", "deciding", "after_deadline"}),
    "arrivals": frozenset({"new", "existing"}),
    "segments": frozenset({"consumer", "commercial"}),
    "credentials": frozenset({"operator", "own"}),
    "sign_ins": frozenset({"subscription", "organisation", "key", "gateway", "nobody"}),
    "upstreams": frozenset({"keeps_nothing", "keeps", "trains", "undeclared"}),
    "uses": frozenset(
        {
            "conversation",
            "files",
            "batches",
            "storage",
            "code_execution",
            "mcp_connector",
            "web_search",
            "other",
            "unread",
        }
    ),
}

METHODS: Final = ("get", "head", "post", "put", "patch", "delete")
"""The methods of requests that a document can tell apart: all that pass at the gateway."""

# Likewise, where a document may have more of them.
NEEDED_VALUES: Final[dict[str, frozenset[str]]] = {
    "routes": frozenset({"conversation", "counting", "models", "other"}),
    "models": frozenset({"other"}),
    "regions": frozenset({"elsewhere", "undeclared"}),
    "residencies": frozenset({"anywhere"}),
    "places": frozenset({"other"}),
    "teams": frozenset({"other"}),
    "clients": frozenset({"other"}),
    "methods": frozenset({"other"}),
}


@dataclass(frozen=True, slots=True)
class Action:
    """One question.

    `facts` in the order of a table's key; `optional`: others that a document can read as well. With
    `env`, the states of the document's switches are
    facts too. `effects` go from the strictest to the laxest. With `keeps`, each answer has a
    retention period, and a shorter one is stricter.
    """

    name: str
    question: str
    facts: tuple[str, ...]
    effects: tuple[str, ...]
    env: bool = False
    keeps: bool = False
    optional: tuple[str, ...] = ()


ACTIONS: Final[dict[str, Action]] = {
    action.name: action
    for action in (
        Action(
            "choose",
            "Is this person asked about training now?",
            ("plan", "training_choice", "phase", "arrival"),
            ("require", "ask", "skip"),
        ),
        Action(
            "train",
            "May this improve models?",
            (
                "data_class",
                "plan",
                "channel",
                "training_choice",
                "zero_retention",
                "partner_programme",
                "active_since_choice",
            ),
            ("deny", "allow"),
        ),
        Action(
            "retain",
            "Is this kept, and for how long?",
            (
                "data_class",
                "plan",
                "channel",
                "training_choice",
                "zero_retention",
                "partner_programme",
            ),
            ("keep",),
            keeps=True,
        ),
        Action(
            "send",
            "May this leave the machine?",
            ("flow", "provider"),
            ("deny", "allow"),
            env=True,
            optional=("sign_in", "client_version"),
        ),
        Action(
            "pass",
            "May this request go to the model's provider?",
            ("route", "credential", "unrecorded_routes", "cloud_session"),
            ("deny", "allow"),
            optional=("method",),
        ),
        Action(
            "reach",
            "May what this request uses be used at this upstream?",
            ("plan", "credential", "upstream", "uses", "zero_retention"),
            ("deny", "allow"),
            optional=("model", "region", "residency", "place", "team", "client"),
        ),
        Action(
            "resume",
            "Is what goes on with a session kept?",
            ("session_deleted", "account_erased"),
            ("drop", "keep"),
        ),
    )
}

OWN_ACTIONS: Final = ("train", "retain", "send", "pass", "reach")
"""What an organisation's own document can be about, in the order in which it is shown."""
OWN_CLASSES: Final = (
    *("transcript", "transcript_kept", "cloud_output", "cloud_diff", "feedback_report"),
    *("metric", "error_event", "local_transcript"),
)
"""What of an organisation's data its own document can have kept otherwise: what is decided from the
facts of its account, and what the operator does not count by."""

OPTIONAL: Final = tuple(dict.fromkeys(fact for one in ACTIONS.values() for fact in one.optional))
"""The facts that a document reads only if it says so."""


def in_order(facts: Sequence[str]) -> tuple[str, ...]:
    """Facts in the order of a table's key: names, then those that are yes or no."""
    return (*(one for one in facts if one not in FLAGS), *(one for one in facts if one in FLAGS))
