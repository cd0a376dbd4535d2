"""Views that people save: whose they are, how many there may be, and what is left of them."""

from __future__ import annotations

import pytest

from bailee.accounts import OPERATOR
from bailee.accounts.saved_views import LONGEST_VIEW_NAME, MOST_VIEWS
from bailee.db.people import saved_views
from bailee.errors import InputError
from support.homes.town import Town

ASKED = {"account": "acc_1 & <b>", "order": "oldest"}


def names(town: Town, person_id: str | None) -> list[str]:
    """What somebody's views are called."""
    return [one.name for one in town.registry.saved_views.of(person_id)]


@pytest.mark.row("R6")
def test_a_view_is_for_whoever_saved_it(town: Town) -> None:
    """It comes back as it was saved; to another, the operator too, it is not there, to be seen or
    to be deleted.
    """
    ada, bob = (town.person(f"{name}@x.example")[0].person_id for name in ("ada", "bob"))
    views = town.registry.saved_views
    views.save(ada, "sessions", "  the   orchard ", ASKED)
    views.save(None, "people", "a company's", {"q": "@x.example"})
    (saved,) = views.of(ada)
    assert ("sessions", "the orchard", ASKED) == (saved.list_, saved.name, saved.asked)
    assert [] == views.of(bob)
    for other in (bob, None):
        with pytest.raises(InputError, match="no such view"):
            views.delete(other, saved.view_id)
    with pytest.raises(InputError, match="no such view"):
        views.delete(ada, views.of(None)[0].view_id)

    views.delete(ada, saved.view_id)

    assert ([], ["a company's"]) == (names(town, ada), names(town, None))


@pytest.mark.row("R6")
def test_a_name_is_taken_anew_and_there_are_so_many(town: Town) -> None:
    """Of a list as many as there may be, and one that has the name makes room; another list and
    another person have their own.
    """
    ada, bob = (town.person(f"{name}@x.example")[0].person_id for name in ("ada", "bob"))
    views = town.registry.saved_views
    for number in range(MOST_VIEWS):
        views.save(ada, "sessions", f"view {number}", {"order": "oldest"})
    with pytest.raises(InputError, match="at most 20 views"):
        views.save(ada, "sessions", "one more", ASKED)

    views.save(ada, "sessions", "view 7", ASKED)
    views.save(ada, "people", "one more", {"order": "newest"})
    views.save(bob, "sessions", "one more", ASKED)

    assert MOST_VIEWS + 1 == len(views.of(ada))
    assert [ASKED] == [one.asked for one in views.of(ada) if one.name == "view 7"]


@pytest.mark.parametrize(
    "name",
    ["", "   ", "n" * (LONGEST_VIEW_NAME + 1), "two\nlines\x1b[2K", "\u202eturned", "a@b.example"],
)
def test_what_is_no_name_is_refused(town: Town, name: str) -> None:
    """So is an email, which would outlast who it names; nothing is kept, and nothing said again."""
    ada = town.person("ada@x.example")[0].person_id
    with pytest.raises(InputError) as refused:
        town.registry.saved_views.save(ada, "sessions", name, ASKED)
    assert not name.strip() or name not in refused.value.message
    assert [] == names(town, ada)


@pytest.mark.parametrize("value", ["ada@x.example", "who is ada@x", "v" * 1000])
def test_what_names_somebody_or_never_ends_is_refused(town: Town, value: str) -> None:
    """In what is asked for, likewise."""
    ada = town.person("ada@x.example")[0].person_id
    with pytest.raises(InputError):
        town.registry.saved_views.save(ada, "people", "mine", {"q": value})
    assert [] == names(town, ada)


@pytest.mark.row("R6")
def test_views_lie_sealed_and_go_with_who_saved_them(town: Town) -> None:
    """No byte of a person's is in the database. Who is forgotten has none, and saves none; where
    their key alone is gone, in a copy, nothing of theirs is shown.
    """
    ada, bob = (town.person(f"{name}@x.example")[0].person_id for name in ("ada", "bob"))
    views = town.registry.saved_views
    for person in (ada, bob):
        views.save(person, "sessions", "damson orchard", {"account": "acc_quince"})
    stored = town.stored()
    assert [] == [word for word in (b"damson", b"acc_quince") if word in stored]

    town.registry.people.forget(ada, by=OPERATOR)
    town.keys.destroy(bob)

    assert [] == views.of(ada)
    assert [("", {})] == [(one.name, one.asked) for one in views.of(bob)]
    with town.engine.begin() as connection:
        connection.execute(saved_views.update().values(name=b"changed", query=b""))
    assert [("", {})] == [(one.name, one.asked) for one in views.of(bob)]
    with pytest.raises(InputError, match="erased"):
        views.save(ada, "sessions", "late", ASKED)
