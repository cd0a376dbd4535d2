"""What `bailee code` says and asks, as dialogues: a script in the place of a terminal."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bailee.agent import recorded
from bailee.agent.ports import Consent, Intent, ResumableSession
from bailee.agent.session import Options
from bailee.agent.terminal import servers, status
from bailee.agent.terminal.asking import PersonAtScreen
from bailee.agent.terminal.commands import COMMANDS
from bailee.agent.terminal.picking import pick
from bailee.agent.terminal.rating import Rating
from bailee.agent.terminal.sitting import Sitting
from bailee.agent.transcripts import InMemory
from bailee.client.machine import ClientMachine
from bailee.errors import InputError
from bailee.policy.document import Language
from bailee.testing.screen import LEAVES, ScriptedScreen
from bailee.words import words
from support.servers.corporate_network import Receiver, receiver

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRET = "sk-ant-api03-" + "q" * 24
# What stands in a Chinese text in Latin letters: commands and addresses. Beside these, two words in
# a row, or a word without a Chinese one in its line, are English.
NAMES = re.compile(r"https?://[!-~]+|(?<!\w)/\w+(?: \w+)?|--\w+|bailee(?: \w+)+|`[^`]*`")
ENGLISH = re.compile(r"[a-z]{2,} [a-z]{2,}|^[^\u4e00-\u9fff]*[A-Za-z]{4,}[^\u4e00-\u9fff]*$")


def machine(folder: Path, **environment: str) -> ClientMachine:
    """A machine whose data lies in a folder of the test's."""
    work = folder / "work"
    work.mkdir(exist_ok=True)
    held = {"ANTHROPIC_API_KEY": "sk-none", "BAILEE_URL": "http://127.0.0.1:9", **environment}
    made = ClientMachine.open(work, environment=held, clock=lambda: NOW)
    return replace(made, data=folder / "data")


def say(sitting: Sitting, line: str) -> None:
    """A command, as a person types it."""

    async def run() -> None:
        await sitting.open(sitting.options)
        name, _, rest = line.partition(" ")
        await COMMANDS[name](sitting, rest)
        await sitting.close()

    asyncio.run(run())


def sitting(
    folder: Path,
    answers: Sequence[str | list[str]] = (),
    language: Language = "en",
    **environment: str,
) -> tuple[Sitting, ScriptedScreen]:
    """A sitting and its screen."""
    screen = ScriptedScreen(answers, language=language)
    here = machine(folder, **environment)
    return Sitting(Options(here.folder), here, screen), screen


@pytest.fixture
def ingest() -> Iterator[Receiver]:
    """Where reports and ratings go."""
    with receiver() as made:
        yield made


def test_permission_is_asked_with_the_whole_of_it() -> None:
    """Once, always by a narrow rule, no with a reason, and leaving stops the work; a turn stands
    still meanwhile.
    """
    intent = Intent("Bash", "touch a", "touch a", "touch a\u202e", "command")
    stopped: list[bool] = []

    def ask(*answers: str) -> tuple[Consent, ScriptedScreen]:
        screen = ScriptedScreen(answers)
        asker = PersonAtScreen(screen, lambda: stopped.append(screen.still))
        return asyncio.run(asker.ask(intent)), screen

    assert Consent(True) == ask("y")[0]
    assert Consent(True, remember=("Bash(touch:*)",)) == ask("a")[0]
    refused, screen = ask("n", "one at a time")
    assert Consent(False, "the person said no: one at a time") == refused
    assert "Allow this? touch a" in screen.text
    assert [] == stopped
    assert not ask(LEAVES)[0].allowed
    assert [True] == stopped


def test_a_long_change_is_seen_to_its_last_line() -> None:
    """Page by page, with where one is; no line is cut; leaving it early leads to the question."""
    lines = [f"+line {number}" for number in range(999)] + ["+" + "x" * 200 + "END"]
    intent = Intent("Write", "a", "Create a", "\n".join(lines), "diff")

    def ask(keys: list[str]) -> ScriptedScreen:
        screen = ScriptedScreen([keys, "y"], language="zh")
        assert Consent(True) == asyncio.run(PersonAtScreen(screen, lambda: None).ask(intent))
        return screen

    screen = ask(["pagedown"] * 20 + ["b", *["x"] * 32])
    assert set(lines[:-1]) < set(screen.shown)
    assert {"+" + "x" * 79, "x" * 80, "x" * 41 + "END"} < set(screen.shown)
    assert "第 51 页，共 51 页" in screen.text
    assert "line 20" not in ask(["escape"]).text


@pytest.mark.row("F1", "S3")
def test_a_report_is_a_dialogue(tmp_path: Path, ingest: Receiver) -> None:
    """What would go is shown, a secret can be kept on purpose and a part left out; leaving sends
    nothing.
    """
    for answers, expected in (
        (["s"], {"description", "environment"}),
        (["o", "s"], {"description"}),
        (["o", "o", "p", "k", "1", "s"], {"description", "environment"}),
        ([LEAVES], set()),
        (["k", "7", "x"], set()),
    ):
        ingest.received.clear()
        one, screen = sitting(tmp_path, answers, BAILEE_INGEST_URL=ingest.url())
        say(one, f"/bug slow {SECRET}")
        one.stop()

        sent = [json.loads(got.body)["content"] for got in ingest.received]
        assert 0 == screen.left
        assert "1 masked: Anthropic key" in screen.text
        assert bool(expected) == bool(sent)
        assert all(f'"{part}"' in sent[0] for part in expected)
        assert ("k" in answers and bool(sent)) == (SECRET in str(sent))


@pytest.mark.row("F1", "S7")
def test_in_chinese_a_report_is_asked_about_in_chinese(tmp_path: Path, ingest: Receiver) -> None:
    """No question, choice or result of `/bug` is left in English; an answer of the wire is."""
    ingest.answers.append((200, {}, b'{"feedback_id":"fb_7"}'))
    one, screen = sitting(tmp_path, ["太慢", "o", "s"], "zh", BAILEE_INGEST_URL=ingest.url())
    say(one, "/bug")

    assert "已发送。报告编号：fb_7。" in screen.text
    assert "去掉环境" in screen.text
    assert [] == english(screen)


def english(screen: ScriptedScreen) -> list[str]:
    """Lines that are left in English."""
    return [line for line in screen.shown if ENGLISH.search(NAMES.sub("", line))]


@pytest.mark.row("S7")
@pytest.mark.parametrize(
    "line", ["/help", "/privacy", "/flows", "/cost", "/clear", "/survey never", "/quit --delete"]
)
def test_in_chinese_commands_answer_in_chinese(tmp_path: Path, line: str) -> None:
    """Names, keys and addresses alone are as they were."""
    one, screen = sitting(tmp_path, (), "zh")
    say(one, line)

    assert screen.shown
    assert [] == english(screen)


@pytest.mark.row("S7")
def test_in_chinese_the_start_says_in_chinese_what_leaves(tmp_path: Path) -> None:
    """The announcement of what bailee sends of its own, with the places where to look."""
    one, screen = sitting(tmp_path, (), "zh")
    screen.say(one.background.notice or "")

    assert "`bailee outbox`" in screen.text
    assert [] == english(screen)


def test_what_is_no_use_is_said_with_what_is(tmp_path: Path) -> None:
    """A wrong word to a command: an error, in the person's language, and how it is written."""
    for line in ("/survey maybe", "/quit now", "/permissions perhaps"):
        one, _ = sitting(tmp_path, (), "zh")
        with pytest.raises(InputError) as raised:
            say(one, line)
        assert "无法识别输入的内容。" == raised.value.message
        assert line.split()[0] in str(raised.value.hint)


@dataclass
class KeptSession:
    """A `ports.ResumableSession`."""

    session: str
    title: str
    folder: str = "/work"
    last_activity: str = ""
    forgotten_at: str | None = (NOW + timedelta(days=6, hours=1)).isoformat()


@dataclass
class Acting:
    """A `picking.Acts` over a store in memory."""

    store: InMemory
    held: dict[str, datetime] = field(default_factory=dict)

    def kept(self) -> dict[str, datetime]:
        """See `picking.Acts`."""
        return self.held

    def keep(self, session: str) -> datetime:
        """See `picking.Acts`."""
        return self.held.setdefault(session, NOW + timedelta(days=90))

    def release(self, session: str) -> None:
        """See `picking.Acts`."""
        del self.held[session]

    def export(self, session: str) -> Path:
        """See `picking.Acts`."""
        raise NotImplementedError(session)


@pytest.mark.row("R3")
@pytest.mark.parametrize(
    ("keys", "expected", "left"),
    [
        (["enter"], "one", {"one", "two"}),
        (["down", "enter"], "two", {"one", "two"}),
        (["q", "u", "enter"], "two", {"one", "two"}),
        (["z", "backspace", "enter"], "one", {"one", "two"}),
        (["z", "enter", "escape"], None, {"one", "two"}),
        (["c-x", "c-x", "enter"], "two", {"two"}),
        (["c-x", "down", "c-x", "escape"], None, {"one", "two"}),
        (["left", "f1", "c-c"], None, {"one", "two"}),
    ],
)
def test_a_session_is_picked_with_keys(
    keys: list[str], expected: str | None, left: set[str]
) -> None:
    """Moved to, searched for, deleted by the same key twice; leaving picks none."""
    store = InMemory()
    for name in ("one", "two"):
        store.append(name, {"type": "session", "folder": "/work"})
    sessions: list[ResumableSession] = [KeptSession("one", "pears"), KeptSession("two", "quinces")]
    screen = ScriptedScreen([keys])

    assert expected == asyncio.run(pick(screen, sessions, Acting(store), Path("/work"), NOW))
    assert "forgotten in 6 days" in screen.text
    assert left == {name for name in ("one", "two") if store.load(name)}


def test_a_projects_server_needs_a_yes(tmp_path: Path) -> None:
    """The line that would run is shown; leaving is a no."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / ".mcp.json").write_text(
        '{"mcpServers": {"orchard": {"command": "orchard", "args": ["--pick"]}}}'
    )
    for answer, expected in (("y", ["orchard"]), ("n", []), (LEAVES, [])):
        screen = ScriptedScreen([answer], language="zh")
        allowed = asyncio.run(servers.permitted(screen, machine(tmp_path)))
        assert expected == [one.name for one in allowed]
        assert "orchard --pick" in screen.text


@pytest.mark.row("F3")
def test_a_rating_is_held_taken_back_and_sent(tmp_path: Path) -> None:
    """A key counts when the question has stood for a moment; typing on makes it a character; what
    stands is queued and sent by itself.
    """
    now, moment = [0.0], [NOW]
    here = replace(machine(tmp_path), clock=lambda: moment[0])
    sent: list[str] = []

    async def dialogue() -> None:
        rating = Rating(here, words("zh", "terminal"), 0.0, sent.append, clock=lambda: now[0])
        rating.turns, moment[0] = 5, NOW + timedelta(minutes=11)
        rating.consider()
        assert "略过" in rating.text
        assert not rating.counts
        now[0] = 1.0
        assert rating.counts
        rating.hold("2", lambda: None)
        assert "“2”将在 5 秒后发送" in rating.text
        assert "2" == rating.typed()
        assert ("", "") == (rating.text, rating.typed())
        rating.hold("3", lambda: None)
        rating.take_back()
        assert not rating.counts
        now[0] = 2.0
        rating.hold("3", lambda: None)
        rating.give(lambda: None)

    asyncio.run(dialogue())
    (item,) = here.outbox().items()
    assert [item.id] == sent


@pytest.mark.row("R1")
@pytest.mark.parametrize(
    ("language", "unknown"), [("en", "recording unknown"), ("zh", "是否记录未知")]
)
def test_the_status_line_fits(tmp_path: Path, language: Language, unknown: str) -> None:
    """What is kept stays longest, in the person's language, and no line is wider than asked."""
    one, screen = sitting(tmp_path, (), language)

    async def lines() -> list[str]:
        await one.open(one.options)
        made = [
            status.line(one.session, recorded.UNKNOWN, width, screen.words)
            for width in (200, 40, 12)
        ]
        await one.close()
        return made

    wide, narrow, narrowest = asyncio.run(lines())
    assert unknown in wide
    assert unknown in narrow
    assert status.columns(narrow) <= 40
    assert status.columns(narrowest) <= 12
