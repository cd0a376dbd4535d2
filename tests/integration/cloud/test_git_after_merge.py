"""A session's branch that others merged, moved or took away upstream, with the real git."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bailee.cloud.git import GitLimits, GitOutcome, GitService
from support.servers.git_server import git

from .conftest import BRANCH, Setting

pytestmark = pytest.mark.row("C2")

NAME = BRANCH.removeprefix("refs/heads/")


def elsewhere(setting: Setting) -> Path:
    """Somebody else's clone, straight at the server's."""
    other = setting.folder / "other"
    if not other.exists():
        git("clone", "--quiet", str(setting.bare), str(other))
    git("fetch", "--quiet", "--prune", "origin", cwd=other)
    git("checkout", "--quiet", "-B", "main", "origin/main", cwd=other)
    return other


def note(folder: Path, name: str, count: int = 1) -> None:
    """Commits that change nothing of the session's files."""
    for number in range(count):
        (folder / name).write_text(f"{number}")
        git("add", ".", cwd=folder)
        git("commit", "--quiet", "--message", f"{name} {number}", cwd=folder)


def merged(setting: Setting, *how: str) -> None:
    """Others add to main, and merge the session's branch into it."""
    other = elsewhere(setting)
    note(other, "theirs")
    git("merge", "--quiet", "--no-edit", *how, f"origin/{NAME}", cwd=other)
    if "--squash" in how:
        git("commit", "--quiet", "--message", "squashed", cwd=other)
    note(other, "later", 3)
    git("push", "--quiet", "origin", "main", cwd=other)


def pulled(setting: Setting) -> None:
    """The session takes main into its branch."""
    got = setting.git("pull", "--no-rebase", "--no-edit", "origin", "main")
    assert got.status == 0, got.output


def deleted(setting: Setting) -> None:
    """The branch is merged, and deleted as code hosts do after a merge."""
    merged(setting)
    git("push", "--quiet", "origin", f":{NAME}", cwd=elsewhere(setting))
    pulled(setting)


def tagged(setting: Setting) -> None:
    """The branch is merged, main is tagged, and the session merges the tag."""
    merged(setting)
    other = elsewhere(setting)
    git("tag", "--annotate", "--message", "one", "v1", cwd=other)
    git("push", "--quiet", "origin", "v1", cwd=other)
    assert setting.git("fetch", "origin", "tag", "v1").status == 0
    git("merge", "--quiet", "--no-edit", "v1", cwd=setting.folder / "work")


def forwarded(setting: Setting) -> None:
    """Somebody adds to the session's branch; the session pulls it."""
    other = elsewhere(setting)
    git("checkout", "--quiet", "-B", "theirs", f"origin/{NAME}", cwd=other)
    note(other, "added")
    git("push", "--quiet", "origin", f"HEAD:{NAME}", cwd=other)
    assert setting.git("pull", "--ff-only", "origin", NAME).status == 0


def replaced(setting: Setting) -> None:
    """Somebody rebases the session's branch on main and forces it; the session takes that."""
    other = elsewhere(setting)
    note(other, "theirs")
    git("push", "--quiet", "origin", "main", cwd=other)
    git("checkout", "--quiet", "-B", "theirs", f"origin/{NAME}", cwd=other)
    git("rebase", "--quiet", "main", cwd=other)
    git("push", "--quiet", "--force", "origin", f"HEAD:{NAME}", cwd=other)
    assert setting.git("fetch", "origin", NAME).status == 0
    git("reset", "--quiet", "--hard", "FETCH_HEAD", cwd=setting.folder / "work")


def by_merge(setting: Setting) -> None:
    """Merged, and pulled."""
    merged(setting)
    pulled(setting)


def squashed(setting: Setting) -> None:
    """Merged as one commit, and pulled."""
    merged(setting, "--squash")
    pulled(setting)


def by_side_branch(setting: Setting) -> None:
    """Merged, pulled, and another branch of the server's merged besides."""
    by_merge(setting)
    other = elsewhere(setting)
    git("checkout", "--quiet", "-b", "side", "HEAD~4", cwd=other)
    note(other, "side", 2)
    git("push", "--quiet", "origin", "side", cwd=other)
    assert setting.git("pull", "--no-rebase", "--no-edit", "origin", "side").status == 0


@pytest.mark.parametrize(
    ("happened", "options"),
    [
        *((one, ()) for one in (by_merge, squashed, deleted, tagged, forwarded, replaced)),
        (by_merge, ("--depth=1",)),
        (by_side_branch, ("--depth=1",)),
    ],
)
def test_the_branch_can_be_pushed_on(
    setting: Setting, happened: Callable[[Setting], None], options: tuple[str, ...]
) -> None:
    """Whatever others did to the branch: once the session has it, it is pushed, as it is and on."""
    setting.clone(*options)
    setting.commit("one")
    assert setting.git("push", "origin", "HEAD").status == 0
    happened(setting)
    assert (got := setting.git("push", "origin", "HEAD")).status == 0, got.output
    tip = setting.commit("two")
    got = setting.git("push", "origin", "HEAD")
    assert (got.status, tip) == (0, setting.tip()), got.output


@pytest.mark.parametrize("filters", ["true", "false"])
def test_commits_alone_are_asked_for(setting: Setting, filters: str) -> None:
    """Where the server can leave contents out, what it says of the way back has none."""
    git("config", "uploadpack.allowFilter", filters, cwd=setting.bare)
    setting.clone()
    setting.commit("one")
    assert setting.git("push", "origin", "HEAD").status == 0
    merged(setting)
    other = elsewhere(setting)
    (other / "large").write_text("".join(f"{n * 7919}\n" for n in range(200_000)))
    note(other, "more")
    git("push", "--quiet", "origin", "main", cwd=other)
    pulled(setting)
    setting.commit("two")
    assert (got := setting.git("push", "origin", "HEAD")).status == 0, got.output
    setting.served.idle()
    push = [r for r in setting.records if r.ask is GitService.PUSH][-1]
    assert (push.received < 20_000) == (filters == "true")


def test_what_does_not_lead_back_is_refused_still(setting: Setting) -> None:
    """Main without the branch, an old commit, and commits that nobody has: none moves the branch,
    and what the server was asked meanwhile is bounded and counted.
    """
    work = setting.clone()
    setting.commit("one")
    tip = setting.commit("two")
    assert setting.git("push", "origin", "HEAD").status == 0
    note(elsewhere(setting), "theirs", 3)
    git("push", "--quiet", "origin", "main", cwd=setting.folder / "other")
    assert setting.git("fetch", "origin").status == 0
    for commit in ("origin/main", "HEAD~1", "origin/main~1"):
        got = setting.git("push", "--force", "origin", f"{commit}:{NAME}")
        assert "not seen to be a fast-forward" in got.output
    git("checkout", "--quiet", "--orphan", "apart", cwd=work)
    git("commit", "--quiet", "--message", "apart", cwd=work)
    assert "not seen to be" in setting.git("push", "--force", "origin", f"HEAD:{NAME}").output
    assert tip == setting.tip()
    setting.served.idle()
    refused = [r for r in setting.records if r.outcome is GitOutcome.REFUSED]
    assert {"not_forward"} == {r.rule for r in refused}


def test_an_answer_over_the_limit(setting: Setting) -> None:
    """A server that says too much of the way back is not listened to; the branch stays."""
    setting.clone()
    tip = setting.commit("one")
    assert setting.git("push", "origin", "HEAD").status == 0
    by_merge(setting)
    setting.proxy(limits=GitLimits(push=100_000, fetched=600))
    got = setting.git("push", "origin", "HEAD")
    assert "the git server's answer is over the limit" in got.output
    assert tip == setting.tip()
