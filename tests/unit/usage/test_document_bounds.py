"""What documents say of an organisation's use, beside what was set."""

from __future__ import annotations

import pytest

from bailee.policy import own, own_proof
from bailee.policy.check import check
from bailee.policy.diff import compare
from bailee.policy.holding import InForce
from bailee.policy.loading import from_bytes
from bailee.policy.policy import Policy
from bailee.policy.reading import Unsound
from bailee.policy.wording import bound_in_words
from bailee.usage.document_bounds import bounds_on, closes, closes_list
from bailee.usage.limits import LimitMeasure, LimitSpan, Scope, Subject, UsageLimit
from support.documents import edited

pytestmark = pytest.mark.row("O2", "P1")
AMOUNTS = {
    "money_per_day": ("12.50 USD", "money", "day", 12_500_000),
    "money_per_month": ("0.50 USD", "money", "month", 500_000),
    "tokens_per_day": ("5000 tokens", "tokens", "day", 5000),
    "tokens_per_month": ("90000 tokens", "tokens", "month", 90_000),
    "requests_per_day": ("1 requests", "requests", "day", 1),
    "requests_per_month": ("20 requests", "requests", "month", 20),
}


def bound(of: str, how: str, text: str = "{at_most}") -> str:
    """A bound of the operator's document."""
    return (
        f'\n[[bound]]\nid = "bound.{of.replace("_", "-")}"\nheading = "retention"\nrows = ["O2"]\n'
        f'of = "{of}"\n{how}\nen = "{text}"\nzh = "{text}"\n'
    )


def policy(*bounds: str) -> Policy:
    """The shipped document with these."""
    text = edited(("\n[dates]\n", "".join(bounds) + "\n[dates]\n"))
    return from_bytes(text.encode(), "ours.toml")


def with_own(under: Policy, *bounds: str) -> Policy:
    """An organisation's document with these beside it, proved."""
    rest = "".join(bounds).replace('[[bound]]\nid = "bound.', '[[bound]]\nid = "own.')
    text = 'format = "bailee-own-policy/1"\n' + rest.replace(
        'heading = "retention"\nrows = ["O2"]\n', ""
    )
    found = own.read(text.encode(), under.document)
    own_proof.prove(found, under.document, "own.toml")
    return Policy(under.document, found)


@pytest.mark.parametrize("of", AMOUNTS)
def test_the_smaller_amount_of_two_documents_holds(of: str) -> None:
    """Whoever's it is; and of equal ones the operator's is named."""
    said, measure, span, amount = AMOUNTS[of]
    unit = said.partition(" ")[2]
    theirs = policy(bound(of, f'at_most = "{said}"'))
    more = with_own(theirs, bound(of, f'at_most = "999999 {unit}"'))
    same = with_own(theirs, bound(of, f'at_most = "{said}"'))
    alone = with_own(policy(), bound(of, f'at_most = "{said}"'))
    name = of.replace("_", "-")
    for found, clause in (
        (theirs, f"bound.{name}"),
        (more, f"bound.{name}"),
        (same, f"bound.{name}"),
        (alone, f"own.{name}"),
    ):
        (one,) = bounds_on("org_1", InForce(found, 7)).limits
        assert (measure, span, amount, clause) == (one.measure, one.span, one.amount, one.clause)
        assert Subject(Scope.DOCUMENT, "org_1/7") == one.subject
        assert said == one.says
        assert not bounds_on("", InForce(found, 7))


def test_a_limit_that_was_set_goes_further_where_it_is_larger() -> None:
    """Of an organisation's, and of what is in one; of the same measure and time."""
    held = policy(bound("money_per_day", 'at_most = "10 USD"'))

    def closed(scope: Scope, subject: str, amount: int, span: str = "day") -> str | None:
        money, per = LimitMeasure.MONEY, LimitSpan(span)
        return closes(held, UsageLimit("l", Subject(scope, subject), money, per, amount))

    most, name = 10_000_000, "bound.money-per-day"
    assert [None, name] == [closed(Scope.ORGANISATION, "org_1", most + one) for one in (0, 1)]
    assert name == closed(Scope.TEAM, "org_1/apps", most + 1)
    assert name == closed(Scope.MEMBER, "org_1/per_1", most + 1)
    assert closed(Scope.ORGANISATION, "org_1", most + 1, "month") is None
    assert closed(Scope.PERSON, "per_1", most + 1) is None


MODELS = 'only = ["claude-*"]\ndeny = ["claude-opus-*", "claude-9"]'


def test_models_are_those_that_all_documents_leave() -> None:
    """By whatever id they are asked."""
    held = with_own(
        policy(bound("models", MODELS, "Some models.")),
        bound("models", 'only = ["claude-haiku-*", "claude-opus-5", "gpt-5"]', "Fewer."),
    )
    models = bounds_on("org_1", InForce(held, 1)).models
    assert [("bound.models", "Some models."), ("own.models", "Fewer.")] == [
        (one.clause, one.says) for one in models
    ]
    asked = {
        "claude-haiku-4-5": True,
        "us.anthropic.claude-haiku-4-5-20251001-v1:0": True,
        "claude-opus-5": False,
        "claude-9": False,
        "claude-9@20270101": False,
        "gpt-5": False,
        "claude-sonnet-5": False,
    }
    assert asked == {name: all(one.lets(name) for one in models) for name in asked}


@pytest.mark.parametrize(
    ("listed", "left"),
    [
        (["claude-haiku-*"], True),
        (["claude-haiku-4-5-20251001"], True),
        (["claude-*"], False),
        (["claude-opus-5"], False),
        (["claude-opus-5-*"], False),
        (["claude-9"], False),
        (["*"], False),
        (["claude-haiku-4", "gpt-5"], False),
        (["claude-10"], True),
    ],
)
def test_a_list_goes_further_where_it_names_what_a_bound_does_not_leave(
    listed: list[str], left: bool
) -> None:
    """Each of its names, and all that one with a star is for."""
    held = policy(bound("models", MODELS, "Some models."))
    assert (None if left else "bound.models") == closes_list(held, listed)


@pytest.mark.parametrize(
    ("of", "how"),
    [
        ("money_per_day", 'at_most = "0 USD"'),
        ("money_per_day", 'at_most = "0.00 USD"'),
        ("money_per_day", 'at_most = "1.5 USD"'),
        ("money_per_day", 'at_most = "10 EUR"'),
        ("money_per_day", 'at_most = "-1 USD"'),
        ("tokens_per_month", 'at_most = "10 USD"'),
        ("requests_per_month", 'at_most = "0 requests"'),
        ("requests_per_hour", 'at_most = "1 requests"'),
        ("models", ""),
        ("models", 'only = ["Claude"]'),
        ("models", 'only = ["claude *"]'),
        ("models", 'only = ["*-haiku"]'),
        ("models", "deny = []"),
        ("models", f"only = {[f'm-{one}' for one in range(101)]}"),
    ],
)
def test_what_bounds_no_use_is_refused(of: str, how: str) -> None:
    """In either kind of document."""
    with pytest.raises(Unsound):
        policy(bound(of, how))
    with pytest.raises(Unsound):
        with_own(policy(), bound(of, how))


def test_an_organisations_text_has_the_number_of_its_bound() -> None:
    """In the words of either language; one that demands nothing is refused."""
    for text in ("12 USD a day at most.", "每天最多 12 美元。", "{at_most}"):
        with_own(policy(), bound("money_per_day", 'at_most = "12 USD"', text))
    for text in ("13 USD a day.", "12 USD, or 13.", "Little."):
        with pytest.raises(Unsound, match="does not say how much"):
            with_own(policy(), bound("money_per_day", 'at_most = "12 USD"', text))
    with pytest.raises(Unsound, match="demands nothing"):
        with_own(policy(), bound("models", 'only = ["*"]', "All."))


def test_a_bound_of_use_is_said_and_compared() -> None:
    """On the page, by `check` and by `diff`."""
    text = edited(
        (
            "\n[dates]\n",
            bound("money_per_day", 'at_most = "12 USD"')
            + bound("models", MODELS, "Some models.")
            + "\n[dates]\n",
        )
    )
    check(text.encode(), "ours.toml")
    held = from_bytes(text.encode(), "ours.toml").document
    said = [
        [
            bound_in_words(one, language)
            for one in held.bounds
            if one.of in ("models", "money_per_day")
        ]
        for language in ("en", "zh")
    ]
    assert [
        ["12 USD at most", "claude-* only, and not claude-opus-* or claude-9"],
        ["最多 12 美元", "仅限 claude-*，不含 claude-opus-* 或 claude-9"],
    ] == said
    settings = compare(from_bytes(edited().encode(), "a").document, held).settings
    assert {
        ("bound of money_per_day", "none", "at most 12 USD"),
        ("bound of models", "none", "claude-*, claude-opus-*, claude-9 denied"),
    } <= {(name, before, after) for name, before, after in settings}
