"""What people choose about training, and organisations about the partner programme."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError as DatabaseRefusal

from bailee.accounts import OPERATOR, Account, Actor, ConsentRecord
from bailee.errors import InputError, PolicyDenied
from support.homes.town import Town

NOTICE = {"language": "en", "source": "terminal"}


def forbidden(asked: object) -> bool:
    """Whether carrying it out is refused because of who asks."""
    assert callable(asked)
    try:
        asked()
    except InputError as error:
        assert "forbidden" == error.code
        return True
    return False


class Cast:
    """Everybody who may turn up: each role of an organisation, a stranger, keys, the operator."""

    def __init__(self, town: Town) -> None:
        self.town = town
        registry = town.registry
        people = {
            name: town.person(f"{name}@x.example")[0]
            for name in ("owner", "admin", "member", "stranger")
        }
        self.organisation = town.organisation(
            owner=people["owner"], admin=people["admin"], member=people["member"]
        )
        self.account = registry.organisations.account(self.organisation)
        self.people = people
        self.actors = {name: town.actor(person) for name, person in people.items()}
        self.actors["operator"] = OPERATOR
        for name in ("owner", "admin", "member"):
            _, secret = registry.people.create_key(self.account, name, by=self.actors[name])
            self.actors[f"{name}'s key"] = registry.authority.by_key(secret)
        _, secret = registry.people.create_key(self.account, "ci", by=OPERATOR)
        self.actors["key of the organisation"] = registry.authority.by_key(secret)
        _, _, secret = registry.accounts.create(plan="pro", name="other")
        self.actors["key of another account"] = registry.authority.by_key(secret)

    def who_may(self, ask: object) -> set[str]:
        """Those for whom it is not refused."""
        assert callable(ask)
        return {
            name for name, actor in self.actors.items() if not forbidden(lambda a=actor: ask(a))
        }


@pytest.mark.row("T6")
def test_only_owners_and_admins_join_and_leave_the_partner_programme(town: Town) -> None:
    """Signed in or with their own key; members, the operator and bare keys are refused."""
    cast = Cast(town)
    choices = town.registry.choices

    may_join = cast.who_may(
        lambda actor: choices.join_partner_programme(
            cast.organisation, confirmation="Acme", by=actor, **NOTICE
        )
    )
    may_leave = cast.who_may(
        lambda actor: choices.leave_partner_programme(cast.organisation, by=actor, **NOTICE)
    )

    assert {"owner", "admin", "owner's key", "admin's key"} == may_join == may_leave


@pytest.mark.row("T5")
def test_nothing_a_member_can_do_makes_commercial_data_eligible(town: Town) -> None:
    """Every operation that changes anything, tried by a member: training stays denied."""
    cast = Cast(town)
    registry = town.registry
    for by in (cast.actors["member"], cast.actors["member's key"]):
        for choice in ("allowed", "refused"):
            assert forbidden(
                lambda b=by, c=choice: registry.choices.choose_training(
                    cast.account.account_id, c, by=b, **NOTICE
                )
            )
        assert forbidden(
            lambda b=by: registry.choices.join_partner_programme(
                cast.organisation, confirmation="Acme", by=b, **NOTICE
            )
        )
        for role in ("owner", "admin"):
            assert forbidden(
                lambda b=by, r=role: registry.organisations.add(
                    cast.organisation, cast.people["member"].person_id, r, by=b
                )
            )
        assert forbidden(
            lambda b=by: registry.people.create_key(cast.account, "z", by=b, zero_retention=True)
        )
    own = registry.accounts.of_person(cast.people["member"].person_id)
    assert own is not None
    registry.choices.choose_training(own.account_id, "allowed", by=cast.actors["member"], **NOTICE)

    account = registry.accounts.get(cast.account.account_id)
    assert (False, "none") == (account.partner_programme, account.training_choice)
    assert [] == registry.accounts.consent_records(account.account_id)
    decided = town.policy.train(
        data_class="transcript",
        plan=account.plan,
        channel="api",
        training_choice=account.training_choice,
        zero_retention=False,
        partner_programme=account.partner_programme,
        active_since_choice=True,
    )
    assert "deny" == decided.effect


@pytest.mark.row("T5")
def test_an_admin_makes_no_training_choice_for_an_organisation(town: Town) -> None:
    """An organisation has no training choice; it has the partner programme."""
    cast = Cast(town)

    assert set() == cast.who_may(
        lambda actor: town.registry.choices.choose_training(
            cast.account.account_id, "allowed", by=actor, **NOTICE
        )
    )
    with pytest.raises(InputError, match="no training choice"):
        town.registry.accounts.choose_training(cast.account.account_id, "allowed", **NOTICE)


@pytest.mark.row("T2")
def test_only_the_person_chooses_for_their_account(town: Town) -> None:
    """Not the operator, not an admin of their organisation, not another person or key; and not the
    key that their organisation gave them.
    """
    cast = Cast(town)
    own = town.registry.accounts.of_person(cast.people["member"].person_id)
    assert own is not None
    _, secret = town.registry.people.create_key(own, "own", by=cast.actors["member"])
    cast.actors["member's own key"] = town.registry.authority.by_key(secret)

    may = cast.who_may(
        lambda actor: town.registry.choices.choose_training(
            own.account_id, "allowed", by=actor, **NOTICE
        )
    )

    assert {"member", "member's own key"} == may


@pytest.mark.row("T6")
@pytest.mark.parametrize("typed", ["", "acme", "Acme Inc", "yes", "Acm\u0435"])
def test_joining_takes_the_organisations_name(town: Town, typed: str) -> None:
    """Typed exactly; anything else joins nothing."""
    cast = Cast(town)

    with pytest.raises(InputError, match="not the organisation's name"):
        town.registry.choices.join_partner_programme(
            cast.organisation, confirmation=typed, by=cast.actors["owner"], **NOTICE
        )

    assert not town.registry.accounts.get(cast.account.account_id).partner_programme


@pytest.mark.row("T6")
def test_joining_and_leaving_are_consent_records_and_hold_at_once(town: Town) -> None:
    """Who, when, old and new; since when it holds; the same after a restart."""
    cast = Cast(town)
    choices, owner = town.registry.choices, cast.actors["owner"]

    choices.join_partner_programme(cast.organisation, confirmation="Acme", by=owner, **NOTICE)
    joined = town.clock()
    town.fake.advance(timedelta(days=2))
    for registry in (town.registry, town.reopened()):
        account = registry.accounts.get(cast.account.account_id)
        assert (True, joined) == (account.partner_programme, account.partner_since)
    choices.leave_partner_programme(
        cast.organisation, by=cast.actors["admin"], language="zh", source="console"
    )
    choices.join_partner_programme(cast.organisation, confirmation="Acme", by=owner, **NOTICE)

    records = choices.history(cast.account.account_id, by=owner)
    assert [("none", "joined"), ("joined", "left"), ("left", "joined")] == [
        (record.old, record.new) for record in records
    ]
    assert ["owner", "admin", "owner"] == [
        next(n for n, p in cast.people.items() if p.person_id == record.actor) for record in records
    ]
    again = town.registry.accounts.get(cast.account.account_id)
    assert records[-1].at == again.partner_since  # joining again does not reach back


@pytest.mark.row("T5")
@pytest.mark.parametrize("plan", ["free", "pro", "max"])
def test_an_organisation_has_a_commercial_plan(town: Town, plan: str) -> None:
    """Consumers' choices don't come up there."""
    with pytest.raises(InputError, match="consumer plan"):
        town.registry.organisations.create("Acme", plan=plan, by=OPERATOR)


@pytest.mark.row("T3")
@pytest.mark.parametrize(
    ("day", "choice", "expected"),
    [
        ("2025-08-27", "none", ("skip", "choose.not-yet")),
        ("2025-08-28", "none", ("ask", "choose.existing")),
        ("2025-10-08", "none", ("ask", "choose.existing")),
        ("2025-10-09", "none", ("ask", "choose.existing-late")),
        ("2025-10-09", "refused", ("skip", "choose.made")),
    ],
)
def test_who_is_asked_follows_the_policys_dates(
    town: Town, day: str, choice: str, expected: tuple[str, str]
) -> None:
    """An existing consumer; the clause says why."""
    person, account = town.person("ada@x.example")
    assert account is not None
    if choice != "none":
        account = town.registry.choices.choose_training(
            account.account_id, choice, by=town.actor(person), **NOTICE
        )
    town.fake.advance(datetime.fromisoformat(f"{day}T12:00:00Z") - town.clock())

    asked = town.registry.choices.asked(account)

    assert expected == (asked.effect, asked.clause)


@pytest.mark.row("T2", "T3")
@pytest.mark.parametrize("choice", ["allowed", "refused"])
def test_there_is_no_choice_before_its_day(town: Town, choice: str) -> None:
    """The day before it is refused, with the clause, and changes nothing; on the day it is made."""
    person, account = town.person("ada@x.example")
    assert account is not None
    first = town.policy.document.choice_from
    choices, by = town.registry.choices, town.actor(person)
    town.fake.advance(datetime(first.year, first.month, first.day, tzinfo=UTC) - town.clock())
    town.fake.advance(timedelta(microseconds=-1))

    with pytest.raises(PolicyDenied, match=r"choose\.not-yet"):
        choices.choose_training(account.account_id, choice, by=by, **NOTICE)

    unchanged = town.registry.accounts.get(account.account_id)
    assert ("none", 0, []) == (
        unchanged.training_choice,
        unchanged.consent,
        choices.history(account.account_id, by=by),
    )
    town.fake.advance(timedelta(microseconds=1))
    made = choices.choose_training(account.account_id, choice, by=by, **NOTICE)
    assert choice == made.training_choice


@pytest.mark.row("T2")
def test_a_change_is_told_to_whoever_moves_retention(town: Town) -> None:
    """Once for each change, after it is on disk; not for what changed nothing."""
    person, account = town.person("ada@x.example")
    assert account is not None
    told: list[tuple[str, str]] = []

    def follow(account_id: str) -> None:
        told.append((account_id, town.reopened().accounts.get(account_id).training_choice))

    registry = town.reopened(follow=follow)
    for choice in ("allowed", "allowed", "refused"):
        registry.choices.choose_training(
            account.account_id, choice, by=town.actor(person), **NOTICE
        )

    assert [(account.account_id, "allowed"), (account.account_id, "refused")] == told


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["allowed", "refused", "maybe"]),
        st.sampled_from(["en", "zh", "xx"]),
        st.sampled_from(["console", "api", "terminal"]),
        st.booleans(),
        st.integers(-2, 3),
    ),
    max_size=12,
)


@pytest.mark.row("T2")
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(STEPS)
def test_records_tell_the_whole_story_of_a_choice(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, str, bool, int]]
) -> None:
    """Whatever is tried, by whom ever: the records chain from none to what holds, and hold each
    change once, with its moment; what holds is what the last record says, since its moment.
    """
    town = _town_of_ada(tmp_path_factory.mktemp("town"))
    person, account = town.person("ada@x.example")
    assert account is not None
    expected: list[tuple[str, str, str, datetime]] = []
    for choice, language, source, herself, days in steps:
        town.fake.advance(timedelta(days=days))
        by = town.actor(person) if herself else OPERATOR
        before = town.registry.accounts.get(account.account_id).training_choice
        good = herself and choice != "maybe" and language != "xx"
        try:
            town.registry.choices.choose_training(
                account.account_id, choice, language=language, source=source, by=by
            )
        except InputError:
            assert not good
        else:
            assert good
        if good and choice != before:
            last = expected[-1][-1] if expected else town.clock() - timedelta(days=1)
            moment = max(town.clock(), last + timedelta(microseconds=1))
            expected.append((choice, language, source, moment))

    for registry in (town.registry, town.reopened()):
        holds = registry.accounts.get(account.account_id)
        records = registry.accounts.consent_records(account.account_id)
        _assert_chain(records, holds, town.actor(person))
        assert expected == [(r.new, r.language, r.source, r.at) for r in records]


def _town_of_ada(folder: Path) -> Town:
    return Town(folder)


def _assert_chain(records: list[ConsentRecord], holds: Account, by: Actor) -> None:
    assert ["none", *(r.new for r in records)][: len(records)] == [r.old for r in records]
    assert holds.training_choice == (records[-1].new if records else "none")
    assert holds.chosen_at == (records[-1].at if records else None)
    assert all(a.at < b.at for a, b in pairwise(records))
    assert {by.person_id} >= {r.actor for r in records}
    assert all(
        r.notice and r.notice_version == "2025-10-27" and r.purpose == "training" for r in records
    )


@pytest.mark.parametrize(
    "change", ["DELETE FROM consent_records", "UPDATE consent_records SET actor = 'me'"]
)
def test_no_record_is_edited_after_the_migration_either(town: Town, change: str) -> None:
    """The new columns are under the same triggers."""
    person, account = town.person("ada@x.example")
    assert account is not None
    town.registry.choices.choose_training(
        account.account_id, "refused", by=town.actor(person), **NOTICE
    )

    with pytest.raises(DatabaseRefusal, match="append-only"), town.engine.begin() as connection:
        connection.execute(text(change))
