"""The policy document as objects: what it holds once it has been read.

`parsing` makes a `Document` from TOML. The format is described in
docs/reference/policy-document.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import date
from typing import Final, Literal

from bailee.policy.space import Space, Value
from bailee.records import dataclass

Language = Literal["en", "zh"]
Version = tuple[int, ...]
BOUND: Final = "bound"
"""The key of how far settings may go."""
NETWORK: Final = "network"
"""The key of demands, and the action of such a clause of an organisation's."""
OPENS: Final = "cloud_opens"
"""The key of what may be opened, and the name that refusals give."""
HOSTS: Final = "hosts"
"""Hosts beyond the level, by a setting's or an account's list."""
NETWORKS: Final = "networks"
"""Networks that are not public."""
WITHOUT: Final = "without_database"
"""The key of how long requests go on without the databases, and the name that refusals give."""
OPENED: Final = (HOSTS, NETWORKS)


@dataclass(frozen=True, slots=True)
class Text:
    """One text in the document's two languages."""

    en: str
    zh: str

    def of(self, language: Language) -> str:
        """The text in this language."""
        return self.en if language == "en" else self.zh


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan of an account. `segment` is "consumer" or "commercial"."""

    name: str
    segment: str
    label: Text


@dataclass(frozen=True, slots=True)
class ModelProvider:
    """Where a client finds its model; `selected_by` is the switch that selects it, if any."""

    name: str
    label: Text
    selected_by: str | None


@dataclass(frozen=True, slots=True)
class Condition:
    """`fact` must have one of `values`."""

    fact: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Flow:
    """What leaves a machine besides the work.

    It is on where `default` (provider → on) says so and no switch selects another provider, or
    where all of one of `also_on` holds; nowhere where all of one of `also_off` holds; and the
    other `switches` turn it off.
    """

    name: str
    label: Text
    carries: Text
    default: Mapping[str, bool]
    switches: tuple[str, ...]
    line: int
    also_on: tuple[tuple[Condition, ...], ...] = ()
    also_off: tuple[tuple[Condition, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause. A statement decides nothing: its `action` and `effect` are None.

    `when`: conditions that must all hold. `retention`: for `keep`, an ISO 8601 period.
    `rows`: the promises it serves. `line`: where it stands.
    """

    id: str
    action: str | None
    heading: str
    rows: tuple[str, ...]
    when: tuple[Condition, ...]
    effect: str | None
    retention: str | None
    text: Text
    line: int


Demand = Literal["never", "always", "at_most", "exactly"]


@dataclass(frozen=True, slots=True)
class Invariant:
    """What must hold for every combination that meets `when` and not all of `unless`.

    `never`/`always`: `value` is an effect. `at_most`/`exactly`: a retention period.
    """

    id: str
    rows: tuple[str, ...]
    action: str
    when: tuple[Condition, ...]
    unless: tuple[Condition, ...]
    demand: Demand
    value: str
    text: Text
    line: int


@dataclass(frozen=True, slots=True)
class RetentionRoom:
    """How far an organisation's own document may go beyond the clauses: what meets `when` it may
    have kept for `at_most` (an ISO 8601 period). `clause`: the room as a statement, for the page.
    """

    clause: Clause
    when: tuple[Condition, ...]
    at_most: str

    def has(self, facts: Mapping[str, Value]) -> bool:
        """Whether it is open for what has these facts."""
        return all(facts[one.fact] in one.values for one in self.when)


@dataclass(frozen=True, slots=True)
class NetworkDemand:
    """A demand about what cloud sessions reach. `level`: how much of the network at the most, one
    of `network.LEVELS`; None: as much as they have. `hosts`: what they never reach, a host or
    `*.host`.
    """

    clause: Clause
    level: str | None
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OutageMinutes:
    """For how many minutes requests go on while the databases can't be asked, from the last moment
    in which they were known to be the server's own: of keys whose conversations are kept, and of
    those of which nothing is. `gateways`: for how many of these gateways of their own go on by what
    they knew last; 0: not at all.
    """

    kept: int
    unkept: int
    gateways: int = 0

    def __str__(self) -> str:
        said = f"{self.kept} kept, {self.unkept} unkept"
        return f"{said}, {self.gateways} at gateways" if self.gateways else said


@dataclass(frozen=True, slots=True)
class SettingBound:
    """How far a setting may go. `of`: what it is about, one of `bounds.EVERY`; of a time, a
    size or an amount `at_most`, as it is written; of a place `only`, of `bounds.PLACES`, of what is
    reached and of models names; of models `deny` too.
    """

    clause: Clause
    of: str
    at_most: str | None
    only: tuple[str, ...] | None
    deny: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of the page; `source` is the heading of the published page it answers to."""

    id: str
    source: str
    label: Text


@dataclass(frozen=True, slots=True)
class LocalRetention:
    """The client's own copies: the setting's name, its default and its largest value, in days;
    `kept_days`: for how long one is kept that a person chose to keep and named no day for; 0 in a
    document that does not say.
    """

    setting: str
    default_days: int
    max_days: int
    kept_days: int
    line: int


@dataclass(frozen=True, slots=True)
class SurveyQuestion:
    """The survey's question, and every answer that can be recorded."""

    question: Text
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Feedback:
    """The commands that send a report, and whether a public issue may be offered."""

    commands: tuple[str, ...]
    public_issue: str


@dataclass(frozen=True, slots=True)
class Document:
    """A whole policy document. `labels`: fact → value → its label, for every named fact, flag
    and the segment; `clauses`: action → its clauses in order; `spaces`: action → its space;
    `facts`: action → what it takes. `settings`: those of `switches` that are keys of a settings
    file; the others are environment variables. `client_versions`: each with the version it begins
    at, oldest first; none where versions are no matter. `routes`: what is told apart among other
    requests, each with what a path at the provider begins with. `models`, `regions`: families,
    each with what its names begin with; none where they are no matter. `rooms`: of `retain`, each
    a statement too. `prefers`: names of upstreams that are asked before the others of their API, in
    this order.
    `sign_up`: the plans that people may take by themselves. `network`: demands of what cloud
    sessions reach, each a statement too; `cloud_opens`: what may be opened to them beside it, of
    `network.OPENED`. `without_database`: for how long requests go on without it; None: no end is
    said. `bounds`: how far settings may go, each a statement too.
    """

    file: str
    sha256: str
    version: str
    effective: date
    on_recorder_failure: str
    on_limits_unknown: str
    title: Text
    choice_from: date
    decide_by: date
    plans: Mapping[str, Plan]
    providers: Mapping[str, ModelProvider]
    flows: Mapping[str, Flow]
    switches: Mapping[str, Text]
    labels: Mapping[str, Mapping[Value, Text]]
    local_transcripts: LocalRetention
    survey: SurveyQuestion
    feedback: Feedback
    headings: tuple[Heading, ...]
    clauses: Mapping[str, tuple[Clause, ...]]
    statements: tuple[Clause, ...]
    invariants: tuple[Invariant, ...]
    rooms: tuple[RetentionRoom, ...]
    spaces: Mapping[str, Space]
    facts: Mapping[str, tuple[str, ...]]
    settings: frozenset[str]
    client_versions: tuple[tuple[str, Version], ...]
    models: Mapping[str, tuple[str, ...]]
    regions: Mapping[str, tuple[str, ...]]
    prefers: tuple[str, ...] = ()
    sign_up: tuple[str, ...] = ()
    network: tuple[NetworkDemand, ...] = ()
    cloud_opens: tuple[str, ...] = ()
    without_database: OutageMinutes | None = None
    bounds: tuple[SettingBound, ...] = ()
    routes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def every_clause(self) -> tuple[Clause, ...]:
        """The statements and the clauses of all actions."""
        return (*self.statements, *(one for group in self.clauses.values() for one in group))

    def bound(self, of: str) -> SettingBound | None:
        """How far settings may go that decide this; None: as far as the software lets them."""
        return next((one for one in self.bounds if one.of == of), None)
