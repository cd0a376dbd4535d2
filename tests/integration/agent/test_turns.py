"""Turns of the agent with real tools in a real repository, over a scripted model."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from bailee.agent import events
from bailee.agent.faults import ModelFault
from bailee.agent.shortening import shortened
from bailee.errors import StorageError, UpstreamError
from bailee.testing.agent import Hangs, ScriptedModel, ScriptedPerson, all_of, call, calls, says

from .conftest import Work, results, take


def test_a_task_over_several_files(work: Work) -> None:
    """It finds, reads, edits and makes files, runs the check, and git sees exactly that."""
    work.write(src__a_py="def f():\n    return 1\n", src__b_py="from a import f\nprint(f())\n")
    model = ScriptedModel(
        [
            all_of(call("Grep", pattern=r"\bf\(\)"), call("Glob", pattern="**/*.py")),
            all_of(call("Read", path="src/a.py"), call("Read", path="src/b.py")),
            all_of(
                call("Edit", path="src/a.py", old="def f():", new="def g():"),
                call("Edit", path="src/b.py", old="f", new="g", replace_all=True),
                call("Write", path="docs/new/note.md", content="f is g\n"),
            ),
            calls("Edit", path="src/b.py", old="grom", new="from"),
            calls("Bash", command="cd src && python3 b.py"),
            says("Renamed."),
        ]
    )
    session = work.session(model, asker=ScriptedPerson())
    seen = take(session, "rename f to g")

    assert events.TurnEnded("done", "Renamed.", 6) == seen[-1]
    found = results(session)
    assert [] == [text for text, is_error in found if is_error]
    assert {"src/a.py", "src/b.py"} == set(found[1][0].split("\n"))
    assert "src/a.py:1:def f():" in found[0][0]
    assert "def g():\n    return 1\n" == (work.root / "src/a.py").read_text()
    assert "from a import g\nprint(g())\n" == (work.root / "src/b.py").read_text()
    assert "1" == found[-1][0]
    status = work.git("status", "--porcelain", "-uall", "--", ":!src/__pycache__").split("\n")
    assert [" M src/a.py", " M src/b.py", "?? docs/new/note.md"] == status[:-1]


def test_what_nobody_permits_does_not_happen(work: Work) -> None:
    """Unattended, edits and commands are refused, the reason goes to the model, it goes on."""
    work.write(a_txt="one\n")
    model = ScriptedModel(
        [
            all_of(
                call("Edit", path="a.txt", old="one", new="two"),
                call("Bash", command="touch b"),
                call("Read", path="a.txt"),
                call("Read", path="/etc/hostname"),
            ),
            says("I can't."),
        ]
    )
    session = work.session(model)
    seen = take(session, "do it")

    refused = [event.call.name for event in seen if isinstance(event, events.CallRefused)]
    assert ["Edit", "Bash", "Read"] == refused
    assert [True, True, False, True] == [is_error for _, is_error in results(session)]
    assert all("nobody is there" in text for text, is_error in results(session) if is_error)
    assert "" == work.git("status", "--porcelain")


def test_a_person_says_why_not_and_always(work: Work) -> None:
    """A no's reason reaches the model; a remembered rule is not asked about again."""
    no = work.session(
        ScriptedModel([calls("Bash", command="ls")]),
        asker=ScriptedPerson(yes=False, reason="use Glob"),
    )
    take(no, "list")
    assert [("Refused: use Glob", True)] == results(no)

    person = ScriptedPerson(remember=("Bash(echo:*)",))
    model = ScriptedModel([calls("Bash", command=f"echo {n}") for n in range(3)])
    yes = work.session(model, asker=person)
    take(yes, "echo")
    assert ["echo 0"] == [intent.subject for intent in person.asked]
    assert ["0", "1", "2"] == [text for text, _ in results(yes)]


def test_a_tool_that_fails_is_the_models_to_deal_with(work: Work) -> None:
    """Unknown tools, wrong arguments, missing files and failing commands are results."""
    work.write(a_txt="one\n")
    model = ScriptedModel(
        [
            all_of(
                call("Fly"),
                call("Read"),
                call("Read", path=7),
                call("Read", path="none.txt"),
                call("Edit", path="a.txt", old="zwei", new="x"),
                call("Write", path="a.txt", content="unseen"),
                call("Grep", pattern="("),
                call("Bash", command="exit 3"),
            )
        ]
    )
    session = work.session(model, asker=ScriptedPerson())
    take(session, "try")

    texts = [text for text, is_error in results(session) if is_error]
    assert 8 == len(texts)
    for text, part in zip(
        texts,
        ["no tool Fly", "needs path", "a text", "no file", "not in the file", "not been read",
         "search failed", "exit status 3"],
        strict=True,
    ):  # fmt: skip
        assert part in text
    assert "one\n" == (work.root / "a.txt").read_text()


def test_an_interrupted_answer_is_kept_as_far_as_it_was_seen(work: Work) -> None:
    """The words that came stay, the turn ends, and the next prompt is answered."""
    session = work.session(ScriptedModel([Hangs("I will now"), says("Fine.")]))

    def stop(event: events.Event) -> None:
        if isinstance(event, events.AnswerPiece):
            session.agent.interrupt()

    assert "interrupted" == take(session, "work", on=stop)[-1].ending  # type: ignore[union-attr]
    first, second = session.agent.conversation.messages
    assert ("user", "I will now") == (first["role"], second["content"][0]["text"])
    assert "Fine." == take(session, "go on")[-1].text  # type: ignore[union-attr]


def test_an_interrupted_command_is_gone_with_all_its_children(work: Work) -> None:
    """Its process group is dead before the turn ends, and the call has a result."""
    command = "(sleep 1000 & echo $! > pid; wait) & sleep 1000"
    session = work.session(
        ScriptedModel([calls("Bash", command=command), says("Ok.")]),
        asker=ScriptedPerson(),
        sandbox=False,
    )

    async def turn() -> events.Event:
        async for event in session.agent.turn("sleep"):
            last = event
            if isinstance(event, events.ToolStarted):
                stopping = asyncio.ensure_future(_when(work.root / "pid", session.agent.interrupt))
        await stopping
        return last

    last = asyncio.run(turn())
    assert "interrupted" == last.ending  # type: ignore[union-attr]
    assert not _alive(int((work.root / "pid").read_text()))
    ((text, is_error),) = results(session)
    assert (True, True) == ("interrupted" in text, is_error)


def _alive(process: int) -> bool:
    """Whether a process goes on running; one that was just killed may take a moment."""
    for _ in range(500):
        if not _runs(process):
            return False
        time.sleep(0.01)
    return True


def _runs(process: int) -> bool:
    """Whether it is there, and not dead and waiting to be reaped."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


async def _when(file: Path, then: object) -> None:
    while not file.exists() or not file.read_text().strip():
        await asyncio.sleep(0.01)
    then()  # type: ignore[operator]


def test_a_command_that_takes_too_long_is_stopped(work: Work) -> None:
    """The model is told, and what the command had said is there."""
    model = ScriptedModel([calls("Bash", command="echo begun; sleep 1000", timeout=1)])
    session = work.session(model, asker=ScriptedPerson())
    take(session, "wait")

    assert [("begun\n[stopped: not done after 1 seconds]", True)] == results(session)


def test_a_flood_of_output_is_cut_in_the_middle(work: Work) -> None:
    """The beginning and the end are there, and how much is not."""
    model = ScriptedModel([calls("Bash", command="echo first; head -c 9000000 /dev/zero | tr '\\0' x; echo; echo last")])  # fmt: skip  # noqa: E501
    session = work.session(model, asker=ScriptedPerson())
    take(session, "flood")

    ((text, _),) = results(session)
    assert text.startswith("first\nxxx")
    assert text.endswith("xxx\nlast")
    assert len(text) < 31_000
    assert "bytes left out" in text


def test_a_child_that_holds_the_output_open_does_not_hold_the_turn(work: Work) -> None:
    """A background process is ended when its command is done."""
    command = "sleep 1000 & echo $! > pid; echo started"
    model = ScriptedModel([calls("Bash", command=command)])
    session = work.session(model, asker=ScriptedPerson(), sandbox=False)
    take(session, "start")

    assert [("started", False)] == results(session)
    assert not _alive(int((work.root / "pid").read_text()))


def test_the_limit_of_calls_ends_a_turn_that_can_be_taken_up_again(work: Work) -> None:
    """At the limit every call has its result, and `proceed` goes on from there."""
    model = ScriptedModel([calls("Glob", pattern="*"), calls("Glob", pattern="*"), says("End.")])
    session = work.session(model, calls=1)
    assert events.TurnEnded("turn_limit", "", 1) == take(session, "go")[-1]
    assert 1 == len(results(session))

    async def on() -> list[events.Event]:
        return [event async for event in session.agent.proceed()]

    assert "turn_limit" == asyncio.run(on())[-1].ending  # type: ignore[union-attr]
    assert "done" == asyncio.run(on())[-1].ending  # type: ignore[union-attr]


def test_an_answer_that_breaks_off_is_asked_for_again(work: Work) -> None:
    """Half an answer is not kept; a failure that stays one ends the turn with an error."""
    session = work.session(ScriptedModel([ModelFault("broke_off"), says("Whole.")]))
    seen = take(session, "speak")
    assert "Whole." == seen[-1].text  # type: ignore[union-attr]
    assert 1 == sum(isinstance(event, events.Retrying) for event in seen)
    assert ["user", "assistant"] == [m["role"] for m in session.agent.conversation.messages]

    down = work.session(ScriptedModel([ModelFault("given_up"), says("Up again.")]))
    with pytest.raises(UpstreamError):
        take(down, "speak")

    async def on() -> list[events.Event]:
        return [event async for event in down.agent.proceed()]

    assert "Up again." == asyncio.run(on())[-1].text  # type: ignore[union-attr]


def test_a_call_cut_off_at_the_token_limit_is_not_run(work: Work) -> None:
    """Half of a command's arguments are not a command."""
    cut = all_of(call("Bash", command="rm -rf"), stop_reason="max_tokens")
    session = work.session(ScriptedModel([cut]), asker=ScriptedPerson())
    seen = take(session, "clean")

    assert [] == [event for event in seen if isinstance(event, events.ToolStarted)]
    assert "token limit" in results(session)[0][0]


def test_a_full_context_is_compacted_and_the_work_goes_on(work: Work) -> None:
    """Near the limit, a summary takes the conversation's place; what is kept says the same."""
    model = ScriptedModel(
        [
            says("Long.", tokens=900),
            says("SUMMARY"),
            calls("Glob", pattern="*"),
            says("Short."),
        ]
    )
    session = work.session(model, context_tokens=1000)
    take(session, "first")
    seen = take(session, "second")

    kinds = [type(event).__name__ for event in seen]
    assert ["Prompted", "Compacting", "Compacted"] == kinds[:3]
    assert "Short." == seen[-1].text  # type: ignore[union-attr]
    assert not model.requests[1].may_call
    assert "SUMMARY" in str(model.requests[2].messages)
    assert "first" not in str(model.requests[2].messages)
    resumed = work.session(ScriptedModel(), session=session.id)
    assert session.agent.conversation.messages == resumed.agent.conversation.messages


def test_a_conversation_too_long_for_the_model_is_compacted_once(work: Work) -> None:
    """When the model refuses for length, it is asked for a summary of less; then it goes on."""
    long = ModelFault("too_long")
    work.write(big_txt="0123456789" * 500)
    model = ScriptedModel([calls("Read", path="big.txt"), long, long, says("S"), says("On.")])
    session = work.session(model)

    assert "On." == take(session, "read")[-1].text  # type: ignore[union-attr]
    sizes = [len(str(request.messages)) for request in model.requests]
    assert sizes[3] < sizes[2]


def test_asking_for_compaction_leaves_it_the_persons_turn(work: Work) -> None:
    """After /compact the model is not called by itself."""
    session = work.session(ScriptedModel([says("A."), says("S"), says("B.")]))
    take(session, "a")

    async def compact() -> None:
        async for _ in session.agent.compact("the names"):
            pass

    asyncio.run(compact())
    assert "wait" == session.agent.conversation.step
    assert "B." == take(session, "b")[-1].text  # type: ignore[union-attr]


def test_a_session_that_can_not_be_kept_goes_on_and_says_so_once(work: Work) -> None:
    """A full disk ends the transcript, not the work."""

    class Full:
        def append(self, session: str, record: object) -> None:
            raise StorageError("no space left.")

    session = work.session(ScriptedModel([calls("Glob", pattern="*"), says("Done.")]))
    session.agent._transcripts = Full()  # type: ignore[assignment]
    seen = take(session, "go")

    assert 1 == sum(isinstance(event, events.TranscriptNotKept) for event in seen)
    assert "Done." == seen[-1].text  # type: ignore[union-attr]


def test_the_projects_instructions_reach_the_model(work: Work) -> None:
    """AGENTS.md wins over CLAUDE.md beside it; a link out of the repository is not followed."""
    (work.root / "AGENTS.md").write_text("Use tabs.")
    (work.root / "CLAUDE.md").write_text("Use spaces.")
    (work.root / "sub").mkdir()
    (work.root / "sub" / "CLAUDE.md").symlink_to(work.home / "secret")
    (work.home / "secret").write_text("SECRET")
    model = ScriptedModel()
    take(work.session(model), "hi")

    assert "Use tabs." in model.requests[0].system
    assert "Use spaces." not in model.requests[0].system
    assert "SECRET" not in model.requests[0].system


def test_shortening_cuts_long_results_and_nothing_else() -> None:
    """Prompts and answers stay whole."""
    block = {"type": "tool_result", "tool_use_id": "t", "content": "x" * 5000}
    text = {"type": "text", "text": "y" * 5000}

    ((short, same),) = (
        m["content"] for m in shortened([{"role": "user", "content": [block, text]}])
    )
    assert (True, text) == (len(short["content"]) < 2100, same)
