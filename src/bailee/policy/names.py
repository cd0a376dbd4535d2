"""The names that a document defines: plans, channels, switches, flows, versions of clients. Pure.

`parsing` reads these first, and then the clauses against them.

Rules kept here:

* A name stands for one value of one fact, in both languages.
* What the software itself gives or asks for must be there, and nothing else in its place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from bailee.policy.actions import (
    ACTIONS,
    FLAGS,
    METHODS,
    NAMED_FACTS,
    NEEDED_VALUES,
    OPTIONAL,
    REQUIRED_VALUES,
    SWITCH_STATES,
    Action,
    in_order,
)
from bailee.policy.document import Condition, Flow, ModelProvider, Plan, Text, Version
from bailee.policy.reading import Table, one_of
from bailee.policy.space import Space, Value

_SWITCH: Final = re.compile(r"[A-Z][A-Z0-9_]*", re.ASCII)
_SETTING: Final = re.compile(r"[a-z][A-Za-z0-9]*", re.ASCII)
_HAVE_MORE: Final = ("client_version", "model", "region")
"""Optional facts whose values have more to them than a label."""
ANYWHERE: Final = "anywhere"
"""The residency of who demands no region."""
_PATH: Final = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[a-z0-9._~:@-]+)+", re.ASCII)
_VERSION: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,3}", re.ASCII)


class DocumentNames:
    """The names a document defines: what facts can be, and how each is called. Made for one reading
    of one document; the clauses are read against it.
    """

    def __init__(self, root: Table) -> None:
        self.labels: dict[str, dict[Value, Text]] = {}
        self.segments = [str(name) for name in self._labelled(root, "segments", "segment")]
        self.plans: dict[str, Plan] = {}
        for name, table in self._members(root, "plans"):
            segment = table.one_of("segment", self.segments)
            self.plans[name] = Plan(name, segment, text_of(table))
        self.labels["plan"] = {plan.name: plan.label for plan in self.plans.values()}
        self.facts = self._reads(root)
        for fact in (
            "channel",
            "data_class",
            "training_choice",
            "phase",
            "arrival",
            "credential",
            "upstream",
            "uses",
            *(one for one in OPTIONAL if one in NAMED_FACTS and one not in _HAVE_MORE),
        ):
            if fact not in OPTIONAL or self._is_read(fact):
                self._labelled(root, NAMED_FACTS[fact], fact)
        self.client_versions = self._versions(root)
        self.routes = self._routes(root)
        self.models = self._families(root, "model")
        self.regions = self._families(root, "region")
        self._check_residencies(root)
        self._check_methods(root)
        self.switches: dict[str, Text] = {}
        self.settings: list[str] = []
        for name, table in root.table("switches").named():
            if table.has("setting") and table.yes("setting"):
                self.settings.append(name)
                if _SETTING.fullmatch(name) is None:
                    table.refuse(None, f"{name!r} can't be a key of a settings file.")
            elif _SWITCH.fullmatch(name) is None:
                table.refuse(None, f"{name!r} can't be an environment variable of ours.")
            self.switches[name] = text_of(table)
        root.has("switches")
        self.providers: dict[str, ModelProvider] = {}
        for name, table in self._members(root, "providers"):
            by = table.one_of("selected_by", self.switches) if table.has("selected_by") else None
            self.providers[name] = ModelProvider(name, text_of(table), by)
        self.labels["provider"] = {one.name: one.label for one in self.providers.values()}
        self._flow_tables = dict(self._members(root, "flows"))
        self.flows = {name: self._flow(name, table) for name, table in self._flow_tables.items()}
        self.labels["flow"] = {one.name: one.label for one in self.flows.values()}
        flags = root.table("flags")
        for flag in FLAGS:
            table = flags.table(flag)
            self.labels[flag] = {
                True: text_of(table.table("true")),
                False: text_of(table.table("false")),
            }
            table.finish()
        flags.finish()

    def space(self, action: Action) -> Space:
        """All combinations of what an action takes in this document."""
        domains: dict[str, Sequence[Value]] = {}
        for fact in self.facts[action.name]:
            values = tuple(self.labels[fact])
            domains[fact] = (False, True) if fact in FLAGS else values
        if action.env:
            domains.update(dict.fromkeys(self.switches, SWITCH_STATES))
        derived: dict[str, tuple[str, Mapping[str, Sequence[Value]]]] = {}
        if "plan" in domains:
            members: dict[str, Sequence[Value]] = {
                segment: tuple(one.name for one in self.plans.values() if one.segment == segment)
                for segment in self.segments
            }
            derived["segment"] = ("plan", members)
        return Space(domains, derived)

    def whole_flows(self, space: Space) -> dict[str, Flow]:
        """The flows with what else decides about their defaults, read against what `send` takes."""
        found = {}
        for name, flow in self.flows.items():
            table = self._flow_tables[name]
            on, off = (
                tuple(
                    conditions_of(one, ACTIONS["send"], space)
                    for one in (table.tables(key) if key in table.values else ())
                )
                for key in ("also_on", "also_off")
            )
            found[name] = replace(flow, also_on=on, also_off=off)
        return found

    def _reads(self, root: Table) -> dict[str, tuple[str, ...]]:
        """What each action takes in this document."""
        reads = root.table("reads") if root.has("reads") else None
        found = {}
        for action in ACTIONS.values():
            more: tuple[str, ...] = ()
            if reads is not None and reads.has(action.name):
                more = reads.texts(action.name)
                for index, fact in enumerate(more):
                    if fact not in action.optional:
                        reads.source.refuse(
                            (*reads.path, action.name, index),
                            f"{fact!r} is no fact that {action.name} can read besides its own.",
                            one_of(fact, action.optional) if action.optional else None,
                        )
            found[action.name] = in_order((*action.facts, *more))
        if reads is not None:
            reads.finish()
        return found

    def _is_read(self, fact: str) -> bool:
        return any(fact in facts for facts in self.facts.values())

    def _versions(self, root: Table) -> tuple[tuple[str, Version], ...]:
        """The versions of clients that are told apart, oldest first: the first begins at none."""
        if not self._is_read("client_version"):
            return ()
        found: list[tuple[str, Version]] = []
        labels: dict[Value, Text] = {}
        for name, table in self._members(root, NAMED_FACTS["client_version"]):
            begins: Version = ()
            if found:
                text = table.text("from")
                if _VERSION.fullmatch(text) is None:
                    table.refuse("from", f"{text!r} is not a version.", "like 2.1.0")
                begins = tuple(map(int, text.split(".")))
                if begins <= found[-1][1]:
                    table.refuse("from", f"{name} begins no later than the one before it.")
            found.append((name, begins))
            labels[name] = text_of(table)
        self.labels["client_version"] = labels
        return tuple(found)

    def _routes(self, root: Table) -> Mapping[str, tuple[str, ...]]:
        """What is told apart among other requests, by how a path at the provider begins."""
        found = self._families(root, "route")
        table = root.table(NAMED_FACTS["route"])
        for name, begins in found.items():
            for path in begins:
                if _PATH.fullmatch(path) is None:
                    table.refuse(
                        name, f"{path!r} is no path at a provider.", "whole names, as in /v1/files"
                    )
        return {name: begins for name, begins in found.items() if begins}

    def _families(self, root: Table, fact: str) -> Mapping[str, tuple[str, ...]]:
        """What is told apart by how its names begin; what begins otherwise is one of the values
        that the document needs.
        """
        if not self._is_read(fact):
            return {}
        key = NAMED_FACTS[fact]
        found: dict[str, tuple[str, ...]] = {}
        labels: dict[Value, Text] = {}
        for name, table in self._members(root, key):
            given = () if name in NEEDED_VALUES[key] else table.texts("begins")
            found[name] = tuple(one.lower() for one in given)
            labels[name] = text_of(table)
        self.labels[fact] = labels
        return found

    def _check_residencies(self, root: Table) -> None:
        """What can be demanded is a region that the document tells apart."""
        if not self._is_read("residency"):
            return
        table = root.table(NAMED_FACTS["residency"])
        for name in self.labels["residency"]:
            if name != ANYWHERE and name not in self.regions:
                table.refuse(
                    str(name), f"{name!r} is no region of this document.", "name it in [regions]"
                )

    def _check_methods(self, root: Table) -> None:
        """What is told apart is a method with which requests pass at the gateway."""
        for name in self.labels.get("method", ()):
            if name not in METHODS and name not in NEEDED_VALUES["methods"]:
                root.table(NAMED_FACTS["method"]).refuse(
                    str(name), f"{name!r} is no method that passes.", one_of(str(name), METHODS)
                )

    def _members(self, root: Table, key: str) -> list[tuple[str, Table]]:
        table = root.table(key)
        for name in sorted(REQUIRED_VALUES.get(key, NEEDED_VALUES.get(key, ()))):
            if name not in table.values:
                table.refuse(None, f"{key} lacks {name!r}, which the software relies on.")
        for name in table.values:
            if REQUIRED_VALUES.get(key) and name not in REQUIRED_VALUES[key]:
                table.refuse(
                    name, f"{key} can't hold {name!r}.", one_of(name, REQUIRED_VALUES[key])
                )
        if not table.values:
            table.refuse(None, f"{key} is empty.")
        return list(table.named())

    def _labelled(self, root: Table, key: str, fact: str) -> dict[Value, Text]:
        self.labels[fact] = {name: text_of(table) for name, table in self._members(root, key)}
        return self.labels[fact]

    def _flow(self, name: str, table: Table) -> Flow:
        carries, default = text_of(table.table("carries")), table.table("default")
        states = {one: default.one_of(one, ("on", "off")) == "on" for one in self.providers}
        default.finish()
        switches = table.texts("switches")
        for index, switch in enumerate(switches):
            if switch not in self.switches:
                table.source.refuse(
                    (*table.path, "switches", index),
                    f"{switch!r} is not a switch of this document.",
                    one_of(switch, self.switches),
                )
        for key in ("also_on", "also_off"):
            table.has(key)  # read when it is known what can be asked
        return Flow(name, text_of(table), carries, states, switches, table.line)


def text_of(table: Table) -> Text:
    """`en` and `zh` of a table that has nothing else unread."""
    text = Text(table.text("en"), table.text("zh"))
    table.finish()
    return text


def conditions_of(given: Table, action: Action, space: Space) -> tuple[Condition, ...]:
    """Facts and the values that they must have: each a fact of the action, none given twice."""
    conditions = []
    for fact, raw in given.values.items():
        domain = space.values(fact)
        if domain is None:
            known = [*space.domains, *space.derived]
            given.refuse(fact, f"{fact!r} is not a fact of {action.name}.", one_of(fact, known))
        values = raw if isinstance(raw, list) else [raw]
        if not values:
            given.refuse(fact, f"{fact} lists no value, so this can never hold.")
        held: list[str | bool] = []
        for index, value in enumerate(values):
            path = (*given.path, fact, index) if isinstance(raw, list) else (*given.path, fact)
            if not isinstance(value, str | bool) or type(value) is not type(domain[0]):
                kind = "true or false" if isinstance(domain[0], bool) else "a string"
                given.source.refuse(path, f"{fact} must be {kind}.")
            if value not in domain:
                given.source.refuse(
                    path, f"{fact} can't be {value!r}.", one_of(str(value), map(str, domain))
                )
            if value in held:
                given.source.refuse(path, f"{value!r} stands in {fact} twice.")
            held.append(value)
        conditions.append(Condition(fact, tuple(held)))
    return tuple(conditions)
