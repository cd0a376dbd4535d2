"""Other agents' files on a real disk: nothing through a link, nothing changed since."""

from __future__ import annotations

import errno
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bailee.client import foreign
from bailee.client.cleaning_plan import CleaningPlan
from bailee.client.foreign_places import groups
from bailee.client.lifetimes import Lifetimes

NOW = datetime.now(UTC)
OLD = (NOW - timedelta(days=40)).isoformat()
NEW = (NOW - timedelta(days=1)).isoformat()


def write(path: Path, *times: str) -> Path:
    """A JSON Lines file with a record for each time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"timestamp": at, "text": "quince"}) + "\n" for at in times))
    return path


def planned(agent: str, home: Path, days: int = 30) -> CleaningPlan:
    """The plan for an agent's files under a home."""
    where = groups(agent, home, home / "orchard", {"TMPDIR": str(home / "tmp")})
    return foreign.plan(agent, where, Lifetimes(days), NOW)


def test_no_link_is_followed(tmp_path: Path) -> None:
    """A link in an agent's folder leads to nothing that is deleted, and stays itself."""
    home = tmp_path / "ann"
    outside = write(tmp_path / "outside/x/11.jsonl", OLD)
    secret = write(tmp_path / "outside/history.jsonl", OLD)
    (home / ".claude/projects").mkdir(parents=True)
    (home / ".claude/projects/linked").symlink_to(outside.parent)
    (home / ".claude/projects/real").mkdir()
    (home / ".claude/projects/real/22.jsonl").symlink_to(outside)
    (home / ".claude/history.jsonl").symlink_to(secret)

    assert () == planned("claude", home).past
    assert (True, True) == (outside.exists(), secret.exists())


def test_what_has_changed_since_is_left(tmp_path: Path) -> None:
    """An agent that goes on writing between plan and deed loses nothing."""
    transcript = write(tmp_path / ".claude/projects/p/11.jsonl", OLD)
    history = write(tmp_path / ".claude/history.jsonl", OLD, NEW)
    made = planned("claude", tmp_path)
    assert 2 == len(made.past)
    for path in (transcript, history):
        with path.open("a") as file:
            file.write(json.dumps({"timestamp": NEW}) + "\n")

    assert [] == foreign.carry_out(made)
    assert 2 == len(transcript.read_text().splitlines())
    assert 3 == len(history.read_text().splitlines())


def test_a_history_keeps_its_mode_and_the_rest(tmp_path: Path) -> None:
    """Rewritten whole, as private as it was."""
    history = write(tmp_path / ".codex/history.jsonl", OLD, NEW, OLD)
    history.chmod(0o640)
    (done,) = foreign.carry_out(planned("codex", tmp_path))

    assert (2, 0o640) == (done.records, history.stat().st_mode & 0o777)
    assert [NEW] == [json.loads(line)["timestamp"] for line in history.read_text().splitlines()]


@pytest.mark.parametrize(
    ("agent", "place"),
    [
        ("claude", ".claude/projects/p/11.jsonl"),
        ("codex", ".codex/sessions/2026/01/02/rollout-x.jsonl"),
        ("gemini", ".gemini/tmp/abc/chats/session-1.jsonl"),
        ("gemini", ".gemini/tmp/abc/chats/session-1.json"),
    ],
)
def test_each_agents_transcripts_go_by_record_time(tmp_path: Path, agent: str, place: str) -> None:
    """A fresh file with old records goes; an old file with fresh records stays."""
    gone = write(tmp_path / place, OLD)
    stays = write((tmp_path / place).with_stem(gone.stem + "2"), OLD, NEW)
    os.utime(stays, (0, 0))

    assert [gone] == [one.path for one in foreign.carry_out(planned(agent, tmp_path))]
    assert (False, True) == (gone.exists(), stays.exists())


def test_files_beside_a_kept_session_stay_however_old(tmp_path: Path) -> None:
    """Copies of code belong to their session: they go with it and not before."""
    write(tmp_path / ".claude/projects/p/11.jsonl", NEW)
    copies = write(tmp_path / ".claude/file-history/11/f@v1", OLD)
    orphan = write(tmp_path / ".claude/file-history/99/f@v1", OLD)
    for path in (copies, copies.parent, orphan, orphan.parent):
        os.utime(path, (0, 0))

    assert [orphan.parent] == [one.path for one in foreign.carry_out(planned("claude", tmp_path))]
    assert copies.exists()


def test_it_says_when_the_next_thing_is_due(tmp_path: Path) -> None:
    """The oldest of what stays, and the days."""
    write(tmp_path / ".claude/projects/p/11.jsonl", NEW)

    made = planned("claude", tmp_path)
    assert [datetime.fromisoformat(NEW) + timedelta(days=30)] == [due.at for due in made.coming]
    assert ["11"] == [one.session for one in made.sessions]
    nobody = planned("claude", tmp_path / "nobody")
    assert ((), ()) == (nobody.past, nobody.coming)


def touched(path: Path, days: float = 40) -> Path:
    """A file or folder, with all above it that is the agent's, so many days old by its times."""
    at = (NOW - timedelta(days=days)).timestamp()
    for one in (*path.rglob("*"), path):
        os.utime(one, (at, at))
    return path


@pytest.mark.row("R3")
def test_what_has_no_transcript_goes_by_its_files(tmp_path: Path) -> None:
    """Claude Code's session folders whose transcript is gone, its commands' output in the folder
    for temporary files, images, plans, uploads, usage; Gemini CLI's error reports. What a person
    has it remember stays, and so does a folder in which one file is fresh.
    """
    claude, temporary = tmp_path / ".claude", tmp_path / "tmp"
    gone = [
        write(claude / "projects/p/1234-a/subagents/agent-1.jsonl", OLD).parents[1],
        write(temporary / "claude-1000/p/1234-a/tasks/b1.output", OLD).parents[1],
        write(claude / "image-cache/1234-a/1.png", OLD).parent,
        write(claude / "plans/calm-pear.md", OLD),
        write(claude / "uploads/1234-a/x.txt", OLD).parent,
        write(claude / "usage-data/facets/1234-a.json", OLD).parent,
    ]
    stays = [
        write(claude / "projects/p/memory/MEMORY.md", OLD),
        write(claude / "projects/p/5678-b/tool-results/x.txt", OLD),
        write(claude / "settings.json", OLD),
    ]
    report = write(temporary / "gemini-client-error-Turn.run-2026.json", OLD)
    for path in (claude, temporary):
        touched(path)
    touched(write(stays[1].with_name("y.txt"), NEW), 1)

    assert set(gone) == {one.path for one in foreign.carry_out(planned("claude", tmp_path))}
    assert [report] == [one.path for one in foreign.carry_out(planned("gemini", tmp_path))]
    assert [True] * 3 == [path.exists() for path in stays]


def test_a_running_session_stays_whatever_its_days(tmp_path: Path) -> None:
    """With 0 days the end of one session deletes nothing of another that runs beside it."""
    running = write(tmp_path / ".claude/projects/p/1234-a.jsonl", NEW)
    write(tmp_path / ".claude/projects/p/5678-b.jsonl", NEW)
    snapshot = write(tmp_path / ".claude/shell-snapshots/snapshot-1.sh", NEW)
    note = tmp_path / ".claude/sessions/1.json"
    note.parent.mkdir()
    since = (NOW - timedelta(hours=1)).timestamp() * 1000
    process = {"pid": os.getpid(), "sessionId": "1234-a", "startedAt": since}
    note.write_text(json.dumps(process))

    gone = {one.path.name for one in foreign.carry_out(planned("claude", tmp_path, days=0))}
    assert ({"5678-b.jsonl"}, True) == (gone, running.exists() and snapshot.exists())

    note.write_text(json.dumps(process | {"pid": 2**22 + 1}))
    foreign.carry_out(planned("claude", tmp_path, days=0))
    assert not running.exists()


@pytest.mark.row("R3", "S6")
@pytest.mark.parametrize("agent", ["claude", "codex", "gemini"])
def test_a_projects_days_hold_for_what_was_done_there_alone(tmp_path: Path, agent: str) -> None:
    """Transcripts and the records of a history, by the folder that each names."""
    mine, cloned = tmp_path / "mine", tmp_path / "cloned"

    def session(folder: Path, name: str) -> Path:
        if agent == "gemini":
            path = tmp_path / f".gemini/tmp/{folder.name}/chats/{name}.jsonl"
            path.parent.mkdir(parents=True)
            (path.parents[1] / ".project_root").write_text(f"{folder}\n")
        elif agent == "codex":
            path = tmp_path / f".codex/sessions/2026/01/02/rollout-{name}.jsonl"
        else:
            path = tmp_path / f".claude/projects/{folder.name}/{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        cwd = {} if agent == "gemini" else {"cwd": f"{folder}/sub"}
        path.write_text(json.dumps({"timestamp": NEW, "payload": cwd, **cwd}) + "\n")
        return path

    stays, gone = session(mine, "1"), session(cloned, "2")
    history = tmp_path / ".claude/history.jsonl"
    history.parent.mkdir(exist_ok=True)
    history.write_text(
        "".join(
            json.dumps({"timestamp": NEW, "project": str(one), "display": one.name}) + "\n"
            for one in (mine, cloned, mine)
        )
    )
    lifetimes = Lifetimes(30, lambda folder: (0, "c") if folder.startswith(str(cloned)) else None)
    where = groups(agent, tmp_path, mine, {"TMPDIR": str(tmp_path / "tmp")})
    foreign.carry_out(foreign.plan(agent, where, lifetimes, NOW))

    assert (True, False) == (stays.exists(), gone.exists())
    if agent == "claude":
        left = [json.loads(line)["display"] for line in history.read_text().splitlines()]
        assert ["mine", "mine"] == left


@pytest.mark.row("O7")
def test_what_its_person_keeps_stays_until_the_day(tmp_path: Path) -> None:
    """With what lies beside it; then it goes."""
    kept = write(tmp_path / ".claude/projects/p/1234-a.jsonl", OLD)
    beside = write(tmp_path / ".claude/file-history/1234-a/f@v1", OLD)
    other = write(tmp_path / ".claude/projects/p/5678-b.jsonl", OLD)
    touched(tmp_path / ".claude")
    where = groups("claude", tmp_path, tmp_path, {"TMPDIR": str(tmp_path / "tmp")})

    def cleaned(until: datetime) -> set[Path]:
        keeping = {"1234-a": until}
        done = foreign.carry_out(foreign.plan("claude", where, Lifetimes(30), NOW, keeping))
        return {one.path for one in done}

    assert {other} == cleaned(NOW + timedelta(days=1))
    assert {kept, beside.parent} == cleaned(NOW)


def test_in_a_folder_that_others_use_only_what_is_ones_own_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else's report in /tmp is theirs."""
    touched(write(tmp_path / "tmp/gemini-client-error-1.json", OLD))
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)

    assert () == planned("gemini", tmp_path).past


def test_a_file_dated_ahead_goes_its_days_after_that_was_seen(tmp_path: Path) -> None:
    """All of its times lie ahead: it is set to now, and goes from there."""
    path = write(tmp_path / ".claude/projects/p/1.jsonl", NEW)
    where = groups("claude", tmp_path, tmp_path, {"TMPDIR": str(tmp_path / "tmp")})

    def cleaned(now: datetime) -> list[Path]:
        done = foreign.carry_out(foreign.plan("claude", where, Lifetimes(30), now))
        return [one.path for one in done]

    before = NOW - timedelta(days=1000)  # what was written by a clock that was far ahead of this
    assert [] == cleaned(before)
    assert [] == cleaned(before + timedelta(days=29))
    assert [path] == cleaned(before + timedelta(days=31))


def test_what_a_killed_cut_left_behind_goes_too(tmp_path: Path) -> None:
    """A history is written anew beside itself; a process that died there leaves what stayed."""
    left = write(tmp_path / ".claude/.history.jsonl.0a1b2c3d", NEW)
    write(tmp_path / ".claude/history.jsonl", NEW)

    assert () == planned("claude", tmp_path).past
    touched(left)
    assert [left] == [one.path for one in foreign.carry_out(planned("claude", tmp_path))]


def test_what_can_not_be_deleted_stops_nothing_else(tmp_path: Path) -> None:
    """It is named, with why, whether it can't be read or not be taken away; the rest goes."""
    project = tmp_path / ".claude" / "projects" / "o"
    project.mkdir(parents=True)
    old = {"timestamp": OLD}
    for name in ("1", "2", "3"):
        (project / f"{name}.jsonl").write_text(json.dumps(old) + "\n")
        os.utime(project / f"{name}.jsonl", (1, 1))
    read, unlink = Path.read_bytes, Path.unlink

    def refused(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    with pytest.MonkeyPatch.context() as patch:  # root may read and delete everything
        patch.setattr(Path, "read_bytes", lambda p: refused(p) if p.stem == "1" else read(p))
        patch.setattr(Path, "unlink", lambda p, **k: refused(p) if p.stem == "2" else unlink(p))
        made = planned("claude", tmp_path)
        failed = list(made.unread)
        done = foreign.carry_out(made, failed)

    assert [project / "3.jsonl"] == [one.path for one in done]
    assert (project / "1.jsonl").exists()
    assert [("1.jsonl", "Permission denied"), ("2.jsonl", "Permission denied")] == [
        (one.path.name, one.why) for one in failed
    ]
