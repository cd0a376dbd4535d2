"""A log has its checkpoints cosigned: by real witnesses, in this process, some of which fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bailee.errors import InputError, UpstreamError
from bailee.ledger import Cosigning
from bailee.ledger.folder import CHECKPOINT, WITNESSED
from bailee.ledger.proving import prove
from bailee.ledger.tlog import notes, trust
from bailee.ledger.tlog.witnessing import WitnessAnswer
from bailee.ledger.verifying import Check
from bailee.ledger.witness import Witness
from bailee.testing import FakeTicks
from support.homes.logged import Logged

AT = 1_800_000_000
pytestmark = pytest.mark.row("P4")


class Town:
    """A log, two witnesses that know it, and a policy that asks for both."""

    def __init__(self, folder: Path, closing: ExitStack) -> None:
        self.log = Logged(folder)
        self.ticks = FakeTicks()
        self.away: set[str] = set()
        self.asked: list[str] = []
        self.at = AT
        self.witnesses: dict[str, Witness] = {}
        lines = ""
        for name in ("east", "west"):
            at = folder / name
            at.mkdir()
            known = "".join(f"log {one.key.text}\n" for one in self.log.signers)
            (at / "known-logs").write_text(f"{known}quorum none\n")
            made = closing.enter_context(Witness(at, f"{name}.example"))
            url = f"https://{name}.example"
            self.witnesses[f"{url}/add-checkpoint"] = made
            for key, kind in zip(made.keys, ("ed", "pq"), strict=True):
                lines += f"witness {name}-{kind} {key.text} {url}\n"
            lines += f"group {name} any {name}-ed {name}-pq\n"
        self.policy = trust.read(f"{lines}group both all east west\nquorum both\n".encode())
        self.cosigning = self.reopened()

    def reopened(self) -> Cosigning:
        """As a new process would have it."""
        return Cosigning(self.log.sequencer, self.policy, self.ask, ticking=self.ticks)

    def ask(self, url: str, body: bytes) -> WitnessAnswer:
        """What a witness answers, if it is there."""
        self.asked.append(url.removeprefix("https://").partition(".")[0])
        if self.asked[-1] in self.away:
            raise UpstreamError("nobody is there.", code="upstream_unreachable")
        return self.witnesses[url].answer(body, self.at)

    def grow(self, count: int) -> bool:
        """The log grows, and is cosigned if it can be."""
        self.log.append(count)
        self.log.sequencer.run()
        return self.cosigning.run()

    def signed_by(self, name: str) -> set[str]:
        """Which witnesses have cosigned what lies in a file."""
        note = notes.read(self.log.folder.read(name) or b"")
        found = note.verified(self.policy.witnesses.values())
        return {key.name.partition(".")[0] for key in found}

    def check(self) -> tuple[int | None, int | None, list[str]]:
        """Size, how much of it a quorum cosigned, and what is damaged, by policy."""
        found = Check(self.log.folder, self.cosigning.trust).run()
        return found.size, found.witnessed, [one.where for one in found.damaged]


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """Everybody is there."""
    with ExitStack() as closing:
        yield Town(tmp_path, closing)


def test_who_cosigned_stands_in_the_published_checkpoint(town: Town) -> None:
    """From the first on, in both kinds, as the log grows; who has cosigned is not asked again."""
    for count, size in ((3, 3), (300, 303), (0, 303)):
        assert town.grow(count)
        assert {"east", "west"} == town.signed_by(CHECKPOINT) == town.signed_by(WITNESSED)
        assert (size, size, []) == town.check()
    assert 4 == len(town.asked)
    standing, quorum = town.cosigning.standing()
    assert (4, True) == (len(standing), quorum)
    assert all(one.cosigned is not None and one.problem is None for one in standing)


def test_a_witness_that_is_away_is_named_and_asked_again_later(town: Town) -> None:
    """Meanwhile the log grows; the quorum is missing since then, until it is back."""
    town.away = {"west"}
    assert not town.grow(5)
    assert {"east"} == town.signed_by(CHECKPOINT)
    assert (5, None, [CHECKPOINT]) == town.check()
    problems = {one.name: one.problem for one in town.cosigning.standing()[0]}
    assert {None, "nobody is there."} == set(problems.values())

    town.asked.clear()
    town.ticks.seconds += 29
    assert not town.grow(5)
    assert (["east"], 29) == (town.asked, town.cosigning.unwitnessed())
    town.ticks.seconds += 2
    assert not town.grow(0)
    assert ["east", "west"] == town.asked  # its pause is twice as long from now on
    town.away = set()
    town.ticks.seconds += 31
    assert not town.cosigning.run()
    assert town.cosigning.run(all_now=True)
    assert (10, 10, []) == town.check()
    assert 0 == town.cosigning.unwitnessed()


def test_what_a_quorum_saw_is_proved_while_it_is_away(town: Town) -> None:
    """An entry of then is proved under the checkpoint of then, however far the log has grown; one
    that no quorum has seen is not proved to anybody.
    """
    assert town.grow(200)
    town.away = {"east", "west"}
    for count in (30, 70, 500):
        assert not town.grow(count)
    assert (800, 200, []) == town.check()
    first, *_, last = (entry.number for entry in town.log.ledger.entries())

    made, _ = prove(town.log.engine, town.log.folder, town.cosigning.trust, first)
    assert b"\n200\n" in made.checkpoint.data
    with pytest.raises(InputError) as refused:
        prove(town.log.engine, town.log.folder, town.cosigning.trust, last)
    assert "not_found" == refused.value.code
    assert prove(town.log.engine, town.log.folder, town.log.trust, last)


def test_a_new_process_learns_from_witnesses_what_they_have_seen(town: Town) -> None:
    """It knows of no size; each witness says its own, and is shown that the log grew from there."""
    assert town.grow(7)
    town.away = {"west"}
    assert not town.grow(7)
    town.away = set()
    town.log.append(7)
    town.log.sequencer.run()
    assert town.reopened().run()
    assert (21, 21, []) == town.check()


def test_an_older_home_is_found_out_by_its_witnesses(town: Town, tmp_path: Path) -> None:
    """A home that was put back as it was before, log and all, gets no signature, and hears why."""
    assert town.grow(5)
    (tmp_path / "again").mkdir()
    older = Logged(tmp_path / "again")
    older.append(4)
    older.sequencer.run()
    again = Cosigning(older.sequencer, town.policy, town.ask, ticking=town.ticks)
    assert not again.run()
    assert all(
        "cosigned 5 leaves, and there are 4" in str(one.problem) for one in again.standing()[0]
    )
    older.append(4)
    older.sequencer.run()
    assert not again.run(all_now=True)
    assert all("status 422" in str(one.problem) for one in again.standing()[0])
    assert older.folder.read(WITNESSED) is None


@pytest.mark.parametrize("status", [200, 403, 409, 500])
def test_rubbish_is_no_cosignature(town: Town, status: int) -> None:
    """Whatever somebody answers in a witness's place: nothing of it gets into the checkpoint."""
    size = "text/x.tlog.size"
    for body in (
        b"",
        b"x\n",
        b"99999999999999999999\n",
        town.log.signers[0].sign("x\n", 0).line.encode(),
    ):
        cosigning = Cosigning(
            town.log.sequencer,
            town.policy,
            lambda *_asked, body=body: WitnessAnswer(status, body, size),
        )
        town.log.append(1)
        town.log.sequencer.run()
        before = town.log.folder.read(CHECKPOINT)
        assert not cosigning.run()
        assert before == town.log.folder.read(CHECKPOINT)
        assert all(one.problem for one in cosigning.standing()[0])


def test_a_witness_can_say_any_time(town: Town) -> None:
    """One that says a moment that no calendar has is shown all the same."""
    town.at = (1 << 63) - 1
    assert town.grow(1)
    assert all(one.cosigned is not None for one in town.cosigning.standing()[0])


def test_a_changed_file_of_the_quorum_is_named(town: Town) -> None:
    """The checkpoint that was cosigned is a file of the log like the others."""
    assert town.grow(9)
    town.away = {"east", "west"}
    town.grow(9)
    path = town.log.folder.path / WITNESSED
    good = path.read_bytes()
    path.write_bytes(good.replace(b"\n9\n", b"\n8\n"))
    assert (18, None, [WITNESSED]) == town.check()
    path.unlink()
    assert (18, None, [CHECKPOINT]) == town.check()
    assert [] == Check(town.log.folder, town.log.trust).run().damaged


def test_a_home_without_witnesses_asks_nobody(town: Town) -> None:
    """It has all that it asks for."""
    alone = Cosigning(town.log.sequencer)
    town.log.append(1)
    town.log.sequencer.run()
    assert (False, True, 0.0) == (alone.asks, alone.run(), alone.unwitnessed())
    assert ([], True) == alone.standing()
