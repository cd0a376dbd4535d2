"""What a new version changes, for whom."""

from __future__ import annotations

import pytest

from bailee.policy import Policy
from bailee.policy.diff import change_in_words, compare, who_in_words
from bailee.policy.document import Document
from bailee.policy.parsing import read


def edited(text: str, *changes: tuple[str, str]) -> Document:
    """The document with changes, each of which must have been possible."""
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return read(text.encode(), "new.toml")


@pytest.mark.row("P3")
def test_a_document_does_not_differ_from_itself(policy: Policy) -> None:
    """Nothing changes between a document and itself."""
    assert compare(policy.document, policy.document).empty


@pytest.mark.row("P3")
def test_a_longer_period_is_one_line_about_those_it_concerns(policy: Policy, shipped: str) -> None:
    """A changed clause is told as what changes for whom, not as its combinations."""
    old, new = "commercial plans: transcripts", 'for = "P30D"\nen = "Commercial'
    assert old in shipped.lower()
    document = edited(shipped, (new, 'for = "P90D"\nen = "Commercial'))
    (change,) = compare(policy.document, document).changes
    assert ("retain", ("keep", "P30D"), ("keep", "P90D"), 630) == (
        change.action,
        change.before,
        change.after,
        change.combinations,
    )
    assert {
        "data_class": ("transcript", "cloud_output", "cloud_diff"),
        "plan": ("team", "enterprise", "api", "third_party", "gov"),
        "zero_retention": (False,),
    } == change.who
    assert ("30 days", "90 days") == change_in_words(change, "en")
    who = (
        "session transcript / task and output of a cloud session / "
        "code changes of a cloud session; commercial plans; an ordinary key"
    )
    assert who == who_in_words(change, document, "en")
    assert "会话记录 / 云会话的任务与输出 / 云会话的代码更改；商业计划；普通密钥" == who_in_words(
        change, document, "zh"
    )


@pytest.mark.row("P3")
def test_groups_together_are_all_that_changes(policy: Policy, shipped: str) -> None:
    """The counts of the groups add up to the combinations whose result differs."""
    document = edited(
        shipped,
        (
            'training_choice = "allowed" }\nthen = "keep"',
            'training_choice = "allowed", channel = "api" }\nthen = "keep"',
        ),
        (
            'training_choice = "refused" }\nthen = "keep"',
            'training_choice = ["allowed", "refused"] }\nthen = "keep"',
        ),
        (
            "when = { zero_retention = true }",
            'when = { zero_retention = true, plan = ["free", "gov"] }',
        ),
    )
    found = compare(policy.document, document)
    new = Policy(document)
    differing = 0
    for action in ("retain", "train"):
        space = policy.document.spaces[action]
        for facts in space.each(space.everything):
            was, now = policy.decide(action, facts), new.decide(action, facts)
            differing += (was.effect, was.retention) != (now.effect, now.retention)
    assert differing > 0
    assert differing == sum(one.combinations for one in found.changes)
    assert len(found.changes) < 10


def test_a_value_that_only_one_knows_is_named(policy: Policy, shipped: str) -> None:
    """A new plan, a new switch and a plan that is gone are listed; shared facts are compared."""
    document = edited(
        shipped,
        ('gov = { segment = "commercial"', 'edu = { segment = "commercial"'),
        ("[switches]", '[switches]\n# new\nNO_NEWS = { en = "x", zh = "x" }\n#'),
    )
    found = compare(policy.document, document)
    assert ("plan edu", "switch NO_NEWS") == found.added
    assert ("plan gov",) == found.removed
    assert () == found.changes


def test_a_new_switch_is_compared_as_absent(policy: Policy, shipped: str) -> None:
    """Where one document has no switch, its combinations are those without it."""
    document = edited(
        shipped,
        ("[switches]", '[switches]\n# new\nNO_NEWS = { en = "x", zh = "x" }\n#'),
        ("when = { CLAUDE_CODE_USE_VERTEX", 'when = { NO_NEWS = "set", CLAUDE_CODE_USE_VERTEX'),
    )
    changes = compare(policy.document, document).changes
    assert {("deny", None)} == {one.before for one in changes}
    assert {("set",)} == {one.who["CLAUDE_CODE_USE_VERTEX"] for one in changes}


DEMAND = """
[[network]]
id = "network.trusted"
heading = "cloud"
rows = ["C3"]
at_most = "trusted"
deny = ["example.org"]
en = "Cloud sessions reach package registries and source hosts."
zh = "云端会话可访问软件包仓库与源码托管站点。"
"""


ROOM = """
[[room]]
id = "room.year"
heading = "retention"
rows = ["R1"]
when = { data_class = "transcript", segment = "commercial", zero_retention = false }
at_most = "P1Y"
en = "An organisation may keep transcripts longer."
zh = "组织可以更长时间保留会话记录。"
"""


def test_what_a_statement_leaves_is_compared_beside_its_words(shipped: str) -> None:
    """Of the network and of an organisation's room: the words can be the same for both."""
    before = edited(shipped, ("\n[dates]\n", f"{DEMAND}{ROOM}\n[dates]\n"))
    after = edited(
        shipped,
        ("\n[dates]\n", f"{DEMAND}{ROOM}\n[dates]\n"),
        ('at_most = "trusted"', 'at_most = "none"'),
        ('deny = ["example.org"]\n', ""),
        ('at_most = "P1Y"', 'at_most = "P90D"'),
    )
    found = compare(before, after)
    when = "data_class transcript, segment commercial, zero_retention False"
    assert {
        ("network network.trusted", "at most trusted, example.org denied", "at most none"),
        ("room room.year", f"P1Y ({when})", f"P90D ({when})"),
    } == set(found.settings)
    assert not found.empty


def test_settings_texts_and_other_clauses_are_told(policy: Policy, shipped: str) -> None:
    """What is not decided per combination is compared too."""
    document = edited(
        shipped,
        ("decide_by = 2025-10-08", "decide_by = 2025-11-08"),
        ('on_recorder_failure = "refuse"', 'on_recorder_failure = "serve_unrecorded"'),
        ("default_days = 30", "default_days = 7"),
        ('sign_up = ["free", "pro", "max"]', 'sign_up = ["pro"]'),
        ('cloud_opens = ["hosts", "networks"]', "cloud_opens = []"),
        ("kept = 60, unkept = 60", "kept = 0, unkept = 60"),
        ("\n[dates]\n", f"{DEMAND}\n[dates]\n"),
        ("Error events are kept 30 days.", "We keep error events 30 days."),
        ('id = "retain.metric"', 'id = "retain.metrics"'),
    )
    found = compare(policy.document, document)
    assert {
        ("decide_by", "2025-10-08", "2025-11-08"),
        ("on_recorder_failure", "refuse", "serve_unrecorded"),
        ("local_transcripts.default_days", "30", "7"),
        ("sign_up", "free, pro, max", "pro"),
        ("cloud_opens", "hosts, networks", "none"),
        ("without_database", "60 kept, 60 unkept", "0 kept, 60 unkept"),
        ("network network.trusted", "none", "at most trusted, example.org denied"),
    } == set(found.settings)
    assert ("retain.error-event",) == found.clauses_reworded
    assert (("network.trusted", "retain.metrics"), ("retain.metric",)) == (
        found.clauses_added,
        found.clauses_removed,
    )
    assert (("retain", "retain.metric", "retain.metrics", 672),) == found.moved
    assert () == found.changes


@pytest.mark.row("P3", "G2")
def test_what_is_told_apart_by_how_it_begins_is_compared(policy: Policy, shipped: str) -> None:
    """A route that is new, and a family of models that takes in more."""
    more = (
        "[credentials]",
        'files = { begins = ["/v1/Files"], en = "f", zh = "f" }\n[credentials]',
    )
    wider = ('begins = ["claude"]', 'begins = ["claude", "opus"]')
    found = compare(policy.document, edited(shipped, more, wider))
    assert {
        ("routes.files.begins", "none", "/v1/files"),
        ("models.claude.begins", "claude", "claude, opus"),
    } == {*found.settings}
    assert ("route files",) == found.added
