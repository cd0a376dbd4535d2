"""Decisions a second: the policy's table against Cedar and Rego on the same training rules.

All three decide the same combinations in the same order, one at a time, with rules and engine
prepared beforehand, and every answer is compared before anything is timed. Cedar (cedarpy) and
Rego (regopy, the C++ implementation) are fetched (`peers`); where they can't be, their lines say
so.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from bailee.policy import Policy, load
from bailee.policy.check import check, facts_of
from bailee.policy.loading import SHIPPED, content
from bench import peers
from bench.result import Line, Unavailable

Facts = dict[str, Any]
Engine = Callable[[Facts], bool]

CEDAR = """
permit (principal, action == Action::"train", resource) when {
  context.segment == "consumer" && context.training_choice == "allowed" };
permit (principal, action == Action::"train", resource) when {
  context.segment == "commercial" && context.partner_programme };
forbid (principal, action == Action::"train", resource) when {
  context.data_class != "transcript" };
forbid (principal, action == Action::"train", resource) when { context.zero_retention };
forbid (principal, action == Action::"train", resource) when { !context.active_since_choice };
forbid (principal, action == Action::"train", resource) when {
  context.segment == "commercial" && context.channel != "api" };
"""
REGO = """
package train
import rego.v1
default allow := false
offered if { input.segment == "consumer"; input.training_choice == "allowed" }
offered if { input.segment == "commercial"; input.partner_programme; input.channel == "api" }
allow if {
  input.data_class == "transcript"
  not input.zero_retention
  input.active_since_choice
  offered
}
"""


def main() -> list[Line]:
    """Measure and print; the lines of the closing table."""
    policy = load()
    space = policy.document.spaces["train"]
    questions = [facts_of("train", one) for one in space.each(space.everything)]
    with_segment = [{**one, "segment": policy.plans[str(one["plan"])].segment} for one in questions]
    answers = [policy.decide("train", one).effect == "allow" for one in questions]

    ours = _rate(lambda facts: policy.decide("train", facts), questions)
    fast = _rate(lambda facts: policy.train(**facts), questions)
    explained = _rate(lambda facts: policy.explain("train", facts), questions)
    lines = [
        ("decide, all combinations in turn", _written(ours), ""),
        ("the keyword form", _written(fast), f"{fast / ours:.2f} of decide"),
        ("explain, with clauses passed over", _written(explained), f"{explained / ours:.2f}"),
    ]
    for name, package, make in (("Cedar", "cedarpy", _cedar), ("Rego", "regopy", _rego)):
        try:
            peers.importable(package)
            engine = make()
        except (ImportError, Unavailable) as lack:
            lines.append((f"decide against {name}", f"not there: {lack}", ""))
            continue
        if answers != [engine(one) for one in with_segment]:
            raise AssertionError(f"{name} decides otherwise")
        theirs = _rate(engine, with_segment)
        lines.append(
            (
                f"decide against {name}",
                f"{ours / theirs:,.0f} times",
                f"{peers.version(package)}: {_written(theirs)}",
            )
        )
    lines.append(_checking(policy))
    for measured, result, against in lines:
        print(f"{measured}: {result}" + (f" ({against})" if against else ""))
    return lines


def _rate(decide: Callable[[Facts], object], questions: list[Facts]) -> float:
    """Decisions a second, the best of three rounds of at least 0.3 s."""
    best = 0.0
    for _ in range(3):
        count, began = 0, time.perf_counter()
        while (spent := time.perf_counter() - began) < 0.3:
            for one in questions[:512] if count == 0 else questions:
                decide(one)
                count += 1
        best = max(best, count / spent)
    return best


def _written(rate: float) -> str:
    return f"{rate:,.0f}/s, {1e6 / rate:.2f} µs each"


def _checking(policy: Policy) -> Line:
    document = content()
    began = time.perf_counter()
    found = check(document, SHIPPED)
    spent = time.perf_counter() - began
    clauses = len(policy.document.every_clause)
    return (
        f"read, prove and decide {found.combinations:,} combinations",
        f"{spent * 1000:.0f} ms",
        f"{clauses} clauses, {len(policy.document.invariants)} invariants",
    )


def _cedar() -> Engine:
    import cedarpy  # type: ignore[import-not-found, unused-ignore]

    policies = cedarpy.PolicySet.from_str(CEDAR)
    entities = cedarpy.Entities.from_json_str("[]")
    base = {"principal": 'Account::"a"', "action": 'Action::"train"', "resource": 'Session::"s"'}

    def allowed(facts: Facts) -> bool:
        return bool(cedarpy.is_authorized({**base, "context": facts}, policies, entities).allowed)

    return allowed


def _rego() -> Engine:
    import regopy  # type: ignore[import-not-found, unused-ignore]

    rego = regopy.Interpreter()
    rego.add_module("train", REGO)
    bundle = rego.build("data.train.allow")

    def allowed(facts: Facts) -> bool:
        rego.set_input(facts)
        return bool(rego.query_bundle(bundle).results[0].expressions == [True])

    return allowed
