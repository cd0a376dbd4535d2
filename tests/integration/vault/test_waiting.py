"""Nobody waits for what somebody else has in the seal queue, and a start not for what is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from bailee.admission import Unsealed
from bailee.db.vault import spool_positions
from bailee.errors import StorageError
from bailee.vault import vault, workbench
from bailee.vault.exchange import CapturedExchange
from bailee.vault.interpreted import Interpreted
from bailee.vault.progress import Progress
from bailee.vault.recovery import WAITS, WARY, WARY_BYTES, RecoveryAttempt, RecoveryStep
from bailee.vault.sealing_queue import BACKLOG_BATCH, BATCH, BATCH_BYTES, Unfiled

Bench = Any

ADA = "11111111-32a5-4d0c-8f0b-0d7c3d1c1a11"
BOB = "22222222-32a5-4d0c-8f0b-0d7c3d1c1a11"
NEW = "33333333-32a5-4d0c-8f0b-0d7c3d1c1a11"
NOTHING = Unfiled(0, earlier=False)


class Gate:
    """Holds the sealer up at the exchanges of one owner until it is opened, or lets so many pass.
    `seen`: whose exchanges the sealer went into, in its order.
    """

    def __init__(self, bench: Bench, owner: str) -> None:
        self.open = threading.Event()
        self._let = threading.Semaphore(0)
        self.seen: list[str] = []
        inner = bench.vault._sealer._bench._interpret

        def interpret(exchange: CapturedExchange) -> Interpreted:
            if exchange.owner == owner:
                self._stand()
            self.seen.append(exchange.owner)
            found: Interpreted = inner(exchange)
            return found

        bench.vault._sealer._bench._interpret = interpret

    def let(self, count: int) -> None:
        """Let so many more pass, and none after them."""
        self._let.release(count)

    def _stand(self) -> None:
        until = time.monotonic() + 60
        while not self.open.is_set() and time.monotonic() < until:
            if self._let.acquire(timeout=0.01):
                return


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits, waits a moment only."""
    monkeypatch.setattr(vault, "_PATIENCE", 0.2)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits, waits for as long as it takes on a busy machine."""
    monkeypatch.setattr(vault, "_PATIENCE", 50.0)


@pytest.fixture
def gate(bench: Bench) -> Iterator[Gate]:
    """Ada has something filed; then the sealer stands still at an exchange of Bob."""
    bench.keep(bench.exchange([turn("one")], session=ADA))
    made = Gate(bench, "bob")
    bench.submit(bench.exchange([turn("b")], session=BOB, owner="bob"))
    yield made
    made.open.set()


def turn(text: str) -> dict[str, Any]:
    """A user's message."""
    return {"role": "user", "content": text}


def said(bench: Bench) -> list[str]:
    """What Ada's session holds."""
    return [x.messages[-1]["content"] for x in bench.vault.show(ADA).exchanges]


@pytest.mark.row("G2")
@pytest.mark.usefixtures("impatient")
def test_a_list_does_not_wait_for_others(bench: Bench, gate: Gate) -> None:
    """Who has nothing in the queue reads at once; who has is told that it is being filed."""
    assert NOTHING == bench.vault.settle("ada")
    assert ["one"] == said(bench)
    assert Unfiled(1, earlier=False) == bench.vault.settle("bob")

    bench.submit(bench.exchange([turn("one"), turn("two")], session=ADA))
    assert Unfiled(1, earlier=False) == bench.vault.settle("ada")
    assert Unfiled(2, earlier=False) == bench.vault.settle()
    gate.open.set()
    bench.vault.flush()
    assert NOTHING == bench.vault.unfiled()
    assert ["one", "two"] == said(bench)


def flood(bench: Bench, count: int) -> None:
    """So many exchanges of Bob, who has none filed before anybody waits."""
    bench.submit(*[bench.exchange([turn(f"{n}")], session=BOB, owner="bob") for n in range(count)])


@pytest.mark.row("G1", "G2")
def test_a_flood_delays_nobody_elses_filing(bench: Bench, gate: Gate) -> None:
    """Who waits for their own while another has hundreds before them has it with the next batch;
    the one that was taken before they waited may be large.
    """
    flood(bench, 600)
    bench.submit(bench.exchange([turn("one")], session=ADA))
    waiting = threading.Timer(0.2, gate.open.set)
    waiting.start()
    assert NOTHING == bench.vault.settle("ada")
    waiting.join()
    assert gate.seen.index("ada") <= BACKLOG_BATCH + BATCH
    assert ["one", "one"] == said(bench)
    bench.vault.flush()
    assert [601] == [row.exchanges for row in bench.vault.sessions(bench.clock(), "bob")]


@pytest.mark.row("G2", "R5")
@pytest.mark.usefixtures("patient")
def test_a_flood_delays_nobody_elses_deletion(bench: Bench, gate: Gate) -> None:
    """A deletion waits for the files that hold what its owner said, and for no others: the sealer
    gets through the one batch that may have some of these, and then stands still.
    """
    bench.vault.spool.roll()
    flood(bench, 600)
    letting = threading.Timer(0.2, gate.let, (BACKLOG_BATCH,))
    letting.start()
    receipt = bench.vault.delete(ADA, bench.clock())
    letting.join()
    assert receipt.key_destroyed_at is not None
    assert bench.vault.unfiled("bob").exchanges >= 601 - BACKLOG_BATCH


@pytest.mark.row("G2", "R5")
@pytest.mark.usefixtures("impatient")
def test_a_deletion_does_not_wait_and_claims_nothing(bench: Bench, gate: Gate) -> None:
    """While copies of it may wait in the spool a session is inaccessible; what is sealed later
    of it is dropped, and the sweep then destroys its key.
    """
    late = bench.exchange([turn("one"), turn("late")], session=ADA)
    bench.submit(late)
    receipt = bench.vault.delete(ADA, bench.clock())
    assert "inaccessible" == receipt.state
    assert [] == bench.vault.sessions(bench.clock(), "ada")

    gate.open.set()
    bench.vault.flush()  # however long it takes on a busy machine
    bench.vault.sweep(bench.clock())
    (receipt,) = bench.vault.receipts.all(ADA)
    assert receipt.key_destroyed_at is not None
    assert [] == bench.vault.sessions(bench.clock(), "ada")
    assert ("vault.unkept", {"exchanges": 1, "clause": "resume.deleted"}) in [
        (kind, body) for kind, _, body in bench.leaves
    ]


@pytest.mark.row("G2")
def test_nobody_waits_in_vain(bench: Bench, gate: Gate) -> None:
    """Where more is queued than is sealed in the time that one waits, one does not wait at all.
    Had anybody waited, the sealer would have been asked to hurry.
    """
    bench.submit(*[bench.exchange([turn(f"{n}")], session=ADA) for n in range(300)])
    assert Unfiled(301, earlier=False) == bench.vault.settle()
    assert "inaccessible" == bench.vault.delete(ADA, bench.clock()).state
    bench.vault.sweep(bench.clock())
    assert not bench.vault._sealer.queue._urgent


@pytest.mark.row("R5", "R6")
@pytest.mark.usefixtures("impatient")
def test_a_sweep_does_not_wait_and_claims_nothing(bench: Bench, gate: Gate) -> None:
    """While the sealer stands still it destroys what is due, and leaves a deletion whose copies may
    wait in the spool; what is said after the deletion does not hold it up.
    """
    bench.submit(bench.exchange([turn("one"), turn("late")], session=ADA))
    bench.vault.delete(ADA, bench.clock())
    bench.vault.sweep(bench.clock())
    (receipt,) = bench.vault.receipts.all(ADA)
    assert "inaccessible" == receipt.state

    gate.open.set()
    bench.vault.flush()
    again = Gate(bench, "bob")
    bench.submit(bench.exchange([turn("b")], session=BOB, owner="bob"))
    bench.vault.sweep(bench.clock())
    (receipt,) = bench.vault.receipts.all(ADA)
    assert receipt.key_destroyed_at is not None
    again.open.set()


@pytest.mark.row("R5")
@pytest.mark.usefixtures("impatient")
def test_what_comes_after_a_deletion_in_another_session_is_kept(bench: Bench, gate: Gate) -> None:
    """Who deletes a session and talks on in it has nothing more of it; a new one is kept."""
    bench.vault.delete(ADA, bench.clock())
    bench.submit(bench.exchange([turn("after")], session=ADA))
    bench.submit(bench.exchange([turn("new")], session=NEW))
    gate.open.set()
    bench.vault.flush()
    (row,) = bench.vault.sessions(bench.clock(), "ada")
    assert (NEW, 1) == (row.id, row.exchanges)


@pytest.mark.row("G2")
def test_a_start_does_not_wait_for_what_is_left(make: Callable[..., Bench]) -> None:
    """Recovery that is given no time says so and goes on; lists say that something is left, as soon
    as it is read whose.
    """
    bench = make()
    gate = Gate(bench, "ada")
    bench.submit(*[bench.exchange([turn(f"{n}")], session=ADA) for n in range(3)])
    end_at_once(bench, gate)

    bench.open()
    gate = Gate(bench, "ada")
    assert bench.vault.recover(0.1) is None
    while bench.vault.unfiled("ada").earlier:
        time.sleep(0.01)
    assert Unfiled(3, earlier=False) == bench.vault.unfiled("ada")
    assert (NOTHING, Unfiled(3, earlier=True)) == (
        bench.vault.unfiled("bob"),
        bench.vault.unfiled(),
    )
    unsealed = bench.vault.spool.unsealed("ada")
    assert (unsealed.all, 0) == (unsealed.own, unsealed.left)
    gate.open.set()
    report = bench.vault.recover()
    assert report is not None
    assert (1, 3) == (report.files, report.exchanges)
    assert NOTHING == bench.vault.unfiled("ada")
    assert Unsealed(0, 0) == bench.vault.spool.unsealed("ada")
    assert ["0", "1", "2"] == said(bench)


@pytest.mark.row("G1")
def test_what_one_left_delays_nobody_elses(make: Callable[..., Bench]) -> None:
    """Killed with hundreds of Bob's in the spool: what Ada says after the start is filed behind a
    few of them, and behind what she said before.
    """
    bench = make()
    gate = Gate(bench, "bob")
    flood(bench, 6 * BATCH)
    bench.submit(bench.exchange([turn("before")], session=ADA))
    end_at_once(bench, gate)

    bench.open()
    gate = Gate(bench, "bob")
    assert bench.vault.recover(0.1) is None
    left = bench.vault.unfiled().exchanges
    bench.submit(bench.exchange([turn("before"), turn("since")], session=ADA))
    gate.open.set()
    bench.vault._sealer.queue.wait(owner="ada")
    assert ["before", "since"] == said(bench)
    since = gate.seen.index("ada", gate.seen.index("ada") + 1)
    assert since <= 2 * BATCH
    report = bench.vault.recover()
    assert report is not None
    assert left == report.exchanges > 2 * BATCH
    shown = [x.messages[-1]["content"] for x in bench.vault.show(BOB).exchanges]
    assert [f"{n}" for n in range(6 * BATCH)] == shown


@pytest.mark.row("O6")
def test_what_is_left_in_both_lanes_is_filed_in_the_order_in_which_it_ended(
    make: Callable[..., Bench],
) -> None:
    """Large exchanges have files of their own; what came after one in its session is filed after
    it, as if nobody had been killed. Each owner's for themselves.
    """
    bench = make()
    gate = Gate(bench, "ada")
    large = "x" * (2 << 20)
    for n, size in enumerate(["", large, "", "", large, ""]):
        for owner, session in (("ada", ADA), ("bob", BOB)):
            bench.submit(bench.exchange([turn(f"{n}{size}")], session=session, owner=owner))
        bench.clock.advance(timedelta(seconds=1))
    end_at_once(bench, gate)

    bench.open()
    bench.vault.recover()

    for session in (ADA, BOB):
        shown = bench.vault.show(session).exchanges
        assert ["0", "1", "2", "3", "4", "5"] == [x.messages[-1]["content"][0] for x in shown]


def end_at_once(bench: Bench, gate: Gate) -> None:
    """End as a process does that is killed: what is in the spool stays there."""
    bench.vault.spool.close()
    bench.vault._sealer.queue.stop()
    gate.open.set()
    bench.close()


@pytest.mark.row("R5", "D4")
@pytest.mark.parametrize("session", [ADA, "by a name of its client's"])
def test_a_turn_before_the_end_keeps_its_session(make: Callable[..., Bench], session: str) -> None:
    """Killed after a turn was acknowledged, and started again when its session's time, as it was
    known to the index, is past: the sweep waits for the turn, which has moved the end. Meanwhile
    the session is not shown, and a server may say that it is ready.
    """
    bench = make()
    bench.keep(bench.exchange([turn("one")], session=session))
    bench.clock.advance(timedelta(days=29))
    gate = Gate(bench, "ada")
    bench.submit(bench.exchange([turn("one"), turn("two")], session=session))
    end_at_once(bench, gate)
    bench.clock.advance(timedelta(days=2))

    bench.open()
    gate = Gate(bench, "ada")
    assert bench.vault.recover(0.1) is None
    done = bench.vault.sweep(bench.clock())
    assert (True, 0, 0) == (done.waits, done.keks, done.sessions)
    assert [] == bench.vault.sessions(bench.clock())
    gate.open.set()
    bench.vault.recover()

    assert not bench.vault.sweep(bench.clock()).waits
    (row,) = bench.vault.sessions(bench.clock())
    assert 2 == row.exchanges
    assert [1, 2] == [len(x.messages) for x in bench.vault.show(row.id).exchanges]


@pytest.mark.row("R5")
def test_what_is_due_does_not_wait_for_ever(make: Callable[..., Bench]) -> None:
    """Past the bound keys go, whatever is left; what then comes of it begins anew, with a turn that
    was before the old end and is not lost.
    """
    seconds = [0.0]
    bench = make(ticking=lambda: seconds[0])
    bench.keep(bench.exchange([turn("one")], session=ADA))
    bench.clock.advance(timedelta(days=29))
    gate = Gate(bench, "ada")
    bench.submit(bench.exchange([turn("one"), turn("two")], session=ADA))
    end_at_once(bench, gate)
    bench.clock.advance(timedelta(days=2))
    bench.open()
    gate = Gate(bench, "ada")
    assert bench.vault.recover(0.1) is None

    seconds[0] = WAITS - 1
    assert bench.vault.sweep(bench.clock()).waits
    seconds[0] = WAITS
    done = bench.vault.sweep(bench.clock())
    assert (False, 1, 1) == (done.waits, done.keks, done.sessions)
    gate.open.set()
    bench.vault.recover()
    (row,) = bench.vault.sessions(bench.clock())
    assert (1, True) == (row.exchanges, row.id != ADA)


@pytest.mark.row("R5")
def test_what_came_after_the_end_begins_anew(bench: Bench) -> None:
    """A session past its time is not continued, swept or not."""
    bench.keep(bench.exchange([turn("one")], session=ADA))
    bench.clock.advance(timedelta(days=30, seconds=1))
    bench.keep(bench.exchange([turn("one"), turn("two")], session=ADA))
    (row,) = bench.vault.sessions(bench.clock())
    assert (1, True) == (row.exchanges, row.id != ADA)


@pytest.mark.row("G1", "D4")
def test_what_is_sealed_out_of_turn_is_sealed_once(make: Callable[..., Bench]) -> None:
    """A process ends when of a file some is in the index that comes behind what is not: the next
    one files the rest, each once, and in its owner's order.
    """
    bench = make()
    gate = Gate(bench, "bob")
    bench.submit(bench.exchange([turn("b")], session=BOB, owner="bob"))
    flood(bench, 200)
    bench.submit(*[bench.exchange([turn(f"{n}")], session=ADA) for n in range(9)])
    queue, done = bench.vault._sealer.queue, []
    inner = queue.done

    def ending() -> None:
        inner()
        done.append(queue.unfiled().exchanges)
        if not queue.unfiled("ada"):
            queue.stop()  # as if the process had ended

    queue.done = ending
    gate.open.set()
    bench.vault._sealer.thread.join(60)
    bench.close()

    left = list((bench.path / "vault" / "spool").iterdir())
    bench.open()
    with bench.engine.connect() as connection:
        ((start, ahead),) = connection.execute(
            select(spool_positions.c.next, spool_positions.c.ahead)
        )
    assert (True, 210 - done[-1]) == (start < 201, Progress.stored(start, ahead).count)
    report = bench.vault.recover()
    assert report is not None
    assert (1, done[-1], ()) == (report.files, report.exchanges, report.damaged)
    assert [str(n) for n in range(9)] == said(bench)
    shown = [x.messages[-1]["content"] for x in bench.vault.show(BOB).exchanges]
    assert ["b", *map(str, range(200))] == shown
    assert [False] == [path.exists() for path in left]


@pytest.mark.row("R5")
def test_a_sweep_that_waits_ends_when_the_end_is_near(bench: Bench, gate: Gate) -> None:
    """It says that the next one goes on; what waits is sealed all the same."""
    said_so = []

    def sweep() -> None:
        with pytest.raises(StorageError, match="being closed"):
            bench.vault.sweep(bench.clock())
        said_so.append(True)

    sweeping = threading.Thread(target=sweep)
    sweeping.start()
    bench.vault.hurry()
    sweeping.join(30)
    assert [True] == said_so
    assert Unfiled(1, earlier=False) == bench.vault.unfiled("bob")
    gate.open.set()
    assert NOTHING == bench.vault.settle()


@pytest.mark.parametrize("cost", [{"values": 300_000}, {"size": 10 << 20}])
def test_what_is_sealed_together_is_bounded(
    make: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, cost: dict[str, int]
) -> None:
    """Exchanges with many values, or that unfold to much, are committed alone."""
    bench = make()
    inner = bench.vault._sealer._bench._interpret

    def interpret(exchange: CapturedExchange) -> Interpreted:
        found = inner(exchange)
        return replace(found, **cost)  # type: ignore[arg-type]

    monkeypatch.setattr(bench.vault._sealer._bench, "_interpret", interpret)
    sealed = []
    seal = bench.vault._sealer._seal_batch
    monkeypatch.setattr(
        bench.vault._sealer,
        "_seal_batch",
        lambda frames, items: (sealed.append(len(items)), seal(frames, items)),
    )
    bench.submit(*[bench.exchange([turn(f"{n}")], session=ADA) for n in range(5)])
    bench.vault.flush()
    assert [1] * 5 == sealed
    assert 5 == len(bench.vault.show(ADA).exchanges)


def test_a_session_that_is_not_held_in_memory_is_continued(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what an exchange refers to is looked up, and what is stored is as small as before."""
    history = [turn(f"{n} " * 300) for n in range(20)]
    bench.keep(bench.exchange(history, session=ADA, system=[{"text": "s" * 500}]))
    monkeypatch.setattr(workbench, "_KNOWN_PLACES", 0)
    before = bench.vault.sessions(bench.clock())[0].bytes
    for n in range(3):
        history.append(turn(f"more {n}"))
        bench.keep(bench.exchange(history, session=ADA, system=[{"text": "s" * 500}]))
    after = bench.vault.sessions(bench.clock())[0].bytes
    assert after - before < 3 * 600
    assert history == bench.vault.show(ADA).exchanges[-1].messages


def test_how_a_frame_is_tried(bench: Bench, tmp_path: Any) -> None:
    """Taken apart; where three processes ended at that as bytes; where three did at that, too, not
    at all. At a large one a single end is enough.
    """
    (kept,) = bench.vault.spool._writer.write([bench.exchange([turn("x")])])
    other = bench.vault.spool._writer.write([bench.exchange([turn("y")])])[0]
    path = tmp_path / "attempting"
    for frame, often in ((kept, 3), (replace(kept, length=2 << 20), 1)):
        for step in (RecoveryStep.WHOLE, RecoveryStep.RAW):
            for _ in range(often):
                assert (step, RecoveryStep.WHOLE) == (
                    RecoveryAttempt(path).step(frame),
                    RecoveryAttempt(path).step(other),
                )
                RecoveryAttempt(path).begin(frame, step)
        assert RecoveryStep.ASIDE == RecoveryAttempt(path).step(frame)
        RecoveryAttempt(path).end()
        assert RecoveryStep.WHOLE == RecoveryAttempt(path).step(frame)


@pytest.mark.row("G1")
def test_bytes_that_are_not_sealed_are_counted(bench: Bench, gate: Gate) -> None:
    """By owner, as they lie on disk, until they are sealed."""
    bob = bench.vault.spool.unsealed("bob").own
    assert bob > 0
    assert (bob, 0) == (
        bench.vault.spool.unsealed("bob").all,
        bench.vault.spool.unsealed("ada").own,
    )
    large = bench.exchange([turn("x" * (2 << 20))], session=ADA)
    bench.submit(large)
    ada = bench.vault.spool.unsealed("ada")
    assert ada.own > 2 << 20
    assert bob + ada.own == ada.all
    gate.open.set()
    bench.vault.flush()
    assert Unsealed(0, 0) == bench.vault.spool.unsealed("ada")


def test_each_owner_and_lane_is_begun_warily(bench: Bench) -> None:
    """The process before may have ended at any of the first few that are left of an owner's, in
    either lane.
    """
    (small,) = bench.vault.spool._writer.write([bench.exchange([turn("x")])])
    large, other = replace(small, file="2-000001-cd-large"), replace(small, owner="bob")
    recovery = bench.vault._recovery
    assert [True] * WARY + [False] == [recovery.wary(small) for _ in range(WARY + 1)]
    assert (True, True) == (recovery.wary(large), recovery.wary(other))
    other = replace(large, owner="bob", length=BATCH_BYTES // 2)
    assert [True, True, False] == [recovery.wary(other) for _ in range(3)]
    assert (BATCH, BATCH_BYTES) == (WARY, WARY_BYTES)


@pytest.mark.row("G1")
def test_what_costs_much_for_its_bytes_waits_behind_what_costs_little(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eve's few bytes take a processor as long as a million values do. What Ada says meanwhile is
    filed after a few of them, and not after as many of them as she says things.
    """
    sealer = bench.vault._sealer
    inner = sealer._bench._interpret
    order: list[str] = []
    begun = threading.Event()

    def interpret(exchange: CapturedExchange) -> Interpreted:
        order.append(exchange.owner)
        if exchange.owner == "eve":
            begun.set()
            end = time.thread_time() + 0.1
            while time.thread_time() < end:
                pass
        found: Interpreted = inner(exchange)
        return found

    monkeypatch.setattr(sealer._bench, "_interpret", interpret)
    for number in range(40):
        bench.submit(bench.exchange([turn(f"e{number}")], session=None, owner="eve"))
    assert begun.wait(60)
    for number in range(40):
        bench.submit(bench.exchange([turn(f"a{number}")], session=None))
    assert NOTHING == bench.vault.settle("ada")
    assert 40 == order.count("ada")
    assert order.count("eve") < 20
    bench.vault.settle("eve")
