"""Decisions in words."""

from __future__ import annotations

import pytest

from bailee.policy import Policy
from bailee.policy.actions import ACTIONS
from bailee.policy.amounts import period_in_words
from bailee.policy.check import facts_of
from bailee.policy.document import Language
from bailee.policy.wording import joined, sentence, why_not

TRAIN = {
    "data_class": "transcript",
    "plan": "team",
    "channel": "vertex",
    "training_choice": "none",
    "zero_retention": False,
    "partner_programme": True,
    "active_since_choice": True,
}


@pytest.mark.row("P1")
def test_an_explanation_is_a_sentence_and_reasons(policy: Policy) -> None:
    """What was decided and why earlier clauses did not apply, as a person says it."""
    found = policy.explain("train", TRAIN)
    document = policy.document
    assert "train.partner-other-channel" == found.decision.clause
    assert "This session transcript (Team plan) may not improve models." == sentence(
        document, found, "en"
    )
    assert "这份会话记录（Team 计划）不得用于改进模型。" == sentence(document, found, "zh")
    reasons = {one.clause.id: why_not(document, one, "en") for one in found.passed_over}
    assert "segment is commercial, not consumer" == reasons["train.consumer-allowed"]
    assert "zero_retention is false, not true" == reasons["train.zero-retention"]


def test_a_switch_is_said_to_be_set_or_not(policy: Policy) -> None:
    """What a variable would have to be needs no saying."""
    facts = {"flow": "metrics", "provider": "api", "env": {"CLAUDE_CODE_USE_VERTEX": ""}}
    reasons = {
        one.clause.id: (why_not(policy.document, one, "en"), why_not(policy.document, one, "zh"))
        for one in policy.explain("send", facts).passed_over
    }
    bedrock, vertex = reasons["send.use-bedrock"], reasons["send.use-vertex"]
    assert ("CLAUDE_CODE_USE_BEDROCK is not set", "CLAUDE_CODE_USE_BEDROCK 未设置") == bedrock
    assert ("CLAUDE_CODE_USE_VERTEX is empty", "CLAUDE_CODE_USE_VERTEX 为空") == vertex


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_combination_has_a_sentence(policy: Policy, language: Language) -> None:
    """No decision is without words."""
    for action in ACTIONS:
        space = policy.document.spaces[action]
        # A prime near the thousandth part: every value of every fact is met with many others.
        for number in range(0, space.size, max(7, space.size // 997)):
            facts = facts_of(action, space.combination(number))
            told = sentence(policy.document, policy.explain(action, facts), language)
            assert told.endswith("." if language == "en" else "。")


@pytest.mark.parametrize(
    ("period", "en", "zh"),
    [
        ("P5Y", "5 years", "5 年"),
        ("P1Y", "1 year", "1 年"),
        ("P6M", "6 months", "6 个月"),
        ("P30D", "30 days", "30 天"),
        ("P0D", "not kept", "不保留"),
    ],
)
def test_periods_are_said_in_both_languages(period: str, en: str, zh: str) -> None:
    """One and many, and none."""
    assert (en, zh) == (period_in_words(period, "en"), period_in_words(period, "zh"))


def test_lists_end_with_or() -> None:
    """A list of one is itself."""
    assert ["a", "a or b", "a, b or c"] == [joined(list("abc")[:n], "en") for n in (1, 2, 3)]
    assert ["a", "a 或 b", "a、b 或 c"] == [joined(list("abc")[:n], "zh") for n in (1, 2, 3)]
    assert "指标或错误" == joined(["指标", "错误"], "zh")
    assert "A 或错误" == joined(["A", "错误"], "zh")
