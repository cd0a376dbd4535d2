"""An organisation's own document narrows the operator's, over all combinations."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.errors import InputError
from bailee.policy import Policy, Unsound
from bailee.policy.actions import ACTIONS, OWN_CLASSES
from bailee.policy.bounds import PLACES, SETTING_OF, places
from bailee.policy.check import facts_of
from bailee.policy.facts import Facts
from bailee.policy.holding import InForce, OwnHeld, PolicyHolder, together
from bailee.policy.loading import from_bytes
from bailee.policy.meanings import ToldApart, means, told_apart
from bailee.policy.own import LARGEST, MOST, OWN_BOUNDS, OwnDocument, read
from bailee.policy.own_proof import prove
from bailee.policy.period import parse
from bailee.policy.reaching import DeclaredTerms, ReachFacts, UpstreamTerms, reach
from support.documents import FILES_ALONE, LONGER, edited
from support.own_documents import OF_THEIR_OWN, kept, own

pytestmark = pytest.mark.row("P1", "P2")
TEAM = Facts("team", "api", "none", zero_retention=False, partner_programme=True)
ROOM = """
[[room]]
id = "room.longer"
heading = "retention"
rows = ["P1"]
when = { data_class = "transcript", segment = "commercial", zero_retention = false }
at_most = "P60D"
en = "An organisation may have its conversations kept for 60 days."
zh = "组织可将其会话保留 60 天。"

[[invariant]]
"""
ROOMY = edited(
    ('at_most = "P30D"', 'at_most = "P90D"'),
    ('exactly = "P30D"\nen = "All other', 'at_most = "P90D"\nen = "All other'),
    ("[[invariant]]\n", ROOM),
)
"""A document of the operator's with a room."""


def proved(policy: Policy, text: str) -> Policy:
    """The operator's policy with this document beside it. Raises `Unsound`."""
    made = read(text.encode(), policy.document, file="own.toml")
    prove(made, policy.document, "own.toml")
    return Policy(policy.document, made)


def lines(policy: Policy, text: str) -> Sequence[str]:
    """What is wrong with a document."""
    with pytest.raises(Unsound) as refused:
        proved(policy, text)
    return [str(one) for one in refused.value.problems]


@pytest.mark.parametrize("action", ["retain", "train", "pass"])
def test_of_all_combinations_the_stricter_of_the_two_holds(policy: Policy, action: str) -> None:
    """Each is decided: never laxer than by the operator's alone, never laxer than what is demanded,
    and by one of the two; nothing that no clause of the organisation's is about changes.
    """
    both, space = proved(policy, OF_THEIR_OWN), policy.document.spaces[action]
    assert both.own is not None
    clauses = both.own.clauses[action]
    looked = 0
    for combination in space.each(space.everything):
        facts = facts_of(action, combination)
        theirs, found = policy.decide(action, facts), both.explain(action, facts)
        demands = [one for one in clauses if one.holds(found.facts)]
        if ACTIONS[action].keeps:
            least = min(
                [parse(theirs.retention or "").longest_days, *(one.days for one in demands)]
            )
            assert least == parse(found.decision.retention or "").longest_days
        else:
            assert ("deny" if demands else theirs.effect) == found.decision.effect
        assert theirs == (found.operators or found.decision)
        assert found.decision == both.decide(action, facts)  # from its table
        looked += 1
    assert space.size == looked > 15


def test_who_decides_is_named_with_the_document_that_has_the_clause(policy: Policy) -> None:
    """The organisation's where it is the stricter, else the operator's; each with its hash."""
    both = proved(policy, OF_THEIR_OWN)
    assert both.own is not None
    assert ("own.seven-days", both.own.sha256, "P7D") == (
        both.retain("transcript", TEAM).clause,
        both.retain("transcript", TEAM).document,
        both.retain("transcript", TEAM).retention,
    )
    assert ("retain.metric", policy.sha256) == (
        both.retain("metric", TEAM).clause,
        both.retain("metric", TEAM).document,
    )
    env: dict[str, str] = {}
    assert "own.no-metrics" == both.send(flow="metrics", provider="api", env=env).clause
    assert "send.default" == both.send(flow="errors", provider="api", env=env).clause
    clause = both.clause("own.no-search")
    assert clause is not None and clause.text.en == clause.text.zh
    assert policy.clause("own.no-search") is None


REFUSED = {
    "kept longer": (
        (('"P7D"', '"P31D"'),),
        "own.toml:3: own.seven-days has P31D where the operator's retain.consumer-refused has P30D",
    ),
    "a zero-retention key's": (
        ((", zero_retention = false", ""),),
        "own.seven-days has P7D where the operator's retain.zero-retention has P0D",
    ),
    "something allowed": ((('"deny"', '"allow"'),), "own.toml:14: .*allows nothing"),
    "what is counted": (
        (('"cloud_diff"', '"usage_count"'),),
        "about usage_count, which is not an organisation's to decide",
    ),
    "what is nobody's": ((('"cloud_diff"', '"survey_rating"'),), "about survey_rating"),
    "who went where": ((('"cloud_diff"', '"egress_record"'),), "about egress_record"),
    "everything": (
        (('data_class = ["transcript", "cloud_output", "cloud_diff"], ', ""),),
        "is about .*, which is not an organisation's to decide",
    ),
    "whom to ask": (
        (
            (
                '[[pass]]\nid = "own.no-other"\nwhen = { route = "other" }',
                "[[choose]]\nid = 1\nwhen = {}",
            ),
        ),
        "choose is not an organisation's to decide",
    ),
    "what was erased": ((("[[pass]]", "[[resume]]"),), "resume is not an organisation's"),
    "a name that is not known": ((('"us", "eu"', '"mars"'),), "region can't be 'mars'"),
    "a fact that is not asked": ((("{ route", "{ plan"),), "'plan' is not a fact of pass"),
    "nothing that there can be": (
        (("when = {}", 'when = { plan = "team", segment = "consumer" }'),),
        "own.no-training is about nothing that there can be",
    ),
    "months": ((('"P7D"', '"P1M"'),), "P1M is not in days"),
    "no period": ((('"P7D"', '"7 days"'),), "is not a period"),
    "the operator's id": ((("own.seven-days", "retain.seven-days"),), "can't be an id here"),
    "an id twice": ((("own.no-search", "own.no-metrics"),), "is used twice"),
    "no words": ((('en = "Conversations alone."\n', ""),), "says nothing in words"),
    "a key that is not known": ((('then = "keep"', 'then = "keep"\nheading = "x"'),), "'heading'"),
    "another table": ((("[[pass]]", "[[room]]"),), "'room' is not a key"),
    "another format": ((("bailee-own-policy/1", "bailee-policy/1"),), "no organisation's document"),
}


@pytest.mark.parametrize("kind", list(REFUSED))
def test_what_would_loosen_or_is_not_theirs_is_refused_with_its_place(
    policy: Policy, kind: str
) -> None:
    """In plain words, each with file and line."""
    changes, why = REFUSED[kind]
    with pytest.raises(Unsound, match=why) as refused:
        proved(policy, own(*changes))
    assert all(one.file == "own.toml" and one.line > 0 for one in refused.value.problems)


HOSTILE = {
    "too large": (b"#" * (LARGEST + 1), "too large"),
    "nested": (b"x = " + b"[" * 8000 + b"]" * 8000, "nested|not TOML"),
    "a number without end": (b"format = " + b"9" * 9000, "not TOML|must be a string"),
    "no text": (b'format = "\xff"', "not UTF-8"),
    "empty": (b"", "format is missing"),
    "no clause": (b'format = "bailee-own-policy/1"', "has no clause"),
    "many clauses": (
        b'format = "bailee-own-policy/1"\n'
        + b"".join(
            b'[[train]]\nid = "own.c%d"\nwhen = {}\nthen = "deny"\nen = "x"\n' % number
            for number in range(MOST + 1)
        ),
        f"more than {MOST} clauses",
    ),
    "a very long text": (
        OF_THEIR_OWN.replace("Conversations alone.", "x" * 1001).encode(), "more than 1000"
    ),
}  # fmt: skip


@pytest.mark.row("G1")
@pytest.mark.parametrize("kind", list(HOSTILE))
def test_what_is_hostile_is_refused(policy: Policy, kind: str) -> None:
    """With the refusal of a document, and nothing else."""
    content, why = HOSTILE[kind]
    with pytest.raises(InputError, match=why):
        read(content, policy.document, file="own.toml")


def test_as_the_operators_document_allows(policy: Policy) -> None:
    """In a room something is kept longer, up to what it says; a laxer one is refused with its
    place; without a room there is none. What is demanded besides holds all the same.
    """
    roomy = from_bytes(ROOMY.encode(), "roomy.toml")
    both = proved(roomy, kept(60))
    assert ("P60D", "own.days") == (
        both.retain("transcript", TEAM).retention,
        both.retain("transcript", TEAM).clause,
    )
    assert "P30D" == both.retain("cloud_diff", TEAM).retention
    (said,) = lines(roomy, kept(61))
    assert "has P61D where the operator's retain.commercial has P30D" in said
    assert "retain.commercial" in lines(policy, kept(60))[0]
    two = kept(60) + kept(5).split("\n", 1)[1].replace("own.days", "own.fewer")
    assert "P5D" == proved(roomy, two).retain("transcript", TEAM).retention
    assert "room.longer" in [one.id for one in roomy.document.statements]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ((('at_most = "P60D"', 'at_most = "P91D"'),), "breaks the invariant five-years-only"),
        (((", zero_retention = false }\nat_most", " }\nat_most"),), "kept at all"),
        (((' = "transcript", segment', ' = "usage_count", segment'),), "usage_count"),
        (((' = "transcript", segment = "comm', ' = "transcript", plan = "pro", segment = "comm'),),
         "open for nothing"),
    ],
)  # fmt: skip
def test_a_room_is_no_way_around_what_is_promised(
    changes: tuple[tuple[str, str], ...], why: str
) -> None:
    """Nor for what is kept not at all, or is no organisation's."""
    text = ROOMY
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    with pytest.raises(Unsound, match=why):
        from_bytes(text.encode(), "roomy.toml")


def test_beside_another_document_of_the_operators_it_is_never_looser(policy: Policy) -> None:
    """What they come to have shorter, holds; what they come to have longer, does not; a room that
    is closed is closed; and what they do not know any more is demanded of more, never of less.
    """
    week, roomy = kept(7).encode(), from_bytes(ROOMY.encode(), "roomy.toml")
    longer = from_bytes(edited(*LONGER).encode(), "longer.toml")
    shorter = from_bytes(
        edited(
            ('for = "P30D"\nen = "Commercial', 'for = "P3D"\nen = "Commercial'),
            ('exactly = "P30D"\nen = "All other', 'at_most = "P30D"\nen = "All other'),
        ).encode(),
        "shorter.toml",
    )

    def period(under: Policy, content: bytes) -> str | None:
        both = together(InForce(under), OwnHeld(content, 9)).policy
        return both.retain("transcript", TEAM).retention

    assert ["P7D", "P7D", "P3D"] == [period(one, week) for one in (policy, longer, shorter)]
    assert ["P60D", "P30D", "P3D"] == [
        period(one, kept(60).encode()) for one in (roomy, policy, shorter)
    ]
    unknown = kept(7).replace('segment = "commercial"', 'plan = "gone"').encode()
    both = together(InForce(roomy), OwnHeld(unknown, 9)).policy
    assert "P7D" == both.retain("transcript", TEAM).retention
    wider = kept(60).replace('segment = "commercial"', 'plan = "gone"').encode()
    assert "P30D" == period(roomy, wider)
    anything = kept(7).replace('data_class = ["transcript"]', 'data_class = ["gone"]').encode()
    both = together(InForce(policy), OwnHeld(anything, 9)).policy
    assert {"P13M", "P7D"} == {
        both.retain(one, TEAM).retention for one in ("usage_count", "metric")
    }


def test_what_is_for_other_requests_holds_for_those_that_come_to_have_a_name(
    policy: Policy,
) -> None:
    """The operator's next document lets files pass: not those of who demanded conversations alone;
    a demand of files by their name is one of them alone.
    """
    named = from_bytes(edited(*FILES_ALONE).encode(), "d.toml")

    def passes(document: str, route: str) -> str:
        held = together(InForce(named), OwnHeld(document.encode(), 9)).policy
        return held.passes(
            route=route, credential="operator", unrecorded_routes=False, cloud_session=False
        ).clause

    assert ["own.no-other", "pass.counting"] == [
        passes(OF_THEIR_OWN, "files"),
        passes(OF_THEIR_OWN, "counting"),
    ]
    alone = own(('route = "other"', 'route = "files"'))
    assert ["own.no-other", "pass.other"] == [passes(alone, "files"), passes(alone, "other")]


NAMED_LATER = (
    (
        'other = { en = "any other model"',
        'mistral = { begins = ["mistral", "codestral"], en = "Mistral", zh = "Mistral" }\n'
        'other = { en = "any other model"',
    ),
    (
        'elsewhere = { en = "elsewhere"',
        'ch = { begins = ["ch"], en = "Switzerland", zh = "瑞士" }\nelsewhere = { en = "elsewhere"',
    ),
)
REACHES = """format = "bailee-own-policy/1"

[[reach]]
id = "own.demands"
when = { FACT = VALUE }
then = "deny"
en = "Not for us."
"""


@pytest.mark.parametrize(
    ("fact", "value", "refused"),
    [
        ("model", '"other"', {"mistral-large", "codestral-2", "kimi"}),
        ("model", '"claude"', {"claude-haiku-4-5"}),
        ("model", '["other", "openai"]', {"mistral-large", "codestral-2", "kimi", "gpt-5"}),
        ("region", '"elsewhere"', {"ch-1", "jp-1"}),
        ("region", '["us", "undeclared"]', {"us-1", ""}),
    ],
)  # fmt: skip
def test_a_demand_means_what_it_meant_when_the_operators_document_names_more(
    policy: Policy, fact: str, value: str, refused: set[str]
) -> None:
    """A family of models or a region that comes to have a name is among the others of who demanded
    something of them; what had one is not. So it is where the same document stands again.
    """
    named = edited(*NAMED_LATER).replace(
        '"elsewhere", "undeclared"]', '"ch", "elsewhere", "undeclared"]'
    )
    later = from_bytes(named.encode(), "later.toml")
    text = REACHES.replace("FACT", fact).replace("VALUE", value).encode()
    prove(read(text, policy.document), policy.document, "own.toml")
    held = OwnHeld(text, 9, then=told_apart(policy.document))
    models = ("mistral-large", "codestral-2", "kimi", "claude-haiku-4-5", "gpt-5", "gemini-3")
    regions = ("ch-1", "jp-1", "us-1", "eu-1", "")

    def denied(under: Policy) -> set[str]:
        both = together(InForce(under), held).policy
        found = set()
        for model in models if fact == "model" else models[:1]:
            for region in regions if fact == "region" else regions[:1]:
                terms = DeclaredTerms(retains=True, trains=False, region=region)
                who = ReachFacts("team", "operator", zero_retention=False)
                decision = reach(both, who, UpstreamTerms(terms), (model,), ()).decision
                if decision.clause == "own.demands":
                    found.add(model if fact == "model" else region)
        return found

    assert [refused] * 3 == [denied(one) for one in (policy, later, policy)]


def test_where_nobody_knows_what_it_was_written_against_the_rest_is_all(policy: Policy) -> None:
    """As after a restore without that document: it holds for more, and not for less."""
    apart = told_apart(policy.document)
    assert {*means("model", "other", None, apart)} == {"other", "claude", "openai", "gemini"}
    assert ("claude",) == means("model", "claude", None, apart)


NAMES = st.sampled_from(["a", "ab", "abc", "b", "ba", "c"])
FAMILIES = st.dictionaries(
    st.sampled_from(["x", "y", "z"]), st.lists(NAMES, min_size=1, max_size=3).map(tuple)
)


@given(FAMILIES, FAMILIES, NAMES, st.sampled_from(["", "a", "b", "c"]))
def test_whatever_documents_tell_apart_a_value_goes_on_to_mean_all_it_meant(
    then: dict[str, tuple[str, ...]], now: dict[str, tuple[str, ...]], name: str, more: str
) -> None:
    """Of any two documents and any model: what it was by the one is among what that means by the
    other.
    """
    model = name + more

    def called(families: dict[str, tuple[str, ...]]) -> str:
        return next((one for one, begins in families.items() if model.startswith(begins)), "other")

    before, after = (ToldApart({"model": one}) for one in (then, now))
    assert called(now) in means("model", called(then), before, after)
    assert (called(then),) == means("model", called(then), before, before)


def test_one_that_cannot_be_read_lets_nothing_through_and_shortens_nothing(policy: Policy) -> None:
    """Whether its row is damaged or its text is none: nothing goes out, nothing is trained on."""
    for held in (OwnHeld(None, 3, sound=False), OwnHeld(b"nonsense", 3)):
        found = together(InForce(policy, 1), held)
        assert (False, 3) == (found.readable, found.since)
        assert "P30D" == found.policy.retain("transcript", TEAM).retention
        passed = found.policy.passes(
            route="conversation", credential="own", unrecorded_routes=True, cloud_session=False
        )
        assert ("deny", "own.unreadable") == (passed.effect, passed.clause)


def test_what_holds_is_the_same_object_until_something_changes(policy: Policy) -> None:
    """For each organisation; for who has none of their own it is the operator's itself."""
    holder = PolicyHolder(policy, 2)
    holder.take_own("org_a", OwnHeld(kept(7).encode(), 5))
    holder.take_own("org_b", OwnHeld(None, 6))
    first = holder.of("org_a")
    assert first is holder.of("org_a")
    assert holder.now is holder.of(None) is holder.of("org_c")
    assert [5, 6, 2] == [holder.of(one).since for one in ("org_a", "org_b", None)]
    assert policy is holder.of("org_b").policy
    assert ["org_a"] == holder.organisations()
    holder.take_own("org_c", OwnHeld(kept(3).encode(), 7))
    assert first is holder.of("org_a")
    holder.take(InForce(policy, 8))
    assert (8, 8) == (holder.of("org_a").since, holder.of("org_b").since)


def test_what_it_can_be_about_is_decided_from_facts_of_an_account(policy: Policy) -> None:
    """Each class is one of the document's, and the read document says by which clauses."""
    assert {*OWN_CLASSES} < {*policy.document.labels["data_class"]}
    made = read(OF_THEIR_OWN.encode(), policy.document)
    assert isinstance(made, OwnDocument)
    assert 5 == len(made.every_clause)


NETWORK = """
[[network]]
id = "own.shut"
at_most = "trusted"
deny = ["pypi.org", "*.pypi.org"]
en = "Packages come from our mirror."
"""


@pytest.mark.row("C3")
def test_what_cloud_sessions_reach_can_only_get_less(policy: Policy) -> None:
    """A level at the most, and hosts; a document that can't be read has them reach nothing."""
    both = proved(policy, 'format = "bailee-own-policy/1"\n' + NETWORK)
    assert both.own is not None and both.most_network is not None
    (demand,) = both.own.network
    assert ("trusted", ("pypi.org", "*.pypi.org")) == (demand.level, demand.hosts)
    assert demand.clause == both.clause("own.shut")
    broken = together(InForce(policy), OwnHeld(b"not one", 1)).policy.most_network
    assert broken is not None and "none" == broken.level


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (('at_most = "trusted"', 'at_most = "full"'), "can't be 'full'"),
        (('"*.pypi.org"', '"*"'), "'\\*' is no host"),
        (('"pypi.org"', '"PYPI.org"'), "'PYPI.org' is no host"),
        (('"pypi.org"', '"pypi.org\\r\\nx"'), "is no host"),
        (('"own.shut"', '"shut"'), "can't be an id here"),
        (('at_most = "trusted"\ndeny = ["pypi.org", "*.pypi.org"]', ""), "demands nothing"),
        (("deny =", "allow ="), "no key 'allow'|allow"),
    ],
)
def test_a_demand_of_the_network_that_is_none(
    policy: Policy, changed: tuple[str, str], why: str
) -> None:
    """It opens nothing, and what could be read in two ways is refused with its line."""
    text = 'format = "bailee-own-policy/1"\n' + NETWORK.replace(*changed)
    with pytest.raises(Unsound, match=why):
        proved(policy, text)


@pytest.mark.parametrize("what", ["on_recorder_failure", "on_limits_unknown"])
def test_what_can_not_be_told_is_refused_where_an_organisation_says_so(what: str) -> None:
    """Whatever the operator's document has; never the other way round."""
    lax = from_bytes(
        edited(
            ('on_recorder_failure = "refuse"', 'on_recorder_failure = "serve_unrecorded"'),
            ('on_limits_unknown = "refuse"', 'on_limits_unknown = "serve"'),
        ).encode(),
        "lax.toml",
    )
    head = 'format = "bailee-own-policy/1"\n'
    both = proved(lax, f'{head}{what} = "refuse"\n')
    said = {
        "on_recorder_failure": both.on_recorder_failure, "on_limits_unknown": both.on_limits_unknown
    }  # fmt: skip
    assert "refuse" == said.pop(what)
    assert "refuse" not in said.values()
    with pytest.raises(Unsound, match="only be made stricter"):
        proved(lax, f'{head}{what} = "serve"\n')


@pytest.mark.row("P1")
@pytest.mark.parametrize("of", [one for one in SETTING_OF if one not in OWN_BOUNDS])
def test_what_is_the_operators_to_bound_is_refused_by_its_name(policy: Policy, of: str) -> None:
    """With why: nobody believes in a bound that nothing asks for. Whatever can be bounded is an
    organisation's, or is refused so.
    """
    text = 'format = "bailee-own-policy/1"\n' + BOUND.replace('"metrics"', f'"{of}"')
    with pytest.raises(Unsound, match=rf"^.*{of} is not an organisation's to bound: the "):
        proved(policy, text)


BOUND = """
[[bound]]
id = "own.nobody-else"
of = "metrics"
only = ["store"]
en = "What our agents measure is passed on to nobody."
"""


@pytest.mark.row("S1", "S2", "P1")
def test_where_measurements_go_can_only_get_less() -> None:
    """Of both documents what both leave; one that can't be read has nothing passed on."""
    head = 'format = "bailee-own-policy/1"\n'
    for theirs, left in (('["store", "onward"]', ("store",)), ('["onward"]', ()), ("[]", ())):
        whole = 'of = "metrics"\nonly = ["store", "onward"]'
        text = edited((whole, f'of = "metrics"\nonly = {theirs}'))
        both = proved(from_bytes(text.encode(), "ours.toml"), head + BOUND)
        assert both.own is not None
        assert left == places(both.document, "metrics", both.own.bounds)
        assert PLACES == places(both.document, "errors", both.own.bounds)
        assert both.own.bounds[0].clause == both.clause("own.nobody-else")
    broken = together(InForce(from_bytes(text.encode(), "ours.toml")), OwnHeld(b"none", 1)).policy
    assert broken.own is not None
    assert ("store",) == places(broken.document, "errors", broken.own.bounds)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (('only = ["store"]', 'only = ["onward", "store"]'), "demands nothing"),
        (('of = "metrics"', 'of = "tape"'), "of can't be 'tape'"),
        (('only = ["store"]', 'only = ["tape"]'), "'tape' is nowhere that metrics go"),
        (('"own.nobody-else"', '"nobody-else"'), "can't be an id here"),
        (("[[bound]]", BOUND.replace("nobody", "no") + "[[bound]]"), "metrics is bounded twice"),
    ],
)
def test_a_bound_that_is_none(policy: Policy, changed: tuple[str, str], why: str) -> None:
    """It opens nothing, and is about measurements alone."""
    text = 'format = "bailee-own-policy/1"\n' + BOUND.replace(*changed)
    with pytest.raises(Unsound, match=why):
        proved(policy, text)
