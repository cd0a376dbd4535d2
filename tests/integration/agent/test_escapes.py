"""A battery of escapes: what a sandboxed command leaves behind does not run outside, nor permit
anything there; and in the same repositories git works inside.
"""

from __future__ import annotations

import asyncio
import hashlib
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from bailee.agent.confining import ASIDE
from bailee.agent.git_folders import look
from bailee.agent.obeyed import GIT, SETTINGS
from bailee.agent.sandbox import find
from bailee.agent.tools.arguments import Arguments
from bailee.agent.tools.bash import Bash
from bailee.agent.workspace import Workspace

LAYOUTS = ("plain", "worktree", "submodule", "subfolder", "nested", "none")
WHO = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "protocol.file.allow=always")

PERSON = (
    *("status", "checkout -q .", "cherry-pick --continue", "diff", "commit -qam x", "log -p -1"),
    *("checkout -q -b x", "rebase --continue", "one", "two", "three", "four", "commit --amend"),
)


def index_of(content: str) -> bytes:
    """An index in which git's hooks are files of the repository, each with that content."""
    blob = hashlib.sha1(f"blob {len(content)}\0{content}".encode()).digest()
    made = b"DIRC" + struct.pack(">II", 2, 2)
    for name in (b".git/hooks/pre-commit", b".git/hooks/post-index-change"):
        entry = struct.pack(">24xI12x20sH", 0o100755, blob, len(name)) + name
        made += entry + bytes(8 - len(entry) % 8)
    return made + hashlib.sha1(made).digest()


class Yard:
    """A repository of some layout, a command's way into it, an alarm that an escape sets off."""

    def __init__(self, folder: Path, layout: str) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        (self.home / ".gitconfig").write_text("[user]\n\tname = Ann\n\temail = ann@example.org\n")
        (self.home / ".bashrc").write_text("# Ann's\n")
        self.alarm = folder / "alarm"
        self.environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.home), "LANG": "C.UTF-8",
                            "GIT_EDITOR": "true"}  # fmt: skip
        top = folder / "top"
        self.work = {
            "worktree": folder / "tree", "submodule": top / "lib", "subfolder": top / "deep/er"
        }.get(layout, top)  # fmt: skip
        top.mkdir()
        (top / "a").write_text("a\n")
        if layout == "none":
            return
        self.git("init", "-q", "-b", "main", str(top), at=folder)
        if layout == "subfolder":
            self.work.mkdir(parents=True)
        (self.work if layout == "subfolder" else top).joinpath("b").write_text("b\n")
        self.git("add", ".", at=top)
        self.git("commit", "-qm", "one", at=top)
        if layout in ("submodule", "nested"):
            self.git("clone", "-q", str(top), str(folder / "other"), at=folder)
            how = ("submodule", "add") if layout == "submodule" else ("clone",)
            self.git(*how, "-q", str(folder / "other"), "lib", at=top)
        if layout == "submodule":
            self.git("commit", "-qm", "two", at=top)
        if layout == "worktree":
            self.git("worktree", "add", "-q", str(self.work), at=top)
        self.top = top

    def git(self, *arguments: str, at: Path, check: bool = True) -> str:
        """Runs git outside, as the person does."""
        done = subprocess.run(
            ["git", *WHO, *arguments], cwd=at, env=self.environment, check=check,
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        return done.stdout

    def prepare(self, script: str) -> None:
        """Runs a script outside, as the person."""
        subprocess.run(
            ["bash", "-ec", script], cwd=self.work, env=self.environment, check=True, timeout=60
        )

    def run(self, *commands: str) -> list[tuple[str, bool]]:
        """Commands in the sandbox, one after the other: what the model is told of each."""
        box = find()
        if box.program is None:
            pytest.skip(f"no sandbox here: {box.why}")
        bash = Bash(Workspace(self.work), box, self.environment)

        async def work() -> list[tuple[str, bool]]:
            made = [await bash.run(Arguments("Bash", {"command": text})) for text in commands]
            return [(str(one.content), one.is_error) for one in made]

        return asyncio.run(work())

    def person_works(self) -> None:
        """Everything that a person, their prompt and their editor do with git, in every folder."""
        folders = [f for f in self.work.rglob("*") if f.is_dir() and GIT not in f.parts]
        for folder in folders:
            self.git("status", at=folder, check=False)
        for folder in (self.work, *((self.top,) if hasattr(self, "top") else ())):
            for line in PERSON:
                self.git(*line.split(), at=folder, check=False)


# An attacker's script, and a git directory with it as what git runs.
PAYLOAD = """
cd {work}; printf '#!/bin/sh\\ntouch {alarm}\\nexit 1\\n' > evil.sh; chmod +x evil.sh
obey() {{ git -C $1 config core.fsmonitor {work}/evil.sh; git -C $1 config core.hooksPath {work};
    mkdir -p $1/.git/hooks 2>/dev/null; for h in post-checkout pre-commit post-index-change; do
    cp evil.sh $1/.git/hooks/$h; done; }}
G=$(git rev-parse --absolute-git-dir); C=$(cd $(git rev-parse --git-common-dir); pwd)
fake() {{ mkdir -p $1; git init -q $1; obey $1; }}
"""
ESCAPES = {
    "hooks": "for d in $G $C; do mkdir -p $d/hooks; for h in pre-commit post-checkout "
    "post-index-change reference-transaction; do cp evil.sh $d/hooks/$h; done; done",
    "config": "for f in $G/config $C/config $G/config.worktree $C/config.worktree; do "
    "printf '[core]\\n\\tfsmonitor = {work}/evil.sh\\n[extensions]\\n\\tworktreeConfig=true\\n' "
    ">> $f; done",
    "git config": "obey .; git config --worktree core.fsmonitor {work}/evil.sh",
    "commondir": "fake /tmp/f; cp -r /tmp/f/.git $G/f; "
    "echo $G/f > $G/commondir; echo $G/f > $C/commondir",
    "commondir in the workspace": "fake f; mv f/.git g; echo {work}/g > $G/commondir",
    "another .git": "rm -rf .git; mv .git gone; obey .; git init -q .; obey .",
    "a .git file": "fake f; mv f/.git g; rm -rf .git; echo gitdir: {work}/g > .git",
    "a .git link": "fake f; mv f/.git g; rm -rf .git; ln -s g .git; ln -sfn g .git",
    "a repository in a subfolder": "fake sub; fake deep/er/still",
    "a repository in a folder that can't be listed": "fake sub; fake sub/deep; chmod 111 sub; "
    "mkdir -p $G/rebase-merge; chmod 0 $G/rebase-merge",
    "a repository that looks bare": "fake f; mkdir bare; mv f/.git/* bare/; "
    "git -C bare config core.bare false; git -C bare config core.worktree {work}",
    "a folder in the place of one": "mv lib moved; fake lib",
    "a link in the place of one": "mv lib moved; mkdir lib; ln -s {home} lib/.git; git -C moved "
    "commit --allow-empty -m x",
    "modules": "for f in $C/modules/*/config $C/modules/*/hooks/pre-commit lib/.git; do "
    "printf '[core]\\n\\tfsmonitor = {work}/evil.sh\\n' > $f; done; "
    "mkdir -p $C/modules/x; fake f; rm -rf lib/.git; echo gitdir: {work}/f/.git > lib/.git",
    "worktrees": "git worktree add -q ../w; git worktree add -q w; obey w; "
    "fake f; echo {work}/f/.git > $C/worktrees/tree/commondir",
    "what a rebase goes on with": "mkdir -p $G/rebase-merge; cd $G/rebase-merge; "
    "git rev-parse HEAD | tee onto orig-head > stopped-sha; echo refs/heads/main > head-name; "
    "touch interactive done; echo 'exec {work}/evil.sh' > git-rebase-todo; "
    "echo 1 > msgnum; echo 1 > end",
    "a link in a log's place": "mkdir -p $C/hooks; printf '#!/bin/sh\\n' > $C/hooks/pre-commit; "
    "for l in $G/logs/HEAD $C/logs/HEAD $C/logs/refs/heads/main; do "
    "ln -sf {home}/.bashrc $l; done",
    "a link in the index's place": "ln -sf {home}/.bashrc $G/index; ln -sf {home}/.bashrc $G/HEAD",
    "hooks in the workspace": "cp evil.sh ours/pre-commit; mv ours theirs; mkdir ours; "
    "cp evil.sh ours/pre-commit",
    "beneath what looks bare": "bare() {{ mkdir -p $1/objects $1/refs; "
    "cp {work}/f/.git/HEAD $1; }}; fake f; fake x/sub; bare x; fake y/sub; cp f/.git/HEAD y; "
    "touch y/commondir; fake z; bare .; rm -rf f",
    "what looks bare by links and files": "fake f; mkdir x y; mv f/.git g; cp g/config g/HEAD x; "
    "for n in objects refs; do ln -s {work}/g/$n x/$n; done; cp -r g/config g/HEAD g/refs y; "
    "touch y/objects; chmod +x y/objects; for n in x y; do "
    "printf '[core]\n\tbare = false\n\tworktree = {work}\n' >> $n/config; done; rm -rf g/HEAD",
    "what configuration names": "for n in more.config later.config; do "
    "printf '[core]\n\tfsmonitor = {work}/evil.sh\n' > $n; done; mkdir -p new/hooks; "
    "cp evil.sh clean.sh; cp evil.sh new/clean.sh; mv new/clean.sh clean.sh; echo x >> a",
    "the hooks' folder, by its parent": "mv tools gone; mkdir -p tools/hooks; "
    "for h in pre-commit post-checkout post-index-change; do cp evil.sh tools/hooks/$h; done",
    "hooks that are not there yet": "for d in . lib; do mkdir -p $d/.hooks; for h in pre-commit "
    "post-checkout post-index-change; do cp evil.sh $d/.hooks/$h; done; touch $d/a; done",
    "hooks of a repository within": "cp evil.sh lib/ours/post-index-change; touch lib/a",
    "a folder with a link's number": "fake f; mv f/.git g; cd s; perl -e '$n = (lstat q(.git))[1]; "
    "unlink q(.git); for (1..200) {{ mkdir $_; next if (lstat $_)[1] != $n; rename $_, q(.git); "
    "last }} rmdir $_ for 1..200'; [ -d .git ] && cp -r ../g/* .git/; cd ..; rm -rf g",
    "files of an index": "git hash-object -w evil.sh; cp index $G/index",
    "what git remembers of conflicts": "mkdir -p $C/rr-cache/{id}; echo 1 > "
    "$C/rr-cache/{id}/preimage; printf '{id}\\t{home}/.bashrc\\0' > $G/MERGE_RR; "
    "ln -s {home}/.bashrc $C/rr-cache/x",
    "what git waits for": "mkfifo $C/refs/heads/zz $C/logs/refs/heads/zz "
    "$C/objects/info/alternates",
    "a strategy": "S=$G/sequencer; mkdir -p $S git-merge-..; cp evil.sh git-merge-../evil; "
    "printf '[options]\\n\\tstrategy = ../evil\\n' > $S/opts; git rev-parse HEAD > $S/head; "
    "C=$(git commit-tree -p HEAD -m c HEAD:); printf 'pick %s c\\npick %s c\\n' $C $C > $S/todo",
    "an alias' script": "for f in a.sh b.sh tools/c.sh d.sh; do cp evil.sh $f; done",
    "drivers that are not there yet": "mkdir tools; cp evil.sh tools/conv; cp evil.sh clean.sh; "
    "echo 'a diff=x filter=x' > .gitattributes; echo x >> a",
    "a condition": "git checkout -q -b evil; mkdir hh; for h in pre-commit post-index-change; "
    "do cp evil.sh hh/$h; done",
    "a program on PATH": "cp evil.sh .venv/bin/git; cp evil.sh .venv/bin/bwrap",
    "an editor": "cp evil.sh editor.sh",
    "a child that lives on": "(setsid sh -c 'sleep 2; mkdir -p late; cd late; git init -q; "
    "git config core.fsmonitor {work}/evil.sh' > /dev/null 2>&1 &)",
}  # fmt: skip


# What the person has there before, in a shell.
PREPARED = {
    "hooks in the workspace": "mkdir -p ours; touch ours/pre-commit; chmod +x ours/pre-commit; "
    "git config core.hooksPath $PWD/ours",
    "what configuration names": "touch more.config; git config include.path ../more.config; "
    "git config --add include.path ../later.config; printf 'cat\n' > clean.sh; "
    "git config filter.x.clean 'sh ./clean.sh'; echo 'a filter=x' > .gitattributes",
    "the hooks' folder, by its parent": "mkdir -p tools/hooks; "
    "git config core.hooksPath tools/hooks",
    "hooks that are not there yet": "git config --global core.hooksPath .hooks",
    "hooks of a repository within": "cd lib; mkdir ours; git config core.hooksPath ours",
    "a folder with a link's number": "mkdir s; ln -s nowhere s/.git",
    "what git remembers of conflicts": "mkdir $(git rev-parse --git-common-dir)/rr-cache",
    "an alias' script": "mkdir tools; for f in a.sh b.sh tools/c.sh d.sh; do echo : > $f; "
    "chmod +x $f; done; git config alias.one '!./a.sh; true'; "
    "git config alias.two '!f() { ./b.sh;}; f'; "
    "git config alias.three '!cd tools && ./c.sh'; "
    "git config alias.four '!\"$(git rev-parse --show-toplevel)/d.sh\"'",
    "drivers that are not there yet": "git config --global diff.x.textconv tools/conv; "
    "git config --global filter.x.clean ./clean.sh",
    "a condition": "printf '[core]\n\thooksPath = ./hh\n' > .git/conditional; "
    "git config includeIf.onbranch:evil.path $PWD/.git/conditional",
    "a program on PATH": "mkdir -p .venv/bin",
    "an editor": "echo : > editor.sh; chmod +x editor.sh",
}
# Where an escape is tried: in each layout that it might mean something else in.
ONLY_IN = {
    "modules": ("submodule",),
    "worktrees": ("plain", "worktree"),
    "a folder in the place of one": ("submodule", "nested"),
    "a link in the place of one": ("nested",),
    "hooks in the workspace": ("plain",),
    "a repository in a subfolder": ("plain", "none"),
    "a repository in a folder that can't be listed": ("plain",),
    "a repository that looks bare": ("subfolder", "none"),
    "a child that lives on": ("plain",),
    "a link in the index's place": ("plain", "worktree"),
    "git config": ("plain", "worktree"),
    "what a rebase goes on with": ("plain", "worktree"),
    "commondir in the workspace": ("worktree", "subfolder"),
    "beneath what looks bare": ("plain", "none"),
    "what looks bare by links and files": ("plain",),
    "what configuration names": ("plain", "worktree"),
    "the hooks' folder, by its parent": ("plain",),
    "hooks that are not there yet": ("nested",),
    "hooks of a repository within": ("nested",),
    "a folder with a link's number": ("plain",),
    "files of an index": ("plain",),
    "what git remembers of conflicts": ("plain", "worktree"),
    "what git waits for": ("plain",),
    "a strategy": ("plain",),
    "an alias' script": ("plain",),
    "drivers that are not there yet": ("plain", "nested"),
    "a condition": ("plain",),
    "a program on PATH": ("plain",),
    "an editor": ("plain",),
}
# What else is in the person's environment.
VARIABLES = {
    "a program on PATH": {"PATH": ".venv/bin:{work}/.venv/bin:/usr/bin:/bin"},
    "an editor": {"GIT_EDITOR": "./editor.sh"},
}


@pytest.mark.row("S7")
@pytest.mark.parametrize(
    ("name", "layout"),
    [(name, layout) for name in ESCAPES for layout in ONLY_IN.get(name, LAYOUTS)],
)
def test_nothing_that_a_command_leaves_runs_outside(tmp_path: Path, layout: str, name: str) -> None:
    """However it is put there: afterwards a person works with git in every folder, and no script
    of the command's has run; their own files are as they were.
    """
    yard = Yard(tmp_path, layout)
    if name in PREPARED:
        yard.prepare(PREPARED[name])
    (yard.work / "index").write_bytes(index_of(f"#!/bin/sh\ntouch {yard.alarm}\nexit 1\n"))
    names = {"work": yard.work, "alarm": yard.alarm, "home": yard.home, "id": 40 * "a"}
    for variable, value in VARIABLES.get(name, {}).items():
        yard.environment[variable] = value.format(**names)
    yard.run(f"{PAYLOAD}{ESCAPES[name]}; true".format(**names))
    yard.person_works()

    assert not yard.alarm.exists()
    assert [".bashrc", ".gitconfig"] == sorted(file.name for file in yard.home.iterdir())
    assert "# Ann's\n" == (yard.home / ".bashrc").read_text()
    files = (
        file for file in tmp_path.rglob("*") if file.is_file() and yard.home not in file.parents
    )
    assert [] == [file for file in files if b"# Ann's\n" == file.read_bytes()]


@pytest.mark.row("S7")
@pytest.mark.parametrize("where", ["new", "new/deep/er", "old"])
def test_no_number_of_files_hides_a_repository(tmp_path: Path, where: str) -> None:
    """It is found in a folder that was there, however many files came into that; a new folder for
    which the bound leaves no room counts as one that may hold anything.
    """
    (tmp_path / "old").mkdir()
    before = look([tmp_path], most=20)
    for number in range(50):
        (tmp_path / "old" / f"{number}").touch()
        (tmp_path / "many" / f"{number}").mkdir(parents=True)
    made = tmp_path / where / GIT
    made.mkdir(parents=True)
    after = look([tmp_path], insist=True, since=before, most=20)

    assert after.whole
    assert made in after.obeyed or tmp_path / Path(where).parts[0] in after.unseen
    assert tmp_path / "many" in after.unseen
    assert tmp_path / "old" not in after.unseen


@pytest.mark.row("S7")
@pytest.mark.parametrize("there", [(), SETTINGS])
def test_settings_can_not_be_made_or_changed(tmp_path: Path, there: Sequence[str]) -> None:
    """Those that are there stay as they are, and those that are not are not made, at any depth;
    and nothing is left behind in their places.
    """
    yard = Yard(tmp_path, "plain")
    for name in there:
        (yard.work / name).mkdir()
        (yard.work / name / "mine").write_text("mine")
    before = sorted(path.name for path in yard.work.iterdir())
    named = (*SETTINGS, "sub/opencode.json", "sub/x.code-workspace")
    names = " ".join((*named, *(f"sub/{name}" for name in SETTINGS)))
    text, _ = yard.run(
        f"mkdir sub; for n in {names}; do mkdir -p $n; echo evil > $n/mine; rm -r $n; "
        "mv $n gone; mkdir -p $n; echo evil > $n/evil; done; true"
    )[0]
    evil = [
        path for path in yard.work.rglob("*") if path.is_file() and b"evil\n" == path.read_bytes()
    ]

    assert all(ASIDE in str(path) for path in evil)
    assert [*before, "sub"] == sorted(path.name for path in yard.work.iterdir())
    assert all("mine" == (yard.work / name / "mine").read_text() for name in there)
    assert "sub/.vscode is now .vscode.put-aside-by-bailee" in text


@pytest.mark.row("S7")
def test_what_links_among_settings_lead_to_is_held(tmp_path: Path) -> None:
    """Settings that are a link, or have one in them: neither what they lead to is changed, nor the
    link, nor the folders on the way.
    """
    yard = Yard(tmp_path, "plain")
    yard.prepare(
        "mkdir editor agent .claude; echo mine | tee editor/tasks.json > agent/settings.json; "
        "ln -s editor .vscode; ln -s ../agent/settings.json .claude/; ln -s later .zed"
    )
    yard.run(
        "put() { echo evil > editor/tasks.json; echo evil > agent/settings.json; }; put; "
        "mv editor e; mv agent a2; mkdir editor agent later; put; echo evil > later/settings.json; "
        "rm .vscode; mkdir .vscode; echo evil > .vscode/tasks.json; true"
    )
    obeyed = (".vscode/tasks.json", ".claude/settings.json", ".zed/settings.json")
    found = [yard.work / name for name in obeyed if (yard.work / name).is_file()]

    assert all("mine\n" == file.read_text() for file in found)


WORKS = (
    "echo c > c && git add c && git commit -qm three",
    "git checkout -q -b side && echo d > d && git add d && git commit -qm side",
    "git checkout -q - && git merge -q --no-edit side && git branch -d side",
    "git branch -m renamed && git branch -M trunk && git tag v1",
    "echo e >> c && git stash -q && git stash list | grep -q WIP && git stash pop -q",
    "git commit -qam four && git reset -q --soft HEAD~1 && git commit -qm four",
    "git pack-refs --all && git gc -q && git branch old && git branch -D old && git fsck",
    "git checkout -q -b other HEAD~1 && echo other > c && git commit -qam other",
    "! git rebase trunk && git status | grep -q 'rebase in progress'",
    "echo both > c && git add c && GIT_EDITOR=true git rebase --continue",
    "git checkout -q trunk && git cherry-pick other && git diff --quiet HEAD",
    "git log --oneline | wc -l && test -z \"$(git status --porcelain)\"",
    'test "$(git log -1 --format=%cn)" = Ann',
)  # fmt: skip


@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if layout != "none"])
def test_git_works_inside(tmp_path: Path, layout: str) -> None:
    """Commits, branches, stashes, rebases over several commands; outside the repository is whole
    and says the same.
    """
    yard = Yard(tmp_path, layout)
    at = yard.work / "lib" if layout == "nested" else yard.work
    start = f"cd {at}; git checkout -q -B trunk; "
    done = yard.run(start + WORKS[0], *(f"cd {at}; {line}" for line in WORKS[1:]))

    assert [] == [
        (line, text) for line, (text, is_error) in zip(WORKS, done, strict=True) if is_error
    ]
    assert "" == yard.git("status", "--porcelain", at=at)
    assert "other\nfour\nside\nthree\n" in yard.git("log", "--format=%s", at=at)
    assert "both\n" == (at / "c").read_text()
    yard.git("fsck", "--strict", at=at)
    assert [] == list(tmp_path.rglob("bailee-*"))
