"""Which parts of a home belong together, and which is older."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.errors import IntegrityError
from bailee.home.belonging import PARTS, HomeStanding, Mark, Part, Stage, judge

WHOLE = ("a", Stage.WHOLE)


def parts(data: int, sure: int, keyring: int, vault: int) -> dict[str, Part]:
    """Parts of the home `a` with these marks."""
    return {
        "data": Part(True, Mark("a", data, sure)),
        "keyring": Part(True, Mark("a", keyring)),
        "vault": Part(True, Mark("a", vault)),
    }


def older(found: dict[str, Part]) -> tuple[str, ...]:
    """Which parts are older: those that have to be accepted."""
    return judge(WHOLE, found, PARTS).older


NOWHERE = {name: Part(there=False) for name in PARTS}


@pytest.mark.row("D4")
def test_only_where_nothing_is_a_home_is_new() -> None:
    """A root key alone is a trace of one."""
    assert HomeStanding(None, Stage.MAKING) == judge(None, NOWHERE)
    with pytest.raises(IntegrityError, match="data/ and keyring/ and vault/ of this home"):
        judge(None, NOWHERE, rooted=True)
    with pytest.raises(IntegrityError, match="not there"):
        judge(WHOLE, NOWHERE)


@pytest.mark.row("D4")
@pytest.mark.parametrize("stage", [Stage.WHOLE, Stage.NAMING, None])
@pytest.mark.parametrize("name", PARTS)
def test_a_part_that_is_missing_is_named(name: str, stage: Stage | None) -> None:
    """Whether the home says what it is or not."""
    own = None if stage is None else ("a", stage)
    with pytest.raises(IntegrityError, match=f"^{name}/ of this home is not there"):
        judge(own, parts(1, 0, 1, 1) | {name: Part(there=False)})


@pytest.mark.parametrize("name", PARTS)
def test_what_a_crash_left_of_a_new_home_is_made_on(name: str) -> None:
    """Its own file says that it is being made."""
    standing = judge(("a", Stage.MAKING), parts(1, 0, 1, 1) | {name: Part(there=False)})
    assert ("a", Stage.MAKING) == (standing.home, standing.stage)


@pytest.mark.row("D4")
@pytest.mark.parametrize("own", [WHOLE, None])
@pytest.mark.parametrize("name", PARTS)
def test_a_part_of_another_home_is_named(name: str, own: tuple[str, Stage] | None) -> None:
    """It is the one that says what no other says, and accepting what is older does not help."""
    found = parts(3, 3, 3, 3) | {name: Part(True, Mark("b", 9, 9))}
    with pytest.raises(IntegrityError, match=f"^{name}/ is of another home"):
        judge(own, found, PARTS)


def test_homes_from_before_there_were_ids_get_one() -> None:
    """Once: a part without one, where others have some, is older than they are."""
    old = {name: Part(there=True) for name in PARTS}
    assert HomeStanding(None, Stage.NAMING) == judge(None, old)
    assert "a" == judge(("a", Stage.NAMING), old).home
    assert ("data",) == older(parts(3, 3, 3, 3) | {"data": Part(there=True)})


@given(st.integers(1, 50), st.integers(0, 3), st.booleans())
def test_a_crash_between_two_parts_makes_none_older(number: int, done: int, settled: bool) -> None:
    """A mark goes to the data, the keyring, the vault; it may break off after each."""
    at = [number + (place < done) for place in range(3)]
    sure = number if done or settled else number - 1
    assert () == older(parts(at[0], sure, at[1], at[2]))


@pytest.mark.row("T1", "R5", "R6")
@given(st.integers(1, 50), st.integers(1, 9), st.sampled_from(PARTS))
def test_a_part_from_before_an_act_is_older(number: int, acts: int, name: str) -> None:
    """However few marks it is behind, it is refused by name, and taken if that is said."""
    now = number + acts
    found = parts(now, now, now, now)
    found[name] = Part(True, Mark("a", number, number))
    with pytest.raises(IntegrityError, match=f"^{name}/ is older than the rest"):
        judge(WHOLE, found)
    accepted = judge(WHOLE, found, (name,))
    assert ((name,), now, number) == (accepted.older, accepted.newest, accepted.sure)


@pytest.mark.row("R1")
def test_a_part_whose_log_is_damaged_is_older_whatever_its_mark_says() -> None:
    """It is refused by name, and taken at somebody's word."""
    parts = {name: Part(True, Mark("a", 5, 5), torn=name == "keyring") for name in PARTS}
    with pytest.raises(IntegrityError, match="log of keyring/ is damaged") as error:
        judge(("a", Stage.WHOLE), parts)
    assert "accept-older keyring" in str(error.value.hint)
    assert ("keyring",) == judge(("a", Stage.WHOLE), parts, ["keyring"]).older


@pytest.mark.row("O6")
def test_a_database_elsewhere_that_lacks_something_is_older_whatever_its_mark_says() -> None:
    """It is refused by name, and taken at somebody's word."""
    parts = {name: Part(True, Mark("a", 5, 5), lacks=name == "data") for name in PARTS}
    with pytest.raises(IntegrityError, match="has of data/ lacks what was committed") as error:
        judge(("a", Stage.WHOLE), parts)
    assert "accept-older data" in str(error.value.hint)
    assert ("data",) == judge(("a", Stage.WHOLE), parts, ["data"]).older


def test_when_the_homes_own_file_is_the_odd_one_it_is_named() -> None:
    """And not the parts, which agree."""
    parts = {name: Part(True, Mark("a", 5, 5)) for name in PARTS}
    with pytest.raises(IntegrityError, match=r"home.json is of another home"):
        judge(("b", Stage.WHOLE), parts)
