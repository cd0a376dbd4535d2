"""What is read of packs, beside what git itself says of the same commits."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest

from bailee.cloud.git.packs import PackReader
from support.servers.git_server import git, git_environment


def history(folder: Path, seed: int) -> list[str]:
    """A repository of forty commits, each with one to three parents among those before it."""
    chance = random.Random(seed)
    git("init", "--quiet", str(folder))
    made: list[str] = []
    for number in range(40):
        tree = git("write-tree", cwd=folder).strip()
        among = made[-8:]
        parents = chance.sample(among, min(len(among), chance.randint(1, 3))) if number else []
        given = [part for parent in parents for part in ("-p", parent)]
        message = f"{number} " + "the same words in each, so that commits become deltas " * 9
        made.append(git("commit-tree", tree, *given, "-m", message, cwd=folder).strip())
    return made


@pytest.mark.row("C2")
@pytest.mark.parametrize("seed", [1, 2])
def test_git_says_the_same(tmp_path: Path, seed: int) -> None:
    """Of the pack that git sends between two commits: the one adds to the other just when git says
    that it is its descendant. Some of the commits come as deltas.
    """
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    commits = history(tmp_path, seed)
    chance = random.Random(seed)
    answers = []
    for _ in range(40):
        old, new = chance.sample(commits, 2)
        packed = subprocess.run(
            ["git", "pack-objects", "--revs", "--stdout", "--thin", "--delta-base-offset", "-q"],
            input=f"{new}\n^{old}\n".encode(),
            cwd=tmp_path,
            env=git_environment(),
            capture_output=True,
            check=True,
        ).stdout
        reader = PackReader()
        for at in range(0, len(packed), 1000):
            reader.feed(packed[at : at + 1000])
        reader.end()
        told = subprocess.run(
            ["git", "merge-base", "--is-ancestor", old, new],
            cwd=tmp_path,
            env=git_environment(),
            check=False,
        )
        answers.append((reader.adds(old, new), told.returncode == 0))
    assert [told for _, told in answers] == [read for read, _ in answers]
    assert {True, False} == {told for _, told in answers}
