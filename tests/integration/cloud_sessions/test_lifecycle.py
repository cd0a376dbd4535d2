"""How cloud sessions live and end: a real home and audit record, machines that are scripted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bailee.accounts import OPERATOR
from bailee.cloud.ports import End
from bailee.cloud.sessions.states import SessionState
from bailee.cloud.sessions.store import DIFF, EGRESS, OUTPUT
from bailee.errors import InputError, MachineError, StorageError
from support.machines.cloud_yard import CONVERSATION, TASK, Guest, Yard, state_of, until


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    """A home, an account, and sessions in scripted machines."""
    made = Yard(tmp_path)
    yield made
    made.node.close()


@pytest.mark.row("C1", "C5")
def test_a_session_goes_from_its_task_to_a_pushed_branch_and_an_end(yard: Yard) -> None:
    """Clone, agent, commit, patch, push, end: in this order, and each state is told as it comes."""

    async def live() -> list[object]:
        async with yard.open() as sessions:
            session = yard.request(sessions)
            watching = asyncio.create_task(_all(sessions.events(session, -1)))
            await asyncio.sleep(0.1)  # who watches sees it wait
            assert End.FINISHED == await sessions.run(session)
            return await watching

    events = asyncio.run(live())
    states = [e["state"] for e in events if e["kind"] == "state"]  # type: ignore[index]
    assert ["queued", "starting", "cloning", "working", "ended"] == states
    (machine,) = yard.machines.started
    names = [Guest.name(command) for command in machine.commands]
    assert [
        "clone", "prepare", "agent", "commit", "head", "diff", "push", "conversation",
    ] == names  # fmt: skip
    assert (True, End.FINISHED) == (machine.ended.done(), machine.ended.result())
    assert [TASK] == yard.guest.prompts


@pytest.mark.row("C1", "P4")
def test_start_and_end_are_on_record_with_the_reason(yard: Yard) -> None:
    """The audit record says who asked, when a machine was there, why it ended, and counts."""
    session = _finished(yard)
    entries = yard.entries(session)
    assert [
        "cloud.session_requested", "cloud.session_started", "cloud.session_ended",
    ] == [kind for kind, _ in entries]  # fmt: skip
    body = entries[-1][1]
    assert ("finished", None, 1) == (body["reason"], body["problem"], body["egress_connections"])
    assert TASK not in str(entries)


@pytest.mark.row("C1", "C2")
def test_the_token_is_good_while_the_session_lasts_and_no_longer(yard: Yard) -> None:
    """The agent's key authenticates as the account's own, and stops before the end is noted."""
    seen: list[bool] = []

    async def live() -> bytes:
        yard.guest.hold = asyncio.Event()
        async with yard.open() as sessions:
            session = yard.request(sessions)
            running = asyncio.create_task(sessions.run(session))
            await yard.guest.working.wait()
            token = yard.token()
            found = yard.node.accounts.authenticate(token)
            seen.append(found is not None and found[1] == yard.account)
            with pytest.raises(InputError, match="speaks for nobody"):
                yard.node.registry.authority.by_key(token.decode())
            yard.guest.hold.set()
            await running
            return token

    token = asyncio.run(live())
    assert [True] == seen
    assert None is yard.node.accounts.authenticate(token)
    assert True is yard.served[-1].closed


@pytest.mark.row("C1", "C2")
def test_the_machine_goes_where_the_end_of_its_key_can_not_be_written(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is good no more, the machine is destroyed, and what was served to it is closed."""
    ledger, tokens = yard.node.ledger, []
    append = ledger.append

    def failing(kind: str, *given: Any, **named: Any) -> Any:
        if kind == "key.revoked":
            raise StorageError("no room")
        return append(kind, *given, **named)

    async def live() -> str:
        yard.guest.hold = asyncio.Event()
        async with yard.open() as sessions:
            running = asyncio.create_task(sessions.run(yard.request(sessions)))
            await yard.guest.working.wait()
            tokens.append(yard.token())
            monkeypatch.setattr(ledger, "append", failing)
            yard.guest.hold.set()
            return await running

    assert End.REFUSED == asyncio.run(live())
    assert [None] == [yard.node.accounts.authenticate(token) for token in tokens]
    assert (set(), True) == (yard.machines.taken, yard.served[-1].closed)
    assert True is yard.machines.started[0].ended.done()


@pytest.mark.row("C5")
def test_a_follow_up_goes_on_with_the_same_conversation(yard: Yard) -> None:
    """While it waits a session takes more, in order, and the agent resumes what it began."""

    async def live() -> str:
        async with yard.open() as sessions:
            session = yard.request(sessions, linger=20.0)
            running = asyncio.create_task(sessions.run(session))
            await until(lambda: state_of(yard, session) is SessionState.WAITING)
            await sessions.send(session, "and water them")
            await until(lambda: len(yard.guest.prompts) == 2)
            await until(lambda: state_of(yard, session) is SessionState.WAITING)
            await sessions.stop(session)
            return await running

    assert End.STOPPED == asyncio.run(live())
    agents = [c for c in yard.machines.started[0].commands if Guest.name(c) == "agent"]
    assert ["--resume" in one.argv for one in agents] == [False, True]
    assert CONVERSATION in agents[1].argv
    assert [TASK, "and water them"] == yard.guest.prompts


@pytest.mark.row("C1")
@pytest.mark.parametrize(
    "reason", [End.STOPPED, End.EGRESS, End.GUEST_CRASHED, End.MACHINE_KILLED, End.DISK]
)
def test_whatever_ends_a_machine_ends_its_session_with_that_reason(yard: Yard, reason: End) -> None:
    """Stopped by a person, by the egress policy, crashed, killed, full: the record says which."""

    async def live() -> tuple[str, str]:
        yard.guest.hold = asyncio.Event()
        async with yard.open() as sessions:
            session = yard.request(sessions)
            running = asyncio.create_task(sessions.run(session))
            await yard.guest.working.wait()
            if reason is End.STOPPED:
                await sessions.stop(session)
            elif reason is End.EGRESS:
                yard.served[-1].end(reason)
            else:
                await yard.machines.started[0].destroy(reason)
            return session, await running

    session, ended = asyncio.run(live())
    assert (reason, reason) == (ended, yard.entries(session)[-1][1]["reason"])
    assert set() == yard.machines.taken


@pytest.mark.row("C1")
def test_a_session_that_takes_too_long_is_ended(yard: Yard) -> None:
    """The wall clock ends it whatever the agent does, and the machine is destroyed."""

    async def live() -> str:
        yard.guest.hold = asyncio.Event()
        async with yard.open() as sessions:
            sessions._limits = type(sessions._limits)(wall_clock=0.2)
            return await sessions.run(yard.request(sessions))

    assert End.WALL_CLOCK == asyncio.run(live())
    assert End.WALL_CLOCK == yard.machines.started[0].ended.result()


@pytest.mark.parametrize(
    ("step", "end", "problem"),
    [
        ("clone", End.FAILED, "clone_failed"),
        ("agent", End.FAILED, "agent_failed"),
        ("commit", End.FAILED, "not_committed"),
        ("push", End.FAILED, "not_pushed"),
    ],
)
def test_a_step_that_fails_is_named(yard: Yard, step: str, end: End, problem: str) -> None:
    """What could not be done stands beside the end; nothing else goes wrong with it."""
    yard.guest.statuses[step] = 1
    session = _finished(yard, end)
    assert problem == yard.node.cloud.records.get(session).problem


@pytest.mark.row("C1")
def test_a_session_whose_runner_died_before_it_began_is_taken_up_again(yard: Yard) -> None:
    """Nothing was done yet, so another runner begins it, and it comes to its end."""

    async def live() -> str:
        async with yard.open() as sessions:
            yard.machines.failures = [MachineError("gone", code="machine_ended")] * 2
            return await sessions.run(yard.request(sessions))

    assert End.FINISHED == asyncio.run(live())
    assert 1 == len(yard.machines.started)


def test_where_no_machine_can_be_had_the_session_is_refused(yard: Yard) -> None:
    """There is no weaker sandbox in its place, and the reason is in the log."""

    async def live() -> tuple[str, str, list[object]]:
        async with yard.open() as sessions:
            error = MachineError("no machine here.", code="no_machine", hint="install qemu")
            yard.machines.failures = [error]
            session = yard.request(sessions)
            return session, await sessions.run(session), await _all(sessions.events(session, -1))

    session, ended, events = asyncio.run(live())
    assert (End.REFUSED, "no_machine") == (ended, yard.node.cloud.records.get(session).problem)
    assert "no machine here. hint: install qemu" in str(events)


@pytest.mark.parametrize("error", [InputError("no such list."), RuntimeError("a defect")])
def test_what_can_not_be_served_ends_and_gives_its_room_back(
    yard: Yard, error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error of ours, and a defect, of which kind and place are told and nothing else."""

    async def live() -> str:
        async with yard.open() as sessions:
            yard.unservable = error
            return await sessions.run(yard.request(sessions))

    assert (End.REFUSED if isinstance(error, InputError) else End.FAILED) == asyncio.run(live())
    assert (set(), []) == (yard.machines.taken, yard.machines.started)
    assert "a defect" not in capsys.readouterr().err


def test_there_are_only_so_many_sessions(yard: Yard) -> None:
    """One too many, in all or of one account, is refused at once and leaves nothing behind."""

    async def live() -> None:
        async with yard.open(waiting=3, account=2) as sessions:
            yard.request(sessions)
            yard.request(sessions)
            with pytest.raises(MachineError, match="this account") as one:
                yard.request(sessions)
            assert "no_room" == one.value.code
            yard.request(sessions, zero=True)
            with pytest.raises(MachineError, match="as there may be"):
                yard.request(sessions, zero=True)
        assert 3 == len(yard.node.cloud.records.all())

    asyncio.run(live())


def test_who_finds_no_room_waits_for_it(yard: Yard) -> None:
    """Of two sessions and one room, the second begins when the first has ended."""

    async def live() -> list[str]:
        yard.guest.hold = asyncio.Event()
        async with yard.open(slots=1) as sessions:
            first, second = yard.request(sessions), yard.request(sessions)
            running = [asyncio.create_task(sessions.run(one)) for one in (first, second)]
            await yard.guest.working.wait()
            assert SessionState.QUEUED is state_of(yard, second)
            yard.guest.hold.set()
            return [await one for one in running]

    assert [End.FINISHED, End.FINISHED] == asyncio.run(live())


@pytest.mark.parametrize("taken_up", [False, True])
def test_a_session_that_waits_can_be_stopped(yard: Yard, taken_up: bool) -> None:
    """Before the queue has called for it, and while it waits for room: it never gets a machine."""

    async def live() -> str:
        async with yard.open(slots=0) as sessions:
            session = yard.request(sessions)
            running = None
            if taken_up:
                running = asyncio.create_task(sessions.run(session))
                await asyncio.sleep(0.05)
            await sessions.stop(session)
            if running is not None:
                await running
            assert SessionState.ENDED == await sessions.run(session) or taken_up
            return session

    session = asyncio.run(live())
    assert (End.STOPPED, []) == (yard.node.cloud.records.get(session).end, yard.machines.started)


@pytest.mark.row("C1")
def test_what_a_process_left_is_taken_up_or_ended_by_the_next(yard: Yard) -> None:
    """After a crash what had a machine has lost it, and what was waiting comes to its end."""

    async def before() -> tuple[str, str, bytes]:
        yard.guest.hold = asyncio.Event()
        async with yard.open(slots=1) as sessions:
            first, second = yard.request(sessions), yard.request(sessions)
            running = asyncio.create_task(sessions.run(first))
            await yard.guest.working.wait()
            token = yard.token()
            running.cancel()  # as a kill would: nothing of the session's end is carried out
            return first, second, token

    async def after() -> None:
        yard.guest.hold = None
        async with yard.open() as sessions:
            await sessions.begin()
            assert [second] == yard.queue[2:]
            await sessions.run(second)

    first, second, token = asyncio.run(before())
    yard.reopened()
    asyncio.run(after())
    assert End.RUNNER_LOST == yard.node.cloud.records.get(first).end
    assert "runner_lost" == yard.entries(first)[-1][1]["reason"]
    assert End.FINISHED == yard.node.cloud.records.get(second).end
    assert None is yard.node.accounts.authenticate(token)


@pytest.mark.row("C1", "O6")
def test_a_killed_processs_key_is_good_until_its_session_is_ended(yard: Yard) -> None:
    """The next process answers it, ends the session, and answers it no more."""
    accounts = yard.node.accounts

    async def before() -> str:
        async with yard.open(slots=1) as sessions:
            return yard.request(sessions)

    session = asyncio.run(before())
    yard.node.cloud.records.change(session, SessionState.STARTING, yard.clock())
    _, token = accounts.key_for_cloud_session(
        yard.account.account_id, session, zero_retention=False, by="operator"
    )
    yard.reopened()
    assert yard.node.accounts.authenticate(token.encode()) is not None

    async def after() -> None:
        async with yard.open() as sessions:
            await sessions.begin()

    asyncio.run(after())
    assert End.RUNNER_LOST == yard.node.cloud.records.get(session).end
    assert None is yard.node.accounts.authenticate(token.encode())


@pytest.mark.row("C1", "T5", "R5")
@pytest.mark.parametrize("gone", ["stays", "left", "erased", "key"])
def test_a_session_that_waited_for_who_has_gone_gets_no_key(yard: Yard, gone: str) -> None:
    """Somebody left the organisation, was erased, or had their key revoked, while it waited."""
    registry = yard.node.registry
    firm, yard.account = registry.organisations.create("Orchard", plan="team", by=OPERATOR)
    ada, _ = registry.people.create("ada@x.example", plan=None, by=OPERATOR)
    registry.organisations.add(firm.organisation_id, ada.person_id, "member", by=OPERATOR)
    key, _ = registry.people.create_key(yard.account, "ci", by=OPERATOR)
    by = key.key_id if gone == "key" else ada.person_id

    async def live() -> str:
        async with yard.open() as sessions:
            session = yard.request(sessions, by=by)
            if gone == "left":
                registry.organisations.remove(firm.organisation_id, ada.person_id, by=OPERATOR)
            elif gone == "erased":
                registry.people.forget(ada.person_id, by=OPERATOR)
            elif gone == "key":
                registry.accounts.revoke(key.key_id)
            await sessions.run(session)
            return session

    record = yard.node.cloud.records.get(asyncio.run(live()))
    expected = {
        "stays": (End.FINISHED, None),
        "left": (End.REFUSED, "forbidden"),
        "erased": (End.REFUSED, "authentication"),
        "key": (End.REFUSED, "forbidden"),
    }
    assert expected[gone] == (record.end, record.problem)
    assert (gone == "stays") == bool(yard.machines.started)


def test_a_server_that_stops_ends_what_runs_and_leaves_what_waits(yard: Yard) -> None:
    """What waits for room is given back to the queue unchanged."""

    async def live() -> tuple[str, str]:
        yard.guest.hold = asyncio.Event()
        async with yard.open(slots=1) as sessions:
            first, second = yard.request(sessions), yard.request(sessions)
            running = [asyncio.create_task(sessions.run(one)) for one in (first, second)]
            await yard.guest.working.wait()
            await sessions.close()
            results = await asyncio.gather(*running, return_exceptions=True)
            assert isinstance(results[1], asyncio.CancelledError)
            return first, second

    first, second = asyncio.run(live())
    assert End.RUNNER_LOST == yard.node.cloud.records.get(first).end
    assert SessionState.QUEUED is state_of(yard, second)


@pytest.mark.row("C4", "R2")
def test_of_a_zero_retention_session_nothing_is_kept(yard: Yard) -> None:
    """Who watches sees all of it; in the home there is neither task, output, change nor host."""
    watched: list[object] = []

    async def live() -> str:
        async with yard.open() as sessions:
            session = yard.request(sessions, zero=True, linger=20.0)
            watching = asyncio.create_task(_all(sessions.events(session, -1)))
            running = asyncio.create_task(sessions.run(session))
            await until(lambda: state_of(yard, session) is SessionState.WAITING)
            events, diff, connections = await sessions.held(session)
            assert (True, True, 1) == (bool(events), "apricot" in (diff or ""), len(connections))
            await sessions.stop(session)
            await running
            watched.extend(await watching)
            return session

    session = asyncio.run(live())
    assert "planted" in str(watched)
    assert [] == yard.node.cloud.holdings(session)
    yard.node.close()
    for file in yard.home.path.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert not [w for w in (b"apricot", b"planted", b"pypi.org") if w in content], file
    yard.reopened()


@pytest.mark.row("C4")
def test_what_is_kept_is_sealed_and_found_again(yard: Yard) -> None:
    """Task, events, patch, conversation and connections come back; no word of them lies open."""
    session = _finished(yard)
    store, now = yard.node.cloud, yard.clock()
    pieces = list(store.read(session, OUTPUT, now))
    assert TASK == pieces[0]["asked"]["task"]
    assert "planted" in str(pieces)
    records = [line for piece in pieces for line in piece.get("conversation", ())]
    assert ['{"type":"prompt","number":0}'] == records
    assert "apricot" in next(store.read(session, DIFF, now))["diff"]
    assert "pypi.org" == next(store.read(session, EGRESS, now))["connections"][0]["host"]
    yard.reopened()
    for file in yard.home.path.rglob("*"):
        if file.is_file():
            assert b"apricot" not in file.read_bytes(), file


async def _all(events: object) -> list[object]:
    return [event async for portion in events for event in portion]  # type: ignore[attr-defined]


def _finished(yard: Yard, end: End = End.FINISHED) -> str:
    async def live() -> str:
        async with yard.open() as sessions:
            session = yard.request(sessions)
            assert end == await sessions.run(session)
            return session

    return asyncio.run(live())
