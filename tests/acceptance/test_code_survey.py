"""The survey in the terminal: one key answers, can be undone, and is in nobody's way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bailee.testing.upstream import ScriptedUpstream
from support.clients.code_at import CODE_AT, show
from support.clients.programs import clean_environment
from support.clients.terminal import Screen
from support.servers.corporate_network import Receiver, receiver

START = datetime.fromisoformat("2026-03-01T12:00:00+00:00")
QUESTION = "How is the assistant doing"


@pytest.fixture
def ingest() -> Iterator[Receiver]:
    """Where ratings would go."""
    with receiver() as made:
        yield made


@pytest.fixture
def ripe(
    root: Path, tmp_path: Path, upstream: ScriptedUpstream, ingest: Receiver
) -> Iterator[Callable[..., Screen]]:
    """Opens `bailee code` and works in it for five turns and ten minutes of its clock."""
    opened = []
    moment = tmp_path / "moment"

    def open_(*, start: datetime = START, **environment: str) -> Screen:
        show(moment, start)
        screen = Screen(
            str(moment),
            program=CODE_AT,
            folder=root,
            environment=clean_environment(
                tmp_path / "person",
                ANTHROPIC_BASE_URL=upstream.url,
                ANTHROPIC_AUTH_TOKEN="bl_test",
                BAILEE_INGEST_URL=ingest.url(),
                **environment,
            ),
        )
        opened.append(screen)
        screen.wait("(?m)^>")
        for turn in range(1, 6):
            if turn == 5:
                assert QUESTION not in screen.text
                show(moment, start + timedelta(minutes=10))
            screen.submit(f"turn {turn}")
            screen.wait(lambda text, turn=turn: text.count("Done.") == turn)
        return screen

    yield open_
    for screen in opened:
        screen.close()


def ratings(ingest: Receiver) -> list[bytes]:
    """The ratings that arrived."""
    return [got.body for got in ingest.received if got.path == "/api/v1/survey"]


@pytest.mark.row("F3")
def test_one_key_answers_and_the_answer_alone_goes(
    ripe: Callable[..., Screen], ingest: Receiver
) -> None:
    """The question comes after five turns and ten minutes; Backspace takes an answer back; one that
    stands is sent without a key, a cookie or anything else; and it is not asked again.
    """
    screen = ripe()
    screen.wait(QUESTION)
    time.sleep(1.0)  # a key counts only when the question has been there for a moment
    screen.type("1")
    screen.wait('"1" will be sent in')
    screen.type("\x7f")
    screen.wait(lambda text: '"1" will be sent' not in text)
    time.sleep(1.0)  # a key counts only when the question has been there for a moment
    screen.type("3")
    screen.wait('"3" will be sent in')
    screen.wait(lambda _: bool(ratings(ingest)))

    (sent,) = [got for got in ingest.received if got.path == "/api/v1/survey"]
    assert b'{"rating":"3"}' == sent.body
    assert {"host", "accept", "accept-encoding", "connection", "user-agent", "content-type",
            "content-length"} == set(sent.headers)  # fmt: skip
    screen.submit("turn 6")
    screen.wait(lambda text: text.count("Done.") == 6)
    screen.wait(lambda _: QUESTION not in "\n".join(screen.lines[-6:]))


@pytest.mark.row("F3")
def test_digits_of_a_prompt_are_no_answer(
    ripe: Callable[..., Screen], ingest: Receiver, upstream: ScriptedUpstream
) -> None:
    """A prompt that begins with a digit, also with one that was held already, is a prompt."""
    screen = ripe()
    screen.wait(QUESTION)
    time.sleep(1.0)  # a key counts only when the question has been there for a moment
    screen.type("2")
    screen.wait('"2" will be sent in')
    screen.type(" pears or 3?")
    screen.wait(r"(?m)^> 2 pears or 3\?")
    screen.type("\r")
    screen.wait(lambda text: text.count("Done.") == 6)
    screen.submit("/quit")
    assert 0 == screen.end()

    assert "2 pears or 3?" == upstream.conversations[-1].json["messages"][-1]["content"][-1]["text"]
    assert [] == ratings(ingest)


@pytest.mark.row("F3", "S5")
def test_never_means_never_and_off_asks_nothing(
    ripe: Callable[..., Screen], ingest: Receiver
) -> None:
    """After /survey never no later session asks; where a rating may not leave, there is no
    question.
    """
    screen = ripe(CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="0")
    assert QUESTION not in screen.text
    screen.type("\x04")
    screen.end()

    screen = ripe()
    screen.wait(QUESTION)
    screen.submit("/survey never")
    screen.wait("not be asked again")
    screen.type("\x04")
    screen.end()

    screen = ripe(start=START + timedelta(days=400))
    screen.read(1.0)
    assert QUESTION not in screen.text
    assert [] == ratings(ingest)
