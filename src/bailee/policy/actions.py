"""What can be asked of a policy: the actions, the facts each takes, the effects it can have.

The questions are the software's and stand here; the answers, and the values that facts can have,
are the document's.

Rules kept here:

* An action takes exactly its facts, all of them, every time.
* Effects go from the strictest to the laxest: the document's check uses that order.
* Facts that are yes or no come last, after those that are names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

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
    "routes": frozenset({"conversation", "counting", "models", "other"}),
    "credentials": frozenset({"operator", "own"}),
}


@dataclass(frozen=True, slots=True)
class Action:
    """One question.

    `facts` in the order of a table's key. With `env`, the states of the document's switches are
    facts too. `effects` go from the strictest to the laxest. With `keeps`, each answer has a
    retention period, and a shorter one is stricter.
    """

    name: str
    question: str
    facts: tuple[str, ...]
    effects: tuple[str, ...]
    env: bool = False
    keeps: bool = False


ACTIONS: Final[dict[str, Action]] = {
    action.name: action
    for action in (
        Action(
            "choose",
            "Is this person asked about training now?",
            ("plan", "training_choice", "phase", "arrival"),
            ("ask", "skip"),
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
        ),
        Action(
            "pass",
            "May this request go to the model's provider?",
            ("route", "credential", "unrecorded_routes", "cloud_session"),
            ("deny", "allow"),
        ),
        Action(
            "resume",
            "Is what goes on with a session kept?",
            ("session_deleted", "account_erased"),
            ("drop", "keep"),
        ),
    )
}
