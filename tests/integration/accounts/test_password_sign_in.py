"""Signing up and in with email and password."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from argon2 import PasswordHasher

from bailee.accounts import OPERATOR
from bailee.errors import InputError, PolicyDenied
from bailee.policy.holding import InForce
from bailee.policy.loading import from_bytes
from support.clients import cheap_hashes
from support.documents import edited
from support.homes.town import PASSWORD, CountingHasher, Town

ADDRESS = "192.0.2.1"


def sign_up(town: Town, email: str = "ada@x.example", **changes: str | None) -> str:
    """Sign up as one does in the console; the person's id."""
    given = {
        "choice": "refused",
        "language": "en",
        "source": "console",
        "address": ADDRESS,
        "password": PASSWORD,
        **changes,
    }
    person, _ = town.registry.passwords.sign_up(email, **given)  # type: ignore[arg-type]
    return person.person_id


def refusal(town: Town, email: str, password: str, address: str = ADDRESS) -> tuple[str, str, str]:
    """How signing in is refused."""
    with pytest.raises(InputError) as refused:
        town.registry.passwords.sign_in(email, password, address=address)
    error = refused.value
    return error.code, error.message, error.hint or ""


def test_who_signed_up_signs_in(town: Town) -> None:
    """However the email is written, and after a restart."""
    person = sign_up(town)

    for registry in (town.registry, town.reopened()):
        assert person == registry.passwords.sign_in(" ADA@x.Example", PASSWORD, address=ADDRESS)


@pytest.mark.row("T3")
@pytest.mark.parametrize("choice", [None, "", "maybe", "none"])
def test_a_new_consumer_can_not_sign_up_without_choosing(town: Town, choice: str | None) -> None:
    """Nothing is chosen for them, and nobody is made."""
    with pytest.raises(InputError, match="choice"):
        sign_up(town, choice=choice)

    assert [] == town.registry.people.all()


@pytest.mark.row("T3")
def test_nobody_signs_up_with_a_choice_before_there_is_one(town: Town) -> None:
    """Refused with the clause, and nobody is made."""
    town.fake.now = datetime(2025, 8, 27, 23, tzinfo=UTC)

    with pytest.raises(PolicyDenied, match=r"choose\.not-yet"):
        sign_up(town, choice="allowed")

    assert [] == town.registry.people.all()


@pytest.mark.row("T2", "T3")
@pytest.mark.parametrize("choice", ["allowed", "refused"])
def test_the_choice_at_sign_up_is_a_consent_record(town: Town, choice: str) -> None:
    """From none to what they chose, by themselves, with the notice's language."""
    person = sign_up(town, choice=choice, language="zh")

    account = town.registry.accounts.of_person(person)
    assert account is not None
    (record,) = town.registry.accounts.consent_records(account.account_id)
    assert ("none", choice, person, "zh", "console", "training") == (
        record.old,
        record.new,
        record.actor,
        record.language,
        record.source,
        record.purpose,
    )
    assert choice == account.training_choice


@pytest.mark.parametrize("plan", ["team", "enterprise", "api", "gold"])
def test_one_signs_up_for_consumer_plans_only(town: Town, plan: str) -> None:
    """A commercial account is made by the operator."""
    with pytest.raises(InputError, match="can't sign up for"):
        sign_up(town, plan=plan)


@pytest.mark.parametrize("password", ["", "short", "a" * 40, "abababababababab", "x" * 20_000])
def test_a_weak_password_is_refused_and_not_repeated(town: Town, password: str) -> None:
    """Too short, one or two characters over and over, too long."""
    with pytest.raises(InputError) as refused:
        sign_up(town, password=password)

    assert not password or password not in refused.value.message


def test_whatever_is_wrong_the_answer_and_the_work_are_the_same(town: Town) -> None:
    """Wrong password, unknown email, no email, a person without a password: one hash each."""
    sign_up(town)
    town.registry.people.create("invited@x.example", plan="pro", by=OPERATOR)
    refusal(town, "warm@x.example", PASSWORD)

    seen = set()
    for email in ("ada@x.example", "nobody@x.example", "nonsense", "invited@x.example"):
        before = town.hasher.hashes
        seen.add((refusal(town, email, "the wrong password"), town.hasher.hashes - before))

    ((_, hashes),) = seen
    assert 1 == hashes


def test_signing_up_with_a_taken_email_does_the_same_work(town: Town) -> None:
    """One hash, whether the email is free or not; the person who has it is not touched."""
    person = sign_up(town)
    before = town.hasher.hashes
    sign_up(town, "free@x.example")
    free = town.hasher.hashes - before

    with pytest.raises(InputError, match="can't be used"):
        sign_up(town, "ADA@x.example", password="another one of mine")

    assert 1 == free == town.hasher.hashes - before - free
    assert person == town.registry.passwords.sign_in("ada@x.example", PASSWORD, address=ADDRESS)


def test_guessing_has_to_wait_longer_and_longer(town: Town) -> None:
    """Five are free; then each failure doubles the wait, and nothing is compared within it."""
    sign_up(town)
    waits = []
    for _ in range(6):
        refusal(town, "ada@x.example", "a wrong password")
    for _ in range(4):
        code, _, hint = refusal(town, "ada@x.example", PASSWORD)
        assert "too_many_attempts" == code
        seconds = int(hint.removeprefix("try again in ").removesuffix(" s"))
        waits.append(seconds)
        town.fake.advance(timedelta(seconds=seconds))
        refusal(town, "ada@x.example", "a wrong password")

    assert [1, 2, 4, 8] == waits
    before = town.hasher.hashes
    refusal(town, "ada@x.example", PASSWORD)
    assert before == town.hasher.hashes


def test_a_restart_forgives_nothing(town: Town) -> None:
    """The limit is on disk; success forgives, and so does a day."""
    sign_up(town)
    for _ in range(6):
        refusal(town, "ada@x.example", "a wrong password")

    town.registry = town.reopened()

    assert "too_many_attempts" == refusal(town, "ada@x.example", PASSWORD)[0]
    town.fake.advance(timedelta(seconds=1))
    town.registry.passwords.sign_in("ada@x.example", PASSWORD, address=ADDRESS)
    for _ in range(6):
        assert "authentication" == refusal(town, "ada@x.example", "a wrong password")[0]


def test_an_unknown_email_is_limited_like_a_known_one(town: Town) -> None:
    """Or being limited would tell who exists."""
    sign_up(town)

    answers = [
        [refusal(town, email, "a wrong password", f"192.0.2.{n}")[0] for _ in range(8)]
        for n, email in ((7, "ada@x.example"), (8, "nobody@x.example"))
    ]

    assert answers[0] == answers[1]


def test_one_address_can_not_try_many_emails(town: Town) -> None:
    """Twenty are free, whatever the emails; another address is not held up."""
    sign_up(town)
    codes = [
        refusal(town, f"p{n}@x.example", "a wrong password", "2001:db8::1")[0] for n in range(22)
    ]

    assert ["authentication"] * 21 + ["too_many_attempts"] == codes
    assert "too_many_attempts" == refusal(town, "ada@x.example", PASSWORD, "2001:db8::9")[0]
    town.registry.passwords.sign_in("ada@x.example", PASSWORD, address="2001:db8:1::1")


def test_attempts_at_the_same_time_do_not_slip_through(town: Town) -> None:
    """Each is counted before it is compared: of forty at once, six are compared."""
    sign_up(town)
    before = town.hasher.hashes

    with ThreadPoolExecutor(10) as pool:
        codes = list(
            pool.map(lambda _: refusal(town, "ada@x.example", "a wrong one!")[0], range(40))
        )

    assert 6 == codes.count("authentication")
    assert 6 == town.hasher.hashes - before - 1  # and nobody's password, made once


def test_sign_ups_are_limited_by_address(town: Town) -> None:
    """Five a day are free; so trying out who exists is slow."""
    for n in range(6):
        sign_up(town, f"p{n}@x.example")

    with pytest.raises(InputError) as refused:
        sign_up(town, "p6@x.example")

    assert "too_many_attempts" == refused.value.code


def test_where_sign_up_is_closed_nobody_makes_themselves_an_account(town: Town) -> None:
    """Who has one signs in as before."""
    person = sign_up(town)
    town.registry = town.reopened(sign_up=False)

    with pytest.raises(InputError) as refused:
        sign_up(town, "bob@x.example")

    assert "forbidden" == refused.value.code
    assert person == town.registry.passwords.sign_in("ada@x.example", PASSWORD, address=ADDRESS)


@pytest.mark.row("P1")
@pytest.mark.parametrize(
    ("said", "plans"),
    [('sign_up = ["pro"]\n', {"pro"}), ("sign_up = []\n", set()), ("", {"free", "pro", "max"})],
)
def test_the_document_that_holds_says_which_plans_people_take(
    town: Town, said: str, plans: set[str]
) -> None:
    """Of those that the operator opened, from the next question on; one that says nothing of it
    lets them have all of consumers.
    """
    document = edited(('sign_up = ["free", "pro", "max"]\n', said))
    town.holding.take(InForce(from_bytes(document.encode(), "ours.toml")))

    assert plans == town.registry.passwords.sign_up_plans
    for plan in ("free", "pro"):
        if plan in plans:
            person = sign_up(town, f"{plan}@x.example", plan=plan)
            account = town.registry.accounts.of_person(person)
            assert account is not None
            assert plan == account.plan
        else:
            with pytest.raises(InputError):
                sign_up(town, f"{plan}@x.example", plan=plan)


def test_nothing_that_was_typed_is_stored(town: Town) -> None:
    """No password, no email, no address: the database has digests and sealed values only."""
    sign_up(town)
    refusal(town, "nobody@x.example", "a wrong password")

    stored = town.stored()

    assert b"argon2id" in stored  # it is this file that was looked at
    for typed in (PASSWORD, "ada@x.example", "nobody@x.example", "wrong password", ADDRESS):
        assert typed.encode() not in stored


def test_changing_the_password_takes_the_old_one_and_ends_other_sessions(town: Town) -> None:
    """The session in which it is changed stays."""
    person = sign_up(town)
    sessions, by = town.registry.web_sessions, town.registry.authority.by_person(person)
    here, there = sessions.begin(person), sessions.begin(person)
    new = "eleven plum trees in a row"

    with pytest.raises(InputError, match="current password"):
        town.registry.passwords.set_password(
            person, new, old="not it at all", by=by, address=ADDRESS, but=here
        )
    assert sessions.find(there) is not None
    town.registry.passwords.set_password(
        person, new, old=PASSWORD, by=by, address=ADDRESS, but=here
    )

    assert sessions.find(here) is not None
    assert sessions.find(there) is None
    assert "authentication" == refusal(town, "ada@x.example", PASSWORD)[0]
    assert person == town.registry.passwords.sign_in("ada@x.example", new, address=ADDRESS)


def test_nobody_sets_someone_elses_password(town: Town) -> None:
    """Not the operator either."""
    person = sign_up(town)

    with pytest.raises(InputError) as refused:
        town.registry.passwords.set_password(
            person, "eleven plum trees in a row", old=PASSWORD, by=OPERATOR, address=ADDRESS
        )

    assert "forbidden" == refused.value.code


def test_a_server_hashes_as_rfc_9106_says_where_memory_is_short() -> None:
    """Three times over 64 MiB in four lanes: tests alone hash with less."""
    assert cheap_hashes.truly().hash(PASSWORD).startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_a_digest_with_old_parameters_is_made_anew(town: Town) -> None:
    """The next time its person signs in; the password stays the same."""
    sign_up(town)
    stronger = CountingHasher()
    stronger._hasher = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    town.hasher = stronger
    town.registry = town.reopened()

    for _ in range(2):
        town.registry.passwords.sign_in("ada@x.example", PASSWORD, address=ADDRESS)

    assert b"$m=16,t=2,p=1$" in town.stored()
    assert 4 == stronger.hashes  # nobody's, and: compare, make anew, compare
