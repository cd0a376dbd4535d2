"""Other agents' files on a real disk: nothing through a link, nothing changed since."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bailee.client import foreign

NOW = datetime.now(UTC)
OLD = (NOW - timedelta(days=40)).isoformat()
NEW = (NOW - timedelta(days=1)).isoformat()


def write(path: Path, *times: str) -> Path:
    """A JSON Lines file with a record for each time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"timestamp": at, "text": "quince"}) + "\n" for at in times))
    return path


def planned(agent: str, home: Path, days: int = 30) -> foreign.CleaningPlan:
    """The plan for an agent's files under a home."""
    return foreign.plan(agent, foreign.groups(agent, home, home / "orchard", {}), days, NOW)


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

    assert datetime.fromisoformat(NEW) + timedelta(days=30) == planned("claude", tmp_path).soonest
    nobody = planned("claude", tmp_path / "nobody")
    assert ((), None) == (nobody.past, nobody.soonest)
