"""Sessions found by their words: what finds them is sealed under their key, and goes with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from bailee.errors import InputError, StorageError
from bailee.items.words import asked_words
from bailee.keeping.keeper import Owner
from bailee.vault.record import subject_of
from bailee.vault.searching import SearchPage
from bailee.vault.session_words import digest, open_words

from .conftest import Bench

pytestmark = pytest.mark.both_databases

_OF = "session = (SELECT number FROM sessions WHERE id = :id)"


def user(words: str) -> dict[str, str]:
    """What a person says."""
    return {"role": "user", "content": words}


def answer(words: str) -> dict[str, object]:
    """What the model says."""
    return {"role": "assistant", "content": [{"type": "text", "text": words}]}


def search(bench: Bench, words: str, owner: str | None = "ada", **more: object) -> SearchPage:
    """The first page of what an owner finds."""
    options = {"limit": 10, "asker": "ada", **more}
    found: SearchPage = bench.vault.searching.search(
        words,
        bench.clock(),
        owner=owner,
        **options,  # type: ignore[arg-type]
    )
    return found


def found(bench: Bench, words: str, owner: str | None = "ada") -> list[str]:
    """The excerpts of what an owner finds."""
    return [one.excerpt for one in search(bench, words, owner).found]


def session_ids(bench: Bench) -> list[str]:
    """All sessions, the latest first."""
    return [one.id for one in bench.vault.sessions(bench.clock())]


def test_a_session_is_found_by_what_was_said_in_it(bench: Bench) -> None:
    """By the person's words, the model's, a tool's; in any case; Chinese; names in programs."""
    tool = {"type": "tool_result", "tool_use_id": "t", "content": "disk quota of parseHttpHeader"}
    bench.keep(
        bench.exchange(
            [
                user("Mend the Ｆlaky heron test in max_retries"),
                {"role": "user", "content": [tool]},
            ],
            answer("它把苍鹭的测试修好了"),
        )
    )
    bench.keep(bench.exchange([user("something else")], answer("yes"), session="other"))
    for words in (
        "heron", "FLAKY HERON", "retries", "max-retries", "苍鹭", "测试", "parse_http_header",
        "parsehttpheader", "quota", "heron 苍鹭",
    ):  # fmt: skip
        assert 1 == len(found(bench, words)), words
    assert "heron test" in found(bench, "heron")[0]
    for words in ("heronry", "苍天", "heron else", ".*", "heron' OR '1'='1", "max_retry"):
        try:
            assert [] == found(bench, words), words
        except InputError:
            assert words == ".*"
    assert [] == found(bench, "heron", "eve")
    assert 1 == len(found(bench, "heron", None))


def test_what_finds_a_session_dies_with_its_key(bench: Bench) -> None:
    """Deleted, it is not found; neither words nor digests nor the index are in any file, in the
    clear or so that a key that is left opens it.
    """
    words = "quokkaword zebrafinchword"
    bench.keep(bench.exchange([user(words)], answer("done"), session="gone"))
    bench.keep(bench.exchange([user("quokkaword stays")], session="left"))
    assert 2 == len(found(bench, "quokkaword"))
    (gone,) = [one.session.id for one in search(bench, "zebrafinchword").found]
    with bench.engine.connect() as connection:
        row = connection.execute(
            text(f"SELECT covers, words FROM session_words WHERE {_OF}"), {"id": gone}
        ).one()
    key = bench.keyring.get(subject_of(gone)).key
    opened = open_words(row.words, key, gone, row.covers)
    assert digest("zebrafinchword").to_bytes(4, "little") in opened
    needles = [b"quokkaword", b"zebrafinchword", opened, opened[:8]]
    assert [] == bench.holds(*needles)  # before it is deleted too
    bench.vault.delete(gone, bench.clock())
    assert 1 == len(found(bench, "quokkaword"))
    assert [] == found(bench, "zebrafinchword")
    with bench.engine.connect() as connection:
        left = connection.execute(text("SELECT session FROM session_words")).scalars().all()
    assert 1 == len(left)
    bench.close()
    assert [] == bench.holds(*needles, row.words, key)
    bench.open()


def test_nothing_past_its_time_is_found(bench: Bench) -> None:
    """Not after its end, before and after the sweep; nor what a hold keeps beyond it; nor an
    erased person's.
    """
    bench.keep(bench.exchange([user("kingfisher one")], session="a"))
    bench.keep(bench.exchange([user("kingfisher two")], session="b", owner="eve"))
    assert 2 == len(found(bench, "kingfisher", None))
    (ada,) = [one.id for one in bench.vault.sessions(bench.clock(), "ada")]
    bench.vault.place_hold(ada, "a court's order", bench.clock())
    assert 1 == len(found(bench, "kingfisher"))  # held, and in its time: as it can be read
    bench.vault.erase(Owner("eve", None), bench.clock(), "erasure", "eve")
    assert [] == found(bench, "kingfisher", "eve")
    bench.clock.now += timedelta(days=31)
    assert [] == found(bench, "kingfisher", None)
    bench.vault.sweep(bench.clock())
    assert [] == found(bench, "kingfisher", None)


def test_pages_go_on_where_the_last_one_ended(bench: Bench) -> None:
    """Each session once, the latest first; and a page that has no time left says how far it was."""
    for number in range(7):
        bench.clock.now += timedelta(seconds=1)
        bench.keep(bench.exchange([user(f"pelican {number}")], session=str(number)))
    seen: list[str] = []
    after = None
    while True:
        page = search(bench, "pelican", limit=3, after=after)
        seen += [one.telling.title for one in page.found]
        after = page.next
        if after is None:
            break
    assert [f"pelican {number}" for number in reversed(range(7))] == seen
    late = search(bench, "pelican", seconds=0.0)
    assert 1 == len(late.found) == late.searched
    assert late.next is not None


def test_sessions_from_before_there_was_an_index_get_one(bench: Bench) -> None:
    """By the background's work, that goes on where it was broken off, and by a search."""
    for number in range(3):
        bench.keep(bench.exchange([user(f"albatross {number}")], session=str(number)))
    with bench.engine.begin() as connection:
        assert 0 == connection.execute(text("SELECT count(*) FROM session_words")).scalar()
    bench.reopen()
    while bench.vault.indexing.work(bench.clock()):
        pass
    assert [] == bench.vault.indexing.behind(session_ids(bench))
    bench.keep(bench.exchange([user("albatross 0"), user("and a cormorant")], session="0"))
    assert 1 == len(bench.vault.indexing.behind(session_ids(bench)))
    assert 1 == len(found(bench, "albatross cormorant"))
    assert [] == bench.vault.indexing.behind(session_ids(bench))


@pytest.mark.sqlite_alone
def test_an_index_that_does_not_open_is_made_anew(bench: Bench) -> None:
    """A flipped bit costs one search the session, and nobody more."""
    bench.keep(bench.exchange([user("shearwater")], session="a"))
    bench.keep(bench.exchange([user("shearwater too")], session="b"))
    assert 2 == len(found(bench, "shearwater"))
    with bench.engine.begin() as connection:
        connection.execute(
            text(f"UPDATE session_words SET words = randomblob(length(words)) WHERE {_OF}"),
            {"id": session_ids(bench)[0]},
        )
    assert 1 == len(found(bench, "shearwater"))
    assert 2 == len(found(bench, "shearwater"))
    assert [] == bench.vault.damages.all()


@pytest.mark.parametrize(
    "words",
    [
        "x" * 2_000_000,
        " ".join(f"word{number}" for number in range(300_000)),
        "\u0301" * 200_000,
        "\ufdfa" * 50_000,
        "字" * 500_000,
        "<system-reminder>" * 50_000,
        "<a>" * 100_000,
    ],
    ids=["one word", "many words", "marks", "ligatures", "characters", "reminders", "tags"],
)
def test_what_is_hostile_is_bounded_and_loses_no_neighbour(bench: Bench, words: str) -> None:
    """Its index is small whatever came, and what was said beside it in time is found."""
    bench.keep(bench.exchange([user("plain egret"), user(words)], session="a"))
    began = time.process_time()
    assert 1 == len(found(bench, "egret"))
    assert time.process_time() - began < 20
    with bench.engine.connect() as connection:
        size = connection.execute(text("SELECT length(words) FROM session_words")).scalar()
    assert size is not None
    assert size < 70_000


def test_who_asks_too_much_is_refused_and_others_are_not(bench: Bench) -> None:
    """Words past the bound; and of one asker's many searches at once most, while another's goes."""
    bench.keep(bench.exchange([user("gannet")], session="a"))
    for words in ("", " . ", "a", "gannet " * 1_000, " ".join(f"w{n}x" for n in range(60))):
        with pytest.raises(InputError):
            search(bench, words)
    inside, go = threading.Event(), threading.Event()
    searching = bench.vault.searching
    rows = searching._rows

    def slow(*args: object) -> object:
        inside.set()
        assert go.wait(30)
        return rows(*args)  # type: ignore[arg-type]

    refused: list[str] = []

    def ask() -> None:
        try:
            search(bench, "gannet")
        except InputError as error:
            refused.append(error.code)

    searching._rows = slow  # type: ignore[method-assign,assignment]
    first = threading.Thread(target=ask)
    first.start()
    assert inside.wait(30)
    searching._rows = rows  # type: ignore[method-assign]
    many = [threading.Thread(target=ask) for _ in range(50)]
    for one in many:
        one.start()
    assert 1 == len(search(bench, "gannet", asker="eve").found)
    go.set()
    for one in [first, *many]:
        one.join(30)
    assert {"over_share"} == set(refused)
    assert len(refused) >= 40


def test_what_is_stored_counts_the_index(make: Callable[..., Bench]) -> None:
    """The sums agree with what there is, when it grows, is made anew, and goes."""
    from bailee.vault.stored import counted, kept

    bench = make()
    bench.keep(bench.exchange([user("puffin")], session="a"))
    found(bench, "puffin")
    bench.keep(bench.exchange([user("puffin"), user("more words here")], session="a"))
    found(bench, "puffin")
    with bench.engine.connect() as connection:
        assert counted(connection) == kept(connection)
    bench.vault.indexing.drop(session_ids(bench)[0])
    with bench.engine.connect() as connection:
        assert counted(connection) == kept(connection)
    found(bench, "puffin")
    bench.vault.delete(session_ids(bench)[0], bench.clock())
    with bench.engine.connect() as connection:
        assert counted(connection) == kept(connection)


def test_what_is_asked_for_is_no_pattern() -> None:
    """Escapes and expressions are the words in them, or nothing."""
    assert ("drop", "table") == asked_words("%'; DROP TABLE --")
    assert () == asked_words("[(.*+?\\")


def test_what_is_made_in_the_background_is_written_together(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many sessions, whoever's: each transaction is a sync, which who is answered waits behind.
    One that fails loses none of them, and what has a defect of its own costs the others nothing.
    """
    for number in range(12):
        bench.keep(bench.exchange([user(f"gannet {number}")], session=f"{number}", owner="ada"))
        bench.keep(bench.exchange([user(f"gannet {number}")], session=f"b{number}", owner="bob"))
    bench.reopen()
    with bench.engine.begin() as connection:
        damaged = session_ids(bench)[3]
        connection.execute(
            text("UPDATE exchanges SET length = 1 WHERE session IN"
                 " (SELECT number FROM sessions WHERE id = :id)"),
            {"id": damaged},
        )  # fmt: skip
    indexing, written = bench.vault.indexing, []
    write = indexing._write

    def failing_once(some: Any, now: Any) -> None:
        written.append(len(some))
        if len(written) == 1:
            raise StorageError("the disk is full")
        write(some, now)

    monkeypatch.setattr(indexing, "_write", failing_once)
    monkeypatch.setattr("bailee.vault.indexing._MOMENT", 60.0)
    monkeypatch.setattr("bailee.vault.word_turns.QUIET", 0.0)
    with pytest.raises(StorageError):
        while indexing.work(bench.clock()):
            pass
    while indexing.work(bench.clock()):
        pass
    assert ([23, 23], [damaged]) == (written, indexing.behind(session_ids(bench)))
